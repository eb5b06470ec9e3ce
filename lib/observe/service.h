/* SPDX-License-Identifier: MIT */
/*
 * A thread of its own for what has to answer while all goroutines are busy. Started by whoever needs it in a
 * run, ended with that. Starting and ending are under a lock of the owner's, or at the end of the run.
 */
#ifndef RG_OBSERVE_SERVICE_H
#define RG_OBSERVE_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/thread.h"

struct rg_service {
	const char *name; /* up to 15 bytes */
	void (*fn)(struct rg_service *s); /* on the thread: returns when it is over */
	bool running;
	uint32_t stop, ended; /* ended: a futex word */
	int bell; /* an eventfd: readable when there is something to do */
	struct rg_thread thread;
};

/* 0 or -errno; a thread that runs already is left alone. */
int rg_service_start(struct rg_service *s);
bool rg_service_over(const struct rg_service *s);
void rg_service_ring(const struct rg_service *s);

/* The thread ends; the bell is still to be closed. False: it does not come to an end by then, and is left. */
bool rg_service_end(struct rg_service *s, int64_t deadline);
void rg_service_close(struct rg_service *s);

/* In a forked child. */
void rg_service_child(struct rg_service *s);

#endif
