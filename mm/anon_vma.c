// SPDX-License-Identifier: GPL-2.0
/*
 * Reverse map of anonymous memory: one node per process and family, linked
 * as a fork tree.
 *
 * A folio points at a node (struct anon_vma), a vma is attached to one node,
 * and one rule joins them:
 *
 *   for every anonymous folio F mapped by a vma V, V is attached to a node in
 *   the subtree of the node that F points at.
 *
 * (A swap or migration entry for F counts as a mapping.)
 *
 * So a walk of F visits the subtree below F's node and nothing else, and
 * moving a vma to a descendant of its node is always safe. That is the only
 * move there is. Staying is safe too, hence no step taken for the sake of
 * speed may fail: lacking memory, it leaves the vma where it is.
 *
 * An mm has at most two nodes in a family: the one its vmas were attached to
 * at fork, which is an ancestor's ("inherited"), and its own, a child of that.
 *
 * Locking:
 *   - the family lock (root->rwsem) guards the trees, the hulls, owners and
 *     parents of all nodes of the family. Held for write to change them.
 *   - vma->anon_vma of a vma that others can find changes only with mmap_lock
 *     held, for read at least, and the family lock held for write; in a fault,
 *     from NULL also under page_table_lock. So mmap_lock held for write freezes
 *     it. All others read it once: while the vma is attached, the node read
 *     stays linked (the vma is still in its subtree), its root never changes.
 *   - the family lock nests as the list at the top of mm/rmap.c says; no two
 *     are held at a time, other than by mm_take_all_locks().
 *
 * See Documentation/mm/anon_vma.rst.
 */

#include <linux/interval_tree_generic.h>
#include <linux/mm.h>
#include <linux/rmap.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "internal.h"

static struct kmem_cache *anon_vma_cachep;

static inline unsigned long vma_first_index(struct vm_area_struct *vma)
{
	return vma->vm_pgoff;
}

static inline unsigned long vma_last_index(struct vm_area_struct *vma)
{
	return vma->vm_pgoff + vma_pages(vma) - 1;
}

static inline unsigned long hull_first(struct anon_vma *node)
{
	return node->hull_first;
}

static inline unsigned long hull_last(struct anon_vma *node)
{
	return node->hull_last;
}

INTERVAL_TREE_DEFINE(struct vm_area_struct, anon_link.rb, unsigned long,
		     anon_link.rb_subtree_last, vma_first_index, vma_last_index,
		     static, vma_tree)

INTERVAL_TREE_DEFINE(struct anon_vma, sibling, unsigned long, subtree_last,
		     hull_first, hull_last, static, child_tree)

#define rb_to_vma(link) \
	rb_entry_safe(link, struct vm_area_struct, anon_link.rb)
#define rb_to_child(link) rb_entry_safe(link, struct anon_vma, sibling)

/**
 * anon_vma_new_owner - an id for a new mm, to own nodes by
 *
 * Return: the id. It is never used again, unlike an address.
 */
u64 anon_vma_new_owner(void)
{
	static atomic64_t last_owner = ATOMIC64_INIT(0);

	return atomic64_inc_return(&last_owner);
}

/* The nodes of a family by owner. */

static int owner_cmp(const void *owner, const struct rb_node *rb)
{
	u64 a = *(const u64 *)owner;
	u64 b = rb_entry(rb, struct anon_vma, owned_link)->owner;

	return a < b ? -1 : a > b;
}

static bool owner_less(struct rb_node *a, const struct rb_node *b)
{
	return owner_cmp(&rb_entry(a, struct anon_vma, owned_link)->owner, b) < 0;
}

static void set_owner(struct anon_vma *node, u64 owner)
{
	WRITE_ONCE(node->owner, owner);
	rb_add(&node->owned_link, &node->root->owned, owner_less);
}

/* The node that @mm owns in the family of @node, or NULL. */
static struct anon_vma *owned_node(struct anon_vma *node,
				   const struct mm_struct *mm)
{
	struct rb_node *rb;

	if (node->owner == mm->anon_owner)
		return node;
	rb = rb_find(&mm->anon_owner, &node->root->owned, owner_cmp);
	return rb_entry_safe(rb, struct anon_vma, owned_link);
}

/* Siblings and hulls. */

static void link_sibling(struct anon_vma *node)
{
	struct anon_vma *prev;

	child_tree_insert(node, &node->parent->children);
	node->next = rb_to_child(rb_next(&node->sibling));
	prev = rb_to_child(rb_prev(&node->sibling));
	if (prev)
		prev->next = node;
}

