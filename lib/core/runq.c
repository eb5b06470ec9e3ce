// SPDX-License-Identifier: MIT
/*
 * Run queues, what is not needed each time: see runq.h for the design.
 *
 * How long goroutines wait in them is sampled, since a time for each would be dearer than a switch: a round sets
 * a mark at the end of the queue, at most once in MARK_PAUSE, and when that place comes to the head, so much later
 * its G runs. Places that thieves take are not counted, nor who runs next.
 */
#include "core/runq.h"

#include <errno.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/os.h"
#include "core/sched.h"

enum { GLOBAL_BATCH = 128 };

#define MARK_PAUSE INT64_C(100000)

/* Under the global lock. There is room: no G is on a queue twice. */
static void global_push(struct g *g)
{
	rt.global[(rt.global_head + rt.nglobal) & rt.global_mask] = g;
	rg_store_relaxed(&rt.nglobal, rt.nglobal + 1);
}

void rg_runq_overflow(struct p *p, struct g *g, uint32_t head)
{
	uint32_t n = RG_RUNQ / 2;

	/* order: full; pairs with the thief's CAS in rg_runq_steal */
	if (!rg_cas_full(&p->head, head, head + n)) {
		rg_runq_put(p, g);
		return;
	}
	/* They are ours now, and still in their places: nobody else writes the ring. */
	rg_lock(&rt.global_lock);
	for (uint32_t i = 0; i < n; i++)
		global_push(rg_load_relaxed(&p->ring[(head + i) % RG_RUNQ]));
	global_push(g);
	rg_unlock(&rt.global_lock);
}

/* A run-next is about to run where it is, warm: it is taken only from a holder that does not switch for a while. */
static struct g *steal_next(struct p *victim)
{
	uint64_t switches = rg_load_relaxed(&victim->count.switches);

	if (!rg_load_relaxed(&victim->next))
		return NULL;
	rg_cpu_relax_for(RG_NEXT_RELAX);
	return rg_load_relaxed(&victim->count.switches) == switches ? rg_runq_take_next(victim) : NULL;
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
			return with_next ? steal_next(victim) : NULL;
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

int rg_global_init(size_t limit)
{
	size_t places = 1, bytes;

	while (places < limit)
		places *= 2;
	bytes = places * sizeof(*rt.global);
	rt.global = rg_reserve(&bytes, bytes);
	rt.global_mask = (uint32_t)(places - 1);
	return rt.global ? 0 : -ENOMEM;
}

void rg_global_fini(void)
{
	rg_unreserve(rt.global, (rt.global_mask + (size_t)1) * sizeof(*rt.global));
	rt.global = NULL;
}

void rg_global_put(struct g *g)
{
	rg_lock(&rt.global_lock);
	global_push(g);
	rg_unlock(&rt.global_lock);
}

struct g *rg_global_get(struct p *p)
{
	struct g *first;
	uint32_t n;

	if (!rg_load_relaxed(&rt.nglobal))
		return NULL;
	rg_lock(&rt.global_lock);
	n = rg_min(rt.nglobal, rt.nglobal / rg_load_relaxed(&rt.procs) + 1);
	n = rg_min(n, (uint32_t)GLOBAL_BATCH);
	/* The holder's queue need not be empty here: take what fits. */
	n = rg_min(n, RG_RUNQ - (p->tail - rg_load_relaxed(&p->head)) + 1);
	first = rt.global[rt.global_head & rt.global_mask];
	for (uint32_t i = 1; i < n; i++)
		rg_store_relaxed(&p->ring[(p->tail + i - 1) % RG_RUNQ],
				 rt.global[(rt.global_head + i) & rt.global_mask]);
	if (n > 1) {
		/* order: release; pairs with the acquire of tail in rg_runq_steal */
		rg_store_release(&p->tail, p->tail + n - 1);
	}
	rg_store_relaxed(&rt.nglobal, rt.nglobal - n);
	/* Empty: begin anew, so that only as much of the range is touched as was ever needed. */
	rt.global_head = rt.nglobal ? rt.global_head + n : 0;
	rg_unlock(&rt.global_lock);
	return n ? first : NULL;
}

void rg_runq_mark(struct p *p, int64_t now)
{
	uint32_t head = rg_load_relaxed(&p->head);

	if (p->mark_at && (int32_t)(head - p->mark) > 0)
		p->mark_at = 0; /* by thieves */
	if (p->mark_at || now < p->mark_next || head == p->tail)
		return;
	p->mark = p->tail - 1;
	p->mark_at = now;
	p->mark_next = now + MARK_PAUSE;
}

struct g *rg_runq_marked(struct p *p, struct g *g)
{
	int64_t ns = p->mark_at ? rg_now() - p->mark_at : -1;
	unsigned i = 0;

	p->mark_at = 0;
	if (ns < 0)
		return g; /* an old one: the numbers of places come round */
	while (i < RG_WAITS - 1 && ns > INT64_C(1000) << 2 * i)
		i++;
	rg_count(&p->waits.n[i], 1);
	rg_count(&p->waits.ns, (uint64_t)ns);
	return g;
}
