/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_RMAP_H
#define _LINUX_RMAP_H
/*
 * The reverse map: from a folio to the page table entries that map it. See
 * mm/rmap.c for what is where, and for the order of locks.
 */

#include <linux/anon_vma.h>
#include <linux/highmem.h>
#include <linux/list.h>
#include <linux/memcontrol.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/rmap_debug.h>
#include <linux/rwsem.h>
#include <linux/slab.h>

/**
 * enum ttu_flags - how to unmap; see try_to_unmap() and try_to_migrate()
 * @TTU_SPLIT_HUGE_PMD: split a pmd, and unmap its pages one by one
 * @TTU_IGNORE_MLOCK: unmap from mlocked vmas as well
 * @TTU_SYNC: take page table locks even where no entry is seen, so that who
 *	clears one at the same time has uncounted it afterwards
 * @TTU_HWPOISON: put poison entries where poisoned pages were
 * @TTU_BATCH_FLUSH: put off TLB flushes until try_to_unmap_flush(), which the
 *	caller will call before the folio is freed
 * @TTU_RMAP_LOCKED: the caller holds i_mmap_rwsem, or the family lock
 */
enum ttu_flags {
	TTU_SPLIT_HUGE_PMD	= 0x4,
	TTU_IGNORE_MLOCK	= 0x8,
	TTU_SYNC		= 0x10,
	TTU_HWPOISON		= 0x20,
	TTU_BATCH_FLUSH		= 0x40,
	TTU_RMAP_LOCKED		= 0x80,
};

#ifdef CONFIG_MMU
/* What is known about anonymous pages whose new entries are counted. */
typedef int __bitwise rmap_t;

/* Other processes may map them as well. */
#define RMAP_NONE		((__force rmap_t)0)
/* They are this process's alone. */
#define RMAP_EXCLUSIVE		((__force rmap_t)BIT(0))

/*
 * Counting entries as they come and go: mm/rmap_count.c. The zero page and
 * the like are not counted, and hugetlb folios are by functions of their own.
 * Drivers map folios of their own making as well, so not every large folio is
 * one that could be mapped by a pmd.
 */
static inline void rmap_check_ptes(struct folio *folio, struct page *page,
				   int nr_pages)
{
	VM_WARN_ON_FOLIO(folio_test_hugetlb(folio), folio);
	VM_WARN_ON_FOLIO(is_zero_folio(folio), folio);
	VM_WARN_ON_ONCE(nr_pages <= 0);
	VM_WARN_ON_FOLIO(page_folio(page) != folio, folio);
	VM_WARN_ON_FOLIO(page_folio(page + nr_pages - 1) != folio, folio);
}

/* A pmd maps all of a folio, and no folio is larger. */
static inline void rmap_check_pmd(struct folio *folio, struct page *page)
{
	rmap_check_ptes(folio, page, HPAGE_PMD_NR);
	VM_WARN_ON_FOLIO(folio_nr_pages(folio) != HPAGE_PMD_NR, folio);
}

void folio_move_anon_rmap(struct folio *folio, struct vm_area_struct *vma);
void folio_add_anon_rmap_ptes(struct folio *folio, struct page *page,
			      int nr_pages, struct vm_area_struct *vma,
			      unsigned long address, rmap_t flags);
#define folio_add_anon_rmap_pte(folio, page, vma, address, flags) \
	folio_add_anon_rmap_ptes(folio, page, 1, vma, address, flags)
void folio_add_anon_rmap_pmd(struct folio *folio, struct page *page,
			     struct vm_area_struct *vma, unsigned long address,
			     rmap_t flags);
void folio_add_new_anon_rmap(struct folio *folio, struct vm_area_struct *vma,
			     unsigned long address, rmap_t flags);
void folio_add_file_rmap_ptes(struct folio *folio, struct page *page,
			      int nr_pages, struct vm_area_struct *vma);
#define folio_add_file_rmap_pte(folio, page, vma) \
	folio_add_file_rmap_ptes(folio, page, 1, vma)
void folio_add_file_rmap_pmd(struct folio *folio, struct page *page,
			     struct vm_area_struct *vma);
void folio_remove_rmap_ptes(struct folio *folio, struct page *page,
			    int nr_pages, struct vm_area_struct *vma);
