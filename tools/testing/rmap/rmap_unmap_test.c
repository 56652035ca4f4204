// SPDX-License-Identifier: GPL-2.0
/*
 * Unmapping and migrating folios of many pages, however they are mapped.
 *
 * Each test lays out large folios of one kind (anonymous, shmem, or of a file),
 * maps them in one shape (cut, moved, shared in part, locked in part, ...), and
 * then reclaims, migrates or splits them. Afterwards every page must hold what it
 * held, with the same soft-dirty and uffd-wp bits, in every process; then all is
 * written again, so that a page that is wrongly taken for exclusive shows; and
 * the processes end, so that the kernel complains of a wrong rss.
 */
#include <linux/mempolicy.h>
#include <linux/mman.h>
#include <pthread.h>
#include <stdatomic.h>
#include "cases.h"
#include "services.h"
#include "rmap_unmap.h"

enum kind { ANON, SHMEM, DISK };
enum work { RECLAIM, PAGEOUT, MIGRATE, SPLIT };

static enum work work;
static enum kind kind;

/* Ends all that the case has left: that is when the kernel complains of a wrong rss. */
static void end_case(void)
{
	int i;

	for (i = 0; i < ACTORS; i++)
		if (actors[i].pid)
			quit(i);
	close_stage();
	large_folios(kind == SHMEM, false);
}

/* ---- laying out and working on large folios ---- */

FIXTURE(large) {
	int a;
};

FIXTURE_VARIANT(large) {
	enum kind kind;
	enum work work;
};

FIXTURE_VARIANT_ADD(large, anon_reclaim) { ANON, RECLAIM };
FIXTURE_VARIANT_ADD(large, anon_pageout) { ANON, PAGEOUT };
FIXTURE_VARIANT_ADD(large, anon_migrate) { ANON, MIGRATE };
FIXTURE_VARIANT_ADD(large, anon_split) { ANON, SPLIT };
FIXTURE_VARIANT_ADD(large, shmem_reclaim) { SHMEM, RECLAIM };
FIXTURE_VARIANT_ADD(large, shmem_migrate) { SHMEM, MIGRATE };
FIXTURE_VARIANT_ADD(large, shmem_split) { SHMEM, SPLIT };
FIXTURE_VARIANT_ADD(large, disk_reclaim) { DISK, RECLAIM };
FIXTURE_VARIANT_ADD(large, disk_pageout) { DISK, PAGEOUT };
FIXTURE_VARIANT_ADD(large, disk_migrate) { DISK, MIGRATE };
FIXTURE_VARIANT_ADD(large, disk_split) { DISK, SPLIT };

FIXTURE_SETUP(large)
{
	kind = variant->kind;
	work = variant->work;
	if (work == MIGRATE && !have_two_nodes())
		SKIP(return, "needs two nodes: boot with numa=fake=2");
	if (kind == DISK && disk_fd < 0)
		SKIP(return, "needs a disk of files: DISK= of scripts/boot");
	if (!large_folios(kind == SHMEM, true))
		SKIP(return, "no large folios of %ld pages", FOLIO);
	self->a = open_stage();
}

FIXTURE_TEARDOWN(large)
{
	end_case();
	EXPECT_EQ(0, failures);
}

/* Large folios, written if they can be; returns whether they are large. */
static bool lay_out(int actor, long page, long n)
{
	long i;

	switch (kind) {
	case ANON:
		map(actor, page, n);
		break;
	case SHMEM:
		map_shared(actor, page, n);
		break;
	case DISK:
		map_disk(actor, page, n, DISK_FIRST);
		call(actor, do_verify, actor);
		break;
	}
	if (kind != DISK)
		put(actor, page, n);
	if (kind == SHMEM)
		keep_base(actor, page, n);
	for (i = page; i < page + n; i += FOLIO) {
		if (order_at(actor, i) == FOLIO_ORDER)
			continue;
		fail("the folio at page %ld is of order %d", i, order_at(actor, i));
		return false;
	}
	return true;
}

/* Where a page is locked, the rest of its folio may stay as well. */
static void reclaim(void)
{
	int i;

	if (!any_locked()) {
		reclaim_all();
		return;
	}
	for (i = 0; i < 5; i++)
		reclaim_group();
}

static void do_work(void)
{
	int i;

	switch (work) {
	case RECLAIM:
		reclaim();
		break;
	case PAGEOUT:
		for (i = 0; i < ACTORS; i++)
			if (actors[i].pid)
				page_out(i);
		break;
	case MIGRATE:
		migrate_all(0, 1);
		verify();
		migrate_all(1, 0);
		break;
	case SPLIT:
		for (i = 0; i < ACTORS; i++)
			if (actors[i].pid)
				split_all(i);
		break;
	}
}

/* The work, and all that must be true afterwards. */
static void work_and_check(void)
{
	save_bits();
	do_work();
	check_bits();
	/* A file's folio is split by unmapping it, locked or not. */
	if (work != SPLIT || kind == ANON)
		check_locked();
	verify();
	write_all(kind == SHMEM, kind == DISK ? 2 : 1);
	verify();
	reclaim();
	verify();
}

