# SPDX-License-Identifier: GPL-2.0
# Pages that the parent made on its own node are not found in the child.
/^[a-z].*\banon_vma_fork(/,/^}/ s/attach(vma, own, node);/attach_behind(vma, pvma);/
