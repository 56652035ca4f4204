// SPDX-License-Identifier: GPL-2.0
/*
 * The heap of one process of the storm, and the model of what it must hold.
 *
 * The heap is a number of pages, each known by its index, that wander about in
 * a window of addresses. The model says for each page where it is now and
 * who wrote it last. The model lies in private memory itself, so that fork gives the
 * child exactly what copy-on-write promises it: the parent's view of that
 * moment, and nothing of what anyone else writes later.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rmap_storm.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP	4
#endif

#define NOWHERE		UINT_MAX
#define VMA_PAGES	16	/* of each of the many small vmas */
#define SHOWN_MAX	20

/* Far from whatever the libraries map. */
#define WINDOW_BASE	(64UL << 30)

/* Writers that are no process. */
enum {
	WRITER_NOBODY,		/* never written: zeroes */
	WRITER_FILE,		/* as the file has it */
	WRITER_COMMON,		/* a text that several pages hold, for KSM */
};

enum kind {
	KIND_HUGE,
	KIND_ANON,
	KIND_TMPFS,
	KIND_DISK,
	KIND_SPLIT,
	KIND_KSM,
	KINDS
};

static const struct {
	const char *name;
	unsigned int share;	/* of the heap, in sixteenths */
} kinds[KINDS] = {
	[KIND_HUGE]	= { "huge", 4 },
	[KIND_ANON]	= { "anonymous", 4 },
	[KIND_TMPFS]	= { "private file on tmpfs", 2 },
	[KIND_DISK]	= { "private file", 2 },
	[KIND_SPLIT]	= { "split by mprotect", 2 },
	[KIND_KSM]	= { "KSM-advised", 2 },
};

struct page_model {
	u64 writer;
	u32 when;
	u32 slot;		/* where in the window, in pages */
	u8 kind;
	u8 readonly;
};

/* What a page holds, over and over from its first byte to its last. */
struct stamp {
	u64 writer;
	u64 place;
	u64 when;
	u64 sum;
};

static struct page_model *model;
static u8 *slot_used;
static unsigned int pages;
static unsigned int slots;
static unsigned int huge_pages;		/* of one huge page; 0: no huge area */
static unsigned int ksm_texts;		/* different contents that KSM may merge */
static int kind_fd[KINDS];
static unsigned int shared_page;	/* for the self-check */

static void *slot_addr(unsigned int slot)
{
	return (void *)(WINDOW_BASE + slot * page_size);
}

static void *page_addr(unsigned int i)
{
	return slot_addr(model[i].slot);
}

static void *run_addr(const struct run *run)
{
	return page_addr(run->first);
}

static size_t run_bytes(const struct run *run)
{
	return run->pages * page_size;
}

unsigned int heap_pages(void)
{
	return pages;
}

/*
 * A call that failed for want of memory has changed nothing and is counted; any
 * other failure is an error of the kernel or of this program.
 */
static bool worked(bool ok, const char *call)
{
	if (ok)
		return true;
	if (errno == ENOMEM || errno == EAGAIN) {
		add(&storm->refused, 1);
		return false;
	}
	add(&storm->errors, 1);
	if (add(&storm->shown, 1) <= SHOWN_MAX)
		dprintf(STDOUT_FILENO, "# error: %s in %s (pid %d): %s\n", call,
			self.path, getpid(), strerror(errno));
	return false;
}

static bool is_mapped(unsigned int i)
{
	return model[i].slot != NOWHERE;
}

static bool is_file(unsigned int kind)
{
	return kind == KIND_TMPFS || kind == KIND_DISK;
}

/* ---- contents ---- */

static struct stamp make_stamp(u64 writer, u64 place, u64 when)
{
	struct stamp s = { .writer = writer, .place = place, .when = when };

	s.sum = mix(mix(mix(storm->opt.seed + writer) + place) + when);
	return s;
}

static struct stamp expected(unsigned int i)
{
	const struct page_model *m = &model[i];
	struct stamp none = { 0 };

