// SPDX-License-Identifier: GPL-2.0
/*
 * Does the reverse map find every page table entry? Two checks, made when a
 * walk has been over a locked folio:
 *
 *   audit: as many entries are found as the mapcount counts;
 *   scan:  now and then, the page tables of all processes are searched for the
 *          folio. Each entry found must be one that a walk comes to.
 *
 * KSM folios are left out. A page merged in one process is found in its
 * children as long as that process lives, and then not before ksmd has been
 * there; and ksmd maps a page before it makes the item by which it is found.
 * So are hugetlb folios, whose page tables may be shared, and device folios.
 */

#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/hugetlb.h>
#include <linux/mm.h>
#include <linux/pagewalk.h>
#include <linux/pid_namespace.h>
#include <linux/rmap.h>
#include <linux/sched/mm.h>
#include <linux/seq_file.h>
#include <linux/swapops.h>

#include "internal.h"

/* How often in a row, a millisecond apart, the count must be wrong. */
#define AUDIT_TRIES	20

DEFINE_PER_CPU(struct rmap_stats, rmap_stats);

static bool check_enabled = true;
static u32 scan_interval_ms = 5000;
static unsigned long next_scan;
static DEFINE_MUTEX(scan_mutex);

static void walk(struct folio *folio, struct rmap_walk_control *rwc,
		 bool rmap_locked)
{
	if (rmap_locked)
		rmap_walk_locked(folio, rwc);
	else
		rmap_walk(folio, rwc);
}

/* Audit: count the entries. */

struct pte_count {
	int nr;
	bool moving;
};

static bool count_ptes(struct folio *folio, struct vm_area_struct *vma,
		       unsigned long address, void *arg)
{
	DEFINE_FOLIO_VMA_WALK(pvmw, folio, vma, address, PVMW_SYNC);
	struct pte_count *count = arg;

	/* exec moves the stack's vma, and its page tables only later. */
	if (vma_is_temporary_stack(vma))
		count->moving = true;
	while (page_vma_mapped_walk(&pvmw))
		count->nr++;
	return true;
}

/*
 * While entries are made and removed, the mapcount may be as before and the
 * walk have missed one, or seen both. That does not last.
 */
static void audit(struct folio *folio, bool rmap_locked)
{
	struct pte_count count;
	struct rmap_walk_control rwc = {
		.rmap_one = count_ptes,
		.arg = &count,
		.anon_lock = folio_lock_anon_vma_read,
	};
	unsigned int tries = AUDIT_TRIES;
	int mapcount;

	rmap_stat_add(RMAP_AUDITS, 1);
	while (tries--) {
		count = (struct pte_count) { };
		mapcount = folio_mapcount(folio);
		walk(folio, &rwc, rmap_locked);
		if (count.nr == mapcount)
			return;
		if (count.moving || folio_mapcount(folio) != mapcount) {
			rmap_stat_add(RMAP_AUDITS_UNDECIDED, 1);
			return;
		}
		fsleep(USEC_PER_MSEC);
	}
	rmap_stat_add(RMAP_MISMATCHES, 1);
	WARN_ONCE(1, "rmap: %s pfn %lx index %lx: %d entries found, mapcount %d\n",
		  folio_test_anon(folio) ? "anon" : "file", folio_pfn(folio),
		  folio_pgoff(folio), count.nr, mapcount);
}

/* Scan: search all page tables, as one would with no reverse map at all. */

/**
 * struct pte_scan - an entry found in a page table, to be looked for in a walk
 * @folio: the folio searched for
 * @mm: whose page tables
 * @process: number of a process that has @mm
 * @address: where in @mm
 * @index: linear index of the page of @folio that the entry maps
 * @next: where to go on
 * @visited: a walk comes to the entry
 */
struct pte_scan {
	struct folio *folio;
	struct mm_struct *mm;
	int process;
	unsigned long address;
	pgoff_t index;
	unsigned long next;
	bool visited;
};

