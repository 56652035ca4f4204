// SPDX-License-Identifier: GPL-2.0
/*
 * Pages of files, and what is no page of anybody's, beside anonymous pages: in
 * one private mapping, in one process, under one walk.
 */
#include <arpa/inet.h>
#include <glob.h>
#include <limits.h>
#include <linux/if_packet.h>
#include <linux/mman.h>
#include <net/ethernet.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include "cases.h"
#include "services.h"

#define DISK		"/tmp/rmap_file"
#define DISK_FILE	DISK "/file"
#define MEMORY_DISK	"/dev/pmem0"
#define DAX		"/tmp/rmap_dax"

/* ---- a file on a disk, which a page of it goes back to ---- */

static bool make_ext2(const char *path, const char *dir, const char *options)
{
	char command[96];

	snprintf(command, sizeof(command), "mke2fs -b 4096 %s >/dev/null 2>&1", path);
	mkdir(dir, 0755);
	return !failures && !system(command) && !mount(path, dir, "ext2", 0, options);
}

static bool make_disk(void)
{
	long n = read_number("/sys/class/zram-control/hot_add");
	char path[64];

	snprintf(path, sizeof(path), "/sys/block/zram%ld/disksize", n);
	write_file(path, "64M");
	snprintf(path, sizeof(path), "/dev/zram%ld", n);
	return make_ext2(path, DISK, NULL);
}

/* So many pages, each as its tag says; none of them stays in memory. */
static void make_disk_file(long pages)
{
	int fd = open(DISK_FILE, O_RDWR | O_CREAT | O_TRUNC, 0644);
	long i;

	for (i = 0; i < pages; i++) {
		uint64_t word = pattern(FILE_TAG + i);

		if (pwrite(fd, &word, sizeof(word), i * page_size) < 0 ||
		    pwrite(fd, &word, sizeof(word), (i + 1) * page_size - sizeof(word)) < 0)
			fail("cannot write " DISK_FILE ": %m");
	}
	if (fsync(fd) || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))
		fail("cannot drop " DISK_FILE ": %m");
	close(fd);
}

/* A mapping from page "from" of the file on the disk. */
static void map_disk(int actor, long page, long n, long from, int flags)
{
	int fd = must(actor, SYS_openat, AT_FDCWD, (long)DISK_FILE, O_RDWR, 0);

	must(actor, SYS_mmap, (long)at(page), n * page_size, PROT_READ | PROT_WRITE,
	     MAP_FIXED_NOREPLACE | flags, fd, from * page_size);
	must(actor, SYS_close, fd);
	for (; n--; page++, from++)
		set_cells(actor, page, 1, FILE_TAG + from);
}

static uint64_t page_flags(uint64_t frame)
{
	int fd = open("/proc/kpageflags", O_RDONLY);
	uint64_t flags = 0;

	if (!frame || pread(fd, &flags, sizeof(flags), frame * sizeof(flags)) < 0)
		fail("no flags of pfn %lx: %m", frame);
	close(fd);
	return flags;
}

static bool is_anon(int actor, long page)
{
	return page_flags(pfn(actor, page)) & KPF_ANON;
}

/*
 * Pages 0 to 15 of the file as they are and 16 to 31 copied, in one vma. What is
 * copied is in the family, what is not in the file's tree only, and both go.
 */
CASE(private_file_both_kinds)
{
	int b, other = new_family();

	make_disk_file(32);
	map_disk(self->a, 0, 32, 0, MAP_PRIVATE);
	map_disk(other, 100, 32, 0, MAP_SHARED);
	verify();
	put(self->a, 16, 16);
	b = fork_actor(self->a);
	put(b, 24, 8);
	verify();
	EXPECT_EQ(1, map_lines(self->a, 0, 32));
	EXPECT_FALSE(is_anon(self->a, 3));
	EXPECT_EQ(pfn(other, 103), pfn(self->a, 3));
	EXPECT_EQ(pfn(other, 103), pfn(b, 3));
	EXPECT_FALSE(is_anon(other, 120));
	EXPECT_TRUE(is_anon(self->a, 20));
	EXPECT_EQ(pfn(self->a, 20), pfn(b, 20));
	EXPECT_TRUE(is_anon(b, 28));
	EXPECT_NE(pfn(self->a, 28), pfn(b, 28));

	reclaim_all();
	EXPECT_EQ(0, entries_with(self->a, 0, 16, PM_PRESENT | PM_SWAP));
	EXPECT_EQ(16, entries_with(self->a, 16, 16, PM_SWAP));
	EXPECT_EQ(16, entries_with(b, 16, 16, PM_SWAP));
	EXPECT_EQ(0, entries_with(other, 100, 32, PM_PRESENT | PM_SWAP));
	settle();
	put(b, 0, 4);
	settle();
}

