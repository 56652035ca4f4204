/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_ANON_VMA_H
#define _LINUX_ANON_VMA_H

#include <linux/atomic.h>
#include <linux/mm_types.h>
#include <linux/rbtree.h>
#include <linux/rmap_debug.h>
#include <linux/rwsem.h>

struct folio;
struct rmap_walk_control;

/**
 * struct anon_vma - a node of the fork tree: where anonymous folios point
 * @vmas: interval tree of the vmas attached here, by linear page index
 * @children: interval tree of the child nodes, by hull
 * @hull_first: lowest index ever attached here or below
 * @hull_last: highest index ever attached here or below
 * @gap_first: first index of the widest hole that the hull has, as far as known
 * @gap_last: last index of that hole; less than @gap_first if there is none
 * @next: the sibling that follows in @sibling order, NULL at the end
 * @overlap: two of @vmas may share an index (never cleared, costs only speed)
 * @all_locked: held by mm_take_all_locks() (root only, under its mutex)
 * @refcount: one for being linked, one per other node if root, plus lookups
 * @root: the node whose @rwsem guards the whole family, itself included
 * @parent: NULL for the root
 * @owner: anon_owner of the mm that makes new folios point here
 * @owned_link: link in @root->owned
 * @sibling: link in @parent->children (all but the root)
 * @subtree_last: highest @hull_last in the @sibling subtree (all but the root)
 * @owned: every linked node of the family by @owner (root only)
 * @rwsem: the family lock (used in the root only)
 *
 * What a walk reads comes first. Nodes come from a SLAB_TYPESAFE_BY_RCU cache:
 * see folio_lock_anon_vma_read().
 */
struct anon_vma {
	struct rb_root_cached vmas;
	struct rb_root_cached children;
	unsigned long hull_first;
	unsigned long hull_last;
	unsigned long gap_first;
	unsigned long gap_last;
	struct anon_vma *next;
	bool overlap;
	bool all_locked;
	atomic_t refcount;

	struct anon_vma *root;
	struct anon_vma *parent;
	u64 owner;
	struct rb_node owned_link;
	union {
		struct {
			struct rb_node sibling;
			unsigned long subtree_last;
		};
		struct rb_root owned;
	};
	struct rw_semaphore rwsem;
};

/**
 * struct anon_vma_iter - position of a walk; see anon_vma_for_each_vma()
 * @top: node where the walk began and ends
 * @node: node being visited
 * @first: first page index looked for
 * @last: last page index looked for
 * @more: @node may hold another vma of the range
 */
struct anon_vma_iter {
	struct anon_vma *top;
	struct anon_vma *node;
	unsigned long first;
	unsigned long last;
	bool more;
};

#define ANON_VMA_BATCH	8

/**
 * struct anon_vma_unlink_batch - vmas to be unlinked under one family lock
 * @count: how many are waiting
 * @vmas: the vmas, all of one family
 */
struct anon_vma_unlink_batch {
	unsigned int count;
	struct vm_area_struct *vmas[ANON_VMA_BATCH];
};

static inline void get_anon_vma(struct anon_vma *node)
{
	atomic_inc(&node->refcount);
}

void __put_anon_vma(struct anon_vma *node);

static inline void put_anon_vma(struct anon_vma *node)
{
	if (atomic_dec_and_test(&node->refcount))
		__put_anon_vma(node);
}

static inline void anon_vma_lock_write(struct anon_vma *node)
{
	down_write(&node->root->rwsem);
}

static inline int anon_vma_trylock_write(struct anon_vma *node)
{
	return down_write_trylock(&node->root->rwsem);
}

static inline void anon_vma_unlock_write(struct anon_vma *node)
{
	up_write(&node->root->rwsem);
}

static inline void anon_vma_lock_read(struct anon_vma *node)
{
	down_read(&node->root->rwsem);
}

static inline int anon_vma_trylock_read(struct anon_vma *node)
{
	return down_read_trylock(&node->root->rwsem);
}

static inline void anon_vma_unlock_read(struct anon_vma *node)
{
	up_read(&node->root->rwsem);
}

/**
 * vma_anon_settled - is this vma attached to the node its new pages belong to?
 * @vma: the vma, held by the vma lock or mmap_lock
 *
 * Return: false if anon_vma_prepare() has something to do.
 */
static inline bool vma_anon_settled(const struct vm_area_struct *vma)
{
	return READ_ONCE(vma->anon_vma) && !READ_ONCE(vma->anon_inherited);
}

