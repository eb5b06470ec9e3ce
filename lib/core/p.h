/* SPDX-License-Identifier: MIT */
/*
 * P: the right to run Gs, with what that needs: run queue, timers, staged operations, caches. Held by
 * one M; only the holder touches anything outside the run queue.
 */
#ifndef RG_CORE_P_H
#define RG_CORE_P_H

#include "core/g.h"
#include "core/stack.h"
#include "core/timer.h"

struct rg_node;

/* p->idle */
enum { RG_P_ACTIVE, RG_P_PARKED };

enum { RG_RUNQ = 256, RG_STAGE = 32, RG_G_CACHE = 128 };

/* Written by the holder, summed by whoever asks. */
struct rg_counters {
	uint64_t spawned, exited, switches, steals, stolen, wakes, parks, enters, ops, cancels;
};

/* How often waits were at most 4^i us (the last one: longer), and how long together. */
enum { RG_WAITS = 12 };
struct rg_waits {
	uint64_t n[RG_WAITS], ns;
};

struct p {
	uint32_t id;
	uint32_t switches_left; /* until the next long way through the scheduler */
	bool global_turn;   /* that one looks into the global queue first */
	uint32_t next_runs; /* times in a row that run-next was taken */
	uint32_t retired;   /* runs no Gs any more: procs.c */
	struct g *apart;    /* was taken off the queue on a G's stack, and is not simply to be run: sched.c */
	uint32_t since;     /* rg_since() of the last round */
	struct m *m;        /* who holds it */
	uint64_t rand;

	uint64_t seen_switches; /* sysmon's: revoke.c */
	int64_t seen_since;
	int64_t seen_cpu;

	struct rg_waits waits; /* in the queue: runq.c */
	int64_t mark_at;    /* when mark was set; 0: it is not */
	int64_t mark_next;  /* not again before */

	uint32_t idle;      /* RG_P_*: the wake protocol, wake.c */
	uint64_t sleeps;    /* counted up each time before its M goes to sleep: deadlock.c */
	uint32_t ops;       /* operations of its ring and stage whose Gs are no daemons */
	void *io;           /* its ring: the poller's */
	bool drained;       /* and all operations in it have ended, with the run */
	uint32_t inbox_lock;
	struct rg_node *inbox; /* operations on this ring that others want cancelled: scope.c */

	struct g *gcache; /* free descriptors */
	uint32_t ngcache;
	uint32_t nslots;
	uint32_t slots[RG_SLOT_CACHE]; /* free stacks of the base class, hottest last */

	uint32_t nstage; /* operations of parked Gs, not yet in the ring */
	uint64_t stage_since; /* rg_cycles() of the first */
	struct g *stage[RG_STAGE];

	struct rg_timers timers;
	struct rg_counters count;

	/* Run queue: see runq.c. */
	uint32_t head rg_aligned(RG_CACHELINE);
	uint32_t tail rg_aligned(RG_CACHELINE);
	uint32_t mark;      /* a place in the queue whose turn is awaited */
	struct g *next;
	struct g *ring[RG_RUNQ];
} rg_aligned(RG_CACHELINE);

#endif
