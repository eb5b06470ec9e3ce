// SPDX-License-Identifier: MIT
/*
 * RWMutex: many readers, or one writer, as Go's.
 *
 * readers counts readers that are in or want in; a writer takes BIAS from it. So a reader learns with the one
 * addition that counts it whether there is a writer, and the writer learns with its subtraction how many
 * readers it has to wait for: those that were in. Writers come one at a time, by a mutex, which also says who
 * the writer is.
 *
 * A reader that meets a writer queues up. The writer that leaves adds BIAS again and thereby takes in all
 * readers counted until then, and only then lets go of the mutex: so readers and writers alternate and
 * neither starves. A reader that was taken in before it had queued up finds a pass instead.
 *
 * leaving, under the lock: readers that the writer still waits for; below 0 while some have left but the
 * writer has not yet got to counting them.
 */
#include <errno.h>
#include <ringo/sync.h>

#include "base/lock.h"
#include "core/gate.h"
#include "core/panic.h"
#include "core/rt.h"
#include "sync/mutex.h"
#include "sync/waker.h"

#define BIAS (1 << 30)

static struct rg_waitq *queue_of(struct ringo_rwmutex *rw)
{
	return (struct rg_waitq *)&rw->ringo__head;
}

static void rdlock_slow(struct m *m, struct ringo_rwmutex *rw)
{
	struct rg_waiter w = { .g = m->cur };

	rg_lock(&rw->ringo__lock);
	if (rw->ringo__passes) {
		rw->ringo__passes--;
		rg_unlock(&rw->ringo__lock);
		return;
	}
	rg_waitq_push(queue_of(rw), &w);
	rg_park(m, RG_WHY_RWMUTEX_R, rw, rg_post_unlock, &rw->ringo__lock);
}

RG_API void ringo_rwmutex_rdlock(struct ringo_rwmutex *rw)
{
	struct m *m = (struct m *)rg_arch_self();

	if (unlikely(rg_called(m))) {
		m = rg_enter_w();
		rg_leave(m);
	}
	/* order: full; acquires; pairs with the addition in unlock, or with the writer's subtraction */
	if (likely(rg_add_full(&rw->ringo__readers, 1) >= 0))
		return;
	m = rg_enter_w();
	if (!m)
		rg_panic(m, "ringo_rwmutex_rdlock would wait outside a goroutine");
	rdlock_slow(m, rw);
	rg_leave(rg_m());
}

RG_API int ringo_rwmutex_try_rdlock(struct ringo_rwmutex *rw)
{
	for (;;) {
		int32_t n = rg_load_relaxed(&rw->ringo__readers);

		if (n < 0)
			return -EAGAIN;
		/* order: full; acquires; as in rdlock */
		if (rg_cas_full(&rw->ringo__readers, n, n + 1))
			return 0;
	}
}

/* A writer wants in: the last of those it waits for wakes it. */
static void rdunlock_slow(struct ringo_rwmutex *rw)
{
	struct rg_waiter *w = NULL;
	struct m *m;

	if (!rg_waker_enter(&m))
		return;
	rg_lock(&rw->ringo__lock);
	if (--rw->ringo__leaving == 0) {
		w = rw->ringo__writer;
		rw->ringo__writer = NULL;
	}
	rg_unlock(&rw->ringo__lock);
	if (w)
		rg_ready(m, w->g, 0);
	rg_waker_leave(m);
}

RG_API void ringo_rwmutex_rdunlock(struct ringo_rwmutex *rw)
{
	/* order: full; releases; pairs with the writer's subtraction */
	int32_t n = rg_add_full(&rw->ringo__readers, -1);

	if (likely(n > 0))
		return;
	if (n == 0 || n == -BIAS) {
		rg_add_relaxed(&rw->ringo__readers, 1);
		rg_panic(rg_enter(), "rdunlock of a rwmutex that no reader has locked");
	}
	rdunlock_slow(rw);
}

/* Wait for the readers that were in when we came. */
static void wait_for(struct m *m, struct ringo_rwmutex *rw, int32_t readers)
{
	struct rg_waiter w = { .g = m->cur };

	rg_lock(&rw->ringo__lock);
	rw->ringo__leaving += readers;
	if (!rw->ringo__leaving) {
		rg_unlock(&rw->ringo__lock);
		return;
	}
	/* cppcheck-suppress autoVariables ; we park until it is taken off */
	rw->ringo__writer = &w;
	rg_park(m, RG_WHY_RWMUTEX_W, rw, rg_post_unlock, &rw->ringo__lock);
}

RG_API void ringo_rwmutex_lock(struct ringo_rwmutex *rw)
{
	struct m *m;
	int32_t readers;

	rg_mutex_lock(&rw->ringo__writers, RG_WHY_RWMUTEX_W, rw);
	/* order: full; pairs with the additions of readers: it sees them, or they see it */
	readers = rg_add_full(&rw->ringo__readers, -BIAS);
	if (likely(!readers))
		return;
	m = rg_enter_w();
	if (!m)
		rg_panic(m, "ringo_rwmutex_lock would wait outside a goroutine");
	wait_for(m, rw, readers);
	rg_leave(rg_m());
}

RG_API int ringo_rwmutex_try_lock(struct ringo_rwmutex *rw)
{
	int res = ringo_mutex_try_lock(&rw->ringo__writers);

	if (res)
		return res;
	/* order: full; as in lock */
	if (rg_cas_full(&rw->ringo__readers, 0, -BIAS))
		return 0;
	ringo_mutex_unlock(&rw->ringo__writers);
	return -EAGAIN;
}

/* Let the readers in that came while we were in. */
static void let_in(struct ringo_rwmutex *rw, int32_t readers)
{
	struct rg_waiter *all = NULL, **tail = &all;
	struct m *m;

	if (!rg_waker_enter(&m))
		return;
	rg_lock(&rw->ringo__lock);
	while (readers && rg_chain_pop(queue_of(rw), &tail))
		readers--;
	rw->ringo__passes += readers;
	rg_unlock(&rw->ringo__lock);
	rg_chain_ready(m, all);
	rg_waker_leave(m);
}

RG_API void ringo_rwmutex_unlock(struct ringo_rwmutex *rw)
{
	/* order: full; releases what was written under it; pairs with the addition in rdlock */
	int32_t readers = rg_add_full(&rw->ringo__readers, BIAS);

	if (unlikely(readers >= 0)) {
		rg_add_relaxed(&rw->ringo__readers, -BIAS);
		rg_panic(rg_enter(), "unlock of a rwmutex that no writer has locked");
	}
	readers += BIAS;
	if (readers)
		let_in(rw, readers);
	ringo_mutex_unlock(&rw->ringo__writers);
}
