// SPDX-License-Identifier: GPL-2.0
/* Named histories: the shapes that the design speaks of, and their figures. */
#include "model.h"

/* @nr mappings of one page; with a gap between, each is a family of its own. */
static struct proc *master_new(unsigned int nr, bool apart)
{
	struct proc *proc = proc_new(world.last_id++);
	unsigned int i;

	for (i = 0; i < nr; i++) {
		unsigned long addr = apart ? 2 * i : i;

		mm_map_apart(proc, addr, addr + 1);
	}
	return proc;
}

static void write_all(struct proc *proc)
{
	struct vm_area_struct *vma;

	for (vma = proc->vmas; vma; vma = vma->next)
		fault_write(proc, vma->vm_start);
}

static struct anon_vma *node_at(struct proc *proc, unsigned long addr)
{
	return vma_at(proc, addr)->anon_vma;
}

static void case_first_fault(void)
{
	struct proc *proc;

	world_init(16, true);
	proc = proc_new(world.last_id++);
	mm_map_apart(proc, 0, 2);
	mm_map_apart(proc, 2, 4);
	mm_map_apart(proc, 5, 8);
	world.fail = FAIL_ALL;
	expect(!fault_write(proc, 1) && !world.nr_nodes);
	world.fail = FAIL_NONE;
	fault_write(proc, 0);
	fault_write(proc, 3);
	fault_write(proc, 6);
	/* The neighbour's node, so that the two may still be merged. */
	expect(node_at(proc, 0) == node_at(proc, 2) && node_at(proc, 0) != node_at(proc, 5));
	expect(anon_vma_is_own_root(node_at(proc, 0), &proc->mm));
	expect(mm_merge(vma_at(proc, 2), 2, 4) && vma_at(proc, 0)->vm_end == 4);
	check_all();
	world_end();
}

/* What one process does to its vmas never makes a node forget that they are disjoint. */
static void case_disjoint(void)
{
	struct vm_area_struct *vma;
	struct proc *proc;

	world_init(32, false);
	proc = proc_new(world.last_id++);
	vma = mm_map(proc, 4, 12, 4, 0);
	fault_write(proc, 4);
	mm_split(vma, 8, false);
	mm_split(vma, 6, true);
	check_all();
	mm_merge(vma_at(proc, 6), 6, 7);
	mm_merge(vma_at(proc, 7), 7, 8);
	mm_merge(vma_at(proc, 8), 8, 12);
	mm_grow_down(vma_at(proc, 4), 3);
	mm_grow_up(vma_at(proc, 4), 3);
	mm_unmap(proc, 5, 6);
	check_all();
	expect(!node_at(proc, 4)->overlap);
	/* A process that keeps its own node has one of disjoint vmas, too. */
	proc = proc_fork(proc);
	write_all(proc);
	expect(node_at(proc, 4)->parent && !node_at(proc, 4)->overlap);
	world_end();
}

static void case_fork_is_flat(void)
{
	unsigned long first = 0, last = 0, allocs, i;
	struct proc *proc;

	world_init(200, false);
	proc = master_new(100, true);
	for (i = 0; i <= 64; i++) {
		write_all(proc);
		allocs = world.allocs;
		work = 0;
		proc = proc_fork(proc);
		expect(world.allocs == allocs);
		last = work;
		if (!i)
			first = last;
	}
	say("fork of 100 vmas: %lu basic blocks at depth 0, %lu at depth 64", first, last);
	expect(last <= first * 103 / 100);
	world_end();
}

/* Chains of generations, of which the last @window stay alive. */

struct chain {
	unsigned int window;
	unsigned int vmas;
	bool parent_goes_first;
	bool parent_writes;
	bool helpers;
};

static void proc_exit_oldest(void)
{
	struct proc *proc = world.procs;

	while (proc->next)
		proc = proc->next;
	proc_exit(proc);
}

