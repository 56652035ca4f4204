# SPDX-License-Identifier: GPL-2.0
# mm/rmap_unmap.c: a swap entry does not say that its page was exclusive
/^static inline pte_t entry_pte(/,/^}/{ /if (exclusive)/,+1d }
