// SPDX-License-Identifier: MIT
/*
 * Sema: permits in one word, and a queue, first in, first out, whatever the requests' sizes.
 *
 * Word: permits times 2, plus WAITERS. While WAITERS is set nobody takes permits past the queue, and the
 * word changes only under the lock; so a large request at the head collects permits until it has enough.
 * WAITERS is cleared with the last one that leaves the queue.
 *
 * A waiter that gives up may have been the large one: those behind it are then looked at by it.
 *
 * As with a mutex, its memory may go as soon as the acquire that it was for has returned: release touches
 * nothing after the CAS, or else whom it could let in is queued and needs the lock to go on.
 */
#include <errno.h>
#include <ringo/sync.h>
#include <string.h>

#include "base/lock.h"
#include "core/gate.h"
#include "core/panic.h"
#include "core/rt.h"
#include "sync/waker.h"

enum { WAITERS = 1 };
#define MOST (INT64_MAX / 2)

struct waiter {
	struct rg_waiter q;
	int64_t n;
};

static struct rg_waitq *queue_of(struct ringo_sema *s)
{
	return (struct rg_waitq *)&s->ringo__head;
}

RG_API void ringo_sema_init(struct ringo_sema *s, int64_t n)
{
	if (n < 0 || n > MOST)
		rg_panic(rg_enter(), "ringo_sema_init with %lld permits", (long long)n);
	memset(s, 0, sizeof(*s));
	s->ringo__permits = n * 2;
}

static bool take(struct ringo_sema *s, int64_t n)
{
	for (;;) {
		int64_t v = rg_load_relaxed(&s->ringo__permits);

		if (v & WAITERS || v / 2 < n)
			return false;
		/* order: full; acquires; pairs with the CAS in give, or the release in grant */
		if (rg_cas_full(&s->ringo__permits, v, v - n * 2))
			return true;
	}
}

/* Under the lock: as take, or see that nobody goes past us. */
static bool take_or_announce(struct ringo_sema *s, int64_t n)
{
	for (;;) {
		int64_t v = rg_load_relaxed(&s->ringo__permits);

		if (v & WAITERS)
			return false;
		if (v / 2 >= n) {
			if (take(s, n))
				return true;
			continue;
		}
		/* order: full; pairs with the CAS in give: it sees WAITERS, or we what it gave */
		if (rg_cas_full(&s->ringo__permits, v, v | WAITERS))
			return false;
	}
}

/* Under the lock, WAITERS is set: n more permits, for those at the head that it is enough for. */
static struct rg_waiter *grant(struct ringo_sema *s, int64_t n)
{
	int64_t permits = rg_load_relaxed(&s->ringo__permits) / 2 + n;
	struct rg_waiter *all = NULL, **tail = &all, *w, *next;

	for (w = queue_of(s)->head; w; w = next) {
		int64_t want = rg_container_of(w, struct waiter, q)->n;

		next = w->next;
		if (want > permits)
			break;
		if (w->claim && !rg_claim(w->g))
			continue;
		permits -= want;
		rg_waitq_remove(queue_of(s), w);
		w->next = NULL;
		w->res = 0;
		*tail = w;
		tail = &w->next;
	}
	/* order: release; pairs with the CAS in take */
	rg_store_release(&s->ringo__permits, permits * 2 + (queue_of(s)->head ? WAITERS : 0));
	return all;
}

static int acquire_slow(struct m *m, struct ringo_sema *s, int64_t n)
{
	struct waiter w = { .q.g = m->cur, .n = n };
	struct rg_waiter *others = NULL;
	int res;

	rg_lock(&s->ringo__lock);
	if (take_or_announce(s, n)) {
		rg_unlock(&s->ringo__lock);
		return 0;
	}
	res = rg_wait_begin(m, m->cur);
	if (res < 0) {
		others = grant(s, 0);
		rg_unlock(&s->ringo__lock);
		rg_chain_ready(m, others);
		return res;
	}
	w.q.claim = res;
	rg_waitq_push(queue_of(s), &w.q);
	res = (int)rg_park(m, RG_WHY_SEMA, s, rg_post_unlock, &s->ringo__lock);
	if (unlikely(w.q.queued)) {
		rg_lock(&s->ringo__lock);
		rg_waitq_remove(queue_of(s), &w.q);
		others = grant(s, 0);
		rg_unlock(&s->ringo__lock);
		rg_chain_ready(rg_m(), others);
	}
	return res;
}

RG_API int ringo_sema_acquire(struct ringo_sema *s, int64_t n)
{
	struct m *m = (struct m *)rg_arch_self();
	int res;

	if (unlikely(n < 0))
		return -EINVAL;
	if (likely(!rg_called(m)) && likely(take(s, n)))
		return 0;
	m = rg_enter_g(&res);
	if (!m)
		return res;
	res = acquire_slow(m, s, n);
	rg_leave(rg_m());
	return res;
}

RG_API int ringo_sema_try_acquire(struct ringo_sema *s, int64_t n)
{
	if (unlikely(n < 0))
		return -EINVAL;
	return take(s, n) ? 0 : -EAGAIN;
}

static bool too_many(int64_t v, int64_t n)
{
	return n > MOST - v / 2;
}

static RG_COLD void misuse(int64_t n)
{
	rg_panic(rg_enter(), "ringo_sema_release of %lld permits: less than 0, or more than fit", (long long)n);
}

/* Outside the gate, past the queue: false when somebody waits. */
static bool give(struct ringo_sema *s, int64_t n)
{
	for (;;) {
		int64_t v = rg_load_relaxed(&s->ringo__permits);

		if (v & WAITERS)
			return false;
		if (unlikely(too_many(v, n)))
			misuse(n);
		/* order: full; releases; pairs with take and take_or_announce */
		if (rg_cas_full(&s->ringo__permits, v, v + n * 2))
			return true;
	}
}

/* False when the last one that waited has given up. */
static bool give_queued(struct m *m, struct ringo_sema *s, int64_t n)
{
	struct rg_waiter *all = NULL;
	int64_t v;

	rg_lock(&s->ringo__lock);
	v = rg_load_relaxed(&s->ringo__permits);
	if (v & WAITERS && !too_many(v, n))
		all = grant(s, n);
	rg_unlock(&s->ringo__lock);
	rg_chain_ready(m, all);
	if (v & WAITERS && too_many(v, n)) {
		rg_waker_leave(m);
		misuse(n);
	}
	return v & WAITERS;
}

static bool release_slow(struct ringo_sema *s, int64_t n)
{
	struct m *m;
	bool done;

	if (!rg_waker_enter(&m)) {
		/* order: full; releases; pairs with take. Who is queued is of a run that is over. */
		rg_add_full(&s->ringo__permits, n * 2);
		return true;
	}
	done = give_queued(m, s, n);
	rg_waker_leave(m);
	return done;
}

RG_API void ringo_sema_release(struct ringo_sema *s, int64_t n)
{
	if (unlikely(n < 0))
		misuse(n);
	while (unlikely(!give(s, n)) && !release_slow(s, n))
		;
}
