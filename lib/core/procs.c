// SPDX-License-Identifier: MIT
/*
 * How many Ps run Gs.
 *
 * Growing makes Ms with their Ps, or brings retired ones back. Shrinking retires Ps: the M of a retired P
 * hands the Gs that are queued there to everybody, runs none any more, and goes on to serve its ring and
 * its timers; so nothing in flight has to move. A G that runs there when its P retires goes on until it
 * gives way.
 */
#include <errno.h>
#include <ringo/go.h>

#include "base/log.h"
#include "base/membarrier.h"
#include "base/os.h"
#include "core/gate.h"
#include "core/rt.h"
#include "core/sched.h"

static void retire(unsigned id, bool yes)
{
	/* order: release; pairs with the acquire in find of sched.c */
	rg_store_release(&rt.p[id]->retired, yes);
	rg_wake_p(rt.p[id]);
}

/*
 * Thieves are about to exist. The only M may be between its look at rt.solo and its plain store to the
 * queue's head, unless it is us. After the barrier any such look sees the new value; so it is enough to see
 * the M outside the runtime once, or a switch later.
 */
static void end_solo(const struct m *self)
{
	struct p *first = rt.p[0];
	uint64_t switches = rg_load_relaxed(&first->count.switches);

	rg_store_relaxed(&rt.solo, false);
	rg_membarrier();
	while (first->m != self && rg_load_relaxed(&rg_m_page(first->m)->in_rt) == RINGO_RT_INSIDE &&
	       rg_load_relaxed(&first->count.switches) - switches < 2)
		rg_cpu_relax();
}

static int grow(const struct m *self, unsigned n)
{
	int err = 0;

	if (n > 1 && rg_load_relaxed(&rt.solo))
		end_solo(self);
	while (rt.np < n) {
		err = rg_p_start();
		if (err)
			return err;
	}
	return 0;
}

static int set(const struct m *self, unsigned n)
{
	unsigned former = rt.procs;
	int err;

	/* order: acquire; pairs with the release in ask_stop, which also holds the lock */
	if (rg_load_acquire(&rt.phase) != RG_UP)
		return -ESRCH; /* no M may come up that nobody tells to stop */
	err = grow(self, n);

	if (err) {
		for (unsigned i = former; i < rt.np; i++)
			retire(i, true);
		return err == -ENOMEM ? err : -EAGAIN;
	}
	rg_store_relaxed(&rt.procs, n);
	for (unsigned i = rg_min(former, n); i < rt.np; i++)
		retire(i, i >= n);
	return (int)former;
}

RG_API int ringo_maxprocs(int n)
{
	struct m *m = rg_enter();
	int res;

	if (!m) {
		res = rg_foreign_enter();
		if (res)
			return res;
	}
	if (n < 0 || n > RG_MAX_P) {
		res = -EINVAL;
	} else if (!n) {
		res = (int)rg_load_relaxed(&rt.procs);
	} else {
		rg_lock(&rt.procs_lock);
		res = set(m, (unsigned)n);
		rg_unlock(&rt.procs_lock);
	}
	if (m)
		rg_leave(m);
	else
		rg_foreign_leave();
	return res;
}

RG_API int ringo_num_cpu(void)
{
	return rg_num_cpu();
}
