// SPDX-License-Identifier: GPL-2.0
/*
 * What the reverse map costs in memory, and what is counted through it: objects
 * of the slabs, rss and swap of a process, pages of a memory cgroup and of the
 * machine, committed memory. All to the page.
 */
#include <glob.h>
#include <linux/sched.h>
#include "cases.h"
#include "census.h"
#include "history.h"
#include "services.h"

/* ---- objects ---- */

/* Shrinking gives back what each processor holds, which counts as used. */
static long objects_once(const char *caches)
{
	char path[300];
	glob_t found;
	long sum = 0;
	size_t i;

	snprintf(path, sizeof(path), "/sys/kernel/slab/%s", caches);
	if (glob(path, 0, NULL, &found))
		return 0;
	for (i = 0; i < found.gl_pathc; i++) {
		snprintf(path, sizeof(path), "%s/shrink", found.gl_pathv[i]);
		write_file(path, "1");
		snprintf(path, sizeof(path), "%s/objects", found.gl_pathv[i]);
		sum += read_number(path);
	}
	globfree(&found);
	return sum;
}

/* What is freed goes after a grace period: wait until no more goes. */
static long objects(const char *caches)
{
	long last, now = objects_once(caches);
	int same = 0;

	while (same < 3) {
		usleep(30000);
		last = now;
		now = objects_once(caches);
		same = now == last ? same + 1 : 0;
	}
	return now;
}

/* Every cache that the reverse map has, on any kernel. */
#define CACHES "anon_vma*"

CASE(fault_allocates_nothing_per_page)
{
	long before;

	EXPECT_EQ(0, objects_once("*pte_chain*"));
	map(self->a, 0, 2048);
	put(self->a, 0, 1);
	before = objects(CACHES);
	put(self->a, 1, 2047);
	EXPECT_EQ(before, objects(CACHES));
	reclaim_all();
	put(self->a, 0, 2048);
	EXPECT_EQ(before, objects(CACHES));
	settle();
}

/* Objects of the cache made since this was asked last. */
static long made_since(long *before)
{
	long now = objects("anon_vma"), made = now - *before;

	*before = now;
	return made;
}

/* Neither mapping nor reading makes an object, the first page to own makes one. */
CASE(first_fault_makes_one_object)
{
	long count = objects("anon_vma"), uffd;

	map(self->a, 0, 8);
	verify();
	EXPECT_EQ(0, made_since(&count));
	put(self->a, 0, 1);
	EXPECT_EQ(1, made_since(&count));
	put(self->a, 0, 8);
	EXPECT_EQ(0, made_since(&count));

	map_file(self->a, 100, 8, 0);
	verify();
	EXPECT_EQ(0, made_since(&count));
	put(self->a, 103, 1);
	EXPECT_EQ(1, made_since(&count));

	map_flags(self->a, 1024, 4, MAP_GROWSDOWN);
	put(self->a, 1024, 4);
	EXPECT_EQ(1, made_since(&count));
	set_cells(self->a, 1016, 8, ZERO);
	put(self->a, 1016, 8);
	EXPECT_EQ(0, made_since(&count));

	map(self->a, 2000, 8);
	uffd = call(self->a, do_uffd_open, 2000, 8);
	ASSERT_LE(0, uffd);
	EXPECT_EQ(0, made_since(&count));
	new_tags(self->a, 2000, 8);
	ASSERT_EQ(0, call(self->a, do_uffd_copy, uffd, 2000, 8, self->a));
	EXPECT_EQ(1, made_since(&count));

	reclaim_all();
	verify();
	EXPECT_EQ(0, made_since(&count));
	settle();
}

#define FROZEN "/sys/fs/cgroup/rmap_frozen"

/* Born into a group that is frozen, it never runs, and adds nothing of its own. */
static long do_fork_frozen(const long *arg)
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
		.cgroup = open(FROZEN, O_RDONLY | O_DIRECTORY),
	};
	pid_t pid = syscall(SYS_clone3, &args, sizeof(args));

	if (!pid)
		_exit(0);
	close(args.cgroup);
	return pid;
}

static long objects_of_fork(int actor)
{
	long before = objects(CACHES), made;
	pid_t pid = call(actor, do_fork_frozen, 0);
	int tries = 0;

	if (pid < 0)
		fail("actor %d cannot fork: %m", actor);
	made = objects(CACHES) - before;
	kill(pid, SIGKILL);
	/* Its parent reaps it: wait until it is no more. */
	while (!kill(pid, 0) && tries++ < 1000)
		usleep(10000);
	return made;
}

