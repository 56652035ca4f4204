// SPDX-License-Identifier: GPL-2.0
/*
 * Processes, vmas and pages. Each function does to the reverse map what its
 * namesake in the kernel does, in the same order, and nothing else.
 */
#include "model.h"

struct world world;
struct hooks hooks;
unsigned int sems_held;
unsigned long sems_taken;

void *zalloc(size_t size)
{
	void *p = calloc(1, size);

	if (!p)
		abort();
	return p;
}

/* Slab: every object is a node. */

struct kmem_cache {
	size_t size;
	void (*ctor)(void *object);
	struct node_info *free;
};

struct kmem_cache *kmem_cache_create(const char *name, size_t size, size_t align,
				     unsigned int flags, void (*ctor)(void *))
{
	struct kmem_cache *cache = zalloc(sizeof(*cache));

	cache->size = sizeof(struct node_info) + size;
	cache->ctor = ctor;
	return cache;
}

/* Nothing but the constructor may be relied on: the rest is noise. */
static struct node_info *object_new(struct kmem_cache *cache)
{
	struct node_info *info = malloc(cache->size);

	if (!info)
		abort();
	memset(info, 0xa5, cache->size);
	cache->ctor(info_node(info));
	return info;
}

static bool alloc_fails(gfp_t gfp)
{
	return world.fail == FAIL_ALL || (world.fail == FAIL_NOWAIT && (gfp & GFP_NOWAIT));
}

static void sleeping_alloc(void)
{
	void (*hook)(void *arg) = hooks.on_sleeping_alloc;

	might_sleep();
	hooks.on_sleeping_alloc = NULL;
	if (hook)
		hook(hooks.arg);
}

void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t gfp)
{
	struct node_info *info = cache->free;

	world.allocs++;
	if (gfp & GFP_KERNEL)
		sleeping_alloc();
	if (alloc_fails(gfp))
		return NULL;
	if (info)
		cache->free = info->next;
	else
		info = object_new(cache);
	memset(info, 0, sizeof(*info));
	list_insert(world.nodes, info);
	world.nr_nodes++;
	return info_node(info);
}

void kmem_cache_free(struct kmem_cache *cache, void *object)
{
	struct node_info *info = node_info(object);
	struct anon_vma *node = object;

	WARN_ON_ONCE(atomic_read(&node->refcount) || rwsem_is_locked(&node->rwsem));
	list_remove(info);
	world.nr_nodes--;
	if (!world.reuse_objects) {
		free(info);
		return;
	}
	info->visited = FREE_STAMP;
	info->next = cache->free;
	cache->free = info;
}

/* Pages and page tables. */

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

static void pte_clear(struct pte *pte)
{
	struct page *page = pte->page;

	if (!page)
		return;
	list_remove(pte);
	pte->page = NULL;
	if (!pte->swapped)
		page->folio.mapcount--;
	if (page->ptes)
		return;
	list_remove(page);
	world.nr_pages--;
	free(page);
}

static void page_new(struct vm_area_struct *vma, unsigned long addr)
{
	struct page *page = zalloc(sizeof(*page));

	list_insert(world.pages, page);
	world.nr_pages++;
	page_set_node(page, vma, addr, true);
	pte_set(vma_proc(vma), addr, page, false);
}

static void zap(struct proc *proc, unsigned long start, unsigned long end)
{
	for (; start < end; start++)
		pte_clear(&proc->ptes[start]);
}

/* The list of vmas, by address. */

struct vm_area_struct *vma_after(struct proc *proc, unsigned long addr)
{
	struct vm_area_struct *vma;

	for (vma = proc->vmas; vma && vma->vm_end <= addr; vma = vma->next)
		;
	return vma;
}

struct vm_area_struct *vma_at(struct proc *proc, unsigned long addr)
{
	struct vm_area_struct *vma = vma_after(proc, addr);

	return vma && vma->vm_start <= addr ? vma : NULL;
}

