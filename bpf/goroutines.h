/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What goroutines.bpf.c and its loader, tools/ringo-prof, agree on. */
#ifndef RINGO_BPF_GOROUTINES_H
#define RINGO_BPF_GOROUTINES_H

#include <linux/types.h>

enum {
	GOROUTINES_PROCESSES = 16,
	GOROUTINES_CHUNK = 256,      /* of a table, at once: their lines have to fit in 32 KiB */
	GOROUTINES_CHUNKS = 4096,    /* of a process: 1048576 goroutines */
};

struct goroutines_process {
	__u32 pid;                   /* 0: none */
	__u32 pad;
	__u64 state;                 /* where its struct ringo_state is */
};

#endif
