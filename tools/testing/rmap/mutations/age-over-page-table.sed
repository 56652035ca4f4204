# SPDX-License-Identifier: GPL-2.0
# mm/rmap_age.c: a run goes on behind the end of its page table
/^static unsigned int max_run(/,/^}/s/= rmap_ptes_left(.*)/= (pvmw->vma->vm_end - pvmw->address) >> PAGE_SHIFT/
