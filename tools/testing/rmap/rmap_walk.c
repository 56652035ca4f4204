// SPDX-License-Identifier: GPL-2.0
/*
 * What is done at the entries that a walk finds: young bits counted and cleared,
 * entries of swap left behind, notifiers told, pages moved, merged and split; and
 * what keeps a page where it is.
 */
#include <linux/ioctl.h>
#include <linux/mman.h>
#include <linux/types.h>
#include "lib/test_hmm_uapi.h"
#include "cases.h"
#include "services.h"

#define PM_SOFT_DIRTY	0x80000000000000ULL

/* Reclaim what can go, when something is to stay. */
static void push_out(void)
{
	int round;

	for (round = 0; round < 12; round++) {
		try_reclaim(ARENA_PAGES, 200);
		write_file("/proc/sys/vm/drop_caches", "1");
	}
}

/* ---- young bits ---- */

/* To tell, the kernel looks at all entries once more. */
static bool is_idle(uint64_t frame)
{
	int fd = open("/sys/kernel/mm/page_idle/bitmap", O_RDONLY);
	uint64_t bits = 0;

	pread(fd, &bits, sizeof(bits), frame / 64 * sizeof(bits));
	close(fd);
	return bits >> frame % 64 & 1;
}

CASE(idle_bit_sees_every_mapper)
{
	int a = self->a, who[4] = { a }, i, tries;
	uint64_t frame;

	if (access("/sys/kernel/mm/page_idle/bitmap", W_OK))
		SKIP(return, "no idle page tracking");
	map(a, 0, 64);
	put(a, 0, 64);
	for (i = 1; i < 4; i++) {
		who[i] = fork_actor(who[i - 1]);
		put(who[i], i * 8, 4);
	}
	move(who[2], 40, 8, 1040, 0);
	frame = pfn(a, 41);
	write_file("/proc/sys/vm/drop_caches", "1");
	for (i = 0; i < 4; i++) {
		/* What they have read before is cleared in all. */
		mark_idle(frame);
		EXPECT_TRUE(is_idle(frame));
		for (tries = 0; tries < 5 && is_idle(frame); tries++)
			call(who[i], do_use, i == 2 ? 1041 : 41, 1);
		EXPECT_FALSE(is_idle(frame));
		EXPECT_EQ(frame, pfn(who[i], i == 2 ? 1041 : 41));
	}
	mark_idle(frame);
	call(who[3], do_use, 24, 4);
	EXPECT_TRUE(is_idle(frame));
	settle();
}

/*
 * Of what three processes map, the last reads an eighth over and over: that is
 * what must stay when a part of all is reclaimed, a little at a time.
 */
static void hot_pages_stay(int a, long generations)
{
	const long pages = 1024, hot = 128, enough = 300;
	const long before = lru_gen();
	long cold_left = pages, hot_left;
	int c, rounds = 0;

	set_lru_gen(generations);
	map(a, 0, pages);
	put(a, 0, pages);
	c = fork_actor(fork_actor(a));
	while (cold_left > enough && rounds++ < 200) {
		call(c, do_use, 512, hot);
		write_file("/proc/sys/vm/drop_caches", "1");
		try_reclaim(16, 200);
		hot_left = entries_with(c, 512, hot, PM_PRESENT);
		cold_left = entries_with(c, 0, pages, PM_PRESENT) - hot_left;
	}
	printf("# after %d rounds %ld of %ld hot and %ld of %ld others are left\n", rounds,
	       hot_left, hot, cold_left, pages - hot);
	if (cold_left > enough)
		fail("nothing goes");
	if (hot_left < hot * 3 / 4)
		fail("what is in use goes as well as the rest");
	set_lru_gen(before);
	settle();
}

CASE(hot_pages_stay_lru)
{
	hot_pages_stay(self->a, 0);
}

CASE(hot_pages_stay_mglru)
{
	if (access(LRU_GEN, W_OK))
		SKIP(return, "no MGLRU");
	hot_pages_stay(self->a, 7);
}

/* ---- what unmapping leaves, and what is not unmapped ---- */

