// SPDX-License-Identifier: MIT
/*
 * Looking at every goroutine while the program goes on.
 *
 * One after the other in the order of the table, a small batch at a time, each at a moment of its own: a
 * dump is no snapshot. Parked ones are held for the look (trace.h), so that what is read of them is whole.
 * Those that have not run yet can not be held: what is read may be mixed with a next life, if the first one
 * ended meanwhile, and so nothing is followed from there. Those that run are asked by a signal (probe.h).
 */
#include "core/scan.h"

#include <errno.h>
#include <ringo/select.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/membarrier.h"
#include "core/probe.h"
#include "core/rt.h"
#include "core/scope.h"

enum {
	BATCH = 16,  /* held at a time: a stack costs a microsecond or ten */
	TRIES = 40,  /* for one that is between two states */
};

struct rg_scan {
	uint32_t at, used;
	uint8_t holder;     /* our number; 0: others cannot be held */
	unsigned n, next;   /* looks of the batch, and those handed out */
	struct rg_hold hold[BATCH];
	struct rg_look look[BATCH];
	size_t size;        /* of all this, with the shapes behind it */
};

void (*rg_wrapper)(void *);

static struct rg_shapes *shapes_of(struct rg_scan *s)
{
	return (struct rg_shapes *)(s + 1);
}

