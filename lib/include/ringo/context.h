/* SPDX-License-Identifier: MIT */
/*
 * Contexts: a tree that carries cancellation, deadlines and values down to the goroutines that run under
 * it. Each goroutine runs under one, its ambient context, inherited at spawn. When that is over, every call
 * that waits returns -ECANCELED or -ETIMEDOUT, also one that is waiting at that moment, ring operations
 * included; a result that had arrived is returned, not dropped. What ignores cancellation on purpose: locks
 * of mutexes and rwmutexes, ringo_waitgroup_wait, ringo_group_wait, ringo_once_do, ringo_close, the re-lock
 * of ringo_cond_wait, a job of ringo_blocking that has started, and defers.
 *
 * Reference counted: whoever makes one owns a reference. NULL as parent or argument means the ambient one;
 * on a thread that is no goroutine, the background. All calls but ringo_ctx_wait never wait and may be made
 * by any thread.
 */
#ifndef RINGO_CONTEXT_H
#define RINGO_CONTEXT_H

#include <ringo/base.h>

RINGO__C_BEGIN

struct ringo_ctx;

/* Never over; immortal. */
RINGO__API struct ringo_ctx *ringo_ctx_background(void);
/* The ambient one, borrowed: valid while the goroutine runs under it. */
RINGO__API struct ringo_ctx *ringo_ctx_current(void);

/*
 * A child with one reference. Never NULL: what is lacking gives a context that is over, with the cause
 * -ENOMEM, -EAGAIN (the limit of goroutines: a deadline needs the place of one) or -ESRCH (a deadline, and
 * no runtime). One whose time has come is over at once. The run in which a deadline was set keeps it: a
 * context that outlives that run does not end by time any more.
 */
RINGO__API struct ringo_ctx *ringo_ctx_with_cancel(struct ringo_ctx *parent);
RINGO__API struct ringo_ctx *ringo_ctx_with_timeout(struct ringo_ctx *parent, int64_t ns);
RINGO__API struct ringo_ctx *ringo_ctx_with_deadline(struct ringo_ctx *parent, int64_t abs_ns);
/* key is compared as a pointer. free_fn(value), if any, is called when the last reference has gone. */
RINGO__API struct ringo_ctx *ringo_ctx_with_value(struct ringo_ctx *parent, const void *key, void *value,
						  void (*free_fn)(void *value));
/*
 * Over when the signal comes, with the cause -EINTR; at once, with the error of ringo_signal_notify as its
 * cause, when that fails. The subscription ends with the context: cancel it when done.
 */
RINGO__API struct ringo_ctx *ringo_ctx_with_signal(struct ringo_ctx *parent, int signo);

/*
 * End the context and all below it. cause: 0, or -errno to be found by ringo_ctx_cause. Only the first
 * end counts. The background cannot be cancelled.
 *
 * When it returns the context is over, and those that were below it are, from the top down. Only if another call,
 * time or a signal was about to end it at the same moment, that one may still be on its way down.
 */
RINGO__API void ringo_ctx_cancel(struct ringo_ctx *c, int cause);

/* 0, -ECANCELED, or -ETIMEDOUT when its deadline has ended it. */
RINGO__API int ringo_ctx_err(struct ringo_ctx *c);
/* 0 while not over; then the cause given to the cancel that ended it, or as ringo_ctx_err. */
RINGO__API int ringo_ctx_cause(struct ringo_ctx *c);
/* The value of the nearest context upwards that has key; NULL. */
RINGO__API void *ringo_ctx_value(struct ringo_ctx *c, const void *key);
/* The earliest deadline of it and those above, absolute CLOCK_MONOTONIC nanoseconds; 0 none. */
RINGO__API int64_t ringo_ctx_deadline(struct ringo_ctx *c);

/*
 * Wait until the context is over: 0; or -ECANCELED, -ETIMEDOUT when the ambient context or deadline was
 * over first; -EPERM, -ESRCH, -ENOMEM. Waits.
 */
RINGO__API RINGO__MUST int ringo_ctx_wait(struct ringo_ctx *c);

struct ringo_ctx_hook {
	uint64_t ringo__reserved[8];
};

/*
 * When the context is over, start fn(arg) in a goroutine of its own, under the background context: now,
 * if it is over already. The place for that goroutine is taken here, so it cannot fail later. The hook
 * must stay where it is, and the caller hold a reference to the context, until fn runs or the hook is
 * stopped. 0, -EAGAIN (limit of goroutines), -ESRCH.
 */
RINGO__API int ringo_ctx_after_func(struct ringo_ctx *c, struct ringo_ctx_hook *hook, void (*fn)(void *),
				    void *arg);
/* 1: fn will not be called. 0: it has been started, or the hook was not hung up. */
RINGO__API int ringo_ctx_hook_stop(struct ringo_ctx_hook *hook);

/* Take or drop a reference. NULL is ignored here. */
RINGO__API struct ringo_ctx *ringo_ctx_ref(struct ringo_ctx *c);
RINGO__API void ringo_ctx_unref(struct ringo_ctx *c);

/*
 * Make c the ambient context of the calling goroutine; takes a reference of its own. Returns the former
 * one with a reference, to be entered again and dropped. Outside a goroutine: no effect, the background.
 */
RINGO__API struct ringo_ctx *ringo_ctx_enter(struct ringo_ctx *c);

RINGO__C_END

#endif
