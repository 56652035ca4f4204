// SPDX-License-Identifier: GPL-2.0
/*
 * The reverse map: was a folio used, was it written? Entries stay, their young
 * or dirty bits are cleared.
 */

#include <linux/export.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/mmu_notifier.h>
#include <linux/oom.h>
#include <linux/page_idle.h>
#include <linux/pagemap.h>
#include <linux/rmap.h>
#include <linux/sched/mm.h>

#include "internal.h"
#include "rmap.h"

/**
 * struct referenced - what folio_referenced() wants to know
 * @mapcount: entries not yet seen
 * @vmas: how many vmas have used the folio; -1 if it will soon be freed
 * @vm_flags: theirs; VM_LOCKED if it is mlocked
 */
struct referenced {
	int mapcount;
	int vmas;
	unsigned long vm_flags;
};

/* How many entries, from the one found on, can map successive pages. */
static unsigned int max_run(struct page_vma_mapped_walk *pvmw, unsigned long pfn)
{
	unsigned long left = rmap_ptes_left(pvmw->address, pvmw->vma->vm_end);

	return min(left, pvmw->pfn + pvmw->nr_pages - pfn);
}

static inline bool maps_page(pte_t pte, unsigned long pfn)
{
	return pte_present(pte) && pte_pfn(pte) == pfn;
}

/*
 * How many entries, from the one found on, map successive pages of the folio.
 * Most often they do not differ in anything else.
 */
static __always_inline unsigned int count_run(struct page_vma_mapped_walk *pvmw,
					      bool *young)
{
	pte_t *start = pvmw->pte, *ptep = start, *end;
	pte_t pte = ptep_get(ptep), next;
	bool any = pte_young(pte);
	unsigned int step;

	*young = false;
	if (!pte_present(pte))
		return 1;
	end = start + max_run(pvmw, pte_pfn(pte));
	for (;;) {
		step = pte_batch_hint(ptep, pte);
		ptep += step;
		if (ptep >= end)
			break;
		pte = pte_advance_pfn(pte, step);
		next = ptep_get(ptep);
		if (likely(pte_same(next, pte)))
			continue;
		if (!maps_page(next, pte_pfn(pte)))
			break;
		any |= pte_young(next);
		pte = next;
	}
	*young = any;
	return min(ptep, end) - start;
}

/*
 * Multi-gen LRU looks at the neighbours of an entry that is young. If it is
 * not, there is nothing to do unless a secondary MMU knows better.
 */
static bool look_around(struct page_vma_mapped_walk *pvmw, unsigned int nr)
{
	const bool secondary = mm_has_notifiers(pvmw->vma->vm_mm);
	bool young = false;

	for (;;) {
		if (secondary || pte_young(ptep_get(pvmw->pte)))
			young |= lru_gen_look_around(pvmw);
		if (!--nr)
			return young;
		page_vma_mapped_walk_skip(pvmw, 1);
	}
}

#ifndef clear_flush_young_ptes
static int clear_flush_young_ptes(struct vm_area_struct *vma,
				  unsigned long address, pte_t *ptep,
				  unsigned int nr)
{
	int young = 0;

	for (; nr; nr--, ptep++, address += PAGE_SIZE)
		young |= ptep_clear_flush_young(vma, address, ptep);
	return young;
}
#endif

/* As far as the secondary MMUs know: an entry lent to a device has no bit. */
static inline bool secondary_young(struct page_vma_mapped_walk *pvmw,
				   unsigned int nr)
{
	return mmu_notifier_clear_flush_young(pvmw->vma->vm_mm, pvmw->address,
					      pvmw->address + nr * PAGE_SIZE);
}