CASE(soft_dirty_survives_swap)
{
	char path[40];
	int b;

	map(self->a, 0, 32);
	put(self->a, 0, 32);
	snprintf(path, sizeof(path), "/proc/%d/clear_refs", actors[self->a].pid);
	write_file(path, "4");
	if (entries_with(self->a, 0, 32, PM_SOFT_DIRTY))
		SKIP(return, "no soft-dirty bits");
	put(self->a, 8, 8);
	EXPECT_EQ(8, entries_with(self->a, 0, 32, PM_SOFT_DIRTY));
	reclaim_all();
	EXPECT_EQ(32, entries_with(self->a, 0, 32, PM_SWAP));
	EXPECT_EQ(8, entries_with(self->a, 8, 8, PM_SOFT_DIRTY));
	EXPECT_EQ(8, entries_with(self->a, 0, 32, PM_SOFT_DIRTY));
	b = fork_actor(self->a);
	EXPECT_EQ(8, entries_with(b, 8, 8, PM_SOFT_DIRTY));
	verify();
	EXPECT_EQ(8, entries_with(self->a, 8, 8, PM_SOFT_DIRTY));
	settle();
	EXPECT_EQ(8, entries_with(self->a, 8, 8, PM_SOFT_DIRTY));
}

/* Each time a page is swapped in it is clean in the swap cache, until it is written. */
CASE(dirty_survives_swap)
{
	int b, i;

	map(self->a, 0, 64);
	put(self->a, 0, 64);
	b = fork_actor(self->a);
	for (i = 0; i < 6; i++) {
		settle();
		put(i & 1 ? b : self->a, i * 8, 16);
	}
	settle();
}

CASE(mlocked_pages_stay)
{
	uint64_t frame;
	int b, c;

	map(self->a, 0, 32);
	put(self->a, 0, 32);
	b = fork_actor(self->a);
	c = fork_actor(b);
	protect(c, 8, 8, PROT_READ);
	must(c, SYS_mlock, (long)at(8), 8 * page_size);
	frame = pfn(c, 9);
	EXPECT_EQ(frame, pfn(self->a, 9));
	push_out();
	EXPECT_EQ(8, entries_with(c, 0, 32, PM_PRESENT));
	EXPECT_EQ(8, entries_with(c, 8, 8, PM_PRESENT));
	EXPECT_EQ(frame, pfn(c, 9));
	EXPECT_EQ(0, entries_with(b, 0, 8, PM_PRESENT));
	EXPECT_EQ(0, entries_with(self->a, 16, 16, PM_PRESENT));
	verify();
	must(c, SYS_munlock, (long)at(8), 8 * page_size);
	settle();
}

CASE(pinned_pages_stay)
{
	uint64_t frame;
	long pin;
	int b;

	map(self->a, 0, 32);
	put(self->a, 0, 32);
	b = fork_actor(self->a);
	put(b, 0, 16);
	pin = call(b, do_pin, 4, 4, PIN_LONGTERM_TEST_FLAG_USE_WRITE);
	if (pin < 0)
		SKIP(return, "no gup_test in debugfs");
	frame = pfn(b, 5);
	push_out();
	EXPECT_EQ(4, entries_with(b, 0, 32, PM_PRESENT));
	EXPECT_EQ(frame, pfn(b, 5));
	/* Neither a child nor a write takes it from where it is. */
	fork_actor(b);
	put(b, 4, 4);
	EXPECT_EQ(frame, pfn(b, 5));
	verify();
	call(b, do_unpin, pin);
	settle();
}

/* ---- moved without a copy ---- */

/* As a program and its library are, that a desktop starts a hundred times. */
CASE(read_only_pages_move_shared)
{
	uint64_t before[32];
	int b, c, i;

	map_file(self->a, 0, 32, 0);
	put(self->a, 8, 16);
	protect(self->a, 0, 32, PROT_READ);
	b = fork_actor(self->a);
	c = fork_actor(b);
	verify();
	for (i = 0; i < 32; i++)
		before[i] = pfn(self->a, i);
	move(b, 0, 32, 1000, 0);
	move(c, 4, 16, 2000, 0);
	move(c, 2000, 16, 3000, 0);
	for (i = 0; i < 32; i++) {
		int to = i >= 4 && i < 20 ? 2996 + i : i;

		EXPECT_NE(0, before[i]);
		EXPECT_EQ(before[i], pfn(self->a, i));
		EXPECT_EQ(before[i], pfn(b, 1000 + i));
		EXPECT_EQ(before[i], pfn(c, to));
	}
	settle();
	protect(c, 3000, 16, PROT_READ | PROT_WRITE);
	put(c, 3008, 4);
	settle();
}

