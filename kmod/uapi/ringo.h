/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * The one ABI header: what the library, the kernel module, BPF programs and tools share.
 *
 * Fixed-width types, explicit padding, reserved fields that must be zero. A change of layout raises
 * RINGO_ABI_VERSION.
 */
#ifndef RINGO_UAPI_H
#define RINGO_UAPI_H

/* A BPF program's type header already defines the __uNN types and clashes with linux/types.h. */
#ifndef __VMLINUX_H__
#include <linux/ioctl.h>
#include <linux/types.h>
#endif

#define RINGO_ABI_VERSION 1

/* revoked, low two bits; the rest is a generation. design/revocation.md */
#define RINGO_REVOKED_FREE 0
#define RINGO_REVOKED_ASKED 1
#define RINGO_REVOKED_TAKEN 2
#define RINGO_REVOKED_MASK 3

/* in_rt; 0 outside the runtime, where its goroutine's own code is, or a system call that it made */
#define RINGO_RT_INSIDE 1
#define RINGO_RT_ASIDE 2	/* in the scheduler, which is in the kernel: has no goroutine */

/* asked */
#define RINGO_ASK_YIELD (1u << 0)	/* give way at the next call that waits */
#define RINGO_ASK_STOP (1u << 1)	/* the runtime ends: so does the goroutine, at its next call */

/* upcall */
#define RINGO_UPCALL_ASKED 1	/* the thread is to go on in the runtime, wherever in its goroutine it is */
#define RINGO_UPCALL_RUNS 2	/* it does; it writes 0 when it goes back */

/*
 * M page: one per OS thread that runs goroutines, shared with whoever watches or revokes it.
 * revoked and asked are read together as one aligned 64-bit word by the entry gate; cur_g and seen are
 * written together, as one, by the switch: so a tick's mark is gone when another goroutine runs.
 */
struct ringo_m_page {
	__u32 abi;
	__u32 in_rt;		/* RINGO_RT_* */
	__u32 revoked;
	__u32 asked;
	__u32 cur_g;		/* index of its goroutine in the table, plus 1; 0 none */
	__u32 seen;		/* a tick's mark: when it first saw that one in this run; ringo_stamp, 0 not yet */
	__u32 p;		/* number of the P that it holds, plus 1; 0 none */
	__s32 block_nr;		/* with block_since: of which system call; -1 a page fault */
	__u64 block_since;	/* CLOCK_MONOTONIC when its goroutine blocked outside the runtime; 0: no */
	__u32 overran;		/* 1: TAKEN by a tick, after a quantum */
	__u32 upcall;		/* RINGO_UPCALL_*; by the module only, for threads that have said where */
	__u64 stack_low;	/* with ASKED: the stack of that goroutine, so far as it may be used; */
	__u64 stack_high;	/* elsewhere there is no upcall */
};

/* Of a CLOCK_MONOTONIC time, in units of 1024 ns; never 0. */
static inline __u32 ringo_stamp(__u64 ns)
{
	__u32 stamp = (__u32)(ns >> 10);

	return stamp ? stamp : 1;
}

/*
 * Control page: one per process, page 0 of those that it shares with a revoker in the kernel. The others are
 * M pages.
 *
 * A revoker may go from FREE to TAKEN only with a permit: for each there is a spare M that nobody else uses.
 */
struct ringo_ctl_page {
	__u32 abi;
	__u32 watch;		/* 1: somebody waits for a P */
	__u32 permits;
	__u32 quantum;		/* in units of 1024 ns */
	__u32 ticks;		/* 1: they come as often as was answered to HELLO */
	__u32 reserved32;
	__u64 reserved[1];
	/* Counted by the revoker. */
	__u64 taken;
	__u64 asked;		/* seen inside the runtime after a quantum: RINGO_ASK_YIELD */
	__u64 refused;		/* no permit, no room for the notice, or the word was not FREE */
	__u64 blocked;		/* goroutines that blocked outside the runtime while somebody waited */
	__u64 passed_over;	/* of these: not told, because the ones before were short */
	__u64 upcalls;
};

/*
 * Notices, in a BPF ring buffer, or one of the module's, which looks the same to its reader: a page with the
 * reader's position, one with the writer's, and the data; the positions are __u64 and count bytes. Before each
 * notice stand its length and a number to be ignored, both __u32.
 */
enum {
	RINGO_NOTICE_TAKEN = 1,	/* P number p - 1 was taken from the M of that page */
	RINGO_NOTICE_BLOCKED,	/* the M of that page, which holds p, blocked: block_since is when */
};

