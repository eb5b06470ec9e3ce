/* SPDX-License-Identifier: MIT */
/* The runtime: one per process, from ringo_run to its return. */
#ifndef RG_CORE_RT_H
#define RG_CORE_RT_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/lock.h"
#include "core/g.h"
#include "core/m.h"
#include "core/p.h"
#include "core/poller.h"

enum { RG_MAX_P = 1024, RG_MAX_M = 4096, RG_IDLE_WORDS = RG_MAX_P / 64 };

/* rt.main_word: what the thread in ringo_run is to do */
enum { RG_MAIN_OVER = 1, RG_MAIN_SPARE = 2 };

/* rt.debug: what is only done when asked for, at each switch. Set before the first. Beside it: event.h. */
enum {
	RG_DEBUG_CPU = 1 << 0,  /* account.c */
	RG_DEBUG_HELD = 1 << 1, /* held.h */
};

/* rt.phase */
enum { RG_DOWN, RG_STARTING, RG_UP, RG_STOPPING, RG_UNCLEAN };

struct rt {
	uint32_t phase;
	uint32_t users;      /* threads that are no M and are inside a call */
	uint32_t live_ms;    /* threads of Ms alive: a futex word */
	uint32_t runs;       /* odd while one goes on: tells what outlives runs which it belongs to */
	const struct rg_poller *poller;
	uint8_t stack_class; /* of goroutines that ask for nothing */
	uint32_t epoch;      /* counted up by each leak snapshot */
	int64_t shutdown_ns;
	int64_t quantum_ns;
	uint32_t preempt;    /* enum ringo_preempt that is in force */
	int module_err, bpfd_err; /* 0: not asked, or it serves */
	uint64_t revocations;
	uint64_t blocked;    /* of these: not because it computed */
	uint64_t seen_switches; /* sysmon's: at its last look */
	uint32_t calm;       /* sysmon's: looks since one found what the look before it had found */
	bool told_no_spare;
	int64_t stop_deadline; /* once stopping */

	union {
		struct {
			uint8_t debug;  /* RG_DEBUG_* */
			uint8_t events; /* 1: events are wanted. Recorders write it, from outside, too. */
		};
		uint16_t watched; /* a switch looks at both at once */
	};
	bool solo;           /* one M: its run queue has no thieves; see runq.c */
	uint32_t procs;      /* Ps that run Gs */
	uint32_t np;         /* Ps made so far */
	uint32_t nm;         /* Ms made so far: at least one for each P */
	uint32_t procs_lock;
	sigset_t sigmask;    /* of whoever called ringo_run: Ms have it, whoever makes them */
	uint32_t spare_lock;
	struct m *spares;    /* without a P, asleep */
	struct m *m[RG_MAX_M];
	struct p *p[RG_MAX_P];

	/* The wake protocol: wake.c. */
	uint32_t spinning rg_aligned(RG_CACHELINE);
	uint64_t idle[RG_IDLE_WORDS]; /* bit i: the M of P i is parked and runs Gs when woken */

	/* Deadlock: deadlock.c. */
	uint64_t serving[RG_IDLE_WORDS]; /* bit i: the M of P i, which is retired, sleeps */
	uint32_t outside;    /* Gs, no daemons, that wait for what neither a ring nor a G brings */
	uint32_t signals;    /* subscriptions */
	bool (*signalled)(const void *chan); /* does one lead there? */
	uint32_t witness;    /* index of a G that was alive when somebody looked */
	uint32_t told_deadlock;
	int64_t suspect_since; /* all seemed asleep; 0: somebody was alive */
	uint64_t suspect_switches; /* made by then */

	/* The global queue: runq.c. */
	uint32_t global_lock rg_aligned(RG_CACHELINE);
	uint32_t nglobal;
	uint32_t global_head, global_mask;
	struct g **global;

	/* Main goroutine and the thread in ringo_run. */
	int (*main_fn)(void *);
	void *main_arg;
	int main_result;
	uint32_t main_word; /* a futex word: RG_MAIN_* */
	uint32_t main_exited; /* it left by ringo_exit: only a deadlock or exit(3) ends the run */

	struct rg_counters foreign; /* under global_lock */
	void (*awake)(void); /* an M has come out of its sleep; NULL: nobody wants to know. See observe/stall.c. */
	uint64_t stalls;
	uint64_t trimmed;    /* stacks whose unused pages were given back */
};

/* In a static library the name must be ours; hidden, it is reached without a table. */
extern struct rt rt __asm__("rg_rt") __attribute__((visibility("hidden")));

/*
 * rt.events, rt.watched: recorders write while we look. A plain look is one instruction with the jump's test; that
 * the compiler may look once for a loop does no harm.
 */
#ifdef RG_TSAN
#define rg_is_wanted(what) rg_load_relaxed(&rt.what)
#else
#define rg_is_wanted(what) (rt.what)
#endif

/* Ends of a run, in the order of layers above core: the blocking pool, signals. */
struct rg_exit_hook {
	struct rg_exit_hook *next;
	/* Must be done by deadline; returns how many goroutines or jobs it had to leave. */
	int (*fn)(int64_t deadline);
	void (*child)(void); /* in a forked child: forget everything; may be NULL */
};
void rg_at_exit(struct rg_exit_hook *h);

#endif
