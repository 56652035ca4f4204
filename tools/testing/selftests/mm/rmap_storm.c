// SPDX-License-Identifier: GPL-2.0
/*
 * A storm of forks and swap, to find a reverse map that misses a page table
 * entry, finds one too many, or leaks.
 *
 * A master builds a heap of many kinds of vma and forks a tree of processes. They
 * write, read, fork, move, unmap and protect pieces of it, and exit, while their
 * memory goes out to swap and comes back. Each page says who wrote it, where
 * and when, and each process knows what copy-on-write says that it must see. In the
 * end all of them sleep, the cgroup is reclaimed, and every page table entry that
 * is still there is one that the reverse map has missed.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rmap_storm.h"

#define STORM_FD	63
#define LEAK_TRIES	20	/* of half a second: the last objects go by RCU */
#define RECLAIM_TRIES	8	/* without any change, before what is left counts as missed */
#define AGING_US	1000000
#define EXTRA_TIME	4	/* times the seconds, at most, to reach the turnover */
#define PATIENCE	600	/* seconds that the processes have to park, or to end */

struct storm *storm;

struct result {
	struct slabs before, peak, after;
	struct vm_counts start, end;
	struct pte_counts ptes;
	u64 peak_memory;
	u64 slab_peak_bytes;
	u64 leaked;		/* objects beyond the slack */
	double run_seconds;
	unsigned int stuck;
};

static pid_t master;
static bool want_json;
static bool want_self_check;

static struct storm_opt defaults = {
	.processes = 32,
	.depth = 6,
	.breadth = 6,
	.memory_mb = 64,
	.seconds = 10,
	.seed = 1,
	.dir = "/tmp",
};

/* ---- the shared page and the master ---- */

static void map_storm(void)
{
	storm = mmap(NULL, sizeof(*storm), PROT_READ | PROT_WRITE, MAP_SHARED,
		     STORM_FD, 0);
	if (storm == MAP_FAILED)
		ksft_exit_fail_perror("mmap of the shared page");
}

static void make_storm(const struct storm_opt *opt)
{
	int fd = memfd_create("rmap_storm", 0);

	if (fd < 0 || ftruncate(fd, sizeof(*storm)) || dup2(fd, STORM_FD) < 0)
		ksft_exit_fail_perror("shared page");
	close(fd);
	if (storm)
		munmap(storm, sizeof(*storm));
	map_storm();
	storm->opt = *opt;
}

static void start_master(void)
{
	master = fork();
	if (master)
		return;
	exec_master("rmap_storm");
	_exit(1);
}

/*
 * The youngest pages grow older once all page tables have been walked. While a task that
 * walks the last of them waits for a processor, no other finds anything to reclaim, and
 * the OOM killer comes beside free swap. So there are older pages before memory is short.
 * In a process of its own: where all is slow, a reclaim lasts for minutes.
 */
static void start_aging(void)
{
	if (fork())
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (get(&storm->phase) == PHASE_RUN) {
		usleep(AGING_US);
		write_text(CGROUP "/memory.reclaim", "1M");
	}
	_exit(0);
}

/* ---- watching ---- */

static void sample(struct result *r)
{
	u64 memory = sys_cgroup_memory(), bytes = 0;
	struct slabs now;

	if (memory > r->peak_memory)
		r->peak_memory = memory;
	if (!sys_slabs(&now, false))
		return;
	for (unsigned int i = 0; i < now.kinds; i++)
		bytes += now.slab[i].bytes;
	if (bytes <= r->slab_peak_bytes)
		return;
	r->slab_peak_bytes = bytes;
	r->peak = now;
}

static u64 pages_to_mib(u64 n)
{
	return (n * page_size) >> 20;
}

static void live_line(const struct result *r, const char *what, u64 started)
{
	struct vm_counts c;

	sys_vm_counts(&c);
	printf("live: %s %.0f s, alive %u, forks %llu, MiB swapped out %llu in %llu, ", what,
	       (now_ns() - started) / 1e9, get(&storm->alive), get(&storm->forks),
	       pages_to_mib(c.swapped_out - r->start.swapped_out),
	       pages_to_mib(c.swapped_in - r->start.swapped_in));
	printf("checked %lluk, mismatches %llu\n", get(&storm->checked) / 1000,
	       get(&storm->mismatches));
}

static bool master_is_gone(void)
{
	return kill(master, 0);
}