static void unlink_sibling(struct anon_vma *node)
{
	struct anon_vma *prev = rb_to_child(rb_prev(&node->sibling));

	if (prev)
		prev->next = node->next;
	child_tree_remove(node, &node->parent->children);
}

static bool in_gap(const struct anon_vma *node, unsigned long first,
		   unsigned long last)
{
	return node->gap_first <= first && last <= node->gap_last;
}

static bool hull_covers(const struct anon_vma *node, unsigned long first,
			unsigned long last)
{
	return node->hull_first <= first && last <= node->hull_last &&
	       (last < node->gap_first || first > node->gap_last);
}

/* Make [@first, @end) the gap if it is wider than the one there is. */
static void offer_gap(struct anon_vma *node, unsigned long first,
		      unsigned long end)
{
	unsigned long width = 0;

	if (node->gap_first <= node->gap_last)
		width = node->gap_last - node->gap_first + 1;
	if (first < end && end - first > width) {
		node->gap_first = first;
		node->gap_last = end - 1;
	}
}

static void set_hull(struct anon_vma *node, unsigned long first,
		     unsigned long last)
{
	node->hull_first = first;
	node->hull_last = last;
	node->gap_first = ULONG_MAX;
	node->gap_last = 0;
}

/* The range has cut the gap, or lies beyond the hull and leaves another. */
static void mend_gap(struct anon_vma *node, unsigned long first,
		     unsigned long last)
{
	unsigned long gap_first = node->gap_first;
	unsigned long gap_end = node->gap_last + 1;

	if (first < gap_end && last >= gap_first) {
		node->gap_first = ULONG_MAX;
		node->gap_last = 0;
		offer_gap(node, gap_first, min(first, gap_end));
		offer_gap(node, max(last + 1, gap_first), gap_end);
	}
	offer_gap(node, node->hull_last + 1, first);
	offer_gap(node, last + 1, node->hull_first);
}

/*
 * Make the hulls from @node up to that of the ancestor @top, which covers the
 * range already, cover it too. None in between can be taken to do so because
 * a lower one does: that may have forgotten a hole which a higher one knows.
 */
static void grow_hull(struct anon_vma *node, struct anon_vma *top,
		      unsigned long first, unsigned long last)
{
	for (; node != top; node = node->parent) {
		if (hull_covers(node, first, last))
			continue;
		mend_gap(node, first, last);
		if (node->hull_first <= first && last <= node->hull_last)
			continue;
		unlink_sibling(node);
		node->hull_first = min(node->hull_first, first);
		node->hull_last = max(node->hull_last, last);
		link_sibling(node);
	}
}

/* Life of a node. */

static struct anon_vma *alloc_node(gfp_t gfp)
{
	struct anon_vma *node = kmem_cache_alloc(anon_vma_cachep, gfp);

	if (!node)
		return NULL;
	node->vmas = RB_ROOT_CACHED;
	node->children = RB_ROOT_CACHED;
	node->next = NULL;
	node->overlap = false;
	/* A lookup that comes too late must not get it before it is linked. */
	VM_WARN_ON_ONCE(atomic_read(&node->refcount));
	return node;
}

static void count_new(const struct anon_vma *node)
{
	rmap_stat_add(RMAP_NODES, 1);
	rmap_stat_add(RMAP_EMPTY_NODES, 1);
	rmap_stat_add(RMAP_FAMILIES, node->root == node);
}

static void count_free(const struct anon_vma *node)
{
	rmap_stat_add(RMAP_NODES, -1);
	rmap_stat_add(RMAP_EMPTY_NODES, -1);
	rmap_stat_add(RMAP_FAMILIES, -(node->root == node));
}

static void init_root(struct anon_vma *node, const struct mm_struct *mm)
{
	set_hull(node, 0, ULONG_MAX);
	node->all_locked = false;
	node->parent = NULL;
	node->owned = RB_ROOT;
	WRITE_ONCE(node->root, node);
	set_owner(node, mm->anon_owner);
	count_new(node);
	atomic_set_release(&node->refcount, 1);
}

/* Make @node a child of @parent, owned by @vma's mm, with the hull of @vma. */
static void init_child(struct anon_vma *node, struct anon_vma *parent,
		       struct vm_area_struct *vma)
{
	set_hull(node, vma_first_index(vma), vma_last_index(vma));
	node->parent = parent;
	WRITE_ONCE(node->root, parent->root);
	/* The lock lives in the root: it stays until the last node is freed. */
	get_anon_vma(node->root);
	set_owner(node, vma->vm_mm->anon_owner);
	link_sibling(node);
	count_new(node);
	atomic_set_release(&node->refcount, 1);
}

