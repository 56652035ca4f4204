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
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../kselftest.h"
#include "rmap_storm.h"

#define MASTER_ARG	"--master"
#define STORM_FD	63
#define LEAK_SLACK	32	/* objects of a slab that the rest of the system may add */
#define LEAK_TRIES	20	/* of half a second: the last objects go by RCU */
#define RECLAIM_TRIES	16
#define PATIENCE	600	/* seconds that the processes have to park, or to end */

struct storm *storm;
size_t page_size;

struct result {
	struct slabs before, peak, after;
	struct vm_counts start, end;
	struct pte_counts ptes;
	uint64_t peak_memory;
	uint64_t slab_peak_bytes;
	uint64_t leaked;		/* objects beyond the slack */
	double run_seconds;
	unsigned int stuck;
	unsigned int reclaims;
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

/*
 * The master is a fresh image inside the cgroup: were it a plain child, it would share
 * pages with the runner, which are not the cgroup's to reclaim.
 */
static void start_master(void)
{
	master = fork();
	if (master)
		return;
	if (sys_cgroup_join())
		execl("/proc/self/exe", "rmap_storm", MASTER_ARG, NULL);
	perror("# rmap_storm: cannot start the master");
	_exit(1);
}

/* ---- watching ---- */

static void sample(struct result *r)
{
	uint64_t memory = sys_cgroup_memory(), bytes = 0;
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

static void live_line(const struct result *r, const char *what, uint64_t started)
{
	struct vm_counts c;

	sys_vm_counts(&c);
	printf("live: %s %3.0f s  alive %u  forks %" PRIu64 "  out %" PRIu64 " MiB in %" PRIu64 " MiB  checked %" PRIu64 "k  mismatches %" PRIu64 "\n",
	       what, (now_ns() - started) / 1e9, get(&storm->alive),
	       get(&storm->forks),
	       ((c.swapped_out - r->start.swapped_out) * page_size) >> 20,
	       ((c.swapped_in - r->start.swapped_in) * page_size) >> 20,
	       get(&storm->checked) / 1000, get(&storm->mismatches));
}

static bool master_is_gone(void)
{
	return kill(master, 0);
}

static bool is_built(uint64_t started)
{
	(void)started;
	return get(&storm->alive) || master_is_gone();
}

static bool time_is_over(uint64_t started)
{
	return master_is_gone() ||
	       now_ns() - started >= storm->opt.seconds * 1000000000ull;
}

static bool all_parked(uint64_t started)
{
	(void)started;
	return get(&storm->parked) >= get(&storm->alive);
}

static bool all_gone(uint64_t started)
{
	unsigned int ignored = 0;

	(void)started;
	reap_children(&ignored);
	return !get(&storm->alive) && waitpid(-1, NULL, WNOHANG) < 0;
}

static bool watch(struct result *r, const char *what, bool (*done)(uint64_t started))
{
	uint64_t started = now_ns();
	uint64_t end = started + (storm->opt.seconds + PATIENCE) * 1000000000ull;
	unsigned int ignored = 0;

	for (unsigned int tick = 1; !done(started); tick++) {
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

/* Until nothing is left or nothing changes any more; what is left then is a miss. */
static void reclaim_all(struct result *r)
{
	struct pte_counts *c = &r->ptes;

	for (r->reclaims = 1; r->reclaims <= RECLAIM_TRIES; r->reclaims++) {
		sys_cgroup_reclaim();
		sys_count_ptes(c, &storm->window);
		printf("live: reclaimed %u times: %" PRIu64 " ptes swapped, %" PRIu64 " anonymous (%" PRIu64 " merged) and %" PRIu64 " of files present\n",
		       r->reclaims, c->swapped, c->present, c->present_ksm,
		       c->present_file);
		if (!c->present && !c->present_file)
			return;
		sys_drain();
		if (r->reclaims > 2)
			sys_ksm_full_scan();
	}
}

static uint64_t leaked(const struct slabs *before, const struct slabs *after)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < after->kinds && i < before->kinds; i++)
		if (after->slab[i].objects > before->slab[i].objects + LEAK_SLACK)
			n += after->slab[i].objects - before->slab[i].objects;
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

static void kill_all(void)
{
	sys_cgroup_kill();
	while (waitpid(-1, NULL, 0) > 0)
		;
}

static void run_storm(const struct storm_opt *opt, struct result *r)
{
	memset(r, 0, sizeof(*r));
	make_storm(opt);
	storm->plan = plan_digest();
	sys_slabs(&r->before, true);
	sys_vm_counts(&r->start);
	sys_ksm_start();
	start_master();
	watch(r, "build", is_built);
	watch(r, "storm", time_is_over);
	r->run_seconds = opt->seconds;

	enter(PHASE_PARK);
	if (watch(r, "parking", all_parked))
		reclaim_all(r);
	else
		r->stuck = get(&storm->alive) - get(&storm->parked);
	if (opt->damage == DAMAGE_LEAK)
		look_for_leaks(r);

	enter(PHASE_VERIFY);
	if (!watch(r, "verify", all_gone)) {
		r->stuck += get(&storm->alive);
		kill_all();
	}
	sys_ksm_stop();
	sys_vm_counts(&r->end);
	if (opt->damage != DAMAGE_LEAK)
		look_for_leaks(r);
}

/* ---- the report ---- */

static double mib(uint64_t bytes)
{
	return bytes / 1048576.0;
}

static uint64_t swapped_out(const struct result *r)
{
	return (r->end.swapped_out - r->start.swapped_out) * page_size;
}

static uint64_t swapped_in(const struct result *r)
{
	return (r->end.swapped_in - r->start.swapped_in) * page_size;
}

static double times_ram(uint64_t bytes)
{
	return (double)bytes / sys_ram_bytes();
}

/* The upper edge of the bucket in which the share of all forks is reached. */
static double fork_ms(double share)
{
	uint64_t n = 0;
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
	ksft_print_msg("  %-22s %10s %10s %10s %14s\n", "memory, KiB", "before",
		       "peak", "after", "objects more");
	for (unsigned int i = 0; i < r->after.kinds; i++)
		ksft_print_msg("    %-20s %10.0f %10.0f %10.0f %+14" PRId64 "\n",
			       r->after.slab[i].name,
			       r->before.slab[i].bytes / 1024.0,
			       r->peak.slab[i].bytes / 1024.0,
			       r->after.slab[i].bytes / 1024.0,
			       (int64_t)(r->after.slab[i].objects -
					 r->before.slab[i].objects));
	if (!r->after.kinds)
		ksft_print_msg("    unknown: /proc/slabinfo has no such slabs (root? slab_nomerge?)\n");
}

static void report_missed(const struct pte_counts *c)
{
	for (unsigned int i = 0; i < c->noted; i++)
		ksft_print_msg("missed: pid %d address %#" PRIxPTR ": page flags %#" PRIx64 ", mapcount %" PRIu64 "\n",
			       c->missed[i].pid, c->missed[i].addr, c->missed[i].flags,
			       c->missed[i].mapcount);
}

static void report(const struct result *r)
{
	const struct storm_opt *o = &storm->opt;

	ksft_print_msg("rmap storm: %u processes, depth %u, %u MiB on %.0f MiB of RAM, %u s, seed %" PRIu64 ", plan %016" PRIx64 "\n",
		       o->processes, o->depth, o->memory_mb, mib(sys_ram_bytes()),
		       o->seconds, o->seed, storm->plan);
	ksft_print_msg("  %-22s %" PRIu64 ", at most %u at once, depth %u\n",
		       "processes", storm->forks + 1, storm->peak_alive, storm->deepest);
	ksft_print_msg("  %-22s %.1f\n", "forks per second",
		       storm->forks / r->run_seconds);
	ksft_print_msg("  %-22s median %.1f, 99 %% %.1f of cpu time; longest with all waiting %.1f\n",
		       "fork, ms", fork_ms(0.5), fork_ms(0.99), storm->fork_max_ns / 1e6);
	ksft_print_msg("  %-22s %.0f MiB resident and swapped (%.1f x RAM)\n",
		       "memory at the peak", mib(r->peak_memory),
		       times_ram(r->peak_memory));
	ksft_print_msg("  %-22s %" PRIu64 " pages, %.1f x RAM\n", "swapped out",
		       swapped_out(r) / page_size, times_ram(swapped_out(r)));
	ksft_print_msg("  %-22s %" PRIu64 " pages, %.1f x RAM\n", "swapped in",
		       swapped_in(r) / page_size, times_ram(swapped_in(r)));
	ksft_print_msg("  %-22s %" PRIu64 " (moved %" PRIu64 ", touched in races %" PRIu64 ")\n",
		       "pages written", storm->written, storm->moved, storm->touched);
	ksft_print_msg("  %-22s %" PRIu64 "\n", "pages checked", storm->checked);
	ksft_print_msg("  %-22s %" PRIu64 "\n", "mismatches", storm->mismatches);
	ksft_print_msg("  %-22s %" PRIu64 " errors, %" PRIu64 " killed, %u stuck, %" PRIu64 " calls refused for want of memory\n",
		       "failures", storm->errors, storm->killed, r->stuck,
		       storm->refused);
	report_slabs(r);
	ksft_print_msg("  %-22s %u processes asleep: %" PRIu64 " ptes swapped, %" PRIu64 " present (%" PRIu64 " of files), %" PRIu64 " zero page\n",
		       "after reclaim", r->ptes.processes, r->ptes.swapped,
		       r->ptes.present + r->ptes.present_file, r->ptes.present_file,
		       r->ptes.zero);
	report_missed(&r->ptes);
}

static void json_slabs(const char *name, const struct slabs *s)
{
	printf("  \"%s\": {", name);
	for (unsigned int i = 0; i < s->kinds; i++)
		printf("%s\"%s\": {\"bytes\": %" PRIu64 ", \"objects\": %" PRIu64 ", \"object_size\": %" PRIu64 "}",
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
	json_number("seconds", storm->opt.seconds);
	printf("  \"plan\": \"%016" PRIx64 "\",\n", storm->plan);
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
"  --seed N        the plan: the same seed is the same plan (%" PRIu64 ")\n"
"  --dir DIR       where the privately mapped file is made (%s)\n"
"  --turnover N    fail if less than N times the RAM was swapped out (%u)\n"
"  --json          print the figures once more, as JSON\n"
"  --self-check    show that each check fails when it should, and stop\n"
"Must be root, with cgroup v2 on /sys/fs/cgroup and swap that holds all the memory.\n";

static void show_usage(FILE *to)
{
	fprintf(to, usage, defaults.processes, defaults.depth, defaults.breadth,
		defaults.memory_mb, defaults.seconds, defaults.seed, defaults.dir,
		defaults.turnover);
}

static unsigned long number(const char *name, const char *text, unsigned long min,
			    unsigned long max)
{
	char *end;
	unsigned long n = strtoul(text, &end, 0);

	if (*text && *text != '-' && !*end && n >= min && n <= max)
		return n;
	fprintf(stderr, "rmap_storm: --%s %s: a number from %lu to %lu is needed\n",
		name, text, min, max);
	exit(KSFT_FAIL);
}

static const struct option options[] = {
	{ "processes", required_argument, NULL, 'p' },
	{ "depth", required_argument, NULL, 'd' },
	{ "breadth", required_argument, NULL, 'b' },
	{ "memory", required_argument, NULL, 'm' },
	{ "seconds", required_argument, NULL, 's' },
	{ "seed", required_argument, NULL, 'r' },
	{ "dir", required_argument, NULL, 'f' },
	{ "turnover", required_argument, NULL, 't' },
	{ "json", no_argument, NULL, 'j' },
	{ "self-check", no_argument, NULL, 'c' },
	{ "help", no_argument, NULL, 'h' },
	{ }
};

static void set_option(int c, const char *name)
{
	struct storm_opt *o = &defaults;

	switch (c) {
	case 'p':
		o->processes = number(name, optarg, 1, 20000);
		break;
	case 'd':
		o->depth = number(name, optarg, 1, 20);
		break;
	case 'b':
		o->breadth = number(name, optarg, 1, 20000);
		break;
	case 'm':
		o->memory_mb = number(name, optarg, 1, 1 << 20);
		break;
	case 's':
		o->seconds = number(name, optarg, 1, 1000000);
		break;
	case 'r':
		o->seed = number(name, optarg, 0, ULONG_MAX);
		break;
	case 't':
		o->turnover = number(name, optarg, 0, 1000);
		break;
	case 'f':
		snprintf(o->dir, sizeof(o->dir), "%s", optarg);
		break;
	case 'j':
		want_json = true;
		break;
	case 'c':
		want_self_check = true;
		break;
	case 'h':
		show_usage(stdout);
		exit(KSFT_PASS);
	default:
		show_usage(stderr);
		exit(KSFT_FAIL);
	}
}

static void parse_options(int argc, char **argv)
{
	int c, index = 0;

	while ((c = getopt_long(argc, argv, "", options, &index)) != -1)
		set_option(c, options[index].name);
	if (optind < argc) {
		show_usage(stderr);
		exit(KSFT_FAIL);
	}
}

int main(int argc, char **argv)
{
	page_size = sysconf(_SC_PAGESIZE);
	if (argc == 2 && !strcmp(argv[1], MASTER_ARG)) {
		map_storm();
		master_main();
	}
	parse_options(argc, argv);

	ksft_print_header();
	if (geteuid())
		ksft_exit_skip("must be root\n");
	if (!sys_cgroup_make())
		ksft_exit_skip("no cgroup v2 with memory.reclaim on /sys/fs/cgroup\n");
	if (sys_swap_bytes() >> 20 < defaults.memory_mb)
		ksft_exit_skip("swap of %u MiB is needed\n", defaults.memory_mb);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (want_self_check)
		self_check();
	else
		storm_test();
	sys_cgroup_remove();
	ksft_finished();
}