/* What is written through a shared mapping is in no family, and not lost. */
CASE(shared_file_is_written_back)
{
	uint64_t word;
	int b, fd, i;

	make_disk_file(32);
	map_disk(self->a, 0, 32, 0, MAP_SHARED);
	b = fork_actor(self->a);
	put(b, 4, 8);
	memcpy(cells[self->a] + 4, cells[b] + 4, 8 * sizeof(struct cell));
	verify();
	EXPECT_FALSE(is_anon(b, 4));
	EXPECT_EQ(pfn(self->a, 4), pfn(b, 4));
	sync();
	settle();
	EXPECT_EQ(0, entries_with(b, 0, 32, PM_PRESENT | PM_SWAP));
	fd = open(DISK_FILE, O_RDONLY);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	for (i = 4; i < 12; i++) {
		ASSERT_EQ(sizeof(word), pread(fd, &word, sizeof(word), i * page_size));
		EXPECT_EQ(pattern(cells[b][i].tag), word);
	}
	close(fd);
}

/* A mapping of the first pages of the file. */
struct window {
	int actor;
	long page;
};

#define WINDOWS		5
#define WINDOW_PAGES	16

/* Written through one, seen through all. */
static void put_through(const struct window *windows, int nr)
{
	const struct window *by = windows + nr;
	int i;

	put(by->actor, by->page, WINDOW_PAGES);
	for (i = 0; i < WINDOWS; i++)
		if (i != nr)
			memcpy(cells[windows[i].actor] + windows[i].page,
			       cells[by->actor] + by->page,
			       WINDOW_PAGES * sizeof(struct cell));
}

static void write_back(void)
{
	int fd = open(DISK_FILE, O_RDONLY);

	if (fsync(fd))
		fail("cannot write back " DISK_FILE ": %m");
	close(fd);
}

/* How many pages of the file are not yet on the disk as the window shows them. */
static long not_on_disk(const struct window *window)
{
	uint64_t *buffer = aligned_alloc(page_size, page_size);
	int fd = open(DISK_FILE, O_RDONLY | O_DIRECT);
	long page, wrong = 0;

	for (page = 0; page < WINDOW_PAGES; page++)
		wrong += pread(fd, buffer, page_size, page * page_size) != page_size ||
			 *buffer != pattern(cells[window->actor][window->page + page].tag);
	close(fd);
	free(buffer);
	return wrong;
}

/*
 * Once written back, a page is clean and no entry of it may be writable, or the
 * next write through that one goes unnoticed.
 */
CASE(shared_file_is_written_back_again)
{
	struct window windows[WINDOWS] = { { self->a, 0 }, { self->a, 100 } };
	int i;

	make_disk_file(WINDOW_PAGES);
	map_disk(self->a, 0, WINDOW_PAGES, 0, MAP_SHARED);
	map_disk(self->a, 100, WINDOW_PAGES, 0, MAP_SHARED);
	windows[2] = (struct window){ fork_actor(self->a), 0 };
	windows[3] = (struct window){ windows[2].actor, 100 };
	windows[4] = (struct window){ new_family(), 200 };
	map_disk(windows[4].actor, 200, WINDOW_PAGES, 0, MAP_SHARED);
	for (i = 0; i < WINDOWS; i++)
		put_through(windows, i);
	write_back();
	for (i = 0; i < 2 * WINDOWS; i++) {
		put_through(windows, i % WINDOWS);
		write_back();
		EXPECT_EQ(0, not_on_disk(&windows[i % WINDOWS]));
	}
	settle();
}

static long minor_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt;
}

