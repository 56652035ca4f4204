# SPDX-License-Identifier: GPL-2.0
# A fork changes the tree that others walk.
/^[a-z].*\banon_vma_fork(/,/^}/ s/lock_write/lock_read/
