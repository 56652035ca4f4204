// SPDX-License-Identifier: GPL-2.0
/*
 * What it costs to unmap, to migrate and to age mapped folios, large and small.
 *
 * Two figures for each work, both per folio. "whole" is the cpu time of the
 * system call that does the work, nothing probed. "path" is the time spent in
 * the entry points of the reverse map, the same in every kernel: a kprobe and a
 * kretprobe write time stamps to the trace buffer, for each entry point in a run
 * of its own, as one may call another. What
 * the probes themselves add between two stamps is constant here, because every
 * probe is made alike (a breakpoint, never optimised to a jump) and time is a
 * count of instructions; it is measured on a function of no more than five
 * instructions, and subtracted.
 *
 * Every run looks whether the work was done, and what size the folios had.
 */
#include "bench.h"
#include <math.h>
#include <linux/mempolicy.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>

#define MB		(1024 * 1024UL)
#define REGION		(4 * MB)
#define REGION_PAGES	(REGION / PAGE)
#define RUNS		3
#define CALLS		16384

#define GROUP		"/sys/fs/cgroup/bench"
#define THP		"/sys/kernel/mm/transparent_hugepage/hugepages-64kB/enabled"
#define FILES		"/tmp/files"
#define TRACING		"/sys/kernel/tracing/"

#define PM_PRESENT	BIT(63)
#define PM_SWAP		BIT(62)
#define PM_FRAME	(BIT(55) - 1)
#define KPF_HEAD	BIT(15)
#define KPF_TAIL	BIT(16)

/* ---- probes ---- */

enum { UNMAP, FLUSH, FLUSH_DIRTY, MIGRATE, REMAP, REFERENCED, VISIT, NOTHING, PROBES };

static const char *const probed[PROBES] = {
	[UNMAP] = "try_to_unmap",
	[FLUSH] = "try_to_unmap_flush",
	[FLUSH_DIRTY] = "try_to_unmap_flush_dirty",
	[MIGRATE] = "try_to_migrate",
	[REMAP] = "rmap_walk",		/* the whole of remove_migration_ptes() */
	[REFERENCED] = "folio_referenced",
	[VISIT] = "page_idle_clear_pte_refs_one",
	[NOTHING] = "__x64_sys_ni_syscall",
};

/* Calls that returned 0, and all others, of each probed function. */
static struct calls {
	long n;
	double ns, each[CALLS];
} seen[PROBES][2];

/* Only calls for folios of these indices count, if there are any: file or anonymous. */
static struct range {
	unsigned long first, n;
} of_interest;

static double ns_per_tick = 1, probe_ns;
static unsigned long long first_tick, last_tick;

static void make_probes(void)
{
	int fd = open(TRACING "kprobe_events", O_WRONLY | O_APPEND);

	write_file("/proc/sys/debug/kprobes-optimization", "0");
	write_file(TRACING "trace_clock", "x86-tsc");
	write_file(TRACING "buffer_size_kb", "4096");
	for (int i = 0; i < PROBES; i++)
		if (dprintf(fd, "p:bench/in_%d %s index=+32(%%di):x64\n", i, probed[i]) < 0 ||
		    dprintf(fd, "r:bench/out_%d %s value=$retval\n", i, probed[i]) < 0)
			die("cannot probe %s", probed[i]);
	close(fd);
}

static void add_call(struct calls *c, double ns)
{
	if (c->n == CALLS)
		die("more than %d calls", CALLS);
	c->each[c->n++] = ns;
	c->ns += ns;
}

/* The least of those that are longer than this. */
static double least(const struct calls *c, double than)
{
	double found = INFINITY;

	for (long i = 0; i < c->n; i++)
		if (c->each[i] > than && c->each[i] < found)
			found = c->each[i];
	return found;
}

static double longest(const struct calls *c)
{
	double found = 0;

	for (long i = 0; i < c->n; i++)
		found = fmax(found, c->each[i]);
	return found;
}

static long traced(const char *line, const char *name)
{
	const char *p = strstr(line, name);

	if (!p)
		die("no %s in the trace: %s", name, line);
	return strtoul(p + strlen(name), NULL, 16);
}

static int counts(unsigned long index)
{
	return !of_interest.n || index - of_interest.first < of_interest.n;
}

