// SPDX-License-Identifier: GPL-2.0
/* Makes a history that fails shorter, writes it to a file, and plays such a file. */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "model.h"

#define TRIAL_SECONDS 5

static void quiet_play(void *arg)
{
	int null = open("/dev/null", O_WRONLY);

	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	play(playing);
}

/* What corrupts memory does not always fail in the same way; but time is no proof. */
static bool still_fails(const struct history *h, int status)
{
	int now;

	*playing = *h;
	playing->failure[0] = 0;
	now = run_apart(quiet_play, NULL, TRIAL_SECONDS);
	return now && (now == SIGALRM) == (status == SIGALRM);
}

/* Leave out @len operations at a time wherever it fails without them. */
static bool leave_out(struct history *h, unsigned int len, int status)
{
	static struct history trial;
	unsigned int start = h->nr;
	bool shorter = false;

	while (start) {
		unsigned int from = start > len ? start - len : 0;

		trial = *h;
		memmove(&trial.op[from], &trial.op[start], (h->nr - start) * sizeof(*trial.op));
		trial.nr -= start - from;
		start = from;
		if (!still_fails(&trial, status))
			continue;
		*h = trial;
		shorter = true;
	}
	return shorter;
}

/* Leave out forks: what the child did, the parent does. */
static void join_children(struct history *h, int status)
{
	static struct history trial;
	unsigned int start, i;

	for (start = h->nr; start--;) {
		const struct op *fork = &h->op[start];

		if (fork->kind != OP_FORK && fork->kind != OP_DAEMONISE)
			continue;
		trial = *h;
		for (i = start + 1; i < h->nr; i++)
			if (h->op[i].proc == fork->arg[fork->kind == OP_DAEMONISE])
				trial.op[i].proc = fork->proc;
		trial.nr--;
		memmove(&trial.op[start], &trial.op[start + 1],
			(trial.nr - start) * sizeof(*trial.op));
		if (still_fails(&trial, status))
			*h = trial;
	}
}

static void write_history(const struct history *h, const char *path)
{
	char made[PATH_MAX + 4];
	unsigned int i;
	FILE *file;

	snprintf(made, sizeof(made), "%s.tmp", path);
	file = fopen(made, "w");
	if (!file) {
		perror(made);
		exit(2);
	}
	fprintf(file, "# %s\nworld npages=%u stock=%u\n", h->failure, h->npages, h->stock);
	for (i = 0; i < h->nr; i++)
		op_print(file, &h->op[i]);
	if (fclose(file) || rename(made, path)) {
		perror(path);
		exit(2);
	}
}

/* @h failed with @status, at its last operation. */
void shrink(struct history *failed, int status)
{
	struct history h = *failed;
	unsigned int was = h.nr, len, i;
	char path[PATH_MAX];

	say("the world of seed %lu failed after %u operations", h.seed, was);
	if (!still_fails(&h, status)) {
		say("played again, it does not fail: --seed %lu", h.seed);
		return;
	}
	for (len = h.nr / 2; len; len /= 2)
		leave_out(&h, len, status);
	do
		join_children(&h, status);
	while (leave_out(&h, 1, status));
	still_fails(&h, status);
	memcpy(h.failure, playing->failure, sizeof(h.failure));
	snprintf(path, sizeof(path), "%s/failed-%lu.replay", output, h.seed);
	write_history(&h, path);
	say("shrunk from %u operations to %u: %s", was, h.nr, h.failure);
	for (i = 0; i < h.nr; i++) {
		printf("#   ");
		op_print(stdout, &h.op[i]);
	}
	say("again: --replay %s", path);
}

static void read_history(struct history *h, const char *path)
{
	unsigned int stock, nr = 0;
	char line[256];
	FILE *file = fopen(path, "r");

	if (!file) {
		perror(path);
		exit(2);
	}
	h->nr = 0;
	h->fail_first = ULONG_MAX;
	while (fgets(line, sizeof(line), file)) {
		nr++;
		if (*line == '#')
			continue;
		if (sscanf(line, "world npages=%u stock=%u", &h->npages, &stock) == 2) {
			h->stock = stock;
		} else if (h->nr == WORLD_OPS || !op_parse(line, &h->op[h->nr++])) {
			fprintf(stderr, "%s: line %u can not be understood\n", path, nr);
			exit(2);
		}
	}
	fclose(file);
}

static void traced_play(void *arg)
{
	play(playing);
}

bool replay(const char *path)
{
	read_history(playing, path);
	trace_ops = true;
	return !run_apart(traced_play, NULL, TRIAL_SECONDS);
}
