/* SPDX-License-Identifier: MIT */
/* Stacks as return addresses, innermost first. See trace.c. */
#ifndef RG_CORE_TRACE_H
#define RG_CORE_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/g.h"

enum { RG_TRACE_MAX = 64 };

/* The frames of the caller itself, from its caller on. In a signal handler: from the interrupted one on. */
int rg_trace_self(const struct g *g, void **pcs, int max);
int rg_trace_interrupted(const struct g *g, void **pcs, int max);

/*
 * Keep goroutines that are off their stacks from being resumed. For microseconds: who wants to resume one
 * spins meanwhile. begin for each, settle once for all, which drops those that went on; end for each.
 */
struct rg_hold {
	struct g *g; /* NULL: not held */
	uint8_t trim;
	uint8_t busy;
};

/* The number of one who holds, for rg_hold_begin; 0: many do just now, or there is no membarrier here. */
uint8_t rg_holder_begin(void);
void rg_holder_end(uint8_t holder);

bool rg_hold_begin(struct rg_hold *h, struct g *g, uint8_t holder);
void rg_hold_settle(struct rg_hold *h, unsigned n);
void rg_hold_end(struct rg_hold *h);

/* Of a G that is held. shapes: see trace.c; NULL: none. True in *cut: there are more frames. */
struct rg_shapes;
int rg_trace_held(const struct g *g, struct rg_shapes *shapes, void **pcs, int max, bool *cut);

size_t rg_shapes_size(void); /* of zeroed memory that serves as one */

#endif
