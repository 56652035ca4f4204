// SPDX-License-Identifier: GPL-2.0
/*
 * Calls on the process's own mappings, and what they do to the model.
 *
 * A call that fails may have done part of its work. resync() then asks what is
 * mapped; where contents may have been dropped, both are right.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "rmap_fuzz.h"

#define MAX_RUN		64
#define COPY_PAGES	16
#define MAX_LOCKED	256	/* pages that a process may lock at once */
#define NODES		2
#define STACK_GAP	264	/* pages below a stack that must be free */

#ifndef MPOL_MF_MOVE
#define MPOL_MF_MOVE	2
#endif

static u32 locked;		/* pages, since the last munlockall() */
static char copies[COPY_PAGES * MAX_PAGE] __attribute__((aligned(MAX_PAGE)));

/* ---- which pages ---- */

/* Most runs are short; some are as long as a huge page, and aligned. */
void pick_range(struct lane *l, u32 max, struct run *run)
{
	bool huge = max > HUGE_PAGES / 2 || (max == MAX_RUN && one_in(&l->rng, 24));
	u32 end = l->first + l->pages;

	if (huge && l->pages >= HUGE_PAGES) {
		run->first = l->first + below(&l->rng, l->pages / HUGE_PAGES) * HUGE_PAGES;
		run->first -= run->first % HUGE_PAGES;
		run->pages = HUGE_PAGES;
		if (run->first >= l->first && run->first + run->pages <= end)
			return;
	}
	run->first = l->first + below(&l->rng, l->pages);
	run->pages = 1 + below(&l->rng, one_in(&l->rng, 4) ? max : (max + 7) / 8);
	if (run->first + run->pages > end)
		run->pages = end - run->first;
}

static bool continues(u32 page, u32 first)
{
	const struct cell *a = &cells[first], *b = &cells[page];

	return a->kind == b->kind && a->object == b->object &&
	       (a->kind == ANON || a->index + (page - first) == b->index);
}

/* Pages that can be one mapping, if nothing has split it. */
bool pick(struct lane *l, u32 max, struct run *run)
{
	u32 n;

	for (int tries = 0; tries < 16; tries++) {
		pick_range(l, max, run);
		if (cells[run->first].kind == NONE)
			continue;
		for (n = 1; n < run->pages && continues(run->first + n, run->first);)
			n++;
		run->pages = n;
		return true;
	}
	return false;
}

bool pick_kind(struct lane *l, u32 max, enum kind kind, struct run *run)
{
	for (int tries = 0; tries < 8; tries++)
		if (pick(l, max, run) && cells[run->first].kind == kind)
			return true;
	return false;
}

static bool is_free(u32 first, u32 pages)
{
	for (u32 i = 0; i < pages; i++)
		if (cells[first + i].kind)
			return false;
	return true;
}

/* Room for a new mapping: half the time over whatever is there. */
static void pick_place(struct lane *l, struct run *run)
{
	for (int tries = 0; tries < 8; tries++) {
		pick_range(l, MAX_RUN, run);
		if (is_free(run->first, run->pages) || one_in(&l->rng, 8))
			return;
	}
}

static int some_prot(struct lane *l)
{
	static const u8 prots[] = {
		PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE,
		PROT_READ, PROT_READ | PROT_EXEC, PROT_READ | PROT_WRITE | PROT_EXEC, PROT_NONE,
	};

	return prots[below(&l->rng, ARRAY_SIZE(prots))];
}

void make_writable(struct lane *l, const struct run *run)
{
	if (mprotect(at(run->first), bytes(run->pages), PROT_READ | PROT_WRITE)) {
		resync(l, run->first, run->pages);
		return;
	}
	for (u32 i = 0; i < run->pages; i++)
		cells[run->first + i].prot = PROT_READ | PROT_WRITE;
}

/* ---- contents ---- */

