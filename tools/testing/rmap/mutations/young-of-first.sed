# SPDX-License-Identifier: GPL-2.0
# mm/rmap_age.c: the young bits of a run but the first stay
/^static __always_inline void clear_young_ptes(/,/^}/s/pvmw->pte, nr)/pvmw->pte, 1)/
