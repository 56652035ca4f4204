// SPDX-License-Identifier: GPL-2.0
/* What rmap_storm and rmap_fuzz share. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rmap_stress.h"

#define CGROUP_ROOT	"/sys/fs/cgroup"
#define OPTIONS_MAX	16	/* with --help and an empty one */
#define FAILSLAB	"/sys/kernel/debug/failslab/"

size_t page_size;

void raise_max(u64 *max, u64 n)
{
	u64 old = get(max);

	while (old < n && !__atomic_compare_exchange_n(max, &old, n, false,
						       __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		;
}

/* One more, unless there are so many already. Returns how many there are then, or 0. */
u32 count_in(u32 *count, u32 most)
{
	u32 n = get(count);

	do {
		if (n >= most)
			return 0;
	} while (!__atomic_compare_exchange_n(count, &n, n + 1, false,
					      __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
	return n + 1;
}

u64 clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

u64 now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/*
 * ---- files ----
 *
 * No stdio and no malloc: a companion of the fuzz shares the memory of its process
 * without the C library knowing of it.
 */

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

/* The number after the key at the start of a line. For one task at a time. */
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

bool cgroup_make(void)
{
	write_text(CGROUP_ROOT "/cgroup.subtree_control", "+memory");
	mkdir(CGROUP, 0755);
	/* One that a killed run has left may have the limit of that run. */
	write_text(CGROUP "/memory.max", "max");
	return !access(CGROUP "/memory.reclaim", W_OK);
}

bool cgroup_join(void)
{
	return write_text(CGROUP "/cgroup.procs", "0");
}

/* And wait until the caller has no child left. */
void cgroup_kill(void)
{
	write_text(CGROUP "/cgroup.kill", "1");
	while (waitpid(-1, NULL, 0) > 0)
		;
}

void cgroup_remove(void)
{
	rmdir(CGROUP);
}

/* ---- processes ---- */

/* So many percent of the slab allocations of those who ask for it by make-it-fail. */
bool failslab(u32 percent)
{
	return write_text(FAILSLAB "task-filter", "Y") &&
	       write_text(FAILSLAB "ignore-gfp-wait", "N") &&
	       write_number(FAILSLAB "verbose", 0) &&
	       write_number(FAILSLAB "interval", 1) &&
	       write_text(FAILSLAB "times", "-1") &&
	       write_number(FAILSLAB "probability", percent);
}

/*
 * The master is a fresh image inside the cgroup: were it a plain child, it would share
 * pages with the runner, which are not the cgroup's to reclaim. Returns if it fails.
 */
void exec_master(const char *name)
{
	if (cgroup_join())
		execl("/proc/self/exe", name, MASTER_ARG, NULL);
	fprintf(stderr, "# %s: cannot start the master: %s\n", name, strerror(errno));
}

void catch_bad_accesses(void (*handler)(int sig, siginfo_t *info, void *context))
{
	struct sigaction sa = {
		.sa_sigaction = handler,
		.sa_flags = SA_SIGINFO | SA_NODEFER,
	};

	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
}

/* ---- the report ---- */

u64 leaked_objects(u64 before, u64 after)
{
	return after > before + LEAK_SLACK ? after - before : 0;
}

void row(const char *label, const char *format, ...)
{
	va_list args;

	printf("#   %-20s ", label);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}

/* ---- options ---- */

static u64 parse(const struct setting *s, const char *text)
{
	char *end;
	u64 n = strtoull(text, &end, 0);

	if (*text && *text != '-' && !*end && n >= s->min && n <= s->max)
		return n;
	fprintf(stderr, "%s: --%s %s: must be from %llu to %llu\n",
		program_invocation_short_name, s->name, text, s->min, s->max);
	exit(KSFT_FAIL);
}

static void set(const struct setting *s, const char *text)
{
	if (s->number)
		*s->number = parse(s, text);
	else if (s->big_number)
		*s->big_number = parse(s, text);
	else if (s->path)
		snprintf(s->path, PATH_LEN, "%s", text);
	else
		*s->flag = true;
}

static void __noreturn end_with_usage(void (*show_usage)(FILE *to), bool wanted)
{
	show_usage(wanted ? stdout : stderr);
	exit(wanted ? KSFT_PASS : KSFT_FAIL);
}

/* Each option has a value of its own, or its name could be cut short to that of another. */
void parse_options(int argc, char **argv, const struct setting *settings,
		   void (*show_usage)(FILE *to))
{
	struct option options[OPTIONS_MAX] = {};
	int c, n;

	for (n = 0; settings[n].name; n++) {
		options[n].name = settings[n].name;
		options[n].has_arg = settings[n].flag ? no_argument : required_argument;
		options[n].val = n;
	}
	options[n] = (struct option){ "help", no_argument, NULL, n };
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c >= n)
			end_with_usage(show_usage, c == n);
		set(&settings[c], optarg);
	}
	if (optind < argc)
		end_with_usage(show_usage, false);
}
