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

RINGO__C_END

#endif
