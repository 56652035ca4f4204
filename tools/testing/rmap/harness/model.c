// SPDX-License-Identifier: GPL-2.0
/*
 * Processes and vmas: what mm/vma.c, mm/mmap.c, mm/mremap.c, kernel/fork.c and
 * fs/exec.c do to the reverse map, in the same order, and nothing else.
 */
#include "model.h"
#include "vma_list.h"

struct world world;

void *zalloc(size_t size)
{
	void *p = calloc(1, size);

	if (!p)
		abort();
	return p;
}

/* mmap_lock for write. While one waits for it, other threads may still fault. */

static void mmap_write_lock(struct proc *proc)
{
	void (*hook)(void *arg) = hooks.on_mmap_lock;

	hooks.on_mmap_lock = NULL;
	if (hook)
		hook(hooks.arg);
	expect(!proc->mm.write_locked);
	proc->mm.write_locked = true;
}

static void mmap_write_unlock(struct proc *proc)
{
	proc->mm.write_locked = false;
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

/* __split_vma() */
static void split_vma(struct vm_area_struct *vma, unsigned long addr, bool new_below)
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
	expect(new->anon_vma == vma->anon_vma && new->anon_inherited == vma->anon_inherited);
	stock_clone(new, vma);
}

void mm_split(struct vm_area_struct *vma, unsigned long addr, bool new_below)
{
	mmap_write_lock(vma_proc(vma));
	split_vma(vma, addr, new_below);
	mmap_write_unlock(vma_proc(vma));
}

static bool adjoining(const struct vm_area_struct *a, const struct vm_area_struct *b)
{
	return a->vm_end == b->vm_start && a->flags == b->flags &&
	       linear_index(a, a->vm_end) == b->vm_pgoff;
}

/* No two families become one, and none spreads that was inherited from a parent. */
static bool mergeable(const struct mm_struct *mm, const struct anon_vma *a,
		      const struct anon_vma *b)
{
	bool may = anon_vma_mergeable(mm, a, b);

	if (may && a && b)
		expect(a->root == b->root);
	else if (may && (a || b))
		expect(anon_vma_is_own_root(a ?: b, mm));
	return may;
}

