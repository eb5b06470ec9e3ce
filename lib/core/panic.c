// SPDX-License-Identifier: MIT
/*
 * Panics, defers, and ringo_try. Go's meaning, where C allows it.
 *
 * What a block has deferred is a struct in that block, on a list at the top of the goroutine's stack. Its
 * block ends by a cleanup attribute, which needs nothing of the compiler but what gcc and clang have always
 * had. A panic does not unwind: it calls what is on the list, newest first, on top of the stack as it is, so
 * that every frame a deferred function may look at is intact, and no unwind tables or flags are needed; then
 * it leaves all those frames at once by longjmp to the innermost ringo_try. The backtrace of one that nobody
 * contains shows where it began for the same reason.
 *
 * A ringo_try remembers where the list began. A panic runs what is newer, and ends there. ringo_exit runs all
 * and passes each ringo_try on its way, so that it cannot contain what older defers do. Both leave a record
 * while they go on:
 *  - a panic in a deferred function goes on with the rest of the list in place of the one before; both
 *    are reported when nobody contains it;
 *  - ringo_exit in a deferred function puts an end to the panic;
 *  - a panic that is contained at a ringo_try in which a ringo_exit had begun does not end that: the
 *    goroutine ends all the same.
 *
 * Each is taken off the list before it is called, so none is called twice.
 */
/* glibc's check of longjmp knows one stack per thread and no others. */
#undef _FORTIFY_SOURCE
#include "core/panic.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "core/fault.h"
#include "core/gate.h"
#include "core/report.h"
#include "core/rt.h"

#define MARK UINT64_C(0x7265666564657264)

enum { CAUGHT = 1, EXITING };

/* A ringo_try, on its stack. What is ambient at its beginning, to be so again after a panic. */
struct rg_catch {
	struct rg_catch *prev;
	struct rg_base *base;
	struct ringo__defer *defers;
	struct rg_panic *panics;
	struct rg_spare *spares;
	struct ringo_panic_info *info;
	struct rg_scope *held; /* our reference to the scope that g had */
	struct rg_scope *scope;
	int64_t deadline;
	struct rg_aside aside;
	uint8_t aside_flags;
	int err;
	jmp_buf jmp;
};

static RG_COLD RG_NORETURN void left_by_longjmp(void)
{
	rg_fatal("a block with a ringo_defer, or a ringo_try, was left by longjmp: what it deferred cannot be run. "
		 "Leave it by ringo_panic, which a ringo_try outside contains");
}

/* ---- what is ambient ------------------------------------------------------------------------------------ */

/* What one deferred function found, of those around it. */
struct outer {
	struct rg_aside aside;
	uint8_t flags, mine;
};

static void scope_off(struct g *g)
{
	struct rg_base *base = rg_base(g);

	base->aside.scope = g->scope;
	g->scope = NULL;
	if (base->node.scope) {
		struct m *m = rg_enter();

		rg_scope_remove(&base->node);
		rg_leave(m);
	}
}

static void set_aside(struct g *g, struct outer *o)
{
	struct rg_base *base = rg_base(g);

	o->aside = base->aside;
	o->flags = g->aside;
	o->mine = 0;
	if (g->deadline) {
		base->aside.deadline = g->deadline;
		g->deadline = 0;
		o->mine |= RG_ASIDE_DEADLINE | RG_ASIDE_HAD_DEADLINE;
	}
	if (g->scope) {
		scope_off(g);
		o->mine |= RG_ASIDE_SCOPE | RG_ASIDE_HAD_SCOPE;
	}
	g->aside |= o->mine;
}

/* What the function has set for good stays. */
static void set_back(struct g *g, const struct outer *o)
{
	struct rg_base *base = rg_base(g);

	if (o->mine & RG_ASIDE_HAD_DEADLINE) {
		if (g->aside & RG_ASIDE_DEADLINE)
			g->deadline = base->aside.deadline;
		base->aside.deadline = o->aside.deadline;
	}
	if (o->mine & RG_ASIDE_HAD_SCOPE) {
		if (g->aside & RG_ASIDE_SCOPE)
			g->scope = base->aside.scope;
		base->aside.scope = o->aside.scope;
	}
	g->aside = (uint8_t)((g->aside & ~o->mine) | (o->flags & o->mine));
}

/* ---- defers --------------------------------------------------------------------------------------------- */

static RG_NOINLINE void call_shielded(struct g *g, const struct ringo__defer *d)
{
	struct outer o;

	set_aside(g, &o);
	rg_call_words((void (*)(void *))d->ringo__fn, d->ringo__args);
	set_back(g, &o);
}