/*
 * Unlink @node if it has neither vmas nor children, and then its parent, and
 * so on up. They are put on the list @dead, to be freed without the lock.
 */
static void prune(struct anon_vma *node, struct anon_vma **dead)
{
	while (node && RB_EMPTY_ROOT(&node->vmas.rb_root) &&
	       RB_EMPTY_ROOT(&node->children.rb_root)) {
		rb_erase(&node->owned_link, &node->root->owned);
		if (node->parent)
			unlink_sibling(node);
		node->next = *dead;
		*dead = node;
		node = node->parent;
	}
}

static void put_dead(struct anon_vma *dead)
{
	struct anon_vma *node;

	while ((node = dead)) {
		dead = node->next;
		put_anon_vma(node);
	}
}

static void free_node(struct anon_vma *node)
{
	VM_WARN_ON_ONCE(atomic_read(&node->refcount));

	/*
	 * folio_lock_anon_vma_read() takes the lock without a reference and
	 * looks at the mapcount afterwards. Wait for it to let go. The full
	 * barrier in atomic_dec_and_test() orders our look at the lock after
	 * the last put, its acquire orders its look at the mapcount after the
	 * locking: one of the two sees the other.
	 */
	might_sleep();
	if (rwsem_is_locked(&node->root->rwsem)) {
		anon_vma_lock_write(node);
		anon_vma_unlock_write(node);
	}
	count_free(node);
	kmem_cache_free(anon_vma_cachep, node);
}

/**
 * __put_anon_vma - free a node whose last reference has gone
 * @node: the node
 *
 * Context: may sleep; the family lock must not be held.
 */
void __put_anon_vma(struct anon_vma *node)
{
	struct anon_vma *root = node->root;

	free_node(node);
	if (root != node)
		put_anon_vma(root);
}

/* Attaching vmas: family lock held for write. */

/* @n vmas more, before they are in the tree, or less, when they are out. */
static void count_attached(const struct anon_vma *node, long n)
{
	rmap_stat_add(RMAP_VMAS, n);
	if (RB_EMPTY_ROOT(&node->vmas.rb_root))
		rmap_stat_add(RMAP_EMPTY_NODES, -n);
}

/* @top: an ancestor whose hull covers @vma, as the root's always does */
static void attach(struct vm_area_struct *vma, struct anon_vma *node,
		   struct anon_vma *top)
{
	unsigned long first = vma_first_index(vma);
	unsigned long last = vma_last_index(vma);

	if (!node->overlap)
		node->overlap = vma_tree_iter_first(&node->vmas, first, last);
	grow_hull(node, top, first, last);
	count_attached(node, 1);
	vma_tree_insert(vma, &node->vmas);
	/* Pairs with READ_ONCE() and the address dependency of its readers. */
	smp_store_release(&vma->anon_vma, node);
}

static void detach(struct vm_area_struct *vma)
{
	vma_tree_remove(vma, &vma->anon_vma->vmas);
	count_attached(vma->anon_vma, -1);
}

/*
 * Attach @vma to the node of @prev, right behind it in tree order. They have
 * the same range, as one is a copy of the other: no hull grows.
 */
static void attach_behind(struct vm_area_struct *vma,
			  struct vm_area_struct *prev)
{
	struct anon_vma *node = prev->anon_vma;
	struct rb_node *parent = &prev->anon_link.rb;
	struct rb_node **link = &parent->rb_right;
	unsigned long last = vma_last_index(vma);

	while (*link) {
		parent = *link;
		link = &parent->rb_left;
	}
	vma->anon_link.rb_subtree_last = last;
	rb_link_node(&vma->anon_link.rb, parent, link);
	for (; rb_to_vma(parent)->anon_link.rb_subtree_last < last;
	     parent = rb_parent(parent))
		rb_to_vma(parent)->anon_link.rb_subtree_last = last;
	rb_insert_augmented_cached(&vma->anon_link.rb, &node->vmas, false,
				   &vma_tree_augment);
	count_attached(node, 1);
	node->overlap = true;
	vma->anon_vma = node;
}

/**
 * anon_vma_fork - attach the child's copy of a vma
 * @vma: the child's vma, not attached
 * @pvma: the parent's
 *
 * The copy goes to the node that the parent owns, if there is one, else to
 * that of @pvma: the pages that both now share point there or above. Where
 * the node is that of @pvma, the walk that removes migration entries must
 * see the parent first while copy_page_range() runs.
 *
 * Context: mmap_lock of both mms held for write. Allocates nothing.
 */
