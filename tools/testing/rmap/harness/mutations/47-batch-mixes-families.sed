# SPDX-License-Identifier: GPL-2.0
# One lock for vmas of two families.
/^[a-z].*\banon_vma_unlink_batch_add(/,/^}/ s/batch->vmas\[0\]->anon_vma->root != vma->anon_vma->root/0/
