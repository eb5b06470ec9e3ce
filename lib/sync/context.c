// SPDX-License-Identifier: MIT
/*
 * Contexts: what users see of scopes (core/scope.c), with deadlines and values.
 *
 * A deadline is a reserved G whose time calls expire() in the scheduler. It holds no reference: the last
 * user's drop takes it back from time. If time has it already, the drop waits until expire has done with
 * the context, which is soon: expire runs to its end on its M.
 *
 * Contexts outlive runs, their timers do not: run tells which one it was.
 *
 * A context without own deadline, or with one no earlier than its parent's, sets no timer: the parent's end
 * is its end.
 */
#include <errno.h>
#include <ringo/context.h>
#include <ringo/go.h>
#include <ringo/time.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "core/base.h"
#include "core/gate.h"
#include "core/panic.h"
#include "core/park.h"
#include "core/reserve.h"
#include "core/rt.h"
#include "core/scope.h"
#include "core/timer.h"
#include "sync/waker.h"

struct ringo_ctx {
	struct rg_scope scope; /* first: a scope is its context */
	int64_t deadline;      /* the earliest of it and those above; 0 none */
	const void *key;
	void *value;
	void (*free_fn)(void *);

	struct g *timer;       /* NULL: none */
	uint32_t gen, ticket;
	uint32_t run;          /* rt.runs when it was set */
	uint32_t expired;      /* expire has done with us */
};

struct hook {
	struct rg_node node;
};

_Static_assert(sizeof(struct hook) <= sizeof(struct ringo_ctx_hook), "the public size is fixed");

#define IMMORTAL (1u << 31)

static struct ringo_ctx background = { .scope.refs = IMMORTAL };

/* What is returned for want of something, by cause. */
static struct ringo_ctx lacking[] = {
	{ .scope = { .refs = IMMORTAL, .err = -ECANCELED, .cause = -ENOMEM } },
	{ .scope = { .refs = IMMORTAL, .err = -ECANCELED, .cause = -EAGAIN } },
	{ .scope = { .refs = IMMORTAL, .err = -ECANCELED, .cause = -ESRCH } },
};

static struct ringo_ctx *lack(int cause)
{
	for (unsigned i = 0; i < RG_ARRAY_SIZE(lacking); i++)
		if (lacking[i].scope.cause == cause)
			return ringo_ctx_ref(&lacking[i]);
	return ringo_ctx_ref(&lacking[0]);
}

static struct ringo_ctx *ambient(void)
{
	struct m *m = (struct m *)rg_arch_self();

	/* Only the G itself changes it. */
	return m && m->cur && m->cur->scope ? (struct ringo_ctx *)m->cur->scope : &background;
}

static struct ringo_ctx *or_ambient(struct ringo_ctx *c)
{
	return c ? c : ambient();
}

/* No user is left. */
static void take_timer_back(struct m *m, struct ringo_ctx *c)
{
	unsigned n = 0;

	if (c->run != rg_load_relaxed(&rt.runs))
		return;
	if (rg_reserved_take(c->timer, c->gen, c->ticket)) {
		rg_reserved_free(m, c->timer);
		return;
	}
	while (!rg_load_acquire(&c->expired)) /* order: acquire; pairs with the release in expire */
		rg_pause(n++);
}

static void destroy(struct rg_scope *s)
{
	struct ringo_ctx *c = (struct ringo_ctx *)s;
	struct m *m;

	if (c->timer && rg_waker_enter(&m)) {
		take_timer_back(m, c);
		rg_waker_leave(m);
	} else if (c->timer) {
		rg_timers_await_end(c->run);
	}
	/* Now it is ours alone. */
	/* order: acquire; pairs with the release in run.c: at the end of a run all is forgotten */
	if (s->nodes && s->run == rg_load_relaxed(&rt.runs) && rg_load_acquire(&rt.phase) == RG_UP)
		rg_fatal("the last reference of a context was dropped while a hook hangs on it, or somebody "
			 "waits for it: whoever does must hold a reference");
	if (c->free_fn)
		c->free_fn(c->value);
	free(c);
}