#define folio_remove_rmap_pte(folio, page, vma) \
	folio_remove_rmap_ptes(folio, page, 1, vma)
void folio_remove_rmap_pmd(struct folio *folio, struct page *page,
			   struct vm_area_struct *vma);

void hugetlb_add_anon_rmap(struct folio *folio, struct vm_area_struct *vma,
			   unsigned long address, rmap_t flags);
void hugetlb_add_new_anon_rmap(struct folio *folio, struct vm_area_struct *vma,
			       unsigned long address);

/* One more entry for pages that are mapped already, by ptes. */
static __always_inline void rmap_dup_ptes(struct folio *folio,
					  struct page *page, int nr_pages)
{
	int i;

	if (!folio_test_large(folio)) {
		atomic_inc(&folio->_mapcount);
		return;
	}
	for (i = 0; i < nr_pages; i++)
		atomic_inc(&page[i]._mapcount);
	atomic_add(nr_pages, &folio->_large_mapcount);
}

/* One more entry for the whole of a folio, which is mapped so already. */
static __always_inline void rmap_dup_entire(struct folio *folio)
{
	atomic_inc(&folio->_entire_mapcount);
	atomic_inc(&folio->_large_mapcount);
}

static inline void hugetlb_add_file_rmap(struct folio *folio)
{
	VM_WARN_ON_FOLIO(!folio_test_hugetlb(folio), folio);
	VM_WARN_ON_FOLIO(folio_test_anon(folio), folio);
	rmap_dup_entire(folio);
}

static inline void hugetlb_remove_rmap(struct folio *folio)
{
	VM_WARN_ON_FOLIO(!folio_test_hugetlb(folio), folio);
	atomic_dec(&folio->_entire_mapcount);
	atomic_dec(&folio->_large_mapcount);
}

/**
 * folio_dup_file_rmap_ptes - count the copies of ptes that map a file's pages
 * @folio: the folio
 * @page: the first page
 * @nr_pages: how many, consecutive
 *
 * For fork. The statistics need not know: the pages are mapped already.
 *
 * Context: page table lock held.
 */
static inline void folio_dup_file_rmap_ptes(struct folio *folio,
					    struct page *page, int nr_pages)
{
	rmap_check_ptes(folio, page, nr_pages);
	rmap_dup_ptes(folio, page, nr_pages);
}

static __always_inline void folio_dup_file_rmap_pte(struct folio *folio,
						    struct page *page)
{
	rmap_check_ptes(folio, page, 1);
	rmap_dup_ptes(folio, page, 1);
}

/**
 * folio_dup_file_rmap_pmd - count the copy of a pmd that maps a file's folio
 * @folio: the folio
 * @page: its first page
 *
 * Context: page table lock held.
 */
static inline void folio_dup_file_rmap_pmd(struct folio *folio,
					   struct page *page)
{
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	rmap_check_pmd(folio, page);
	rmap_dup_entire(folio);
#else
	WARN_ON_ONCE(1);
#endif
}

/*
 * A page that is pinned must stay where the process finds it, so it cannot be
 * shared with a child. Device memory is never pinned.
 */
static inline bool rmap_must_copy(struct folio *folio,
				  struct vm_area_struct *src_vma)
{
	return likely(!folio_is_device_private(folio)) &&
	       unlikely(folio_needs_cow_for_dma(src_vma, folio));
}

/**
 * folio_try_dup_anon_rmap_ptes - count the copies of ptes for anonymous pages
 * @folio: the folio
 * @page: the first page
 * @nr_pages: how many, consecutive
 * @src_vma: the vma that the ptes are copied from
 *
 * For fork. The pages are exclusive no longer, so neither the ptes nor their
 * copies may be writable afterwards.
 *
 * Context: page table lock of @src_vma held, and its mm's write_protect_seq.
 * Return: 0, or -EBUSY if the pages may be pinned and must be copied: then
 * nothing has been changed.
 */
