// SPDX-License-Identifier: GPL-2.0
/* Slab for mm/anon_vma.c: counts, fails on demand, and knows every node there is. */
#include "model.h"

struct hooks hooks;
unsigned int sems_held;
unsigned long sems_taken;
bool site_failed[1 << 16];

struct kmem_cache {
	size_t size;
	void (*ctor)(void *object);
	struct node_info *free;
};

struct kmem_cache *kmem_cache_create(const char *name, size_t size, size_t align,
				     unsigned int flags, void (*ctor)(void *))
{
	struct kmem_cache *cache = zalloc(sizeof(*cache));

	cache->size = sizeof(struct node_info) + size;
	cache->ctor = ctor;
	return cache;
}

/* Nothing but the constructor may be relied on: the rest is noise. */
static struct node_info *object_new(struct kmem_cache *cache)
{
	struct node_info *info = malloc(cache->size);

	if (!info)
		abort();
#ifndef MEMCHECK /* which knows what was not written */
	memset(info, 0xa5, cache->size);
#endif
	cache->ctor(info_node(info));
	return info;
}

static bool alloc_fails(gfp_t gfp)
{
	bool fails = world.fail == FAIL_ALL ||
		     (world.fail == FAIL_NOWAIT && (gfp & GFP_IS_NOWAIT)) ||
		     (world.allocs >= world.fail_first && world.allocs <= world.fail_last);

	if (!fails)
		return false;
	site_failed[gfp >> GFP_LINE_SHIFT] = true;
	world.failures++;
	return true;
}

static void sleeping_alloc(void)
{
	void (*hook)(void *arg) = hooks.on_sleeping_alloc;

	might_sleep();
	hooks.on_sleeping_alloc = NULL;
	if (hook)
		hook(hooks.arg);
}

void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t gfp)
{
	struct node_info *info;

	if (gfp & GFP_MAY_SLEEP)
		sleeping_alloc();
	world.allocs++;
	if (alloc_fails(gfp))
		return NULL;
	info = cache->free;
	if (info)
		cache->free = info->next;
	else
		info = object_new(cache);
	memset(info, 0, sizeof(*info));
	list_insert(world.nodes, info);
	world.nr_nodes++;
	return info_node(info);
}

void kmem_cache_free(struct kmem_cache *cache, void *object)
{
	struct node_info *info = node_info(object);
	struct anon_vma *node = object;

	WARN_ON_ONCE(atomic_read(&node->refcount) || rwsem_is_locked(&node->rwsem));
	list_remove(info);
	world.nr_nodes--;
	if (!world.reuse_objects) {
		/* Without a sanitizer, what comes too late must not look sound. */
		memset(info, 0x5a, cache->size);
		free(info);
		return;
	}
	info->visited = FREE_STAMP;
	info->next = cache->free;
	cache->free = info;
}
