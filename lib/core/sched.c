// SPDX-License-Identifier: MIT
/*
 * The scheduler: which G runs next on an M, and getting there.
 *
 * Two ways from one G to the next. Short: the G that parks takes the next one from the local queue and
 * switches straight to it. Long, on the M's own stack: every ROUND switches, when operations are due, or
 * when the local queue is empty: run timers, submit what is staged and reap completions, look into the
 * global queue, steal, park the M. All that is not needed each time is in the long way, and none of it
 * runs on the small stack of a goroutine.
 *
 * What a G leaves to be done once its registers are saved (m->post) is done by whoever arrives on the
 * next stack. After a switch the thread may be another one: rg_m() is asked anew.
 */
#include "base/usdt.h"
#include "core/runq.h"
#include "core/sched.h"

#include <ringo/go.h>
#include <sched.h>

#include "base/clock.h"
#include "core/deadlock.h"
#include "core/event.h"
#include "core/gate.h"
#include "core/lane.h"
#include "core/locked.h"
#include "core/revoke.h"
#include "core/rt.h"
#include "core/scope.h"
#include "core/sysmon.h"

enum {
	ROUND = 61,        /* switches between long ways, as Go's; prime, so that patterns do not lock in */
	STEAL_PASSES = 4, STEAL_RELAX = 20,
	STAGE_CYCLES = 60000, /* about 20 us: how long a staged operation waits for company */
};

static bool round_due(struct p *p)
{
	if (unlikely(p->switches_left-- == 0)) {
		p->switches_left = ROUND;
		p->global_turn = true;
		return true;
	}
	if (unlikely(rg_load_relaxed(&p->retired)))
		return true;
	if (!p->nstage)
		return false;
	return p->nstage >= RG_STAGE || rg_cycles() - p->stage_since > STAGE_CYCLES;
}

/* From the queue of p; NULL also if the M's own stack is needed to see what becomes of it. */
static struct g *pop_plain(struct p *p)
{
	struct g *g = rg_runq_pop(p);

	if (likely(!g || !(g->flags & RG_G_LOCKED)))
		return g;
	p->apart = g;
	return NULL;
}

struct g *rg_next_fast(struct p *p)
{
	return round_due(p) ? NULL : pop_plain(p);
}

/* m is about to leave m->cur, or its own stack, for next, or its own stack. */
static RG_COLD void note_switch(struct m *m, const struct g *next)
{
	if (rg_is_wanted(events))
		rg_event_switch(m, next);
	if (rt.debug & RG_DEBUG_HELD && m->held.n && m->cur)
		rg_held_left(m);
	if (rt.debug & RG_DEBUG_CPU)
		rg_account_switch(m);
}

/* To the M's own stack. */
static void set_none(struct m *m)
{
	if (unlikely(rg_is_wanted(watched)))
		note_switch(m, NULL);
	if (unlikely(!m->p))
		rg_lane_leave(m);
	m->cur = NULL;
}

void rg_set_running(struct m *m, struct g *g)
{
	if (unlikely(rg_is_wanted(watched)))
		note_switch(m, g);
	m->cur = g;
	RG_USDT(g__run, g);
	m->shed = g->flags & (RG_G_STICKY | RG_G_BACKGROUND);
	rg_store_relaxed(&g->state, RG_RUNNING);
	if (likely(m->p != NULL))
		rg_count(&m->p->count.switches, 1);
	rg_m_runs(m, rg_g_index(g) + 1);
}

/* As rg_set_running, for one that has frames on its stack. */
static void set_resumed(struct m *m, struct g *g)
{
	rg_set_running(m, g);
	rg_compiler_barrier();
	/* sysmon may be giving back the pages below its frames; it is quick. The fence is its membarrier. */
	/* order: acquire; pairs with the release in trim_batch: it has read all it wants of g */
	while (unlikely(rg_load_acquire(&g->trim) >= RG_TRIM_BUSY))
		rg_cpu_relax();
	rg_store_relaxed(&g->trim, RG_TRIM_ONSTACK);
}

static void make_ready_to_run(struct m *m, struct g *g)
{
	if (g->slot) {
		set_resumed(m, g);
	} else {
		rg_stack_bind(m->p, g);
		rg_set_running(m, g);
	}
}

/* Run what the stack we left asked for. After post, the G we left may already run elsewhere. */
static void do_post(struct m *m)
{
	void (*post)(struct m *, void *) = m->post;

	if (m->left) {
		/* order: release; pairs with the CAS in sysmon.c: its stack pointer is saved */
		rg_store_release(&m->left->trim, RG_TRIM_DIRTY);
		m->left = NULL;
	}
	m->post = NULL;
	if (post)
		post(m, m->post_arg);
}

