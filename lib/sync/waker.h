/* SPDX-License-Identifier: MIT */
/*
 * For calls that any thread may make and that may wake goroutines: a way in, and waking several.
 */
#ifndef RG_SYNC_WAKER_H
#define RG_SYNC_WAKER_H

#include "core/gate.h"
#include "sync/waitq.h"

/*
 * Inside, as M or as a guest: *m is then NULL. False when no runtime is up: whoever is queued is of a run
 * that has ended and never resumes.
 */
static inline bool rg_waker_enter(struct m **m)
{
	*m = rg_enter();
	return *m || !rg_foreign_enter();
}

static inline void rg_waker_leave(struct m *m)
{
	if (m)
		rg_leave(m);
	else
		rg_foreign_leave();
}

/* Called by fast paths that do without the gate: has somebody asked something of this goroutine? */
static inline bool rg_called(struct m *m)
{
	return m && rg_gate_called(m);
}

/* Take the first waiter that we win off its queue, and hang it on the chain at *tail. */
static inline bool rg_chain_pop(struct rg_waitq *q, struct rg_waiter ***tail)
{
	struct rg_waiter *w = rg_waitq_pop(q);

	if (!w)
		return false;
	w->next = NULL;
	**tail = w;
	*tail = &w->next;
	return true;
}

/* Ready those of a chain, each with its res. Their waiters are gone then. */
static inline void rg_chain_ready(struct m *m, struct rg_waiter *w)
{
	while (w) {
		struct rg_waiter *next = w->next;

		rg_ready(m, w->g, w->res);
		w = next;
	}
}

#endif
