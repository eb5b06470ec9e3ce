/* SPDX-License-Identifier: MIT */
/*
 * OS threads of the runtime. The simulation has its own, which all live on one real thread: see
 * arch/sim.c.
 */
#ifndef RG_BASE_THREAD_H
#define RG_BASE_THREAD_H

#include <pthread.h>

enum {
	RG_THREAD_NO_SIGNALS = 1 << 0, /* signals are for the program's own threads */
	RG_THREAD_DETACHED = 1 << 1,
	RG_THREAD_FULL_STACK = 1 << 2, /* runs the program's code: as large as it would have it (ulimit -s) */
};

struct rg_thread {
	pthread_t id;
};

/* 0 or -errno. */
int rg_thread_start(struct rg_thread *t, void *(*fn)(void *), void *arg, unsigned flags);
void rg_thread_join(struct rg_thread *t);
void rg_thread_detach(struct rg_thread *t);

#endif
