// SPDX-License-Identifier: GPL-2.0
/*
 * What must hold after every step, found by looking at everything: no check
 * here trusts a tree, a hull or a thread that mm/anon_vma.c keeps.
 */
#include "model.h"

unsigned long nr_walks;
static unsigned long stamp;

static bool below(const struct anon_vma *node, const struct anon_vma *top)
{
	while (node && node != top)
		node = node->parent;
	return node;
}

static bool overlaps(const struct vm_area_struct *vma, unsigned long first,
		     unsigned long last)
{
	return vma->vm_pgoff <= last && vma->vm_pgoff + vma_pages(vma) - 1 >= first;
}

/* Pre-order: once left, a node is not met again, nor is one above it. */
static void enter_node(struct anon_vma *node, struct anon_vma *top)
{
	if (node_info(node)->visited == stamp)
		fail("walk came back to a node");
	if (node_info(node)->passed == stamp)
		fail("walk met a node after one below it");
	node_info(node)->visited = stamp;
	while (node != top) {
		node = node->parent;
		node_info(node)->passed = stamp;
	}
}

/* Family lock held. Stamps each vma met with the walk and its place in it. */
static unsigned int walk_locked(struct anon_vma *top, unsigned long first,
				unsigned long last)
{
	struct anon_vma *node = NULL;
	struct vm_area_struct *vma;
	struct anon_vma_iter iter;
	unsigned int nr = 0;

	stamp++;
	nr_walks++;
	anon_vma_for_each_vma(vma, &iter, top, first, last) {
		if (vma->stamp == stamp)
			fail("walk met a vma of process %u twice", vma_proc(vma)->id);
		if (!overlaps(vma, first, last) || !below(vma->anon_vma, top))
			fail("walk met a vma of process %u that it should not",
			     vma_proc(vma)->id);
		if (vma->anon_vma != node)
			enter_node(vma->anon_vma, top);
		node = vma->anon_vma;
		vma->stamp = stamp;
		vma->order = nr++;
	}
	return nr;
}

static unsigned int walk(struct anon_vma *node, unsigned long first, unsigned long last)
{
	unsigned int nr;

	anon_vma_lock_read(node);
	nr = walk_locked(node, first, last);
	anon_vma_unlock_read(node);
	return nr;
}

static unsigned long first_index(const struct page *page)
{
	return page->large ? page->large->index : page->folio.index;
}

static unsigned long last_index(const struct page *page)
{
	return page->large ? page->large->index + page->large->nr - 1 : page->folio.index;
}

/* As walk(), but through the folio, as reclaim does. */
unsigned int page_walk(struct page *page)
{
	struct rmap_walk_control rwc = { .try_lock = true };
	struct anon_vma *node;
	unsigned int nr;

	node = folio_lock_anon_vma_read(&page->folio, &rwc);
	expect(node == page_node(page) && !rwc.contended);
	nr = walk_locked(node, first_index(page), last_index(page));
	anon_vma_unlock_read(node);
	return nr;
}

/* Vmas visited by a walk of the page that a process sees at an address. */
unsigned int visits(struct proc *proc, unsigned long addr)
{
	check_page(proc->ptes[addr].page);
	return page_walk(proc->ptes[addr].page);
}

/* The vma of @pte was met by the last walk, which looked for @index. */
static bool found_at(const struct pte *pte, unsigned long index)
{
	struct vm_area_struct *vma = vma_at(pte->proc, pte_addr(pte));

	expect(vma);
	return vma->stamp == stamp && linear_index(vma, pte_addr(pte)) == index;
}

/* A KSM page is found by all its items together: ksm_rmap_next(). */
static void check_ksm_page(struct page *page)
{
	struct item *item;
	struct pte *pte;

	for (item = world.items; item < &world.items[world.nr_items]; item++) {
		if (item->page != page)
			continue;
		walk(item->node, item->index, item->index);
		for (pte = page->ptes; pte; pte = pte->next)
			pte->found |= found_at(pte, item->index);
	}
	for (pte = page->ptes; pte; pte = pte->next) {
		if (!pte->found)
			fail("KSM page: process %u maps it at %lu and is not found",
			     pte->proc->id, pte_addr(pte));
		pte->found = false;
	}
}

/* THE invariant. A swap entry of a folio in the swap cache will map it again. */
void check_page(struct page *page)
{
	struct pte *pte;
	unsigned int nr;

	if (page->ksm)
		check_ksm_page(page);
	if (!page->resident || page->ksm)
		return;
	nr = page->folio.mapcount ? page_walk(page) :
	     walk(page_node(page), first_index(page), last_index(page));
	for (pte = page->ptes; pte; pte = pte->next)
		if (!found_at(pte, page->folio.index))
			fail("page of index %lu: process %u maps it and is not found",
			     page->folio.index, pte->proc->id);
	if (world.stock && !page->large)
		stock_count(page, nr);
}

