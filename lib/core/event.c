// SPDX-License-Identifier: MIT
/*
 * Event rings: what happens to goroutines, each with its time, for as long as somebody wants it.
 *
 * A ring per M, written by that M alone and made by it at its first event: so nobody has to be asked to start
 * tracing, and a program that nobody traces has no rings. Other threads (sysmon, the pool, the program's own) share
 * one, under a lock; what they do is rare or takes a lock anyway. Anonymous memory, which recorders copy out of the process as
 * they do with goroutines (state.c).
 *
 * Ordering. A record is stored before the head that covers it (release); a reader that copies records and looks at
 * head then knows which of them were being overwritten. An event is recorded before what it tells of can have
 * consequences on another M: whoever reads the rings after a moment finds all that was the cause of what happened
 * until then.
 *
 * Recorders write rt.events and until, from outside too, and renew them. An M that finds the time over clears
 * the one and looks at the other again: a recorder sets them in the opposite order.
 */
#include "core/event.h"

#include <string.h>
#include <sys/mman.h>

#include "base/lock.h"
#include "core/scan.h"

_Static_assert(RG_MAX_P < 0x7ff, "RINGO_EVENT_P has room");

struct ringo_events rg_events;

static uint32_t lock; /* of making rings, and of the ring of other threads */
static struct ringo_event_ring *others;

static size_t size_of(uint32_t order)
{
	return sizeof(struct ringo_event_ring) + (sizeof(struct ringo_event) << order);
}

/* Under the lock. */
static struct ringo_event_ring *make_ring(uint32_t place)
{
	uint32_t order = rg_load_relaxed(&rg_events.order);
	struct ringo_event_ring *r;

	if (order < RINGO_EVENTS_ORDER_MIN || order > RINGO_EVENTS_ORDER_MAX)
		order = RINGO_EVENTS_ORDER;
	r = mmap(NULL, size_of(order), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (r == MAP_FAILED)
		return NULL;
	madvise(r, size_of(order), MADV_DONTFORK);
	r->magic = RINGO_EVENTS_MAGIC;
	r->order = order;
	r->place = place;
	rg_store_relaxed(&rg_events.rings[place], (uintptr_t)r);
	if (place >= rg_events.used)
		rg_store_release(&rg_events.used, place + 1); /* order: release; pairs with recorders: the ring is there */
	return r;
}

static RG_COLD struct ringo_event_ring *first_of(struct m *m)
{
	rg_lock(&lock);
	m->events = make_ring(m->id + 1);
	rg_unlock(&lock);
	return m->events;
}

/* Nobody has renewed it. */
static RG_COLD void lapse(uint64_t now)
{
	rg_store_relaxed(&rt.events, 0);
	rg_fence_full(); /* order: full; pairs with recorders, which store until before they set the byte */
	if (now <= rg_load_relaxed(&rg_events.until))
		rg_store_relaxed(&rt.events, 1);
}

static inline void put(struct ringo_event_ring *r, uint64_t now, const struct g *g, uint64_t what, uint64_t more)
{
	uint64_t head = r->head;
	struct ringo_event *e = &r->events[head & ((UINT64_C(1) << r->order) - 1)];

	rg_compiler_barrier(); /* the head before this one is out */
	rg_store_relaxed(&e->when, now);
	rg_store_relaxed(&e->what, what);
	rg_store_relaxed(&e->g, g ? rg_g_index(g) + 1 : 0);
	rg_store_relaxed(&e->gen, g ? rg_load_relaxed(&g->gen) : 0);
	rg_store_relaxed(&e->more, more);
	rg_store_release(&r->head, head + 1); /* order: release; pairs with recorders: the event is whole */
}

static RG_NOINLINE void put_other(const struct g *g, uint64_t what, uint64_t more)
{
	rg_lock(&lock);
	if (!others)
		others = make_ring(0);
	if (others)
		put(others, rg_cycles(), g, what, more);
	else
		rg_add_relaxed(&rg_events.dropped, 1);
	rg_unlock(&lock);
}

void rg_event(struct m *m, uint32_t kind, const struct g *g, uint64_t what, uint64_t more)
{
	uint64_t now = rg_cycles();
	struct ringo_event_ring *r;

	more = RINGO_EVENT_PACK(kind, m && m->p ? m->p->id + 1 : 0, more);
	if (unlikely(now > rg_load_relaxed(&rg_events.until))) {
		lapse(now);
		return;
	}
	if (unlikely(!m)) {
		put_other(g, what, more);
		return;
	}
	r = likely(m->events != NULL) ? m->events : first_of(m);
	if (likely(r != NULL))
		put(r, now, g, what, more);
	else
		rg_add_relaxed(&rg_events.dropped, 1);
}

void rg_event_switch(struct m *m, const struct g *next)
{
	const struct g *left = m->cur;
	uint64_t what = 0, more = 0;

	if (left) {
		uint32_t state = rg_load_relaxed(&left->state);

		more = (rg_g_index(left) + 1) | (uint64_t)state << 32 | (uint64_t)left->reason << 40;
		if (state == RG_WAITING || state == RG_SYSCALL)
			what = (uintptr_t)rg_load_relaxed(&left->wait_on);
	}
	rg_event(m, RINGO_EVENT_SWITCH, next, what, more);
}

/* 14 bytes at a time. */
static void put_name(struct m *m, const struct g *g, const char *name)
{
	for (size_t at = 0, n = strlen(name); at < n; at += 14) {
		uint64_t what = 0, more = 0;

		memcpy(&what, name + at, rg_min(n - at, (size_t)8));
		if (n - at > 8)
			memcpy(&more, name + at + 8, rg_min(n - at - 8, (size_t)6));
		rg_event(m, RINGO_EVENT_NAME, g, what, more);
	}
}

void rg_event_spawned(struct m *m, const struct g *g)
{
	uintptr_t fn = (uintptr_t)g->fn;

	if (g->flags & RG_G_MAIN)
		fn = (uintptr_t)rt.main_fn;
	else if (g->fn == rg_load_relaxed(&rg_wrapper))
		fn = g->args[1];
	rg_event(m, RINGO_EVENT_SPAWN, g, fn, (uintptr_t)g->spawn_pc);
	put_name(m, g, rg_g_name(g));
}

void rg_event_of_m(uint32_t kind, struct m *m, const struct p *p)
{
	uint32_t cur;

	if (likely(!rg_is_wanted(events)))
		return;
	cur = (uint32_t)rg_load_relaxed(&rg_m_page(m)->cur_g);
	rg_event(NULL, kind, cur ? rg_g_at(cur - 1) : NULL, m->id, p->id);
}

const struct ringo_events *rg_events_open(void)
{
	rg_events.version = RINGO_EVENTS_VERSION;
	rg_events.size = sizeof(rg_events);
	rg_events.flag = (uintptr_t)&rt.events;
	return &rg_events;
}

void rg_events_close(void)
{
	rg_store_relaxed(&rt.events, 0);
	for (uint32_t i = 0; i < rg_events.used; i++) {
		struct ringo_event_ring *r = (void *)(uintptr_t)rg_events.rings[i];

		if (r)
			munmap(r, size_of(r->order));
	}
	rg_events_child();
}

void rg_events_child(void)
{
	memset(&rg_events, 0, sizeof(rg_events));
	others = NULL;
	lock = 0;
}
