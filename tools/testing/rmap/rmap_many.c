// SPDX-License-Identifier: GPL-2.0
/*
 * rmap_many PROCESSES: that many processes of one family, all alive at once.
 *
 * Each has a gigabyte mapped in a hundred vmas and forks up to eight children.
 * Each writes a page of its own and one that its ancestors share, all is pushed
 * out to swap, then each checks what it and its ancestors wrote, and exits.
 *
 * No kernel swaps out a page with more than a thousand mappers: it has as many
 * references as if it were pinned. So each child of the first process writes all
 * the shared pages again, for its own branch. What the program itself inherits
 * and never writes, a few dozen pages, stays.
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "files.h"

#define GROUP		"/sys/fs/cgroup/rmap_many"
#define AREA		0x40000000UL
#define VMAS		100
#define CHILDREN	8
#define SHARED		16	/* pages that the head of a branch writes for all of it */
#define STAY		64
#define MOST		(100 * VMAS)

static char *area;
static long page_size;
static int processes;
static int hold[2];
static int results, failed;

/* What they tell each other. */
static struct {
	int alive, wrong, refused, checked;
} *said;

static void __attribute__((noreturn)) die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

static void write_file(const char *path, const char *text)
{
	if (try_write_file(path, text))
		die(path);
}

static long read_number(const char *path, const char *key)
{
	FILE *file = fopen(path, "r");
	char line[128];
	long number = -1;

	while (file && number < 0 && fgets(line, sizeof(line), file))
		if (!strncmp(line, key, strlen(key)))
			number = atol(line + strlen(key));
	if (file)
		fclose(file);
	return number;
}

