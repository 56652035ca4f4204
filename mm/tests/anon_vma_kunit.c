// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the reverse map of anonymous memory.
 *
 * The processes here are mms of which only the vmas matter: no page tables,
 * nobody runs in them. All that acts on them is what system calls use.
 */

#include <kunit/resource.h>
#include <kunit/test.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/rmap.h>
#include <linux/sched/mm.h>

#include "../vma_internal.h"
#include "../internal.h"
#include "../vma.h"

/* Tests count pages from here. */
#define ORIGIN	0x10000UL
#define ADDR(page)	((ORIGIN + (page)) << PAGE_SHIFT)
#define FLAGS	(VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC)

/* Processes */

KUNIT_DEFINE_ACTION_WRAPPER(process_exit, mmput, struct mm_struct *);

static struct mm_struct *process_new(struct kunit *test)
{
	struct mm_struct *mm = mm_alloc();

	KUNIT_ASSERT_NOT_NULL(test, mm);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, process_exit, mm));
	return mm;
}

static void process_end(struct kunit *test, struct mm_struct *mm)
{
	kunit_release_action(test, process_exit, mm);
}

static struct vm_area_struct *map_flags(struct kunit *test, struct mm_struct *mm,
					unsigned long page, unsigned long nr,
					vm_flags_t flags)
{
	struct vm_area_struct *vma = vm_area_alloc(mm);
	int err;

	KUNIT_ASSERT_NOT_NULL(test, vma);
	vma_set_anonymous(vma);
	vma_set_range(vma, ADDR(page), ADDR(page + nr), 0);
	vm_flags_init(vma, flags);
	mmap_write_lock(mm);
	err = insert_vm_struct(mm, vma);
	vm_stat_account(mm, flags, nr);
	mmap_write_unlock(mm);
	KUNIT_ASSERT_EQ(test, 0, err);
	return vma;
}

static struct vm_area_struct *map(struct kunit *test, struct mm_struct *mm,
				  unsigned long page, unsigned long nr)
{
	return map_flags(test, mm, page, nr, FLAGS);
}

static struct vm_area_struct *vma_at(struct mm_struct *mm, unsigned long page)
{
	struct vm_area_struct *vma;

	mmap_read_lock(mm);
	vma = vma_lookup(mm, ADDR(page));
	mmap_read_unlock(mm);
	return vma;
}

static struct anon_vma *node_at(struct mm_struct *mm, unsigned long page)
{
	return vma_at(mm, page)->anon_vma;
}

/* What a write fault does first. */
static void write_to(struct kunit *test, struct vm_area_struct *vma)
{
	int err;

	mmap_read_lock(vma->vm_mm);
	err = anon_vma_prepare(vma);
	mmap_read_unlock(vma->vm_mm);
	KUNIT_ASSERT_EQ(test, 0, err);
	KUNIT_ASSERT_TRUE(test, vma_anon_settled(vma));
}

static void write_all(struct kunit *test, struct mm_struct *mm)
{
	VMA_ITERATOR(vmi, mm, 0);
	struct vm_area_struct *vma;
	int err = 0;

	mmap_read_lock(mm);
	for_each_vma(vmi, vma)
		err |= anon_vma_prepare(vma);
	mmap_read_unlock(mm);
	KUNIT_ASSERT_EQ(test, 0, err);
}

static void unmap(struct kunit *test, struct mm_struct *mm, unsigned long page,
		  unsigned long nr)
{
	int err;

	/* It takes it for granted that the mm is current's. */
	kthread_use_mm(mm);
	mmap_write_lock(mm);
	err = do_munmap(mm, ADDR(page), nr << PAGE_SHIFT, NULL);
	mmap_write_unlock(mm);
	kthread_unuse_mm(mm);
	KUNIT_ASSERT_EQ(test, 0, err);
}

/* mprotect() within one vma */
static void protect(struct kunit *test, struct mm_struct *mm, unsigned long page,
		    unsigned long nr, vm_flags_t flags)
{
	VMA_ITERATOR(vmi, mm, ADDR(page));
	struct vm_area_struct *vma, *prev;

	mmap_write_lock(mm);
	vma = find_vma_prev(mm, ADDR(page), &prev);
	if (vma && vma->vm_start < ADDR(page))
		prev = vma;
	vma = vma_modify_flags(&vmi, prev, vma, ADDR(page), ADDR(page + nr), flags);
	if (!IS_ERR(vma)) {
		vma_start_write(vma);
		vm_flags_reset(vma, flags);
	}
	mmap_write_unlock(mm);
	KUNIT_ASSERT_FALSE(test, IS_ERR(vma));
}

#ifdef CONFIG_FAULT_INJECTION
/*
 * Let the allocation number @nth from now on fail, if it is one that cannot
 * sleep. Those that can are forbidden by lockdep in forbid_allocation().
 */
static void fail_allocation(unsigned int nth)
{
	current->fail_nth = nth;
}

static bool allocation_failed(void)
{
	bool failed = !current->fail_nth;

	current->fail_nth = 0;
	return failed;
}
#else
static void fail_allocation(unsigned int nth)
{
}

static bool allocation_failed(void)
{
	return false;
}
#endif

static void forbid_allocation(void)
{
	fs_reclaim_acquire(GFP_KERNEL);
	fail_allocation(1);
}

static bool allocation_was_tried(void)
{
	fs_reclaim_release(GFP_KERNEL);
	return allocation_failed();
}

/* A write fault that must not ask for memory. */
static void write_without_memory(struct kunit *test, struct vm_area_struct *vma)
{
	bool tried;
	int err;

	mmap_read_lock(vma->vm_mm);
	forbid_allocation();
	err = anon_vma_prepare(vma);
	tried = allocation_was_tried();
	mmap_read_unlock(vma->vm_mm);
	KUNIT_ASSERT_EQ(test, 0, err);
	KUNIT_EXPECT_FALSE(test, tried);
}

/* Returns whether fork has asked for memory. */
static bool fork_vma(struct mm_struct *child, struct vm_area_struct *pvma, int *err)
{
	struct vm_area_struct *vma = vm_area_dup(pvma);

	*err = -ENOMEM;
	if (!vma)
		return false;
	vma->vm_mm = child;
	*err = insert_vm_struct(child, vma);
	if (*err) {
		vm_area_free(vma);
		return false;
	}
	vm_stat_account(child, vma->vm_flags, vma_pages(vma));
	vma->vm_pgoff = pvma->vm_pgoff;
	forbid_allocation();
	anon_vma_fork(vma, pvma);
	return allocation_was_tried();
}

/* As dup_mmap() does it; no fork may need memory for the reverse map. */
static struct mm_struct *process_fork(struct kunit *test, struct mm_struct *parent)
{
	VMA_ITERATOR(vmi, parent, 0);
	struct vm_area_struct *pvma;
	struct mm_struct *child;
	bool tried = false;
	int err = 0;

	child = process_new(test);
	mmap_write_lock(parent);
	mmap_write_lock_nested(child, SINGLE_DEPTH_NESTING);
	for_each_vma(vmi, pvma) {
		tried |= fork_vma(child, pvma, &err);
		if (err)
			break;
	}
	mmap_write_unlock(child);
	mmap_write_unlock(parent);
	KUNIT_ASSERT_EQ(test, 0, err);
	KUNIT_EXPECT_FALSE_MSG(test, tried, "fork tried to allocate");
	return child;
}

/* Walks */

#define MAX_VISITS	32

struct visits {
	struct vm_area_struct *vmas[MAX_VISITS];
	unsigned int nr;
};

