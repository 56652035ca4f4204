// SPDX-License-Identifier: GPL-2.0
/* Random histories in which each allocation fails in its turn, alone or with all that follow. */
#include <alloc_sites.h>

#include "model.h"

#define WORLDS 40
#define OPS 60

static unsigned long play_failing(struct history *h, unsigned long first, unsigned long last)
{
	trace_reset();
	trace("seed %lu, %u operations, allocations %lu to %lu fail", h->seed, h->nr, first, last);
	h->fail_first = first;
	h->fail_last = last;
	play(h);
	return world.allocs;
}

static unsigned int sites_seen(void)
{
	unsigned int line, nr = 0;

	for (line = 0; line < ARRAY_SIZE(site_failed); line++) {
		if (site_failed[line])
			say("mm/anon_vma.c:%u was refused", line);
		nr += site_failed[line];
	}
	return nr;
}

void case_no_memory_anywhere(void)
{
	static struct history h;
	unsigned long allocs, failures = 0, i, k;
	unsigned int op;

	for (i = 0; i < WORLDS; i++) {
		random_history(&h, seed + i, OPS);
		for (op = 0; op < h.nr; op++)
			h.op[op].fail = FAIL_NONE;
		allocs = play_failing(&h, ULONG_MAX, ULONG_MAX);
		for (k = 1; k <= allocs; k++) {
			play_failing(&h, k, k);
			failures += world.failures;
			play_failing(&h, k, ULONG_MAX);
			failures += world.failures;
		}
	}
	say("%u histories of %u operations, %lu allocations refused", WORLDS, OPS, failures);
	expect(sites_seen() == ALLOC_SITES);
}
