// SPDX-License-Identifier: MIT
/* Parking and readying: see park.h for the protocol. */
#include "core/park.h"

#include <errno.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/usdt.h"
#include "core/event.h"
#include "core/rt.h"
#include "core/runq.h"
#include "core/sched.h"
#include "core/scope.h"
#include "core/timer.h"

int64_t rg_park(struct m *m, enum rg_reason why, const void *on, void (*post)(struct m *, void *),
		void *arg)
{
	struct g *g = m->cur;

	RG_USDT(g__park, g, why, on);
	g->reason = (uint8_t)why;
	if (likely(m->p != NULL))
		g->since = m->p->since;
	g->wait_on = on;
	m->post = post;
	m->post_arg = arg;
	rg_store_relaxed(&g->state, why == RG_WHY_IO || why == RG_WHY_POOL ? RG_SYSCALL : RG_WAITING);
	rg_switch_away(m, g);
	return g->wait_res;
}

void rg_post_unlock(struct m *m, void *lock)
{
	(void)m;
	rg_unlock(lock);
}

static inline void ready(struct m *m, struct g *g, int64_t res)
{
	rg_store_relaxed(&g->wait_res, res); /* over wait_on, which scan.c may be reading */
	rg_ready_fresh(m, g);
}

/* Apart, so that the other way needs no frame. */
static RG_NOINLINE void ready_with_event(struct m *m, struct g *g, int64_t res)
{
	rg_event(m, RINGO_EVENT_READY, g, (uint64_t)res, 0);
	ready(m, g, res);
}

void rg_ready(struct m *m, struct g *g, int64_t res)
{
	RG_USDT(g__ready, g, res);
	if (unlikely(rg_is_wanted(events)))
		ready_with_event(m, g, res);
	else
		ready(m, g, res);
}

void rg_ready_fresh(struct m *m, struct g *g)
{
	rg_store_relaxed(&g->state, RG_RUNNABLE);
	if (unlikely(!m || !m->p)) {
		rg_global_put(g);
		rg_wake_if_needed(NULL);
		return;
	}
	if (!m->cur) {
		/* In the scheduler: completions keep their order, and it sees to the rest once it has chosen. */
		rg_runq_put(m->p, g);
		return;
	}
	/* What a running G wakes runs next, with warm caches. */
	rg_runq_put_next(m->p, g);
	rg_wake_if_needed(m);
}

void rg_off_stack(const struct g *g)
{
	unsigned n = 0;

	/* order: acquire; pairs with the release in do_post of sched.c */
	while (rg_load_acquire(&g->trim) == RG_TRIM_ONSTACK)
		rg_pause(n++);
}

int rg_ambient_err(const struct g *g)
{
	int err = rg_scope_err(g->scope);

	if (err)
		return err;
	return g->deadline && g->deadline <= rg_now() ? -ETIMEDOUT : 0;
}

/* Set the timer that ends this wait of kind at until, which may be never. */
static int arm(struct m *m, struct g *g, enum rg_wait_kind kind, int64_t until)
{
	rg_store_relaxed(&g->wait_until, until);
	rg_store_relaxed(&g->wait_kind, kind);
	return until == INT64_MAX ? 0 : rg_timer_arm(m, g);
}

/*
 * Make the wait known. Under a scope: -ECANCELED or -ETIMEDOUT if it has ended meanwhile, unless whoever
 * ended it has won the G already and will ready it.
 */
static int publish(struct g *g)
{
	uint32_t wake = rg_load_relaxed(&g->wake) + 1;
	int err;

	if (!g->scope) {
		rg_store_release(&g->wake, wake); /* order: release; pairs with the acquire in entry_due of timer.c */
		return 0;
	}
	rg_xchg_full(&g->wake, wake); /* order: full; pairs with the fence in cancel_one of scope.c */
	err = rg_scope_err(g->scope);
	if (likely(!err))
		return 0;
	/* order: full; pairs with the CAS of take_g: one of us has it */
	return rg_cas_full(&g->wake, wake, wake + 1) ? err : 0;
}

static int begin(struct m *m, struct g *g, enum rg_wait_kind kind, int64_t until, bool always)
{
	int err;

	if (g->deadline || g->scope) {
		err = rg_ambient_err(g);
		if (err)
			return err;
		if (g->deadline)
			until = rg_min(until, g->deadline);
		if (g->scope)
			rg_scope_join(m, g);
	}
	if (until == INT64_MAX && !g->scope && !always)
		return 0;
	err = arm(m, g, kind, until);
	if (!err)
		err = publish(g);
	return err ? err : 1;
}

int rg_wait_begin_until(struct m *m, struct g *g, int64_t until)
{
	return begin(m, g, RG_WAIT_CLAIM, until, false);
}

int rg_wait_begin(struct m *m, struct g *g)
{
	return begin(m, g, RG_WAIT_CLAIM, INT64_MAX, false);
}

int rg_wait_begin_any(struct m *m, struct g *g, int64_t until)
{
	return begin(m, g, RG_WAIT_CLAIM, until, true);
}

int rg_wait_begin_op(struct m *m, struct g *g)
{
	int res;

	rg_store_relaxed(&g->op_home, (uint16_t)m->p->id);
	res = begin(m, g, RG_WAIT_OP, INT64_MAX, false);
	return rg_min(res, 0);
}
