/* SPDX-License-Identifier: MIT */
/* Revocation: taking the P from an M that stays in the program's code for too long. See revoke.c. */
#ifndef RG_CORE_REVOKE_H
#define RG_CORE_REVOKE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "core/m.h"

struct p;

extern uint32_t rg_watch; /* sysmon looks at running Gs */
void rg_watch_ask(void);

/* Somebody waits for a P from now on. One load when sysmon knows already. */
static inline void rg_watch_hint(void)
{
	if (unlikely(!rg_load_relaxed(&rg_watch)))
		rg_watch_ask();
}

/* A G is about to run on p, and others may have waited for long. One load when sysmon knows already. */
void rg_watch_others(const struct p *p);
static inline void rg_watch_run(const struct p *p)
{
	if (unlikely(!rg_load_relaxed(&rg_watch)))
		rg_watch_others(p);
}

/* Somebody waits for p, or will: a runnable G, a timer, an operation. */
bool rg_revoke_wanted(const struct p *p);

/*
 * A spare M, which is made if need be: that takes long when all CPUs are busy. NULL, and said once: none can be
 * had. Not under rt.procs_lock.
 */
struct m *rg_revoke_spare(void);

/* A goroutine that is seen to run for so long loses its P. A look or tick comes a little after it began. */
int64_t rg_enough_ns(void);

/* Between looks. */
int64_t rg_look_ns(void);

/*
 * sysmon: look at all Ps. When to look again, from now; 0: nothing to watch until somebody asks, or *due, the time of a
 * timer behind a G that runs (INT64_MAX: there is none). stay: it is worth another look as long as anybody has run
 * since the last one.
 */
int64_t rg_revoke_look(int64_t now, bool stay, int64_t *due);

/* sysmon: p was taken from m; next, which was kept for that, is to go on with it. */
void rg_revoke_taken(struct m *m, struct p *p, struct m *next);

/* sysmon: m, which holds p, blocked at that time; if it still is, it loses that. */
void rg_revoke_blocked(struct m *m, struct p *p, uint64_t since);

/* The M's own end of it, at a gate: it was asked to give way, or its P was taken. */
void rg_revoked(struct m *m);

#endif
