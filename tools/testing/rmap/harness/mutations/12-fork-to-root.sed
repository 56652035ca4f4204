# SPDX-License-Identifier: GPL-2.0
# Pages that the parent made since are not found in the child.
/^[a-z].*\banon_vma_fork(/,/^}/ s/attach(vma, own, node)/attach(vma, node->root, node->root)/