static void walk(struct visits *visits, struct anon_vma *node, unsigned long first,
		 unsigned long last)
{
	struct vm_area_struct *vma;
	struct anon_vma_iter iter;

	visits->nr = 0;
	anon_vma_lock_read(node);
	anon_vma_for_each_vma(vma, &iter, node, ORIGIN + first, ORIGIN + last) {
		if (visits->nr < MAX_VISITS)
			visits->vmas[visits->nr] = vma;
		visits->nr++;
	}
	anon_vma_unlock_read(node);
}

static void __expect_walk(struct kunit *test, int line, struct anon_vma *node,
			  unsigned long first, unsigned long last,
			  struct vm_area_struct **vmas, unsigned int nr)
{
	struct visits visits;
	unsigned int i;

	walk(&visits, node, first, last);
	KUNIT_ASSERT_EQ_MSG(test, nr, visits.nr, "walk of %lu-%lu, line %d",
			    first, last, line);
	for (i = 0; i < nr; i++)
		KUNIT_EXPECT_PTR_EQ_MSG(test, vmas[i], visits.vmas[i],
					"visit %u of %lu-%lu, line %d", i,
					first, last, line);
}

/* A walk from @node for pages @first to @last visits exactly these, in order. */
#define expect_walk(test, node, first, last, ...)			\
do {									\
	struct vm_area_struct *__vmas[] = { __VA_ARGS__ };		\
									\
	__expect_walk(test, __LINE__, node, first, last, __vmas,	\
		      ARRAY_SIZE(__vmas));				\
} while (0)

/* First faults */

static void owner_ids_differ(struct kunit *test)
{
	struct mm_struct *a = process_new(test), *b = process_new(test);
	u64 gone = b->anon_owner;

	KUNIT_EXPECT_NE(test, 0ULL, a->anon_owner);
	KUNIT_EXPECT_NE(test, a->anon_owner, b->anon_owner);
	process_end(test, b);
	KUNIT_EXPECT_NE(test, gone, process_new(test)->anon_owner);
}

static void first_fault_makes_root(struct kunit *test)
{
	struct mm_struct *mm = process_new(test);
	struct vm_area_struct *vma = map(test, mm, 0, 4);
	struct anon_vma *node;

	KUNIT_EXPECT_NULL(test, vma->anon_vma);
	write_to(test, vma);
	node = vma->anon_vma;
	KUNIT_EXPECT_PTR_EQ(test, node, node->root);
	KUNIT_EXPECT_NULL(test, node->parent);
	KUNIT_EXPECT_EQ(test, mm->anon_owner, node->owner);
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&node->refcount));
	KUNIT_EXPECT_EQ(test, 0UL, node->hull_first);
	KUNIT_EXPECT_EQ(test, ULONG_MAX, node->hull_last);
	KUNIT_EXPECT_TRUE(test, anon_vma_is_own_root(node, mm));
	expect_walk(test, node, 0, 3, vma);
}

static void second_fault_changes_nothing(struct kunit *test)
{
	struct mm_struct *mm = process_new(test);
	struct vm_area_struct *vma = map(test, mm, 0, 4);
	struct anon_vma *node;

	write_to(test, vma);
	node = vma->anon_vma;
	write_to(test, vma);
	KUNIT_EXPECT_PTR_EQ(test, node, vma->anon_vma);
	expect_walk(test, node, 0, 3, vma);
}

static const struct neighbour {
	const char *name;
	unsigned long first, second;
	vm_flags_t second_flags;
	bool share;
} neighbours[] = {
	{ "next", 4, 0, FLAGS, true },
	{ "previous", 0, 4, FLAGS, true },
	{ "next, read-only", 4, 0, FLAGS & ~VM_WRITE, true },
	{ "previous, locked", 0, 4, FLAGS | VM_LOCKED, false },
	{ "next but one page", 5, 0, FLAGS, false },
	{ "previous but one page", 0, 5, FLAGS, false },
};

KUNIT_ARRAY_PARAM_DESC(neighbour, neighbours, name);

static void first_fault_takes_neighbours_node(struct kunit *test)
{
	const struct neighbour *n = test->param_value;
	struct mm_struct *mm = process_new(test);
	struct vm_area_struct *first = map(test, mm, n->first, 4);
	struct vm_area_struct *second = map_flags(test, mm, n->second, 4,
						  n->second_flags);

	write_to(test, first);
	write_to(test, second);
	KUNIT_EXPECT_EQ(test, n->share, first->anon_vma == second->anon_vma);
	KUNIT_EXPECT_EQ(test, n->share, first->anon_vma->root == second->anon_vma->root);
	KUNIT_EXPECT_FALSE(test, first->anon_vma->overlap);
}

/* It may leave the node, and the family is not this process's to spread. */
static void first_fault_spreads_no_inherited_family(struct kunit *test)
{
	struct mm_struct *parent = process_new(test), *child;
	struct vm_area_struct *old, *new;

	write_to(test, map(test, parent, 0, 4));
	child = process_fork(test, parent);
	old = vma_at(child, 0);
	new = map(test, child, 4, 4);
	write_to(test, new);
	KUNIT_EXPECT_PTR_NE(test, old->anon_vma->root, new->anon_vma->root);
	write_to(test, old);
	write_to(test, map(test, child, 8, 4));
	KUNIT_EXPECT_PTR_EQ(test, new->anon_vma, node_at(child, 8));
}

/* fork */

static void fork_attaches_behind_parent(struct kunit *test)
{
	struct mm_struct *parent = process_new(test), *child;
	struct vm_area_struct *pvma = map(test, parent, 0, 4), *vma;
	struct anon_vma *node;

	write_to(test, pvma);
	node = pvma->anon_vma;
	child = process_fork(test, parent);
	vma = vma_at(child, 0);
	KUNIT_EXPECT_PTR_EQ(test, node, vma->anon_vma);
	KUNIT_EXPECT_TRUE(test, vma->anon_inherited);
	KUNIT_EXPECT_FALSE(test, pvma->anon_inherited);
	KUNIT_EXPECT_FALSE(test, vma_anon_settled(vma));
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&node->refcount));
	KUNIT_EXPECT_EQ(test, parent->anon_owner, node->owner);
	expect_walk(test, node, 0, 0, pvma, vma);
	expect_walk(test, node, 3, 3, pvma, vma);
}

static void fork_of_untouched_vma_attaches_nothing(struct kunit *test)
{
	struct mm_struct *parent = process_new(test), *child;

	map(test, parent, 0, 4);
	child = process_fork(test, parent);
	KUNIT_EXPECT_NULL(test, node_at(child, 0));
	KUNIT_EXPECT_FALSE(test, vma_at(child, 0)->anon_inherited);
	write_to(test, vma_at(child, 0));
	KUNIT_EXPECT_TRUE(test, anon_vma_is_own_root(node_at(child, 0), child));
}

static void fork_attaches_to_own_node_of_parent(struct kunit *test)
{
	struct mm_struct *a = process_new(test), *b, *c;

	map(test, a, 0, 4);
	map(test, a, 4, 4);
	write_all(test, a);
	b = process_fork(test, a);
	/* b writes to one of two: what it still shares goes below it, too. */
	write_to(test, vma_at(b, 0));
	c = process_fork(test, b);
	KUNIT_EXPECT_PTR_EQ(test, node_at(b, 0), node_at(c, 0));
	KUNIT_EXPECT_PTR_EQ(test, node_at(a, 4), node_at(b, 4));
	KUNIT_EXPECT_PTR_EQ(test, node_at(b, 0), node_at(c, 4));
	expect_walk(test, node_at(a, 0), 4, 4, vma_at(a, 4), vma_at(b, 4), vma_at(c, 4));
	expect_walk(test, node_at(b, 0), 4, 4, vma_at(c, 4));
}

