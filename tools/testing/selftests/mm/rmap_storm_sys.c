// SPDX-License-Identifier: GPL-2.0
/* What the kernel says to the storm: cgroup, vmstat, slabs, KSM, pagemap. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "rmap_storm.h"

#define HUGE_SIZE	"/sys/kernel/mm/transparent_hugepage/hpage_pmd_size"

/* Bits of an entry of pagemap, and of kpageflags. */
#define PTE_PRESENT	63
#define PTE_SWAPPED	62
#define PTE_FILE	61
#define PTE_PFN_BITS	55
#define FLAG_ZERO_PAGE	24

/* ---- cgroup ---- */

/* Zombies are not listed. Too many if the list cannot be read. */
unsigned int sys_cgroup_processes(void)
{
	FILE *procs = fopen(CGROUP "/cgroup.procs", "r");
	unsigned int n = 0;
	int pid;

	if (!procs)
		return UINT_MAX;
	while (fscanf(procs, "%d", &pid) == 1)
		n++;
	fclose(procs);
	return n;
}

u64 sys_cgroup_memory(void)
{
	return read_number(CGROUP "/memory.current") +
	       read_number(CGROUP "/memory.swap.current");
}

/* Ask for all of it. What cannot go yet is asked for again by the caller. */
void sys_cgroup_reclaim(void)
{
	char all[64];

	snprintf(all, sizeof(all), "%llu", read_number(CGROUP "/memory.current"));
	write_text(CGROUP "/memory.reclaim", all);
}

/* Pages in the batches of a cpu are held there, and clean files may go. */
void sys_drain(void)
{
	sync();
	write_text("/proc/sys/vm/drop_caches", "1");
	write_text("/proc/sys/vm/compact_memory", "1");
}

/* ---- page tables ---- */

static bool bit(u64 word, unsigned int n)
{
	return word >> n & 1;
}

static u64 frame(u64 pte)
{
	return pte << (64 - PTE_PFN_BITS) >> (64 - PTE_PFN_BITS);
}

/* One number for each page frame: its flags, or its mapcount. */
static u64 of_frame(const char *name, u64 pfn)
{
	u64 n = 0;
	int fd = open(name, O_RDONLY);

	if (fd < 0)
		return 0;
	if (pread(fd, &n, sizeof(n), pfn * sizeof(n)) != sizeof(n))
		n = 0;
	close(fd);
	return n;
}

/* Returns whether the pte is one that reclaim should have found. */
static bool count_pte(struct pte_counts *c, u64 pte, bool in_heap)
{
	u64 flags;

	if (bit(pte, PTE_SWAPPED))
		c->swapped++;
	if (!bit(pte, PTE_PRESENT))
		return false;
	if (bit(pte, PTE_FILE)) {
		c->present_file += in_heap;
		return in_heap;
	}
	flags = of_frame("/proc/kpageflags", frame(pte));
	if (bit(flags, FLAG_ZERO_PAGE)) {
		c->zero++;
		return false;
	}
	if (of_frame("/proc/kpagecount", frame(pte)) >= MANY) {
		c->too_shared++;
		return false;
	}
	c->present++;
	return true;
}

static void note_missed(struct pte_counts *c, int pid, unsigned long addr, u64 pte)
{
	struct missed *m = &c->missed[c->noted];

	if (c->noted == MISSED_NOTED)
		return;
	m->pid = pid;
	m->addr = addr;
	m->flags = of_frame("/proc/kpageflags", frame(pte));
	m->mapcount = of_frame("/proc/kpagecount", frame(pte));
	m->cgroup = of_frame("/proc/kpagecgroup", frame(pte));
	c->noted++;
}

static void count_range(struct pte_counts *c, int pid, int pagemap,
			struct heap_range range, bool in_heap)
{
	static u64 ptes[4096];
	unsigned long addr = range.start;

	while (addr < range.end) {
		size_t left = (range.end - addr) / page_size;
		size_t want = left < 4096 ? left : 4096;
		ssize_t got = pread(pagemap, ptes, want * sizeof(ptes[0]),
				    addr / page_size * sizeof(ptes[0]));

		if (got < (ssize_t)sizeof(ptes[0]))
			return;
		for (size_t i = 0; i < got / sizeof(ptes[0]); i++, addr += page_size)
			if (count_pte(c, ptes[i], in_heap))
				note_missed(c, pid, addr, ptes[i]);
	}
}

/* All vmas, stack and libraries included, but those that are the kernel's. */
static void count_vmas(struct pte_counts *c, int pid, FILE *maps, int pagemap,
		       const struct heap_range *window)
{
	struct heap_range r;
	char line[512];

	while (fgets(line, sizeof(line), maps)) {
		if (strstr(line, "[v") ||
		    sscanf(line, "%lx-%lx", &r.start, &r.end) != 2)
			continue;
		count_range(c, pid, pagemap, r,
			    r.start >= window->start && r.end <= window->end);
	}
}

