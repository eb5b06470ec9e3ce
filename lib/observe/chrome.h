/* SPDX-License-Identifier: MIT */
/*
 * Events as a trace that ui.perfetto.dev and chrome://tracing show: JSON of Chrome's trace-event format. Shared with
 * the tools: of the library it needs nothing.
 */
#ifndef RG_OBSERVE_CHROME_H
#define RG_OBSERVE_CHROME_H

#include <stdbool.h>
#include <stdint.h>

#include "kmod/uapi/ringo_events.h"
#include "observe/lines.h"

enum { RG_CHROME_GROUPS = 3 }; /* of tracks; the next is for lines that others write */

/* A goroutine, as far as the events have told. */
struct rg_chrome_g;

/* A thread. */
struct rg_chrome_m {
	uint32_t g;        /* which it runs; 0 none */
	bool seen;
	int64_t since;
	int64_t lost_p;    /* when its P was taken from it; 0: it was not */
};

/* A clock: cycles at a time. */
struct rg_anchor {
	uint64_t cycles;
	int64_t ns;
};

struct rg_chrome {
	struct rg_lines out;
	const char *(*symbol)(void *arg, uint64_t pc); /* valid until the next call */
	void *arg;

	struct rg_anchor from, to; /* between them times are interpolated */
	int64_t start;       /* ns */
	int64_t now;         /* of the last event, since start */
	uint64_t flows, gaps, count[RINGO_EVENTS];
	struct rg_chrome_g **gs; /* in pieces */
	uint32_t ngs;        /* room for pieces */
	uint32_t pieces;     /* that there are */
	struct rg_chrome_m ms[RINGO_STATE_MS + 1];
	uint64_t rings[32];  /* bit i: the ring of P i has been seen */

	bool kernel;         /* somebody adds what the kernel does, */
	uint64_t kernel_lost, kernel_unseen; /* but for so much, which was lost or not told: for the record */
};

/* out.limit, symbol and arg are set, the rest is 0. at: now. 0 or -ENOMEM. */
int rg_chrome_begin(struct rg_chrome *c, int fd, uint32_t max_g, struct rg_anchor at);

/* A goroutine that was there before. name may be "". */
void rg_chrome_known(struct rg_chrome *c, uint32_t g, uint32_t gen, uint64_t fn, uint64_t spawn_pc, const char *name);

/* Events of the last look are from before this. */
void rg_chrome_clock(struct rg_chrome *c, struct rg_anchor at);
void rg_chrome_event(void *chrome, uint32_t place, const struct ringo_event *e);
void rg_chrome_gap(void *chrome, uint32_t place, uint64_t n);

/* What was going on, names, and the end of the file: 0 or -errno of writing. lost, garbage: for the record. */
int rg_chrome_end(struct rg_chrome *c, uint64_t lost, uint64_t garbage);
void rg_chrome_free(struct rg_chrome *c);

#endif
