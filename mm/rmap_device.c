// SPDX-License-Identifier: GPL-2.0
/*
 * The reverse map: lending pages to a device, which has them for itself until
 * the processor touches them.
 */

#include <linux/export.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/pagemap.h>
#include <linux/rmap.h>
#include <linux/swap.h>
#include <linux/swapops.h>

#include "internal.h"
#include "rmap.h"

/**
 * struct loan - what is asked for
 * @mm: the process that wants it
 * @address: where it maps the page
 * @owner: what its driver knows its own notification by
 * @valid: the page was found there, writable, and has been lent
 */
struct loan {
	struct mm_struct *mm;
	unsigned long address;
	void *owner;
	bool valid;
};

/* What stands in place of a pte while the device has the page. */
static pte_t device_exclusive_pte(struct page *page, pte_t old)
{
	unsigned long pfn = page_to_pfn(page);
	swp_entry_t entry;
	pte_t pte;

	if (pte_write(old))
		entry = make_writable_device_exclusive_entry(pfn);
	else
		entry = make_readable_device_exclusive_entry(pfn);
	pte = swp_entry_to_pte(entry);
	if (pte_soft_dirty(old))
		pte = pte_swp_mksoft_dirty(pte);
	if (pte_uffd_wp(old))
		pte = pte_swp_mkuffd_wp(pte);
	return pte;
}

/* The reference stays: it is the new entry's. */
static bool lend_pte(struct page_vma_mapped_walk *pvmw, struct folio *folio,
		     struct loan *loan)
{
	struct vm_area_struct *vma = pvmw->vma;
	unsigned long address = pvmw->address;
	struct page *page;
	pte_t pte;

	/* Pmds have been split. */
	if (WARN_ON_ONCE(!pvmw->pte))
		return false;
	pte = ptep_get(pvmw->pte);
	if (!pte_present(pte))
		return false;

	page = folio_page(folio, pte_pfn(pte) - folio_pfn(folio));
	flush_cache_page(vma, address, pte_pfn(pte));
	pte = ptep_clear_flush(vma, address, pvmw->pte);
	if (pte_dirty(pte))
		folio_mark_dirty(folio);
	if (loan->mm == vma->vm_mm && loan->address == address && pte_write(pte))
		loan->valid = true;
	set_pte_at(vma->vm_mm, address, pvmw->pte,
		   device_exclusive_pte(page, pte));
	folio_remove_rmap_pte(folio, page, vma);
	return true;
}

static bool lend_in(struct folio *folio, struct vm_area_struct *vma,
		    unsigned long address, struct loan *loan)
{
	DEFINE_FOLIO_VMA_WALK(pvmw, folio, vma, address, 0);
	struct mmu_notifier_range range;
	bool lent = true;

	mmu_notifier_range_init_owner(&range, MMU_NOTIFY_EXCLUSIVE, 0,
				      vma->vm_mm, address,
				      min(vma->vm_end,
					  address + folio_size(folio)),
				      loan->owner);
	mmu_notifier_invalidate_range_start(&range);
	while (page_vma_mapped_walk(&pvmw)) {
		lent = lend_pte(&pvmw, folio, loan);
		if (!lent) {
			page_vma_mapped_walk_done(&pvmw);
			break;
		}
	}
	mmu_notifier_invalidate_range_end(&range);
	return lent;
}

/* The entries of a file's page would be missed when it is written back. */
static bool lend(struct folio *folio, struct loan *loan)
{
	struct rmap_iter iter __uninitialized;
	struct vm_area_struct *vma;

	if (!folio_test_anon(folio) || folio_test_hugetlb(folio))
		return false;

	rmap_for_each_vma(vma, &iter, folio, NULL, false)
		if (!lend_in(folio, vma, rmap_address(&iter, vma), loan) ||
		    !folio_mapped(folio))
			break;
	rmap_end(&iter);
	return loan->valid && !folio_mapped(folio);
}

/**
 * make_device_exclusive_range - lend the pages of a range to a device
 * @mm: the process
 * @start: where the range begins
 * @end: where it ends
 * @pages: set to the pages that were lent, locked and with a reference each;
 *	to NULL for those that could not be
 * @owner: passed on with MMU_NOTIFY_EXCLUSIVE
 *
 * No process has access to such a page. Whoever touches it waits for the page
 * lock, then MMU_NOTIFY_EXCLUSIVE with another owner tells the driver to stop,
 * and the entry is restored. So a driver sets up the access of its device in
 * a notifier's critical section, before it unlocks the page and puts it.
 *
 * Context: mmap_lock held, for read at least; may sleep.
 * Return: how many elements of @pages were set, or what get_user_pages_remote()
 * failed with.
 */
int make_device_exclusive_range(struct mm_struct *mm, unsigned long start,
				unsigned long end, struct page **pages,
				void *owner)
{
	long npages = (end - start) >> PAGE_SHIFT;
	long i;

	npages = get_user_pages_remote(mm, start, npages,
				       FOLL_GET | FOLL_WRITE | FOLL_SPLIT_PMD,
				       pages, NULL);
	for (i = 0; i < npages; i++) {
		struct folio *folio = page_folio(pages[i]);
		struct loan loan = {
			.mm = mm,
			.address = start + i * PAGE_SIZE,
			.owner = owner,
		};

		if (!PageTail(pages[i]) && folio_trylock(folio)) {
			if (lend(folio, &loan))
				continue;
			folio_unlock(folio);
		}
		folio_put(folio);
		pages[i] = NULL;
	}
	return npages;
}
EXPORT_SYMBOL_GPL(make_device_exclusive_range);
