// SPDX-License-Identifier: GPL-2.0
/*
 * The life of one process of the storm.
 *
 * The plan of a process is a function of the seed and of its place in the tree, and
 * each step of it draws from its own random numbers. The same seed is the
 * same plan. The scheduler decides only how far each process gets with it before the
 * time is over, and which of the forks find room in the population.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "rmap_storm.h"

#ifndef MADV_COLD
#define MADV_COLD	20
#define MADV_PAGEOUT	21
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define RUN_PAGES	16	/* the longest run of one step */
#define BURST_PAGES	64	/* the longest run of a newborn's writes */
#define TOUCHES		32	/* of the companion, between two naps */
#define NAP_US		20000

enum { STREAM_BIRTH = 1, STREAM_COMPANION, STREAM_STEPS };

struct self self;

static unsigned int depth;
static unsigned int children;
static u32 step;

static struct rng stream(u64 id, u64 n)
{
	struct rng r = { mix(id + n) };

	return r;
}

/* ---- the companion: faults that race with everything its process does ---- */

static pthread_t companion;
static bool has_companion;
static __thread bool touching;
static __thread sigjmp_buf touch_failed;

static void touch(u32 *word, bool write)
{
	static u32 zero;

	put(&touching, true);
	if (!sigsetjmp(touch_failed, 0)) {
		if (write)
			__atomic_fetch_add(word, get(&zero), __ATOMIC_RELAXED);
		else
			(void)get(word);
	}
	put(&touching, false);
}

/*
 * Reads, and writes that change nothing: no contents depend on them, but they
 * fault, copy and swap in while the process forks, moves and unmaps the same pages.
 */
static void *companion_main(void *unused)
{
	struct rng r = stream(self.id, STREAM_COMPANION);

	while (get(&storm->phase) == PHASE_RUN) {
		for (int i = 0; i < TOUCHES; i++) {
			void *page = heap_some_page(&r);

			if (page)
				touch(page, below(&r, 2));
		}
		add(&storm->touched, TOUCHES);
		usleep(NAP_US);
	}
	return unused;
}

static void bad_access(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (get(&touching))
		siglongjmp(touch_failed, 1);
	dprintf(STDOUT_FILENO, "# error: %s (pid %d) step %u: signal %d at %p\n",
		self.path, getpid(), step, sig, info->si_addr);
	add(&storm->errors, 1);
	signal(sig, SIG_DFL);
}

static void start_companion(void)
{
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 << 10);
	has_companion = !pthread_create(&companion, &attr, companion_main, NULL);
	pthread_attr_destroy(&attr);
}

static void stop_companion(void)
{
	if (has_companion)
		pthread_join(companion, NULL);
	has_companion = false;
}

/* ---- end of life ---- */

/* A process that dies of a signal could not take itself out of the count. */
static void reaped(int status)
{
	if (!WIFSIGNALED(status))
		return;
	add(&storm->killed, 1);
	sub(&storm->alive, 1);
	dprintf(STDOUT_FILENO, "# error: a process died of signal %d (%s)\n",
		WTERMSIG(status), strsignal(WTERMSIG(status)));
}

/* Returns whether there are children still. */
bool reap_children(unsigned int *left)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		reaped(status);
		if (*left)
			(*left)--;
	}
	return !pid;
}

static void __noreturn leave(void)
{
	sub(&storm->alive, 1);
	_exit(0);
}

static void sleep_while(u32 phase)
{
	while (get(&storm->phase) == phase)
		syscall(SYS_futex, &storm->phase, FUTEX_WAIT, phase, NULL, NULL, 0);
}

static void __noreturn park(void)
{
	sleep_while(PHASE_RUN);
	stop_companion();
	add(&storm->parked, 1);
	sleep_while(PHASE_PARK);
	heap_check_all();
	leave();
}

/* ---- birth ---- */

