/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What ktrace.bpf.c and its loader, tools/ringo-trace, agree on. Times are CLOCK_MONOTONIC, in ns. */
#ifndef RINGO_BPF_KTRACE_H
#define RINGO_BPF_KTRACE_H

#include <linux/types.h>

enum {
	KTRACE_THREADS = 8192,      /* of the process, Ms or not */
	KTRACE_RING = 4 << 20,      /* bytes, unless the loader wants another size */
	KTRACE_COMM = 16,
};

/* Another thread, of any process. */
struct ktrace_other {
	__u64 when;                 /* it woke this one; 0: not seen */
	__u32 pid;                  /* as the kernel numbers threads; 0: an interrupt, or an idle CPU */
	__u32 m;                    /* the number of the target's M that it is, plus 1; 0: none */
	char comm[KTRACE_COMM];
};

/* That an M was off the CPU, told when it is on one again. */
struct ktrace_off {
	__u64 off;                  /* since then; 0: it is not off */
	__u64 woken;                /* since then it only waited for a CPU; 0: not seen */
	__u64 on;
	__u32 m;                    /* its number */
	__s32 nr;                   /* of the system call that it was in; -1: a page fault, or its own code */
	__u32 state;                /* that it waited in, as the kernel has it; 0: it would have run on */
	__u32 cpu, to_cpu;          /* that it left, and came to */
	__u32 pad;
	struct ktrace_other other;  /* who took the CPU (state 0), or who woke it */
};

/* What is kept of a thread of the target. */
struct ktrace_thread {
	__u32 m;                    /* its number, plus 1; 0: not known to be one */
	__u32 searched;             /* so many of the Ms are others, or it is the last of these */
	struct ktrace_other waker;  /* who woke it last */
	struct ktrace_off now;
};

#endif
