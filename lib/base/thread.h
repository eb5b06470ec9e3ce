/* SPDX-License-Identifier: MIT */
/*
 * OS threads of the runtime. The simulation has its own, which all live on one real thread: see
 * arch/sim.c.
 */
#ifndef RG_BASE_THREAD_H
#define RG_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	RG_THREAD_NO_SIGNALS = 1 << 0, /* signals are for the program's own threads */
	RG_THREAD_DETACHED = 1 << 1,
	RG_THREAD_FULL_STACK = 1 << 2, /* runs the program's code: as large as it would have it (ulimit -s) */
};

struct rg_thread {
	pthread_t id;
};

/* Started here and not yet joined, or gone. */
extern uint32_t rg_threads;

/* A detached thread is about to end. */
void rg_thread_gone(void);

/* 0 or -errno. */
int rg_thread_start(struct rg_thread *t, void *(*fn)(void *), void *arg, unsigned flags);
void rg_thread_join(struct rg_thread *t);
void rg_thread_detach(struct rg_thread *t);

int rg_thread_self(void); /* the kernel's number of the caller */
void rg_thread_name(const char *name); /* of the caller, up to 15 bytes: for ps -L, top -H, perf, gdb */

/* The caller's timers are not late for the sake of others, and it need not wait for those that compute. */
void rg_thread_punctual(void);

/* CPU time it has used, in nanoseconds; 0 if it has ended. */
int64_t rg_thread_cpu(const struct rg_thread *t);

/* What the kernel says it does: 'R' runs, or would like to; 'S' sleeps, 'D' uninterruptibly. 0: unknown. See proc(5). */
char rg_thread_state(int tid);

/* The number of the system call that it is blocked in; -1: in none, or unknown. */
int rg_thread_syscall(int tid);

/*
 * How the kernel treats a thread of ours against others: by the length of its time slices, which can be taken back
 * without a privilege. 0 or -errno.
 */
enum rg_standing { RG_STANDING_NORMAL, RG_STANDING_LOW, RG_STANDING_LOWEST, RG_STANDING_PROMPT };
int rg_thread_standing(int tid, enum rg_standing standing);

#endif
