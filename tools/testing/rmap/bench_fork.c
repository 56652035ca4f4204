// SPDX-License-Identifier: GPL-2.0
/*
 * What the reverse map costs where memory is made: fork, exit, first write.
 *
 * The process measured has 1000 anonymous vmas of one page each, apart from
 * one another so that they never merge. Every process of the chain is a child
 * of the one before it, and all stay alive.
 */
#include "bench.h"
#include <linux/sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define VMAS	1000
#define REPEAT	30
#define DEPTH	64

static char *vma_page(int i)
{
	return ARENA + 2 * i * PAGE;
}

static void make_vmas(void)
{
	for (int i = 0; i < VMAS; i++)
		*(char *)map_at(vma_page(i), PAGE, MAP_ANONYMOUS, -1) = 1;
}

struct cost {
	uint64_t fork, whole;
};

/* The least that fork, and fork to exit, took; the child writes to k vmas. */
static struct cost fork_cost(int k)
{
	struct cost best = { UINT64_MAX, UINT64_MAX };

	for (int i = 0; i < REPEAT; i++) {
		uint64_t start, forked, reaped;
		pid_t pid;

		settle();
		start = now();
		pid = fork_or_die();
		if (!pid) {
			for (int j = 0; j < k; j++)
				*vma_page(j) = 2;
			_exit(0);
		}
		forked = now();
		reap(pid);
		reaped = now();
		if (forked - start < best.fork)
			best.fork = forked - start;
		if (reaped - start < best.whole)
			best.whole = reaped - start;
	}
	return best;
}

#define FROZEN	"/sys/fs/cgroup/bench-frozen"

/*
 * Objects that one fork allocates for the reverse map. The child is born into
 * a frozen cgroup: it never runs, so that it cannot add a write of its own.
 */
static long fork_objects(void)
{
	struct clone_args args = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD };
	long before, after;
	pid_t pid;

	args.cgroup = open(FROZEN, O_RDONLY | O_DIRECTORY);
	before = slab_sum("anon_vma*", "objects");
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0)
		die("clone3 into %s", FROZEN);
	if (!pid)
		_exit(0);
	after = slab_sum("anon_vma*", "objects");
	close(args.cgroup);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return after - before;
}

static void measure_depth(int depth)
{
	struct cost cost;

	run_before_children();
	cost = fork_cost(0);
	put(cost.fork / 1e3, "fork_%d", depth);
	put(cost.whole / 1e3, "fork_exit_%d", depth);
	put(fork_objects(), "fork_objects_%d", depth);
	note("depth %d: fork %.0f us, fork+exit %.0f us", depth,
	     cost.fork / 1e3, cost.whole / 1e3);
}

static void measure_slabs(void)
{
	put(slab_bytes("anon_vma*"), "chain_rmap_bytes");
	put(slab_sum("anon_vma*", "objects"), "chain_rmap_objects");
	put(slab_bytes("vm_area_struct"), "chain_vma_bytes");
	put(slab_sum("vm_area_struct", "objects"), "chain_vma_objects");
	put(read_number("/sys/kernel/slab/vm_area_struct/object_size"), "vma_size");
	put(read_number("/sys/kernel/slab/anon_vma/object_size"), "node_size");
	put(read_number("/sys/kernel/slab/anon_vma/slab_size"), "node_slab_size");
}

static void chain(int depth)
{
	pid_t pid;

	if (depth == 0 || depth == 1 || depth == 4 || depth == 16 || depth == DEPTH)
		measure_depth(depth);
	if (depth == DEPTH) {
		measure_slabs();
		return;
	}
	settle();
	pid = fork_or_die();
	if (!pid) {
		chain(depth + 1);
		_exit(0);
	}
	reap(pid);
}

static void first_writes(void)
{
	static const int writes[] = { 0, 1, 10, 100, 1000 };

	for (size_t i = 0; i < sizeof(writes) / sizeof(*writes); i++)
		put(fork_cost(writes[i]).whole / 1e3, "fork_write_%d", writes[i]);
	note("first writes done");
}

/* How long a child's first write to a vma takes, each timed by itself. */
static void first_write_faults(void)
{
	const int rounds = 10;
	uint64_t *ns = mmap(NULL, rounds * VMAS * sizeof(*ns), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (ns == MAP_FAILED)
		die("mmap");
	for (int r = 0; r < rounds; r++) {
		pid_t pid;

		settle();
		pid = fork_or_die();
		if (!pid) {
			for (int i = 0; i < VMAS; i++) {
				uint64_t start = now();

				*vma_page(i) = 3;
				ns[r * VMAS + i] = now() - start;
			}
			_exit(0);
		}
		reap(pid);
	}
	qsort(ns, rounds * VMAS, sizeof(*ns), by_value);
	put(ns[rounds * VMAS / 2] / 1e3, "first_write_p50");
	put(ns[rounds * VMAS * 99 / 100] / 1e3, "first_write_p99");
	put(ns[rounds * VMAS - 1] / 1e3, "first_write_max");
	munmap(ns, rounds * VMAS * sizeof(*ns));
}

/* So many that what comes once in a while, as a timer's tick, is in each run. */
#define PAGES	2048
#define CYCLES	1000
#define RUNS	10

/* Nanoseconds a page to write to a fresh private mapping. */
static uint64_t touch_cost(int flags, int fd)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < RUNS; i++) {
		char *p = map_at(ARENA, PAGES * PAGE, flags, fd);
		uint64_t start = now();

		for (int j = 0; j < PAGES; j++)
			p[j * PAGE] = 1;
		start = now() - start;
		if (start < best)
			best = start;
		munmap(p, PAGES * PAGE);
	}
	return best / PAGES;
}

/* Nanoseconds to map, write and unmap a page, with its page table in place. */
static uint64_t cycle_cost(void)
{
	char *near = map_at(ARENA + 2 * PAGE, PAGE, MAP_ANONYMOUS, -1);
	uint64_t best = UINT64_MAX;

	*near = 1;

	for (int i = 0; i < RUNS; i++) {
		uint64_t start = now();

		for (int j = 0; j < CYCLES; j++) {
			char *p = map_at(ARENA, PAGE, MAP_ANONYMOUS, -1);

			*p = 1;
			munmap(p, PAGE);
		}
		start = now() - start;
		if (start < best)
			best = start;
	}
	munmap(near, PAGE);
	return best / CYCLES;
}

/* In a process that never forked, and with no other vma near. */
static void faults(void)
{
	int fd = memfd_create("bench", 0);
	char page[PAGE] = { 1 };

	run_before_children();
	for (int i = 0; i < PAGES; i++)
		if (write(fd, page, PAGE) != PAGE)
			die("write memfd");
	put(touch_cost(MAP_ANONYMOUS, -1), "anon_fault");
	put(touch_cost(0, fd), "file_copy_fault");
	put(cycle_cost(), "mmap_touch_munmap");
	note("page fault costs done");
	close(fd);
}

int main(void)
{
	bench_start();
	faults();
	if (mkdir(FROZEN, 0755))
		die("mkdir %s", FROZEN);
	write_file(FROZEN "/cgroup.freeze", "1");
	make_vmas();
	chain(0);
	first_writes();
	first_write_faults();
	rmdir(FROZEN);
	print_results("bench_fork");
	return 0;
}
