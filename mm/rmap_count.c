// SPDX-License-Identifier: GPL-2.0
/*
 * The reverse map: counting the entries that map a folio, as they come and go.
 *
 * A small folio has one count, _mapcount, of entries minus one. In a large one
 *
 *	page->_mapcount		counts the ptes of each page, minus one;
 *	_entire_mapcount	the entries for the whole (pmds, hugetlb), minus one;
 *	_large_mapcount		all of them, minus one;
 *	_nr_pages_mapped	pages that have a pte, plus ENTIRELY_MAPPED if
 *				there is an entry for the whole.
 *
 * The last is for the statistics: NR_*_MAPPED count a page once, however often
 * it is mapped. It decides who adds a page to them and who takes it away. No
 * lock is common to those who change it, as page tables differ.
 *
 * An anonymous folio gets its mapping and index with its first entry and keeps
 * them until it is freed, not until it is unmapped: somebody may be mapping
 * it again. They mean something only while it is mapped.
 */

#include <linux/hugetlb.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/pagemap.h>
#include <linux/rmap.h>
#include <linux/vmstat.h>

#include "internal.h"

/* Count ptes. Return how many pages had no entry before. */
static __always_inline int add_ptes(struct folio *folio, struct page *page,
				    int nr_pages)
{
	int first = 0;
	int i;

	rmap_check_ptes(folio, page, nr_pages);
	if (!folio_test_large(folio))
		return atomic_inc_and_test(&folio->_mapcount);

	for (i = 0; i < nr_pages; i++)
		first += atomic_inc_and_test(&page[i]._mapcount);
	if (first && atomic_add_return_relaxed(first, &folio->_nr_pages_mapped) >=
		     ENTIRELY_MAPPED)
		first = 0;
	atomic_add(nr_pages, &folio->_large_mapcount);
	return first;
}

/*
 * Uncount ptes. Return how many pages have no entry now; @partial if others of
 * the folio still have.
 */
static __always_inline int remove_ptes(struct folio *folio, struct page *page,
				       int nr_pages, bool *partial)
{
	int last = 0, mapped;
	int i;

	rmap_check_ptes(folio, page, nr_pages);
	*partial = false;
	if (!folio_test_large(folio))
		return atomic_add_negative(-1, &folio->_mapcount);

	atomic_sub(nr_pages, &folio->_large_mapcount);
	for (i = 0; i < nr_pages; i++)
		last += atomic_add_negative(-1, &page[i]._mapcount);
	if (!last)
		return 0;
	mapped = atomic_sub_return_relaxed(last, &folio->_nr_pages_mapped);
	if (mapped >= ENTIRELY_MAPPED)
		return 0;
	*partial = mapped > 0;
	return last;
}

/* Node statistics; those of pmds in files are not kept for each memcg. */
static __always_inline void mod_stat(struct folio *folio, int nr, int nr_pmd)
{
	const bool anon = folio_test_anon(folio);

	if (nr)
		__lruvec_stat_mod_folio(folio,
					anon ? NR_ANON_MAPPED : NR_FILE_MAPPED,
					nr);
	if (!nr_pmd)
		return;
	if (anon)
		__lruvec_stat_mod_folio(folio, NR_ANON_THPS, nr_pmd);
	else
		__mod_node_page_state(folio_pgdat(folio),
				      folio_test_swapbacked(folio) ?
				      NR_SHMEM_PMDMAPPED : NR_FILE_PMDMAPPED,
				      nr_pmd);
}

/*
 * A large folio is mlocked by reclaim, which sees whether all of it is mapped
 * in the vma.
 */
static __always_inline void mlock_if_small(struct folio *folio,
					   struct vm_area_struct *vma)
{
	if (!folio_test_large(folio))
		mlock_vma_folio(folio, vma);
}

/*
 * One store: readers without a lock must not take a node for an address_space.
 */
static void set_node(struct folio *folio, struct anon_vma *node)
{
	void *mapping = (void *)node + PAGE_MAPPING_ANON;

	WRITE_ONCE(folio->mapping, mapping);
}

/**
 * folio_move_anon_rmap - a folio is this process's alone now
 * @folio: the folio, locked, anonymous
 * @vma: the vma that maps it, settled
 *
 * After a write fault has found that nobody else maps it: walks need look at
 * the node of the process only.
 */
