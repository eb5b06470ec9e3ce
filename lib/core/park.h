/* SPDX-License-Identifier: MIT */
/*
 * Parking and readying.
 *
 * A G parks by filling in what its waker needs, setting m->post to what publishes it (dropping a
 * channel's lock, handing over a job), and switching away. post runs after the registers are saved, on
 * the next stack, so a waker on another M never meets a G that is still on its stack.
 *
 * Most waits have one waker, which owns the G by having taken it off a list under that list's lock. A
 * wait that time, cancellation or another case of a select may end too has several; whoever moves g->wake
 * from odd to even by CAS (rg_claim) owns it. Every wait uses a fresh number, so a late timer cannot claim a
 * later wait.
 */
#ifndef RG_CORE_PARK_H
#define RG_CORE_PARK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "core/g.h"
#include "core/m.h"

/*
 * Leave the stack of the running G; returns when somebody readied it, with what they said. on: what it
 * waits for, as told at enum rg_reason, for reports.
 */
int64_t rg_park(struct m *m, enum rg_reason why, const void *on, void (*post)(struct m *, void *),
		void *arg);

/* A post for rg_park: drop a lock. */
void rg_post_unlock(struct m *m, void *lock);

/* Make g runnable with a result. m: the calling M, NULL for a thread that is none. The caller owns g. */
void rg_ready(struct m *m, struct g *g, int64_t res);

/* Queue a G that has not run yet. As rg_ready; the caller owns it. */
void rg_ready_fresh(struct m *m, struct g *g);

/* 0, or why calls that wait return at once: -ECANCELED, -ETIMEDOUT. */
int rg_ambient_err(const struct g *g);

/*
 * Before parking in a wait that the ambient context or deadline may end: -ECANCELED or -ETIMEDOUT when it
 * is over, -ENOMEM; 1 when wakers must claim the G, 0 when there is nothing that could end the wait. After 1
 * the G must park: somebody may have won it already.
 */
int rg_wait_begin(struct m *m, struct g *g);

/* As rg_wait_begin, to end at an absolute time of its own as well (until), whichever comes first. */
int rg_wait_begin_until(struct m *m, struct g *g, int64_t until);

/* As rg_wait_begin, always claimable: several may wake this G. 1, or an error. */
int rg_wait_begin_any(struct m *m, struct g *g, int64_t until);

/* As rg_wait_begin, for an operation on this M's ring, which is cancelled instead. 0, or an error. */
int rg_wait_begin_op(struct m *m, struct g *g);

/* A G that was won without its being on a list may still be on its way off its stack: until it has left. */
void rg_off_stack(const struct g *g);

/* Win a waiting G. */
static inline bool rg_claim(struct g *g)
{
	uint32_t w = rg_load_relaxed(&g->wake);

	/* order: full; pairs with the CAS of the other waker and with the store in rg_wait_begin */
	return (w & 1) && rg_cas_full(&g->wake, w, w + 1);
}

#endif
