/* SPDX-License-Identifier: GPL-2.0 */
/*
 * As much of the kernel as mm/anon_vma.c sees, for many threads of userspace
 * under ThreadSanitizer.
 *
 * The sanitizer does not know address and control dependencies: READ_ONCE(),
 * and the look at whether a lock is held, acquire instead. Otherwise an access
 * orders no more than its namesake in the kernel does.
 */
#ifndef THREADS_H
#define THREADS_H

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <asm/barrier.h>
#include <linux/kernel.h>

/* Where much may happen in between: now and then, time passes. */
void pause_here(unsigned int in);

#undef READ_ONCE
#undef WRITE_ONCE
#undef smp_store_release
#define READ_ONCE(x) __atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#define WRITE_ONCE(x, v) __atomic_store_n(&(x), v, __ATOMIC_RELAXED)
/* A barrier for others, in the source, to comment upon. */
#define smp_store_release(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)

#define __init
#define rcu_assign_pointer(p, v) __atomic_store_n(&(p), v, __ATOMIC_RELEASE)
#define rcu_dereference_raw(p) READ_ONCE(p)
/* Memory of nodes is never anything else: that is all RCU is used for. */
#define rcu_read_lock() do { } while (0)
#define rcu_read_unlock() do { } while (0)

/* Of the sanitizer: what this thread does in between is not looked at. */
void __tsan_ignore_thread_begin(void);
void __tsan_ignore_thread_end(void);

/* A race that the source says is harmless. */
#define data_race(x) ({							\
	__typeof__(x) __value;						\
									\
	__tsan_ignore_thread_begin();					\
	__value = (x);							\
	__tsan_ignore_thread_end();					\
	__value;							\
})

/* Ends the program. */
void __noreturn __printf(1, 2) fail(const char *fmt, ...);

#define WARN_ONCE(cond, ...) ((cond) ? fail(__VA_ARGS__) : (void)0)
#define WARN_ON_ONCE(cond) \
	((cond) ? fail("%s:%d: warning: %s", __func__, __LINE__, #cond) : (void)0)
#define VM_WARN_ON_ONCE(cond) WARN_ON_ONCE(cond)
#define might_sleep() do { } while (0)

/* Atomics */

#define atomic64_t atomic_t
#define ATOMIC64_INIT(i) { (i) }

static inline int atomic_read(const atomic_t *v)
{
	return __atomic_load_n(&v->counter, __ATOMIC_RELAXED);
}

static inline void atomic_set(atomic_t *v, int i)
{
	__atomic_store_n(&v->counter, i, __ATOMIC_RELAXED);
}

static inline void atomic_set_release(atomic_t *v, int i)
{
	__atomic_store_n(&v->counter, i, __ATOMIC_RELEASE);
}

static inline void atomic_inc(atomic_t *v)
{
	int old = __atomic_fetch_add(&v->counter, 1, __ATOMIC_RELAXED);

	WARN_ON_ONCE(old <= 0);
}

static inline bool atomic_inc_not_zero(atomic_t *v)
{
	int old;

	pause_here(64);
	old = atomic_read(v);
	while (old && !__atomic_compare_exchange_n(&v->counter, &old, old + 1, false,
						   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		;
	return old;
}

static inline bool atomic_dec_and_test(atomic_t *v)
{
	int old = __atomic_fetch_sub(&v->counter, 1, __ATOMIC_ACQ_REL);

	WARN_ON_ONCE(old <= 0);
	pause_here(64);
	return old == 1;
}

static inline u64 atomic64_inc_return(atomic64_t *v)
{
	return __atomic_add_fetch(&v->counter, 1, __ATOMIC_RELAXED);
}

/* Locks */

struct rw_semaphore {
	pthread_rwlock_t lock;
	/* What rwsem_is_locked() looks at. */
	int holders;
};

static inline void sem_took(struct rw_semaphore *sem)
{
	__atomic_fetch_add(&sem->holders, 1, __ATOMIC_RELAXED);
}

static inline void sem_drops(struct rw_semaphore *sem)
{
	int old = __atomic_fetch_sub(&sem->holders, 1, __ATOMIC_RELEASE);

	WARN_ON_ONCE(old <= 0);
}

static inline void init_rwsem(struct rw_semaphore *sem)
{
	pthread_rwlockattr_t attr;

	pthread_rwlockattr_init(&attr);
	/* As in the kernel, readers do not starve writers. */
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&sem->lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	sem->holders = 0;
}

static inline void down_write(struct rw_semaphore *sem)
{
	WARN_ON_ONCE(pthread_rwlock_wrlock(&sem->lock));
	sem_took(sem);
}

static inline bool down_write_trylock(struct rw_semaphore *sem)
{
	if (pthread_rwlock_trywrlock(&sem->lock))
		return false;
	sem_took(sem);
	return true;
}

static inline void up_write(struct rw_semaphore *sem)
{
	sem_drops(sem);
	WARN_ON_ONCE(pthread_rwlock_unlock(&sem->lock));
}

static inline void down_read(struct rw_semaphore *sem)
{
	WARN_ON_ONCE(pthread_rwlock_rdlock(&sem->lock));
	sem_took(sem);
}

static inline bool down_read_trylock(struct rw_semaphore *sem)
{
	pause_here(64);
	if (pthread_rwlock_tryrdlock(&sem->lock))
		return false;
	sem_took(sem);
	return true;
}

static inline void up_read(struct rw_semaphore *sem)
{
	sem_drops(sem);
	WARN_ON_ONCE(pthread_rwlock_unlock(&sem->lock));
}

static inline bool rwsem_is_locked(struct rw_semaphore *sem)
{
	bool locked = __atomic_load_n(&sem->holders, __ATOMIC_ACQUIRE);

	pause_here(64);
	return locked;
}

#define spinlock_t pthread_mutex_t
#define spin_lock(lock) pthread_mutex_lock(lock)
#define spin_unlock(lock) do {						\
	pause_here(8);							\
	pthread_mutex_unlock(lock);					\
} while (0)

/* Slab; see threads.c. */

#define GFP_KERNEL 1
#define GFP_NOWAIT 2
#define __GFP_NORETRY 4
#define __GFP_NOWARN 8

struct mm_struct {
	u64 anon_owner;
	pthread_mutex_t page_table_lock;
};

#define VMA_MODEL_FIELDS

#include "shim_mm.h"

static inline bool folio_mapped(const struct folio *folio)
{
	bool mapped = __atomic_load_n(&folio->mapcount, __ATOMIC_RELAXED);

	pause_here(64);
	return mapped;
}

#include <linux/anon_vma.h>

#endif /* THREADS_H */
