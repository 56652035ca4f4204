// SPDX-License-Identifier: GPL-2.0
/*
 * rmap_race SECONDS: the reverse map of one family, changed by many at once.
 *
 * Relatives that share a few hundred vmas fork, write for the first time,
 * unmap and exit, while one process has every page of memory walked, by the
 * page_idle bitmap. Nothing is checked here: it is a load for a kernel that
 * checks, such as one with KCSAN.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define VMAS	200
#define WORKERS	4
#define PAGE	getpagesize()

static char *area;
static time_t end;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static pid_t start(void)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	return pid;
}

/* One vma, split after its first page has been written: one family. */
static void make_area(void)
{
	int i;

	area = mmap(NULL, 2 * VMAS * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	if (area == MAP_FAILED)
		die("mmap");
	for (i = 0; i < 2 * VMAS; i++)
		area[i * PAGE] = 1;
	for (i = 0; i < VMAS; i++)
		if (munmap(area + (2 * i + 1) * PAGE, PAGE))
			die("munmap");
}

static void write_some(int first, int step)
{
	int i;

	for (i = first; i < VMAS; i += step)
		__atomic_fetch_add(&area[2 * i * PAGE], 1, __ATOMIC_RELAXED);
}

/* A child writes to half of it, a grandchild to the other half, at once. */
static void generation(int seed)
{
	pid_t child = start();

	if (child) {
		write_some(seed % 7, 7);
		waitpid(child, NULL, 0);
		return;
	}
	child = start();
	write_some(!child, 2);
	munmap(area + 2 * (seed % VMAS) * PAGE, PAGE);
	write_some(!!child && seed & 1, 1 + !child);
	if (child)
		waitpid(child, NULL, 0);
	_exit(0);
}

static void __attribute__((noreturn)) work(int worker)
{
	int i;

	for (i = worker; time(NULL) < end; i += WORKERS)
		generation(i);
	_exit(0);
}

/* To mark a page idle its mappings are walked, to clear their young bits. */
static void __attribute__((noreturn)) walk(void)
{
	unsigned long long all = ~0ULL;
	unsigned long walks = 0;
	off_t at = 0;
	int fd = open("/sys/kernel/mm/page_idle/bitmap", O_WRONLY);

	if (fd < 0)
		die("/sys/kernel/mm/page_idle/bitmap");
	for (; time(NULL) < end; at += sizeof(all), walks++)
		if (pwrite(fd, &all, sizeof(all), at) != sizeof(all))
			at = -(off_t)sizeof(all);
	_exit(!walks);
}

int main(int argc, char **argv)
{
	int i, status, bad = 0;

	if (argc != 2 || atoi(argv[1]) < 1) {
		fprintf(stderr, "usage: rmap_race SECONDS\n");
		return 1;
	}
	end = time(NULL) + atoi(argv[1]);
	make_area();
	for (i = 0; i <= WORKERS; i++) {
		if (start())
			continue;
		if (i == WORKERS)
			walk();
		work(i);
	}
	while (wait(&status) > 0)
		bad |= status;
	printf("# rmap_race: %s seconds, %s\n", argv[1], bad ? "a process failed" : "done");
	return !!bad;
}
