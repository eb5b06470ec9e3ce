// SPDX-License-Identifier: MIT
/*
 * Timers for users: functions, channels, tickers. All are reserved Gs (core/reserve.h) that time has.
 *
 * A timer's G becomes the goroutine that runs fn. after and ticker need none: their time calls, in the
 * scheduler, what sends to a channel that has room. A ticker's call sets its G again, so it is the same one for
 * ever; the lock decides between that and ringo_ticker_free.
 *
 * The scheduler frees nothing, because whoever holds a lock of malloc's may have to wait for its turn in the lane.
 * If the call has the last reference its G becomes a goroutine that frees.
 */
#include <errno.h>
#include <ringo/chan.h>
#include <ringo/time.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/lock.h"
#include "core/gate.h"
#include "core/park.h"
#include "core/reserve.h"
#include "core/rt.h"
#include "core/timer.h"
#include "sync/chan.h"
#include "sync/waker.h"

/* ---- a function ---- */

static struct g *timer_g(const struct ringo_timer *t)
{
	return rg_g_at(t->ringo__g - 1);
}

/* Under its lock: true if it was set and had not fired. Then its G is ours. */
static bool take(struct ringo_timer *t)
{
	return t->ringo__g && t->ringo__run == rg_load_relaxed(&rt.runs) &&
	       rg_reserved_take(timer_g(t), t->ringo__gen, t->ringo__ticket);
}

/* Under its lock. */
static int set(struct m *m, struct ringo_timer *t, int64_t ns, void *pc)
{
	struct g *g = rg_reserved_new(m, t->ringo__fn, t->ringo__arg, pc);
	int err;

	if (!g)
		return -EAGAIN;
	t->ringo__g = rg_g_index(g) + 1;
	t->ringo__gen = g->gen;
	t->ringo__run = rt.runs;
	err = rg_reserved_at(m, g, RG_WAIT_START, rg_time_add(rg_now(), rg_max(ns, INT64_C(0))),
			     &t->ringo__ticket);
	if (err) {
		t->ringo__g = 0;
		rg_reserved_free(m, g);
	}
	return err;
}

/* fn: NULL to start the former one again, and to be told whether it was set. */
static int start(struct ringo_timer *t, int64_t ns, void (*fn)(void *), void *arg, void *pc)
{
	struct m *m;
	bool was;
	int err;

	if (!rg_waker_enter(&m))
		return -ESRCH;
	rg_lock(&t->ringo__lock);
	was = take(t);
	if (was)
		rg_reserved_free(m, timer_g(t));
	t->ringo__g = 0;
	if (fn) {
		t->ringo__fn = fn;
		t->ringo__arg = arg;
	}
	err = set(m, t, ns, pc);
	rg_unlock(&t->ringo__lock);
	rg_waker_leave(m);
	return err ? err : !fn && was;
}

RG_API int ringo_timer_start(struct ringo_timer *t, int64_t ns, void (*fn)(void *), void *arg)
{
	if (!fn)
		return -EINVAL;
	return start(t, ns, fn, arg, __builtin_return_address(0));
}

RG_API int ringo_timer_reset(struct ringo_timer *t, int64_t ns)
{
	if (!t->ringo__fn)
		return -EINVAL;
	return start(t, ns, NULL, NULL, __builtin_return_address(0));
}

RG_API int ringo_timer_stop(struct ringo_timer *t)
{
	struct m *m;
	bool was;

	if (!rg_waker_enter(&m))
		return 0; /* all ended with the run */
	rg_lock(&t->ringo__lock);
	was = take(t);
	if (was) {
		rg_reserved_free(m, timer_g(t));
		t->ringo__g = 0;
	}
	rg_unlock(&t->ringo__lock);
	rg_waker_leave(m);
	return was;
}

RG_API int ringo_timer_stop_wait(struct ringo_timer *t)
{
	struct m *m;
	uint32_t g, gen;
	bool was;
	int err;

	if (!rg_waker_enter(&m))
		return 0;
	rg_lock(&t->ringo__lock);
	was = take(t);
	g = t->ringo__g;
	gen = t->ringo__gen;
	if (was)
		rg_reserved_free(m, timer_g(t));
	t->ringo__g = 0;
	rg_unlock(&t->ringo__lock);
	err = was;
	if (!was && g && t->ringo__run == rt.runs && rg_reserved_lives(rg_g_at(g - 1), gen)) {
		if (m) {
			rg_reserved_join(m, rg_g_at(g - 1), gen);
			m = rg_m();
		} else {
			err = -EPERM;
		}
	}
	rg_waker_leave(m);
	return err;
}

/* ---- channels ---- */

/* In the scheduler: send the time, if there is room. */
static void offer(struct m *m, struct ringo_chan *c, int64_t now)
{
	struct g *woken = NULL;

	rg_lock(&c->lock);
	rg_chan_send_now(c, &now, &woken);
	rg_unlock(&c->lock);
	if (woken)
		rg_ready(m, woken, 1);
}

static void let_go(void *chan)
{
	ringo_chan_unref(chan);
}

/* A reserved G whose time has come, as a goroutine. */
static void start_late(struct m *m, struct g *g, void (*fn)(void *), void *arg)
{
	rg_store_relaxed(&g->args[0], (uintptr_t)arg);
	g->fn = fn;
	g->flags |= RG_G_DAEMON;
	rg_reserved_start(m, g);
}

/* What g->wait_on is to a G of ringo_after: its channel. */
static struct ringo_chan *after_chan(const struct g *g)
{
	return (struct ringo_chan *)g->wait_on;
}