void anon_vma_fork(struct vm_area_struct *vma, struct vm_area_struct *pvma)
{
	struct anon_vma *node = pvma->anon_vma;
	struct anon_vma *own;

	if (!node)
		return;

	anon_vma_lock_write(node);
	own = owned_node(node, pvma->vm_mm);
	if (own && own->parent == node)
		attach(vma, own, node);
	else
		attach_behind(vma, pvma);
	vma->anon_inherited = true;
	anon_vma_unlock_write(node);
}

/*
 * A node left by its owner to one heir is the heir's: most forks are followed
 * by an exit of the parent or of the child. Then nothing needs to be made.
 */
static bool take_over(struct anon_vma *node, const struct mm_struct *mm)
{
	struct rb_node *rb;

	if (!RB_EMPTY_ROOT(&node->children.rb_root))
		return false;
	for (rb = rb_first_cached(&node->vmas); rb; rb = rb_next(rb))
		if (rb_to_vma(rb)->vm_mm != mm)
			return false;
	rb_erase(&node->owned_link, &node->root->owned);
	set_owner(node, mm->anon_owner);
	return true;
}

/* Of a tree that is not empty. */
static bool is_singular(const struct rb_root *root)
{
	return !root->rb_node->rb_left && !root->rb_node->rb_right;
}

/*
 * Each process of an endless chain (fork, write, exit) would leave an empty
 * node that has one child. Allow no more of them above @node than there are
 * vmas attached to it. Ancestors in use, or with several children, have live
 * vmas of their own to answer for them, and are not counted.
 */
static bool too_deep(const struct anon_vma *node)
{
	struct rb_node *rb = rb_first_cached(&node->vmas);
	const struct anon_vma *up = node->parent;

	for (; up; up = up->parent) {
		if (!RB_EMPTY_ROOT(&up->vmas.rb_root) ||
		    !is_singular(&up->children.rb_root))
			continue;
		if (!rb)
			return true;
		rb = rb_next(rb);
	}
	return false;
}

/*
 * Move @vma from the inherited node to the one its mm owns, if there is or
 * should be one. Returns false, with nothing done, if that takes a new node
 * and there is neither @spare nor memory.
 */
static bool settle(struct vm_area_struct *vma, struct anon_vma **spare)
{
	struct anon_vma *node = vma->anon_vma;
	struct anon_vma *own = owned_node(node, vma->vm_mm);

	if (!own && !take_over(node, vma->vm_mm) && !too_deep(node)) {
		own = *spare ?: alloc_node(GFP_NOWAIT | __GFP_NOWARN);
		*spare = NULL;
		if (!own)
			return false;
		init_child(own, node, vma);
	}
	if (own && own->parent == node) {
		detach(vma);
		attach(vma, own, node);
	}
	WRITE_ONCE(vma->anon_inherited, false);
	return true;
}

/*
 * First write after fork. An allocation that may sleep must not be made under
 * the family lock, which reclaim takes.
 */
static void settle_inherited(struct vm_area_struct *vma)
{
	struct anon_vma *node = READ_ONCE(vma->anon_vma);
	struct anon_vma *spare = NULL;

	anon_vma_lock_write(node);
	if (vma->anon_inherited && !settle(vma, &spare)) {
		anon_vma_unlock_write(node);
		spare = alloc_node(GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN);
		anon_vma_lock_write(node);
		/* Without memory, stay; decide once, not at every fault. */
		if (vma->anon_inherited && !settle(vma, &spare))
			WRITE_ONCE(vma->anon_inherited, false);
	}
	anon_vma_unlock_write(node);
	if (spare)
		kmem_cache_free(anon_vma_cachep, spare);
}

/* First anonymous page of all: a neighbour's node, or a new family. */
static int attach_first(struct vm_area_struct *vma)
{
	struct anon_vma *node = find_mergeable_anon_vma(vma);
	struct mm_struct *mm = vma->vm_mm;
	struct anon_vma *unused = NULL;

	if (!node) {
		node = alloc_node(GFP_KERNEL);
		if (!node)
			return -ENOMEM;
		init_root(node, mm);
		unused = node;
	}

	anon_vma_lock_write(node);
	spin_lock(&mm->page_table_lock);
	if (likely(!vma->anon_vma)) {
		attach(vma, node, node);
		unused = NULL;
	}
	spin_unlock(&mm->page_table_lock);
	anon_vma_unlock_write(node);

	if (unlikely(unused))
		put_anon_vma(unused);
	return 0;
}