static void next_generation(const struct chain *c)
{
	struct proc *parent = world.procs, *child;
	unsigned int alive = c->helpers ? 2 * c->window : c->window;

	if (c->helpers) {
		fault_write(proc_fork(parent), 0);
		/* The helper is not the one to go on. */
		list_remove(parent);
		list_insert(world.procs, parent);
	}
	child = proc_fork(parent);
	if (!c->parent_goes_first)
		fault_write(child, 0);
	if (c->parent_writes)
		fault_write(parent, 0);
	while (world.nr_procs > alive)
		proc_exit_oldest();
	fault_write(child, 0);
}

static unsigned long chain_run(const struct chain *c, unsigned long generations)
{
	unsigned long max_nodes = 0, i;

	world_init(8, false);
	write_all(master_new(c->vmas, false));
	for (i = 0; i < generations; i++) {
		next_generation(c);
		max_nodes = max(max_nodes, world.nr_nodes);
		if (max_nodes > 1000)
			break;
		if (i % 1000 < 30)
			check_all();
	}
	world_end();
	return max_nodes;
}

static void chains(const char *name, struct chain c, unsigned long generations)
{
	char line[200] = "";
	bool bad = false;
	int len = 0;

	for (c.window = 1; c.window <= 8; c.window++) {
		unsigned int alive = c.helpers ? 2 * c.window : c.window;
		unsigned long nodes = chain_run(&c, generations);

		len += snprintf(line + len, sizeof(line) - len, " %u:%lu", c.window, nodes);
		bad |= nodes > 2 * alive * c.vmas + 3;
	}
	say("%lu generations, %s: window:nodes%s", generations, name, line);
	if (bad)
		fail("more than twice the vmas alive, and 3, in some window");
}

static void case_chains_written_first(void)
{
	chains("child writes, oldest goes", (struct chain){ .vmas = 1 }, 100000);
	chains("the same, 3 vmas", (struct chain){ .vmas = 3 }, 20000);
}

static void case_chains_left_first(void)
{
	chains("oldest goes, child writes",
	       (struct chain){ .vmas = 1, .parent_goes_first = true }, 20000);
}

static void case_chains_parent_writes(void)
{
	chains("parent writes, too", (struct chain){ .vmas = 1, .parent_writes = true }, 20000);
}

static void case_chains_helpers(void)
{
	chains("each with a helper", (struct chain){ .vmas = 1, .helpers = true }, 20000);
}

/* Any shape of a family that has at most @alive processes of one vma. */
static unsigned long shape_run(unsigned int alive, unsigned int steps)
{
	unsigned long max_nodes = 0, rng = 7 * alive;
	struct proc *proc;
	unsigned int n;

	world_init(8, false);
	write_all(master_new(1, false));
	while (steps--) {
		rng = rng * 6364136223846793005UL + 1442695040888963407UL;
		proc = world.procs;
		for (n = (rng >> 33) % world.nr_procs; n; n--)
			proc = proc->next;
		if ((rng >> 60) & 1)
			fault_write(proc, 0);
		else if (world.nr_procs < alive)
			proc_fork(proc);
		else
			proc_exit(proc);
		max_nodes = max(max_nodes, world.nr_nodes);
	}
	check_all();
	world_end();
	return max_nodes;
}

static void case_chains_of_any_shape(void)
{
	unsigned int alive;
	unsigned long nodes;

	for (alive = 2; alive <= 12; alive += 2) {
		nodes = shape_run(alive, 100000);
		say("100000 forks, writes and exits, %u alive: %lu nodes at most", alive, nodes);
		expect(nodes <= 2 * alive + 3);
	}
}

/* @removed times from the first, twice as a daemon is. */
static struct proc *daemon_new(unsigned int nr, bool apart, unsigned int removed)
{
	struct proc *old = master_new(nr, apart), *new;
	unsigned int i;

	write_all(old);
	for (i = 0; i < removed; i++) {
		new = proc_fork(old);
		write_all(new);
		proc_exit(old);
		old = new;
	}
	return old;
}

