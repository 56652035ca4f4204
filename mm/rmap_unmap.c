// SPDX-License-Identifier: GPL-2.0
/*
 * The reverse map: removing the entries of a folio, for good (its content is in
 * a file or in swap, or not wanted) or until it has been migrated.
 *
 * What has to be done depends on the kind of entry: a run of ptes, a pte that
 * is lent to a device, a pmd, a hugetlb entry. Each kind has a function that
 * is called with the page table lock held and says how the walk goes on.
 *
 * A run is a number of ptes that map consecutive pages of one folio and differ
 * in nothing that matters here. It is cleared, flushed, counted and replaced
 * as one. If it cannot be, it is put back as one.
 */

#include <linux/hugetlb.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/mmu_notifier.h>
#include <linux/pagemap.h>
#include <linux/rmap.h>
#include <linux/sched/mm.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include <linux/userfaultfd_k.h>

#include <asm/tlb.h>

#define CREATE_TRACE_POINTS
#include <trace/events/migrate.h>
#include <trace/events/tlb.h>

#include "internal.h"
#include "rmap.h"

/* How a walk goes on after an entry. */
enum step {
	STEP_NEXT,	/* look for the next entry */
	STEP_DONE,	/* there are no more in this vma */
	STEP_ABORT,	/* one remains, so the folio does: end the whole walk */
};

/**
 * struct unmapping - the entries of a folio, being removed vma by vma
 * @pvmw: where
 * @folio: which folio
 * @flags: how
 * @range: what the notifiers are told
 */
struct unmapping {
	struct page_vma_mapped_walk pvmw;
	struct folio *folio;
	enum ttu_flags flags;
	struct mmu_notifier_range range;
};

/**
 * struct pte_run - ptes that are removed as one, from @pvmw.pte on
 * @page: the first page
 * @nr: how many
 * @exclusive: the pages are marked as exclusive to the process
 * @pte: the first as it was; once cleared, dirty if one of them was
 */
struct pte_run {
	struct page *page;
	unsigned int nr;
	bool exclusive;
	pte_t pte;
};

/*
 * Some architectures have something to say about each anonymous pte as it goes
 * (s390: the guest does not need the page; sparc: save its tags).
 */
#if defined(__HAVE_ARCH_PTE_UNUSED) || defined(__HAVE_ARCH_UNMAP_ONE)
#define RUNS_OF_ANON	false
#else
#define RUNS_OF_ANON	true
#endif

/* What two ptes of a run have in common. Whether they are dirty goes to the folio. */
static inline pte_t common_bits(pte_t pte, bool restorable)
{
	pte = pte_mkclean(pte);
	if (restorable)
		return pte;
	return pte_mkold(pte_wrprotect(pte_clear_soft_dirty(pte)));
}

/*
 * How many ptes, from the one found on, map successive pages of the folio and
 * have the same bits: only those that matter if they need not be put back.
 */
static unsigned int same_ptes(const struct unmapping *um, pte_t pte,
			      bool restorable)
{
	const struct page_vma_mapped_walk *pvmw = &um->pvmw;
	unsigned long left = rmap_ptes_left(pvmw->address, pvmw->vma->vm_end);
	unsigned int max = min(left, pvmw->pfn + pvmw->nr_pages - pte_pfn(pte));
	pte_t *ptep = pvmw->pte;
	unsigned int nr = 0, step;
	pte_t next;

	for (;;) {
		step = pte_batch_hint(ptep, pte);
		nr += step;
		if (nr >= max)
			return max;
		ptep += step;
		pte = pte_advance_pfn(pte, step);
		next = ptep_get(ptep);
		if (!pte_same(next, pte) &&
		    !pte_same(common_bits(next, restorable),
			      common_bits(pte, restorable)))
			return nr;
		pte = next;
	}
}

/* What two pages of a run have in common: exclusive, not poisoned. */
static inline bool same_page(struct page *page, bool anon, bool exclusive)
{
	return !PageHWPoison(page) &&
	       (!anon || PageAnonExclusive(page) == exclusive);
}

