// SPDX-License-Identifier: MIT
/*
 * Goroutines in groups: those alike counted together, the most frequent first.
 *
 * Groups lie in one reservation that is committed as they come; when it is full, further ones are only
 * counted, and the profile says so. Waiting times are kept as a histogram, four steps to a doubling, so that
 * a median costs no list of all.
 */
#include <errno.h>
#include <ringo/stats.h>
#include <string.h>

#include "base/os.h"
#include "core/dump.h"

enum { BUCKETS = 1 << 16, STEPS = 128 };

#define ARENA ((size_t)64 << 20)

struct group {
	uint64_t hash;
	uint32_t count;
	uint32_t next;       /* in its bucket: number + 1 */
	uint32_t least, most; /* waited: rg_since() units */
	int64_t cpu;         /* of all; -1: nobody counts */
	uint32_t steps[STEPS];
	struct rg_look look; /* of one of them; last, so that what it has no frames for is not touched */
};

struct profile {
	struct group *groups;
	uint32_t *buckets, *order;
	size_t size, buckets_size, order_size;
	uint32_t n, max;
	uint64_t total, lost;
	bool leaks;
};

static void mix(uint64_t *h, uint64_t v)
{
	*h = (*h ^ v) * UINT64_C(0x9E3779B97F4A7C15);
	*h ^= *h >> 29;
}

static uint64_t hash_of(const struct profile *p, const struct rg_look *l)
{
	uint64_t h = l->state | (uint64_t)l->reason << 8 | (uint64_t)(l->behind + 1) << 32 | (uint64_t)(l->flags & RG_G_DAEMON) << 16;

	mix(&h, (uintptr_t)l->spawn_pc);
	if (p->leaks)
		return h;
	mix(&h, (uintptr_t)l->fn);
	for (int i = 0; i < l->n; i++)
		mix(&h, (uintptr_t)l->pcs[i]);
	return h;
}

static bool same(const struct profile *p, const struct rg_look *a, const struct rg_look *b)
{
	if (a->state != b->state || a->reason != b->reason || a->spawn_pc != b->spawn_pc || a->behind != b->behind ||
	    (a->flags ^ b->flags) & RG_G_DAEMON)
		return false;
	if (p->leaks)
		return true;
	return a->fn == b->fn && a->n == b->n && !memcmp(a->pcs, b->pcs, (size_t)a->n * sizeof(*a->pcs));
}

static struct group *find(struct profile *p, const struct rg_look *l)
{
	uint64_t h = hash_of(p, l);
	uint32_t *bucket = &p->buckets[h >> 32 & (BUCKETS - 1)];
	struct group *g;

	for (uint32_t i = *bucket; i; i = g->next) {
		g = &p->groups[i - 1];
		if (g->hash == h && same(p, &g->look, l))
			return g;
	}
	if (p->n == p->max)
		return NULL;
	g = &p->groups[p->n++];
	g->hash = h;
	g->least = UINT32_MAX;
	g->next = *bucket;
	*bucket = p->n;
	return g;
}

static void copy_look(struct rg_look *to, const struct rg_look *l)
{
	memcpy(to, l, offsetof(struct rg_look, pcs) + (size_t)l->n * sizeof(*l->pcs));
}

/* Where a span lies in the histogram, and a span that lies there. */
static unsigned step_of(uint32_t span)
{
	unsigned log;

	if (span < 4)
		return span;
	log = 31 - (unsigned)__builtin_clz(span);
	return rg_min(log * 4 - 4 + (span >> (log - 2) & 3), (unsigned)STEPS - 1);
}

static uint32_t span_of(unsigned step)
{
	return step < 4 ? step : (4 + (step & 3)) << (step / 4 - 1);
}

static void add(struct profile *p, const struct rg_look *l)
{
	uint32_t waited = (uint32_t)(rg_look_waited(l) >> 20);
	struct group *g;

	p->total++;
	g = find(p, l);
	if (!g) {
		p->lost++;
		return;
	}
	/* The one shown is the one that has waited longest. */
	if (!g->count || waited > g->most)
		copy_look(&g->look, l);
	g->cpu = l->cpu < 0 ? -1 : g->cpu + l->cpu;
	g->count++;
	g->least = rg_min(g->least, waited);
	g->most = rg_max(g->most, waited);
	g->steps[step_of(waited)]++;
}

static uint32_t median(const struct group *g)
{
	uint32_t sofar = 0, span;
	unsigned i;

	for (i = 0; i < STEPS - 1; i++) {
		sofar += g->steps[i];
		if (sofar * UINT64_C(2) >= g->count)
			break;
	}
	span = rg_max(span_of(i), g->least);
	return rg_min(span, g->most);
}

