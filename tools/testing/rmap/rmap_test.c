// SPDX-License-Identifier: GPL-2.0
/*
 * What the reverse map of anonymous memory must do, seen from userspace: after
 * any history of faults, forks, splits, merges, moves and exits, each page is
 * found in every process that maps it, and nobody sees a wrong page. Holds on
 * every kernel; only how often vmas merge differs. RMAP_MERGE=1 in the
 * environment demands that the pieces of a vma merge again in a child, where
 * the kernels of before cannot merge them.
 */
#include <linux/mman.h>
#include <limits.h>
#include <pthread.h>
#include <sys/param.h>
#include "cases.h"
#include "history.h"
#include "services.h"

/* Pages of a huge page, and of a part of it; the arena begins with one. */
#define HUGE	((2L << 20) / page_size)
#define PART	(HUGE / 32)

/* ---- the first fault, of every kind ---- */

CASE(fault_anonymous)
{
	map(self->a, 0, 64);
	put(self->a, 0, 64);
	settle();
	put(self->a, 16, 16);
	settle();
}

CASE(fault_next_to_another_vma)
{
	map(self->a, 0, 16);
	put(self->a, 0, 16);
	map(self->a, 16, 16);
	protect(self->a, 16, 16, PROT_READ | PROT_WRITE | PROT_EXEC);
	map(self->a, 40, 8);
	put(self->a, 16, 16);
	put(self->a, 40, 8);
	fork_actor(self->a);
	settle();
}

CASE(fault_private_file)
{
	int b;

	map_file(self->a, 0, 64, 0);
	map_file(self->a, 100, 64, 32);
	verify();
	put(self->a, 8, 8);
	put(self->a, 120, 8);
	b = fork_actor(self->a);
	settle();
	put(b, 12, 8);
	put(self->a, 0, 10);
	settle();
	advise(b, 8, 16, MADV_DONTNEED);
	settle();
}

CASE(fault_stack_growth)
{
	int b;

	map_flags(self->a, 1024, 4, MAP_GROWSDOWN);
	put(self->a, 1024, 4);
	set_cells(self->a, 1000, 24, ZERO);
	put(self->a, 1000, 24);
	b = fork_actor(self->a);
	set_cells(b, 980, 20, ZERO);
	put(b, 980, 30);
	put(self->a, 1010, 5);
	set_cells(b, 950, 30, ZERO);
	put(b, 950, 40);
	fork_actor(b);
	settle();
}

CASE(fault_swapped_out)
{
	int b, c;

	map(self->a, 0, 64);
	put(self->a, 0, 64);
	reclaim_all();
	b = fork_actor(self->a);
	c = fork_actor(b);
	put(b, 0, 16);
	put(c, 8, 16);
	put(self->a, 20, 8);
	settle();
}

/* arg: process, its actor, page, pages */
static long do_remote_write(const long *arg)
{
	char path[40];
	long page;
	int fd;

	snprintf(path, sizeof(path), "/proc/%ld/mem", arg[0]);
	fd = open(path, O_RDWR);
	for (page = arg[2]; page < arg[2] + arg[3]; page++) {
		uint64_t word = pattern(cells[arg[1]][page].tag);

		if (pwrite(fd, &word, sizeof(word), (long)first_word(page)) < 0 ||
		    pwrite(fd, &word, sizeof(word), (long)last_word(page)) < 0)
			return -1;
	}
	return close(fd);
}

static void remote_put(int writer, int actor, long page, long n)
{
	new_tags(actor, page, n);
	if (call(writer, do_remote_write, actors[actor].pid, actor, page, n))
		fail("actor %d cannot write to actor %d: %m", writer, actor);
}

/* The faults of one process are taken by another, by relatives and a stranger. */
CASE(fault_remote)
{
	int b, c, i, stranger = new_family();

	for (i = 0; i < 3; i++) {
		map(self->a, i * 64, 48);
		put(self->a, i * 64, 48);
	}
	b = fork_actor(self->a);
	c = fork_actor(b);
	remote_put(stranger, c, 2, 4);
	remote_put(self->a, c, 64 + 2, 4);
	remote_put(c, b, 128 + 2, 4);
	for (i = 0; i < 3; i++) {
		cut(c, i * 64 + 16, 16);
		put(c, i * 64 + 20, 4);
		rejoin(c, i * 64 + 16, 16);
		cut(b, i * 64 + 16, 16);
		remote_put(i & 1 ? stranger : c, b, i * 64 + 40, 4);
		put(b, i * 64 + 20, 4);
		rejoin(b, i * 64 + 16, 16);
	}
	fork_actor(b);
	fork_actor(c);
	settle();
}

/* ---- userfaultfd ---- */

CASE(fault_uffd_copy)
{
	long uffd;

	map(self->a, 0, 32);
	uffd = call(self->a, do_uffd_open, 0, 32);
	ASSERT_LE(0, uffd);
	new_tags(self->a, 0, 32);
	ASSERT_EQ(0, call(self->a, do_uffd_copy, uffd, 0, 32, self->a));
	fork_actor(self->a);
	settle();
}

CASE(uffd_copy_in_child)
{
	long uffd;
	int b;

	map(self->a, 0, 64);
	put(self->a, 0, 64);
	b = fork_actor(self->a);
	fork_actor(b);
	advise(b, 16, 16, MADV_DONTNEED);
	uffd = call(b, do_uffd_open, 0, 64);
	ASSERT_LE(0, uffd);
	new_tags(b, 16, 16);
	ASSERT_EQ(0, call(b, do_uffd_copy, uffd, 16, 16, b));
	fork_actor(b);
	settle();
}

CASE(uffd_move)
{
	map(self->a, 0, 32);
	map(self->a, 64, 32);
	put(self->a, 0, 32);
	uffd_move(self->a, 0, 16, 64);
	settle();
	put(self->a, 16, 8);
	advise(self->a, 80, 16, MADV_DONTNEED);
	uffd_move(self->a, 16, 8, 82);
	fork_actor(self->a);
	settle();
}