/* Returns the most vmas visited for a page that only its worker maps. */
static unsigned int workers(struct proc *master, unsigned int nr, unsigned int vmas, bool apart,
			    bool all_first)
{
	unsigned int i, worst = 0, nr_visits;
	struct proc **worker = zalloc(nr * sizeof(*worker));
	unsigned long addr;

	for (i = 0; i < nr; i++) {
		worker[i] = proc_fork(master);
		if (!all_first)
			fault_write(worker[i], (i % vmas) * (1 + apart));
	}
	for (i = 0; i < nr; i++) {
		addr = (i % vmas) * (1 + apart);
		fault_write(worker[i], addr);
		nr_visits = visits(worker[i], addr);
		worst = max(worst, nr_visits);
	}
	free(worker);
	return worst;
}

static void case_daemon(void)
{
	unsigned int i, worst;

	for (i = 0; i < 4; i++) {
		bool apart = i & 1, all_first = i & 2;

		world_init(200, false);
		worst = workers(daemon_new(100, apart, 2), 1000, 100, apart, all_first);
		say("master of 100 vmas of %s, 1000 workers%s: %u visits at most",
		    apart ? "100 families" : "1 family", all_first ? ", all forked first" : "",
		    worst);
		check_nodes();
		expect(worst <= 2);
		world_end();
	}
}

/* Farther removed, with fewer vmas: one of the workers stays on its master's node. */
static void case_far_daemon(void)
{
	unsigned int removed, nr, i;

	for (i = 0; i < 64; i++) {
		nr = 1 << (i >> 4);
		removed = 3 * (1 + (i >> 2 & 3));
		memset(&stock_sum, 0, sizeof(stock_sum));
		world_init(32, true);
		trace("master of %u vmas, %u times removed, variant %u", nr, removed, i & 3);
		workers(daemon_new(nr, i & 1, removed), 200, nr, i & 1, i & 2);
		expect(stock_sum.ours <= stock_sum.stock);
		world_end();
	}
}

static void case_prefork(void)
{
	struct proc *master, *proc;
	unsigned int nr = 0;

	world_init(16, false);
	master = master_new(8, false);
	write_all(master);
	expect(workers(master, 500, 4, false, false) <= 2);
	/* The page that all share is found in all, and in each once. */
	for (proc = world.procs; proc; proc = proc->next)
		nr += proc->ptes[7].page == master->ptes[7].page;
	expect(nr == 501 && visits(master, 7) == 501);
	page_swap_out(master->ptes[7].page, true);
	/* The last to write a page that others have left finds it alone. */
	while (world.procs->next != master)
		proc_exit(world.procs);
	proc = world.procs;
	proc_exit(master);
	fault_write(proc, 5);
	expect(visits(proc, 5) == 1);
	world_end();
}

/* 10 000 processes of one family, of any depth. */

#define FAMILY 10000

static unsigned int some(unsigned int below)
{
	static unsigned long rng = 1;

	rng = rng * 6364136223846793005UL + 1442695040888963407UL;
	return (rng >> 33) % below;
}

static struct proc *fork_and_write(struct proc *parent)
{
	struct proc *child = proc_fork(parent);

	fault_write(child, some(3));
	return child;
}

/* The most vmas visited for a page that one process alone maps. */
static unsigned int worst_of_family(struct proc **all)
{
	unsigned int i, addr, worst = 0, nr;

	for (i = 0; i < FAMILY; i += 7) {
		for (addr = 0; addr < 3; addr++) {
			if (all[i]->ptes[addr].page->ptes->next)
				continue;
			nr = visits(all[i], addr);
			worst = max(worst, nr);
		}
	}
	return worst;
}

