/* SPDX-License-Identifier: MIT */
/*
 * Parking and readying.
 *
 * A G parks by filling in what its waker needs, setting m->post to what publishes it (dropping a
 * channel's lock, handing over a job), and switching away. post runs after the registers are saved, on
 * the next stack, so a waker on another M never meets a G that is still on its stack.
 *
 * Most waits have one waker, which owns the G by having taken it off a list under that list's lock. A
 * wait that time may end too has two; whoever moves g->wake from odd to even by CAS (rg_claim) owns it.
 * Every wait uses a fresh number, so a late timer cannot claim a later wait.
 */
#ifndef RG_CORE_PARK_H
#define RG_CORE_PARK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "core/g.h"
#include "core/m.h"

/* Leave the stack of the running G; returns when somebody readied it, with what they said. */
int64_t rg_park(struct m *m, enum rg_reason why, void (*post)(struct m *, void *), void *arg);

/* A post for rg_park: drop a lock. */
void rg_post_unlock(struct m *m, void *lock);

/* Make g runnable with a result. m: the calling M, NULL for a thread that is none. The caller owns g. */
void rg_ready(struct m *m, struct g *g, int64_t res);

/*
 * Before parking in a wait that the ambient deadline may end: -ETIMEDOUT when it is over, -ENOMEM, or 1
 * when a timer is armed and wakers must claim, 0 when there is no deadline.
 */
int rg_wait_begin(struct m *m, struct g *g);

/* As rg_wait_begin, to end at an absolute time of its own as well (until), whichever comes first. */
int rg_wait_begin_until(struct m *m, struct g *g, int64_t until);

/* Undo rg_wait_begin when the G does not park after all. */
static inline void rg_wait_abort(struct g *g)
{
	rg_store_relaxed(&g->wake, rg_load_relaxed(&g->wake) & ~1u);
}

/* Win a waiting G. */
static inline bool rg_claim(struct g *g)
{
	uint32_t w = rg_load_relaxed(&g->wake);

	/* order: full; pairs with the CAS of the other waker and with the store in rg_wait_begin */
	return (w & 1) && rg_cas_full(&g->wake, w, w + 1);
}

#endif
