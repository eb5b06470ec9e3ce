/* SPDX-License-Identifier: MIT */
/*
 * Recording what goroutines do into a file: one's own, or another process's. Shared with the tools: of the library
 * it needs nothing.
 */
#ifndef RG_OBSERVE_RECORDER_H
#define RG_OBSERVE_RECORDER_H

#include "observe/chrome.h"
#include "observe/gather.h"

/* Between looks at the rings, while a lot happens; and while little does. */
enum { RG_RECORDER_SOON_MS = 5, RG_RECORDER_LATE_MS = 100 };

struct rg_recorder {
	struct rg_memory memory;
	struct rg_gather gather;
	struct rg_chrome chrome;
	uint64_t flag;       /* where it is in the process */
	uint64_t until;      /* which we have set */
	uint64_t lapses;     /* times that it was over before we had set it anew */
	int wait_ms;         /* until the next look */
};

/*
 * Begin, of the process with that memory and struct ringo_events at addr, in which there are at most max_g goroutines.
 * order: of rings yet to be made, 0 for the default; limit: of the file, 0 none. 0 or -errno; rg_recorder_free in
 * either case.
 */
int rg_recorder_begin(struct rg_recorder *r, int fd, uint64_t addr, uint32_t max_g, uint32_t order, uint64_t limit);

/* To be called again after wait_ms. 0, or -errno: -EFBIG, the limit; else the process has ended, perhaps. */
int rg_recorder_look(struct rg_recorder *r);

/* Write the rest. 0 or -errno of the file; the process may have ended. */
int rg_recorder_end(struct rg_recorder *r);
void rg_recorder_free(struct rg_recorder *r);

#endif
