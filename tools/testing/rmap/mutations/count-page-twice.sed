# SPDX-License-Identifier: GPL-2.0
# mm/rmap_count.c: a pte under a pmd counts as mapped once more
/^static __always_inline int add_ptes(/,/^}/{ /ENTIRELY_MAPPED)/,+1d; s/if (first && atomic_add_return_relaxed(first, &folio->_nr_pages_mapped) >=/if (first)\n\t\tatomic_add(first, \&folio->_nr_pages_mapped);/ }
