// SPDX-License-Identifier: MIT
/*
 * Stacks of goroutines.
 *
 * A parked G left its registers on its stack (x86_64.S). rg_call_on_behalf has unwind information which
 * says that its caller is that G, so the unwinder of the compiler walks from there into the parked frames.
 * It takes no locks (glibc >= 2.35 finds its tables without any) and no memory.
 *
 * Meanwhile the G must not go on. That is the protocol of sysmon.c: g->trim goes to BUSY, one membarrier,
 * then a look at g->state. Whoever resumes a G stores RUNNING and then loads trim: either we see RUNNING (and
 * let go), or it sees BUSY and spins. Where there is no membarrier, stacks of others are not to be had.
 *
 * Unwinding costs a microsecond per frame, and a program has a million goroutines on five different
 * stacks. So a shape remembers where the return addresses of one stack lie, as distances from its stack
 * pointer. A stack of the same depth that has the same addresses at all those places is taken for the same.
 */
#include "core/trace.h"

#include <errno.h>
#include <string.h>
#include <unwind.h>

#include "arch/arch.h"
#include "base/atomic.h"
#include "base/lock.h"
#include "base/membarrier.h"
#include "core/rt.h"
#include "core/stack.h"

enum { SHAPES = 512, LOOKS = 5000 };

struct walk {
	void **pcs;
	uint32_t *offs; /* where each pc lies, from sp on; may be NULL */
	const char *sp;
	const void *entry; /* function that is the outermost of the user's */
	int n, max;
	int end;      /* frames up to the outermost of entry */
	bool from_signal; /* forget what comes before the interrupted frame */
	bool exact;       /* offs are right */
	bool cut;
};

struct shape {
	void *pc;
	uint32_t depth;
	int n;
	uint32_t offs[RG_TRACE_MAX];
	void *pcs[RG_TRACE_MAX];
};

struct rg_shapes {
	struct shape shape[SHAPES];
};

size_t rg_shapes_size(void)
{
	return sizeof(struct rg_shapes);
}

/* Sanitizers know nothing of a return address. */
static RG_PEEKS void *peek(const void *at)
{
	return *(void *const volatile *)at;
}

static void note_place(struct walk *w, uintptr_t cfa, void *pc)
{
	uintptr_t at = cfa - sizeof(void *);

	if (!w->offs)
		return;
	if (at < (uintptr_t)w->sp || at - (uintptr_t)w->sp > UINT32_MAX || peek((void *)at) != pc) {
		w->exact = false;
		return;
	}
	w->offs[w->n] = (uint32_t)(at - (uintptr_t)w->sp);
}

static void walk_here(void *arg);

static bool is_ours(const void *fn)
{
	return fn == (void *)walk_here || fn == (void *)rg_call_on_behalf || fn == (void *)rg_trace_self ||
	       fn == (void *)rg_trace_interrupted;
}

static _Unwind_Reason_Code frame(struct _Unwind_Context *ctx, void *arg)
{
	struct walk *w = arg;
	int before = 0;
	void *pc = (void *)_Unwind_GetIPInfo(ctx, &before);
	void *fn;

	if (!pc)
		return _URC_END_OF_STACK;
	fn = (void *)_Unwind_GetRegionStart(ctx);
	if (fn == (void *)rg_g_main || fn == (void *)rg_jump_new)
		return _URC_END_OF_STACK;
	if (is_ours(fn))
		return _URC_NO_REASON;
	if (fn == (void *)rg_upcall_entry) {
		w->from_signal = true;
		return _URC_NO_REASON;
	}
	if (before && w->from_signal) {
		w->from_signal = false;
		w->n = w->end = 0;
	}
	if (w->n == w->max) {
		w->cut = true;
		return _URC_END_OF_STACK;
	}
	if (before)
		w->exact = false; /* it was interrupted: the pc lies somewhere else */
	else
		note_place(w, (uintptr_t)_Unwind_GetCFA(ctx), pc);
	/* A return address may lie behind its function: reports want one inside. */
	w->pcs[w->n++] = before ? pc : (char *)pc - 1;
	if (fn == w->entry)
		w->end = w->n;
	return _URC_NO_REASON;
}

static RG_NOINLINE void walk_here(void *arg)
{
	_Unwind_Backtrace(frame, arg);
	rg_compiler_barrier(); /* a call, and no jump */
}

/* The main goroutine begins in run.c, which calls the program's. */
static const void *entry_of(const struct g *g)
{
	if (!g)
		return NULL;
	return g->flags & RG_G_MAIN ? (const void *)rt.main_fn : (const void *)g->fn;
}

static int walked(struct walk *w)
{
	if (w->end) {
		w->n = w->end;
		w->cut = false;
	}
	return w->n;
}

RG_NOINLINE int rg_trace_self(const struct g *g, void **pcs, int max)
{
	struct walk w = { .pcs = pcs, .max = max, .entry = entry_of(g) };

	walk_here(&w);
	return walked(&w);
}

RG_NOINLINE int rg_trace_interrupted(const struct g *g, void **pcs, int max)
{
	struct walk w = { .pcs = pcs, .max = max, .entry = entry_of(g), .from_signal = true };

	walk_here(&w);
	return walked(&w);
}