static bool can_merge(const struct vm_area_struct *a, const struct vm_area_struct *b)
{
	return adjoining(a, b) && mergeable(a->vm_mm, a->anon_vma, b->anon_vma);
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

static void set_node(struct vm_area_struct *vma, struct anon_vma *node)
{
	anon_vma_set(vma, node);
	expect(vma->anon_inherited == (node->owner != vma->vm_mm->anon_owner));
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
		set_node(vma, node);
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
		set_node(grows, node);
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

/* vma_merge_existing_range(): [start, end) gets @flags, and joins neighbours that have them. */
static bool merge_existing(struct vm_area_struct *vma, unsigned long start, unsigned long end,
			   unsigned int flags)
{
	struct vm_area_struct *prev = vma_before(vma), *next = vma->next;
	unsigned int old_flags = vma->flags;
	bool left, right;

	vma->flags = flags;
	left = start == vma->vm_start && prev && can_merge(prev, vma);
	right = end == vma->vm_end && next && can_merge(vma, next);
	vma->flags = old_flags;
	if (left && right && !mergeable(vma->vm_mm, prev->anon_vma, next->anon_vma))
		right = false;
	if (left && right)
		merge_all(prev, vma, next);
	else if (left)
		merge_left(prev, vma, end);
	else if (right)
		merge_right(vma, next, start);
	return left || right;
}

/* [start, end) of @vma becomes what its neighbours are. */
bool mm_merge(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	struct proc *proc = vma_proc(vma);
	bool merged;

	mmap_write_lock(proc);
	merged = merge_existing(vma, start, end, vma->flags);
	mmap_write_unlock(proc);
	return merged;
}

/* vma_modify() */
static void modify_vma(struct vm_area_struct *vma, unsigned long start, unsigned long end,
		       unsigned int flags)
{
	if (vma->flags == flags || merge_existing(vma, start, end, flags))
		return;
	if (start > vma->vm_start)
		split_vma(vma, start, true);
	if (end < vma->vm_end)
		split_vma(vma, end, false);
	vma->flags = flags;
}

/* mprotect() and madvise(): the @mask of the flags of all vmas there. */
void mm_modify(struct proc *proc, unsigned long start, unsigned long end, unsigned int mask,
	       unsigned int flags)
{
	struct vm_area_struct *vma;
	unsigned long stop;

	mmap_write_lock(proc);
	while (start < end && (vma = vma_after(proc, start)) && vma->vm_start < end) {
		start = max(start, vma->vm_start);
		stop = min(end, vma->vm_end);
		modify_vma(vma, start, stop, (vma->flags & ~mask) | flags);
		start = stop;
	}
	mmap_write_unlock(proc);
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
		    mergeable(&proc->mm, node, prev->anon_vma);
	bool right = next && adjoining(new, next) &&
		     mergeable(&proc->mm, node, next->anon_vma);

	if (left && right && !mergeable(&proc->mm, prev->anon_vma, next->anon_vma))
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
			      unsigned long pgoff, unsigned int flags)
{
	struct vm_area_struct *vma = vma_new(proc, start, end, pgoff), *merged;

	vma->flags = flags;
	mmap_write_lock(proc);
	merged = merge_new(vma, NULL);
	if (merged)
		vma_free(vma);
	else
		vma_link(vma);
	mmap_write_unlock(proc);
	return merged ?: vma;
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

static void unmap_range(struct proc *proc, unsigned long start, unsigned long end)
{
	struct vm_area_struct *vma = vma_at(proc, start), *list = NULL, **tail = &list;

	if (vma && vma->vm_start < start)
		split_vma(vma, start, true);
	vma = vma_at(proc, end - 1);
	if (vma && vma->vm_end > end)
		split_vma(vma, end, false);
	zap(proc, start, end);
	while ((vma = vma_after(proc, start)) && vma->vm_start < end) {
		vma_delist(vma);
		vma->next = NULL;
		*tail = vma;
		tail = &vma->next;
	}
	unlink_list(list);
}

void mm_unmap(struct proc *proc, unsigned long start, unsigned long end)
{
	mmap_write_lock(proc);
	unmap_range(proc, start, end);
	mmap_write_unlock(proc);
}

/* mremap. */

/* A walk while the tables move must meet the source before the copy. */
static void check_order(struct vm_area_struct *first, struct vm_area_struct *then,
			unsigned long from, unsigned long len)
{
	unsigned long saved = work;

	for (; len--; from++) {
		struct page *page = vma_proc(first)->ptes[from].page;

		if (!page || !page->folio.mapcount || page->ksm)
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

	if (!(vma->flags & VMA_FILE) && !vma->anon_vma)
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

	mmap_write_lock(proc);
	/* MREMAP_FIXED */
	unmap_range(proc, to, to + len);
	vma = vma_at(proc, from);
	new = copy_vma(vma, from, to, len, &need_rmap_locks);
	/* It may have been merged away, if it had no page. */
	vma = vma_at(proc, from);
	if (vma->anon_vma && !need_rmap_locks)
		check_order(vma, new, from, len);
	move_ptes(proc, from, to, len);
	if (!keep) {
		unmap_range(proc, from, from + len);
	} else if (new != vma && vma->vm_start == from && vma->vm_end == from + len) {
		anon_vma_unlink(vma);
		stock_unlink(vma);
		if (!(vma->flags & VMA_FILE))
			vma->vm_pgoff = vma->vm_start;
	}
	mmap_write_unlock(proc);
}

/* Stacks, and mremap in place. */

void mm_grow_down(struct vm_area_struct *vma, unsigned long by)
{
	mmap_write_lock(vma_proc(vma));
	if (mm_settle(vma)) {
		anon_vma_lock_write(vma->anon_vma);
		anon_vma_pre_update(vma);
		set_range(vma, vma->vm_start - by, vma->vm_end, vma->vm_pgoff - by);
		anon_vma_post_update(vma);
		anon_vma_unlock_write(vma->anon_vma);
	}
	mmap_write_unlock(vma_proc(vma));
}

/* vma_merge_extend(): what is added may close the hole to the next vma. */
void mm_grow_up(struct vm_area_struct *vma, unsigned long by)
{
	struct proc *proc = vma_proc(vma);
	struct vm_area_struct *new = vma_new(proc, vma->vm_end, vma->vm_end + by,
					     linear_index(vma, vma->vm_end));

	mmap_write_lock(proc);
	new->flags = vma->flags;
	expect(merge_new(new, vma->anon_vma) == vma);
	vma_free(new);
	mmap_write_unlock(proc);
}

/* relocate_vma_down(): exec moves the new stack, pages and indices alike. */
static void relocate_down(struct vm_area_struct *vma, unsigned long shift)
{
	struct change c = { .vma = vma, .node = vma->anon_vma };
	unsigned long start = vma->vm_start, end = vma->vm_end;

	absorb(vma, start - shift, end, vma->vm_pgoff, NULL, NULL, vma->anon_vma);
	move_ptes(vma_proc(vma), start, start - shift, end - start);
	prepare(&c);
	set_range(vma, start - shift, end - shift, vma->vm_pgoff);
	complete(&c);
}

/* One lock for each family, however many of its vmas there are. */
void mm_take_all_locks(struct proc *proc)
{
	unsigned int families = 0, marked = 0;
	struct vm_area_struct *vma;
	struct anon_vma *root;

	mmap_write_lock(proc);
	for (vma = proc->vmas; vma; vma = vma->next) {
		root = vma->anon_vma ? vma->anon_vma->root : NULL;
		if (!root || root->all_locked)
			continue;
		expect(anon_vma_trylock_write(root));
		/* down_write_nest_lock(): these may be held together. */
		sems_held--;
		root->all_locked = true;
		families++;
	}
	for (vma = proc->vmas; vma; vma = vma->next) {
		root = vma->anon_vma ? vma->anon_vma->root : NULL;
		if (!root || !root->all_locked)
			continue;
		root->all_locked = false;
		sems_held++;
		anon_vma_unlock_write(root);
		marked++;
	}
	expect(marked == families);
	mmap_write_unlock(proc);
}

/* Processes. */

struct proc *proc_new(unsigned int id)
{
	struct proc *proc = zalloc(sizeof(*proc));
	static u64 last_owner;

	proc->mm.anon_owner = anon_vma_new_owner();
	/* An id is never used again. */
	expect(proc->mm.anon_owner > last_owner);
	last_owner = proc->mm.anon_owner;
	proc->ptes = zalloc(world.npages * sizeof(*proc->ptes));
	proc->id = id;
	list_insert(world.procs, proc);
	world.nr_procs++;
	return proc;
}

static void fork_vma(struct proc *child, struct vm_area_struct *pvma, unsigned long pinned)
{
	struct vm_area_struct *vma = vma_dup(pvma);
	unsigned long addr, allocs = world.allocs;

	vma->vm_mm = &child->mm;
	if (!(vma->flags & VMA_WIPEONFORK)) {
		anon_vma_fork(vma, pvma);
		expect(vma->anon_inherited == !!vma->anon_vma);
		expect(world.allocs == allocs);
		stock_fork(vma, pvma);
	}
	vma_link(vma);
	if (!pvma->anon_vma || (vma->flags & VMA_WIPEONFORK))
		return;
	if (world.nr_procs < SMALL_WORLD)
		check_order(pvma, vma, pvma->vm_start, vma_pages(pvma));
	for (addr = vma->vm_start; addr < vma->vm_end; addr++)
		if (vma_proc(pvma)->ptes[addr].page)
			copy_pte(vma, pvma, addr, addr == pinned);
}

/* A fork that fails after some vmas leaves them to exit. */
struct proc *proc_fork_some(struct proc *parent, unsigned int id, unsigned int nr_vmas,
			    unsigned long pinned)
{
	struct proc *child = proc_new(id);
	struct vm_area_struct *vma;

	mmap_write_lock(parent);
	for (vma = parent->vmas; vma && nr_vmas--; vma = vma->next)
		if (!(vma->flags & VMA_DONTFORK))
			fork_vma(child, vma, pinned);
	mmap_write_unlock(parent);
	return child;
}

struct proc *proc_fork(struct proc *parent)
{
	return proc_fork_some(parent, world.last_id++, UINT_MAX, ULONG_MAX);
}

/* A new mm with a stack of one page, moved down to where it shall be; the old one goes. */
void proc_exec(struct proc *old, unsigned long top, unsigned long shift)
{
	struct proc *proc = proc_new(old->id);
	struct vm_area_struct *stack = mm_map(proc, top, top + 1, top, 0);

	if (fault_write(proc, top)) {
		mmap_write_lock(proc);
		relocate_down(stack, shift);
		mmap_write_unlock(proc);
	}
	proc_exit(old);
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

/* Items of KSM outlive all who had the page. */
static void items_end(void)
{
	while (world.nr_items)
		expect(ksm_drop(0));
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
	world.fail_first = ULONG_MAX;
	trace_reset();
}

void world_end(void)
{
	while (world.procs)
		proc_exit(world.procs);
	items_end();
	check_empty();
}
