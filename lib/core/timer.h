/* SPDX-License-Identifier: MIT */
/* Timers of a P. See timer.c. */
#ifndef RG_CORE_TIMER_H
#define RG_CORE_TIMER_H

#include <stdint.h>

struct g;
struct m;
struct p;

struct rg_tent {
	int64_t when;
	uint32_t g;   /* index */
	uint32_t tag; /* stale when the G's entry has another */
};

struct rg_timers {
	struct rg_tent *heap; /* 4-ary, earliest first */
	uint32_t n, cap;
	uint32_t tag;
};

/*
 * See that the G is looked at when g->wait_until comes, on this P. Before it parks. 0 or -ENOMEM.
 * There is nothing to undo when it wakes earlier.
 */
int rg_timer_arm(struct m *m, struct g *g);

/* Run what is due; readies Gs. Returns the next time, INT64_MAX if none. */
int64_t rg_timers_run(struct m *m);

void rg_timers_free(struct p *p);

#endif