static void result(int good, const char *name)
{
	failed += !good;
	printf("%sok %d many.%s\n", good ? "" : "not ", ++results, name);
	fflush(stdout);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* Every vma has room for a page of each process in turn, far from the next. */
static uint64_t *own_page(int process)
{
	size_t vma = AREA / VMAS / page_size * page_size;

	return (uint64_t *)(area + process % VMAS * vma +
			    (1 + SHARED + process / VMAS) * page_size);
}

static uint64_t *shared_page(int page)
{
	return (uint64_t *)(area + (1 + page) * page_size);
}

static uint64_t word(int process)
{
	return (process + 1) * 0x9e3779b97f4a7c15UL;
}

static int parent_of(int process)
{
	return (process - 1) / CHILDREN;
}

/* One vma cut in a hundred: whoever writes first in it makes the family of all. */
static void make_area(void)
{
	size_t vma = AREA / VMAS / page_size * page_size;
	int i;

	area = mmap(NULL, AREA, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (area == MAP_FAILED)
		die("mmap");
	*area = 1;
	for (i = 0; i < VMAS; i++)
		if (munmap(area + (i + 1) * vma - page_size, page_size))
			die("munmap");
}

static void write_own(int self)
{
	int i;

	for (i = 0; i < SHARED && self <= CHILDREN; i++)
		*shared_page(i) = word(self);
	*own_page(self) = word(self);
	*shared_page(self % SHARED) = word(self);
}

/* Of a shared page, the last who wrote it on the way from the head to this one. */
static int count_wrong(int self)
{
	uint64_t expected[SHARED] = { }, head = word(self);
	int i, wrong = 0;

	for (i = self; i; i = parent_of(i)) {
		wrong += *own_page(i) != word(i);
		if (!expected[i % SHARED])
			expected[i % SHARED] = word(i);
		head = word(i);
	}
	wrong += *own_page(0) != word(0);
	for (i = 0; i < SHARED; i++)
		wrong += *shared_page(i) != (expected[i] ?: head);
	return wrong;
}

static void __attribute__((noreturn)) live(int self)
{
	int i, child;
	char byte;

	write_own(self);
	for (i = 1; i <= CHILDREN; i++) {
		pid_t pid;

		child = self * CHILDREN + i;
		if (child >= processes)
			break;
		pid = fork();
		if (!pid)
			live(child);
		if (pid < 0)
			__atomic_fetch_add(&said->refused, 1, __ATOMIC_RELAXED);
	}
	__atomic_fetch_add(&said->alive, 1, __ATOMIC_RELEASE);
	if (read(hold[0], &byte, 1))
		_exit(1);
	__atomic_fetch_add(&said->wrong, count_wrong(self), __ATOMIC_RELAXED);
	/* Who dies before, by a signal say, is missed. */
	__atomic_fetch_add(&said->checked, 1, __ATOMIC_RELAXED);
	while (wait(NULL) > 0 || errno == EINTR)
		;
	_exit(0);
}

/* Until all are there, or no more come. */
static void wait_for_all(void)
{
	int before = -1, alive = 0, waited = 0;

	while (alive < processes && waited < 60) {
		sleep(1);
		alive = __atomic_load_n(&said->alive, __ATOMIC_ACQUIRE);
		waited = alive == before ? waited + 1 : 0;
		if (alive / 1000 != before / 1000)
			printf("live: %d processes\n", alive);
		fflush(stdout);
		before = alive;
	}
}

static long anon_pages(void)
{
	sleep(3);	/* by then the figure is up to date */
	return read_number(GROUP "/memory.stat", "anon ") / page_size;
}

/* Asking for no more than there is: what stays would be tried over and over. */
static long push_out(long left)
{
	char amount[40];
	int round;

	for (round = 0; round < 10 && left > STAY; round++) {
		write_file("/proc/sys/vm/drop_caches", "1");
		snprintf(amount, sizeof(amount), "%ld swappiness=200",
			 (left - STAY / 2) * page_size);
		if (try_write_file(GROUP "/memory.reclaim", amount) && errno != EAGAIN)
			die("memory.reclaim");
		left = anon_pages();
		printf("live: %ld anonymous pages left\n", left);
		fflush(stdout);
	}
	return left;
}

static void prepare(void)
{
	page_size = sysconf(_SC_PAGESIZE);
	write_file("/proc/sys/vm/overcommit_memory", "1");
	write_file("/proc/sys/vm/drop_caches", "4");
	write_file("/sys/block/zram0/disksize", "2G");
	if (system("mkswap /dev/zram0 >/dev/null") || swapon("/dev/zram0", 0))
		die("swap");
	write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	mkdir(GROUP, 0755);
	said = mmap(NULL, page_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (said == MAP_FAILED || pipe(hold))
		die("pipe");
}

static pid_t start_first(void)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	close(hold[1]);
	write_file(GROUP "/cgroup.procs", "0");
	make_area();
	live(0);
}

static long nodes(void)
{
	write_file("/sys/kernel/slab/anon_vma/shrink", "1");
	return read_number("/sys/kernel/slab/anon_vma/objects", "");
}

int main(int argc, char **argv)
{
	long before, left, anon, swapped;
	double start;
	int i, status;
	pid_t pid;

	processes = argc == 2 ? atoi(argv[1]) : 0;
	if (processes < 2 || processes > MOST) {
		fprintf(stderr, "usage: rmap_many PROCESSES (2 to %d)\n", MOST);
		return 1;
	}
	prepare();
	before = nodes();
	start = now();
	pid = start_first();
	wait_for_all();
	printf("# %d processes of one family in %.0f s, %d refused; %ld MiB of page tables\n",
	       said->alive, now() - start, said->refused,
	       read_number("/proc/meminfo", "PageTables:") >> 10);
	printf("# anon_vma objects: %ld; vmas: %ld\n", nodes() - before,
	       read_number("/sys/kernel/slab/vm_area_struct/objects", ""));
	result(said->alive == processes && !said->refused, "all_alive");

	anon = anon_pages();
	start = now();
	left = push_out(anon);
	swapped = read_number(GROUP "/memory.swap.current", "") / page_size;
	printf("# of %ld anonymous pages %ld left, %ld in swap, after %.0f s\n", anon, left,
	       swapped, now() - start);
	result(left <= STAY && swapped > processes, "all_swapped_out");

	start = now();
	close(hold[1]);
	waitpid(pid, &status, 0);
	printf("# read again by %d processes, and all gone, in %.0f s; %d words wrong\n",
	       said->checked, now() - start, said->wrong);
	result(!status && !said->wrong && said->checked == processes, "all_right");
	for (i = 0; i < 50 && nodes() > before; i++)
		usleep(100000);
	printf("# anon_vma objects left: %ld\n", nodes() - before);
	result(nodes() <= before, "nothing_left");
	printf("1..%d\n", results);
	return !!failed;
}
