/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the programs in bpf/ and their loader, tools/ringo-bpfd, agree on. */
#ifndef RINGO_BPF_LIMITS_H
#define RINGO_BPF_LIMITS_H

#include <linux/types.h>

enum {
	RG_BPF_PAGE = 4096,
	RG_BPF_CLIENTS = 64,     /* processes */
	RG_BPF_PAGES = 256,      /* of a client: its control page and those of its Ms */
	RG_BPF_MS = 4096,        /* Ms of all clients */
	RG_BPF_RING = 64 << 10,  /* bytes of a client's ring buffer */
	RG_BPF_FILTER = 1 << 16,
};

struct rg_bpf_m {
	__u32 client;
	__u32 page;
	__u32 tgid;
	__u32 shorts; /* notices for nothing, one after the other */
	__u64 off;    /* since when it waits for a CPU, if a tick has seen its goroutine; CLOCK_MONOTONIC */
	__u64 quiet;  /* until then blocks are not told; CLOCK_MONOTONIC */
	__u32 told;   /* the present block was */
	__u32 pad;
};

#endif