/* Of the ptes found, the search then stands at the last. */
static __always_inline void clear_young_ptes(struct page_vma_mapped_walk *pvmw,
					     unsigned int nr, bool some_young,
					     bool *young)
{
	if (lru_gen_enabled()) {
		*young |= look_around(pvmw, nr);
		return;
	}
	/* The same as far as it goes: no neighbours. */
	if (some_young)
		*young |= clear_flush_young_ptes(pvmw->vma, pvmw->address,
						 pvmw->pte, nr);
	*young |= secondary_young(pvmw, nr);
	if (nr > 1)
		page_vma_mapped_walk_skip(pvmw, nr - 1);
}

/* Few are young: look first. Not inline, as small folios need none of this. */
static noinline unsigned int clear_young_run(struct page_vma_mapped_walk *pvmw,
					     bool *young)
{
	bool some_young;
	unsigned int nr = count_run(pvmw, &some_young);

	clear_young_ptes(pvmw, nr, some_young, young);
	return nr;
}

/*
 * Clear the young bits of the entry found, and of those after it that go
 * together with it. Return how many the search then has behind it.
 */
static __always_inline unsigned int
clear_young(struct page_vma_mapped_walk *pvmw, bool *young)
{
	if (unlikely(!pvmw->pte)) {
		if (!WARN_ON_ONCE(!IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE)))
			*young |= pmdp_clear_flush_young_notify(pvmw->vma,
								pvmw->address,
								pvmw->pmd);
		return 1;
	}
	if (IS_ENABLED(CONFIG_DEVICE_PRIVATE) &&
	    !pte_present(ptep_get(pvmw->pte))) {
		*young |= secondary_young(pvmw, 1);
		return 1;
	}
	if (pvmw->nr_pages > 1)
		return clear_young_run(pvmw, young);
	clear_young_ptes(pvmw, 1, true, young);
	return 1;
}

/* Exiting or out of memory, so that to swap it out would be for nothing? */
static bool soon_free(struct folio *folio, struct vm_area_struct *vma)
{
	struct mm_struct *mm = vma->vm_mm;

	return (!atomic_read(&mm->mm_users) || check_stable_address_space(mm)) &&
	       folio_test_anon(folio) && folio_test_swapbacked(folio) &&
	       !folio_likely_mapped_shared(folio);
}

/*
 * Mlock what should have been, and perhaps was missed when it was mapped. Of a
 * large folio that is mapped elsewhere as well, references from there decide;
 * and if two page tables share it, no one lock keeps the entries as counted.
 */
static noinline_for_stack bool
in_mlocked(struct folio *folio, struct vm_area_struct *vma,
	   unsigned long address, struct referenced *ref)
{
	DEFINE_FOLIO_VMA_WALK(pvmw, folio, vma, address, 0);
	unsigned long last = address + folio_size(folio) - 1;
	unsigned int nr, ptes = 0;
	bool all = false, young;

	while (page_vma_mapped_walk(&pvmw)) {
		if (!folio_test_large(folio) || !pvmw.pte) {
			mlock_vma_folio(folio, vma);
			page_vma_mapped_walk_done(&pvmw);
			return true;
		}
		nr = count_run(&pvmw, &young);
		page_vma_mapped_walk_skip(&pvmw, nr - 1);
		ptes += nr;
		ref->mapcount -= nr;
	}
	if (folio_test_large(folio) && folio_within_vma(folio, vma))
		all = ptes == folio_nr_pages(folio) &&
		      ALIGN_DOWN(address, PMD_SIZE) == ALIGN_DOWN(last, PMD_SIZE);
	if (all)
		mlock_vma_folio(folio, vma);
	return all;
}

/* Look at the entries in one vma. False if the folio will soon be freed. */
static __always_inline bool
look_in_vma(struct folio *folio, struct vm_area_struct *vma,
	    unsigned long address, struct referenced *ref, bool *young)
{
	DEFINE_FOLIO_VMA_WALK(pvmw, folio, vma, address, 0);

	if (!page_vma_mapped_walk(&pvmw))
		return true;
	do {
		if (soon_free(folio, vma)) {
			page_vma_mapped_walk_done(&pvmw);
			return false;
		}
		ref->mapcount -= clear_young(&pvmw, young);
	} while (rmap_next_entry(&pvmw));
	return true;
}