/* How many ptes go together, the first being @run.pte, of @run.page. */
static unsigned int run_length(const struct unmapping *um, struct pte_run run,
			       bool restorable)
{
	const bool anon = folio_test_anon(um->folio);
	unsigned int nr, i = 1;

	if (PageHWPoison(run.page) || (restorable && !RUNS_OF_ANON))
		return 1;
	nr = same_ptes(um, run.pte, restorable);
	if (!restorable)
		return nr;
	while (i < nr && same_page(run.page + i, anon, run.exclusive))
		i++;
	return i;
}

/* Find the run that begins with @run->pte, which is present. */
static __always_inline void find_run(const struct unmapping *um,
				     struct pte_run *run, bool restorable)
{
	const bool large = folio_test_large(um->folio);

	run->nr = 1;
	run->page = &um->folio->page;
	if (large)
		run->page = folio_page(um->folio,
				       pte_pfn(run->pte) - um->pvmw.pfn);
	run->exclusive = folio_test_anon(um->folio) &&
			 PageAnonExclusive(run->page);
	if (large)
		run->nr = run_length(um, *run, restorable);
}

/* The TLBs are flushed now, or the task has noted that it must. */
static __always_inline pte_t clear_and_flush(struct unmapping *um,
					     struct pte_run *run)
{
	struct vm_area_struct *vma = um->pvmw.vma;
	unsigned long start = um->pvmw.address;
	unsigned long end = start + run->nr * PAGE_SIZE;
	struct mm_struct *mm = vma->vm_mm;
	bool later = rmap_may_flush_later(mm, um->flags);
	pte_t pte;

	if (run->nr == 1) {
		flush_cache_page(vma, start, pte_pfn(run->pte));
		if (!later)
			return ptep_clear_flush(vma, start, um->pvmw.pte);
		pte = ptep_get_and_clear(mm, start, um->pvmw.pte);
	} else {
		flush_cache_range(vma, start, end);
		pte = get_and_clear_full_ptes(mm, start, um->pvmw.pte, run->nr, 0);
		/* Joining the dirty bits may have changed these (a shadow stack's). */
		if (!pte_soft_dirty(run->pte))
			pte = pte_clear_soft_dirty(pte);
		if (pte_write(run->pte))
			pte = pte_mkwrite(pte, vma);
	}
	if (later)
		rmap_flush_later(mm, pte, start, end);
	else if (pte_accessible(mm, pte))
		flush_tlb_range(vma, start, end);
	return pte;
}

/* Clear the ptes of a run. Whoever found the folio clean has to look again. */
static __always_inline void take_run(struct unmapping *um, struct pte_run *run)
{
	run->pte = clear_and_flush(um, run);
	if (pte_dirty(run->pte))
		folio_mark_dirty(um->folio);
}

static enum step put_back(struct unmapping *um, struct pte_run *run)
{
	set_ptes(um->pvmw.vma->vm_mm, um->pvmw.address, um->pvmw.pte, run->pte,
		 run->nr);
	return STEP_ABORT;
}

/* The entries have been replaced: drop what they held. */
static __always_inline enum step finish_run(struct unmapping *um,
					    struct pte_run *run)
{
	struct vm_area_struct *vma = um->pvmw.vma;

	if (run->nr > 1)
		page_vma_mapped_walk_skip(&um->pvmw, run->nr - 1);
	folio_remove_rmap_ptes(um->folio, run->page, run->nr, vma);
	if (vma->vm_flags & VM_LOCKED)
		mlock_drain_local();
	folio_put_refs(um->folio, run->nr);
	return STEP_NEXT;
}

/* The process has that much less; remember how much it had at most. */
static inline void lower_rss(struct mm_struct *mm, int counter, unsigned int nr)
{
	update_hiwater_rss(mm);
	add_mm_counter(mm, counter, -(long)nr);
}

/* A page that is found broken when it is in a run already goes with the run. */
static inline bool is_poisoned(const struct pte_run *run)
{
	return run->nr == 1 && PageHWPoison(run->page);
}

/* An access shall fault, and the fault kill. */
static void poison_pte(struct unmapping *um, struct page *page)
{
	struct mm_struct *mm = um->pvmw.vma->vm_mm;

	lower_rss(mm, mm_counter(um->folio), 1);
	set_pte_at(mm, um->pvmw.address, um->pvmw.pte,
		   swp_entry_to_pte(make_hwpoison_entry(page)));
}

