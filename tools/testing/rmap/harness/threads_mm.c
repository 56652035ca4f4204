// SPDX-License-Identifier: GPL-2.0
/*
 * Processes: each function does to the reverse map what its namesake in the
 * kernel does, in the same order and under the same locks.
 */
#include "threads_mm.h"
#include "vma_list.h"

static struct slot {
	pthread_mutex_t lock;
	struct proc *proc;
} slots[NR_SLOTS];

static void *zalloc(size_t size)
{
	void *p = calloc(1, size);

	if (!p)
		abort();
	return p;
}

/* Pages and their entries: page table lock held. */

static struct page *page_new(void)
{
	struct page *page = zalloc(sizeof(*page));

	pthread_mutex_init(&page->lock, NULL);
	pthread_mutex_init(&page->list_lock, NULL);
	return page;
}

static void page_get(struct page *page)
{
	__atomic_fetch_add(&page->refs, 1, __ATOMIC_RELAXED);
}

void page_put(struct page *page)
{
	if (__atomic_sub_fetch(&page->refs, 1, __ATOMIC_ACQ_REL))
		return;
	pthread_mutex_destroy(&page->lock);
	pthread_mutex_destroy(&page->list_lock);
	free(page);
}

/* The count is raised before an entry is on the list, and lowered after. */
static void page_map(struct page *page, int by)
{
	__atomic_fetch_add(&page->folio.mapcount, by, __ATOMIC_RELAXED);
}

static void page_set_node(struct page *page, struct anon_vma *node, unsigned long index)
{
	WRITE_ONCE(page->folio.index, index);
	/* The kernel has a plain store: those who read it depend on the address. */
	smp_store_release(&page->folio.mapping, (void *)((unsigned long)node | PAGE_MAPPING_ANON));
}

static void pte_set(struct pte *pte, struct page *page, bool swapped, bool exclusive)
{
	expect(!pte->page);
	page_get(page);
	if (!swapped)
		page_map(page, 1);
	pthread_mutex_lock(&page->list_lock);
	pte->page = page;
	pte->swapped = swapped;
	pte->exclusive = exclusive;
	pte->since = next_since();
	pte->next = page->ptes;
	pte->pprev = &page->ptes;
	if (pte->next)
		pte->next->pprev = &pte->next;
	page->ptes = pte;
	page->nr_ptes++;
	pthread_mutex_unlock(&page->list_lock);
}

static void pte_clear(struct pte *pte)
{
	struct page *page = pte->page;

	if (!page)
		return;
	pthread_mutex_lock(&page->list_lock);
	*pte->pprev = pte->next;
	if (pte->next)
		pte->next->pprev = pte->pprev;
	page->nr_ptes--;
	pte->page = NULL;
	pthread_mutex_unlock(&page->list_lock);
	if (!pte->swapped)
		page_map(page, -1);
	page_put(page);
}

static void pte_set_swapped(struct pte *pte, bool swapped)
{
	struct page *page = pte->page;

	if (!swapped)
		page_map(page, 1);
	pthread_mutex_lock(&page->list_lock);
	pte->swapped = swapped;
	pte->since = next_since();
	pthread_mutex_unlock(&page->list_lock);
	if (swapped)
		page_map(page, -1);
}

static void pte_move(struct pte *from, struct pte *to)
{
	struct page *page = from->page;

	pte_set(to, page, from->swapped, from->exclusive);
	pte_clear(from);
}

unsigned int page_truth(struct page *page, unsigned long *since)
{
	unsigned int nr = 0;
	struct pte *pte;

	pthread_mutex_lock(&page->list_lock);
	for (pte = page->ptes; pte; pte = pte->next)
		if (!pte->swapped && nr < MAX_PTES)
			since[nr++] = pte->since;
	pthread_mutex_unlock(&page->list_lock);
	return nr;
}

static bool has_one_pte(struct page *page)
{
	unsigned int nr;

	pthread_mutex_lock(&page->list_lock);
	nr = page->nr_ptes;
	pthread_mutex_unlock(&page->list_lock);
	return nr == 1;
}

