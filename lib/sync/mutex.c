// SPDX-License-Identifier: MIT
/*
 * Mutex: one word when nobody waits, first-come waiters behind a lock.
 *
 * Word: 0 when free; else LOCKED, the owner (its index + 1; 0 for a thread that is no goroutine), and
 * WAITERS: unlock has somebody to see to. Uncontended, lock and unlock are one CAS each, outside the gate.
 *
 * Normal mode, as Go's: unlock frees the word and wakes the first waiter, which competes with whoever is
 * running, because a running goroutine that takes the lock at once saves two switches. A woken waiter that
 * loses is first in the queue again. One that has lost for longer than STARVED makes the mutex starve: from
 * then on unlock gives it to the first waiter without freeing the word, until one that gets it has waited
 * less, or is the last.
 *
 * One waiter at a time is on its way (woken). Until it has the queue lock again the word need not say
 * WAITERS, and unlocks go past the queue. Under the queue lock holds:
 *  - WAITERS: locked, and the queue is not empty. The word then changes only under the queue lock.
 *  - The queue is not empty: WAITERS, or woken, or all in it have given up and are about to leave it.
 * So no wake-up is lost: whoever queues up sets WAITERS by a CAS that sees LOCKED still set, or leaves it to
 * the one that is woken; that one, when it has looked, sets WAITERS if anybody is queued, itself included,
 * whether it got the mutex or not, and before it gives up.
 *
 * The memory of a mutex may go as soon as its last user has unlocked: unlock frees the word inside the
 * queue lock only if somebody in the queue needs that lock, or us, to go on.
 */
#include "sync/mutex.h"

#include <errno.h>

#include "base/clock.h"
#include "base/lock.h"
#include "core/gate.h"
#include "core/panic.h"
#include "core/rt.h"
#include "sync/waker.h"

enum { LOCKED = 1, WAITERS = 2, OWNER_SHIFT = 2 };
enum { WOKEN, HANDED }; /* what a waiter is told */

#define STARVED INT64_C(1000000)
enum { SPINS = 4, RELAX = 30 }; /* looks at the word before queueing up, while the owner runs; each takes the cache line */

struct waiter {
	struct rg_waiter q;
	int64_t since;
};

static struct rg_waitq *queue_of(struct ringo_mutex *mu)
{
	return (struct rg_waitq *)&mu->ringo__head;
}

static uint32_t word_of(struct m *m)
{
	return LOCKED | (m ? (uint32_t)rg_load_relaxed(&rg_m_page(m)->cur_g) << OWNER_SHIFT : 0);
}

static bool try_lock(struct ringo_mutex *mu, uint32_t self)
{
	/* order: full; acquires; pairs with the CAS in unlock and the release in unlock_slow */
	return rg_cas_full(&mu->ringo__state, 0, self);
}

static void push_front(struct rg_waitq *q, struct rg_waiter *w)
{
	w->prev = NULL;
	w->next = q->head;
	if (q->head)
		q->head->prev = w;
	else
		q->tail = w;
	rg_store_relaxed(&q->head, w);
	w->queued = true;
}

/*
 * Under the queue lock: true, and it is ours. Else somebody has it, and an unlock to come will look at the
 * queue, or one that is woken will see to that.
 */
static bool take_or_announce(struct ringo_mutex *mu, uint32_t self)
{
	for (;;) {
		uint32_t s = rg_load_relaxed(&mu->ringo__state);
		bool ours = !(s & LOCKED);
		uint32_t want = ours ? self : s;

		if (!mu->ringo__woken && (!ours || queue_of(mu)->head))
			want |= WAITERS;
		/* order: full; acquires, and pairs with the CAS in unlock: it sees WAITERS, or we see it free */
		if (want == s || rg_cas_full(&mu->ringo__state, s, want))
			return ours;
	}
}

