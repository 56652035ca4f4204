/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For rmap_unmap_test: actors (actor.h) whose memory is in large folios, how these
 * are reclaimed, migrated, split, poisoned or lent to a device, and what the page
 * tables say before and after. A large folio has FOLIO pages here, whatever a page
 * is.
 */
#ifndef RMAP_UNMAP_H
#define RMAP_UNMAP_H

#include <setjmp.h>
#include <sys/mount.h>
#include <sys/uio.h>
#include "lib/test_hmm_uapi.h"

#define FOLIO_ORDER	4
#define FOLIO		16L

#define BIT(n)		(1UL << (n))
#define PM_SOFT_DIRTY	BIT(55)
#define PM_UFFD_WP	BIT(57)
#define KPF_HEAD	BIT(15)
#define KPF_TAIL	BIT(16)

#define THP		"/sys/kernel/mm/transparent_hugepage/"
#define HMM_DEVICE	"/dev/hmm_dmirror0"

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE	0x08
#endif

/* ---- what the machine has ---- */

static bool have_two_nodes(void)
{
	return !access("/sys/devices/system/node/node1", F_OK);
}

/* Pages of a huge page, or of what one page table maps. */
static long pmd_pages(void)
{
	static long pages;

	if (!pages)
		pages = read_number(THP "hpage_pmd_size") / page_size;
	return pages;
}

/* From now on memory comes in folios of so many pages, or not; returns whether it can. */
static bool folios_of(long pages, bool shmem, bool on)
{
	char path[128];

	snprintf(path, sizeof(path), THP "hugepages-%ldkB/%s", pages * page_size / 1024,
		 shmem ? "shmem_enabled" : "enabled");
	if (access(path, F_OK))
		return false;
	write_file(path, on ? "always" : "never");
	return true;
}

static bool large_folios(bool shmem, bool on)
{
	return folios_of(FOLIO, shmem, on);
}

/* How many anonymous folios of a size are known to be mapped in part, or -1. */
static long partly_mapped(long pages)
{
	char path[128];

	snprintf(path, sizeof(path), THP "hugepages-%ldkB/stats/nr_anon_partially_mapped",
		 pages * page_size / 1024);
	return access(path, R_OK) ? -1 : read_number(path);
}

/* Reclaim splits these, as dropping caches does; returns whether it has. */
static bool split_partly_mapped(long pages, long left)
{
	int tries;

	for (tries = 0; tries < 10 && partly_mapped(pages) > left; tries++)
		write_file("/proc/sys/vm/drop_caches", "3");
	return partly_mapped(pages) == left;
}

/* Pages that the group pays for. */
static long charged(void)
{
	return read_number(GROUP "/memory.current") / page_size;
}

/*
 * A disk that scripts/guest has made. Folios of the page cache become as large as
 * the readahead of an open file, which grows: 2 pages from page 2 on, then 4, 8,
 * and FOLIO at page FOLIO, where it is aligned.
 */
#define DISK_FIRST	(4 * FOLIO)

static void open_disk(void)
{
	char text[24];

	mkdir("/tmp/files", 0755);
	if (mount("/dev/vda", "/tmp/files", "erofs", MS_RDONLY, NULL))
		return;
	snprintf(text, sizeof(text), "%ld", FOLIO * page_size / 1024);
	write_file("/sys/block/vda/queue/read_ahead_kb", text);
	disk_fd = open("/tmp/files/pattern", O_RDONLY);
}

/* ---- the kinds of memory ---- */

/* What is written to shared memory stays when it is unmapped. */
static void keep_base(int actor, long page, long n)
{
	for (; n--; page++)
		cells[actor][page].base = cells[actor][page].tag;
}