/**
 * __anon_vma_prepare - slow path of anon_vma_prepare()
 * @vma: the vma that is about to get a private page, or to take one over
 *
 * Context: mmap_lock held, for read at least; may sleep.
 * Return: 0, or -ENOMEM if the vma has no node at all.
 */
int __anon_vma_prepare(struct vm_area_struct *vma)
{
	mmap_assert_locked(vma->vm_mm);
	might_sleep();

	if (!READ_ONCE(vma->anon_vma))
		return attach_first(vma);
	settle_inherited(vma);
	return 0;
}

/* Detach @vma for good; family lock held for write. */
static void unlink_locked(struct vm_area_struct *vma, struct anon_vma **dead)
{
	detach(vma);
	prune(vma->anon_vma, dead);
	vma->anon_vma = NULL;
	vma->anon_inherited = false;
}

/**
 * anon_vma_unlink - detach a vma, and free the nodes that nothing needs then
 * @vma: the vma; must map no anonymous page, or be about to lose its tables
 *
 * Context: mmap_lock held for write, or @vma already out of the mm's tree;
 * takes the family lock.
 */
void anon_vma_unlink(struct vm_area_struct *vma)
{
	struct anon_vma_unlink_batch batch = { .count = 0 };

	anon_vma_unlink_batch_add(&batch, vma);
	anon_vma_unlink_batch_flush(&batch);
}

/**
 * anon_vma_unlink_batch_add - anon_vma_unlink() for many vmas
 * @batch: zero at first
 * @vma: the vma
 *
 * A row of vmas of one family pays for the lock once. The vmas are detached
 * at anon_vma_unlink_batch_flush(), if not before: call it before any page
 * table of any of them is freed.
 *
 * Context: as anon_vma_unlink().
 */
void anon_vma_unlink_batch_add(struct anon_vma_unlink_batch *batch,
			       struct vm_area_struct *vma)
{
	if (!vma->anon_vma)
		return;
	if (batch->count == ANON_VMA_BATCH ||
	    (batch->count && batch->vmas[0]->anon_vma->root != vma->anon_vma->root))
		anon_vma_unlink_batch_flush(batch);
	batch->vmas[batch->count++] = vma;
}

/**
 * anon_vma_unlink_batch_flush - detach the vmas that a batch still holds
 * @batch: the batch, empty afterwards
 *
 * Context: as anon_vma_unlink().
 */
void anon_vma_unlink_batch_flush(struct anon_vma_unlink_batch *batch)
{
	struct anon_vma *dead = NULL;
	struct anon_vma *root;
	unsigned int i;

	if (!batch->count)
		return;
	root = batch->vmas[0]->anon_vma->root;
	anon_vma_lock_write(root);
	for (i = 0; i < batch->count; i++)
		unlink_locked(batch->vmas[i], &dead);
	anon_vma_unlock_write(root);
	batch->count = 0;
	put_dead(dead);
}

/* Merging, splitting, growing. */

/**
 * anon_vma_mergeable - may vmas attached to these nodes become one?
 * @mm: the mm of both vmas
 * @a: node of the one, or NULL
 * @b: node of the other, or NULL
 *
 * Nodes of one family always may: they are the same, or one is the parent of
 * the other. A vma without a node joins only a family that @mm began, lest a
 * family inherited from a parent spread over what the parent never had.
 *
 * Context: mmap_lock held for write.
 * Return: true if they may.
 */
bool anon_vma_mergeable(const struct mm_struct *mm, const struct anon_vma *a,
			const struct anon_vma *b)
{
	if (a && b)
		return a->root == b->root;
	if (!a)
		a = b;
	return !a || anon_vma_is_own_root(a, mm);
}

/**
 * anon_vma_deeper - the node that suits the pages of two vmas of one mm
 * @a: node of the one, or NULL
 * @b: node of the other, or NULL; anon_vma_mergeable() with @a
 *
 * Context: mmap_lock held for write.
 * Return: the descendant of the two, NULL if both are.
 */
struct anon_vma *anon_vma_deeper(struct anon_vma *a, struct anon_vma *b)
{
	if (!a || (b && b->parent == a))
		return b;
	VM_WARN_ON_ONCE(b && a != b && a->parent != b);
	return a;
}

/**
 * anon_vma_pre_update - take a vma out of its node's tree to change its range
 * @vma: the vma
 *
 * Followed by anon_vma_post_update() before the lock is dropped, unless the
 * vma goes and another of the same node, or of a child of it, gets its pages.
 *
 * Context: mmap_lock and the family lock held for write.
 */