/* The page is the child's own, the target still hangs on what it inherited. */
CASE(uffd_move_in_child)
{
	int b, c;

	map(self->a, 0, 32);
	map(self->a, 64, 32);
	put(self->a, 0, 32);
	put(self->a, 64, 32);
	b = fork_actor(self->a);
	c = fork_actor(self->a);
	put(b, 0, 16);
	advise(b, 64, 32, MADV_DONTNEED);
	uffd_move(b, 0, 16, 70);
	settle();
	put(c, 64, 4);
	fork_actor(b);
	reclaim_all();
	put(b, 70, 8);
	settle();
}

/* ---- pinned pages and breakpoints: copies made outside a fault ---- */

CASE(fork_copies_pinned_pages)
{
	int b, c;
	long pin;

	map(self->a, 0, 32);
	put(self->a, 0, 32);
	b = fork_actor(self->a);
	pin = call(b, do_pin, 8, 8, PIN_LONGTERM_TEST_FLAG_USE_WRITE);
	if (pin < 0)
		SKIP(return, "no gup_test in debugfs");
	c = fork_actor(b);
	put(b, 0, 32);
	call(b, do_unpin, pin);
	settle();
	put(c, 4, 8);
	settle();
}

/* Pinned to be read: the child gets its own copy without having written. */
CASE(pin_unshares_pages)
{
	int b, c;
	long pin;

	map(self->a, 0, 32);
	put(self->a, 0, 32);
	b = fork_actor(self->a);
	c = fork_actor(b);
	pin = call(c, do_pin, 8, 8, 0);
	if (pin < 0)
		SKIP(return, "no gup_test in debugfs");
	EXPECT_NE(pfn(b, 9), pfn(c, 9));
	call(c, do_unpin, pin);
	fork_actor(c);
	put(b, 4, 8);
	settle();
}

#define PROBE_FILE	"/tmp/rmap_test.probe"
#define PROBE_EVENTS	"/sys/kernel/tracing/uprobe_events"
#define PROBE_ENABLE	"/sys/kernel/tracing/events/rmap_test/probe/enable"

static void make_probe_file(void)
{
	int fd = open(PROBE_FILE, O_RDWR | O_CREAT | O_TRUNC, 0755), i;
	char *page = calloc(1, page_size);

	join_group();
	memset(page + 128, 0x90, 128);
	for (i = 0; i < 4; i++) {
		*(uint64_t *)page = pattern(FILE_TAG + i);
		*(uint64_t *)(page + page_size - 8) = pattern(FILE_TAG + i);
		if (write(fd, page, page_size) < 0)
			fail("cannot write " PROBE_FILE ": %m");
	}
	leave_group();
	free(page);
	close(fd);
}

/* arg: page */
static long do_map_probe_file(const long *arg)
{
	int fd = open(PROBE_FILE, O_RDONLY);
	void *map = mmap(at(arg[0]), 4 * page_size, PROT_READ | PROT_EXEC,
			 MAP_PRIVATE | MAP_FIXED_NOREPLACE, fd, 0);

	return map == at(arg[0]) ? close(fd) : -1;
}

/* A breakpoint in a private file mapping makes an anonymous copy of its page. */
CASE(fault_uprobe)
{
	char probe[96];
	int i, b;

	if (access(PROBE_EVENTS, W_OK))
		SKIP(return, "no uprobe_events in tracefs");
	make_probe_file();
	ASSERT_EQ(0, call(self->a, do_map_probe_file, 8));
	for (i = 0; i < 4; i++)
		set_cells(self->a, 8 + i, 1, FILE_TAG + i);
	b = fork_actor(self->a);
	snprintf(probe, sizeof(probe), "p:rmap_test/probe %s:0x%lx",
		 PROBE_FILE, page_size + 192);
	write_file(PROBE_EVENTS, probe);
	write_file(PROBE_ENABLE, "1");
	verify();
	EXPECT_NE(pfn(self->a, 9), pfn(b, 9));
	fork_actor(b);
	settle();
	write_file(PROBE_ENABLE, "0");
	write_file(PROBE_EVENTS, "");
	settle();
	unlink(PROBE_FILE);
}

/* ---- fork: chains, daemons, siblings ---- */

CASE(chain_that_writes)
{
	int i, actor = self->a;

	map(actor, 0, 64);
	put(actor, 0, 64);
	for (i = 1; i <= 10; i++) {
		actor = fork_actor(actor);
		put(actor, i * 4, 4);
	}
	settle();
	put(self->a, 0, 64);
	settle();
}

CASE(chain_whose_leaf_writes)
{
	int i, actor = self->a;

	map(actor, 0, 64);
	put(actor, 0, 64);
	for (i = 1; i <= 10; i++)
		actor = fork_actor(actor);
	put(actor, 0, 8);
	settle();
	put(5, 4, 8);
	put(6, 4, 8);
	settle();
}

/* Each generation writes a page, forks, and all but the last few are gone. */
static void daemons(int actor, int generations, int window)
{
	int alive[8], i;

	for (i = 0; i < generations; i++) {
		alive[i % window] = actor;
		put(actor, i % 16 + i % 2 * 32, 1);
		actor = fork_actor(actor);
		if (i >= window - 1)
			quit(alive[(i + 1) % window]);
	}
	put(actor, 10, 4);
	settle();
}

CASE(daemons_one_alive)
{
	map(self->a, 0, 16);
	map(self->a, 32, 16);
	put(self->a, 0, 16);
	put(self->a, 32, 16);
	daemons(self->a, 30, 1);
}

CASE(daemons_four_alive)
{
	map(self->a, 0, 48);
	put(self->a, 0, 48);
	daemons(self->a, 30, 4);
}

