// SPDX-License-Identifier: GPL-2.0
/*
 * Random system calls on memory, from many processes, with every page checked.
 *
 * Each process knows what each of its pages must hold and how it is mapped, and looks
 * again and again. Meanwhile all of them are reclaimed, swapped, merged, migrated and
 * taken offline from outside. The same seed gives each process the same operations; how
 * they mix is up to the scheduler.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rmap_fuzz.h"

#define WORKER_ARG	"--worker"
#define LEAK_TRIES	30	/* of half a second: the last objects go by RCU */
#define HUGE_POOL	6	/* pages of 2 MiB */
#define LONG_RUN	10	/* seconds, in which all that is frequent happens */
#define TRIES		10	/* of which not each may fail */

struct ctl *ctl;

static struct fuzz_opt defaults = {
	.processes = 12,
	.memory_mb = 192,
	.seconds = 10,
	.patience = 180,
	.offline = 64,
	.seed = 1,
	.dir = "/tmp",
};

struct result {
	struct slabs before, after;
	u64 swapped_out, swapped_in;
	u64 leaked;
	double seconds;
	u32 stuck;
};

static bool want_self_check;
static pid_t weather;

/* ---- what all processes share ---- */

static void map_ctl(void)
{
	ctl = mmap(NULL, sizeof(*ctl), PROT_READ | PROT_WRITE, MAP_SHARED, CTL_FD, 0);
	if (ctl == MAP_FAILED)
		ksft_exit_fail_perror("mmap of the control page");
}

static void put_fd(int fd, int to, size_t size)
{
	if (fd < 0 || ftruncate(fd, size) || dup2(fd, to) < 0)
		ksft_exit_fail_perror("shared file");
	close(fd);
}

static void make_ctl(const struct fuzz_opt *opt)
{
	if (ctl)
		munmap(ctl, sizeof(*ctl));
	put_fd(memfd_create("rmap_fuzz", 0), CTL_FD, sizeof(*ctl));
	map_ctl();
	ctl->opt = *opt;
	ctl->arena_pages = (((u64)opt->memory_mb << 20) / page_size / opt->processes) &
			   ~(HUGE_PAGES - 1);
	if (ctl->arena_pages < 2 * HUGE_PAGES)
		ctl->arena_pages = 2 * HUGE_PAGES;
	if (ctl->arena_pages > ARENA_MAX)
		ctl->arena_pages = ARENA_MAX;
}

static int disk_file(const char *name)
{
	char path[PATH_LEN + 32];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", ctl->opt.dir, name);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	unlink(path);
	return fd;
}

/* Every block of a disk file gets its place now: writeback could not tell us of failures. */
static void fill_object(u32 object, bool constant)
{
	static u64 page[MAX_PAGE / sizeof(u64)];

	for (u32 i = 0; i < OBJECT_PAGES; i++) {
		u64 tag = file_tag(object, i);

		fill(page, tag, word_of(tag, 0));
		if (pwrite(FIRST_FD + object, page, page_size, bytes(i)) != (ssize_t)page_size)
			ksft_exit_fail_perror("write of a shared file");
		if (!constant) {
			ctl->shared[object][i].tag = tag;
			ctl->shared[object][i].mark = word_of(tag, 0);
		}
	}
}

static void make_objects(void)
{
	int huge;

	put_fd(disk_file("rmap_fuzz.const"), FIRST_FD + DISK_CONST, bytes(OBJECT_PAGES));
	put_fd(memfd_create("const", 0), FIRST_FD + SHMEM_CONST, bytes(OBJECT_PAGES));
	put_fd(disk_file("rmap_fuzz.shared"), FIRST_FD + DISK_SHARED, bytes(OBJECT_PAGES));
	put_fd(memfd_create("shared", 0), FIRST_FD + SHMEM_SHARED, bytes(OBJECT_PAGES));
	huge = memfd_create("huge", MFD_HUGETLB);
	if (huge >= 0)		/* not every machine has such pages */
		put_fd(huge, FIRST_FD + HUGE_SHARED, bytes(HUGE_PAGES));
	fill_object(DISK_CONST, true);
	fill_object(SHMEM_CONST, true);
	fill_object(DISK_SHARED, false);
	fill_object(SHMEM_SHARED, false);
}

