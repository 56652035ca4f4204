# SPDX-License-Identifier: GPL-2.0
# mm/rmap_unmap.c: a run goes on behind the end of the vma
/^static unsigned int same_ptes(/,/^}/s/= rmap_table_end(pvmw->address, pvmw->vma->vm_end)/= (pvmw->address | ~PMD_MASK) + 1/
