/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Processes for the threads: mmap_lock, page table locks and folio locks as in
 * the kernel, and for each page a list of its ptes, which is the truth.
 *
 * Lock order: slot, mmap_lock, folio lock, family lock, page table lock, list.
 */
#ifndef THREADS_MM_H
#define THREADS_MM_H

#define NR_ADDRS 24
#define NR_SLOTS 12
#define MAX_PTES (4 * NR_SLOTS)

/* @since changes whenever the entry begins to map something: never the same twice. */
struct pte {
	struct page *page;
	struct pte *next;
	struct pte **pprev;
	unsigned long since;
	bool swapped;
	bool exclusive;
};

struct page {
	struct folio folio;
	pthread_mutex_t lock;
	pthread_mutex_t list_lock;
	struct pte *ptes;
	unsigned int nr_ptes;
	int refs;
};

struct proc {
	struct mm_struct mm;
	pthread_rwlock_t mmap_lock;
	pthread_mutex_t ptl;
	struct vm_area_struct *vmas;
	struct pte ptes[NR_ADDRS];
	int users;
};

static inline struct proc *vma_proc(const struct vm_area_struct *vma)
{
	return container_of(vma->vm_mm, struct proc, mm);
}

/* One step of a process that some thread picks; false if there was nothing to do. */
bool some_step(void);
/* Some page that some process maps, with a reference; or NULL. */
struct page *some_page(void);
void page_put(struct page *page);
/* The entries that map @page now. */
unsigned int page_truth(struct page *page, unsigned long *since);
/* What the entry of @page in @vma has for @since, or 0; unmap it if told to. */
unsigned long visit(struct vm_area_struct *vma, struct page *page, bool unmap);
void all_exit(void);
void slots_init(void);

unsigned long rnd(unsigned long below);
bool chance(unsigned int in);
unsigned long next_since(void);

#define expect(cond)							\
	((cond) ? (void)0 : fail("%s:%d: not so: %s", __FILE__, __LINE__, #cond))

#endif /* THREADS_MM_H */
