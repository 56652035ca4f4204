// SPDX-License-Identifier: GPL-2.0
/*
 * Hugetlb pages, in slots of their own behind the arena. Their pool may run empty: then
 * the kernel takes them from children, and an access raises SIGBUS.
 */
#define _GNU_SOURCE
#include <stdio.h>

#include "rmap_fuzz.h"

static u32 slot_page(u32 slot)
{
	return ctl->arena_pages + slot * HUGE_PAGES;
}

static u32 some_slot(struct lane *l)
{
	return slot_page(below(&l->rng, HUGE_SLOTS));
}

void huge_lost(u32 page)
{
	u32 first = page - (page - ctl->arena_pages) % HUGE_PAGES;

	add(&ctl->lost_pages, 1);
	if (!munmap(at(first), bytes(HUGE_PAGES)))
		set_none(first, HUGE_PAGES);
}

long op_huge_map(struct lane *l)
{
	u32 first = some_slot(l);
	bool shared = one_in(&l->rng, 3);
	struct cell like = {
		.kind = shared ? SHARED : ANON, .object = HUGE_SHARED, .flags = F_HUGE,
		.prot = PROT_READ | PROT_WRITE,
	};
	int flags = MAP_FIXED | MAP_NORESERVE;

	note(l, &(struct run){ first, HUGE_PAGES }, shared);
	flags |= shared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB;
	if (mmap(at(first), bytes(HUGE_PAGES), like.prot, flags,
		 shared ? FIRST_FD + HUGE_SHARED : -1, 0) == MAP_FAILED) {
		resync(l, first, HUGE_PAGES);
		return -1;
	}
	for (u32 i = 0; i < HUGE_PAGES; i++, like.index++)
		set_fresh(first + i, &like);
	return 0;
}

long op_huge_unmap(struct lane *l)
{
	u32 first = some_slot(l);

	note(l, &(struct run){ first, HUGE_PAGES }, 0);
	if (munmap(at(first), bytes(HUGE_PAGES))) {
		resync(l, first, HUGE_PAGES);
		return -1;
	}
	set_none(first, HUGE_PAGES);
	return 0;
}

long op_huge_move(struct lane *l)
{
	u32 from = some_slot(l), to = slot_page(0) + slot_page(1) - from;

	if (cells[from].kind == NONE)
		return SKIPPED;
	note(l, &(struct run){ from, HUGE_PAGES }, to);
	if (mremap(at(from), bytes(HUGE_PAGES), bytes(HUGE_PAGES),
		   MREMAP_MAYMOVE | MREMAP_FIXED, at(to)) == MAP_FAILED) {
		resync(l, from, HUGE_PAGES);
		resync(l, to, HUGE_PAGES);
		return -1;
	}
	for (u32 i = 0; i < HUGE_PAGES; i++)
		cells[to + i] = cells[from + i];
	set_none(from, HUGE_PAGES);
	unmap_rest(l, from, HUGE_PAGES);
	return 0;
}

long op_huge_drop(struct lane *l)
{
	u32 first = some_slot(l);
	int ret;

	if (cells[first].kind == NONE)
		return SKIPPED;
	note(l, &(struct run){ first, HUGE_PAGES }, 0);
	ret = madvise(at(first), bytes(HUGE_PAGES), MADV_DONTNEED);
	for (u32 i = 0; i < HUGE_PAGES && is_private(first); i++) {
		if (ret)
			cells[first + i].flags |= F_MAYBE;
		else
			set_base(first + i);
	}
	return ret;
}

/* Write to, or look at, some of the small pages in one of 2 MiB. */
long op_huge_use(struct lane *l)
{
	u32 first = some_slot(l), page;

	note(l, &(struct run){ first, HUGE_PAGES }, 0);
	for (u32 i = 0; i < 8; i++) {
		page = first + below(&l->rng, HUGE_PAGES);
		if (cells[page].kind == NONE)
			return SKIPPED;
		if (one_in(&l->rng, 3))
			write_page(l, page);
		else if (one_in(&l->rng, 2))
			mark_page(l, page);
		else
			check_page(l, page);
	}
	return 0;
}
