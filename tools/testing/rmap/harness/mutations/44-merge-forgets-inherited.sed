# SPDX-License-Identifier: GPL-2.0
# What a merge makes inherited is not asked for again.
/^[a-z].*\banon_vma_set(/,/^}/ s/vma->anon_inherited = .*//
