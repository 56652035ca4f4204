// SPDX-License-Identifier: GPL-2.0
/*
 * The life of one process: it draws operations from its own random numbers, forks, kills
 * children, becomes a fresh image, and looks at all its pages before it ends.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rmap_fuzz.h"

#define CHILDREN	16
#define LIFE		600	/* operations, at most, of one process */
#define SHORT_LIFE	60	/* of most: families grow by forks */
#define STACK_SIZE	(256 << 10)
#define TOUCHES		16
#define CHECK_EVERY	50	/* operations, all mappings */

struct lane main_lane, side_lane;
u32 self_id;

static pid_t children[CHILDREN];
static pid_t companion;
static u32 companion_stop;
static char companion_stack[STACK_SIZE] __attribute__((aligned(64)));

/* ---- signals ---- */

static struct lane *own_lane(void)
{
	return get(&companion) && syscall(SYS_gettid) == side_lane.tid ? &side_lane : &main_lane;
}

static void bad_access(int sig, siginfo_t *info, void *context)
{
	struct lane *l = own_lane();

	(void)context;
	l->fault_signal = sig;
	l->fault_code = info->si_code;
	if (get(&l->guarded))
		siglongjmp(l->fault, 1);
	if (ctl->opt.failslab) {
		add(&ctl->lost, 1);
		_exit(l == &side_lane ? EXIT_UNCOUNTED : EXIT_LOST);
	}
	mismatched(l, "signal %d (code %d) at %p, outside of any check", sig, info->si_code,
		   info->si_addr);
}

/* ---- ends ---- */

static bool is_ours(int status)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM)
		return true;	/* a companion whose process is gone */
	return WIFEXITED(status) && WEXITSTATUS(status) == EXIT_UNCOUNTED;
}

/* The reaper need not be the one who killed, who may be gone. */
static u8 *doomed(pid_t pid)
{
	return &ctl->doomed[pid % DOOMED];
}

static void count_end(pid_t pid, int status)
{
	bool by_us = __atomic_exchange_n(doomed(pid), 0, __ATOMIC_ACQ_REL);

	if (is_ours(status))
		return;
	sub(&ctl->alive, 1);
	if (!WIFSIGNALED(status))
		return;
	if (WTERMSIG(status) == SIGKILL) {
		add(by_us ? &ctl->killed : &ctl->killed_by_others, 1);
	} else if (ctl->opt.failslab) {
		add(&ctl->lost, 1);
	} else {
		add(&ctl->errors, 1);
		say("# error: a process died of signal %d\n", WTERMSIG(status));
	}
}

void reap_all(bool *any_left)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == companion) {
			companion = 0;
			continue;
		}
		count_end(pid, status);
		for (u32 i = 0; i < CHILDREN; i++)
			if (children[i] == pid)
				children[i] = 0;
	}
	if (any_left)
		*any_left = !pid;
}

static pid_t *free_child(void)
{
	for (u32 i = 0; i < CHILDREN; i++)
		if (!children[i])
			return &children[i];
	return NULL;
}

/* One that is not reaped, so the number is still its own. */
pid_t some_child(struct rng *r)
{
	u32 from = below(r, CHILDREN);

	for (u32 i = 0; i < CHILDREN; i++)
		if (children[(from + i) % CHILDREN])
			return children[(from + i) % CHILDREN];
	return 0;
}

static bool room(void)
{
	u32 n = 0;

	if (get(&ctl->phase) == PHASE_RUN)
		n = count_in(&ctl->alive, ctl->opt.processes);
	raise_max(&ctl->peak_alive, n);
	return n;
}

/* ---- birth ---- */

static void start_lane(struct lane *l, u32 first, u32 pages, u64 stream)
{
	l->first = first;
	l->pages = pages;
	l->tid = syscall(SYS_gettid);
	l->guarded = false;
	l->rng.state = mix(mix(ctl->opt.seed + stream) + self_id);
	l->step = 0;
}

static u32 side_first(void)
{
	return ctl->arena_pages / 8 * 7;
}

static void new_process(u32 id)
{
	self_id = id;
	memset(children, 0, sizeof(children));
	start_lane(&main_lane, 0, side_first(), 0);
	catch_bad_accesses(bad_access);
	inject_adopt();
	inject(true);
}

/* The pages of the companion were changing while they were copied. */
static void drop_companion_lane(void)
{
	inject(false);
	munmap(at(side_first()), bytes(ctl->arena_pages - side_first()));
	resync(&main_lane, side_first(), ctl->arena_pages - side_first());
}

/* What fork does to the model. */
static void inherit_cells(void)
{
	for (u32 page = 0; page < CELLS; page++) {
		struct cell *c = &cells[page];

		if (c->flags & F_DONTFORK)
			set_none(page, 1);
		else if (c->flags & F_WIPEONFORK)
			set_base(page);
	}
}

static void __noreturn live(void);