#define LARGE(name) TEST_F_TIMEOUT(large, name, 200)

/* Four folios at the start of the arena, which ends a page table. */
#define PAGES	(4 * FOLIO)

#define LAY_OUT() ASSERT_TRUE(lay_out(self->a, 0, PAGES))

#define NO_CHILD	"the processes would see each other's writes"

/* ---- shapes in one process ---- */

LARGE(whole)
{
	LAY_OUT();
	work_and_check();
}

/*
 * A folio moves as what it is. Once only: a kernel that unmaps it page by page
 * takes it for partially mapped on the way, and splits it the next time.
 */
LARGE(still_large)
{
	if (work != MIGRATE)
		SKIP(return, "only migration keeps the folio");
	LAY_OUT();
	migrate_all(node_of(self->a, 0), !node_of(self->a, 0));
	EXPECT_EQ(FOLIO_ORDER, order_at(self->a, 0));
	EXPECT_EQ(FOLIO_ORDER, order_at(self->a, PAGES - FOLIO));
	work_and_check();
}

LARGE(read_only_middle)
{
	long i;

	LAY_OUT();
	for (i = 0; i < PAGES; i += FOLIO)
		protect(self->a, i + 5, 6, PROT_READ);
	work_and_check();
}

/* What is left of a folio begins or ends where its vma does. */
LARGE(cut_off)
{
	LAY_OUT();
	unmap(self->a, 0, 3);
	unmap(self->a, 2 * FOLIO - 5, 9);
	unmap(self->a, PAGES - 1, 1);
	work_and_check();
}

LARGE(holes)
{
	long i;

	LAY_OUT();
	for (i = 0; i < PAGES; i += FOLIO)
		advise(self->a, i + i / FOLIO, 1 + i / FOLIO, MADV_DONTNEED);
	work_and_check();
}

LARGE(every_second)
{
	long i;

	LAY_OUT();
	for (i = 0; i < FOLIO; i += 2) {
		advise(self->a, i, 1, MADV_DONTNEED);
		advise(self->a, FOLIO + i + 1, 1, MADV_DONTNEED);
	}
	work_and_check();
}

LARGE(half_moved)
{
	LAY_OUT();
	move(self->a, 8, FOLIO, 200, 0);
	move(self->a, 3 * FOLIO, FOLIO / 2, 301, 0);
	work_and_check();
}

/* Both the vma and a folio in it cross from one page table to the next. */
LARGE(across_page_tables)
{
	long to = pmd_pages() - FOLIO - FOLIO / 2;

	ASSERT_TRUE(lay_out(self->a, 2 * pmd_pages(), PAGES));
	move(self->a, 2 * pmd_pages(), PAGES, to, 0);
	work_and_check();
}

/* The last pte of the table and the first of the next are of one folio. */
LARGE(across_by_one)
{
	long p = 2 * pmd_pages();

	ASSERT_TRUE(lay_out(self->a, p, PAGES));
	move(self->a, p, FOLIO, pmd_pages() - 1, 0);
	move(self->a, p + FOLIO, FOLIO, 4 * pmd_pages() + 1 - FOLIO, 0);
	work_and_check();
}

/*
 * Page tables that are made one after the other lie so in memory, if it is not cut
 * up. A folio that goes on from the one to the other does so under two locks.
 */
LARGE(across_many_page_tables)
{
	const long p = pmd_pages(), n = 8;
	long i;

	if ((n + 2) * p > ARENA_PAGES)
		SKIP(return, "so many page tables are more than the arena");
	ASSERT_EQ(0, call(self->a, do_take_tables, 1024));
	for (i = 1; i < n + 2; i++)
		map(self->a, i * p + p / 2, 1);
	/* Upwards or downwards, one of the two is the order in memory. */
	write_every(self->a, p + p / 2, n / 2 * p, p);
	for (i = n + 1; i > n / 2; i--)
		put(self->a, i * p + p / 2, 1);
	ASSERT_TRUE(lay_out(self->a, 0, n * FOLIO));
	for (i = 0; i < n; i++)
		move(self->a, i * FOLIO, FOLIO, (i + 2) * p - FOLIO / 2 - i % 3, 0);
	work_and_check();
}

/* Neighbours in memory are not neighbours in the page table. */
LARGE(scrambled)
{
	long i;

	LAY_OUT();
	for (i = 0; i < FOLIO; i++)
		move(self->a, FOLIO + i, 1, 300 + FOLIO - 1 - i, 0);
	work_and_check();
}

/* The vma begins and ends within folios that it does not map whole. */
LARGE(offset)
{
	LAY_OUT();
	if (kind == DISK) {
		unmap(self->a, 0, PAGES);
		map_disk(self->a, 100, PAGES - FOLIO, DISK_FIRST + 5);
		map_disk(self->a, 300, 7, DISK_FIRST + FOLIO - 3);
		verify();
	} else {
		move(self->a, 5, PAGES - FOLIO, 101, 0);
		unmap(self->a, 0, 5);
	}
	work_and_check();
}