static void map_shared(int actor, long page, long n)
{
	must(actor, SYS_mmap, (long)at(page), n * page_size, PROT_READ | PROT_WRITE,
	     MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	set_cells(actor, page, n, ZERO);
}

/* arg: none. Reads the whole file anew, in pieces of a page. */
static long do_read_disk(const long *arg)
{
	char *buffer = malloc(page_size);
	long page;

	(void)arg;
	posix_fadvise(disk_fd, 0, 0, POSIX_FADV_DONTNEED);
	for (page = 1; pread(disk_fd, buffer, page_size, page * page_size) > 0; page++)
		;
	free(buffer);
	return page;
}

static void map_disk(int actor, long page, long n, long from)
{
	call(actor, do_read_disk);
	must(actor, SYS_mmap, (long)at(page), n * page_size, PROT_READ | PROT_WRITE,
	     MAP_PRIVATE | MAP_FIXED_NOREPLACE, disk_fd, from * page_size);
	for (; n--; page++, from++)
		set_cells(actor, page, 1, DISK_TAG + from);
}

/* ---- page table entries and pages ---- */

static uint64_t page_flags(uint64_t frame)
{
	int fd = open("/proc/kpageflags", O_RDONLY);
	uint64_t flags = 0;

	if (pread(fd, &flags, sizeof(flags), frame * sizeof(flags)) != sizeof(flags))
		fail("cannot read the flags of page frame %#lx: %m", (long)frame);
	close(fd);
	return flags;
}

/* The order of a folio that is mapped from here on. */
static int order_at(int actor, long page)
{
	uint64_t frame = pfn(actor, page);
	int order = 0;
	long n = 1;

	if (!frame || !(page_flags(frame) & KPF_HEAD))
		return frame ? 0 : -1;
	while (page_flags(frame + n) & KPF_TAIL)
		n++;
	while (n >>= 1)
		order++;
	return order;
}

static void read_pagemap(int actor, uint64_t *entries)
{
	const ssize_t size = ARENA_PAGES * sizeof(*entries);

	if (pread(actors[actor].pagemap, entries, size,
		  ARENA / page_size * sizeof(*entries)) != size)
		fail("cannot read what actor %d maps: %m", actor);
}

static long bit_count(int actor, uint64_t bit, long pages)
{
	static uint64_t entries[ARENA_PAGES];
	long page, n = 0;

	read_pagemap(actor, entries);
	for (page = 0; page < pages; page++)
		n += !!(entries[page] & bit);
	return n;
}

static uint64_t saved[ACTORS][ARENA_PAGES];

static void save_bits(void)
{
	int i;

	for (i = 0; i < ACTORS; i++)
		if (actors[i].pid)
			read_pagemap(i, saved[i]);
}

/* A pte that was cleared cannot be soft-dirty; the marker of uffd-wp stays. */
static void check_bits_of(int actor, const uint64_t *entries)
{
	uint64_t was, is;
	long page;

	for (page = 0; page < ARENA_PAGES; page++) {
		was = saved[actor][page] & (PM_SOFT_DIRTY | PM_UFFD_WP);
		is = entries[page] & (PM_SOFT_DIRTY | PM_UFFD_WP);
		if (!(entries[page] & (PM_PRESENT | PM_SWAP))) {
			was &= PM_UFFD_WP;
			is &= PM_UFFD_WP;
		}
		if (cells[actor][page].tag <= ZERO || was == is)
			continue;
		fail("actor %d page %ld: pagemap %#lx, was %#lx", actor, page,
		     (long)entries[page], (long)saved[actor][page]);
		return;
	}
}

static void check_bits(void)
{
	static uint64_t entries[ARENA_PAGES];
	int i;

	for (i = 0; i < ACTORS; i++) {
		if (!actors[i].pid)
			continue;
		read_pagemap(i, entries);
		check_bits_of(i, entries);
	}
}

static void clear_refs(int actor, const char *what)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/%s", actors[actor].pid, __func__);
	write_file(path, what);
}

static long referenced_kb(int actor)
{
	return smaps_kb(actor, "Referenced");
}

/* ---- reading, writing, locking ---- */

static void read_byte(const char *at)
{
	asm volatile("" : : "r" (*at));
}

/*
 * arg: how many. Page tables outside the arena, until what has been in use before is
 * used again: the next ones come one after the other from memory that is not cut up.
 */