/*
 * The entries stay cleared, as the page is in a file, or nobody wants it. A
 * file's page that userfaultfd has write-protected leaves a mark.
 */
static __always_inline void drop_ptes(struct unmapping *um, struct pte_run *run)
{
	struct vm_area_struct *vma = um->pvmw.vma;
	unsigned int i;

	lower_rss(vma->vm_mm, mm_counter(um->folio), run->nr);
	if (likely(!userfaultfd_wp(vma)))
		return;
	for (i = 0; i < run->nr; i++)
		pte_install_uffd_wp_if_needed(vma, um->pvmw.address + i * PAGE_SIZE,
					      um->pvmw.pte + i, run->pte);
}

/*
 * The guest of a virtual machine has said that it does not need the content.
 * Userfaultfd moves such machines, and expects a page to stay once it is there.
 */
static bool is_unused(struct unmapping *um, struct pte_run *run)
{
	return pte_present(run->pte) && pte_unused(run->pte) &&
	       !userfaultfd_armed(um->pvmw.vma);
}

/* MADV_FREE: the content may be dropped unless it was written again. */
static bool free_lazily(struct unmapping *um, struct pte_run *run)
{
	const bool droppable = um->pvmw.vma->vm_flags & VM_DROPPABLE;
	struct folio *folio = um->folio;
	int refs, mapped;

	/* A gup_fast sees that the ptes are cleared, or its reference is seen. */
	smp_mb();
	refs = folio_ref_count(folio);
	mapped = folio_mapcount(folio);
	/* It makes the folio dirty before it drops the reference. */
	smp_rmb();
	/* One more reference is that of reclaim. */
	if (refs == mapped + 1 && (droppable || !folio_test_dirty(folio))) {
		drop_ptes(um, run);
		return true;
	}
	/* What is droppable is never swapped, so it stays until next time. */
	if (!droppable)
		folio_set_swapbacked(folio);
	return false;
}

/* Swapoff looks for swap entries in the processes of this list. */
static inline void join_mmlist(struct mm_struct *mm)
{
	if (likely(!list_empty(&mm->mmlist)))
		return;
	spin_lock(&mmlist_lock);
	if (list_empty(&mm->mmlist))
		list_add(&mm->mmlist, &init_mm.mmlist);
	spin_unlock(&mmlist_lock);
}

static bool dup_swap_entries(swp_entry_t entry, unsigned int nr)
{
	unsigned int i = 0;

	while (likely(swap_duplicate(entry) >= 0)) {
		if (++i == nr)
			return true;
		entry.val++;
	}
	entry.val -= i;
	if (i)
		swap_free_nr(entry, i);
	return false;
}

/* The entry as a pte, with what the old pte, present or not, says for itself. */
static inline pte_t entry_pte(swp_entry_t entry, pte_t old, bool exclusive)
{
	const bool present = pte_present(old);
	pte_t pte = swp_entry_to_pte(entry);

	if (exclusive)
		pte = pte_swp_mkexclusive(pte);
	if (present ? pte_soft_dirty(old) : pte_swp_soft_dirty(old))
		pte = pte_swp_mksoft_dirty(pte);
	if (present ? pte_uffd_wp(old) : pte_swp_uffd_wp(old))
		pte = pte_swp_mkuffd_wp(pte);
	return pte;
}

static bool swap_out_ptes(struct unmapping *um, struct pte_run *run)
{
	struct vm_area_struct *vma = um->pvmw.vma;
	unsigned long address = um->pvmw.address;
	swp_entry_t entry = page_swap_entry(run->page);
	struct mm_struct *mm = vma->vm_mm;
	unsigned int i;

	if (!dup_swap_entries(entry, run->nr))
		return false;
	/* Where this is of any effect, a run is of one pte. */
	if (arch_unmap_one(mm, vma, address, run->pte) < 0 ||
	    (run->exclusive &&
	     folio_try_share_anon_rmap_ptes(um->folio, run->page, run->nr))) {
		swap_free_nr(entry, run->nr);
		return false;
	}
	join_mmlist(mm);
	lower_rss(mm, MM_ANONPAGES, run->nr);
	add_mm_counter(mm, MM_SWAPENTS, run->nr);
	for (i = 0; i < run->nr; i++) {
		set_pte_at(mm, address, um->pvmw.pte + i,
			   entry_pte(entry, run->pte, run->exclusive));
		address += PAGE_SIZE;
		entry.val++;
	}
	return true;
}

