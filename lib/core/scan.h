/* SPDX-License-Identifier: MIT */
/* A look at every goroutine, for reports. See scan.c. */
#ifndef RG_CORE_SCAN_H
#define RG_CORE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/g.h"
#include "core/trace.h"

struct ringo_case;

/* What a goroutine that waits in a select points to (RG_WHY_SELECT); on its stack. */
struct rg_select_wait {
	struct ringo_case *cases;
	size_t n;
};

/* A case of that select. */
struct rg_look_case {
	const void *on;  /* the channel or context */
	int64_t ns;
	int kind, fd, events;
};

enum { RG_LOOK_CASES = 8 };

/* What is known of one goroutine at the moment of the look. */
struct rg_look {
	uint32_t index, gen, epoch;
	uint8_t state, reason, flags;
	bool probed;          /* pcs are those of running code: no call of ringo on top */
	bool cut;             /* there are more frames than pcs */
	bool scoped;          /* under a context */
	int scope_err;        /* which is over, and how */
	int m;                /* M that runs it; -1 none */
	int behind;           /* M without which its operation cannot complete, and which is stuck; -1 none */
	int n;                /* frames in pcs */
	const char *no_stack; /* why there are none */
	uint32_t since;       /* when it parked: rg_since() */
	int64_t cpu;          /* time it has used; -1: nobody counts */
	void *fn, *spawn_pc;
	int64_t deadline;
	const void *on;       /* what it waits for, but a select: see enum rg_reason */
	size_t ncases;        /* of its select, of which the first are there */
	struct rg_look_case cases[RG_LOOK_CASES];
	char name[sizeof(((struct rg_ext *)0)->name)];
	void *pcs[RG_TRACE_MAX];
};

/*
 * A function of the library's that calls one of the program's, its second argument, and sets g->fn to that
 * first: what reports are to name. Set before such a goroutine is spawned.
 */
extern void (*rg_wrapper)(void *);

struct rg_scan;

/* From the first goroutine on; NULL: no memory. Needs no malloc and no locks; any thread, inside the gate. */
struct rg_scan *rg_scan_begin(void);

/*
 * The next, valid until the next call; NULL: that was all, or the run ends, which a look at millions must not hold up:
 * rg_scan_cut says so.
 */
struct rg_look *rg_scan_next(struct rg_scan *s);
bool rg_scan_cut(void);
void rg_scan_end(struct rg_scan *s);

/* One goroutine alone. */
struct rg_look *rg_scan_one(struct rg_scan *s, struct g *g);

/* Has it waited, and how long? Nanoseconds, to about a millisecond; 0 for one that does not wait. */
int64_t rg_look_waited(const struct rg_look *l);
bool rg_look_waits(const struct rg_look *l);

#endif
