// SPDX-License-Identifier: MIT
/* WaitGroup: a counter and those who wait for it to be 0. All under its lock. */
#include <errno.h>
#include <ringo/sync.h>

#include "base/lock.h"
#include "base/log.h"
#include "core/gate.h"
#include "core/rt.h"
#include "sync/waitq.h"

RG_API void ringo_waitgroup_add(struct ringo_waitgroup *w, int64_t n)
{
	struct m *m = rg_enter();
	struct rg_waiter *all = NULL;

	rg_lock(&w->ringo__lock);
	rg_store_relaxed(&w->ringo__count, w->ringo__count + n);
	if (w->ringo__count < 0)
		rg_fatal("negative WaitGroup counter: more done than added");
	if (!w->ringo__count) {
		all = w->ringo__head;
		w->ringo__head = NULL;
	}
	rg_unlock(&w->ringo__lock);
	/* The group may be gone as soon as the first of them runs. */
	while (all) {
		struct rg_waiter *next = all->next;

		rg_ready(m, all->g, 0);
		all = next;
	}
	if (m)
		rg_leave(m);
}

RG_API void ringo_waitgroup_done(struct ringo_waitgroup *w)
{
	ringo_waitgroup_add(w, -1);
}

RG_API void ringo_waitgroup_wait(struct ringo_waitgroup *w)
{
	struct m *m = rg_enter();
	struct rg_waiter self = { 0 };

	rg_lock(&w->ringo__lock);
	if (!w->ringo__count) {
		rg_unlock(&w->ringo__lock);
		if (m)
			rg_leave(m);
		return;
	}
	if (!m)
		rg_fatal("ringo_waitgroup_wait would wait outside a goroutine");
	self.g = m->cur;
	self.next = w->ringo__head;
	w->ringo__head = &self;
	rg_park(m, RG_WHY_WAITGROUP, rg_post_unlock, &w->ringo__lock);
	rg_leave(rg_m());
}
