/* SPDX-License-Identifier: MIT */
/* Panics and what is deferred. See panic.c. */
#ifndef RG_CORE_PANIC_H
#define RG_CORE_PANIC_H

#include <ringo/panic.h>
#include <stdbool.h>

#include "base/compiler.h"
#include "core/base.h"

/*
 * Misuse by the running goroutine: a panic with this message. Called inside the gate, which it leaves, with
 * no lock held. m: what rg_enter() returned; NULL, outside a goroutine: the message, and abort(3).
 */
void rg_panic(struct m *m, const char *fmt, ...) RG_PRINTF(2, 3) RG_NORETURN;

/* One that goes on, or a ringo_exit that runs what was deferred. Lies on the stack. */
struct rg_panic {
	struct rg_panic *prev;
	bool exit;
	int code;       /* si_code of the signal */
	const void *pc; /* where its backtrace begins */
	struct ringo_panic_info info;
};

/* The run is over: drop the references to scopes of a goroutine that never resumes. Its stacks are still there. */
void rg_panic_abandon(struct g *g);

/* Run what was deferred, then return from ringo_try or end the process. Outside the gate. */
void rg_panic_start(struct rg_panic *p) RG_NORETURN;

/*
 * The ambient deadline and scope are set aside while a deferred function runs: g->deadline and g->scope are 0
 * then, unless the function sets its own. Who sets them must pass here, so that setting back what was found
 * means what it says: rg_deadline_set and rg_scope_set deal in the true ones.
 */
enum {
	RG_ASIDE_DEADLINE = 1 << 0, /* base->aside.deadline is the true one */
	RG_ASIDE_SCOPE = 1 << 1,
	RG_ASIDE_HAD_DEADLINE = 1 << 2, /* it was, and is so again when it is set back */
	RG_ASIDE_HAD_SCOPE = 1 << 3,
};

/* Each returns the former; the reference to s becomes g's, the one to the former the caller's. */
static inline int64_t rg_deadline_set(struct g *g, int64_t deadline)
{
	int64_t former = g->deadline;

	if (unlikely(g->aside & RG_ASIDE_DEADLINE))
		former = rg_base(g)->aside.deadline;
	g->deadline = deadline;
	if (unlikely(g->aside & RG_ASIDE_HAD_DEADLINE)) {
		g->aside &= (uint8_t)~RG_ASIDE_DEADLINE;
		if (deadline == rg_base(g)->aside.deadline) {
			g->aside |= RG_ASIDE_DEADLINE;
			g->deadline = 0;
		}
	}
	return former;
}

static inline struct rg_scope *rg_scope_now(const struct g *g)
{
	return unlikely(g->aside & RG_ASIDE_SCOPE) ? rg_base(g)->aside.scope : g->scope;
}

static inline void rg_scope_set(struct g *g, struct rg_scope *s)
{
	g->scope = s;
	if (unlikely(g->aside & RG_ASIDE_HAD_SCOPE)) {
		g->aside &= (uint8_t)~RG_ASIDE_SCOPE;
		if (s == rg_base(g)->aside.scope) {
			g->aside |= RG_ASIDE_SCOPE;
			g->scope = NULL;
		}
	}
}

#endif
