/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the reverse-map benches share: exact time, slab counters, results.
 *
 * Both are made for a guest with one cpu that runs under an instruction
 * counter, where CLOCK_MONOTONIC is a count of instructions.
 */
#ifndef RMAP_BENCH_H
#define RMAP_BENCH_H

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define __printf(fmt, args)	__attribute__((format(printf, fmt, args)))
#define __noreturn		__attribute__((noreturn))

#define PAGE	4096UL
#define BIT(n)	(1UL << (n))

/* Where the benches map: fixed, so that page tables fall the same each time. */
#define ARENA	((char *)0x10000000000UL)

/* Results, one line each, shared so that any process may add to them. */
static struct {
	size_t len;
	char text[1 << 16];
} *results;

__printf(1, 2)
static inline void __noreturn die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("# bench: ", stdout);
	vprintf(fmt, ap);
	printf(": %s\n", strerror(errno));
	fflush(stdout);
	kill(0, SIGKILL);
	_exit(1);
}

__printf(1, 2)
static inline void note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("# bench: ", stdout);
	vprintf(fmt, ap);
	putchar('\n');
	fflush(stdout);
	va_end(ap);
}

__printf(2, 3)
static inline void put(double value, const char *fmt, ...)
{
	char *p = results->text;
	size_t size = sizeof(results->text);
	va_list ap;

	if (results->len)
		results->len += snprintf(p + results->len, size - results->len, ",\n");
	results->len += snprintf(p + results->len, size - results->len, "\"");
	va_start(ap, fmt);
	results->len += vsnprintf(p + results->len, size - results->len, fmt, ap);
	va_end(ap);
	results->len += snprintf(p + results->len, size - results->len,
				 "\": %.10g", value);
	if (results->len + 1 >= size)
		die("too many results");
}

static inline void print_results(const char *name)
{
	printf("JSON-BEGIN %s\n{%s}\nJSON-END\n", name, results->text);
	fflush(stdout);
}

static inline uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000UL + ts.tv_nsec;
}

/* Let what an exit has deferred be done; idle time costs no instruction. */
static inline void settle(void)
{
	struct timespec ts = { .tv_nsec = 30000000 };

	nanosleep(&ts, NULL);
}

static inline void read_byte(const char *at)
{
	asm volatile("" : : "r" (*at));
}

static inline int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static inline void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		die("write %s", path);
	close(fd);
}

static inline long read_number(const char *path)
{
	char text[64];
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n < 0)
		die("read %s", path);
	close(fd);
	text[n] = 0;
	return strtol(text, NULL, 10);
}

static inline void *map_at(char *at, size_t size, int flags, int fd)
{
	char *p = mmap(at, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_FIXED_NOREPLACE | flags, fd, 0);

	if (p != at)
		die("mmap %p", at);
	return p;
}

static inline pid_t fork_or_die(void)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	return pid;
}

static inline void reap(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		errno = 0;
		die("child failed with status %#x", status);
	}
}

/*
 * A caller that is never preempted by its children, which are born with the
 * default policy: the time of a fork is then that of the fork alone.
 */
static inline void run_before_children(void)
{
	struct sched_param param = { .sched_priority = 1 };

	if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param))
		die("sched_setscheduler");
}

/*
 * Sum a counter over the caches that match, "anon_vma*" for all that the
 * reverse map has. Shrinking first gives back the cpu's own slab, which SLUB
 * counts as full: after it the counters are exact.
 */
static inline long slab_sum(const char *caches, const char *counter)
{
	char path[128];
	glob_t found;
	long sum = 0;

	snprintf(path, sizeof(path), "/sys/kernel/slab/%s", caches);
	if (glob(path, 0, NULL, &found))
		die("no slab cache %s", path);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		snprintf(path, sizeof(path), "%s/shrink", found.gl_pathv[i]);
		write_file(path, "1");
		snprintf(path, sizeof(path), "%s/%s", found.gl_pathv[i], counter);
		sum += read_number(path);
	}
	globfree(&found);
	return sum;
}

/* Memory of the caches that match, in bytes of whole pages. */
static inline long slab_bytes(const char *caches)
{
	char path[128];
	glob_t found;
	long sum = 0;

	snprintf(path, sizeof(path), "/sys/kernel/slab/%s", caches);
	if (glob(path, 0, NULL, &found))
		die("no slab cache %s", path);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		const char *name = strrchr(found.gl_pathv[i], '/') + 1;

		snprintf(path, sizeof(path), "%s/order", found.gl_pathv[i]);
		sum += slab_sum(name, "slabs") * (PAGE << read_number(path));
	}
	globfree(&found);
	return sum;
}