/* A daemon that never wrote before it forked again, then has many workers. */
CASE(double_fork_then_workers)
{
	int b, c, w, i;

	for (i = 0; i < 8; i++) {
		map(self->a, i * 16, 8);
		put(self->a, i * 16, 8);
	}
	b = fork_actor(self->a);
	quit(self->a);
	c = fork_actor(b);
	quit(b);
	put(c, 0, 1);
	put(c, 16, 2);
	for (i = 0; i < 8; i++) {
		w = fork_actor(c);
		put(w, i * 16, 4);
		put(w, 3, 2);
	}
	settle();
	put(c, 96, 8);
	settle();
}

CASE(grandchild_of_a_writer)
{
	int b, c, d;

	map(self->a, 0, 16);
	map(self->a, 32, 16);
	put(self->a, 0, 16);
	put(self->a, 32, 16);
	b = fork_actor(self->a);
	put(b, 0, 4);
	/* Both vmas of the next go where the writer is; old pages are above. */
	c = fork_actor(b);
	d = fork_actor(c);
	put(c, 34, 4);
	put(d, 2, 4);
	settle();
	quit(b);
	settle();
	quit(self->a);
	settle();
	put(c, 0, 16);
	settle();
}

/* The one in the middle has the pages, is gone, and its children stay. */
CASE(middle_exits)
{
	int b, c, d;

	map(self->a, 0, 64);
	put(self->a, 0, 32);
	b = fork_actor(self->a);
	put(b, 16, 32);
	c = fork_actor(b);
	d = fork_actor(b);
	put(c, 20, 4);
	quit(b);
	settle();
	put(d, 20, 8);
	quit(c);
	settle();
	unmap(self->a, 0, 64);
	settle();
}

CASE(middle_unmaps)
{
	int b, c;

	map(self->a, 0, 64);
	put(self->a, 0, 64);
	b = fork_actor(self->a);
	put(b, 0, 32);
	c = fork_actor(b);
	unmap(b, 0, 64);
	put(c, 8, 8);
	settle();
	map(b, 0, 64);
	put(b, 0, 64);
	settle();
}

CASE(siblings_in_different_orders)
{
	static const int order[6][4] = {
		{ 0, 1, 2, 3 }, { 3, 2, 1, 0 }, { 1, 3, 0, 2 },
		{ 2, 0, 3, 1 }, { 0, 3, 1, 2 }, { 3, 0, 2, 1 },
	};
	int i, k, child[6];

	for (i = 0; i < 4; i++) {
		map(self->a, i * 64, 16);
		put(self->a, i * 64, 16);
	}
	for (i = 0; i < 6; i++)
		child[i] = fork_actor(self->a);
	for (k = 0; k < 4; k++)
		for (i = 0; i < 6; i++)
			put(child[i], order[i][k] * 64 + i, 2);
	fork_actor(child[3]);
	settle();
	for (i = 0; i < 6; i += 2)
		quit(child[i]);
	settle();
}

CASE(last_writer_of_ten)
{
	int i, child[9];

	map(self->a, 0, 16);
	put(self->a, 0, 16);
	for (i = 0; i < 9; i++)
		child[i] = fork_actor(self->a);
	for (i = 0; i < 9; i++)
		put(child[i], 0, 8);
	/* The first actor now has the pages alone and takes them over. */
	put(self->a, 0, 4);
	settle();
	for (i = 0; i < 8; i++)
		quit(child[i]);
	put(child[8], 0, 16);
	settle();
	put(child[8], 0, 2);
	fork_actor(child[8]);
	settle();
}

/* The page is the last writer's alone, and it still has children to share it. */
CASE(reuse_then_fork)
{
	int b, c;

	map(self->a, 0, 16);
	put(self->a, 0, 16);
	b = fork_actor(self->a);
	unmap(self->a, 0, 16);
	put(b, 0, 8);
	c = fork_actor(b);
	put(c, 4, 2);
	settle();
	put(b, 0, 16);
	settle();
}

/* ---- where in a family: pieces far apart, pieces left over ---- */

CASE(pieces_written_outward)
{
	int b, c, i;

	for (i = 0; i < 16; i++) {
		map(self->a, i * 300, 8);
		put(self->a, i * 300, 8);
	}
	b = fork_actor(self->a);
	c = fork_actor(b);
	for (i = 0; i < 8; i++) {
		put(b, (7 - i) * 300, 1);
		put(b, (8 + i) * 300 + 2, 1);
		put(c, (i * 5 % 16) * 300 + 1, 2);
	}
	fork_actor(c);
	settle();
}

CASE(two_far_pieces)
{
	int i, child[6];

	map(self->a, 0, 4096);
	for (i = 0; i < 4096; i += 64)
		put(self->a, i, 4);
	for (i = 0; i < 6; i++) {
		child[i] = fork_actor(self->a);
		put(child[i], 64 * i, 2);
		put(child[i], 4032 - 64 * i, 2);
		unmap(child[i], 64 * i + 64, 4032 - 128 * i - 64);
	}
	settle();
	fork_actor(child[2]);
	unmap(self->a, 64, 2048);
	settle();
}

CASE(all_but_one_piece_unmapped)
{
	int i, child[12];

	map(self->a, 0, 512);
	put(self->a, 0, 512);
	for (i = 0; i < 12; i++) {
		child[i] = fork_actor(self->a);
		put(child[i], i * 40 + 4, 2);
		if (i)
			unmap(child[i], 0, i * 40);
		unmap(child[i], i * 40 + 20, 512 - i * 40 - 20);
	}
	settle();
	/* New memory beside the piece that is left. */
	for (i = 0; i < 12; i += 3) {
		map(child[i], i * 40 + 20, 20);
		put(child[i], i * 40 + 16, 20);
	}
	settle();
}