/* With the ptes cleared, put there what takes their place. */
static enum step unmap_run(struct unmapping *um, struct pte_run *run)
{
	struct folio *folio = um->folio;

	if (unlikely(um->flags & TTU_HWPOISON) && is_poisoned(run)) {
		poison_pte(um, run->page);
	} else if (is_unused(um, run) || !folio_test_anon(folio)) {
		drop_ptes(um, run);
	} else if (WARN_ON_ONCE(folio_test_swapbacked(folio) !=
				folio_test_swapcache(folio))) {
		return put_back(um, run);
	} else if (folio_test_swapbacked(folio)) {
		if (!swap_out_ptes(um, run))
			return put_back(um, run);
	} else if (!free_lazily(um, run)) {
		return put_back(um, run);
	}
	return finish_run(um, run);
}

/* Device memory, or memory that is lent to a device. */
static void take_device_pte(struct unmapping *um, struct pte_run *run)
{
	unsigned long pfn = swp_offset_pfn(pte_to_swp_entry(run->pte));

	run->page = folio_page(um->folio, pfn - um->pvmw.pfn);
	run->exclusive = folio_test_anon(um->folio) &&
			 PageAnonExclusive(run->page);
	run->nr = 1;
	pte_clear(um->pvmw.vma->vm_mm, um->pvmw.address, um->pvmw.pte);
}

static enum step unmap_ptes(struct unmapping *um)
{
	struct pte_run run = { .pte = ptep_get(um->pvmw.pte) };
	bool restorable;

	if (likely(pte_present(run.pte))) {
		/* A file's are not put back, nor does it matter what they were. */
		restorable = folio_test_anon(um->folio) ||
			     um->flags & TTU_HWPOISON;
		find_run(um, &run, restorable);
		take_run(um, &run);
	} else {
		take_device_pte(um, &run);
	}
	return unmap_run(um, &run);
}

/* Go on with the ptes that the pmd is split into. This drops the lock. */
static enum step split_pmd(struct unmapping *um)
{
	struct page_vma_mapped_walk *pvmw = &um->pvmw;

	if (WARN_ON_ONCE(!(um->flags & TTU_SPLIT_HUGE_PMD)))
		return STEP_ABORT;
	split_huge_pmd_locked(pvmw->vma, pvmw->address, pvmw->pmd, false,
			      um->folio);
	um->flags &= ~TTU_SPLIT_HUGE_PMD;
	page_vma_mapped_walk_restart(pvmw);
	return STEP_NEXT;
}

/*
 * A table of pmds may be shared with other processes. If it is, leave it to
 * them: with it, the process loses this entry and all others of the table.
 */
static enum step unshare_pmds(struct unmapping *um)
{
	struct vm_area_struct *vma = um->pvmw.vma;
	struct mmu_gather tlb;
	bool unshared;

	flush_cache_range(vma, um->range.start, um->range.end);
	if (folio_test_anon(um->folio))
		return STEP_NEXT;
	/* i_mmap_rwsem must be held for write, and comes after the vma's lock. */
	WARN_ON_ONCE(!(um->flags & TTU_RMAP_LOCKED));
	if (!hugetlb_vma_trylock_write(vma))
		return STEP_ABORT;
	tlb_gather_mmu_vma(&tlb, vma);
	unshared = huge_pmd_unshare(&tlb, vma, um->pvmw.address, um->pvmw.pte);
	hugetlb_vma_unlock_write(vma);
	if (unshared)
		huge_pmd_unshare_flush(&tlb, vma);
	tlb_finish_mmu(&tlb);
	return unshared ? STEP_DONE : STEP_NEXT;
}

static pte_t clear_hugetlb(struct unmapping *um)
{
	pte_t pte = huge_ptep_clear_flush(um->pvmw.vma, um->pvmw.address,
					  um->pvmw.pte);

	if (pte_dirty(pte))
		folio_mark_dirty(um->folio);
	return pte;
}