static long op_write(struct lane *l)
{
	struct run run;

	if (!pick(l, MAX_RUN, &run))
		return SKIPPED;
	note(l, &run, 0);
	if (one_in(&l->rng, 2))
		make_writable(l, &run);
	for (u32 i = 0; i < run.pages; i++)
		write_page(l, run.first + i);
	return 0;
}

static long op_mark(struct lane *l)
{
	struct run run;

	if (!pick(l, MAX_RUN, &run))
		return SKIPPED;
	note(l, &run, 0);
	for (u32 i = 0; i < run.pages; i++)
		mark_page(l, run.first + i);
	return 0;
}

static long op_check(struct lane *l)
{
	struct run run;

	if (!pick(l, MAX_RUN, &run))
		return SKIPPED;
	note(l, &run, 0);
	check_run(l, &run);
	return 0;
}

/* ---- mmap and munmap ---- */

static long map_at(struct lane *l, const struct run *run, struct cell like, int flags)
{
	int fd = like.kind == ANON ? -1 : FIRST_FD + like.object;

	note(l, run, like.kind);
	flags |= like.kind == SHARED ? MAP_SHARED : MAP_PRIVATE;
	flags |= like.kind == ANON ? MAP_ANONYMOUS : 0;
	if (one_in(&l->rng, 8))
		flags |= MAP_POPULATE;
	if (one_in(&l->rng, 8))
		flags |= MAP_NORESERVE;
	if (mmap(at(run->first), bytes(run->pages), like.prot, flags | MAP_FIXED, fd,
		 bytes(like.index)) == MAP_FAILED) {
		resync(l, run->first, run->pages);
		return -1;
	}
	for (u32 i = 0; i < run->pages; i++, like.index += like.kind != ANON)
		set_fresh(run->first + i, &like);
	return 0;
}

static long op_map_anon(struct lane *l)
{
	struct cell like = { .kind = ANON, .prot = some_prot(l) };
	struct run run;

	pick_place(l, &run);
	return map_at(l, &run, like, 0);
}

static long map_object(struct lane *l, enum kind kind, enum object object)
{
	struct cell like = { .kind = kind, .object = object, .prot = some_prot(l) };
	struct run run;

	pick_place(l, &run);
	like.index = below(&l->rng, OBJECT_PAGES - run.pages + 1);
	if (run.pages == HUGE_PAGES)
		like.index -= like.index % HUGE_PAGES;
	return map_at(l, &run, like, 0);
}

static long op_map_private(struct lane *l)
{
	return map_object(l, PRIVATE, one_in(&l->rng, 2) ? DISK_CONST : SHMEM_CONST);
}

static long op_map_shared(struct lane *l)
{
	return map_object(l, SHARED, one_in(&l->rng, 3) ? DISK_SHARED : SHMEM_SHARED);
}

static long op_map_stack(struct lane *l)
{
	struct cell like = {
		.kind = ANON, .prot = PROT_READ | PROT_WRITE, .flags = F_STACK,
	};
	struct run run = { 0, 1 + below(&l->rng, 4) };

	/* Its touches would make the stack grow into holes unseen. */
	if (has_companion() || l->pages < STACK_GAP + 16)
		return SKIPPED;
	run.first = l->first + below(&l->rng, l->pages - STACK_GAP - 8);
	if (munmap(at(run.first), bytes(STACK_GAP))) {
		resync(l, run.first, STACK_GAP);
		return -1;
	}
	set_none(run.first, STACK_GAP);
	run.first += STACK_GAP;
	return map_at(l, &run, like, MAP_GROWSDOWN);
}

/* The lowest page of a stack that has room below. */
static bool find_stack(struct lane *l, struct run *run)
{
	u32 from = below(&l->rng, l->pages);

	for (u32 i = 0; i < l->pages; i++) {
		u32 page = l->first + (from + i) % l->pages;

		if (page > l->first && (cells[page].flags & F_STACK) &&
		    (cells[page].prot & PROT_WRITE) && cells[page - 1].kind == NONE) {
			run->first = page;
			return true;
		}
	}
	return false;
}

