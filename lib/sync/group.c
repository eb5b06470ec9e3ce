// SPDX-License-Identifier: MIT
/*
 * Groups: a count of running children, a context for them, and the first error.
 *
 * Under the lock: children that run or have a place (running), who waits for a place (slots, first come
 * first served) and who waits for the end. A child that ends hands its place to the first who waits for one.
 * The group may be gone as soon as the last child has woken those who wait for the end, so a child's error
 * ends the context before the child is counted off.
 *
 * Children and waiters end with their run, and lie on stacks that are gone: a group knows the run of its own.
 * While a run ends, who is no goroutine wakes nobody.
 */
#include <errno.h>
#include <ringo/context.h>
#include <ringo/group.h>
#include <ringo/panic.h>

#include "base/lock.h"
#include "base/log.h"
#include "core/gate.h"
#include "core/park.h"
#include "core/rt.h"
#include "core/scan.h"
#include "core/scope.h"
#include "core/stack.h"
#include "sync/waker.h"

_Static_assert(sizeof(struct rg_waitq) == sizeof(((struct ringo_group *)0)->ringo__slots), "the public size");

static struct rg_waitq *slots(struct ringo_group *g)
{
	return (struct rg_waitq *)(void *)g->ringo__slots;
}

RG_API void ringo_group_init(struct ringo_group *g, struct ringo_ctx *parent)
{
	*g = (struct ringo_group){ .ringo__parent = parent ? parent : ringo_ctx_current() };
}

/* The context of this use. It is made outside the lock, so perhaps twice. */
RG_API struct ringo_ctx *ringo_group_ctx(struct ringo_group *g)
{
	/* order: acquire; pairs with the CAS: what it points to */
	struct ringo_ctx *c = rg_load_acquire(&g->ringo__ctx);

	if (c)
		return c;
	c = ringo_ctx_with_cancel(g->ringo__parent);
	/* order: full; pairs with the acquire above: the first one is taken */
	if (rg_cas_full(&g->ringo__ctx, NULL, c))
		return c;
	ringo_ctx_unref(c);
	return rg_load_acquire(&g->ringo__ctx); /* order: acquire; as above */
}

/* Under the lock, first. */
static void freshen(struct ringo_group *g)
{
	uint32_t run = rg_load_relaxed(&rt.runs);

	if (g->ringo__run == run)
		return;
	g->ringo__run = run;
	g->ringo__running = 0;
	*slots(g) = (struct rg_waitq){ 0 };
	g->ringo__waiters = NULL;
}

/* Under the lock: hand places to those who wait for one. */
static struct rg_waiter *hand_over(struct ringo_group *g)
{
	struct rg_waiter *all = NULL, **tail = &all;

	while ((!g->ringo__limit || g->ringo__running < g->ringo__limit) && rg_chain_pop(slots(g), &tail))
		g->ringo__running++;
	return all;
}

RG_API void ringo_group_limit(struct ringo_group *g, int n)
{
	struct rg_waiter *woken;
	struct m *m;
	bool up = rg_waker_enter(&m);

	rg_lock(&g->ringo__lock);
	freshen(g);
	g->ringo__limit = n > 0 ? (uint32_t)n : 0;
	woken = up ? hand_over(g) : NULL;
	rg_unlock(&g->ringo__lock);
	rg_chain_ready(m, woken);
	if (up)
		rg_waker_leave(m);
}

/* A child is over, or its place was not used. */
static void give_back(struct ringo_group *g)
{
	struct rg_waiter *places, *waiters = NULL;
	struct m *m;
	bool up = rg_waker_enter(&m);

	rg_lock(&g->ringo__lock);
	g->ringo__running--;
	places = up ? hand_over(g) : NULL;
	if (up && !g->ringo__running) {
		waiters = g->ringo__waiters;
		g->ringo__waiters = NULL;
	}
	rg_unlock(&g->ringo__lock);
	rg_chain_ready(m, places);
	rg_chain_ready(m, waiters);
	if (up)
		rg_waker_leave(m);
}

static void failed(struct ringo_group *g, int res)
{
	/* order: full; pairs with itself: the first error is kept */
	if (rg_cas_full(&g->ringo__err, 0, res))
		ringo_ctx_cancel(ringo_group_ctx(g), res < 0 ? res : 0);
}