/* ---- mmu notifiers, by the mirror of page tables that test_hmm keeps ---- */

static long do_mirror_open(const long *arg)
{
	return open("/dev/hmm_dmirror0", O_RDWR);
}

/*
 * arg: mirror, actor, page, pages (at most 32). Read each through the mirror: the
 * bits say which of them it had no entry for, -1 that it reads something else.
 */
static long do_mirror_read(const long *arg)
{
	uint64_t *buffer = aligned_alloc(page_size, page_size), word;
	long i, missing = 0;

	for (i = 0; i < arg[3]; i++) {
		struct hmm_dmirror_cmd cmd = {
			.addr = (unsigned long)at(arg[2] + i),
			.ptr = (unsigned long)buffer,
			.npages = 1,
		};

		word = pattern(cells[arg[1]][arg[2] + i].tag);
		if (ioctl(arg[0], HMM_DMIRROR_READ, &cmd) || buffer[0] != word ||
		    buffer[page_size / sizeof(word) - 1] != word)
			return -1;
		if (cmd.faults)
			missing |= 1L << i;
	}
	free(buffer);
	return missing;
}

/* The mirror drops what it is told to drop, and one page more. */
#define GONE(first, n) (((2L << (n)) - 1) << (first))

CASE(notifiers_know_what_goes)
{
	int b, c, mirror;

	map(self->a, 0, 32);
	put(self->a, 0, 32);
	b = fork_actor(self->a);
	c = fork_actor(self->a);
	mirror = call(b, do_mirror_open, 0);
	if (mirror < 0)
		SKIP(return, "no test device with mmu notifiers");
	EXPECT_EQ(0xffffffff, call(b, do_mirror_read, mirror, b, 0, 32));
	EXPECT_EQ(0, call(b, do_mirror_read, mirror, b, 0, 32));
	/* Others who copy what is shared change nothing here. */
	put(self->a, 4, 4);
	EXPECT_EQ(0, call(b, do_mirror_read, mirror, b, 0, 32));
	put(b, 8, 4);
	EXPECT_EQ(GONE(8, 4), call(b, do_mirror_read, mirror, b, 0, 32));
	put(b, 16, 8);
	EXPECT_EQ(GONE(16, 8), call(b, do_mirror_read, mirror, b, 0, 32));
	EXPECT_EQ(0, left_by_pageout(b, 18, 4));
	EXPECT_EQ(GONE(18, 4), call(b, do_mirror_read, mirror, b, 0, 32));
	/* Moved for another's sake, and found by the walk alone. */
	if (sys(c, SYS_madvise, (long)at(2), page_size, MADV_SOFT_OFFLINE))
		fail("the page does not move: %m");
	EXPECT_EQ(GONE(2, 1), call(b, do_mirror_read, mirror, b, 0, 32));
	reclaim_all();
	EXPECT_EQ(0xffffffff, call(b, do_mirror_read, mirror, b, 0, 32));
	move(b, 24, 2, 124, 0);
	EXPECT_EQ(3, call(b, do_mirror_read, mirror, b, 124, 2));
	EXPECT_EQ(-1, call(b, do_mirror_read, mirror, b, 24, 1));
	EXPECT_EQ(1, call(b, do_mirror_read, mirror, b, 26, 6));
	advise(b, 28, 2, MADV_DONTNEED);
	EXPECT_EQ(GONE(2, 2), call(b, do_mirror_read, mirror, b, 26, 6));
	must(b, SYS_close, mirror);
	settle();
}

/* ---- KSM ---- */

