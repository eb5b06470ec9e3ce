// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What a switch of threads tells of Ms.
 *
 * Ms that block outside the runtime: in a raw system call, or in a page fault. The page says since when and
 * in which call, and if somebody waits, sysmon is told; it takes the P if the M is blocked still when it
 * comes to look, some 20 us later. So this program takes nothing itself: most blocks are over by then, and to
 * hand a P over and come back costs more than that.
 *
 * A goroutine that makes many short blocking calls would wake sysmon each time for nothing. So after a notice
 * whose block was short, those of the next 200 us are not told; after two in a row, of 400 us; and so on, up to
 * 6.4 ms. What is long among these is found by sysmon's own looks.
 *
 * Ms that wait for a CPU: that time does not count for the tick, so its mark moves along. Another M could not
 * do more for those who wait.
 *
 * Ordering. At the switch the M is the current thread, or the next one of this CPU, so its page does not change
 * under us but by who revokes it.
 */
#include "bpf/ms.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define SHORT_NS 50000ull
#define QUIET_NS 100000ull
#define MAX_SHORTS 6

/* Sysmon is to know: true if it will. */
static __always_inline bool tell(const struct rg_bpf_m *m, const struct ringo_m_page *page, __u64 now)
{
	struct ringo_notice *n = notice_new(m);

	if (!n)
		return false;
	n->what = RINGO_NOTICE_BLOCKED;
	n->page = m->page;
	n->p = READ_ONCE(page->p);
	n->nr = READ_ONCE(page->block_nr);
	n->when = now;
	notice_send(n);
	return true;
}

static __always_inline void blocked(struct rg_bpf_m *m, struct ringo_ctl_page *ctl,
				    const struct ringo_m_page *page, __u64 now)
{
	__sync_fetch_and_add(&ctl->blocked, 1);
	if (now < m->quiet)
		__sync_fetch_and_add(&ctl->passed_over, 1);
	else if (tell(m, page, now))
		m->told = 1;
	else
		__sync_fetch_and_add(&ctl->refused, 1);
}

static __always_inline void went_to_sleep(struct task_struct *t, struct rg_bpf_m *m,
					  struct ringo_m_page *page)
{
	struct pt_regs___kernel *regs;
	struct ringo_ctl_page *ctl;
	__u64 now;

	if (READ_ONCE(page->in_rt) || !READ_ONCE(page->cur_g))
		return;
	now = bpf_ktime_get_ns();
	regs = (struct pt_regs___kernel *)bpf_task_pt_regs(t);
	WRITE_ONCE(page->block_nr, (__s32)regs->orig_ax);
	WRITE_ONCE(page->block_since, now);
	ctl = ctl_of(m);
	if (ctl && READ_ONCE(ctl->watch) && READ_ONCE(page->p))
		blocked(m, ctl, page, now);
}

static __always_inline void went(struct task_struct *t, bool to_sleep)
{
	struct rg_bpf_m *m = m_of(t);
	struct ringo_m_page *page = m ? page_of(m) : 0;

	if (!page)
		return;
	if (to_sleep)
		went_to_sleep(t, m, page);
	else if (READ_ONCE(page->seen))
		m->off = bpf_ktime_get_ns();
}

/* What was told of turned out to be short or not. */
static __always_inline void judge(struct rg_bpf_m *m, __u64 since)
{
	__u64 now = bpf_ktime_get_ns();

	m->told = 0;
	if (now - since >= SHORT_NS) {
		m->shorts = 0;
		return;
	}
	if (m->shorts < MAX_SHORTS)
		m->shorts++;
	m->quiet = now + (QUIET_NS << m->shorts);
}

static __always_inline void waited(struct rg_bpf_m *m, struct ringo_m_page *page)
{
	__u32 seen = READ_ONCE(page->seen);

	if (seen)
		WRITE_ONCE(page->seen, seen + (__u32)((bpf_ktime_get_ns() - m->off) >> 10));
	m->off = 0;
}

static __always_inline void came(struct task_struct *t)
{
	struct rg_bpf_m *m = m_of(t);
	struct ringo_m_page *page = m ? page_of(m) : 0;
	__u64 since;

	if (!page)
		return;
	if (m->off)
		waited(m, page);
	since = READ_ONCE(page->block_since);
	if (!since)
		return;
	WRITE_ONCE(page->block_since, 0);
	if (m->told)
		judge(m, since);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(block, bool preempt, struct task_struct *prev, struct task_struct *next,
	     unsigned int prev_state)
{
	went(prev, !preempt && prev_state & (TASK_INTERRUPTIBLE | TASK_UNINTERRUPTIBLE));
	came(next);
	return 0;
}