static long do_take_tables(const long *arg)
{
	const size_t size = pmd_pages() * page_size;
	const char *area = mmap(NULL, arg[0] * size, PROT_READ,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	long i;

	if (area == MAP_FAILED)
		return -1;
	for (i = 0; i < arg[0]; i++)
		read_byte(area + i * size);
	return 0;
}

/* arg: pages, step */
static long do_touch(const long *arg)
{
	long page;

	for (page = 0; page < arg[0]; page += arg[1])
		read_byte(at(page));
	return 0;
}

static void read_every(int actor, long pages, long step)
{
	call(actor, do_touch, pages, step);
}

/*
 * For each run of mapped pages that are equal in this flag. Ends when page is
 * beyond the arena.
 */
static long next_run(int actor, long *page, unsigned int flag)
{
	struct cell *cell = cells[actor];
	long n;

	while (*page < ARENA_PAGES && cell[*page].tag == NONE)
		++*page;
	for (n = 0; *page + n < ARENA_PAGES && cell[*page + n].tag != NONE; n++)
		if ((cell[*page + n].flags ^ cell[*page].flags) & flag)
			break;
	return n;
}

#define for_each_run(actor, page, n, flag)				\
	for (page = 0; (n = next_run(actor, &(page), flag)) > 0; page += n)

static void write_every(int actor, long page, long n, long step)
{
	long i;

	for (i = page; i < page + n; i += step)
		new_tags(actor, i, 1);
	call(actor, do_write, actor, page, n, step);
}

/* Write all that can be written, or each second page of a private file. */
static void write_all(bool shared, long step)
{
	long page, n;
	int i;

	for (i = 0; i < ACTORS; i++) {
		if (!actors[i].pid)
			continue;
		for_each_run(i, page, n, 0) {
			protect(i, page, n, PROT_READ | PROT_WRITE);
			write_every(i, page, n, step);
		}
		if (shared)
			keep_base(i, 0, ARENA_PAGES);
	}
}

/* arg: page, pages. A pipe has a reference to each, until the process ends. */
static long do_splice(const long *arg)
{
	struct iovec part = { .iov_len = 1 };
	long page;
	int fds[2];

	if (pipe(fds))
		return -1;
	for (page = arg[0]; page < arg[0] + arg[1]; page++) {
		part.iov_base = at(page);
		if (vmsplice(fds[1], &part, 1, SPLICE_F_NONBLOCK) != 1)
			return -1;
	}
	return 0;
}

static void lock(int actor, long page, long n)
{
	must(actor, SYS_mlock, (long)at(page), n * page_size);
	for (; n--; page++)
		cells[actor][page].flags |= F_LOCKED;
}

static void unlock(int actor, long page, long n)
{
	must(actor, SYS_munlock, (long)at(page), n * page_size);
	for (; n--; page++)
		cells[actor][page].flags &= ~F_LOCKED;
}

/* Locked pages, or only those that are not present although they are. */
static long count_locked(bool absent)
{
	long page, n = 0;
	int i;

	for (i = 0; i < ACTORS; i++)
		for (page = 0; actors[i].pid && page < ARENA_PAGES; page++)
			n += (cells[i][page].flags & F_LOCKED) && !(absent && pfn(i, page));
	return n;
}

static bool any_locked(void)
{
	return count_locked(false) > 0;
}

static void check_locked(void)
{
	if (count_locked(true))
		fail("%ld locked pages are not present", count_locked(true));
}

/* ---- works ---- */

static void reclaim_group(void)
{
	try_reclaim(2 * ARENA_PAGES, 200);
	if (!lru_gen())
		try_reclaim(2 * ARENA_PAGES, 100);
}

static void page_out(int actor)
{
	long page, n;

	for_each_run(actor, page, n, F_LOCKED)
		if (!(cells[actor][page].flags & F_LOCKED))
			sys(actor, SYS_madvise, (long)at(page), n * page_size, MADV_PAGEOUT);
}

static void migrate_pid(pid_t pid, int from, int to)
{
	unsigned long old = BIT(from), new = BIT(to);

	if (syscall(SYS_migrate_pages, pid, 8 * sizeof(old), &old, &new) < 0)
		fail("migrate_pages: %m");
}

static int node_of(int actor, long page)
{
	void *address = at(page);
	int node = -1;

	if (syscall(SYS_move_pages, actors[actor].pid, 1L, &address, NULL, &node, 0))
		fail("move_pages: %m");
	return node;
}

static long elsewhere(int actor, int node)
{
	static uint64_t entries[ARENA_PAGES];
	long page, n = 0;

	read_pagemap(actor, entries);
	for (page = 0; page < ARENA_PAGES; page++)
		if ((entries[page] & PM_PRESENT) && cells[actor][page].tag > ZERO)
			n += node_of(actor, page) != node;
	return n;
}

/* All that is present moves from a node to another. */
static void migrate_all(int from, int to)
{
	long left = 1;
	int i, round;

	for (round = 0; round < 10 && left; round++) {
		left = 0;
		for (i = 0; i < ACTORS; i++)
			if (actors[i].pid)
				migrate_pid(actors[i].pid, from, to);
		for (i = 0; i < ACTORS; i++)
			if (actors[i].pid)
				left += elsewhere(i, to);
	}
	if (left)
		fail("%ld pages did not move to node %d", left, to);
}

static void split_range(pid_t pid, unsigned long start, unsigned long size)
{
	char text[80];

	snprintf(text, sizeof(text), "%d,%#lx,%#lx", pid, start, start + size);
	write_file("/sys/kernel/debug/split_huge_pages", text);
}

static void split_all(int actor)
{
	static uint64_t entries[ARENA_PAGES];
	long page, n, left = 1;
	int round;

	read_pagemap(actor, entries);
	for (round = 0; round < 10 && left; round++) {
		drain_batches();
		for_each_run(actor, page, n, 0)
			split_range(actors[actor].pid, (unsigned long)at(page), n * page_size);
		left = 0;
		for (page = 0; page < ARENA_PAGES; page++)
			if ((entries[page] & PM_PRESENT) && cells[actor][page].tag > ZERO)
				left += !!(page_flags(entries[page] & PM_PFN) &
					   (KPF_HEAD | KPF_TAIL));
	}
	if (left)
		fail("actor %d: %ld pages are of folios that were not split", actor, left);
}

/* ---- userfaultfd ---- */

/* arg: page, pages */
static long do_uffd_wp_open(const long *arg)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_HUGETLBFS_SHMEM,
	};
	struct uffdio_register reg = {
		.range = { (unsigned long)at(arg[0]), arg[1] * page_size },
		.mode = UFFDIO_REGISTER_MODE_WP,
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg))
		return -1;
	return fd;
}

