/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What gtrace.bpf.c and its loader, tools/ringo-prof, agree on. */
#ifndef RINGO_BPF_GTRACE_H
#define RINGO_BPF_GTRACE_H

#include <linux/types.h>

enum {
	GTRACE_THREADS = 1024,
	GTRACE_SUMS = 16384,
	GTRACE_WAITS = 1 << 18,     /* goroutines that wait at once */
	GTRACE_STACK = 8192,        /* bytes of a stack that are looked at */
	GTRACE_NEWS = 16 << 20,
	GTRACE_NAME = 32,
	GTRACE_REGS = 17,           /* as DWARF numbers them */
	GTRACE_TEXTS = 2,
	GTRACE_SLOTS = 64,          /* of a histogram: powers of two in nanoseconds */
};

/* Whose it was. */
enum gtrace_who {
	GTRACE_GOROUTINE = 1,
	GTRACE_SCHEDULER,           /* an M without a goroutine */
	GTRACE_THREAD,              /* no M; its name is that of the thread */
};

/* What was counted. */
enum gtrace_what {
	GTRACE_ON_CPU = 1,
	GTRACE_PARKED,              /* nr: RINGO_WHY_* */
	GTRACE_BLOCKED,             /* in the kernel, outside the runtime; nr: the system call, -1 a page fault */
	GTRACE_WAITS_P,
	GTRACE_WAITS_CPU,
	GTRACE_SYSCALL,             /* nr */
	GTRACE_FAULT,
	GTRACE_OPERATION,           /* on the CPU for its operation of the ring, while it is parked; nr: IORING_OP_* */
};

/* What is added up together. */
struct gtrace_key {
	__u64 fn, spawn_pc;
	char name[GTRACE_NAME];
	__u32 who;
	__u32 flags;                /* RINGO_G_MAIN, RINGO_G_DAEMON */
	__u32 what;
	__s32 nr;
	__u64 shape;                /* of the stack: the same for stacks that unwind to the same frames */
};

struct gtrace_sum {
	__u64 count;
	__u64 ns;
};

/* Told once for each key: with that the reader unwinds one stack for all that is added up. */
struct gtrace_new {
	__u32 id;                   /* where the sum is */
	__u32 size;                 /* of stack */
	struct gtrace_key key;
	__u64 regs[GTRACE_REGS];
	__u64 stack[GTRACE_STACK / 8]; /* from the stack pointer on */
};

/* A goroutine that waits. */
struct gtrace_wait {
	__u64 since;
	__u32 id;                   /* of its sum; 0: not known yet */
	__u32 pad;
};

#endif