unsigned long visit(struct vm_area_struct *vma, struct page *page, bool unmap)
{
	unsigned long index = READ_ONCE(page->folio.index), since = 0;
	struct proc *proc = vma_proc(vma);
	struct pte *pte;

	/* Re-pointed without the family lock, only when not mapped. */
	if (index < vma->vm_pgoff || index - vma->vm_pgoff >= vma_pages(vma))
		return 0;
	pte = &proc->ptes[index - vma->vm_pgoff + vma->vm_start];
	pthread_mutex_lock(&proc->ptl);
	if (pte->page == page && !pte->swapped) {
		since = pte->since;
		if (unmap)
			pte_set_swapped(pte, true);
	}
	pthread_mutex_unlock(&proc->ptl);
	return since;
}

/* The list of vmas, by address: mmap_lock held. */

static struct vm_area_struct *vma_after(struct proc *proc, unsigned long addr)
{
	struct vm_area_struct *vma;

	for (vma = proc->vmas; vma && vma->vm_end <= addr; vma = vma->next)
		;
	return vma;
}

static struct vm_area_struct *vma_at(struct proc *proc, unsigned long addr)
{
	struct vm_area_struct *vma = vma_after(proc, addr);

	return vma && vma->vm_start <= addr ? vma : NULL;
}

static bool range_free(struct proc *proc, unsigned long start, unsigned long end)
{
	struct vm_area_struct *vma = vma_after(proc, start);

	return end <= NR_ADDRS && (!vma || vma->vm_start >= end);
}

static struct vm_area_struct *vma_dup(struct vm_area_struct *orig)
{
	struct vm_area_struct *vma = zalloc(sizeof(*vma));

	vma->vm_mm = orig->vm_mm;
	vma->vm_start = orig->vm_start;
	vma->vm_end = orig->vm_end;
	vma->vm_pgoff = orig->vm_pgoff;
	return vma;
}

static bool adjoining(const struct vm_area_struct *a, const struct vm_area_struct *b)
{
	return a->vm_end == b->vm_start && a->vm_pgoff + vma_pages(a) == b->vm_pgoff;
}

static struct anon_vma *reusable(struct vm_area_struct *old, struct vm_area_struct *a,
				 struct vm_area_struct *b)
{
	struct anon_vma *node;

	if (!adjoining(a, b))
		return NULL;
	node = READ_ONCE(old->anon_vma);
	return node && anon_vma_is_own_root(node, old->vm_mm) ? node : NULL;
}

struct anon_vma *find_mergeable_anon_vma(struct vm_area_struct *vma)
{
	struct vm_area_struct *prev = vma_proc(vma)->vmas;
	struct anon_vma *node = NULL;

	if (vma->next)
		node = reusable(vma->next, vma, vma->next);
	if (node || prev == vma)
		return node;
	while (prev->next != vma)
		prev = prev->next;
	return reusable(prev, prev, vma);
}

/* Changing the vmas: mmap_lock held for write. */

static struct vm_area_struct *map(struct proc *proc, unsigned long start, unsigned long end,
				  unsigned long pgoff)
{
	struct vm_area_struct *vma = zalloc(sizeof(*vma));

	vma->vm_mm = &proc->mm;
	vma->vm_start = start;
	vma->vm_end = end;
	vma->vm_pgoff = pgoff;
	vma_link(vma);
	return vma;
}

static void op_map(struct proc *proc)
{
	unsigned long start = rnd(NR_ADDRS), end = start + 1 + rnd(6);

	if (range_free(proc, start, end))
		map(proc, start, end, start);
}

static void split(struct vm_area_struct *vma, unsigned long addr)
{
	struct vm_area_struct *new = vma_dup(vma);
	struct anon_vma *node = vma->anon_vma;

	if (node) {
		anon_vma_lock_write(node);
		anon_vma_pre_update(vma);
	}
	new->vm_start = addr;
	new->vm_pgoff += addr - vma->vm_start;
	vma->vm_end = addr;
	vma_link(new);
	if (node) {
		anon_vma_post_update(vma);
		anon_vma_attach_copy(new, vma);
		anon_vma_unlock_write(node);
	}
}

static void split_at(struct proc *proc, unsigned long addr)
{
	struct vm_area_struct *vma = vma_at(proc, addr);

	if (vma && vma->vm_start < addr)
		split(vma, addr);
}

static void op_split(struct proc *proc)
{
	split_at(proc, rnd(NR_ADDRS));
}

