# SPDX-License-Identifier: GPL-2.0
# The caller looks at the node before it holds mmap_lock, and another thread faults.
/^[a-z].*\bmm_split(/,/^}/ s/mmap_write_lock(.*);/;/
/^[a-z].*\bsplit_vma(/,/^}/ s/^\tprepare(&c);/\tif (!vma->vm_mm->write_locked)\n\t\tmmap_write_lock(vma_proc(vma));\n&/