/* arg: uffd, page, pages */
static long do_uffd_wp(const long *arg)
{
	struct uffdio_writeprotect wp = {
		.range = { (unsigned long)at(arg[1]), arg[2] * page_size },
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};

	return ioctl(arg[0], UFFDIO_WRITEPROTECT, &wp);
}

/* ---- poison ---- */

static sigjmp_buf bus_error;

static void on_bus_error(int sig)
{
	siglongjmp(bus_error, sig);
}

static void ignore_signal(int sig)
{
	(void)sig;
}

/* arg: page. The signal that reading it raises, or 0. */
static long do_read_signal(const long *arg)
{
	long sig = sigsetjmp(bus_error, 1);

	if (!sig) {
		signal(SIGBUS, on_bus_error);
		read_byte(at(arg[0]));
	}
	signal(SIGBUS, SIG_DFL);
	return sig;
}

/* arg: page, advice. Who poisons a page of its own is told so by a signal. */
static long do_poison(const long *arg)
{
	long ret;

	signal(SIGBUS, ignore_signal);
	ret = madvise(at(arg[0]), page_size, arg[1]);
	signal(SIGBUS, SIG_DFL);
	return ret;
}

static void cure(uint64_t frame)
{
	char text[32];
	int fd = open("/sys/kernel/debug/hwpoison/unpoison-pfn", O_WRONLY);

	snprintf(text, sizeof(text), "%#lx", (long)frame);
	if (write(fd, text, strlen(text)) < 0)
		fail("cannot take the poison from %s: %m", text);
	close(fd);
}

/* ---- hugetlb ---- */

/* Pages in one of the default size. */
static long hugetlb_pages(void)
{
	FILE *f = fopen("/proc/meminfo", "r");
	char line[128];
	long kb = 0;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Hugepagesize: %ld", &kb) == 1)
			break;
	if (f)
		fclose(f);
	return kb * 1024 / page_size;
}

static void give_hugetlb(int n)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", n);
	write_file("/proc/sys/vm/nr_hugepages", text);
}

static bool map_hugetlb(int actor, long page, long n)
{
	long pages = n * hugetlb_pages();

	give_hugetlb(8);
	if (!pages || read_number("/proc/sys/vm/nr_hugepages") < 8)
		return false;
	must(actor, SYS_mmap, (long)at(page), pages * page_size, PROT_READ | PROT_WRITE,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_FIXED_NOREPLACE, -1, 0);
	set_cells(actor, page, pages, ZERO);
	put(actor, page, pages);
	return true;
}

/* ---- a device ---- */

/* arg: command, page, pages. How many pages the device has got. */
static long do_hmm(const long *arg)
{
	static int fd;
	struct hmm_dmirror_cmd cmd = {
		.addr = (unsigned long)at(arg[1]),
		.npages = arg[2],
	};
	void *copy = aligned_alloc(page_size, arg[2] * page_size);

	memset(copy, 0, arg[2] * page_size);
	cmd.ptr = (unsigned long)copy;
	if (!fd)
		fd = open(HMM_DEVICE, O_RDWR);
	if (ioctl(fd, arg[0], &cmd))
		return -1;
	free(copy);
	return cmd.cpages;
}

#endif /* RMAP_UNMAP_H */
