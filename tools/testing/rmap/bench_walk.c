// SPDX-License-Identifier: GPL-2.0
/*
 * What it costs to find the mappings of one anonymous page.
 *
 * A parent forks children that shape the family of one mapping; then a write
 * to the page idle bitmap makes the kernel walk the mappings of one page. The
 * walk is timed first, and its visits are counted by a kprobe afterwards.
 */
#include "bench.h"
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define REPEAT	50

static char *page(int i)
{
	return ARENA + i * PAGE;
}

static void measure(const char *key, int n, uint64_t frame)
{
	uint64_t best = UINT64_MAX;
	int fd = open_bitmap();
	long visits;

	must_be_walked(fd, frame);
	for (int i = 0; i < REPEAT; i++) {
		uint64_t start = now();

		walk(fd, frame);
		start = now() - start;
		if (start < best)
			best = start;
	}
	visits = visits_of(fd, &frame, 1, NULL);
	put(best / 1e3, "%s_%d_us", key, n);
	put(visits, "%s_%d_visits", key, n);
	note("%s, %d children: %.2f us, %ld visits", key, n, best / 1e3, visits);
	close(fd);
}

static void unmap(int first, int last)
{
	if (last >= first && munmap(page(first), (last - first + 1) * PAGE))
		die("munmap");
}

/* The parts that children play; the parent has written page SHARED. */
#define SHARED	0

static void writes_nothing(int i, int n)
{
	(void)i;
	(void)n;
}

static void writes_shared(int i, int n)
{
	(void)i;
	(void)n;
	*page(SHARED) = 2;
	drain();
}

static void writes_next(int i, int n)
{
	(void)i;
	(void)n;
	*page(SHARED + 1) = 2;
}

#define PIECES	100

/* Every third page is a hole: a piece is a page to share and one to write. */
static void writes_all_pieces(int i, int n)
{
	(void)i;
	(void)n;
	for (int j = 0; j < PIECES; j++)
		*page(3 * j + 1) = 2;
}

/* Of six pages, one child keeps the two on the left, the next those on the right. */
static void drops_middle(int i, int n)
{
	int kept = i % 2 ? 4 : 0;

	(void)n;
	unmap(2, 3);
	unmap(4 - kept, 5 - kept);
	*page(kept) = 2;
}

/* Of 2n + 1 pages, each child keeps one or two that no other child keeps. */
static void keeps_one(int i, int n)
{
	int mine = 2 * i + 1;

	unmap(0, mine - 1);
	unmap(mine + 1, 2 * n);
	*page(mine) = 2;
}

static void keeps_two(int i, int n)
{
	int left = i, right = 2 * n - i;

	unmap(0, left - 1);
	unmap(left + 1, right - 1);
	unmap(right + 1, 2 * n);
	*page(left) = 2;
	*page(right) = 2;
}

/*
 * One case: a mapping of so many pages, of which the parent has written the
 * one that is walked and enough others to give all of it one family.
 */
struct walk_case {
	const char *key;
	void (*part)(int i, int n);
	int pages;	/* 0: two for each child and one */
	int walked;	/* -1: the middle */
	int holes;	/* cut into PIECES */
	int of_child;	/* walk a child's page instead of the parent's */
};

static const struct walk_case own_page = { "own_page", writes_shared, 4, SHARED, 0, 1 };
static const struct walk_case one_node = { "one_node", writes_nothing, 4, SHARED, 0, 0 };
static const struct walk_case own_node = { "own_node", writes_next, 4, SHARED, 0, 0 };
static const struct walk_case own_node_pieces = {
	"own_node_pieces", writes_all_pieces, 3 * PIECES, 3 * PIECES / 2, 1, 0 };
static const struct walk_case no_child = { "no_child", drops_middle, 6, 2, 0, 0 };
static const struct walk_case one_piece = { "one_piece", keeps_one, 0, -1, 0, 0 };
static const struct walk_case two_pieces = { "two_pieces", keeps_two, 0, -1, 0, 0 };

static void run_case(const struct walk_case *w, int n)
{
	int pages = w->pages ? w->pages : 2 * n + 1;
	int walked = w->walked < 0 ? n & ~1 : w->walked;
	struct crowd crowd;

	map_at(page(0), pages * PAGE, MAP_ANONYMOUS, -1);
	*page(walked) = 1;
	for (int i = 0; w->holes && i < PIECES; i++)
		unmap(3 * i + 2, 3 * i + 2);
	drain();

	crowd_start(&crowd, n, w->part);
	measure(w->key, n, page_frame(w->of_child ? crowd.pids[n / 2] : getpid(),
				      page(walked)));
	crowd_end(&crowd);
	munmap(page(0), pages * PAGE);
}

/*
 * A master that is twice removed from its first ancestor, as a daemon is, has
 * one family of 100 vmas, and 1000 workers write to all of it. The walk of a
 * worker's own page should meet that worker and few others.
 */
#define WORKERS	1000

static void write_pieces(void)
{
	for (int i = 0; i < PIECES; i++)
		*page(2 * i) += 1;
}