static struct vm_area_struct *vma_ending_before(struct proc *proc, unsigned long addr)
{
	struct vm_area_struct *vma, *prev = NULL;

	for (vma = proc->vmas; vma && vma->vm_start < addr; vma = vma->next)
		prev = vma;
	return prev;
}

struct vm_area_struct *vma_before(struct vm_area_struct *vma)
{
	return vma_ending_before(vma_proc(vma), vma->vm_start);
}

bool range_free(struct proc *proc, unsigned long start, unsigned long end)
{
	struct vm_area_struct *vma = vma_after(proc, start);

	return end <= world.npages && start < end && (!vma || vma->vm_start >= end);
}

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

static void vma_free(struct vm_area_struct *vma)
{
	stock_unlink(vma);
	free(vma);
}

static struct vm_area_struct *vma_dup(struct vm_area_struct *orig)
{
	struct vm_area_struct *vma = zalloc(sizeof(*vma));

	*vma = *orig;
	vma->anon_vma = NULL;
	vma->anon_inherited = false;
	vma->next = NULL;
	vma->stock = NULL;
	vma->chain = NULL;
	vma->nr_chain = 0;
	return vma;
}

static void set_range(struct vm_area_struct *vma, unsigned long start, unsigned long end,
		      unsigned long pgoff)
{
	vma->vm_start = start;
	vma->vm_end = end;
	vma->vm_pgoff = pgoff;
}

/* Splitting and merging: vma_prepare(), vma_complete() and what is between. */

struct change {
	struct vm_area_struct *vma;
	struct vm_area_struct *adjust;
	struct vm_area_struct *insert;
	struct vm_area_struct *remove;
	struct vm_area_struct *remove2;
	struct anon_vma *node;
};

static void prepare(const struct change *c)
{
	if (!c->node)
		return;
	anon_vma_lock_write(c->node);
	anon_vma_pre_update(c->vma);
	if (c->adjust)
		anon_vma_pre_update(c->adjust);
	if (c->remove)
		anon_vma_pre_update(c->remove);
	if (c->remove2)
		anon_vma_pre_update(c->remove2);
}

static void complete(const struct change *c)
{
	if (c->node) {
		anon_vma_post_update(c->vma);
		if (c->adjust)
			anon_vma_post_update(c->adjust);
		if (c->insert)
			anon_vma_attach_copy(c->insert, c->vma);
		anon_vma_unlock_write(c->node);
	}
	if (c->remove)
		vma_free(c->remove);
	if (c->remove2)
		vma_free(c->remove2);
}

void mm_split(struct vm_area_struct *vma, unsigned long addr, bool new_below)
{
	struct vm_area_struct *new = vma_dup(vma);
	struct change c = { .vma = vma, .insert = new, .node = vma->anon_vma };
	unsigned long pgoff = linear_index(vma, addr);

	prepare(&c);
	if (new_below) {
		set_range(new, vma->vm_start, addr, vma->vm_pgoff);
		set_range(vma, addr, vma->vm_end, pgoff);
	} else {
		set_range(new, addr, vma->vm_end, pgoff);
		set_range(vma, vma->vm_start, addr, vma->vm_pgoff);
	}
	vma_link(new);
	/* The list is by address, and the old one may have moved up. */
	vma_delist(vma);
	vma_link(vma);
	complete(&c);
	stock_clone(new, vma);
}

static bool adjoining(const struct vm_area_struct *a, const struct vm_area_struct *b)
{
	return a->vm_end == b->vm_start && a->file == b->file &&
	       a->dontfork == b->dontfork && a->wipeonfork == b->wipeonfork &&
	       linear_index(a, a->vm_end) == b->vm_pgoff;
}

static bool can_merge(const struct vm_area_struct *a, const struct vm_area_struct *b)
{
	return adjoining(a, b) && anon_vma_mergeable(a->vm_mm, a->anon_vma, b->anon_vma);
}