static void after_fire(void *arg)
{
	struct g *g = arg;
	struct ringo_chan *c = after_chan(g);
	struct m *m = rg_m();

	offer(m, c, rg_now());
	if (rg_chan_unref_shared(c))
		rg_reserved_free(m, g);
	else
		start_late(m, g, let_go, c);
}

struct ringo_ticker {
	uint32_t lock;
	bool stopped;
	struct ringo_chan *c;
	int64_t period, next;
	struct g *g;
	uint32_t gen, ticket;
	uint32_t run; /* rt.runs when it was made */
};

static void ticker_destroy(void *ticker)
{
	struct ringo_ticker *t = ticker;

	ringo_chan_unref(t->c);
	free(t);
}

/* The end of a run: those that have not fired never will, and those started late have not begun. */
static int after_end(int64_t deadline)
{
	(void)deadline;
	for (uint32_t i = 0, n = rg_g_used(); i < n; i++) {
		struct g *g = rg_g_at(i);
		uint32_t state = rg_load_relaxed(&g->state);

		if (state == RG_RESERVED && g->fn == after_fire)
			ringo_chan_unref(after_chan(g));
		else if (state == RG_RUNNABLE && !g->slot && (g->fn == let_go || g->fn == ticker_destroy))
			g->fn((void *)g->args[0]);
	}
	return 0;
}

static void hook_once(void)
{
	static struct rg_exit_hook hook = { .fn = after_end };
	static uint32_t done;

	if (!rg_xchg_full(&done, 1)) /* order: full; pairs with itself: once */
		rg_at_exit(&hook);
}

RG_API struct ringo_chan *ringo_after(int64_t ns)
{
	struct ringo_chan *c = ringo_chan_new(sizeof(int64_t), 1);
	uint32_t ticket;
	struct m *m;
	struct g *g;

	if (!c || !rg_waker_enter(&m))
		goto fail;
	hook_once();
	g = rg_reserved_new(m, after_fire, NULL, (void *)after_fire);
	if (!g)
		goto fail_leave;
	rg_store_relaxed(&g->args[0], (uintptr_t)g);
	rg_store_relaxed(&g->wait_on, ringo_chan_ref(c));
	if (rg_reserved_at(m, g, RG_WAIT_CALL, rg_time_add(rg_now(), rg_max(ns, INT64_C(0))), &ticket))
		goto fail_g;
	rg_waker_leave(m);
	return c;

fail_g:
	rg_reserved_free(m, g);
	rg_chan_unref_shared(c);
fail_leave:
	rg_waker_leave(m);
fail:
	ringo_chan_unref(c);
	return NULL;
}

static void tick(void *arg)
{
	struct ringo_ticker *t = arg;
	struct m *m = rg_m();
	int64_t now = rg_now();

	rg_lock(&t->lock);
	if (t->stopped) {
		rg_unlock(&t->lock);
		start_late(m, t->g, ticker_destroy, t);
		return;
	}
	offer(m, t->c, now);
	/* Ticks that were missed are left out, and the rhythm is kept. */
	t->next = rg_time_add(t->next, t->period);
	if (t->next <= now)
		t->next = rg_time_add(t->next, (now - t->next) / t->period * t->period + t->period);
	/* There is room: its entry was just taken out. */
	rg_reserved_at(m, t->g, RG_WAIT_CALL, t->next, &t->ticket);
	rg_unlock(&t->lock);
}

RG_API struct ringo_ticker *ringo_ticker_new(int64_t ns)
{
	struct ringo_ticker *t = ns > 0 ? calloc(1, sizeof(*t)) : NULL;
	struct m *m;
	int err;

	if (!t)
		return NULL;
	t->c = ringo_chan_new(sizeof(int64_t), 1);
	t->period = ns;
	if (!rg_waker_enter(&m))
		goto fail;
	if (!t->c)
		goto fail_leave;
	hook_once();
	t->next = rg_time_add(rg_now(), ns);
	t->g = rg_reserved_new(m, tick, t, (void *)tick);
	if (!t->g)
		goto fail_leave;
	t->gen = t->g->gen;
	t->run = rt.runs;
	rg_lock(&t->lock); /* it may fire before its ticket is known */
	err = rg_reserved_at(m, t->g, RG_WAIT_CALL, t->next, &t->ticket);
	rg_unlock(&t->lock);
	if (err)
		goto fail_g;
	rg_waker_leave(m);
	return t;

fail_g:
	rg_reserved_free(m, t->g);
fail_leave:
	rg_waker_leave(m);
fail:
	ringo_chan_unref(t->c);
	free(t);
	return NULL;
}

RG_API struct ringo_chan *ringo_ticker_chan(struct ringo_ticker *t)
{
	return t->c;
}

RG_API void ringo_ticker_free(struct ringo_ticker *t)
{
	struct m *m;
	bool is_old, taken;

	if (!t)
		return;
	if (!rg_waker_enter(&m)) {
		rg_timers_await_end(t->run);
		ticker_destroy(t);
		return;
	}
	rg_lock(&t->lock);
	t->stopped = true;
	is_old = t->run != rt.runs;
	taken = !is_old && rg_reserved_take(t->g, t->gen, t->ticket);
	rg_unlock(&t->lock); /* now it may be gone, unless it is ours: tick is about to find it stopped */
	if (taken)
		rg_reserved_free(m, t->g);
	rg_waker_leave(m);
	if (taken || is_old)
		ticker_destroy(t);
}