/* First writes after fork */

static void first_write_makes_child(struct kunit *test)
{
	struct mm_struct *parent = process_new(test), *child;
	struct vm_area_struct *pvma = map(test, parent, 0, 4), *vma;
	struct anon_vma *root, *node;

	write_to(test, pvma);
	root = pvma->anon_vma;
	child = process_fork(test, parent);
	vma = vma_at(child, 0);
	write_to(test, vma);
	node = vma->anon_vma;
	KUNIT_EXPECT_PTR_NE(test, root, node);
	KUNIT_EXPECT_PTR_EQ(test, root, node->parent);
	KUNIT_EXPECT_PTR_EQ(test, root, node->root);
	KUNIT_EXPECT_EQ(test, child->anon_owner, node->owner);
	KUNIT_EXPECT_EQ(test, 2, atomic_read(&root->refcount));
	KUNIT_EXPECT_EQ(test, ORIGIN, node->hull_first);
	KUNIT_EXPECT_EQ(test, ORIGIN + 3, node->hull_last);
	expect_walk(test, root, 0, 3, pvma, vma);
	expect_walk(test, node, 0, 3, vma);
}

static void first_write_joins_own_node(struct kunit *test)
{
	struct mm_struct *parent = process_new(test), *child;
	struct anon_vma *own;

	map(test, parent, 0, 4);
	map(test, parent, 4, 4);
	write_all(test, parent);
	child = process_fork(test, parent);
	write_to(test, vma_at(child, 0));
	own = node_at(child, 0);
	write_without_memory(test, vma_at(child, 4));
	KUNIT_EXPECT_PTR_EQ(test, own, node_at(child, 4));
	KUNIT_EXPECT_EQ(test, 2, atomic_read(&own->root->refcount));
	KUNIT_EXPECT_FALSE(test, own->overlap);
	expect_walk(test, own, 0, 7, vma_at(child, 0), vma_at(child, 4));
}

static void first_write_sleeps_for_memory(struct kunit *test)
{
	struct mm_struct *parent = process_new(test), *child;

	if (!IS_ENABLED(CONFIG_FAILSLAB))
		kunit_skip(test, "needs CONFIG_FAILSLAB");
	write_to(test, map(test, parent, 0, 4));
	child = process_fork(test, parent);
	fail_allocation(1);
	write_to(test, vma_at(child, 0));
	KUNIT_EXPECT_TRUE(test, allocation_failed());
	KUNIT_EXPECT_PTR_EQ(test, node_at(parent, 0), node_at(child, 0)->parent);
}

static void heir_takes_over(struct kunit *test)
{
	struct mm_struct *parent = process_new(test), *child;
	struct anon_vma *node;

	map(test, parent, 0, 4);
	map(test, parent, 4, 4);
	write_all(test, parent);
	node = node_at(parent, 0);
	child = process_fork(test, parent);
	process_end(test, parent);
	write_without_memory(test, vma_at(child, 0));
	KUNIT_EXPECT_PTR_EQ(test, node, node_at(child, 0));
	KUNIT_EXPECT_EQ(test, child->anon_owner, node->owner);
	KUNIT_EXPECT_TRUE(test, anon_vma_is_own_root(node, child));
	write_to(test, vma_at(child, 4));
	KUNIT_EXPECT_PTR_EQ(test, node, node_at(child, 4));
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&node->refcount));
}

static void one_of_two_heirs_does_not_take_over(struct kunit *test)
{
	struct mm_struct *parent = process_new(test), *a, *b;
	struct anon_vma *node;

	write_to(test, map(test, parent, 0, 4));
	node = node_at(parent, 0);
	a = process_fork(test, parent);
	b = process_fork(test, parent);
	process_end(test, parent);
	write_to(test, vma_at(a, 0));
	KUNIT_EXPECT_PTR_EQ(test, node, node_at(a, 0)->parent);
	/* b is the only one left there, but a's node is below. */
	write_to(test, vma_at(b, 0));
	KUNIT_EXPECT_PTR_EQ(test, node, node_at(b, 0)->parent);
	expect_walk(test, node, 0, 0, vma_at(a, 0), vma_at(b, 0));
}

/* fork, write, exit of the parent: without end, and with bounded memory. */
static void endless_chain_is_bounded(struct kunit *test)
{
	struct mm_struct *mm = process_new(test), *child;
	struct anon_vma *root;
	int i, most = 0;

	write_to(test, map(test, mm, 0, 4));
	root = node_at(mm, 0);
	for (i = 0; i < 100; i++) {
		child = process_fork(test, mm);
		write_to(test, vma_at(child, 0));
		process_end(test, mm);
		mm = child;
		most = max(most, atomic_read(&root->refcount));
		expect_walk(test, root, 0, 0, vma_at(mm, 0));
	}
	/* Two vmas live at a time. */
	KUNIT_EXPECT_GT(test, most, 2);
	KUNIT_EXPECT_LE(test, most, 2 + 3);
}

/* Merge and split */

static void nodes_that_may_merge(struct kunit *test)
{
	struct mm_struct *mm = process_new(test), *child;
	struct anon_vma *root, *other, *own;

	write_to(test, map(test, mm, 0, 4));
	write_to(test, map(test, mm, 8, 4));
	root = node_at(mm, 0);
	other = node_at(mm, 8);
	child = process_fork(test, mm);
	write_to(test, vma_at(child, 0));
	own = node_at(child, 0);

	KUNIT_EXPECT_TRUE(test, anon_vma_mergeable(mm, NULL, NULL));
	KUNIT_EXPECT_TRUE(test, anon_vma_mergeable(mm, root, NULL));
	KUNIT_EXPECT_TRUE(test, anon_vma_mergeable(mm, NULL, root));
	KUNIT_EXPECT_TRUE(test, anon_vma_mergeable(mm, root, root));
	KUNIT_EXPECT_FALSE(test, anon_vma_mergeable(mm, root, other));
	KUNIT_EXPECT_TRUE(test, anon_vma_mergeable(child, own, root));
	KUNIT_EXPECT_TRUE(test, anon_vma_mergeable(child, root, own));
	KUNIT_EXPECT_FALSE(test, anon_vma_mergeable(child, other, own));
	/* The child did not begin this family. */
	KUNIT_EXPECT_FALSE(test, anon_vma_mergeable(child, own, NULL));
	KUNIT_EXPECT_FALSE(test, anon_vma_mergeable(child, NULL, root));

	KUNIT_EXPECT_NULL(test, anon_vma_deeper(NULL, NULL));
	KUNIT_EXPECT_PTR_EQ(test, root, anon_vma_deeper(root, NULL));
	KUNIT_EXPECT_PTR_EQ(test, root, anon_vma_deeper(NULL, root));
	KUNIT_EXPECT_PTR_EQ(test, root, anon_vma_deeper(root, root));
	KUNIT_EXPECT_PTR_EQ(test, own, anon_vma_deeper(root, own));
	KUNIT_EXPECT_PTR_EQ(test, own, anon_vma_deeper(own, root));
}