static void many_vmas(int actor)
{
	int i;

	map(actor, 0, 300);
	put(actor, 0, 300);
	for (i = 0; i < 300; i += 3)
		unmap(actor, i, 1);
}

CASE(fork_allocates_nothing)
{
	int b, c;

	mkdir(FROZEN, 0755);
	write_file(FROZEN "/cgroup.freeze", "1");
	many_vmas(self->a);
	EXPECT_EQ(0, objects_of_fork(self->a));
	b = fork_actor(self->a);
	put(b, 1, 2);
	put(b, 31, 2);
	EXPECT_EQ(0, objects_of_fork(b));
	c = fork_actor(b);
	EXPECT_EQ(0, objects_of_fork(c));
	rmdir(FROZEN);
	settle();
}

#define FAILSLAB "/sys/kernel/debug/failslab/"

/* Let allocations fail that the function, or what it calls, asks for; no name: none. */
static bool fail_within(const char *function)
{
	FILE *symbols = fopen("/proc/kallsyms", "r");
	unsigned long start = 0, end = 0, address;
	char name[128], text[32];

	while (function && symbols &&
	       fscanf(symbols, "%lx %*c %127s%*[^\n]", &address, name) == 2) {
		if (start && address > start) {
			end = address;
			break;
		}
		if (!strcmp(name, function))
			start = address;
	}
	if (symbols)
		fclose(symbols);
	snprintf(text, sizeof(text), "0x%lx", start);
	write_file(FAILSLAB "require-start", text);
	snprintf(text, sizeof(text), "0x%lx", end);
	write_file(FAILSLAB "require-end", text);
	write_file(FAILSLAB "probability", end ? "100" : "0");
	return end;
}

/* arg: 0 or 1 */
static long do_make_it_fail(const long *arg)
{
	int fd = open("/proc/self/make-it-fail", O_WRONLY);
	long ret = write(fd, arg[0] ? "1" : "0", 1);

	close(fd);
	return ret;
}

CASE(fork_with_no_memory)
{
	int b, i;

	if (access(FAILSLAB "require-start", W_OK))
		SKIP(return, "no failslab, or it cannot choose by caller");
	write_file(FAILSLAB "task-filter", "Y");
	write_file(FAILSLAB "ignore-gfp-wait", "N");
	write_file(FAILSLAB "times", "-1");
	write_file(FAILSLAB "verbose", "0");
	write_file(FAILSLAB "stacktrace-depth", "32");
	many_vmas(self->a);
	b = fork_actor(self->a);
	for (i = 1; i < 300; i += 6)
		put(b, i, 2);
	ASSERT_EQ(1, call(b, do_make_it_fail, 1));

	/* That it works at all: no process can be made. */
	ASSERT_TRUE(fail_within("copy_process"));
	EXPECT_EQ(-1, call(b, do_fork, free_actor()));
	EXPECT_EQ(ENOMEM, errno);

	ASSERT_TRUE(fail_within("anon_vma_fork"));
	for (i = 0; i < 10; i++)
		b = fork_actor(b);
	fail_within(NULL);
	for (i = 1; i < 300; i += 9)
		put(b, i, 1);
	settle();
}

CASE(objects_return)
{
	long before = objects("anon_vma");
	int seed, tries = 0;

	quit(self->a);
	for (seed = 1; seed < 4; seed++) {
		self->a = new_family();
		any_history(self->a, seed, 200);
		quit_all();
	}
	while (objects("anon_vma") > before && tries++ < 20)
		usleep(100000);
	EXPECT_GE(before, objects("anon_vma"));
}

/* ---- rss, swap, cgroup, machine ---- */

CASE(counters_are_exact)
{
	int seed;

	for (seed = 11; seed < 14; seed++) {
		any_history(self->a, seed, 250);
		verify();
		check_counters();
		reclaim_all();
		check_counters();
		quit_all();
		check_counters();
		self->a = new_family();
	}
}

CASE(high_water_marks)
{
	/* Each processor may hold back what it has counted. */
	const long slack = 64 * sysconf(_SC_NPROCESSORS_CONF);
	long rss, peak;
	int b;

	map(self->a, 0, 4096);
	put(self->a, 0, 4096);
	rss = rss_of(self->a);
	unmap(self->a, 100, 3900);
	peak = status_of(self->a, "VmHWM");
	EXPECT_GE(rss + slack, peak);
	EXPECT_LE(rss - slack, peak);
	b = fork_actor(self->a);
	EXPECT_GT(rss - 2000, status_of(b, "VmHWM"));
	reclaim_all();
	EXPECT_EQ(peak, status_of(self->a, "VmHWM"));
	settle();
}

