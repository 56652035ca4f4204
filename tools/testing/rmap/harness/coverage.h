/* SPDX-License-Identifier: GPL-2.0 */
/*
 * After shim.h, where branches are counted: no code for what never happens,
 * as in a kernel without CONFIG_DEBUG_VM, and none that is not the source's.
 */
#ifndef COVERAGE_H
#define COVERAGE_H

#undef VM_WARN_ON_ONCE
#undef READ_ONCE
#undef WRITE_ONCE
#undef smp_store_release
#define VM_WARN_ON_ONCE(cond) ((void)sizeof(cond))
#define READ_ONCE(x) __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v) __atomic_store_n(&(x), v, __ATOMIC_RELAXED)
/* The barrier is none of what is measured. */
#define smp_store_release(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)

#endif /* COVERAGE_H */
