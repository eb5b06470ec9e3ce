// SPDX-License-Identifier: MIT
/*
 * Mutex: one word when nobody waits, first-come waiters behind a lock.
 *
 * Word: LOCKED, WAITERS (the queue is not empty; changed only under the lock).
 *
 * Normal mode, as Go's: unlock frees the word and wakes the first waiter, which competes with whoever is
 * running, because a running goroutine that takes the lock at once saves two switches. A waiter that has
 * lost for longer than STARVED puts the mutex into hand-over: it is queued first again, and the next unlock
 * gives the lock to it without freeing the word, so nobody starves.
 *
 * No wake-up is lost: a waiter sets WAITERS under the queue lock with the same CAS that sees LOCKED still
 * set; an unlock that finds WAITERS takes the queue lock, so it comes after the waiter is queued.
 */
#include <errno.h>
#include <ringo/sync.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "core/gate.h"
#include "core/rt.h"
#include "sync/waitq.h"

enum { LOCKED = 1, WAITERS = 2 };
enum { WOKEN, HANDED }; /* what a waiter is told */

#define STARVED INT64_C(1000000)

static bool try_lock(struct ringo_mutex *mu)
{
	uint32_t s = rg_load_relaxed(&mu->ringo__state);

	/* order: full; acquires; pairs with the CAS or and in unlock */
	return !(s & LOCKED) && rg_cas_full(&mu->ringo__state, s, s | LOCKED);
}

static struct rg_waiter *first(struct ringo_mutex *mu)
{
	return mu->ringo__head;
}

static void push(struct ringo_mutex *mu, struct rg_waiter *w, bool front)
{
	struct rg_waiter *tail = mu->ringo__tail;

	if (front) {
		w->next = mu->ringo__head;
		mu->ringo__head = w;
		if (!tail)
			mu->ringo__tail = w;
		return;
	}
	w->next = NULL;
	if (tail)
		tail->next = w;
	else
		mu->ringo__head = w;
	mu->ringo__tail = w;
}

static void pop(struct ringo_mutex *mu)
{
	struct rg_waiter *w = mu->ringo__head;

	mu->ringo__head = w->next;
	if (!w->next)
		mu->ringo__tail = NULL;
}

/* Under the queue lock: false when the mutex was got after all. */
static bool announce(struct ringo_mutex *mu)
{
	for (;;) {
		uint32_t s = rg_load_relaxed(&mu->ringo__state);
		uint32_t want = s & LOCKED ? s | WAITERS : s | LOCKED;

		/* order: full; pairs with the CAS in unlock: it sees WAITERS, or we see it free */
		if (want == s || rg_cas_full(&mu->ringo__state, s, want))
			return s & LOCKED;
	}
}

static void lock_slow(struct m *m, struct ringo_mutex *mu)
{
	struct rg_waiter w = { .g = m->cur, .res = rg_now() };
	bool again = false;

	for (;;) {
		rg_lock(&mu->ringo__lock);
		if (!announce(mu)) {
			rg_unlock(&mu->ringo__lock);
			return;
		}
		w.hand = again && rg_now() - w.res > STARVED;
		push(mu, &w, again);
		if (rg_park(m, RG_WHY_MUTEX, rg_post_unlock, &mu->ringo__lock) == HANDED)
			return;
		m = rg_m();
		again = true;
		if (try_lock(mu))
			return;
	}
}

RG_API void ringo_mutex_lock(struct ringo_mutex *mu)
{
	struct m *m = rg_enter();

	if (!try_lock(mu)) {
		if (!m)
			rg_fatal("ringo_mutex_lock would wait outside a goroutine");
		lock_slow(m, mu);
		m = rg_m();
	}
	if (m)
		rg_leave(m);
}

RG_API int ringo_mutex_try_lock(struct ringo_mutex *mu)
{
	return try_lock(mu) ? 0 : -EAGAIN;
}

static void unlock_slow(struct m *m, struct ringo_mutex *mu)
{
	struct rg_waiter *w;
	struct g *g;
	bool hand;

	rg_lock(&mu->ringo__lock);
	w = first(mu);
	if (!w)
		rg_fatal("unlock of an unlocked mutex");
	pop(mu);
	hand = w->hand;
	if (!first(mu))
		rg_and_full(&mu->ringo__state, ~WAITERS); /* order: full; pairs with announce */
	if (!hand)
		rg_and_full(&mu->ringo__state, ~LOCKED); /* order: full; releases; pairs with try_lock */
	g = w->g;
	rg_unlock(&mu->ringo__lock);
	rg_ready(m, g, hand ? HANDED : WOKEN);
}

RG_API void ringo_mutex_unlock(struct ringo_mutex *mu)
{
	struct m *m = rg_enter();

	if (!(rg_load_relaxed(&mu->ringo__state) & LOCKED))
		rg_fatal("unlock of an unlocked mutex");
	/* order: full; releases what was written under it; pairs with try_lock and announce */
	if (!rg_cas_full(&mu->ringo__state, LOCKED, 0))
		unlock_slow(m, mu);
	if (m)
		rg_leave(m);
}
