/* SPDX-License-Identifier: MIT */
/* Deadlock: no goroutine can ever run again. See deadlock.c. */
#ifndef RG_CORE_DEADLOCK_H
#define RG_CORE_DEADLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "core/g.h"
#include "core/rt.h"

/*
 * The M is about to sleep in its ring: its bit in rt.idle or rt.serving is set, with a full fence behind
 * it. Until when it is to sleep: at the latest until the time given.
 */
int64_t rg_deadlock_look(struct m *m, int64_t until);

/* Around the sleep of an M whose P is retired, which has no idle bit. */
void rg_serving_enter(struct m *m);
void rg_serving_leave(struct m *m);

/* The running G begins (1) or has ended (-1) a wait that a thread without ring, or a daemon, will end. */
static inline void rg_outside(const struct g *g, int n)
{
	if (!(g->flags & RG_G_DAEMON))
		rg_add_relaxed(&rt.outside, (uint32_t)n);
}

/* What was found; the Gs themselves are in the table. */
struct rg_deadlock {
	uint32_t asleep; /* Gs that wait, without daemons */
	int others;      /* threads of the process that are not ours; -1: cannot tell */
	int tracer;      /* process that debugs us, 0 none */
};

/* Only our own threads are there, and nobody who could look into them: the process ends. */
static inline bool rg_deadlock_fatal(const struct rg_deadlock *d)
{
	return !d->others && !d->tracer;
}

/* Say it. In observe. */
void rg_deadlock_report(const struct rg_deadlock *d);

#endif