static void op_merge(struct proc *proc)
{
	struct vm_area_struct *vma = vma_after(proc, rnd(NR_ADDRS)), *next;
	struct anon_vma *node;

	next = vma ? vma->next : NULL;
	if (!next || !adjoining(vma, next) ||
	    !anon_vma_mergeable(&proc->mm, vma->anon_vma, next->anon_vma))
		return;
	node = anon_vma_deeper(vma->anon_vma, next->anon_vma);
	if (node) {
		anon_vma_lock_write(node);
		anon_vma_pre_update(vma);
		anon_vma_pre_update(next);
	}
	vma_delist(next);
	vma->vm_end = next->vm_end;
	if (node) {
		anon_vma_set(vma, node);
		anon_vma_post_update(vma);
		anon_vma_unlock_write(node);
	}
	free(next);
}

static void op_grow(struct proc *proc)
{
	struct vm_area_struct *vma = vma_after(proc, rnd(NR_ADDRS));
	struct anon_vma *node;

	if (!vma || !range_free(proc, vma->vm_end, vma->vm_end + 1))
		return;
	node = vma->anon_vma;
	if (node) {
		anon_vma_lock_write(node);
		anon_vma_pre_update(vma);
	}
	vma->vm_end++;
	if (node) {
		anon_vma_post_update(vma);
		anon_vma_unlock_write(node);
	}
}

/* Unmapping: the pages go, then the vmas leave their nodes, then they are freed. */
static void unmap(struct proc *proc, unsigned long start, unsigned long end)
{
	struct anon_vma_unlink_batch batch = { .count = 0 };
	struct vm_area_struct *vma, *list = NULL;
	unsigned long addr;

	pthread_mutex_lock(&proc->ptl);
	for (addr = start; addr < end; addr++)
		pte_clear(&proc->ptes[addr]);
	pthread_mutex_unlock(&proc->ptl);
	while ((vma = vma_after(proc, start)) && vma->vm_start < end) {
		vma_delist(vma);
		anon_vma_unlink_batch_add(&batch, vma);
		vma->next = list;
		list = vma;
	}
	anon_vma_unlink_batch_flush(&batch);
	while ((vma = list)) {
		list = vma->next;
		expect(!vma->anon_vma);
		free(vma);
	}
}

static void unmap_range(struct proc *proc, unsigned long start, unsigned long end)
{
	split_at(proc, start);
	if (end < NR_ADDRS)
		split_at(proc, end);
	unmap(proc, start, end);
}

static void op_unmap(struct proc *proc)
{
	unsigned long start = rnd(NR_ADDRS);

	unmap_range(proc, start, min(start + 1 + rnd(8), 0UL + NR_ADDRS));
}

/* Without rmap locks: a walk meets the source before the copy. */
static void op_move(struct proc *proc)
{
	struct vm_area_struct *vma = vma_after(proc, rnd(NR_ADDRS)), *new;
	unsigned long to = rnd(NR_ADDRS), i;

	if (!vma || !vma->anon_vma || !range_free(proc, to, to + vma_pages(vma)))
		return;
	new = vma_dup(vma);
	new->vm_start = to;
	new->vm_end = to + vma_pages(vma);
	anon_vma_lock_write(vma->anon_vma);
	anon_vma_attach_copy(new, vma);
	anon_vma_unlock_write(vma->anon_vma);
	vma_link(new);
	for (i = 0; i < vma_pages(vma); i++) {
		pthread_mutex_lock(&proc->ptl);
		if (proc->ptes[vma->vm_start + i].page)
			pte_move(&proc->ptes[vma->vm_start + i], &proc->ptes[to + i]);
		pthread_mutex_unlock(&proc->ptl);
	}
	unmap(proc, vma->vm_start, vma->vm_end);
}

/* Faults: mmap_lock held for read. */

static struct page *pte_page_get(struct proc *proc, unsigned long addr)
{
	struct page *page;

	pthread_mutex_lock(&proc->ptl);
	page = proc->ptes[addr].page;
	if (page)
		page_get(page);
	pthread_mutex_unlock(&proc->ptl);
	return page;
}

static void swap_in(struct vm_area_struct *vma, unsigned long addr)
{
	struct proc *proc = vma_proc(vma);
	struct pte *pte = &proc->ptes[addr];
	struct page *page = pte_page_get(proc, addr);
	struct anon_vma *node;

	if (!page)
		return;
	pthread_mutex_lock(&page->lock);
	pthread_mutex_lock(&proc->ptl);
	if (pte->page == page && pte->swapped) {
		node = READ_ONCE(vma->anon_vma);
		/* Read anew, or still there. */
		if (!folio_mapped(&page->folio) && chance(2))
			page_set_node(page, pte->exclusive ? node : node->root, page->folio.index);
		pte_set_swapped(pte, false);
	}
	pthread_mutex_unlock(&proc->ptl);
	pthread_mutex_unlock(&page->lock);
	page_put(page);
}