static void split_keeps_node_disjoint(struct kunit *test)
{
	struct mm_struct *mm = process_new(test);
	struct anon_vma *node;
	unsigned long page;

	write_to(test, map(test, mm, 0, 9));
	node = node_at(mm, 0);
	protect(test, mm, 3, 3, FLAGS & ~VM_WRITE);
	KUNIT_EXPECT_EQ(test, 3, mm->map_count);
	KUNIT_EXPECT_FALSE(test, node->overlap);
	for (page = 0; page < 9; page++)
		expect_walk(test, node, page, page, vma_at(mm, page));
	expect_walk(test, node, 0, 8, vma_at(mm, 0), vma_at(mm, 3), vma_at(mm, 6));
	expect_walk(test, node, 2, 3, vma_at(mm, 0), vma_at(mm, 3));
}

static void unmap_of_the_middle_keeps_both_ends(struct kunit *test)
{
	struct mm_struct *mm = process_new(test);
	struct anon_vma *node;

	write_to(test, map(test, mm, 0, 9));
	node = node_at(mm, 0);
	unmap(test, mm, 3, 3);
	expect_walk(test, node, 0, 8, vma_at(mm, 0), vma_at(mm, 6));
	expect_walk(test, node, 6, 6, vma_at(mm, 6));
	expect_walk(test, node, 3, 5);
}

static void pieces_rejoin_at_deeper_node(struct kunit *test)
{
	struct mm_struct *parent = process_new(test), *child;
	struct anon_vma *root, *own;

	write_to(test, map(test, parent, 0, 9));
	root = node_at(parent, 0);
	protect(test, parent, 3, 3, FLAGS & ~VM_WRITE);
	child = process_fork(test, parent);
	write_to(test, vma_at(child, 0));
	own = node_at(child, 0);
	KUNIT_EXPECT_PTR_EQ(test, root, node_at(child, 3));

	protect(test, child, 3, 3, FLAGS);
	KUNIT_EXPECT_EQ(test, 1, child->map_count);
	KUNIT_EXPECT_PTR_EQ(test, own, node_at(child, 0));
	KUNIT_EXPECT_FALSE(test, vma_at(child, 0)->anon_inherited);
	expect_walk(test, root, 8, 8, vma_at(parent, 6), vma_at(child, 8));
	expect_walk(test, own, 0, 8, vma_at(child, 0));

	protect(test, parent, 3, 3, FLAGS);
	KUNIT_EXPECT_EQ(test, 1, parent->map_count);
	expect_walk(test, root, 8, 8, vma_at(parent, 0), vma_at(child, 0));
}

static void update_moves_vma_in_tree(struct kunit *test)
{
	struct mm_struct *parent = process_new(test), *child;
	struct anon_vma *root, *own;
	struct vm_area_struct *vma;

	map(test, parent, 0, 4);
	map(test, parent, 4, 4);
	write_all(test, parent);
	root = node_at(parent, 0);
	child = process_fork(test, parent);
	write_to(test, vma_at(child, 0));
	own = node_at(child, 0);
	vma = vma_at(child, 4);
	KUNIT_EXPECT_TRUE(test, vma->anon_inherited);

	/* Two pages further on, and down to the child's own node. */
	mmap_write_lock(child);
	anon_vma_lock_write(root);
	anon_vma_pre_update(vma);
	vma->vm_pgoff += 2;
	anon_vma_set(vma, own);
	anon_vma_post_update(vma);
	anon_vma_unlock_write(root);
	mmap_write_unlock(child);
	KUNIT_EXPECT_FALSE(test, vma->anon_inherited);
	expect_walk(test, own, 4, 5);
	expect_walk(test, own, 6, 9, vma);
	expect_walk(test, root, 6, 6, vma_at(parent, 4), vma);
}

/* Unlinking */

static void unlink_prunes_upward(struct kunit *test)
{
	struct mm_struct *mm[3];
	struct anon_vma *node[3];
	int i;

	for (i = 0; i < 3; i++) {
		mm[i] = i ? process_fork(test, mm[i - 1]) : process_new(test);
		write_to(test, i ? vma_at(mm[i], 0) : map(test, mm[i], 0, 4));
		node[i] = node_at(mm[i], 0);
		get_anon_vma(node[i]);
	}
	KUNIT_EXPECT_EQ(test, 4, atomic_read(&node[0]->refcount));
	process_end(test, mm[0]);
	process_end(test, mm[1]);
	/* Both have no vma, and stay for what is below. */
	KUNIT_EXPECT_EQ(test, 2, atomic_read(&node[1]->refcount));
	expect_walk(test, node[0], 0, 3, vma_at(mm[2], 0));
	process_end(test, mm[2]);
	/* All unlinked at once; ours are left, and those on the root by the others. */
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&node[2]->refcount));
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&node[1]->refcount));
	KUNIT_EXPECT_EQ(test, 3, atomic_read(&node[0]->refcount));
	for (i = 0; i < 3; i++)
		expect_walk(test, node[i], 0, 3);
	for (i = 2; i > 0; i--) {
		put_anon_vma(node[i]);
		KUNIT_EXPECT_EQ(test, i, atomic_read(&node[0]->refcount));
	}
	put_anon_vma(node[0]);
}

static void unlink_leaves_relatives(struct kunit *test)
{
	struct mm_struct *parent = process_new(test), *a, *b;
	struct anon_vma *root;

	write_to(test, map(test, parent, 0, 4));
	root = node_at(parent, 0);
	a = process_fork(test, parent);
	write_to(test, vma_at(a, 0));
	b = process_fork(test, parent);
	write_to(test, vma_at(b, 0));
	expect_walk(test, root, 0, 0, vma_at(parent, 0), vma_at(a, 0), vma_at(b, 0));
	unmap(test, a, 0, 4);
	expect_walk(test, root, 0, 0, vma_at(parent, 0), vma_at(b, 0));
	KUNIT_EXPECT_EQ(test, 2, atomic_read(&root->refcount));
	unmap(test, parent, 1, 3);
	expect_walk(test, root, 0, 3, vma_at(parent, 0), vma_at(b, 0));
}

/* Three families, more vmas than a batch takes, and one vma of none. */
static void batch_unlinks_families(struct kunit *test)
{
	struct anon_vma_unlink_batch batch = { .count = 0 };
	const int nr = ANON_VMA_BATCH + 2;
	struct mm_struct *mm = process_new(test);
	struct anon_vma *nodes[3];
	int family, i;

	for (family = 0; family < 3; family++) {
		for (i = 0; i < nr; i++)
			write_to(test, map(test, mm, 100 * family + i, 1));
		nodes[family] = node_at(mm, 100 * family);
		KUNIT_EXPECT_PTR_EQ(test, nodes[family], node_at(mm, 100 * family + nr - 1));
		get_anon_vma(nodes[family]);
	}
	map(test, mm, 300, 1);
	mmap_write_lock(mm);
	for (family = 0; family < 4; family++)
		for (i = 0; i < (family < 3 ? nr : 1); i++)
			anon_vma_unlink_batch_add(&batch, vma_lookup(mm, ADDR(100 * family + i)));
	KUNIT_EXPECT_LE(test, batch.count, ANON_VMA_BATCH);
	anon_vma_unlink_batch_flush(&batch);
	mmap_write_unlock(mm);
	KUNIT_EXPECT_EQ(test, 0, batch.count);
	for (family = 0; family < 3; family++) {
		for (i = 0; i < nr; i++)
			KUNIT_EXPECT_NULL(test, node_at(mm, 100 * family + i));
		KUNIT_EXPECT_EQ(test, 1, atomic_read(&nodes[family]->refcount));
		put_anon_vma(nodes[family]);
	}
}

/* Walks */

