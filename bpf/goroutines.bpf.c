// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * /sys/fs/bpf/ringo/goroutines: reading it lists the goroutines of the processes that ringo-prof has entered, as they
 * are then.
 *
 * The tables are read from the memory of the processes, page faults and all, so the program must be one that may sleep;
 * and as an iterator keeps 32 KiB of text for one call, there must be many calls for one table. Of the kernel's
 * iterators those over maps do not let their programs sleep, and those over tasks make one call per thread. So this one
 * goes over the kernel's symbols, of which there are a hundred thousand and more, and looks at none of them: the number
 * of the call is what counts, it says which piece of which table is next. It takes the kfunc that finds a task by its
 * number, so Linux 6.2.
 *
 * Rejected: a map with the goroutines in it, which the runtime would have to write at each switch; one call per
 * process, which would show its first 300 goroutines.
 */
#include "bpf/goroutines.h"
#include "bpf/types.h"
#include "kmod/uapi/ringo_state.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
	__u64 session_id, seq_num;
} CO_RE;

struct bpf_iter__ksym {
	struct bpf_iter_meta *meta;
	void *ksym;
} CO_RE;

extern struct task_struct *bpf_task_from_pid(__s32 pid) __ksym;
extern void bpf_task_release(struct task_struct *task) __ksym;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, GOROUTINES_PROCESSES);
	__type(key, __u32);
	__type(value, struct goroutines_process);
} processes SEC(".maps");

const char why_names[RINGO_WHYS][20] = RINGO_WHY_NAMES;
const char state_names[][12] = { "", "runnable", "running", "syscall", "waiting" };

/* The beginning of struct ringo_state, up to classes; and of struct ringo_g, up to its name. */
enum {
	HEAD = __builtin_offsetof(struct ringo_state, classes),
	RECORD = __builtin_offsetof(struct ringo_g, reserved_timer),
};

union head {
	char bytes[HEAD];
	struct {
		__u64 magic;
		__u32 version, size, up, pid;
		__s64 started, stamp;
		__u64 table, used;
		__u32 stride, limit;
	};
};

union record {
	char bytes[RECORD];
	struct {
		char before_since[__builtin_offsetof(struct ringo_g, since)];
		__u32 since;
		__u64 next;
		__u32 slot;
		__u8 state, reason, trim, flags;
		__u64 fn, spawn_pc;
		__s64 deadline;
		__u64 scope, name;
	};
};

static __always_inline bool get(struct task_struct *task, void *to, __u32 size, __u64 from)
{
	return !bpf_copy_from_user_task(to, size, (void *)from, task, 0);
}

/* Waiting: for how long, in milliseconds; it is noted in units of 2^20 ns. */
static __always_inline __u64 waited_ms(const union record *r)
{
	__u32 units = (__u32)(bpf_ktime_get_ns() >> 20) - r->since;

	if ((r->state != RINGO_G_WAITING && r->state != RINGO_G_SYSCALL) || (__s32)units < 0)
		return 0;
	return ((__u64)units << 20) / 1000000;
}

static __always_inline void show(struct seq_file *seq, struct task_struct *task, __u32 pid, __u32 number, __u64 at)
{
	char name[RINGO_G_NAME] = "";
	union record r;

	if (!get(task, &r, sizeof(r), at) || r.state < RINGO_G_RUNNABLE || r.state > RINGO_G_WAITING)
		return;
	if (r.name && get(task, name, sizeof(name), r.name))
		name[sizeof(name) - 1] = 0;
	if (r.state < RINGO_G_SYSCALL || r.reason >= RINGO_WHYS)
		r.reason = 0;
	BPF_SEQ_PRINTF(seq, "%-8u %-9u %-9s %-14s %8llu %-18llx %s\n", pid, number, state_names[r.state],
		       why_names[r.reason], waited_ms(&r), r.fn, name);
}

static __always_inline void show_piece(struct seq_file *seq, struct task_struct *task,
				       const struct goroutines_process *p, __u32 piece)
{
	union head head;
	__u32 used;

	if (!get(task, &head, sizeof(head), p->state) || head.magic != RINGO_STATE_MAGIC ||
	    head.version != RINGO_STATE_VERSION || !head.up || !get(task, &used, sizeof(used), head.used))
		return;
	for (__u32 i = 0; i < GOROUTINES_CHUNK; i++) {
		__u32 index = piece * GOROUTINES_CHUNK + i;

		if (index >= used)
			break;
		show(seq, task, p->pid, index + 1, head.table + (__u64)index * head.stride);
	}
}

SEC("iter.s/ksym")
int goroutines(struct bpf_iter__ksym *ctx)
{
	__u32 call = (__u32)ctx->meta->seq_num, process = call / GOROUTINES_CHUNKS, piece = call % GOROUTINES_CHUNKS;
	struct goroutines_process *p;
	struct task_struct *task;

	if (!ctx->ksym)
		return 0;
	if (!call)
		BPF_SEQ_PRINTF(ctx->meta->seq, "%-8s %-9s %-9s %-14s %8s %-18s %s\n", "PID", "GOROUTINE", "STATE",
			       "REASON", "FOR ms", "FUNCTION", "NAME");
	p = bpf_map_lookup_elem(&processes, &process);
	if (!p || !p->pid)
		return 0;
	task = bpf_task_from_pid((__s32)p->pid);
	if (!task)
		return 0;
	show_piece(ctx->meta->seq, task, p, piece);
	bpf_task_release(task);
	return 0;
}
