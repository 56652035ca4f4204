// SPDX-License-Identifier: GPL-2.0
/*
 * What the fuzzer alone asks of the kernel through files. No stdio and no malloc: a
 * companion shares the memory of its process without the C library knowing of it.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rmap_fuzz.h"

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

/* ---- cgroup ---- */

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

void inject_stop(void)
{
	if (ctl->opt.failslab)
		failslab(0);
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