/*
 * Memory of a disk has no folios to ask: here too no entry may be writable once
 * what was written through it is in the past, or it is not known to be written to.
 */
CASE(memory_of_a_disk_is_written_back_again)
{
	size_t size = WINDOW_PAGES * page_size;
	char *through[WINDOWS];
	long before;
	int fd, i, page;

	if (access(MEMORY_DISK, F_OK))
		SKIP(return, "no " MEMORY_DISK);
	ASSERT_TRUE(make_ext2(MEMORY_DISK, DAX, "dax"));
	fd = open(DAX "/file", O_RDWR | O_CREAT, 0644);
	ASSERT_EQ(0, ftruncate(fd, size));
	for (i = 0; i < WINDOWS; i++) {
		through[i] = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		ASSERT_NE(MAP_FAILED, through[i]);
		memset(through[i], i, size);
	}
	for (i = 0; i < 2 * WINDOWS; i++) {
		ASSERT_EQ(0, fsync(fd));
		before = minor_faults();
		for (page = 0; page < WINDOW_PAGES; page++)
			through[i % WINDOWS][page * page_size] = i;
		EXPECT_LE(WINDOW_PAGES, minor_faults() - before);
	}
	for (i = 0; i < WINDOWS; i++)
		munmap(through[i], size);
	close(fd);
	EXPECT_EQ(0, umount(DAX));
}

/* ---- truncate ---- */

#define SMALL_VMAS	5000
#define FILE_PAGES	64

/* Not to be reached, be it to be read or to be written. */
static bool is_gone(int actor, long page)
{
	uint64_t word;
	struct iovec to = { &word, sizeof(word) }, from = { at(page), sizeof(word) };

	return process_vm_readv(actors[actor].pid, &to, 1, &from, 1, 0) < 0 &&
	       errno == EFAULT && !(pagemap(actor, page) & (PM_PRESENT | PM_SWAP));
}

/* Page i of the arena maps page i % FILE_PAGES, privately or shared by turns. */
static void map_small_vmas(int actor)
{
	int fd = must(actor, SYS_openat, AT_FDCWD, (long)DISK_FILE, O_RDWR, 0), i;

	for (i = 0; i < SMALL_VMAS; i++) {
		must(actor, SYS_mmap, (long)at(i), page_size, PROT_READ | PROT_WRITE,
		     MAP_FIXED_NOREPLACE | (i & 1 ? MAP_PRIVATE : MAP_SHARED), fd,
		     i % FILE_PAGES * page_size);
		set_cells(actor, i, 1, FILE_TAG + i % FILE_PAGES);
	}
	must(actor, SYS_close, fd);
}

static void must_be_cut(const int *who, int n, int length)
{
	int i, k, left = 0;

	for (k = 0; k < n; k++)
		for (i = 0; i < SMALL_VMAS; i++)
			if (i % FILE_PAGES >= length && !is_gone(who[k], i) && !left++)
				fail("actor %d still has page %d, which is page %d of the file",
				     who[k], i, i % FILE_PAGES);
	if (left)
		fail("%d pages are left behind the end of the file", left);
}

/* 10 000 vmas of one file in two processes, half private, some of them copied. */
CASE(truncate_ten_thousand_vmas)
{
	int who[2] = { self->a }, i, k;

	make_disk_file(FILE_PAGES);
	map_small_vmas(self->a);
	EXPECT_EQ(SMALL_VMAS, map_lines(self->a, 0, SMALL_VMAS));
	for (i = 1; i < SMALL_VMAS; i += 6)
		put(self->a, i, 1);
	who[1] = fork_actor(self->a);
	for (i = 3; i < SMALL_VMAS; i += 12)
		put(who[1], i, 1);
	verify();
	reclaim_all();
	/* Half of what goes is in memory, half swapped out. */
	for (i = 0; i < SMALL_VMAS / 2; i++)
		must(self->a, SYS_madvise, (long)at(i), page_size, MADV_POPULATE_READ);

	ASSERT_EQ(0, truncate(DISK_FILE, FILE_PAGES / 2 * page_size));
	must_be_cut(who, 2, FILE_PAGES / 2);
	ASSERT_EQ(0, truncate(DISK_FILE, FILE_PAGES * page_size));
	for (k = 0; k < 2; k++)
		for (i = 0; i < SMALL_VMAS; i++)
			if (i % FILE_PAGES >= FILE_PAGES / 2)
				set_cells(who[k], i, 1, ZERO);
	settle();
	for (i = 1; i < SMALL_VMAS; i += 10)
		put(who[1], i, 1);
	settle();
	ASSERT_EQ(0, truncate(DISK_FILE, 0));
	must_be_cut(who, 2, 0);
}

