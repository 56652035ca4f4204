// SPDX-License-Identifier: GPL-2.0
/*
 * What the fuzzer asks of the kernel through files. No stdio and no malloc: a
 * companion shares the memory of its process without the C library knowing of it.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "rmap_fuzz.h"

#define FAILSLAB	"/sys/kernel/debug/failslab/"

/* One line in one write, so that the lines of many processes do not mix. */
void say(const char *format, ...)
{
	char line[512];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (len >= (int)sizeof(line))
		len = sizeof(line) - 1;
	if (write(STDOUT_FILENO, line, len) < 0)
		add(&ctl->errors, 1);
}

u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

bool write_text(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CLOEXEC);
	bool ok;

	if (fd < 0)
		return false;
	ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return ok;
}

bool write_number(const char *name, u64 n)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", n);
	return write_text(name, text);
}

/* What fits of it; the length without the final zero. */
ssize_t read_text(const char *name, char *text, size_t size)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t got = 1;

	text[0] = 0;
	if (fd < 0)
		return -1;
	while (got > 0 && len < size - 1) {
		got = read(fd, text + len, size - 1 - len);
		if (got > 0)
			len += got;
	}
	text[len] = 0;
	close(fd);
	return len;
}

u64 read_number(const char *name)
{
	char text[32];

	return read_text(name, text, sizeof(text)) > 0 ? strtoull(text, NULL, 0) : 0;
}

/* The number after the key at the start of a line. */
u64 read_key(const char *name, const char *key)
{
	static char text[65536];
	char *line = text;
	size_t len = strlen(key);

	if (read_text(name, text, sizeof(text)) <= 0)
		return 0;
	while (line && (strncmp(line, key, len) || (line[len] != ' ' && line[len] != ':'))) {
		line = strchr(line, '\n');
		line += !!line;
	}
	return line ? strtoull(line + len + 1, NULL, 0) : 0;
}

/* ---- cgroup ---- */

bool cgroup_make(u64 max_bytes)
{
	write_text("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	mkdir(CGROUP, 0755);
	return !access(CGROUP "/memory.reclaim", W_OK) &&
	       write_number(CGROUP "/memory.max", max_bytes);
}

bool cgroup_join(void)
{
	return write_text(CGROUP "/cgroup.procs", "0");
}

void cgroup_kill(void)
{
	write_text(CGROUP "/cgroup.kill", "1");
}

void cgroup_remove(void)
{
	rmdir(CGROUP);
}

u32 cgroup_pids(pid_t *pids, u32 max)
{
	char text[8192], *p = text;
	u32 n = 0;

	if (read_text(CGROUP "/cgroup.procs", text, sizeof(text)) <= 0)
		return 0;
	while (n < max && *p) {
		pids[n++] = strtoul(p, &p, 10);
		p += *p == '\n';
	}
	return n;
}

/* ---- slabs ---- */

static u64 slab_objects(const char *name)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink", name);
	write_text(path, "1");
	return read_key("/proc/slabinfo", name);
}

/* To shrink gives back what the cpus hold, without which free objects count as used. */
void read_slabs(struct slabs *s)
{
	s->vmas = slab_objects("vm_area_struct");
	s->anon_vmas = slab_objects("anon_vma");
	s->known = s->vmas && s->anon_vmas;
}

/* ---- fault injection ---- */

static int make_it_fail = -1;

bool inject_start(u32 percent)
{
	if (!percent)
		return true;
	return write_text(FAILSLAB "task-filter", "Y") &&
	       write_text(FAILSLAB "ignore-gfp-wait", "N") &&
	       write_number(FAILSLAB "verbose", 0) &&
	       write_number(FAILSLAB "interval", 1) &&
	       write_text(FAILSLAB "times", "-1") &&
	       write_number(FAILSLAB "probability", percent);
}

void inject_stop(void)
{
	if (ctl->opt.failslab)
		write_number(FAILSLAB "probability", 0);
}

/* A process writes its own file only, open beforehand, as to open one may fail. */
void inject_adopt(void)
{
	if (!ctl->opt.failslab)
		return;
	if (make_it_fail >= 0)
		close(make_it_fail);
	do {
		make_it_fail = open("/proc/self/make-it-fail", O_WRONLY | O_CLOEXEC);
	} while (make_it_fail < 0 && errno == ENOMEM);
}

void inject(bool on)
{
	int saved = errno;

	if (make_it_fail >= 0 && pwrite(make_it_fail, on ? "1" : "0", 1, 0) < 0)
		add(&ctl->errors, 1);
	errno = saved;
}
