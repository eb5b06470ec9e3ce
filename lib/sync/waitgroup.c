// SPDX-License-Identifier: MIT
/*
 * WaitGroup: a counter and a stack of those who wait for it to be 0.
 *
 * The counter and the number of waiters share one word, as in Go's: whoever brings the counter to 0 learns
 * with the same instruction whether anybody waits, and only then takes the lock. A waiter counts itself, by
 * CAS on a word whose counter is not 0, under the lock and before it is on the list; so who takes the lock
 * to wake finds it there, or it has not yet counted itself and will see 0.
 */
#include <errno.h>
#include <ringo/sync.h>

#include "base/lock.h"
#include "base/log.h"
#include "core/gate.h"
#include "core/rt.h"
#include "sync/waitq.h"

/* Word: counter in the high half, signed; waiters in the low half. */
#define ONE (INT64_C(1) << 32)

static void wake_all(struct m *m, struct ringo_waitgroup *w)
{
	struct rg_waiter *all;

	rg_lock(&w->ringo__lock);
	all = w->ringo__head;
	w->ringo__head = NULL;
	/* order: full; pairs with the CAS of a waiter: the group is ready for its next use */
	rg_and_full(&w->ringo__count, -ONE);
	rg_unlock(&w->ringo__lock);
	/* The group may be gone as soon as the first of them runs. */
	while (all) {
		struct rg_waiter *next = all->next;

		rg_ready(m, all->g, 0);
		all = next;
	}
}

RG_API void ringo_waitgroup_add(struct ringo_waitgroup *w, int64_t n)
{
	struct m *m = rg_enter();
	/* order: full; releases what was done before; pairs with the load or CAS of a waiter */
	int64_t now = rg_add_full(&w->ringo__count, n * ONE) + n * ONE;

	if (unlikely(now < 0))
		rg_fatal("negative WaitGroup counter: more done than added");
	if (now && now < ONE)
		wake_all(m, w);
	if (m)
		rg_leave(m);
}

RG_API void ringo_waitgroup_done(struct ringo_waitgroup *w)
{
	ringo_waitgroup_add(w, -1);
}

/* Under the lock: count ourselves, unless it is 0. */
static bool announce(struct ringo_waitgroup *w)
{
	for (;;) {
		int64_t s = rg_load_acquire(&w->ringo__count); /* order: acquire; pairs with the add */

		if (s < ONE)
			return false;
		/* order: full; pairs with the add that brings it to 0: it sees us */
		if (rg_cas_full(&w->ringo__count, s, s + 1))
			return true;
	}
}

static void push(struct ringo_waitgroup *w, struct rg_waiter *self)
{
	self->next = w->ringo__head;
	w->ringo__head = self;
}

RG_API void ringo_waitgroup_wait(struct ringo_waitgroup *w)
{
	struct m *m = rg_enter();
	struct rg_waiter self = { 0 };

	rg_lock(&w->ringo__lock);
	if (!announce(w)) {
		rg_unlock(&w->ringo__lock);
		if (m)
			rg_leave(m);
		return;
	}
	if (!m)
		rg_fatal("ringo_waitgroup_wait would wait outside a goroutine");
	self.g = m->cur;
	push(w, &self);
	rg_park(m, RG_WHY_WAITGROUP, rg_post_unlock, &w->ringo__lock);
	rg_leave(rg_m());
}
