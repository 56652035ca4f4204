/* SPDX-License-Identifier: GPL-2.0 */
/*
 * As much of the kernel as mm/anon_vma.c sees, for one thread of userspace.
 *
 * What would go unnoticed in the kernel stops the program here: a warning, a
 * lock taken twice or not at all, a sleep under the family lock. An object
 * freed is really freed, so that the address sanitizer sees any later use.
 */
#ifndef SHIM_H
#define SHIM_H

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <asm/barrier.h>
#include <linux/kernel.h>

#define __init
#define rcu_assign_pointer(p, v) WRITE_ONCE(p, v)
#define rcu_dereference_raw(p) READ_ONCE(p)
#define rcu_read_lock() do { } while (0)
#define rcu_read_unlock() do { } while (0)
/* One thread: no race. */
#define data_race(x) (x)

/* Ends the case that runs, with a message and the last steps. */
void __noreturn __printf(1, 2) fail(const char *fmt, ...);

#define WARN_ONCE(cond, ...) ((cond) ? fail(__VA_ARGS__) : (void)0)
#define WARN_ON_ONCE(cond) \
	((cond) ? fail("%s:%d: warning: %s", __func__, __LINE__, #cond) : (void)0)
#define VM_WARN_ON_ONCE(cond) WARN_ON_ONCE(cond)

/* Whoever would come in between is played by one of these, once. */

struct hooks {
	bool contended;
	void (*on_get)(void *arg);
	void (*on_trylock)(void *arg);
	void (*on_wait)(void *arg);
	void (*on_unlock)(void *arg);
	void (*on_sleeping_alloc)(void *arg);
	void (*on_mmap_lock)(void *arg);
	void *arg;
};

extern struct hooks hooks;
extern unsigned int sems_held;
extern unsigned long sems_taken;

/* Atomics */

#define atomic64_t atomic_t
#define ATOMIC64_INIT(i) { (i) }

static inline int atomic_read(const atomic_t *v)
{
	return v->counter;
}

static inline void atomic_set(atomic_t *v, int i)
{
	v->counter = i;
}

static inline void atomic_set_release(atomic_t *v, int i)
{
	v->counter = i;
}

static inline void atomic_inc(atomic_t *v)
{
	WARN_ON_ONCE(v->counter <= 0);
	v->counter++;
}

static inline bool atomic_inc_not_zero(atomic_t *v)
{
	void (*hook)(void *arg) = hooks.on_get;

	hooks.on_get = NULL;
	if (hook)
		hook(hooks.arg);
	return v->counter ? v->counter++ : false;
}

static inline bool atomic_dec_and_test(atomic_t *v)
{
	WARN_ON_ONCE(v->counter <= 0);
	return !--v->counter;
}

static inline u64 atomic64_inc_return(atomic64_t *v)
{
	return ++v->counter;
}

/* Locks */

struct rw_semaphore {
	int held;
	int others;
};

static inline void init_rwsem(struct rw_semaphore *sem)
{
	sem->held = 0;
	sem->others = 0;
}

static inline void sem_wait(struct rw_semaphore *sem)
{
	void (*hook)(void *arg) = hooks.on_wait;

	hooks.on_wait = NULL;
	hooks.contended = false;
	if (hook)
		hook(hooks.arg);
	sem->others = 0;
}

static inline void down_write(struct rw_semaphore *sem)
{
	sem_wait(sem);
	WARN_ON_ONCE(sem->held || sems_held);
	sem->held = -1;
	sems_held++;
	sems_taken++;
}

static inline void up_write(struct rw_semaphore *sem)
{
	void (*hook)(void *arg) = hooks.on_unlock;

	WARN_ON_ONCE(sem->held != -1);
	sem->held = 0;
	sems_held--;
	hooks.on_unlock = NULL;
	if (hook)
		hook(hooks.arg);
}

static inline bool down_write_trylock(struct rw_semaphore *sem)
{
	if (sem->held || sem->others)
		return false;
	down_write(sem);
	return true;
}

static inline void down_read(struct rw_semaphore *sem)
{
	sem_wait(sem);
	WARN_ON_ONCE(sem->held || sems_held);
	sem->held = 1;
	sems_held++;
}

static inline void up_read(struct rw_semaphore *sem)
{
	WARN_ON_ONCE(sem->held != 1);
	sem->held = 0;
	sems_held--;
}

static inline bool down_read_trylock(struct rw_semaphore *sem)
{
	void (*hook)(void *arg) = hooks.on_trylock;

	hooks.on_trylock = NULL;
	if (hook)
		hook(hooks.arg);
	if (sem->held || hooks.contended)
		return false;
	sem->held = 1;
	sems_held++;
	return true;
}

static inline int rwsem_is_locked(const struct rw_semaphore *sem)
{
	return sem->held || sem->others;
}

static inline void might_sleep(void)
{
	WARN_ON_ONCE(sems_held);
}

struct one_lock {
	int held;
};

#define spinlock_t struct one_lock

static inline void spin_lock(struct one_lock *lock)
{
	WARN_ON_ONCE(lock->held++);
}

static inline void spin_unlock(struct one_lock *lock)
{
	WARN_ON_ONCE(--lock->held);
}

/* Slab. Failures and reuse on demand; see shim.c. */

/* Flags say which line allocates, so that each can be seen to fail. */
#define GFP_LINE_SHIFT 8
#define GFP_MAY_SLEEP 1
#define GFP_IS_NOWAIT 2
#define GFP_KERNEL (GFP_MAY_SLEEP | __LINE__ << GFP_LINE_SHIFT)
#define GFP_NOWAIT (GFP_IS_NOWAIT | __LINE__ << GFP_LINE_SHIFT)
#define __GFP_NORETRY 4
#define __GFP_NOWARN 8

struct snode;

struct mm_struct {
	u64 anon_owner;
	struct one_lock page_table_lock;
	/* mmap_lock held for write: no thread of it faults. */
	bool write_locked;
};

/* The model's own part of a vma. */
#define VMA_MODEL_FIELDS \
	unsigned int flags; \
	unsigned long stamp; \
	unsigned int order; \
	struct snode *stock; \
	struct snode **chain; \
	unsigned int nr_chain

#include "shim_mm.h"

static inline bool folio_mapped(const struct folio *folio)
{
	return folio->mapcount;
}

#include <linux/anon_vma.h>

#endif /* SHIM_H */