/* The last one to map a page gets it: wp_can_reuse_anon_folio(). */
static bool reuse(struct pte *pte, struct anon_vma *node)
{
	struct page *page = pte->page;

	if (pthread_mutex_trylock(&page->lock))
		return false;
	if (has_one_pte(page)) {
		page_set_node(page, node, page->folio.index);
		pte->exclusive = true;
	}
	pthread_mutex_unlock(&page->lock);
	return pte->exclusive;
}

static void fault_write(struct proc *proc, unsigned long addr)
{
	struct vm_area_struct *vma = vma_at(proc, addr);
	struct pte *pte = &proc->ptes[addr];
	struct anon_vma *node;
	struct page *page;

	if (!vma || anon_vma_prepare(vma))
		return;
	node = READ_ONCE(vma->anon_vma);
	expect(node && (!node->parent || node->parent->root == node->root));
	swap_in(vma, addr);
	pthread_mutex_lock(&proc->ptl);
	if (pte->page && (pte->swapped || pte->exclusive || reuse(pte, node)))
		goto out;
	pte_clear(pte);
	page = page_new();
	page_set_node(page, node, addr - vma->vm_start + vma->vm_pgoff);
	pte_set(pte, page, false, true);
out:
	pthread_mutex_unlock(&proc->ptl);
	anon_vma_verify(vma);
}

static void op_write(struct proc *proc)
{
	fault_write(proc, rnd(NR_ADDRS));
}

static void op_read(struct proc *proc)
{
	unsigned long addr = rnd(NR_ADDRS);
	struct vm_area_struct *vma = vma_at(proc, addr);

	if (vma)
		swap_in(vma, addr);
}

/* UFFDIO_MOVE of a page that is present. */
static void uffd_move(struct proc *proc, struct page *page, unsigned long from,
		      struct vm_area_struct *dst, unsigned long to)
{
	struct pte *pte = &proc->ptes[from];
	struct anon_vma *node = folio_get_anon_vma(&page->folio);

	if (!node)
		return;
	anon_vma_lock_write(node);
	pthread_mutex_lock(&proc->ptl);
	if (pte->page == page && !pte->swapped && pte->exclusive && !proc->ptes[to].page) {
		page_set_node(page, READ_ONCE(dst->anon_vma), to - dst->vm_start + dst->vm_pgoff);
		pte_move(pte, &proc->ptes[to]);
	}
	pthread_mutex_unlock(&proc->ptl);
	anon_vma_unlock_write(node);
	put_anon_vma(node);
}

static void move_page(struct proc *proc, unsigned long from, unsigned long to)
{
	struct vm_area_struct *dst = vma_at(proc, to);
	struct page *page;

	if (!dst || anon_vma_prepare(dst))
		return;
	page = pte_page_get(proc, from);
	if (!page)
		return;
	pthread_mutex_lock(&page->lock);
	uffd_move(proc, page, from, dst, to);
	pthread_mutex_unlock(&page->lock);
	page_put(page);
}

static void op_uffd_move(struct proc *proc)
{
	move_page(proc, rnd(NR_ADDRS), rnd(NR_ADDRS));
}

/*
 * A page that moves on from family to family, each gone when it has left: it
 * points at the same memory again and again, and each time at another node.
 */
static void op_wander(struct proc *proc)
{
	unsigned long from = rnd(NR_ADDRS), to, n;

	fault_write(proc, from);
	for (n = 2 + rnd(16); n; n--, from = to) {
		to = rnd(NR_ADDRS);
		if (to == from)
			continue;
		unmap_range(proc, to, to + 1);
		map(proc, to, to + 1, NR_ADDRS * (2 + rnd(NR_ADDRS)));
		move_page(proc, from, to);
		unmap_range(proc, from, from + 1);
	}
}

/* Processes */

static struct proc *proc_new(void)
{
	struct proc *proc = zalloc(sizeof(*proc));

	proc->mm.anon_owner = anon_vma_new_owner();
	pthread_mutex_init(&proc->mm.page_table_lock, NULL);
	pthread_rwlock_init(&proc->mmap_lock, NULL);
	pthread_mutex_init(&proc->ptl, NULL);
	proc->users = 1;
	return proc;
}

static struct proc *proc_get(unsigned int slot)
{
	struct proc *proc;

