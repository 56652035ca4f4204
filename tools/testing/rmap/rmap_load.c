// SPDX-License-Identifier: GPL-2.0
/*
 * Many at once: processes that check and write what they have, that fault, move
 * pages, fork and exit, while all they have is reclaimed and swapoff brings it
 * back. RMAP_LOAD_MS in the environment: how long each.
 */
#include <linux/mman.h>
#include <pthread.h>
#include <time.h>
#include "cases.h"
#include "services.h"

static long load_ms(void)
{
	const char *ms = getenv("RMAP_LOAD_MS");

	return ms ? atol(ms) : 4000;
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Reclaims from the group a little at a time, until it is killed. */
static pid_t start_reclaim(void)
{
	pid_t pid = fork();
	char amount[40];

	if (pid)
		return pid;
	snprintf(amount, sizeof(amount), "%ld swappiness=200", 512 * page_size);
	while (!try_write_file(GROUP "/memory.reclaim", amount) || errno == EAGAIN)
		usleep(2000);
	_exit(1);
}

static void stop_reclaim(pid_t pid)
{
	if (waitpid(pid, NULL, WNOHANG))
		fail("nothing was reclaimed");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/*
 * arg: actor, page, pages, milliseconds. Each round expects in every page what
 * the last one left there; in the end each holds again what its cell says.
 */
static long do_churn(const long *arg)
{
	const long end = now_ms() + arg[3];
	uint64_t round = 0, before, after;
	bool last;
	long page, bad = 0;

	do {
		last = now_ms() >= end;
		for (page = arg[1]; page < arg[1] + arg[2]; page++) {
			before = pattern(cells[arg[0]][page].tag) + round;
			after = last ? before - round : before + 1;
			bad += *first_word(page) != before || *last_word(page) != before;
			*first_word(page) = after;
			*last_word(page) = after;
		}
		round++;
	} while (!last);
	return bad;
}

static void start_churn(int actor, long page, long n, long ms)
{
	const long arg[] = { actor, page, n, ms };

	send_call(actor, do_churn, arg, 4);
}

static void end_churn(int actor)
{
	long bad = wait_call(actor);

	if (bad)
		fail("actor %d has met %ld wrong pages", actor, bad);
}

CASE(swapoff_under_load)
{
	int who[3], i, rounds = 0;
	long end;
	char device[64];
	pid_t pid;

	map(self->a, 0, 1024);
	put(self->a, 0, 1024);
	who[0] = self->a;
	who[1] = fork_actor(self->a);
	put(who[1], 0, 256);
	who[2] = fork_actor(who[1]);
	put(who[2], 128, 256);
	reclaim_all();
	ASSERT_TRUE(swap_device(device));
	for (i = 0; i < 3; i++)
		start_churn(who[i], 64 + i * 64, 768, 2 * load_ms());
	end = now_ms() + 2 * load_ms();
	while (now_ms() < end) {
		pid = start_reclaim();
		usleep(300000);
		stop_reclaim(pid);
		ASSERT_EQ(0, swapoff(device));
		ASSERT_EQ(0, swapon(device, 0));
		rounds++;
	}
	for (i = 0; i < 3; i++)
		end_churn(who[i]);
	EXPECT_LT(0, rounds);
	TH_LOG("swap went off %d times under three writers", rounds);
	settle();
}

#define WANDERERS	128
#define FAR		1024

/*
 * A page that is read while it is on its way to zram counts as shared until it is
 * written again, and what is shared does not move.
 */
static int move_alone(long uffd, long from, long to)
{
	long move[] = { uffd, from, 1, to };
	int tries, ret = -1;

	for (tries = 0; ret && tries < 20; tries++) {
		__atomic_fetch_add(first_word(from), 0, __ATOMIC_RELAXED);
		ret = do_uffd_move(move);
	}
	return ret;
}

/* arg: actor, milliseconds. Pages from 0 go FAR away and come back, each for itself. */
static long do_wander(const long *arg)
{
	long reg[] = { 0, FAR + WANDERERS }, uffd = do_uffd_open(reg), end = now_ms() + arg[1];
	bool away[WANDERERS] = { };
	unsigned int seed = 1;
	long moves = 0, bad = 0;
	int i;

	if (uffd < 0)
		return -1;
	while (!bad && (now_ms() < end || moves < WANDERERS)) {
		i = rand_r(&seed) % WANDERERS;
		bad += !holds(away[i] ? FAR + i : i, cells[arg[0]][i].tag);
		bad += !!move_alone(uffd, away[i] ? FAR + i : i, away[i] ? i : FAR + i);
		away[i] = !away[i];
		moves++;
	}
	for (i = 0; i < WANDERERS; i++)
		bad += away[i] && move_alone(uffd, FAR + i, i);
	close(uffd);
	return bad ? -bad : moves;
}

CASE(uffd_move_against_reclaim)
{
	long moves, arg[2];
	int b, c;
	pid_t pid;

	map(self->a, 0, FAR + WANDERERS);
	put(self->a, 0, 512);
	b = fork_actor(self->a);
	put(b, 0, 256);
	c = fork_actor(self->a);
	arg[0] = b;
	arg[1] = load_ms();
	pid = start_reclaim();
	send_call(b, do_wander, arg, 2);
	start_churn(c, 0, 512, load_ms());
	moves = wait_call(b);
	end_churn(c);
	stop_reclaim(pid);
	EXPECT_LE(WANDERERS, moves);
	TH_LOG("%ld pages moved while they were reclaimed", moves);
	settle();
	fork_actor(b);
	put(b, 0, 64);
	settle();
}

/* arg: milliseconds. Children that write, and have children, are killed at any moment. */
static long do_brood(const long *arg)
{
	const long end = now_ms() + arg[0];
	unsigned int seed = 1;
	long page, killed = 0;
	pid_t child[4];
	int i;

	signal(SIGCHLD, SIG_DFL);
	while (now_ms() < end) {
		for (i = 0; i < 4; i++) {
			child[i] = fork();
			if (child[i])
				continue;
			for (page = i; page < 512; page += 2)
				*last_word(page) = page;
			if (!fork())
				_exit(0);
			for (page = 0; page < 512; page++)
				*first_word(page) = page;
			pause();
		}
		usleep(rand_r(&seed) % 20000);
		for (i = 0; i < 4; i++) {
			kill(child[i], SIGKILL);
			killed += waitpid(child[i], NULL, 0) == child[i];
		}
	}
	signal(SIGCHLD, SIG_IGN);
	return killed;
}

CASE(exits_against_reclaim)
{
	const long ms = load_ms();
	long killed;
	pid_t pid;
	int b;

	map(self->a, 0, 512);
	put(self->a, 0, 512);
	b = fork_actor(self->a);
	put(b, 100, 100);
	pid = start_reclaim();
	send_call(b, do_brood, &ms, 1);
	start_churn(self->a, 0, 512, ms);
	killed = wait_call(b);
	end_churn(self->a);
	stop_reclaim(pid);
	EXPECT_LE(4, killed);
	TH_LOG("%ld processes ended while they were reclaimed", killed);
	settle();
}

static void *churn_thread(void *arg)
{
	return (void *)do_churn(arg);
}

/* arg: actor, pages, milliseconds. Two halves are written while each is paged out. */
static long do_fault_beside(const long *arg)
{
	const long half = arg[1] / 2, end = now_ms() + arg[2];
	const long part[2][4] = {
		{ arg[0], 0, half, arg[2] },
		{ arg[0], half, half, arg[2] },
	};
	pthread_t thread[2];
	void *bad;
	long sum = 0;
	int i;

	for (i = 0; i < 2; i++)
		pthread_create(&thread[i], NULL, churn_thread, (void *)part[i]);
	for (i = 0; now_ms() < end; i = !i)
		madvise(at(i * half), half * page_size, MADV_PAGEOUT);
	for (i = 0; i < 2; i++) {
		pthread_join(thread[i], &bad);
		sum += (long)bad;
	}
	return sum;
}

/* One vma over several page tables, each with a lock of its own. */
CASE(faults_beside_reclaim)
{
	const long pages = 2048;
	pid_t pid;
	int b;

	map(self->a, 0, pages);
	put(self->a, 0, pages);
	b = fork_actor(self->a);
	put(b, 0, pages);
	pid = start_reclaim();
	EXPECT_EQ(0, call(b, do_fault_beside, b, pages, load_ms()));
	stop_reclaim(pid);
	settle();
}

int main(int argc, char **argv)
{
	return run_cases(argc, argv);
}