static inline void call(struct g *g, const struct ringo__defer *d)
{
	if (unlikely(g && (g->deadline || g->scope)))
		call_shielded(g, d);
	else
		rg_call_words((void (*)(void *))d->ringo__fn, d->ringo__args);
}

static inline struct g *running(void)
{
	struct m *m = (struct m *)rg_arch_self();

	return likely(m) ? m->cur : NULL;
}

/* Finding the top of the stack costs more than the rest: each M remembers one. */
static RG_NOINLINE struct rg_base *base_find(struct m *m)
{
	m->base = rg_base(m->cur);
	m->base_slot = m->cur->slot;
	return m->base;
}

static inline struct rg_base *base_of(struct m *m)
{
	return likely(m->base_slot == m->cur->slot) ? m->base : base_find(m);
}

static RG_NOINLINE int push_below(struct g *g, struct ringo__defer *d, struct rg_base *base)
{
	if (rg_frame_gone(g, base->defers, rg_stack_pointer()))
		left_by_longjmp();
	d->ringo__next = base->defers;
	base->defers = d;
	return 0;
}

RG_API int ringo__defer_push(struct ringo__defer *d)
{
	struct m *m = (struct m *)rg_arch_self();
	struct rg_base *base;

	d->ringo__mark = (uintptr_t)d ^ MARK;
	if (unlikely(!m || !m->cur)) {
		d->ringo__list = NULL;
		return 0;
	}
	base = base_of(m);
	d->ringo__list = &base->defers;
	rg_compiler_barrier(); /* one wide store of both would be slower */
	d->ringo__next = base->defers;
	/* None, or an older frame's: the usual ways. */
	if (unlikely((uintptr_t)d->ringo__next - 1 < rg_stack_pointer()))
		return push_below(m->cur, d, base);
	base->defers = d;
	return 0;
}

RG_API void ringo__defer_end(struct ringo__defer *d)
{
	if (likely(d->ringo__list)) {
		if (unlikely(*d->ringo__list != d))
			left_by_longjmp();
		*d->ringo__list = d->ringo__next;
	}
	call(running(), d);
}

/* Run what was deferred since then. A deferred function may panic or exit: then the rest is run from there. */
static void run_defers(struct g *g, const struct ringo__defer *then)
{
	struct ringo__defer **list = &rg_base(g)->defers, *d;

	while ((d = *list) && d != then) {
		if (rg_frame_gone(g, d, rg_stack_pointer()) ||
		    d->ringo__mark != ((uintptr_t)d ^ MARK))
			left_by_longjmp();
		*list = d->ringo__next;
		call(g, d);
	}
}

/* ---- ringo_try ------------------------------------------------------------------------------------------ */

static inline void try_begin(struct m *m, struct rg_catch *c, struct ringo_panic_info *info)
{
	struct rg_base *base = base_of(m);
	struct g *g = m->cur;

	c->prev = base->catches;
	c->base = base;
	c->defers = base->defers;
	c->panics = base->panics;
	c->spares = base->spares;
	c->info = info;
	c->scope = g->scope;
	c->held = rg_scope_now(g);
	rg_scope_ref(c->held);
	c->deadline = g->deadline;
	c->aside = base->aside;
	c->aside_flags = g->aside;
	c->err = *m->errnop;
	base->catches = c;
}

static void try_end(struct rg_catch *c)
{
	if (unlikely(c->base->catches != c || c->base->defers != c->defers))
		left_by_longjmp();
	c->base->catches = c->prev;
	if (unlikely(c->held != NULL))
		rg_scope_unref(c->held);
}

/* Back on the frame of the ringo_try: as it was. */
static void try_restore(struct g *g, struct rg_catch *c)
{
	struct rg_scope *had = rg_scope_now(g);

	rg_spares_drop(g, c->spares);
	rg_san_unwound(&g->san);
	if (c->base->node.scope && c->base->node.scope != c->scope) {
		struct m *m = rg_enter();

		rg_scope_remove(&c->base->node);
		rg_leave(m);
	}
	g->deadline = c->deadline;
	g->scope = c->scope;
	c->base->aside = c->aside;
	g->aside = c->aside_flags;
	rg_scope_unref(had); /* what was held for us is g's now */
	*rg_m()->errnop = c->err;
}

static RG_NORETURN void exit_goroutine(struct g *g);

RG_API int ringo_try(void (*fn)(void *), void *arg, struct ringo_panic_info *info)
{
	struct m *m = (struct m *)rg_arch_self();
	struct g *g = m ? m->cur : NULL;
	struct rg_catch c;

	if (unlikely(!g)) {
		fn(arg);
		return 0;
	}
	try_begin(m, &c, info);
	switch (_setjmp(c.jmp)) {
	case 0:
		fn(arg);
		try_end(&c);
		return 0;
	case CAUGHT:
		try_restore(g, &c);
		return 1;
	default:
		try_restore(g, &c);
		exit_goroutine(g);
	}
}