/* New vmas of the child join the family through a neighbour, far and near. */
CASE(child_grows_beyond_its_parent)
{
	int b, c;

	map(self->a, 1000, 32);
	put(self->a, 1000, 32);
	b = fork_actor(self->a);
	put(b, 1000, 4);
	map(b, 1032, 64);
	put(b, 1040, 40);
	map(b, 900, 100);
	put(b, 900, 110);
	c = fork_actor(b);
	put(c, 1090, 4);
	map(c, 800, 100);
	put(c, 800, 20);
	fork_actor(c);
	settle();
}

/* ---- splits ---- */

/* Cut by every means, in each of a few relatives, before or after they wrote. */
static void split_every_way(int actor, int base)
{
	cut(actor, base + 4, 4);
	unmap(actor, base + 12, 4);
	must(actor, SYS_mlock, (long)at(base + 20), 4 * page_size);
	advise(actor, base + 28, 4, MADV_DONTDUMP);
	advise(actor, base + 36, 4, MADV_NOHUGEPAGE);
	protect(actor, base + 44, 1, PROT_READ);
	must(actor, SYS_munlock, (long)at(base + 20), 4 * page_size);
}

CASE(splits_in_parent)
{
	map(self->a, 0, 64);
	put(self->a, 0, 64);
	split_every_way(self->a, 0);
	fork_actor(self->a);
	settle();
	put(self->a, 0, 12);
	settle();
}

CASE(splits_in_parent_after_fork)
{
	int b;

	map(self->a, 0, 64);
	put(self->a, 0, 64);
	b = fork_actor(self->a);
	split_every_way(self->a, 0);
	put(self->a, 2, 8);
	put(b, 6, 12);
	settle();
}

CASE(splits_in_child)
{
	int b, c, d;

	map(self->a, 0, 64);
	put(self->a, 0, 64);
	b = fork_actor(self->a);
	c = fork_actor(self->a);
	d = fork_actor(c);
	split_every_way(b, 0);
	put(b, 2, 8);
	put(c, 0, 64);
	split_every_way(c, 0);
	put(d, 30, 1);
	split_every_way(d, 0);
	put(d, 5, 1);
	settle();
	fork_actor(b);
	fork_actor(d);
	settle();
}

CASE(many_small_vmas)
{
	int i, b;

	map(self->a, 0, 400);
	put(self->a, 0, 400);
	for (i = 0; i < 400; i += 2)
		cut(self->a, i, 1);
	b = fork_actor(self->a);
	for (i = 0; i < 400; i += 7)
		put(b, i, 1);
	settle();
	rejoin(self->a, 0, 400);
	rejoin(b, 0, 400);
	put(b, 200, 100);
	settle();
}

/* ---- merges ---- */

static bool must_merge(void)
{
	return getenv("RMAP_MERGE");
}

CASE(merge_hole_filled)
{
	map(self->a, 0, 16);
	map(self->a, 32, 16);
	put(self->a, 0, 16);
	put(self->a, 32, 16);
	map(self->a, 16, 16);
	put(self->a, 16, 16);
	unmap(self->a, 20, 4);
	map(self->a, 20, 4);
	put(self->a, 20, 4);
	EXPECT_GE(2, map_lines(self->a, 0, 48));
	fork_actor(self->a);
	settle();
}

CASE(merge_hole_filled_once_one)
{
	map(self->a, 0, 48);
	put(self->a, 0, 48);
	unmap(self->a, 16, 16);
	map(self->a, 16, 16);
	EXPECT_EQ(1, map_lines(self->a, 0, 48));
	put(self->a, 16, 16);
	fork_actor(self->a);
	settle();
}

/* arg: none. Grows the heap in three steps around an mprotect that is undone. */
static long do_brk(const long *arg)
{
	char *heap = sbrk(8 * page_size);

	heap = (char *)(((long)heap + page_size - 1) & -page_size);
	memset(heap, 1, 7 * page_size);
	mprotect(heap + 2 * page_size, page_size, PROT_READ);
	sbrk(8 * page_size);
	mprotect(heap + 2 * page_size, page_size, PROT_READ | PROT_WRITE);
	memset(heap, 2, 15 * page_size);
	return (long)heap;
}

CASE(merge_by_brk)
{
	char path[40], line[256];
	int lines = 0;
	FILE *maps;

	call(self->a, do_brk, 0);
	snprintf(path, sizeof(path), "/proc/%d/maps", actors[self->a].pid);
	maps = fopen(path, "r");
	while (maps && fgets(line, sizeof(line), maps))
		lines += !!strstr(line, "[heap]");
	/* What it inherited, which does not spread, and what it added. */
	EXPECT_GE(2, lines);
	if (maps)
		fclose(maps);
}

CASE(merge_rejoined_in_parent)
{
	map(self->a, 0, 48);
	put(self->a, 0, 48);
	cut(self->a, 16, 16);
	put(self->a, 8, 32);
	rejoin(self->a, 16, 16);
	EXPECT_EQ(1, map_lines(self->a, 0, 48));
	fork_actor(self->a);
	settle();
}

/*
 * Three pieces of a vma, cut before or after the fork, of which the child has
 * written any combination, joined again in both orders. A merge that goes to the
 * wrong node hides the pages of the piece that knew better.
 */
static int rejoin_in_child(int a, int base, int written, bool cut_first, bool from_left)
{
	int b, i, lines;

	map(a, base, 48);
	put(a, base, 48);
	if (cut_first)
		cut(a, base + 16, 16);
	b = fork_actor(a);
	if (!cut_first)
		cut(b, base + 16, 16);
	for (i = 0; i < 3; i++)
		if (written & (1 << i))
			put(b, base + 16 * i + 4, 6);
	if (from_left) {
		rejoin(b, base + 16, 8);
		rejoin(b, base + 24, 8);
	} else {
		rejoin(b, base + 24, 8);
		rejoin(b, base + 16, 8);
	}
	put(b, base + 14, 4);
	lines = map_lines(b, base, 48);
	fork_actor(b);
	settle();
	return lines;
}

