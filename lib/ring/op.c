// SPDX-License-Identifier: MIT
/* Operations: see op.h. */
#include "ring/op.h"

#include <errno.h>

#include "base/clock.h"
#include "core/park.h"
#include "core/timer.h"

/* The ambient deadline ends the wait by a cancel; only the completion ends it really. */
static int arm(struct m *m, struct g *g)
{
	int err;

	if (g->deadline <= rg_now())
		return -ETIMEDOUT;
	rg_store_relaxed(&g->wait_until, g->deadline);
	rg_store_relaxed(&g->wait_kind, RG_WAIT_OP);
	err = rg_timer_arm(m, g);
	if (err)
		return err;
	/* order: release; pairs with the acquire in entry_due of timer.c */
	rg_store_release(&g->wake, rg_load_relaxed(&g->wake) + 1);
	return 0;
}

int rg_op_run(struct m *m, struct rg_op *op)
{
	struct g *g = m->cur;
	struct p *p = m->p;
	int64_t deadline = op->keep ? 0 : g->deadline;
	int err, res;

	if (deadline) {
		err = arm(m, g);
		if (err)
			return err;
	}
	g->op = op;
	g->op_seq++;
	g->op_staged = 1;
	if (!p->nstage)
		p->stage_since = rg_cycles();
	/* There is room: a full stage is submitted before the next G runs. */
	p->stage[p->nstage++] = g;
	rg_san_io_begin(&rt.poller);
	res = (int)rg_park(m, RG_WHY_IO, NULL, NULL);
	rg_san_io_end(&rt.poller);
	if (res == -ECANCELED && deadline && rg_now() >= deadline)
		return -ETIMEDOUT;
	return res;
}

struct g *rg_op_find(uint64_t user_data)
{
	struct g *g = rg_g_at((uint32_t)user_data - 1);

	return g->op && g->op_seq == user_data >> 32 ? g : NULL;
}

void rg_op_done(struct m *m, struct g *g, int res)
{
	uint32_t wake = rg_load_relaxed(&g->wake);

	g->op = NULL;
	/* Only this M's timers could have looked at it as a wait for an operation. */
	if (wake & 1)
		rg_store_relaxed(&g->wake, wake + 1);
	/* At the end of the run nobody resumes, not even on an M that has yet to learn of it. */
	if (!rg_load_relaxed(&m->stop))
		rg_ready(m, g, res);
}

bool rg_op_unstage(struct m *m, struct g *g)
{
	struct p *p = m->p;

	if (!g->op_staged)
		return false;
	for (uint32_t i = 0; i < p->nstage; i++) {
		if (p->stage[i] != g)
			continue;
		p->nstage--;
		for (; i < p->nstage; i++)
			p->stage[i] = p->stage[i + 1];
		return true;
	}
	return false;
}