	pthread_mutex_lock(&slots[slot].lock);
	proc = slots[slot].proc;
	if (proc)
		__atomic_fetch_add(&proc->users, 1, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&slots[slot].lock);
	return proc;
}

static void proc_put(struct proc *proc)
{
	if (__atomic_sub_fetch(&proc->users, 1, __ATOMIC_ACQ_REL))
		return;
	unmap(proc, 0, NR_ADDRS);
	expect(!proc->vmas);
	pthread_mutex_destroy(&proc->mm.page_table_lock);
	pthread_rwlock_destroy(&proc->mmap_lock);
	pthread_mutex_destroy(&proc->ptl);
	free(proc);
}

/* @proc, or nothing, takes the place of another, which exits. */
static void proc_show(struct proc *proc)
{
	struct slot *slot = &slots[rnd(NR_SLOTS)];
	struct proc *old;

	pthread_mutex_lock(&slot->lock);
	old = slot->proc;
	slot->proc = proc;
	pthread_mutex_unlock(&slot->lock);
	if (old)
		proc_put(old);
}

static void copy_pte(struct proc *child, struct proc *parent, unsigned long addr)
{
	struct pte *pte = &parent->ptes[addr];

	pthread_mutex_lock(&parent->ptl);
	pthread_mutex_lock(&child->ptl);
	if (pte->page) {
		pte->exclusive = false;
		pte_set(&child->ptes[addr], pte->page, pte->swapped, false);
	}
	pthread_mutex_unlock(&child->ptl);
	pthread_mutex_unlock(&parent->ptl);
}

static void op_fork(struct proc *parent)
{
	struct proc *child = proc_new();
	struct vm_area_struct *pvma, *vma;
	unsigned long addr;

	pthread_rwlock_wrlock(&child->mmap_lock);
	for (pvma = parent->vmas; pvma; pvma = pvma->next) {
		vma = vma_dup(pvma);
		vma->vm_mm = &child->mm;
		anon_vma_fork(vma, pvma);
		vma_link(vma);
		for (addr = vma->vm_start; addr < vma->vm_end; addr++)
			copy_pte(child, parent, addr);
	}
	pthread_rwlock_unlock(&child->mmap_lock);
	proc_show(child);
}

static const struct {
	void (*run)(struct proc *proc);
	unsigned int weight;
	bool writes;
} ops[] = {
	{ op_write, 30, false }, { op_read, 6, false }, { op_uffd_move, 4, false },
	{ op_fork, 19, true }, { op_wander, 1, true },
	{ op_map, 12, true }, { op_unmap, 8, true }, { op_split, 5, true },
	{ op_merge, 9, true }, { op_move, 3, true }, { op_grow, 3, true },
};

#define SUM_OF_WEIGHTS 100

bool some_step(void)
{
	/* One is busier than the others, so that threads meet there. */
	struct proc *proc = proc_get(chance(2) ? 0 : rnd(NR_SLOTS));
	unsigned int i = 0, n = rnd(SUM_OF_WEIGHTS);

	if (!proc) {
		if (chance(8))
			proc_show(proc_new());
		return false;
	}
	while (n >= ops[i].weight)
		n -= ops[i++].weight;
	if (ops[i].writes) {
		pthread_rwlock_wrlock(&proc->mmap_lock);
		ops[i].run(proc);
	} else {
		/* Lets several threads of a process meet in faults. */
		pthread_rwlock_rdlock(&proc->mmap_lock);
		for (n = 1 + rnd(8); n; n--)
			ops[i].run(proc);
	}
	pthread_rwlock_unlock(&proc->mmap_lock);
	proc_put(proc);
	if (chance(20))
		proc_show(NULL);
	return true;
}

struct page *some_page(void)
{
	struct slot *slot = &slots[rnd(NR_SLOTS)];
	struct page *page = NULL;

	pthread_mutex_lock(&slot->lock);
	if (slot->proc)
		page = pte_page_get(slot->proc, rnd(NR_ADDRS));
	pthread_mutex_unlock(&slot->lock);
	return page;
}

void slots_init(void)
{
	unsigned int i;

	for (i = 0; i < NR_SLOTS; i++)
		pthread_mutex_init(&slots[i].lock, NULL);
}

void all_exit(void)
{
	unsigned int i;

	for (i = 0; i < NR_SLOTS; i++)
		if (slots[i].proc)
			proc_put(slots[i].proc);
}