CASE(merge_rejoined_in_child)
{
	int i, lines, total = 0;

	for (i = 0; i < 16; i++) {
		lines = rejoin_in_child(self->a, i * 64, i & 7, i & 8, i & 1);
		total += lines;
		if (must_merge())
			EXPECT_EQ(1, lines);
	}
	TH_LOG("16 vmas cut in three and rejoined in children: %d lines", total);
}

/*
 * The hole between two pieces is filled by new memory. It merges with neither on
 * any kernel: that would spread a family that this process has only inherited.
 */
CASE(merge_hole_filled_in_child)
{
	int i, b, lines, total = 0;

	for (i = 0; i < 4; i++) {
		map(self->a, i * 64, 48);
		put(self->a, i * 64, 48);
	}
	b = fork_actor(self->a);
	for (i = 0; i < 4; i++) {
		if (i & 1)
			put(b, i * 64 + 2, 4);
		if (i & 2)
			put(b, i * 64 + 40, 4);
		unmap(b, i * 64 + 16, 16);
		map(b, i * 64 + 16, 16);
		put(b, i * 64 + 10, 30);
		lines = map_lines(b, i * 64, 48);
		total += lines;
		EXPECT_EQ(3, lines);
	}
	TH_LOG("4 holes filled in a child: %d lines", total);
	fork_actor(b);
	settle();
}

/* Pieces rejoined by a grandchild, each of another generation's. */
CASE(merge_across_generations)
{
	int b, c, i, lines;

	map(self->a, 0, 64);
	put(self->a, 0, 64);
	b = fork_actor(self->a);
	put(b, 20, 4);
	cut(b, 16, 16);
	c = fork_actor(b);
	put(c, 40, 4);
	cut(c, 40, 8);
	for (i = 16; i < 48; i += 4)
		rejoin(c, i, 4);
	lines = map_lines(c, 0, 64);
	if (must_merge())
		EXPECT_EQ(1, lines);
	TH_LOG("rejoined by a grandchild: %d lines", lines);
	put(c, 0, 4);
	settle();
	rejoin(b, 16, 16);
	put(b, 16, 16);
	settle();
	quit(b);
	settle();
}

/* ---- mremap ---- */

CASE(move_keeps_pages)
{
	uint64_t before[8], after;
	int b, i;

	map(self->a, 0, 8);
	put(self->a, 0, 8);
	b = fork_actor(self->a);
	for (i = 0; i < 8; i++)
		before[i] = pfn(self->a, i);
	move(self->a, 0, 8, 512, 0);
	move(b, 0, 8, 1024, 0);
	for (i = 0; i < 8; i++) {
		after = pfn(self->a, 512 + i);
		EXPECT_EQ(before[i], after);
		EXPECT_EQ(after, pfn(b, 1024 + i));
		EXPECT_NE(0, after);
	}
	settle();
	put(b, 1026, 2);
	put(self->a, 514, 4);
	settle();
}

CASE(move_before_and_after_writes)
{
	int b, c;

	map(self->a, 0, 64);
	put(self->a, 0, 64);
	move(self->a, 0, 64, 2000, 0);
	b = fork_actor(self->a);
	put(b, 2010, 10);
	move(b, 2000, 64, 100, 0);
	put(b, 150, 10);
	c = fork_actor(b);
	move(c, 110, 20, 3000, 0);
	put(c, 3010, 4);
	move(self->a, 2020, 20, 4000, 0);
	settle();
	put(self->a, 4000, 10);
	settle();
}

/* A piece goes away and comes back, so that it may merge where it was. */
CASE(move_away_and_back)
{
	int i, b;

	map(self->a, 0, 96);
	put(self->a, 0, 96);
	for (i = 0; i < 4; i++) {
		b = fork_actor(self->a);
		if (i & 1)
			put(b, 4, 4);
		move(b, 32, 32, 600, 0);
		if (i & 2)
			put(b, 610, 4);
		move(b, 600, 32, 32, 0);
		put(b, 30, 4);
		fork_actor(b);
	}
	settle();
}

/* Left and right stay, were written or not, and what moves between was not. */
CASE(move_between_writers)
{
	int i, b;

	map(self->a, 0, 96);
	put(self->a, 0, 96);
	for (i = 0; i < 8; i++) {
		b = fork_actor(self->a);
		move(b, 32, 32, 600, 0);
		if (i & 1)
			put(b, 0, 4);
		if (i & 2)
			put(b, 70, 4);
		if (i & 4)
			put(b, 620, 4);
		move(b, 600, 32, 32, 0);
		settle();
	}
}

CASE(grow_and_shrink)
{
	int b;

	map(self->a, 0, 16);
	put(self->a, 0, 16);
	resize(self->a, 0, 16, 48);
	put(self->a, 20, 20);
	b = fork_actor(self->a);
	resize(b, 0, 48, 80);
	put(b, 50, 20);
	fork_actor(b);
	resize(self->a, 0, 48, 30);
	put(b, 10, 5);
	settle();
	resize(b, 0, 80, 8);
	settle();
	resize(b, 0, 8, 64);
	put(b, 0, 64);
	settle();
}

/* One index twice in a process: both places must be found. */
CASE(move_and_refill)
{
	int b;

	map(self->a, 0, 64);
	put(self->a, 0, 64);
	move(self->a, 32, 32, 1000, 0);
	map(self->a, 32, 32);
	put(self->a, 32, 32);
	settle();
	b = fork_actor(self->a);
	put(b, 40, 4);
	put(b, 1008, 4);
	settle();
	move(b, 1000, 32, 2000, 0);
	move(b, 32, 32, 3000, 0);
	map(b, 32, 32);
	put(b, 32, 32);
	fork_actor(b);
	settle();
	put(self->a, 0, 64);
	put(self->a, 1000, 32);
	settle();
}

