// SPDX-License-Identifier: GPL-2.0
/*
 * mm/anon_vma.c, the same source as in the kernel, played against a model of
 * processes. Each case runs in a process of its own; the output is TAP.
 */
#include <getopt.h>
#include <libgen.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "model.h"

#define TRACE_LINES 64
#define CASE_SECONDS 300

unsigned long work;
unsigned long seed = 1;
unsigned long nr_ops;
bool trace_ops;
bool no_shrink;
const char *output;
struct history *playing;

static const char *only = "";
static const char *replayed;
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

static void trace_print(void)
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
	vsnprintf(playing->failure, sizeof(playing->failure), fmt, args);
	va_end(args);
	say("failed: %s", playing->failure);
	trace_print();
	fflush(stdout);
	_exit(1);
}

int run_apart(void (*fn)(void *arg), void *arg, unsigned int seconds)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		alarm(seconds);
		fn(arg);
		exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		perror("harness");
		exit(2);
	}
	if (WIFSIGNALED(status))
		snprintf(playing->failure, sizeof(playing->failure), "ended by signal %d",
			 WTERMSIG(status));
	return status;
}

static void run_case(void *arg)
{
	const struct test_case *test = arg;

	test->run();
}

static bool run_cases(void)
{
	unsigned int i, done = 0, failed = 0;
	int status;

	printf("TAP version 13\n");
	for (i = 0; i < nr_cases && !(stop && failed); i++) {
		if (!strstr(cases[i].name, only))
			continue;
		status = run_apart(run_case, (void *)&cases[i], CASE_SECONDS);
		if (WIFSIGNALED(status))
			say("%s", playing->failure);
		failed += !!status;
		printf("%sok %u - %s\n", status ? "not " : "", ++done, cases[i].name);
	}
	printf("# %u passed, %u failed\n1..%u\n", done - failed, failed, done);
	return done && !failed;
}

static void usage(FILE *file)
{
	fprintf(file, "harness [--only PART-OF-NAME] [--stop]\n"
		"harness --ops N [--seed N] [--trace] [--no-shrink] [--output DIRECTORY]\n"
		"harness --replay FILE\n"
		"  (none)    run the cases\n"
		"  --only    only those with this in their name\n"
		"  --stop    end at the first that fails\n"
		"  --ops     make so many random operations instead\n"
		"  --seed    of the first world (1)\n"
		"  --trace   print each operation\n"
		"  --no-shrink  leave a history that fails as it is\n"
		"  --output  where a failing history goes, shrunk (that of the program)\n"
		"  --replay  play such a history\n");
	exit(file == stderr ? 2 : 0);
}

static unsigned long number(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 0);

	if (!*text || *end)
		usage(stderr);
	return n;
}

static void options(int argc, char **argv)
{
	static const struct option opts[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "ops", required_argument, NULL, 'n' },
		{ "trace", no_argument, NULL, 't' },
		{ "no-shrink", no_argument, NULL, 'k' },
		{ "output", required_argument, NULL, 'd' },
		{ "replay", required_argument, NULL, 'r' },
		{ "only", required_argument, NULL, 'o' },
		{ "stop", no_argument, NULL, 'x' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	int c;

	while ((c = getopt_long(argc, argv, "", opts, NULL)) != -1) {
		if (c == 's')
			seed = number(optarg);
		else if (c == 'n')
			nr_ops = number(optarg);
		else if (c == 't')
			trace_ops = true;
		else if (c == 'k')
			no_shrink = true;
		else if (c == 'd')
			output = optarg;
		else if (c == 'r')
			replayed = optarg;
		else if (c == 'o')
			only = optarg;
		else if (c == 'x')
			stop = true;
		else
			usage(c == 'h' ? stdout : stderr);
	}
	if (optind < argc)
		usage(stderr);
}

int main(int argc, char **argv)
{
	bool ok;

	options(argc, argv);
	if (!output)
		output = dirname(argv[0]);
	playing = mmap(NULL, sizeof(*playing), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (playing == MAP_FAILED) {
		perror("harness");
		return 2;
	}
	if (replayed)
		ok = replay(replayed);
	else if (nr_ops)
		ok = random_run();
	else
		ok = run_cases();
	return !ok;
}