	if (m->writer == WRITER_NOBODY)
		return none;
	if (m->writer == WRITER_COMMON)
		return make_stamp(WRITER_COMMON, i % ksm_texts, m->when);
	return make_stamp(m->writer, i, m->when);
}

static void fill(void *page, struct stamp stamp)
{
	size_t done = sizeof(stamp);

	memcpy(page, &stamp, done);
	for (; done < page_size; done *= 2)
		memcpy(page + done, page, done);
}

static bool holds(const void *page, struct stamp stamp)
{
	size_t n = sizeof(stamp);

	return !memcmp(page, &stamp, n) &&
	       !memcmp(page, page + n, page_size - n);
}

/* The first stamp in the page that is not what it should be. */
static struct stamp culprit(const void *page, struct stamp want, size_t *offset)
{
	struct stamp found = want;

	for (*offset = 0; *offset < page_size; *offset += sizeof(found)) {
		memcpy(&found, page + *offset, sizeof(found));
		if (memcmp(&found, &want, sizeof(found)))
			break;
	}
	return found;
}

static void mismatch(unsigned int i, struct stamp want)
{
	struct stamp found;
	size_t offset;

	add(&storm->mismatches, 1);
	if (add(&storm->shown, 1) > SHOWN_MAX)
		return;
	found = culprit(page_addr(i), want, &offset);
	dprintf(STDOUT_FILENO,
		"# wrong: process %s (pid %d) page %u at %p+%zu, %s: must hold writer %016llx when %llu, holds writer %016llx place %llu when %llu (sum %s)\n",
		self.path, getpid(), i, page_addr(i), offset,
		kinds[model[i].kind].name,
		want.writer, want.when,
		found.writer, found.place,
		found.when,
		found.sum == make_stamp(found.writer, found.place, found.when).sum ?
		"right" : "wrong");
}

static void check_page(unsigned int i)
{
	struct stamp want = expected(i);

	if (!holds(page_addr(i), want))
		mismatch(i, want);
}

void heap_check(const struct run *run)
{
	for (unsigned int i = run->first; i < run->first + run->pages; i++)
		check_page(i);
	add(&storm->checked, run->pages);
}

void heap_check_all(void)
{
	unsigned int checked = 0;

	for (unsigned int i = 0; i < pages; i++) {
		if (!is_mapped(i))
			continue;
		check_page(i);
		checked++;
	}
	add(&storm->checked, checked);
}

/* ---- places ---- */

static bool slots_free(unsigned int slot, unsigned int n)
{
	return slot + n <= slots && !memchr(slot_used + slot, 1, n);
}

static unsigned int find_slots(struct rng *r, unsigned int n, unsigned int align)
{
	for (int tries = 0; tries < 32; tries++) {
		unsigned int slot = below(r, slots / align) * align;

		if (slots_free(slot, n))
			return slot;
	}
	return NOWHERE;
}

static void place_run(const struct run *run, unsigned int slot)
{
	for (unsigned int i = 0; i < run->pages; i++) {
		model[run->first + i].slot = slot + i;
		slot_used[slot + i] = 1;
	}
}

static void displace_run(const struct run *run)
{
	for (unsigned int i = run->first; i < run->first + run->pages; i++) {
		slot_used[model[i].slot] = 0;
		model[i].slot = NOWHERE;
	}
}

static void forget_contents(const struct run *run)
{
	for (unsigned int i = run->first; i < run->first + run->pages; i++) {
		model[i].writer = is_file(model[i].kind) ? WRITER_FILE : WRITER_NOBODY;
		model[i].when = 0;
	}
}

/* Whether page i continues the page before it: same kind, same state, next address. */
static bool continues(unsigned int i)
{
	const struct page_model *a = &model[i - 1], *b = &model[i];

	if (a->kind != b->kind || a->readonly != b->readonly)
		return false;
	if (a->slot == NOWHERE || b->slot == NOWHERE)
		return a->slot == b->slot;
	return a->slot + 1 == b->slot;
}

static void extend(struct run *run, unsigned int max)
{
	run->pages = 1;
	while (run->pages < max && run->first + run->pages < pages &&
	       continues(run->first + run->pages))
		run->pages++;
}

