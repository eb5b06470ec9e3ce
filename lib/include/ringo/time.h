/* SPDX-License-Identifier: MIT */
/* Clock, sleeping, and the ambient deadline. */
#ifndef RINGO_TIME_H
#define RINGO_TIME_H

#include <ringo/base.h>

#define RINGO_US INT64_C(1000)
#define RINGO_MS INT64_C(1000000)
#define RINGO_SEC INT64_C(1000000000)

RINGO__C_BEGIN

/* CLOCK_MONOTONIC in nanoseconds. Any thread. */
RINGO__API int64_t ringo_now(void);

/*
 * Sleep at least ns nanoseconds (ns <= 0: as ringo_yield). 0, or -ETIMEDOUT when the ambient deadline
 * ended it earlier, -ENOMEM, -EPERM, -ESRCH. Waits.
 */
RINGO__API int ringo_sleep(int64_t ns);

/*
 * Set the ambient deadline of the calling goroutine, absolute CLOCK_MONOTONIC nanoseconds, 0 for
 * none; returns the former. Waiting calls made after it is over return -ETIMEDOUT at once; so do
 * those that are waiting when it ends. Inherited at spawn. Outside a goroutine: 0, no effect.
 */
RINGO__API int64_t ringo_deadline_set(int64_t abs_ns);

/* Behind ringo_timeout_scope: lower the deadline to at most now + ns; returns the former. */
RINGO__API int64_t ringo__timeout_push(int64_t ns);

static inline void ringo__timeout_pop(int64_t *former)
{
	(void)ringo_deadline_set(*former);
}

/*
 * ringo_timeout_scope(ns): a declaration. Until the end of the block the ambient deadline is at most
 * now + ns; the former one is restored on every way out of the block. Nests; no allocation.
 */
#define ringo_timeout_scope(ns) \
	int64_t RINGO__CAT(ringo__former_, __COUNTER__) \
	__attribute__((cleanup(ringo__timeout_pop), unused)) = ringo__timeout_push(ns)

struct ringo_chan;

struct ringo_timer {
	uint32_t ringo__lock, ringo__g, ringo__gen, ringo__ticket;
	void (*ringo__fn)(void *);
	void *ringo__arg;
	uint32_t ringo__run, ringo__reserved0;
	uint64_t ringo__reserved[1];
};

/*
 * After at least ns nanoseconds, start fn(arg) in a goroutine of its own, under the background context
 * and without a deadline. Its place is taken here, so firing cannot fail; fn and arg are copied out before
 * it runs, so *t may be gone by then. A zeroed *t is ready; one that is set is stopped first.
 * 0, -EAGAIN (limit of goroutines), -ENOMEM, -EINVAL (no fn), -ESRCH. Any thread; never waits.
 */
RINGO__API int ringo_timer_start(struct ringo_timer *t, int64_t ns, void (*fn)(void *), void *arg);

/* 1: stopped before it fired. 0: it had fired, or was not set. Either way *t is free. Any thread; never waits. */
RINGO__API int ringo_timer_stop(struct ringo_timer *t);

/*
 * As ringo_timer_stop; if it had fired, wait until fn has returned, as long as that takes. From fn itself
 * it does not wait. -EPERM outside a goroutine when it would wait. Waits.
 */
RINGO__API int ringo_timer_stop_wait(struct ringo_timer *t);

/*
 * Set it to fire ns from now, whether it has fired or not, with the fn and arg it was started with.
 * 1: it had not fired yet, and will fire once, at the new time. 0: it had, and will fire again. Errors as
 * ringo_timer_start, and it is not set then. -EINVAL: it was never started. Any thread; never waits.
 */
RINGO__API int ringo_timer_reset(struct ringo_timer *t, int64_t ns);

/*
 * A channel that delivers one int64_t, the time (ringo_now) at which ns were over. The caller owns a
 * reference. NULL: out of memory, or of places for goroutines; or no runtime. In a select,
 * RINGO_TIMEOUT is cheaper. Any thread; never waits.
 */
RINGO__API struct ringo_chan *ringo_after(int64_t ns);

struct ringo_ticker;

/*
 * Deliver the time (int64_t) every ns nanoseconds (> 0). Its channel holds one tick: a receiver that is
 * slow misses some, and the rhythm is kept. NULL as for ringo_after, or ns <= 0. Any thread; never waits.
 */
RINGO__API struct ringo_ticker *ringo_ticker_new(int64_t ns);
/* Its channel, borrowed: until ringo_ticker_free. */
RINGO__API struct ringo_chan *ringo_ticker_chan(struct ringo_ticker *t);
/* Stop and free; NULL is ignored. The channel is not closed, and lives on if somebody else has a reference. */
RINGO__API void ringo_ticker_free(struct ringo_ticker *t);

RINGO__C_END

#endif