static __always_inline int
folio_try_dup_anon_rmap_ptes(struct folio *folio, struct page *page,
			     int nr_pages, struct vm_area_struct *src_vma)
{
	const bool must_copy = rmap_must_copy(folio, src_vma);
	int i;

	VM_WARN_ON_FOLIO(!folio_test_anon(folio), folio);
	rmap_check_ptes(folio, page, nr_pages);
	for (i = 0; must_copy && i < nr_pages; i++)
		if (PageAnonExclusive(page + i))
			return -EBUSY;
	for (i = 0; i < nr_pages; i++)
		if (PageAnonExclusive(page + i))
			ClearPageAnonExclusive(page + i);
	rmap_dup_ptes(folio, page, nr_pages);
	return 0;
}

static __always_inline int
folio_try_dup_anon_rmap_pte(struct folio *folio, struct page *page,
			    struct vm_area_struct *src_vma)
{
	return folio_try_dup_anon_rmap_ptes(folio, page, 1, src_vma);
}

static inline int rmap_try_dup_entire(struct folio *folio, struct page *page,
				      struct vm_area_struct *src_vma)
{
	VM_WARN_ON_FOLIO(!folio_test_anon(folio), folio);
	if (PageAnonExclusive(page)) {
		if (rmap_must_copy(folio, src_vma))
			return -EBUSY;
		ClearPageAnonExclusive(page);
	}
	rmap_dup_entire(folio);
	return 0;
}

/**
 * folio_try_dup_anon_rmap_pmd - count the copy of a pmd for an anonymous folio
 * @folio: the folio
 * @page: its first page
 * @src_vma: the vma that the pmd is copied from
 *
 * As folio_try_dup_anon_rmap_ptes().
 *
 * Return: 0, or -EBUSY.
 */
static inline int folio_try_dup_anon_rmap_pmd(struct folio *folio,
					      struct page *page,
					      struct vm_area_struct *src_vma)
{
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	rmap_check_pmd(folio, page);
	return rmap_try_dup_entire(folio, page, src_vma);
#else
	WARN_ON_ONCE(1);
	return -EBUSY;
#endif
}

/* As folio_try_dup_anon_rmap_ptes(), for a hugetlb entry. */
static inline int hugetlb_try_dup_anon_rmap(struct folio *folio,
					    struct vm_area_struct *vma)
{
	VM_WARN_ON_FOLIO(!folio_test_hugetlb(folio), folio);
	return rmap_try_dup_entire(folio, &folio->page, vma);
}

/*
 * gup_fast reads an entry, pins the page, and drops it again if the entry has
 * changed, or if it is read-only and the page not marked exclusive. Here the
 * entry has been cleared; the pin is looked for; the mark is cleared. So
 * either the pin is seen here, or the change of entry or mark is seen there,
 * if these happen in order. A page that is shared is never mapped writable, so
 * an entry that is put back unchanged was read-only.
 */
static inline int rmap_try_share(struct folio *folio, struct page *page,
				 int nr_pages)
{
	int i;

	if (IS_ENABLED(CONFIG_HAVE_GUP_FAST))
		smp_mb();	/* pairs with try_grab_folio() */
	if (unlikely(folio_maybe_dma_pinned(folio)))
		return -EBUSY;
	for (i = 0; i < nr_pages; i++)
		ClearPageAnonExclusive(page + i);
	if (IS_ENABLED(CONFIG_HAVE_GUP_FAST))
		smp_mb__after_atomic();	/* pairs with gup_must_unshare() */
	return 0;
}

/**
 * folio_try_share_anon_rmap_ptes - mark exclusive pages as perhaps shared
 * @folio: the folio
 * @page: the first page, marked exclusive as all are
 * @nr_pages: how many, consecutive
 *
 * Before KSM merges them, or they are unmapped for a while: an entry that does
 * not map the page cannot say that it is exclusive, except by itself.
 *
 * Context: page table lock held; the entries have been cleared.
 * Return: 0, or -EBUSY if the pages may be pinned: nothing has been changed.
 */
static inline int folio_try_share_anon_rmap_ptes(struct folio *folio,
						 struct page *page, int nr_pages)
{
	VM_WARN_ON_FOLIO(!folio_test_anon(folio), folio);
	VM_WARN_ON_FOLIO(!PageAnonExclusive(page), folio);
	rmap_check_ptes(folio, page, nr_pages);

	/* Such memory cannot be pinned, nor is it ever large. */
	if (unlikely(folio_is_device_private(folio))) {
		ClearPageAnonExclusive(page);
		return 0;
	}
	return rmap_try_share(folio, page, nr_pages);
}

