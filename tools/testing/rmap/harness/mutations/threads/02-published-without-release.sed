# SPDX-License-Identifier: GPL-2.0
# Who reads the node from the vma may find it half made.
/^[a-z].*\battach(/,/^}/ s/smp_store_release(&vma->anon_vma, node)/WRITE_ONCE(vma->anon_vma, node)/
