/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What shim.h and threads.h have in common: the slab's functions, and of an mm, a vma
 * and a folio what mm/anon_vma.c sees. An address is a page number: PAGE_SHIFT is 0.
 */
#ifndef SHIM_MM_H
#define SHIM_MM_H

#include <linux/rbtree.h>

#define SLAB_TYPESAFE_BY_RCU 1
#define SLAB_PANIC 2
#define SLAB_ACCOUNT 4

struct kmem_cache;

struct kmem_cache *kmem_cache_create(const char *name, size_t size, size_t align,
				     unsigned int flags, void (*ctor)(void *));
void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t gfp);
void kmem_cache_free(struct kmem_cache *cache, void *object);

struct vm_area_struct {
	unsigned long vm_start;
	unsigned long vm_end;
	unsigned long vm_pgoff;
	struct mm_struct *vm_mm;
	bool anon_inherited;
	struct {
		struct rb_node rb;
		unsigned long rb_subtree_last;
	} anon_link;
	struct anon_vma *anon_vma;

	/* The model's own. */
	struct vm_area_struct *next;

	VMA_MODEL_FIELDS;
};

static inline unsigned long vma_pages(const struct vm_area_struct *vma)
{
	return vma->vm_end - vma->vm_start;
}

static inline void mmap_assert_locked(const struct mm_struct *mm)
{
}

struct anon_vma *find_mergeable_anon_vma(struct vm_area_struct *vma);

#define PAGE_MAPPING_ANON 1UL
#define PAGE_MAPPING_FLAGS 3UL

struct folio {
	void *mapping;
	unsigned long index;
	int mapcount;
};

struct rmap_walk_control {
	bool try_lock;
	bool contended;
};

#endif /* SHIM_MM_H */