CASE(dontunmap)
{
	int b, c;

	map(self->a, 0, 32);
	put(self->a, 0, 32);
	move(self->a, 0, 32, 100, MREMAP_DONTUNMAP);
	put(self->a, 0, 32);
	b = fork_actor(self->a);
	move(b, 100, 32, 200, MREMAP_DONTUNMAP);
	put(b, 100, 16);
	put(b, 210, 4);
	c = fork_actor(b);
	move(c, 0, 32, 300, MREMAP_DONTUNMAP);
	put(c, 0, 8);
	settle();
	put(b, 0, 32);
	settle();
}

CASE(moves_interleaved)
{
	int i, b;

	map(self->a, 0, 128);
	put(self->a, 0, 128);
	b = fork_actor(self->a);
	for (i = 0; i < 64; i++)
		move(i & 1 ? self->a : b, i * 2, 2, 4000 - i * 4, 0);
	for (i = 0; i < 32; i++) {
		put(b, 4000 - i * 8, 1);
		put(self->a, 4000 - i * 8 - 4, 1);
	}
	settle();
}

/* ---- madvise ---- */

CASE(dontfork)
{
	int b, c;

	map(self->a, 0, 64);
	put(self->a, 0, 64);
	advise(self->a, 16, 16, MADV_DONTFORK);
	b = fork_actor(self->a);
	put(b, 10, 4);
	map(b, 16, 16);
	put(b, 16, 16);
	c = fork_actor(b);
	put(c, 30, 4);
	settle();
	advise(self->a, 16, 16, MADV_DOFORK);
	fork_actor(self->a);
	settle();
}

CASE(wipeonfork)
{
	int b, c;

	map(self->a, 0, 64);
	put(self->a, 0, 64);
	advise(self->a, 16, 16, MADV_WIPEONFORK);
	b = fork_actor(self->a);
	put(b, 10, 10);
	c = fork_actor(b);
	put(c, 18, 4);
	put(c, 40, 4);
	advise(b, 16, 16, MADV_KEEPONFORK);
	fork_actor(b);
	settle();
}

CASE(madv_free)
{
	int b;

	map(self->a, 0, 64);
	put(self->a, 0, 64);
	b = fork_actor(self->a);
	put(b, 0, 32);
	advise_free(b, 0, 48);
	put(b, 8, 4);
	reclaim_all();
	must_be_free(b, 0, 8);
	must_be_free(b, 12, 20);
	EXPECT_EQ(4, entries_with(b, 8, 4, PM_SWAP));
	settle();
	fork_actor(b);
	put(b, 0, 48);
	settle();
}

CASE(pageout_and_cold)
{
	long used;
	int b;

	map(self->a, 0, 64);
	put(self->a, 0, 64);
	EXPECT_EQ(0, left_by_pageout(self->a, 0, 32));
	EXPECT_EQ(32, entries_with(self->a, 0, 32, PM_SWAP));
	b = fork_actor(self->a);
	put(b, 16, 32);
	EXPECT_EQ(0, left_by_pageout(b, 0, 48));
	EXPECT_EQ(48, entries_with(b, 0, 48, PM_SWAP));
	advise(b, 0, 64, MADV_PAGEOUT);
	advise(b, 0, 64, MADV_COLD);
	advise(self->a, 0, 64, MADV_PAGEOUT);
	put(b, 0, 8);
	drain_batches();
	used = smaps_kb(b, "Referenced");
	advise(b, 0, 8, MADV_COLD);
	EXPECT_EQ(used - 8 * page_size / 1024, smaps_kb(b, "Referenced"));
	settle();
}

/* ---- KSM ---- */

CASE(ksm_and_fork)
{
	int b, c;

	if (access("/sys/kernel/mm/ksm/run", W_OK))
		SKIP(return, "no KSM");
	map(self->a, 0, 32);
	put_same(self->a, 0, 32);
	b = fork_actor(self->a);
	put_same(b, 0, 32);
	advise(self->a, 0, 32, MADV_MERGEABLE);
	advise(b, 0, 32, MADV_MERGEABLE);
	ksm_merge();
	EXPECT_NE(0, pfn(self->a, 1));
	EXPECT_EQ(pfn(self->a, 1), pfn(self->a, 30));
	EXPECT_EQ(pfn(b, 1), pfn(b, 30));
	c = fork_actor(b);
	fork_actor(c);
	put(c, 4, 4);
	settle();
	put(b, 0, 16);
	move(b, 16, 16, 200, 0);
	settle();
}

/* Merged when the child has written nothing there, then it does. */
CASE(ksm_in_child)
{
	int b, c;

	if (access("/sys/kernel/mm/ksm/run", W_OK))
		SKIP(return, "no KSM");
	map(self->a, 0, 64);
	put_same(self->a, 0, 32);
	advise(self->a, 0, 32, MADV_MERGEABLE);
	b = fork_actor(self->a);
	ksm_merge();
	EXPECT_NE(0, pfn(self->a, 1));
	EXPECT_EQ(pfn(self->a, 1), pfn(self->a, 30));
	EXPECT_EQ(pfn(self->a, 1), pfn(b, 1));
	EXPECT_EQ(pfn(b, 1), pfn(b, 30));
	put(b, 0, 4);
	cut(b, 8, 8);
	c = fork_actor(b);
	put(c, 2, 10);
	move(c, 16, 8, 400, 0);
	settle();
	write_file("/sys/kernel/mm/ksm/run", "2");
	settle();
	write_file("/sys/kernel/mm/ksm/run", "0");
}

/* ---- huge pages ---- */

#define NO_HUGE		"no huge pages of 2 MiB"
#define HUGE_SIZE	"/sys/kernel/mm/transparent_hugepage/hpage_pmd_size"