/* A newborn has one page, or one piece, or writes to some or to most of its heap. */
static void birth(void)
{
	struct rng r = stream(self.id, STREAM_BIRTH);
	unsigned int kind = below(&r, 16);
	unsigned int appetite = heap_pages();
	struct run run;

	if (kind < 2 && heap_pick(&r, kind ? RUN_PAGES : 1, &run)) {
		heap_keep(&run);
		appetite = 0;
	}
	if (kind < 6)
		appetite /= 8;
	for (unsigned int n = 0; n < appetite && get(&storm->phase) == PHASE_RUN;
	     n += run.pages) {
		if (!heap_pick(&r, BURST_PAGES, &run))
			break;
		heap_write(&r, &run, 0);
	}
	if (!below(&r, 4))
		start_companion();
}

static void become(u32 number)
{
	size_t len = strlen(self.path);

	snprintf(self.path + len, sizeof(self.path) - len, ".%u", number);
	self.id = mix(self.id + number);
	depth++;
	children = 0;
	has_companion = false;
	raise_max(&storm->deepest, depth);
}

static bool room(void)
{
	return get(&storm->phase) == PHASE_RUN && count_in(&storm->alive, population_cap());
}

/*
 * A histogram of eight steps in each power of two. It is of cpu time: with two
 * hundred processes on two cpus, most forks have to wait for a turn as well.
 */
static void fork_took(u64 cpu_ns, u64 ns)
{
	unsigned int log = 63 - __builtin_clzll(cpu_ns | HIST_STEPS);
	unsigned int bucket = (log - 3) * HIST_STEPS + ((cpu_ns >> (log - 3)) & 7);

	if (bucket >= HIST_BUCKETS)
		bucket = HIST_BUCKETS - 1;
	add(&storm->fork_hist[bucket], 1);
	raise_max(&storm->fork_max_ns, ns);
	add(&storm->forks, 1);
}

static void live(void);

/*
 * A fork of a hundred vmas never gets through if one allocation of twenty fails, so
 * few forks have to try.
 */
static pid_t fork_or_fail(u32 number)
{
	pid_t pid;

	if (!storm->opt.failslab)
		return fork();
	if (number % 8)
		sys_fail_me(false);
	pid = fork();
	if (number % 8)
		sys_fail_me(true);
	return pid;
}

/* Returns in the parent only. */
static void fork_child(u32 number)
{
	u64 cpu_start = clock_ns(CLOCK_THREAD_CPUTIME_ID), start = now_ns();
	pid_t pid = fork_or_fail(number);

	if (pid < 0) {
		add(&storm->refused, 1);
		sub(&storm->alive, 1);
		return;
	}
	if (!pid) {
		become(number);
		live();
	}
	fork_took(clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_start, now_ns() - start);
	raise_max(&storm->peak_alive, get(&storm->alive));
	children++;
}

/* ---- the steps ---- */

static void step_write(struct rng *r, const struct run *run)
{
	heap_write(r, run, step);
}

static void step_check(struct rng *r, const struct run *run)
{
	(void)r;
	heap_check(run);
}

static void step_fork(struct rng *r, const struct run *run)
{
	(void)r;
	(void)run;
	if (depth < storm->opt.depth && children < storm->opt.breadth && room())
		fork_child(step);
}

static void step_unmap(struct rng *r, const struct run *run)
{
	(void)r;
	heap_unmap(run);
}

static void step_refill(struct rng *r, const struct run *run)
{
	(void)run;
	heap_refill(r);
}

static void step_move_huge(struct rng *r, const struct run *run)
{
	(void)run;
	heap_move_huge(r);
}

static void step_protect(struct rng *r, const struct run *run)
{
	heap_protect(run, below(r, 2));
}

static void step_drop(struct rng *r, const struct run *run)
{
	(void)r;
	heap_drop(run);
}

static void step_advise(struct rng *r, const struct run *run)
{
	static const int advices[] = {
		MADV_PAGEOUT, MADV_PAGEOUT, MADV_COLD, MADV_WILLNEED, MADV_COLLAPSE,
	};

	heap_advise(run, advices[below(r, ARRAY_SIZE(advices))]);
}

