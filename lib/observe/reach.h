/* SPDX-License-Identifier: MIT */
/* Which waiting goroutines can be reached by pointers. See reach.c; used in unreachable.c. */
#ifndef RG_OBSERVE_REACH_H
#define RG_OBSERVE_REACH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/g.h"

struct rg_edge;

struct rg_reach {
	uint32_t used;   /* descriptors looked at */
	int pagemap;     /* /proc/self/pagemap, or -1 */
	const struct g *self; /* the caller, NULL: another thread */
	uintptr_t sp;         /* where its live frames begin */
	uint8_t *lost;   /* by index: nobody who could wake it was met so far */
	struct rg_edge *edges;
	uint32_t nedges;
	uint32_t *todo;  /* edges whose ranges were reached and are to be searched */
	uint32_t ntodo;
};

/* Room behind the struct for so many descriptors; and its division. */
size_t rg_reach_size(uint32_t used);
void rg_reach_init(struct rg_reach *r, void *room, uint32_t used);

/* First: all goroutines. Those that only others can wake are lost until they are reached. */
void rg_reach_begin(struct rg_reach *r);

/* Then: each mapping that may be a heap of malloc's; brk: that of brk(2). */
void rg_reach_heap(struct rg_reach *r, uintptr_t lo, uintptr_t hi, bool brk);

/* Then: whatever is still not known where it lies, anybody can reach. */
void rg_reach_known(struct rg_reach *r);

/* Then the roots: memory that anybody can reach. pages: of which those never touched are left out. */
void rg_reach_root(struct rg_reach *r, uintptr_t lo, uintptr_t hi, bool pages);

/* At last: what is reached from there, from all that is not lost, and from what that reaches. */
void rg_reach_end(struct rg_reach *r);

#endif
