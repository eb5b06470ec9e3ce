// SPDX-License-Identifier: MIT
/*
 * Who can be woken, told by who has a pointer to what.
 *
 * Candidates are goroutines parked on channels, locks and contexts for as long as it takes. They are lost until
 * one of the things that could wake them is reached. Each such thing lies in a range of memory:
 *  - a channel, a context: its own;
 *  - a lock in the heap: its block of malloc's (heap.c), since a pointer to any part of a structure reaches
 *    all of it;
 *  - a lock on the stack of a candidate: that stack, as long as it is in use.
 * A lock that lies anywhere else, in a global variable for instance, can be reached by all.
 *
 * Ranges and the stacks of candidates are no roots. Roots are all other memory: see unreachable.c. A word that
 * points into a range, to any place in it, reaches it: then the range is searched in turn, and those who wait
 * for what lies there are lost no more, which reaches their stacks. So locks that only their own waiters, or
 * waiters of each other, know of stay unreached, whatever they point to. A stack is reached by a pointer,
 * too, without its goroutine: that is how a structure on it is handed to others.
 *
 * An edge is a range with one goroutine that it wakes, or whose stack it is. Edges lie in the order of their
 * ranges, which do not overlap; those of one range follow each other.
 */
#include "observe/reach.h"

#include <ringo/select.h>
#include <string.h>
#include <unistd.h>

#include "core/base.h"
#include "core/scan.h"
#include "core/scope.h"
#include "core/stack.h"
#include "observe/heap.h"
#include "observe/reads.h"
#include "sync/chan.h"

enum { EDGES = 24, CHUNK = 512 }; /* edges of a goroutine: one that has more is no candidate */

enum kind {
	STACK,  /* of goroutine index */
	OBJECT, /* wakes it */
	LOCK,   /* wakes it; lo is its address, and its range is not known yet */
};

struct rg_edge {
	uintptr_t lo, hi;
	uint32_t index;
	uint8_t kind;
	bool reached; /* of the first edge of a range */
};

size_t rg_reach_size(uint32_t used)
{
	return (size_t)used * (EDGES * (sizeof(struct rg_edge) + sizeof(uint32_t)) + 1);
}

void rg_reach_init(struct rg_reach *r, void *room, uint32_t used)
{
	*r = (struct rg_reach){ .used = used, .edges = room };
	r->todo = (uint32_t *)(r->edges + (size_t)used * EDGES);
	r->lost = (uint8_t *)(r->todo + (size_t)used * EDGES);
}

/* ---- searching ---- */

