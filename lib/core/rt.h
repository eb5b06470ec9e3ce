/* SPDX-License-Identifier: MIT */
/* The runtime: one per process, from ringo_run to its return. */
#ifndef RG_CORE_RT_H
#define RG_CORE_RT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/lock.h"
#include "core/g.h"
#include "core/m.h"
#include "core/p.h"
#include "core/poller.h"

enum { RG_MAX_P = 1024, RG_IDLE_WORDS = RG_MAX_P / 64 };

/* rt.phase */
enum { RG_DOWN, RG_STARTING, RG_UP, RG_STOPPING, RG_UNCLEAN };

struct rt {
	uint32_t phase;
	uint32_t users;      /* threads that are no M and are inside a call */
	const struct rg_poller *poller;
	bool debug;
	uint8_t stack_class; /* of goroutines that ask for nothing */
	int64_t shutdown_ns;
	int64_t stop_deadline; /* once stopping */

	bool solo;           /* one M: its run queue has no thieves; see runq.c */
	uint32_t procs;      /* Ps that run Gs */
	uint32_t nm;         /* Ms made so far; M i holds P i */
	uint32_t live_ms;    /* their threads alive: a futex word */
	uint32_t procs_lock;
	struct m *m[RG_MAX_P];
	struct p *p[RG_MAX_P];

	/* The wake protocol: wake.c. */
	uint32_t spinning rg_aligned(RG_CACHELINE);
	uint64_t idle[RG_IDLE_WORDS]; /* bit i: M i is parked and runs Gs when woken */

	/* The global queue: runq.c. */
	uint32_t global_lock rg_aligned(RG_CACHELINE);
	uint32_t nglobal;
	uint32_t global_head, global_mask;
	struct g **global;

	/* Main goroutine and the thread in ringo_run. */
	int (*main_fn)(void *);
	void *main_arg;
	int main_result;
	uint32_t main_done; /* a futex word */

	struct rg_counters foreign; /* under global_lock */
	uint64_t trimmed;    /* stacks whose unused pages were given back */
};

extern struct rt rt __asm__("rg_rt"); /* in a static library the name must be ours */







/* Ends of a run, in the order of layers above core: the blocking pool, signals. */
struct rg_exit_hook {
	struct rg_exit_hook *next;
	/* Must be done by deadline; returns how many goroutines or jobs it had to leave. */
	int (*fn)(int64_t deadline);
	void (*child)(void); /* in a forked child: forget everything; may be NULL */
};
void rg_at_exit(struct rg_exit_hook *h);

#endif