static const struct {
	void (*run)(struct rng *r, const struct run *run);
	unsigned int weight;
} steps[] = {
	{ step_write,		28 },
	{ step_check,		28 },
	{ step_fork,		16 },
	{ heap_move,		8 },
	{ step_advise,		6 },
	{ step_protect,		5 },
	{ step_unmap,		3 },
	{ step_refill,		3 },
	{ step_drop,		2 },
	{ step_move_huge,	1 },
};

static unsigned int choose(struct rng *r)
{
	unsigned int i, n, total = 0;

	for (i = 0; i < ARRAY_SIZE(steps); i++)
		total += steps[i].weight;
	n = below(r, total);
	for (i = 0; n >= steps[i].weight; i++)
		n -= steps[i].weight;
	return i;
}

static void do_step(void)
{
	struct rng r = stream(self.id, STREAM_STEPS + step);
	unsigned int chosen = choose(&r);
	struct run run;

	if (heap_pick(&r, RUN_PAGES, &run))
		steps[chosen].run(&r, &run);
}

static u32 lifetime(void)
{
	struct rng r = stream(self.id, 0);

	return 20 + below(&r, 400);
}

/* Everything would double the work of the storm: most look at some of it. */
static void last_look(void)
{
	struct rng r = stream(self.id, STREAM_BIRTH);
	struct run run;

	if (!below(&r, 8)) {
		heap_check_all();
		return;
	}
	for (int n = 0; n < 8; n++)
		if (heap_pick(&r, RUN_PAGES, &run))
			heap_check(&run);
}

/* Does not return: the process ends here. The master, at depth 0, lives on. */
static void live(void)
{
	u32 end = depth ? lifetime() : UINT_MAX;

	if (depth)
		birth();
	for (step = 1; step < end && get(&storm->phase) == PHASE_RUN; step++) {
		do_step();
		reap_children(&children);
		/* A master that writes on without end would outrun its workers. */
		if (!depth)
			usleep(NAP_US / 4);
	}
	if (get(&storm->phase) != PHASE_RUN)
		park();
	last_look();
	leave();
}

/* The first steps of the master and of the line of its first children. */
u64 plan_digest(void)
{
	u64 id = mix(storm->opt.seed), digest = 0;

	for (unsigned int d = 0; d <= storm->opt.depth; d++) {
		for (unsigned int s = 0; s < 1000; s++) {
			struct rng r = stream(id, STREAM_STEPS + s);

			digest = mix(digest + choose(&r));
		}
		id = mix(id + 1);
	}
	return digest;
}

/* ---- the self-check ---- */

static void damage_page(struct rng *r)
{
	char *page;

	do {
		page = heap_some_page(r);
	} while (!page);
	if (storm->opt.damage == DAMAGE_PINNED)
		mlock(page, 1);
	if (storm->opt.damage == DAMAGE_FLIP) {
		mprotect(page, page_size, PROT_READ | PROT_WRITE);
		page[page_size / 2] ^= 1;
	}
	if (storm->opt.damage == DAMAGE_DEATH)
		raise(SIGKILL);
}

/* A quiet family of three, one of whom does what is to be found out. */
static void __noreturn self_check(void)
{
	struct rng r = { mix(storm->opt.seed + 1) };

	if (storm->opt.damage == DAMAGE_SHARED)
		heap_damage_shared();
	for (u32 n = 1; n <= 2; n++) {
		add(&storm->alive, 1);
		if (fork())
			continue;
		become(n);
		if (n == 2)
			damage_page(&r);
		park();
	}
	if (storm->opt.damage == DAMAGE_SHARED)
		heap_write_shared();
	sleep_while(PHASE_RUN);
	reap_children(&children);
	park();
}

void master_main(void)
{
	snprintf(self.path, sizeof(self.path), "m");
	self.id = mix(storm->opt.seed);
	catch_bad_accesses(bad_access);
	heap_build();
	if (storm->opt.failslab)
		sys_fail_me(true);
	add(&storm->alive, 1);
	raise_max(&storm->peak_alive, 1);
	if (storm->opt.damage != DAMAGE_OFF)
		self_check();
	live();
	_exit(0);
}
