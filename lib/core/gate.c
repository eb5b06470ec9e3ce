// SPDX-License-Identifier: MIT
/* Slow paths of the gates: see gate.h. */
#include "core/gate.h"

#include "base/log.h"
#include "core/lane.h"
#include "core/rt.h"
#include "core/sched.h"

void rg_gate_reentered(void)
{
	rg_fatal("called from a signal handler, or from a callback of ringo, while the same thread was inside "
		 "ringo. No ringo call is async-signal-safe: use ringo_signal_notify()");
}

/* The run is over: this G never returns to its code. Its M goes back to its loop, which ends. */
static void quit(struct m *m)
{
	if (!m->p)
		rg_lane_leave(m);
	m->cur = NULL;
	m->left = NULL;
	m->post = NULL;
	rg_san_leave(NULL, &m->san);
	rg_jump(m->sched_sp);
}

void rg_gate_slow(struct m *m)
{
	uint32_t asked;

	rg_revoked(m);
	asked = rg_load_relaxed(&rg_m_page(m)->asked);
	if (asked & RINGO_ASK_STOP)
		quit(m);
	if (asked & RINGO_ASK_YIELD) {
		/* order: full; pairs with the or of whoever asks */
		rg_and_full(&rg_m_page(m)->asked, ~RINGO_ASK_YIELD);
		m->called = true;
	}
}

int rg_foreign_enter(void)
{
	/* Who ends a run waits until there are no users: those who call in a loop must not hold it up. */
	/* order: acquire; as below, where it counts */
	if (rg_load_acquire(&rt.phase) != RG_UP)
		return -ESRCH;
	/* order: full; pairs with the store of phase in run.c: either it sees us, or we see it */
	rg_add_full(&rt.users, 1);
	if (rg_load_acquire(&rt.phase) == RG_UP) /* order: acquire; pairs with the release in run.c */
		return 0;
	rg_foreign_leave();
	return -ESRCH;
}

void rg_foreign_leave(void)
{
	/* order: full; pairs with the wait for 0 in run.c */
	rg_add_full(&rt.users, -1);
}