static inline int folio_try_share_anon_rmap_pte(struct folio *folio,
						struct page *page)
{
	return folio_try_share_anon_rmap_ptes(folio, page, 1);
}

/**
 * folio_try_share_anon_rmap_pmd - mark an exclusive folio as perhaps shared
 * @folio: the folio
 * @page: its first page, marked exclusive
 *
 * As folio_try_share_anon_rmap_ptes(), for a pmd.
 *
 * Return: 0, or -EBUSY.
 */
static inline int folio_try_share_anon_rmap_pmd(struct folio *folio,
						struct page *page)
{
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	rmap_check_pmd(folio, page);
	return folio_try_share_anon_rmap_ptes(folio, page, 1);
#else
	WARN_ON_ONCE(1);
	return -EBUSY;
#endif
}

/* As folio_try_share_anon_rmap_ptes(), for a hugetlb entry. */
static inline int hugetlb_try_share_anon_rmap(struct folio *folio)
{
	VM_WARN_ON_FOLIO(!folio_test_hugetlb(folio), folio);
	VM_WARN_ON_FOLIO(!folio_test_anon(folio), folio);
	VM_WARN_ON_FOLIO(!PageAnonExclusive(&folio->page), folio);
	return rmap_try_share(folio, &folio->page, 1);
}

/* Doing something with all entries: mm/rmap_age.c, rmap_unmap.c, rmap_device.c */
int folio_referenced(struct folio *folio, int is_locked,
		     struct mem_cgroup *memcg, unsigned long *vm_flags);
int folio_mkclean(struct folio *folio);
int pfn_mkclean_range(unsigned long pfn, unsigned long nr_pages, pgoff_t pgoff,
		      struct vm_area_struct *vma);

void try_to_migrate(struct folio *folio, enum ttu_flags flags);
void try_to_unmap(struct folio *folio, enum ttu_flags flags);

int make_device_exclusive_range(struct mm_struct *mm, unsigned long start,
				unsigned long end, struct page **pages,
				void *owner);

/* See remove_migration_ptes() in mm/migrate.c. */
enum rmp_flags {
	RMP_LOCKED		= 1 << 0,	/* caller holds the rmap lock */
	RMP_USE_SHARED_ZEROPAGE	= 1 << 1,	/* if there is nothing in it */
};

void remove_migration_ptes(struct folio *src, struct folio *dst, int flags);

/* Take page table locks even where no entry is seen: see TTU_SYNC. */
#define PVMW_SYNC		BIT(0)
/* Look for migration entries, not for entries that map the page. */
#define PVMW_MIGRATION		BIT(1)

/**
 * struct page_vma_mapped_walk - search for the entries of pages in one vma
 * @pfn: the first page
 * @nr_pages: how many, consecutive
 * @pgoff: linear index of the first (of no meaning for KSM)
 * @vma: the vma
 * @address: where the first could be mapped; then, where an entry was found
 * @pmd: the pmd found
 * @pte: the pte found, or a hugetlb entry; NULL if the pmd maps the folio
 * @ptl: the lock held for it
 * @flags: PVMW_SYNC, PVMW_MIGRATION
 */
struct page_vma_mapped_walk {
	unsigned long pfn;
	unsigned long nr_pages;
	pgoff_t pgoff;
	struct vm_area_struct *vma;
	unsigned long address;
	pmd_t *pmd;
	pte_t *pte;
	spinlock_t *ptl;	/* of a page table, not of this struct */
	unsigned int flags;
};

/* Every member is named: what is left out costs more than what is set. */
#define DEFINE_FOLIO_VMA_WALK(name, _folio, _vma, _address, _flags)	\
	struct page_vma_mapped_walk name = {				\
		.pfn = folio_pfn(_folio),				\
		.nr_pages = folio_nr_pages(_folio),			\
		.pgoff = folio_pgoff(_folio),				\
		.vma = _vma,						\
		.address = _address,					\
		.pmd = NULL,						\
		.pte = NULL,						\
		.ptl = NULL,						\
		.flags = _flags,					\
	}

bool page_vma_mapped_walk(struct page_vma_mapped_walk *pvmw);

