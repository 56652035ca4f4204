/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_RMAP_DEBUG_H
#define _LINUX_RMAP_DEBUG_H

#include <linux/types.h>

struct folio;

/* The lines of /sys/kernel/debug/rmap/stat, in this order. */
enum rmap_stat {
	RMAP_FAMILIES,
	RMAP_NODES,
	RMAP_EMPTY_NODES,
	RMAP_VMAS,
	RMAP_WALKS,
	RMAP_NODES_VISITED,
	RMAP_VMAS_VISITED,
	RMAP_PTES_FOUND,
	RMAP_AUDITS,
	RMAP_AUDITS_UNDECIDED,
	RMAP_SCANS,
	RMAP_PTES_SCANNED,
	RMAP_MISMATCHES,
	NR_RMAP_STATS
};

#ifdef CONFIG_DEBUG_RMAP
#include <linux/percpu.h>

struct rmap_stats {
	long count[NR_RMAP_STATS];
};

DECLARE_PER_CPU(struct rmap_stats, rmap_stats);

static inline void rmap_stat_add(enum rmap_stat item, long n)
{
	this_cpu_add(rmap_stats.count[item], n);
}

void rmap_audit(struct folio *folio, bool rmap_locked);
#else
static inline void rmap_stat_add(enum rmap_stat item, long n)
{
}

static inline void rmap_audit(struct folio *folio, bool rmap_locked)
{
}
#endif

#endif /* _LINUX_RMAP_DEBUG_H */
