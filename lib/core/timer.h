/* SPDX-License-Identifier: MIT */
/* Timers of a P. See timer.c. */
#ifndef RG_CORE_TIMER_H
#define RG_CORE_TIMER_H

#include <stdbool.h>
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
	int64_t first; /* of the earliest entry, if there is one: for sysmon */
};

/*
 * See that the G is looked at when g->wait_until comes, on this P. Before it parks. 0 or -ENOMEM.
 * There is nothing to undo when it wakes earlier.
 */
int rg_timer_arm(struct m *m, struct g *g);

/* Run what is due by now; readies Gs. Returns the next time, INT64_MAX if none. */
int64_t rg_timers_run(struct m *m, int64_t now);

/* The G that the earliest entry of this P names; false: there is none. */
static inline bool rg_timers_first(const struct rg_timers *t, uint32_t *g)
{
	if (!t->n)
		return false;
	*g = t->heap[0].g;
	return true;
}

/*
 * For who is no M and came too late to be let in, because that run ends: wait until no M looks at timers any
 * more. What they would use may go then. Ms in user code make it as long as the end of the run takes.
 */
void rg_timers_await_end(uint32_t run);

void rg_timers_free(struct p *p);

#endif
