/* SPDX-License-Identifier: GPL-2.0 */
#ifndef __MM_RMAP_H
#define __MM_RMAP_H
/*
 * What the rooms of the reverse map share with each other, and with KSM.
 */

#include <linux/rmap.h>
#include <linux/sched.h>

#include <asm/tlbflush.h>

#include "internal.h"

struct ksm_rmap_item;

/* What a folio's mapping says, and where its vmas are found by it. */
enum rmap_kind {
	RMAP_ANON,	/* subtree of a node */
	RMAP_FILE,	/* i_mmap of an address_space */
	RMAP_KSM,	/* items, each with a node of its own */
};

/**
 * struct rmap_iter - position of a walk of the vmas that may map a folio
 * @folio: the folio
 * @rwc: how to lock, or NULL; see rmap_first()
 * @kind: of @folio
 * @locked: the caller holds the lock, and keeps it
 * @forks: second turn through the items, for vmas of other processes
 * @mapping: of a file: whose i_mmap is locked and looked at, if any
 * @node: of an anonymous folio: whose family is locked, if any
 * @pos: linear indices of the folio's first and last page (KSM: in the current
 *	family); position in the subtree of @node
 * @item: current KSM item, NULL before the first
 *
 * Declare it __uninitialized: rmap_first() sets what the kind of folio needs,
 * and to clear it all for each walk takes longer than that.
 */
struct rmap_iter {
	struct folio *folio;
	struct rmap_walk_control *rwc;
	enum rmap_kind kind;
	bool locked;
	bool forks;
	struct address_space *mapping;
	struct anon_vma *node;
	struct anon_vma_iter pos;
	struct ksm_rmap_item *item;
};

#ifdef CONFIG_KSM
struct vm_area_struct *ksm_rmap_next(struct rmap_iter *iter,
				     struct vm_area_struct *vma);
#else
static inline struct vm_area_struct *ksm_rmap_next(struct rmap_iter *iter,
						   struct vm_area_struct *vma)
{
	return NULL;
}
#endif

struct vm_area_struct *rmap_first(struct rmap_iter *iter, struct folio *folio,
				  struct rmap_walk_control *rwc, bool locked);
void rmap_end(struct rmap_iter *iter);
bool rmap_lock_node(struct rmap_walk_control *rwc, struct anon_vma *node);

/* The vma after @vma, or NULL. */
static inline struct vm_area_struct *rmap_next(struct rmap_iter *iter,
					       struct vm_area_struct *vma)
{
	cond_resched();
	if (iter->kind == RMAP_ANON)
		vma = anon_vma_iter_next(&iter->pos, vma);
	else if (iter->kind == RMAP_FILE)
		vma = vma_interval_tree_iter_next(vma, iter->pos.first,
						  iter->pos.last);
	else
		vma = ksm_rmap_next(iter, vma);
	if (vma)
		rmap_stat_add(RMAP_VMAS_VISITED, 1);
	return vma;
}

/**
 * rmap_for_each_vma - visit the vmas that may map a folio
 * @vma: set to each vma in turn
 * @iter: the position
 * @folio: the folio
 * @rwc: see rmap_first()
 * @locked: the caller holds the lock
 *
 * rmap_end() must follow, however the loop is left. See rmap_walk().
 */
#define rmap_for_each_vma(vma, iter, folio, rwc, locked)		\
	for ((vma) = rmap_first((iter), (folio), (rwc), (locked)); (vma); \
	     (vma) = rmap_next((iter), (vma)))

/* Where the folio, or the part that @vma has room for, begins. */
static inline unsigned long rmap_address(const struct rmap_iter *iter,
					 struct vm_area_struct *vma)
{
	return vma_address(vma, iter->pos.first,
			   iter->pos.last - iter->pos.first + 1);
}

/* Search in the next vma for the pages that were searched for in another. */
static inline void page_vma_mapped_walk_begin(struct page_vma_mapped_walk *pvmw,
					      struct vm_area_struct *vma,
					      unsigned long address)
{
	pvmw->vma = vma;
	pvmw->address = address;
	pvmw->pmd = NULL;
	pvmw->pte = NULL;
	pvmw->ptl = NULL;
}

/*
 * How many ptes there are from @address to @end, or to where the page table
 * ends. Not by pmd_addr_end(): where there are no pmds, that is @end.
 */
static inline unsigned long rmap_ptes_left(unsigned long address,
					   unsigned long end)
{
	return min_t(unsigned long, (end - address) >> PAGE_SHIFT,
		     PTRS_PER_PTE - pte_index(address));
}

/*
 * After an entry that page_vma_mapped_walk() has found: is there another one?
 * Most often it was at the last page, or the only one, so there cannot be.
 */
static inline bool rmap_next_entry(struct page_vma_mapped_walk *pvmw)
{
	if (pvmw->pte && pvmw->address + PAGE_SIZE >= vma_address_end(pvmw)) {
		page_vma_mapped_walk_done(pvmw);
		return false;
	}
	return page_vma_mapped_walk(pvmw);
}

#ifdef CONFIG_ARCH_WANT_BATCHED_UNMAP_TLB_FLUSH
static inline bool rmap_may_flush_later(struct mm_struct *mm,
					enum ttu_flags flags)
{
	return (flags & TTU_BATCH_FLUSH) && arch_tlbbatch_should_defer(mm);
}

void rmap_flush_later(struct mm_struct *mm, pte_t pte, unsigned long start,
		      unsigned long end);
#else
static inline bool rmap_may_flush_later(struct mm_struct *mm,
					enum ttu_flags flags)
{
	return false;
}

static inline void rmap_flush_later(struct mm_struct *mm, pte_t pte,
				    unsigned long start, unsigned long end)
{
}
#endif

#endif /* __MM_RMAP_H */
