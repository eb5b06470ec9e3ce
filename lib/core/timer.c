// SPDX-License-Identifier: MIT
/*
 * Timers: a 4-ary heap per P, of 16-byte entries that name a G. Only the P's holder touches it.
 *
 * The heap is a set of hints to look at a G, not of timers to run. An entry that comes up looks what its G
 * waits for: nothing (drop the entry), something later (put it back), or this (wake the G, or cancel its
 * operation). So a wait that ends early undoes nothing, a deadline that moves away costs nothing, and a
 * connection that sets the same deadline for each of a thousand reads has one entry all the while.
 *
 * A G has at most one valid entry: g->tent names the P, a tag, and the time in units of 65 us. A wait that
 * ends earlier than that, or on another P, makes a new entry and thereby the old one stale. Stale entries
 * are dropped when they come up, or when the heap is full and would grow.
 *
 * sysmon takes the P from a G that computes while an entry is due (revoke.c), so it is asked to come when there is a new
 * first one. It reads n and first, each of which may be older than the other: then it comes too early, or was asked.
 *
 * Ordering. g->tent is stored by the holder of the P it names, so a G that finds its own P there may rely
 * on the entry. g->wait_until is written before g->wake turns odd and read after that was seen; a claim by
 * CAS on the value seen fails if the G has gone on to another wait since.
 *
 * Rejected: an index kept in each timer (each move in the heap would touch a parked stack: a cache miss),
 * a ring timeout per sleeper (2.5 against 0.2 us, 360 against 16 bytes).
 */
#include "core/timer.h"

#include <errno.h>
#include <ringo/go.h>
#include <ringo/time.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/lock.h"
#include "core/gate.h"
#include "core/panic.h"
#include "core/park.h"
#include "core/reserve.h"
#include "core/revoke.h"
#include "core/rt.h"
#include "core/sched.h"

enum { HEAP_FIRST = 256, UNIT_SHIFT = 16, TAG_BITS = 11, TIME_BITS = 42 };

#define FAR ((UINT64_C(1) << TIME_BITS) - 1)

/*
 * tent: P in 10 bits, valid in 1, tag in 11, time in 42: enough for nine years of uptime, after which an entry
 * is made for each wait. That a tag comes again does no harm: the older entry of that time serves as well.
 */
static uint64_t tent_make(const struct p *p, uint32_t tag, int64_t when)
{
	uint64_t time = rg_min((uint64_t)when >> UNIT_SHIFT, FAR);

	return (uint64_t)p->id << 54 | 1ull << 53 | (uint64_t)tag << TIME_BITS | time;
}

static bool tent_on(uint64_t tent, const struct p *p)
{
	return tent && tent >> 54 == p->id;
}

/* The valid entry comes up no later than when, give or take one unit. Far times never match. */
static bool tent_serves(uint64_t tent, const struct p *p, int64_t when)
{
	uint64_t time = tent & FAR;

	return tent_on(tent, p) && time != FAR && time <= (uint64_t)when >> UNIT_SHIFT;
}

static bool entry_valid(const struct rg_tent *e, const struct p *p)
{
	uint64_t tent = rg_load_relaxed(&rg_g_at(e->g)->tent);

	return tent && tent == tent_make(p, e->tag, e->when);
}

static void sift_up(struct rg_tent *h, uint32_t i, struct rg_tent e)
{
	while (i) {
		uint32_t up = (i - 1) / 4;

		if (h[up].when <= e.when)
			break;
		h[i] = h[up];
		i = up;
	}
	h[i] = e;
}

static void sift_down(struct rg_tent *h, uint32_t n, uint32_t i, struct rg_tent e)
{
	for (;;) {
		uint32_t first = 4 * i + 1, best = first;

		if (first >= n)
			break;
		for (uint32_t c = first + 1; c < rg_min(first + 4, n); c++)
			if (h[c].when < h[best].when)
				best = c;
		if (h[best].when >= e.when)
			break;
		h[i] = h[best];
		i = best;
	}
	h[i] = e;
}

static void drop_stale(struct p *p)
{
	struct rg_timers *t = &p->timers;
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->n; i++)
		if (entry_valid(&t->heap[i], p))
			t->heap[n++] = t->heap[i];
	rg_store_relaxed(&t->n, n);
	for (uint32_t i = n / 4 + 1; i-- > 0;)
		if (i < n)
			sift_down(t->heap, n, i, t->heap[i]);
	if (n)
		rg_store_relaxed(&t->first, t->heap[0].when);
}

static void add(struct p *p, struct rg_tent e)
{
	struct rg_timers *t = &p->timers;

	rg_store_relaxed(&t->n, t->n + 1);
	sift_up(t->heap, t->n - 1, e);
	rg_store_relaxed(&t->first, t->heap[0].when);
}

static int heap_grow(struct rg_timers *t)
{
	uint32_t cap = t->cap ? t->cap * 2 : HEAP_FIRST;
	size_t size = cap * sizeof(*t->heap);
	void *h = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (h == MAP_FAILED)
		return -ENOMEM;
	if (t->heap) { /* not mremap: ThreadSanitizer does not see it, and takes the old range for in use */
		memcpy(h, t->heap, t->n * sizeof(*t->heap));
		munmap(t->heap, t->cap * sizeof(*t->heap));
	}
	t->heap = h;
	t->cap = cap;
	return 0;
}

static int heap_room(struct p *p)
{
	struct rg_timers *t = &p->timers;

	if (likely(t->n < t->cap))
		return 0;
	drop_stale(p);
	/* Grow unless half was stale, so that each entry is looked at a bounded number of times. */
	if (t->n <= t->cap / 2 && t->cap)
		return 0;
	return heap_grow(t) == 0 || t->n < t->cap ? 0 : -ENOMEM;
}

