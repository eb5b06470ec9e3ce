// SPDX-License-Identifier: MIT
/*
 * WaitGroup: a counter and a queue of those who wait for it to be 0.
 *
 * Word: the counter in the high half, WAITERS in the low one. WAITERS: the counter is not 0, and the queue
 * is not empty; it is set and cleared under the lock. With WAITERS the counter goes to 0 only under the lock,
 * with the same store that clears WAITERS, and the queue is emptied there; all other changes are one CAS. So
 * nobody finds it at 0 while somebody is still on the way to wake: whoever has waited, and whoever gave up
 * waiting and finds it at 0 later, may let its memory go.
 */
#include <errno.h>
#include <ringo/sync.h>

#include "base/lock.h"
#include "core/gate.h"
#include "core/panic.h"
#include "core/rt.h"
#include "sync/waker.h"

#define WAITERS INT64_C(1)
#define ONE (INT64_C(1) << 32)

static struct rg_waitq *queue_of(struct ringo_waitgroup *w)
{
	return (struct rg_waitq *)&w->ringo__head;
}

static int64_t counter(int64_t s)
{
	return s >> 32;
}

static RG_COLD void misuse(int64_t s, int64_t n)
{
	struct m *m = rg_enter();

	if (n < 0)
		rg_panic(m, "negative WaitGroup counter: %lld done of %lld", -(long long)n,
			 (long long)counter(s));
	rg_panic(m, "a WaitGroup counter of 2^31 or more");
}

/* Outside the gate, past the queue: false when the counter would be 0 and somebody waits for that. */
static bool add(struct ringo_waitgroup *w, int64_t n)
{
	for (;;) {
		int64_t s = rg_load_relaxed(&w->ringo__count), now;

		if (unlikely(__builtin_add_overflow(counter(s), n, &now) || now < 0 || now > INT32_MAX))
			misuse(s, n);
		if (unlikely(!now && s & WAITERS))
			return false;
		now = s + n * ONE;
		/* order: full; releases what was done before; pairs with the load or CAS of a waiter */
		if (rg_cas_full(&w->ringo__count, s, now))
			return true;
	}
}

/* False when it is not so any more. */
static bool finish(struct m *m, struct ringo_waitgroup *w, int64_t n)
{
	struct rg_waiter *all = NULL, **tail = &all;

	rg_lock(&w->ringo__lock);
	/* order: full; releases, and acquires from other adds, for who is woken; pairs with their CAS */
	if (!rg_cas_full(&w->ringo__count, -n * ONE + WAITERS, 0)) {
		rg_unlock(&w->ringo__lock);
		return false;
	}
	while (rg_chain_pop(queue_of(w), &tail))
		;
	rg_unlock(&w->ringo__lock);
	rg_chain_ready(m, all);
	return true;
}

/* False: try again. */
static bool add_slow(struct ringo_waitgroup *w, int64_t n)
{
	struct m *m;
	bool done;

	if (!rg_waker_enter(&m)) {
		/* order: full; releases. Who is queued is of a run that is over. */
		rg_add_full(&w->ringo__count, n * ONE - WAITERS);
		return true;
	}
	done = finish(m, w, n);
	rg_waker_leave(m);
	return done;
}

RG_API void ringo_waitgroup_add(struct ringo_waitgroup *w, int64_t n)
{
	while (unlikely(!add(w, n)) && !add_slow(w, n))
		;
}

RG_API void ringo_waitgroup_done(struct ringo_waitgroup *w)
{
	ringo_waitgroup_add(w, -1);
}

/* Under the lock: false when it is 0. */
static bool announce(struct ringo_waitgroup *w)
{
	for (;;) {
		int64_t s = rg_load_acquire(&w->ringo__count); /* order: acquire; pairs with the CAS in add */

		if (!counter(s))
			return false;
		/* order: full; pairs with the CAS in add: it sees WAITERS, or we see it at 0 */
		if (s & WAITERS || rg_cas_full(&w->ringo__count, s, s | WAITERS))
			return true;
	}
}

/* Under the lock, when one has given up, or not begun. */
static void left(struct ringo_waitgroup *w)
{
	if (!queue_of(w)->head)
		rg_and_full(&w->ringo__count, ~WAITERS); /* order: full; pairs with the CAS in finish */
}

static int wait_slow(struct m *m, struct ringo_waitgroup *w, bool ends)
{
	struct rg_waiter self = { .g = m->cur };
	int res;

	rg_lock(&w->ringo__lock);
	if (!announce(w)) {
		rg_unlock(&w->ringo__lock);
		return 0;
	}
	res = ends ? rg_wait_begin(m, m->cur) : 0;
	if (res < 0) {
		left(w);
		rg_unlock(&w->ringo__lock);
		return res;
	}
	self.claim = res;
	rg_waitq_push(queue_of(w), &self);
	res = (int)rg_park(m, RG_WHY_WAITGROUP, w, rg_post_unlock, &w->ringo__lock);
	if (unlikely(self.queued)) {
		rg_lock(&w->ringo__lock);
		rg_waitq_remove(queue_of(w), &self);
		left(w);
		rg_unlock(&w->ringo__lock);
	}
	return res;
}

static bool over(struct ringo_waitgroup *w)
{
	return !counter(rg_load_acquire(&w->ringo__count)); /* order: acquire; pairs with the CAS in add */
}

RG_API void ringo_waitgroup_wait(struct ringo_waitgroup *w)
{
	struct m *m = (struct m *)rg_arch_self();

	if (!rg_called(m) && over(w))
		return;
	m = rg_enter_w();
	if (!m)
		rg_panic(m, "ringo_waitgroup_wait would wait outside a goroutine");
	wait_slow(m, w, false);
	rg_leave(rg_m());
}

RG_API int ringo_waitgroup_wait_ctx(struct ringo_waitgroup *w)
{
	struct m *m = (struct m *)rg_arch_self();
	int res;

	if (!rg_called(m) && over(w))
		return 0;
	m = rg_enter_g(&res);
	if (!m)
		return res;
	res = wait_slow(m, w, true);
	rg_leave(rg_m());
	return res;
}
