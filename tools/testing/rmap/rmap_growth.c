// SPDX-License-Identifier: GPL-2.0
/*
 * No cost grows with what it should not grow with: each is counted, in vmas or in
 * guest instructions, in a small and in a large case.
 */
#include "bench.h"

static int shown, failed;

/* The name says what has been compared, the rest by how much. */
static void result(int good, const char *name)
{
	failed += !good;
	printf("%sok %d growth.%s\n", good ? "" : "not ", ++shown, name);
	fflush(stdout);
}

/* Every second page, so that no two vmas are neighbours. */
static char *piece(int i)
{
	return ARENA + 2 * i * PAGE;
}

/* ---- a hundred processes, each with a hundred vmas of one file of a hundred pages ---- */

#define FILE_PAGES	100

static void reads_all(int i, int n)
{
	for (int j = 0; j < FILE_PAGES; j++)
		read_byte(piece(j));
}

struct walk_cost {
	long visits, most;
	uint64_t time;
};

static struct walk_cost walk_cost(const uint64_t *frames, int n)
{
	struct walk_cost cost = { };
	int fd = open_bitmap();
	uint64_t start;

	for (int i = 0; i < n; i++)
		must_be_walked(fd, frames[i]);
	start = now();
	for (int i = 0; i < n; i++)
		walk(fd, frames[i]);
	cost.time = (now() - start) / n;
	cost.visits = visits_of(fd, frames, n, &cost.most);
	close(fd);
	return cost;
}

static struct walk_cost file_walks(int processes)
{
	uint64_t frames[FILE_PAGES];
	int fd = memfd_create("growth", 0);
	struct walk_cost cost;
	struct crowd crowd;

	if (ftruncate(fd, FILE_PAGES * PAGE))
		die("ftruncate");
	for (int i = 0; i < FILE_PAGES; i++)
		if (mmap(piece(i), PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED_NOREPLACE, fd,
			 i * PAGE) != piece(i))
			die("mmap");
	/* Written by itself, or a hole would be mapped as the page of zeroes. */
	for (int i = 0; i < FILE_PAGES; i++)
		if (pwrite(fd, &i, sizeof(i), i * PAGE) < 0)
			die("pwrite");
	crowd_start(&crowd, processes, reads_all);
	drain();
	for (int i = 0; i < FILE_PAGES; i++)
		frames[i] = page_frame(crowd.pids[0], piece(i));
	cost = walk_cost(frames, FILE_PAGES);
	crowd_end(&crowd);
	for (int i = 0; i < FILE_PAGES; i++)
		munmap(piece(i), PAGE);
	close(fd);
	return cost;
}

static void file_mappings(void)
{
	struct walk_cost few = file_walks(10), many = file_walks(100);

	note("a page of a file, 10 processes of 100 vmas: %ld vmas visited, %.1f us",
	     few.most, few.time / 1e3);
	note("a page of a file, 100 processes: %ld vmas visited, %.1f us", many.most,
	     many.time / 1e3);
	/* The parent has the vmas as well. */
	result(few.most <= 11 && many.most <= 101 && few.visits && many.visits,
	       "file_walk_visits_mappers");
	result(many.time <= 15 * few.time, "file_walk_time_follows_mappers");
}

/* ---- a flood of splits, in a family ---- */

#define RELATIVES	20

static void writes_nothing(int i, int n)
{
}

struct split_cost {
	double split, merge;
	struct walk_cost walk;
};

static void protect(char *at, int prot)
{
	if (mprotect(at, PAGE, prot))
		die("mprotect");
}

static struct split_cost splits(int pages)
{
	struct split_cost cost;
	struct crowd crowd;
	uint64_t start, frame;

	map_at(ARENA, pages * PAGE, MAP_ANONYMOUS, -1);
	for (int i = 0; i < pages; i++)
		ARENA[i * PAGE] = 1;
	crowd_start(&crowd, RELATIVES, writes_nothing);
	start = now();
	for (int i = 1; i < pages; i += 2)
		protect(ARENA + i * PAGE, PROT_READ);
	cost.split = (double)(now() - start) / pages;
	drain();
	frame = page_frame(getpid(), ARENA + pages / 2 * PAGE);
	cost.walk = walk_cost(&frame, 1);
	start = now();
	for (int i = 1; i < pages; i += 2)
		protect(ARENA + i * PAGE, PROT_READ | PROT_WRITE);
	cost.merge = (double)(now() - start) / pages;
	crowd_end(&crowd);
	munmap(ARENA, pages * PAGE);
	return cost;
}