static bool before(const struct profile *p, uint32_t a, uint32_t b)
{
	const struct group *x = &p->groups[a], *y = &p->groups[b];

	return x->count != y->count ? x->count > y->count : a < b;
}

/* Heap sort: in place, no recursion, no bad case. The heap's root is the one to be shown last. */
static void sift(struct profile *p, uint32_t i, uint32_t n)
{
	for (;;) {
		uint32_t child = 2 * i + 1, v;

		if (child >= n)
			return;
		if (child + 1 < n && before(p, p->order[child], p->order[child + 1]))
			child++;
		if (before(p, p->order[child], p->order[i]))
			return;
		v = p->order[i];
		p->order[i] = p->order[child];
		p->order[child] = v;
		i = child;
	}
}

static void sort(struct profile *p)
{
	for (uint32_t i = 0; i < p->n; i++)
		p->order[i] = i;
	for (uint32_t i = p->n / 2; i--;)
		sift(p, i, p->n);
	for (uint32_t n = p->n; n-- > 1;) {
		uint32_t v = p->order[0];

		p->order[0] = p->order[n];
		p->order[n] = v;
		sift(p, 0, n);
	}
}

static void out_waits(struct rg_out *o, const struct group *g, bool leaks)
{
	if (!rg_look_waits(&g->look))
		return;
	rg_out(o, ", ");
	rg_out_span(o, (int64_t)g->least << 20);
	if (leaks) {
		rg_out(o, " / ");
		rg_out_span(o, (int64_t)median(g) << 20);
		rg_out(o, " / ");
		rg_out_span(o, (int64_t)g->most << 20);
	} else if (g->count > 1) {
		rg_out(o, " to ");
		rg_out_span(o, (int64_t)g->most << 20);
	}
}

/* The first two lines are those of Go's text profiles, which pprof reads. */
static void out_group(struct rg_out *o, const struct group *g, bool leaks)
{
	const struct rg_look *l = &g->look;

	rg_out(o, "%u @", g->count);
	for (int i = 0; i < l->n; i++)
		rg_out(o, " %p", l->pcs[i]);
	if (!l->n)
		rg_out(o, " %p", l->fn);
	rg_out(o, "\n# [%s", rg_look_state(l));
	out_waits(o, g, leaks);
	rg_out_behind(o, l);
	rg_out_cpu(o, g->cpu);
	if (l->flags & RG_G_DAEMON)
		rg_out(o, ", daemon");
	rg_out(o, "] entry %s", rg_symbols_name(o->symbols, l->fn));
	rg_out(o, ", created by %s\n", rg_look_creator(o, l));
	rg_out_frames(o, l, "#\t");
	if (!l->n)
		rg_out(o, "#\t(stack not available: %s)\n", l->no_stack ? l->no_stack : "?");
	rg_out(o, "\n");
}

static void profile_free(struct profile *p)
{
	rg_unreserve(p->groups, p->size);
	rg_unreserve(p->buckets, p->buckets_size);
	rg_unreserve(p->order, p->order_size);
}

static int profile_init(struct profile *p, bool leaks)
{
	*p = (struct profile){ .size = ARENA, .buckets_size = BUCKETS * sizeof(*p->buckets),
			       .leaks = leaks };
	p->groups = rg_reserve(&p->size, sizeof(struct group) * 64);
	p->max = (uint32_t)(p->size / sizeof(struct group));
	p->order_size = p->max * sizeof(*p->order);
	p->buckets = rg_reserve(&p->buckets_size, p->buckets_size);
	p->order = rg_reserve(&p->order_size, p->order_size);
	if (p->groups && p->buckets && p->order)
		return 0;
	profile_free(p);
	return -ENOMEM;
}

/* A leak profile is about those that wait and that somebody should have ended. */
static bool wanted(const struct profile *p, const struct rg_look *l)
{
	return !p->leaks || (rg_look_waits(l) && !(l->flags & (RG_G_DAEMON | RG_G_MAIN)));
}

int rg_profile(struct rg_out *o, struct rg_scan *s, unsigned flags)
{
	bool leaks = flags & RINGO_DUMP_LEAKS;
	struct profile p;
	struct rg_look *l;
	int err = profile_init(&p, leaks);

	if (err)
		return err;
	while ((l = rg_scan_next(s)))
		if (wanted(&p, l)) {
			rg_look_trim(o, l);
			add(&p, l);
		}
	sort(&p);
	rg_out(o, "%s profile: total %llu\n", leaks ? "leak" : "goroutine", (unsigned long long)p.total);
	for (uint32_t i = 0; i < p.n && !o->err; i++)
		out_group(o, &p.groups[p.order[i]], leaks);
	if (p.lost)
		rg_out(o, "# no memory for the groups of %llu more goroutines\n", (unsigned long long)p.lost);
	profile_free(&p);
	return 0;
}
