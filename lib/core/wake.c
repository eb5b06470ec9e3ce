// SPDX-License-Identifier: MIT
/*
 * Waking Ms: when is a sleeping M needed, and why no wake-up is lost.
 *
 * An M without work spins: it looks into every queue for a while. At most half the Ps' Ms do. Then it
 * parks in its ring, with the next timer as the end of the wait; its bit in rt.idle says so.
 *
 * Who makes a G runnable: (1) pushes it, (2) full fence, (3) reads rt.spinning; if somebody spins, he will
 * find it; else (4) takes an idle M's bit, counts it as spinning and wakes it. So at most one M is on its
 * way at a time, and a burst of pushes costs one wake; the M that finds work while it was the last one
 * spinning wakes the next (rg_spin_end), so that Ms come up one after the other as long as there is work.
 *
 * Who parks: (a) sets its P's idle bit and p->idle, (b) stops counting as spinning, (c) full fence, (d) looks at
 * every source once more; (e) sleeps.
 *
 * No G is left lying while an M sleeps. Suppose the push (1) was missed by (d). Then by the fences (2) and
 * (c), (3) comes after (b) and (a): the pusher sees this M neither spinning nor busy. If it sees another M
 * spinning, that one is before its own (b) and will look at (d) after our push; it then spins again, because it
 * may run something of its own first, a completion or timer, and must see to a successor. Otherwise it takes
 * an idle bit: ours or another's, and the M behind it looks everywhere before it sleeps again.
 *
 * A wake is not lost either: rt.poller->wake ends the present wait of its target or the next one. The
 * bit is taken by exactly one of waker (and_full in take_idle) and the M itself (rg_idle_leave), and who
 * takes it decides whether the M comes up spinning.
 *
 * Rejected: a waker that picks an M and a G for it (loses locality, needs a second protocol for Gs that are
 * in flight); waking on every push (11 us each where the target's CPU must be woken by an IPI).
 */
#include "core/revoke.h"
#include "core/rt.h"
#include "core/runq.h"
#include "core/sched.h"

/* Take the P of one parked M out of the idle set, or NULL. */
static struct p *take_idle(void)
{
	for (unsigned w = 0; w < RG_IDLE_WORDS; w++) {
		uint64_t bits = rg_load_relaxed(&rt.idle[w]);

		while (bits) {
			uint64_t bit = bits & -bits;

			/* order: full; pairs with the and in rg_idle_leave: one of us takes the bit */
			if (rg_and_full(&rt.idle[w], ~bit) & bit)
				return rt.p[w * 64 + (unsigned)__builtin_ctzll(bit)];
			bits = rg_load_relaxed(&rt.idle[w]);
		}
		if (w * 64 + 64 >= rg_load_relaxed(&rt.np))
			break;
	}
	return NULL;
}

static bool any_idle(void)
{
	for (unsigned w = 0; w * 64 < rg_load_relaxed(&rt.np); w++)
		if (rg_load_relaxed(&rt.idle[w]))
			return true;
	return false;
}

static void wake_one(struct m *m)
{
	struct p *target;

	/* order: full; pairs with the sub in rg_spin_end: at most one waker at a time */
	if (!rg_cas_full(&rt.spinning, 0, 1))
		return;
	target = take_idle();
	if (!target) {
		/* order: full; as (b) above. All others run or are before (d). */
		rg_add_full(&rt.spinning, -1);
		return;
	}
	if (m)
		rg_count(&m->p->count.wakes, 1);
	rg_wake_p(target);
}

void rg_wake_p(struct p *p)
{
	/* order: release; pairs with the acquire in rg_idle_leave */
	rg_store_release(&p->idle, RG_P_ACTIVE);
	rt.poller->wake(p);
}

void rg_wake_if_needed(struct m *m)
{
	rg_watch_hint();
	if (m && !m->p)
		m = NULL;
	if (m && rg_load_relaxed(&rt.np) == 1)
		return; /* nobody but us */
	rg_fence_full(); /* order: (2) above; pairs with the fence in rg_idle_enter */
	if (rg_load_relaxed(&rt.spinning) || !any_idle())
		return;
	wake_one(m);
}

bool rg_spin_begin(struct m *m)
{
	if (m->spinning)
		return true;
	if (2 * rg_load_relaxed(&rt.spinning) >= rg_load_relaxed(&rt.procs))
		return false;
	m->spinning = true;
	/* order: full; pairs with the read in rg_wake_if_needed: from now on we find what is pushed */
	rg_add_full(&rt.spinning, 1);
	return true;
}

/* found: work; whoever was the last to spin sees to a successor. */
void rg_spin_end(struct m *m, bool found)
{
	if (!m->spinning)
		return;
	m->spinning = false;
	/* order: full; (b) above */
	if (rg_add_full(&rt.spinning, -1) == 1 && found && any_idle() && rg_work_anywhere(NULL))
		wake_one(m);
}

/* All sources an M may take from: the queues. Timers and completions are the M's own. */
bool rg_work_anywhere(struct p *self)
{
	if (rg_load_relaxed(&rt.nglobal))
		return true;
	/* order: acquire; pairs with the release of rt.np in rg_m_start */
	for (unsigned i = 0, n = rg_load_acquire(&rt.np); i < n; i++)
		if (rt.p[i] != self && !rg_runq_empty(rt.p[i]))
			return true;
	return false;
}

bool rg_idle_enter(struct m *m)
{
	struct p *p = m->p;
	uint64_t bit = 1ull << (p->id % 64);
	bool spun = m->spinning;

	rg_store_relaxed(&p->idle, RG_P_PARKED);
	rg_count(&p->sleeps, 1);
	/* order: full; (a) above; pairs with the and in take_idle, and with quiet in deadlock.c */
	rg_or_full(&rt.idle[p->id / 64], bit);
	rg_spin_end(m, false);
	rg_fence_full(); /* order: (c) above; pairs with the fence in rg_wake_if_needed */
	if (!rg_work_anywhere(NULL) && !rg_load_relaxed(&m->stop))
		return true;
	rg_idle_leave(m);
	if (spun && !m->spinning) {
		m->spinning = true;
		/* order: full; as in rg_spin_begin. Whoever saw us spin before counts on us. */
		rg_add_full(&rt.spinning, 1);
	}
	return false;
}

void rg_idle_leave(struct m *m)
{
	struct p *p = m->p;
	uint64_t bit = 1ull << (p->id % 64);
	void (*awake)(void);

	/* order: full; pairs with the and in take_idle: one of us takes the bit */
	if (rg_and_full(&rt.idle[p->id / 64], ~bit) & bit) {
		rg_store_relaxed(&p->idle, RG_P_ACTIVE);
	} else {
		/* A waker was faster and has counted us as spinning; wait for the rest of its word to us. */
		/* order: acquire; pairs with the release in rg_wake_p */
		while (rg_load_acquire(&p->idle) != RG_P_ACTIVE)
			rg_cpu_relax();
		m->spinning = true;
	}
	rg_compiler_barrier();
	awake = rg_load_relaxed(&rt.awake);
	if (unlikely(awake))
		awake();
}
