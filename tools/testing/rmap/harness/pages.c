// SPDX-License-Identifier: GPL-2.0
/*
 * Pages, page tables and faults: what mm/memory.c, mm/huge_memory.c, mm/ksm.c,
 * mm/userfaultfd.c and reclaim do to the reverse map, in the same order.
 */
#include "model.h"

static void page_set_node(struct page *page, struct vm_area_struct *vma,
			  unsigned long addr, bool exclusive)
{
	struct anon_vma *node = vma->anon_vma;

	expect(node);
	if (!exclusive)
		node = node->root;
	page->folio.mapping = (void *)((unsigned long)node | PAGE_MAPPING_ANON);
	page->folio.index = linear_index(vma, addr);
	page->exclusive = exclusive;
	page->resident = true;
	stock_page_new(page, vma, exclusive);
}

static void pte_set(struct proc *proc, unsigned long addr, struct page *page, bool swapped)
{
	struct pte *pte = &proc->ptes[addr];

	expect(!pte->page);
	pte->page = page;
	pte->proc = proc;
	pte->swapped = swapped;
	pte->exclusive = false;
	list_insert(page->ptes, pte);
	if (!swapped)
		page->folio.mapcount++;
}

/* The page leaves its large folio. */
static void large_drop(struct page *page)
{
	struct large *large = page->large;

	page->large = NULL;
	large->page[page->folio.index - large->index] = NULL;
	if (!--large->left)
		free(large);
}

/* Its items stay until ksmd comes by, and hold their nodes. */
static void ksm_forget(struct page *page)
{
	unsigned int i;

	for (i = 0; i < world.nr_items; i++)
		if (world.items[i].page == page)
			world.items[i].page = NULL;
}

static void page_free(struct page *page)
{
	if (page->large)
		large_drop(page);
	if (page->ksm)
		ksm_forget(page);
	list_remove(page);
	free(page);
}

static void pte_clear(struct pte *pte)
{
	struct page *page = pte->page;

	if (!page)
		return;
	list_remove(pte);
	pte->page = NULL;
	if (!pte->swapped)
		page->folio.mapcount--;
	if (!page->ptes)
		page_free(page);
}

static struct page *page_new(struct vm_area_struct *vma, unsigned long addr)
{
	struct page *page = zalloc(sizeof(*page));

	list_insert(world.pages, page);
	page_set_node(page, vma, addr, true);
	pte_set(vma_proc(vma), addr, page, false);
	return page;
}

void zap(struct proc *proc, unsigned long start, unsigned long end)
{
	for (; start < end; start++)
		pte_clear(&proc->ptes[start]);
}

void move_ptes(struct proc *proc, unsigned long from, unsigned long to, unsigned long len)
{
	struct pte *pte;
	bool exclusive;

	for (; len--; from++, to++) {
		struct page *page = proc->ptes[from].page;

		if (!page)
			continue;
		pte = &proc->ptes[from];
		exclusive = pte->exclusive;
		/* Map first, or the last unmapping would free the page. */
		pte_set(proc, to, page, pte->swapped);
		proc->ptes[to].exclusive = exclusive;
		pte_clear(pte);
	}
}

/* Faults. */

bool mm_settle(struct vm_area_struct *vma)
{
	unsigned long failures = world.failures;
	bool alone, small = world.nr_procs < SMALL_WORLD;
	struct settling settling;
	int err;

	if (small)
		settling = settling_of(vma);
	err = anon_vma_prepare(vma);
	/* Or another thread of it had come by. */
	alone = !hooks.arg || hooks.on_sleeping_alloc;
	if (err) {
		expect(world.failures > failures && (!vma->anon_vma || !alone));
		return false;
	}
	expect(vma_anon_settled(vma));
	if (small && alone && world.failures == failures)
		check_settled(vma, &settling);
	stock_prepare(vma);
	return true;
}

static void swap_in(struct vm_area_struct *vma, struct pte *pte)
{
	struct page *page = pte->page;

	if (!page->resident)
		page_set_node(page, vma, pte_addr(pte), pte->exclusive);
	else if (pte->exclusive)
		page->exclusive = true;
	pte->swapped = false;
	pte->exclusive = false;
	page->folio.mapcount++;
}

void fault_read(struct proc *proc, unsigned long addr)
{
	struct pte *pte = &proc->ptes[addr];

	if (pte->page && pte->swapped)
		swap_in(vma_at(proc, addr), pte);
}

bool fault_write(struct proc *proc, unsigned long addr)
{
	struct vm_area_struct *vma = vma_at(proc, addr);
	struct pte *pte = &proc->ptes[addr];
	struct page *page;

	if (!mm_settle(vma))
		return false;
	fault_read(proc, addr);
	page = pte->page;
	if (page && page->exclusive)
		return true;
	if (page && page->ptes == pte && !pte->next && !page->ksm && !page->large) {
		page_set_node(page, vma, addr, true);
		return true;
	}
	pte_clear(pte);
	page_new(vma, addr);
	return true;
}

/* A pinned page is not shared at fork but copied at once. */
void copy_pte(struct vm_area_struct *vma, struct vm_area_struct *pvma, unsigned long addr,
	      bool pinned)
{
	struct pte *pte = &vma_proc(pvma)->ptes[addr];
	struct page *page = pte->page;

	if (pinned && page->exclusive && !pte->swapped) {
		expect(!anon_vma_prepare(vma));
		page_new(vma, addr);
		return;
	}
	page->exclusive = false;
	pte->exclusive = false;
	pte_set(vma_proc(vma), addr, page, pte->swapped);
}

