/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A family of processes that do what they are told, and a model of what each
 * must see.
 *
 * An actor is a process that calls the functions it is sent. All memory under
 * test lies in one arena, at the same addresses in every actor. For each actor
 * and page of the arena a cell, in memory shared by all, says what the page
 * must hold; the functions here change memory and cells together. settle() then
 * reclaims everything, counts the ptes that are still present - a page that one
 * walk of the reverse map did not find everywhere - and has every actor compare
 * its arena with its cells.
 */
#ifndef RMAP_ACTOR_H
#define RMAP_ACTOR_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "files.h"

#define ARENA		0x200000000000UL
#define ARENA_PAGES	8192
#define ACTORS		48
#define GROUP		"/sys/fs/cgroup/rmap_test"

/* What a page holds: nothing is mapped, zeroes, or the pattern of a tag. */
#define NONE		0
#define ZERO		1
#define FILE_TAG	0x40000000
#define DISK_TAG	0x60000000	/* and the page of scripts/guest's file */

#define F_DONTFORK	1
#define F_WIPEONFORK	2
#define F_MAYBE		4	/* or zeroes, after MADV_FREE */
#define F_LOCKED	8	/* must not be reclaimed */

struct cell {
	uint32_t tag;
	uint32_t base;		/* the tag when the private copy is dropped */
	uint32_t flags;
};

struct request {
	long (*fn)(const long *arg);
	long arg[7];
};

struct reply {
	long ret;
	int err;
};

struct actor {
	pid_t pid;		/* 0: no such process */
	int pidfd;
	int pagemap;
	int sock[2];
};

static struct cell (*cells)[ARENA_PAGES];
static struct actor actors[ACTORS];
static int file_fd;
static int disk_fd __attribute__((unused)) = -1;
static uint32_t last_tag;
static int failures;
static long page_size;

#define fail(fmt, ...) do {						\
	failures++;							\
	printf("# line %d: " fmt "\n", __LINE__, ##__VA_ARGS__);	\
	fflush(stdout);							\
} while (0)

static inline void *at(long page)
{
	return (char *)ARENA + page * page_size;
}

static void write_file(const char *path, const char *text)
{
	if (try_write_file(path, text))
		fail("cannot write \"%s\" to %s: %m", text, path);
}

/* Pages that a processor holds back are on no list: advice, reclaim and splits miss them. */
static inline void drain_batches(void)
{
	write_file("/proc/sys/vm/drop_caches", "1");
}

static long read_number(const char *path)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		fail("cannot read %s: %m", path);
	if (fd >= 0)
		close(fd);
	return atol(text);
}

/* ---- in the actor ---- */

static uint64_t *first_word(long page)
{
	return at(page);
}

static uint64_t *last_word(long page)
{
	return (uint64_t *)at(page + 1) - 1;
}

static uint64_t pattern(uint32_t tag)
{
	return tag == ZERO ? 0 : tag * 0x9e3779b97f4a7c15UL;
}

/* The file has a number in every 16 bytes. */
static int holds_of_disk(long page, long of_disk)
{
	char text[24];

	snprintf(text, sizeof(text), "%015ld\n", of_disk * page_size / 16);
	return !memcmp(at(page), text, 16);
}

static int holds(long page, uint32_t tag)
{
	if (tag >= DISK_TAG)
		return holds_of_disk(page, tag - DISK_TAG);
	return *first_word(page) == pattern(tag) && *last_word(page) == pattern(tag);
}

/* arg: actor, page, pages, step */
static long do_write(const long *arg)
{
	long step = arg[3], page = step > 0 ? arg[1] : arg[1] + arg[2] - 1;

	for (; page >= arg[1] && page < arg[1] + arg[2]; page += step) {
		*first_word(page) = pattern(cells[arg[0]][page].tag);
		*last_word(page) = pattern(cells[arg[0]][page].tag);
	}
	return 0;
}

