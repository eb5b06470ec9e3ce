// SPDX-License-Identifier: MIT
/*
 * Goroutines that keep their thread: ringo_lock_thread.
 *
 * While such a G waits, its M gives its P to a spare and sleeps. Who takes the G off a queue gives its own P to
 * that M and becomes a spare itself; so each wait costs two switches of threads, and so does each turn.
 *
 * m->locked names the G, and is written by the M alone. m->lock_waits is 1 while the M sleeps for it; who takes
 * that away, by CAS, owes it a P. An M that has not got so far, or had no spare to give its P to and so has to
 * run others meanwhile, is let be: the G goes back to the queue until the M sleeps, or finds it there itself.
 *
 * If the G ends without having unlocked, its thread is in a state that was changed for it alone (that is what
 * locking is for), and runs no other: the M sleeps until the run ends. It is not ended, because the kernel would
 * cancel what it has submitted.
 */
#include "core/locked.h"

#include <errno.h>
#include <ringo/go.h>

#include "base/lock.h"
#include "core/gate.h"
#include "core/panic.h"
#include "core/revoke.h"
#include "core/rt.h"
#include "core/runq.h"
#include "core/sched.h"

/* In m->locked: it ended. No G, but somebody. */
static struct g over;

static bool anothers(const struct m *m)
{
	return m->locked && m->locked != m->cur;
}

RG_API void ringo_lock_thread(void)
{
	struct m *m = rg_enter();

	while (m && anothers(m)) { /* for want of a spare M */
		rg_leave(m);
		ringo_yield();
		m = rg_enter();
	}
	if (!m)
		return;
	m->lock_depth++;
	rg_store_relaxed(&m->locked, m->cur);
	m->cur->flags |= RG_G_LOCKED;
	rg_leave(m);
}

RG_API void ringo_unlock_thread(void)
{
	struct m *m = rg_enter();

	if (!m)
		return;
	if (!m->lock_depth || anothers(m))
		rg_panic(m, "ringo_unlock_thread without ringo_lock_thread");
	if (!--m->lock_depth) {
		m->cur->flags &= (uint8_t)~RG_G_LOCKED;
		rg_store_relaxed(&m->locked, NULL);
	}
	rg_leave(m);
}

void rg_locked_ended(struct m *m)
{
	rg_store_relaxed(&m->locked, &over);
}

static struct m *m_of(const struct g *g)
{
	/* order: acquire; pairs with the release of rt.nm */
	for (unsigned i = 0, n = rg_load_acquire(&rt.nm); i < n; i++)
		if (rg_load_relaxed(&rt.m[i]->locked) == g)
			return rt.m[i];
	return NULL;
}

bool rg_locked_here(struct m *m, struct g *g)
{
	struct m *owner = m_of(g);

	if (owner == m)
		return true;
	/* order: full; pairs with the release in rg_locked_wait: it sleeps without a P */
	if (rg_cas_full(&owner->lock_waits, 1, 0)) {
		rg_m_hold(owner, m->p);
		rg_m_let_go(m);
		rg_spare_wake(owner);
	} else {
		rg_global_put(g);
		rg_cpu_relax();
	}
	return false;
}

void rg_locked_give_p(struct m *m)
{
	struct m *next = rg_revoke_spare();
	struct p *p = m->p;

	if (!next)
		return;
	rg_spin_end(m, true); /* it may have been woken since it had no spare: others count on who spins */
	rg_m_let_go(m);
	rg_spare_give(next, p);
}

struct g *rg_locked_wait(struct m *m)
{
	if (m->locked != &over)
		rg_store_release(&m->lock_waits, 1); /* order: release; pairs with the CAS in rg_locked_here */
	for (;;) {
		/* order: acquire; pairs with the add in rg_spare_wake */
		uint32_t now = rg_load_acquire(&m->given);

		if (rg_load_acquire(&m->stop)) /* order: acquire; pairs with the release in run.c */
			return NULL;
		if (rg_load_acquire(&m->p)) /* order: acquire; pairs with the release in rg_locked_here: all of that P */
			break;
		rg_futex_wait(&m->given, now, -1);
	}
	rt.poller->adopt(m);
	return m->locked;
}