LARGE(soft_dirty)
{
	LAY_OUT();
	if (kind == DISK)
		SKIP(return, "its pages cannot be written");
	clear_refs(self->a, "4");
	write_every(self->a, 0, PAGES, 3);
	if (kind == SHMEM)
		keep_base(self->a, 0, PAGES);
	if (bit_count(self->a, PM_SOFT_DIRTY, PAGES) == PAGES)
		SKIP(return, "no soft-dirty bits here");
	work_and_check();
}

LARGE(uffd_wp)
{
	long i, uffd;

	LAY_OUT();
	if (kind == DISK)
		SKIP(return, "uffd-wp is for anonymous memory and shmem");
	uffd = call(self->a, do_uffd_wp_open, 0, PAGES);
	if (uffd < 0)
		SKIP(return, "no write protection by userfaultfd");
	for (i = 0; i < PAGES; i += 3)
		ASSERT_EQ(0, call(self->a, do_uffd_wp, uffd, i, 1 + i % 2));
	ASSERT_LE(PAGES / 3, bit_count(self->a, PM_UFFD_WP, PAGES));
	save_bits();
	do_work();
	check_bits();
	verify();
	must(self->a, SYS_close, uffd);
	work_and_check();
}

/* Other pages of the folio are not locked, in vmas beside that of the locked. */
LARGE(locked_middle)
{
	long i;

	LAY_OUT();
	for (i = 0; i < PAGES; i += FOLIO)
		lock(self->a, i + 6, 4);
	work_and_check();
	for (i = 0; i < PAGES; i += FOLIO)
		unlock(self->a, i + 6, 4);
	work_and_check();
}

LARGE(locked_whole)
{
	LAY_OUT();
	lock(self->a, FOLIO, 2 * FOLIO);
	work_and_check();
	unlock(self->a, FOLIO, 2 * FOLIO);
	work_and_check();
}

/* Some ptes are young, some are not: as many are afterwards. */
LARGE(young_mix)
{
	long kb;

	if (work != MIGRATE)
		SKIP(return, "only migration keeps the page");
	LAY_OUT();
	migrate_all(0, 1);
	clear_refs(self->a, "1");
	EXPECT_EQ(0, referenced_kb(self->a));
	read_every(self->a, 2 * FOLIO, 3);
	kb = referenced_kb(self->a);
	EXPECT_EQ((2 * FOLIO + 2) / 3 * page_size / 1024, kb);
	migrate_all(1, 0);
	EXPECT_EQ(kb, referenced_kb(self->a));
	work_and_check();
}

/* Of a folio that is mapped clean, one pte is dirty: the first, a middle, the last. */
LARGE(one_dirty)
{
	long i;

	if (kind != SHMEM)
		SKIP(return, "for shmem");
	map_shared(self->a, 0, PAGES);
	read_every(self->a, PAGES, 1);
	ASSERT_EQ(FOLIO_ORDER, order_at(self->a, 0));
	for (i = 0; i < 3; i++)
		put(self->a, i * FOLIO + i * (FOLIO - 1) / 2, 1);
	keep_base(self->a, 0, PAGES);
	work_and_check();
}

/* Read back from swap, then some of the pages are written: mixed ptes again. */
LARGE(twice)
{
	long i;

	LAY_OUT();
	reclaim_all();
	verify();
	for (i = 0; i < PAGES && kind != DISK; i += 5)
		put(self->a, i, 1);
	if (kind == SHMEM)
		keep_base(self->a, 0, PAGES);
	work_and_check();
	work_and_check();
}

/* A file's folio, of which the process has copied some pages. */
LARGE(copied_middle)
{
	long i;

	if (kind != DISK)
		SKIP(return, "for private mappings of a file");
	LAY_OUT();
	for (i = 0; i < PAGES; i += FOLIO) {
		put(self->a, i + 3, 2);
		put(self->a, i + FOLIO - 1, 2 * (i < PAGES / 2));
	}
	work_and_check();
}

/* ---- shapes in two and more processes ---- */

LARGE(forked)
{
	int b;

	LAY_OUT();
	if (kind == SHMEM)
		SKIP(return, NO_CHILD);
	b = fork_actor(self->a);
	fork_actor(b);
	read_every(b, PAGES, 3);
	work_and_check();
}

LARGE(child_has_holes)
{
	int b;

	LAY_OUT();
	if (kind == SHMEM)
		SKIP(return, NO_CHILD);
	b = fork_actor(self->a);
	advise(b, 4, 4, MADV_DONTNEED);
	unmap(b, FOLIO + 9, FOLIO);
	work_and_check();
}

LARGE(child_copies)
{
	int b;
	long i;

	LAY_OUT();
	if (kind == SHMEM)
		SKIP(return, NO_CHILD);
	b = fork_actor(self->a);
	for (i = 0; i < FOLIO; i += 3)
		put(b, i, 1);
	put(b, FOLIO, 5);
	put(self->a, FOLIO, 5);
	put(self->a, 2 * FOLIO, FOLIO);
	put(b, 4 * FOLIO - 1, 1);
	work_and_check();
}