static bool have_huge(void)
{
	return !access(HUGE_SIZE, R_OK) && read_number(HUGE_SIZE) == HUGE * page_size;
}

static void must_be_huge(int actor)
{
	if (huge_kb(actor) != HUGE * page_size / 1024)
		fail("actor %d: %ld kB of huge pages", actor, huge_kb(actor));
}

static void put_huge(int actor)
{
	map(actor, 0, HUGE);
	advise(actor, 0, HUGE, MADV_HUGEPAGE);
	put(actor, 0, HUGE);
	must_be_huge(actor);
}

CASE(huge_page_cut_in_child)
{
	int b, c;

	if (!have_huge())
		SKIP(return, NO_HUGE);
	put_huge(self->a);
	b = fork_actor(self->a);
	c = fork_actor(b);
	unmap(b, 6 * PART, 3 * PART);
	cut(c, 12 * PART, PART);
	put(b, 0, PART);
	put(c, 11 * PART, 3 * PART);
	settle();
	put(self->a, 0, HUGE);
	settle();
}

CASE(huge_page_moved_in_child)
{
	int b, c;

	if (!have_huge())
		SKIP(return, NO_HUGE);
	put_huge(self->a);
	b = fork_actor(self->a);
	put(b, 5, 1);
	move(b, 0, HUGE, 2 * HUGE, 0);
	c = fork_actor(b);
	move(c, 2 * HUGE, 8 * PART, 4000, 0);
	put(c, 4000 + PART, 2 * PART);
	settle();
	put(b, 2 * HUGE, HUGE);
	settle();
}

/* Its last user writes to it, then shares it with children of its own. */
CASE(huge_page_reused_in_child)
{
	int b, c;

	if (!have_huge())
		SKIP(return, NO_HUGE);
	put_huge(self->a);
	b = fork_actor(self->a);
	quit(self->a);
	put(b, 7, 1);
	c = fork_actor(b);
	cut(c, 6 * PART, 6 * PART);
	put(c, 9 * PART, PART);
	settle();
	put(b, 0, HUGE);
	settle();
}

/* A page that somebody just looks at is busy for a moment. */
static void collapse(int actor)
{
	int tries;

	for (tries = 0; tries < 20 && try_advise(actor, 0, HUGE, MADV_COLLAPSE); tries++)
		usleep(10000);
	must_be_huge(actor);
}

CASE(huge_page_collapsed_in_child)
{
	int b, c;

	if (!have_huge())
		SKIP(return, NO_HUGE);
	map(self->a, 0, HUGE);
	put(self->a, 0, HUGE);
	b = fork_actor(self->a);
	c = fork_actor(b);
	advise(b, 0, HUGE, MADV_HUGEPAGE);
	put(b, 0, PART);
	collapse(b);
	fork_actor(b);
	settle();
	put(c, 6 * PART, PART);
	put(b, 0, HUGE);
	settle();
}

/* ---- migration: a page must be found everywhere to be moved at all ---- */

/* The page's processes share it before and after, and it has moved. */
static void migrate(int actor, long page, int other, long other_page)
{
	uint64_t old = pfn(actor, page), new;
	int tries;

	for (tries = 0; tries < 20; tries++) {
		if (!sys(actor, SYS_madvise, (long)at(page), page_size, MADV_SOFT_OFFLINE))
			break;
		drain_batches();
		usleep(10000);
	}
	verify();
	new = pfn(actor, page);
	if (new == old || new != pfn(other, other_page))
		fail("page %ld: pfn %lx became %lx and %lx", page, old, new,
		     pfn(other, other_page));
}

CASE(migrate_shared_page)
{
	int b, c;

	map(self->a, 0, 32);
	put(self->a, 0, 32);
	b = fork_actor(self->a);
	put(b, 8, 8);
	c = fork_actor(b);
	if (sys(b, SYS_madvise, (long)at(31), page_size, MADV_SOFT_OFFLINE) &&
	    errno == EINVAL)
		SKIP(return, "no MADV_SOFT_OFFLINE");
	migrate(self->a, 0, c, 0);
	migrate(b, 9, c, 9);
	put(c, 0, 2);
	move(c, 16, 8, 700, 0);
	migrate(self->a, 17, c, 701);
	migrate(c, 702, b, 18);
	settle();
}

CASE(compaction)
{
	int b, c;

	map(self->a, 0, 2048);
	put(self->a, 0, 2048);
	b = fork_actor(self->a);
	put(b, 512, 512);
	c = fork_actor(b);
	put(c, 800, 512);
	unmap(self->a, 100, 1900);
	write_file("/proc/sys/vm/compact_memory", "1");
	verify();
	settle();
}

/* ---- swapoff ---- */