/* anon_vma_compatible(), and what follows it */
static struct anon_vma *reusable(struct vm_area_struct *old, struct vm_area_struct *a,
				 struct vm_area_struct *b)
{
	if (old->anon_vma && adjoining(a, b) && anon_vma_is_own_root(old->anon_vma, old->vm_mm))
		return old->anon_vma;
	return NULL;
}

struct anon_vma *find_mergeable_anon_vma(struct vm_area_struct *vma)
{
	struct vm_area_struct *prev = vma_before(vma);
	struct anon_vma *node = NULL;

	if (vma->next)
		node = reusable(vma->next, vma, vma->next);
	if (!node && prev)
		node = reusable(prev, prev, vma);
	return node;
}

/* The first of the vmas gets all three, and what they have. */
static void absorb(struct vm_area_struct *vma, unsigned long start, unsigned long end,
		   unsigned long pgoff, struct vm_area_struct *remove,
		   struct vm_area_struct *remove2, struct anon_vma *node)
{
	struct change c = { .vma = vma, .remove = remove, .remove2 = remove2, .node = node };

	if (remove) {
		vma_delist(remove);
		stock_merge(vma, remove);
	}
	if (remove2) {
		vma_delist(remove2);
		stock_merge(vma, remove2);
	}
	prepare(&c);
	set_range(vma, start, end, pgoff);
	if (node)
		anon_vma_set(vma, node);
	complete(&c);
}

static void merge_all(struct vm_area_struct *prev, struct vm_area_struct *vma,
		      struct vm_area_struct *next)
{
	struct anon_vma *node = anon_vma_deeper(vma->anon_vma, prev->anon_vma);

	node = anon_vma_deeper(node, next->anon_vma);
	absorb(prev, prev->vm_start, next->vm_end, prev->vm_pgoff, vma, next, node);
}

/* The border between @low and @high moves to @border; one of them grows. */
static void shift_border(struct vm_area_struct *low, struct vm_area_struct *high,
			 unsigned long border, struct vm_area_struct *grows,
			 struct anon_vma *node)
{
	struct change c = { .vma = low, .adjust = high, .node = node };
	unsigned long pgoff = linear_index(low, border);

	stock_merge(grows, grows == low ? high : low);
	prepare(&c);
	set_range(low, low->vm_start, border, low->vm_pgoff);
	if (node)
		anon_vma_set(grows, node);
	set_range(high, border, high->vm_end, pgoff);
	complete(&c);
}

static void merge_left(struct vm_area_struct *prev, struct vm_area_struct *vma,
		       unsigned long end)
{
	struct anon_vma *node = anon_vma_deeper(vma->anon_vma, prev->anon_vma);

	if (end == vma->vm_end)
		absorb(prev, prev->vm_start, end, prev->vm_pgoff, vma, NULL, node);
	else
		shift_border(prev, vma, end, prev, node);
}

static void merge_right(struct vm_area_struct *vma, struct vm_area_struct *next,
			unsigned long start)
{
	struct anon_vma *node = anon_vma_deeper(vma->anon_vma, next->anon_vma);

	if (start == vma->vm_start)
		absorb(next, start, next->vm_end, vma->vm_pgoff, vma, NULL, node);
	else
		shift_border(vma, next, start, next, node);
}

/* vma_merge_existing_range(): [start, end) becomes what its neighbours are. */
bool mm_merge(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	struct vm_area_struct *prev = vma_before(vma), *next = vma->next;
	bool left = start == vma->vm_start && prev && can_merge(prev, vma);
	bool right = end == vma->vm_end && next && can_merge(vma, next);

	if (left && right && !anon_vma_mergeable(vma->vm_mm, prev->anon_vma, next->anon_vma))
		right = false;
	if (left && right)
		merge_all(prev, vma, next);
	else if (left)
		merge_left(prev, vma, end);
	else if (right)
		merge_right(vma, next, start);
	return left || right;
}

/*
 * vma_merge_new_range(): @new is on no list, and its pages, if any, come from
 * a vma attached to @node.
 */
