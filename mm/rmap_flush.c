// SPDX-License-Identifier: GPL-2.0
/*
 * The reverse map: TLB flushes that wait until many folios have been unmapped.
 *
 * Until the flush, a processor may still use the entry, so it has to come
 * before a folio is freed; and, if it may still be written by that, before it
 * is written to disk. Reclaim sees to both. It holds no lock that munmap() or
 * mprotect() would wait for, and these must not take an entry that is gone for
 * one that is flushed: mm->tlb_flush_batched counts what was put off for a mm,
 * and, from FLUSHED_SHIFT on, what of that was flushed by such a caller.
 */

#include <linux/mm.h>
#include <linux/rmap.h>
#include <linux/sched.h>

#include <asm/tlbflush.h>

#include "internal.h"
#include "rmap.h"

#define FLUSHED_SHIFT	16
#define PENDING_MASK	((1 << (FLUSHED_SHIFT - 1)) - 1)
#define PENDING_MANY	(PENDING_MASK / 2)

/**
 * try_to_unmap_flush - do all flushes that this task has put off
 *
 * Folios that were unmapped with TTU_BATCH_FLUSH may be freed afterwards.
 *
 * Context: may sleep; no page table lock held.
 */
void try_to_unmap_flush(void)
{
	struct tlbflush_unmap_batch *batch = &current->tlb_ubc;

	if (!batch->flush_required)
		return;
	arch_tlbbatch_flush(&batch->arch);
	batch->flush_required = false;
	batch->writable = false;
}

/**
 * try_to_unmap_flush_dirty - the same if one of the entries may be written by
 *
 * Folios that were unmapped with TTU_BATCH_FLUSH may be written to disk
 * afterwards.
 *
 * Context: may sleep; no page table lock held.
 */
void try_to_unmap_flush_dirty(void)
{
	if (current->tlb_ubc.writable)
		try_to_unmap_flush();
}

/* Count one more; start anew before the counter of pending meets the other. */
static void count_pending(struct mm_struct *mm)
{
	int count = atomic_read(&mm->tlb_flush_batched);

	while ((count & PENDING_MASK) > PENDING_MANY)
		if (atomic_try_cmpxchg(&mm->tlb_flush_batched, &count, 1))
			return;
	atomic_inc(&mm->tlb_flush_batched);
}

/**
 * rmap_flush_later - note that entries have been cleared, but not flushed
 * @mm: whose entries
 * @pte: what they were: dirty if one of them was
 * @start: address of the first
 * @end: address after the last
 *
 * Context: page table lock held.
 */
void rmap_flush_later(struct mm_struct *mm, pte_t pte, unsigned long start,
		      unsigned long end)
{
	struct tlbflush_unmap_batch *batch = &current->tlb_ubc;

	if (!pte_accessible(mm, pte))
		return;
	for (; start < end; start += PAGE_SIZE)
		arch_tlbbatch_add_pending(&batch->arch, mm, start);
	batch->flush_required = true;
	/*
	 * What was dirty is likely to be writable. For a clean entry, an
	 * architecture that wants this must guarantee that the first write
	 * through the TLB looks at the entry again, and faults.
	 */
	if (pte_dirty(pte))
		batch->writable = true;

	/* Not before the entries are cleared. */
	barrier();
	count_pending(mm);
}

/**
 * flush_tlb_batched_pending - flush what reclaim has put off for a mm
 * @mm: the mm
 *
 * To be called before it is relied on that an entry which is not there, or not
 * writable, is in no TLB.
 *
 * Context: page table lock held, which orders this after rmap_flush_later().
 */
void flush_tlb_batched_pending(struct mm_struct *mm)
{
	int count = atomic_read(&mm->tlb_flush_batched);
	int pending = count & PENDING_MASK;

	if (pending == count >> FLUSHED_SHIFT)
		return;
	arch_flush_tlb_batched_pending(mm);
	/* If more has been put off meanwhile, it is for the next to flush. */
	atomic_cmpxchg(&mm->tlb_flush_batched, count,
		       pending | pending << FLUSHED_SHIFT);
}
