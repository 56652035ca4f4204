// SPDX-License-Identifier: GPL-2.0
/*
 * Random histories: a few processes on a small address space, so that all
 * that can meet does meet. Everything is checked after every operation.
 */
#include <time.h>
#include <unistd.h>

#include "model.h"

#define WORLD_SECONDS 20
/* A model of stock is kept in one world of so many. */
#define STOCK_WORLDS 8

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

static unsigned long some_addr(struct proc *proc)
{
	struct vm_area_struct *vma = some_vma(proc);

	return vma->vm_start + rnd(vma_pages(vma));
}

/* An address that has a page, or one that has none, as far as a few tries find it. */
static unsigned long some_addr_with(struct proc *proc, bool page)
{
	unsigned long addr = some_addr(proc);
	unsigned int tries;

	for (tries = 0; tries < 4 && !!proc->ptes[addr].page != page; tries++)
		addr = some_addr(proc);
	return addr;
}

/* What lies beside is often to be merged with, or was split off. */
static unsigned long some_start(struct proc *proc)
{
	return chance(2) ? some_vma(proc)->vm_start : some_addr(proc);
}

static unsigned long some_len(struct proc *proc, unsigned long start)
{
	unsigned long len = vma_at(proc, start)->vm_end - start;

	return chance(2) ? len : 1 + rnd(len);
}

/* Each fills in the arguments of one kind of operation; @proc has a vma. */

static void choose_map(struct proc *proc, u16 *arg)
{
	arg[0] = rnd(world.npages);
	arg[1] = 1 + rnd(8);
	arg[2] = chance(4) ? VMA_FILE : 0;
}

static void choose_start_len(struct proc *proc, u16 *arg)
{
	arg[0] = some_start(proc);
	arg[1] = some_len(proc, arg[0]);
	arg[2] = chance(3);
}

static void choose_unmap(struct proc *proc, u16 *arg)
{
	arg[0] = some_start(proc);
	arg[1] = 1 + rnd(min(8UL, world.npages - arg[0]));
}

static void choose_addr(struct proc *proc, u16 *arg)
{
	arg[0] = some_addr(proc);
	arg[1] = chance(2);
}

static void choose_any_addr(struct proc *proc, u16 *arg)
{
	arg[0] = rnd(world.npages);
}

static void choose_large(struct proc *proc, u16 *arg)
{
	arg[0] = some_addr_with(proc, false);
	arg[1] = 2 + rnd(chance(4) ? LARGE_PAGES - 1 : 3);
}

static void choose_advise(struct proc *proc, u16 *arg)
{
	choose_start_len(proc, arg);
	arg[2] = (chance(3) ? VMA_DONTFORK : 0) | (chance(3) ? VMA_WIPEONFORK : 0);
}

static void choose_move(struct proc *proc, u16 *arg)
{
	struct vm_area_struct *vma;

	choose_start_len(proc, arg);
	vma = vma_at(proc, arg[0]);
	/* Where it came from, if that is free: the way back often merges. */
	arg[2] = chance(3) ? min(linear_index(vma, arg[0]), world.npages) : rnd(world.npages);
	arg[3] = chance(4);
}

static void choose_grow(struct proc *proc, u16 *arg)
{
	arg[0] = some_addr(proc);
	arg[1] = 1 + rnd(3);
}

static void choose_fork(struct proc *proc, u16 *arg)
{
	arg[0] = world.last_id++;
	arg[1] = chance(3) ? rnd(world.npages) : NOWHERE;
	arg[2] = chance(8) ? rnd(4) : NOWHERE;
}

static void choose_exec(struct proc *proc, u16 *arg)
{
	arg[0] = 1 + rnd(world.npages - 1);
	arg[1] = 1 + rnd(arg[0]);
}

static void choose_daemonise(struct proc *proc, u16 *arg)
{
	arg[0] = world.last_id++;
	arg[1] = world.last_id++;
}

static void choose_page(struct proc *proc, u16 *arg)
{
	arg[0] = some_addr_with(proc, true);
	arg[1] = chance(2);
}

static void choose_page_to(struct proc *proc, u16 *arg)
{
	arg[0] = some_addr_with(proc, true);
	arg[1] = some_addr_with(proc, false);
}

static void choose_item(struct proc *proc, u16 *arg)
{
	arg[0] = rnd(MAX_ITEMS);
}

static void choose_none(struct proc *proc, u16 *arg)
{
}

static void choose_walk(struct proc *proc, u16 *arg)
{
	arg[0] = some_addr(proc);
	arg[1] = rnd(8);
	arg[2] = rnd(world.npages);
	arg[3] = rnd(6);
}

static const struct {
	enum op_kind kind;
	unsigned int weight;
	void (*choose)(struct proc *proc, u16 *arg);
} choices[] = {
	{ OP_MAP, 60, choose_map },
	{ OP_WRITE, 200, choose_addr },
	{ OP_FORK, 90, choose_fork },
	{ OP_EXIT, 50, choose_none },
	{ OP_FILL, 20, choose_any_addr },
	{ OP_UNMAP, 40, choose_unmap },
	{ OP_READ, 30, choose_addr },
	{ OP_WRITE_LARGE, 50, choose_large },
	{ OP_PREPARE, 30, choose_addr },
	{ OP_PROTECT, 40, choose_start_len },
	{ OP_ADVISE, 20, choose_advise },
	{ OP_SPLIT, 50, choose_addr },
	{ OP_MERGE, 70, choose_start_len },
	{ OP_MOVE, 60, choose_move },
	{ OP_GROW_UP, 20, choose_grow },
	{ OP_GROW_DOWN, 20, choose_grow },
	{ OP_EXEC, 5, choose_exec },
	{ OP_DAEMONISE, 10, choose_daemonise },
	{ OP_SWAP_OUT, 50, choose_page },
	{ OP_SPLIT_FOLIO, 35, choose_page },
	{ OP_UFFD_MOVE, 30, choose_page_to },
	{ OP_KSM, 10, choose_page },
	{ OP_KSM_DROP, 5, choose_item },
	{ OP_ALL_LOCKS, 5, choose_none },
};

