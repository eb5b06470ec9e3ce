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
#include "core/runq.h"
#include "core/sched.h"

#include <ringo/go.h>
#include <sched.h>

#include "base/clock.h"
#include "core/gate.h"
#include "core/rt.h"
#include "core/sysmon.h"

enum {
	ROUND = 61,        /* switches between long ways, as Go's; prime, so that patterns do not lock in */
	STEAL_PASSES = 4,
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

struct g *rg_next_fast(struct p *p)
{
	return round_due(p) ? NULL : rg_runq_pop(p);
}

void rg_set_running(struct m *m, struct g *g)
{
	m->cur = g;
	rg_store_relaxed(&g->state, RG_RUNNING);
	rg_count(&m->p->count.switches, 1);
	rg_store_relaxed(&rg_m_page(m)->cur_g, rg_g_index(g) + 1);
}

/* As rg_set_running, for one that has frames on its stack. */
static void set_resumed(struct m *m, struct g *g)
{
	rg_set_running(m, g);
	rg_compiler_barrier();
	/* sysmon may be giving back the pages below its frames; it is quick. The fence is its membarrier. */
	/* order: acquire; pairs with the release in trim_batch: it has read all it wants of g */
	while (unlikely(rg_load_acquire(&g->trim) == RG_TRIM_BUSY))
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
		m->cur = NULL;
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
	switch_to(m, g, rg_next_fast(m->p));
}

void rg_switch_final(struct m *m, struct g *next)
{
	bool fresh;

	if (!next) {
		m->cur = NULL;
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
	rg_san_leave(&m->san, &g->san);
	if (fresh)
		rg_switch_new(&m->sched_sp, rg_stack_top(g), rg_g_main);
	else
		rg_switch(&m->sched_sp, g->sp);
	rg_san_arrive(&m->san);
	rg_store_relaxed(&rg_m_page(m)->cur_g, 0);
	do_post(m);
}

/* Own events: timers, submissions, completions. Returns the next timer. */
static int64_t do_round(struct m *m)
{
	int64_t next = rg_timers_run(m);

	rt.poller->submit(m);
	rt.poller->reap(m);
	return next;
}

static struct g *steal(struct m *m)
{
	/* order: acquire; pairs with the release of rt.nm in rg_m_start */
	unsigned n = rg_load_acquire(&rt.nm);

	for (int pass = 0; pass < STEAL_PASSES; pass++) {
		unsigned at = (unsigned)(rg_rand(&m->p->rand) % n);

		for (unsigned i = 0; i < n; i++) {
			struct p *victim = rt.p[(at + i) % n];
			/* A run-next is left to its P a little longer: it is about to run there, warm. */
			struct g *g = victim == m->p ? NULL :
				      rg_runq_steal(m->p, victim, pass == STEAL_PASSES - 1);

			if (g)
				return g;
		}
		for (int i = 0; i < 20; i++)
			rg_cpu_relax();
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
	rg_runq_drain(m->p);
	if (rg_work_anywhere(NULL))
		rg_wake_if_needed(NULL);
	rt.poller->wait(m, next);
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
	if (rg_load_relaxed(&rt.nm) > 1 && rg_spin_begin(m)) {
		g = steal(m);
		if (g)
			return g;
	}
	if (!rg_idle_enter(m))
		return NULL;
	rg_count(&p->count.parks, 1);
	rt.poller->wait(m, next_timer);
	rg_idle_leave(m);
	return NULL;
}

void rg_sched_loop(struct m *m)
{
	/* order: acquire; pairs with the release in run.c */
	while (!rg_load_acquire(&m->stop)) {
		struct g *g;

		g = find(m);
		if (!g)
			continue;
		rg_spin_end(m, true);
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
	struct g *next = due ? NULL : rg_runq_pop(p);

	if (!next && !due && !p->nstage)
		return; /* alone, and nothing else to do */
	rg_store_relaxed(&g->state, RG_RUNNABLE);
	m->post = post_requeue;
	m->post_arg = g;
	switch_to(m, g, next);
}

RG_API void ringo_yield(void)
{
	struct m *m = rg_enter();

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
	rg_gate_in(m);
	yield(m);
	rg_leave(rg_m());
}
