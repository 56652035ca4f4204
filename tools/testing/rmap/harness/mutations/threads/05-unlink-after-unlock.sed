# SPDX-License-Identifier: GPL-2.0
# An exit changes the tree that others walk.
/^[a-z].*\banon_vma_unlink_batch_flush(/,/^}/ { /^\tanon_vma_unlock_write(root);/d; s/^\(\tanon_vma_lock_write(root);\)/\1\n\tanon_vma_unlock_write(root);/ }
