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
#include <linux/types.h>
#endif

#define RINGO_ABI_VERSION 1

/* revoked, low two bits; the rest is a generation. design/revocation.md */
#define RINGO_REVOKED_FREE 0
#define RINGO_REVOKED_ASKED 1
#define RINGO_REVOKED_TAKEN 2
#define RINGO_REVOKED_MASK 3

/* asked */
#define RINGO_ASK_YIELD (1u << 0)	/* give way at the next call that waits */
#define RINGO_ASK_STOP (1u << 1)	/* the runtime ends: so does the goroutine, at its next call */

/*
 * M page: one per OS thread that runs goroutines, shared with whoever watches or revokes it.
 * revoked and asked are read together as one aligned 64-bit word by the entry gate.
 */
struct ringo_m_page {
	__u32 abi;
	__u32 in_rt;		/* 1 while the M is inside the runtime */
	__u32 revoked;
	__u32 asked;
	__u64 cur_g;		/* index of its goroutine in the table, plus 1; 0 none */
	__u64 switches;		/* goroutines run by this M so far */
	__u64 reserved[4];
};

#endif
