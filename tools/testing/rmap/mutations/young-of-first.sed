# SPDX-License-Identifier: GPL-2.0
# mm/rmap_age.c: the young bits of a run but the first stay
/^static unsigned int clear_young_ptes(/,/^}/s/clear_flush_young_ptes(vma, address, pvmw->pte, nr)/clear_flush_young_ptes(vma, address, pvmw->pte, 1)/