static void __noreturn child_main(u32 id)
{
	new_process(id);
	uffd_protect_forget();
	inherit_cells();
	if (companion)
		drop_companion_lane();
	companion = 0;
	live();
}

/* Every second fork without injected failures, as one with many vmas has no chance. */
long op_fork(struct lane *l)
{
	pid_t *child = free_child(), pid;
	u32 id;

	if (!child || !room())
		return SKIPPED;
	if (one_in(&l->rng, 2))
		inject(false);
	id = add(&ctl->serial, 1);
	pid = fork();
	if (!pid)
		child_main(id);
	inject(true);
	note(l, &(struct run){ 0, 0 }, pid);
	if (pid < 0) {
		sub(&ctl->alive, 1);
		return -1;
	}
	*child = pid;
	add(&ctl->forks, 1);
	return 0;
}

static char id_text[16];
static char *worker_args[] = { "rmap_fuzz", "--worker", id_text, NULL };

static void prepare_exec(void)
{
	snprintf(id_text, sizeof(id_text), "%u", add(&ctl->serial, 1));
}

/* The child runs in our memory until it execs or ends. */
long op_vfork(struct lane *l)
{
	bool fresh = one_in(&l->rng, 8);
	pid_t *child = free_child(), pid;

	if (!child || (fresh && !room()))
		return SKIPPED;
	prepare_exec();
	note(l, &(struct run){ 0, 0 }, fresh);
	pid = vfork();
	if (!pid) {
		if (fresh)
			execv("/proc/self/exe", worker_args);
		_exit(fresh ? EXIT_LOST : EXIT_UNCOUNTED);
	}
	if (pid < 0) {
		if (fresh)
			sub(&ctl->alive, 1);
		return -1;
	}
	*child = pid;
	if (fresh)
		add(&ctl->execs, 1);
	return 0;
}

long op_kill(struct lane *l)
{
	pid_t pid = some_child(&l->rng);

	if (!pid)
		return SKIPPED;
	put(doomed(pid), 1);
	return kill(pid, SIGKILL);
}

/* ---- the companion ---- */

bool has_companion(void)
{
	return get(&companion);
}

/* A change of nothing: it faults, copies and swaps in pages of the other lane. */
static void touch(struct lane *l)
{
	u32 page = main_lane.first + below(&l->rng, main_lane.pages);
	u64 *word = at(page);

	if (get(&cells[page].kind) == NONE)
		return;
	if (!sigsetjmp(l->fault, 0)) {
		put(&l->guarded, true);
		if (one_in(&l->rng, 2))
			__atomic_fetch_or(word, 0, __ATOMIC_RELAXED);
		else
			(void)get(word);
	}
	put(&l->guarded, false);
}

static void do_op(struct lane *l);

static int companion_main(void *unused)
{
	struct lane *l = &side_lane;

	(void)unused;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	l->tid = syscall(SYS_gettid);
	while (!get(&companion_stop) && get(&ctl->phase) == PHASE_RUN &&
	       getppid() == main_lane.tid) {
		for (int i = 0; i < TOUCHES; i++)
			touch(l);
		add(&ctl->touched, TOUCHES);
		do_op(l);
	}
	_exit(EXIT_UNCOUNTED);
}

static void stop_companion(void)
{
	int status;

	put(&companion_stop, 1);
	while (companion && waitpid(companion, &status, 0) < 0 && errno == EINTR)
		;
	if (companion && WIFSIGNALED(status))
		count_end(companion, status);
	companion = 0;
}

/* Start or stop a process that shares our memory. */
long op_companion(struct lane *l)
{
	int flags = CLONE_VM | SIGCHLD | (one_in(&l->rng, 2) ? CLONE_FS : 0);
	pid_t pid;

	if (companion) {
		stop_companion();
		check_run(l, &(struct run){ side_first(), ctl->arena_pages - side_first() });
		return 0;
	}
	if (any_stack())
		return SKIPPED;
	put(&companion_stop, 0);
	start_lane(&side_lane, side_first(), ctl->arena_pages - side_first(),
		   rng_next(&l->rng));
	side_lane.tid = 0;
	put(&companion, -1);
	pid = clone(companion_main, companion_stack + STACK_SIZE, flags, NULL);
	put(&companion, pid < 0 ? 0 : pid);
	if (pid > 0)
		add(&ctl->companions, 1);
	return pid < 0 ? -1 : 0;
}

/* ---- life ---- */

long op_exec(struct lane *l)
{
	prepare_exec();
	put(&companion_stop, 1);
	add(&ctl->execs, 1);
	add(&ctl->op_done[l->ring[(l->step - 1) % RING].op], 1);
	execv("/proc/self/exe", worker_args);
	return -1;
}

static u32 total_weight(bool of_companion)
{
	u32 total = 0;

	for (u32 i = 0; i < ops_count; i++)
		total += !of_companion || ops[i].companion ? ops[i].weight : 0;
	return total;
}