static void set_hugetlb(struct unmapping *um, pte_t pte)
{
	struct vm_area_struct *vma = um->pvmw.vma;

	set_huge_pte_at(vma->vm_mm, um->pvmw.address, um->pvmw.pte, pte,
			huge_page_size(hstate_vma(vma)));
}

static void poison_hugetlb(struct unmapping *um)
{
	hugetlb_count_sub(folio_nr_pages(um->folio), um->pvmw.vma->vm_mm);
	set_hugetlb(um, swp_entry_to_pte(make_hwpoison_entry(&um->folio->page)));
}

static enum step finish_hugetlb(struct unmapping *um)
{
	hugetlb_remove_rmap(um->folio);
	if (um->pvmw.vma->vm_flags & VM_LOCKED)
		mlock_drain_local();
	folio_put(um->folio);
	return STEP_NEXT;
}

/* Hugetlb folios are neither reclaimed nor dropped: this one is broken. */
static enum step unmap_hugetlb(struct unmapping *um)
{
	enum step step = unshare_pmds(um);

	if (step != STEP_NEXT)
		return step;
	WARN_ON_ONCE(!PageHWPoison(&um->folio->page) ||
		     !(um->flags & TTU_HWPOISON));
	clear_hugetlb(um);
	poison_hugetlb(um);
	return finish_hugetlb(um);
}

static enum step unmap_entry(struct unmapping *um)
{
	struct vm_area_struct *vma = um->pvmw.vma;

	if (!(um->flags & TTU_IGNORE_MLOCK) && (vma->vm_flags & VM_LOCKED)) {
		/* Mlock what should have been; folio_referenced() if large. */
		if (!folio_test_large(um->folio))
			mlock_vma_folio(um->folio, vma);
		return STEP_ABORT;
	}
	if (!um->pvmw.pte)
		return split_pmd(um);
	if (unlikely(folio_test_hugetlb(um->folio)))
		return unmap_hugetlb(um);
	return unmap_ptes(um);
}

static inline swp_entry_t migration_entry(struct page *page, pte_t pte,
					  bool exclusive)
{
	unsigned long pfn = page_to_pfn(page);
	swp_entry_t entry;

	if (pte_write(pte))
		entry = make_writable_migration_entry(pfn);
	else if (exclusive)
		entry = make_readable_exclusive_migration_entry(pfn);
	else
		entry = make_readable_migration_entry(pfn);
	if (pte_young(pte))
		entry = make_migration_entry_young(entry);
	if (pte_dirty(pte))
		entry = make_migration_entry_dirty(entry);
	return entry;
}

static bool migrate_run(struct unmapping *um, struct pte_run *run)
{
	struct vm_area_struct *vma = um->pvmw.vma;
	unsigned long address = um->pvmw.address;
	unsigned int order = folio_order(um->folio);
	swp_entry_t entry;
	unsigned int i;
	pte_t pte;

	if (arch_unmap_one(vma->vm_mm, vma, address, run->pte) < 0)
		return false;
	VM_WARN_ON_ONCE(pte_write(run->pte) && folio_test_anon(um->folio) &&
			!run->exclusive);
	if (run->exclusive &&
	    folio_try_share_anon_rmap_ptes(um->folio, run->page, run->nr))
		return false;
	entry = migration_entry(run->page, run->pte, run->exclusive);
	for (i = 0; i < run->nr; i++) {
		pte = entry_pte(entry, run->pte, false);
		set_pte_at(vma->vm_mm, address, um->pvmw.pte + i, pte);
		trace_set_migration_pte(address, pte_val(pte), order);
		address += PAGE_SIZE;
		/* The pfn is the low part. */
		entry.val++;
	}
	return true;
}

static enum step migrate_ptes(struct unmapping *um, pte_t pte)
{
	struct pte_run run;

	run.pte = pte;
	find_run(um, &run, true);
	take_run(um, &run);
	if (is_poisoned(&run))
		poison_pte(um, run.page);
	else if (is_unused(um, &run))
		drop_ptes(um, &run);
	else if (!migrate_run(um, &run))
		return put_back(um, &run);
	return finish_run(um, &run);
}

/* The pte is a swap entry already; no gup can have found the page by it. */
static enum step migrate_device_pte(struct unmapping *um, pte_t pte)
{
	struct page_vma_mapped_walk *pvmw = &um->pvmw;
	swp_entry_t entry = pte_to_swp_entry(pte);
	unsigned long pfn = folio_pfn(um->folio);
	struct pte_run run = {
		.page = &um->folio->page,
		.nr = 1,
		.pte = pte,
	};

