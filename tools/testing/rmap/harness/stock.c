// SPDX-License-Identifier: GPL-2.0
/*
 * How many vmas the chains of 2.6.34 would have visited, by a model of them:
 * every vma is a member of its own and of all its ancestors' anon_vmas. Where
 * stock would refuse a merge that ours allows, the result joins both sets.
 */
#include "model.h"

struct snode {
	struct snode *parent;
	unsigned int members;
	unsigned int children;
	unsigned int active;
};

struct stock_sum stock_sum;

static bool member(const struct vm_area_struct *vma, const struct snode *snode)
{
	unsigned int i;

	for (i = 0; i < vma->nr_chain; i++)
		if (vma->chain[i] == snode)
			return true;
	return false;
}

static void join(struct vm_area_struct *vma, struct snode *snode)
{
	if (member(vma, snode))
		return;
	vma->chain = realloc(vma->chain, (vma->nr_chain + 1) * sizeof(*vma->chain));
	vma->chain[vma->nr_chain++] = snode;
	snode->members++;
}

static void set_stock(struct vm_area_struct *vma, struct snode *snode)
{
	vma->stock = snode;
	if (snode)
		snode->active++;
}

static void set_stock_none(struct vm_area_struct *vma)
{
	if (vma->stock)
		vma->stock->active--;
	vma->stock = NULL;
}

static struct snode *snode_new(struct snode *parent)
{
	struct snode *snode = zalloc(sizeof(*snode));

	/* A root is never reused. */
	snode->children = !parent;
	snode->parent = parent;
	if (parent)
		parent->children++;
	return snode;
}

static struct snode *singular(struct vm_area_struct *vma)
{
	return vma && vma->nr_chain == 1 ? vma->stock : NULL;
}

void stock_prepare(struct vm_area_struct *vma)
{
	struct vm_area_struct *prev = vma_before(vma), *next = vma->next;
	struct snode *snode = NULL;

	if (!world.stock || vma->stock)
		return;
	if (next && next->anon_vma == vma->anon_vma)
		snode = singular(next);
	if (!snode && prev && prev->anon_vma == vma->anon_vma)
		snode = singular(prev);
	if (!snode)
		snode = snode_new(NULL);
	join(vma, snode);
	set_stock(vma, snode);
}

void stock_clone(struct vm_area_struct *dst, struct vm_area_struct *src)
{
	unsigned int i;

	for (i = 0; i < src->nr_chain; i++)
		join(dst, src->chain[i]);
	if (src->stock && !dst->stock)
		set_stock(dst, src->stock);
}

void stock_fork(struct vm_area_struct *vma, struct vm_area_struct *pvma)
{
	unsigned int i;

	if (!pvma->stock)
		return;
	for (i = 0; i < pvma->nr_chain; i++) {
		struct snode *snode = pvma->chain[i];

		join(vma, snode);
		if (!vma->stock && snode->children < 2 && !snode->active)
			set_stock(vma, snode);
	}
	if (vma->stock)
		return;
	set_stock(vma, snode_new(pvma->stock));
	join(vma, vma->stock);
}

void stock_merge(struct vm_area_struct *dst, struct vm_area_struct *src)
{
	stock_clone(dst, src);
}

void stock_unlink(struct vm_area_struct *vma)
{
	unsigned int i;

	set_stock_none(vma);
	for (i = 0; i < vma->nr_chain; i++)
		if (!--vma->chain[i]->members && vma->chain[i]->parent)
			vma->chain[i]->parent->children--;
	for (i = 0; i < vma->nr_chain; i++)
		if (!vma->chain[i]->members)
			free(vma->chain[i]);
	free(vma->chain);
	vma->chain = NULL;
	vma->nr_chain = 0;
}

void stock_page_new(struct page *page, struct vm_area_struct *vma, bool exclusive)
{
	page->stock = vma->stock;
	while (!exclusive && page->stock && page->stock->parent)
		page->stock = page->stock->parent;
}

void stock_count(struct page *page, unsigned int ours)
{
	unsigned long index = page->folio.index;
	struct vm_area_struct *vma;
	unsigned int stock = 0;
	struct proc *proc;

	for (proc = world.procs; proc; proc = proc->next)
		for (vma = proc->vmas; vma; vma = vma->next)
			stock += vma->vm_pgoff <= index && index - vma->vm_pgoff < vma_pages(vma) &&
				 member(vma, page->stock);
	stock_sum.walks++;
	stock_sum.ours += ours;
	stock_sum.stock += stock;
	stock_sum.more += ours > stock;
}