/* A write below a stack grows it, or raises a signal where it cannot. */
static long op_grow_stack(struct lane *l)
{
	struct cell like;
	struct run run;
	u32 by;
	u64 tag;

	if (!find_stack(l, &run))
		return SKIPPED;
	like = cells[run.first];
	by = 1 + below(&l->rng, 8);
	if (run.first < l->first + by || !is_free(run.first - by, by))
		return SKIPPED;
	note(l, &run, by);
	tag = new_tag(l, run.first - by);
	if (!guarded_fill(l, at(run.first - by), tag, word_of(tag, 0))) {
		resync(l, run.first - by, by);
		return -1;
	}
	for (u32 page = run.first - by; page < run.first; page++)
		set_fresh(page, &like);
	cells[run.first - by].tag = tag;
	cells[run.first - by].mark = word_of(tag, 0);
	return 0;
}

static long op_unmap(struct lane *l)
{
	struct run run;

	if (one_in(&l->rng, 4))
		pick_range(l, MAX_RUN, &run);
	else if (!pick(l, MAX_RUN, &run))
		return SKIPPED;
	note(l, &run, 0);
	if (munmap(at(run.first), bytes(run.pages))) {
		resync(l, run.first, run.pages);
		return -1;
	}
	set_none(run.first, run.pages);
	return 0;
}

/* ---- mremap ---- */

/* Does what the cells from here on stand for exist in the file? */
static bool file_has(u32 first, u32 pages)
{
	return cells[first].kind == ANON || cells[first].index + pages <= OBJECT_PAGES;
}

static void grow_cells(u32 to, struct cell like, u32 pages)
{
	for (u32 i = 0; i < pages; i++) {
		like.index += like.kind != ANON;
		set_fresh(to + i, &like);
	}
}

static void move_cells(u32 from, u32 pages, u32 to, u32 wanted, bool keep)
{
	u32 both = pages < wanted ? pages : wanted;

	memcpy(cells + to, cells + from, both * sizeof(cells[0]));
	if (wanted > pages)
		grow_cells(to + pages, cells[to + pages - 1], wanted - pages);
	if (!keep)
		set_none(from, pages);
	for (u32 i = 0; keep && i < pages; i++)
		set_base(from + i);
}

/* If the old place cannot be unmapped, mremap() leaves it there, empty, and says nothing. */
void unmap_rest(struct lane *l, u32 first, u32 pages)
{
	if (ctl->opt.failslab)
		resync(l, first, pages);
}

/* Also longer or shorter than before, and leaving an empty mapping behind. */
static long op_move(struct lane *l)
{
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED;
	struct run from, to;

	if (!pick(l, MAX_RUN, &from))
		return SKIPPED;
	pick_place(l, &to);
	if (from.pages == HUGE_PAGES && one_in(&l->rng, 2))
		to.first -= to.first % HUGE_PAGES;
	if (one_in(&l->rng, 4))
		flags |= MREMAP_DONTUNMAP;
	if ((flags & MREMAP_DONTUNMAP) || one_in(&l->rng, 2))
		to.pages = from.pages;
	if (to.first < l->first || to.first + to.pages > l->first + l->pages ||
	    (to.first < from.first + from.pages && from.first < to.first + to.pages) ||
	    !file_has(from.first, to.pages))
		return SKIPPED;
	note(l, &from, (long)to.pages << 32 | to.first << 4 | (flags & MREMAP_DONTUNMAP));
	if (mremap(at(from.first), bytes(from.pages), bytes(to.pages), flags,
		   at(to.first)) == MAP_FAILED) {
		resync(l, from.first, from.pages);
		resync(l, to.first, to.pages);
		return -1;
	}
	move_cells(from.first, from.pages, to.first, to.pages, flags & MREMAP_DONTUNMAP);
	unmap_rest(l, from.first, from.pages);
	return 0;
}

