// SPDX-License-Identifier: GPL-2.0
/*
 * What happens to all processes from outside: reclaim, swapoff, compaction, migration,
 * merging, huge pages on and off, pages taken offline, and walks of the reverse map.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "rmap_fuzz.h"

#define PIDS		256
#define PAGES		64
#define NAP_US		60000
#define LRU_GEN		"/sys/kernel/debug/lru_gen"
#define IDLE		"/sys/kernel/mm/page_idle/bitmap"

#ifndef MPOL_MF_MOVE_ALL
#define MPOL_MF_MOVE_ALL	4
#endif

static struct rng rng;

static bool chance(u32 n)
{
	return one_in(&rng, n);
}

static const char *some_word(const char * const *words, u32 n)
{
	return words[below(&rng, n)];
}

static pid_t some_process(void)
{
	static pid_t pids[PIDS];
	u32 n = cgroup_pids(pids, PIDS);

	return n ? pids[below(&rng, n)] : 0;
}

/* A physical page of some process, 0 if there is none. */
static u64 some_frame(void)
{
	u64 entries[PAGES] = {};
	u32 first = below(&rng, ctl->arena_pages - PAGES), n = below(&rng, PAGES);
	char path[40];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", some_process());
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return 0;
	if (pread(fd, entries, sizeof(entries),
		  ((u64)at(first)) / page_size * sizeof(u64)) != sizeof(entries))
		memset(entries, 0, sizeof(entries));
	close(fd);
	for (u32 i = 0; i < PAGES; i++, n = (n + 1) % PAGES)
		if (entries[n] >> 63)
			return entries[n] << 9 >> 9;
	return 0;
}

/* ---- reclaim and swap ---- */

static bool ask_for_memory(void)
{
	return write_number(CGROUP "/memory.reclaim", (u64)(1 + below(&rng, 8)) << 20);
}

static bool forget_files(void)
{
	return write_number("/proc/sys/vm/drop_caches", 1 + below(&rng, 3));
}

/* Swap areas as of the start of the run. Only one may be off at a time. */
#define SWAPS	4

static char swaps[SWAPS][64];
static u32 swaps_count;
static int off = -1;

static void find_swaps(void)
{
	char text[2048], *line = text;

	read_text("/proc/swaps", text, sizeof(text));
	while ((line = strchr(line, '\n')) && *++line && swaps_count < SWAPS)
		if (sscanf(line, "%63s", swaps[swaps_count]) == 1)
			swaps_count++;
}

/* What is in swap must fit beside all else when the largest area goes. */
static bool is_little_swapped(void)
{
	struct sysinfo info;

	return !sysinfo(&info) && (info.totalswap - info.freeswap) < info.totalram / 4;
}

static bool swap_off_or_on(void)
{
	int n = below(&rng, swaps_count ? swaps_count : 1);
	bool ok;

	if (off >= 0) {
		ok = !swapon(swaps[off], chance(2) ? 0 : SWAP_FLAG_PREFER | below(&rng, 8));
		if (ok)
			off = -1;
		return ok;
	}
	if (!swaps_count || (!strstr(swaps[n], "zram") && !is_little_swapped()))
		return false;
	if (swapoff(swaps[n]))
		return false;
	off = n;
	return true;
}

static bool age_generations(void)
{
	unsigned int memcg = 0, node = 0, max = 0;
	char text[4096], *line = text, command[64];

	if (read_text(LRU_GEN, text, sizeof(text)) <= 0)
		return false;
	while (line && *line) {
		unsigned int n, seq;

		if (sscanf(line, "memcg %u", &n) == 1)
			memcg = n;
		else if (sscanf(line, " node %u", &n) == 1)
			node = n;
		else if (sscanf(line, " %u", &seq) == 1)
			max = seq;
		line = strchr(line, '\n');
		line += !!line;
		if (max && chance(6))
			break;
	}
	snprintf(command, sizeof(command), "+ %u %u %u 1 %u", memcg, node, max, below(&rng, 2));
	return write_text(LRU_GEN, command);
}

static bool switch_generations(void)
{
	static const char * const modes[] = { "y", "y", "n", "5" };

	return write_text("/sys/kernel/mm/lru_gen/enabled", some_word(modes, 4));
}

/* ---- where pages lie ---- */

static bool compact(void)
{
	return write_text("/proc/sys/vm/compact_memory", "1");
}

static bool migrate_process(void)
{
	unsigned long from = 1 + below(&rng, 2), to = 3 - from;
	pid_t pid = some_process();

	return pid && syscall(SYS_migrate_pages, pid, 8L, &from, &to) >= 0;
}

static bool move_some_pages(void)
{
	int nodes[PAGES], status[PAGES];
	void *pages[PAGES];
	u32 first = below(&rng, ctl->arena_pages - PAGES);
	pid_t pid = some_process();

	for (u32 i = 0; i < PAGES; i++) {
		pages[i] = at(first + i);
		nodes[i] = below(&rng, 2);
	}
	return pid && syscall(SYS_move_pages, pid, (long)PAGES, pages, nodes, status,
			      MPOL_MF_MOVE_ALL) >= 0;
}

