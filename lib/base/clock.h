/* SPDX-License-Identifier: MIT */
/* The clock of the runtime: CLOCK_MONOTONIC, or the simulation's own. */
#ifndef RG_BASE_CLOCK_H
#define RG_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#ifdef RINGO_SIM
#include "base/sim.h"

static inline int64_t rg_now(void)
{
	return rg_sim_now();
}
#else
static inline int64_t rg_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}
#endif

/* now + ns without overflow. */
static inline int64_t rg_time_add(int64_t now, int64_t ns)
{
	int64_t t;

	return __builtin_add_overflow(now, ns, &t) ? INT64_MAX : t;
}

#endif
