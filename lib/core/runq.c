// SPDX-License-Identifier: MIT
/* Run queues, what is not needed each time: see runq.h for the design. */
#include "core/runq.h"

#include "base/lock.h"
#include "core/sched.h"

enum { GLOBAL_BATCH = 128 };

void rg_runq_overflow(struct p *p, struct g *g, uint32_t head)
{
	struct g *first = NULL, *last = NULL;
	uint32_t n = RG_RUNQ / 2;

	/* order: full; pairs with the thief's CAS in rg_runq_steal */
	if (!rg_cas_full(&p->head, head, head + n)) {
		rg_runq_put(p, g);
		return;
	}
	/* They are ours now, and still in their places: nobody else writes the ring. */
	for (uint32_t i = 0; i < n; i++) {
		struct g *x = rg_load_relaxed(&p->ring[(head + i) % RG_RUNQ]);

		if (last)
			last->next = x;
		else
			first = x;
		last = x;
	}
	last->next = g;
	rg_global_put_list(first, g, n + 1);
}

struct g *rg_runq_steal(struct p *thief, struct p *victim, bool with_next)
{
	for (;;) {
		/* order: acquire both; head pairs with the CAS of holder and thieves, tail with rg_runq_put */
		uint32_t head = rg_load_acquire(&victim->head);
		uint32_t tail = rg_load_acquire(&victim->tail);
		uint32_t n = tail - head;
		struct g *g = NULL;

		n -= n / 2;
		if (n > RG_RUNQ / 2)
			continue; /* head and tail are from different moments */
		if (!n)
			return with_next ? rg_runq_take_next(victim) : NULL;
		for (uint32_t i = 0; i < n; i++) {
			g = rg_load_relaxed(&victim->ring[(head + i) % RG_RUNQ]);
			rg_store_relaxed(&thief->ring[(thief->tail + i) % RG_RUNQ], g);
		}
		/* order: full; pairs with the acquire of head in rg_runq_put: the places may be reused */
		if (!rg_cas_full(&victim->head, head, head + n))
			continue;
		rg_count(&thief->count.steals, 1);
		rg_count(&thief->count.stolen, n);
		/* order: release; pairs with the acquire of tail by other thieves */
		rg_store_release(&thief->tail, thief->tail + n - 1);
		return g;
	}
}

void rg_runq_drain(struct p *p)
{
	struct g *g;

	while ((g = rg_runq_pop(p)))
		rg_global_put(g);
}

void rg_global_put_list(struct g *head, struct g *tail, uint32_t n)
{
	tail->next = NULL;
	rg_lock(&rt.global_lock);
	if (rt.global_tail)
		rt.global_tail->next = head;
	else
		rt.global_head = head;
	rt.global_tail = tail;
	rg_store_relaxed(&rt.nglobal, rt.nglobal + n);
	rg_unlock(&rt.global_lock);
}

void rg_global_put(struct g *g)
{
	rg_global_put_list(g, g, 1);
}

struct g *rg_global_get(struct p *p)
{
	struct g *first, *g;
	uint32_t n;

	if (!rg_load_relaxed(&rt.nglobal))
		return NULL;
	rg_lock(&rt.global_lock);
	n = rg_min(rt.nglobal, rt.nglobal / rg_load_relaxed(&rt.procs) + 1);
	n = rg_min(n, (uint32_t)GLOBAL_BATCH);
	/* The holder's queue need not be empty here: take what fits. */
	n = rg_min(n, RG_RUNQ - (p->tail - rg_load_relaxed(&p->head)) + 1);
	first = rt.global_head;
	for (uint32_t i = 0; i < n; i++) {
		g = rt.global_head;
		rt.global_head = g->next;
		if (i) {
			rg_store_relaxed(&p->ring[p->tail % RG_RUNQ], g);
			/* order: release; pairs with the acquire of tail in rg_runq_steal */
			rg_store_release(&p->tail, p->tail + 1);
		}
	}
	if (!rt.global_head)
		rt.global_tail = NULL;
	rg_store_relaxed(&rt.nglobal, rt.nglobal - n);
	rg_unlock(&rt.global_lock);
	return n ? first : NULL;
}
