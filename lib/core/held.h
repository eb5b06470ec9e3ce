/* SPDX-License-Identifier: MIT */
/* Locks of pthreads that a G holds, if asked for (RG_DEBUG_HELD in rt.debug). See observe/held.c. */
#ifndef RG_CORE_HELD_H
#define RG_CORE_HELD_H

#include <stdbool.h>
#include <stdint.h>

struct m;

enum { RG_HELD = 8 }; /* more at a time are not noted */

struct rg_held_lock {
	void *lock;
	void *pc;       /* who locked it */
	uint32_t depth; /* how often */
	bool rw;
};

struct rg_held {
	uint32_t n;
	struct rg_held_lock at[RG_HELD];
};

/* From now on. False: it cannot be done here. */
bool rg_held_watch(void);

/* The G of m leaves its stack, or ends, and has locked something. The M itself. */
void rg_held_left(struct m *m);

#endif