/* Not from kpageflags: there, some kernels call every anonymous page a merged one. */
static u64 merged_pages(int pid)
{
	char name[64];

	snprintf(name, sizeof(name), "/proc/%d/smaps_rollup", pid);
	return read_key(name, "KSM") * 1024 / page_size;
}

static void count_process(struct pte_counts *c, int pid,
			  const struct heap_range *window)
{
	u64 before = c->present, merged;
	char name[64];
	int pagemap;
	FILE *maps;

	snprintf(name, sizeof(name), "/proc/%d/pagemap", pid);
	pagemap = open(name, O_RDONLY);
	snprintf(name, sizeof(name), "/proc/%d/maps", pid);
	maps = fopen(name, "r");
	if (maps && pagemap >= 0) {
		count_vmas(c, pid, maps, pagemap, window);
		c->processes++;
	}
	if (maps)
		fclose(maps);
	if (pagemap >= 0)
		close(pagemap);
	if (c->present == before)
		return;
	merged = merged_pages(pid);
	c->present_ksm += merged < c->present - before ? merged : c->present - before;
}

void sys_count_ptes(struct pte_counts *c, const struct heap_range *window)
{
	FILE *procs = fopen(CGROUP "/cgroup.procs", "r");
	int pid;

	memset(c, 0, sizeof(*c));
	if (!procs)
		return;
	while (fscanf(procs, "%d", &pid) == 1)
		count_process(c, pid, window);
	fclose(procs);
}

/* ---- slabs ---- */

static bool is_wanted(const char *slab)
{
	return !strcmp(slab, "vm_area_struct") || !strncmp(slab, "anon_vma", 8);
}

static void add_slab(struct slabs *s, const char *line, bool shrink)
{
	struct slab *slab = &s->slab[s->kinds];
	unsigned long objects, total, size, per_slab, slab_pages, slabs;
	char name[128];

	if (s->kinds == SLAB_KINDS ||
	    sscanf(line, "%31s %lu %lu %lu %lu %lu : tunables %*u %*u %*u : slabdata %*u %lu",
		   slab->name, &objects, &total, &size, &per_slab, &slab_pages,
		   &slabs) != 7 || !is_wanted(slab->name))
		return;
	if (shrink) {
		snprintf(name, sizeof(name), "/sys/kernel/slab/%s/shrink", slab->name);
		write_text(name, "1");
	}
	slab->objects = objects;
	slab->object_size = size;
	slab->bytes = (u64)slabs * slab_pages * page_size;
	s->kinds++;
}

static bool read_slabs(struct slabs *s, bool shrink)
{
	FILE *f = fopen("/proc/slabinfo", "r");
	char line[512];

	memset(s, 0, sizeof(*s));
	if (!f)
		return false;
	while (fgets(line, sizeof(line), f))
		add_slab(s, line, shrink);
	fclose(f);
	return s->kinds;
}

/* To shrink gives back what the cpus hold, without which free objects count as used. */
bool sys_slabs(struct slabs *s, bool shrink)
{
	if (shrink)
		read_slabs(s, true);
	return read_slabs(s, false);
}

/* ---- memory ---- */

void sys_vm_counts(struct vm_counts *c)
{
	c->swapped_out = read_key("/proc/vmstat", "pswpout");
	c->swapped_in = read_key("/proc/vmstat", "pswpin");
}

u64 sys_ram_bytes(void)
{
	struct sysinfo info;

	return sysinfo(&info) ? 0 : (u64)info.totalram * info.mem_unit;
}

u64 sys_swap_bytes(void)
{
	struct sysinfo info;

	return sysinfo(&info) ? 0 : (u64)info.totalswap * info.mem_unit;
}

size_t sys_huge_size(void)
{
	return read_number(HUGE_SIZE);
}

/* ---- fault injection ---- */

/* Inherited by fork. To open the file may fail by what it switches. */
void sys_fail_me(bool on)
{
	while (!write_text("/proc/self/make-it-fail", on ? "1" : "0"))
		usleep(1000);
}

/* ---- KSM ---- */

static u64 ksm_was;

void sys_ksm_start(void)
{
	ksm_was = read_number(KSM "run");
	write_text(KSM "pages_to_scan", "200");
	write_text(KSM "run", "1");
}

/*
 * A merged page is found through the places where it was merged. A fork or an
 * exit since then may leave mappings that only the next scan adds to them.
 */
void sys_ksm_full_scan(void)
{
	u64 start = read_number(KSM "full_scans");

	for (int n = 0; n < 200 && read_number(KSM "full_scans") < start + 2; n++)
		usleep(50000);
}

bool sys_ksm_knows_any(void)
{
	return read_number(KSM "pages_shared") || read_number(KSM "pages_sharing");
}

/* Unmerging all is what makes KSM let go of the nodes that it holds. */
void sys_ksm_stop(void)
{
	write_text(KSM "run", "2");
	write_text(KSM "run", ksm_was ? "1" : "0");
}