static bool pick(struct rng *r, unsigned int max, struct run *run, bool mapped)
{
	for (int tries = 0; tries < 16; tries++) {
		run->first = below(r, pages);
		if (mapped == is_mapped(run->first)) {
			extend(run, 1 + below(r, max));
			return true;
		}
	}
	return false;
}

bool heap_pick(struct rng *r, unsigned int max, struct run *run)
{
	return pick(r, max, run, true);
}

/* ---- mapping ---- */

static bool map_run(const struct run *run, unsigned int slot)
{
	unsigned int kind = model[run->first].kind;
	int flags = MAP_PRIVATE | MAP_FIXED_NOREPLACE;
	off_t offset = 0;
	void *p;

	if (is_file(kind))
		offset = (off_t)run->first * page_size;
	else
		flags |= MAP_ANONYMOUS | MAP_NORESERVE;
	p = mmap(slot_addr(slot), run_bytes(run), PROT_READ | PROT_WRITE, flags,
		 kind_fd[kind], offset);
	if (!worked(p != MAP_FAILED, "mmap"))
		return false;
	place_run(run, slot);
	forget_contents(run);
	for (unsigned int i = 0; i < run->pages; i++)
		model[run->first + i].readonly = 0;
	if (kind == KIND_HUGE)
		heap_advise(run, MADV_HUGEPAGE);
	if (kind == KIND_KSM)
		heap_advise(run, MADV_MERGEABLE);
	return true;
}

void heap_advise(const struct run *run, int advice)
{
	/* May be refused for many good reasons, and changes no contents. */
	madvise(run_addr(run), run_bytes(run), advice);
}

void heap_unmap(const struct run *run)
{
	if (worked(!munmap(run_addr(run), run_bytes(run)), "munmap"))
		displace_run(run);
}

static void insist_unmap(unsigned long start, unsigned long end)
{
	while (start < end && !worked(!munmap((void *)start, end - start), "munmap"))
		usleep(1000);
}

/* Become a process that has one piece only. */
void heap_keep(const struct run *run)
{
	unsigned long start = (unsigned long)run_addr(run);
	unsigned long end = start + run_bytes(run);

	insist_unmap(storm->window.start, start);
	insist_unmap(end, storm->window.end);
	for (unsigned int i = 0; i < pages; i++) {
		struct run gone = { .first = i, .pages = 1 };

		if (i - run->first >= run->pages && is_mapped(i))
			displace_run(&gone);
	}
}

/* Fill a hole; if the left neighbour has room behind it, there, to be merged. */
void heap_refill(struct rng *r)
{
	struct run run;
	unsigned int slot = NOWHERE;

	if (!pick(r, VMA_PAGES, &run, false))
		return;
	/* Pages that are nowhere keep their flags; a new mapping has none. */
	if (run.first && is_mapped(run.first - 1) && below(r, 2))
		slot = model[run.first - 1].slot + 1;
	if (slot == NOWHERE || !slots_free(slot, run.pages))
		slot = find_slots(r, run.pages, 1);
	if (slot != NOWHERE)
		map_run(&run, slot);
}

/*
 * Moves what is one vma. A run may cross into a vma that only happens to lie
 * next to it, which mremap() says by EFAULT.
 */
static bool move_to(const struct run *run, unsigned int slot, bool leave)
{
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED | (leave ? MREMAP_DONTUNMAP : 0);
	size_t bytes = run_bytes(run);
	void *from = run_addr(run);
	void *to = mremap(from, bytes, bytes, flags, slot_addr(slot));

	if (to == MAP_FAILED && errno == EFAULT)
		return false;
	if (!worked(to != MAP_FAILED, "mremap"))
		return false;
	if (leave)
		insist_unmap((unsigned long)from, (unsigned long)from + bytes);
	displace_run(run);
	place_run(run, slot);
	add(&storm->moved, run->pages);
	return true;
}