void folio_move_anon_rmap(struct folio *folio, struct vm_area_struct *vma)
{
	struct anon_vma *node = READ_ONCE(vma->anon_vma);

	VM_WARN_ON_FOLIO(!folio_test_locked(folio), folio);
	VM_WARN_ON_ONCE(!node);
	set_node(folio, node);
}

/* A folio that others may map as well is looked for in the whole family. */
static void make_anon(struct folio *folio, struct vm_area_struct *vma,
		      unsigned long address, bool exclusive)
{
	struct anon_vma *node = READ_ONCE(vma->anon_vma);

	/* Without a mapping, no walk: the folio stays where it is mapped. */
	if (WARN_ON_ONCE(!node))
		return;
	set_node(folio, exclusive ? node : node->root);
	folio->index = linear_page_index(vma, address);
}

/* Would a walk find the entry that is counted here? KSM has other means. */
static void check_anon(struct folio *folio, struct page *page,
		       struct vm_area_struct *vma, unsigned long address)
{
	if (!IS_ENABLED(CONFIG_DEBUG_VM) || folio_test_ksm(folio))
		return;
	VM_WARN_ON_FOLIO(folio_anon_vma(folio)->root !=
			 READ_ONCE(vma->anon_vma)->root, folio);
	VM_WARN_ON_FOLIO(page_to_pgoff(page) != linear_page_index(vma, address),
			 folio);
}

/* What is mapped twice is not exclusive. */
static void check_exclusive(struct folio *folio, struct page *page, int nr_pages)
{
	int i;

	if (!IS_ENABLED(CONFIG_DEBUG_VM))
		return;
	for (i = 0; i < nr_pages; i++)
		VM_WARN_ON_FOLIO(PageAnonExclusive(page + i) &&
				 (atomic_read(&page[i]._mapcount) > 0 ||
				  (folio_test_large(folio) &&
				   folio_entire_mapcount(folio) > 1)), folio);
}

/**
 * folio_add_anon_rmap_ptes - count ptes that map pages of an anonymous folio
 * @folio: the folio; it has been mapped before, or is in the swap cache
 * @page: the first page
 * @nr_pages: how many, consecutive
 * @vma: the vma that maps them
 * @address: where it maps the first
 * @flags: RMAP_EXCLUSIVE if they are this process's alone
 *
 * Context: page table lock held; and the folio lock, unless it stays mapped.
 */
void folio_add_anon_rmap_ptes(struct folio *folio, struct page *page,
			      int nr_pages, struct vm_area_struct *vma,
			      unsigned long address, rmap_t flags)
{
	int i;

	mod_stat(folio, add_ptes(folio, page, nr_pages), 0);
	check_anon(folio, page, vma, address);
	if (flags & RMAP_EXCLUSIVE)
		for (i = 0; i < nr_pages; i++)
			SetPageAnonExclusive(page + i);
	check_exclusive(folio, page, nr_pages);
	mlock_if_small(folio, vma);
}

static void set_new_ptes(struct folio *folio, int nr, bool exclusive)
{
	int i;

	for (i = 0; i < nr; i++) {
		struct page *page = folio_page(folio, i);

		atomic_set(&page->_mapcount, 0);
		if (exclusive)
			SetPageAnonExclusive(page);
	}
	atomic_set(&folio->_large_mapcount, nr - 1);
	atomic_set(&folio->_nr_pages_mapped, nr);
}

static void set_new_entire(struct folio *folio, bool exclusive)
{
	atomic_set(&folio->_entire_mapcount, 0);
	atomic_set(&folio->_large_mapcount, 0);
	if (exclusive)
		SetPageAnonExclusive(&folio->page);
}

/**
 * folio_add_new_anon_rmap - count the first entry, or ptes, for a new folio
 * @folio: the folio, which nobody else can have found, or locked and in the
 *	swap cache; all of it is mapped, by a pmd if it is large enough
 * @vma: the vma that maps it
 * @address: where
 * @flags: RMAP_EXCLUSIVE if it is this process's alone
 *
 * Makes it anonymous, and swappable.
 *
 * Context: page table lock held.
 */