static bool scan_match(struct pte_scan *scan, unsigned long pfn,
		       unsigned long address, unsigned long next)
{
	unsigned long nr = pfn - folio_pfn(scan->folio);

	rmap_stat_add(RMAP_PTES_SCANNED, 1);
	if (nr >= folio_nr_pages(scan->folio))
		return false;
	scan->address = address;
	scan->index = folio_pgoff(scan->folio) + nr;
	scan->next = next;
	return true;
}

/* Does the entry, which is not present, count as a mapping? */
static bool maps_folio(swp_entry_t entry)
{
	return is_migration_entry(entry) || is_device_private_entry(entry) ||
	       is_device_exclusive_entry(entry);
}

static int scan_pte(pte_t *ptep, unsigned long address, unsigned long next,
		    struct mm_walk *walk)
{
	pte_t pte = ptep_get(ptep);
	unsigned long pfn;

	if (pte_present(pte))
		pfn = pte_pfn(pte);
	else if (is_swap_pte(pte) && maps_folio(pte_to_swp_entry(pte)))
		pfn = swp_offset_pfn(pte_to_swp_entry(pte));
	else
		return 0;
	return scan_match(walk->private, pfn, address, next);
}

static int scan_pmd(pmd_t *pmdp, unsigned long address, unsigned long next,
		    struct mm_walk *walk)
{
	spinlock_t *ptl = pmd_lock(walk->mm, pmdp);
	pmd_t pmd = *pmdp;
	unsigned long pfn;
	int found = 0;

	if (pmd_trans_huge(pmd) || pmd_devmap(pmd) || is_pmd_migration_entry(pmd)) {
		walk->action = ACTION_CONTINUE;
		pfn = pmd_present(pmd) ? pmd_pfn(pmd) :
					 swp_offset_pfn(pmd_to_swp_entry(pmd));
		found = scan_match(walk->private, pfn, address & HPAGE_PMD_MASK,
				   next);
	}
	spin_unlock(ptl);
	return found;
}

static const struct mm_walk_ops scan_ops = {
	.pmd_entry = scan_pmd,
	.pte_entry = scan_pte,
	.walk_lock = PGWALK_RDLOCK,
};

static bool visit(struct folio *folio, struct vm_area_struct *vma,
		  unsigned long address, void *arg)
{
	struct pte_scan *scan = arg;

	scan->visited = vma->vm_mm == scan->mm &&
			scan->address >= vma->vm_start &&
			scan->address < vma->vm_end &&
			linear_page_index(vma, scan->address) == scan->index;
	return !scan->visited;
}

/*
 * The vma of an entry stays where it is while mmap_lock is held, and is moved
 * only to where the walk comes as well while the lock of the map is held. So
 * the walk must visit it, whatever has become of the entry since.
 */
static void scan_mm(struct pte_scan *scan)
{
	struct rmap_walk_control rwc = { .rmap_one = visit, .arg = scan };
	unsigned long address = 0;

	while (walk_page_range(scan->mm, address, scan->mm->task_size,
			       &scan_ops, scan) > 0) {
		scan->visited = false;
		rmap_walk_locked(scan->folio, &rwc);
		if (!scan->visited)
			rmap_stat_add(RMAP_MISMATCHES, 1);
		WARN_ONCE(!scan->visited,
			  "rmap: %s pfn %lx index %lx is mapped at %lx of process %d, no walk comes there\n",
			  folio_test_anon(scan->folio) ? "anon" : "file",
			  folio_pfn(scan->folio), scan->index, scan->address,
			  scan->process);
		address = scan->next;
		if (address >= scan->mm->task_size)
			break;
	}
}

/* The mm of the first process after @nr that has one; @nr is set to its number. */
static struct mm_struct *next_mm(int *nr)
{
	struct task_struct *task;
	struct mm_struct *mm = NULL;
	struct pid *pid;

	rcu_read_lock();
	while (!mm && (pid = find_ge_pid(*nr + 1, &init_pid_ns))) {
		*nr = pid_nr(pid);
		task = pid_task(pid, PIDTYPE_TGID);
		mm = task ? get_task_mm(task) : NULL;
	}
	rcu_read_unlock();
	return mm;
}

