// SPDX-License-Identifier: GPL-2.0-only
/*
 * Taking a P, and the ring of notices that tells it to sysmon.
 *
 * Ordering. The M is the thread that was interrupted, so its page is as its next instruction
 * would see it: with in_rt 0 it uses nothing of its P, and will read revoked before it does. That
 * makes FREE to TAKEN one CAS, without the barrier that another thread needs. The CAS is a full
 * barrier: who learns of TAKEN sees all that the M has done with the P. Where in the kernel the
 * thread was interrupted does not matter: in_rt tells of the runtime, and system calls made there
 * that may block are made with in_rt 0 and looked at after.
 *
 * Who takes a P has to hand it on: that needs a permit, which stands for a spare M, and room for
 * the notice. Both are had before the CAS; the permit is given back when that fails.
 *
 * The ring is written under ring_lock. The writer's position is the module's own; what stands in
 * the page is a copy, published by a release after the notice is there. The reader's position is
 * read with acquire: he has read what is written over. Whatever he writes there, no more than
 * what he has been given is lost.
 */
#include <linux/atomic.h>
#include <linux/build_bug.h>
#include <linux/ktime.h>

#include "ringo.h"
#include "trace.h"

struct record {
	u32 length;
	u32 unused;
	struct ringo_notice notice;
};

enum { DATA = PAGE_SIZE };

static_assert(DATA % sizeof(struct record) == 0);
static_assert(sizeof(atomic_t) == sizeof(u32) && sizeof(atomic64_t) == sizeof(u64));

/* ---- counters and flags in shared memory: one instruction each ---- */

void ringo_count(u64 *shared)
{
	atomic64_inc((atomic64_t *)shared);
}

static bool permit_take(struct ringo_ctl_page *ctl)
{
	u32 n = READ_ONCE(ctl->permits);

	/* Failing here costs one tick; the value of a bad client is its own concern. */
	return n && cmpxchg(&ctl->permits, n, n - 1) == n;
}

static void permit_give_back(struct ringo_ctl_page *ctl)
{
	atomic_inc((atomic_t *)&ctl->permits);
}

/* ---- the ring; under ring_lock ---- */

static bool ring_has_room(struct ringo_client *client)
{
	/* pairs with the release of whoever reads notices */
	return client->written - smp_load_acquire(client->reader) <= DATA - sizeof(struct record);
}

static void ring_write(struct ringo_m *m, u32 what, s32 nr, u64 now)
{
	struct ringo_client *client = m->client;
	struct record *r = (struct record *)(client->data + client->written % DATA);

	r->length = sizeof(r->notice);
	r->unused = 0;
	r->notice = (struct ringo_notice){
		.what = what,
		.page = m->number,
		.p = READ_ONCE(m->page->p),
		.nr = nr,
		.when = now,
	};
	WRITE_ONCE(client->written, client->written + sizeof(*r));
	smp_store_release(client->writer, client->written); /* pairs with the acquire of the reader */
}

/* ---- what is told ---- */

bool ringo_notice_blocked(struct ringo_m *m, u64 now)
{
	struct ringo_client *client = m->client;
	unsigned long flags;
	bool room;

	raw_spin_lock_irqsave(&client->ring_lock, flags);
	room = ring_has_room(client);
	if (room)
		ring_write(m, RINGO_NOTICE_BLOCKED, READ_ONCE(m->page->block_nr), now);
	raw_spin_unlock_irqrestore(&client->ring_lock, flags);
	if (room)
		irq_work_queue(&client->wake);
	return room;
}

static bool take(struct ringo_ctl_page *ctl, struct ringo_m_page *page)
{
	if (!permit_take(ctl))
		return false;
	if (cmpxchg(&page->revoked, RINGO_REVOKED_FREE, RINGO_REVOKED_TAKEN) == RINGO_REVOKED_FREE) {
		WRITE_ONCE(page->overran, 1); /* the M sees both, or neither */
		return true;
	}
	permit_give_back(ctl);
	return false;
}

/* A tick may wake by itself, which saves an interrupt, but on PREEMPT_RT, where the queue's lock may sleep. */
static void wake_from_tick(struct ringo_client *client)
{
	/* pairs with the barrier in ringo_poll */
	if (!wq_has_sleeper(&client->wait))
		return;
	if (IS_ENABLED(CONFIG_PREEMPT_RT))
		irq_work_queue(&client->wake);
	else
		wake_up_interruptible(&client->wait);
}

static bool take_and_tell(struct ringo_m *m, u64 now)
{
	struct ringo_client *client = m->client;
	unsigned long flags;
	bool taken;

	raw_spin_lock_irqsave(&client->ring_lock, flags);
	taken = ring_has_room(client) && take(client->ctl, m->page);
	if (taken)
		ring_write(m, RINGO_NOTICE_TAKEN, 0, now);
	raw_spin_unlock_irqrestore(&client->ring_lock, flags);
	if (taken)
		wake_from_tick(client);
	return taken;
}

/* In a timer interrupt of m's own CPU: its goroutine has run for a quantum while somebody waits. */
void ringo_revoke(struct ringo_m *m, u64 now)
{
	struct ringo_ctl_page *ctl = m->client->ctl;
	u32 g = READ_ONCE(m->page->cur_g), p = READ_ONCE(m->page->p), how;

	if (READ_ONCE(m->page->in_rt)) {
		ringo_count(&ctl->asked);
		atomic_or(RINGO_ASK_YIELD, (atomic_t *)&m->page->asked);
		how = RINGO_TICK_ASKED;
	} else if (take_and_tell(m, now)) {
		ringo_count(&ctl->taken);
		how = RINGO_TICK_TAKEN;
	} else {
		ringo_count(&ctl->refused);
		how = RINGO_TICK_REFUSED;
	}
	trace_tick_revoke(m->number, g, p, how);
}
