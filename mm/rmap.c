// SPDX-License-Identifier: GPL-2.0
/*
 * The reverse map: which vmas may map a folio, and where in them.
 *
 * A folio's mapping names an object that survives split, merge and move of
 * vmas: the node of a fork tree (mm/anon_vma.c), an address_space, or the
 * KSM node of a shared copy (mm/ksm.c). The object knows the vmas, and the
 * linear page index says where in a vma the page would be. Whether it is
 * there is for the page table to say (mm/page_vma_mapped.c).
 *
 * What is done with what a walk finds has its own rooms: rmap_unmap.c removes
 * entries, rmap_age.c clears their young and dirty bits, rmap_device.c lends
 * pages to a device, rmap_flush.c flushes TLBs in batches. rmap_count.c counts
 * entries. rmap_debug.c checks that all were found.
 *
 * Lock order of mm, outermost first. Locks on one level are not nested in each
 * other, except as said.
 *
 *  1 inode->i_rwsem (write and truncate; reads and faults do without)
 *  2 mm->mmap_lock
 *  3 mapping->invalidate_lock (page faults of files, truncate)
 *  4 folio lock
 *  5 hugetlbfs_i_mmap_rwsem_key (sharing of pmds, see below)
 *  6 vma lock, for write
 *  7 mapping->i_mmap_rwsem
 *  8 the family lock: anon_vma->root->rwsem. There is one for all nodes of a
 *    family. Two are held together only by mm_take_all_locks(), which has
 *    mmap_lock for write, takes all i_mmap_rwsem first, and is alone.
 *  9 mm->page_table_lock or the lock of a pmd or pte table. A first fault
 *    holds page_table_lock within 8.
 * 10 swap cluster and device locks (swap_duplicate() and swap_free())
 *    mmlist_lock
 *    mapping->i_private_lock (buffers are made dirty)
 *    inode->i_lock and wb->list_lock, in this order (an inode is made dirty)
 * 11 memcg move lock (within i_private_lock)
 *    sb_lock (within inode->i_lock, in writeback)
 * 12 mapping->i_pages lock
 * 13 lruvec->lru_lock
 *
 * So a walk has the folio locked, takes 7 or 8, and for each entry 9 and what
 * follows. Reclaim ages folios without 4, and gives up where 7 or 8 is taken.
 * Who holds 7 or 8 must not allocate memory in a way that reclaims: it walks.
 *
 * hugetlbfs: fault mutex of the page, lock of the vma (hugetlb_vma_lock),
 * i_mmap_rwsem, folio lock, in this order, since pmds are shared.
 */

#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/rmap.h>

#include "internal.h"
#include "rmap.h"

/**
 * page_address_in_vma - where a vma would map a page
 * @page: the page, its folio locked or otherwise sure to stay what it is
 * @vma: the vma, of whatever file or family
 *
 * Nothing is said about whether the page is mapped there. For KSM pages, which
 * have no one index, there is no answer.
 *
 * Return: the address, or -EFAULT.
 */
unsigned long page_address_in_vma(struct page *page, struct vm_area_struct *vma)
{
	struct folio *folio = page_folio(page);

	if (folio_test_anon(folio)) {
		struct anon_vma *node = folio_anon_vma(folio);
		struct anon_vma *own = READ_ONCE(vma->anon_vma);

		if (!node || !own || own->root != node->root)
			return -EFAULT;
	} else if (!vma->vm_file || vma->vm_file->f_mapping != folio->mapping) {
		return -EFAULT;
	}
	return vma_address(vma, folio->index + folio_page_idx(folio, page), 1);
}

/**
 * mm_find_pmd - the pmd that covers an address
 * @mm: the mm, its page tables kept by the caller
 * @address: the address
 *
 * Return: the pmd, whatever is in it, or NULL if there is no table for it.
 */
pmd_t *mm_find_pmd(struct mm_struct *mm, unsigned long address)
{
	pgd_t *pgd = pgd_offset(mm, address);
	p4d_t *p4d;
	pud_t *pud;

	if (!pgd_present(*pgd))
		return NULL;
	p4d = p4d_offset(pgd, address);
	if (!p4d_present(*p4d))
		return NULL;
	pud = pud_offset(p4d, address);
	if (!pud_present(*pud))
		return NULL;
	return pmd_offset(pud, address);
}

/**
 * rmap_lock_node - take a family lock for read, as a walk is to take it
 * @rwc: whether to wait; told if the lock was contended. NULL: wait
 * @node: any node of the family, which the caller keeps
 *
 * Return: true if the lock was taken.
 */
bool rmap_lock_node(struct rmap_walk_control *rwc, struct anon_vma *node)
{
	if (anon_vma_trylock_read(node))
		return true;
	if (rwc && rwc->try_lock) {
		rwc->contended = true;
		return false;
	}
	anon_vma_lock_read(node);
	return true;
}

static struct anon_vma *lock_anon(struct folio *folio,
				  struct rmap_walk_control *rwc, bool locked)
{
	struct anon_vma *node;