static void read_trace(void)
{
	unsigned long long time, entered[PROBES] = { 0 };
	char line[512], what[8];
	FILE *f = fopen(TRACING "trace", "r");
	long value;
	int i;

	if (!f)
		die("read the trace");
	memset(seen, 0, sizeof(seen));
	first_tick = 0;
	while (fgets(line, sizeof(line), f)) {
		char *p = strchr(line, ']');

		if (*line == '#')
			continue;
		if (!p || sscanf(p, "] %*s %llu: %7[a-z]_%d:", &time, what, &i) != 3 ||
		    i < 0 || i >= PROBES)
			die("not understood in the trace: %s", line);
		if (!strcmp(what, "in")) {
			entered[i] = counts(traced(line, "index=")) ? time : 0;
			last_tick = time;
			if (!first_tick)
				first_tick = time;
			continue;
		}
		value = traced(line, "value=");
		if (!entered[i] || (i == REMAP && strstr(line, "(try_to_")))
			continue;
		/* Only of folio_referenced() does the value mean something. */
		add_call(&seen[i][i == REFERENCED && value],
			 (time - entered[i]) * ns_per_tick - probe_ns);
		entered[i] = 0;
	}
	fclose(f);
}

static void enable_probes(unsigned int probes, const char *value)
{
	char path[128];

	for (int i = 0; i < PROBES; i++) {
		if (!(probes & BIT(i)))
			continue;
		snprintf(path, sizeof(path), TRACING "events/bench/in_%d/enable", i);
		write_file(path, value);
		snprintf(path, sizeof(path), TRACING "events/bench/out_%d/enable", i);
		write_file(path, value);
	}
}

static void start_probes(unsigned int probes)
{
	int fd = open(TRACING "trace", O_WRONLY | O_TRUNC);

	if (fd < 0)
		die("clear the trace");
	close(fd);
	enable_probes(probes, "1");
}

static void stop_probes(unsigned int probes)
{
	char stats[1024] = "";
	int fd;

	enable_probes(probes, "0");
	fd = open(TRACING "per_cpu/cpu0/stats", O_RDONLY);
	if (fd < 0 || read(fd, stats, sizeof(stats) - 1) < 0 || !strstr(stats, "overrun: 0\n"))
		die("the trace buffer is too small");
	close(fd);
	read_trace();
}

static long calls_of(int probe)
{
	return seen[probe][0].n + seen[probe][1].n;
}

static double ns_of(int probe)
{
	return seen[probe][0].ns + seen[probe][1].ns;
}

static void calibrate(void)
{
	uint64_t first, last;

	start_probes(BIT(NOTHING));
	first = now();
	for (int i = 0; i < 100; i++)
		syscall(SYS_create_module);
	while (now() - first < 100000000)
		;
	last = now();
	syscall(SYS_create_module);
	stop_probes(BIT(NOTHING));
	if (calls_of(NOTHING) != 101)
		die("%s was called %ld times, not 101", probed[NOTHING], calls_of(NOTHING));
	ns_per_tick = (double)(last - first) / (last_tick - first_tick);
	probe_ns = least(&seen[NOTHING][0], 0) * ns_per_tick;
	put(probe_ns, "probe");
	note("%.3f ns a tick of the tsc, %.0f ns a probe", ns_per_tick, probe_ns);
}

/* ---- memory ---- */

static int files_fd, order;
static uint64_t entries[REGION_PAGES];

static uint64_t cpu_time(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000000000UL + ts.tv_nsec;
}

static void read_entries(void)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);

	if (fd < 0 || pread(fd, entries, sizeof(entries), (uintptr_t)ARENA / PAGE * 8) !=
	    sizeof(entries))
		die("read pagemap");
	close(fd);
}

/* Every page of the region is mapped, and by folios of this order. */
static void check_order(void)
{
	int fd = open("/proc/kpageflags", O_RDONLY);
	unsigned long mask = (1UL << order) - 1;

	read_entries();
	for (unsigned long i = 0; i < REGION_PAGES; i++) {
		uint64_t frame = entries[i] & PM_FRAME, flags, want = 0;

		if (!(entries[i] & PM_PRESENT))
			die("page %lu is not mapped", i);
		if (fd < 0 || pread(fd, &flags, 8, frame * 8) != 8)
			die("read kpageflags");
		if (order)
			want = i & mask ? KPF_TAIL : KPF_HEAD;
		if ((flags & (KPF_HEAD | KPF_TAIL)) != want ||
		    ((i & mask) && frame != (entries[i - 1] & PM_FRAME) + 1))
			die("page %lu is not of a folio of order %d: flags %#lx", i,
			    order, (long)flags);
	}
	close(fd);
}

