// SPDX-License-Identifier: GPL-2.0
/*
 * Operations with all their arguments: what a history is made of. One that
 * can not be done, as others before it have been left out, is passed over.
 */
#include "model.h"

static struct proc *proc_of(unsigned int id)
{
	struct proc *proc = world.procs;

	while (proc && proc->id != id)
		proc = proc->next;
	return proc;
}

static bool in_world(unsigned long start, unsigned long len)
{
	return len && start + len <= world.npages;
}

static bool one_vma(struct proc *proc, unsigned long start, unsigned long len)
{
	struct vm_area_struct *vma = vma_at(proc, start);

	return vma && len && start + len <= vma->vm_end;
}

static bool writable(struct proc *proc, unsigned long addr)
{
	struct vm_area_struct *vma = vma_at(proc, addr);

	return vma && !(vma->flags & VMA_READONLY);
}

static bool run_start(struct proc *proc, const u16 *arg)
{
	if (proc_of(arg[0]))
		return false;
	proc_new(arg[0]);
	return true;
}

static bool run_map(struct proc *proc, const u16 *arg)
{
	unsigned long pgoff = arg[0];

	if (!range_free(proc, arg[0], arg[0] + arg[1]))
		return false;
	/* Not the index that an anonymous page would have. */
	if (arg[2] & VMA_FILE)
		pgoff += 3;
	mm_map(proc, arg[0], arg[0] + arg[1], pgoff, arg[2]);
	return true;
}

/* Map all of the hole that has this address, as what is below it is mapped. */
static bool run_fill(struct proc *proc, const u16 *arg)
{
	struct vm_area_struct *prev = NULL, *vma;
	unsigned long start;

	for (vma = proc->vmas; vma && vma->vm_start <= arg[0]; vma = vma->next)
		prev = vma;
	if (!prev || !vma || prev->vm_end > arg[0])
		return false;
	start = prev->vm_end;
	mm_map(proc, start, vma->vm_start, linear_index(prev, start), prev->flags);
	return true;
}

static bool run_unmap(struct proc *proc, const u16 *arg)
{
	if (!in_world(arg[0], arg[1]))
		return false;
	mm_unmap(proc, arg[0], arg[0] + arg[1]);
	return true;
}

static bool run_read(struct proc *proc, const u16 *arg)
{
	if (!vma_at(proc, arg[0]))
		return false;
	fault_read(proc, arg[0]);
	return true;
}

static bool run_write(struct proc *proc, const u16 *arg)
{
	if (!writable(proc, arg[0]))
		return false;
	fault_write(proc, arg[0]);
	return true;
}

static bool run_write_large(struct proc *proc, const u16 *arg)
{
	if (!writable(proc, arg[0]) || arg[1] > LARGE_PAGES || !one_vma(proc, arg[0], arg[1]))
		return false;
	return fault_write_large(proc, arg[0], arg[1]);
}

static bool run_prepare(struct proc *proc, const u16 *arg)
{
	struct vm_area_struct *vma = vma_at(proc, arg[0]);

	return vma && mm_settle(vma);
}

static bool run_protect(struct proc *proc, const u16 *arg)
{
	if (!in_world(arg[0], arg[1]))
		return false;
	mm_modify(proc, arg[0], arg[0] + arg[1], VMA_READONLY, arg[2] ? VMA_READONLY : 0);
	return true;
}

static bool run_advise(struct proc *proc, const u16 *arg)
{
	const unsigned int mask = VMA_DONTFORK | VMA_WIPEONFORK;

	if (!one_vma(proc, arg[0], arg[1]) ||
	    (arg[2] & VMA_WIPEONFORK && vma_at(proc, arg[0])->flags & VMA_FILE))
		return false;
	mm_modify(proc, arg[0], arg[0] + arg[1], mask, arg[2] & mask);
	return true;
}

static bool run_split(struct proc *proc, const u16 *arg)
{
	struct vm_area_struct *vma = vma_at(proc, arg[0]);

	if (!vma || vma->vm_start == arg[0])
		return false;
	mm_split(vma, arg[0], arg[1]);
	return true;
}

static bool run_merge(struct proc *proc, const u16 *arg)
{
	if (!one_vma(proc, arg[0], arg[1]))
		return false;
	return mm_merge(vma_at(proc, arg[0]), arg[0], arg[0] + arg[1]);
}

static bool run_move(struct proc *proc, const u16 *arg)
{
	unsigned long from = arg[0], len = arg[1], to = arg[2];

	if (!one_vma(proc, from, len) || !in_world(to, len) ||
	    (from < to + len && to < from + len) || (arg[3] && !vma_at(proc, from)->anon_vma))
		return false;
	mm_move(vma_at(proc, from), from, to, len, arg[3]);
	return true;
}