static long op_resize(struct lane *l)
{
	struct run run;
	u32 wanted;

	if (!pick(l, MAX_RUN, &run))
		return SKIPPED;
	while (run.first + run.pages < l->first + l->pages &&
	       continues(run.first + run.pages, run.first))
		run.pages++;
	wanted = one_in(&l->rng, 2) ? run.pages + 1 + below(&l->rng, 16) :
				      1 + below(&l->rng, run.pages);
	if (run.first + wanted > l->first + l->pages || !file_has(run.first, wanted))
		return SKIPPED;
	note(l, &run, wanted);
	if (mremap(at(run.first), bytes(run.pages), bytes(wanted), 0) == MAP_FAILED) {
		resync(l, run.first, run.pages > wanted ? run.pages : wanted);
		return -1;
	}
	if (wanted > run.pages)
		grow_cells(run.first + run.pages, cells[run.first + run.pages - 1],
			   wanted - run.pages);
	else
		set_none(run.first + wanted, run.pages - wanted);
	return 0;
}

/* With an old size of 0 a shared mapping is mapped once more. */
static long op_map_again(struct lane *l)
{
	struct run from, to;

	if (!pick_kind(l, MAX_RUN, SHARED, &from))
		return SKIPPED;
	pick_place(l, &to);
	to.pages = from.pages;
	if (to.first + to.pages > l->first + l->pages ||
	    (to.first < from.first + from.pages && from.first < to.first + to.pages))
		return SKIPPED;
	note(l, &from, to.first);
	if (mremap(at(from.first), 0, bytes(to.pages), MREMAP_MAYMOVE | MREMAP_FIXED,
		   at(to.first)) == MAP_FAILED) {
		resync(l, to.first, to.pages);
		return -1;
	}
	set_fresh(to.first, &cells[from.first]);
	grow_cells(to.first + 1, cells[to.first], to.pages - 1);
	return 0;
}

/* ---- mprotect and madvise ---- */

static long op_protect(struct lane *l)
{
	int prot = some_prot(l);
	struct run run;

	if (!pick(l, MAX_RUN, &run))
		return SKIPPED;
	note(l, &run, prot);
	if (mprotect(at(run.first), bytes(run.pages), prot)) {
		resync(l, run.first, run.pages);
		return -1;
	}
	for (u32 i = 0; i < run.pages; i++)
		cells[run.first + i].prot = prot;
	return 0;
}

static const struct {
	int advice;
	u32 weight;
} advices[] = {
	{ MADV_NORMAL, 1 }, { MADV_RANDOM, 1 }, { MADV_SEQUENTIAL, 1 }, { MADV_WILLNEED, 2 },
	{ MADV_DONTNEED, 3 }, { MADV_FREE, 3 }, { MADV_COLD, 2 }, { MADV_PAGEOUT, 10 },
	{ MADV_DONTFORK, 1 }, { MADV_DOFORK, 2 }, { MADV_WIPEONFORK, 1 },
	{ MADV_KEEPONFORK, 2 }, { MADV_MERGEABLE, 4 }, { MADV_UNMERGEABLE, 1 },
	{ MADV_HUGEPAGE, 3 }, { MADV_NOHUGEPAGE, 1 }, { MADV_COLLAPSE, 2 },
	{ MADV_POPULATE_READ, 2 }, { MADV_POPULATE_WRITE, 2 }, { MADV_DONTNEED_LOCKED, 2 },
	{ MADV_DONTDUMP, 1 }, { MADV_DODUMP, 1 },
};

static int some_advice(struct lane *l)
{
	u32 total = 0, n, i;

	for (i = 0; i < ARRAY_SIZE(advices); i++)
		total += advices[i].weight;
	n = below(&l->rng, total);
	for (i = 0; n >= advices[i].weight; i++)
		n -= advices[i].weight;
	return advices[i].advice;
}

static void advised(u32 page, int advice)
{
	struct cell *c = &cells[page];

	if (advice == MADV_DONTFORK)
		c->flags |= F_DONTFORK;
	else if (advice == MADV_DOFORK)
		c->flags &= ~F_DONTFORK;
	else if (advice == MADV_WIPEONFORK)
		c->flags |= F_WIPEONFORK;
	else if (advice == MADV_KEEPONFORK)
		c->flags &= ~F_WIPEONFORK;
	else if (!is_private(page))
		return;
	else if (advice == MADV_DONTNEED || advice == MADV_DONTNEED_LOCKED)
		set_base(page);
	else if (advice == MADV_FREE)
		c->flags |= F_MAYBE;
}

