/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What an actor or the test asks of the kernel beside plain system calls:
 * userfaultfd, pins, KSM, smaps, idle bits, reclaim.
 */
#ifndef RMAP_SERVICES_H
#define RMAP_SERVICES_H

#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include "mm/gup_test.h"
#include "actor.h"

/* arg: page, pages of the registered range */
static long do_uffd_open(const long *arg)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_MOVE };
	struct uffdio_register reg = {
		.range = { (unsigned long)at(arg[0]), arg[1] * page_size },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg))
		return -1;
	return fd;
}

/* arg: uffd, page, pages, actor. Each page is filled as its cell says. */
static long do_uffd_copy(const long *arg)
{
	uint64_t *buffer = aligned_alloc(page_size, page_size);
	struct uffdio_copy copy = { .src = (unsigned long)buffer, .len = page_size };
	long page, ret = 0;

	memset(buffer, 0, page_size);
	for (page = arg[1]; page < arg[1] + arg[2] && !ret; page++) {
		buffer[0] = pattern(cells[arg[3]][page].tag);
		buffer[page_size / sizeof(*buffer) - 1] = buffer[0];
		copy.dst = (unsigned long)at(page);
		ret = ioctl(arg[0], UFFDIO_COPY, &copy);
	}
	free(buffer);
	return ret;
}

/* arg: uffd, from, pages, to */
static long do_uffd_move(const long *arg)
{
	struct uffdio_move move = {
		.src = (unsigned long)at(arg[1]),
		.dst = (unsigned long)at(arg[3]),
		.len = arg[2] * page_size,
	};
	int tries;

	/* A page that another processor just looks at is busy for a moment. */
	for (tries = 0; tries < 100; tries++) {
		if (!ioctl(arg[0], UFFDIO_MOVE, &move))
			return 0;
		if (move.move > 0) {
			move.src += move.move;
			move.dst += move.move;
			move.len -= move.move;
		} else if (errno != EBUSY && errno != EAGAIN) {
			return -1;
		}
		usleep(1000);
	}
	return -1;
}

/* No longer than this is the target registered: nobody serves its faults. */
static void uffd_move(int actor, long from, long n, long to)
{
	struct cell *cell = cells[actor];
	long i, uffd = call(actor, do_uffd_open, to, n);

	if (uffd < 0 || call(actor, do_uffd_move, uffd, from, n, to)) {
		fail("actor %d: UFFDIO_MOVE: %m", actor);
		return;
	}
	must(actor, SYS_close, uffd);
	for (i = 0; i < n; i++) {
		cell[to + i].tag = cell[from + i].tag;
		cell[from + i].tag = ZERO;
	}
}

/* arg: page, pages, flags */
static long do_pin(const long *arg)
{
	struct pin_longterm_test pin = {
		.addr = (unsigned long)at(arg[0]),
		.size = arg[1] * page_size,
		.flags = arg[2],
	};
	int fd = open("/sys/kernel/debug/gup_test", O_RDWR);

	return fd < 0 || ioctl(fd, PIN_LONGTERM_TEST_START, &pin) ? -1 : fd;
}

/* arg: what do_pin() returned */
static long do_unpin(const long *arg)
{
	ioctl(arg[0], PIN_LONGTERM_TEST_STOP);
	return close(arg[0]);
}

static void ksm_merge(void)
{
	long scans = read_number("/sys/kernel/mm/ksm/full_scans");
	int i;

	write_file("/sys/kernel/mm/ksm/sleep_millisecs", "0");
	write_file("/sys/kernel/mm/ksm/pages_to_scan", "10000");
	write_file("/sys/kernel/mm/ksm/run", "1");
	for (i = 0; i < 2000; i++) {
		if (read_number("/sys/kernel/mm/ksm/full_scans") >= scans + 4)
			break;
		usleep(10000);
	}
	if (i == 2000)
		fail("KSM has not looked at all four times in 20 s");
	write_file("/sys/kernel/mm/ksm/run", "0");
}

/* The sum of a line of smaps over the vmas of the arena. */
static long smaps_kb(int actor, const char *what)
{
	unsigned long start = 0, end = 0, kb, sum = 0;
	char path[40], line[256], name[40];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps", actors[actor].pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		if (strchr(line, '-') && sscanf(line, "%lx-%lx", &start, &end) == 2)
			continue;
		if (sscanf(line, "%39[^:]: %lu", name, &kb) == 2 && !strcmp(name, what) &&
		    start >= ARENA && end <= ARENA + ARENA_PAGES * page_size)
			sum += kb;
	}
	if (f)
		fclose(f);
	return sum;
}

static long huge_kb(int actor)
{
	return smaps_kb(actor, "AnonHugePages");
}

/* One walk of one page. */
static void mark_idle(uint64_t pfn)
{
	int fd = open("/sys/kernel/mm/page_idle/bitmap", O_WRONLY);
	uint64_t bits = 1ULL << pfn % 64;

	if (pwrite(fd, &bits, sizeof(bits), pfn / 64 * sizeof(bits)) < 0)
		fail("page_idle: %m");
	close(fd);
}

/*
 * arg: page, pages. Read them, with no translation left over from before, by which
 * the processor would not look at the entry: unmapping so much drops them all.
 */
static long do_use(const long *arg)
{
	const size_t size = 64 * page_size;
	void *other = mmap(NULL, size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	uint64_t sum = 0;
	long page;

	munmap(other, size);
	for (page = arg[0]; page < arg[0] + arg[1]; page++)
		sum += *first_word(page);
	return sum & 1;
}

/* Bits of what generations do; 0 if there are none, but two lists of each kind of page. */
#define LRU_GEN "/sys/kernel/mm/lru_gen/enabled"

static long lru_gen(void)
{
	char text[16] = "";
	int fd = open(LRU_GEN, O_RDONLY);

	if (fd >= 0 && read(fd, text, sizeof(text) - 1) < 0)
		fail("cannot read " LRU_GEN ": %m");
	close(fd);
	return strtol(text, NULL, 16);
}

static void set_lru_gen(long bits)
{
	char text[16];

	snprintf(text, sizeof(text), "%ld", bits);
	if (bits != lru_gen())
		write_file(LRU_GEN, text);
}

/* A page that only one maps goes at once. */
static long left_by_pageout(int actor, long page, long n)
{
	long left = n, tries;

	for (tries = 0; tries < 20 && left; tries++) {
		drain_batches();
		advise(actor, page, n, MADV_PAGEOUT);
		left = entries_with(actor, page, n, PM_PRESENT);
	}
	return left;
}

/* The advice holds back some itself. */
static void advise_free(int actor, long page, long n)
{
	drain_batches();
	advise(actor, page, n, MADV_FREE);
	drain_batches();
}

/* After reclaim: no entry and nothing in swap, so that zeroes are read. */
static void must_be_free(int actor, long page, long n)
{
	long left = entries_with(actor, page, n, PM_PRESENT | PM_SWAP);

	if (left)
		fail("actor %d: %ld of %ld pages at %ld were not freed", actor, left, n, page);
	else
		set_cells(actor, page, n, ZERO);
}

#endif /* RMAP_SERVICES_H */