void anon_vma_pre_update(struct vm_area_struct *vma)
{
	if (vma->anon_vma)
		detach(vma);
}

/**
 * anon_vma_set - give a vma another node while it is out of the tree
 * @vma: the vma, between anon_vma_pre_update() and anon_vma_post_update()
 * @node: its own node, or a descendant of that; or any, if it has none
 *
 * Context: as anon_vma_pre_update(), the lock being that of @node's family.
 */
void anon_vma_set(struct vm_area_struct *vma, struct anon_vma *node)
{
	vma->anon_vma = node;
	vma->anon_inherited = node->owner != vma->vm_mm->anon_owner;
}

/**
 * anon_vma_post_update - put a vma back into the tree of its node
 * @vma: the vma, its range as it shall be
 *
 * Context: as anon_vma_pre_update(); the ranges of all vmas that take part in
 * the change are as they shall be, or they would count as overlapping.
 */
void anon_vma_post_update(struct vm_area_struct *vma)
{
	if (vma->anon_vma)
		attach(vma, vma->anon_vma, vma->anon_vma->root);
}

/**
 * anon_vma_attach_copy - attach a copy of a vma to the node of the original
 * @vma: the copy, of the same mm, not attached
 * @src: the original, its range as it shall be
 *
 * Context: as anon_vma_pre_update().
 */
void anon_vma_attach_copy(struct vm_area_struct *vma, struct vm_area_struct *src)
{
	vma->anon_inherited = src->anon_inherited;
	attach(vma, src->anon_vma, src->anon_vma->root);
}

/* Finding the node of a folio. */

/* The node of @folio if it is anonymous, mapped and not KSM; see below. */
static struct anon_vma *mapped_node(const struct folio *folio)
{
	unsigned long mapping = (unsigned long)READ_ONCE(folio->mapping);

	if ((mapping & PAGE_MAPPING_FLAGS) != PAGE_MAPPING_ANON)
		return NULL;
	if (!folio_mapped(folio))
		return NULL;
	return (void *)(mapping - PAGE_MAPPING_ANON);
}

/**
 * folio_get_anon_vma - take a reference on the node of a mapped folio
 * @folio: the folio, held; locked, or the caller looks again once it has taken
 *         the family lock, as UFFDIO_MOVE may have re-pointed it
 *
 * Without locks a folio may be unmapped, and its node freed and made anew, at
 * any moment. A node in use is never of another type (typesafe by RCU), and
 * while the folio is mapped its node is not freed. So: take the reference if
 * the count allows, then see that the folio still is what it was.
 *
 * Return: the node, or NULL if the folio is not mapped, not anonymous, or KSM.
 */
struct anon_vma *folio_get_anon_vma(struct folio *folio)
{
	struct anon_vma *node;

	rcu_read_lock();
	node = mapped_node(folio);
	if (node && !atomic_inc_not_zero(&node->refcount))
		node = NULL;
	rcu_read_unlock();

	if (node && !folio_mapped(folio)) {
		put_anon_vma(node);
		node = NULL;
	}
	return node;
}

/* The slow path of folio_lock_anon_vma_read(): sleep, holding a reference. */
static struct anon_vma *folio_lock_contended(struct folio *folio)
{
	struct anon_vma *node;

	while ((node = folio_get_anon_vma(folio))) {
		anon_vma_lock_read(node);
		if (likely(mapped_node(folio) == node))
			break;
		anon_vma_unlock_read(node);
		put_anon_vma(node);
	}
	/*
	 * While the folio is mapped and its family locked the node stays
	 * linked, and ours is not the last reference. If it were all the same,
	 * put_anon_vma() would wait for the lock that we hold.
	 */
	if (node && atomic_dec_and_test(&node->refcount)) {
		anon_vma_unlock_read(node);
		__put_anon_vma(node);
		node = NULL;
	}
	return node;
}

/**
 * folio_lock_anon_vma_read - take the family lock of a mapped folio for read
 * @folio: the folio, held; need not be locked
 * @rwc: if its try_lock is set, do not sleep but set its contended; or NULL
 *
 * As folio_get_anon_vma(), with the lock in place of the reference: free_node()
 * waits for it. One atomic operation, in the common case.
 *
 * Return: the node, whose family lock is held and which the folio points at,
 * or NULL if the folio is not mapped, not anonymous, or KSM, or on contention.
 */
struct anon_vma *folio_lock_anon_vma_read(struct folio *folio,
					  struct rmap_walk_control *rwc)
{
	struct anon_vma *node, *root;