static bool is_built(const struct result *r, u64 started)
{
	(void)r;
	(void)started;
	return get(&storm->alive) || master_is_gone();
}

static double times_ram(u64 bytes)
{
	return (double)bytes / sys_ram_bytes();
}

static u64 swapped_out_since(const struct vm_counts *start)
{
	struct vm_counts now;

	sys_vm_counts(&now);
	return (now.swapped_out - start->swapped_out) * page_size;
}

static bool time_is_over(const struct result *r, u64 started)
{
	u64 least = storm->opt.seconds * 1000000000ull;
	u64 now = now_ns() - started;

	/* What has failed need not go on. */
	if (get(&storm->killed))
		return true;
	if (now < least)
		return master_is_gone();
	return now > EXTRA_TIME * least || master_is_gone() ||
	       times_ram(swapped_out_since(&r->start)) >= storm->opt.turnover;
}

/*
 * Not by the count of those alive: who has been killed takes himself out of that only
 * when his parent reaps him, which may be parked.
 */
static bool all_parked(const struct result *r, u64 started)
{
	(void)r;
	(void)started;
	return get(&storm->parked) >= sys_cgroup_processes();
}

static bool all_gone(const struct result *r, u64 started)
{
	unsigned int ignored = 0;

	(void)r;
	(void)started;
	return !reap_children(&ignored) && !sys_cgroup_processes();
}

static bool watch(struct result *r, const char *what,
		  bool (*done)(const struct result *r, u64 started))
{
	u64 started = now_ns();
	u64 end = started + (EXTRA_TIME * storm->opt.seconds + PATIENCE) *
				 1000000000ull;
	unsigned int ignored = 0;

	for (unsigned int tick = 1; !done(r, started); tick++) {
		if (now_ns() > end)
			return false;
		usleep(200000);
		reap_children(&ignored);
		if (tick % 5 == 0)
			sample(r);
		if (tick % 10 == 0)
			live_line(r, what, started);
	}
	return true;
}

