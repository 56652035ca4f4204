// SPDX-License-Identifier: GPL-2.0
/*
 * Userfaultfd: pages copied, zeroed, moved and write-protected from user space. A fault
 * that would wait for a handler raises a signal instead, so nobody waits.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rmap_fuzz.h"

#define MAX_UFFD	16

static char source[MAX_UFFD * MAX_PAGE] __attribute__((aligned(MAX_PAGE)));
static int protect_fd = -1;	/* of the run that is protected now */
static struct run protect_run;
static bool can_protect;	/* not every machine can */

static int open_uffd(const struct run *run, u64 mode)
{
	struct uffdio_register reg = {
		.range = { (u64)at(run->first), bytes(run->pages) }, .mode = mode,
	};
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_SIGBUS };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -1;
	if (ioctl(fd, UFFDIO_API, &api))
		goto fail;
	can_protect = api.features & UFFD_FEATURE_PAGEFAULT_FLAG_WP;
	if (!can_protect)
		reg.mode &= ~UFFDIO_REGISTER_MODE_WP;
	if (!ioctl(fd, UFFDIO_REGISTER, &reg))
		return fd;
fail:
	close(fd);
	return -1;
}

/* An anonymous run with nothing in it, registered. */
static int empty_run(struct lane *l, struct run *run)
{
	int fd;

	if (!pick_kind(l, MAX_UFFD, ANON, run) || run->pages > MAX_UFFD)
		return -2;
	make_writable(l, run);
	fd = open_uffd(run, UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP);
	if (fd < 0)
		return -1;
	if (madvise(at(run->first), bytes(run->pages), MADV_DONTNEED)) {
		for (u32 i = 0; i < run->pages; i++)
			cells[run->first + i].flags |= F_MAYBE;
		close(fd);
		return -1;
	}
	for (u32 i = 0; i < run->pages; i++)
		set_base(run->first + i);
	return fd;
}

long op_uffd_copy(struct lane *l)
{
	u64 tags[MAX_UFFD];
	struct uffdio_copy copy = { .src = (u64)source };
	struct run run;
	int fd = empty_run(l, &run);

	if (fd < 0)
		return fd == -2 ? SKIPPED : -1;
	note(l, &run, 0);
	for (u32 i = 0; i < run.pages; i++) {
		tags[i] = new_tag(l, run.first + i);
		fill(source + bytes(i), tags[i], word_of(tags[i], 0));
	}
	copy.dst = (u64)at(run.first);
	copy.len = bytes(run.pages);
	copy.mode = can_protect && one_in(&l->rng, 2) ? UFFDIO_COPY_MODE_WP : 0;
	ioctl(fd, UFFDIO_COPY, &copy);
	for (u32 i = 0; copy.copy > 0 && i < copy.copy / page_size; i++) {
		cells[run.first + i].tag = tags[i];
		cells[run.first + i].mark = word_of(tags[i], 0);
	}
	close(fd);
	return copy.copy > 0 ? 0 : -1;
}

long op_uffd_zero(struct lane *l)
{
	struct uffdio_zeropage zero = {};
	struct run run;
	int fd = empty_run(l, &run);

	if (fd < 0)
		return fd == -2 ? SKIPPED : -1;
	note(l, &run, 0);
	zero.range.start = (u64)at(run.first);
	zero.range.len = bytes(run.pages);
	ioctl(fd, UFFDIO_ZEROPAGE, &zero);
	close(fd);
	return zero.zeropage > 0 ? 0 : -1;
}

/* The pages change their address, and nothing else. */
long op_uffd_move(struct lane *l)
{
	struct uffdio_move move = {};
	struct run from, to;
	u32 moved = 0;
	int fd = empty_run(l, &to);

	if (fd < 0)
		return fd == -2 ? SKIPPED : -1;
	if (!pick_kind(l, MAX_UFFD, ANON, &from) || from.pages < to.pages ||
	    (to.first < from.first + from.pages && from.first < to.first + to.pages)) {
		close(fd);
		return 0;
	}
	from.pages = to.pages;
	make_writable(l, &from);
	for (u32 i = 0; i < from.pages; i++)
		if (one_in(&l->rng, 2))
			mark_page(l, from.first + i);
	note(l, &from, to.first);
	move.dst = (u64)at(to.first);
	move.src = (u64)at(from.first);
	move.len = bytes(to.pages);
	move.mode = one_in(&l->rng, 2) ? UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES : 0;
	ioctl(fd, UFFDIO_MOVE, &move);
	if (move.move > 0)
		moved = move.move / page_size;
	for (u32 i = 0; i < moved; i++) {
		struct cell *src = &cells[from.first + i], *dst = &cells[to.first + i];

		dst->tag = src->tag;
		dst->mark = src->mark;
		dst->flags |= src->flags & F_MAYBE;
		set_base(from.first + i);
	}
	close(fd);
	return moved ? 0 : -1;
}

/* In a child, where the descriptor speaks of the parent's memory, all is ended already. */
void uffd_protect_forget(void)
{
	if (protect_fd >= 0)
		close(protect_fd);
	protect_fd = -1;
}

/* Not by close() alone: a companion or a child may have a copy of the descriptor. */
void uffd_protect_end(void)
{
	struct uffdio_range page = { (u64)at(protect_run.first), page_size };

	if (protect_fd < 0)
		return;
	inject(false);
	/* Singly, as it is refused if there is another kind of mapping by now. */
	for (u32 i = 0; i < protect_run.pages; i++, page.start += page_size)
		ioctl(protect_fd, UFFDIO_UNREGISTER, &page);
	inject(true);
	uffd_protect_forget();
}

/* Was it the protection that a write failed on? Then it is no more. */
bool uffd_protect_hit(void)
{
	if (protect_fd < 0)
		return false;
	uffd_protect_end();
	return true;
}

/* Protected until the next time, or until a write. */
long op_uffd_protect(struct lane *l)
{
	struct uffdio_writeprotect wp = { .mode = UFFDIO_WRITEPROTECT_MODE_WP };
	struct run *run = &protect_run;

	if (protect_fd >= 0) {
		note(l, run, 0);
		uffd_protect_end();
		return 0;
	}
	if (!pick_kind(l, MAX_UFFD * 4, ANON, run))
		return SKIPPED;
	note(l, run, 1);
	protect_fd = open_uffd(run, UFFDIO_REGISTER_MODE_WP);
	if (protect_fd < 0)
		return -1;
	wp.range.start = (u64)at(run->first);
	wp.range.len = bytes(run->pages);
	return ioctl(protect_fd, UFFDIO_WRITEPROTECT, &wp);
}