static void case_family(void)
{
	struct proc **all = zalloc(FAMILY * sizeof(*all));
	unsigned int i, victim;

	world_init(8, false);
	all[0] = master_new(4, false);
	write_all(all[0]);
	for (i = 1; i < FAMILY; i++)
		all[i] = fork_and_write(all[some(i)]);
	check_nodes();
	expect(visits(all[0], 3) == FAMILY);
	say("%u processes, %lu nodes, %u visits at most for a page of one", FAMILY,
	    world.nr_nodes, worst_of_family(all));
	/* So many stay alive while each is replaced, twice. */
	for (i = 0; i < 2 * FAMILY; i++) {
		victim = some(FAMILY);
		proc_exit(all[victim]);
		all[victim] = fork_and_write(all[(victim + 1 + some(FAMILY - 1)) % FAMILY]);
		expect(world.nr_nodes <= 2 * 4 * FAMILY + 3);
		if (i % 4000 == 0)
			check_nodes();
	}
	say("after %u exits and forks more: %lu nodes, %u visits at most", i, world.nr_nodes,
	    worst_of_family(all));
	check_nodes();
	for (i = FAMILY; i > 1; i--) {
		victim = some(i);
		proc_exit(all[victim]);
		all[victim] = all[i - 1];
		if (i % 1000 == 0)
			check_nodes();
	}
	fault_write(all[0], 3);
	expect(visits(all[0], 3) == 1);
	free(all);
	world_end();
}

/* What a walk costs when the siblings cannot hold the page. */

static unsigned long cost_of_walk(struct proc *proc, unsigned long addr)
{
	struct page *page = proc->ptes[addr].page;

	check_page(page);
	work = 0;
	page_walk(page);
	return work;
}

/*
 * Children that each keep a piece, or two, but not the one that is looked for;
 * if there are more than two pieces, the first child keeps all.
 */
static unsigned long siblings_cost(unsigned int nr, unsigned int pieces, bool two)
{
	struct proc *master, *child;
	unsigned int i, keep;
	unsigned long cost;

	world_init(pieces, false);
	master = master_new(pieces, false);
	write_all(master);
	if (pieces > 2)
		write_all(proc_fork(master));
	for (i = 0; i < nr; i++) {
		child = proc_fork(master);
		keep = i % (pieces / 2);
		if (keep == pieces / 4)
			keep++;
		mm_unmap(child, 0, keep);
		mm_unmap(child, keep + 1, two ? pieces - 1 : pieces);
		write_all(child);
	}
	fault_write(master, pieces / 4);
	check_nodes();
	expect(visits(master, pieces / 4) == 1 + (pieces > 2));
	cost = cost_of_walk(master, pieces / 4);
	world_end();
	return cost;
}

static void case_cost_of_siblings(void)
{
	unsigned long few = siblings_cost(250, 2, false);
	unsigned long many = siblings_cost(2000, 2, false);

	say("page that no child can hold: %lu basic blocks with 250 children, %lu with 2000",
	    few, many);
	expect(many <= few + few / 2);
	few = siblings_cost(250, 64, false);
	many = siblings_cost(2000, 64, false);
	say("each but one keeps a scattered piece: %lu, %lu", few, many);
	expect(many <= few + few / 2);
	few = siblings_cost(250, 64, true);
	many = siblings_cost(2000, 64, true);
	say("each but one keeps two far pieces, the page between: %lu, %lu", few, many);
	/* Each is looked at, and none entered. */
	expect(many - few <= 1750 * 6);
}

/* A worker that keeps one piece of a large family is not met for the others. */
static void case_hulls(void)
{
	struct proc *master, *child;

	world_init(100, false);
	master = master_new(100, false);
	write_all(master);
	child = proc_fork(master);
	mm_unmap(child, 0, 50);
	mm_unmap(child, 51, 100);
	fault_write(child, 50);
	expect(node_at(child, 50)->hull_first == 50 && node_at(child, 50)->hull_last == 50);
	expect(visits(master, 50) == 2 && visits(child, 50) == 1);
	fault_write(master, 20);
	expect(visits(master, 20) == 1);
	world_end();
}

/* Where the family's hulls must grow: a grandchild's, then its parent's. */
static void case_hulls_grow(void)
{
	struct proc *proc;
	unsigned int i;

	world_init(40, false);
	proc = proc_new(world.last_id++);
	mm_map(proc, 10, 30, 10, 0);
	write_all(proc);
	for (i = 0; i < 4; i++) {
		proc = proc_fork(proc);
		fault_write(proc, 10);
	}
	mm_split(vma_at(proc, 10), 20, false);
	proc = proc_fork(proc);
	fault_write(proc, 10);
	mm_grow_down(vma_at(proc, 10), 8);
	mm_grow_up(vma_at(proc, 29), 8);
	fault_write(proc, 2);
	fault_write(proc, 37);
	check_all();
	mm_move(vma_at(proc, 2), 2, 38, 1, false);
	check_all();
	world_end();
}