/* arg: actor. Returns how many pages are not what they must be. */
static long do_verify(const long *arg)
{
	long page, bad = 0;

	for (page = 0; page < ARENA_PAGES; page++) {
		struct cell *cell = &cells[arg[0]][page];

		if (cell->tag == NONE || holds(page, cell->tag))
			continue;
		if ((cell->flags & F_MAYBE) && holds(page, ZERO)) {
			cell->tag = ZERO;
			continue;
		}
		if (!bad++)
			printf("# actor %ld page %ld: %lx, not %lx (tag %u)\n",
			       arg[0], page, *first_word(page),
			       pattern(cell->tag), cell->tag);
	}
	fflush(stdout);
	return bad;
}

static long do_syscall(const long *arg)
{
	return syscall(arg[0], arg[1], arg[2], arg[3], arg[4], arg[5], arg[6]);
}

static long do_exit(const long *arg)
{
	_exit(arg[0]);
}

static void actor_loop(int self)
{
	int sock = actors[self].sock[1];
	struct request request;
	struct reply reply;

	signal(SIGCHLD, SIG_IGN);
	while (read(sock, &request, sizeof(request)) == sizeof(request)) {
		errno = 0;
		reply.ret = request.fn(request.arg);
		reply.err = errno;
		if (write(sock, &reply, sizeof(reply)) < 0)
			break;
	}
	_exit(1);
}

/* arg: the child's number */
static long do_fork(const long *arg)
{
	pid_t pid = fork();

	if (!pid)
		actor_loop(arg[0]);
	return pid;
}

/* ---- in the test ---- */

static void send_call(int actor, long (*fn)(const long *), const long *arg, int n)
{
	struct request request = { .fn = fn };

	memcpy(request.arg, arg, n * sizeof(*arg));
	if (write(actors[actor].sock[0], &request, sizeof(request)) < 0)
		fail("actor %d does not listen: %m", actor);
}

static long wait_call(int actor)
{
	struct pollfd ready[2] = {
		{ .fd = actors[actor].sock[0], .events = POLLIN },
		{ .fd = actors[actor].pidfd, .events = POLLIN },
	};
	struct reply reply;

	poll(ready, actors[actor].pidfd ? 2 : 1, 60000);
	if (recv(actors[actor].sock[0], &reply, sizeof(reply), MSG_DONTWAIT) <= 0) {
		printf("Bail out! actor %d is %s\n", actor,
		       ready[1].revents ? "dead" : "stuck");
		exit(1);
	}
	errno = reply.err;
	return reply.ret;
}

/* call(ACTOR, FUNCTION, ARGUMENT...): the function's result, in the actor. */
#define call(actor, fn, ...) ({						\
	const long args_[] = { __VA_ARGS__ };				\
	send_call(actor, fn, args_, sizeof(args_) / sizeof(long));	\
	wait_call(actor);						\
})

#define sys(actor, ...)	call(actor, do_syscall, __VA_ARGS__)

/* The same, and a failure is a failure of the test. */
#define must(actor, ...) ({						\
	long ret_ = sys(actor, __VA_ARGS__);				\
	if (ret_ < 0)							\
		fail("actor %d: %s: %m", actor, #__VA_ARGS__);		\
	ret_;								\
})

static int free_actor(void)
{
	int i;

	for (i = 0; i < ACTORS; i++)
		if (!actors[i].pid)
			return i;
	printf("Bail out! too many actors\n");
	exit(1);
}

static void start_actor(int actor, pid_t pid)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	actors[actor].pid = pid;
	actors[actor].pidfd = syscall(SYS_pidfd_open, pid, 0);
	actors[actor].pagemap = open(path, O_RDONLY);
	if (actors[actor].pidfd < 0 || actors[actor].pagemap < 0)
		fail("cannot watch actor %d: %m", actor);
}

static int first_actor(void)
{
	int actor = free_actor();
	pid_t pid = fork();

	if (!pid)
		actor_loop(actor);
	memset(cells[actor], 0, sizeof(cells[actor]));
	start_actor(actor, pid);
	return actor;
}