static struct vm_area_struct *merge_new(struct vm_area_struct *new, struct anon_vma *node)
{
	struct proc *proc = vma_proc(new);
	struct vm_area_struct *prev = vma_ending_before(proc, new->vm_start);
	struct vm_area_struct *next = vma_after(proc, new->vm_end);
	bool left = prev && adjoining(prev, new) &&
		    anon_vma_mergeable(&proc->mm, node, prev->anon_vma);
	bool right = next && adjoining(new, next) &&
		     anon_vma_mergeable(&proc->mm, node, next->anon_vma);

	if (left && right && !anon_vma_mergeable(&proc->mm, prev->anon_vma, next->anon_vma))
		right = false;
	if (left) {
		node = anon_vma_deeper(node, prev->anon_vma);
		if (right)
			node = anon_vma_deeper(node, next->anon_vma);
		absorb(prev, prev->vm_start, right ? next->vm_end : new->vm_end,
		       prev->vm_pgoff, right ? next : NULL, NULL, node);
		return prev;
	}
	if (right) {
		node = anon_vma_deeper(node, next->anon_vma);
		absorb(next, new->vm_start, next->vm_end, new->vm_pgoff, NULL, NULL, node);
		return next;
	}
	return NULL;
}

static struct vm_area_struct *vma_new(struct proc *proc, unsigned long start,
				      unsigned long end, unsigned long pgoff)
{
	struct vm_area_struct *vma = zalloc(sizeof(*vma));

	vma->vm_mm = &proc->mm;
	set_range(vma, start, end, pgoff);
	return vma;
}

struct vm_area_struct *mm_map(struct proc *proc, unsigned long start, unsigned long end,
			      unsigned long pgoff, bool file)
{
	struct vm_area_struct *vma = vma_new(proc, start, end, pgoff), *merged;

	vma->file = file;
	merged = merge_new(vma, NULL);
	if (!merged) {
		vma_link(vma);
		return vma;
	}
	vma_free(vma);
	return merged;
}

/* A mapping that stays separate from its neighbours. */
struct vm_area_struct *mm_map_apart(struct proc *proc, unsigned long start,
				    unsigned long end)
{
	struct vm_area_struct *vma = vma_new(proc, start, end, start);

	vma_link(vma);
	return vma;
}

/* Unmapping: the vmas leave the list, then their node, then they are freed. */
static void unlink_list(struct vm_area_struct *list)
{
	struct anon_vma_unlink_batch batch = { .count = 0 };
	struct vm_area_struct *vma;

	for (vma = list; vma; vma = vma->next)
		anon_vma_unlink_batch_add(&batch, vma);
	anon_vma_unlink_batch_flush(&batch);
	while ((vma = list)) {
		list = vma->next;
		expect(!vma->anon_vma && !vma->anon_inherited);
		vma_free(vma);
	}
}

void mm_unmap(struct proc *proc, unsigned long start, unsigned long end)
{
	struct vm_area_struct *vma = vma_at(proc, start), *list = NULL, **tail = &list;

	if (vma && vma->vm_start < start)
		mm_split(vma, start, true);
	vma = vma_at(proc, end - 1);
	if (vma && vma->vm_end > end)
		mm_split(vma, end, false);
	zap(proc, start, end);
	while ((vma = vma_after(proc, start)) && vma->vm_start < end) {
		vma_delist(vma);
		vma->next = NULL;
		*tail = vma;
		tail = &vma->next;
	}
	unlink_list(list);
}

/* mremap. */

static void move_ptes(struct proc *proc, unsigned long from, unsigned long to,
		      unsigned long len)
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

/* A walk while the tables move must meet the source before the copy. */
static void check_order(struct vm_area_struct *first, struct vm_area_struct *then,
			unsigned long from, unsigned long len)
{
	unsigned long saved = work;

	for (; len--; from++) {
		struct page *page = vma_proc(first)->ptes[from].page;

		if (!page || !page->folio.mapcount)
			continue;
		page_walk(page);
		if (first->order > then->order)
			fail("proc %u: page at %lu is met in the copy first",
			     vma_proc(first)->id, from);
	}
	work = saved;
}