/* ---- remap_file_pages ---- */

/* Page i of 16 shows page order[i] of the file. */
static void remap_pages(int actor, long page, const int *order)
{
	int i;

	for (i = 0; i < 16; i++) {
		must(actor, SYS_remap_file_pages, (long)at(page + i), page_size, 0,
		     order[i], 0);
		set_cells(actor, page + i, 1, FILE_TAG + order[i]);
	}
}

CASE(nonlinear_mapping)
{
	static const int back[16] = { 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0 };
	static const int mixed[16] = { 3, 3, 7, 0, 12, 3, 1, 15, 8, 8, 9, 2, 3, 14, 5, 0 };
	int b, i;

	must(self->a, SYS_mmap, (long)at(0), 16 * page_size, PROT_READ | PROT_WRITE,
	     MAP_SHARED | MAP_FIXED_NOREPLACE, file_fd, 0);
	map_file(self->a, 64, 16, 0);
	put(self->a, 64, 8);
	remap_pages(self->a, 0, back);
	verify();
	EXPECT_LE(16, map_lines(self->a, 0, 16));
	b = fork_actor(self->a);
	settle();
	remap_pages(b, 0, mixed);
	verify();
	EXPECT_EQ(pfn(self->a, 12), pfn(b, 0));
	EXPECT_EQ(pfn(b, 1), pfn(b, 5));
	settle();

	/* Seen through every window on page 3, and by nobody who copied it. */
	new_tags(b, 5, 1);
	for (i = 0; i < 16; i++)
		if (mixed[i] == 3)
			cells[b][i].tag = cells[b][5].tag;
	cells[self->a][12].tag = cells[b][5].tag;
	call(b, do_write, b, 5, 1, 1);
	settle();
}

/* ---- mappings of what is no page to reclaim ---- */

/* arg: page, tag. Outside the model, as such pages stay where they are. */
static long do_poke(const long *arg)
{
	*first_word(arg[0]) = pattern(arg[1]);
	*last_word(arg[0]) = pattern(arg[1]);
	return 0;
}

/* arg: page, tag */
static long do_peek(const long *arg)
{
	return holds(arg[0], arg[1]);
}

static uint64_t map_count(uint64_t frame)
{
	int fd = open("/proc/kpagecount", O_RDONLY);
	uint64_t count = 0;

	pread(fd, &count, sizeof(count), frame * sizeof(count));
	close(fd);
	return count;
}

#define IVSHMEM		0x1110

static char device[PATH_MAX];

static long read_hex(const char *path)
{
	FILE *file = fopen(path, "r");
	long number = 0;

	if (file && fscanf(file, "%lx", &number) != 1)
		number = 0;
	if (file)
		fclose(file);
	return number;
}

/* The memory of a device of QEMU's that has nothing else, as a file to be mapped. */
static void find_device(void)
{
	glob_t found;
	size_t i;

	if (glob("/sys/bus/pci/devices/*/resource2", 0, NULL, &found))
		return;
	for (i = 0; i < found.gl_pathc; i++) {
		int n = strrchr(found.gl_pathv[i], '/') - found.gl_pathv[i];
		char id[PATH_MAX];

		snprintf(id, sizeof(id), "%.*s/device", n, found.gl_pathv[i]);
		if (read_hex(id) == IVSHMEM)
			snprintf(device, sizeof(device), "%s", found.gl_pathv[i]);
	}
	globfree(&found);
}

/* arg: page, pages, flags */
static long do_map_device(const long *arg)
{
	int fd = open(device, O_RDWR);

	if (fd < 0 || mmap(at(arg[0]), arg[1] * page_size, PROT_READ | PROT_WRITE,
			   MAP_FIXED_NOREPLACE | arg[2], fd, 0) != at(arg[0]))
		return -1;
	return close(fd);
}