/* How far it came is not known. Page by page it is. */
static void advise_singly(const struct run *run, int advice)
{
	bool drops = advice == MADV_DONTNEED || advice == MADV_DONTNEED_LOCKED ||
		     advice == MADV_FREE;

	inject(false);
	for (u32 page = run->first; page < run->first + run->pages; page++) {
		if (!madvise(at(page), page_size, advice))
			advised(page, advice);
		else if (drops && is_private(page))
			cells[page].flags |= F_MAYBE;
	}
	inject(true);
}

static bool changes_model(int advice)
{
	return advice == MADV_DONTNEED || advice == MADV_DONTNEED_LOCKED ||
	       advice == MADV_FREE || (advice >= MADV_DONTFORK && advice <= MADV_DOFORK) ||
	       advice == MADV_WIPEONFORK || advice == MADV_KEEPONFORK;
}

static long op_advise(struct lane *l)
{
	int advice = some_advice(l), error;
	struct run run;

	/* Drops what relatives share, or what others merge with, in the base kernel too. */
	if (advice == MADV_FREE && !ctl->opt.lazyfree)
		return SKIPPED;
	if (!pick(l, MAX_RUN, &run))
		return SKIPPED;
	note(l, &run, advice);
	if (madvise(at(run.first), bytes(run.pages), advice)) {
		error = errno;
		if (changes_model(advice))
			advise_singly(&run, advice);
		errno = error;
		return -1;
	}
	for (u32 i = 0; i < run.pages; i++)
		advised(run.first + i, advice);
	return 0;
}

/* Punch a hole into a shared file, all of whose pages we hold. */
static long op_remove(struct lane *l)
{
	struct run run;
	long ret = 0;
	u32 n = 0;

	if (!pick_kind(l, 8, SHARED, &run))
		return SKIPPED;
	note(l, &run, 0);
	while (n < run.pages && shared_lock(l, shared_of(run.first + n)))
		n++;
	if (n == run.pages)
		ret = madvise(at(run.first), bytes(n), MADV_REMOVE);
	for (u32 i = 0; i < n; i++) {
		struct shared_page *s = shared_of(run.first + i);

		if (n == run.pages && !ret) {
			s->tag = 0;
			s->mark = 0;
		}
		if (n == run.pages)
			s->unknown = !!ret;
		shared_unlock(s);
	}
	return ret;
}

/* As if the memory had errors that could be corrected so far. The page is lost for good. */
static long op_offline(struct lane *l)
{
	struct run run;

	if (!pick(l, 1, &run) || get(&ctl->offlined) >= ctl->opt.offline)
		return SKIPPED;
	add(&ctl->offlined, 1);
	note(l, &run, 0);
	return madvise(at(run.first), page_size, MADV_SOFT_OFFLINE);
}

/* ---- mlock ---- */

static long op_unlock_all(struct lane *l)
{
	(void)l;
	locked = 0;
	return munlockall();
}

static long op_lock(struct lane *l)
{
	struct run run;

	if (!pick(l, MAX_RUN / 2, &run))
		return SKIPPED;
	if (locked + run.pages > MAX_LOCKED)
		return op_unlock_all(l);
	locked += run.pages;
	note(l, &run, 0);
	if (one_in(&l->rng, 2))
		return syscall(SYS_mlock2, at(run.first), bytes(run.pages), 1);
	return mlock(at(run.first), bytes(run.pages));
}

static long op_unlock(struct lane *l)
{
	struct run run;

	if (!pick(l, MAX_RUN, &run))
		return SKIPPED;
	note(l, &run, 0);
	return munlock(at(run.first), bytes(run.pages));
}

