/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Random system calls on memory: what the parts of the fuzzer share.
 *
 * rmap_fuzz.c		the runner: options, watchdog, verdict, self-check
 * rmap_fuzz_work.c	the life of one process: fork, exec, kill, its companion
 * rmap_fuzz_ops.c	calls on the process's own mappings
 * rmap_fuzz_uffd.c	userfaultfd
 * rmap_fuzz_huge.c	hugetlb
 * rmap_fuzz_model.c	what each page must hold, and the check of it
 * rmap_fuzz_weather.c	what is done to all processes from outside
 * rmap_fuzz_sys.c	slabs, the processes of the cgroup, fault injection
 * rmap_stress.c	what the storm has as well
 */
#ifndef RMAP_FUZZ_H
#define RMAP_FUZZ_H

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <linux/mman.h>

#include "rmap_stress.h"

#define ARENA		0x200000000000UL
#define MAX_PAGE	65536	/* bytes; the least is 4096 */
#define HUGE_PAGES	((u32)((2 << 20) / page_size))	/* small pages in one of 2 MiB */
#define MAX_HUGE_PAGES	512
#define HUGE_SLOTS	2
#define ARENA_MAX	(32 * MAX_HUGE_PAGES)
#define CELLS		(ARENA_MAX + HUGE_SLOTS * MAX_HUGE_PAGES)
#define OPS_MAX		64
#define WEATHER_MAX	32
#define RING		64
#define DOOMED		32768	/* the most pids there are, without CPUs by the dozen */

/* How a process of ours ends. One that dies of a signal was killed, by us or not. */
#define EXIT_DONE	0
#define EXIT_UNCOUNTED	7	/* a companion, or a child that never counted */
#define EXIT_LOST	8	/* after an injected failure that it could not survive */

enum kind {
	NONE,
	ANON,		/* private anonymous */
	PRIVATE,	/* private, of a file that never changes */
	SHARED,		/* what it holds is in the control page, for all */
};

/* Files, open in every process at FIRST_FD + n. */
enum object {
	DISK_CONST,	/* on a disk file system */
	SHMEM_CONST,
	DISK_SHARED,
	SHMEM_SHARED,
	HUGE_SHARED,
	OBJECTS
};

#define OBJECT_PAGES	(page_size > 4096 ? 128 : MAX_OBJECT)	/* or the disk is too small */
#define MAX_OBJECT	1024
#define CTL_FD		60
#define FIRST_FD	61

#define F_DONTFORK	1
#define F_WIPEONFORK	2
#define F_MAYBE		4	/* the page may have been dropped */
#define F_STACK		8	/* grows down */
#define F_HUGE		16	/* hugetlb */

/*
 * What a page holds: its first word is the mark, the others follow from the tag,
 * which tells who wrote them. So a write of the mark alone shows if the rest
 * was copied. All zero: tag and mark 0.
 */
struct cell {
	u64 tag;
	u64 mark;
	u16 index;		/* of the file's page */
	u8 kind;
	u8 object;
	u8 prot;
	u8 flags;
};

/* A page of a shared object; who holds the lock may look and write. */
struct shared_page {
	u32 owner;		/* thread id, or 0 */
	u32 unknown;		/* its writer died over it */
	u64 tag;
	u64 mark;
};

enum damage {
	DAMAGE_OFF,
	DAMAGE_NONE,		/* all is well */
	DAMAGE_FLIP,		/* one bit of a page */
	DAMAGE_TAIL,		/* the last word of a page */
	DAMAGE_LOST,		/* a page dropped behind the model's back */
	DAMAGE_SWAPPED,		/* two pages exchanged */
	DAMAGE_SHARED,		/* a shared page */
	DAMAGE_UNMAPPED,	/* a page unmapped behind the model's back */
	DAMAGE_PROT,		/* a page made read-only behind the model's back */
	DAMAGE_MODEL,		/* the model itself */
	DAMAGE_LEAK,		/* a process left over while slabs are compared */
	DAMAGE_DEATH,		/* a process killed by somebody else */
	DAMAGE_HANG,		/* a process that does not go on */
	DAMAGE_KINDS
};

struct fuzz_opt {
	u32 processes;
	u32 memory_mb;
	u32 seconds;
	u32 patience;
	u32 failslab;		/* percent */
	u32 offline;		/* pages that may be taken offline */
	bool calm;
	bool lazyfree;
	u64 ops;
	u64 seed;
	enum damage damage;
	char dir[PATH_LEN];
};

enum phase { PHASE_RUN, PHASE_END };

