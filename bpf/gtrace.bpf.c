// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What one process does, told by goroutine: samples of the CPU, waits, system calls, page faults. Who runs where,
 * and how its stack is told, is in gtrace_here.h.
 *
 * Ordering. A thread's record is filled by programs that run as that thread. A switch of threads may come amid another
 * of them: busy keeps it out. Samples are taken in interrupts, which may come anywhere, and fill it, too; what else is
 * loaded with them writes only op_nr and op. Others touch since and id alone, when the thread is woken and when it
 * comes back to a CPU: one of these at a time, the kernel's lock of the run queue sees to that.
 */
#include <linux/ptrace.h>

#include "bpf/gtrace_here.h"

#define BPF_USDT_MAX_SPEC_CNT 64
#include <bpf/usdt.bpf.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct io_cqe {
	__u64 user_data;
} CO_RE;

struct io_kiocb {
	__u8 opcode;
	struct io_cqe cqe;
} CO_RE;

__u64 hist_p[GTRACE_SLOTS];    /* how long goroutines waited for a P, */
__u64 hist_cpu[GTRACE_SLOTS];  /* and Ms for a CPU */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, GTRACE_WAITS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct gtrace_wait);
} waits SEC(".maps");

/* ---- samples ---- */

/*
 * The scheduler gives the operations of many goroutines to the kernel in one call, and what the kernel can do at once
 * it does there: most of a server's time. So within io_uring_enter the time is the goroutine's whose operation was
 * begun last, which is parked: its registers lie on its stack. If it has gone on, or from the moment on that the thread
 * begins to wait, it is the scheduler's again, and so is what completes then. The goroutine, or 0.
 */
static __always_inline __u64 whose_operation(const struct thread *t)
{
	enum { IO_URING_ENTER = 426 };
	struct pt_regs___gtrace *r = (struct pt_regs___gtrace *)bpf_task_pt_regs(bpf_get_current_task_btf());
	__u64 op = t->op, g = table + (__u64)stride * ((__u32)op - 1);
	__u32 seq = 0;
	__u8 now = 0;

	if (t->new.key.who != GTRACE_SCHEDULER || !(__u32)op || r->orig_ax != IO_URING_ENTER)
		return 0;
	bpf_probe_read_user(&seq, sizeof(seq), (void *)(g + __builtin_offsetof(struct ringo_g, op_seq)));
	bpf_probe_read_user(&now, sizeof(now), (void *)(g + __builtin_offsetof(struct ringo_g, state)));
	return seq == op >> 32 && now == RINGO_G_SYSCALL ? g : 0;
}

static __always_inline void take_parked(struct gtrace_new *n, __u64 g)
{
	__u64 sp = 0;

	bpf_probe_read_user(&sp, sizeof(sp), (void *)(g + __builtin_offsetof(struct ringo_g, sp)));
	__builtin_memset(n->regs, 0, sizeof(n->regs));
	n->regs[7] = sp;
	n->size = sp ? take_stack(n, sp) : 0;
	n->key.shape = shape_of(n);
}

SEC("perf_event")
int on_cpu(void *ctx)
{
	struct bpf_pidns_info ns = {};
	struct thread *t = this_thread(&ns);
	__u64 g;

	if (!t)
		return 0;
	set_current(t, ns.pid);
	g = whose_operation(t);
	if (g) {
		set_goroutine(&t->new.key, g);
		t->new.key.what = GTRACE_OPERATION;
		t->new.key.nr = t->op_nr;
		take_parked(&t->new, g);
	} else {
		t->new.key.what = GTRACE_ON_CPU;
		take_where(&t->new);
	}
	add(id_of(&t->new), 1, 0);
	return 0;
}

static __always_inline void begin_operation(struct io_kiocb *req)
{
	struct bpf_pidns_info ns = {};
	struct thread *t = this_thread(&ns);

	if (!t)
		return;
	t->op_nr = req->opcode;
	WRITE_ONCE(t->op, req->cqe.user_data);
}

SEC("tp_btf/io_uring_submit_req")
int BPF_PROG(on_submit, struct io_kiocb *req)
{
	begin_operation(req);
	return 0;
}

/* What it was called up to Linux 6.3. */
SEC("tp_btf/io_uring_submit_sqe")
int BPF_PROG(on_submit_old, struct io_kiocb *req)
{
	begin_operation(req);
	return 0;
}

SEC("tp_btf/io_uring_cqring_wait")
int on_wait(void *ctx)
{
	struct bpf_pidns_info ns = {};
	struct thread *t = this_thread(&ns);

	if (t)
		WRITE_ONCE(t->op, 0);
	return 0;
}

/* ---- calls ---- */

SEC("tp_btf/sys_enter")
int BPF_PROG(calls_syscall, void *regs, long nr)
{
	count_here(GTRACE_SYSCALL, (__s32)nr);
	return 0;
}

SEC("tp_btf/page_fault_user")
int BPF_PROG(calls_fault, unsigned long address)
{
	count_here(GTRACE_FAULT, 0);
	return 0;
}

/* ---- parked ---- */