/* Under the queue lock, when a waiter has left the queue other than by unlock. */
static void left(struct ringo_mutex *mu)
{
	if (queue_of(mu)->head)
		return;
	mu->ringo__starving = false;
	/* order: full; pairs with the load of unlock, which then need not look here */
	rg_and_full(&mu->ringo__state, ~WAITERS);
}

static bool runs_elsewhere(uint32_t s, const struct g *self)
{
	uint32_t owner = s >> OWNER_SHIFT;

	if (!owner || owner > rg_g_used() || rg_g_at(owner - 1) == self)
		return false;
	return rg_load_relaxed(&rg_g_at(owner - 1)->state) == RG_RUNNING;
}

/* An owner that runs is likely to be done before we could be off our stack. */
static bool spin(struct m *m, struct ringo_mutex *mu, uint32_t self)
{
	if (rg_load_relaxed(&rt.np) == 1)
		return false;
	for (int i = 0; i < SPINS; i++) {
		uint32_t s = rg_load_relaxed(&mu->ringo__state);

		if (!s && try_lock(mu, self))
			return true;
		if (s & WAITERS || (s && !runs_elsewhere(s, m->cur)))
			return false;
		rg_cpu_relax_for(RELAX);
	}
	return false;
}

/* The wait is over by time or cancellation: let go of the queue. */
static void give_up(struct ringo_mutex *mu, struct waiter *w)
{
	rg_lock(&mu->ringo__lock);
	if (w->q.queued)
		rg_waitq_remove(queue_of(mu), &w->q);
	left(mu);
	rg_unlock(&mu->ringo__lock);
}

static int lock_slow(struct m *m, struct ringo_mutex *mu, enum rg_reason why, const void *on, bool ends)
{
	struct waiter w = { .q.g = m->cur };
	uint32_t self = word_of(m);
	bool woken = false;
	int res;

	if (spin(m, mu, self))
		return 0;
	w.since = rg_now();
	for (;;) {
		rg_lock(&mu->ringo__lock);
		if (woken)
			mu->ringo__woken = false;
		if (take_or_announce(mu, self)) {
			rg_unlock(&mu->ringo__lock);
			return 0;
		}
		res = ends ? rg_wait_begin(m, m->cur) : 0;
		if (res < 0) {
			left(mu);
			rg_unlock(&mu->ringo__lock);
			return res;
		}
		w.q.claim = res;
		if (woken) {
			if (rg_now() - w.since > STARVED)
				mu->ringo__starving = true;
			push_front(queue_of(mu), &w.q);
		} else {
			rg_waitq_push(queue_of(mu), &w.q);
		}
		res = (int)rg_park(m, why, on, rg_post_unlock, &mu->ringo__lock);
		m = rg_m();
		if (res == HANDED)
			return 0;
		if (res < 0) {
			give_up(mu, &w);
			return res;
		}
		woken = true;
	}
}

/* Outside the gate. A goroutine that is to end does not come past it. */
static inline bool lock_fast(struct ringo_mutex *mu)
{
	struct m *m = (struct m *)rg_arch_self();

	return likely(!rg_called(m)) && likely(try_lock(mu, word_of(m)));
}

static RG_NOINLINE void lock_wait(struct ringo_mutex *mu, enum rg_reason why, const void *on)
{
	struct m *m = rg_enter_w();

	if (!m) {
		if (try_lock(mu, word_of(m)))
			return;
		rg_panic(m, "a lock (%s) would wait outside a goroutine", rg_reason_name(why));
	}
	lock_slow(m, mu, why, on, false);
	rg_leave(rg_m());
}

static RG_NOINLINE int lock_wait_ctx(struct ringo_mutex *mu)
{
	int res;
	struct m *m = rg_enter_g(&res);

	if (!m)
		return res;
	res = lock_slow(m, mu, RG_WHY_MUTEX, mu, true);
	rg_leave(rg_m());
	return res;
}

void rg_mutex_lock(struct ringo_mutex *mu, enum rg_reason why, const void *on)
{
	if (!lock_fast(mu))
		lock_wait(mu, why, on);
}

