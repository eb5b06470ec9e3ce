// SPDX-License-Identifier: MIT
/* Numbers of the runtime: sums over the Ps' counters, and a look at each goroutine's state. */
#include "observe/stats.h"

#include <errno.h>
#include <ringo/go.h>
#include <string.h>

#include "core/gate.h"
#include "core/kern.h"
#include "core/rt.h"
#include "core/stack.h"
#include "io/pool.h"

static void add(struct rg_counters *sum, const struct rg_counters *c)
{
	sum->spawned += rg_load_relaxed(&c->spawned);
	sum->exited += rg_load_relaxed(&c->exited);
	sum->switches += rg_load_relaxed(&c->switches);
	sum->steals += rg_load_relaxed(&c->steals);
	sum->stolen += rg_load_relaxed(&c->stolen);
	sum->wakes += rg_load_relaxed(&c->wakes);
	sum->parks += rg_load_relaxed(&c->parks);
	sum->enters += rg_load_relaxed(&c->enters);
	sum->ops += rg_load_relaxed(&c->ops);
	sum->cancels += rg_load_relaxed(&c->cancels);
}

static struct rg_counters sum_counters(void)
{
	struct rg_counters sum = { 0 };

	add(&sum, &rt.foreign);
	/* order: acquire; pairs with the release of rt.np in rg_m_start */
	for (unsigned i = 0, n = rg_load_acquire(&rt.np); i < n; i++)
		add(&sum, &rt.p[i]->count);
	return sum;
}

/* What has exited was spawned before: counted in this order the difference is never negative. */
static uint64_t count_live(void)
{
	uint64_t exited = rg_load_relaxed(&rt.foreign.exited);

	/* order: acquire; pairs with the release of rt.np in rg_m_start, and goes before the next sum */
	for (unsigned i = 0, n = rg_load_acquire(&rt.np); i < n; i++)
		exited += rg_load_acquire(&rt.p[i]->count.exited);
	return sum_counters().spawned - exited;
}

static RG_PEEKS unsigned why_of(const struct g *g)
{
	return rg_min((unsigned)*(const volatile uint8_t *)&g->reason, RG_WHYS - 1u);
}

static void count_states(struct ringo_stats *s, uint64_t *why)
{
	uint64_t n[RG_RESERVED + 1] = { 0 };

	for (uint32_t i = 0, used = rg_g_used(); i < used; i++) {
		const struct g *g = rg_g_at(i);
		uint32_t state = rg_load_relaxed(&g->state);

		n[state]++;
		if (why && (state == RG_WAITING || state == RG_SYSCALL))
			why[why_of(g)]++;
	}
	s->runnable = n[RG_RUNNABLE];
	s->running = n[RG_RUNNING];
	s->syscall = n[RG_SYSCALL];
	s->waiting = n[RG_WAITING];
}

/* That of the kernel until it ends, if it does. */
static enum ringo_preempt tier(void)
{
	return rt.preempt >= RINGO_PREEMPT_BPF && !rg_kern_on() ? RINGO_PREEMPT_SYSMON : rt.preempt;
}

void rg_stats_fill(struct ringo_stats *s, uint64_t *why)
{
	struct rg_counters c = sum_counters();

	strncpy(s->backend, rt.poller->name, sizeof(s->backend) - 1);
	s->guard = rg_stack_guard();
	s->procs = rg_load_relaxed(&rt.procs);
	s->goroutines = count_live();
	count_states(s, why);
	s->goroutine_limit = rg_g_limit();
	s->spawned = c.spawned;
	s->switches = c.switches;
	s->steals = c.steals;
	s->stolen = c.stolen;
	s->wakes = c.wakes;
	s->parks = c.parks;
	s->enters = c.enters;
	s->ops = c.ops;
	s->cancels = c.cancels;
	rg_pool_stats(&s->pool_jobs, &s->pool_threads);
	s->stacks_trimmed = rg_load_relaxed(&rt.trimmed);
	s->revocations = rg_load_relaxed(&rt.revocations);
	s->without_p = rg_lane_count();
	s->threads = rg_load_relaxed(&rt.nm);
	s->cpu_ns = rg_account_total();
	s->preempt = tier();
	s->stalls = rg_load_relaxed(&rt.stalls);
	s->blocked = rg_load_relaxed(&rt.blocked);
}

static int get(struct ringo_stats *user)
{
	struct ringo_stats s;
	size_t size = user->size;
	int err = rg_options_copy(&s, sizeof(s), user, size); /* only to judge the tail */

	if (err)
		return err;
	memset(&s, 0, sizeof(s));
	rg_stats_fill(&s, NULL);
	s.size = size;
	memcpy(user, &s, rg_min(size, sizeof(s)));
	return 0;
}

RG_API int ringo_stats_get(struct ringo_stats *user)
{
	struct m *m = rg_enter();
	int err;

	if (!m) {
		err = rg_foreign_enter();
		if (err)
			return err;
	}
	err = get(user);
	if (m)
		rg_leave(m);
	else
		rg_foreign_leave();
	return err;
}

RG_API long ringo_num_goroutines(void)
{
	struct m *m = rg_enter();
	long n;

	if (!m && rg_foreign_enter())
		return 0;
	n = (long)count_live();
	if (m)
		rg_leave(m);
	else
		rg_foreign_leave();
	return n;
}