/* Write the @nr-th piece of those that are left, and so on: every order has a number. */
static void write_in_order(struct proc *proc, const unsigned long *start, unsigned int order)
{
	unsigned int left, i, skip, done = 0;

	for (left = 4; left; left--) {
		skip = order % left;
		order /= left;
		for (i = 0; done & (1 << i) || skip--; i++)
			;
		done |= 1 << i;
		fault_write(proc, start[i]);
	}
}

/* Growth into holes that a node and its parent may know differently. */
static void fill_holes(unsigned int parent_order, unsigned int child_order, unsigned int grows)
{
	static const unsigned long start[] = { 0, 40, 60, 90 };
	unsigned long addr = start[grows] + 15;
	struct proc *proc;

	world_init(120, false);
	trace("orders %u, %u; %u grows", parent_order, child_order, grows);
	proc = proc_new(world.last_id++);
	mm_map(proc, 0, 100, 0, 0);
	write_all(proc);
	mm_unmap(proc, 10, 40);
	mm_unmap(proc, 50, 60);
	mm_unmap(proc, 70, 90);
	proc = proc_fork(proc);
	write_in_order(proc, start, parent_order);
	proc = proc_fork(proc);
	write_in_order(proc, start, child_order);
	mm_grow_up(vma_at(proc, start[grows]), 8);
	fault_write(proc, addr);
	check_all();
	/* Back from swap it belongs to the root: looked for from there. */
	proc_fork(proc);
	page_swap_out(proc->ptes[addr].page, true);
	fault_read(proc, addr);
	check_all();
	world_end();
}

static void case_hulls_with_holes(void)
{
	unsigned int i;

	for (i = 0; i < 24 * 24 * 4; i++)
		fill_holes(i / 24 % 24, i % 24, i / 24 / 24);
}

/* Most forks are followed by an exit of the parent: then nothing is made. */
static void case_take_over(void)
{
	struct proc *parent, *child, *other;
	unsigned long allocs;

	world_init(40, false);
	parent = master_new(20, false);
	mm_map(parent, 30, 32, 30, 0);
	write_all(parent);
	child = proc_fork(parent);
	proc_exit(parent);
	allocs = world.allocs;
	write_all(child);
	expect(world.allocs == allocs && visits(child, 7) == 1);
	check_all();
	/* It is the child's family now: what it maps beside may join. */
	mm_map(child, 32, 34, 32, 0);
	expect(vma_at(child, 33)->vm_start == 30);

	/* Not while another has a vma there, */
	parent = child;
	child = proc_fork(parent);
	other = proc_fork(parent);
	proc_exit(parent);
	write_all(child);
	expect(visits(child, 7) == 1 && node_at(child, 7)->parent);
	/* nor when it has left a child, whose own pages would be the heir's. */
	expect(node_at(other, 7) == node_at(child, 7)->parent);
	write_all(other);
	expect(node_at(other, 7)->parent && visits(other, 7) == 1);
	check_all();
	world_end();
}