/* Only a page on an LRU list is walked; any unmapping puts the newest there. */
static inline void drain(void)
{
	munmap(map_at(ARENA - PAGE, PAGE, MAP_ANONYMOUS, -1), PAGE);
}

static inline uint64_t page_frame(pid_t pid, const char *at)
{
	uint64_t entry = 0;
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	fd = open(path, O_RDONLY);
	if (fd < 0 || pread(fd, &entry, 8, (uintptr_t)at / PAGE * 8) != 8 ||
	    !(entry >> 63))
		die("no page at %p of process %d", at, pid);
	close(fd);
	return entry & ((1UL << 55) - 1);
}

/* The last word of the bitmap may be partial, and is then written as 0 bytes. */
static inline void walk(int fd, uint64_t frame)
{
	uint64_t bit = 1UL << frame % 64;

	if (pwrite(fd, &bit, 8, frame / 64 * 8) < 0)
		die("write page_idle/bitmap");
}

static inline int open_bitmap(void)
{
	int fd = open("/sys/kernel/mm/page_idle/bitmap", O_RDWR);

	if (fd < 0)
		die("open page_idle/bitmap");
	return fd;
}

#define TRACING	"/sys/kernel/tracing/"
#define PROBED	"page_idle_clear_pte_refs_one"

/* Hits of the probe; the first and only line of the profile is ours. */
static inline long probe_hits(void)
{
	char name[64];
	long hits = -1;
	FILE *f = fopen(TRACING "kprobe_profile", "r");

	if (!f || fscanf(f, "%63s %ld", name, &hits) != 2)
		die("read " TRACING "kprobe_profile");
	fclose(f);
	return hits;
}

/* Vmas that the walks of these pages visit, each page walked once. */
static inline long visits_of(int fd, const uint64_t *frames, int n, long *most)
{
	long total = 0, before, visits;

	write_file(TRACING "kprobe_events", "p:bench/visit " PROBED "\n");
	write_file(TRACING "events/bench/visit/enable", "1");
	for (int i = 0; i < n; i++) {
		before = probe_hits();
		walk(fd, frames[i]);
		visits = probe_hits() - before;
		total += visits;
		if (most && visits > *most)
			*most = visits;
	}
	write_file(TRACING "events/bench/visit/enable", "0");
	write_file(TRACING "kprobe_events", "-:bench/visit\n");
	return total;
}

/* The bit stays only on a page that the kernel was willing to walk. */
static inline void must_be_walked(int fd, uint64_t frame)
{
	uint64_t bits;
	ssize_t got;

	walk(fd, frame);
	walk(fd, frame);
	got = pread(fd, &bits, 8, frame / 64 * 8);
	if (got < 0 || (got == 8 && !(bits >> frame % 64 & 1)))
		die("page frame %#lx is not walked", (long)frame);
}

/*
 * The children of a case, one after the other: each does its part, says that
 * it is ready, and lives until the pipe that it then waits on is closed.
 */
struct crowd {
	pid_t *pids;
	int n, ready[2], hold[2];
};

static inline void crowd_start(struct crowd *c, int n, void (*part)(int i, int n))
{
	char byte = 0;

	c->n = n;
	c->pids = map_at(ARENA - (1UL << 30), n * sizeof(pid_t), MAP_ANONYMOUS, -1);
	if (pipe(c->ready) || pipe(c->hold))
		die("pipe");
	for (int i = 0; i < n; i++) {
		pid_t pid = fork_or_die();

		if (!pid) {
			close(c->hold[1]);
			part(i, n);
			if (write(c->ready[1], &byte, 1) != 1 ||
			    read(c->hold[0], &byte, 1) != 0)
				_exit(1);
			_exit(0);
		}
		c->pids[i] = pid;
		if (read(c->ready[0], &byte, 1) != 1)
			die("child %d is not ready", i);
	}
}

static inline void crowd_end(struct crowd *c)
{
	close(c->hold[1]);
	for (int i = 0; i < c->n; i++)
		reap(c->pids[i]);
	close(c->hold[0]);
	close(c->ready[0]);
	close(c->ready[1]);
	munmap(c->pids, c->n * sizeof(pid_t));
	settle();
}

static inline void bench_start(void)
{
	results = mmap(NULL, sizeof(*results), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (results == MAP_FAILED)
		die("mmap");
	setpgid(0, 0);
	/* A measured process may run for long without a pause. */
	write_file("/proc/sys/kernel/sched_rt_runtime_us", "-1");
}

#endif
