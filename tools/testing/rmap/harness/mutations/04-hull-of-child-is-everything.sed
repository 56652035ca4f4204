# SPDX-License-Identifier: GPL-2.0
# A child is met for what it never had.
/^[a-z].*\binit_child(/,/^}/ s/vma_last_index(vma)/ULONG_MAX/