/* The walk must meet as many vmas as there are. */
void check_ranges(struct anon_vma *node, unsigned long first, unsigned long last)
{
	unsigned int found = walk(node, first, last), there = 0;
	struct vm_area_struct *vma;
	struct proc *proc;

	for (proc = world.procs; proc; proc = proc->next)
		for (vma = proc->vmas; vma; vma = vma->next)
			there += vma->anon_vma && below(vma->anon_vma, node) &&
				 overlaps(vma, first, last);
	if (found != there)
		fail("walk of %lu-%lu met %u vmas of %u", first, last, found, there);
}

/* Nodes. */

static void expect_linked(struct anon_vma *node)
{
	for (; node && !node_info(node)->linked; node = node->parent) {
		node_info(node)->linked = true;
		node_info(node)->refs++;
		node_info(node->root)->members++;
	}
}

/* A node is linked if a vma is attached to it or below, and no other is. */
static void expect_refs(void)
{
	struct vm_area_struct *vma;
	struct node_info *info;
	struct proc *proc;

	for (info = world.nodes; info; info = info->next) {
		info->linked = false;
		info->refs = info->holds;
		info->members = 0;
		info->vmas = 0;
	}
	for (proc = world.procs; proc; proc = proc->next) {
		for (vma = proc->vmas; vma; vma = vma->next) {
			if (!vma->anon_vma)
				continue;
			expect_linked(vma->anon_vma);
			node_info(vma->anon_vma->root)->vmas++;
		}
	}
	for (info = world.nodes; info; info = info->next)
		if (info_node(info)->root != info_node(info))
			node_info(info_node(info)->root)->refs++;
	for (info = world.nodes; info; info = info->next) {
		if (!info->refs)
			fail("a node was not freed");
		if (atomic_read(&info_node(info)->refcount) != info->refs)
			fail("refcount %d, should be %u",
			     atomic_read(&info_node(info)->refcount), info->refs);
	}
}

static void check_vma(struct vm_area_struct *vma, struct anon_vma *node)
{
	expect(vma->anon_vma == node);
	expect(node->hull_first <= vma->vm_pgoff);
	expect(node->hull_last >= linear_index(vma, vma->vm_end) - 1);
}

static unsigned long vma_subtree_last(struct rb_node *rb)
{
	struct vm_area_struct *vma = rb_entry_safe(rb, struct vm_area_struct, anon_link.rb);

	return vma ? vma->anon_link.rb_subtree_last : 0;
}

static unsigned long child_subtree_last(struct rb_node *rb)
{
	struct anon_vma *child = rb_entry_safe(rb, struct anon_vma, sibling);

	return child ? child->subtree_last : 0;
}

static unsigned long max3(unsigned long a, unsigned long b, unsigned long c)
{
	return max(max(a, b), c);
}

static void check_vmas(struct anon_vma *node)
{
	unsigned long last, end = 0;
	struct rb_node *rb;

	for (rb = rb_first_cached(&node->vmas); rb; rb = rb_next(rb)) {
		struct vm_area_struct *vma = rb_entry(rb, struct vm_area_struct, anon_link.rb);

		check_vma(vma, node);
		if (!node->overlap && vma->vm_pgoff < end)
			fail("vmas of a node overlap and it does not know");
		end = linear_index(vma, vma->vm_end);
		last = max3(end - 1, vma_subtree_last(rb->rb_left),
			    vma_subtree_last(rb->rb_right));
		expect(vma->anon_link.rb_subtree_last == last);
	}
}

static void check_child(struct anon_vma *child, struct anon_vma *node)
{
	struct rb_node *rb = &child->sibling;
	unsigned long last;

	expect(node_info(child)->linked);
	expect(child->parent == node && child->root == node->root);
	expect(node->hull_first <= child->hull_first && child->hull_last <= node->hull_last);
	expect(child->next == rb_entry_safe(rb_next(rb), struct anon_vma, sibling));
	last = max3(child->hull_last, child_subtree_last(rb->rb_left),
		    child_subtree_last(rb->rb_right));
	expect(child->subtree_last == last);
}

static unsigned int check_children(struct anon_vma *node)
{
	unsigned long first = 0;
	unsigned int nr = 0;
	struct rb_node *rb;

	for (rb = rb_first_cached(&node->children); rb; rb = rb_next(rb)) {
		struct anon_vma *child = rb_entry(rb, struct anon_vma, sibling);

		expect(child->hull_first >= first);
		first = child->hull_first;
		check_child(child, node);
		nr++;
	}
	return nr;
}

/* Every linked node of a family is in its tree of owners, once, and no other. */
static unsigned int check_owners(struct anon_vma *root)
{
	unsigned int nr = 0;
	u64 last = 0;
	struct rb_node *rb;

	for (rb = rb_first(&root->owned); rb; rb = rb_next(rb)) {
		struct anon_vma *node = rb_entry(rb, struct anon_vma, owned_link);

		expect(node->owner > last && node_info(node)->linked && node->root == root);
		last = node->owner;
		nr++;
	}
	return nr;
}

/* Empty nodes: the family is never larger than by the most vmas that it ever had. */
static void check_bound(struct node_info *root)
{
	root->most_vmas = max(root->most_vmas, root->vmas);
	if (root->members > 2 * root->most_vmas + 3)
		fail("%u nodes of a family that had at most %u vmas", root->members,
		     root->most_vmas);
}

