/* SPDX-License-Identifier: MIT */
/*
 * What only a G with a stack needs lies at the top of that stack, so that descriptors stay small and a
 * parked G pays nothing for it: the page is there anyway.
 */
#ifndef RG_CORE_BASE_H
#define RG_CORE_BASE_H

#include "core/scope.h"
#include "core/stack.h"

struct ringo__defer;
struct rg_catch;
struct rg_panic;
struct rg_spare;

/* What g->deadline and g->scope are in truth, while a deferred function runs: panic.c. */
struct rg_aside {
	int64_t deadline;
	struct rg_scope *scope; /* with the reference of g->scope, while RG_ASIDE_SCOPE */
};

struct rg_base {
	struct rg_node node;    /* how its scope finds it: scope.c */
	struct ringo__defer *defers; /* newest first: panic.c */
	struct rg_catch *catches;    /* innermost first: panic.c */
	struct rg_panic *panics;     /* newest first: panic.c */
	struct rg_spare *spares;     /* stacks of overflows, newest first: fault.c */
	struct rg_aside aside;
} rg_aligned(16); /* stacks begin right below */

static inline struct rg_base *rg_base(const struct g *g)
{
	return (struct rg_base *)rg_stack_top(g);
}

#endif