void rg_panic_abandon(struct g *g)
{
	struct rg_base *base = rg_base(g);

	for (const struct rg_catch *c = base->catches; c; c = c->prev)
		rg_scope_unref(c->held);
	rg_scope_unref(rg_scope_now(g));
}

/* ---- panic ---------------------------------------------------------------------------------------------- */

/* Has a ringo_exit begun within c, which the panic came upon? */
static bool exit_within(const struct rg_base *base, const struct rg_catch *c)
{
	for (const struct rg_panic *p = base->panics; p && p != c->panics; p = p->prev)
		if (p->exit)
			return true;
	return false;
}

static RG_NORETURN void contain(struct rg_base *base, struct rg_catch *c, const struct rg_panic *p)
{
	bool exiting = exit_within(base, c);

	/* First: info may be a bad pointer. */
	base->catches = c->prev;
	if (c->info && !exiting)
		*c->info = p->info;
	base->panics = c->panics;
	_longjmp(c->jmp, exiting ? EXITING : CAUGHT);
}

void rg_panic_start(struct rg_panic *p)
{
	struct g *g = rg_m()->cur;
	struct rg_base *base = rg_base(g);
	struct rg_catch *c = base->catches;

	if (c && rg_frame_gone(g, c, rg_stack_pointer()))
		left_by_longjmp();
	p->prev = base->panics;
	base->panics = p;
	run_defers(g, c ? c->defers : NULL);
	if (!c)
		rg_report_panic(g, p);
	contain(base, c, p);
}

static RG_PRINTF(2, 0) void compose(struct rg_panic *p, const char *fmt, va_list ap, const void *pc)
{
	int saved = errno;

	memset(p, 0, sizeof(*p));
	p->pc = pc;
	vsnprintf(p->info.message, sizeof(p->info.message), fmt, ap);
	errno = saved;
}

static RG_NORETURN void panic(struct rg_panic *p)
{
	if (running())
		rg_panic_start(p);
	rg_print(STDERR_FILENO, "panic: %s\n", p->info.message);
	abort();
}

RG_API void ringo_panic(const char *fmt, ...)
{
	struct rg_panic p;
	va_list ap;

	va_start(ap, fmt);
	compose(&p, fmt, ap, __builtin_return_address(0));
	va_end(ap);
	panic(&p);
}

void rg_panic(struct m *m, const char *fmt, ...)
{
	struct rg_panic p;
	va_list ap;

	if (m)
		rg_leave(m);
	va_start(ap, fmt);
	compose(&p, fmt, ap, NULL);
	va_end(ap);
	panic(&p);
}

/* ---- ringo_exit ----------------------------------------------------------------------------------------- */

/* All that was deferred; what is within a ringo_try before we pass that. */
static void unwind_exit(struct g *g)
{
	struct rg_base *base = rg_base(g);
	struct rg_panic exit = { .prev = base->panics, .exit = true };
	struct rg_catch *c;

	base->panics = &exit;
	while ((c = base->catches)) {
		if (rg_frame_gone(g, c, rg_stack_pointer()))
			left_by_longjmp();
		run_defers(g, c->defers);
		base->catches = c->prev;
		rg_scope_unref(c->held);
	}
	run_defers(g, NULL);
}

/* On the goroutine's own stack, from its top. */
static void end_on_top(void)
{
	struct m *m = rg_m();

	rg_san_arrive(&m->cur->san);
	rg_spares_drop(m->cur, NULL);
	rg_gate_in(m);
	rg_g_exit(m);
}

static void exit_goroutine(struct g *g)
{
	struct rg_scope *had;
	struct m *m;

	unwind_exit(g);
	/* Deferred functions that were left half way, and what they had set aside. */
	had = rg_scope_now(g);
	g->aside = 0;
	g->scope = had;
	if (rg_base(g)->spares) {
		rg_san_again(&g->san);
		rg_jump_new(rg_stack_top(g), end_on_top);
	}
	m = rg_m();
	rg_gate_in(m);
	rg_g_exit(m);
}

RG_API void ringo_exit(void)
{
	struct m *m = rg_enter();
	struct rg_base *base;

	if (!m)
		pthread_exit(NULL);
	base = rg_base(m->cur);
	if (base->defers || base->catches || base->panics) {
		rg_leave(m);
		exit_goroutine(m->cur);
	}
	rg_g_exit(m);
}
