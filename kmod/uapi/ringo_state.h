/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * What an outside reader needs to list the goroutines of a process, live or in a core file, without stopping it.
 *
 * A process in which ringo_run goes on has one mapping of a file of the name RINGO_STATE_NAME: in
 * /proc/PID/maps, and in the NT_FILE note of a core. At its start lies struct ringo_state, which says where
 * the rest is: addresses in that process, to be read by process_vm_readv(2), or in the segments of the core.
 * The kernel lets the owner and root read, nobody else.
 *
 * Records are those that the runtime itself works with: they change while they are read, and are as true as a
 * photograph with a slow shutter. Whoever reads checks each number before it is used.
 *
 * Fixed-width types, explicit padding. A change of layout raises RINGO_STATE_VERSION; that of M pages is
 * RINGO_ABI_VERSION.
 */
#ifndef RINGO_UAPI_STATE_H
#define RINGO_UAPI_STATE_H

#include "ringo.h"

#define RINGO_STATE_NAME "ringo-state"
#define RINGO_STATE_MAGIC 0x6574617473676e72ULL
#define RINGO_STATE_VERSION 1
#define RINGO_STATE_MS 4096	/* entries in ms[] */
#define RINGO_STATE_CLASSES 8

/* A size of stacks: slots of slot bytes from base on, one after the other. */
struct ringo_stack_class {
	__u64 base;		/* 0: none yet */
	__u64 slot;
};

/* An OS thread that runs goroutines. */
struct ringo_m {
	__u64 page;		/* its struct ringo_m_page; 0: it has never been */
	__s32 tid;
	__u32 reserved32;
	__u64 meter;		/* its struct ringo_meter */
	__u64 reserved;
};

/* Where CPU time is counted: what an M knows of its thread. */
struct ringo_meter {
	__s64 wall;		/* when it last switched; CLOCK_MONOTONIC */
	__s64 cpu;		/* CPU time of the thread then: later one is its goroutine's */
	__u64 total;		/* of all goroutines on it */
};

struct ringo_state {
	__u64 magic;
	__u32 version;		/* RINGO_STATE_VERSION */
	__u32 size;		/* of this struct */
	__u32 up;		/* 1: all of it is valid */
	__u32 pid;		/* in the process's own namespace */
	__s64 started;		/* CLOCK_MONOTONIC */
	__s64 stamp;		/* as that: of the last report of a panic; 0 none. In a core: about its end */

	/* Goroutines: a table of struct ringo_g, of which only the first *used have ever been. */
	__u64 table;
	__u64 used;		/* where a __u32 is */
	__u32 stride;		/* bytes from one to the next: at least sizeof(struct ringo_g) */
	__u32 limit;		/* most that there may be */
	__u64 cpu;		/* where the CPU time of each is, __u64 in nanoseconds; 0: not counted */
	__u64 main_fn;		/* what the goroutine with RINGO_G_MAIN runs */
	__u64 wrapper;		/* where a function's address is: with that fn, one that never ran is to run args[1] */
	struct ringo_stack_class classes[RINGO_STATE_CLASSES];

	/* How it runs. */
	char backend[16];
	__s64 quantum_ns;
	__u32 procs;		/* at the start */
	__u32 guard;		/* enum ringo_guard */
	__u32 preempt;		/* enum ringo_preempt: what is in force */
	__u32 preempt_wanted;
	__s32 module_err;	/* -errno of the kernel module; 0: not asked, or it serves */
	__s32 bpfd_err;		/* likewise of ringo-bpfd */
	__u32 debug;		/* RINGO_STATE_DEBUG_* */
	__u32 reserved32;
	__u64 events;		/* struct ringo_events of ringo_events.h; 0: none */
	__u64 reserved[6];

	struct ringo_m ms[RINGO_STATE_MS]; /* from 0 on, without gaps */
};

#define RINGO_STATE_DEBUG_CPU 1	/* counts CPU time of goroutines */
#define RINGO_STATE_DEBUG_HELD 2 /* watches pthread locks */

