/* SPDX-License-Identifier: MIT */
/* Stacks of goroutines of a target. See stack.c. */
#ifndef OBSERVE_STACK_H
#define OBSERVE_STACK_H

#include "tools/observe/symbols.h"

enum { STACK_FRAMES = 64, STACK_REGS = 17 };

struct stack {
	int n;
	bool cut;             /* there are more */
	const char *why_not;  /* n is 0 */
	uint64_t pcs[STACK_FRAMES]; /* innermost first, each within its call */
};

/*
 * That of g, which is read anew: *g is what it was then. stop: threads that run goroutines may be stopped for a
 * moment. False: it has ended.
 */
bool stack_of(struct table *tab, struct symbols *s, struct goroutine *g, bool stop, struct stack *st);

/* What somebody has copied: the registers, as DWARF numbers them, and the stack from its pointer on. */
struct stack_copy {
	const uint64_t *regs; /* STACK_REGS */
	bool parked;          /* all but the stack pointer lie at the begin of the stack */
	const void *bytes;
	size_t size;
	uint64_t entry;       /* the outermost function to be shown; 0: not known */
	bool trim;            /* without what is inside ringo */
};

void stack_of_copy(struct table *tab, struct symbols *s, const struct stack_copy *c, struct stack *st);

void stack_done(struct symbols *s);

#endif
