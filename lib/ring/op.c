// SPDX-License-Identifier: MIT
/* Operations: see op.h. */
#include "ring/op.h"

#include <errno.h>

#include "base/atomic.h"
#include "core/event.h"
#include "core/park.h"
#include "core/revoke.h"

int rg_op_run(struct m *m, struct rg_op *op)
{
	struct g *g = m->cur;
	struct p *p = m->p;
	int err, res;

	/* The ambient context or deadline ends the wait by a cancel; only the completion ends it really. */
	if (!op->keep) {
		err = rg_wait_begin_op(m, g);
		if (err)
			return err;
	}
	rg_watch_hint();
	g->op = op;
	g->op_seq++;
	g->op_staged = 1;
	if (!(g->flags & RG_G_DAEMON))
		rg_count(&m->p->ops, 1);
	if (!p->nstage)
		p->stage_since = rg_cycles();
	/* There is room: a full stage is submitted before the next G runs. */
	p->stage[p->nstage++] = g;
	rg_san_io_begin(&rt.poller);
	res = (int)rg_park(m, RG_WHY_IO, NULL, NULL, NULL);
	rg_san_io_end(&rt.poller);
	if (res != -ECANCELED || op->keep)
		return res;
	err = rg_ambient_err(g);
	return err ? err : res;
}

struct g *rg_op_find(uint64_t user_data)
{
	struct g *g = rg_g_at((uint32_t)user_data - 1);

	return g->op && g->op_seq == user_data >> 32 ? g : NULL;
}

void rg_op_done(struct m *m, struct g *g, int res)
{
	uint32_t wake = rg_load_relaxed(&g->wake);

	RG_EVENT(op__complete, m, COMPLETE, g, res);
	g->op = NULL;
	if (!(g->flags & RG_G_DAEMON))
		rg_count(&m->p->ops, -1u);
	/* Nobody else moves it: others only ask this M to cancel. */
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