	rcu_read_lock();
	while ((node = mapped_node(folio))) {
		root = READ_ONCE(node->root);
		if (!down_read_trylock(&root->rwsem))
			break;
		if (likely(mapped_node(folio) == node && READ_ONCE(node->root) == root)) {
			rcu_read_unlock();
			return node;
		}
		up_read(&root->rwsem);
	}
	rcu_read_unlock();

	if (!node)
		return NULL;
	if (rwc && rwc->try_lock) {
		rwc->contended = true;
		return NULL;
	}
	return folio_lock_contended(folio);
}

/* Walking: family lock held, for read at least. */

/*
 * Where no two vmas share an index, the only one that can hold @index is the
 * last that begins at or before it.
 */
static inline struct vm_area_struct *find_disjoint(struct anon_vma *node,
						   unsigned long index)
{
	struct rb_node *rb = node->vmas.rb_root.rb_node;
	struct vm_area_struct *found = NULL;

	while (rb) {
		struct vm_area_struct *vma = rb_to_vma(rb);

		if (vma->vm_pgoff <= index) {
			found = vma;
			rb = rb->rb_right;
		} else {
			rb = rb->rb_left;
		}
	}
	return found && index <= vma_last_index(found) ? found : NULL;
}

static inline struct vm_area_struct *first_vma(struct anon_vma_iter *iter,
					       struct anon_vma *node)
{
	rmap_stat_add(RMAP_NODES_VISITED, 1);
	iter->node = node;
	iter->more = node->overlap || iter->first != iter->last;
	if (!iter->more)
		return find_disjoint(node, iter->first);
	return vma_tree_iter_first(&node->vmas, iter->first, iter->last);
}

/* A walk over all siblings costs a pointer each; only a hole costs a search. */
static inline struct anon_vma *next_sibling(struct anon_vma *node,
					    unsigned long first,
					    unsigned long last)
{
	struct anon_vma *next = node->next;

	if (!next || next->hull_first > last)
		return NULL;
	if (likely(next->hull_last >= first))
		return next;
	return child_tree_iter_next(next, first, last);
}

/* Pre-order: down, else to the next sibling, else that of an ancestor. */
static inline struct anon_vma *next_node_of(const struct anon_vma_iter *iter,
					    struct anon_vma *node)
{
	unsigned long first = iter->first;
	unsigned long last = iter->last;
	struct anon_vma *next = NULL;

	if (!RB_EMPTY_ROOT(&node->children.rb_root))
		next = child_tree_iter_first(&node->children, first, last);
	for (;;) {
		while (!next) {
			if (node == iter->top)
				return NULL;
			next = next_sibling(node, first, last);
			if (!next)
				node = node->parent;
		}
		node = next;
		if (!in_gap(node, first, last))
			return node;
		next = NULL;
	}
}

/**
 * __anon_vma_iter_vma - next vma of the same node; see anon_vma_iter_next()
 * @vma: the vma that the walk is at
 * @first: first page index looked for
 * @last: last page index looked for
 *
 * Context: as anon_vma_iter_next().
 * Return: the vma, or NULL if the node has no other.
 */
struct vm_area_struct *__anon_vma_iter_vma(struct vm_area_struct *vma,
					   unsigned long first,
					   unsigned long last)
{
	return vma_tree_iter_next(vma, first, last);
}

/**
 * __anon_vma_iter_node - first vma of the nodes that follow in a walk
 * @iter: the position
 *
 * Context: as anon_vma_iter_next().
 * Return: the vma, or NULL at the end.
 */
struct vm_area_struct *__anon_vma_iter_node(struct anon_vma_iter *iter)
{
	struct anon_vma *node = iter->node;
	struct vm_area_struct *vma;

	do {
		node = next_node_of(iter, node);
		if (!node)
			return NULL;
		vma = first_vma(iter, node);
	} while (!vma);
	return vma;
}

#ifdef CONFIG_DEBUG_VM_RB
static struct anon_vma *plain_next_node(struct anon_vma *node,
					struct anon_vma *top)
{
	struct anon_vma *next = rb_to_child(rb_first_cached(&node->children));

	while (!next && node != top) {
		next = rb_to_child(rb_next(&node->sibling));
		node = node->parent;
	}
	return next;
}

static void verify_child(struct anon_vma *node)
{
	struct anon_vma *up = node->parent;

	WARN_ON_ONCE(node->hull_first < up->hull_first ||
		     node->hull_last > up->hull_last);
	WARN_ON_ONCE(node->next != rb_to_child(rb_next(&node->sibling)));
	WARN_ON_ONCE(node->root != up->root);
}