static void touch(void)
{
	for (unsigned long i = 0; i < REGION_PAGES; i++)
		read_byte(ARENA + i * PAGE);
}

/*
 * Folios of the page cache become as large as the readahead of an open file, which
 * grows: 2 pages from page 2 on, then 4, 8, and 16 at page 16, where it is aligned.
 */
static void read_file(void)
{
	static char buffer[PAGE];
	ssize_t n;

	write_file("/sys/block/vda/queue/read_ahead_kb", order ? "64" : "4");
	if (files_fd)
		close(files_fd);
	files_fd = open(FILES "/pattern", O_RDONLY);
	if (files_fd < 0)
		die("open %s/pattern", FILES);
	posix_fadvise(files_fd, 0, 0, POSIX_FADV_DONTNEED);
	lseek(files_fd, PAGE, SEEK_SET);
	while ((n = read(files_fd, buffer, PAGE)) > 0)
		;
	if (n < 0)
		die("read the file");
	posix_fadvise(files_fd, 0, MB, POSIX_FADV_DONTNEED);
	posix_fadvise(files_fd, MB + REGION, 0, POSIX_FADV_DONTNEED);
}

static void make_region(int file)
{
	if (file) {
		read_file();
		if (mmap(ARENA, REGION, PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE,
			 files_fd, MB) != ARENA)
			die("mmap the file");
		touch();
	} else {
		write_file(THP, order ? "always" : "never");
		map_at(ARENA, REGION, MAP_ANONYMOUS, -1);
		for (unsigned long i = 0; i < REGION; i += sizeof(long))
			*(long *)(ARENA + i) = ~i;
	}
	check_order();
}

static void advise(int advice)
{
	if (madvise(ARENA, REGION, advice))
		die("madvise %d", advice);
}

/* ---- works ---- */

static void nothing(void)
{
}

static void page_out(void)
{
	advise(MADV_PAGEOUT);
}

static void make_free(void)
{
	advise(MADV_FREE);
}

static void make_cold(void)
{
	advise(MADV_COLD);
}

static void make_warm(void)
{
	advise(MADV_COLD);
	touch();
}

/* The kernel says "try again" when it has reclaimed less than was asked for. */
static void reclaim_group(void)
{
	static const char amount[] = "4M swappiness=100";
	int fd = open(GROUP "/memory.reclaim", O_WRONLY);

	if (fd < 0 || (write(fd, amount, sizeof(amount) - 1) < 0 && errno != EAGAIN))
		die("write memory.reclaim");
	close(fd);
}

static void move_to_node_1(void)
{
	unsigned long nodes = 2;

	if (syscall(SYS_mbind, ARENA, REGION, MPOL_BIND, &nodes, 8,
		    MPOL_MF_MOVE | MPOL_MF_STRICT))
		die("mbind");
}

static int is_gone(unsigned long i)
{
	return !(entries[i] & (PM_PRESENT | PM_SWAP));
}

static int is_swapped(unsigned long i)
{
	return !!(entries[i] & PM_SWAP);
}

static int is_moved(unsigned long i)
{
	void *page = ARENA + i * PAGE;
	int node = -1;

	return !syscall(SYS_move_pages, 0, 1, &page, NULL, &node, 0) && node == 1;
}

/* Not mapped, and not in the page cache either. */
static int is_dropped(unsigned long i)
{
	unsigned char cached = 1;

	return is_gone(i) && !mincore(ARENA + i * PAGE, PAGE, &cached) && !(cached & 1);
}

static int is_any(unsigned long i)
{
	(void)i;
	return 1;
}

struct work {
	const char *key;
	int file;
	void (*prepare)(void);
	void (*act)(void);
	int (*done)(unsigned long page);
	const char *lru_gen;
	unsigned int path;	/* bits of probes that make the path */
	unsigned int each;	/* those that must be called for each folio */
};

#define UNMAPPING	(BIT(UNMAP) | BIT(FLUSH) | BIT(FLUSH_DIRTY))
#define MIGRATION	(BIT(MIGRATE) | BIT(FLUSH) | BIT(REMAP))
#define MOVES		(BIT(MIGRATE) | BIT(REMAP))