static uint32_t tag_next(struct p *p)
{
	p->timers.tag = (p->timers.tag + 1) & ((1u << TAG_BITS) - 1);
	return p->timers.tag;
}

int rg_timer_arm(struct m *m, struct g *g)
{
	struct p *p = m->p;
	struct rg_tent e = { .when = g->wait_until, .g = rg_g_index(g) };

	if (tent_serves(rg_load_relaxed(&g->tent), p, e.when))
		return 0;
	if (heap_room(p))
		return -ENOMEM;
	e.tag = tag_next(p);
	rg_store_relaxed(&g->tent, tent_make(p, e.tag, e.when));
	add(p, e);
	if (p->timers.first == e.when)
		rg_watch_hint();
	return 0;
}

/* Put an entry back for a wait that ends later. There is room: one was just taken out. */
static void put_back(struct p *p, struct g *g, int64_t until)
{
	struct rg_tent e = { .when = until, .g = rg_g_index(g), .tag = tag_next(p) };

	/* order: full; pairs with the store in rg_timer_arm on another P, which then keeps its own */
	if (rg_cas_full(&g->tent, 0, tent_make(p, e.tag, e.when)))
		add(p, e);
}

static void entry_due(struct m *m, const struct rg_tent *e, int64_t now)
{
	struct g *g = rg_g_at(e->g);
	uint32_t wake, kind;
	int64_t until;

	/* order: full; pairs with the store in rg_timer_arm: a newer entry stays */
	if (!rg_cas_full(&g->tent, tent_make(m->p, e->tag, e->when), 0))
		return;
	/* order: acquire; pairs with the release in rg_wait_begin_until: wait_until is of this wait */
	wake = rg_load_acquire(&g->wake);
	if (!(wake & 1))
		return;
	until = rg_load_relaxed(&g->wait_until);
	if (until > now) {
		if (until != INT64_MAX) /* this one does not end by time */
			put_back(m->p, g, until);
		return;
	}
	kind = rg_load_relaxed(&g->wait_kind);
	if (kind == RG_WAIT_OP) {
		if (rg_load_relaxed(&g->op_home) != m->p->id)
			return; /* its P has an entry of its own */
		rg_count(&m->p->count.cancels, 1);
		rt.poller->cancel(m, g);
		return;
	}
	/* order: full; pairs with rg_claim of the other waker, and with rg_reserved_take */
	if (!rg_cas_full(&g->wake, wake, wake + 1))
		return;
	if (kind == RG_WAIT_CLAIM) {
		rg_off_stack(g);
		rg_ready(m, g, -ETIMEDOUT);
	} else if (kind == RG_WAIT_START)
		rg_reserved_start(m, g);
	else
		g->fn((void *)g->args[0]);
}

int64_t rg_timers_run(struct m *m, int64_t now)
{
	struct rg_timers *t = &m->p->timers;

	while (t->n && t->heap[0].when <= now) {
		struct rg_tent e = t->heap[0];

		rg_store_relaxed(&t->n, t->n - 1);
		if (t->n)
			sift_down(t->heap, t->n, 0, t->heap[t->n]);
		entry_due(m, &e, now);
	}
	if (!t->n)
		return INT64_MAX;
	rg_store_relaxed(&t->first, t->heap[0].when);
	return t->first;
}

void rg_timers_await_end(uint32_t run)
{
	unsigned n = 0;

	/* order: acquire all; pair with the add and the release in run.c, and with the sub in thread_main of m.c */
	while (rg_load_acquire(&rt.runs) == run && rg_load_acquire(&rt.phase) == RG_STOPPING &&
	       rg_load_acquire(&rt.live_ms))
		rg_pause(n++);
}

void rg_timers_free(struct p *p)
{
	if (p->timers.heap)
		munmap(p->timers.heap, p->timers.cap * sizeof(*p->timers.heap));
	p->timers = (struct rg_timers){ 0 };
}

RG_API int64_t ringo_now(void)
{
	return rg_now();
}

RG_API int ringo_sleep(int64_t ns)
{
	int err, res = 0;
	struct m *m = rg_enter_g(&err);
	struct g *g;
	int64_t until;

	if (!m)
		return err;
	if (ns <= 0) {
		rg_leave(m);
		ringo_yield();
		return 0;
	}
	g = m->cur;
	until = rg_time_add(rg_now(), ns);
	err = rg_wait_begin_until(m, g, until);
	if (err < 0) {
		res = err;
	} else {
		/* Without any time nobody wakes us; a context may. */
		res = (int)rg_park(m, RG_WHY_SLEEP, NULL, NULL, NULL);
		if (res == -ETIMEDOUT && rg_now() >= until)
			res = 0;
	}
	rg_leave(rg_m());
	return res;
}

RG_API int64_t ringo_deadline_set(int64_t abs_ns)
{
	struct m *m = rg_enter();
	int64_t former;

	if (!m)
		return 0;
	former = rg_deadline_set(m->cur, abs_ns < 0 ? 1 : abs_ns);
	rg_leave(m);
	return former;
}

RG_API int64_t ringo__timeout_push(int64_t ns)
{
	struct m *m = rg_enter();
	int64_t former, until;

	if (!m)
		return 0;
	former = m->cur->deadline;
	until = rg_time_add(rg_now(), ns);
	if (until < 1)
		until = 1;
	if (former && former < until)
		until = former;
	former = rg_deadline_set(m->cur, until);
	rg_leave(m);
	return former;
}