SEC("usdt")
int BPF_USDT(off_park, __u64 g, long why)
{
	struct gtrace_wait w = { .since = bpf_ktime_get_ns() };
	struct bpf_pidns_info ns = {};
	struct thread *t = this_thread(&ns);

	if (!t)
		return 0;
	WRITE_ONCE(t->busy, 1);
	set_goroutine(&t->new.key, g);
	t->new.key.what = GTRACE_PARKED;
	t->new.key.nr = (__s32)why;
	take_where(&t->new);
	w.id = id_of(&t->new);
	WRITE_ONCE(t->busy, 0);
	add(w.id, 1, 0);
	if (bpf_map_update_elem(&waits, &g, &w, BPF_ANY))
		lose();
	return 0;
}

SEC("usdt")
int BPF_USDT(off_run, __u64 g)
{
	struct gtrace_wait *w = bpf_map_lookup_elem(&waits, &g);

	if (!w)
		return 0;
	add(w->id, 0, bpf_ktime_get_ns() - w->since);
	bpf_map_delete_elem(&waits, &g);
	return 0;
}

/* ---- blocked in the kernel ---- */

static __always_inline struct thread *thread_of(struct task_struct *task)
{
	__u32 tid = (__u32)task->pid;

	return bpf_map_lookup_elem(&threads, &tid);
}

static __always_inline __s32 syscall_of(struct task_struct *task)
{
	return (__s32)((struct pt_regs___gtrace *)bpf_task_pt_regs(task))->orig_ax;
}

/* The calling thread blocks: with a goroutine's own code, or in its own right. */
static __always_inline void block(struct task_struct *task)
{
	struct bpf_pidns_info ns = {};
	struct thread *t = this_thread(&ns);

	if (!t || READ_ONCE(t->busy) || !set_current(t, ns.pid) || in_runtime(t))
		return;
	t->new.key.what = GTRACE_BLOCKED;
	t->new.key.nr = syscall_of(task);
	take_where(&t->new);
	t->id = id_of(&t->new);
	t->since = bpf_ktime_get_ns();
	add(t->id, 1, 0);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(off_switch, bool preempt, struct task_struct *prev, struct task_struct *next, unsigned int prev_state)
{
	struct thread *t = thread_of(next);

	if (t && t->id) {
		add(t->id, 0, bpf_ktime_get_ns() - t->since);
		t->id = 0;
	}
	if (!preempt && prev_state & (TASK_INTERRUPTIBLE | TASK_UNINTERRUPTIBLE))
		block(prev);
	return 0;
}

/* ---- waiting for a P, and for a CPU ---- */

static __always_inline void put_slot(__u64 *hist, __u64 ns)
{
	__u32 slot = 0;

	for (int bit = 32; bit; bit >>= 1)
		if (ns >> bit) {
			ns >>= bit;
			slot += bit;
		}
	__sync_fetch_and_add(&hist[slot & (GTRACE_SLOTS - 1)], 1);
}

static __always_inline void runnable(__u64 g)
{
	struct gtrace_wait w = { .since = bpf_ktime_get_ns() };

	if (bpf_map_update_elem(&waits, &g, &w, BPF_ANY))
		lose();
}

SEC("usdt")
int BPF_USDT(late_ready, __u64 g)
{
	runnable(g);
	return 0;
}

SEC("usdt")
int BPF_USDT(late_run, __u64 g)
{
	struct gtrace_wait *w = bpf_map_lookup_elem(&waits, &g);
	struct bpf_pidns_info ns = {};
	struct thread *t = w ? this_thread(&ns) : 0;
	__u64 waited;

	if (!t)
		return 0;
	waited = bpf_ktime_get_ns() - w->since;
	bpf_map_delete_elem(&waits, &g);
	WRITE_ONCE(t->busy, 1);
	set_goroutine(&t->new.key, g);
	t->new.key.what = GTRACE_WAITS_P;
	t->new.size = 0;
	add(id_of(&t->new), 1, waited);
	WRITE_ONCE(t->busy, 0);
	put_slot(hist_p, waited);
	return 0;
}

/* Whom it will have kept waiting is known only while it is here. */
static __always_inline void leave_cpu(bool wants_it)
{
	struct bpf_pidns_info ns = {};
	struct thread *t = this_thread(&ns);

	if (!t || READ_ONCE(t->busy))
		return;
	set_current(t, ns.pid);
	t->new.key.what = GTRACE_WAITS_CPU;
	t->new.size = 0;
	t->id = id_of(&t->new);
	t->since = wants_it ? bpf_ktime_get_ns() : 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(late_switch, bool preempt, struct task_struct *prev, struct task_struct *next, unsigned int prev_state)
{
	struct thread *t = thread_of(next);
	__u64 waited;

	if (t && t->id && t->since) {
		waited = bpf_ktime_get_ns() - t->since;
		add(t->id, 1, waited);
		if (t->page)
			put_slot(hist_cpu, waited);
		t->id = 0;
	}
	leave_cpu(preempt || !prev_state);
	return 0;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(late_wakeup, struct task_struct *task)
{
	struct thread *t = thread_of(task);

	if (t && t->id && !t->since)
		t->since = bpf_ktime_get_ns();
	return 0;
}

/* ---- what a probe costs: the loader tries it on itself ---- */

SEC("uprobe")
int trap(void *ctx)
{
	return 0;
}

/* ---- threads that end ---- */

SEC("tp_btf/sched_process_exit")
int BPF_PROG(thread_exit, struct task_struct *task)
{
	__u32 tid = (__u32)task->pid;

	bpf_map_delete_elem(&threads, &tid);
	return 0;
}
