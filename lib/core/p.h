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

enum { RG_RUNQ = 256, RG_STAGE = 32, RG_G_CACHE = 128 };

/* Written by the holder, summed by whoever asks. */
struct rg_counters {
	uint64_t spawned, exited, switches, steals, stolen, wakes, parks, enters, ops, cancels;
};

struct p {
	uint32_t id;
	uint32_t switches_left; /* until the next long way through the scheduler */
	bool global_turn;   /* that one looks into the global queue first */
	uint32_t next_runs; /* times in a row that run-next was taken */
	uint32_t retired;   /* runs no Gs any more: procs.c */
	struct m *m;
	uint64_t rand;

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
	struct g *next;
	struct g *ring[RG_RUNQ];
} rg_aligned(RG_CACHELINE);

#endif
