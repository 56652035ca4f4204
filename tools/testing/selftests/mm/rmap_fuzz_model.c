// SPDX-License-Identifier: GPL-2.0
/*
 * What each page must hold, and the check of it.
 *
 * The cells lie in the process's own memory, so fork copies them with the pages that
 * they speak of. Those of shared pages say only which page of which file it is.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rmap_fuzz.h"

#define WORDS		(page_size / sizeof(u64))
#define STRIDE		0x9e3779b97f4a7c15
#define FILE_TAGS	0xf11e000000000000
#define SAME_TAGS	0x5a3e000000000000	/* of a few, for KSM to find */
#define DIFFERENT	(~0u)

struct cell cells[CELLS];

/* ---- contents ---- */

u64 file_tag(u32 object, u32 index)
{
	return FILE_TAGS | (u64)object << 32 | index;
}

/* Who, when, where; or now and then one that other pages have as well. */
u64 new_tag(struct lane *l, u32 page)
{
	l->seq++;
	if (one_in(&l->rng, 4))
		return SAME_TAGS | (1 + below(&l->rng, 8));
	return (u64)self_id << 40 | (u64)(l->seq & 0xffffff) << 16 | page;
}

u64 word_of(u64 tag, u32 i)
{
	return tag ? tag ^ i * STRIDE : 0;
}

void fill(void *page, u64 tag, u64 mark)
{
	u64 *word = page;

	for (u32 i = 1; i < WORDS; i++)
		put(&word[i], word_of(tag, i));
	put(word, mark);
}

/* The first word that differs, or WORDS. */
static u32 first_difference(const void *page, u64 tag, u64 mark)
{
	const u64 *word = page;

	if (get(word) != mark)
		return 0;
	for (u32 i = 1; i < WORDS; i++)
		if (get(&word[i]) != word_of(tag, i))
			return i;
	return WORDS;
}

/* ---- accesses that may raise a signal ---- */

/* All are false if it did. */
#define GUARDED(l, access) ({					\
	bool ok_ = false;					\
	if (!sigsetjmp((l)->fault, 0)) {			\
		put(&(l)->guarded, true);			\
		access;						\
		ok_ = true;					\
	}							\
	put(&(l)->guarded, false);				\
	ok_;							\
})

bool guarded_fill(struct lane *l, void *page, u64 tag, u64 mark)
{
	return GUARDED(l, fill(page, tag, mark));
}

bool guarded_mark(struct lane *l, void *page, u64 mark)
{
	return GUARDED(l, put((u64 *)page, mark));
}

static bool guarded_compare(struct lane *l, const void *page, u64 tag, u64 mark, u32 *where)
{
	return GUARDED(l, *where = first_difference(page, tag, mark));
}

/* ---- cells ---- */

bool is_private(u32 page)
{
	return cells[page].kind == ANON || cells[page].kind == PRIVATE;
}

/* What the page holds as long as nobody writes to it. */
void set_base(u32 page)
{
	struct cell *c = &cells[page];

	c->tag = c->kind == PRIVATE ? file_tag(c->object, c->index) : 0;
	c->mark = word_of(c->tag, 0);
	c->flags &= ~F_MAYBE;
}

void set_fresh(u32 page, const struct cell *like)
{
	cells[page] = *like;
	set_base(page);
}

void set_none(u32 first, u32 pages)
{
	memset(cells + first, 0, pages * sizeof(cells[0]));
}

static void base_of(u32 page, u64 *tag, u64 *mark)
{
	struct cell old = cells[page];

	set_base(page);
	*tag = cells[page].tag;
	*mark = cells[page].mark;
	cells[page] = old;
}

/* ---- shared pages ---- */

struct shared_page *shared_of(u32 page)
{
	return &ctl->shared[cells[page].object][cells[page].index];
}