/* Within one folio some pages are exclusive, as the child did not get them. */
LARGE(child_has_half)
{
	LAY_OUT();
	if (kind == SHMEM)
		SKIP(return, NO_CHILD);
	advise(self->a, 0, FOLIO / 2, MADV_DONTFORK);
	advise(self->a, FOLIO + 3, 1, MADV_DONTFORK);
	advise(self->a, 3 * FOLIO - 1, 2, MADV_DONTFORK);
	fork_actor(self->a);
	work_and_check();
}

/*
 * The same, and neither the vmas nor the ptes tell the one from the other. What
 * the parent then writes shows in the child if a page is taken for exclusive.
 */
LARGE(child_has_half_of_one_vma)
{
	if (kind != ANON)
		SKIP(return, "for anonymous memory");
	LAY_OUT();
	advise(self->a, 0, FOLIO / 2, MADV_DONTFORK);
	advise(self->a, 2 * FOLIO - 3, 5, MADV_DONTFORK);
	fork_actor(self->a);
	advise(self->a, 0, PAGES, MADV_DOFORK);
	EXPECT_EQ(1, map_lines(self->a, 0, PAGES));
	protect(self->a, 0, PAGES, PROT_READ);
	save_bits();
	do_work();
	check_bits();
	protect(self->a, 0, PAGES, PROT_READ | PROT_WRITE);
	put(self->a, 0, PAGES);
	verify();
	work_and_check();
}

LARGE(child_has_swap_entries)
{
	int b;

	LAY_OUT();
	if (kind == SHMEM)
		SKIP(return, NO_CHILD);
	b = fork_actor(self->a);
	put(b, 5, 2);
	put(b, FOLIO - 1, 2);
	sys(b, SYS_madvise, (long)at(5), 2 * page_size, MADV_PAGEOUT);
	sys(b, SYS_madvise, (long)at(FOLIO - 1), 2 * page_size, MADV_PAGEOUT);
	work_and_check();
}

LARGE(child_moved_and_locked)
{
	int b;

	LAY_OUT();
	if (kind == SHMEM)
		SKIP(return, NO_CHILD);
	b = fork_actor(self->a);
	move(b, 0, PAGES, pmd_pages() - 7, 0);
	lock(b, pmd_pages() - 3, 6);
	fork_actor(b);
	work_and_check();
}

/*
 * Write-protected and exclusive: a write after the migration needs no copy. For
 * a page of a large folio that is not exclusive there must be one.
 */
LARGE(exclusive_stays)
{
	uint64_t frames[2 * FOLIO];
	long i, same;

	if (kind != ANON || work != MIGRATE)
		SKIP(return, "for anonymous memory that stays");
	LAY_OUT();
	advise(self->a, 0, FOLIO / 2, MADV_DONTFORK);
	fork_actor(self->a);
	protect(self->a, 0, PAGES, PROT_READ);
	migrate_all(0, 1);
	protect(self->a, 0, PAGES, PROT_READ | PROT_WRITE);
	for (i = 0; i < 2 * FOLIO; i++)
		frames[i] = pfn(self->a, i);
	put(self->a, 0, 2 * FOLIO);
	for (same = 0; same < 2 * FOLIO && pfn(self->a, same) == frames[same]; same++)
		;
	EXPECT_EQ(FOLIO / 2, same);
	for (; same < 2 * FOLIO && pfn(self->a, same) != frames[same]; same++)
		;
	EXPECT_EQ(2 * FOLIO, same);
	work_and_check();
}

/* ---- anonymous memory alone ---- */

FIXTURE(anon) {
	int a;
};

FIXTURE_SETUP(anon)
{
	kind = ANON;
	work = RECLAIM;
	if (!large_folios(false, true))
		SKIP(return, "no large folios of %ld pages", FOLIO);
	self->a = open_stage();
}

FIXTURE_TEARDOWN(anon)
{
	end_case();
	EXPECT_EQ(0, failures);
}

#define ANON_CASE(name) TEST_F_TIMEOUT(anon, name, 200)

/*
 * The swap entry of an exclusive page says so. If it did not, a write after the
 * page was read back would copy it, as somebody else has a reference: a pipe, for
 * which it also stays in the swap cache. What a child shares must be copied. With
 * a reference to it, no large folio would be swapped out.
 */
ANON_CASE(exclusive_stays_in_swap)
{
	const long n = 16;
	uint64_t frames[n];
	long i, same;

	large_folios(false, false);
	map(self->a, 0, n);
	put(self->a, 0, n);
	advise(self->a, 0, n / 2, MADV_DONTFORK);
	fork_actor(self->a);
	ASSERT_EQ(0, call(self->a, do_splice, 0, n));
	for (i = 0; i < n; i++)
		frames[i] = pfn(self->a, i);
	reclaim_all();
	ASSERT_EQ(n, entries_with(self->a, 0, n, PM_SWAP));
	verify();
	for (i = 0; i < n; i++)
		ASSERT_EQ(frames[i], pfn(self->a, i));
	put(self->a, 0, n);
	for (same = 0; same < n && pfn(self->a, same) == frames[same]; same++)
		;
	EXPECT_EQ(n / 2, same);
	for (; same < n && pfn(self->a, same) != frames[same]; same++)
		;
	EXPECT_EQ(n, same);
	verify();
}

