/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The one process that a loader has its programs look at; whether the calling thread is of it, and one of its
 * Ms. What is read of it is read without faulting, and what is garbage misleads only about that process.
 */
#ifndef RINGO_BPF_PROCESS_H
#define RINGO_BPF_PROCESS_H

#include "bpf/types.h"
#include "kmod/uapi/ringo_state.h"

/* Set by the loader. */
const volatile __u32 target;           /* its number in its own pid namespace, */
const volatile __u64 ns_dev, ns_inode; /* which is this */
const volatile __u64 state;            /* where its struct ringo_state is */

/* True: the calling thread is the target's, and ns has its number there. */
static __always_inline bool of_target(struct bpf_pidns_info *ns)
{
	return !bpf_get_ns_current_pid_tgid(ns_dev, ns_inode, ns, sizeof(*ns)) && ns->tgid == target;
}

/*
 * The page of the M that the calling thread is, whose number is tid; 0: it is none. The first *searched of
 * the Ms are known to be others; if it is one, then it is the last of these. Those that are new stand behind
 * the others.
 */
static __always_inline __u64 find_m(__u32 *searched, __u32 tid)
{
	const __u64 ms = state + __builtin_offsetof(struct ringo_state, ms);
	struct ringo_m m;

	for (int i = 0; i < 128; i++) {
		if (*searched >= RINGO_STATE_MS ||
		    bpf_probe_read_user(&m, sizeof(m), (void *)(ms + sizeof(m) * *searched)) || !m.page)
			return 0;
		++*searched;
		if ((__u32)m.tid == tid)
			return m.page;
	}
	return 0;
}

#endif