/* The time has come. In the scheduler. */
static void expire(void *arg)
{
	struct ringo_ctx *c = arg;
	struct m *m = rg_m();
	struct g *timer = c->timer;

	rg_scope_cancel(m, &c->scope, -ETIMEDOUT, -ETIMEDOUT);
	rg_store_release(&c->expired, 1); /* order: release; pairs with take_timer_back */
	rg_reserved_free(m, timer);
}

static struct ringo_ctx *child(struct ringo_ctx *parent)
{
	struct ringo_ctx *c = malloc(sizeof(*c)); /* calloc is slower: it does without malloc's cache */
	struct m *m;
	bool up;

	if (!c)
		return NULL;
	up = rg_waker_enter(&m);
	rg_scope_init(&c->scope, rg_scope_of(parent), destroy);
	if (up)
		rg_waker_leave(m);
	c->deadline = parent->deadline;
	c->key = NULL;
	c->free_fn = NULL;
	c->timer = NULL;
	c->expired = 0;
	return c;
}

RG_API struct ringo_ctx *ringo_ctx_background(void)
{
	return &background;
}

RG_API struct ringo_ctx *ringo_ctx_current(void)
{
	return ambient();
}

RG_API struct ringo_ctx *ringo_ctx_ref(struct ringo_ctx *c)
{
	if (c)
		rg_scope_ref(&c->scope);
	return c;
}

RG_API void ringo_ctx_unref(struct ringo_ctx *c)
{
	if (c)
		rg_scope_unref(&c->scope);
}

RG_API struct ringo_ctx *ringo_ctx_with_cancel(struct ringo_ctx *parent)
{
	struct ringo_ctx *c = child(or_ambient(parent));

	return c ? c : lack(-ENOMEM);
}

RG_API struct ringo_ctx *ringo_ctx_with_value(struct ringo_ctx *parent, const void *key, void *value,
					      void (*free_fn)(void *))
{
	struct ringo_ctx *c = child(or_ambient(parent));

	if (!c)
		return lack(-ENOMEM);
	c->key = key;
	c->value = value;
	c->free_fn = free_fn;
	return c;
}

/* Give c its own deadline. 0, or what is lacking. */
static int set_timer(struct m *m, struct ringo_ctx *c, int64_t when)
{
	int err;

	c->timer = rg_reserved_new(m, expire, c, (void *)expire);
	if (!c->timer)
		return -EAGAIN;
	c->gen = c->timer->gen;
	c->run = rt.runs;
	err = rg_reserved_at(m, c->timer, RG_WAIT_CALL, when, &c->ticket);
	if (err) {
		rg_reserved_free(m, c->timer);
		c->timer = NULL;
	}
	return err;
}

static struct ringo_ctx *with_deadline(struct ringo_ctx *parent, int64_t now, int64_t when)
{
	struct ringo_ctx *c = child(or_ambient(parent));
	struct m *m;
	int err = -ESRCH;
	bool up;

	if (!c)
		return lack(-ENOMEM);
	when = rg_max(when, INT64_C(1));
	if (c->deadline && c->deadline <= when)
		return c;
	c->deadline = when;
	up = rg_waker_enter(&m);
	if (when <= now) {
		rg_scope_cancel_outside(&c->scope, -ETIMEDOUT, -ETIMEDOUT); /* nobody knows it yet */
		err = 0;
	} else if (up) {
		err = when < INT64_MAX - 1 ? set_timer(m, c, when) : 0;
	}
	if (up)
		rg_waker_leave(m);
	if (!err)
		return c;
	ringo_ctx_unref(c);
	return lack(err);
}

RG_API struct ringo_ctx *ringo_ctx_with_deadline(struct ringo_ctx *parent, int64_t when)
{
	return with_deadline(parent, rg_now(), when);
}