static int fork_actor(int parent)
{
	int page, child = free_actor();
	pid_t pid = call(parent, do_fork, child);

	if (pid < 0) {
		printf("Bail out! actor %d cannot fork: %m\n", parent);
		exit(1);
	}
	memcpy(cells[child], cells[parent], sizeof(cells[child]));
	for (page = 0; page < ARENA_PAGES; page++) {
		struct cell *cell = &cells[child][page];

		if (cell->flags & F_DONTFORK)
			*cell = (struct cell){ NONE };
		else if (cell->flags & F_WIPEONFORK)
			cell->tag = cell->base;
		cell->flags &= ~F_LOCKED;
	}
	start_actor(child, pid);
	return child;
}

/* Returns when its memory is gone. */
static void quit(int actor)
{
	struct pollfd gone = { .fd = actors[actor].pidfd, .events = POLLIN };
	const long arg = 0;

	send_call(actor, do_exit, &arg, 1);
	if (poll(&gone, 1, 60000) <= 0)
		fail("actor %d does not end", actor);
	close(actors[actor].pidfd);
	close(actors[actor].pagemap);
	actors[actor].pid = 0;
	actors[actor].pidfd = 0;
}

static void set_cells(int actor, long page, long n, uint32_t tag)
{
	for (; n--; page++)
		cells[actor][page] = (struct cell){ tag, tag };
}

static void map_flags(int actor, long page, long n, int flags)
{
	must(actor, SYS_mmap, (long)at(page), n * page_size, PROT_READ | PROT_WRITE,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | flags, -1, 0);
	set_cells(actor, page, n, ZERO);
}

static void map(int actor, long page, long n)
{
	map_flags(actor, page, n, 0);
}

/* A private mapping of the test's file from page "from" of it. */
static void map_file(int actor, long page, long n, long from)
{
	must(actor, SYS_mmap, (long)at(page), n * page_size, PROT_READ | PROT_WRITE,
	     MAP_PRIVATE | MAP_FIXED_NOREPLACE, file_fd, from * page_size);
	for (; n--; page++, from++)
		set_cells(actor, page, 1, FILE_TAG + from);
}

static void unmap(int actor, long page, long n)
{
	must(actor, SYS_munmap, (long)at(page), n * page_size);
	set_cells(actor, page, n, NONE);
}

static void new_tags(int actor, long page, long n)
{
	for (; n--; page++) {
		cells[actor][page].tag = ZERO + ++last_tag;
		cells[actor][page].flags &= ~F_MAYBE;
	}
}

/* Write a tag of its own to each page. */
static void put(int actor, long page, long n)
{
	new_tags(actor, page, n);
	call(actor, do_write, actor, page, n, 1);
}

/* Give every page the same contents, for KSM. */
static void put_same(int actor, long page, long n)
{
	long i;

	new_tags(actor, page, 1);
	for (i = 1; i < n; i++)
		cells[actor][page + i].tag = cells[actor][page].tag;
	call(actor, do_write, actor, page, n, 1);
}

static void protect(int actor, long page, long n, int prot)
{
	must(actor, SYS_mprotect, (long)at(page), n * page_size, prot);
}

/* Cut a piece out of a vma and make it equal to the rest again. */
static void cut(int actor, long page, long n)
{
	protect(actor, page, n, PROT_READ | PROT_WRITE | PROT_EXEC);
}

static void rejoin(int actor, long page, long n)
{
	protect(actor, page, n, PROT_READ | PROT_WRITE);
}

static long try_advise(int actor, long page, long n, int advice)
{
	long ret = sys(actor, SYS_madvise, (long)at(page), n * page_size, advice);

	for (; !ret && n--; page++) {
		struct cell *cell = &cells[actor][page];

		if (advice == MADV_DONTNEED)
			cell->tag = cell->base;
		else if (advice == MADV_FREE)
			cell->flags |= F_MAYBE;
		else if (advice == MADV_DONTFORK)
			cell->flags |= F_DONTFORK;
		else if (advice == MADV_DOFORK)
			cell->flags &= ~F_DONTFORK;
		else if (advice == MADV_WIPEONFORK)
			cell->flags |= F_WIPEONFORK;
		else if (advice == MADV_KEEPONFORK)
			cell->flags &= ~F_WIPEONFORK;
	}
	return ret;
}