static void child(struct ringo_group *g, int (*fn)(void *), void *arg)
{
	int res;

	rg_m()->cur->fn = (void (*)(void *))(void (*)(void))fn; /* which reports name */
	ringo_defer(give_back, g);
	res = fn(arg);
	if (res)
		failed(g, res);
}

/* Under the lock, which is dropped: wait for a place, and for it to be handed over. */
static int wait_for_place(struct m *m, struct ringo_group *g)
{
	struct rg_waiter w = { .g = m->cur };
	int timed = rg_wait_begin(m, m->cur);
	int res;

	if (timed < 0) {
		rg_unlock(&g->ringo__lock);
		return timed;
	}
	w.claim = timed;
	rg_waitq_push(slots(g), &w);
	res = (int)rg_park(m, RG_WHY_GROUP, g, rg_post_unlock, &g->ringo__lock);
	if (w.queued) {
		rg_lock(&g->ringo__lock);
		rg_waitq_remove(slots(g), &w);
		rg_unlock(&g->ringo__lock);
	}
	return res;
}

static int take_place(struct m *m, struct ringo_group *g, bool may_wait)
{
	rg_lock(&g->ringo__lock);
	freshen(g);
	if (!g->ringo__limit || g->ringo__running < g->ringo__limit) {
		g->ringo__running++;
		rg_unlock(&g->ringo__lock);
		return 0;
	}
	if (may_wait && m)
		return wait_for_place(m, g);
	rg_unlock(&g->ringo__lock);
	return may_wait ? -EPERM : -EAGAIN;
}

static int go(struct ringo_group *g, int (*fn)(void *), void *arg, bool may_wait, void *pc)
{
	const uintptr_t words[] = { (uintptr_t)g, (uintptr_t)fn, (uintptr_t)arg };
	struct rg_spawn s = { .fn = (void (*)(void *))(void (*)(void))child, .words = words, .nwords = 3,
			      .is_words = true, .stack_class = RG_STACK_DEFAULT, .pc = pc, .own_scope = true };
	struct m *m;
	bool taken;
	int err;

	rg_store_relaxed(&rg_wrapper, s.fn);
	s.scope = (struct rg_scope *)ringo_group_ctx(g);
	m = may_wait ? rg_enter_w() : rg_enter();
	err = m ? 0 : rg_foreign_enter();
	if (err)
		return err;
	err = take_place(m, g, may_wait);
	if (m)
		m = rg_m();
	taken = !err;
	if (taken)
		err = rg_spawn(m, &s);
	if (m)
		rg_leave(m);
	else
		rg_foreign_leave();
	if (taken && err)
		give_back(g);
	return err;
}

RG_API int ringo_group_go(struct ringo_group *g, int (*fn)(void *), void *arg)
{
	return go(g, fn, arg, true, __builtin_return_address(0));
}

RG_API int ringo_group_try_go(struct ringo_group *g, int (*fn)(void *), void *arg)
{
	return go(g, fn, arg, false, __builtin_return_address(0));
}

/* Nobody runs any more: take the result, and make the group as new. */
static int finish(struct ringo_group *g)
{
	struct ringo_ctx *c = g->ringo__ctx;
	int err = g->ringo__err;

	g->ringo__ctx = NULL;
	g->ringo__err = 0;
	if (c)
		ringo_ctx_cancel(c, 0);
	ringo_ctx_unref(c);
	return err;
}

RG_API int ringo_group_wait(struct ringo_group *g)
{
	struct m *m = rg_enter_w();
	struct rg_waiter w = { 0 };

	rg_lock(&g->ringo__lock);
	freshen(g);
	if (!g->ringo__running) {
		rg_unlock(&g->ringo__lock);
		if (m)
			rg_leave(m);
		return finish(g);
	}
	if (!m) {
		rg_unlock(&g->ringo__lock);
		return -EPERM;
	}
	w.g = m->cur;
	w.next = g->ringo__waiters;
	/* cppcheck-suppress autoVariables ; we park until it is taken off */
	g->ringo__waiters = &w;
	rg_park(m, RG_WHY_GROUP, g, rg_post_unlock, &g->ringo__lock);
	rg_leave(rg_m());
	return finish(g);
}
