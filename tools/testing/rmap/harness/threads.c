// SPDX-License-Identifier: GPL-2.0
/*
 * mm/anon_vma.c, the same source as in the kernel, with real locks and under
 * ThreadSanitizer: walks against forks, exits, faults and all that changes
 * vmas, while nodes are freed and made anew under the walkers.
 */
#include <getopt.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#include "threads_mm.h"

#define NR_NODES 256
#define MAX_THREADS 64

static unsigned long seed = 1;
static unsigned int seconds = 10;
static unsigned int nr_threads = 4;
static int stop;

struct stats {
	unsigned long steps;
	unsigned long lookups;
	unsigned long not_mapped;
	unsigned long contended;
	unsigned long walks;
	unsigned long visited;
	unsigned long mappings;
	unsigned long unmapped;
	unsigned long allocs;
	unsigned long reused;
};

static struct thread {
	pthread_t thread;
	u64 rng;
	unsigned long since;
	struct stats stats;
} threads[MAX_THREADS + 1];

/* The first is that of main(). */
static __thread struct thread *self = threads;

const char *__tsan_default_options(void);

const char *__tsan_default_options(void)
{
	return "halt_on_error=1:exitcode=66";
}

void fail(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	flockfile(stdout);
	printf("# failed: ");
	vprintf(fmt, args);
	printf("\n");
	fflush(stdout);
	_exit(1);
}

unsigned long rnd(unsigned long below)
{
	self->rng ^= self->rng << 13;
	self->rng ^= self->rng >> 7;
	self->rng ^= self->rng << 17;
	return (self->rng >> 11) % below;
}

bool chance(unsigned int in)
{
	return !rnd(in);
}

unsigned long next_since(void)
{
	self->since += MAX_THREADS + 1;
	return self->since;
}

void pause_here(unsigned int in)
{
	if (chance(in))
		usleep(rnd(100));
}

/* Slab: memory of nodes is made once, and used again as soon as it is free. */

struct object {
	struct anon_vma node;
	struct object *next;
	bool used;
};

struct kmem_cache {
	pthread_mutex_t lock;
	struct object *free;
	unsigned int nr_free;
};

static struct kmem_cache node_cache = { .lock = PTHREAD_MUTEX_INITIALIZER };
static struct object objects[NR_NODES];

struct kmem_cache *kmem_cache_create(const char *name, size_t size, size_t align,
				     unsigned int flags, void (*ctor)(void *))
{
	unsigned int i;

	for (i = 0; i < NR_NODES; i++) {
		memset(&objects[i].node, 0xa5, sizeof(objects[i].node));
		ctor(&objects[i].node);
		objects[i].next = node_cache.free;
		node_cache.free = &objects[i];
	}
	node_cache.nr_free = NR_NODES;
	return &node_cache;
}

/* Memory is short now and then, or never found without sleeping. */
void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t gfp)
{
	struct object *object;

	if ((gfp & GFP_NOWAIT) ? chance(2) : chance(20))
		return NULL;
	pthread_mutex_lock(&cache->lock);
	object = cache->free;
	if (object) {
		cache->free = object->next;
		cache->nr_free--;
		self->stats.allocs++;
		self->stats.reused += object->used;
		object->used = true;
	}
	pthread_mutex_unlock(&cache->lock);
	return object ? &object->node : NULL;
}

/*
 * Whoever comes too late may look at what names the family, the lock and the
 * reference count. A look at any other member races with this.
 */
static void spoil(struct anon_vma *node)
{
	memset(node, 0xa5, offsetof(struct anon_vma, refcount));
	memset(&node->parent, 0xa5, offsetof(struct anon_vma, rwsem) -
	       offsetof(struct anon_vma, parent));
}

void kmem_cache_free(struct kmem_cache *cache, void *node)
{
	struct object *object = container_of(node, struct object, node);

	spoil(node);
	pthread_mutex_lock(&cache->lock);
	object->next = cache->free;
	cache->free = object;
	cache->nr_free++;
	pthread_mutex_unlock(&cache->lock);
}

/* Walkers */

struct found {
	unsigned int nr;
	unsigned long since[MAX_PTES];
};

static bool has(const struct found *found, unsigned long since)
{
	unsigned int i;

	for (i = 0; i < found->nr; i++)
		if (found->since[i] == since)
			return true;
	return false;
}

static void walk(struct anon_vma *node, struct page *page, struct found *found, bool unmap)
{
	unsigned long index = READ_ONCE(page->folio.index), since;
	struct vm_area_struct *vma;
	struct anon_vma_iter iter;

	self->stats.walks++;
	anon_vma_for_each_vma(vma, &iter, node, index, index) {
		self->stats.visited++;
		since = visit(vma, page, unmap);
		if (!since)
			continue;
		if (has(found, since))
			fail("an entry was met twice");
		if (found->nr < MAX_PTES)
			found->since[found->nr++] = since;
	}
}

/* Looks @page up and walks; what mapped it before and after must have been found. */
static bool check_walk(struct page *page, struct rmap_walk_control *rwc)
{
	struct found before, after, found = { .nr = 0 };
	struct anon_vma *node;
	unsigned int i;

	before.nr = page_truth(page, before.since);
	self->stats.lookups++;
	node = folio_lock_anon_vma_read(&page->folio, rwc);
	if (node) {
		walk(node, page, &found, false);
		anon_vma_unlock_read(node);
	} else if (rwc && rwc->contended) {
		self->stats.contended++;
		return true;
	}
	self->stats.not_mapped += !node;
	after.nr = page_truth(page, after.since);
	for (i = 0; i < after.nr; i++) {
		if (!has(&before, after.since[i]))
			continue;
		self->stats.mappings++;
		if (!has(&found, after.since[i]))
			fail("a page was mapped all the time, and %s found", node ?
			     "an entry was not" : "its node was not");
	}
	return node;
}

