/* SPDX-License-Identifier: MIT */
/*
 * Locks between goroutines. Zeroed is ready; embed them anywhere; they must not move while in use. Nothing
 * here allocates. What is marked "any thread" may be called by threads that are no goroutine, also without a
 * running runtime. Memory of a lock may be given back, or zeroed and used anew, as soon as its last user is
 * done with it, a call of unlock, done or release included. A lock for which goroutines waited when a run
 * ended must be zeroed before it is used in another one.
 *
 * "Obeys the context": such a wait ends with -ECANCELED or -ETIMEDOUT when the ambient context or deadline
 * does. What can go on at once does so, whatever they say.
 *
 * Misuse (unlock of an unlocked mutex, a negative WaitGroup) is a panic; so is, outside a goroutine, a void
 * call that would wait. See ringo/panic.h.
 */
#ifndef RINGO_SYNC_H
#define RINGO_SYNC_H

#include <ringo/base.h>

RINGO__C_BEGIN

struct ringo_mutex {
	uint32_t ringo__state;
	uint32_t ringo__lock;
	void *ringo__head, *ringo__tail;
	uint32_t ringo__woken, ringo__starving;
	uint64_t ringo__reserved[1];
};

/*
 * Lock; waits as long as it takes, whatever context and deadline. Once a waiter is older than 1 ms the
 * mutex goes to the waiters in turn, so nobody starves. Outside a goroutine it must be free.
 */
RINGO__API void ringo_mutex_lock(struct ringo_mutex *m);
/*
 * As ringo_mutex_lock, but obeys the context: 0 locked, -ECANCELED, -ETIMEDOUT, -ENOMEM; where it would wait
 * outside a goroutine -EPERM, and -ESRCH without a runtime.
 */
RINGO__API RINGO__MUST int ringo_mutex_lock_ctx(struct ringo_mutex *m);
/* 0, or -EAGAIN when locked. Any thread; never waits. */
RINGO__API RINGO__MUST int ringo_mutex_try_lock(struct ringo_mutex *m);
/* Any goroutine or thread may unlock. Never waits. */
RINGO__API void ringo_mutex_unlock(struct ringo_mutex *m);

/* Locked by any number of readers or by one writer. */
struct ringo_rwmutex {
	struct ringo_mutex ringo__writers;
	int32_t ringo__readers;
	uint32_t ringo__lock;
	int32_t ringo__leaving, ringo__passes;
	void *ringo__head, *ringo__tail;
	void *ringo__writer;
	uint64_t ringo__reserved[2];
};

/*
 * Lock for reading. Waits while a writer has it or waits for it, as long as it takes, so a reader must
 * not lock it again: a writer in between would stop both. After a writer those readers go first that
 * waited for it. At most 2^30 - 1 readers at a time. Outside a goroutine there must be no writer.
 */
RINGO__API void ringo_rwmutex_rdlock(struct ringo_rwmutex *m);
/* 0, or -EAGAIN when a writer has it or waits for it. Any thread; never waits. */
RINGO__API RINGO__MUST int ringo_rwmutex_try_rdlock(struct ringo_rwmutex *m);
/* For each rdlock one. Any thread, which need not be the one that locked; never waits. */
RINGO__API void ringo_rwmutex_rdunlock(struct ringo_rwmutex *m);
/* Lock for writing. Waits as long as it takes, for the readers that are in and for other writers. */
RINGO__API void ringo_rwmutex_lock(struct ringo_rwmutex *m);
/* 0, or -EAGAIN when anybody has it. Any thread; never waits. */
RINGO__API RINGO__MUST int ringo_rwmutex_try_lock(struct ringo_rwmutex *m);
/* Any thread, which need not be the one that locked; never waits. */
RINGO__API void ringo_rwmutex_unlock(struct ringo_rwmutex *m);

struct ringo_cond {
	uint32_t ringo__lock, ringo__reserved0;
	void *ringo__head, *ringo__tail;
	uint64_t ringo__reserved[2];
};

/*
 * Unlock m, wait for a signal, lock m again. Obeys the context up to the signal; the lock afterwards takes
 * as long as it takes. 0 for a signal, and never without one; -ECANCELED, -ETIMEDOUT, -ENOMEM, and outside
 * a goroutine -EPERM (-ESRCH without a runtime). m is locked on every return. What was waited for may have
 * been undone in between: ask in a loop. A waiter that a signal and the end of its context meet at the
 * same time returns 0.
 */