static bool run_grow_up(struct proc *proc, const u16 *arg)
{
	struct vm_area_struct *vma = vma_at(proc, arg[0]);

	if (!vma || !range_free(proc, vma->vm_end, vma->vm_end + arg[1]))
		return false;
	mm_grow_up(vma, arg[1]);
	return true;
}

static bool run_grow_down(struct proc *proc, const u16 *arg)
{
	struct vm_area_struct *vma = vma_at(proc, arg[0]);

	if (!vma || vma->vm_start < arg[1] || vma->vm_pgoff < arg[1] ||
	    !range_free(proc, vma->vm_start - arg[1], vma->vm_start))
		return false;
	mm_grow_down(vma, arg[1]);
	return true;
}

static bool run_fork(struct proc *proc, const u16 *arg)
{
	bool fails = arg[2] != NOWHERE;
	struct proc *child;

	if (proc_of(arg[0]))
		return false;
	child = proc_fork_some(proc, arg[0], fails ? arg[2] : UINT_MAX,
			       arg[1] == NOWHERE ? ULONG_MAX : arg[1]);
	if (fails)
		proc_exit(child);
	return true;
}

static bool run_exit(struct proc *proc, const u16 *arg)
{
	proc_exit(proc);
	return true;
}

static bool run_exec(struct proc *proc, const u16 *arg)
{
	if (!in_world(arg[0], 1) || !arg[1] || arg[1] > arg[0])
		return false;
	proc_exec(proc, arg[0], arg[1]);
	return true;
}

/* Twice: fork, and the parent exits. */
static bool run_daemonise(struct proc *proc, const u16 *arg)
{
	unsigned int i;

	if (proc_of(arg[0]) || proc_of(arg[1]) || arg[0] == arg[1])
		return false;
	for (i = 0; i < 2; i++) {
		struct proc *child = proc_fork_some(proc, arg[i], UINT_MAX, ULONG_MAX);

		proc_exit(proc);
		proc = child;
	}
	return true;
}

static struct page *mapped_page(struct proc *proc, unsigned long addr)
{
	struct page *page = in_world(addr, 1) ? proc->ptes[addr].page : NULL;

	return page && page->folio.mapcount && !page->ksm ? page : NULL;
}

static bool run_swap_out(struct proc *proc, const u16 *arg)
{
	struct page *page = mapped_page(proc, arg[0]);

	if (!page)
		return false;
	page_swap_out(page, arg[1]);
	return true;
}

static bool run_split_folio(struct proc *proc, const u16 *arg)
{
	struct page *page = mapped_page(proc, arg[0]);

	if (!page || !page->large)
		return false;
	folio_split(page);
	return true;
}

static bool run_uffd_move(struct proc *proc, const u16 *arg)
{
	if (!writable(proc, arg[0]) || !writable(proc, arg[1]))
		return false;
	return uffd_move(proc, arg[0], arg[1]);
}

static bool run_ksm(struct proc *proc, const u16 *arg)
{
	return vma_at(proc, arg[0]) && ksm_merge(proc, arg[0]);
}

static bool run_ksm_drop(struct proc *proc, const u16 *arg)
{
	return ksm_drop(arg[0]);
}

static bool run_all_locks(struct proc *proc, const u16 *arg)
{
	mm_take_all_locks(proc);
	return true;
}

/* Walks that no page asks for: from any node above, from those of items, of ranges. */
static bool run_walk(struct proc *proc, const u16 *arg)
{
	struct vm_area_struct *vma = vma_at(proc, arg[0]);
	struct anon_vma *node = vma ? vma->anon_vma : NULL;
	unsigned long index;
	unsigned int i;

	for (i = 0; i < world.nr_items; i++)
		check_ranges(world.items[i].node, world.items[i].index, world.items[i].index);
	if (!node)
		return false;
	for (i = arg[1]; i && node->parent; i--)
		node = node->parent;
	index = linear_index(vma, arg[0]);
	check_ranges(node, index, index);
	check_ranges(node, arg[2], arg[2] + arg[3]);
	return true;
}