	if (locked) {
		node = folio_anon_vma(folio);
		WARN_ON_ONCE(!node);
		return node;
	}
	if (!rwc)
		return folio_lock_anon_vma_read(folio, NULL);
	if (rwc->anon_lock)
		return rwc->anon_lock(folio, rwc);
	/* The caller keeps the node, whether the folio is mapped or not. */
	node = folio_anon_vma(folio);
	if (node && !rmap_lock_node(rwc, node))
		return NULL;
	return node;
}

/* The folio lock keeps truncation from taking the mapping away. */
static struct address_space *lock_file(struct folio *folio,
				       struct rmap_walk_control *rwc, bool locked)
{
	struct address_space *mapping = folio_mapping(folio);

	VM_WARN_ON_ONCE_FOLIO(!folio_test_locked(folio), folio);
	if (!mapping || locked || i_mmap_trylock_read(mapping))
		return mapping;
	if (rwc && rwc->try_lock) {
		rwc->contended = true;
		return NULL;
	}
	i_mmap_lock_read(mapping);
	return mapping;
}

/* The index is read under the lock: UFFDIO_MOVE changes it. */
static void set_range(struct rmap_iter *iter)
{
	iter->pos.first = folio_pgoff(iter->folio);
	iter->pos.last = iter->pos.first + folio_nr_pages(iter->folio) - 1;
}

/**
 * rmap_first - begin a walk; see rmap_for_each_vma()
 * @iter: the position; need not be initialized
 * @folio: the folio
 * @rwc: &struct rmap_walk_control of which anon_lock, try_lock and contended
 *	are used here; or NULL: wait for locks, and if the folio is anonymous
 *	do nothing once it is not mapped
 * @locked: the caller holds the lock, and keeps it
 *
 * Return: the first vma, or NULL if there is none or the lock was contended.
 */
struct vm_area_struct *rmap_first(struct rmap_iter *iter, struct folio *folio,
				  struct rmap_walk_control *rwc, bool locked)
{
	struct anon_vma_iter *pos = &iter->pos;
	struct vm_area_struct *vma = NULL;

	rmap_stat_add(RMAP_WALKS, 1);
	iter->folio = folio;
	iter->rwc = rwc;
	iter->locked = locked;
	if (!folio_test_anon(folio)) {
		iter->kind = RMAP_FILE;
		iter->mapping = lock_file(folio, rwc, locked);
		if (!iter->mapping)
			return NULL;
		set_range(iter);
		vma = vma_interval_tree_iter_first(&iter->mapping->i_mmap,
						   pos->first, pos->last);
	} else if (likely(!folio_test_ksm(folio))) {
		iter->kind = RMAP_ANON;
		iter->node = lock_anon(folio, rwc, locked);
		if (!iter->node)
			return NULL;
		set_range(iter);
		vma = anon_vma_iter_first(pos, iter->node, pos->first, pos->last);
	} else {
		iter->kind = RMAP_KSM;
		iter->node = NULL;
		iter->item = NULL;
		iter->forks = false;
		if (!WARN_ON_ONCE(locked))
			vma = ksm_rmap_next(iter, NULL);
	}
	if (vma)
		rmap_stat_add(RMAP_VMAS_VISITED, 1);
	return vma;
}

/**
 * rmap_end - end a walk: drop the lock, if it was taken
 * @iter: the position
 */
void rmap_end(struct rmap_iter *iter)
{
	if (iter->locked)
		return;
	if (iter->kind == RMAP_FILE) {
		if (iter->mapping)
			i_mmap_unlock_read(iter->mapping);
	} else if (iter->node) {
		anon_vma_unlock_read(iter->node);
	}
}

static void walk(struct folio *folio, struct rmap_walk_control *rwc, bool locked)
{
	struct rmap_iter iter __uninitialized;
	struct vm_area_struct *vma;

	rmap_for_each_vma(vma, &iter, folio, rwc, locked) {
		unsigned long address = rmap_address(&iter, vma);

		VM_WARN_ON_ONCE(address == -EFAULT);
		if (rwc->invalid_vma && rwc->invalid_vma(vma, rwc->arg))
			continue;
		if (!rwc->rmap_one(folio, vma, address, rwc->arg))
			break;
	}
	rmap_end(&iter);
}

/**
 * rmap_walk - visit the vmas that may map a folio
 * @folio: the folio; locked, unless it is anonymous and the caller bears that
 *	it is unmapped, moved or freed meanwhile (see folio_lock_anon_vma_read())
 * @rwc: what to do
 *
 * Each vma is visited once; for a folio of KSM at least once. While fork copies
 * page tables, the vma of the parent comes before that of the child.
 *
 * Context: may sleep. Takes the family lock or i_mmap_rwsem for read.
 */
void rmap_walk(struct folio *folio, struct rmap_walk_control *rwc)
{
	walk(folio, rwc, false);
}

/**
 * rmap_walk_locked - visit the vmas that may map a folio, the lock being held
 * @folio: the folio, locked; not of KSM, which has no one lock
 * @rwc: what to do
 *
 * Context: may sleep. The family lock or i_mmap_rwsem is held.
 */
void rmap_walk_locked(struct folio *folio, struct rmap_walk_control *rwc)
{
	walk(folio, rwc, true);
}