/* ringo_g.state */
enum {
	RINGO_G_FREE,
	RINGO_G_RUNNABLE,
	RINGO_G_RUNNING,
	RINGO_G_SYSCALL,	/* in a ring or in the pool */
	RINGO_G_WAITING,
	RINGO_G_DEAD,
	RINGO_G_RESERVED,	/* not born yet */
};

/* ringo_g.reason, and what wait_on points to then */
enum {
	RINGO_WHY_NONE,
	RINGO_WHY_SLEEP,
	RINGO_WHY_CHAN_SEND,	/* the channel */
	RINGO_WHY_CHAN_RECV,	/* the channel */
	RINGO_WHY_CHAN_NULL,
	RINGO_WHY_SELECT,	/* struct ringo_select_wait on its stack; 0: no cases */
	RINGO_WHY_MUTEX,	/* the mutex; likewise below */
	RINGO_WHY_RWMUTEX_R,
	RINGO_WHY_RWMUTEX_W,
	RINGO_WHY_COND,
	RINGO_WHY_ONCE,
	RINGO_WHY_SEMA,
	RINGO_WHY_WAITGROUP,
	RINGO_WHY_GROUP,
	RINGO_WHY_CTX,
	RINGO_WHY_TIMER,	/* the end of a timer's goroutine */
	RINGO_WHY_IO,
	RINGO_WHY_POOL,
	RINGO_WHYS,
};

#define RINGO_WHY_NAMES { \
	"", "sleep", "chan send", "chan receive", "NULL chan", "select", "mutex", "rwmutex read", \
	"rwmutex write", "cond", "once", "semaphore", "waitgroup", "group", "context", "timer stop", "io", \
	"blocking pool", \
}

/* ringo_g.flags */
#define RINGO_G_DAEMON (1 << 0)
#define RINGO_G_MAIN (1 << 1)
#define RINGO_G_STICKY (1 << 4)	/* computed for long: runs without a P */
#define RINGO_G_BACKGROUND (1 << 5)
#define RINGO_G_LOCKED (1 << 6)	/* keeps its thread */

/* What a goroutine in a select waits for. */
struct ringo_select_wait {
	__u64 cases;		/* struct ringo_case[n] of ringo/select.h */
	__u64 n;
};

#define RINGO_G_NAME 32		/* bytes of a name, with the 0 at its end */

/* A goroutine. Its number is its place in the table, plus 1; a reused place is told apart by gen. */
struct ringo_g {
	union {
		__u64 args[6];	/* before it first runs */
		struct {
			__u64 sp;	/* not running: there lie r15 r14 r13 r12 rbx rbp rip */
			__u64 wait_on;	/* while it waits: see RINGO_WHY_*; 0 nothing */
			__s64 wait_until;
			__u64 reserved_op;
			__u32 reserved_err;
			__u32 op_seq;	/* user_data of its operation in io_uring is op_seq << 32 | its number */
			__u8 reserved_wait;
			__u8 staged;	/* its operation is not in the ring yet */
			__u16 op_home;
			__u32 since;	/* when it began to wait: CLOCK_MONOTONIC >> 20 */
		};
	};
	__u64 reserved_next;
	__u32 slot;		/* its stack: number, plus 1; from RINGO_SLOT_SHIFT on its class. 0: never ran */
	__u8 state;
	__u8 reason;
	__u8 reserved_trim;
	__u8 flags;
	__u64 fn;		/* its function */
	__u64 spawn_pc;		/* who spawned it */
	__s64 deadline;		/* 0: none */
	__u64 scope;		/* 0: no context */
	__u64 name;		/* where char[RINGO_G_NAME] is; 0: none */
	__u64 reserved_timer;
	__u32 gen;
	__u32 wake;
	__u32 epoch;
	__u8 stack_class;
	__u8 reserved_aside;
	__u16 op_by;		/* number of the M that submitted its operation */
};

#define RINGO_SLOT_SHIFT 28

RINGO__SIZE(struct ringo_g, 128);
RINGO__SIZE(struct ringo_m, 32);
RINGO__SIZE(struct ringo_meter, 24);
RINGO__SIZE(struct ringo_select_wait, 16);
RINGO__SIZE(struct ringo_state, 328 + 32 * RINGO_STATE_MS);

#endif