/* Count the vmas of one node that overlap the range, checking the node. */
static unsigned long verify_node(struct anon_vma *node, unsigned long first,
				 unsigned long last)
{
	struct vm_area_struct *vma, *prev = NULL;
	unsigned long nr = 0;
	struct rb_node *rb;

	for (rb = rb_first_cached(&node->vmas); rb; rb = rb_next(rb)) {
		vma = rb_to_vma(rb);
		WARN_ON_ONCE(vma->anon_vma != node);
		WARN_ON_ONCE(!hull_covers(node, vma_first_index(vma),
					  vma_last_index(vma)));
		WARN_ON_ONCE(!node->overlap && prev &&
			     vma_last_index(prev) >= vma_first_index(vma));
		if (vma_first_index(vma) <= last && vma_last_index(vma) >= first)
			nr++;
		prev = vma;
	}
	return nr;
}

static struct vm_area_struct *iter_start(struct anon_vma_iter *iter,
					 struct anon_vma *node,
					 unsigned long first,
					 unsigned long last);

/*
 * The walk must see what a plain traversal of the whole subtree sees. That is
 * slow, so one walk in sixteen is checked.
 */
static void verify_walk(struct anon_vma *top, unsigned long first,
			unsigned long last)
{
	struct anon_vma_iter iter;
	struct vm_area_struct *vma;
	struct anon_vma *node;
	static unsigned int walks;
	unsigned long nr = 0;

	/* A count lost to a race does no harm: data_race(). */
	if (data_race(walks++) % 16)
		return;
	for (node = top; node; node = plain_next_node(node, top)) {
		nr += verify_node(node, first, last);
		if (node != top)
			verify_child(node);
	}
	for (vma = iter_start(&iter, top, first, last); vma;
	     vma = anon_vma_iter_next(&iter, vma)) {
		WARN_ON_ONCE(vma_first_index(vma) > last ||
			     vma_last_index(vma) < first);
		nr--;
	}
	WARN_ONCE(nr, "anon_vma: walk of %lx-%lx missed %ld vmas\n", first, last,
		  (long)nr);
}

/**
 * anon_vma_verify - check that the reverse map can find a vma
 * @vma: the vma
 *
 * Context: mmap_lock held; takes the family lock.
 */
void anon_vma_verify(struct vm_area_struct *vma)
{
	struct anon_vma *node = READ_ONCE(vma->anon_vma);
	unsigned long first = vma_first_index(vma);
	unsigned long last = vma_last_index(vma);
	struct vm_area_struct *found;
	struct anon_vma *root;

	if (!node)
		return;
	root = node->root;
	anon_vma_lock_read(root);
	node = vma->anon_vma;
	found = vma_tree_iter_first(&node->vmas, first, last);
	while (found && found != vma)
		found = vma_tree_iter_next(found, first, last);
	WARN_ON_ONCE(!found);
	for (; node; node = node->parent)
		WARN_ON_ONCE(!hull_covers(node, first, last));
	anon_vma_unlock_read(root);
}
#else
static inline void verify_walk(struct anon_vma *top, unsigned long first,
			       unsigned long last)
{
}
#endif

static struct vm_area_struct *iter_start(struct anon_vma_iter *iter,
					 struct anon_vma *node,
					 unsigned long first, unsigned long last)
{
	iter->top = node;
	iter->first = first;
	iter->last = last;
	return first_vma(iter, node) ?: __anon_vma_iter_node(iter);
}

/**
 * anon_vma_iter_first - begin a walk; see anon_vma_for_each_vma()
 * @iter: the position, set up here
 * @node: node that the folio points at; need not be linked any more
 * @first: first page index of the folio
 * @last: last page index of the folio
 *
 * Context: family lock held, for read at least.
 * Return: the first vma, or NULL if there is none.
 */
struct vm_area_struct *anon_vma_iter_first(struct anon_vma_iter *iter,
					   struct anon_vma *node,
					   unsigned long first,
					   unsigned long last)
{
	verify_walk(node, first, last);
	return iter_start(iter, node, first, last);
}

/* The lock of a free node may still be tried: it is made only once. */
static void anon_vma_ctor(void *object)
{
	struct anon_vma *node = object;

	init_rwsem(&node->rwsem);
	atomic_set(&node->refcount, 0);
}

void __init anon_vma_init(void)
{
	anon_vma_cachep = kmem_cache_create("anon_vma",
					    sizeof(struct anon_vma), 0,
					    SLAB_TYPESAFE_BY_RCU | SLAB_PANIC |
					    SLAB_ACCOUNT, anon_vma_ctor);
}
