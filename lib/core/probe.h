/* SPDX-License-Identifier: MIT */
/* The runtime's own signal: asking a thread that runs the program's code. See probe.c. */
#ifndef RG_CORE_PROBE_H
#define RG_CORE_PROBE_H

#include <stdbool.h>

struct m;

/*
 * Run fn(m, arg) on m's thread, in a signal handler, wherever it is at the moment: 0, or fn's error;
 * -ETIMEDOUT: it does not answer; -EBUSY: the signal is the program's, or others ask for too long. Blocks for
 * at most about 100 ms. Never of the caller's own M.
 */
int rg_probe(struct m *m, int (*fn)(struct m *m, void *arg), void *arg);

/*
 * Stop all other threads of the process: their registers are on their stacks, until rg_probe_go. 0, and
 * nothing may be called that takes a lock of the program's, such as malloc; or -EAGAIN: some thread that may
 * run code of the program cannot be stopped; -EBUSY.
 */
int rg_probe_stop_all(void);
void rg_probe_go(void);

/* Make m look at what it is asked (lane.c): a signal, without an answer. 0 or -errno. */
int rg_probe_nudge(struct m *m);

#endif
