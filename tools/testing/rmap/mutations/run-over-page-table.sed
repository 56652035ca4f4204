# SPDX-License-Identifier: GPL-2.0
# mm/rmap_unmap.c: a run goes on behind the end of its page table
/^static unsigned int same_ptes(/,/^}/s/= rmap_ptes_left(.*)/= (pvmw->vma->vm_end - pvmw->address) >> PAGE_SHIFT/
