/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What every program of cases has around them: a stage with one actor before a
 * case, an empty one after it, and swap to begin with.
 */
#ifndef RMAP_CASES_H
#define RMAP_CASES_H

/* No program uses all that the headers have. */
#pragma GCC diagnostic ignored "-Wunused-function"

#include <sys/swap.h>
#include "../kselftest_harness.h"
#include "actor.h"

FIXTURE(rmap) {
	int a;			/* the first actor */
};

FIXTURE_SETUP(rmap)
{
	self->a = open_stage();
}

FIXTURE_TEARDOWN(rmap)
{
	close_stage();
	EXPECT_EQ(0, failures);
}

#define CASE(name) TEST_F_TIMEOUT(rmap, name, 200)

/* The first swap device, as /proc/swaps has it. */
static bool swap_device(char *name)
{
	FILE *swaps = fopen("/proc/swaps", "r");
	bool have = swaps && fscanf(swaps, "%*[^\n] %63s", name) == 1;

	if (swaps)
		fclose(swaps);
	return have;
}

static bool prepare(void)
{
	char device[64], make_swap[96];

	snprintf(make_swap, sizeof(make_swap),
		 "echo %ld >/sys/block/zram0/disksize && mkswap /dev/zram0 >/dev/null",
		 8 * ARENA_PAGES * sysconf(_SC_PAGESIZE));
	if (!swap_device(device) && (system(make_swap) || swapon("/dev/zram0", 0)))
		return false;
	write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	write_file("/proc/sys/vm/drop_caches", "4");	/* no message for each */
	return !failures;
}

static int run_cases(int argc, char **argv)
{
	if (!prepare()) {
		printf("Bail out! needs root, swap or zram, and cgroup v2\n");
		return KSFT_SKIP;
	}
	return test_harness_run(argc, argv);
}

#endif /* RMAP_CASES_H */