static struct vm_area_struct *copy_vma(struct vm_area_struct *vma, unsigned long from,
				       unsigned long to, unsigned long len,
				       bool *need_rmap_locks)
{
	struct vm_area_struct *new = vma_dup(vma), *merged;
	unsigned long pgoff = linear_index(vma, from);

	if (!vma->file && !vma->anon_vma)
		pgoff = to;
	set_range(new, to, to + len, pgoff);
	merged = merge_new(new, vma->anon_vma);
	if (merged) {
		*need_rmap_locks = merged->vm_pgoff <= vma_at(vma_proc(merged), from)->vm_pgoff;
		if (merged != vma_at(vma_proc(merged), from))
			stock_merge(merged, vma);
		vma_free(new);
		return merged;
	}
	*need_rmap_locks = false;
	vma_link(new);
	if (vma->anon_vma) {
		anon_vma_lock_write(vma->anon_vma);
		anon_vma_attach_copy(new, vma);
		anon_vma_unlock_write(vma->anon_vma);
		stock_clone(new, vma);
	}
	return new;
}

void mm_move(struct vm_area_struct *vma, unsigned long from, unsigned long to,
	     unsigned long len, bool keep)
{
	struct proc *proc = vma_proc(vma);
	struct vm_area_struct *new;
	bool need_rmap_locks;

	new = copy_vma(vma, from, to, len, &need_rmap_locks);
	/* It may have been merged away, if it had no page. */
	vma = vma_at(proc, from);
	if (vma->anon_vma && !need_rmap_locks)
		check_order(vma, new, from, len);
	move_ptes(proc, from, to, len);
	if (!keep) {
		mm_unmap(proc, from, from + len);
	} else if (new != vma && vma->vm_start == from && vma->vm_end == from + len) {
		anon_vma_unlink(vma);
		stock_unlink(vma);
		if (!vma->file)
			vma->vm_pgoff = vma->vm_start;
	}
}

/* Stacks, and mremap in place. */

void mm_grow_down(struct vm_area_struct *vma, unsigned long by)
{
	if (anon_vma_prepare(vma))
		return;
	stock_prepare(vma);
	anon_vma_lock_write(vma->anon_vma);
	anon_vma_pre_update(vma);
	set_range(vma, vma->vm_start - by, vma->vm_end, vma->vm_pgoff - by);
	anon_vma_post_update(vma);
	anon_vma_unlock_write(vma->anon_vma);
}

void mm_grow_up(struct vm_area_struct *vma, unsigned long by)
{
	absorb(vma, vma->vm_start, vma->vm_end + by, vma->vm_pgoff, NULL, NULL,
	       vma->anon_vma);
}

/* Faults. */

void settle(struct vm_area_struct *vma)
{
	if (!anon_vma_prepare(vma))
		stock_prepare(vma);
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

	if (anon_vma_prepare(vma)) {
		expect(!vma->anon_vma && world.fail == FAIL_ALL);
		return false;
	}
	expect(vma_anon_settled(vma));
	stock_prepare(vma);
	fault_read(proc, addr);
	page = pte->page;
	if (page && page->exclusive)
		return true;
	if (page && page->ptes == pte && !pte->next) {
		page_set_node(page, vma, addr, true);
		return true;
	}
	pte_clear(pte);
	page_new(vma, addr);
	return true;
}

