# SPDX-License-Identifier: GPL-2.0
# mm/rmap_unmap.c: one dirty pte makes the run soft-dirty
/^static __always_inline pte_t clear_and_flush(/,/^}/{ /if (!pte_soft_dirty(run->pte))/,+1d }