/* All that is there and that comes, on fault; not for long. */
static long op_lock_all(struct lane *l)
{
	struct run run;
	long ret = mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);

	if (pick(l, 8, &run))
		for (u32 i = 0; i < run.pages; i++)
			write_page(l, run.first + i);
	op_map_anon(l);
	op_unlock_all(l);
	return ret;
}

/* ---- access by others, here to our own memory ---- */

static void iovecs(const struct run *run, struct iovec *remote, struct iovec *local)
{
	*remote = (struct iovec){ at(run->first), bytes(run->pages) };
	*local = (struct iovec){ copies, bytes(run->pages) };
}

static long op_vm_read(struct lane *l)
{
	struct iovec remote, local;
	struct run run;
	ssize_t got;

	if (!pick(l, COPY_PAGES, &run) || run.pages > COPY_PAGES || !is_private(run.first))
		return SKIPPED;
	note(l, &run, 0);
	iovecs(&run, &remote, &local);
	got = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
	for (u32 i = 0; got > 0 && i < got / page_size; i++)
		check_copy(l, run.first + i, copies + bytes(i));
	return got < 0 ? -1 : 0;
}

static long op_vm_write(struct lane *l)
{
	struct iovec remote, local;
	u64 tags[COPY_PAGES];
	struct run run;
	ssize_t got;

	if (!pick(l, COPY_PAGES, &run) || run.pages > COPY_PAGES || !is_private(run.first))
		return SKIPPED;
	note(l, &run, 0);
	for (u32 i = 0; i < run.pages; i++) {
		tags[i] = new_tag(l, run.first + i);
		fill(copies + bytes(i), tags[i], word_of(tags[i], 0));
	}
	iovecs(&run, &remote, &local);
	got = process_vm_writev(getpid(), &local, 1, &remote, 1, 0);
	for (u32 i = 0; got > 0 && i < got / page_size; i++) {
		struct cell *c = &cells[run.first + i];

		c->tag = tags[i];
		c->mark = word_of(tags[i], 0);
		c->flags &= ~F_MAYBE;
	}
	return got < 0 ? -1 : 0;
}

/* Advice to ourselves or to a child, who may have changed its mappings since. */
static long op_process_advise(struct lane *l)
{
	static const int kinds[] = { MADV_COLD, MADV_PAGEOUT, MADV_WILLNEED, MADV_COLLAPSE };
	int advice = kinds[below(&l->rng, ARRAY_SIZE(kinds))];
	pid_t pid = one_in(&l->rng, 2) ? some_child(&l->rng) : 0;
	int fd = syscall(SYS_pidfd_open, pid > 0 ? pid : getpid(), 0);
	struct iovec remote, local;
	struct run run;
	long ret = 0;

	if (fd < 0)
		return -1;
	if (pick(l, MAX_RUN, &run)) {
		note(l, &run, advice);
		iovecs(&run, &remote, &local);
		ret = syscall(SYS_process_madvise, fd, &remote, 1, advice, 0);
	}
	close(fd);
	return ret;
}

/* ---- nodes ---- */

static long op_move_pages(struct lane *l)
{
	int nodes[MAX_RUN], status[MAX_RUN];
	void *pages[MAX_RUN];
	struct run run;

	if (!pick(l, MAX_RUN, &run))
		return SKIPPED;
	if (run.pages > MAX_RUN)
		run.pages = MAX_RUN;
	note(l, &run, 0);
	for (u32 i = 0; i < run.pages; i++) {
		pages[i] = at(run.first + i);
		nodes[i] = below(&l->rng, NODES);
	}
	return syscall(SYS_move_pages, 0, (long)run.pages, pages, nodes, status, MPOL_MF_MOVE);
}

/* Default, preferred, bind or interleave: also a way to split and merge mappings. */
static long op_bind(struct lane *l)
{
	int mode = below(&l->rng, 4);
	unsigned long nodes = mode ? 1 + below(&l->rng, 3) : 0;
	struct run run;

	if (!pick(l, MAX_RUN, &run))
		return SKIPPED;
	if (mode == 2)
		nodes = 3;	/* bound to one node, a small machine runs out of memory */
	note(l, &run, mode << 4 | nodes);
	return syscall(SYS_mbind, at(run.first), bytes(run.pages), mode, &nodes, 8L,
		       mode ? MPOL_MF_MOVE : 0);
}

