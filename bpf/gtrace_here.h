/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Of the calling thread: which goroutine it runs, where that is, and a sum to add to for both.
 *
 * Who runs on a thread stands in the page of its M, which the runtime writes at each switch anyway; where that is
 * stands in the state for outsiders (kmod/uapi/ringo_state.h). So nothing is added to the runtime. All of it is
 * read from the process's memory without faulting, and what is garbage misleads only about that process.
 *
 * Stacks are unwound by the reader, with the tables that are in each program's file: programs and libraries need no
 * frame pointers. For that it takes registers and the stack itself, which is too much to send each time. So a stack
 * is told by its shape: the size of what is used of it, and those words that point into the program's code, where they
 * are. Two stacks of the same shape have the same return addresses. Words that are left from former calls only make
 * shapes more than needed. A shape that is new is sent whole, once; then it is a sum to add to.
 *
 * Rejected: bpf_get_stackid, which follows frame pointers; Debian's libraries have none, nor has libringo.
 */
#ifndef RINGO_BPF_GTRACE_HERE_H
#define RINGO_BPF_GTRACE_HERE_H

#include "bpf/gtrace.h"
#include "bpf/process.h"

enum { PAGE = 4096, SCHEDULER_STACK = 2048 };

struct pt_regs___gtrace {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, sp;
} CO_RE;

/* Of the process, set by the loader. */
const volatile __u64 table;
const volatile __u32 stride;
const volatile struct {
	__u64 lo, size;
} text[GTRACE_TEXTS];

__u64 lost;                    /* events that found no room */
__u32 used;                    /* sums, and the one that is nobody's */

struct thread {
	__u64 page;      /* of its M; 0: not known to be one */
	__u32 searched;  /* so many of the Ms are others */
	__u32 busy;
	__u64 since;     /* it waits for a CPU, or is blocked */
	__u32 id;        /* of the sum for that; 0: none */
	__s32 op_nr;     /* IORING_OP_* of the operation that the kernel was given last, */
	__u64 op;        /* and its user_data: struct ringo_g, op_seq; 0: that is over */
	struct gtrace_new new;
	char slack[PAGE]; /* the last page may be read in whole */
};

static struct thread blank;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, GTRACE_THREADS);
	__type(key, __u32);
	__type(value, struct thread);
} threads SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, GTRACE_SUMS);
	__type(key, struct gtrace_key);
	__type(value, __u32);
} ids SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, GTRACE_SUMS);
	__type(key, __u32);
	__type(value, struct gtrace_sum);
} sums SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, GTRACE_NEWS);
} news SEC(".maps");

static __always_inline void lose(void)
{
	__sync_fetch_and_add(&lost, 1);
}

/* ---- who ---- */

/* The calling thread's record; NULL: it is not the target's. */
static __always_inline struct thread *this_thread(struct bpf_pidns_info *ns)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct thread *t;

	if (!of_target(ns))
		return 0;
	t = bpf_map_lookup_elem(&threads, &tid);
	if (t)
		return t;
	bpf_map_update_elem(&threads, &tid, &blank, BPF_NOEXIST);
	t = bpf_map_lookup_elem(&threads, &tid);
	if (!t)
		lose();
	return t;
}

/* From slot of struct ringo_g on. */
struct part {
	__u32 slot;
	__u8 state, reason, trim, flags;
	__u64 fn, spawn_pc, deadline, scope, name;
};

static __always_inline void set_goroutine(struct gtrace_key *k, __u64 g)
{
	struct part part;

	__builtin_memset(k, 0, sizeof(*k));
	k->who = GTRACE_GOROUTINE;
	if (bpf_probe_read_user(&part, sizeof(part), (void *)(g + __builtin_offsetof(struct ringo_g, slot))))
		return;
	k->fn = part.fn;
	k->spawn_pc = part.spawn_pc;
	k->flags = part.flags & (RINGO_G_MAIN | RINGO_G_DAEMON);
	if (part.name)
		bpf_probe_read_user_str(k->name, sizeof(k->name), (void *)part.name);
}

/* Whoever runs on the calling thread now. False: it is in the scheduler, or no M. */
static __always_inline bool set_current(struct thread *t, __u32 tid)
{
	struct gtrace_key *k = &t->new.key;
	__u32 cur = 0;

	if (!t->page)
		t->page = find_m(&t->searched, tid);
	if (t->page)
		bpf_probe_read_user(&cur, sizeof(cur), (void *)(t->page + __builtin_offsetof(struct ringo_m_page, cur_g)));
	if (cur) {
		set_goroutine(k, table + (__u64)stride * (cur - 1));
		return true;
	}
	__builtin_memset(k, 0, sizeof(*k));
	k->who = t->page ? GTRACE_SCHEDULER : GTRACE_THREAD;
	if (!t->page)
		bpf_get_current_comm(k->name, 16);
	return false;
}