/*
 * A private mapping of a device's memory in the middle of anonymous memory: it
 * has no struct page, is copied when it is written, and else left alone.
 */
CASE(pfn_mapping_is_copied)
{
	int a = self->a, b, c, i, other = new_family();

	if (!*device)
		SKIP(return, "no ivshmem device");
	ASSERT_EQ(0, call(other, do_map_device, 8, 4, MAP_SHARED));
	for (i = 0; i < 4; i++)
		call(other, do_poke, 8 + i, FILE_TAG + i);
	map(a, 0, 8);
	map(a, 12, 8);
	put(a, 0, 8);
	put(a, 12, 8);
	ASSERT_EQ(0, call(a, do_map_device, 8, 4, MAP_PRIVATE));
	b = fork_actor(a);
	put(b, 9, 1);
	c = fork_actor(b);
	put(c, 10, 1);
	put(c, 4, 4);
	put(a, 8, 1);
	settle();
	for (i = 0; i < 4; i++) {
		EXPECT_TRUE(call(other, do_peek, 8 + i, FILE_TAG + i));
		if (cells[a][8 + i].tag == NONE)
			EXPECT_TRUE(call(a, do_peek, 8 + i, FILE_TAG + i));
		if (cells[b][8 + i].tag == NONE)
			EXPECT_TRUE(call(b, do_peek, 8 + i, FILE_TAG + i));
	}
	/* What nobody copied is still the device. */
	call(other, do_poke, 11, FILE_TAG + 4);
	EXPECT_TRUE(call(a, do_peek, 11, FILE_TAG + 4));
	EXPECT_TRUE(call(c, do_peek, 11, FILE_TAG + 4));
	quit(b);
	settle();
	unmap(c, 8, 4);
	settle();
}

/* arg: page, pages. A ring of packets: its pages come by vm_insert_page(). */
static long do_map_ring(const long *arg)
{
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	struct tpacket_req ring = {
		.tp_block_size = page_size,
		.tp_block_nr = arg[1],
		.tp_frame_size = page_size,
		.tp_frame_nr = arg[1],
	};

	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof(ring)) ||
	    mmap(at(arg[0]), arg[1] * page_size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_FIXED_NOREPLACE, fd, 0) != at(arg[0]))
		return -1;
	return fd;
}

CASE(inserted_pages_are_copied)
{
	uint64_t frame;
	int b, c;

	map(self->a, 0, 8);
	put(self->a, 0, 8);
	if (call(self->a, do_map_ring, 8, 8) < 0)
		SKIP(return, "no packet sockets: %s", strerror(errno));
	map(self->a, 16, 8);
	put(self->a, 16, 8);
	set_cells(self->a, 8, 8, ZERO);
	frame = pfn(self->a, 9);
	ASSERT_NE(0, frame);
	put(self->a, 12, 2);
	b = fork_actor(self->a);
	EXPECT_EQ(frame, pfn(b, 9));
	EXPECT_EQ(2, map_count(frame));
	put(b, 10, 4);
	c = fork_actor(b);
	put(c, 4, 16);
	settle();
	EXPECT_EQ(frame, pfn(self->a, 9));
	EXPECT_EQ(frame, pfn(b, 9));
	quit(self->a);
	settle();
	unmap(b, 8, 8);
	settle();
}

static long huge_pages(void)
{
	char line[128];
	long kib = 0;
	FILE *file = fopen("/proc/meminfo", "r");

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "Hugepagesize: %ld", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return kib * 1024 / page_size;
}