static void hull_grows_and_knows_its_gap(struct kunit *test)
{
	struct mm_struct *parent = process_new(test), *child;
	struct anon_vma *own;
	int i;

	for (i = 0; i < 30; i += 2)
		map(test, parent, i, 2);
	write_all(test, parent);
	child = process_fork(test, parent);
	write_to(test, vma_at(child, 10));
	own = node_at(child, 10);
	KUNIT_EXPECT_EQ(test, ORIGIN + 10, own->hull_first);
	KUNIT_EXPECT_EQ(test, ORIGIN + 11, own->hull_last);
	KUNIT_EXPECT_GT(test, own->gap_first, own->gap_last);

	write_to(test, vma_at(child, 20));
	KUNIT_EXPECT_EQ(test, ORIGIN + 21, own->hull_last);
	KUNIT_EXPECT_EQ(test, ORIGIN + 12, own->gap_first);
	KUNIT_EXPECT_EQ(test, ORIGIN + 19, own->gap_last);

	write_to(test, vma_at(child, 14));
	KUNIT_EXPECT_EQ(test, ORIGIN + 16, own->gap_first);
	KUNIT_EXPECT_EQ(test, ORIGIN + 19, own->gap_last);

	write_to(test, vma_at(child, 0));
	KUNIT_EXPECT_EQ(test, ORIGIN, own->hull_first);
	KUNIT_EXPECT_EQ(test, ORIGIN + 2, own->gap_first);
	KUNIT_EXPECT_EQ(test, ORIGIN + 9, own->gap_last);

	expect_walk(test, own->root, 4, 4, vma_at(parent, 4), vma_at(child, 4));
	expect_walk(test, own, 4, 4);
	expect_walk(test, own, 0, 29, vma_at(child, 0), vma_at(child, 10),
		    vma_at(child, 14), vma_at(child, 20));
}

static void hull_grows_in_ancestors(struct kunit *test)
{
	struct mm_struct *a = process_new(test), *b, *c;
	struct anon_vma *node;

	map(test, a, 0, 4);
	map(test, a, 4, 4);
	write_all(test, a);
	b = process_fork(test, a);
	write_to(test, vma_at(b, 0));
	node = node_at(b, 0);
	KUNIT_EXPECT_EQ(test, ORIGIN + 3, node->hull_last);
	/* c's second vma lies below b's node, whose hull does not cover it yet. */
	c = process_fork(test, b);
	KUNIT_EXPECT_EQ(test, ORIGIN + 7, node->hull_last);
	write_to(test, vma_at(c, 4));
	expect_walk(test, node->root, 4, 4, vma_at(a, 4), vma_at(b, 4), vma_at(c, 4));
	expect_walk(test, node, 4, 4, vma_at(c, 4));
}

static bool is_below(const struct anon_vma *node, const struct anon_vma *top)
{
	while (node && node != top)
		node = node->parent;
	return node;
}

static bool should_visit(struct vm_area_struct *vma, const struct anon_vma *top,
			 unsigned long first, unsigned long last)
{
	return vma->anon_vma && is_below(vma->anon_vma, top) &&
	       vma->vm_pgoff <= ORIGIN + last &&
	       vma->vm_pgoff + vma_pages(vma) > ORIGIN + first;
}

static unsigned int times_visited(const struct visits *visits,
				  const struct vm_area_struct *vma)
{
	unsigned int i, times = 0;

	for (i = 0; i < visits->nr; i++)
		times += visits->vmas[i] == vma;
	return times;
}

/* No node comes after one that is below it. */
static bool is_preorder(const struct visits *visits)
{
	unsigned int i;

	for (i = 1; i < visits->nr; i++) {
		struct anon_vma *before = visits->vmas[i - 1]->anon_vma;
		struct anon_vma *node = visits->vmas[i]->anon_vma;

		if (node != before && is_below(before, node))
			return false;
	}
	return true;
}

static void check_walk(struct kunit *test, struct mm_struct **mms, int nr,
		       struct anon_vma *top, unsigned long first, unsigned long last)
{
	struct vm_area_struct *vma;
	struct visits visits;
	int i;

	walk(&visits, top, first, last);
	KUNIT_ASSERT_LE(test, visits.nr, MAX_VISITS);
	KUNIT_ASSERT_TRUE(test, is_preorder(&visits));
	for (i = 0; i < nr; i++) {
		VMA_ITERATOR(vmi, mms[i], 0);

		mmap_read_lock(mms[i]);
		for_each_vma(vmi, vma)
			if (times_visited(&visits, vma) != should_visit(vma, top, first, last))
				break;
		mmap_read_unlock(mms[i]);
		KUNIT_ASSERT_NULL_MSG(test, vma, "process %d: walk of %lu-%lu", i, first, last);
	}
}

/* Every range, from every node, against a look at every vma. */
static void walk_visits_what_overlaps(struct kunit *test)
{
	const unsigned long pages = 16;
	struct mm_struct *mms[6];
	unsigned long first, last;
	int i;

	mms[0] = process_new(test);
	write_to(test, map(test, mms[0], 0, pages));
	/* Its pieces lie far apart: a gap. */
	mms[1] = process_fork(test, mms[0]);
	write_all(test, mms[1]);
	unmap(test, mms[1], 2, 12);
	/* One piece, and a child that has less. */
	mms[2] = process_fork(test, mms[0]);
	unmap(test, mms[2], 0, 6);
	write_all(test, mms[2]);
	mms[3] = process_fork(test, mms[2]);
	unmap(test, mms[3], 8, 4);
	write_all(test, mms[3]);
	/* Stays where it came from. */
	mms[4] = process_fork(test, mms[0]);
	unmap(test, mms[4], 5, 1);
	/* Three pieces, the middle one at the parent's. */
	mms[5] = process_fork(test, mms[1]);
	write_to(test, vma_at(mms[5], 0));
	for (first = 0; first < pages; first++)
		for (last = first; last < pages; last++)
			for (i = 0; i < ARRAY_SIZE(mms); i++)
				check_walk(test, mms, ARRAY_SIZE(mms), node_at(mms[i], 15),
					   first, last);
}

static void overlap_is_noticed(struct kunit *test)
{
	struct mm_struct *parent = process_new(test), *child;
	struct anon_vma *root, *own;

	write_to(test, map(test, parent, 0, 4));
	root = node_at(parent, 0);
	KUNIT_EXPECT_FALSE(test, root->overlap);
	child = process_fork(test, parent);
	KUNIT_EXPECT_TRUE(test, root->overlap);
	write_to(test, vma_at(child, 0));
	own = node_at(child, 0);
	KUNIT_EXPECT_FALSE(test, own->overlap);
	process_fork(test, child);
	KUNIT_EXPECT_TRUE(test, own->overlap);
}

static bool is_locked(const struct anon_vma *node)
{
	return rwsem_is_locked(&node->root->rwsem);
}

