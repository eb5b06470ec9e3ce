/* SPDX-License-Identifier: MIT */
/* Numbers about the running runtime. */
#ifndef RINGO_STATS_H
#define RINGO_STATS_H

#include <ringo/base.h>

RINGO__C_BEGIN

enum ringo_guard {
	RINGO_GUARD_MARKER,   /* guard markers of kernel >= 6.13: any number of stacks */
	RINGO_GUARD_MPROTECT, /* guard pages by mprotect: about 30,000 stacks, then spawning fails */
	RINGO_GUARD_CANARY,   /* as MPROTECT, but stacks beyond have a canary (RINGO_RUN_CANARY) */
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
	uint64_t reserved[16];
};

/* Fill *s. 0, -EINVAL (size 0), -E2BIG (size larger than known, with a non-zero tail), -ESRCH. Any thread. */
RINGO__API int ringo_stats_get(struct ringo_stats *s);

RINGO__C_END

#endif
