# SPDX-License-Identifier: GPL-2.0
# The other half of a split never asks for a node.
/^[a-z].*\banon_vma_attach_copy(/,/^}/ s/vma->anon_inherited = .*//