static void advise(int actor, long page, long n, int advice)
{
	if (try_advise(actor, page, n, advice))
		fail("actor %d: madvise %d of %ld pages: %m", actor, advice, n);
}

static long try_move(int actor, long from, long n, long to, int flags)
{
	struct cell *cell = cells[actor];
	long i, ret;

	ret = sys(actor, SYS_mremap, (long)at(from), n * page_size, n * page_size,
		  MREMAP_MAYMOVE | MREMAP_FIXED | flags, (long)at(to));
	if (ret < 0)
		return ret;
	memcpy(cell + to, cell + from, n * sizeof(*cell));
	for (i = from; i < from + n; i++) {
		cell[i].tag = flags & MREMAP_DONTUNMAP ? cell[i].base : NONE;
		if (!(flags & MREMAP_DONTUNMAP))
			cell[i].flags = 0;
	}
	return 0;
}

static void move(int actor, long from, long n, long to, int flags)
{
	if (try_move(actor, from, n, to, flags))
		fail("actor %d: mremap of %ld pages: %m", actor, n);
}

/* Grow or shrink in place. */
static void resize(int actor, long page, long from, long to)
{
	must(actor, SYS_mremap, (long)at(page), from * page_size, to * page_size, 0);
	if (to > from)
		set_cells(actor, page + from, to - from, ZERO);
	else
		set_cells(actor, page + to, from - to, NONE);
}

/* ---- what the kernel says of an actor ---- */

#define PM_PRESENT	0x8000000000000000ULL
#define PM_SWAP		0x4000000000000000ULL
#define PM_FILE		0x2000000000000000ULL
#define PM_PFN		((1ULL << 55) - 1)
#define KPF_ANON	0x1000

static uint64_t pagemap(int actor, long page)
{
	uint64_t entry = 0;

	if (pread(actors[actor].pagemap, &entry, sizeof(entry),
		  (ARENA / page_size + page) * sizeof(entry)) != sizeof(entry))
		fail("cannot read what actor %d maps: %m", actor);
	return entry;
}

static uint64_t pfn(int actor, long page)
{
	uint64_t entry = pagemap(actor, page);

	return entry & PM_PRESENT ? entry & PM_PFN : 0;
}

/* How many of the pages have an entry that says any of this. */
static long entries_with(int actor, long page, long n, uint64_t bits)
{
	long found = 0;

	for (; n--; page++)
		found += !!(pagemap(actor, page) & bits);
	return found;
}

/* Present ptes of pages that have contents and may go; where the first is goes to *where. */
static long present(int actor, long *where)
{
	static uint64_t entries[ARENA_PAGES];
	long page, n = 0;

	if (pread(actors[actor].pagemap, entries, sizeof(entries),
		  ARENA / page_size * sizeof(*entries)) != sizeof(entries))
		fail("cannot read what actor %d maps: %m", actor);
	for (page = 0; page < ARENA_PAGES; page++)
		if ((entries[page] & PM_PRESENT) && cells[actor][page].tag > ZERO &&
		    !(cells[actor][page].flags & F_LOCKED) && !n++)
			*where = page;
	return n;
}

/* Lines of /proc/PID/maps that lie in these pages of the arena. */
static int map_lines(int actor, long page, long n)
{
	unsigned long start, end, low = (unsigned long)at(page);
	char path[40], line[256];
	int lines = 0;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", actors[actor].pid);
	maps = fopen(path, "r");
	while (maps && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx", &start, &end) == 2 &&
		    start < low + n * page_size && end > low)
			lines++;
	if (maps)
		fclose(maps);
	return lines;
}

/* ---- the verdict ---- */

