# SPDX-License-Identifier: GPL-2.0
# mm/rmap_unmap.c: what is young makes its run young
/^static inline pte_t common_bits(/,/^}/ s/pte = pte_mkclean(pte);/pte = pte_mkold(pte_mkclean(pte));/
