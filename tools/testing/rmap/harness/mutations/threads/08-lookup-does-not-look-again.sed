# SPDX-License-Identifier: GPL-2.0
# The node was freed, and made anew, before its lock was taken.
/^struct anon_vma \*folio_lock_anon_vma_read(/,/^}/ s/if (likely(mapped_node(folio) == node.*/if (1) {/