static const struct work works[] = {
	{ "file_pageout", 1, nothing, page_out, is_dropped, "y", UNMAPPING, BIT(UNMAP) },
	{ "file_reclaim", 1, make_cold, reclaim_group, is_dropped, "n", UNMAPPING, BIT(UNMAP) },
	{ "file_lru_gen", 1, make_cold, reclaim_group, is_dropped, "y", UNMAPPING, BIT(UNMAP) },
	{ "free", 0, make_free, page_out, is_gone, "y", UNMAPPING, BIT(UNMAP) },
	{ "swap", 0, nothing, page_out, is_swapped, "y", UNMAPPING, BIT(UNMAP) },
	{ "move_anon", 0, nothing, move_to_node_1, is_moved, "y", MIGRATION, MOVES },
	{ "move_file", 1, nothing, move_to_node_1, is_moved, "y", MIGRATION, MOVES },
	{ "warm_anon", 0, make_warm, reclaim_group, is_any, "n", BIT(REFERENCED), BIT(REFERENCED) },
	{ "warm_file", 1, make_warm, reclaim_group, is_any, "n", BIT(REFERENCED), BIT(REFERENCED) },
};

/* Nanoseconds of cpu that one run takes, with these probes. */
static uint64_t run(const struct work *w, unsigned int probes)
{
	uint64_t time;

	make_region(w->file);
	w->prepare();
	start_probes(probes);
	time = cpu_time();
	w->act();
	time = cpu_time() - time;
	stop_probes(probes);
	read_entries();
	for (unsigned long i = 0; i < REGION_PAGES; i++)
		if (!w->done(i))
			die("%s, order %d: not done to page %lu, which is %#lx", w->key,
			    order, i, (long)entries[i]);
	munmap(ARENA, REGION);
	return time;
}

static void put_mean(const struct work *w, const char *what, const struct calls *c)
{
	if (c->n)
		put(c->ns / c->n, "%s_%d_%s", w->key, order, what);
}

static void measure(const struct work *w)
{
	long folios = REGION_PAGES >> order;
	uint64_t whole = UINT64_MAX;
	double path = 0;

	write_file("/sys/kernel/mm/lru_gen/enabled", w->lru_gen);
	for (int i = 0; i < RUNS; i++) {
		uint64_t time = run(w, 0);

		if (time < whole)
			whole = time;
	}
	for (int i = 0; i < PROBES; i++) {
		if (!(w->path & BIT(i)))
			continue;
		run(w, BIT(i));
		if ((w->each & BIT(i)) && calls_of(i) < folios)
			die("%s: %ld calls of %s for %ld folios", w->key,
			    calls_of(i), probed[i], folios);
		path += ns_of(i);
	}
	put((double)whole / folios, "%s_%d_whole", w->key, order);
	put(path / folios, "%s_%d_path", w->key, order);
	run(w, BIT(REFERENCED));
	put_mean(w, "old", &seen[REFERENCED][0]);
	put_mean(w, "young", &seen[REFERENCED][1]);
	note("%s, order %d: %.0f ns a folio, path %.0f", w->key, order,
	     (double)whole / folios, path / folios);
}

/* ---- folios that many map ---- */

/*
 * So many processes have so many vmas of one page each, all of the same few pages.
 */
struct many {
	const char *key;
	int processes, vmas, pages;
	unsigned long index;	/* of the first page */
};

/* Where in the file; no program has so many pages. */
#define MANY_AT		(7 * MB)

static const struct many *many;

static void map_many(int i, int n)
{
	(void)i;
	(void)n;
	for (int j = 0; j < many->vmas; j++) {
		char *at = ARENA + 2 * j * PAGE;

		if (mmap(at, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE, files_fd,
			 MANY_AT + j % many->pages * PAGE) != at)
			die("mmap one page");
		read_byte(at);
	}
}

static void inherit(int i, int n)
{
	(void)i;
	(void)n;
}

static int is_mapped(pid_t pid, const char *at)
{
	uint64_t entry = 0;
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	fd = open(path, O_RDONLY);
	if (fd < 0 || pread(fd, &entry, 8, (uintptr_t)at / PAGE * 8) != 8)
		die("read pagemap");
	close(fd);
	return entry >> 63;
}

static int any_mapped(pid_t pid, int stride)
{
	int n = 0;

	for (int i = 0; i < many->pages; i++)
		n += is_mapped(pid, ARENA + i * stride * PAGE);
	return n;
}

