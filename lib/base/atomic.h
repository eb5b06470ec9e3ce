/* SPDX-License-Identifier: MIT */
/*
 * Atomics with the order in the name. Every use of one that is not relaxed says beside it what it pairs
 * with; tests/lint/ordering checks that.
 *
 * In the simulation build every ordered access is a place where the simulated machine may switch to
 * another M, so a seed explores interleavings of exactly these points.
 */
#ifndef RG_BASE_ATOMIC_H
#define RG_BASE_ATOMIC_H

#include "base/compiler.h"

#ifdef RINGO_SIM
#include "base/sim.h"
#else
static inline void rg_sim_point(void)
{
}
#endif

#define rg_load_relaxed(p) __atomic_load_n(p, __ATOMIC_RELAXED)
#define rg_store_relaxed(p, v) __atomic_store_n(p, v, __ATOMIC_RELAXED)
#define rg_add_relaxed(p, v) __atomic_fetch_add(p, v, __ATOMIC_RELAXED)

/* A counter with one writer: a plain add that readers may watch. */
#define rg_count(p, v) rg_store_relaxed(p, rg_load_relaxed(p) + (v))

#define rg_load_acquire(p) \
	__extension__({ rg_sim_point(); __atomic_load_n(p, __ATOMIC_ACQUIRE); })
#define rg_store_release(p, v) \
	__extension__({ rg_sim_point(); __atomic_store_n(p, v, __ATOMIC_RELEASE); })

/* Read-modify-writes are full barriers; they return the former value. */
#define rg_add_full(p, v) \
	__extension__({ rg_sim_point(); __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST); })
#define rg_or_full(p, v) \
	__extension__({ rg_sim_point(); __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST); })
#define rg_and_full(p, v) \
	__extension__({ rg_sim_point(); __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST); })
#define rg_xchg_full(p, v) \
	__extension__({ rg_sim_point(); __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST); })
#define rg_cas_full(p, old, new) \
	__extension__({ \
		__typeof__(*(p)) rg__old = (old); \
		rg_sim_point(); \
		__atomic_compare_exchange_n(p, &rg__old, new, 0, __ATOMIC_SEQ_CST, \
					    __ATOMIC_SEQ_CST); \
	})

/* Orders earlier stores before later loads: what x86 does not do by itself. */
#ifdef RG_TSAN
/* ThreadSanitizer does not model fences; a full read-modify-write it does. */
extern unsigned rg_tsan_fence;
#define rg_fence_full() ((void)rg_add_full(&rg_tsan_fence, 0))
#else
static inline void rg_fence_full(void)
{
	rg_sim_point();
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}
#endif

/* Keeps the compiler from moving memory accesses; costs nothing at run time. */
#define rg_compiler_barrier() __asm__ volatile("" ::: "memory")

/* For n times 5 to 50 ns, by the CPU. */
static inline void rg_cpu_relax_for(unsigned n)
{
	rg_sim_point();
	for (unsigned i = 0; i < n; i++)
		__builtin_ia32_pause();
}

static inline void rg_cpu_relax(void)
{
	rg_cpu_relax_for(1);
}

#endif