/* A process with an inherited and an own anon_vma of many families. */
static int write_and_open(const char *device)
{
	const size_t size = 32 * page_size;
	char *area[8];
	int fd, status;
	pid_t pid;

	for (int i = 0; i < 8; i++) {
		area[i] = mmap(NULL, size, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		memset(area[i], 1, size);
		mprotect(area[i] + size / 2, page_size, PROT_READ);
	}
	pid = fork();
	if (!pid) {
		for (int i = 0; i < 8; i += 2)
			area[i][0] = 2;
		fd = open(device, O_RDWR);
		/* A lock left behind would stop these. */
		for (int i = 0; i < 8; i++)
			area[i][size - 1] = 3;
		_exit(fd < 0);
	}
	waitpid(pid, &status, 0);
	return status;
}

/* Registering a notifier takes the lock of each family, and of each once. */
CASE(all_locks_at_once)
{
	const char *device = "/dev/hmm_dmirror0";

	if (access(device, F_OK))
		SKIP(return, "no test device with mmu notifiers");
	ASSERT_EQ(0, write_and_open(device));
}

CASE(swapoff_and_on)
{
	char device[64];
	int b, c;

	map(self->a, 0, 256);
	put(self->a, 0, 256);
	b = fork_actor(self->a);
	put(b, 0, 64);
	c = fork_actor(b);
	reclaim_all();
	ASSERT_TRUE(swap_device(device));
	ASSERT_EQ(0, swapoff(device));
	ASSERT_EQ(0, swapon(device, 0));
	put(c, 32, 64);
	settle();
	put(self->a, 0, 256);
	settle();
}

/* ---- threads ---- */

struct racer {
	const long *arg;
	int number;
};

/* Writers go up and down the range, the third cuts and rejoins it meanwhile. */
static void *race(void *data)
{
	struct racer *racer = data;
	const long *arg = racer->arg;
	const long up[] = { arg[0], arg[1], arg[2], 1 };
	const long down[] = { arg[0], arg[1], arg[2], -1 };
	long page;

	if (racer->number == 0)
		do_write(up);
	else if (racer->number == 1)
		do_write(down);
	for (page = arg[1]; racer->number == 2 && page < arg[1] + arg[2] - 1; page += 2) {
		mprotect(at(page), page_size, PROT_READ | PROT_WRITE | PROT_EXEC);
		if (page > arg[1] + 8)
			mprotect(at(page - 8), 4 * page_size, PROT_READ | PROT_WRITE);
	}
	return NULL;
}

/* arg: actor, page, pages */
static long do_race(const long *arg)
{
	pthread_t thread[3];
	struct racer racer[3];
	int i;

	for (i = 0; i < 3; i++) {
		racer[i] = (struct racer){ arg, i };
		pthread_create(&thread[i], NULL, race, &racer[i]);
	}
	for (i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	return 0;
}

CASE(threads_fault_while_vmas_split)
{
	int i, b;

	map(self->a, 0, 200);
	put(self->a, 0, 200);
	for (i = 0; i < 40; i++) {
		b = fork_actor(self->a);
		new_tags(b, 0, 200);
		call(b, do_race, b, 0, 200);
		if (i % 8)
			quit(b);
		else
			rejoin(b, 0, 200);
	}
	settle();
}

/* Two relatives take their first own pages of the same vma at the same time. */
CASE(relatives_fault_at_once)
{
	int round, b, c, i, who[3];

	map(self->a, 0, 200);
	put(self->a, 0, 200);
	for (round = 0; round < 10; round++) {
		long arg[4] = { 0, 0, 200, 1 };

		b = fork_actor(self->a);
		c = fork_actor(b);
		new_tags(b, 0, 200);
		new_tags(c, 0, 200);
		new_tags(self->a, 0, 200);
		who[0] = self->a;
		who[1] = b;
		who[2] = c;
		for (i = 0; i < 3; i++) {
			arg[0] = who[i];
			arg[3] = i & 1 ? -1 : 1;
			send_call(arg[0], do_write, arg, 4);
		}
		wait_call(self->a);
		wait_call(b);
		wait_call(c);
		if (round & 1)
			quit(b);
	}
	settle();
}

/* ---- anything, in any order ---- */

/* RMAP_SEEDS in the environment: how many histories. */
TEST_F_TIMEOUT(rmap, random_histories, 3600)
{
	const char *seeds = getenv("RMAP_SEEDS");
	int seed;

	for (seed = 1; seed <= (seeds ? atoi(seeds) : 8) && !failures; seed++) {
		printf("# random history %d\n", seed);
		any_history(self->a, seed, 600);
		quit_all();
		self->a = new_family();
	}
}

/* ---- the counters of CONFIG_DEBUG_RMAP ---- */

#define DEBUG_DIR "/sys/kernel/debug/rmap"

static long stat_of(const char *name)
{
	FILE *file = fopen(DEBUG_DIR "/stat", "r");
	long value, found = -1;
	char key[32];

	while (file && fscanf(file, "%31s %ld", key, &value) == 2)
		if (!strcmp(key, name))
			found = value;
	if (file)
		fclose(file);
	return found;
}

CASE(debug_counters)
{
	static const char * const what[] = { "walks", "vmas_visited", "ptes_found" };
	static const long expected[] = { 1, 6, 6 };
	long nodes, vmas, least[3] = { LONG_MAX, LONG_MAX, LONG_MAX }, before[3];
	int child[5], i, k;

	if (access(DEBUG_DIR, F_OK))
		SKIP(return, "needs CONFIG_DEBUG_RMAP");
	map(self->a, 0, 8);
	put(self->a, 0, 8);
	nodes = stat_of("nodes");
	vmas = stat_of("vmas");
	for (i = 0; i < 5; i++) {
		child[i] = fork_actor(self->a);
		put(child[i], 0, 1);
	}
	EXPECT_LE(nodes + 5, stat_of("nodes"));
	EXPECT_LE(vmas + 5, stat_of("vmas"));
	EXPECT_LE(stat_of("families"), stat_of("nodes"));

	/* Someone else may walk at the same time: try a few times. */
	write_file(DEBUG_DIR "/check", "0");
	for (i = 0; i < 5; i++) {
		for (k = 0; k < 3; k++)
			before[k] = stat_of(what[k]);
		mark_idle(pfn(self->a, 4));
		for (k = 0; k < 3; k++)
			least[k] = MIN(least[k], stat_of(what[k]) - before[k]);
	}
	write_file(DEBUG_DIR "/check", "1");
	for (k = 0; k < 3; k++)
		EXPECT_EQ(expected[k], least[k]);

	for (i = 0; i < 5; i++)
		quit(child[i]);
	EXPECT_LE(stat_of("nodes"), nodes);
	EXPECT_LE(stat_of("vmas"), vmas);
	settle();
	EXPECT_LT(0, stat_of("audits"));
	EXPECT_EQ(0, stat_of("mismatches"));
}

int main(int argc, char **argv)
{
	return run_cases(argc, argv);
}
