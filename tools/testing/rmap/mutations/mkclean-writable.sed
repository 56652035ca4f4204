# SPDX-License-Identifier: GPL-2.0
# mm/rmap_age.c: what is written back stays writable
/^static bool mkclean_pte(/,/^}/s/pte_mkclean(pte_wrprotect(pte))/pte_mkclean(pte)/
