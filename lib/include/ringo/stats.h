/* SPDX-License-Identifier: MIT */
/* Numbers about the running runtime. */
#ifndef RINGO_STATS_H
#define RINGO_STATS_H

#include <ringo/base.h>
#include <ringo/dump.h>

RINGO__C_BEGIN

enum ringo_guard {
	RINGO_GUARD_MARKER,   /* guard markers of kernel >= 6.13: any number of stacks */
	RINGO_GUARD_MPROTECT, /* guard pages by mprotect: about 30,000 stacks, then spawning fails */
	RINGO_GUARD_CANARY,   /* as MPROTECT, but stacks beyond have a canary (RINGO_RUN_CANARY) */
	RINGO_GUARD_KMOD,     /* those of the kernel module: any number of stacks */
};

/* Counters are since the start of the run and may lag behind a running goroutine by a moment. */
struct ringo_stats {
	size_t size;                /* set by the caller: sizeof(struct ringo_stats) */
	char backend[16];           /* "io_uring" */
	uint32_t guard;             /* enum ringo_guard */
	uint32_t procs;             /* Ps */
	uint64_t goroutines;        /* live */
	uint64_t runnable, running, syscall, waiting; /* of these; counted by looking at each one */
	uint64_t goroutine_limit;   /* spawning beyond it returns -EAGAIN */
	uint64_t spawned;           /* ever */
	uint64_t switches;          /* times a goroutine was run */
	uint64_t steals;            /* successful looks into another P's queue */
	uint64_t stolen;            /* goroutines moved by them */
	uint64_t wakes;             /* idle Ms woken */
	uint64_t parks;             /* times an M went to sleep */
	uint64_t enters;            /* io_uring_enter calls */
	uint64_t ops;               /* ring operations submitted */
	uint64_t cancels;           /* ring operations cancelled by a deadline */
	uint64_t pool_jobs;         /* jobs given to the blocking pool */
	uint64_t pool_threads;      /* its threads now */
	uint64_t stacks_trimmed;    /* times a stack's unused pages were given back */
	uint64_t revocations;       /* times a P was taken from a goroutine that computed or blocked */
	uint64_t without_p;         /* of those running: without a P now, or parked until it is their turn */
	uint64_t threads;           /* that run goroutines, or are ready to */
	uint64_t cpu_ns;            /* CPU time of goroutines, ended ones included; 0: see ringo_cpu_time */
	uint64_t preempt;           /* enum ringo_preempt: what is in force now */
	uint64_t blocked;           /* of the revocations: those because it blocked outside ringo, or got no CPU */
	uint64_t stalls;            /* see ringo_stall_watch */
	uint64_t reserved[9];
};

/* Fill *s. 0, -EINVAL (size 0), -E2BIG (size larger than known, with a non-zero tail), -ESRCH. Any thread. */
RINGO__API int ringo_stats_get(struct ringo_stats *s);

/*
 * Write these numbers to fd as text that Prometheus reads (format 0.0.4); the names begin with "ringo_". Blocks
 * the OS thread while fd takes no more. 0; -ENOMEM, -ESRCH, or the error of write(2). Any thread; does not wait.
 */
RINGO__API RINGO__MUST int ringo_metrics(int fd);

/*
 * Answer HTTP requests for what can be known of the running program:
 *
 *   /metrics                         ringo_metrics
 *   /debug/pprof/goroutine?debug=1   ringo_dump, GROUPED; go tool pprof reads it, by addresses. Also without debug
 *   /debug/pprof/goroutine?debug=2   FULL
 *   /debug/leaks                     LEAKS
 *   /debug/trace?seconds=1           what goroutines do meanwhile (60 at most), for ui.perfetto.dev
 *
 * addr: "127.0.0.1:6060", "[::1]:6060": numbers only, or localhost. ":6060" is 127.0.0.1, port 0 a free one. Or
 * "unix:/path": a socket that only the same user can connect to; a former one there that nobody listens on is
 * replaced. Who can connect can read names of functions and goroutines and addresses of memory, so think before
 * you give another address than loopback: there is no password.
 *
 * A thread of its own answers, so also while all goroutines are busy. An answer longer than 64 MB is cut, and
 * says so; a trace ends there. A request must come within 10 s, an answer of 64 MB be fetched within 5 minutes, and
 * some of it each 30 s. At most 32 clients at a time, 4 of them for traces (more get 503); where others wait, a client
 * that is slow gives way. Takes up to two descriptors for each, and 384 MB for all answers. Ends with the run.
 *
 * The port, or 0 for a Unix socket; -EINVAL (addr), -EALREADY (one in a run), -EADDRINUSE, -EACCES and other
 * errors of bind(2), -EMFILE, -EAGAIN, -ESRCH. Any thread; does not wait.
 */
RINGO__API int ringo_debug_serve(const char *addr);

/*
 * CPU time that the calling goroutine has used so far, in nanoseconds: user and system time of the threads it ran
 * on, while it ran there, its calls of ringo included. Not in it: what it waited or was blocked, what the kernel
 * gave to others meanwhile, what the kernel's threads or those of ringo_blocking() did for it, and the scheduler.
 * Good to some microseconds for each time that the kernel interrupted it.
 * -ENOTSUP: not counted in this run (RINGO_RUN_CPU_TIME, or RINGO_DEBUG=1); -EPERM outside a goroutine, -ESRCH
 * without a runtime. Does not wait.
 */
RINGO__API int64_t ringo_cpu_time(void);

RINGO__C_END

#endif
