# SPDX-License-Identifier: GPL-2.0
# The node was freed and made anew meanwhile.
/^[a-z].*\bfolio_lock_anon_vma_read(/,/^}/ s/ && READ_ONCE(node->root) == root//