static bool take_offline(void)
{
	u64 frame = some_frame();

	if (!frame || get(&ctl->offlined) >= ctl->opt.offline)
		return false;
	add(&ctl->offlined, 1);
	return write_number("/sys/devices/system/memory/soft_offline_page", frame * page_size);
}

/* ---- merging and huge pages ---- */

static bool merge(void)
{
	if (chance(6))
		return write_text(KSM "run", chance(2) ? "2" : "0");
	if (chance(4))
		write_number(KSM "use_zero_pages", below(&rng, 2));
	write_number(KSM "pages_to_scan", 100 + below(&rng, 2000));
	write_number(KSM "sleep_millisecs", below(&rng, 40));
	return write_text(KSM "run", "1");
}

/* Of all sizes, or of one. */
static bool switch_huge(void)
{
	static const char * const modes[] = { "always", "always", "madvise", "never" };
	static const char * const sizes[] = { "always", "inherit", "madvise", "never" };
	static const char * const shmem[] = { "always", "advise", "within_size", "never" };
	char path[128];

	write_number(THP "khugepaged/scan_sleep_millisecs", 10 + below(&rng, 200));
	write_number(THP "khugepaged/pages_to_scan", 512 + below(&rng, 4096));
	switch (below(&rng, 4)) {
	case 0:
		return write_text(THP "shmem_enabled", some_word(shmem, 4));
	case 1:
		return write_text(THP "enabled", some_word(modes, 4));
	default:
		snprintf(path, sizeof(path), THP "hugepages-%ukB/%s", 16 << below(&rng, 8),
			 chance(3) ? "shmem_enabled" : "enabled");
		return write_text(path, some_word(sizes, 4));
	}
}

static bool split_huge(void)
{
	char text[96];

	if (chance(2))
		return write_text("/sys/kernel/debug/split_huge_pages", "1");
	snprintf(text, sizeof(text), "%d,0x%lx,0x%lx,%u", some_process(), ARENA,
		 (unsigned long)at(ctl->arena_pages), chance(2) ? 0 : below(&rng, 9));
	return write_text("/sys/kernel/debug/split_huge_pages", text);
}

/* ---- walks ---- */

/* To set a bit asks who has referenced the page, to read it asks again. */
static bool walk_idle(void)
{
	u64 frame = some_frame() / 64, bits[8];
	int fd = open(IDLE, O_RDWR);
	bool ok;

	if (fd < 0)
		return false;
	memset(bits, 0xff, sizeof(bits));
	ok = pwrite(fd, bits, sizeof(bits), frame * 8) > 0 &&
	     pread(fd, bits, sizeof(bits), frame * 8) > 0;
	close(fd);
	return ok;
}

static bool clear_bits(void)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/clear_refs", some_process());
	return write_number(path, 1 + below(&rng, 4));
}

static bool look_at_process(void)
{
	static const char * const files[] = { "smaps", "numa_maps", "smaps_rollup", "maps" };
	static char text[65536];
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/%s", some_process(), some_word(files, 4));
	return read_text(path, text, sizeof(text)) >= 0;
}

static bool write_back(void)
{
	sync();
	return true;
}

static const struct {
	const char *name;
	bool (*run)(void);
	u32 weight;
} kinds[] = {
	{ "memory.reclaim",	ask_for_memory,		30 },
	{ "drop_caches",	forget_files,		3 },
	{ "swapoff, swapon",	swap_off_or_on,		4 },
	{ "lru_gen aging",	age_generations,	4 },
	{ "lru_gen switch",	switch_generations,	1 },
	{ "compaction",		compact,		3 },
	{ "migrate_pages",	migrate_process,	6 },
	{ "move_pages",		move_some_pages,	6 },
	{ "soft offline",	take_offline,		2 },
	{ "KSM",		merge,			6 },
	{ "huge pages",		switch_huge,		6 },
	{ "split huge pages",	split_huge,		3 },
	{ "page_idle",		walk_idle,		6 },
	{ "clear_refs",		clear_bits,		4 },
	{ "smaps",		look_at_process,	4 },
	{ "sync",		write_back,		1 },
};

const char *weather_name(u32 n)
{
	return n < ARRAY_SIZE(kinds) ? kinds[n].name : NULL;
}

static u32 choose(void)
{
	u32 total = 0, n, i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		total += kinds[i].weight;
	n = below(&rng, total);
	for (i = 0; n >= kinds[i].weight; i++)
		n -= kinds[i].weight;
	return i;
}

/* Fair weather again, with nothing left that holds memory. */
static void restore(void)
{
	if (off >= 0)
		swapon(swaps[off], 0);
	write_text("/sys/kernel/mm/lru_gen/enabled", "y");
	write_text(THP "enabled", "madvise");
	write_text(THP "shmem_enabled", "never");
	write_text(KSM "run", "2");
}

void __noreturn weather_main(void)
{
	rng.state = mix(ctl->opt.seed ^ 0x3ea7);
	find_swaps();
	setpriority(PRIO_PROCESS, 0, -19);
	while (get(&ctl->phase) == PHASE_RUN) {
		u32 i = choose();

		add(kinds[i].run() ? &ctl->weather_done[i] : &ctl->weather_failed[i], 1);
		usleep(below(&rng, NAP_US));
	}
	restore();
	_exit(EXIT_UNCOUNTED);
}