/* Also of a family of which the process has two nodes: to take it twice would hang. */
static void all_locks_are_those_of_each_family(struct kunit *test)
{
	struct mm_struct *parent = process_new(test), *mm, *stranger = process_new(test);
	bool taken[3] = {}, left = false;
	struct anon_vma *nodes[3];
	int err, i;

	map(test, parent, 0, 4);
	map(test, parent, 4, 4);
	write_all(test, parent);
	mm = process_fork(test, parent);
	write_to(test, vma_at(mm, 0));
	KUNIT_EXPECT_PTR_NE(test, node_at(mm, 0), node_at(mm, 4));
	write_to(test, map(test, mm, 20, 4));
	map(test, mm, 30, 4);
	write_to(test, map(test, stranger, 0, 4));
	nodes[0] = node_at(mm, 0);
	nodes[1] = node_at(mm, 20);
	nodes[2] = node_at(stranger, 0);

	mmap_write_lock(mm);
	err = mm_take_all_locks(mm);
	for (i = 0; !err && i < 3; i++)
		taken[i] = is_locked(nodes[i]);
	if (!err)
		mm_drop_all_locks(mm);
	for (i = 0; i < 3; i++)
		left |= is_locked(nodes[i]);
	mmap_write_unlock(mm);
	KUNIT_ASSERT_EQ(test, 0, err);
	KUNIT_EXPECT_TRUE(test, taken[0]);
	KUNIT_EXPECT_TRUE(test, taken[1]);
	KUNIT_EXPECT_FALSE(test, taken[2]);
	KUNIT_EXPECT_FALSE(test, left);
}

static struct kunit_case anon_vma_cases[] = {
	KUNIT_CASE(owner_ids_differ),
	KUNIT_CASE(first_fault_makes_root),
	KUNIT_CASE(second_fault_changes_nothing),
	KUNIT_CASE_PARAM(first_fault_takes_neighbours_node, neighbour_gen_params),
	KUNIT_CASE(first_fault_spreads_no_inherited_family),
	KUNIT_CASE(fork_attaches_behind_parent),
	KUNIT_CASE(fork_of_untouched_vma_attaches_nothing),
	KUNIT_CASE(fork_attaches_to_own_node_of_parent),
	KUNIT_CASE(first_write_makes_child),
	KUNIT_CASE(first_write_joins_own_node),
	KUNIT_CASE(first_write_sleeps_for_memory),
	KUNIT_CASE(heir_takes_over),
	KUNIT_CASE(one_of_two_heirs_does_not_take_over),
	KUNIT_CASE(endless_chain_is_bounded),
	KUNIT_CASE(nodes_that_may_merge),
	KUNIT_CASE(split_keeps_node_disjoint),
	KUNIT_CASE(unmap_of_the_middle_keeps_both_ends),
	KUNIT_CASE(pieces_rejoin_at_deeper_node),
	KUNIT_CASE(update_moves_vma_in_tree),
	KUNIT_CASE(unlink_prunes_upward),
	KUNIT_CASE(unlink_leaves_relatives),
	KUNIT_CASE(batch_unlinks_families),
	KUNIT_CASE(hull_grows_and_knows_its_gap),
	KUNIT_CASE(hull_grows_in_ancestors),
	KUNIT_CASE(walk_visits_what_overlaps),
	KUNIT_CASE(overlap_is_noticed),
	KUNIT_CASE(all_locks_are_those_of_each_family),
	{}
};

/* folio->mapping: what it points at is told by its low bits. */

/* The page-table lock that comes with it disables preemption, for the counters. */
static void unmap_folio(struct folio *folio, struct vm_area_struct *vma)
{
	preempt_disable();
	folio_remove_rmap_pte(folio, &folio->page, vma);
	preempt_enable();
}

/* As the free of a page wants it, whatever the test has left. */
static void folio_release(void *arg)
{
	struct vm_area_struct anywhere = {};
	struct folio *folio = arg;

	if (folio_mapped(folio))
		unmap_folio(folio, &anywhere);
	folio->mapping = NULL;
	folio_put(folio);
}

static struct folio *map_folio(struct kunit *test, struct vm_area_struct *vma,
			       unsigned long page)
{
	struct folio *folio = folio_alloc(GFP_KERNEL, 0);

	KUNIT_ASSERT_NOT_NULL(test, folio);
	preempt_disable();
	folio_add_new_anon_rmap(folio, vma, ADDR(page), RMAP_EXCLUSIVE);
	preempt_enable();
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, folio_release, folio));
	return folio;
}

static struct mm_struct *new_written(struct kunit *test)
{
	struct mm_struct *mm = process_new(test);

	write_to(test, map(test, mm, 0, 16));
	return mm;
}

static const struct mapping_kind {
	const char *name;
	unsigned long bits;
	bool anon, ksm, movable;
} mapping_kinds[] = {
	{ "file", 0 },
	{ "anon", PAGE_MAPPING_ANON, .anon = true },
	{ "ksm", PAGE_MAPPING_KSM, .anon = true, .ksm = true },
	{ "movable", PAGE_MAPPING_MOVABLE, .movable = true },
};

KUNIT_ARRAY_PARAM_DESC(mapping_kind, mapping_kinds, name);

static void bits_tell_the_kind(struct kunit *test)
{
	const struct mapping_kind *kind = test->param_value;
	struct mm_struct *mm = new_written(test);
	struct folio *folio = map_folio(test, vma_at(mm, 0), 0);
	struct anon_vma *node = node_at(mm, 0);

	/* Nobody looks at what it points at but for the anon_vma. */
	folio->mapping = (void *)node + kind->bits;
	KUNIT_EXPECT_EQ(test, kind->anon, folio_test_anon(folio));
	KUNIT_EXPECT_EQ(test, kind->anon, PageAnon(&folio->page));
	KUNIT_EXPECT_EQ(test, kind->ksm, folio_test_ksm(folio));
	KUNIT_EXPECT_EQ(test, kind->movable, __folio_test_movable(folio));
	KUNIT_EXPECT_EQ(test, kind->bits != 0, folio_mapping_flags(folio));
	KUNIT_EXPECT_PTR_EQ(test, kind->anon && !kind->ksm ? node : NULL, folio_anon_vma(folio));
	KUNIT_EXPECT_PTR_EQ(test, kind->bits ? NULL : (void *)node, (void *)folio_mapping(folio));
}

static void only_mapped_anon_gives_node(struct kunit *test)
{
	const struct mapping_kind *kind = test->param_value;
	struct mm_struct *mm = new_written(test);
	struct vm_area_struct *vma = vma_at(mm, 0);
	struct folio *folio = map_folio(test, vma, 0);
	struct anon_vma *node = vma->anon_vma, *found;
	struct anon_vma *expected = kind->anon && !kind->ksm ? node : NULL;

	folio->mapping = (void *)node + kind->bits;
	found = folio_get_anon_vma(folio);
	KUNIT_EXPECT_PTR_EQ(test, expected, found);
	KUNIT_EXPECT_EQ(test, found ? 2 : 1, atomic_read(&node->refcount));
	if (found)
		put_anon_vma(found);

	found = folio_lock_anon_vma_read(folio, NULL);
	KUNIT_EXPECT_PTR_EQ(test, expected, found);
	KUNIT_EXPECT_EQ(test, !!found, rwsem_is_locked(&node->rwsem));
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&node->refcount));
	if (found)
		anon_vma_unlock_read(found);

	folio->mapping = (void *)node + PAGE_MAPPING_ANON;
	unmap_folio(folio, vma);
	folio->mapping = (void *)node + kind->bits;
	KUNIT_EXPECT_NULL(test, folio_get_anon_vma(folio));
	KUNIT_EXPECT_NULL(test, folio_lock_anon_vma_read(folio, NULL));
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&node->refcount));
	KUNIT_EXPECT_FALSE(test, rwsem_is_locked(&node->rwsem));
}

