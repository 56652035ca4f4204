# SPDX-License-Identifier: GPL-2.0
# More vmas than a batch has room for.
/^[a-z].*\banon_vma_unlink_batch_add(/,/^}/ s/batch->count == ANON_VMA_BATCH/0/