static void close_objects(void)
{
	for (int fd = FIRST_FD; fd < FIRST_FD + OBJECTS; fd++)
		close(fd);
}

/* ---- the run ---- */

static void start_master(void)
{
	if (fork())
		return;
	exec_master("rmap_fuzz");
	_exit(EXIT_UNCOUNTED);
}

static void start_weather(void)
{
	if (ctl->opt.calm)
		return;
	weather = fork();
	if (!weather)
		weather_main();
}

static void live_line(u64 started)
{
	printf("live: %.0f s, alive %u, ops %llu, checked %lluk, forks %llu, pages out %llu, ",
	       (now_ns() - started) / 1e9, get(&ctl->alive), get(&ctl->ops),
	       get(&ctl->checked) / 1000, get(&ctl->forks),
	       read_key("/proc/vmstat", "pswpout"));
	printf("refused %llu, mismatches %llu\n", get(&ctl->no_memory), get(&ctl->mismatches));
	fflush(stdout);
}

static bool is_over(u64 started)
{
	return now_ns() - started >= ctl->opt.seconds * 1000000000ull ||
	       (ctl->opt.ops && get(&ctl->ops) >= ctl->opt.ops) ||
	       get(&ctl->phase) != PHASE_RUN;
}

/* What each of them waits for, for whoever has to find out. */
static void show_stuck(void)
{
	pid_t pids[32];
	u32 n = cgroup_pids(pids, 32);
	char path[64], text[2048];

	printf("# stuck: %u processes did nothing for %u s\n", n, ctl->opt.patience);
	for (u32 i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "/proc/%d/stack", pids[i]);
		if (read_text(path, text, sizeof(text)) > 0)
			printf("# pid %d:\n%s", pids[i], text);
		snprintf(path, sizeof(path), "/proc/%d/stat", pids[i]);
		if (read_text(path, text, sizeof(text)) > 0)
			printf("# %s", text);
	}
	snprintf(path, sizeof(path), "/proc/%d/stack", weather);
	if (weather && read_text(path, text, sizeof(text)) > 0)
		printf("# weather, pid %d:\n%s", weather, text);
	fflush(stdout);
	write_text("/proc/sysrq-trigger", "w");
}

/* Until nobody is left; false if for too long nothing goes on. */
static bool watch(struct result *r, u64 started)
{
	u64 last = 0, since = now_ns();
	bool any_left = true;

	for (u32 tick = 1; any_left; tick++) {
		u64 now = get(&ctl->ops) + get(&ctl->checked);

		if (get(&ctl->phase) == PHASE_RUN && is_over(started)) {
			put(&ctl->phase, PHASE_END);
			r->seconds = (now_ns() - started) / 1e9;
		}
		if (now != last)
			since = now_ns();
		last = now;
		if (now_ns() - since > ctl->opt.patience * 1000000000ull)
			return false;
		usleep(200000);
		reap_all(&any_left);
		if (tick % 25 == 0)
			live_line(started);
	}
	return true;
}

static void end_stuck(struct result *r)
{
	show_stuck();
	put(&ctl->phase, PHASE_END);
	r->stuck = get(&ctl->alive);
	inject_stop();
	cgroup_kill();
}

static void look_for_leaks(struct result *r)
{
	for (int n = 0; n < LEAK_TRIES; n++) {
		read_slabs(&r->after);
		r->leaked = leaked_objects(r->before.vmas, r->after.vmas) +
			    leaked_objects(r->before.anon_vmas, r->after.anon_vmas);
		if (!r->leaked)
			return;
		usleep(500000);
	}
}