/* try_to_unmap() through the reverse map; what it does not find is lost. */
void page_swap_out(struct page *page, bool drop)
{
	struct vm_area_struct *vma;
	struct anon_vma_iter iter;
	struct anon_vma *node;
	struct pte *pte;

	node = folio_lock_anon_vma_read(&page->folio, NULL);
	if (!node)
		return;
	anon_vma_for_each_vma(vma, &iter, node, page->folio.index, page->folio.index) {
		pte = &vma_proc(vma)->ptes[page->folio.index - vma->vm_pgoff + vma->vm_start];
		if (pte->page != page || pte->swapped)
			continue;
		pte->swapped = true;
		pte->exclusive = page->exclusive;
		page->folio.mapcount--;
	}
	anon_vma_unlock_read(node);
	if (page->folio.mapcount)
		fail("page of index %lu: %d mappings not found", page->folio.index,
		     page->folio.mapcount);
	page->exclusive = false;
	if (drop) {
		page->resident = false;
		page->folio.mapping = NULL;
	}
}

/* UFFDIO_MOVE of an exclusive page, present or in swap. */
void uffd_move(struct proc *proc, unsigned long from, unsigned long to)
{
	struct vm_area_struct *dst = vma_at(proc, to);
	struct pte *pte = &proc->ptes[from];
	struct page *page = pte->page;
	bool exclusive = pte->exclusive;

	if (!page || !(pte->swapped ? pte->exclusive : page->exclusive) ||
	    proc->ptes[to].page || anon_vma_prepare(dst))
		return;
	stock_prepare(dst);
	if (page->resident)
		page_set_node(page, dst, to, true);
	pte_set(proc, to, page, pte->swapped);
	proc->ptes[to].exclusive = exclusive;
	pte_clear(pte);
	page->exclusive = !proc->ptes[to].swapped;
}

/* Processes. */

struct proc *proc_new(void)
{
	struct proc *proc = zalloc(sizeof(*proc));

	proc->mm.anon_owner = anon_vma_new_owner();
	proc->ptes = zalloc(world.npages * sizeof(*proc->ptes));
	proc->id = world.last_id++;
	list_insert(world.procs, proc);
	world.nr_procs++;
	return proc;
}

/* A pinned page is not shared but copied at once. */
static void copy_pte(struct vm_area_struct *vma, struct vm_area_struct *pvma,
		     unsigned long addr, bool pinned)
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

static void fork_vma(struct proc *child, struct vm_area_struct *pvma, unsigned long pinned)
{
	struct vm_area_struct *vma = vma_dup(pvma);
	unsigned long addr, allocs = world.allocs;

	vma->vm_mm = &child->mm;
	if (!vma->wipeonfork) {
		anon_vma_fork(vma, pvma);
		expect(world.allocs == allocs);
		stock_fork(vma, pvma);
	}
	vma_link(vma);
	if (!pvma->anon_vma || vma->wipeonfork)
		return;
	if (world.nr_procs < 30)
		check_order(pvma, vma, pvma->vm_start, vma_pages(pvma));
	for (addr = vma->vm_start; addr < vma->vm_end; addr++)
		if (vma_proc(pvma)->ptes[addr].page)
			copy_pte(vma, pvma, addr, addr == pinned);
}

/* A fork that fails after some vmas leaves them to exit. */
struct proc *proc_fork_some(struct proc *parent, unsigned int nr_vmas, unsigned long pinned)
{
	struct proc *child = proc_new();
	struct vm_area_struct *vma;

	for (vma = parent->vmas; vma && nr_vmas--; vma = vma->next)
		if (!vma->dontfork)
			fork_vma(child, vma, pinned);
	return child;
}

struct proc *proc_fork(struct proc *parent)
{
	return proc_fork_some(parent, UINT_MAX, ULONG_MAX);
}

void proc_exit(struct proc *proc)
{
	zap(proc, 0, world.npages);
	unlink_list(proc->vmas);
	list_remove(proc);
	world.nr_procs--;
	free(proc->ptes);
	free(proc);
}

void world_init(unsigned long npages, bool stock)
{
	static bool once;

	if (!once)
		anon_vma_init();
	once = true;
	memset(&world, 0, sizeof(world));
	world.npages = npages;
	world.stock = stock;
	trace_reset();
}

void world_end(void)
{
	while (world.procs)
		proc_exit(world.procs);
	check_empty();
}