/* The first edge that ends beyond v. */
static uint32_t beyond(const struct rg_reach *r, uintptr_t v)
{
	uint32_t lo = 0, hi = r->nedges;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (r->edges[mid].hi > v)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

/*
 * Somebody has v: perhaps a pointer into a range. The last word of a block of malloc's is the first one of the next
 * block, too, to which malloc itself has a pointer, if that is free: so it reaches nothing.
 */
static void reach(struct rg_reach *r, uintptr_t v)
{
	uint32_t i;

	if (!r->nedges || v < r->edges[0].lo || v >= r->edges[r->nedges - 1].hi)
		return;
	i = beyond(r, v);
	if (r->edges[i].lo > v || r->edges[i].reached)
		return;
	if (r->edges[i].kind != STACK && r->edges[i].hi - v <= sizeof(v))
		return;
	r->edges[i].reached = true;
	r->todo[r->ntodo++] = i;
}

struct words {
	struct rg_reach *r;
	uintptr_t lo, hi;
};

static void search_one(void *arg)
{
	const struct words *w = arg;

	for (uintptr_t at = (w->lo + 7) & ~(uintptr_t)7; at + 8 <= w->hi; at += 8)
		reach(w->r, *(const volatile uintptr_t *)at);
}

/* A page that cannot be read has no pointers. */
static void search_words(struct rg_reach *r, uintptr_t lo, uintptr_t hi)
{
	while (lo < hi) {
		uintptr_t end = rg_min(hi, (lo / RG_PAGE + 1) * RG_PAGE);
		struct words w = { .r = r, .lo = lo, .hi = end };

		rg_reads(search_one, &w);
		lo = end;
	}
}

/* Pages that were never touched are not even looked at. */
static void search_pages(struct rg_reach *r, uintptr_t lo, uintptr_t hi)
{
	uint64_t map[CHUNK];

	while (lo < hi) {
		uintptr_t page = lo / RG_PAGE;
		size_t n = rg_min((hi - 1) / RG_PAGE - page + 1, (size_t)CHUNK);

		if (pread(r->pagemap, map, n * 8, (off_t)(page * 8)) != (ssize_t)(n * 8))
			memset(map, 0xff, sizeof(map));
		for (size_t i = 0; i < n; i++)
			if (map[i] >> 62) /* present, or swapped */
				search_words(r, rg_max(lo, (page + i) * RG_PAGE),
					     rg_min(hi, (page + i + 1) * RG_PAGE));
		lo = (page + n) * RG_PAGE;
	}
}

void rg_reach_root(struct rg_reach *r, uintptr_t lo, uintptr_t hi, bool pages)
{
	uint32_t i = beyond(r, lo);

	while (lo < hi) {
		uintptr_t end = i < r->nedges ? rg_min(hi, r->edges[i].lo) : hi;

		if (pages)
			search_pages(r, lo, end);
		else
			search_words(r, lo, end);
		if (end >= hi)
			break;
		lo = r->edges[i].hi;
		i = beyond(r, lo);
	}
}

/* ---- stacks and goroutines ---- */

static bool on_stack(const struct g *g)
{
	return g->trim == RG_TRIM_ONSTACK;
}

static bool sp_inside(const struct g *g)
{
	char *lo, *hi;

	rg_stack_bounds(g, &lo, &hi);
	return (char *)g->sp >= lo && (char *)g->sp < hi;
}

/* What of it is in use by frames. */
static void search_stack(struct rg_reach *r, const struct g *g)
{
	char *lo, *hi;
	uintptr_t from;

	rg_stack_bounds(g, &lo, &hi);
	if (g == r->self)
		from = r->sp;
	else if (on_stack(g) || g->state == RG_RUNNING || !sp_inside(g))
		from = (uintptr_t)lo + RG_PAGE;
	else
		from = (uintptr_t)g->sp;
	search_pages(r, from, (uintptr_t)rg_stack_top(g));
}

/* What ringo has for one that is not lost, or not born yet: its stack pointer reaches the stack of a candidate. */
static void search_own(struct rg_reach *r, const struct g *g)
{
	search_words(r, (uintptr_t)g, (uintptr_t)(g + 1));
	if (g->state != RG_RESERVED && g->slot)
		search_words(r, (uintptr_t)rg_base(g), (uintptr_t)(rg_base(g) + 1));
}

/* It is lost no more, nor is what lies on its stack. */
static void found(struct rg_reach *r, uint32_t index)
{
	if (!r->lost[index])
		return;
	r->lost[index] = 0;
	search_own(r, rg_g_at(index));
}

static void search_range(struct rg_reach *r, uint32_t i)
{
	uintptr_t lo = r->edges[i].lo;

	if (r->edges[i].kind == STACK)
		search_stack(r, rg_g_at(r->edges[i].index));
	else
		search_words(r, lo, r->edges[i].hi);
	for (; i < r->nedges && r->edges[i].lo == lo; i++)
		if (r->edges[i].kind != STACK)
			found(r, r->edges[i].index);
}

/* One that was never lost; or was, but nobody knows where what it waits for lies: then its stack is a range. */
static void search_live(struct rg_reach *r, const struct g *g)
{
	switch (g->state) {
	case RG_RUNNABLE:
	case RG_RUNNING:
	case RG_WAITING:
	case RG_SYSCALL:
		if (g->slot)
			search_stack(r, g);
		search_own(r, g);
		break;
	case RG_RESERVED:
		search_own(r, g);
		break;
	default:
		break;
	}
}

void rg_reach_end(struct rg_reach *r)
{
	for (uint32_t i = 0; i < r->used; i++)
		if (!r->lost[i])
			search_live(r, rg_g_at(i));
	while (r->ntodo)
		search_range(r, r->todo[--r->ntodo]);
}

/* ---- candidates and their edges ---- */

/* Of one goroutine. */
struct waits {
	struct rg_edge *e;
	unsigned n;
	uint32_t index;
};

/* False: too many. */
static bool add(struct waits *w, enum kind kind, const void *at, size_t size)
{
	if (w->n == EDGES)
		return false;
	w->e[w->n++] = (struct rg_edge){ .lo = (uintptr_t)at, .hi = (uintptr_t)at + size, .index = w->index,
					 .kind = (uint8_t)kind };
	return true;
}

static bool add_chan(struct waits *w, const struct ringo_chan *c)
{
	return !c || add(w, OBJECT, c, sizeof(*c) + c->cap * c->elem);
}

/* The end of a context, or of one above it. False also: that has come. */
static bool add_scope(struct waits *w, const struct rg_scope *s)
{
	for (; s; s = s->parent)
		if (s->err || !add(w, OBJECT, s, sizeof(*s)))
			return false;
	return true;
}

static bool add_cases(struct waits *w, const struct g *g)
{
	const struct rg_select_wait *s = g->wait_on;

	if (!s)
		return true;
	for (const struct ringo_case *c = s->cases; c < s->cases + s->n; c++)
		switch (c->kind) {
		case RINGO__CASE_SEND:
		case RINGO__CASE_RECV:
			if (!add_chan(w, c->on.chan))
				return false;
			break;
		case RINGO__CASE_DONE:
			if (!add_scope(w, rg_scope_of(c->on.ctx)))
				return false;
			break;
		default:
			return false;
		}
	return true;
}

/* False: it waits for something that needs no pointer. */
static bool add_waits(struct waits *w, const struct g *g)
{
	switch (g->reason) {
	case RG_WHY_CHAN_NULL:
		return true;
	case RG_WHY_CHAN_SEND:
	case RG_WHY_CHAN_RECV:
		return add_chan(w, g->wait_on);
	case RG_WHY_SELECT:
		return add_cases(w, g);
	case RG_WHY_MUTEX:
	case RG_WHY_RWMUTEX_R:
	case RG_WHY_RWMUTEX_W:
	case RG_WHY_COND:
	case RG_WHY_ONCE:
	case RG_WHY_SEMA:
	case RG_WHY_WAITGROUP:
	case RG_WHY_GROUP:
		return add(w, LOCK, g->wait_on, 1);
	case RG_WHY_CTX:
		return add_scope(w, g->wait_on);
	default:
		return false;
	}
}

/* Time or its context may end the wait. False: time will. */
static bool add_ends(struct waits *w, const struct g *g)
{
	if (!(g->wake & 1))
		return true;
	return g->wait_until == INT64_MAX && add_scope(w, g->scope);
}

static bool choose(struct rg_reach *r, const struct g *g)
{
	struct waits w = { .e = r->edges + r->nedges, .index = rg_g_index(g) };

	if (g->state != RG_WAITING || !g->slot || on_stack(g) || !sp_inside(g) ||
	    g->flags & (RG_G_DAEMON | RG_G_MAIN))
		return false;
	if (!add(&w, STACK, g->sp, (size_t)((char *)rg_stack_top(g) - (char *)g->sp)) ||
	    !add_waits(&w, g) || !add_ends(&w, g))
		return false;
	r->nedges += w.n;
	return true;
}

static void sift(struct rg_edge *e, uint32_t i, uint32_t n)
{
	for (;;) {
		uint32_t child = 2 * i + 1;
		struct rg_edge v = e[i];

		if (child >= n)
			return;
		if (child + 1 < n && e[child + 1].lo > e[child].lo)
			child++;
		if (e[child].lo <= v.lo)
			return;
		e[i] = e[child];
		e[child] = v;
		i = child;
	}
}

static void sort(struct rg_edge *e, uint32_t n)
{
	for (uint32_t i = n / 2; i--;)
		sift(e, i, n);
	while (n-- > 1) {
		struct rg_edge v = e[0];

		e[0] = e[n];
		e[n] = v;
		sift(e, 0, n);
	}
}

/* e lies there. */
static void place(struct rg_edge *e, uintptr_t lo, uintptr_t hi)
{
	e->lo = lo;
	e->hi = hi;
	e->kind = OBJECT;
}

/* Locks on the stacks of candidates: they follow on those. */
static void place_on_stacks(struct rg_reach *r)
{
	const struct rg_edge *stack = NULL;

	for (struct rg_edge *e = r->edges; e < r->edges + r->nedges; e++) {
		if (e->kind == STACK)
			stack = e;
		else if (e->kind == LOCK && stack && e->lo < stack->hi)
			place(e, stack->lo, stack->hi);
	}
}

void rg_reach_begin(struct rg_reach *r)
{
	for (uint32_t i = 0; i < r->used; i++)
		r->lost[i] = choose(r, rg_g_at(i));
	sort(r->edges, r->nedges);
	place_on_stacks(r);
}

/* Of the locks from e on those that lie in this heap. The first that does not. */
static struct rg_edge *place_in_heap(struct rg_heap *h, struct rg_edge *e, const struct rg_edge *last)
{
	uintptr_t lo, hi;

	while (rg_heap_next(h, &lo, &hi))
		for (; e < last && e->lo < hi; e++)
			if (e->kind == LOCK && e->lo >= lo)
				place(e, lo, hi);
	return e;
}

struct place {
	struct rg_heap heap;
	uintptr_t lo, hi, addr;
	bool brk, found;
};

static void find_heap(void *arg)
{
	struct place *p = arg;

	p->found = rg_heap_find(&p->heap, p->lo, p->hi, p->brk, p->addr);
}

void rg_reach_heap(struct rg_reach *r, uintptr_t lo, uintptr_t hi, bool brk)
{
	struct rg_edge *e = r->edges + beyond(r, lo), *last = r->edges + r->nedges;
	struct place p = { .lo = lo, .hi = hi, .brk = brk };

	while (e < last && e->lo < hi) {
		if (e->kind != LOCK) {
			e++;
			continue;
		}
		p.addr = e->lo;
		/* What cannot be read is no heap: the stack of a goroutine, for one, with guard markers in its arena. */
		if (rg_reads(find_heap, &p) && p.found)
			e = place_in_heap(&p.heap, e, last);
		else
			while (e < last && e->lo < p.heap.end)
				e++;
	}
}

void rg_reach_known(struct rg_reach *r)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < r->nedges; i++) {
		struct rg_edge *e = &r->edges[i];

		if (e->kind == LOCK)
			r->lost[e->index] = 0;
		else
			r->edges[n++] = *e;
	}
	r->nedges = n;
}