static struct shape *shape_at(struct rg_shapes *s, void *pc, uint32_t depth)
{
	uint64_t h = ((uintptr_t)pc ^ (uint64_t)depth << 40) * UINT64_C(0x9E3779B97F4A7C15);

	return &s->shape[h >> 32 & (SHAPES - 1)];
}

static bool same_shape(const struct shape *s, const char *sp)
{
	for (int i = 1; i < s->n; i++)
		if (peek(sp + s->offs[i]) != (char *)s->pcs[i] + 1)
			return false;
	return true;
}

static int walk_parked(const struct g *g, void **pcs, int max, uint32_t *offs, bool *exact, bool *cut)
{
	struct walk w = { .pcs = pcs, .max = max, .entry = entry_of(g), .offs = offs, .sp = g->sp,
			  .exact = true };
	int n;

	rg_call_on_behalf(g->sp, walk_here, &w);
	n = walked(&w);
	*exact = w.exact;
	*cut = w.cut;
	return n;
}

int rg_trace_held(const struct g *g, struct rg_shapes *shapes, void **pcs, int max, bool *cut)
{
	const char *sp = g->sp;
	void *pc = peek(sp + 48);
	uint32_t depth = (uint32_t)((char *)rg_stack_top(g) - sp);
	struct shape *s = NULL;
	bool exact;
	int n;

	*cut = false;
	if (shapes && max >= RG_TRACE_MAX) {
		s = shape_at(shapes, pc, depth);
		if (s->n && s->pc == pc && s->depth == depth && same_shape(s, sp)) {
			memcpy(pcs, s->pcs, (size_t)s->n * sizeof(*pcs));
			return s->n;
		}
	}
	if (!s)
		return walk_parked(g, pcs, max, NULL, &exact, cut);
	n = walk_parked(g, pcs, RG_TRACE_MAX, s->offs, &exact, cut);
	memcpy(s->pcs, pcs, (size_t)n * sizeof(*pcs));
	s->pc = pc;
	s->depth = depth;
	s->n = exact && !*cut ? n : 0;
	return n;
}

/* Numbers in use, from RG_TRIM_BUSY + 1 on. */
static uint32_t holders;

uint8_t rg_holder_begin(void)
{
	uint32_t used;
	unsigned i;

	if (!rg_membarrier_works())
		return 0;
	do {
		used = rg_load_relaxed(&holders);
		i = (unsigned)__builtin_ffs((int)~used);
		if (!i || RG_TRIM_BUSY + i >= RG_TRIM_HOLDERS)
			return 0;
		/* order: full; pairs with the AND in rg_holder_end: the former one has let go of all */
	} while (!rg_cas_full(&holders, used, used | 1u << (i - 1)));
	return (uint8_t)(RG_TRIM_BUSY + i);
}

void rg_holder_end(uint8_t holder)
{
	if (holder)
		/* order: full; pairs with the CAS in rg_holder_begin */
		rg_and_full(&holders, ~(1u << (holder - RG_TRIM_BUSY - 1)));
}

bool rg_hold_begin(struct rg_hold *h, struct g *g, uint8_t holder)
{
	uint8_t trim = rg_load_relaxed(&g->trim);

	h->g = NULL;
	/* sysmon gives back pages of many at a time; it takes less than a millisecond. Not for ever: others look, too. */
	for (unsigned i = 0; trim >= RG_TRIM_BUSY && i < LOOKS; i++) {
		rg_pause(i);
		trim = rg_load_relaxed(&g->trim);
	}
	if (trim != RG_TRIM_DIRTY && trim != RG_TRIM_CLEAN)
		return false;
	/* order: full; pairs with the release in do_post of sched.c: its registers are saved */
	if (!rg_cas_full(&g->trim, trim, holder))
		return false;
	*h = (struct rg_hold){ .g = g, .trim = trim, .busy = holder };
	return true;
}

/* Off its stack, and nobody has said ONSTACK over our number since: it may have run, and parked anew. */
static bool is_held(const struct rg_hold *h)
{
	/* order: acquire; before the load of trim, as whoever resumes and parks it stores them the other way round */
	uint8_t state = rg_load_acquire(&h->g->state);

	if (state != RG_WAITING && state != RG_SYSCALL && state != RG_RUNNABLE)
		return false;
	/* order: acquire; pairs with the release in do_post: it comes after a new ONSTACK and state */
	return rg_load_acquire(&h->g->trim) == h->busy;
}

void rg_hold_settle(struct rg_hold *h, unsigned n)
{
	rg_membarrier();
	for (unsigned i = 0; i < n; i++)
		if (h[i].g && !is_held(&h[i]))
			rg_hold_end(&h[i]);
}

void rg_hold_end(struct rg_hold *h)
{
	/* Not a store: one that went on before we began may have said ONSTACK over our BUSY. */
	/* order: full; pairs with the load in set_resumed of sched.c: we have read all we want */
	if (h->g)
		rg_cas_full(&h->g->trim, h->busy, h->trim);
	h->g = NULL;
}