/* A page of hugetlbfs between small ones: shared, copied, moved, with them swapped out. */
CASE(hugetlb_beside_small_pages)
{
	const long n = huge_pages();
	uint64_t before;
	int b, c;

	if (!n || 3 * n + 16 > ARENA_PAGES)
		SKIP(return, "no huge page fits");
	write_file("/proc/sys/vm/nr_hugepages", "6");
	if (read_number("/proc/sys/vm/nr_hugepages") < 4)
		SKIP(return, "no memory for huge pages");
	if (sys(self->a, SYS_mmap, (long)at(n), n * page_size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_FIXED_NOREPLACE, -1, 0) < 0)
		fail("no huge page: %m");
	map(self->a, n - 8, 8);
	map(self->a, 2 * n, 8);
	put(self->a, n - 8, 8);
	put(self->a, 2 * n, 8);
	call(self->a, do_poke, n + 3, FILE_TAG);
	b = fork_actor(self->a);
	c = fork_actor(b);
	EXPECT_EQ(pfn(self->a, n + 3), pfn(c, n + 3));
	call(b, do_poke, n + 3, FILE_TAG + 1);
	put(b, n - 4, 4);
	settle();
	EXPECT_TRUE(call(self->a, do_peek, n + 3, FILE_TAG));
	EXPECT_TRUE(call(b, do_peek, n + 3, FILE_TAG + 1));
	EXPECT_TRUE(call(c, do_peek, n + 3, FILE_TAG));

	/* To be moved, the huge page must be found in both that have it. */
	before = pfn(c, n + 3);
	if (sys(c, SYS_madvise, (long)at(n + 3), page_size, MADV_SOFT_OFFLINE))
		fail("the huge page does not move: %m");
	EXPECT_TRUE(call(self->a, do_peek, n + 3, FILE_TAG));
	EXPECT_TRUE(call(c, do_peek, n + 3, FILE_TAG));
	EXPECT_NE(before, pfn(c, n + 3));
	EXPECT_EQ(pfn(c, n + 3), pfn(self->a, n + 3));
	quit(self->a);
	settle();
	call(c, do_poke, n + 3, FILE_TAG + 2);
	EXPECT_TRUE(call(b, do_peek, n + 3, FILE_TAG + 1));
	close_stage();
	write_file("/proc/sys/vm/nr_hugepages", "0");
}

/* ---- every advice, on both kinds of page ---- */

/*
 * Anonymous memory at 0, half of it written; at 64 a private mapping of a file,
 * the first half of which was copied. In a child, whose parent has the same.
 */
static int both_kinds(int a)
{
	map(a, 0, 32);
	put(a, 0, 16);
	map_file(a, 64, 32, 0);
	put(a, 64, 16);
	verify();
	return fork_actor(a);
}

CASE(advice_pageout)
{
	int b = both_kinds(self->a);

	EXPECT_LT(0, entries_with(self->a, 0, 16, PM_PRESENT));
	put(b, 0, 8);
	put(b, 64, 8);
	/* Copied pages that are now this process's alone, of either kind. */
	EXPECT_EQ(0, left_by_pageout(b, 0, 8));
	EXPECT_EQ(0, left_by_pageout(b, 64, 8));
	EXPECT_EQ(8, entries_with(b, 64, 8, PM_SWAP));
	verify();
	quit(self->a);
	/* And all of it, when nobody else has any of it. */
	EXPECT_EQ(0, left_by_pageout(b, 0, 16));
	EXPECT_EQ(0, left_by_pageout(b, 64, 32));
	verify();
	settle();
}

CASE(advice_cold)
{
	int b = both_kinds(self->a);

	put(b, 4, 4);
	put(b, 68, 4);
	advise(b, 0, 32, MADV_COLD);
	advise(b, 64, 32, MADV_COLD);
	/* Nothing goes by it. */
	EXPECT_EQ(16, entries_with(b, 0, 16, PM_PRESENT));
	EXPECT_EQ(32, entries_with(b, 64, 32, PM_PRESENT));
	verify();
	advise(self->a, 64, 32, MADV_COLD);
	settle();
}

/*
 * Of pages that one alone maps and uses, those that it says are cold go first, be
 * they the last that came.
 */
static void cold_goes_first(int actor, long page, long n, int swappiness)
{
	long half = n / 2, cold = half, warm, tries;

	drain_batches();
	call(actor, do_use, page, n);
	advise(actor, page + half, half, MADV_COLD);
	for (tries = 0; tries < 20 && cold == half; tries++) {
		try_reclaim(n / 8, swappiness);
		cold = entries_with(actor, page + half, half, PM_PRESENT);
	}
	warm = entries_with(actor, page, half, PM_PRESENT);
	if (cold >= warm)
		fail("of %ld pages each, %ld cold and %ld others are present", half, cold, warm);
}