RG_API struct ringo_ctx *ringo_ctx_with_timeout(struct ringo_ctx *parent, int64_t ns)
{
	int64_t now = rg_now();

	return with_deadline(parent, now, rg_time_add(now, ns));
}

RG_API void ringo_ctx_cancel(struct ringo_ctx *c, int cause)
{
	struct m *m;

	c = or_ambient(c);
	if (!c->scope.free)
		return;
	if (!rg_waker_enter(&m)) {
		rg_scope_cancel_outside(&c->scope, -ECANCELED, cause);
		return;
	}
	rg_scope_cancel(m, &c->scope, -ECANCELED, cause);
	rg_waker_leave(m);
}

RG_API int ringo_ctx_err(struct ringo_ctx *c)
{
	return rg_scope_err(&or_ambient(c)->scope);
}

RG_API int ringo_ctx_cause(struct ringo_ctx *c)
{
	int err;

	c = or_ambient(c);
	err = rg_scope_err(&c->scope);
	return err && c->scope.cause ? c->scope.cause : err;
}

RG_API void *ringo_ctx_value(struct ringo_ctx *c, const void *key)
{
	const struct rg_scope *s = rg_scope_of(or_ambient(c));

	for (; s; s = s->parent) {
		const struct ringo_ctx *at = (const struct ringo_ctx *)s;

		if (at->key == key && key)
			return at->value;
	}
	return NULL;
}

RG_API int64_t ringo_ctx_deadline(struct ringo_ctx *c)
{
	return or_ambient(c)->deadline;
}

RG_API int ringo_ctx_wait(struct ringo_ctx *c)
{
	int err;
	struct m *m = rg_enter_g(&err);

	if (!m)
		return err;
	err = rg_scope_wait(m, rg_scope_of(or_ambient(c)));
	rg_leave(rg_m());
	return err;
}

RG_API int ringo_ctx_after_func(struct ringo_ctx *c, struct ringo_ctx_hook *hook, void (*fn)(void *), void *arg)
{
	struct hook *h = (struct hook *)hook;
	struct rg_scope *s = rg_scope_of(or_ambient(c));
	struct m *m;
	struct g *g;

	*h = (struct hook){ .node.kind = RG_NODE_HOOK };
	if (!fn)
		return -EINVAL;
	if (!s)
		return 0; /* the background is never over */
	if (!rg_waker_enter(&m))
		return -ESRCH;
	g = rg_reserved_new(m, fn, arg, __builtin_return_address(0));
	h->node.g = g;
	if (g && !rg_scope_add(s, &h->node))
		rg_reserved_start(m, g);
	rg_waker_leave(m);
	return g ? 0 : -EAGAIN;
}

RG_API int ringo_ctx_hook_stop(struct ringo_ctx_hook *hook)
{
	struct hook *h = (struct hook *)hook;
	struct m *m;
	bool up, was;

	/* The context may have gone with what fn dropped. */
	/* order: acquire; pairs with the release in take of scope.c: nobody uses *hook any more */
	if (rg_load_acquire(&h->node.where) != RG_NODE_LISTED)
		return 0;
	up = rg_waker_enter(&m);
	was = rg_scope_remove(&h->node);
	if (was && up)
		rg_reserved_free(m, h->node.g);
	if (up)
		rg_waker_leave(m);
	return was;
}

RG_API struct ringo_ctx *ringo_ctx_enter(struct ringo_ctx *c)
{
	struct m *m = rg_enter();
	struct rg_scope *former;

	if (!m)
		return &background;
	former = rg_scope_now(m->cur);
	if (c && rg_scope_of(c) != former) {
		rg_scope_remove(&rg_base(m->cur)->node);
		rg_scope_ref(rg_scope_of(c));
		rg_scope_set(m->cur, rg_scope_of(c));
	} else {
		rg_scope_ref(former);
	}
	rg_leave(m);
	return former ? (struct ringo_ctx *)former : &background;
}