/* Only the folio that was meant goes. */
ANON_CASE(neighbours_stay)
{
	long i;

	LAY_OUT();
	advise(self->a, FOLIO, FOLIO, MADV_PAGEOUT);
	for (i = 0; i < PAGES; i++)
		EXPECT_EQ(i / FOLIO == 1 ? PM_SWAP : PM_PRESENT,
			  pagemap(self->a, i) & (PM_SWAP | PM_PRESENT));
	work_and_check();
}

/* Given up and not written since: gone, and nothing is written to swap. */
ANON_CASE(free_all)
{
	long i;

	LAY_OUT();
	quit(fork_actor(self->a));
	advise(self->a, 0, PAGES, MADV_FREE);
	advise(self->a, 0, PAGES, MADV_PAGEOUT);
	for (i = 0; i < PAGES; i++)
		EXPECT_EQ(0, pagemap(self->a, i) & (PM_SWAP | PM_PRESENT));
	work_and_check();
}

/* One page of each folio is written again: the first, a middle one, the last. */
ANON_CASE(free_one_redirtied)
{
	long i;

	LAY_OUT();
	advise(self->a, 0, PAGES, MADV_FREE);
	for (i = 0; i < 3; i++)
		put(self->a, i * FOLIO + i * (FOLIO - 1) / 2, 1);
	sys(self->a, SYS_madvise, (long)at(0), PAGES * page_size, MADV_PAGEOUT);
	verify();
	work_and_check();
}

/* The same, but the clean pages were read before the reclaim comes. */
ANON_CASE(free_shared)
{
	int b;

	LAY_OUT();
	b = fork_actor(self->a);
	advise(self->a, 0, PAGES, MADV_FREE);
	put(b, 3, 2);
	reclaim_group();
	verify();
	work_and_check();
}

