// SPDX-License-Identifier: GPL-2.0
/*
 * Random histories: a few processes on a small address space, so that all
 * that can meet does meet. Everything is checked after every step.
 */
#include "model.h"

#define MAX_HOLDS 3

/* A reference to a node that outlives the vma it came from, as KSM has. */
struct hold {
	struct anon_vma *node;
	unsigned long index;
};

static struct hold holds[MAX_HOLDS];
static unsigned int nr_holds;
static unsigned int max_procs;
static u64 rng;

static unsigned long rnd(unsigned long below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (rng >> 11) % below;
}

static bool chance(unsigned int in)
{
	return !rnd(in);
}

static struct proc *some_proc(void)
{
	struct proc *proc = world.procs;
	/* The youngest more often than not, for depth. */
	unsigned int n = chance(3) ? 0 : rnd(world.nr_procs);

	while (n--)
		proc = proc->next;
	return proc;
}

static struct vm_area_struct *some_vma(struct proc *proc)
{
	struct vm_area_struct *vma = vma_after(proc, rnd(world.npages));

	return vma ?: proc->vmas;
}

static unsigned long some_addr(struct vm_area_struct *vma)
{
	return vma->vm_start + rnd(vma_pages(vma));
}

static void do_map(struct proc *proc)
{
	unsigned long start = rnd(world.npages), end = start + 1 + rnd(6);
	bool file = chance(4);

	if (!range_free(proc, start, end))
		return;
	trace("%u map %lu-%lu%s", proc->id, start, end, file ? " of a file" : "");
	mm_map(proc, start, end, file ? start + 3 : start, file);
}

static void do_unmap(struct proc *proc)
{
	struct vm_area_struct *vma = some_vma(proc);
	unsigned long start = some_addr(vma), end = start + 1 + rnd(8);

	end = min(end, world.npages);
	if (chance(3))
		start = vma->vm_start;
	trace("%u unmap %lu-%lu", proc->id, start, end);
	mm_unmap(proc, start, end);
}

static void do_write(struct proc *proc)
{
	unsigned long addr = some_addr(some_vma(proc));

	trace("%u write %lu", proc->id, addr);
	fault_write(proc, addr);
}

static void do_read(struct proc *proc)
{
	unsigned long addr = some_addr(some_vma(proc));

	trace("%u read %lu", proc->id, addr);
	fault_read(proc, addr);
}

static void do_split(struct proc *proc)
{
	struct vm_area_struct *vma = some_vma(proc);
	unsigned long addr = some_addr(vma);
	bool new_below = chance(2);

	if (addr == vma->vm_start)
		return;
	trace("%u split at %lu, new %s", proc->id, addr, new_below ? "below" : "above");
	mm_split(vma, addr, new_below);
}

static void do_merge(struct proc *proc)
{
	struct vm_area_struct *vma = some_vma(proc);
	unsigned long start = vma->vm_start, end = vma->vm_end;

	if (chance(4))
		start = some_addr(vma);
	else if (chance(3))
		end = some_addr(vma) + 1;
	trace("%u merge %lu-%lu", proc->id, start, end);
	mm_merge(vma, start, end);
}

static void do_move(struct proc *proc)
{
	struct vm_area_struct *vma = some_vma(proc);
	unsigned long from = chance(2) ? vma->vm_start : some_addr(vma);
	unsigned long len = chance(2) ? vma->vm_end - from : 1 + rnd(vma->vm_end - from);
	unsigned long to = rnd(world.npages);
	bool keep = chance(4);

	/* Where it came from, if that is free: the way back often merges. */
	if (chance(3))
		to = min(linear_index(vma, from), world.npages);
	if (!range_free(proc, to, to + len) || (keep && !vma->anon_vma))
		return;
	trace("%u move %lu-%lu to %lu%s", proc->id, from, from + len, to, keep ? ", keep" : "");
	mm_move(vma, from, to, len, keep);
}

static void do_grow(struct proc *proc)
{
	struct vm_area_struct *vma = some_vma(proc);
	unsigned long by = 1 + rnd(3);

	if (chance(2) && vma->vm_start >= by && vma->vm_pgoff >= by &&
	    range_free(proc, vma->vm_start - by, vma->vm_start)) {
		trace("%u grow %lu down by %lu", proc->id, vma->vm_start, by);
		mm_grow_down(vma, by);
	} else if (range_free(proc, vma->vm_end, vma->vm_end + by)) {
		trace("%u grow %lu up by %lu", proc->id, vma->vm_start, by);
		mm_grow_up(vma, by);
	}
}

static void do_swap_out(struct proc *proc)
{
	unsigned long addr = some_addr(some_vma(proc));
	struct page *page = proc->ptes[addr].page;
	bool drop = chance(2);

	if (!page || !page->folio.mapcount)
		return;
	trace("swap out %lu of %u%s", addr, proc->id, drop ? "" : ", stays in the cache");
	page_swap_out(page, drop);
}

static void do_uffd_move(struct proc *proc)
{
	unsigned long from = some_addr(some_vma(proc)), to = some_addr(some_vma(proc));

	if (!proc->ptes[from].page || proc->ptes[to].page)
		return;
	trace("%u uffd move %lu to %lu", proc->id, from, to);
	uffd_move(proc, from, to);
}