/* Return whether to go on with the next vma. */
static __always_inline bool
referenced_in(struct folio *folio, struct vm_area_struct *vma,
	      unsigned long address, struct referenced *ref)
{
	bool young = false;

	if (unlikely(vma->vm_flags & VM_LOCKED)) {
		if (in_mlocked(folio, vma, address, ref)) {
			ref->vm_flags |= VM_LOCKED;
			return false;
		}
	} else if (!look_in_vma(folio, vma, address, ref, &young)) {
		ref->vmas = -1;
		return false;
	}

	if (young)
		folio_clear_idle(folio);
	/* Page idle tracking keeps here what it has cleared in the entries. */
	if (folio_test_clear_young(folio))
		young = true;
	if (young) {
		ref->vmas++;
		ref->vm_flags |= vma->vm_flags & ~VM_LOCKED;
	}
	return ref->mapcount;
}

/*
 * A vma that is read once from end to end says nothing about what is needed
 * again; nor does another memcg about what this one needs.
 */
static inline bool is_counted(struct vm_area_struct *vma,
			      struct mem_cgroup *memcg)
{
	return vma_has_recency(vma) &&
	       (!memcg || mm_match_cgroup(vma->vm_mm, memcg));
}

/**
 * folio_referenced - has a folio been used since this was asked last?
 * @folio: the folio
 * @is_locked: the caller has locked it
 * @memcg: count only references from this memcg, if set
 * @vm_flags: set to the flags of all vmas that have used it; to VM_LOCKED as
 *	well if one of them is mlocked, and the folio is now
 *
 * Clears the young bits of all entries that it looks at, until all have been
 * seen.
 *
 * Context: may sleep. Takes the family lock or i_mmap_rwsem for read.
 * Return: how many vmas have used the folio; 1 if it cannot be locked, and is
 * to stay. -1 if the lock of the reverse map is contended, or the folio will
 * soon be freed with its mm, so that to reclaim it would be for nothing.
 */
int folio_referenced(struct folio *folio, int is_locked,
		     struct mem_cgroup *memcg, unsigned long *vm_flags)
{
	struct rmap_walk_control rwc = {
		.anon_lock = folio_lock_anon_vma_read,
		.try_lock = true,
	};
	struct referenced ref = {
		.mapcount = folio_mapcount(folio),
	};
	struct rmap_iter iter __uninitialized;
	struct vm_area_struct *vma;
	bool we_locked = false;

	*vm_flags = 0;
	if (!ref.mapcount || !folio_raw_mapping(folio))
		return 0;

	if (!is_locked && (!folio_test_anon(folio) || folio_test_ksm(folio))) {
		we_locked = folio_trylock(folio);
		if (!we_locked)
			return 1;
	}

	rmap_for_each_vma(vma, &iter, folio, &rwc, false)
		if (is_counted(vma, memcg) &&
		    !referenced_in(folio, vma, rmap_address(&iter, vma), &ref))
			break;
	rmap_end(&iter);

	*vm_flags = ref.vm_flags;
	if (is_locked || we_locked)
		rmap_audit(folio, false);
	if (we_locked)
		folio_unlock(folio);

	return rwc.contended ? -1 : ref.vmas;
}