static u32 choose(struct lane *l)
{
	bool of_companion = l == &side_lane;
	u32 n = below(&l->rng, total_weight(of_companion)), i;

	for (i = 0;; i++) {
		u32 weight = !of_companion || ops[i].companion ? ops[i].weight : 0;

		if (n < weight)
			return i;
		n -= weight;
	}
}

/* The operation may replace or end the process: first it goes into the history. */
static void do_op(struct lane *l)
{
	u32 i = choose(l);
	struct past *past = &l->ring[l->step++ % RING];
	long ret;

	*past = (struct past){ .op = i };
	errno = 0;
	ret = ops[i].run(l);
	if (ret < 0) {
		past->error = errno;
		add(&ctl->op_failed[i], 1);
		if (errno == ENOMEM)
			add(&ctl->no_memory, 1);
	} else if (ret != SKIPPED) {
		add(&ctl->op_done[i], 1);
	}
	add(&ctl->ops, ret != SKIPPED);
}

void note(struct lane *l, const struct run *run, long arg)
{
	struct past *past = &l->ring[(l->step - 1) % RING];

	past->first = run->first;
	past->pages = run->pages;
	past->arg = arg;
}

/* Maybe the only process there is, and one that has checked nothing proves nothing. */
static void hang(struct lane *l)
{
	check_all(l);
	pause();
}

static void do_damage(struct lane *l)
{
	enum damage damage = ctl->opt.damage;
	u32 page, other;

	for (page = 8; page < 40; page++) {
		struct cell like = { .kind = ANON, .prot = PROT_READ | PROT_WRITE };

		if (mmap(at(page), page_size, like.prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
			 -1, 0) == MAP_FAILED)
			return;
		set_fresh(page, &like);
		write_page(l, page);
	}
	page = 10;
	other = 11;
	cells[other].tag = ~new_tag(l, other);
	cells[other].mark = 0;
	fill(at(other), cells[other].tag, 0);
	if (damage == DAMAGE_FLIP)
		((char *)at(page))[1234] ^= 4;
	else if (damage == DAMAGE_TAIL)
		((u64 *)at(page + 1))[-1]++;
	else if (damage == DAMAGE_LOST)
		madvise(at(page), page_size, MADV_DONTNEED);
	else if (damage == DAMAGE_SWAPPED)
		memcpy(at(page), at(other), page_size);
	else if (damage == DAMAGE_UNMAPPED)
		munmap(at(page), page_size);
	else if (damage == DAMAGE_PROT)
		mprotect(at(page), page_size, PROT_READ);
	else if (damage == DAMAGE_MODEL)
		cells[page].tag += 3;
	else if (damage == DAMAGE_DEATH)
		kill(getpid(), SIGKILL);
	else if (damage == DAMAGE_HANG)
		hang(l);
}

static void damage_shared(struct lane *l)
{
	struct cell like = {
		.kind = SHARED, .object = SHMEM_SHARED, .prot = PROT_READ | PROT_WRITE,
	};

	if (mmap(at(8), page_size, like.prot, MAP_SHARED | MAP_FIXED, FIRST_FD + SHMEM_SHARED,
		 0) == MAP_FAILED)
		return;
	set_fresh(8, &like);
	write_page(l, 8);
	((char *)at(8))[100] ^= 1;
}

/* One process of the self-check does the damage; all others are well. */
static void self_check_damage(struct lane *l)
{
	if (ctl->opt.damage <= DAMAGE_NONE || add(&ctl->damaged, 1) != 1)
		return;
	if (ctl->opt.damage == DAMAGE_SHARED)
		damage_shared(l);
	else
		do_damage(l);
	check_all(l);
}

static void __noreturn leave(void)
{
	stop_companion();
	uffd_protect_end();
	munlockall();
	check_all(&main_lane);
	_exit(EXIT_DONE);
}

static void __noreturn live(void)
{
	struct lane *l = &main_lane;
	u32 end = below(&l->rng, one_in(&l->rng, 4) ? LIFE : SHORT_LIFE);

	while (l->step < end && get(&ctl->phase) == PHASE_RUN) {
		do_op(l);
		reap_all(NULL);
		if (l->step % CHECK_EVERY == 0)
			check_maps(l);
	}
	leave();
}

void __noreturn worker_main(u32 id)
{
	new_process(id);
	self_check_damage(&main_lane);
	live();
}

/* ---- the master: sees to it that there are always some processes ---- */

static void start_worker(void)
{
	u32 id = add(&ctl->serial, 1);
	pid_t pid;

	if (!room())
		return;
	pid = fork();
	if (!pid)
		worker_main(id);
	if (pid < 0)
		sub(&ctl->alive, 1);
}

void __noreturn master_main(void)
{
	bool any_left = true;

	while (get(&ctl->phase) == PHASE_RUN || any_left) {
		if (get(&ctl->alive) < ctl->opt.processes / 8 + 1)
			start_worker();
		else
			usleep(20000);
		reap_all(&any_left);
		if (get(&ctl->phase) != PHASE_RUN)
			usleep(20000);
	}
	_exit(EXIT_UNCOUNTED);
}