/* Without memory a vma stays where it is, and no fault pays twice. */
static void case_no_memory(void)
{
	struct anon_vma *node;
	struct proc *parent, *child;
	unsigned long allocs;

	world_init(8, false);
	parent = master_new(4, false);
	write_all(parent);
	node = node_at(parent, 0);
	child = proc_fork(parent);
	world.fail = FAIL_ALL;
	expect(fault_write(child, 0) && node_at(child, 0) == node);
	allocs = world.allocs;
	mm_settle(vma_at(child, 0));
	expect(world.allocs == allocs && vma_anon_settled(vma_at(child, 0)));
	/* Another vma tries for itself; then a merge takes both to the deeper node. */
	world.fail = FAIL_NOWAIT;
	fault_write(child, 1);
	expect(node_at(child, 1)->parent == node && node_at(child, 0) == node);
	world.fail = FAIL_ALL;
	fault_write(child, 2);
	expect(node_at(child, 2) == node_at(child, 1));
	check_all();
	/* A vma that gave up asks again when it is merged with one that did not. */
	parent = child;
	child = proc_fork(world.procs->next);
	fault_write(child, 0);
	expect(vma_anon_settled(vma_at(child, 0)));
	mm_merge(vma_at(child, 1), 1, 2);
	world.fail = FAIL_NONE;
	fault_write(child, 0);
	expect(node_at(child, 0)->parent == node && vma_at(child, 0)->vm_end == 3);
	proc_exit(child);
	child = parent;
	check_all();
	expect(mm_merge(vma_at(child, 0), 0, 1) && node_at(child, 0)->parent == node);
	check_all();
	/* fork goes to the node the parent owns, from either. */
	child = proc_fork(child);
	expect(node_at(child, 3) == node_at(child, 0) && node_at(child, 3)->parent == node);
	check_all();
	world_end();
}

/* Pieces of a vma in a child, written apart, become one again. */
static void case_merge_after_fork(void)
{
	struct proc *parent, *child;

	world_init(16, false);
	parent = proc_new(world.last_id++);
	mm_map(parent, 0, 12, 0, 0);
	write_all(parent);
	fault_write(parent, 5);
	fault_write(parent, 9);
	child = proc_fork(parent);
	mm_split(vma_at(child, 0), 4, false);
	mm_split(vma_at(child, 4), 8, false);
	fault_write(child, 5);
	check_all();
	expect(mm_merge(vma_at(child, 4), 4, 8));
	expect(vma_at(child, 11)->vm_start == 0 && !child->vmas->next);
	check_all();
	expect(visits(child, 5) == 1 && visits(parent, 9) == 2);
	/* What the parent has not touched is no part of the family it began. */
	mm_map(child, 12, 14, 12, 0);
	expect(vma_at(child, 12)->vm_start == 12);
	world_end();
}

/* mremap after fork: nothing is copied, unshared or missed. */
static void case_move_after_fork(void)
{
	struct proc *parent, *child;
	struct page *page;

	world_init(32, true);
	parent = proc_new(world.last_id++);
	mm_map(parent, 0, 8, 0, 0);
	write_all(parent);
	fault_write(parent, 3);
	child = proc_fork(parent);
	page = child->ptes[3].page;
	mm_move(vma_at(child, 0), 2, 20, 4, false);
	expect(child->ptes[21].page == page && visits(child, 21) == 2);
	mm_move(vma_at(parent, 0), 3, 10, 2, true);
	check_all();
	expect(parent->ptes[10].page == page);
	page_swap_out(page, false);
	fault_write(child, 21);
	fault_read(parent, 10);
	expect(parent->ptes[10].page == page);
	check_all();
	world_end();
}

/* Lookup against what may happen between two looks at a folio. */

struct race {
	struct folio folio;
	struct proc *proc;
	struct vm_area_struct *vma;
	struct anon_vma *node;
	unsigned int times;
};

static void race_exit(void *arg)
{
	struct race *race = arg;

	race->folio.mapcount = 0;
	proc_exit(race->proc);
	race->times++;
}

static void race_unlink(void *arg)
{
	struct race *race = arg;

	proc_exit(race->proc);
	race->times++;
}

static void race_unmap(void *arg)
{
	struct race *race = arg;

	race->folio.mapcount = 0;
	race->times++;
}

static void race_repoint(void *arg)
{
	struct race *race = arg;

	race->folio.mapping = (void *)((unsigned long)race->node | PAGE_MAPPING_ANON);
	race->times++;
}

/* The node is freed and made anew for a folio of another family. */
static void race_reuse(void *arg)
{
	struct race *race = arg;
	struct anon_vma *node = node_at(race->proc, 2);
	struct proc *proc;

	proc_exit(race->proc);
	proc = master_new(4, true);
	write_all(proc);
	expect(node_at(proc, 0) == node || node_at(proc, 2) == node);
	race->times++;
}