CASE(advice_cold_goes_first)
{
	const long n = 512;

	map(self->a, 0, n);
	put(self->a, 0, n);
	cold_goes_first(self->a, 0, n, 200);
	settle();
	make_disk_file(n);
	map_disk(self->a, n, n, 0, MAP_PRIVATE);
	verify();
	cold_goes_first(self->a, n, n, 0);
	settle();
}

CASE(advice_free)
{
	int b = both_kinds(self->a);

	put(b, 0, 8);
	put(b, 64, 8);
	advise_free(b, 0, 16);
	put(b, 2, 2);
	/* What stands for a file is not free to go. */
	EXPECT_EQ(-1, try_advise(b, 64, 32, MADV_FREE));
	EXPECT_EQ(EINVAL, errno);
	reclaim_all();
	must_be_free(b, 0, 2);
	must_be_free(b, 4, 4);
	EXPECT_EQ(2, entries_with(b, 2, 2, PM_SWAP));
	settle();
	fork_actor(b);
	put(b, 0, 16);
	settle();
}

CASE(advice_dontneed)
{
	int b = both_kinds(self->a), c = fork_actor(b);

	put(b, 4, 8);
	put(b, 68, 4);
	advise(b, 0, 32, MADV_DONTNEED);
	advise(b, 64, 24, MADV_DONTNEED);
	verify();
	put(c, 66, 4);
	settle();
	put(b, 70, 20);
	settle();
}

/* What others have copied of the file stays, what they have not is zeroes. */
CASE(advice_remove)
{
	int b = both_kinds(self->a), c = fork_actor(b), actor, i;

	put(b, 72, 12);
	must(c, SYS_mmap, (long)at(200), 32 * page_size, PROT_READ | PROT_WRITE,
	     MAP_SHARED | MAP_FIXED_NOREPLACE, file_fd, 0);
	for (i = 0; i < 32; i++)
		set_cells(c, 200 + i, 1, FILE_TAG + i);
	settle();
	EXPECT_EQ(-1, try_advise(b, 64, 32, MADV_REMOVE));
	EXPECT_EQ(-1, try_advise(b, 0, 16, MADV_REMOVE));
	ASSERT_EQ(0, try_advise(c, 208, 16, MADV_REMOVE));
	set_cells(c, 208, 16, ZERO);
	for (actor = self->a; actor <= c; actor++)
		for (i = 72; i < 88; i++) {
			cells[actor][i].base = ZERO;
			if (cells[actor][i].tag >= FILE_TAG)
				cells[actor][i].tag = ZERO;
		}
	settle();
	put(c, 80, 8);
	settle();
}

CASE(advice_dontfork)
{
	int b, c;

	b = both_kinds(self->a);
	advise(b, 8, 16, MADV_DONTFORK);
	advise(b, 72, 16, MADV_DONTFORK);
	c = fork_actor(b);
	EXPECT_EQ(2, map_lines(c, 0, 32));
	EXPECT_EQ(2, map_lines(c, 64, 32));
	put(c, 4, 4);
	put(c, 68, 4);
	put(b, 64, 32);
	settle();
	advise(b, 72, 16, MADV_DOFORK);
	c = fork_actor(b);
	put(c, 70, 8);
	settle();
}

CASE(advice_wipeonfork)
{
	int b, c;

	b = both_kinds(self->a);
	advise(b, 8, 16, MADV_WIPEONFORK);
	EXPECT_EQ(-1, try_advise(b, 72, 16, MADV_WIPEONFORK));
	EXPECT_EQ(EINVAL, errno);
	c = fork_actor(b);
	EXPECT_EQ(0, entries_with(c, 8, 16, PM_PRESENT | PM_SWAP));
	put(c, 10, 4);
	put(c, 70, 4);
	settle();
	advise(b, 8, 16, MADV_KEEPONFORK);
	fork_actor(b);
	settle();
}

int main(int argc, char **argv)
{
	if (!make_disk()) {
		printf("Bail out! cannot make a disk of zram\n");
		return KSFT_SKIP;
	}
	find_device();
	return run_cases(argc, argv);
}
