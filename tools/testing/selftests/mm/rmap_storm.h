/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fork and swap storm: what its parts share.
 *
 * rmap_storm.c		the runner: options, phases, verdict, self-check
 * rmap_storm_work.c	the life of one process: its plan, its children
 * rmap_storm_heap.c	the heap of one process, and the model of what copy-on-write
 *			says it must hold
 * rmap_storm_sys.c	what the kernel says: cgroup, vmstat, slabs, KSM, pagemap
 * rmap_stress.c	what the fuzz has as well
 */
#ifndef RMAP_STORM_H
#define RMAP_STORM_H

#include "rmap_stress.h"

#define MANY		1008	/* with some 1024 references a page counts as pinned */
#define HIST_STEPS	8	/* buckets in each power of two */
#define HIST_BUCKETS	(40 * HIST_STEPS)

/* Damage that the self-check does, to show that each check can fail. */
enum damage {
	DAMAGE_OFF,		/* the storm itself */
	DAMAGE_NONE,		/* a small quiet family in which all is well */
	DAMAGE_FLIP,		/* one bit of one page flipped */
	DAMAGE_SHARED,		/* one page not copied on write */
	DAMAGE_PINNED,		/* one page that reclaim cannot unmap */
	DAMAGE_LEAK,		/* a process still there when slabs are compared */
	DAMAGE_DEATH,		/* a process killed */
	DAMAGE_KINDS
};

struct storm_opt {
	unsigned int processes;
	unsigned int depth;
	unsigned int breadth;
	unsigned int memory_mb;
	unsigned int seconds;
	unsigned int failslab;	/* percent */
	unsigned int turnover;	/* ask for this many times the RAM swapped out */
	u64 seed;
	enum damage damage;
	char dir[PATH_LEN];
};

/* Addresses. */
struct heap_range {
	unsigned long start;
	unsigned long end;
};

/* A futex: the processes wait on it while they are parked. */
enum phase {
	PHASE_RUN,		/* live by the plan */
	PHASE_PARK,		/* sleep, alive, while all memory is reclaimed */
	PHASE_VERIFY,		/* check everything once more, and exit */
};

/* The page that all processes share. Changed by atomic operations only. */
struct storm {
	struct storm_opt opt;
	struct heap_range window;
	u32 phase;
	u32 alive;
	u32 parked;
	u32 shown;		/* mismatches printed so far */
	u64 peak_alive;
	u64 deepest;
	u64 forks;
	u64 killed;
	u64 refused;	/* calls that failed for want of memory */
	u64 errors;	/* calls that failed for another reason */
	u64 checked;
	u64 written;
	u64 moved;
	u64 touched;
	u64 mismatches;
	u64 plan;		/* a digest of the plan's beginning */
	u64 fork_max_ns;
	u64 fork_hist[HIST_BUCKETS];	/* of cpu time */
};

extern struct storm *storm;

/* Some more than asked for, so that the exits of some do not bring it below. */
static inline unsigned int population_cap(void)
{
	return storm->opt.processes + storm->opt.processes / 10;
}

/* A run of heap pages: of one kind, and contiguous in memory if mapped. */
struct run {
	unsigned int first;
	unsigned int pages;
};

/* Who writes: the place in the tree, as a name for people and as a number. */
struct self {
	char path[PATH_LEN];	/* "m.3.17" */
	u64 id;
};

extern struct self self;

void heap_build(void);
unsigned int heap_pages(void);
bool heap_pick(struct rng *r, unsigned int max, struct run *run);
void heap_check(const struct run *run);
void heap_check_all(void);
void heap_write(struct rng *r, const struct run *run, u32 when);
void heap_move(struct rng *r, const struct run *run);
void heap_move_huge(struct rng *r);
void heap_unmap(const struct run *run);
void heap_keep(const struct run *run);
void heap_refill(struct rng *r);
void heap_protect(const struct run *run, bool readonly);
void heap_advise(const struct run *run, int advice);
void heap_drop(const struct run *run);
void *heap_some_page(struct rng *r);
void heap_damage_shared(void);
void heap_write_shared(void);

void __noreturn master_main(void);
bool reap_children(unsigned int *left);
u64 plan_digest(void);

/* What the kernel says. */
#define SLAB_KINDS	8

struct slab {
	char name[32];
	u64 objects;
	u64 bytes;
	u64 object_size;
};

struct slabs {
	struct slab slab[SLAB_KINDS];
	unsigned int kinds;
};

struct vm_counts {
	u64 swapped_out;
	u64 swapped_in;
};

#define MISSED_NOTED	8

struct missed {
	int pid;
	unsigned long addr;
	u64 flags;		/* as in <linux/kernel-page-flags.h> */
	u64 mapcount;
	u64 cgroup;	/* inode number of the cgroup that is charged */
};

struct pte_counts {
	unsigned int processes;
	u64 swapped;
	u64 present;	/* private anonymous: must be none after reclaim */
	u64 present_ksm;	/* of these, merged by KSM */
	u64 present_file;	/* of the heap's files: must be none, too */
	u64 zero;		/* zero page: no page of ours, and no reverse map */
	u64 lost_by_ksm;	/* merged, but none of the pages that KSM knows of */
	u64 too_shared;	/* by MANY ptes: reclaim takes the page for a pinned one */
	unsigned int noted;
	struct missed missed[MISSED_NOTED];
};

unsigned int sys_cgroup_processes(void);
u64 sys_cgroup_memory(void);	/* resident and swapped, bytes */
void sys_cgroup_reclaim(void);
void sys_drain(void);
void sys_count_ptes(struct pte_counts *c, const struct heap_range *window);
bool sys_slabs(struct slabs *s, bool shrink);
void sys_vm_counts(struct vm_counts *c);
u64 sys_ram_bytes(void);
u64 sys_swap_bytes(void);
size_t sys_huge_size(void);
void sys_fail_me(bool on);
void sys_ksm_start(void);
void sys_ksm_full_scan(void);
bool sys_ksm_knows_any(void);
void sys_ksm_stop(void);

#endif /* RMAP_STORM_H */
