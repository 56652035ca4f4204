# SPDX-License-Identifier: GPL-2.0
# The other half of a split goes to the root.
/^[a-z].*\banon_vma_attach_copy(/,/^}/ s/attach(vma, src->anon_vma, src->anon_vma->root);/attach(vma, src->anon_vma->root, src->anon_vma->root);/