struct m *rg_arrived(void)
{
	struct m *m = rg_m();

	rg_san_arrive(&m->cur->san);
	do_post(m);
	*m->errnop = m->cur->err;
	return m;
}

/* next: NULL for the M's own stack, that is for a round. */
static void switch_to(struct m *m, struct g *g, struct g *next)
{
	g->err = *m->errnop;
	m->left = g;
	if (unlikely(rg_stack_canaries))
		rg_stack_check(g);
	if (!next) {
		set_none(m);
		rg_san_leave(&g->san, &m->san);
		rg_switch(&g->sp, m->sched_sp);
	} else {
		bool fresh = !next->slot;

		make_ready_to_run(m, next);
		rg_san_leave(&g->san, &next->san);
		if (fresh)
			rg_switch_new(&g->sp, rg_stack_top(next), rg_g_main);
		else
			rg_switch(&g->sp, next->sp);
	}
	rg_arrived();
}

void rg_switch_away(struct m *m, struct g *g)
{
	switch_to(m, g, m->p && !(g->flags & RG_G_LOCKED) ? rg_next_fast(m->p) : NULL);
}

static void post_global(struct m *m, void *g)
{
	(void)m;
	rg_global_put(g);
	rg_wake_if_needed(NULL);
}

void rg_queue_apart(struct m *m, void (*post)(struct m *, void *))
{
	struct g *g = m->cur;

	rg_store_relaxed(&g->state, RG_RUNNABLE);
	m->post = post;
	m->post_arg = g;
	rg_switch_away(m, g);
}

void rg_rejoin(struct m *m)
{
	struct g *g = m->cur;

	RG_RECORD(m, REJOIN, g, 0, 0);
	rg_store_relaxed(&g->state, RG_RUNNABLE);
	m->post = post_global;
	m->post_arg = g;
	switch_to(m, g, NULL);
}

void rg_switch_final(struct m *m, struct g *next)
{
	bool fresh;

	if (!next) {
		set_none(m);
		rg_san_leave(NULL, &m->san);
		rg_jump(m->sched_sp);
	}
	fresh = !next->slot;
	make_ready_to_run(m, next);
	rg_san_leave(NULL, &next->san);
	if (fresh)
		rg_jump_new(rg_stack_top(next), rg_g_main);
	rg_jump(next->sp);
}

/* From the M's own stack into g, until some G comes back here. */
static void run(struct m *m, struct g *g)
{
	bool fresh = !g->slot;

	make_ready_to_run(m, g);
	rg_compiler_barrier();
	if (likely(m->p != NULL))
		rg_watch_run(m->p); /* now that sysmon can see it */
	rg_san_leave(&m->san, &g->san);
	if (fresh)
		rg_switch_new(&m->sched_sp, rg_stack_top(g), rg_g_main);
	else
		rg_switch(&m->sched_sp, g->sp);
	rg_san_arrive(&m->san);
	rg_m_runs(m, 0);
	do_post(m);
}

/* Own events: timers, submissions, completions. Returns the next timer. */
static int64_t do_round(struct m *m)
{
	int64_t now = rg_now();
	int64_t next;

	m->p->since = rg_since(now);
	rg_runq_mark(m->p, now);
	next = rg_timers_run(m, now);
	if (unlikely(rg_load_relaxed(&m->p->inbox)))
		rg_scope_inbox(m);
	rt.poller->submit(m);
	rt.poller->reap(m);
	return next;
}

/*
 * Each look takes cache lines from who holds them. Where goroutines take turns there is a run-next most of the time, and
 * always an M that hopes for it: it looks rarely. With short pauses a channel's round trip took 127 ns instead of
 * 98, a cond's turn 72 instead of 63 (two Ps).
 */
static struct g *steal(struct m *m)
{
	unsigned relax = STEAL_RELAX;
	/* order: acquire; pairs with the release of rt.np in rg_m_start */
	unsigned n = rg_load_acquire(&rt.np);

	for (int pass = 0; pass < STEAL_PASSES; pass++) {
		unsigned at = (unsigned)(rg_rand(&m->p->rand) % n);

		for (unsigned i = 0; i < n; i++) {
			struct p *victim = rt.p[(at + i) % n];
			struct g *g;

			if (victim == m->p)
				continue;
			g = rg_runq_steal(m->p, victim, pass == STEAL_PASSES - 1);
			if (g)
				return g;
			if (rg_load_relaxed(&victim->next))
				relax = RG_NEXT_RELAX;
		}
		rg_cpu_relax_for(relax);
	}
	return NULL;
}

/*
 * A P that runs no Gs hands over what it has and serves its ring and timers only. Others may have counted
 * on this M: a waker that took its idle bit, or whoever saw it spin. It passes that on.
 */