struct rg_scan *rg_scan_begin(void)
{
	size_t size = sizeof(struct rg_scan) + rg_shapes_size();
	struct rg_scan *s = mmap(NULL, size, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (s == MAP_FAILED)
		return NULL;
	s->size = size;
	s->used = rg_g_used();
	s->holder = rg_holder_begin();
	return s;
}

bool rg_scan_cut(void)
{
	/* order: acquire; pairs with the release in ask_stop */
	return rg_load_acquire(&rt.phase) == RG_STOPPING;
}

void rg_scan_end(struct rg_scan *s)
{
	rg_holder_end(s->holder);
	munmap(s, s->size);
}

bool rg_look_waits(const struct rg_look *l)
{
	return l->state == RG_WAITING || l->state == RG_SYSCALL;
}

int64_t rg_look_waited(const struct rg_look *l)
{
	if (!rg_look_waits(l))
		return 0;
	return (int64_t)(uint32_t)rg_max((int32_t)(rg_since(rg_now()) - l->since), 0) << 20;
}

static bool exists(uint32_t state)
{
	return state == RG_RUNNABLE || state == RG_RUNNING || state == RG_SYSCALL || state == RG_WAITING;
}

/* If it ends meanwhile, what is read may be of its next life, whose state is stored after gen and name. */
static RG_PEEKS void look_name(struct rg_look *l, const struct g *g)
{
	const volatile char *name = rg_g_name(g);

	for (size_t i = 0; i < sizeof(l->name) - 1 && name[i]; i++)
		l->name[i] = name[i];
	/* order: acquire; pairs with rg_spawn */
	if (!exists(rg_load_acquire(&g->state)) || *(const volatile uint32_t *)&g->gen != l->gen)
		memset(l->name, 0, sizeof(l->name));
}

/* What does not change during a life. */
static RG_PEEKS void look_basic(struct rg_look *l, const struct g *g)
{
	memset(l, 0, offsetof(struct rg_look, pcs));
	l->index = rg_g_index(g);
	l->gen = g->gen;
	l->epoch = g->epoch;
	l->flags = g->flags;
	l->fn = g->flags & RG_G_MAIN ? (void *)rt.main_fn : (void *)g->fn;
	l->spawn_pc = g->spawn_pc;
	l->cpu = rg_account_of(g, NULL);
	l->m = -1;
	l->behind = -1;
	look_name(l, g);
}

/* Of a G whose scope cannot go away: it is held, or the caller. */
static void look_attached(struct rg_look *l, const struct g *g)
{
	l->deadline = g->deadline;
	l->scoped = g->scope != NULL;
	l->scope_err = rg_scope_err(g->scope);
}

/* on: of a wait that may be over already; then it is anything. */
static RG_PEEKS void look_cases(struct rg_look *l, const struct g *g, const void *on)
{
	const struct rg_select_wait *w = on;
	char *lo, *hi;

	rg_stack_bounds(g, &lo, &hi);
	if ((char *)w < (char *)g->sp || (char *)(w + 1) > hi)
		return;
	l->ncases = w->n;
	for (size_t i = 0; i < w->n && i < RG_LOOK_CASES; i++) {
		const struct ringo_case *c = &w->cases[i];
		struct rg_look_case *to = &l->cases[i];

		to->kind = c->kind;
		to->on = c->on.chan;
		to->ns = c->on.ns;
		to->fd = c->on.poll.fd;
		to->events = c->on.poll.events;
	}
}

static void look_held(struct rg_scan *s, struct rg_look *l, const struct g *g)
{
	look_basic(l, g);
	look_attached(l, g);
	l->reason = g->reason;
	l->since = g->since;
	l->on = rg_load_relaxed(&g->wait_on);
	l->n = rg_trace_held(g, shapes_of(s), l->pcs, RG_TRACE_MAX, &l->cut);
	l->state = rg_load_relaxed(&g->state);
	if (!rg_look_waits(l))
		l->on = NULL; /* overwritten by who woke it */
	/* order: acquire; pairs with the release of who submits it, also while this G is held */
	if (l->state == RG_SYSCALL && l->reason == RG_WHY_IO && !rg_load_acquire(&g->op_staged)) {
		unsigned by = rg_load_relaxed(&g->op_by);

		if (rg_lane_stuck(by))
			l->behind = (int)by;
	}
	if (l->on && l->reason == RG_WHY_SELECT) {
		look_cases(l, g, l->on);
		l->on = NULL;
	}
	if (!l->n)
		l->no_stack = "no unwind information";
}

static RG_PEEKS bool never_ran(const struct g *g)
{
	return rg_load_relaxed(&g->state) == RG_RUNNABLE && !*(const volatile uint32_t *)&g->slot;
}

static RG_PEEKS void look_fresh(struct rg_look *l, const struct g *g)
{
	look_basic(l, g);
	if (g->fn == rg_load_relaxed(&rg_wrapper))
		l->fn = (void *)g->args[1];
	l->state = RG_RUNNABLE;
	l->no_stack = "has not run yet";
}

static int m_of(const struct g *g)
{
	/* order: acquire; pairs with the release of rt.nm in rg_m_start */
	for (unsigned i = 0, n = rg_load_acquire(&rt.nm); i < n; i++)
		if (rg_load_relaxed(&rg_m_page(rt.m[i])->cur_g) == rg_g_index(g) + 1u)
			return (int)i;
	return -1;
}

static bool is_caller(const struct g *g)
{
	struct m *m = (struct m *)rg_arch_self();

	return m && m->cur == g;
}

/* The G that asks. */
static void look_self(struct rg_look *l, const struct g *g)
{
	look_basic(l, g);
	look_attached(l, g);
	l->state = RG_RUNNING;
	l->m = (int)rg_m()->id;
	l->cpu = rg_account_of(g, rg_m());
	l->n = rg_trace_self(g, l->pcs, RG_TRACE_MAX);
	l->cut = l->n == RG_TRACE_MAX;
}

/* In a signal handler on the thread of m, which may be anywhere. */
static int look_here(struct m *m, void *arg)
{
	struct rg_look *l = arg;

	if (!m->cur || rg_load_relaxed(&rg_m_page(m)->in_rt))
		return -EAGAIN;
	look_basic(l, m->cur);
	look_attached(l, m->cur);
	l->probed = true;
	l->n = rg_trace_interrupted(m->cur, l->pcs, RG_TRACE_MAX);
	l->cut = l->n == RG_TRACE_MAX;
	return 0;
}

/* One that runs on another M. False: not any more, or not yet. */
static bool look_running(struct rg_look *l, struct g *g, unsigned tries)
{
	int m = m_of(g), err;

	if (m < 0)
		return false;
	err = rg_load_relaxed(&rg_m_page(rt.m[m])->in_rt) ? -EAGAIN : rg_probe(rt.m[m], look_here, l);
	if (!err && l->index != rg_g_index(g))
		return false;
	if (err == -EAGAIN && tries)
		return false;
	if (err) {
		look_basic(l, g);
		l->no_stack = err == -ETIMEDOUT ? "its thread does not answer" :
			      err == -EBUSY ? "SIGURG is not ours" : "it is inside ringo";
	}
	l->state = RG_RUNNING;
	l->m = m;
	l->cpu = rg_account_of(g, rt.m[m]);
	return true;
}

/*
 * One that could not be held at the first try, because it runs, is about to, or leaves its stack just now.
 * False: it has ended.
 */
static bool look_again(struct rg_scan *s, struct rg_look *l, struct g *g)
{
	uint32_t state = RG_FREE;

	if (is_caller(g)) {
		look_self(l, g);
		return true;
	}
	for (unsigned i = 0; i < TRIES; i++) {
		struct rg_hold h = { 0 };

		state = rg_load_relaxed(&g->state);
		if (!exists(state))
			return false;
		if (never_ran(g)) {
			look_fresh(l, g);
			return true;
		}
		if (state == RG_RUNNING && look_running(l, g, TRIES - 1 - i))
			return true;
		if (s->holder && rg_hold_begin(&h, g, s->holder)) {
			rg_hold_settle(&h, 1);
			if (h.g) {
				look_held(s, l, g);
				rg_hold_end(&h);
				return true;
			}
		}
		if (!s->holder)
			break;
		rg_pause(i);
	}
	look_basic(l, g);
	l->state = (uint8_t)state;
	l->since = rg_since(rg_now());
	l->no_stack = s->holder ? "it is being switched" : "no membarrier(2), or many dumps at a time";
	return true;
}

/* Candidates from s->at on; those that can be are held. */
static unsigned gather(struct rg_scan *s, struct g **gs)
{
	unsigned n = 0;

	while (n < BATCH && s->at < s->used) {
		struct g *g = rg_g_at(s->at++);

		if (!exists(rg_load_relaxed(&g->state)))
			continue;
		s->hold[n].g = NULL;
		if (s->holder)
			rg_hold_begin(&s->hold[n], g, s->holder);
		gs[n++] = g;
	}
	return n;
}

static bool any_held(const struct rg_scan *s, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (s->hold[i].g)
			return true;
	return false;
}

/* False: there are no more. */
static bool next_batch(struct rg_scan *s)
{
	struct g *gs[BATCH], *late[BATCH];
	unsigned n = gather(s, gs), nlate = 0;

	s->n = s->next = 0;
	if (any_held(s, n))
		rg_hold_settle(s->hold, n);
	for (unsigned i = 0; i < n; i++) {
		if (s->hold[i].g) {
			look_held(s, &s->look[s->n++], gs[i]);
			rg_hold_end(&s->hold[i]);
		} else {
			late[nlate++] = gs[i];
		}
	}
	for (unsigned i = 0; i < nlate; i++)
		if (look_again(s, &s->look[s->n], late[i]))
			s->n++;
	return n > 0;
}

struct rg_look *rg_scan_next(struct rg_scan *s)
{
	while (s->next == s->n)
		if (rg_scan_cut() || !next_batch(s))
			return NULL;
	return &s->look[s->next++];
}

struct rg_look *rg_scan_one(struct rg_scan *s, struct g *g)
{
	return look_again(s, &s->look[0], g) ? &s->look[0] : NULL;
}