/* Context: folio lock, and the lock of its reverse map. */
static void scan_all(struct folio *folio)
{
	struct pte_scan scan = { .folio = folio };

	rmap_stat_add(RMAP_SCANS, 1);
	while ((scan.mm = next_mm(&scan.process))) {
		/* mmap_lock comes before the locks that are held. */
		if (mmap_read_trylock(scan.mm)) {
			scan_mm(&scan);
			mmap_read_unlock(scan.mm);
		}
		mmput_async(scan.mm);
		cond_resched();
	}
}

static void lock_and_scan(struct folio *folio)
{
	struct address_space *mapping;
	struct anon_vma *node;

	if (folio_test_anon(folio)) {
		node = folio_lock_anon_vma_read(folio, NULL);
		if (!node)
			return;
		scan_all(folio);
		anon_vma_unlock_read(node);
		return;
	}
	mapping = folio_mapping(folio);
	i_mmap_lock_read(mapping);
	scan_all(folio);
	i_mmap_unlock_read(mapping);
}

static bool scan_due(void)
{
	return time_after_eq(jiffies, READ_ONCE(next_scan)) &&
	       mutex_trylock(&scan_mutex);
}

static void scan_done(void)
{
	WRITE_ONCE(next_scan, jiffies + msecs_to_jiffies(scan_interval_ms));
	mutex_unlock(&scan_mutex);
}

/**
 * rmap_audit - check that a walk finds every entry that maps a folio
 * @folio: the folio, locked
 * @rmap_locked: the caller holds the family lock, or i_mmap_rwsem
 *
 * Context: may sleep.
 */
void rmap_audit(struct folio *folio, bool rmap_locked)
{
	VM_WARN_ON_ONCE_FOLIO(!folio_test_locked(folio), folio);
	if (!READ_ONCE(check_enabled) || !folio_mapped(folio) ||
	    folio_test_ksm(folio) || folio_is_zone_device(folio) ||
	    folio_test_hugetlb(folio))
		return;
	if (!folio_test_anon(folio) && !folio_mapping(folio))
		return;

	audit(folio, rmap_locked);
	if (!scan_due())
		return;
	if (rmap_locked)
		scan_all(folio);
	else
		lock_and_scan(folio);
	scan_done();
}

/* Files. */

static int stat_show(struct seq_file *m, void *v)
{
	static const char * const names[NR_RMAP_STATS] = {
		[RMAP_FAMILIES] = "families",
		[RMAP_NODES] = "nodes",
		[RMAP_EMPTY_NODES] = "empty_nodes",
		[RMAP_VMAS] = "vmas",
		[RMAP_WALKS] = "walks",
		[RMAP_NODES_VISITED] = "nodes_visited",
		[RMAP_VMAS_VISITED] = "vmas_visited",
		[RMAP_PTES_FOUND] = "ptes_found",
		[RMAP_AUDITS] = "audits",
		[RMAP_AUDITS_UNDECIDED] = "audits_undecided",
		[RMAP_SCANS] = "scans",
		[RMAP_PTES_SCANNED] = "ptes_scanned",
		[RMAP_MISMATCHES] = "mismatches",
	};
	unsigned int i, cpu;

	for (i = 0; i < NR_RMAP_STATS; i++) {
		long sum = 0;

		for_each_possible_cpu(cpu)
			sum += READ_ONCE(per_cpu(rmap_stats.count[i], cpu));
		seq_printf(m, "%s %ld\n", names[i], sum);
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stat);

static int __init rmap_debug_init(void)
{
	struct dentry *dir = debugfs_create_dir("rmap", NULL);

	debugfs_create_file("stat", 0444, dir, NULL, &stat_fops);
	debugfs_create_bool("check", 0644, dir, &check_enabled);
	debugfs_create_u32("scan_interval_ms", 0644, dir, &scan_interval_ms);
	return 0;
}
late_initcall(rmap_debug_init);