static void count_visits(uint64_t frame, int mappers)
{
	int fd = open_bitmap();

	drain();
	start_probes(BIT(VISIT));
	walk(fd, frame);
	stop_probes(BIT(VISIT));
	if (calls_of(VISIT) < mappers)
		die("%s: %ld visits for %d mappers", many->key, calls_of(VISIT), mappers);
	put(calls_of(VISIT), "%s_visits", many->key);
	close(fd);
}

/* A call that finds all mappers; one may find the lock taken, or nothing mapped. */
static void put_many(const char *what, int probe, int value)
{
	const struct calls *c = &seen[probe][value];

	if (c->n)
		put(least(c, longest(c) / 2), "%s_%s", many->key, what);
}

static void unmap_many(pid_t pid, int stride)
{
	int mappers = many->processes * many->vmas / many->pages;

	count_visits(page_frame(pid, ARENA), mappers);
	of_interest = (struct range){ many->index, many->pages };
	start_probes(BIT(UNMAP) | BIT(REFERENCED));
	for (int i = 0; any_mapped(pid, stride); i++) {
		if (i == 100)
			die("%s: %d pages are still mapped", many->key, any_mapped(pid, stride));
		reclaim_group();
	}
	stop_probes(BIT(UNMAP) | BIT(REFERENCED));
	of_interest.n = 0;
	if (calls_of(UNMAP) < many->pages)
		die("%s: %ld of %d pages were unmapped", many->key, calls_of(UNMAP), many->pages);
	put_many("unmap", UNMAP, 0);
	put_many("old", REFERENCED, 0);
	put_many("young", REFERENCED, 1);
	note("%s, %d mappers: done", many->key, mappers);
}

static void measure_file(const struct many *m)
{
	struct crowd crowd;

	many = m;
	read_file();
	crowd_start(&crowd, many->processes, map_many);
	unmap_many(crowd.pids[0], 2);
	crowd_end(&crowd);
}

static void measure_anon(const struct many *m)
{
	struct crowd crowd;

	many = m;
	write_file(THP, "never");
	map_at(ARENA, many->pages * PAGE, MAP_ANONYMOUS, -1);
	for (int i = 0; i < many->pages; i++)
		ARENA[i * PAGE] = 1;
	crowd_start(&crowd, many->processes, inherit);
	unmap_many(crowd.pids[0], 1);
	crowd_end(&crowd);
	munmap(ARENA, many->pages * PAGE);
}

static void measure_many(void)
{
	const unsigned long of_file = MANY_AT / PAGE, of_anon = (uintptr_t)ARENA / PAGE;
	const struct many vmas = { "file_1000", 1, 4000, 4, of_file };
	const struct many children = { "anon_1000", 999, 4, 4, of_anon };
	const struct many r17 = { "file_100x100", 100, 100, 100, of_file };
	const struct many few = { "file_100x1", 100, 4, 4, of_file };

	write_file("/sys/kernel/mm/lru_gen/enabled", "n");
	order = 0;
	measure_file(&vmas);
	measure_file(&r17);
	measure_file(&few);
	measure_anon(&children);
}

/* ---- the guest ---- */

/* A RAM disk allocates on the first write: not while we measure. */
static void add_swap(void)
{
	if (system("dd if=/dev/zero of=/dev/ram0 bs=1M count=64 2> /dev/null") ||
	    system("mkswap /dev/ram0 > /dev/null") || swapon("/dev/ram0", 0))
		die("swap on a RAM disk");
}

static void mount_files(void)
{
	mkdir(FILES, 0755);
	if (mount("/dev/vda", FILES, "erofs", MS_RDONLY, NULL))
		die("mount /dev/vda");
}

int main(void)
{
	unsigned long node_0 = 1;

	bench_start();
	if (syscall(SYS_set_mempolicy, MPOL_BIND, &node_0, 8))
		die("set_mempolicy");
	write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	if (mkdir(GROUP, 0755))
		die("mkdir " GROUP);
	add_swap();
	mount_files();
	make_probes();
	calibrate();
	/* To be charged to the group: hardly more than the region. */
	write_file(GROUP "/cgroup.procs", "0");
	for (order = 0; order <= 4; order += 4)
		for (size_t i = 0; i < sizeof(works) / sizeof(*works); i++)
			measure(&works[i]);
	measure_many();
	print_results("bench_unmap");
	return 0;
}