/* Never waits. A dead owner's page holds nobody knows what. */
bool shared_lock(struct lane *l, struct shared_page *s)
{
	u32 owner = 0;

	if (__atomic_compare_exchange_n(&s->owner, &owner, l->tid, false,
					__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return true;
	if (!kill(owner, 0) || errno != ESRCH)
		return false;
	if (!__atomic_compare_exchange_n(&s->owner, &owner, l->tid, false,
					 __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return false;
	s->unknown = 1;
	return true;
}

void shared_unlock(struct shared_page *s)
{
	put(&s->owner, 0);
}

/* ---- mismatches ---- */

void show_history(const struct lane *l)
{
	for (u32 n = l->step < RING ? 0 : l->step - RING; n < l->step; n++) {
		const struct past *p = &l->ring[n % RING];

		say("#   %u %s %u+%u arg %#lx%s%s\n", n, ops[p->op].name, p->first, p->pages,
		    p->arg, p->error ? ": " : "", p->error ? strerror(p->error) : "");
	}
}

/* Says what is wrong and ends the run: what comes after one mismatch tells little. */
void __noreturn mismatched(struct lane *l, const char *format, ...)
{
	char text[256];
	va_list args;

	inject(false);
	put(&ctl->phase, PHASE_END);
	add(&ctl->mismatches, 1);
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (add(&ctl->shown, 1) <= 8) {
		show_history(l);
		say("# MISMATCH seed %llu process %u (pid %d) step %u%s: %s\n", ctl->opt.seed,
		    self_id, getpid(), l->step, l == &side_lane ? " companion" : "", text);
	}
	_exit(l == &side_lane ? EXIT_UNCOUNTED : EXIT_DONE);
}

static u64 pagemap_of(u32 page)
{
	u64 entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || pread(fd, &entry, sizeof(entry),
			    (u64)at(page) / page_size * sizeof(entry)) < 0)
		entry = 0;
	if (fd >= 0)
		close(fd);
	return entry;
}

static void __noreturn wrong_contents(struct lane *l, u32 page, const void *where, u64 tag,
				      u64 mark, u32 first)
{
	static const char * const kinds[] = { "none", "anon", "private", "shared" };
	const struct cell *c = &cells[page];
	const u64 *word = where;
	u32 differ = 0;

	for (u32 i = 0; i < WORDS; i++)
		differ += word[i] != (i ? word_of(tag, i) : mark);
	say("# page %u: %s %u/%u flags %x prot %x, pte %#llx\n", page, kinds[c->kind], c->object,
	    c->index, c->flags, c->prot, pagemap_of(page));
	say("# tag %#llx, found %#llx; mark %#llx, found %#llx\n", tag,
	    word[WORDS - 1] ^ (WORDS - 1) * STRIDE, mark, word[0]);
	mismatched(l, "page %u%s has %u wrong words from %u: %#llx, not %#llx", page,
		   where == at(page) ? "" : ", copied,", differ, first, word[first],
		   first ? word_of(tag, first) : mark);
}

/*
 * A page that could not be reached: normal for hugetlb, whose pool may be empty, and
 * if failures are injected. It is given up.
 */
static void unreachable(struct lane *l, u32 page, const char *what)
{
	if (cells[page].flags & F_HUGE) {
		huge_lost(page);
		return;
	}
	if (!ctl->opt.failslab)
		mismatched(l, "page %u (kind %u flags %x prot %x) cannot be %s: signal %d, code %d",
			   page, cells[page].kind, cells[page].flags, cells[page].prot, what,
			   l->fault_signal, l->fault_code);
	add(&ctl->lost_pages, 1);
	munmap(at(page), page_size);
	resync(l, page, 1);
}

/* ---- checks ---- */

static void check_shared(struct lane *l, u32 page)
{
	struct shared_page *s = shared_of(page);
	u32 first;

	if (!shared_lock(l, s))
		return;
	if (!s->unknown) {
		if (!guarded_compare(l, at(page), s->tag, s->mark, &first))
			first = DIFFERENT;
		else if (first != WORDS)
			wrong_contents(l, page, at(page), s->tag, s->mark, first);
		add(&ctl->checked, 1);
	} else {
		first = WORDS;
	}
	shared_unlock(s);
	if (first == DIFFERENT)
		unreachable(l, page, "read");
}

/* Of a private page, or of a copy of it made some other way. */
static bool compare(struct lane *l, u32 page, const void *where)
{
	struct cell *c = &cells[page];
	u64 tag, mark;
	u32 first, second;

	if (!guarded_compare(l, where, c->tag, c->mark, &first))
		return false;
	add(&ctl->checked, 1);
	if (first == WORDS)
		return true;
	if (c->flags & F_MAYBE) {
		base_of(page, &tag, &mark);
		if (!guarded_compare(l, where, tag, mark, &second))
			return false;
		if (second == WORDS) {
			set_base(page);
			return true;
		}
	}
	wrong_contents(l, page, where, c->tag, c->mark, first);
}

void check_copy(struct lane *l, u32 page, const void *copy)
{
	compare(l, page, copy);
}

void check_page(struct lane *l, u32 page)
{
	struct cell *c = &cells[page];

	if (c->kind == NONE || !(c->prot & PROT_READ))
		return;
	if (c->kind == SHARED)
		check_shared(l, page);
	else if (!compare(l, page, at(page)))
		unreachable(l, page, "read");
}

void check_run(struct lane *l, const struct run *run)
{
	for (u32 i = 0; i < run->pages; i++)
		check_page(l, run->first + i);
}

static void check_range(struct lane *l, u32 first, u32 pages)
{
	for (u32 page = first; page < first + pages; page++) {
		struct cell *c = &cells[page];

		if (c->kind && !(c->prot & PROT_READ) && !(c->flags & F_HUGE) &&
		    !mprotect(at(page), page_size, PROT_READ))
			c->prot = PROT_READ;
		check_page(l, page);
	}
}

/* When no companion runs. */
void check_all(struct lane *l)
{
	check_maps(l);
	check_range(l, 0, ctl->arena_pages + HUGE_SLOTS * HUGE_PAGES);
}

/* ---- writes ---- */

static bool write_shared(struct lane *l, u32 page, bool all)
{
	struct shared_page *s = shared_of(page);
	u64 tag = all ? new_tag(l, page) : s->tag, mark = rng_next(&l->rng);
	bool ok;

	if (!shared_lock(l, s))
		return true;
	if (!all)
		tag = s->tag;
	all |= s->unknown;
	s->unknown = 1;
	ok = all ? guarded_fill(l, at(page), tag, mark) : guarded_mark(l, at(page), mark);
	s->tag = tag;
	s->mark = mark;
	s->unknown = !ok;
	shared_unlock(s);
	if (!ok)
		unreachable(l, page, "written");
	return ok;
}

/* A write fixes what a page that may have been dropped holds. */
static void settle(u32 page)
{
	struct cell *c = &cells[page];
	u64 tag, mark;

	base_of(page, &tag, &mark);
	if (get((u64 *)at(page) + 1) == word_of(tag, 1))
		c->tag = tag;
	c->flags &= ~F_MAYBE;
}

static bool writable(u32 page)
{
	return cells[page].kind && (cells[page].prot & PROT_WRITE);
}

/* All of a page. False if it could not be reached. */
bool write_page(struct lane *l, u32 page)
{
	struct cell *c = &cells[page];
	u64 tag;

	if (!writable(page))
		return false;
	if (c->kind == SHARED)
		return write_shared(l, page, true);
	tag = new_tag(l, page);
	if (!guarded_fill(l, at(page), tag, word_of(tag, 0)) &&
	    !(l == &main_lane && uffd_protect_hit() &&
	      guarded_fill(l, at(page), tag, word_of(tag, 0)))) {
		unreachable(l, page, "written");
		return false;
	}
	c->tag = tag;
	c->mark = word_of(tag, 0);
	c->flags &= ~F_MAYBE;
	return true;
}

/* One word of a page. */
bool mark_page(struct lane *l, u32 page)
{
	struct cell *c = &cells[page];
	u64 mark = rng_next(&l->rng);

	if (!writable(page))
		return false;
	if (c->kind == SHARED)
		return write_shared(l, page, false);
	if (!guarded_mark(l, at(page), mark) &&
	    !(l == &main_lane && uffd_protect_hit() &&
	      guarded_mark(l, at(page), mark))) {
		unreachable(l, page, "marked");
		return false;
	}
	c->mark = mark;
	if (c->flags & F_MAYBE)
		settle(page);
	return true;
}

/* ---- the mappings, as /proc/self/maps has them ---- */

static u8 prot_of(const char *mode)
{
	return (mode[0] == 'r' ? PROT_READ : 0) | (mode[1] == 'w' ? PROT_WRITE : 0) |
	       (mode[2] == 'x' ? PROT_EXEC : 0);
}

static void see_line(struct lane *l, const char *line)
{
	unsigned long start, end;
	char *rest;
	u8 prot;

	start = strtoul(line, &rest, 16);
	end = strtoul(rest + 1, &rest, 16);
	prot = prot_of(rest + 1);
	if (end <= ARENA || start >= (unsigned long)at(CELLS))
		return;
	if (start < ARENA)
		start = ARENA;
	for (; start < end && start < (unsigned long)at(CELLS); start += page_size)
		l->seen[(start - ARENA) / page_size] = prot;
}

/* A buffer of whole lines and a rest, which is kept for the next one. */
static size_t see_lines(struct lane *l, size_t len)
{
	char *line = l->text, *end;

	l->text[len] = 0;
	while ((end = strchr(line, '\n'))) {
		see_line(l, line);
		line = end + 1;
	}
	len -= line - l->text;
	memmove(l->text, line, len);
	return len;
}

static void see_maps(struct lane *l)
{
	size_t len;
	ssize_t got = 0;
	int fd;

	do {
		memset(l->seen, NOT_MAPPED, sizeof(l->seen));
		len = 0;
		fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		while ((got = read(fd, l->text + len, sizeof(l->text) - 1 - len)) > 0)
			len = see_lines(l, len + got);
		close(fd);
	} while (fd < 0 || got < 0);
}

/*
 * After a call that failed: what is mapped, and how? One that did part of its work may
 * have left a hole. What is mapped and should not be is a stack that has grown.
 */
void resync(struct lane *l, u32 first, u32 pages)
{
	int saved = errno;

	inject(false);
	see_maps(l);
	for (u32 page = first; page < first + pages; page++) {
		if (l->seen[page] == NOT_MAPPED)
			set_none(page, 1);
		else if (cells[page].kind == NONE)
			munmap(at(page), page_size);
		else
			cells[page].prot = l->seen[page];
	}
	inject(true);
	errno = saved;
}

/* Is any part of the arena one that grows down? */
bool any_stack(void)
{
	for (u32 page = 0; page < CELLS; page++)
		if (cells[page].flags & F_STACK)
			return true;
	return false;
}

void check_maps(struct lane *l)
{
	inject(false);
	see_maps(l);
	add(&ctl->map_checks, 1);
	for (u32 page = l->first; page < l->first + l->pages; page++) {
		u8 want = cells[page].kind ? cells[page].prot : NOT_MAPPED;

		if (l->seen[page] == want)
			continue;
		mismatched(l, "page %u, kind %u flags %x: protection %x, not %x (%x: none)",
			   page, cells[page].kind, cells[page].flags, l->seen[page], want,
			   NOT_MAPPED);
	}
	inject(true);
}