/**
 * anon_vma_is_own_root - did this mm begin, or take over, the family of a node?
 * @node: node of a vma of @mm
 * @mm: the mm, its mmap_lock held
 *
 * A vma never leaves such a node.
 *
 * Return: true if it did.
 */
static inline bool anon_vma_is_own_root(const struct anon_vma *node,
					const struct mm_struct *mm)
{
	return node->root == node && READ_ONCE(node->owner) == mm->anon_owner;
}

int __anon_vma_prepare(struct vm_area_struct *vma);

/**
 * anon_vma_prepare - attach a vma to the node its new pages belong to
 * @vma: the vma that is about to get a private page, or to take one over
 *
 * Makes a family at the first page of all, and moves the vma from the node
 * inherited at fork to the one of its own mm at the first after a fork.
 *
 * Context: mmap_lock held, for read at least; may sleep.
 * Return: 0, or -ENOMEM if the vma has no node at all.
 */
static inline int anon_vma_prepare(struct vm_area_struct *vma)
{
	if (likely(vma_anon_settled(vma)))
		return 0;
	return __anon_vma_prepare(vma);
}

void anon_vma_init(void);
u64 anon_vma_new_owner(void);
void anon_vma_fork(struct vm_area_struct *vma, struct vm_area_struct *pvma);
void anon_vma_attach_copy(struct vm_area_struct *vma, struct vm_area_struct *src);
void anon_vma_unlink(struct vm_area_struct *vma);
void anon_vma_unlink_batch_add(struct anon_vma_unlink_batch *batch,
			       struct vm_area_struct *vma);
void anon_vma_unlink_batch_flush(struct anon_vma_unlink_batch *batch);

bool anon_vma_mergeable(const struct mm_struct *mm, const struct anon_vma *a,
			const struct anon_vma *b);
struct anon_vma *anon_vma_deeper(struct anon_vma *a, struct anon_vma *b);
void anon_vma_pre_update(struct vm_area_struct *vma);
void anon_vma_set(struct vm_area_struct *vma, struct anon_vma *node);
void anon_vma_post_update(struct vm_area_struct *vma);

struct anon_vma *folio_get_anon_vma(struct folio *folio);
struct anon_vma *folio_lock_anon_vma_read(struct folio *folio,
					  struct rmap_walk_control *rwc);

struct vm_area_struct *anon_vma_iter_first(struct anon_vma_iter *iter,
					   struct anon_vma *node,
					   unsigned long first,
					   unsigned long last);
struct vm_area_struct *__anon_vma_iter_vma(struct vm_area_struct *vma,
					   unsigned long first,
					   unsigned long last);
struct vm_area_struct *__anon_vma_iter_node(struct anon_vma_iter *iter);

/**
 * anon_vma_iter_next - next vma of a walk; see anon_vma_for_each_vma()
 * @iter: the position
 * @vma: the vma that the walk is at
 *
 * Context: family lock held, for read at least, since anon_vma_iter_first().
 * Return: the vma, or NULL at the end.
 */
static inline struct vm_area_struct *
anon_vma_iter_next(struct anon_vma_iter *iter, struct vm_area_struct *vma)
{
	if (iter->more) {
		vma = __anon_vma_iter_vma(vma, iter->first, iter->last);
		if (vma)
			return vma;
	}
	return __anon_vma_iter_node(iter);
}

/**
 * anon_vma_for_each_vma - visit the vmas that may map an anonymous folio
 * @vma: set to each vma in turn
 * @iter: struct anon_vma_iter that keeps the position
 * @node: node that the folio points at
 * @first: first page index of the folio
 * @last: last page index of the folio
 *
 * Pre-order: the vmas of a node come before those of its children. Each vma
 * of the subtree that overlaps the range is visited once.
 *
 * Context: family lock held, for read at least, throughout the loop.
 */
#define anon_vma_for_each_vma(vma, iter, node, first, last)		\
	for ((vma) = anon_vma_iter_first((iter), (node), (first), (last)); \
	     (vma); (vma) = anon_vma_iter_next((iter), (vma)))

#ifdef CONFIG_DEBUG_VM_RB
void anon_vma_verify(struct vm_area_struct *vma);
#else
static inline void anon_vma_verify(struct vm_area_struct *vma)
{
}
#endif

#endif /* _LINUX_ANON_VMA_H */