	/* Memory lent to a device must be taken back first. */
	if (!is_device_private_entry(entry))
		return STEP_ABORT;
	VM_WARN_ON_ONCE_FOLIO(folio_test_large(um->folio), um->folio);

	run.exclusive = folio_test_anon(um->folio) && PageAnonExclusive(run.page);
	pte_clear(pvmw->vma->vm_mm, pvmw->address, pvmw->pte);
	if (run.exclusive)
		WARN_ON_ONCE(folio_try_share_anon_rmap_pte(um->folio, run.page));
	if (is_writable_device_private_entry(entry))
		entry = make_writable_migration_entry(pfn);
	else if (run.exclusive)
		entry = make_readable_exclusive_migration_entry(pfn);
	else
		entry = make_readable_migration_entry(pfn);
	pte = entry_pte(entry, run.pte, false);
	set_pte_at(pvmw->vma->vm_mm, pvmw->address, pvmw->pte, pte);
	trace_set_migration_pte(pvmw->address, pte_val(pte), 0);
	return finish_run(um, &run);
}

#ifdef CONFIG_ARCH_ENABLE_THP_MIGRATION
static enum step migrate_pmd(struct unmapping *um)
{
	struct folio *folio = um->folio;
	struct page *page = folio_page(folio,
				       pmd_pfn(*um->pvmw.pmd) - um->pvmw.pfn);

	return set_pmd_migration_entry(&um->pvmw, page) ? STEP_ABORT : STEP_NEXT;
}
#else
static enum step migrate_pmd(struct unmapping *um)
{
	WARN_ON_ONCE(1);
	return STEP_ABORT;
}
#endif

static enum step migrate_hugetlb(struct unmapping *um)
{
	struct vm_area_struct *vma = um->pvmw.vma;
	unsigned long address = um->pvmw.address;
	struct page *page = &um->folio->page;
	enum step step = unshare_pmds(um);
	bool exclusive;
	pte_t old, pte;

	if (step != STEP_NEXT)
		return step;
	exclusive = folio_test_anon(um->folio) && PageAnonExclusive(page);
	old = clear_hugetlb(um);
	if (PageHWPoison(page)) {
		poison_hugetlb(um);
		return finish_hugetlb(um);
	}
	if (arch_unmap_one(vma->vm_mm, vma, address, old) < 0 ||
	    (exclusive && hugetlb_try_share_anon_rmap(um->folio))) {
		set_hugetlb(um, old);
		return STEP_ABORT;
	}
	pte = entry_pte(migration_entry(page, old, exclusive), old, false);
	set_hugetlb(um, pte);
	trace_set_migration_pte(address, pte_val(pte), folio_order(um->folio));
	return finish_hugetlb(um);
}

static enum step migrate_entry(struct unmapping *um)
{
	pte_t pte;

	if (!um->pvmw.pte)
		return migrate_pmd(um);
	if (unlikely(folio_test_hugetlb(um->folio)))
		return migrate_hugetlb(um);
	pte = ptep_get(um->pvmw.pte);
	if (likely(pte_present(pte)))
		return migrate_ptes(um, pte);
	return migrate_device_pte(um, pte);
}

typedef enum step (*entry_fn)(struct unmapping *um);

/*
 * Return whether to go on with the next vma. The notifiers are told of all that
 * could be unmapped here: that is up to a pmd, or a table of pmds that is
 * shared.
 */
static __always_inline bool
visit_entries(struct unmapping *um, struct vm_area_struct *vma,
	      unsigned long address, enum ttu_flags flags, entry_fn entry)
{
	enum step step = STEP_NEXT;

	um->flags = flags;
	page_vma_mapped_walk_begin(&um->pvmw, vma, address);
	mmu_notifier_range_init(&um->range, MMU_NOTIFY_CLEAR, 0, vma->vm_mm,
				address, vma_address_end(&um->pvmw));
	if (unlikely(folio_test_hugetlb(um->folio)))
		adjust_range_if_pmd_sharing_possible(vma, &um->range.start,
						     &um->range.end);
	mmu_notifier_invalidate_range_start(&um->range);
	if (page_vma_mapped_walk(&um->pvmw)) {
		do {
			step = entry(um);
		} while (step == STEP_NEXT && rmap_next_entry(&um->pvmw));
		if (step != STEP_NEXT)
			page_vma_mapped_walk_done(&um->pvmw);
	}
	mmu_notifier_invalidate_range_end(&um->range);
	return step != STEP_ABORT;
}

