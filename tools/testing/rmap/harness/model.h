/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A model of processes that use mm/anon_vma.c as mm/vma.c, mm/memory.c,
 * mm/mremap.c, kernel/fork.c and mm/userfaultfd.c do, and of their pages.
 */
#ifndef MODEL_H
#define MODEL_H

#define FREE_STAMP (~0UL)

/* An entry of a page table; on the list of its page. */
struct pte {
	struct page *page;
	struct proc *proc;
	struct pte *next;
	struct pte **pprev;
	bool swapped;
	bool exclusive;
};

/* What was written once: a folio while resident, else only a swap slot. */
struct page {
	struct folio folio;
	bool resident;
	bool exclusive;
	struct pte *ptes;
	struct page *next;
	struct page **pprev;
	struct snode *stock;
};

struct proc {
	struct mm_struct mm;
	struct vm_area_struct *vmas;
	struct pte *ptes;
	unsigned int id;
	struct proc *next;
	struct proc **pprev;
};

/* What lies before each node in memory. */
struct node_info {
	struct node_info *next;
	struct node_info **pprev;
	unsigned long visited;
	unsigned long passed;
	unsigned int refs;
	unsigned int holds;
	bool linked;
};

enum alloc_fail { FAIL_NONE, FAIL_NOWAIT, FAIL_ALL };

struct world {
	unsigned long npages;
	struct proc *procs;
	struct page *pages;
	unsigned int nr_procs;
	unsigned int nr_pages;
	unsigned int last_id;
	bool stock;

	struct node_info *nodes;
	unsigned long nr_nodes;
	unsigned long allocs;
	enum alloc_fail fail;
	bool reuse_objects;
};

extern struct world world;

#define list_insert(head, item) do {				\
	__typeof__(item) *__head = &(head), __item = (item);	\
								\
	__item->next = *__head;					\
	__item->pprev = __head;					\
	if (__item->next)					\
		__item->next->pprev = &__item->next;		\
	*__head = __item;					\
} while (0)

#define list_remove(item) do {					\
	__typeof__(item) __item = (item);			\
								\
	*__item->pprev = __item->next;				\
	if (__item->next)					\
		__item->next->pprev = __item->pprev;		\
} while (0)

static inline struct node_info *node_info(struct anon_vma *node)
{
	return (struct node_info *)node - 1;
}

static inline struct anon_vma *info_node(struct node_info *info)
{
	return (struct anon_vma *)(info + 1);
}

static inline struct proc *vma_proc(const struct vm_area_struct *vma)
{
	return container_of(vma->vm_mm, struct proc, mm);
}

static inline unsigned long linear_index(const struct vm_area_struct *vma,
					 unsigned long addr)
{
	return addr - vma->vm_start + vma->vm_pgoff;
}

static inline struct anon_vma *page_node(const struct page *page)
{
	return (void *)((unsigned long)page->folio.mapping & ~PAGE_MAPPING_FLAGS);
}

static inline unsigned long pte_addr(const struct pte *pte)
{
	return pte - pte->proc->ptes;
}

void *zalloc(size_t size);

/* A step of a history, shown if it fails. */
void __printf(1, 2) trace(const char *fmt, ...);
void trace_reset(void);
void trace_print(void);

/* model.c */
void world_init(unsigned long npages, bool stock);
void world_end(void);
struct proc *proc_new(void);
struct proc *proc_fork(struct proc *parent);
struct proc *proc_fork_some(struct proc *parent, unsigned int nr_vmas,
			    unsigned long pinned);
void proc_exit(struct proc *proc);
struct vm_area_struct *vma_at(struct proc *proc, unsigned long addr);
struct vm_area_struct *vma_after(struct proc *proc, unsigned long addr);
struct vm_area_struct *vma_before(struct vm_area_struct *vma);
bool range_free(struct proc *proc, unsigned long start, unsigned long end);
struct vm_area_struct *mm_map(struct proc *proc, unsigned long start, unsigned long end,
			      unsigned long pgoff, bool file);
struct vm_area_struct *mm_map_apart(struct proc *proc, unsigned long start,
				    unsigned long end);
void mm_unmap(struct proc *proc, unsigned long start, unsigned long end);
void mm_split(struct vm_area_struct *vma, unsigned long addr, bool new_below);
bool mm_merge(struct vm_area_struct *vma, unsigned long start, unsigned long end);
void mm_move(struct vm_area_struct *vma, unsigned long from, unsigned long to,
	     unsigned long len, bool keep);
void mm_grow_down(struct vm_area_struct *vma, unsigned long by);
void mm_grow_up(struct vm_area_struct *vma, unsigned long by);
bool fault_write(struct proc *proc, unsigned long addr);
void fault_read(struct proc *proc, unsigned long addr);
void page_swap_out(struct page *page, bool drop);
void uffd_move(struct proc *proc, unsigned long from, unsigned long to);
void settle(struct vm_area_struct *vma);

/* check.c */
bool below(const struct anon_vma *node, const struct anon_vma *top);
unsigned int walk(struct anon_vma *node, unsigned long first, unsigned long last);
unsigned int page_walk(struct page *page);
unsigned int visits(struct proc *proc, unsigned long addr);
void check_page(struct page *page);
void check_ranges(struct anon_vma *node, unsigned long first, unsigned long last);
void check_nodes(void);
void check_all(void);
void check_empty(void);

/* stock.c */
struct stock_sum {
	unsigned long walks;
	unsigned long ours;
	unsigned long stock;
	unsigned long more;
};

extern struct stock_sum stock_sum;

void stock_prepare(struct vm_area_struct *vma);
void stock_fork(struct vm_area_struct *vma, struct vm_area_struct *pvma);
void stock_clone(struct vm_area_struct *dst, struct vm_area_struct *src);
void stock_merge(struct vm_area_struct *dst, struct vm_area_struct *src);
void stock_unlink(struct vm_area_struct *vma);
void stock_page_new(struct page *page, struct vm_area_struct *vma, bool exclusive);
void stock_count(struct page *page, unsigned int ours);

/* random.c */
void random_histories(unsigned long seed, unsigned int histories, unsigned int steps);

/* cases.c */
struct test_case {
	const char *name;
	void (*run)(void);
};

extern const struct test_case cases[];
extern const unsigned int nr_cases;

/* main.c */
extern unsigned long work;
extern unsigned long seed;
extern unsigned int steps;

/* The compiler has every basic block of what is measured call this. */
void __sanitizer_cov_trace_pc(void);

#define expect(cond)							\
	((cond) ? (void)0 : fail("%s:%d: not so: %s", __FILE__, __LINE__, #cond))

void __printf(1, 2) say(const char *fmt, ...);

#endif /* MODEL_H */
