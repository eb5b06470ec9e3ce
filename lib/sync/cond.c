// SPDX-License-Identifier: MIT
/*
 * Cond: a queue, first in, first out, under its lock.
 *
 * A waiter is in the queue before its mutex is free: it queues up, leaves its stack, and only then are the
 * queue's lock and the mutex let go (post). So whoever changes what it waits for under the mutex finds it,
 * and signal takes the one that has waited longest, never one that came later.
 *
 * Signal and the end of a wait by time or cancellation compete for the G by rg_claim. If signal wins, wait
 * returns 0, whatever else happened; if it loses it goes on to the next in the queue. So no signal is lost.
 *
 * Without waiters a signal is one load, without the lock: one that does not find a waiter there might have
 * come before it.
 */
#include <errno.h>
#include <ringo/sync.h>

#include "base/lock.h"
#include "base/log.h"
#include "core/gate.h"
#include "core/panic.h"
#include "core/rt.h"
#include "sync/mutex.h"
#include "sync/waker.h"

struct let_go {
	struct ringo_cond *c;
	struct ringo_mutex *mu;
};

static struct rg_waitq *queue_of(struct ringo_cond *c)
{
	return (struct rg_waitq *)&c->ringo__head;
}

/* The waiter may be gone once the lock is, but not the mutex, which it will want first. */
static void post_wait(struct m *m, void *arg)
{
	struct let_go l = *(struct let_go *)arg;

	rg_unlock(&l.c->ringo__lock);
	if (!rg_mutex_unlock(m, l.mu))
		rg_fatal("unlock of an unlocked mutex, while a goroutine that had it began ringo_cond_wait");
}

/* Inside the gate, which it leaves. */
static int wait(struct m *m, struct ringo_cond *c, struct ringo_mutex *mu)
{
	struct rg_waiter w = { .g = m->cur };
	struct let_go l = { c, mu };
	int res;

	rg_lock(&c->ringo__lock);
	res = rg_wait_begin(m, m->cur);
	if (res < 0) {
		rg_unlock(&c->ringo__lock);
		rg_leave(m);
		return res;
	}
	w.claim = res;
	rg_waitq_push(queue_of(c), &w);
	res = (int)rg_park(m, RG_WHY_COND, c, post_wait, &l);
	if (unlikely(w.queued)) {
		rg_lock(&c->ringo__lock);
		rg_waitq_remove(queue_of(c), &w);
		rg_unlock(&c->ringo__lock);
	}
	rg_leave(rg_m());
	ringo_mutex_lock(mu);
	return res;
}

RG_API int ringo_cond_wait(struct ringo_cond *c, struct ringo_mutex *mu)
{
	int res;
	struct m *m = rg_enter_g(&res);

	if (!m)
		return res;
	if (!rg_mutex_locked(mu))
		rg_panic(m, "ringo_cond_wait with a mutex that is not locked");
	return wait(m, c, mu);
}

static void wake(struct ringo_cond *c, int32_t most)
{
	struct rg_waiter *all = NULL, **tail = &all;
	struct m *m;

	if (!rg_load_relaxed(&queue_of(c)->head) || !rg_waker_enter(&m))
		return;
	rg_lock(&c->ringo__lock);
	while (most-- && rg_chain_pop(queue_of(c), &tail))
		;
	rg_unlock(&c->ringo__lock);
	rg_chain_ready(m, all);
	rg_waker_leave(m);
}

RG_API void ringo_cond_signal(struct ringo_cond *c)
{
	wake(c, 1);
}

RG_API void ringo_cond_broadcast(struct ringo_cond *c)
{
	wake(c, -1);
}
