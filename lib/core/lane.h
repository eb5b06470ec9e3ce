/* SPDX-License-Identifier: MIT */
/* The lane: Gs that run without a P, a few at a time. See lane.c. */
#ifndef RG_CORE_LANE_H
#define RG_CORE_LANE_H

#include <stdbool.h>
#include <stdint.h>

struct g;
struct m;
struct p;

/* m->lane.state */
enum { RG_LANE_OUT, RG_LANE_IN, RG_LANE_PARKED, RG_LANE_BLOCKED };

/* Of an M; state and the turn under the lock of lane.c. */
struct rg_lane_place {
	uint32_t state;
	uint32_t park;    /* a futex word: 1 it is to stay where it is */
	uint32_t parked;  /* it does */
	bool locked_out;  /* blocked in futex(2) */
	bool moved;       /* it had used CPU time at sysmon's last look */
	bool overran;     /* its G computed for more than a quantum */
	bool begun;       /* its G began this run without a P */
	int64_t turn;     /* since when it is IN */
	int64_t cpu;      /* of its thread: sysmon's, at the last look */
	int64_t seen;     /* sysmon's: the turn that it has seen, */
	int64_t turn_cpu; /* and cpu when it did */
	int64_t run_cpu;  /* then */
	uint32_t from_p;  /* which run goes on, or last went on, without a P: that of this P, plus 1, */
	uint64_t from_run; /* with this number among its switches; 0: it began without one, for the so manyth time */
	uint64_t begins;
};

/*
 * The run of m's goroutine that began with P number p goes on without it. Before anybody else has that P,
 * whose switches are still those of the run; the store of p->m releases it.
 */
void rg_lane_note_run(struct m *m, const struct p *p);

/* m runs its G without a P from now on, if it does not know yet. sysmon. */
void rg_lane_enter(struct m *m);

/* m has seen that its P was taken. The M itself. */
void rg_lane_lost(struct m *m);

/* Its G leaves this M: before anybody else can have that. The M itself, without a P. */
void rg_lane_leave(struct m *m);

/* The G of m, which has a P, leaves the runtime, and should go on without that. The M it goes on with. */
struct m *rg_lane_shed(struct m *m);

/* m begins to run g without a P. The M itself. */
void rg_lane_begin(struct m *m, const struct g *g);

/* A goroutine for m to run without a P; NULL: none. The M itself, on its own stack. */
struct g *rg_lane_take(struct m *m);

/* Somebody waits for a place. */
bool rg_lane_wanted(void);

/* sysmon: see to turns, and to completions. False: nobody waits for either. */
bool rg_lane_look(void);

/* In the signal handler of a thread that was asked to stay where it is. */
void rg_lane_interrupted(struct m *m, void (*woken)(struct m *m));

/* Everybody in it may run: the run ends. */
void rg_lane_stop(void);

/* Between these no M that is parked goes on, except by rg_lane_stop. */
bool rg_lane_freeze(void);
void rg_lane_thaw(void);

/* M id lost its P, and sleeps uninterruptibly: what it has submitted cannot complete. */
bool rg_lane_stuck(unsigned id);

/* How many run without a P now, parked ones among them. */
uint32_t rg_lane_count(void);

void rg_lane_reset(void);

#endif
