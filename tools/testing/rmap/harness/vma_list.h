/* SPDX-License-Identifier: GPL-2.0 */
/* The vmas of a process, by address. Included where struct proc is known. */
#ifndef VMA_LIST_H
#define VMA_LIST_H

static void vma_link(struct vm_area_struct *vma)
{
	struct vm_area_struct **link = &vma_proc(vma)->vmas;

	while (*link && (*link)->vm_start < vma->vm_start)
		link = &(*link)->next;
	vma->next = *link;
	*link = vma;
}

static void vma_delist(struct vm_area_struct *vma)
{
	struct vm_area_struct **link = &vma_proc(vma)->vmas;

	while (*link != vma)
		link = &(*link)->next;
	*link = vma->next;
}

#endif /* VMA_LIST_H */
