// SPDX-License-Identifier: MIT
/* Parking and readying: see park.h for the protocol. */
#include "core/park.h"

#include <errno.h>

#include "base/clock.h"
#include "base/lock.h"
#include "core/rt.h"
#include "core/runq.h"
#include "core/sched.h"
#include "core/timer.h"

int64_t rg_park(struct m *m, enum rg_reason why, void (*post)(struct m *, void *), void *arg)
{
	struct g *g = m->cur;

	g->reason = (uint8_t)why;
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

void rg_ready(struct m *m, struct g *g, int64_t res)
{
	g->wait_res = res;
	rg_store_relaxed(&g->state, RG_RUNNABLE);
	if (!m) {
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

int rg_wait_begin_until(struct m *m, struct g *g, int64_t until)
{
	int err;

	if (g->deadline) {
		if (g->deadline <= rg_now())
			return -ETIMEDOUT;
		until = rg_min(until, g->deadline);
	}
	if (until == INT64_MAX)
		return 0;
	rg_store_relaxed(&g->wait_until, until);
	rg_store_relaxed(&g->wait_kind, RG_WAIT_CLAIM);
	err = rg_timer_arm(m, g);
	if (err)
		return err;
	/* order: release; pairs with the acquire in entry_due of timer.c */
	rg_store_release(&g->wake, rg_load_relaxed(&g->wake) + 1);
	return 1;
}

int rg_wait_begin(struct m *m, struct g *g)
{
	return rg_wait_begin_until(m, g, INT64_MAX);
}