/* ---- vm.overcommit_memory = 2 ---- */

#define VM "/proc/sys/vm/"

static long strict(const char *mode, const char *kbytes, const char *reserve)
{
	write_file(VM "user_reserve_kbytes", reserve);
	write_file(VM "overcommit_kbytes", kbytes);
	write_file(VM "overcommit_memory", mode);
	return 0;
}

/* Pages that a fork must account for: all vmas that say so. */
static long accounted(int actor)
{
	char path[40], line[256];
	long kib = 0, sum = 0;
	FILE *smaps;

	snprintf(path, sizeof(path), "/proc/%d/smaps", actors[actor].pid);
	smaps = fopen(path, "r");
	while (smaps && fgets(line, sizeof(line), smaps)) {
		if (!strncmp(line, "Size:", 5))
			kib = atol(line + 5);
		if (!strncmp(line, "VmFlags:", 8) && strstr(line, " ac"))
			sum += kib;
	}
	if (smaps)
		fclose(smaps);
	return sum * 1024 / page_size;
}

CASE(commit_follows_fork_and_mremap)
{
	long base, forked;
	int b, c;

	strict("2", "0", "0");
	base = committed();
	map(self->a, 0, 256);
	EXPECT_EQ(base + 256, committed());
	put(self->a, 0, 128);
	move(self->a, 0, 256, 1024, 0);
	EXPECT_EQ(base + 256, committed());
	move(self->a, 1024 + 100, 50, 4000, 0);
	EXPECT_EQ(base + 256, committed());
	move(self->a, 4000, 50, 5000, MREMAP_DONTUNMAP);
	EXPECT_EQ(base + 306, committed());
	resize(self->a, 5000, 50, 70);
	EXPECT_EQ(base + 326, committed());
	resize(self->a, 5000, 70, 10);
	EXPECT_EQ(base + 266, committed());

	forked = accounted(self->a);
	EXPECT_LE(266, forked);
	b = fork_actor(self->a);
	EXPECT_EQ(base + 266 + forked, committed());
	put(b, 1024, 50);
	move(b, 1024, 50, 6000, 0);
	c = fork_actor(b);
	EXPECT_EQ(base + 266 + 2 * forked, committed());
	settle();
	quit(b);
	EXPECT_EQ(base + 266 + forked, committed());
	quit(c);
	EXPECT_EQ(base + 266, committed());
	unmap(self->a, 1024, 100);
	EXPECT_EQ(base + 166, committed());
	strict("0", "0", "131072");
}

/* arg: none. Takes all that is left of what may be committed. */
static long do_commit_all(const long *arg)
{
	size_t size = 1UL << 40;

	for (; size >= (size_t)page_size; size /= 2)
		while (mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
			;
	return 0;
}

/*
 * Half of what is moved is left to be had, so that a move which needs more than
 * it gives back would fail. Each processor counts apart, and the limit is off by
 * as much: everything here is larger than that.
 */
CASE(moves_at_the_commit_limit)
{
	const long size = ARENA_PAGES / 2, half = size / 2;
	int other = new_family();
	long full;

	map(self->a, 0, size);
	put(self->a, 0, 256);
	fork_actor(self->a);
	map(other, 0, half);
	strict("2", "4", "0");
	call(other, do_commit_all, 0);
	full = committed();
	unmap(other, 0, half);
	EXPECT_EQ(-1, sys(other, SYS_mmap, (long)at(0), size * page_size,
			  PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_EQ(-1, call(self->a, do_fork, free_actor()));
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_EQ(-1, try_move(self->a, 0, size, size, MREMAP_DONTUNMAP));
	EXPECT_EQ(ENOMEM, errno);
	move(self->a, 0, size, size, 0);
	move(self->a, size + 100, 50, 4000, 0);
	move(self->a, 4000, 50, size + 100, 0);
	EXPECT_EQ(full - half, committed());
	settle();
	quit(other);
	fork_actor(self->a);
	strict("0", "0", "131072");
	settle();
}

int main(int argc, char **argv)
{
	return run_cases(argc, argv);
}
