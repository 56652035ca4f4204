# SPDX-License-Identifier: GPL-2.0
# mm/rmap_unmap.c: mlocked pages are unmapped
s/if (!(um->flags & TTU_IGNORE_MLOCK) \&\& (vma->vm_flags & VM_LOCKED))/if (0)/