static void do_advise(struct proc *proc)
{
	struct vm_area_struct *vma = some_vma(proc);

	vma->dontfork = chance(3);
	vma->wipeonfork = !vma->file && chance(3);
	trace("%u advise %lu%s%s", proc->id, vma->vm_start, vma->dontfork ? " dontfork" : "",
	      vma->wipeonfork ? " wipeonfork" : "");
}

static void do_settle(struct proc *proc)
{
	struct vm_area_struct *vma = some_vma(proc);

	trace("%u prepare %lu", proc->id, vma->vm_start);
	settle(vma);
}

static void do_fork(struct proc *proc)
{
	unsigned long pinned = chance(3) ? rnd(world.npages) : ULONG_MAX;
	bool fails = chance(8);
	unsigned int some = fails ? rnd(4) : UINT_MAX;
	struct proc *child;

	if (world.nr_procs >= max_procs)
		return;
	trace("%u fork %u, pinned %ld%s", proc->id, world.last_id, (long)pinned,
	      fails ? ", fails" : "");
	child = proc_fork_some(proc, some, pinned);
	if (fails)
		proc_exit(child);
}

static void do_exit(struct proc *proc)
{
	trace("%u exit", proc->id);
	proc_exit(proc);
}

static void release(unsigned int i)
{
	struct anon_vma *node = holds[i].node;

	holds[i] = holds[--nr_holds];
	node_info(node)->holds--;
	put_anon_vma(node);
}

static void do_hold(struct proc *proc)
{
	struct vm_area_struct *vma = some_vma(proc);

	if (nr_holds == MAX_HOLDS || (nr_holds && chance(2))) {
		trace("release a held node");
		release(rnd(nr_holds));
	} else if (vma->anon_vma) {
		trace("%u hold the node of %lu", proc->id, vma->vm_start);
		get_anon_vma(vma->anon_vma);
		node_info(vma->anon_vma)->holds++;
		holds[nr_holds].node = vma->anon_vma;
		holds[nr_holds++].index = linear_index(vma, some_addr(vma));
	}
}

static const struct {
	void (*run)(struct proc *proc);
	unsigned int weight;
} ops[] = {
	{ do_write, 26 }, { do_fork, 9 }, { do_exit, 5 }, { do_map, 6 }, { do_unmap, 4 },
	{ do_split, 8 }, { do_merge, 10 }, { do_move, 7 }, { do_grow, 4 }, { do_read, 3 },
	{ do_swap_out, 6 }, { do_uffd_move, 4 }, { do_advise, 2 }, { do_settle, 3 },
	{ do_hold, 3 },
};

#define SUM_OF_WEIGHTS 100

static void step(void)
{
	unsigned int i = 0, n = rnd(SUM_OF_WEIGHTS);
	struct proc *proc;

	if (!world.procs)
		proc_new();
	proc = some_proc();
	while (n >= ops[i].weight)
		n -= ops[i++].weight;
	if (!proc->vmas) {
		do_map(proc);
		return;
	}
	world.fail = chance(6) ? 1 + rnd(2) : FAIL_NONE;
	if (world.fail)
		trace("(no memory%s)", world.fail == FAIL_NOWAIT ? " without sleeping" : "");
	ops[i].run(proc);
	world.fail = FAIL_NONE;
}

/* Walks that no page asks for: from any node above, from held ones, of ranges. */
static void check_walks(void)
{
	unsigned long first = rnd(world.npages), last = first + rnd(6);
	struct vm_area_struct *vma = NULL;
	struct anon_vma *node;
	unsigned int i;

	for (i = 0; i < nr_holds; i++)
		check_ranges(holds[i].node, holds[i].index, holds[i].index);
	if (world.procs)
		vma = some_vma(some_proc());
	if (!vma || !vma->anon_vma)
		return;
	node = vma->anon_vma;
	while (node->parent && !chance(4))
		node = node->parent;
	check_ranges(node, first, last);
	first = linear_index(vma, some_addr(vma));
	check_ranges(node, first, first);
}

/* One family with holes, and descendants: where hulls have most to do. */
static void begin_with_holes(void)
{
	struct proc *proc = proc_new();
	unsigned int i, generations = 1 + rnd(3);

	trace("%u map 0-%lu, holes, %u generations", proc->id, world.npages, generations);
	mm_map(proc, 0, world.npages, 0, false);
	fault_write(proc, 0);
	for (i = rnd(6); i && proc->vmas; i--)
		do_unmap(proc);
	while (generations--) {
		proc = proc_fork(proc);
		for (i = rnd(6); i && proc->vmas; i--)
			do_write(proc);
	}
}

static void history(unsigned long seed, unsigned int steps)
{
	rng = (seed + 1) * 0x9e3779b97f4a7c15ULL;
	world_init(12 + rnd(50), true);
	max_procs = 3 + rnd(10);
	trace("seed %lu, %lu pages", seed, world.npages);
	if (seed & 1)
		begin_with_holes();
	while (steps--) {
		step();
		check_all();
		check_walks();
	}
	while (nr_holds)
		release(0);
	world_end();
}

void random_histories(unsigned long seed, unsigned int histories, unsigned int steps)
{
	unsigned int i;

	for (i = 0; i < histories; i++)
		history(seed + i, steps);
	say("%u histories of %u steps from seed %lu: %lu walks visited %lu vmas", histories, steps,
	    seed, stock_sum.walks, stock_sum.ours);
	say("a model of stock visits %lu; more than stock in %lu walks", stock_sum.stock,
	    stock_sum.more);
}