static void serve_retired(struct m *m)
{
	int64_t next = do_round(m);

	rg_spin_end(m, false);
	if (m->p->apart) {
		rg_global_put(m->p->apart);
		m->p->apart = NULL;
	}
	rg_runq_drain(m->p);
	if (rg_work_anywhere(NULL))
		rg_wake_if_needed(NULL);
	rg_serving_enter(m);
	rt.poller->wait(m, rg_deadlock_look(m, next));
	rg_serving_leave(m);
}

/* The next G, however long it takes; NULL when the run ends or a round is to be done again. */
static struct g *find(struct m *m)
{
	struct p *p = m->p;
	int64_t next_timer;
	struct g *g;

	/* order: acquire; pairs with the release in procs.c */
	if (unlikely(rg_load_acquire(&p->retired))) {
		serve_retired(m);
		return NULL;
	}
	if (unlikely(p->apart != NULL)) {
		g = p->apart;
		p->apart = NULL;
		return g;
	}
	next_timer = do_round(m);
	rg_trim_hint();
	/* The global queue first, now and then: a busy local one must not starve it. */
	if (p->global_turn) {
		p->global_turn = false;
		g = rg_global_get(p);
		if (g)
			return g;
	}
	g = rg_runq_pop(p);
	if (g)
		return g;
	g = rg_global_get(p);
	if (g)
		return g;
	if (rg_load_relaxed(&rt.np) > 1 && rg_spin_begin(m)) {
		g = steal(m);
		if (g)
			return g;
	}
	if (!rg_idle_enter(m))
		return NULL;
	rg_count(&p->count.parks, 1);
	rt.poller->wait(m, rg_deadlock_look(m, next_timer));
	rg_idle_leave(m);
	return NULL;
}

/* Run g, which was given to m, without a P. */
static void run_gift(struct m *m, struct g *g)
{
	m->gift = NULL;
	rg_lane_begin(m, g);
	run(m, g);
}

/* True once m has a P; *next: the one to run with it, if there is only one. */
static bool without_p(struct m *m, struct g **next)
{
	struct g *g;

	if (unlikely(m->locked != NULL)) {
		*next = rg_locked_wait(m);
		return *next;
	}
	g = m->claimed ? NULL : rg_lane_take(m);
	if (!g && !rg_spare_wait(m))
		return false;
	if (!g)
		g = m->gift;
	if (g)
		run_gift(m, g);
	return m->p;
}

void rg_sched_loop(struct m *m)
{
	/* order: acquire; pairs with the release in run.c */
	while (!rg_load_acquire(&m->stop)) {
		struct g *g = NULL;

		if (unlikely(m->locked != NULL) && m->p)
			rg_locked_give_p(m);
		if (unlikely(m->claimed || !m->p) && !without_p(m, &g))
			continue;
		if (!g)
			g = find(m);
		if (!g)
			continue;
		rg_spin_end(m, true);
		if (unlikely(g->flags & RG_G_LOCKED) && !rg_locked_here(m, g))
			continue;
		if (!rg_runq_empty(m->p))
			rg_wake_if_needed(m);
		run(m, g);
	}
	rg_spin_end(m, false);
}

static void post_requeue(struct m *m, void *g)
{
	rg_runq_put(m->p, g);
	/* Another one runs here already, perhaps for long: an idle M may take this one. */
	if (m->cur)
		rg_wake_if_needed(m);
}

/* Give way to whoever is queued. */
static void yield(struct m *m)
{
	struct g *g = m->cur;
	struct p *p = m->p;
	bool due = round_due(p);
	bool locked = g->flags & RG_G_LOCKED;
	struct g *next = due || locked ? NULL : pop_plain(p);

	if (!next && !due && !p->nstage && !p->apart && (!locked || rg_runq_empty(p)))
		return; /* alone, and nothing else to do */
	rg_store_relaxed(&g->state, RG_RUNNABLE);
	m->post = post_requeue;
	m->post_arg = g;
	switch_to(m, g, next);
}

struct m *rg_give_way(struct m *m)
{
	m->called = false;
	if (m->p)
		yield(m);
	else
		rg_rejoin(m);
	return rg_m();
}

RG_API void ringo_yield(void)
{
	struct m *m = rg_enter_w();

	if (!m) {
		sched_yield();
		return;
	}
	yield(m);
	rg_leave(rg_m());
}

RG_API void ringo_checkpoint(void)
{
	struct m *m = (struct m *)rg_arch_self();

	if (likely(!m || !rg_gate_called(m)))
		return;
	m = rg_enter_w();
	if (m)
		rg_leave(rg_m());
}
