// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The tick: takes the P from an M whose goroutine has run for a quantum while somebody waits.
 *
 * It rides on timer interrupts that come anyway: the kernel's own tick is one. For shorter quanta the loader
 * opens one perf event per CPU, whose timer expires here like any other; it needs no program of its own.
 *
 * Ordering. The M is the thread that was interrupted, so we see the page as its next instruction would: with
 * in_rt 0 it uses nothing of its P, and will read revoked before it does. That makes FREE to TAKEN one CAS,
 * without the barrier that another thread needs. The CAS is a full barrier: who learns of TAKEN sees all
 * that the M has done with the P. Where in the kernel the thread was interrupted does not matter: in_rt tells
 * of the runtime, and system calls made there that may block are made with in_rt 0 and looked at after.
 *
 * Who takes a P has to hand it on: that needs a permit, which stands for a spare M, and room for the notice.
 * Both are had before the CAS and given back when it fails.
 */
#include "bpf/ms.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

static __always_inline bool permit_take(struct ringo_ctl_page *ctl)
{
	__u32 n = READ_ONCE(ctl->permits);

	/* Failing here costs one tick; the value of a bad client is its own concern. */
	return n && __sync_val_compare_and_swap(&ctl->permits, n, n - 1) == n;
}

static __always_inline bool take(struct ringo_ctl_page *ctl, struct ringo_m_page *page)
{
	if (!permit_take(ctl))
		return false;
	if (__sync_val_compare_and_swap(&page->revoked, RINGO_REVOKED_FREE, RINGO_REVOKED_TAKEN) ==
	    RINGO_REVOKED_FREE) {
		WRITE_ONCE(page->overran, 1); /* the M sees both, or neither */
		return true;
	}
	__sync_fetch_and_add(&ctl->permits, 1);
	return false;
}

static __always_inline bool revoke(const struct rg_bpf_m *m, struct ringo_ctl_page *ctl,
				   struct ringo_m_page *page, __u64 now)
{
	struct ringo_notice *n = notice_new(m);

	if (!n)
		return false;
	if (!take(ctl, page)) {
		bpf_ringbuf_discard(n, BPF_RB_NO_WAKEUP);
		return false;
	}
	n->what = RINGO_NOTICE_TAKEN;
	n->page = m->page;
	n->p = READ_ONCE(page->p);
	n->nr = 0;
	n->when = now;
	notice_send(n);
	return true;
}

static __always_inline void overran(const struct rg_bpf_m *m, struct ringo_ctl_page *ctl,
				    struct ringo_m_page *page, __u64 now)
{
	if (READ_ONCE(page->in_rt)) {
		__sync_fetch_and_add(&ctl->asked, 1);
		__sync_fetch_and_or(&page->asked, RINGO_ASK_YIELD);
	} else if (revoke(m, ctl, page, now)) {
		__sync_fetch_and_add(&ctl->taken, 1);
	} else {
		__sync_fetch_and_add(&ctl->refused, 1);
	}
}

static __always_inline void look(const struct rg_bpf_m *m, struct ringo_ctl_page *ctl,
				 struct ringo_m_page *page)
{
	__u64 now = bpf_ktime_get_ns();
	__u32 seen = READ_ONCE(page->seen), quantum = READ_ONCE(ctl->quantum);

	WRITE_ONCE(wanted[m->client % RG_BPF_CLIENTS], now);
	if (!seen)
		WRITE_ONCE(page->seen, ringo_stamp(now));
	/* A tick that is a little early counts: else each second one of a period like the quantum would not. */
	else if ((__s32)(ringo_stamp(now) - seen) >= (__s32)(quantum - quantum / 8)) /* clocks of CPUs differ */
		overran(m, ctl, page, now);
}

SEC("tp_btf/hrtimer_expire_entry")
int tick(void *ctx)
{
	struct rg_bpf_m *m = m_of(bpf_get_current_task_btf());
	struct ringo_ctl_page *ctl;
	struct ringo_m_page *page;

	if (!m)
		return 0;
	ctl = ctl_of(m);
	if (!ctl || !READ_ONCE(ctl->watch))
		return 0;
	page = page_of(m);
	if (page && READ_ONCE(page->cur_g) && READ_ONCE(page->p))
		look(m, ctl, page);
	return 0;
}
