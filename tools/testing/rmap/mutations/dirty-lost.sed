# SPDX-License-Identifier: GPL-2.0
# mm/rmap_unmap.c: what the hardware has written is not written back
/^static __always_inline void take_run(/,/^}/{ /if (pte_dirty(run->pte))/,+1d }