/* One page in two families that have nothing to do with each other, and their children. */
CASE(ksm_of_strangers)
{
	int other = new_family(), b, c, i;

	if (access("/sys/kernel/mm/ksm/run", W_OK))
		SKIP(return, "no KSM");
	map(self->a, 0, 32);
	map(other, 100, 32);
	put_same(self->a, 0, 32);
	for (i = 0; i < 32; i++)
		cells[other][100 + i].tag = cells[self->a][0].tag;
	call(other, do_write, other, 100, 32, 1);
	advise(self->a, 0, 32, MADV_MERGEABLE);
	advise(other, 100, 32, MADV_MERGEABLE);
	ksm_merge();
	EXPECT_NE(0, pfn(self->a, 1));
	EXPECT_EQ(pfn(self->a, 1), pfn(self->a, 30));
	EXPECT_EQ(pfn(self->a, 1), pfn(other, 105));
	b = fork_actor(self->a);
	c = fork_actor(other);
	EXPECT_EQ(pfn(self->a, 1), pfn(fork_actor(c), 131));
	settle();
	put(b, 0, 8);
	put(other, 110, 8);
	move(c, 100, 16, 500, 0);
	settle();
}

/* ---- huge pages of every size ---- */

#define THP "/sys/kernel/mm/transparent_hugepage/"

/* The number of pages in one with this page, which is its first. */
static long folio_size(int actor, long page)
{
	const uint64_t head = 0x8000, tail = 0x10000;
	int fd = open("/proc/kpageflags", O_RDONLY);
	uint64_t frame = pfn(actor, page), flags = 0;
	long n = 1;

	pread(fd, &flags, sizeof(flags), frame * sizeof(flags));
	if (flags & head)
		for (;; n++) {
			pread(fd, &flags, sizeof(flags), (frame + n) * sizeof(flags));
			if (!(flags & tail))
				break;
		}
	close(fd);
	return n;
}

static void enable_size(long size, const char *how)
{
	char path[120];

	snprintf(path, sizeof(path), THP "hugepages-%ldkB/enabled", size * page_size / 1024);
	write_file(path, how);
}

/* Split all that lies in these pages of the actor. */
static void split_folios(int actor, long page, long n)
{
	char text[80];

	snprintf(text, sizeof(text), "%d,0x%lx,0x%lx", actors[actor].pid,
		 (unsigned long)at(page), (unsigned long)at(page + n));
	write_file("/sys/kernel/debug/split_huge_pages", text);
}

/* Shared, cut, split, moved, migrated and swapped out, in parent and child. */
static void huge_page_life(int a, long size, long n)
{
	int b, c;

	enable_size(size, "always");
	map(a, 0, n);
	put(a, 0, n);
	enable_size(size, "never");
	if (folio_size(a, 0) != size)
		fail("asked for %ld pages in one, got %ld", size, folio_size(a, 0));
	b = fork_actor(a);
	c = fork_actor(b);
	put(b, 1, 1);
	move(c, size, size, 5000, 0);
	verify();
	split_folios(a, 0, size);
	if (folio_size(c, 0) != 1)
		fail("a folio of %ld pages has not been split", size);
	verify();
	if (sys(c, SYS_madvise, (long)at(5001), page_size, MADV_SOFT_OFFLINE))
		fail("a page of %ld in one does not move: %m", size);
	if (pfn(a, size + 1) != pfn(c, 5001))
		fail("a page of %ld in one has come apart", size);
	cut(b, size / 2, 3);
	put(b, n - size, 2);
	settle();
	put(c, 0, size);
	settle();
	put(a, 0, 3);
	put(a, n / 2, 3);
	if (try_advise(a, 0, n, MADV_COLLAPSE))
		fail("does not collapse: %m");
	if (folio_size(a, 0) != n / 2)
		fail("collapsed to %ld pages", folio_size(a, 0));
	put(a, 0, 3);
	quit(c);
	settle();
	quit(b);
	unmap(a, 0, n);
}

CASE(huge_pages_of_every_size)
{
	long n, size, sizes = 0;
	char path[120];

	if (access(THP "hpage_pmd_size", R_OK))
		SKIP(return, "no huge pages");
	n = read_number(THP "hpage_pmd_size") / page_size;
	for (size = 2; size <= n; size *= 2) {
		snprintf(path, sizeof(path), THP "hugepages-%ldkB/enabled",
			 size * page_size / 1024);
		if (access(path, W_OK))
			continue;
		huge_page_life(self->a, size, 2 * n);
		sizes++;
	}
	TH_LOG("%ld sizes, up to %ld pages", sizes, n);
	EXPECT_LT(0, sizes);
	enable_size(n, "inherit");
}

int main(int argc, char **argv)
{
	return run_cases(argc, argv);
}