static void race_wait(void *arg)
{
	struct race *race = arg;

	expect(world.nr_nodes == 1);
	race->times++;
}

static void race_begin(struct race *race)
{
	world_init(8, false);
	memset(race, 0, sizeof(*race));
	race->proc = master_new(2, true);
	write_all(race->proc);
	race->folio.mapping = race->proc->ptes[2].page->folio.mapping;
	race->folio.mapcount = 1;
	hooks = (struct hooks){ .arg = race };
}

static void case_lookup(void)
{
	struct rmap_walk_control rwc = { .try_lock = true };
	struct anon_vma *node;
	struct race race;

	/* Unmapped by another while we wait: the last reference is ours. */
	race_begin(&race);
	hooks.contended = true;
	hooks.on_wait = race_exit;
	expect(!folio_lock_anon_vma_read(&race.folio, NULL) && race.times == 1);
	world_end();

	/* The same, unmapped only after we looked. */
	race_begin(&race);
	hooks.contended = true;
	hooks.on_wait = race_unlink;
	expect(!folio_lock_anon_vma_read(&race.folio, NULL) && race.times == 1);
	world_end();

	/* Freed before we look; or unmapped after. */
	race_begin(&race);
	world.reuse_objects = true;
	hooks.on_get = race_unlink;
	expect(!folio_get_anon_vma(&race.folio) && race.times == 1);
	world_end();
	race_begin(&race);
	hooks.on_get = race_unmap;
	expect(!folio_get_anon_vma(&race.folio) && race.times == 1);
	check_nodes();
	world_end();

	race_begin(&race);
	expect(folio_get_anon_vma(&race.folio) == node_at(race.proc, 2));
	put_anon_vma(node_at(race.proc, 2));
	hooks.contended = true;
	expect(!folio_lock_anon_vma_read(&race.folio, &rwc) && rwc.contended);
	rwc = (struct rmap_walk_control){ .try_lock = false };
	race.node = node_at(race.proc, 0);
	hooks.contended = true;
	hooks.on_wait = race_repoint;
	node = folio_lock_anon_vma_read(&race.folio, &rwc);
	expect(node == race.node && race.times == 1 && !rwc.contended);
	anon_vma_unlock_read(node);
	race.node = node_at(race.proc, 2);
	hooks.on_trylock = race_repoint;
	node = folio_lock_anon_vma_read(&race.folio, NULL);
	expect(node == race.node && race.times == 2);
	anon_vma_unlock_read(node);
	race.folio.mapcount = 0;
	expect(!folio_lock_anon_vma_read(&race.folio, NULL));
	expect(!folio_get_anon_vma(&race.folio));
	/* A KSM folio is none of ours. */
	race.folio.mapping = (void *)((unsigned long)race.folio.mapping | PAGE_MAPPING_FLAGS);
	race.folio.mapcount = 1;
	expect(!folio_get_anon_vma(&race.folio));
	world_end();
}

static void case_lookup_reused(void)
{
	struct anon_vma *node;
	struct race race;

	race_begin(&race);
	world.reuse_objects = true;
	hooks.on_trylock = race_reuse;
	node = folio_lock_anon_vma_read(&race.folio, NULL);
	expect(race.times == 1 && node && node->root->rwsem.held == 1);
	anon_vma_unlock_read(node);
	check_all();
	world_end();

	/* A child node, freed and made anew as a root: the lock taken is the old one. */
	race_begin(&race);
	world.reuse_objects = true;
	node = node_at(proc_fork(race.proc), 2);
	fault_write(world.procs, 2);
	race.proc = world.procs;
	race.folio.mapping = race.proc->ptes[2].page->folio.mapping;
	expect(page_node(race.proc->ptes[2].page)->root == node);
	hooks.on_trylock = race_reuse;
	node = folio_lock_anon_vma_read(&race.folio, NULL);
	expect(race.times == 1 && node && node->root->rwsem.held == 1);
	anon_vma_unlock_read(node);
	world_end();
}