/* Memory that may be dropped even if dirty; it never goes to swap. */
ANON_CASE(droppable)
{
	long i, p, tries;

	p = sys(self->a, SYS_mmap, (long)at(0), PAGES * page_size, PROT_READ | PROT_WRITE,
		MAP_DROPPABLE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (p != (long)at(0))
		SKIP(return, "no MAP_DROPPABLE");
	set_cells(self->a, 0, PAGES, ZERO);
	put(self->a, 0, PAGES);
	for (i = 0; i < PAGES; i++)
		cells[self->a][i].flags |= F_MAYBE;
	for (tries = 0; tries < 10; tries++)
		reclaim_group();
	for (i = 0; i < PAGES; i++)
		EXPECT_EQ(0, pagemap(self->a, i) & PM_SWAP);
	verify();
}

/* One page cannot be shared, as somebody holds it: the folio stays whole. */
ANON_CASE(pinned_page)
{
	uint64_t frame;
	int pin, i;

	LAY_OUT();
	pin = call(self->a, do_pin, FOLIO + 7, 1, PIN_LONGTERM_TEST_FLAG_USE_WRITE);
	if (pin < 0)
		SKIP(return, "needs CONFIG_GUP_TEST");
	frame = pfn(self->a, FOLIO + 7);
	for (i = 0; i < 10; i++)
		reclaim_group();
	verify();
	EXPECT_EQ(frame, pfn(self->a, FOLIO + 7));
	put(self->a, 0, PAGES);
	EXPECT_EQ(frame, pfn(self->a, FOLIO + 7));
	call(self->a, do_unpin, pin);
	work_and_check();
}

/* What is given up of folios goes when they are split. */
ANON_CASE(given_up_in_part)
{
	const long folios = 64, n = folios * FOLIO, queued = partly_mapped(FOLIO);
	long i, before;

	if (queued < 0)
		SKIP(return, "no count of folios that are mapped in part");
	ASSERT_TRUE(lay_out(self->a, 0, n));
	before = charged();
	for (i = 0; i < n; i += FOLIO)
		advise(self->a, i + 1, FOLIO - 1, MADV_DONTNEED);
	EXPECT_EQ(queued + folios, partly_mapped(FOLIO));
	EXPECT_TRUE(split_partly_mapped(FOLIO, queued));
	/* Each processor keeps some that are paid for. */
	EXPECT_GE(before - n / 2, charged());
	work_and_check();
}

/* Who maps a part is not asked as long as somebody maps the whole. */
ANON_CASE(given_up_by_both)
{
	const long queued = partly_mapped(FOLIO);
	int b;

	if (queued < 0)
		SKIP(return, "no count of folios that are mapped in part");
	LAY_OUT();
	b = fork_actor(self->a);
	unmap(b, FOLIO + 5, 2 * FOLIO);
	EXPECT_EQ(queued, partly_mapped(FOLIO));
	advise(self->a, FOLIO + 1, 4, MADV_DONTNEED);
	EXPECT_EQ(queued, partly_mapped(FOLIO));
	advise(self->a, FOLIO + 1, FOLIO - 1, MADV_DONTNEED);
	EXPECT_EQ(queued + 1, partly_mapped(FOLIO));
	quit(self->a);
	EXPECT_EQ(queued + 2, partly_mapped(FOLIO));
	EXPECT_TRUE(split_partly_mapped(FOLIO, queued));
	work_and_check();
}

/* ---- huge pages, mapped whole ---- */

#define NO_HUGE		"no huge page"

static bool huge_out(int actor)
{
	map(actor, 0, pmd_pages());
	advise(actor, 0, pmd_pages(), MADV_HUGEPAGE);
	put(actor, 0, pmd_pages());
	return huge_kb(actor);
}

ANON_CASE(huge_swapped)
{
	if (!huge_out(self->a))
		SKIP(return, NO_HUGE);
	work_and_check();
}

ANON_CASE(huge_in_part_of_child)
{
	int b;

	if (!huge_out(self->a))
		SKIP(return, NO_HUGE);
	b = fork_actor(self->a);
	protect(b, 7, 3, PROT_READ);
	advise(b, pmd_pages() - 9, 9, MADV_DONTNEED);
	work_and_check();
}

/* The parent had all of it, the child keeps a part. */
ANON_CASE(huge_given_up)
{
	const long queued = partly_mapped(pmd_pages());
	int b;

	if (queued < 0)
		SKIP(return, "no count of folios that are mapped in part");
	if (!huge_out(self->a))
		SKIP(return, NO_HUGE);
	b = fork_actor(self->a);
	unmap(b, 0, pmd_pages() - 9);
	EXPECT_EQ(queued, partly_mapped(pmd_pages()));
	unmap(self->a, 0, pmd_pages());
	EXPECT_EQ(queued + 1, partly_mapped(pmd_pages()));
	EXPECT_TRUE(split_partly_mapped(pmd_pages(), queued));
	work_and_check();
}

ANON_CASE(huge_split)
{
	int b;

	if (!huge_out(self->a))
		SKIP(return, NO_HUGE);
	b = fork_actor(self->a);
	protect(b, 7, 3, PROT_READ);
	work = SPLIT;
	work_and_check();
}

ANON_CASE(huge_migrated)
{
	if (!have_two_nodes())
		SKIP(return, "needs two nodes: boot with numa=fake=2");
	if (!huge_out(self->a))
		SKIP(return, NO_HUGE);
	fork_actor(self->a);
	clear_refs(self->a, "4");
	migrate_all(0, 1);
	EXPECT_LT(0, huge_kb(self->a));
	work = MIGRATE;
	work_and_check();
}

ANON_CASE(huge_freed)
{
	long i;

	if (!huge_out(self->a))
		SKIP(return, NO_HUGE);
	advise(self->a, 0, pmd_pages(), MADV_FREE);
	sys(self->a, SYS_madvise, (long)at(0), pmd_pages() * page_size, MADV_PAGEOUT);
	for (i = 0; i < pmd_pages(); i++)
		EXPECT_EQ(0, pagemap(self->a, i) & (PM_SWAP | PM_PRESENT));
	work_and_check();
}

ANON_CASE(huge_freed_redirtied)
{
	if (!huge_out(self->a))
		SKIP(return, NO_HUGE);
	advise(self->a, 0, pmd_pages(), MADV_FREE);
	put(self->a, 77, 1);
	sys(self->a, SYS_madvise, (long)at(0), pmd_pages() * page_size, MADV_PAGEOUT);
	verify();
	work_and_check();
}

ANON_CASE(huge_locked)
{
	if (!huge_out(self->a))
		SKIP(return, NO_HUGE);
	lock(self->a, 0, pmd_pages());
	work_and_check();
	unlock(self->a, 0, pmd_pages());
	lock(self->a, 9, 9);
	work_and_check();
}

/* Unmapping one of a file leaves nothing; small entries come back. */
ANON_CASE(huge_shared)
{
	if (!folios_of(pmd_pages(), true, true))
		SKIP(return, NO_HUGE);
	map_shared(self->a, 0, pmd_pages());
	put(self->a, 0, pmd_pages());
	keep_base(self->a, 0, pmd_pages());
	folios_of(pmd_pages(), true, false);
	EXPECT_LT(0, smaps_kb(self->a, "ShmemPmdMapped"));
	large_folios(false, false);
	kind = SHMEM;
	work_and_check();
	EXPECT_EQ(0, smaps_kb(self->a, "ShmemPmdMapped"));
}

/* ---- poison ---- */

/* Of a large folio, which is split before, and a page that is unmapped as it is. */
ANON_CASE(poisoned_page)
{
	const long pages[] = { FOLIO + 5, PAGES + 1 };
	uint64_t frames[2];
	int b, i;

	LAY_OUT();
	large_folios(false, false);
	map(self->a, PAGES, 3);
	put(self->a, PAGES, 3);
	b = fork_actor(self->a);
	for (i = 0; i < 2; i++) {
		frames[i] = pfn(self->a, pages[i]);
		if (call(self->a, do_poison, pages[i], MADV_HWPOISON))
			SKIP(return, "needs CONFIG_MEMORY_FAILURE");
		/* The entry says so: it is neither swap that can be read nor present. */
		EXPECT_EQ(PM_SWAP, pagemap(self->a, pages[i]) & (PM_SWAP | PM_PRESENT));
		EXPECT_EQ(PM_SWAP, pagemap(b, pages[i]) & (PM_SWAP | PM_PRESENT));
		EXPECT_EQ(SIGBUS, call(self->a, do_read_signal, pages[i]));
		set_cells(self->a, pages[i], 1, NONE);
		set_cells(b, pages[i], 1, NONE);
	}
	work_and_check();
	quit(b);
	quit(self->a);
	cure(frames[0]);
	cure(frames[1]);
}

ANON_CASE(offlined_page)
{
	uint64_t frame;

	LAY_OUT();
	fork_actor(self->a);
	frame = pfn(self->a, FOLIO + 5);
	if (call(self->a, do_poison, FOLIO + 5, MADV_SOFT_OFFLINE))
		SKIP(return, "needs CONFIG_MEMORY_FAILURE");
	EXPECT_NE(frame, pfn(self->a, FOLIO + 5));
	work_and_check();
	cure(frame);
}

/* ---- hugetlb ---- */

ANON_CASE(hugetlb_migrated)
{
	int b;

	if (!have_two_nodes())
		SKIP(return, "needs two nodes: boot with numa=fake=2");
	if (!map_hugetlb(self->a, 0, 2))
		SKIP(return, "no hugetlb pages");
	b = fork_actor(self->a);
	migrate_all(0, 1);
	verify();
	migrate_all(1, 0);
	EXPECT_EQ(pfn(self->a, 0), pfn(b, 0));
	verify();
	put(self->a, 0, hugetlb_pages());
	verify();
	give_hugetlb(0);
}

ANON_CASE(hugetlb_poisoned)
{
	uint64_t frame;
	int b;

	if (!map_hugetlb(self->a, 0, 2))
		SKIP(return, "no hugetlb pages");
	frame = pfn(self->a, 5);
	b = fork_actor(self->a);
	if (call(self->a, do_poison, 5, MADV_HWPOISON))
		SKIP(return, "needs CONFIG_MEMORY_FAILURE");
	EXPECT_EQ(SIGBUS, call(self->a, do_read_signal, 5));
	EXPECT_EQ(SIGBUS, call(b, do_read_signal, 5));
	set_cells(self->a, 0, hugetlb_pages(), NONE);
	set_cells(b, 0, hugetlb_pages(), NONE);
	verify();
	quit(b);
	quit(self->a);
	cure(frame);
	give_hugetlb(0);
}

/* ---- memory of a device ---- */

/* Contents go to the device and come back, for all who map them. */
ANON_CASE(device_private)
{
	int b;

	if (access(HMM_DEVICE, F_OK))
		SKIP(return, "needs CONFIG_TEST_HMM");
	large_folios(false, false);
	map(self->a, 0, 32);
	put(self->a, 0, 32);
	ASSERT_EQ(32, call(self->a, do_hmm, HMM_DMIRROR_MIGRATE_TO_DEV, 0, 32));
	EXPECT_EQ(PM_SWAP, pagemap(self->a, 3) & (PM_SWAP | PM_PRESENT));
	b = fork_actor(self->a);
	verify();
	put(b, 4, 8);
	put(self->a, 8, 8);
	work_and_check();
}

/* The entries of a device that has the pages to itself, until a cpu touches them. */
ANON_CASE(device_exclusive)
{
	long page_kb = page_size / 1024;

	if (access(HMM_DEVICE, F_OK))
		SKIP(return, "needs CONFIG_TEST_HMM");
	large_folios(false, false);
	map(self->a, 0, 32);
	clear_refs(self->a, "4");
	put(self->a, 0, 32);
	save_bits();
	ASSERT_EQ(32, call(self->a, do_hmm, HMM_DMIRROR_EXCLUSIVE, 0, 32));
	check_bits();
	EXPECT_EQ(PM_SWAP, pagemap(self->a, 3) & (PM_SWAP | PM_PRESENT));
	put(self->a, 0, 5);
	/* What the device has is mapped by nobody, and stays; the rest goes, sooner or later. */
	for (int i = 0; i < 20 && smaps_kb(self->a, "Swap") < 5 * page_kb; i++) {
		write_file("/proc/sys/vm/drop_caches", "1");
		reclaim_group();
	}
	EXPECT_EQ(5 * page_kb, smaps_kb(self->a, "Swap"));
	check_bits();
	verify();
	ASSERT_EQ(32, call(self->a, do_hmm, HMM_DMIRROR_EXCLUSIVE, 0, 32));
	fork_actor(self->a);
	work_and_check();
}

/* ---- what is used stays while there is something else ---- */

FIXTURE(used) {
	int a;
	long lru_gen;
};

/* Generations do without a search of all page tables, so that only walks know. */
FIXTURE_VARIANT(used) {
	enum kind kind;
	long lru_gen;
};

FIXTURE_VARIANT_ADD(used, anon_lists) { ANON, 0 };
FIXTURE_VARIANT_ADD(used, anon_generations) { ANON, 1 };
FIXTURE_VARIANT_ADD(used, disk_lists) { DISK, 0 };
FIXTURE_VARIANT_ADD(used, disk_generations) { DISK, 1 };

FIXTURE_SETUP(used)
{
	kind = variant->kind;
	work = RECLAIM;
	self->lru_gen = lru_gen();
	if (variant->lru_gen && access(LRU_GEN, W_OK))
		SKIP(return, "no generations");
	if (kind == DISK && disk_fd < 0)
		SKIP(return, "needs a disk of files: DISK= of scripts/boot");
	if (!large_folios(false, true))
		SKIP(return, "no large folios of %ld pages", FOLIO);
	set_lru_gen(variant->lru_gen);
	self->a = open_stage();
}

FIXTURE_TEARDOWN(used)
{
	end_case();
	set_lru_gen(self->lru_gen);
	EXPECT_EQ(0, failures);
}

static const unsigned long node_0 = 1;

/* None of what the actors map has been used. */
static void forget_use(void)
{
	int i;

	verify();
	for (i = 0; i < ACTORS; i++)
		if (actors[i].pid)
			clear_refs(i, "1");
}

/*
 * The oldest folios are used by one page, each another one, of the last process;
 * every second of them also in its parent, so that two lists put it on the active
 * one. All lie on one node, since reclaim goes through each.
 */
TEST_F_TIMEOUT(used, one_page_of_many, 200)
{
	const long unused = 64 * FOLIO;
	long i;
	int b, c;

	sys(self->a, SYS_set_mempolicy, MPOL_BIND, (long)&node_0, 8 * sizeof(node_0));
	ASSERT_TRUE(lay_out(self->a, 0, PAGES + unused));
	b = fork_actor(self->a);
	c = fork_actor(b);
	forget_use();
	for (i = 0; i < PAGES; i += FOLIO) {
		call(c, do_use, i + FOLIO - 1 - i / FOLIO * 5, 1);
		if (i & FOLIO)
			call(b, do_use, i + FOLIO / 2, 1);
	}
	/* Of this kind only; and generations may first have to pass. */
	for (i = 0; i < 10 && entries_with(c, PAGES, unused, PM_PRESENT) == unused; i++)
		try_reclaim(unused / 4, kind == ANON ? 200 : 0);
	EXPECT_EQ(PAGES, entries_with(c, 0, PAGES, PM_PRESENT));
	EXPECT_GT(unused, entries_with(c, PAGES, unused, PM_PRESENT));
	EXPECT_LT(0, entries_with(c, PAGES, unused, PM_PRESENT));
	work_and_check();
}

/* ---- threads that change ptes midway ---- */

#define THREADS	4

static struct {
	unsigned char *area;
	size_t pages;
	atomic_bool stop;
	atomic_int wrong;
} race;

/* Every thread has each fourth page to itself, so knows what must be in it. */
static void *race_thread(void *arg)
{
	size_t self = (size_t)arg, n = race.pages / THREADS;
	unsigned char *value = calloc(n, 1);
	unsigned int seed = self + 1;

	while (!race.stop) {
		size_t i = rand_r(&seed) % n;
		atomic_uchar *p = (void *)(race.area + (i * THREADS + self) * page_size);

		if (*p != value[i])
			race.wrong++;
		switch (rand_r(&seed) % 8) {
		case 0:
			madvise(p, page_size, MADV_DONTNEED);
			value[i] = 0;
			break;
		case 1:
			madvise(p, page_size, MADV_PAGEOUT);
			break;
		case 2:
			madvise(p, page_size, MADV_COLD);
			break;
		case 3:
			mprotect(p, page_size, PROT_READ);
			mprotect(p, page_size, PROT_READ | PROT_WRITE);
			break;
		default:
			*p = ++value[i];
		}
	}
	for (size_t i = 0; i < n; i++)
		race.wrong += race.area[(i * THREADS + self) * page_size] != value[i];
	free(value);
	return NULL;
}

static void race_disturb(unsigned int turn)
{
	long size = race.pages * page_size;
	int status;
	pid_t pid;

	switch (turn % 4) {
	case 0:
		madvise(race.area, size, MADV_PAGEOUT);
		break;
	case 1:
		if (have_two_nodes())
			migrate_pid(0, turn & 4 ? 0 : 1, turn & 4 ? 1 : 0);
		break;
	case 2:
		split_range(getpid(), (unsigned long)race.area, size);
		break;
	case 3:
		pid = fork();
		if (!pid) {
			madvise(race.area, size, MADV_PAGEOUT);
			_exit(0);
		}
		waitpid(pid, &status, 0);
		break;
	}
}

/* Not in the arena: here the threads see themselves whether all is right. */
ANON_CASE(race)
{
	pthread_t threads[THREADS];
	unsigned int turn;
	time_t end;

	race.pages = 16 * FOLIO;
	race.area = mmap(NULL, 2 * race.pages * page_size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, race.area);
	/* Folios lie only where they are aligned. */
	race.area += -(unsigned long)race.area & (FOLIO * page_size - 1);
	for (size_t i = 0; i < THREADS; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, race_thread, (void *)i));
	end = time(NULL) + 6;
	for (turn = 0; time(NULL) < end; turn++)
		race_disturb(turn);
	race.stop = true;
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	EXPECT_LT(5, turn);
	EXPECT_EQ(0, race.wrong);
}

int main(int argc, char **argv)
{
	page_size = sysconf(_SC_PAGESIZE);
	open_disk();
	return run_cases(argc, argv);
}