static void split_flood(void)
{
	struct split_cost few = splits(500), many = splits(16000);

	note("500 splits: %.2f us each, %.2f us undone, %ld visits of a walk then",
	     few.split / 1e3, few.merge / 1e3, few.walk.most);
	note("16000 splits: %.2f us each, %.2f us undone, %ld visits of a walk then",
	     many.split / 1e3, many.merge / 1e3, many.walk.most);
	result(many.split <= 2 * few.split && many.merge <= 2 * few.merge, "split_flood");
	result(few.walk.most == RELATIVES + 1 && many.walk.most == RELATIVES + 1,
	       "walk_after_split_flood");
}

/* ---- children with pages of their own ---- */

#define OWN_MOST	1000

static int own_pages;

static void writes_all(int i, int n)
{
	for (int j = 0; j < own_pages; j++)
		ARENA[j * PAGE] = 2;
	drain();
}

/* Of every child one page, or of every page one child. */
static struct walk_cost own_page_walks(int children, int pages)
{
	int n = children > pages ? children : pages;
	static uint64_t frames[OWN_MOST];
	struct walk_cost cost;
	struct crowd crowd;

	own_pages = pages;
	map_at(ARENA, pages * PAGE, MAP_ANONYMOUS, -1);
	for (int i = 0; i < pages; i++)
		ARENA[i * PAGE] = 1;
	crowd_start(&crowd, children, writes_all);
	for (int i = 0; i < n; i++)
		frames[i] = page_frame(crowd.pids[i % children], ARENA + i % pages * PAGE);
	cost = walk_cost(frames, n);
	crowd_end(&crowd);
	munmap(ARENA, pages * PAGE);
	return cost;
}

static void own_page_growth(void)
{
	struct walk_cost few = own_page_walks(30, 30), wide = own_page_walks(1000, 100),
		long_ = own_page_walks(100, 1000);

	note("own page of 30 children x 30: %ld visits, %.2f us", few.most, few.time / 1e3);
	note("own page of 1000 children x 100: %ld visits, %.2f us", wide.most,
	     wide.time / 1e3);
	note("own page of 100 children x 1000: %ld visits, %.2f us", long_.most,
	     long_.time / 1e3);
	result(few.most <= 2 && wide.most <= 2 && long_.most <= 2, "own_page_visits");
	result(wide.time <= 2 * few.time && long_.time <= 2 * few.time, "own_page_time");
}

/* ---- how long a fault holds the lock of the family ---- */

struct fault_cost {
	uint64_t typical, high, most;
};

#define FAULT_VMAS	1000

static void first_writes(int vmas, uint64_t *ns)
{
	for (int i = 0; i < vmas; i++) {
		uint64_t start = now();

		*piece(i) = 3;
		ns[i] = now() - start;
	}
}

/* Siblings that have written have nodes of their own beside that of the one measured. */
static int written;

static void writes_pieces(int i, int n)
{
	for (int j = 0; j < written; j++)
		*piece(j) = 2;
}

static struct fault_cost fault_cost(int vmas, int siblings)
{
	uint64_t *ns = mmap(NULL, vmas * sizeof(*ns), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	struct fault_cost cost;
	struct crowd crowd;
	pid_t pid;

	if (ns == MAP_FAILED)
		die("mmap");
	written = vmas < 100 ? vmas : 100;
	map_at(ARENA, 2 * vmas * PAGE, MAP_ANONYMOUS, -1);
	*piece(0) = 1;
	for (int i = 0; i < vmas; i++) {
		if (munmap(piece(i) + PAGE, PAGE))
			die("munmap");
		*piece(i) = 1;
	}
	crowd_start(&crowd, siblings, writes_pieces);
	settle();
	pid = fork_or_die();
	if (!pid) {
		first_writes(vmas, ns);
		_exit(0);
	}
	reap(pid);
	crowd_end(&crowd);
	qsort(ns, vmas, sizeof(*ns), by_value);
	cost = (struct fault_cost){ ns[vmas / 2], ns[vmas * 98 / 100], ns[vmas - 1] };
	note("first write, %d vmas, %d siblings: median %.1f us, 98 %% %.1f, longest %.1f",
	     vmas, siblings, cost.typical / 1e3, cost.high / 1e3, cost.most / 1e3);
	munmap(ARENA, 2 * vmas * PAGE);
	munmap(ns, vmas * sizeof(*ns));
	return cost;
}

static void lock_hold(void)
{
	struct fault_cost few = fault_cost(100, 5), vmas = fault_cost(FAULT_VMAS, 5),
		siblings = fault_cost(FAULT_VMAS, 300);

	result(vmas.high <= 2 * few.high && siblings.high <= 2 * few.high, "first_write");
}

int main(void)
{
	bench_start();
	file_mappings();
	split_flood();
	own_page_growth();
	lock_hold();
	printf("1..%d\n", shown);
	return !!failed;
}