/* Between the unlinking and the freeing, someone comes by the folio. */
static void race_hold(void *arg)
{
	struct race *race = arg;

	race->node->rwsem.others = 1;
	hooks.on_wait = race_wait;
}

/* A node is not freed while someone who came by its folio holds the lock. */
static void case_free_waits(void)
{
	struct race race;

	race_begin(&race);
	mm_unmap(race.proc, 0, 1);
	race.node = node_at(race.proc, 2);
	hooks.on_unlock = race_hold;
	proc_exit(race.proc);
	expect(race.times == 1);
	world_end();
}

/* One lock for a row of vmas of one family, and one for each family. */
static void case_unlink_batch(void)
{
	struct proc *family, *families;
	unsigned long taken;

	world_init(64, false);
	family = master_new(20, false);
	write_all(family);
	families = master_new(20, true);
	write_all(families);
	taken = sems_taken;
	proc_exit(family);
	expect(sems_taken - taken == DIV_ROUND_UP(20, ANON_VMA_BATCH));
	taken = sems_taken;
	proc_exit(families);
	expect(sems_taken - taken == 20);
	world_end();
}

static void race_settle(void *arg)
{
	struct race *race = arg;

	world.fail = FAIL_NONE;
	mm_settle(race->vma);
	race->times++;
}

/* Another thread does the same, or its neighbour, while we wait for memory. */
static void case_settle_races(void)
{
	unsigned long addr;
	struct race race;

	for (addr = 0; addr < 2; addr++) {
		world_init(8, false);
		write_all(master_new(2, false));
		memset(&race, 0, sizeof(race));
		race.proc = proc_fork(world.procs);
		race.vma = vma_at(race.proc, addr);
		world.fail = FAIL_NOWAIT;
		hooks = (struct hooks){ .on_sleeping_alloc = race_settle, .arg = &race };
		fault_write(race.proc, 0);
		expect(race.times == 1 && node_at(race.proc, 0)->parent);
		check_all();
		world_end();
	}
	/* The same, while we wait for the lock. */
	world_init(8, false);
	write_all(master_new(1, false));
	race.proc = proc_fork(world.procs);
	race.vma = vma_at(race.proc, 0);
	hooks = (struct hooks){ .on_wait = race_settle, .arg = &race };
	fault_write(race.proc, 0);
	expect(race.times == 2 && node_at(race.proc, 0)->parent);
	check_all();
	world_end();
	/* The first fault of all, twice. */
	world_init(8, false);
	race.proc = master_new(2, true);
	race.vma = vma_at(race.proc, 0);
	hooks = (struct hooks){ .on_sleeping_alloc = race_settle, .arg = &race };
	fault_write(race.proc, 0);
	expect(race.times == 3);
	check_all();
	world_end();
}

const struct test_case cases[] = {
	{ "first fault", case_first_fault },
	{ "disjoint vmas", case_disjoint },
	{ "fork is flat", case_fork_is_flat },
	{ "hulls", case_hulls },
	{ "hulls grow", case_hulls_grow },
	{ "hulls with holes", case_hulls_with_holes },
	{ "take-over", case_take_over },
	{ "no memory", case_no_memory },
	{ "no memory, at each allocation", case_no_memory_anywhere },
	{ "merge after fork", case_merge_after_fork },
	{ "move after fork", case_move_after_fork },
	{ "lookup", case_lookup },
	{ "lookup of a reused node", case_lookup_reused },
	{ "free waits", case_free_waits },
	{ "unlinking in batches", case_unlink_batch },
	{ "settle races", case_settle_races },
	{ "chains, written first", case_chains_written_first },
	{ "chains, left first", case_chains_left_first },
	{ "chains, parent writes", case_chains_parent_writes },
	{ "chains, helpers", case_chains_helpers },
	{ "chains, any shape", case_chains_of_any_shape },
	{ "double-forking daemon", case_daemon },
	{ "daemon far removed", case_far_daemon },
	{ "prefork server", case_prefork },
	{ "cost of siblings", case_cost_of_siblings },
	{ "family of 10000", case_family },
};

const unsigned int nr_cases = ARRAY_SIZE(cases);
