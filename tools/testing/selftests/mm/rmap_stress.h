/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What rmap_storm and rmap_fuzz share: words of memory that many processes change,
 * random numbers, files of /proc and /sys, the cgroup, fault injection, options.
 */
#ifndef RMAP_STRESS_H
#define RMAP_STRESS_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>
#include <time.h>

#include "../kselftest.h"

typedef unsigned long long u64;
typedef unsigned int u32;
typedef unsigned short u16;
typedef unsigned char u8;

#define PATH_LEN	128
#define MASTER_ARG	"--master"
#define CGROUP		"/sys/fs/cgroup/rmap_stress"
#define KSM		"/sys/kernel/mm/ksm/"
#define LEAK_SLACK	32	/* objects of a slab that the rest of the system may add */

extern size_t page_size;

#define get(p)		__atomic_load_n((p), __ATOMIC_ACQUIRE)
#define put(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define add(p, n)	__atomic_add_fetch((p), (n), __ATOMIC_ACQ_REL)
#define sub(p, n)	__atomic_sub_fetch((p), (n), __ATOMIC_ACQ_REL)

void raise_max(u64 *max, u64 n);
u32 count_in(u32 *count, u32 most);

/* Random numbers: splitmix64. */
struct rng {
	u64 state;
};

static inline u64 mix(u64 x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

static inline u64 rng_next(struct rng *r)
{
	r->state = mix(r->state);
	return r->state;
}

static inline u32 below(struct rng *r, u32 n)
{
	return (rng_next(r) >> 32) % n;
}

u64 clock_ns(clockid_t clock);
u64 now_ns(void);

bool write_text(const char *name, const char *text);
bool write_number(const char *name, u64 n);
ssize_t read_text(const char *name, char *text, size_t size);
u64 read_number(const char *name);
u64 read_key(const char *name, const char *key);

bool cgroup_make(void);
bool cgroup_join(void);
void cgroup_kill(void);
void cgroup_remove(void);

bool failslab(u32 percent);
void exec_master(const char *name);
void catch_bad_accesses(void (*handler)(int sig, siginfo_t *info, void *context));
u64 leaked_objects(u64 before, u64 after);
void row(const char *label, const char *format, ...) __printf(2, 3);

/* An option, and where it goes: one of the pointers. */
struct setting {
	const char *name;
	u64 min;
	u64 max;
	u32 *number;
	u64 *big_number;
	char *path;		/* PATH_LEN bytes */
	bool *flag;		/* without an argument */
};

void parse_options(int argc, char **argv, const struct setting *settings,
		   void (*show_usage)(FILE *to));

#endif /* RMAP_STRESS_H */
