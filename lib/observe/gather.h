/* SPDX-License-Identifier: MIT */
/*
 * Reading rings of events (kmod/uapi/ringo_events.h), one's own or another process's, while they are written. Shared
 * with the tools: of the library it needs nothing. What is read is not trusted.
 */
#ifndef RG_OBSERVE_GATHER_H
#define RG_OBSERVE_GATHER_H

#include <stddef.h>
#include <stdint.h>

#include "kmod/uapi/ringo_events.h"

/* Memory of the process that is recorded: all n bytes, 0 or -errno. */
struct rg_memory {
	int (*read)(void *arg, uint64_t addr, void *buf, size_t n);
	int (*write)(void *arg, uint64_t addr, const void *buf, size_t n);
	void *arg;
};

struct rg_gather_ring {
	uint64_t addr;
	uint64_t next;     /* position of the event to be copied next */
	uint64_t last;     /* time of the last one copied */
	uint32_t order;
	struct ringo_event *events; /* copied, and of these at..n not yet handed out */
	uint32_t at, n, room;
	uint32_t gap_at;   /* before that one of these, so many are missing */
	uint64_t gap;
};

struct rg_gather {
	const struct rg_memory *memory;
	uint64_t addr;     /* of struct ringo_events */
	uint32_t limit;    /* most goroutines that there may be */
	uint64_t since;    /* no event is older */
	uint64_t events, lost, garbage, dropped;
	uint64_t dropped_before;
	uint32_t used;     /* rings */
	uint64_t room;     /* for copies, in all rings */
	struct rg_gather_ring *rings; /* room for RINGO_STATE_MS + 1 */

	void (*event)(void *arg, uint32_t place, const struct ringo_event *e);
	void (*gap)(void *arg, uint32_t place, uint64_t n); /* so many are missing here */
	void *arg;
};

/* memory, addr, limit, event, gap and arg are set. From now on: 0, or -errno; -EPROTO: another version, or garbage. */
int rg_gather_begin(struct rg_gather *g);
void rg_gather_end(struct rg_gather *g);

/* Copy what is new, and hand out in order of time what happened before horizon. 0 or -errno: what was copied until then
 * is handed out all the same. */
int rg_gather_look(struct rg_gather *g, uint64_t horizon);

#endif
