/* SPDX-License-Identifier: MIT */
/*
 * The lock between OS threads: one word, 0 free, 1 held. Held for tens of nanoseconds and never across
 * user code. A goroutine that parks may hand a lock over to be dropped after the switch.
 *
 * Dropping it is a plain store, which costs nothing; a locked instruction there was a fifth of a channel's
 * round trip. So nobody can be told that the lock is free: who finds it held spins, then gives way, and when
 * that did not help, because the kernel has taken the holder's CPU away, sleeps for moments on the word.
 * Nobody wakes such a sleeper. It costs at most NAP beyond the holder's return, and about one per cent of a
 * CPU while it lasts.
 *
 * Order. The CAS that takes the lock acquires, the store that drops it releases, so what one holder wrote the
 * next one reads; nothing from between them moves out. What stands after the drop may be seen before it: who
 * drops a lock and then looks for others who have looked for him needs a fence of his own, as everywhere (wake.c
 * has it). After the store the lock is not touched, so the memory around it may be freed by the next holder.
 */
#ifndef RG_BASE_LOCK_H
#define RG_BASE_LOCK_H

#include <stdbool.h>

#include "base/atomic.h"
#include "base/compiler.h"

void rg_lock_slow(uint32_t *l);

/* order: the CAS acquires and pairs with the store of rg_unlock */
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
	rg_store_release(l, 0); /* order: release; pairs with the CAS of rg_trylock */
}

/* Somebody else is about to do something that takes nanoseconds: for the n-th look in a row. */
void rg_pause(unsigned n);

/* Wait on a futex word; returns on wake, change, signal or timeout (timeout_ns < 0: none). */
void rg_futex_wait(uint32_t *word, uint32_t val, int64_t timeout_ns);
void rg_futex_wake(uint32_t *word, int n);

#endif