void heap_move(struct rng *r, const struct run *run)
{
	struct run one = { .first = run->first, .pages = 1 };
	unsigned int slot = find_slots(r, run->pages, 1);
	bool leave = !below(r, 4);

	if (slot != NOWHERE && !move_to(run, slot, leave))
		move_to(&one, slot, leave);
}

void heap_move_huge(struct rng *r)
{
	struct run run = { 0 };
	unsigned int slot;

	if (!huge_pages)
		return;
	extend(&run, huge_pages);
	if (run.pages < huge_pages || !is_mapped(0))
		return;
	slot = find_slots(r, huge_pages, huge_pages);
	if (slot != NOWHERE)
		move_to(&run, slot, false);
}

void heap_protect(const struct run *run, bool readonly)
{
	int prot = PROT_READ | (readonly ? 0 : PROT_WRITE);

	/* Half a change of protection is not in the model: insist. */
	while (!worked(!mprotect(run_addr(run), run_bytes(run), prot), "mprotect"))
		usleep(1000);
	for (unsigned int i = run->first; i < run->first + run->pages; i++)
		model[i].readonly = readonly;
}

/* ---- writing ---- */

static void write_fault(void *page)
{
	static u32 zero;

	__atomic_fetch_add((u32 *)page, get(&zero), __ATOMIC_RELAXED);
}

static void write_page(struct rng *r, unsigned int i, u32 when)
{
	struct page_model *m = &model[i];

	m->writer = self.id;
	m->when = when;
	if (m->kind == KIND_KSM && below(r, 4)) {
		m->writer = WRITER_COMMON;
		m->when = below(r, 2);
	}
	fill(page_addr(i), expected(i));
}

/*
 * Writes in one of three ways: at once; after reading, so that the page is
 * mapped read-only first; or after a write fault that changes nothing, which shows
 * whether the copy is right before it is overwritten.
 */
void heap_write(struct rng *r, const struct run *run, u32 when)
{
	unsigned int way = below(r, 3);

	if (model[run->first].readonly)
		heap_protect(run, false);
	for (unsigned int i = run->first; i < run->first + run->pages; i++) {
		if (way == 2)
			write_fault(page_addr(i));
		if (way)
			check_page(i);
		write_page(r, i, when);
	}
	add(&storm->written, run->pages);
	if (way)
		add(&storm->checked, run->pages);
}

/* Give the contents back: private changes are gone. */
void heap_drop(const struct run *run)
{
	if (worked(!madvise(run_addr(run), run_bytes(run), MADV_DONTNEED), "madvise"))
		forget_contents(run);
}

/* For the companion thread, which reads the model while it changes. */
void *heap_some_page(struct rng *r)
{
	unsigned int slot = get(&model[below(r, pages)].slot);

	return slot == NOWHERE ? NULL : slot_addr(slot);
}

/* ---- building ---- */

static void *private_table(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		perror("# rmap_storm: mmap of the model");
		exit(1);
	}
	return p;
}

static unsigned int kind_pages(unsigned int kind)
{
	unsigned int n = pages * kinds[kind].share / 16;

	if (kind != KIND_HUGE || !huge_pages)
		return n;
	return n < huge_pages ? huge_pages : n - n % huge_pages;
}

static void size_heap(void)
{
	size_t bytes = ((size_t)storm->opt.memory_mb << 20) / storm->opt.processes;

	pages = bytes / page_size;
	if (pages < 16 * VMA_PAGES)
		pages = 16 * VMA_PAGES;
	huge_pages = sys_huge_size() / page_size;
	if (huge_pages > pages / 2)
		huge_pages = 0;
	/* Few enough places for each text: reclaim leaves merged pages with MANY mappings. */
	ksm_texts = 1 + kind_pages(KIND_KSM) * (population_cap() + 1) / (MANY * 3 / 4);
	slots = 3 * pages;
	if (huge_pages)
		slots += huge_pages - slots % huge_pages;
	storm->window.start = WINDOW_BASE;
	storm->window.end = WINDOW_BASE + slots * page_size;
}