static void report_present(void)
{
	long page, n, shown = 0;
	int i;

	for (i = 0; i < ACTORS && shown < 6; i++) {
		if (!actors[i].pid)
			continue;
		n = present(i, &page);
		if (!n)
			continue;
		shown++;
		printf("# actor %d: %ld ptes present, first at page %ld (tag %u)\n",
		       i, n, page, cells[i][page].tag);
	}
}

static long all_present(void)
{
	long page, left = 0;
	int i;

	for (i = 0; i < ACTORS; i++)
		if (actors[i].pid)
			left += present(i, &page);
	return left;
}

/* Try to. Where there are two lists of each kind, 200 is for anonymous pages alone. */
static void try_reclaim(long pages, int swappiness)
{
	char amount[48];

	snprintf(amount, sizeof(amount), "%ld swappiness=%d", pages * page_size, swappiness);
	if (try_write_file(GROUP "/memory.reclaim", amount) && errno != EAGAIN)
		fail("memory.reclaim: %m");
}

/*
 * Push everything out to swap. Nothing of these pages is locked, pinned or in
 * use, so what stays present after many rounds was not found in every vma.
 */
static void reclaim_all_at(int line)
{
	long left = 1;
	int round;

	for (round = 0; round < 40 && left; round++) {
		/* How many are on which of the group's lists is summed up every two seconds. */
		if (round) {
			drain_batches();
			usleep(round < 10 ? round * 1000 : 200000);
		}
		try_reclaim(2 * ARENA_PAGES, round % 2 ? 100 : 200);
		left = all_present();
	}
	if (!left)
		return;
	fail("(from line %d) %ld ptes are still present after reclaim", line, left);
	report_present();
}

static void verify_at(int line)
{
	long bad;
	int i;

	for (i = 0; i < ACTORS; i++) {
		bad = actors[i].pid ? call(i, do_verify, i) : 0;
		if (bad)
			fail("(from line %d) actor %d sees %ld wrong pages", line, i, bad);
	}
}

static void settle_at(int line)
{
	reclaim_all_at(line);
	verify_at(line);
	reclaim_all_at(line);
}

#define reclaim_all()	reclaim_all_at(__LINE__)
#define verify()	verify_at(__LINE__)
#define settle()	settle_at(__LINE__)

/* ---- before and after a test ---- */

static void join_group(void)
{
	write_file(GROUP "/cgroup.procs", "0");
}

static void leave_group(void)
{
	write_file("/sys/fs/cgroup/cgroup.procs", "0");
}

static void make_file(void)
{
	uint64_t word;
	int i;

	file_fd = memfd_create("rmap_test", 0);
	for (i = 0; i < 256; i++) {
		word = pattern(FILE_TAG + i);
		if (pwrite(file_fd, &word, sizeof(word), i * page_size) < 0 ||
		    pwrite(file_fd, &word, sizeof(word),
			   (i + 1) * page_size - sizeof(word)) < 0)
			fail("cannot write the file: %m");
	}
}

static void close_stage(void)
{
	int i;

	if (access(GROUP, F_OK))
		return;
	write_file(GROUP "/cgroup.kill", "1");
	for (i = 0; i < 500 && rmdir(GROUP); i++) {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		usleep(10000);
	}
}

/* The test stays outside the group, so that no page of it is in the way. */
static int new_family(void)
{
	int actor;

	join_group();
	actor = first_actor();
	leave_group();
	return actor;
}

static int open_stage(void)
{
	int i;

	page_size = sysconf(_SC_PAGESIZE);
	cells = mmap(NULL, sizeof(*cells) * ACTORS, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (i = 0; i < ACTORS; i++)
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, actors[i].sock))
			fail("socketpair: %m");
	close_stage();		/* of a test that was cut short */
	if (mkdir(GROUP, 0755))
		fail("cannot make %s: %m", GROUP);
	join_group();
	make_file();
	leave_group();
	return new_family();
}

#endif /* RMAP_ACTOR_H */
