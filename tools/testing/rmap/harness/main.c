// SPDX-License-Identifier: GPL-2.0
/*
 * mm/anon_vma.c, the same source as in the kernel, played against a model of
 * processes. Each case runs in a process of its own; the output is TAP.
 */
#include <getopt.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include "model.h"

#define TRACE_LINES 64
#define CASE_SECONDS 300

unsigned long work;
unsigned long seed = 1;
unsigned int steps = 200;

static const char *only = "";
static bool stop;
static char lines[TRACE_LINES][80];
static unsigned int nr_lines;

void __sanitizer_cov_trace_pc(void)
{
	work++;
}

void trace_reset(void)
{
	nr_lines = 0;
}

void trace(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(lines[nr_lines++ % TRACE_LINES], sizeof(lines[0]), fmt, args);
	va_end(args);
}

void trace_print(void)
{
	unsigned int i = nr_lines > TRACE_LINES ? nr_lines - TRACE_LINES : 0;

	if (i)
		printf("#   ... %u steps before\n", i);
	for (; i < nr_lines; i++)
		printf("#   %s\n", lines[i % TRACE_LINES]);
}

void say(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	printf("# ");
	vprintf(fmt, args);
	printf("\n");
	va_end(args);
}

void fail(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	printf("# failed: ");
	vprintf(fmt, args);
	printf("\n");
	va_end(args);
	trace_print();
	fflush(stdout);
	_exit(1);
}

static bool run_case(const struct test_case *test)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		alarm(CASE_SECONDS);
		test->run();
		exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		perror("harness");
		exit(2);
	}
	if (WIFSIGNALED(status))
		say("ended by signal %d", WTERMSIG(status));
	return !status;
}

static void usage(void)
{
	fprintf(stderr, "harness [--seed N] [--steps N] [--only PART-OF-NAME] [--stop]\n"
		"  --seed   first seed of the random histories (1)\n"
		"  --steps  steps of each of them (200)\n"
		"  --only   only the cases with this in their name\n"
		"  --stop   end at the first failure\n");
	exit(2);
}

static unsigned long number(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 0);

	if (!*text || *end)
		usage();
	return n;
}

static void options(int argc, char **argv)
{
	static const struct option opts[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "steps", required_argument, NULL, 'n' },
		{ "only", required_argument, NULL, 'o' },
		{ "stop", no_argument, NULL, 'x' },
		{ }
	};
	int c;

	while ((c = getopt_long(argc, argv, "", opts, NULL)) != -1) {
		if (c == 's')
			seed = number(optarg);
		else if (c == 'n')
			steps = number(optarg);
		else if (c == 'o')
			only = optarg;
		else if (c == 'x')
			stop = true;
		else
			usage();
	}
	if (optind < argc)
		usage();
}

int main(int argc, char **argv)
{
	unsigned int i, done = 0, failed = 0;
	bool ok;

	options(argc, argv);
	printf("TAP version 13\n");
	for (i = 0; i < nr_cases && !(stop && failed); i++) {
		if (!strstr(cases[i].name, only))
			continue;
		ok = run_case(&cases[i]);
		failed += !ok;
		printf("%sok %u - %s\n", ok ? "" : "not ", ++done, cases[i].name);
	}
	printf("# %u passed, %u failed\n1..%u\n", done - failed, failed, done);
	return failed || !done;
}
