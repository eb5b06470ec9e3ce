// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A thread that ends, or execs, is no M any more: forgotten here, before its number can be another's.
 */
#include "bpf/ms.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

static __always_inline void forget(__u32 tid)
{
	if (filter[tid % RG_BPF_FILTER / 64] & 1ull << tid % 64)
		bpf_map_delete_elem(&ms, &tid);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(leave_exit, struct task_struct *t)
{
	forget(t->pid);
	return 0;
}

/* Whoever execs has the number of the process from then on. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(leave_exec, struct task_struct *t, int old_pid)
{
	forget(t->pid);
	forget(old_pid);
	return 0;
}
