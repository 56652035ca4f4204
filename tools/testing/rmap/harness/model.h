/* SPDX-License-Identifier: GPL-2.0 */
/* A model of processes that use mm/anon_vma.c as the rest of the kernel does. */
#ifndef MODEL_H
#define MODEL_H

/* In worlds of more processes, what takes time for each of them is not looked at. */
#define SMALL_WORLD 30
#define FREE_STAMP (~0UL)
#define LARGE_PAGES 8
#define MAX_ITEMS 8

/* Flags of a vma */
#define VMA_FILE 1
#define VMA_READONLY 2
#define VMA_DONTFORK 4
#define VMA_WIPEONFORK 8

/* An entry of a page table; on the list of its page. */
struct pte {
	struct page *page;
	struct proc *proc;
	struct pte *next;
	struct pte **pprev;
	bool swapped;
	bool exclusive;
	bool found;
};

/* A folio of several pages; NULL for those that have gone. */
struct large {
	struct page *page[LARGE_PAGES];
	unsigned int nr;
	unsigned int left;
	unsigned long index;
};

/* What was written once: a folio while resident, else only a swap slot. */
struct page {
	struct folio folio;
	bool resident;
	bool exclusive;
	bool ksm;
	struct large *large;
	struct pte *ptes;
	struct page *next;
	struct page **pprev;
	struct snode *stock;
};

/* Where KSM looks for those who map a page; the page may have gone. */
struct item {
	struct page *page;
	struct anon_vma *node;
	unsigned long index;
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
	/* Of a root: the linked nodes of its family, its vmas, and the most there were. */
	unsigned int members;
	unsigned int vmas;
	unsigned int most_vmas;
	bool linked;
};

enum alloc_fail { FAIL_NONE, FAIL_NOWAIT, FAIL_ALL };

struct world {
	unsigned long npages;
	struct proc *procs;
	struct page *pages;
	unsigned int nr_procs;
	unsigned int last_id;
	bool stock;

	struct node_info *nodes;
	unsigned long nr_nodes;
	unsigned long allocs;
	unsigned long failures;
	enum alloc_fail fail;
	/* The first and the last allocation that fail, counted from 1. */
	unsigned long fail_first;
	unsigned long fail_last;
	bool reuse_objects;