/* Shared by all processes. */
struct ctl {
	struct fuzz_opt opt;
	u32 arena_pages;
	u32 phase;
	u32 alive;
	u32 serial;		/* of processes */
	u32 shown;
	u32 damaged;
	u32 offlined;
	u64 peak_alive;
	u64 ops;
	u64 checked;
	u64 map_checks;
	u64 mismatches;
	u64 errors;
	u64 lost;
	u64 lost_pages;
	u64 forks;
	u64 execs;
	u64 companions;
	u64 touched;
	u64 killed;
	u64 killed_by_others;
	u8 doomed[DOOMED];	/* by pid: killed by us, and not reaped yet */
	u64 no_memory;
	u64 op_done[OPS_MAX];
	u64 op_failed[OPS_MAX];
	u64 weather_done[WEATHER_MAX];
	u64 weather_failed[WEATHER_MAX];
	struct shared_page shared[OBJECTS][MAX_OBJECT];
};

extern struct ctl *ctl;

static inline bool one_in(struct rng *r, u32 n)
{
	return !below(r, n);
}

struct past {
	u32 op;
	u32 first;
	u32 pages;
	int error;
	long arg;
};

/*
 * A task and the part of the arena that it alone works on. A process has two: its
 * own, and its companion's, which shares its memory.
 */
struct lane {
	u32 first;
	u32 pages;
	int tid;
	bool guarded;
	int fault_signal;
	int fault_code;
	sigjmp_buf fault;
	struct rng rng;
	u32 seq;		/* of tags */
	u32 step;
	struct past ring[RING];
	u8 seen[CELLS];		/* what /proc/self/maps says: prot, or not mapped */
	char text[8192];
};

#define NOT_MAPPED	0xff

struct run {
	u32 first;
	u32 pages;
};

extern struct cell cells[CELLS];
extern struct lane main_lane, side_lane;
extern u32 self_id;		/* serial number of this process */

static inline void *at(u32 page)
{
	return (char *)ARENA + page * page_size;
}

static inline size_t bytes(u32 pages)
{
	return pages * page_size;
}

/* Model. */
u64 file_tag(u32 object, u32 index);
u64 new_tag(struct lane *l, u32 page);
u64 word_of(u64 tag, u32 i);
void fill(void *page, u64 tag, u64 mark);
bool guarded_fill(struct lane *l, void *page, u64 tag, u64 mark);
bool guarded_mark(struct lane *l, void *page, u64 mark);
void set_fresh(u32 page, const struct cell *like);
void set_none(u32 first, u32 pages);
void set_base(u32 page);
bool is_dropped(u32 page);
bool is_private(u32 page);
bool write_page(struct lane *l, u32 page);
bool mark_page(struct lane *l, u32 page);
void check_page(struct lane *l, u32 page);
void check_copy(struct lane *l, u32 page, const void *copy);
void check_run(struct lane *l, const struct run *run);
void check_all(struct lane *l);
void check_maps(struct lane *l);
bool any_stack(void);
void resync(struct lane *l, u32 first, u32 pages);
bool shared_lock(struct lane *l, struct shared_page *s);
void shared_unlock(struct shared_page *s);
struct shared_page *shared_of(u32 page);
void show_history(const struct lane *l);
void __noreturn mismatched(struct lane *l, const char *format, ...) __printf(2, 3);

/* Operations: -1 and errno if it failed. */
#define SKIPPED		LONG_MAX	/* nothing to do it to */

struct op {
	const char *name;
	long (*run)(struct lane *l);
	u32 weight;
	bool companion;		/* may a companion do it as well? */
};

extern const struct op ops[];
extern const u32 ops_count;

bool pick(struct lane *l, u32 max, struct run *run);
bool pick_kind(struct lane *l, u32 max, enum kind kind, struct run *run);
void pick_range(struct lane *l, u32 max, struct run *run);
void note(struct lane *l, const struct run *run, long arg);
void unmap_rest(struct lane *l, u32 first, u32 pages);
void make_writable(struct lane *l, const struct run *run);
long op_uffd_copy(struct lane *l);
long op_uffd_zero(struct lane *l);
long op_uffd_move(struct lane *l);
long op_uffd_protect(struct lane *l);
void uffd_protect_forget(void);
void uffd_protect_end(void);
bool uffd_protect_hit(void);
long op_huge_map(struct lane *l);
long op_huge_unmap(struct lane *l);
long op_huge_move(struct lane *l);
long op_huge_drop(struct lane *l);
long op_huge_use(struct lane *l);
void huge_lost(u32 page);

/* Processes. */
long op_fork(struct lane *l);
long op_vfork(struct lane *l);
long op_kill(struct lane *l);
long op_exec(struct lane *l);
long op_companion(struct lane *l);
pid_t some_child(struct rng *r);
bool has_companion(void);
void __noreturn master_main(void);
void __noreturn worker_main(u32 id);
void reap_all(bool *any_left);
void __noreturn weather_main(void);
const char *weather_name(u32 n);

/* The kernel. */
struct slabs {
	u64 vmas;
	u64 anon_vmas;
	bool known;
};

void say(const char *format, ...) __printf(1, 2);
u32 cgroup_pids(pid_t *pids, u32 max);
void read_slabs(struct slabs *s);
void inject_stop(void);
void inject_adopt(void);	/* in a new process */
void inject(bool on);

#define THP		"/sys/kernel/mm/transparent_hugepage/"

#endif /* RMAP_FUZZ_H */