static void check_linked(void)
{
	unsigned int linked = 0, children = 0, roots = 0, owned = 0;
	struct node_info *info;

	for (info = world.nodes; info; info = info->next) {
		struct anon_vma *node = info_node(info);

		if (!info->linked)
			continue;
		linked++;
		check_vmas(node);
		children += check_children(node);
		if (node->parent)
			continue;
		roots++;
		check_bound(info);
		expect(node->root == node && !node->hull_first && node->hull_last == ULONG_MAX);
		owned += check_owners(node);
	}
	expect(linked == children + roots && linked == owned);
}

/* What design says of the first write after a fork, decided here by looking at everything. */

static unsigned int attached(const struct anon_vma *node, const struct mm_struct *but)
{
	struct vm_area_struct *vma;
	unsigned int nr = 0;
	struct proc *proc;

	for (proc = world.procs; proc; proc = proc->next)
		for (vma = proc->vmas; vma; vma = vma->next)
			nr += vma->anon_vma == node && vma->vm_mm != but;
	return nr;
}

/* A node that was unlinked may still be held. */
static bool in_use(const struct anon_vma *node)
{
	struct vm_area_struct *vma;
	struct proc *proc;

	for (proc = world.procs; proc; proc = proc->next)
		for (vma = proc->vmas; vma; vma = vma->next)
			if (below(vma->anon_vma, node))
				return true;
	return false;
}

static unsigned int nr_children(const struct anon_vma *node)
{
	struct node_info *info;
	unsigned int nr = 0;

	for (info = world.nodes; info; info = info->next)
		nr += info_node(info)->parent == node && in_use(info_node(info));
	return nr;
}

static struct anon_vma *owned_by(const struct mm_struct *mm, const struct anon_vma *root)
{
	struct node_info *info;
	struct anon_vma *node;

	for (info = world.nodes; info; info = info->next) {
		node = info_node(info);
		if (node->root == root && node->owner == mm->anon_owner && in_use(node))
			return node;
	}
	return NULL;
}

static bool has_too_many_empty_above(const struct anon_vma *node)
{
	const struct anon_vma *up;
	unsigned int empty = 0;

	for (up = node->parent; up; up = up->parent)
		empty += !attached(up, NULL) && nr_children(up) == 1;
	return empty > attached(node, NULL);
}

struct settling settling_of(struct vm_area_struct *vma)
{
	struct anon_vma *node = vma->anon_vma;
	struct settling s = { .node = node };

	if (!node) {
		s.node = find_mergeable_anon_vma(vma);
		return s;
	}
	if (!vma->anon_inherited)
		return s;
	s.own = owned_by(vma->vm_mm, node->root);
	if (s.own)
		s.node = s.own->parent == node ? s.own : node;
	else if (!attached(node, vma->vm_mm) && !nr_children(node))
		s.own = node;
	else if (!has_too_many_empty_above(node))
		s.parent = node;
	return s;
}

void check_settled(const struct vm_area_struct *vma, const struct settling *s)
{
	const struct anon_vma *node = vma->anon_vma;

	if (s->parent)
		expect(node->parent == s->parent && node->owner == vma->vm_mm->anon_owner);
	else if (s->node)
		expect(node == s->node);
	else
		expect(anon_vma_is_own_root(node, vma->vm_mm));
	expect(!s->own || s->own->owner == vma->vm_mm->anon_owner);
}

/* At most two nodes of a family: the mm's own, and the parent of that. */
static void check_pair(const struct vm_area_struct *a, const struct vm_area_struct *b)
{
	const struct anon_vma *deep = a->anon_vma, *high = b->anon_vma;

	if (deep == high || deep->root != high->root)
		return;
	if (high->parent == deep) {
		deep = high;
		high = deep->parent;
	}
	if (deep->parent != high || deep->owner != a->vm_mm->anon_owner)
		fail("process %u has two nodes that are not its own and the parent of that",
		     vma_proc(a)->id);
}

static void check_proc(struct proc *proc)
{
	struct vm_area_struct *a, *b;

	for (a = proc->vmas; a; a = a->next) {
		expect(!a->next || a->vm_end <= a->next->vm_start);
		expect(a->anon_vma || !a->anon_inherited);
		if (!a->anon_vma)
			continue;
		anon_vma_verify(a);
		for (b = a->next; b; b = b->next)
			if (b->anon_vma)
				check_pair(a, b);
	}
}

void check_nodes(void)
{
	expect(!sems_held);
	expect_refs();
	check_linked();
}

void check_all(void)
{
	struct proc *proc;
	struct page *page;

	check_nodes();
	for (proc = world.procs; proc; proc = proc->next)
		check_proc(proc);
	for (page = world.pages; page; page = page->next)
		check_page(page);
}

void check_empty(void)
{
	expect(!world.pages);
	if (world.nr_nodes)
		fail("%lu nodes are left when all processes have gone", world.nr_nodes);
}