	struct item items[MAX_ITEMS];
	unsigned int nr_items;
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

/* shim.c */
/* By line of mm/anon_vma.c. */
extern bool site_failed[1 << 16];

/* model.c */
void world_init(unsigned long npages, bool stock);
void world_end(void);
struct proc *proc_new(unsigned int id);
struct proc *proc_fork(struct proc *parent);
struct proc *proc_fork_some(struct proc *parent, unsigned int id, unsigned int nr_vmas,
			    unsigned long pinned);
void proc_exec(struct proc *old, unsigned long top, unsigned long shift);
void proc_exit(struct proc *proc);
struct vm_area_struct *vma_at(struct proc *proc, unsigned long addr);
struct vm_area_struct *vma_after(struct proc *proc, unsigned long addr);
struct vm_area_struct *vma_before(struct vm_area_struct *vma);
bool range_free(struct proc *proc, unsigned long start, unsigned long end);
struct vm_area_struct *mm_map(struct proc *proc, unsigned long start, unsigned long end,
			      unsigned long pgoff, unsigned int flags);
struct vm_area_struct *mm_map_apart(struct proc *proc, unsigned long start,
				    unsigned long end);
void mm_unmap(struct proc *proc, unsigned long start, unsigned long end);
void mm_modify(struct proc *proc, unsigned long start, unsigned long end, unsigned int mask,
	       unsigned int flags);
void mm_split(struct vm_area_struct *vma, unsigned long addr, bool new_below);
bool mm_merge(struct vm_area_struct *vma, unsigned long start, unsigned long end);
void mm_move(struct vm_area_struct *vma, unsigned long from, unsigned long to,
	     unsigned long len, bool keep);
void mm_grow_down(struct vm_area_struct *vma, unsigned long by);
void mm_grow_up(struct vm_area_struct *vma, unsigned long by);
void mm_take_all_locks(struct proc *proc);

/* pages.c */
void zap(struct proc *proc, unsigned long start, unsigned long end);
void move_ptes(struct proc *proc, unsigned long from, unsigned long to, unsigned long len);
void copy_pte(struct vm_area_struct *vma, struct vm_area_struct *pvma, unsigned long addr,
	      bool pinned);
bool mm_settle(struct vm_area_struct *vma);
void fault_read(struct proc *proc, unsigned long addr);
bool fault_write(struct proc *proc, unsigned long addr);
bool fault_write_large(struct proc *proc, unsigned long addr, unsigned int nr);
void folio_split(struct page *page);
void page_swap_out(struct page *page, bool drop);
bool uffd_move(struct proc *proc, unsigned long from, unsigned long to);
bool ksm_merge(struct proc *proc, unsigned long addr);
bool ksm_drop(unsigned int i);

/* check.c */

/* Where a vma shall go: @node, or a new child of @parent; its mm shall own @own. */
struct settling {
	struct anon_vma *node;
	struct anon_vma *parent;
	struct anon_vma *own;
};

unsigned int page_walk(struct page *page);
unsigned int visits(struct proc *proc, unsigned long addr);
extern unsigned long nr_walks;
void check_page(struct page *page);
void check_ranges(struct anon_vma *node, unsigned long first, unsigned long last);
void check_nodes(void);
struct settling settling_of(struct vm_area_struct *vma);
void check_settled(const struct vm_area_struct *vma, const struct settling *s);
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

/* ops.c */
struct op {
	u8 kind;
	u8 fail;
	u16 proc;
	/* Where another thread faults as soon as this one waits, or NOWHERE. */
	u16 race;
	u16 arg[4];
};

#define NOWHERE 0xffff

enum op_kind {
	OP_START, OP_MAP, OP_FILL, OP_UNMAP, OP_READ, OP_WRITE, OP_WRITE_LARGE, OP_PREPARE,
	OP_PROTECT, OP_ADVISE, OP_SPLIT, OP_MERGE, OP_MOVE, OP_GROW_UP, OP_GROW_DOWN, OP_FORK,
	OP_EXIT, OP_EXEC, OP_DAEMONISE, OP_SWAP_OUT, OP_SPLIT_FOLIO, OP_UFFD_MOVE, OP_KSM,
	OP_KSM_DROP, OP_ALL_LOCKS, OP_WALK, NR_OPS
};

#define WORLD_OPS 3000

/* All there is to know to play a world again. */
struct history {
	unsigned long seed;
	/* In this world and those before it. */
	unsigned long done;
	unsigned int npages;
	bool stock;
	/* Allocations that fail, counted from 1; if none, ULONG_MAX. */
	unsigned long fail_first;
	unsigned long fail_last;
	unsigned int nr;
	struct op op[WORLD_OPS];
	char failure[160];
};

void ops_sum(bool all);
bool op_run(const struct op *op);
void op_print(FILE *file, const struct op *op);
bool op_parse(char *line, struct op *op);

/* random.c */
void random_history(struct history *h, unsigned long seed, unsigned int nr_ops);
bool random_run(void);
void play(const struct history *h);

/* shrink.c */
void shrink(struct history *h, int status);
bool replay(const char *path);

/* nomem.c */
void case_no_memory_anywhere(void);

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
extern unsigned long nr_ops;
extern bool trace_ops;
extern bool no_shrink;
extern const char *output;
/* Shared with the child that plays it, which may die of it. */
extern struct history *playing;

/* Runs @fn in a process of its own: its status, as of wait(). */
int run_apart(void (*fn)(void *arg), void *arg, unsigned int seconds);

/* The compiler has every basic block of what is measured call this. */
void __sanitizer_cov_trace_pc(void);

#define expect(cond)							\
	((cond) ? (void)0 : fail("%s:%d: not so: %s", __FILE_NAME__, __LINE__, #cond))

void __printf(1, 2) say(const char *fmt, ...);

#endif /* MODEL_H */