RINGO__API RINGO__MUST int ringo_cond_wait(struct ringo_cond *c, struct ringo_mutex *m);
/* Wake the goroutine that has waited longest, if any. With or without the mutex. Any thread; never waits. */
RINGO__API void ringo_cond_signal(struct ringo_cond *c);
/* Wake all that wait now. As ringo_cond_signal. */
RINGO__API void ringo_cond_broadcast(struct ringo_cond *c);

struct ringo_once {
	struct ringo_mutex ringo__running;
	uint32_t ringo__done, ringo__reserved0;
	uint64_t ringo__reserved[1];
};

/*
 * Call fn(arg), unless it was called before for this once, by whatever function. When it returns the
 * first call has: others wait for it, as long as it takes. A panic or ringo_exit() in fn counts as its
 * return. A call from within fn is misuse. Any thread, as long as it need not wait.
 */
RINGO__API void ringo_once_do(struct ringo_once *o, void (*fn)(void *arg), void *arg);

/* One that is done is not called: a macro looks first. */
static inline void ringo__once_do(struct ringo_once *o, void (*fn)(void *arg), void *arg)
{
	/* order: acquire; pairs with the release in finish of once.c: what fn did */
	if (__builtin_expect(!__atomic_load_n(&o->ringo__done, __ATOMIC_ACQUIRE), 0))
		ringo_once_do(o, fn, arg);
}
#define ringo_once_do(o, fn, arg) ringo__once_do(o, fn, arg)

/* A counting semaphore. A zeroed one has 0 permits. */
struct ringo_sema {
	int64_t ringo__permits;
	uint32_t ringo__lock, ringo__reserved0;
	void *ringo__head, *ringo__tail;
	uint64_t ringo__reserved[2];
};

/* n permits, 0 to 2^62 - 1. Nobody may be using it. Any thread. */
RINGO__API void ringo_sema_init(struct ringo_sema *s, int64_t n);
/*
 * Take n permits at once (n = 0 waits only for its turn). Waits behind those that wait already, whatever
 * they want, so no request is overtaken. Obeys the context. 0, -ECANCELED, -ETIMEDOUT, -ENOMEM, -EINVAL
 * (n < 0); where it would wait outside a goroutine -EPERM, and -ESRCH without a runtime.
 */
RINGO__API RINGO__MUST int ringo_sema_acquire(struct ringo_sema *s, int64_t n);
/* 0, or -EAGAIN when it would have to wait, -EINVAL. Any thread; never waits. */
RINGO__API RINGO__MUST int ringo_sema_try_acquire(struct ringo_sema *s, int64_t n);
/* Give n permits, which need not have been taken before. Any thread; never waits. */
RINGO__API void ringo_sema_release(struct ringo_sema *s, int64_t n);

struct ringo_waitgroup {
	int64_t ringo__count;
	uint32_t ringo__lock, ringo__reserved0;
	void *ringo__head, *ringo__tail;
};

/*
 * Add n (may be negative) to the counter, 0 to 2^31 - 1; at 0 all waiters go on. An add that lifts it from 0
 * must come before the wait that is to wait for it, and in the next use after all waits of this one have
 * returned; else such a wait may last into the next use. Any thread; never waits.
 */
RINGO__API void ringo_waitgroup_add(struct ringo_waitgroup *w, int64_t n);
/* Add -1. */
RINGO__API void ringo_waitgroup_done(struct ringo_waitgroup *w);
/* Wait until the counter is 0, as long as it takes. Outside a goroutine it must be 0. */
RINGO__API void ringo_waitgroup_wait(struct ringo_waitgroup *w);
/*
 * As ringo_waitgroup_wait, but obeys the context: 0, -ECANCELED, -ETIMEDOUT, -ENOMEM; where it would wait
 * outside a goroutine -EPERM, and -ESRCH without a runtime.
 */
RINGO__API RINGO__MUST int ringo_waitgroup_wait_ctx(struct ringo_waitgroup *w);

RINGO__C_END

#endif