static __always_inline bool in_runtime(const struct thread *t)
{
	__u32 in_rt = 0;

	bpf_probe_read_user(&in_rt, sizeof(in_rt), (void *)(t->page + __builtin_offsetof(struct ringo_m_page, in_rt)));
	return in_rt;
}

/* ---- where ---- */

static __always_inline __u64 take_registers(struct gtrace_new *n)
{
	struct pt_regs___gtrace *r = (struct pt_regs___gtrace *)bpf_task_pt_regs(bpf_get_current_task_btf());

	n->regs[0] = r->ax;
	n->regs[1] = r->dx;
	n->regs[2] = r->cx;
	n->regs[3] = r->bx;
	n->regs[4] = r->si;
	n->regs[5] = r->di;
	n->regs[6] = r->bp;
	n->regs[7] = r->sp;
	n->regs[8] = r->r8;
	n->regs[9] = r->r9;
	n->regs[10] = r->r10;
	n->regs[11] = r->r11;
	n->regs[12] = r->r12;
	n->regs[13] = r->r13;
	n->regs[14] = r->r14;
	n->regs[15] = r->r15;
	n->regs[16] = r->ip;
	return r->sp;
}

/*
 * Page by page: a goroutine's stack ends where its slot does, and what lies behind cannot be read, as a rule. The
 * scheduler has few frames on stacks that are large.
 */
static __always_inline __u32 take_stack(struct gtrace_new *n, __u64 sp)
{
	__u32 size = 0, most = n->key.who == GTRACE_SCHEDULER ? SCHEDULER_STACK : GTRACE_STACK;

	sp &= ~7ull;
	for (int i = 0; i < 3 && size < most; i++) {
		__u32 piece = PAGE - (__u32)((sp + size) & (PAGE - 1));

		if (bpf_probe_read_user((char *)n->stack + (size & (GTRACE_STACK - 1)), piece, (void *)(sp + size)))
			break;
		size += piece;
	}
	return size < most ? size : most;
}

static __always_inline bool is_code(__u64 word)
{
	return word - text[0].lo < text[0].size || word - text[1].lo < text[1].size;
}

static __always_inline __u64 shape_of(const struct gtrace_new *n)
{
	__u64 shape = n->regs[16] * 0x9e3779b97f4a7c15ull + n->size;
	__u32 words = n->size / 8;

	for (__u32 i = 0; i < GTRACE_STACK / 8; i++) {
		if (i >= words)
			break;
		if (is_code(n->stack[i]))
			shape = (shape ^ (n->stack[i] + i)) * 0x9e3779b97f4a7c15ull;
	}
	return shape;
}

static __always_inline void take_where(struct gtrace_new *n)
{
	n->size = take_stack(n, take_registers(n));
	n->key.shape = shape_of(n);
}

/* ---- how much ---- */

/* A key that is new: its number; 0: no room. */
static __always_inline __u32 introduce(struct gtrace_new *n)
{
	__u32 *known, id = __sync_fetch_and_add(&used, 1) + 1, size = n->size;

	if (id >= GTRACE_SUMS || size > GTRACE_STACK)
		return 0;
	if (bpf_map_update_elem(&ids, &n->key, &id, BPF_NOEXIST)) {
		known = bpf_map_lookup_elem(&ids, &n->key); /* another CPU was first */
		return known ? *known : 0;
	}
	n->id = id;
	if (!bpf_ringbuf_output(&news, n, __builtin_offsetof(struct gtrace_new, stack) + size, BPF_RB_NO_WAKEUP))
		return id;
	bpf_map_delete_elem(&ids, &n->key);
	return 0;
}

static __always_inline __u32 id_of(struct gtrace_new *n)
{
	__u32 *known = bpf_map_lookup_elem(&ids, &n->key);

	return known ? *known : introduce(n);
}

static __always_inline void add(__u32 id, __u64 count, __u64 ns)
{
	struct gtrace_sum *s = id ? bpf_map_lookup_elem(&sums, &id) : 0;

	if (!s) {
		lose();
		return;
	}
	__sync_fetch_and_add(&s->count, count);
	__sync_fetch_and_add(&s->ns, ns);
}

/* Of the calling thread, as it is now. */
static __always_inline void count_here(__u32 what, __s32 nr)
{
	struct bpf_pidns_info ns = {};
	struct thread *t = this_thread(&ns);

	if (!t)
		return;
	WRITE_ONCE(t->busy, 1);
	set_current(t, ns.pid);
	t->new.key.what = what;
	t->new.key.nr = nr;
	take_where(&t->new);
	add(id_of(&t->new), 1, 0);
	WRITE_ONCE(t->busy, 0);
}

#endif
