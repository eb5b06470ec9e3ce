/* SPDX-License-Identifier: MIT */
/*
 * The lock between OS threads: one word, a futex when contended. Held for tens of nanoseconds and
 * never across user code. A goroutine that parks may hand a lock over to be dropped after the switch.
 *
 * Values: 0 free, 1 held, 2 held and somebody may sleep.
 */
#ifndef RG_BASE_LOCK_H
#define RG_BASE_LOCK_H

#include <stdbool.h>

#include "base/atomic.h"
#include "base/compiler.h"

void rg_lock_slow(uint32_t *l);
void rg_unlock_slow(uint32_t *l);

/* order: the CAS acquires and pairs with the xchg of rg_unlock */
static inline bool rg_trylock(uint32_t *l)
{
	return rg_cas_full(l, 0, 1);
}

static inline void rg_lock(uint32_t *l)
{
	if (unlikely(!rg_trylock(l)))
		rg_lock_slow(l);
}

static inline void rg_unlock(uint32_t *l)
{
	/* order: releases what the holder wrote; pairs with the CAS of rg_trylock */
	if (unlikely(rg_xchg_full(l, 0) == 2))
		rg_unlock_slow(l);
}

/* Wait on a futex word; returns on wake, change, signal or timeout (timeout_ns < 0: none). */
void rg_futex_wait(uint32_t *word, uint32_t val, int64_t timeout_ns);
void rg_futex_wake(uint32_t *word, int n);

#endif