/* What is the same in each vma. visit_entries() sets the rest. */
static __always_inline void begin_unmapping(struct unmapping *um,
					    struct folio *folio,
					    enum ttu_flags flags)
{
	um->pvmw.pfn = folio_pfn(folio);
	um->pvmw.nr_pages = folio_nr_pages(folio);
	um->pvmw.pgoff = folio_pgoff(folio);
	um->pvmw.flags = flags & TTU_SYNC ? PVMW_SYNC : 0;
	um->folio = folio;
}

/**
 * try_to_unmap - remove the entries that map a folio
 * @folio: the folio, locked, with a reference of the caller
 * @flags: how
 *
 * Its content must be in a file, or in the swap cache; or be lazily freed.
 * Stops at the first entry that cannot be removed. Whether all are is for the
 * caller to see: somebody who removes another one at the same time may have
 * cleared it, but not yet uncounted (TTU_SYNC waits for that).
 *
 * Context: may sleep. See rmap_walk() for locks.
 */
void try_to_unmap(struct folio *folio, enum ttu_flags flags)
{
	const bool locked = flags & TTU_RMAP_LOCKED;
	struct unmapping um __uninitialized;
	struct rmap_iter iter __uninitialized;
	struct vm_area_struct *vma;

	begin_unmapping(&um, folio, flags);
	rmap_for_each_vma(vma, &iter, folio, NULL, locked)
		if (!visit_entries(&um, vma, rmap_address(&iter, vma), flags,
				   unmap_entry) ||
		    !folio_mapped(folio))
			break;
	rmap_end(&iter);
	rmap_audit(folio, locked);
}

/*
 * While exec moves the stack, vma and page table do not agree, and a migration
 * entry might not be found again.
 */
static inline bool is_moving(struct folio *folio, struct vm_area_struct *vma)
{
	return folio_test_anon(folio) && !folio_test_ksm(folio) &&
	       vma_is_temporary_stack(vma);
}

static bool migrate_in(struct unmapping *um, struct vm_area_struct *vma,
		       unsigned long address, enum ttu_flags flags)
{
	if (is_moving(um->folio, vma))
		return true;
	/* Splits into migration entries, which is what is wanted. */
	if (flags & TTU_SPLIT_HUGE_PMD)
		split_huge_pmd_address(vma, address, true, um->folio);
	return visit_entries(um, vma, address, flags, migrate_entry);
}

/**
 * try_to_migrate - replace the entries that map a folio by migration entries
 * @folio: the folio, locked, with a reference of the caller
 * @flags: how; all but TTU_IGNORE_MLOCK, which goes without saying, and
 *	TTU_HWPOISON
 *
 * A fault waits until remove_migration_ptes(). Stops at the first entry that
 * cannot be replaced, such as that of a pinned page. The caller has to see
 * whether all are.
 *
 * Context: may sleep. See rmap_walk() for locks.
 */
void try_to_migrate(struct folio *folio, enum ttu_flags flags)
{
	const bool locked = flags & TTU_RMAP_LOCKED;
	struct unmapping um __uninitialized;
	struct rmap_iter iter __uninitialized;
	struct vm_area_struct *vma;

	if (WARN_ON_ONCE(flags & (TTU_IGNORE_MLOCK | TTU_HWPOISON)))
		return;
	/* Of what belongs to devices, only what stands for memory can move. */
	if (folio_is_zone_device(folio) && !folio_is_device_private(folio) &&
	    !folio_is_device_coherent(folio))
		return;

	begin_unmapping(&um, folio, flags);
	rmap_for_each_vma(vma, &iter, folio, NULL, locked)
		if (!migrate_in(&um, vma, rmap_address(&iter, vma), flags) ||
		    !folio_mapped(folio))
			break;
	rmap_end(&iter);
	rmap_audit(folio, locked);
}