static long op_migrate(struct lane *l)
{
	unsigned long from = 1 + below(&l->rng, 2), to = 3 - from;

	note(l, &(struct run){ 0, 0 }, from);
	return syscall(SYS_migrate_pages, 0, 8L, &from, &to);
}

/* ---- what looks at page tables ---- */

static long op_look(struct lane *l)
{
	static const char * const files[] = {
		"/proc/self/smaps", "/proc/self/smaps_rollup", "/proc/self/numa_maps",
		"/proc/self/pagemap", "/proc/self/status",
	};
	u32 i = below(&l->rng, ARRAY_SIZE(files) + 2);
	unsigned char residency[MAX_RUN];
	struct run run;

	if (i < ARRAY_SIZE(files))
		return read_text(files[i], l->text, sizeof(l->text)) < 0 ? -1 : 0;
	if (i == ARRAY_SIZE(files))
		return write_number("/proc/self/clear_refs", 1 + below(&l->rng, 5)) ? 0 : -1;
	if (!pick(l, MAX_RUN - 1, &run))
		return SKIPPED;
	return mincore(at(run.first), bytes(run.pages), residency);
}

static long op_merge_any(struct lane *l)
{
	return prctl(PR_SET_MEMORY_MERGE, below(&l->rng, 2), 0, 0, 0);
}

const struct op ops[] = {
	{ "write",		op_write,		40, true },
	{ "mark",		op_mark,		30, true },
	{ "check",		op_check,		30, true },
	{ "mmap anon",		op_map_anon,		16, true },
	{ "mmap private",	op_map_private,		8, true },
	{ "mmap shared",	op_map_shared,		6, true },
	{ "mmap stack",		op_map_stack,		1, false },
	{ "stack growth",	op_grow_stack,		5, false },
	{ "munmap",		op_unmap,		6, true },
	{ "mremap move",	op_move,		14, true },
	{ "mremap resize",	op_resize,		6, true },
	{ "mremap again",	op_map_again,		2, true },
	{ "mprotect",		op_protect,		12, true },
	{ "madvise",		op_advise,		40, true },
	{ "madvise remove",	op_remove,		2, true },
	{ "soft offline",	op_offline,		1, false },
	{ "mlock",		op_lock,		4, false },
	{ "munlock",		op_unlock,		4, false },
	{ "mlockall",		op_lock_all,		1, false },
	{ "munlockall",		op_unlock_all,		1, false },
	{ "vm_readv",		op_vm_read,		4, false },
	{ "vm_writev",		op_vm_write,		4, false },
	{ "process_madvise",	op_process_advise,	4, false },
	{ "move_pages",		op_move_pages,		4, true },
	{ "mbind",		op_bind,		3, true },
	{ "migrate_pages",	op_migrate,		1, false },
	{ "look",		op_look,		4, false },
	{ "merge any",		op_merge_any,		1, false },
	{ "uffd copy",		op_uffd_copy,		3, false },
	{ "uffd zero",		op_uffd_zero,		2, false },
	{ "uffd move",		op_uffd_move,		6, false },
	{ "uffd protect",	op_uffd_protect,	3, false },
	{ "huge map",		op_huge_map,		2, false },
	{ "huge unmap",		op_huge_unmap,		1, false },
	{ "huge move",		op_huge_move,		1, false },
	{ "huge drop",		op_huge_drop,		1, false },
	{ "huge use",		op_huge_use,		4, false },
	{ "fork",		op_fork,		24, false },
	{ "vfork",		op_vfork,		3, false },
	{ "exec",		op_exec,		1, false },
	{ "kill",		op_kill,		1, false },
	{ "companion",		op_companion,		3, false },
};

const u32 ops_count = ARRAY_SIZE(ops);