/* As reclaim does: with the folio lock held nobody maps it again. */
static bool check_unmap(struct page *page)
{
	struct found found = { .nr = 0 };
	struct anon_vma *node;

	pthread_mutex_lock(&page->lock);
	self->stats.lookups++;
	node = folio_lock_anon_vma_read(&page->folio, NULL);
	if (node) {
		walk(node, page, &found, true);
		anon_vma_unlock_read(node);
	}
	if (folio_mapped(&page->folio))
		fail("a page is mapped after all its entries were unmapped");
	pthread_mutex_unlock(&page->lock);
	self->stats.unmapped += found.nr;
	return false;
}

/* As KSM does: a reference, and the lock later. */
static bool check_reference(struct page *page)
{
	struct found found = { .nr = 0 };
	struct anon_vma *node;

	self->stats.lookups++;
	node = folio_get_anon_vma(&page->folio);
	if (!node) {
		self->stats.not_mapped++;
		return false;
	}
	if (chance(2)) {
		anon_vma_lock_read(node);
		walk(node, page, &found, false);
		anon_vma_unlock_read(node);
	}
	put_anon_vma(node);
	return true;
}

/* Stays with a page for a while, also when it has just been unmapped. */
static void walk_page(struct page *page)
{
	struct rmap_walk_control rwc = { .try_lock = chance(4) };
	unsigned int n = 1 + rnd(64);
	bool mapped = true;

	while (n-- && mapped) {
		switch (rnd(16)) {
		case 0 ... 2:
			mapped = check_reference(page);
			break;
		case 3:
			mapped = chance(4) ? check_unmap(page) : true;
			break;
		default:
			rwc.contended = false;
			mapped = check_walk(page, &rwc);
		}
	}
}

static void *walker(void *arg)
{
	struct page *page;

	self = arg;
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		page = some_page();
		if (!page)
			continue;
		walk_page(page);
		page_put(page);
	}
	return NULL;
}

static void *stepper(void *arg)
{
	self = arg;
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		self->stats.steps += some_step();
	return NULL;
}

static void check_nodes(void)
{
	unsigned int i;

	for (i = 0; i < NR_NODES; i++)
		expect(!atomic_read(&objects[i].node.refcount) &&
		       !rwsem_is_locked(&objects[i].node.rwsem));
	if (node_cache.nr_free != NR_NODES)
		fail("%u nodes are left when all processes have gone",
		     NR_NODES - node_cache.nr_free);
}

static void report(void)
{
	unsigned long *sum = (unsigned long *)&threads[0].stats;
	const struct stats *all = &threads[0].stats;
	unsigned int i, j;

	for (i = 1; i <= nr_threads; i++)
		for (j = 0; j < sizeof(*all) / sizeof(*sum); j++)
			sum[j] += ((unsigned long *)&threads[i].stats)[j];
	printf("# seed %lu, %u threads, %u s: %lu steps, %lu nodes made, %lu of used memory\n",
	       seed, nr_threads, seconds, all->steps, all->allocs, all->reused);
	printf("# %lu lookups: %lu not mapped, %lu contended; %lu walks, %lu vmas visited\n",
	       all->lookups, all->not_mapped, all->contended, all->walks, all->visited);
	printf("# %lu mappings that had to be found were, %lu unmapped\n", all->mappings,
	       all->unmapped);
}

static void usage(void)
{
	fprintf(stderr, "threads [--seed N] [--seconds N] [--threads N]\n"
		"  --seed     seed of what each thread does, not of how they meet (1)\n"
		"  --seconds  how long (10)\n"
		"  --threads  how many, 2 to %u; half of them walk (4)\n", MAX_THREADS);
	exit(2);
}

static unsigned long number(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 0);

	if (!*text || *end)
		usage();
	return n;
}

static void options(int argc, char **argv)
{
	static const struct option opts[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "seconds", required_argument, NULL, 'n' },
		{ "threads", required_argument, NULL, 't' },
		{ }
	};
	int c;

	while ((c = getopt_long(argc, argv, "", opts, NULL)) != -1) {
		if (c == 's')
			seed = number(optarg);
		else if (c == 'n')
			seconds = number(optarg);
		else if (c == 't')
			nr_threads = number(optarg);
		else
			usage();
	}
	if (optind < argc || nr_threads < 2 || nr_threads > MAX_THREADS)
		usage();
}

int main(int argc, char **argv)
{
	unsigned int i;

	options(argc, argv);
	anon_vma_init();
	slots_init();
	for (i = 0; i <= nr_threads; i++) {
		threads[i].rng = (seed * (MAX_THREADS + 1) + i + 1) * 0x9e3779b97f4a7c15ULL;
		threads[i].since = i;
	}
	for (i = 1; i <= nr_threads; i++)
		expect(!pthread_create(&threads[i].thread, NULL, i % 2 ? stepper : walker,
				       &threads[i]));
	sleep(seconds);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (i = 1; i <= nr_threads; i++)
		pthread_join(threads[i].thread, NULL);
	all_exit();
	check_nodes();
	report();
	return 0;
}
