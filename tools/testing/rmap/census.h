/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is mapped, counted page table entry by page table entry, against what
 * the kernel says in /proc, /proc/vmstat and memory.stat.
 */
#ifndef RMAP_CENSUS_H
#define RMAP_CENSUS_H

#include <dirent.h>
#include "actor.h"

#define FRAMES_MAX	0x100000
#define FRAME_ANON	0x8000000000000000ULL

struct entries {
	long anon, file, swap;
};

static struct census {
	uint64_t *frames;	/* of every present entry; anonymous ones have FRAME_ANON */
	long nr;
	int flags_fd, group_fd;
} census;

static uint64_t word_at(int fd, uint64_t index)
{
	uint64_t word = 0;

	pread(fd, &word, sizeof(word), index * sizeof(word));
	return word;
}

static void count_entry(uint64_t entry, struct entries *count)
{
	uint64_t frame = entry & PM_PFN;

	if (entry & PM_SWAP)
		count->swap++;
	if (!(entry & PM_PRESENT))
		return;
	if (word_at(census.flags_fd, frame) & KPF_ANON) {
		count->anon++;
		frame |= FRAME_ANON;
	} else if (entry & PM_FILE) {
		count->file++;
	} else {
		return;		/* the page of zeroes, or one without an owner */
	}
	if (census.nr < FRAMES_MAX)
		census.frames[census.nr++] = frame;
}

/* All entries of a process, save those of its clock, which nobody counts. */
static struct entries count_entries(pid_t pid)
{
	struct entries count = { };
	unsigned long start, end;
	char path[40], line[256];
	uint64_t buffer[512];
	FILE *maps;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	fd = open(path, O_RDONLY);
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "r");
	while (maps && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx", &start, &end) != 2 || strstr(line, "[vvar"))
			continue;
		while (start < end) {
			long n = (end - start) / page_size, i;

			n = n > 512 ? 512 : n;
			n = pread(fd, buffer, n * 8, start / page_size * 8) / 8;
			if (n <= 0)
				break;
			for (i = 0; i < n; i++)
				count_entry(buffer[i], &count);
			start += n * page_size;
		}
	}
	if (maps)
		fclose(maps);
	close(fd);
	return count;
}

/* The value of a line "NAME VALUE" or "NAME: VALUE kB", or -1. */
static long value_in(const char *path, const char *name)
{
	FILE *file = fopen(path, "r");
	char line[256], key[64];
	long value, found = -1;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "%63[^: \t]%*[: \t]%ld", key, &value) == 2 &&
		    !strcmp(key, name))
			found = value;
	if (file)
		fclose(file);
	if (found < 0)
		fail("no %s in %s", name, path);
	return found;
}

/* In pages. */
static long status_of(int actor, const char *name)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/status", actors[actor].pid);
	return value_in(path, name) * 1024 / page_size;
}

static long rss_of(int actor)
{
	return status_of(actor, "VmRSS");
}

static long committed(void)
{
	return value_in("/proc/meminfo", "Committed_AS") * 1024 / page_size;
}

static long group_stat(const char *name)
{
	return value_in(GROUP "/memory.stat", name) / page_size;
}

static int by_frame(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

struct totals {
	long anon, file, group_anon, group_file;
};

/* Each frame once, by how many entries ever it is mapped. */
static struct totals count_frames(void)
{
	struct totals total = { };
	struct stat group;
	bool anon, ours;
	long i;

	stat(GROUP, &group);
	qsort(census.frames, census.nr, sizeof(*census.frames), by_frame);
	for (i = 0; i < census.nr; i++) {
		if (i && census.frames[i] == census.frames[i - 1])
			continue;
		anon = census.frames[i] & FRAME_ANON;
		ours = word_at(census.group_fd, census.frames[i] & PM_PFN) == group.st_ino;
		total.anon += anon;
		total.file += !anon;
		total.group_anon += anon && ours;
		total.group_file += !anon && ours;
	}
	return total;
}

/* Every process there is; complains of an actor that is counted wrongly. */
static int count_processes(bool complain)
{
	DIR *proc = opendir("/proc");
	struct dirent *dir;
	int wrong = 0, i;

	census.nr = 0;
	while ((dir = readdir(proc))) {
		pid_t pid = atoi(dir->d_name);
		struct entries count;

		if (pid <= 0)
			continue;
		count = count_entries(pid);
		for (i = 0; i < ACTORS; i++) {
			long anon, file, swap;

			if (actors[i].pid != pid)
				continue;
			anon = status_of(i, "RssAnon");
			file = status_of(i, "RssFile") + status_of(i, "RssShmem");
			swap = status_of(i, "VmSwap");
			if (anon == count.anon && file == count.file && swap == count.swap)
				continue;
			wrong++;
			if (complain)
				fail("actor %d: rss %ld %ld, swap %ld; entries %ld %ld, %ld",
				     i, anon, file, swap, count.anon, count.file, count.swap);
		}
	}
	closedir(proc);
	return wrong;
}

static int counters_wrong(bool complain)
{
	int wrong = count_processes(complain);
	struct totals total = count_frames();
	struct totals said;

	write_file("/proc/sys/vm/stat_refresh", "1");
	said.anon = value_in("/proc/vmstat", "nr_anon_pages");
	said.file = value_in("/proc/vmstat", "nr_mapped");
	said.group_anon = group_stat("anon");
	said.group_file = group_stat("file_mapped");
	if (!memcmp(&total, &said, sizeof(total)))
		return wrong;
	if (complain) {
		fail("machine: nr_anon_pages %ld, nr_mapped %ld; frames mapped %ld, %ld",
		     said.anon, said.file, total.anon, total.file);
		fail("cgroup: anon %ld, file_mapped %ld; frames mapped %ld, %ld",
		     said.group_anon, said.group_file, total.group_anon, total.group_file);
	}
	return wrong + 1;
}

/* A cgroup's figures are brought together every two seconds. */
static void check_counters(void)
{
	int tries = 0;

	if (!census.frames) {
		census.frames = mmap(NULL, FRAMES_MAX * sizeof(*census.frames),
				     PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		census.flags_fd = open("/proc/kpageflags", O_RDONLY);
		census.group_fd = open("/proc/kpagecgroup", O_RDONLY);
	}
	while (counters_wrong(tries == 10) && tries++ < 10)
		usleep(500000);
}

#endif /* RMAP_CENSUS_H */