struct ringo_notice {
	__u32 what;
	__u32 page;		/* number of the M page, from 1 */
	__u32 p;
	__s32 nr;		/* as block_nr */
	__u64 when;		/* CLOCK_MONOTONIC */
};

/*
 * What ringo-bpfd and its clients say to each other, one struct a packet, on a Unix socket of type
 * SOCK_SEQPACKET. HELLO comes first; ADD and HELLO are answered, with the same op.
 */
enum {
	RINGO_BPFD_HELLO = 1,	/* arg: so often ticks are wanted, in microseconds */
	RINGO_BPFD_ADD,		/* arg: a thread of the process that connected; page: where its M page is, from 1 */
	RINGO_BPFD_WATCH,	/* ticks are wanted; they end when watch was not 1 for a while */
};

struct ringo_bpfd_msg {
	__u32 op;
	__u32 arg;
	__u32 page;
	__u32 abi;		/* RINGO_ABI_VERSION */
};

/* The answer to HELLO brings two descriptors: the pages, to be mapped from 0 on, and the ring buffer. */
struct ringo_bpfd_answer {
	__u32 op;
	__s32 err;		/* 0 or -errno */
	__u32 pages;		/* how many, the control page among them */
	__u32 ring;		/* bytes of the ring buffer */
	__u32 tick_us;		/* between ticks, when they are wanted */
	__u32 reserved;
};

#define RINGO_BPFD_SOCKET "/run/ringo/bpfd.sock"

/*
 * The kernel module. Who opens the device and sets it up is its client: one at a time of a process, and no use to
 * others that have got the descriptor. Each thread adds itself. A thread or process that ends, forks or execs
 * is forgotten. Fields that are not for input yet must be 0.
 *
 * The pages are mapped from the file, shared: from 0 on control page and M pages, and the ring where ring_at says.
 * The file polls readable when there are notices. What is mapped keeps the client, as an open descriptor does.
 */
#define RINGO_DEVICE "/dev/ringo"

struct ringo_setup {
	__u32 abi;		/* RINGO_ABI_VERSION; the answer is the module's, also with -EPROTONOSUPPORT */
	__u32 period_us;	/* so often ticks are wanted */
	__u32 pages;		/* answer: how many there may be, the control page among them */
	__u32 ring;		/* answer: bytes of data */
	__u32 ring_at;		/* answer: number of the page with the reader's position; the others follow */
	__u32 tick_us;		/* answer: between ticks, when they are wanted */
	__u64 reserved[5];
};

struct ringo_add {
	__u32 page;		/* from 1: it has been mapped, and is no other thread's */
	__u32 reserved32;
	__u64 upcall;		/* where the thread goes on in an upcall; 0: there are none */
	__u64 reserved[2];
};

/*
 * Upcalls. A tick that finds a thread in user mode with ASKED in its page, outside the runtime, on the stack that the
 * page names, makes it go on at the address that it has given: with all registers as they were, but for the stack
 * pointer, which is 136 lower; there lies the address where it was. `ret $128` goes back.
 * Not within a restartable sequence (rseq), nor while it is traced, nor where that part of the stack is not there: then
 * ASKED stays, and the next tick tries again.
 */

/*
 * Stacks. A private mapping of the device from RINGO_STACKS(order) on is memory like any other, but that the first page
 * of each 2^order pages, counted from there, is never to be had: who touches it gets SIGSEGV, and a system call
 * -EFAULT. One mapping has room for any number. It takes no setup, and outlives the descriptor.
 */
#define RINGO_STACKS(order) (1ull << 62 | (__u64)(order) << 56)
#define RINGO_STACKS_ORDERS 36	/* from 1 to that, exclusive */

#define RINGO_IOC_SETUP _IOWR(0xd7, 1, struct ringo_setup)
#define RINGO_IOC_ADD _IOW(0xd7, 2, struct ringo_add)
#define RINGO_IOC_REMOVE _IO(0xd7, 3)	/* the calling thread */
#define RINGO_IOC_WATCH _IO(0xd7, 4)	/* ticks are wanted; they end when watch was not 1 for a while */

#ifdef __cplusplus
#define RINGO__SIZE(type, size) static_assert(sizeof(type) == (size), #type)
#else
#define RINGO__SIZE(type, size) _Static_assert(sizeof(type) == (size), #type)
#endif

RINGO__SIZE(struct ringo_m_page, 64);
RINGO__SIZE(struct ringo_ctl_page, 80);
RINGO__SIZE(struct ringo_notice, 24);
RINGO__SIZE(struct ringo_bpfd_msg, 16);
RINGO__SIZE(struct ringo_bpfd_answer, 24);
RINGO__SIZE(struct ringo_setup, 64);
RINGO__SIZE(struct ringo_add, 32);

#endif