static int open_file(unsigned int kind)
{
	char name[PATH_LEN + 32];
	int fd;

	if (kind == KIND_TMPFS)
		return memfd_create("rmap_storm", 0);
	snprintf(name, sizeof(name), "%s/rmap_storm.XXXXXX", storm->opt.dir);
	fd = mkstemp(name);
	if (fd >= 0)
		unlink(name);
	return fd;
}

static bool write_file(int fd, const struct run *run)
{
	char page[page_size];

	for (unsigned int i = run->first; i < run->first + run->pages; i++) {
		fill(page, make_stamp(WRITER_FILE, i, 0));
		if (pwrite(fd, page, page_size, (off_t)i * page_size) != (ssize_t)page_size)
			return false;
	}
	return !fsync(fd);
}

static void make_file(unsigned int kind, const struct run *run)
{
	kind_fd[kind] = open_file(kind);
	if (kind_fd[kind] >= 0 && write_file(kind_fd[kind], run))
		return;
	dprintf(STDOUT_FILENO, "# rmap_storm: file in %s: %s\n",
		kind == KIND_TMPFS ? "tmpfs" : storm->opt.dir, strerror(errno));
	exit(1);
}

/* Many vmas: a hole after each, but for the kinds that are split by other means. */
static unsigned int map_kind(const struct run *run, unsigned int slot)
{
	bool whole = model[run->first].kind == KIND_HUGE ||
		     model[run->first].kind == KIND_SPLIT;
	unsigned int step = whole ? run->pages : VMA_PAGES;
	struct run piece = *run;

	while (piece.first < run->first + run->pages) {
		piece.pages = run->first + run->pages - piece.first;
		if (piece.pages > step)
			piece.pages = step;
		if (!map_run(&piece, slot))
			exit(1);
		slot += piece.pages + 1;
		piece.first += piece.pages;
	}
	return slot;
}

/* Three pages of four are written before the first fork. */
static void first_contents(struct rng *r)
{
	struct run run;

	for (run.first = 0; run.first < pages; run.first += run.pages) {
		extend(&run, 1 + below(r, VMA_PAGES));
		if (is_mapped(run.first) && below(r, 4))
			heap_write(r, &run, 0);
	}
}

/* Every second page of the split kind read-only, and some pieces moved. */
static void first_cuts(struct rng *r)
{
	struct run run = { .pages = 1 };

	for (run.first = 0; run.first < pages; run.first += 2 + below(r, 8))
		if (model[run.first].kind == KIND_SPLIT)
			heap_protect(&run, true);
	for (unsigned int n = 0; n < pages / 64; n++)
		if (heap_pick(r, VMA_PAGES / 2, &run) &&
		    model[run.first].kind != KIND_HUGE)
			heap_move(r, &run);
}

void heap_build(void)
{
	struct rng r = { mix(storm->opt.seed) };
	unsigned int slot = 0, kind, i = 0;

	size_heap();
	model = private_table(pages * sizeof(*model));
	slot_used = private_table(slots);
	for (kind = 0; kind < KINDS; kind++) {
		struct run run = { .first = i, .pages = kind_pages(kind) };

		if (run.pages > pages - i || kind == KINDS - 1)
			run.pages = pages - i;
		for (; i < run.first + run.pages; i++) {
			model[i].kind = kind;
			model[i].slot = NOWHERE;
		}
		kind_fd[kind] = -1;
		if (!run.pages)
			continue;
		if (is_file(kind))
			make_file(kind, &run);
		slot = map_kind(&run, slot);
	}
	first_contents(&r);
	first_cuts(&r);
}

/* ---- for the self-check ---- */

/* One page that is not copied on write, and in the model is. */
void heap_damage_shared(void)
{
	void *page;

	while (!is_mapped(shared_page) || model[shared_page].readonly)
		shared_page++;
	page = mmap(page_addr(shared_page), page_size, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (page != MAP_FAILED)
		fill(page, expected(shared_page));
}

void heap_write_shared(void)
{
	struct run run = { .first = shared_page, .pages = 1 };
	struct rng r = { 0 };

	heap_write(&r, &run, 1);
}