void folio_add_new_anon_rmap(struct folio *folio, struct vm_area_struct *vma,
			     unsigned long address, rmap_t flags)
{
	const bool exclusive = flags & RMAP_EXCLUSIVE;
	const int nr = folio_nr_pages(folio);
	int nr_pmd = 0;

	VM_WARN_ON_FOLIO(folio_test_hugetlb(folio), folio);
	VM_WARN_ON_FOLIO(!exclusive && !folio_test_locked(folio), folio);
	VM_WARN_ON_ONCE(address < vma->vm_start ||
			address + nr * PAGE_SIZE > vma->vm_end);

	/* What may be dropped is never swapped out. */
	if (!folio_test_swapbacked(folio) && !(vma->vm_flags & VM_DROPPABLE))
		__folio_set_swapbacked(folio);
	make_anon(folio, vma, address, exclusive);

	if (likely(!folio_test_large(folio))) {
		atomic_set(&folio->_mapcount, 0);
		if (exclusive)
			SetPageAnonExclusive(&folio->page);
	} else if (!folio_test_pmd_mappable(folio)) {
		set_new_ptes(folio, nr, exclusive);
	} else {
		set_new_entire(folio, exclusive);
		atomic_set(&folio->_nr_pages_mapped, ENTIRELY_MAPPED);
		nr_pmd = nr;
	}
	check_exclusive(folio, &folio->page, nr);
	mod_stat(folio, nr, nr_pmd);
	mod_mthp_stat(folio_order(folio), MTHP_STAT_NR_ANON, 1);
}

/**
 * folio_add_file_rmap_ptes - count ptes that map pages of a file's folio
 * @folio: the folio
 * @page: the first page
 * @nr_pages: how many, consecutive
 * @vma: the vma that maps them
 *
 * Context: page table lock held.
 */
void folio_add_file_rmap_ptes(struct folio *folio, struct page *page,
			      int nr_pages, struct vm_area_struct *vma)
{
	VM_WARN_ON_FOLIO(folio_test_anon(folio), folio);
	mod_stat(folio, add_ptes(folio, page, nr_pages), 0);
	mlock_if_small(folio, vma);
}

static __always_inline void removed(struct folio *folio, int nr, int nr_pmd,
				    bool partial, struct vm_area_struct *vma)
{
	/* Reclaim may split it, and have what nobody maps. */
	if (partial && folio_test_anon(folio) &&
	    !folio_test_partially_mapped(folio))
		deferred_split_folio(folio, true);
	mod_stat(folio, -nr, -nr_pmd);
	/* Should other entries in the vma remain, reclaim will mlock it again. */
	munlock_vma_folio(folio, vma);
}

/**
 * folio_remove_rmap_ptes - uncount ptes that mapped pages of a folio
 * @folio: the folio
 * @page: the first page
 * @nr_pages: how many, consecutive
 * @vma: the vma that mapped them
 *
 * Context: page table lock held.
 */
void folio_remove_rmap_ptes(struct folio *folio, struct page *page, int nr_pages,
			    struct vm_area_struct *vma)
{
	bool partial;
	int nr = remove_ptes(folio, page, nr_pages, &partial);

	removed(folio, nr, 0, partial, vma);
}

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
/*
 * Of how many pages a pmd is the only entry. Others may count ptes meanwhile
 * before they count the pages, so @mapped may be more than there are.
 */
static __always_inline int pages_without_pte(struct folio *folio, int mapped)
{
	int nr = folio_nr_pages(folio) - (mapped & FOLIO_PAGES_MAPPED);

	return likely(nr >= 0) ? nr : 0;
}

/* Count a pmd. Return how many pages had no entry before. */
static int add_pmd(struct folio *folio, struct page *page, int *nr_pmd)
{
	int mapped, nr = 0;

	rmap_check_pmd(folio, page);
	*nr_pmd = 0;
	if (atomic_inc_and_test(&folio->_entire_mapcount)) {
		mapped = atomic_add_return_relaxed(ENTIRELY_MAPPED,
						   &folio->_nr_pages_mapped);
		/* Else the last pmd is on its way out, and not yet uncounted. */
		if (likely(mapped < 2 * ENTIRELY_MAPPED)) {
			*nr_pmd = folio_nr_pages(folio);
			nr = pages_without_pte(folio, mapped);
		}
	}
	atomic_inc(&folio->_large_mapcount);
	return nr;
}

/* Uncount a pmd. As remove_ptes(). */
static int remove_pmd(struct folio *folio, struct page *page, int *nr_pmd,
		      bool *partial)
{
	int mapped, nr = 0;

	rmap_check_pmd(folio, page);
	*nr_pmd = 0;
	*partial = false;
	atomic_dec(&folio->_large_mapcount);
	if (atomic_add_negative(-1, &folio->_entire_mapcount)) {
		mapped = atomic_sub_return_relaxed(ENTIRELY_MAPPED,
						   &folio->_nr_pages_mapped);
		/* Else a new pmd has been counted already. */
		if (likely(mapped < ENTIRELY_MAPPED)) {
			*nr_pmd = folio_nr_pages(folio);
			nr = pages_without_pte(folio, mapped);
			*partial = nr && nr < *nr_pmd;
		}
	}
	return nr;
}

