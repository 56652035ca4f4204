# SPDX-License-Identifier: GPL-2.0
# mm/rmap_unmap.c: ptes of a run that is swapped out may differ in uffd-wp and soft-dirty
/^static inline pte_t common_bits(/,/^}/s/pte = pte_mkclean(pte);/pte = pte_clear_uffd_wp(pte_clear_soft_dirty(pte_mkclean(pte)));/