/* Mappings and a node of each of a few children that stay, for the self-check. */
static pid_t leave_some_behind(void)
{
	pid_t pid = fork();

	if (pid) {
		waitpid(pid, NULL, WUNTRACED);
		return pid;
	}
	for (int i = 0; i < 4 * LEAK_SLACK; i++) {
		int prot = PROT_READ | (i % 2 ? PROT_WRITE : 0);

		mmap(NULL, page_size, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	}
	raise(SIGSTOP);
	_exit(EXIT_UNCOUNTED);
}

static void run_fuzz(const struct fuzz_opt *opt, struct result *r)
{
	u64 started, out = read_key("/proc/vmstat", "pswpout"),
	    in = read_key("/proc/vmstat", "pswpin");
	pid_t left = 0;

	memset(r, 0, sizeof(*r));
	make_ctl(opt);
	write_number("/proc/sys/vm/nr_hugepages", HUGE_POOL);
	make_objects();
	read_slabs(&r->before);
	if (opt->failslab && !failslab(opt->failslab))
		ksft_exit_skip("no failslab in this kernel\n");
	started = now_ns();
	start_weather();
	start_master();
	if (!watch(r, started))
		end_stuck(r);
	inject_stop();
	close_objects();
	write_number("/proc/sys/vm/nr_hugepages", 0);
	write_text(KSM "run", "2");
	if (opt->damage == DAMAGE_LEAK)
		left = leave_some_behind();
	look_for_leaks(r);
	if (left) {
		kill(left, SIGKILL);
		waitpid(left, NULL, 0);
	}
	write_text(KSM "run", "0");
	r->swapped_out = read_key("/proc/vmstat", "pswpout") - out;
	r->swapped_in = read_key("/proc/vmstat", "pswpin") - in;
}

/* ---- the report ---- */

static void report(const struct result *r)
{
	const struct fuzz_opt *o = &ctl->opt;

	printf("# rmap fuzz: %.0f s, seed %llu, %u processes of %u pages, failslab %u %%\n",
	       r->seconds, o->seed, o->processes, ctl->arena_pages, o->failslab);
	row("operations", "done, failed");
	for (u32 i = 0; i < ops_count; i++)
		row(ops[i].name, "%9llu %9llu", ctl->op_done[i], ctl->op_failed[i]);
	row("from outside", "done, failed");
	for (u32 i = 0; weather_name(i); i++)
		row(weather_name(i), "%9llu %9llu", ctl->weather_done[i], ctl->weather_failed[i]);
	row("processes", "%u, at most %llu at once, and %llu companions", ctl->serial,
	    ctl->peak_alive, ctl->companions);
	row("  of these", "%llu forked, %llu execed, %llu killed by us, %llu by others",
	    ctl->forks, ctl->execs, ctl->killed, ctl->killed_by_others);
	row("racing faults", "%llu", ctl->touched);
	row("pages swapped", "%llu out, %llu in", r->swapped_out, r->swapped_in);
	row("taken offline", "%u", ctl->offlined);
	row("refused, no memory", "%llu operations", ctl->no_memory);
	row("lost", "%llu processes, %llu pages", ctl->lost, ctl->lost_pages);
	row("mappings checked", "%llu times", ctl->map_checks);
	row("slab objects more", "vm_area_struct %+lld, anon_vma %+lld",
	    (long long)(r->after.vmas - r->before.vmas),
	    (long long)(r->after.anon_vmas - r->before.anon_vmas));
	printf("# total: seed %llu s %.0f ops %llu checked %llu swapped %llu ", o->seed, r->seconds,
	       ctl->ops, ctl->checked, r->swapped_out);
	printf("lost %llu mismatches %llu errors %llu stuck %u\n", ctl->lost, ctl->mismatches,
	       ctl->errors, r->stuck);
}

static bool died(void)
{
	return ctl->killed_by_others && !ctl->opt.failslab;
}

/* Not what the machine lacks, nor what may fail each time as there is no room for it. */
static bool may_happen(const char *weather)
{
	static const struct {
		const char *weather, *path;
	} wants[] = {
		{ "swapoff, swapon", NULL },
		{ "soft offline", NULL },
		{ "lru_gen aging", "/sys/kernel/debug/lru_gen" },
		{ "lru_gen switch", "/sys/kernel/mm/lru_gen/enabled" },
		{ "compaction", "/proc/sys/vm/compact_memory" },
		{ "migrate_pages", "/sys/devices/system/node/node1" },
		{ "move_pages", "/sys/devices/system/node/node1" },
		{ "KSM", KSM "run" },
		{ "huge pages", THP "enabled" },
		{ "split huge pages", "/sys/kernel/debug/split_huge_pages" },
		{ "page_idle", "/sys/kernel/mm/page_idle/bitmap" },
	};

	for (u32 i = 0; i < ARRAY_SIZE(wants); i++)
		if (!strcmp(weather, wants[i].weather))
			return wants[i].path && !access(wants[i].path, F_OK);
	return true;
}

static bool weather_happened(void)
{
	bool happened = true;
	u64 done = 0;

	for (u32 i = 0; weather_name(i); i++) {
		done += ctl->weather_done[i];
		if (ctl->weather_done[i] || ctl->weather_failed[i] < TRIES ||
		    !may_happen(weather_name(i)))
			continue;
		printf("# never done: %s\n", weather_name(i));
		happened = false;
	}
	return done && happened;
}

/* A run that has seen nothing proves nothing. */
static bool much_happened(const struct result *r)
{
	return r->swapped_out && ctl->forks && (ctl->opt.calm || weather_happened());
}

static void much_happened_test(const struct result *r)
{
	const struct fuzz_opt *o = &ctl->opt;

	if (o->failslab || o->ops || o->seconds < LONG_RUN)
		ksft_test_result_skip("much happened: not in so short a run, or without memory\n");
	else
		ksft_test_result(much_happened(r),
				 "pages were swapped, processes forked and disturbed\n");
}

static void fuzz_test(void)
{
	struct result r;

	ksft_set_plan(5);
	run_fuzz(&defaults, &r);
	report(&r);
	ksft_test_result(!ctl->mismatches && ctl->checked,
			 "every page and mapping is what it must be\n");
	ksft_test_result(!ctl->errors && !died(), "no process ended by what it did not do\n");
	ksft_test_result(!r.stuck, "no process was stuck\n");
	if (r.after.known)
		ksft_test_result(!r.leaked, "no more than %u objects of a slab are left\n",
				 LEAK_SLACK);
	else
		ksft_test_result_skip("slabs: not to be seen in /proc/slabinfo\n");
	much_happened_test(&r);
}

/* ---- the self-check: each kind of damage must be found, and nothing else ---- */

static void self_check(void)
{
	static const char * const names[DAMAGE_KINDS] = {
		[DAMAGE_NONE] = "processes that are well",
		[DAMAGE_FLIP] = "a flipped bit",
		[DAMAGE_TAIL] = "a wrong last word",
		[DAMAGE_LOST] = "a dropped page",
		[DAMAGE_SWAPPED] = "another page's contents",
		[DAMAGE_SHARED] = "a wrong shared page",
		[DAMAGE_UNMAPPED] = "a missing mapping",
		[DAMAGE_PROT] = "a wrong protection",
		[DAMAGE_MODEL] = "a wrong model",
		[DAMAGE_LEAK] = "objects that are not freed",
		[DAMAGE_DEATH] = "a process that is killed",
		[DAMAGE_HANG] = "a process that hangs",
	};
	struct result r;

	ksft_set_plan(DAMAGE_KINDS - DAMAGE_NONE);
	for (enum damage d = DAMAGE_NONE; d < DAMAGE_KINDS; d++) {
		struct fuzz_opt opt = defaults;
		bool right;

		opt.damage = d;
		opt.seconds = 1;
		opt.processes = 3;
		opt.patience = d == DAMAGE_HANG ? 5 : opt.patience;
		run_fuzz(&opt, &r);
		right = (ctl->checked || ctl->mismatches) && !ctl->errors &&
			!!ctl->mismatches == (d >= DAMAGE_FLIP && d <= DAMAGE_MODEL) &&
			!!r.leaked == (d == DAMAGE_LEAK) && died() == (d == DAMAGE_DEATH) &&
			!!r.stuck == (d == DAMAGE_HANG);
		if (!right)
			report(&r);
		ksft_test_result(right, "self-check: %s\n", names[d]);
	}
}

/* ---- options ---- */

static const char usage[] =
"usage: rmap_fuzz [options]\n"
"  --processes N   processes alive at once (%u)\n"
"  --memory MIB    address space of all of them together (%u)\n"
"  --seconds N     how long it lasts; the last check follows (%u)\n"
"  --ops N         end after so many operations (no limit)\n"
"  --seed N        the same seed gives each process the same operations (%llu)\n"
"  --patience N    seconds without any operation that count as a hang (%u)\n"
"  --failslab N    let so many percent of all slab allocations of ours fail (0)\n"
"  --offline N     pages that may be taken offline, for good (%u)\n"
"  --calm          nothing from outside: no reclaim, swapoff, migration, ...\n"
"  --lazyfree      also MADV_FREE, which the base kernel does not do right\n"
"  --dir DIR       where the mapped files are made (%s)\n"
"  --self-check    show that each check fails when it should, and stop\n"
"Must be root, with cgroup v2 on /sys/fs/cgroup and swap that holds all the memory.\n";

static void show_usage(FILE *to)
{
	fprintf(to, usage, defaults.processes, defaults.memory_mb, defaults.seconds,
		defaults.seed, defaults.patience, defaults.offline, defaults.dir);
}

static const struct setting settings[] = {
	{ "processes", 1, 1000, .number = &defaults.processes },
	{ "memory", 1, 1 << 20, .number = &defaults.memory_mb },
	{ "seconds", 1, 1000000, .number = &defaults.seconds },
	{ "ops", 1, ULLONG_MAX, .big_number = &defaults.ops },
	{ "seed", 0, ULLONG_MAX, .big_number = &defaults.seed },
	{ "patience", 1, 100000, .number = &defaults.patience },
	{ "failslab", 0, 100, .number = &defaults.failslab },
	{ "offline", 0, 1000000, .number = &defaults.offline },
	{ "calm", .flag = &defaults.calm },
	{ "lazyfree", .flag = &defaults.lazyfree },
	{ "dir", .path = defaults.dir },
	{ "self-check", .flag = &want_self_check },
	{ }
};

/* All swap and half of the memory: much must be swapped, and nobody run out of it. */
static void need_memory(void)
{
	struct sysinfo info;

	if (sysinfo(&info) || info.totalswap >> 20 < defaults.memory_mb * 2)
		ksft_exit_skip("swap of %u MiB is needed\n", defaults.memory_mb * 2);
	if (!cgroup_make() || !write_number(CGROUP "/memory.max", info.totalram / 3))
		ksft_exit_skip("no cgroup v2 with memory.reclaim on /sys/fs/cgroup\n");
}

int main(int argc, char **argv)
{
	page_size = sysconf(_SC_PAGESIZE);
	if (argc == 2 && !strcmp(argv[1], MASTER_ARG)) {
		map_ctl();
		master_main();
	}
	if (argc == 3 && !strcmp(argv[1], WORKER_ARG)) {
		map_ctl();
		worker_main(atoi(argv[2]));
	}
	parse_options(argc, argv, settings, show_usage);

	ksft_print_header();
	if (geteuid())
		ksft_exit_skip("must be root\n");
	need_memory();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (want_self_check)
		self_check();
	else
		fuzz_test();
	cgroup_remove();
	ksft_finished();
}