/*
 * Drop what a search holds at an entry. Sparse has to be told that this is held
 * where it has not seen it being taken: all but page_vma_mapped_walk().
 */
static __always_inline void
page_vma_mapped_walk_drop(struct page_vma_mapped_walk *pvmw, bool unseen)
{
	/* Hugetlb entries are not mapped for this. */
	if (pvmw->pte && !is_vm_hugetlb_page(pvmw->vma)) {
		if (unseen)
			__acquire(RCU);
		pte_unmap(pvmw->pte);
	}
	if (pvmw->ptl) {
		if (unseen)
			__acquire(pvmw->ptl);
		spin_unlock(pvmw->ptl);
	}
}

/**
 * page_vma_mapped_walk_done - end a search before it has come to its end
 * @pvmw: the search
 */
static inline void page_vma_mapped_walk_done(struct page_vma_mapped_walk *pvmw)
{
	page_vma_mapped_walk_drop(pvmw, true);
}

/**
 * page_vma_mapped_walk_restart - look at the same address again
 * @pvmw: the search, at an entry; its lock is dropped
 *
 * After the page table has been changed, as by splitting a pmd.
 */
static inline void
page_vma_mapped_walk_restart(struct page_vma_mapped_walk *pvmw)
{
	WARN_ON_ONCE(!pvmw->pmd && !pvmw->pte);

	if (!WARN_ON_ONCE(!pvmw->ptl)) {
		__acquire(pvmw->ptl);
		spin_unlock(pvmw->ptl);
	}
	pvmw->ptl = NULL;
	pvmw->pmd = NULL;
	pvmw->pte = NULL;
}

/**
 * page_vma_mapped_walk_skip - count ptes after the one found as found, too
 * @pvmw: the search, at a pte
 * @nr: how many; of the same page table and folio
 *
 * The search goes on after the last of them, where it then stands.
 */
static inline void
page_vma_mapped_walk_skip(struct page_vma_mapped_walk *pvmw, unsigned int nr)
{
	/* Of another page table the lock is not held. */
	if (IS_ENABLED(CONFIG_DEBUG_RMAP))
		WARN_ONCE((pvmw->address ^ (pvmw->address + nr * PAGE_SIZE)) & PMD_MASK,
			  "rmap: %u ptes after that at %lx are not all in its table\n",
			  nr, pvmw->address);
	rmap_stat_add(RMAP_PTES_FOUND, nr);
	pvmw->pte += nr;
	pvmw->address += nr * PAGE_SIZE;
}

/**
 * struct rmap_walk_control - what a walk does at each vma; see rmap_walk()
 * @arg: for the functions
 * @try_lock: do not wait for the lock of the family, or of the file
 * @contended: set if the walk ended because of that
 * @rmap_one: called with the address where the vma would map the folio, or the
 *	first page of it that the vma has; returns false to end the walk
 * @anon_lock: finds and locks the node of an anonymous folio, if the caller
 *	does not keep the node otherwise; or NULL
 * @invalid_vma: returns true if a vma is to be left out; or NULL
 */
struct rmap_walk_control {
	void *arg;
	bool try_lock;
	bool contended;
	bool (*rmap_one)(struct folio *folio, struct vm_area_struct *vma,
			 unsigned long address, void *arg);
	struct anon_vma *(*anon_lock)(struct folio *folio,
				      struct rmap_walk_control *rwc);
	bool (*invalid_vma)(struct vm_area_struct *vma, void *arg);
};

void rmap_walk(struct folio *folio, struct rmap_walk_control *rwc);
void rmap_walk_locked(struct folio *folio, struct rmap_walk_control *rwc);

unsigned long page_address_in_vma(struct page *page,
				  struct vm_area_struct *vma);

#else	/* !CONFIG_MMU */

#define anon_vma_init()		do {} while (0)
#define anon_vma_new_owner()	(0)

static inline int folio_referenced(struct folio *folio, int is_locked,
				   struct mem_cgroup *memcg,
				   unsigned long *vm_flags)
{
	*vm_flags = 0;
	return 0;
}

static inline void try_to_unmap(struct folio *folio, enum ttu_flags flags)
{
}

static inline int folio_mkclean(struct folio *folio)
{
	return 0;
}
#endif	/* CONFIG_MMU */

#endif	/* _LINUX_RMAP_H */