static void new_folio_points_at_own_node(struct kunit *test)
{
	struct mm_struct *parent = new_written(test), *child;
	struct folio *folio;

	child = process_fork(test, parent);
	write_to(test, vma_at(child, 0));
	folio = map_folio(test, vma_at(child, 0), 3);
	KUNIT_EXPECT_PTR_EQ(test, node_at(child, 0), folio_anon_vma(folio));
	KUNIT_EXPECT_EQ(test, ORIGIN + 3, folio->index);
	/* A page of the parent's that has become the child's alone. */
	folio = map_folio(test, vma_at(parent, 0), 4);
	folio_lock(folio);
	folio_move_anon_rmap(folio, vma_at(child, 0));
	folio_unlock(folio);
	KUNIT_EXPECT_PTR_EQ(test, node_at(child, 0), folio_anon_vma(folio));
}

static void try_lock_says_contended(struct kunit *test)
{
	struct rmap_walk_control rwc = { .try_lock = true };
	struct mm_struct *mm = new_written(test);
	struct folio *folio = map_folio(test, vma_at(mm, 0), 0);
	struct anon_vma *node = node_at(mm, 0);

	anon_vma_lock_write(node);
	KUNIT_EXPECT_NULL(test, folio_lock_anon_vma_read(folio, &rwc));
	anon_vma_unlock_write(node);
	KUNIT_EXPECT_TRUE(test, rwc.contended);
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&node->refcount));

	rwc.contended = false;
	KUNIT_EXPECT_PTR_EQ(test, node, folio_lock_anon_vma_read(folio, &rwc));
	anon_vma_unlock_read(node);
	KUNIT_EXPECT_FALSE(test, rwc.contended);
}

struct changer {
	struct folio *folio;
	void *mappings[4];
	unsigned long found[3];
};

static int change_mapping(void *arg)
{
	struct changer *changer = arg;
	unsigned int i = 0;

	while (!kthread_should_stop()) {
		WRITE_ONCE(changer->folio->mapping, changer->mappings[i++ % 4]);
		/* Odd, so that each of the four is left in turn on one cpu. */
		if (!(i % 1021))
			cond_resched();
	}
	return 0;
}

/* Look once by each function. False: one returned what folio->mapping never was. */
static bool look(struct changer *changer, struct anon_vma *a, struct anon_vma *b)
{
	struct address_space *mapping = folio_mapping(changer->folio);
	struct anon_vma *node = folio_anon_vma(changer->folio);

	if ((mapping && mapping != changer->mappings[1]) || (node && node != a && node != b))
		return false;
	node = folio_get_anon_vma(changer->folio);
	if (node && node != a && node != b)
		return false;
	if (node)
		put_anon_vma(node);
	node = folio_lock_anon_vma_read(changer->folio, NULL);
	if (node && node != a && node != b)
		return false;
	if (node)
		anon_vma_unlock_read(node);
	changer->found[node == a ? 0 : node == b ? 1 : 2]++;
	return true;
}

static bool found_all(const struct changer *changer)
{
	return changer->found[0] && changer->found[1] && changer->found[2];
}

/* The bit and the pointer come from one read, however the mapping changes. */
static void bit_and_pointer_agree(struct kunit *test)
{
	struct mm_struct *a = new_written(test), *b = new_written(test);
	struct anon_vma *node_a = node_at(a, 0), *node_b = node_at(b, 0);
	struct folio *folio = map_folio(test, vma_at(a, 0), 0);
	struct changer changer = { .folio = folio };
	struct task_struct *task;
	unsigned long end, give_up;
	bool good = true;
	void *file;

	/* Taken for a node by mistake, it would be one with a reference. */
	file = kunit_kzalloc(test, 2 * sizeof(*node_a), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, file);
	memset(file, 1, 2 * sizeof(*node_a));
	changer.mappings[0] = (void *)node_a + PAGE_MAPPING_ANON;
	changer.mappings[1] = file;
	changer.mappings[2] = (void *)node_b + PAGE_MAPPING_ANON;
	changer.mappings[3] = file + PAGE_MAPPING_KSM;
	task = kthread_run(change_mapping, &changer, "change_mapping");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	end = jiffies + HZ / 2;
	give_up = jiffies + 20 * HZ;
	while (good && (time_before(jiffies, end) ||
			(!found_all(&changer) && time_before(jiffies, give_up)))) {
		good = look(&changer, node_a, node_b);
		cond_resched();
	}
	kthread_stop(task);
	WRITE_ONCE(folio->mapping, changer.mappings[0]);
	KUNIT_EXPECT_TRUE(test, good);
	KUNIT_EXPECT_TRUE(test, found_all(&changer));
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&node_a->refcount));
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&node_b->refcount));
	kunit_info(test, "found %lu times the first, %lu the second, %lu none",
		   changer.found[0], changer.found[1], changer.found[2]);
}

static struct kunit_case rmap_mapping_cases[] = {
	KUNIT_CASE_PARAM(bits_tell_the_kind, mapping_kind_gen_params),
	KUNIT_CASE_PARAM(only_mapped_anon_gives_node, mapping_kind_gen_params),
	KUNIT_CASE(new_folio_points_at_own_node),
	KUNIT_CASE(try_lock_says_contended),
	KUNIT_CASE(bit_and_pointer_agree),
	{}
};

/* folio->index and vm_pgoff: where in a vma a page is. */

/* Page @page of the family is at @at in @mm, and nowhere else of it. */
static void expect_at(struct kunit *test, struct mm_struct *mm, struct folio *folio,
		      unsigned long page, unsigned long at)
{
	VMA_ITERATOR(vmi, mm, 0);
	struct vm_area_struct *vma;
	bool found = false;

	mmap_read_lock(mm);
	for_each_vma(vmi, vma) {
		bool here = vma->vm_start <= ADDR(at) && ADDR(at) < vma->vm_end;
		unsigned long addr = here ? ADDR(at) : -EFAULT;

		found |= here;
		KUNIT_EXPECT_EQ(test, addr, vma_address(vma, ORIGIN + page, 1));
		KUNIT_EXPECT_EQ(test, addr, page_address_in_vma(&folio->page, vma));
		if (here)
			KUNIT_EXPECT_EQ(test, ORIGIN + page, linear_page_index(vma, addr));
	}
	mmap_read_unlock(mm);
	KUNIT_EXPECT_TRUE(test, found);
}

struct mappers {
	struct mm_struct *mms[4];
	unsigned long addrs[4];
	unsigned int nr;
};

static bool note_mapper(struct folio *folio, struct vm_area_struct *vma,
			unsigned long addr, void *arg)
{
	struct mappers *mappers = arg;

	if (mappers->nr < ARRAY_SIZE(mappers->mms)) {
		mappers->mms[mappers->nr] = vma->vm_mm;
		mappers->addrs[mappers->nr] = addr;
	}
	mappers->nr++;
	return true;
}

static void find_mappers(struct folio *folio, struct mappers *mappers)
{
	struct rmap_walk_control rwc = {
		.rmap_one = note_mapper,
		.arg = mappers,
		.anon_lock = folio_lock_anon_vma_read,
	};

	mappers->nr = 0;
	rmap_walk(folio, &rwc);
}

/* mremap() of one whole vma, but for its page tables */
static void move(struct kunit *test, struct mm_struct *mm, unsigned long from,
		 unsigned long nr, unsigned long to)
{
	struct vm_area_struct *vma, *new;
	bool need_rmap_locks;

	mmap_write_lock(mm);
	vma = vma_lookup(mm, ADDR(from));
	new = copy_vma(&vma, ADDR(to), nr << PAGE_SHIFT, linear_page_index(vma, ADDR(from)),
		       &need_rmap_locks, false);
	vm_stat_account(mm, FLAGS, nr);
	mmap_write_unlock(mm);
	KUNIT_ASSERT_NOT_NULL(test, new);
	unmap(test, mm, from, nr);
}