/**
 * folio_add_anon_rmap_pmd - count a pmd that maps an anonymous folio
 * @folio: the folio; it has been mapped before
 * @page: its first page
 * @vma: the vma that maps it
 * @address: where
 * @flags: RMAP_EXCLUSIVE if it is this process's alone
 *
 * Context: page table lock held.
 */
void folio_add_anon_rmap_pmd(struct folio *folio, struct page *page,
			     struct vm_area_struct *vma, unsigned long address,
			     rmap_t flags)
{
	int nr_pmd, nr = add_pmd(folio, page, &nr_pmd);

	mod_stat(folio, nr, nr_pmd);
	check_anon(folio, page, vma, address);
	if (flags & RMAP_EXCLUSIVE)
		SetPageAnonExclusive(page);
	check_exclusive(folio, page, HPAGE_PMD_NR);
}

/**
 * folio_add_file_rmap_pmd - count a pmd that maps a file's folio
 * @folio: the folio
 * @page: its first page
 * @vma: the vma that maps it
 *
 * Context: page table lock held.
 */
void folio_add_file_rmap_pmd(struct folio *folio, struct page *page,
			     struct vm_area_struct *vma)
{
	int nr_pmd, nr = add_pmd(folio, page, &nr_pmd);

	VM_WARN_ON_FOLIO(folio_test_anon(folio), folio);
	mod_stat(folio, nr, nr_pmd);
}

/**
 * folio_remove_rmap_pmd - uncount a pmd that mapped a folio
 * @folio: the folio
 * @page: its first page
 * @vma: the vma that mapped it
 *
 * Context: page table lock held.
 */
void folio_remove_rmap_pmd(struct folio *folio, struct page *page,
			   struct vm_area_struct *vma)
{
	bool partial;
	int nr_pmd, nr = remove_pmd(folio, page, &nr_pmd, &partial);

	removed(folio, nr, nr_pmd, partial, vma);
}
#else
void folio_add_anon_rmap_pmd(struct folio *folio, struct page *page,
			     struct vm_area_struct *vma, unsigned long address,
			     rmap_t flags)
{
	WARN_ON_ONCE(1);
}

void folio_add_file_rmap_pmd(struct folio *folio, struct page *page,
			     struct vm_area_struct *vma)
{
	WARN_ON_ONCE(1);
}

void folio_remove_rmap_pmd(struct folio *folio, struct page *page,
			   struct vm_area_struct *vma)
{
	WARN_ON_ONCE(1);
}
#endif

#ifdef CONFIG_HUGETLB_PAGE
/**
 * hugetlb_add_anon_rmap - count an entry for an anonymous hugetlb folio
 * @folio: the folio, locked; it has been mapped before
 * @vma: the vma that maps it
 * @address: where
 * @flags: RMAP_EXCLUSIVE if it is this process's alone
 *
 * Context: page table lock held.
 */
void hugetlb_add_anon_rmap(struct folio *folio, struct vm_area_struct *vma,
			   unsigned long address, rmap_t flags)
{
	VM_WARN_ON_FOLIO(!folio_test_hugetlb(folio), folio);
	VM_WARN_ON_FOLIO(!folio_test_anon(folio), folio);

	rmap_dup_entire(folio);
	if (flags & RMAP_EXCLUSIVE)
		SetPageAnonExclusive(&folio->page);
	check_exclusive(folio, &folio->page, 1);
}

/**
 * hugetlb_add_new_anon_rmap - count the first entry for a new hugetlb folio
 * @folio: the folio, which nobody else can have found
 * @vma: the vma that maps it
 * @address: where
 *
 * Makes it anonymous, and this process's alone.
 *
 * Context: page table lock held.
 */
void hugetlb_add_new_anon_rmap(struct folio *folio, struct vm_area_struct *vma,
			       unsigned long address)
{
	VM_WARN_ON_FOLIO(!folio_test_hugetlb(folio), folio);

	folio_clear_hugetlb_restore_reserve(folio);
	make_anon(folio, vma, address, true);
	set_new_entire(folio, true);
}
#endif