#define SUM_OF_WEIGHTS 1000

/*
 * Recorded first, since it may be the last; and kept if it can not be done, as
 * it may have come far enough to matter, but not counted. Nor is a walk.
 */
static bool record(struct history *h, const struct op *op)
{
	bool done;

	h->op[h->nr++] = *op;
	if (trace_ops)
		op_print(stdout, op);
	done = op_run(op);
	h->done += done && op->kind != OP_WALK;
	return done;
}

/* Most operations there are; a new process when there is none, a map when it is empty. */
static bool step(struct history *h)
{
	struct op op = { .race = NOWHERE };
	unsigned int i = 0, n = rnd(SUM_OF_WEIGHTS);
	struct proc *proc;

	if (!world.procs) {
		op.arg[0] = world.last_id++;
		return record(h, &op);
	}
	proc = some_proc();
	op.proc = proc->id;
	/* One that has nothing maps something: the first choice. */
	while (proc->vmas && n >= choices[i].weight)
		n -= choices[i++].weight;
	if (choices[i].kind == OP_FORK && world.nr_procs >= max_procs)
		return false;
	op.kind = choices[i].kind;
	if (chance(6))
		op.fail = 1 + rnd(2);
	choices[i].choose(proc, op.arg);
	if (proc->vmas && chance(16))
		op.race = some_addr(proc);
	return record(h, &op);
}

static void check_walk(struct history *h)
{
	struct proc *proc = world.procs ? some_proc() : NULL;
	struct op op = { .kind = OP_WALK, .race = NOWHERE };

	if (!proc || !proc->vmas)
		return;
	op.proc = proc->id;
	choose_walk(proc, op.arg);
	record(h, &op);
}

static void one_op(struct history *h, const struct op *op)
{
	record(h, op);
	check_all();
}

/* One family with holes, and descendants: where hulls have most to do. */
static void begin_with_holes(struct history *h)
{
	struct op op = { .kind = OP_START, .race = NOWHERE };
	unsigned int i, generations = 1 + rnd(3);

	op.proc = world.last_id++;
	op.arg[0] = op.proc;
	one_op(h, &op);
	op.kind = OP_MAP;
	op.arg[0] = 0;
	op.arg[1] = world.npages;
	one_op(h, &op);
	op.kind = OP_WRITE;
	one_op(h, &op);
	op.kind = OP_UNMAP;
	for (i = rnd(6); i && world.procs->vmas; i--) {
		choose_unmap(world.procs, op.arg);
		one_op(h, &op);
	}
	while (generations--) {
		op.kind = OP_FORK;
		op.arg[0] = world.last_id++;
		op.arg[1] = NOWHERE;
		op.arg[2] = NOWHERE;
		one_op(h, &op);
		op.proc = op.arg[0];
		op.kind = OP_WRITE;
		for (i = rnd(6); i && world.procs->vmas; i--) {
			choose_addr(world.procs, op.arg);
			one_op(h, &op);
		}
	}
}

/* Some @nr operations, and the checks, recorded in @h while they are made. */
void random_history(struct history *h, unsigned long world_seed, unsigned int nr)
{
	unsigned long end = h->done + nr;

	rng = (world_seed + 1) * 0x9e3779b97f4a7c15ULL;
	h->seed = world_seed;
	h->nr = 0;
	h->fail_first = ULONG_MAX;
	h->npages = 12 + rnd(50);
	h->stock = world_seed % STOCK_WORLDS == 1;
	world_init(h->npages, h->stock);
	max_procs = 3 + rnd(10);
	if (world_seed & 1)
		begin_with_holes(h);
	while (h->done < end && h->nr < WORLD_OPS) {
		if (!step(h))
			continue;
		check_all();
		if (chance(4) && h->nr < WORLD_OPS)
			check_walk(h);
	}
	world_end();
}

/* What was recorded. */
void play(const struct history *h)
{
	unsigned int i;

	world_init(h->npages, h->stock);
	world.fail_first = h->fail_first;
	world.fail_last = h->fail_last;
	for (i = 0; i < h->nr; i++) {
		if (trace_ops)
			op_print(stdout, &h->op[i]);
		op_run(&h->op[i]);
		check_all();
	}
	world_end();
}

static double cpu_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static void run_worlds(void *arg)
{
	unsigned long i;
	double seconds;

	for (i = 0; playing->done < nr_ops; i++) {
		alarm(WORLD_SECONDS);
		random_history(playing, seed + i, min(nr_ops - playing->done, 1000UL));
	}
	alarm(0);
	seconds = cpu_seconds();
	say("%lu operations in %lu worlds from seed %lu: %.1f s of one core, %.0f operations/s",
	    playing->done, i, seed, seconds, playing->done / seconds);
	ops_sum(nr_ops >= 100000);
	say("everything checked after each, by %lu walks", nr_walks);
	say("stock, modelled in one world of %u: %lu walks visit %lu vmas, here %lu; more in %lu",
	    STOCK_WORLDS, stock_sum.walks, stock_sum.stock, stock_sum.ours, stock_sum.more);
}

bool random_run(void)
{
	int status = run_apart(run_worlds, NULL, 0);

	if (status)
		say("caught after %lu operations: %s", playing->done, playing->failure);
	if (status && !no_shrink)
		shrink(playing, status);
	return !status;
}
