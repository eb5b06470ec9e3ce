// SPDX-License-Identifier: MIT
/*
 * Run queues: a ring of 256 per P, lock-free for its holder, and a global list under a lock.
 *
 * After Go's: the holder alone writes tail; head is moved by CAS by the holder and by thieves. A thief
 * reads the entries before its CAS on head; if the CAS fails somebody else took them and what it read is
 * thrown away. An entry is not overwritten before head has moved past it, because put looks at head first.
 *
 * Ordering: put stores the entry, then tail with release; a thief loads tail with acquire and so sees the
 * entry and everything its creator wrote into the G. The thief's CAS on head is full and pairs with the
 * holder's acquire load of head in put: the holder reuses the place only after it was read.
 *
 * With one M there are no thieves, and the holder takes without a CAS, which is half the cost of a yield
 * (rt.solo). procs.c ends that, before the second M starts, at a moment when the first is not in here.
 *
 * p->next holds the G that was readied last by a running one. It runs before the queue, but only
 * NEXT_RUNS times in a row, so that two Gs that wake each other cannot starve the rest.
 */
#include "base/lock.h"
#include "core/rt.h"
#include "core/sched.h"

enum { NEXT_RUNS = 8, GLOBAL_BATCH = 128, PREFETCH = 4 };

static void put_global_half(struct p *p, struct g *g, uint32_t head)
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

void rg_runq_put(struct p *p, struct g *g)
{
	/* order: acquire; pairs with the CAS in rg_runq_steal: those places were read */
	uint32_t head = rg_load_acquire(&p->head);
	uint32_t tail = p->tail;

	if (unlikely(tail - head >= RG_RUNQ)) {
		put_global_half(p, g, head);
		return;
	}
	rg_store_relaxed(&p->ring[tail % RG_RUNQ], g);
	/* order: release; pairs with the acquire of tail in rg_runq_steal */
	rg_store_release(&p->tail, tail + 1);
}

void rg_runq_put_next(struct p *p, struct g *g)
{
	struct g *former;

	if (rt.solo) {
		former = p->next;
		p->next = g;
	} else {
		/* order: full; pairs with the CAS of a thief on p->next, and publishes the G to it */
		former = rg_xchg_full(&p->next, g);
	}
	if (former)
		rg_runq_put(p, former);
}

static struct g *take_next(struct p *p)
{
	struct g *g = rg_load_relaxed(&p->next);

	if (rt.solo) {
		p->next = NULL;
		return g;
	}
	/* order: full; pairs with the CAS of a thief: one of us gets it */
	return g && rg_cas_full(&p->next, g, NULL) ? g : NULL;
}

/* Of what is queued a little behind: first descriptors, then, nearer, the frames that a switch touches. */
static void prefetch(const struct p *p, uint32_t head)
{
	const struct g *far = rg_load_relaxed(&p->ring[(head + 2 * PREFETCH) % RG_RUNQ]);
	const struct g *near = rg_load_relaxed(&p->ring[(head + PREFETCH) % RG_RUNQ]);
	const char *frames = near->sp;

	__builtin_prefetch(far, 1);
	if (!near->slot)
		return;
	__builtin_prefetch(frames, 1);
	__builtin_prefetch(frames + RG_CACHELINE, 1);
	__builtin_prefetch(frames + 2 * RG_CACHELINE, 1);
	__builtin_prefetch(frames + 3 * RG_CACHELINE, 1);
}

static struct g *pop_ring(struct p *p)
{
	for (;;) {
		/* order: acquire; pairs with the thief's CAS */
		uint32_t head = rg_load_acquire(&p->head);
		uint32_t n = p->tail - head;
		struct g *g;

		if (!n)
			return NULL;
		if (n > 2 * PREFETCH)
			prefetch(p, head);
		g = rg_load_relaxed(&p->ring[head % RG_RUNQ]);
		if (rt.solo) {
			rg_store_relaxed(&p->head, head + 1);
			return g;
		}
		/* order: full; pairs with the thief's CAS: one of us gets it */
		if (rg_cas_full(&p->head, head, head + 1))
			return g;
	}
}

struct g *rg_runq_pop(struct p *p)
{
	struct g *g;

	if (p->next_runs < NEXT_RUNS) {
		g = take_next(p);
		if (g) {
			p->next_runs++;
			return g;
		}
	}
	p->next_runs = 0;
	g = pop_ring(p);
	return g ? g : take_next(p);
}

bool rg_runq_empty(const struct p *p)
{
	return rg_load_relaxed(&p->head) == rg_load_relaxed(&p->tail) && !rg_load_relaxed(&p->next);
}

/* Half of the victim's queue into the thief's, which is empty; the last of them is returned. */
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
			return with_next ? take_next(victim) : NULL;
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
	n = rg_min(rt.nglobal, rt.nglobal / rt.procs + 1);
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
