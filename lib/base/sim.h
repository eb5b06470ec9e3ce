/* SPDX-License-Identifier: MIT */
/*
 * The simulated machine, in builds with RINGO_SIM only: all threads of the runtime take turns on one real
 * thread, a seed decides when, and time is a number. See arch/sim.c.
 */
#ifndef RG_BASE_SIM_H
#define RG_BASE_SIM_H

#include <stdbool.h>
#include <stdint.h>

struct rg_sim_faults {
	unsigned refuse_threads; /* 1 of so many thread creations fails; 0: none */
	unsigned eintr;          /* likewise for operations: -EINTR, */
	unsigned eagain;         /* -EAGAIN, */
	unsigned short_io;       /* fewer bytes than could be moved, */
	unsigned late_cancel;    /* a cancel that comes too late, */
	unsigned spurious;       /* a wait that ends for nothing, */
	unsigned overflow;       /* completions that come only with the next look */
};

/* From now on the calling thread is thread 0 of a machine with this seed. Then rg_sim_end. */
void rg_sim_begin(uint64_t seed, const struct rg_sim_faults *faults);
void rg_sim_end(void);

/* 1 of n, by the seed; n = 0: never. */
bool rg_sim_chance(unsigned n);
uint64_t rg_sim_rand(void);
const struct rg_sim_faults *rg_sim_faults(void);

int64_t rg_sim_now(void);

/* A place where another thread may go on. */
void rg_sim_point(void);

/* Sleep until ready(arg), or the time. INT64_MAX: no time. */
void rg_sim_block(bool (*ready)(void *), void *arg, int64_t until);

/* Threads that the test has started by rg_thread_start, as the program would have its own. */
extern int rg_sim_others;

/* Who else makes things happen at times of its own: the ring. Returns its next time, INT64_MAX none. */
extern int64_t (*rg_sim_next_event)(void);

#endif
