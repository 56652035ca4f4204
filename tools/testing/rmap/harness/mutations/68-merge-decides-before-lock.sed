# SPDX-License-Identifier: GPL-2.0
# The caller chooses the node before it holds mmap_lock, and another thread faults.
/^[a-z].*\bmm_merge(/,/^}/ s/mmap_write_lock(.*);/;/
/^[a-z].*\bmerge_\(left\|right\)(/,/^}/ s/^\tif (\(end\|start\) ==/\tif (!vma->vm_mm->write_locked)\n\t\tmmap_write_lock(vma_proc(vma));\n&/
