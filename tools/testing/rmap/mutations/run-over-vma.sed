# SPDX-License-Identifier: GPL-2.0
# mm/rmap_unmap.c: a run goes on behind the end of the vma
/^static unsigned int same_ptes(/,/^}/s/= rmap_ptes_left(.*)/= PTRS_PER_PTE - pte_index(pvmw->address)/