/* Folios of several pages. */

bool fault_write_large(struct proc *proc, unsigned long addr, unsigned int nr)
{
	struct vm_area_struct *vma = vma_at(proc, addr);
	struct large *large;
	unsigned int i;

	if (!mm_settle(vma))
		return false;
	for (i = 0; i < nr; i++)
		if (proc->ptes[addr + i].page)
			return false;
	large = zalloc(sizeof(*large));
	large->index = linear_index(vma, addr);
	large->nr = nr;
	large->left = nr;
	for (i = 0; i < nr; i++) {
		large->page[i] = page_new(vma, addr + i);
		large->page[i]->large = large;
	}
	return true;
}

/* Forget that the pages were one folio; each points at the node by itself. */
static void large_end(struct large *large)
{
	unsigned int i;

	for (i = 0; i < large->nr; i++)
		if (large->page[i])
			large->page[i]->large = NULL;
	free(large);
}

/* split_folio(): the node is held, then its family lock, while all are unmapped. */
void folio_split(struct page *page)
{
	struct anon_vma *node = folio_get_anon_vma(&page->folio);

	if (node) {
		anon_vma_lock_write(node);
		anon_vma_unlock_write(node);
		put_anon_vma(node);
	}
	large_end(page->large);
}

/* Unmap @page where @vma maps it. */
static void unmap_one(struct page *page, struct vm_area_struct *vma)
{
	struct pte *pte;

	if (page->folio.index < vma->vm_pgoff ||
	    page->folio.index - vma->vm_pgoff >= vma_pages(vma))
		return;
	pte = &vma_proc(vma)->ptes[page->folio.index - vma->vm_pgoff + vma->vm_start];
	if (pte->page != page || pte->swapped)
		return;
	pte->swapped = true;
	pte->exclusive = page->exclusive;
	page->folio.mapcount--;
}

static void swapped_out(struct page *page, bool drop)
{
	if (page->folio.mapcount)
		fail("page of index %lu: %d mappings not found", page->folio.index,
		     page->folio.mapcount);
	page->exclusive = false;
	if (drop) {
		page->resident = false;
		page->folio.mapping = NULL;
	}
}

/* try_to_unmap() through the reverse map; what it does not find is lost. */
void page_swap_out(struct page *page, bool drop)
{
	struct large single = { .page = { page }, .nr = 1, .index = page->folio.index };
	struct large *folio = page->large ?: &single;
	struct vm_area_struct *vma;
	struct anon_vma_iter iter;
	struct anon_vma *node;
	unsigned int i;

	node = folio_lock_anon_vma_read(&page->folio, NULL);
	if (!node)
		return;
	anon_vma_for_each_vma(vma, &iter, node, folio->index, folio->index + folio->nr - 1)
		for (i = 0; i < folio->nr; i++)
			if (folio->page[i])
				unmap_one(folio->page[i], vma);
	anon_vma_unlock_read(node);
	for (i = 0; i < folio->nr; i++)
		if (folio->page[i])
			swapped_out(folio->page[i], drop);
	if (drop && page->large)
		large_end(page->large);
}

/* UFFDIO_MOVE of an exclusive page, present or in swap. */
bool uffd_move(struct proc *proc, unsigned long from, unsigned long to)
{
	struct vm_area_struct *dst = vma_at(proc, to);
	bool settled = mm_settle(dst);
	struct pte *pte = &proc->ptes[from];
	struct page *page = pte->page;
	bool exclusive = pte->exclusive;

	if (!settled || !page || !(pte->swapped ? pte->exclusive : page->exclusive) ||
	    proc->ptes[to].page)
		return false;
	if (page->large)
		folio_split(page);
	if (page->resident)
		page_set_node(page, dst, to, true);
	pte_set(proc, to, page, pte->swapped);
	proc->ptes[to].exclusive = exclusive;
	pte_clear(pte);
	page->exclusive = !proc->ptes[to].swapped;
	return true;
}

/* KSM: a page is found by its items, each a node and an index that were the pte's. */

static struct page *ksm_page(void)
{
	unsigned int i;

	for (i = 0; i < world.nr_items; i++)
		if (world.items[i].page)
			return world.items[i].page;
	return NULL;
}

bool ksm_merge(struct proc *proc, unsigned long addr)
{
	struct vm_area_struct *vma = vma_at(proc, addr);
	struct pte *pte = &proc->ptes[addr];
	struct page *page = pte->page, *kpage = ksm_page();
	struct item *item = &world.items[world.nr_items];

	if (!page || pte->swapped || !page->exclusive || world.nr_items == MAX_ITEMS)
		return false;
	if (page->large)
		folio_split(page);
	if (kpage) {
		pte_clear(pte);
		pte_set(proc, addr, kpage, false);
	} else {
		kpage = page;
		page->ksm = true;
		page->folio.mapping = (void *)PAGE_MAPPING_FLAGS;
		page->exclusive = false;
	}
	mm_settle(vma);
	/* Another thread may have written to it meanwhile. */
	item->page = pte->page && pte->page->ksm ? kpage : NULL;
	item->node = vma->anon_vma;
	item->index = linear_index(vma, addr);
	get_anon_vma(item->node);
	node_info(item->node)->holds++;
	world.nr_items++;
	return true;
}

/* ksmd drops an item once its page has gone. */
bool ksm_drop(unsigned int i)
{
	struct item item = world.items[i];

	if (i >= world.nr_items || item.page)
		return false;
	world.items[i] = world.items[--world.nr_items];
	node_info(item.node)->holds--;
	put_anon_vma(item.node);
	return true;
}