static void enter(enum phase phase)
{
	put(&storm->phase, phase);
	syscall(SYS_futex, &storm->phase, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* ---- the end ---- */

/*
 * KSM turns a page into a merged one before it knows whether the second page can be
 * merged into it. If that fails, it takes the first one back in the process that it
 * came from, but not in others that share it by fork. Nobody can find that page: it is
 * in no list of KSM, and alone with its contents. So if KSM says that it knows of no
 * merged page, what is left is not held against the reverse map.
 */
static bool only_lost_pages(const struct pte_counts *c)
{
	return c->present == c->present_ksm && !c->present_file && !sys_ksm_knows_any();
}

/* Until nothing is left or nothing changes any more; what is left then is a miss. */
static void reclaim_all(struct result *r)
{
	struct pte_counts *c = &r->ptes;
	u64 left = ULLONG_MAX;

	for (int tries = 0; tries < RECLAIM_TRIES; tries++) {
		sys_cgroup_reclaim();
		sys_count_ptes(c, &storm->window);
		printf("live: reclaim: %llu ptes swapped, %llu present, %llu merged, %llu files\n",
		       c->swapped, c->present - c->present_ksm, c->present_ksm,
		       c->present_file);
		if (!c->present && !c->present_file)
			return;
		if (c->present + c->present_file < left)
			tries = 0;
		left = c->present + c->present_file;
		sys_drain();
		if (c->present_ksm)
			sys_ksm_full_scan();
		if (tries > 1 && only_lost_pages(c)) {
			c->lost_by_ksm = c->present_ksm;
			c->present_ksm = 0;
			c->present = 0;
			c->noted = 0;
			return;
		}
	}
}

static u64 leaked(const struct slabs *before, const struct slabs *after)
{
	u64 n = 0;

	for (unsigned int i = 0; i < after->kinds && i < before->kinds; i++)
		n += leaked_objects(before->slab[i].objects, after->slab[i].objects);
	return n;
}

static void look_for_leaks(struct result *r)
{
	for (int n = 0; n < LEAK_TRIES; n++) {
		if (!sys_slabs(&r->after, true))
			return;
		r->leaked = leaked(&r->before, &r->after);
		if (!r->leaked)
			return;
		usleep(500000);
	}
}

static void run_storm(const struct storm_opt *opt, struct result *r)
{
	u64 started;

	memset(r, 0, sizeof(*r));
	make_storm(opt);
	storm->plan = plan_digest();
	sys_slabs(&r->before, true);
	sys_vm_counts(&r->start);
	sys_ksm_start();
	if (opt->failslab && !failslab(opt->failslab))
		ksft_exit_skip("no failslab in this kernel\n");
	start_master();
	start_aging();
	watch(r, "build", is_built);
	started = now_ns();
	watch(r, "storm", time_is_over);
	r->run_seconds = (now_ns() - started) / 1e9;

	if (opt->failslab)
		failslab(0);
	enter(PHASE_PARK);
	if (watch(r, "parking", all_parked))
		reclaim_all(r);
	else
		r->stuck = sys_cgroup_processes() - get(&storm->parked);
	if (opt->damage == DAMAGE_LEAK)
		look_for_leaks(r);

	enter(PHASE_VERIFY);
	if (!watch(r, "verify", all_gone)) {
		r->stuck += sys_cgroup_processes();
		cgroup_kill();
	}
	sys_ksm_stop();
	sys_vm_counts(&r->end);
	if (opt->damage != DAMAGE_LEAK)
		look_for_leaks(r);
}

/* ---- the report ---- */

static double mib(u64 bytes)
{
	return bytes / 1048576.0;
}

static u64 swapped_out(const struct result *r)
{
	return (r->end.swapped_out - r->start.swapped_out) * page_size;
}

static u64 swapped_in(const struct result *r)
{
	return (r->end.swapped_in - r->start.swapped_in) * page_size;
}

/* The upper edge of the bucket in which the share of all forks is reached. */
static double fork_ms(double share)
{
	u64 n = 0;
	unsigned int b;

	for (b = 0; b < HIST_BUCKETS - 1; b++) {
		n += storm->fork_hist[b];
		if (n >= share * storm->forks)
			break;
	}
	return ((HIST_STEPS + b % HIST_STEPS + 1ull) << (b / HIST_STEPS)) / 1e6;
}

static void report_slabs(const struct result *r)
{
	row("memory, KiB", "%10s %10s %10s %14s", "before", "peak", "after", "objects more");
	for (unsigned int i = 0; i < r->after.kinds; i++)
		row(r->after.slab[i].name, "%10.0f %10.0f %10.0f %+14lld",
		    r->before.slab[i].bytes / 1024.0, r->peak.slab[i].bytes / 1024.0,
		    r->after.slab[i].bytes / 1024.0,
		    (long long)(r->after.slab[i].objects - r->before.slab[i].objects));
	if (!r->after.kinds)
		row("", "unknown: not in /proc/slabinfo (booted with slab_nomerge?)");
}

static void report_ptes(const struct pte_counts *c)
{
	row("after reclaim", "%u processes asleep, %llu ptes swapped, %llu present",
	    c->processes, c->swapped, c->present + c->present_file);
	row("  of these", "%llu anonymous, %llu merged by KSM, %llu of files",
	    c->present - c->present_ksm, c->present_ksm, c->present_file);
	row("  not counted", "%llu zero page, %llu lost by KSM, %llu of pages mapped over %u times",
	    c->zero, c->lost_by_ksm, c->too_shared, MANY);
	for (unsigned int i = 0; i < c->noted; i++)
		row("  missed", "pid %d at %#lx: page flags %#llx, mapcount %llu, cgroup %llu",
		    c->missed[i].pid, c->missed[i].addr, c->missed[i].flags,
		    c->missed[i].mapcount, c->missed[i].cgroup);
}

static void report(const struct result *r)
{
	const struct storm_opt *o = &storm->opt;

	printf("# rmap storm: up to %u MiB on %.0f MiB of RAM, %.0f s, seed %llu, plan %016llx\n",
	       o->memory_mb, mib(sys_ram_bytes()), r->run_seconds, o->seed, storm->plan);
	row("processes", "%llu, at most %llu at once, depth %llu", storm->forks + 1,
	    storm->peak_alive, storm->deepest);
	row("forks per second", "%.1f", storm->forks / r->run_seconds);
	row("cpu ms of a fork", "%.1f median, %.1f for 99 %% of them", fork_ms(0.5),
	    fork_ms(0.99));
	row("longest fork, ms", "%.1f with all its waiting", storm->fork_max_ns / 1e6);
	row("memory at the peak", "%.0f MiB resident and swapped, %.1f x RAM",
	    mib(r->peak_memory), times_ram(r->peak_memory));
	row("pages swapped out", "%llu, %.1f x RAM", swapped_out(r) / page_size,
	    times_ram(swapped_out(r)));
	row("pages swapped in", "%llu, %.1f x RAM", swapped_in(r) / page_size,
	    times_ram(swapped_in(r)));
	row("pages written", "%llu", storm->written);
	row("pages moved", "%llu", storm->moved);
	row("racing faults", "%llu", storm->touched);
	row("pages checked", "%llu", storm->checked);
	row("mismatches", "%llu", storm->mismatches);
	row("failures", "%llu errors, %llu killed, %u stuck; %llu calls refused for lack of memory",
	    storm->errors, storm->killed, r->stuck, storm->refused);
	report_slabs(r);
	report_ptes(&r->ptes);
}

static void json_slabs(const char *name, const struct slabs *s)
{
	printf("  \"%s\": {", name);
	for (unsigned int i = 0; i < s->kinds; i++)
		printf("%s\"%s\": {\"bytes\": %llu, \"objects\": %llu, \"size\": %llu}",
		       i ? ", " : "", s->slab[i].name, s->slab[i].bytes,
		       s->slab[i].objects, s->slab[i].object_size);
	printf("},\n");
}

static void json_number(const char *name, double n)
{
	printf("  \"%s\": %.15g,\n", name, n);
}

static void print_json(const struct result *r, bool passed)
{
	printf("JSON-BEGIN storm\n{\n");
	json_number("seed", storm->opt.seed);
	json_number("processes_wanted", storm->opt.processes);
	json_number("depth", storm->deepest);
	json_number("memory_mib", storm->opt.memory_mb);
	json_number("seconds", r->run_seconds);
	printf("  \"plan\": \"%016llx\",\n", storm->plan);
	json_number("processes", storm->forks + 1);
	json_number("peak_alive", storm->peak_alive);
	json_number("forks_per_second", storm->forks / r->run_seconds);
	json_number("fork_cpu_ms_median", fork_ms(0.5));
	json_number("fork_cpu_ms_p99", fork_ms(0.99));
	json_number("fork_ms_longest", storm->fork_max_ns / 1e6);
	json_number("ram_bytes", sys_ram_bytes());
	json_number("peak_memory_bytes", r->peak_memory);
	json_number("pages_out", swapped_out(r) / page_size);
	json_number("pages_in", swapped_in(r) / page_size);
	json_number("pages_written", storm->written);
	json_number("pages_checked", storm->checked);
	json_number("mismatches", storm->mismatches);
	json_number("errors", storm->errors);
	json_number("killed", storm->killed);
	json_number("stuck", r->stuck);
	json_number("refused", storm->refused);
	json_slabs("slabs_before", &r->before);
	json_slabs("slabs_peak", &r->peak);
	json_slabs("slabs_after", &r->after);
	json_number("objects_leaked", r->leaked);
	json_number("ptes_swapped", r->ptes.swapped);
	json_number("ptes_present", r->ptes.present);
	json_number("ptes_lost_by_ksm", r->ptes.lost_by_ksm);
	json_number("ptes_present_file", r->ptes.present_file);
	printf("  \"passed\": %s\n}\nJSON-END\n", passed ? "true" : "false");
}

static void verdict(const struct result *r)
{
	const struct storm_opt *o = &storm->opt;

	ksft_test_result(!storm->mismatches && storm->checked,
			 "every page holds what copy-on-write says\n");
	ksft_test_result(!storm->errors && !storm->killed && !r->stuck,
			 "no call failed, no process was killed or stuck\n");
	ksft_test_result(storm->peak_alive >= o->processes,
			 "%u processes were alive at once\n", o->processes);
	ksft_test_result(times_ram(swapped_out(r)) >= o->turnover && swapped_out(r),
			 "at least %u x RAM went through swap\n", o->turnover);
	ksft_test_result(r->ptes.processes && !r->ptes.present && !r->ptes.present_file,
			 "no pte is present after reclaim\n");
	if (r->after.kinds)
		ksft_test_result(!r->leaked, "no more than %u objects of a slab are left\n",
				 LEAK_SLACK);
	else
		ksft_test_result_skip("slabs: not to be seen in /proc/slabinfo\n");
}

static void storm_test(void)
{
	struct result r;

	ksft_set_plan(6);
	run_storm(&defaults, &r);
	report(&r);
	verdict(&r);
	if (want_json)
		print_json(&r, !ksft_get_fail_cnt());
}

/* ---- the self-check: each kind of damage must be found, and nothing else ---- */

static void self_check(void)
{
	static const char * const names[DAMAGE_KINDS] = {
		[DAMAGE_NONE] = "a family in which all is well",
		[DAMAGE_FLIP] = "a flipped bit",
		[DAMAGE_SHARED] = "a page that is not copied on write",
		[DAMAGE_PINNED] = "a page that reclaim cannot unmap",
		[DAMAGE_LEAK] = "objects that are not freed",
		[DAMAGE_DEATH] = "a process that is killed",
	};
	struct result r;

	ksft_set_plan(DAMAGE_KINDS - DAMAGE_NONE);
	for (enum damage d = DAMAGE_NONE; d < DAMAGE_KINDS; d++) {
		struct storm_opt opt = defaults;
		bool right;

		opt.damage = d;
		opt.seconds = 1;
		run_storm(&opt, &r);
		right = !r.stuck && !storm->errors && storm->checked &&
			!!storm->mismatches == (d == DAMAGE_FLIP || d == DAMAGE_SHARED) &&
			!!r.ptes.present == (d == DAMAGE_PINNED) && r.ptes.swapped &&
			!!r.leaked == (d == DAMAGE_LEAK) &&
			!!storm->killed == (d == DAMAGE_DEATH);
		if (!right)
			report(&r);
		ksft_test_result(right, "self-check: %s\n", names[d]);
	}
}

/* ---- options ---- */

static const char usage[] =
"usage: rmap_storm [options]\n"
"  --processes N   processes alive at once (%u)\n"
"  --depth N       generations below the master (%u)\n"
"  --breadth N     children of one process at once (%u)\n"
"  --memory MIB    what all heaps together can grow to (%u)\n"
"  --seconds N     how long the storm lasts; reclaim and the last check follow (%u)\n"
"  --seed N        the plan: the same seed is the same plan (%llu)\n"
"  --dir DIR       where the privately mapped file is made (%s)\n"
"  --turnover N    go on, up to %u times as long, until N times the RAM was\n"
"                  swapped out, and fail if it was not (%u)\n"
"  --failslab N    let so many percent of the slab allocations of the heaps fail (0)\n"
"  --json          print the figures once more, as JSON\n"
"  --self-check    show that each check fails when it should, and stop\n"
"Must be root, with cgroup v2 on /sys/fs/cgroup and swap that holds all the memory.\n";

static void show_usage(FILE *to)
{
	fprintf(to, usage, defaults.processes, defaults.depth, defaults.breadth,
		defaults.memory_mb, defaults.seconds, defaults.seed, defaults.dir,
		EXTRA_TIME, defaults.turnover);
}

static const struct setting settings[] = {
	{ "processes", 1, 20000, .number = &defaults.processes },
	{ "depth", 1, 20, .number = &defaults.depth },
	{ "breadth", 1, 20000, .number = &defaults.breadth },
	{ "memory", 1, 1 << 20, .number = &defaults.memory_mb },
	{ "seconds", 1, 1000000, .number = &defaults.seconds },
	{ "seed", 0, ULLONG_MAX, .big_number = &defaults.seed },
	{ "dir", .path = defaults.dir },
	{ "turnover", 0, 1000, .number = &defaults.turnover },
	{ "failslab", 0, 100, .number = &defaults.failslab },
	{ "json", .flag = &want_json },
	{ "self-check", .flag = &want_self_check },
	{ }
};

int main(int argc, char **argv)
{
	page_size = sysconf(_SC_PAGESIZE);
	if (argc == 2 && !strcmp(argv[1], MASTER_ARG)) {
		map_storm();
		master_main();
	}
	parse_options(argc, argv, settings, show_usage);

	ksft_print_header();
	if (geteuid())
		ksft_exit_skip("must be root\n");
	if (!cgroup_make())
		ksft_exit_skip("no cgroup v2 with memory.reclaim on /sys/fs/cgroup\n");
	if (sys_swap_bytes() >> 20 < defaults.memory_mb)
		ksft_exit_skip("swap of %u MiB is needed\n", defaults.memory_mb);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (want_self_check)
		self_check();
	else
		storm_test();
	cgroup_remove();
	ksft_finished();
}