static void index_is_address_at_first(struct kunit *test)
{
	struct mm_struct *mm = new_written(test);
	struct folio *folio = map_folio(test, vma_at(mm, 0), 7);

	KUNIT_EXPECT_EQ(test, ORIGIN, vma_at(mm, 0)->vm_pgoff);
	KUNIT_EXPECT_EQ(test, ADDR(7) >> PAGE_SHIFT, folio->index);
	expect_at(test, mm, folio, 7, 7);
}

static void index_outside_is_refused(struct kunit *test)
{
	struct mm_struct *mm = new_written(test);
	struct vm_area_struct *vma = vma_at(mm, 0);

	KUNIT_EXPECT_EQ(test, -EFAULT, (long)vma_address(vma, ORIGIN - 1, 1));
	KUNIT_EXPECT_EQ(test, -EFAULT, (long)vma_address(vma, ORIGIN + 16, 1));
	KUNIT_EXPECT_EQ(test, -EFAULT, (long)vma_address(vma, -1UL, 1));
	/* A large folio of which the end, or the beginning, is there. */
	KUNIT_EXPECT_EQ(test, ADDR(0), vma_address(vma, ORIGIN - 3, 4));
	KUNIT_EXPECT_EQ(test, -EFAULT, (long)vma_address(vma, ORIGIN - 4, 4));
	KUNIT_EXPECT_EQ(test, ADDR(15), vma_address(vma, ORIGIN + 15, 4));
}

static void other_family_is_refused(struct kunit *test)
{
	struct mm_struct *a = new_written(test), *b = new_written(test);
	struct folio *folio = map_folio(test, vma_at(a, 0), 0);

	KUNIT_EXPECT_EQ(test, ADDR(0), page_address_in_vma(&folio->page, vma_at(a, 0)));
	KUNIT_EXPECT_EQ(test, -EFAULT, (long)page_address_in_vma(&folio->page, vma_at(b, 0)));
}

static void index_survives_split(struct kunit *test)
{
	struct mm_struct *mm = new_written(test);
	struct vm_area_struct *vma = vma_at(mm, 0);
	struct folio *folios[16];
	unsigned long page;

	for (page = 0; page < 16; page++)
		folios[page] = map_folio(test, vma, page);
	protect(test, mm, 5, 6, FLAGS & ~VM_WRITE);
	unmap(test, mm, 13, 1);
	KUNIT_EXPECT_EQ(test, 4, mm->map_count);
	for (page = 0; page < 16; page++)
		if (page != 13)
			expect_at(test, mm, folios[page], page, page);
	protect(test, mm, 5, 6, FLAGS);
	KUNIT_EXPECT_EQ(test, 2, mm->map_count);
	for (page = 0; page < 16; page++)
		if (page != 13)
			expect_at(test, mm, folios[page], page, page);
}

static void index_survives_growth_down(struct kunit *test)
{
	struct mm_struct *mm = process_new(test);
	struct vm_area_struct *vma;
	struct folio *folio;
	int err;

	vma = map_flags(test, mm, 10, 4, FLAGS | VM_GROWSDOWN | VM_ACCOUNT);
	write_to(test, vma);
	folio = map_folio(test, vma, 11);
	mmap_write_lock(mm);
	err = expand_stack_locked(vma, ADDR(2));
	mmap_write_unlock(mm);
	KUNIT_ASSERT_EQ(test, 0, err);
	KUNIT_EXPECT_EQ(test, ADDR(2), vma->vm_start);
	KUNIT_EXPECT_EQ(test, ORIGIN + 2, vma->vm_pgoff);
	expect_at(test, mm, folio, 11, 11);
	expect_at(test, mm, map_folio(test, vma, 2), 2, 2);
	expect_walk(test, vma->anon_vma, 2, 2, vma);
}

static void index_survives_move(struct kunit *test)
{
	struct mm_struct *mm = new_written(test);
	struct folio *folio = map_folio(test, vma_at(mm, 0), 7);
	struct anon_vma *node = node_at(mm, 0);

	move(test, mm, 0, 16, 100);
	KUNIT_EXPECT_PTR_EQ(test, node, node_at(mm, 100));
	KUNIT_EXPECT_EQ(test, ORIGIN, vma_at(mm, 100)->vm_pgoff);
	KUNIT_EXPECT_EQ(test, ORIGIN + 7, folio->index);
	expect_at(test, mm, folio, 7, 107);
	protect(test, mm, 107, 1, FLAGS & ~VM_WRITE);
	expect_at(test, mm, folio, 7, 107);
	/* A new page has the index that goes with the old address. */
	KUNIT_EXPECT_EQ(test, ORIGIN + 3, map_folio(test, vma_at(mm, 103), 103)->index);
}

static void untouched_vma_is_renumbered_by_move(struct kunit *test)
{
	struct mm_struct *mm = process_new(test);

	map(test, mm, 0, 16);
	move(test, mm, 0, 16, 100);
	KUNIT_EXPECT_EQ(test, ORIGIN + 100, vma_at(mm, 100)->vm_pgoff);
}

/* The pages that both share after fork are found at either address. */
static void relatives_may_move_apart(struct kunit *test)
{
	struct mm_struct *parent = new_written(test), *child;
	struct folio *folio = map_folio(test, vma_at(parent, 0), 7);
	struct mappers mappers;

	child = process_fork(test, parent);
	move(test, parent, 0, 16, 100);
	find_mappers(folio, &mappers);
	KUNIT_ASSERT_EQ(test, 2, mappers.nr);
	KUNIT_EXPECT_NE(test, mappers.mms[0] == parent, mappers.mms[1] == parent);
	KUNIT_EXPECT_EQ(test, ADDR(mappers.mms[0] == parent ? 107 : 7), mappers.addrs[0]);
	KUNIT_EXPECT_EQ(test, ADDR(mappers.mms[1] == parent ? 107 : 7), mappers.addrs[1]);

	write_to(test, vma_at(child, 0));
	move(test, child, 0, 16, 200);
	find_mappers(folio, &mappers);
	KUNIT_ASSERT_EQ(test, 2, mappers.nr);
	KUNIT_EXPECT_PTR_EQ(test, parent, mappers.mms[0]);
	KUNIT_EXPECT_EQ(test, ADDR(107), mappers.addrs[0]);
	KUNIT_EXPECT_PTR_EQ(test, child, mappers.mms[1]);
	KUNIT_EXPECT_EQ(test, ADDR(207), mappers.addrs[1]);
	expect_at(test, child, folio, 7, 207);
}

static struct kunit_case rmap_index_cases[] = {
	KUNIT_CASE(index_is_address_at_first),
	KUNIT_CASE(index_outside_is_refused),
	KUNIT_CASE(other_family_is_refused),
	KUNIT_CASE(index_survives_split),
	KUNIT_CASE(index_survives_growth_down),
	KUNIT_CASE(index_survives_move),
	KUNIT_CASE(untouched_vma_is_renumbered_by_move),
	KUNIT_CASE(relatives_may_move_apart),
	{}
};

static struct kunit_suite anon_vma_suite = {
	.name = "anon_vma",
	.test_cases = anon_vma_cases,
};

static struct kunit_suite rmap_mapping_suite = {
	.name = "rmap_mapping",
	.test_cases = rmap_mapping_cases,
};

static struct kunit_suite rmap_index_suite = {
	.name = "rmap_index",
	.test_cases = rmap_index_cases,
};

kunit_test_suites(&anon_vma_suite, &rmap_mapping_suite, &rmap_index_suite);