RG_API void ringo_mutex_lock(struct ringo_mutex *mu)
{
	if (!lock_fast(mu))
		lock_wait(mu, RG_WHY_MUTEX, mu);
}

RG_API int ringo_mutex_lock_ctx(struct ringo_mutex *mu)
{
	return lock_fast(mu) ? 0 : lock_wait_ctx(mu);
}

RG_API int ringo_mutex_try_lock(struct ringo_mutex *mu)
{
	if (rg_load_relaxed(&mu->ringo__state) & LOCKED)
		return -EAGAIN;
	return try_lock(mu, word_of((struct m *)rg_arch_self())) ? 0 : -EAGAIN;
}

/* Under the queue lock, WAITERS is set: whom to ready, with res set, or NULL when all have given up. */
static struct rg_waiter *pass_on(struct ringo_mutex *mu)
{
	struct rg_waitq *q = queue_of(mu);
	struct rg_waiter *w = rg_waitq_pop(q);
	uint32_t s = 0;

	if (w && !mu->ringo__starving) {
		mu->ringo__woken = true;
		w->res = WOKEN;
	} else if (w) {
		s = LOCKED | (rg_g_index(w->g) + 1) << OWNER_SHIFT | (q->head ? WAITERS : 0);
		w->res = HANDED;
		if (!q->head || rg_now() - rg_container_of(w, struct waiter, q)->since <= STARVED)
			mu->ringo__starving = false;
	}
	/* order: release; pairs with the CAS in try_lock and take_or_announce */
	rg_store_release(&mu->ringo__state, s);
	return w;
}

/* False when nobody is queued any more, and the fast way is open again. */
static bool unlock_slow(struct m *m, struct ringo_mutex *mu)
{
	struct rg_waiter *w;

	rg_lock(&mu->ringo__lock);
	if (!(rg_load_relaxed(&mu->ringo__state) & WAITERS)) {
		rg_unlock(&mu->ringo__lock);
		return false;
	}
	w = pass_on(mu);
	rg_unlock(&mu->ringo__lock);
	if (w)
		rg_ready(m, w->g, w->res);
	return true;
}

static bool unlock_fast(struct ringo_mutex *mu, uint32_t s)
{
	/* order: full; releases what was written under it; pairs with try_lock and take_or_announce */
	return (s & (LOCKED | WAITERS)) == LOCKED && rg_cas_full(&mu->ringo__state, s, 0);
}

bool rg_mutex_unlock(struct m *m, struct ringo_mutex *mu)
{
	for (;;) {
		uint32_t s = rg_load_relaxed(&mu->ringo__state);

		if (likely(unlock_fast(mu, s)))
			return true;
		if (!(s & LOCKED))
			return false;
		if (s & WAITERS && unlock_slow(m, mu))
			return true;
	}
}

static RG_NOINLINE void unlock_any(struct ringo_mutex *mu)
{
	struct m *m;
	bool inside = rg_waker_enter(&m), was;

	if (inside)
		was = rg_mutex_unlock(m, mu);
	else
		/* order: full; releases; pairs with try_lock. Who is queued is of a run that is over. */
		was = rg_and_full(&mu->ringo__state, 0) & LOCKED;
	if (!was)
		rg_panic(m, "unlock of an unlocked mutex");
	if (inside)
		rg_waker_leave(m);
}

RG_API void ringo_mutex_unlock(struct ringo_mutex *mu)
{
	if (!likely(unlock_fast(mu, rg_load_relaxed(&mu->ringo__state))))
		unlock_any(mu);
}

bool rg_mutex_locked(const struct ringo_mutex *mu)
{
	return rg_load_relaxed(&mu->ringo__state) & LOCKED;
}

uint32_t rg_mutex_owner(const void *mutex)
{
	const struct ringo_mutex *mu = mutex;

	return rg_load_relaxed(&mu->ringo__state) >> OWNER_SHIFT;
}