static void works(int i, int n)
{
	(void)i;
	(void)n;
	write_pieces();
	drain();
}

static void count_workers(const char *key)
{
	static uint64_t frames[WORKERS];
	int fd = open_bitmap();
	struct crowd crowd;
	long total, most = 0;

	crowd_start(&crowd, WORKERS, works);
	for (int i = 0; i < WORKERS; i++) {
		frames[i] = page_frame(crowd.pids[i], page(2 * (i % PIECES)));
		must_be_walked(fd, frames[i]);
	}
	total = visits_of(fd, frames, WORKERS, &most);
	put((double)total / WORKERS, "%s_visits", key);
	put(most, "%s_most", key);
	note("%s: %ld visits for %d pages, most %ld", key, total, WORKERS, most);
	crowd_end(&crowd);
	close(fd);
}

static void reap_all(void)
{
	int status;

	while (wait(&status) > 0)
		if (status)
			die("child failed with status %#x", status);
}

/* Each of the two steps away from the ancestor is a fork and an exit. */
static void workers(const char *key, int master_writes)
{
	pid_t first = fork_or_die();

	if (first) {
		reap_all();
		return;
	}
	map_at(page(0), 2 * PIECES * PAGE, MAP_ANONYMOUS, -1);
	*page(0) = 1;
	for (int i = 0; i < PIECES; i++)
		unmap(2 * i + 1, 2 * i + 1);
	write_pieces();
	for (int i = 0; i < 2; i++) {
		if (fork_or_die())
			_exit(0);
		settle();
		if (master_writes)
			write_pieces();
	}
	count_workers(key);
	_exit(0);
}

/*
 * The endless chain of daemons: each generation writes, forks and, when the
 * window of those alive has moved on, exits. The first process of the bench
 * reaps them all, and counts nodes every so often.
 */
#define FAMILIES	2

static struct window {
	int size, generations;
	atomic_int born, reaped;
} *window;

static void wait_for(atomic_int *word, int least)
{
	int value;

	while ((value = *word) < least)
		syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
}

static void advance(atomic_int *word)
{
	++*word;
	syscall(SYS_futex, word, FUTEX_WAKE, 64, NULL, NULL, 0);
}

static void generations(void)
{
	char *pages = mmap(NULL, 2 * FAMILIES * PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED)
		die("mmap");
	for (int i = 0; i < FAMILIES; i++)
		munmap(pages + (2 * i + 1) * PAGE, PAGE);
	for (int g = 0;; g++) {
		for (int i = 0; i < FAMILIES; i++)
			pages[2 * i * PAGE] = 1;
		wait_for(&window->reaped, g - window->size + 1);
		if (g == window->generations)
			_exit(0);
		if (fork_or_die()) {
			int last = g + window->size;

			if (last > window->generations)
				last = window->generations;
			wait_for(&window->born, last);
			_exit(0);
		}
		advance(&window->born);
	}
}

/* How many vmas of this process have anonymous pages, hence a family. */
static int own_families(void)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	char line[256];
	int n = 0, kb;

	if (!f)
		die("open smaps");
	while (fgets(line, sizeof(line), f))
		n += sscanf(line, "Anonymous: %d", &kb) == 1 && kb > 0;
	fclose(f);
	return n;
}

static void daemons(int size, int count)
{
	long before = slab_sum("anon_vma", "objects"), peak = 0, nodes;
	int families = FAMILIES + own_families(), status;
	pid_t pid;

	*window = (struct window){ .size = size, .generations = count };
	pid = fork_or_die();
	if (!pid)
		generations();
	while (wait(&status) > 0) {
		if (status)
			die("a process of the chain failed with status %#x", status);
		advance(&window->reaped);
		if (window->reaped % 61)
			continue;
		nodes = slab_sum("anon_vma", "objects") - before;
		if (nodes > peak)
			peak = nodes;
	}
	settle();
	nodes = slab_sum("anon_vma", "objects") - before;
	put((double)peak / families, "daemons_%d_nodes", size);
	put(nodes, "daemons_%d_left", size);
	note("endless chain, %d alive: %ld nodes in %d families, %ld left", size,
	     peak, families, nodes);
}

/* The argument: how many generations the endless chain has. */
int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 1000;

	bench_start();
	if (prctl(PR_SET_CHILD_SUBREAPER, 1))
		die("prctl");
	run_case(&own_page, 500);
	run_case(&one_node, 500);
	run_case(&own_node, 500);
	run_case(&own_node_pieces, 500);
	run_case(&no_child, 500);
	run_case(&no_child, 2000);
	run_case(&one_piece, 500);
	run_case(&two_pieces, 100);
	run_case(&two_pieces, 500);
	run_case(&two_pieces, 1000);
	workers("workers_of_writer", 1);
	workers("workers_of_reader", 0);
	window = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (window == MAP_FAILED)
		die("mmap");
	for (int size = 1; size <= 8; size++)
		daemons(size, count);
	print_results("bench_walk");
	return 0;
}