static const struct {
	const char *name;
	bool (*run)(struct proc *proc, const u16 *arg);
	const char *arg[4];
} ops[NR_OPS] = {
	[OP_START] = { "start", run_start, { "id" } },
	[OP_MAP] = { "map", run_map, { "start", "len", "flags" } },
	[OP_FILL] = { "fill", run_fill, { "addr" } },
	[OP_UNMAP] = { "unmap", run_unmap, { "start", "len" } },
	[OP_READ] = { "read", run_read, { "addr" } },
	[OP_WRITE] = { "write", run_write, { "addr" } },
	[OP_WRITE_LARGE] = { "write_large", run_write_large, { "addr", "nr" } },
	[OP_PREPARE] = { "prepare", run_prepare, { "addr" } },
	[OP_PROTECT] = { "protect", run_protect, { "start", "len", "readonly" } },
	[OP_ADVISE] = { "advise", run_advise, { "start", "len", "flags" } },
	[OP_SPLIT] = { "split", run_split, { "addr", "new_below" } },
	[OP_MERGE] = { "merge", run_merge, { "start", "len" } },
	[OP_MOVE] = { "move", run_move, { "from", "len", "to", "dontunmap" } },
	[OP_GROW_UP] = { "grow_up", run_grow_up, { "addr", "by" } },
	[OP_GROW_DOWN] = { "grow_down", run_grow_down, { "addr", "by" } },
	[OP_FORK] = { "fork", run_fork, { "child", "pinned", "fails_after" } },
	[OP_EXIT] = { "exit", run_exit, { } },
	[OP_EXEC] = { "exec", run_exec, { "stack", "shift" } },
	[OP_DAEMONISE] = { "daemonise", run_daemonise, { "child", "grandchild" } },
	[OP_SWAP_OUT] = { "swap_out", run_swap_out, { "addr", "drop" } },
	[OP_SPLIT_FOLIO] = { "split_folio", run_split_folio, { "addr" } },
	[OP_UFFD_MOVE] = { "uffd_move", run_uffd_move, { "from", "to" } },
	[OP_KSM] = { "ksm", run_ksm, { "addr" } },
	[OP_KSM_DROP] = { "ksm_drop", run_ksm_drop, { "item" } },
	[OP_ALL_LOCKS] = { "all_locks", run_all_locks, { } },
	[OP_WALK] = { "walk", run_walk, { "addr", "up", "first", "more" } },
};

static unsigned long nr_run[NR_OPS];

/* Another thread of the process faults while this one sleeps. */
static void other_thread(void *arg)
{
	const struct op *op = arg;
	enum alloc_fail fail = world.fail;
	struct proc *proc = proc_of(op->proc);

	if (!proc || proc->mm.write_locked || !writable(proc, op->race))
		return;
	world.fail = FAIL_NONE;
	fault_write(proc, op->race);
	world.fail = fail;
}

bool op_run(const struct op *op)
{
	struct proc *proc = proc_of(op->proc);
	bool done;

	if (!proc && op->kind != OP_START)
		return false;
	world.fail = op->fail;
	if (op->race != NOWHERE)
		hooks = (struct hooks){ .on_sleeping_alloc = other_thread,
					.on_mmap_lock = other_thread, .arg = (void *)op };
	done = ops[op->kind].run(proc, op->arg);
	hooks = (struct hooks){ };
	world.fail = FAIL_NONE;
	nr_run[op->kind] += done;
	return done;
}

/* How many of each there were: none may be missing from a long run. */
void ops_sum(bool all)
{
	char line[1024] = "";
	int len = 0, kind;

	for (kind = 0; kind < NR_OPS; kind++) {
		len += snprintf(line + len, sizeof(line) - len, "%s %lu %s",
				kind ? "," : "", nr_run[kind], ops[kind].name);
		expect(nr_run[kind] || !all);
	}
	say("of these%s", line);
}

/* "PROCESS OPERATION NAME=VALUE...", of which op_parse() makes the same again. */
void op_print(FILE *file, const struct op *op)
{
	unsigned int i;

	fprintf(file, "%u %s", op->proc, ops[op->kind].name);
	for (i = 0; i < 4 && ops[op->kind].arg[i]; i++)
		fprintf(file, " %s=%u", ops[op->kind].arg[i], op->arg[i]);
	if (op->race != NOWHERE)
		fprintf(file, " race=%u", op->race);
	if (op->fail)
		fprintf(file, " fail=%u", op->fail);
	fprintf(file, "\n");
}

static u16 *arg_of(struct op *op, const char *name)
{
	unsigned int i;

	if (!strcmp(name, "race"))
		return &op->race;
	for (i = 0; i < 4 && ops[op->kind].arg[i]; i++)
		if (!strcmp(name, ops[op->kind].arg[i]))
			return &op->arg[i];
	return NULL;
}

static bool parse_arg(char *name, struct op *op)
{
	char *value = strchr(name, '=');
	u16 *arg;

	if (!value)
		return false;
	*value++ = 0;
	if (!strcmp(name, "fail")) {
		op->fail = atoi(value);
		return true;
	}
	arg = arg_of(op, name);
	if (arg)
		*arg = atoi(value);
	return arg;
}

bool op_parse(char *line, struct op *op)
{
	static const char blank[] = "\n\t ";
	char *word = strtok(line, blank), *name = strtok(NULL, blank);

	if (!name)
		return false;
	*op = (struct op){ .proc = atoi(word), .race = NOWHERE };
	while (op->kind < NR_OPS && strcmp(ops[op->kind].name, name))
		op->kind++;
	if (op->kind == NR_OPS)
		return false;
	while ((word = strtok(NULL, blank)))
		if (!parse_arg(word, op))
			return false;
	return true;
}