static bool mkclean_pte(struct page_vma_mapped_walk *pvmw)
{
	struct vm_area_struct *vma = pvmw->vma;
	unsigned long address = pvmw->address;
	pte_t pte = ptep_get(pvmw->pte);

	if (!pte_dirty(pte) && !pte_write(pte))
		return false;

	flush_cache_page(vma, address, pte_pfn(pte));
	pte = ptep_clear_flush(vma, address, pvmw->pte);
	pte = pte_mkclean(pte_wrprotect(pte));
	set_pte_at(vma->vm_mm, address, pvmw->pte, pte);
	return true;
}

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
static bool mkclean_pmd(struct page_vma_mapped_walk *pvmw)
{
	struct vm_area_struct *vma = pvmw->vma;
	unsigned long address = pvmw->address;
	pmd_t pmd = *pvmw->pmd;

	if (!pmd_dirty(pmd) && !pmd_write(pmd))
		return false;

	flush_cache_range(vma, address, address + HPAGE_PMD_SIZE);
	pmd = pmdp_invalidate(vma, address, pvmw->pmd);
	pmd = pmd_mkclean(pmd_wrprotect(pmd));
	set_pmd_at(vma->vm_mm, address, pvmw->pmd, pmd);
	return true;
}
#else
static bool mkclean_pmd(struct page_vma_mapped_walk *pvmw)
{
	WARN_ON_ONCE(1);
	return false;
}
#endif

static int mkclean(struct page_vma_mapped_walk *pvmw)
{
	struct mmu_notifier_range range;
	int cleaned = 0;

	/* At worst, a pmd: to the end of the pages, or of the vma. */
	mmu_notifier_range_init(&range, MMU_NOTIFY_PROTECTION_PAGE, 0,
				pvmw->vma->vm_mm, pvmw->address,
				vma_address_end(pvmw));
	mmu_notifier_invalidate_range_start(&range);
	while (page_vma_mapped_walk(pvmw))
		cleaned += pvmw->pte ? mkclean_pte(pvmw) : mkclean_pmd(pvmw);
	mmu_notifier_invalidate_range_end(&range);
	return cleaned;
}

static bool mkclean_one(struct folio *folio, struct vm_area_struct *vma,
			unsigned long address, void *arg)
{
	DEFINE_FOLIO_VMA_WALK(pvmw, folio, vma, address, PVMW_SYNC);
	int *cleaned = arg;

	*cleaned += mkclean(&pvmw);
	return true;
}

/* What a private mapping writes does not go to the file. */
static bool not_shared(struct vm_area_struct *vma, void *arg)
{
	return !(vma->vm_flags & VM_SHARED);
}

/**
 * folio_mkclean - make shared entries of a folio clean and read-only
 * @folio: the folio, locked
 *
 * The next write to it will fault, so that it is known to be dirty again.
 *
 * Return: how many entries were dirty or writable.
 */
int folio_mkclean(struct folio *folio)
{
	int cleaned = 0;
	struct rmap_walk_control rwc = {
		.rmap_one = mkclean_one,
		.arg = &cleaned,
		.invalid_vma = not_shared,
	};

	if (WARN_ON_ONCE(!folio_test_locked(folio)))
		return 0;
	if (!folio_mapped(folio) || !folio_mapping(folio))
		return 0;

	rmap_walk(folio, &rwc);
	rmap_audit(folio, false);
	return cleaned;
}
EXPORT_SYMBOL_GPL(folio_mkclean);

/**
 * pfn_mkclean_range - make entries of pages without a folio clean, read-only
 * @pfn: first page
 * @nr_pages: how many, consecutive
 * @pgoff: linear index of the first
 * @vma: the one vma to look at; nothing is done if it is not shared
 *
 * Context: i_mmap_rwsem held. @vma maps some of the range.
 * Return: how many entries were dirty or writable.
 */
int pfn_mkclean_range(unsigned long pfn, unsigned long nr_pages, pgoff_t pgoff,
		      struct vm_area_struct *vma)
{
	struct page_vma_mapped_walk pvmw = {
		.pfn		= pfn,
		.nr_pages	= nr_pages,
		.pgoff		= pgoff,
		.vma		= vma,
		.flags		= PVMW_SYNC,
	};

	if (not_shared(vma, NULL))
		return 0;
	pvmw.address = vma_address(vma, pgoff, nr_pages);
	if (WARN_ON_ONCE(pvmw.address == -EFAULT))
		return 0;
	return mkclean(&pvmw);
}
