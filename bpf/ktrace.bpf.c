// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * When the Ms of one process go off their CPU, why, and when they come back: one record for each time, sent
 * when it is over. An M that would still run has been preempted, by who runs there next; else it blocks, and
 * the system call it is in says what for. What is missing between being woken and running is time that it
 * waits for a CPU.
 *
 * Rejected: the kernel's stack, for the name of the function that it blocks in: it costs five times the rest,
 * and the call tells as much nearly always. A record each for going, waking and coming: one of them may be
 * lost alone.
 *
 * Ordering. The record in the making (now) is touched under the lock of the run queue that the thread is on:
 * when it leaves the CPU, when it is put on a queue (sched_wakeup), and when it comes. Who wakes it is known
 * only in the context of the waker (sched_waking), perhaps before the thread has left, so that is kept apart
 * (waker); between two times that it is woken it has come to a CPU, or has never left.
 */
#include "bpf/ktrace.h"
#include "bpf/process.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

__u64 lost;                    /* records that found no room */
__u64 unseen;                  /* switches that the kernel has not told */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KTRACE_THREADS);
	__type(key, __u32);
	__type(value, struct ktrace_thread);
} threads SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, KTRACE_RING);
} offs SEC(".maps");

static struct ktrace_thread blank;

static __always_inline void add(__u64 *count)
{
	__sync_fetch_and_add(count, 1);
}

/* Known to be the target's; else NULL. */
static __always_inline struct ktrace_thread *thread_of(struct task_struct *task)
{
	__u32 tid = (__u32)task->pid;

	return bpf_map_lookup_elem(&threads, &tid);
}

/* The calling thread's record; NULL: it is no M. */
static __always_inline struct ktrace_thread *this_m(struct task_struct *task)
{
	struct bpf_pidns_info ns = {};
	__u32 tid = (__u32)task->pid;
	struct ktrace_thread *t;

	if (!of_target(&ns))
		return 0;
	t = bpf_map_lookup_elem(&threads, &tid);
	if (!t) {
		bpf_map_update_elem(&threads, &tid, &blank, BPF_NOEXIST);
		t = bpf_map_lookup_elem(&threads, &tid);
	}
	if (!t) {
		add(&lost);
		return 0;
	}
	if (!t->m && find_m(&t->searched, ns.pid))
		t->m = t->searched;
	return t->m ? t : 0;
}

static __always_inline void set_other(struct ktrace_other *other, struct task_struct *task)
{
	struct ktrace_thread *t = thread_of(task);

	other->pid = (__u32)task->pid;
	other->m = t ? t->m : 0;
	bpf_probe_read_kernel_str(other->comm, sizeof(other->comm), task->comm);
}

/* ---- who wakes it ---- */

/* What it is doing in the kernel: a system call, or -1. A thread of the kernel's: 0. */
static __always_inline __s32 call_of(struct task_struct *task)
{
	return (__s32)((struct pt_regs___kernel *)bpf_task_pt_regs(task))->orig_ax;
}

/*
 * A thread that is in no call wakes nobody: it is interrupted. Who is interrupted amid a call is taken for
 * the waker: where the count of interrupts is kept differs from kernel to kernel, and not all of them show
 * it.
 */
static __always_inline void set_waker(struct ktrace_other *waker, struct task_struct *task)
{
	if (call_of(task) >= 0)
		set_other(waker, task);
	else
		__builtin_memset(waker, 0, sizeof(*waker));
	waker->when = bpf_ktime_get_ns();
}

SEC("tp_btf/sched_waking")
int BPF_PROG(kernel_waking, struct task_struct *task)
{
	struct ktrace_thread *t = thread_of(task);

	if (t && t->m)
		set_waker(&t->waker, bpf_get_current_task_btf());
	return 0;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(kernel_wakeup, struct task_struct *task)
{
	struct ktrace_thread *t = thread_of(task);

	if (t && t->now.off && t->now.state && !t->now.woken)
		t->now.woken = bpf_ktime_get_ns();
	return 0;
}

/* ---- off and on ---- */

static __always_inline void leave(struct task_struct *prev, struct task_struct *next, __u32 prev_state)
{
	struct ktrace_thread *t = this_m(prev);
	struct ktrace_off *now;

	if (!t)
		return;
	now = &t->now;
	if (now->off)
		add(&unseen);
	now->woken = 0;
	now->m = t->m - 1;
	now->nr = call_of(prev);
	now->state = prev_state;
	now->cpu = bpf_get_smp_processor_id();
	if (!prev_state)
		set_other(&now->other, next);
	now->off = bpf_ktime_get_ns();
}

static __always_inline void come(struct ktrace_thread *t)
{
	if (!t->now.off) {
		add(&unseen);
		return;
	}
	t->now.on = bpf_ktime_get_ns();
	t->now.to_cpu = bpf_get_smp_processor_id();
	if (t->now.state)
		t->now.other = t->waker;
	t->waker.when = 0;
	if (bpf_ringbuf_output(&offs, &t->now, sizeof(t->now), BPF_RB_NO_WAKEUP))
		add(&lost);
	t->now.off = 0;
}

/* The last that a thread does; its number may be another's soon. */
static __always_inline void forget(struct task_struct *task)
{
	__u32 tid = (__u32)task->pid;

	bpf_map_delete_elem(&threads, &tid);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(kernel_switch, bool preempt, struct task_struct *prev, struct task_struct *next,
	     unsigned int prev_state)
{
	struct ktrace_thread *t = thread_of(next);

	if (t && t->m)
		come(t);
	if (prev_state & TASK_DEAD)
		forget(prev);
	else
		leave(prev, next, preempt ? 0 : prev_state);
	return 0;
}
