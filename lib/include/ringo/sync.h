/* SPDX-License-Identifier: MIT */
/*
 * Locks between goroutines. Zeroed is ready; embed them anywhere; they must not move while in use.
 * Misuse (unlock of an unlocked mutex, a negative WaitGroup, a lock that would wait outside a
 * goroutine) ends the process with a message.
 */
#ifndef RINGO_SYNC_H
#define RINGO_SYNC_H

#include <ringo/base.h>

RINGO__C_BEGIN

struct ringo_mutex {
	uint32_t ringo__state;
	uint32_t ringo__lock;
	void *ringo__head, *ringo__tail;
	uint64_t ringo__reserved[2];
};

/*
 * Lock; waits as long as it takes, whatever the deadline. A waiter that is older than 1 ms gets
 * the mutex handed over, so nobody starves. Outside a goroutine it must be free.
 */
RINGO__API void ringo_mutex_lock(struct ringo_mutex *m);
/* 0, or -EAGAIN when locked. Any thread; never waits. */
RINGO__API RINGO__MUST int ringo_mutex_try_lock(struct ringo_mutex *m);
/* Any goroutine or thread may unlock. Never waits. */
RINGO__API void ringo_mutex_unlock(struct ringo_mutex *m);

struct ringo_waitgroup {
	int64_t ringo__count;
	uint32_t ringo__lock, ringo__reserved0;
	void *ringo__head;
	uint64_t ringo__reserved[1];
};

/*
 * Add n (may be negative) to the counter, which stays below 2^31; at 0 all waiters go on. Any thread;
 * never waits.
 */
RINGO__API void ringo_waitgroup_add(struct ringo_waitgroup *w, int64_t n);
/* Add -1. */
RINGO__API void ringo_waitgroup_done(struct ringo_waitgroup *w);
/* Wait until the counter is 0, as long as it takes, whatever the deadline. */
RINGO__API void ringo_waitgroup_wait(struct ringo_waitgroup *w);

RINGO__C_END

#endif
