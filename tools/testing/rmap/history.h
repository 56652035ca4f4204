/* SPDX-License-Identifier: GPL-2.0 */
/* A random history of a family: any step after any other. */
#ifndef RMAP_HISTORY_H
#define RMAP_HISTORY_H

#include <linux/mman.h>
#include "actor.h"

static int any_actor(int except)
{
	int actor;

	do {
		actor = rand() % ACTORS;
	} while (!actors[actor].pid || actor == except);
	return actor;
}

/* The length of the run from page that is mapped, or not, alike; at most max. */
static long run_length(int actor, long page, long max)
{
	bool mapped = cells[actor][page].tag != NONE;
	long n = 0;

	while (n < max && page + n < ARENA_PAGES &&
	       (cells[actor][page + n].tag != NONE) == mapped)
		n++;
	return n;
}

static void any_advice(int actor, long page, long n)
{
	static const int advice[] = {
		MADV_DONTNEED, MADV_FREE, MADV_COLD, MADV_PAGEOUT, MADV_HUGEPAGE,
		MADV_NOHUGEPAGE, MADV_DONTDUMP, MADV_DODUMP, MADV_DONTFORK,
		MADV_DOFORK, MADV_DOFORK, MADV_WIPEONFORK, MADV_KEEPONFORK,
		MADV_KEEPONFORK, MADV_COLLAPSE,
	};

	try_advise(actor, page, n, advice[rand() % (sizeof(advice) / sizeof(*advice))]);
}

static void any_move(int actor, long page, long n)
{
	long to = rand() % (ARENA_PAGES - 256), i;

	if (cells[actor][to].tag != NONE || run_length(actor, to, n) < n)
		return;
	try_move(actor, page, n, to, rand() % 4 ? 0 : MREMAP_DONTUNMAP);
	for (i = 0; i < n && rand() % 2; i += 3)
		if (cells[actor][to + i].tag != NONE)
			put(actor, to + i, 1);
}

static void any_step(int alive)
{
	int actor = any_actor(-1);
	long page = rand() % 24 * 64 + rand() % 2 * (rand() % 64);
	long n = run_length(actor, page, 1 + rand() % (rand() % 4 ? 64 : 256));
	int what = rand() % 100;

	if (what < 10 && alive < 16)
		fork_actor(actor);
	else if (what < 16 && alive > 3)
		quit(actor);
	else if (cells[actor][page].tag == NONE)
		map(actor, page, n);
	else if (what < 50)
		put(actor, page, n);
	else if (what < 55)
		unmap(actor, page, n);
	else if (what < 65)
		cut(actor, page, n);
	else if (what < 80)
		rejoin(actor, page, n);
	else if (what < 90)
		any_move(actor, page, n);
	else
		any_advice(actor, page, n);
}

static void any_history(int first, int seed, int steps)
{
	int i, k, alive;

	srand(seed);
	map(first, 0, 24 * 64);
	for (i = 0; i < steps && !failures; i++) {
		for (alive = k = 0; k < ACTORS; k++)
			alive += !!actors[k].pid;
		any_step(alive);
		if (i % 100 == 99)
			settle();
	}
	if (failures)
		printf("# seed %d, before step %d\n", seed, i);
}

static void quit_all(void)
{
	int actor;

	for (actor = 0; actor < ACTORS; actor++)
		if (actors[actor].pid)
			quit(actor);
}

#endif /* RMAP_HISTORY_H */
