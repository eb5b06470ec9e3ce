/* SPDX-License-Identifier: MIT */
/*
 * Run queues: a ring of 256 per P, lock-free for its holder, and a global one under a lock, with room for
 * every G there can be. Arrays and not lists: a link would lie in a descriptor that is cold by then.
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
#ifndef RG_CORE_RUNQ_H
#define RG_CORE_RUNQ_H

#include <stdbool.h>

#include "base/atomic.h"
#include "core/p.h"
#include "core/rt.h"

enum { RG_NEXT_RUNS = 8, RG_NEXT_RELAX = 130, RG_PREFETCH = 4 };

/* The queue is full: half of it and g go to the global queue. */
void rg_runq_overflow(struct p *p, struct g *g, uint32_t head);

/* Half of the victim's queue into the thief's, which is empty; the last of them is returned. */
struct g *rg_runq_steal(struct p *thief, struct p *victim, bool with_next);

void rg_runq_drain(struct p *p); /* all to the global queue */

/* A round, at this time; g came from the place that is marked, and is returned: that makes the call a jump. The holder. */
void rg_runq_mark(struct p *p, int64_t now);
RG_COLD __attribute__((returns_nonnull)) struct g *rg_runq_marked(struct p *p, struct g *g);

/* put, pop, take: the P's holder only. */

static inline void rg_runq_put(struct p *p, struct g *g)
{
	/* order: acquire; pairs with the CAS in rg_runq_steal: those places were read */
	uint32_t head = rg_load_acquire(&p->head);
	uint32_t tail = p->tail;

	if (unlikely(tail - head >= RG_RUNQ)) {
		rg_runq_overflow(p, g, head);
		return;
	}
	rg_store_relaxed(&p->ring[tail % RG_RUNQ], g);
	/* order: release; pairs with the acquire of tail in rg_runq_steal */
	rg_store_release(&p->tail, tail + 1);
}

static inline void rg_runq_put_next(struct p *p, struct g *g)
{
	struct g *former;

	if (rg_load_relaxed(&rt.solo)) {
		former = p->next;
		rg_store_relaxed(&p->next, g); /* sysmon looks at it */
	} else {
		/* order: full; pairs with the CAS of a thief on p->next, and publishes the G to it */
		former = rg_xchg_full(&p->next, g);
	}
	if (former)
		rg_runq_put(p, former);
}

static inline struct g *rg_runq_take_next(struct p *p)
{
	struct g *g = rg_load_relaxed(&p->next);

	if (!g)
		return NULL;
	if (rg_load_relaxed(&rt.solo)) {
		rg_store_relaxed(&p->next, NULL);
		return g;
	}
	/* order: full; pairs with the CAS of a thief: one of us gets it */
	return rg_cas_full(&p->next, g, NULL) ? g : NULL;
}

/* Of what is queued a little behind: first descriptors, then, nearer, the frames that a switch touches. */
static inline void rg_runq_prefetch(const struct p *p, uint32_t head)
{
#ifndef RG_TSAN /* it reads what may be somebody else's by now, and does not care */
	const struct g *far = rg_load_relaxed(&p->ring[(head + 2 * RG_PREFETCH) % RG_RUNQ]);
	const struct g *near = rg_load_relaxed(&p->ring[(head + RG_PREFETCH) % RG_RUNQ]);
	const char *frames = near->sp;

	__builtin_prefetch(far, 1);
	if (!near->slot)
		return;
	__builtin_prefetch(frames, 1);
	__builtin_prefetch(frames + RG_CACHELINE, 1);
	__builtin_prefetch(frames + 2 * RG_CACHELINE, 1);
	__builtin_prefetch(frames + 3 * RG_CACHELINE, 1);
#else
	(void)p, (void)head;
#endif
}

static inline struct g *rg_runq_pop_ring(struct p *p)
{
	for (;;) {
		/* order: acquire; pairs with the thief's CAS */
		uint32_t head = rg_load_acquire(&p->head);
		uint32_t n = p->tail - head;
		struct g *g;

		if (!n)
			return NULL;
		if (n > 2 * RG_PREFETCH)
			rg_runq_prefetch(p, head);
		g = rg_load_relaxed(&p->ring[head % RG_RUNQ]);
		if (rg_load_relaxed(&rt.solo))
			rg_store_relaxed(&p->head, head + 1);
		/* order: full; pairs with the thief's CAS: one of us gets it */
		else if (!rg_cas_full(&p->head, head, head + 1))
			continue;
		return unlikely(head == p->mark) ? rg_runq_marked(p, g) : g;
	}
}

static inline struct g *rg_runq_pop(struct p *p)
{
	struct g *g;

	if (p->next_runs < RG_NEXT_RUNS) {
		g = rg_runq_take_next(p);
		if (g) {
			p->next_runs++;
			return g;
		}
	}
	p->next_runs = 0;
	g = rg_runq_pop_ring(p);
	return g ? g : rg_runq_take_next(p);
}

/*
 * Empty at some moment of the call. A look at the ring and then at next is not enough: in between the holder
 * may push the G that was in next into the ring, and take the one that came after it.
 */
static inline bool rg_runq_empty(const struct p *p)
{
	for (;;) {
		/* order: acquire all three; they keep the loads in this order. Nothing is read through them. */
		uint32_t head = rg_load_acquire(&p->head);
		uint32_t tail = rg_load_acquire(&p->tail);
		const struct g *next = rg_load_acquire(&p->next);

		if (rg_load_relaxed(&p->tail) == tail)
			return head == tail && !next;
	}
}

/* Global queue, with room for limit Gs. */
int rg_global_init(size_t limit);
void rg_global_fini(void);
void rg_global_put(struct g *g);
struct g *rg_global_get(struct p *p); /* one to run, and a fair share into p's queue */

#endif
