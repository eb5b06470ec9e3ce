// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ms: threads that have added themselves, and what a switch of threads tells of them.
 *
 * Ms that block outside the runtime: in a raw system call, or in a page fault. The page says
 * since when and in which call, and if somebody waits, sysmon is told; it takes the P if the M is
 * blocked still when it comes to look. So nothing is taken here: most blocks are over by then,
 * and to hand a P over and come back costs more than that. Many short blocks would wake sysmon
 * each time for nothing: after a notice whose block was short, those of the next 200 us are not
 * told; after two in a row, of 400 us; and so on, up to 6.4 ms.
 *
 * Ms that wait for a CPU: that time does not count for the tick, so its mark moves along.
 *
 * The notifiers. sched_out runs under the run queue's lock with interrupts off, the M being
 * current; nothing may be woken there but by way of irq_work. sched_in runs after the switch,
 * with preemption off. The last sched_out of a thread is that with TASK_DEAD: it is never
 * switched to again, and its list of notifiers never looked at after this walk of it, which is
 * over before irq_work can run. So the M is freed from a work item after that.
 *
 * Ordering. At the switch the M is the thread that leaves or comes, so its page does not change
 * under us but by who revokes it.
 */
#include <linux/ktime.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>

#include <asm/syscall.h>

#include "compat.h"
#include "ringo.h"
#include "trace.h"

#define SHORT_NS 50000ull
#define QUIET_NS 100000ull
#define MAX_SHORTS 6

/* ---- blocking ---- */

static void blocked(struct ringo_m *m, u64 now)
{
	struct ringo_ctl_page *ctl = m->client->ctl;

	ringo_count(&ctl->blocked);
	if (now < m->quiet)
		ringo_count(&ctl->passed_over);
	else if (ringo_notice_blocked(m, now))
		m->told = true;
	else
		ringo_count(&ctl->refused);
}

static void went_to_sleep(struct ringo_m *m, u64 now)
{
	struct ringo_m_page *page = m->page;

	if (READ_ONCE(page->in_rt) || !READ_ONCE(page->cur_g))
		return;
	WRITE_ONCE(page->block_nr, syscall_get_nr(current, task_pt_regs(current)));
	WRITE_ONCE(page->block_since, now);
	if (READ_ONCE(m->client->ctl->watch) && READ_ONCE(page->p))
		blocked(m, now);
	trace_block(m->number, READ_ONCE(page->cur_g), READ_ONCE(page->block_nr), m->told);
}

/* What was told of turned out to be short or not. */
static void judge(struct ringo_m *m, u64 since, u64 now)
{
	m->told = false;
	if (now - since >= SHORT_NS) {
		m->shorts = 0;
		return;
	}
	if (m->shorts < MAX_SHORTS)
		m->shorts++;
	m->quiet = now + (QUIET_NS << m->shorts);
}

static void woke_up(struct ringo_m *m, u64 since, u64 now)
{
	WRITE_ONCE(m->page->block_since, 0);
	trace_unblock(m->number, now - since);
	if (m->told)
		judge(m, since, now);
}

static void waited(struct ringo_m *m, u64 now)
{
	u32 seen = READ_ONCE(m->page->seen);

	if (seen)
		WRITE_ONCE(m->page->seen, seen + (u32)((now - m->off) >> 10));
	m->off = 0;
}

/* ---- notifiers ---- */

static void sched_in(struct preempt_notifier *notifier, int cpu)
{
	struct ringo_m *m = container_of(notifier, struct ringo_m, notifier);
	u64 since;

	if (!ringo_usable(m))
		return;
	since = READ_ONCE(m->page->block_since);
	if (m->off)
		waited(m, ktime_get_mono_fast_ns());
	if (since)
		woke_up(m, since, ktime_get_mono_fast_ns());
	ringo_came(m);
}

static void sched_out(struct preempt_notifier *notifier, struct task_struct *next)
{
	struct ringo_m *m = container_of(notifier, struct ringo_m, notifier);
	unsigned int state = READ_ONCE(current->__state);

	ringo_went(m);
	if (state == TASK_DEAD) {
		irq_work_queue(&m->ended);
		return;
	}
	if (!ringo_usable(m))
		return;
	if (ringo_runnable(current)) {
		if (READ_ONCE(m->page->seen))
			m->off = ktime_get_mono_fast_ns();
	} else if (state & TASK_NORMAL) {
		went_to_sleep(m, ktime_get_mono_fast_ns());
	}
}

static struct preempt_ops ops = {
	.sched_in = sched_in,
	.sched_out = sched_out,
};

/* ---- begin and end ---- */

/* The M that the current thread is; NULL: none. Its list changes in its own system calls only. */
static struct ringo_m *current_m(void)
{
	struct preempt_notifier *n;

	hlist_for_each_entry(n, &current->preempt_notifiers, link)
		if (n->ops == &ops)
			return container_of(n, struct ringo_m, notifier);
	return NULL;
}

static void m_free(struct ringo_m *m)
{
	put_pid(m->pid);
	kfree(m);
}

/* Nobody finds it any more by its thread. */
static void m_end(struct ringo_m *m)
{
	struct ringo_client *client = m->client;

	mutex_lock(&client->lock);
	list_del(&m->node);
	mutex_unlock(&client->lock); /* who called its CPU has had an answer */
	m_free(m);
	ringo_client_put(client);
}

static void reap(struct work_struct *work)
{
	struct ringo_m *m = container_of(work, struct ringo_m, reap);

	irq_work_sync(&m->ended); /* which may still be on its way out */
	m_end(m);
}

static void ended(struct irq_work *work)
{
	struct ringo_m *m = container_of(work, struct ringo_m, ended);

	queue_work(ringo_wq, &m->reap);
}

static struct ringo_m *m_new(struct ringo_client *client, const struct ringo_add *a)
{
	struct ringo_m *m = kzalloc(sizeof(*m), GFP_KERNEL_ACCOUNT);

	if (!m)
		return NULL;
	m->client = client;
	m->pid = get_pid(task_pid(current));
	m->number = a->page;
	m->upcall = a->upcall;
	m->cpu = -1;
	preempt_notifier_init(&m->notifier, &ops);
	init_irq_work(&m->ended, ended);
	INIT_WORK(&m->reap, reap);
	return m;
}

/* Under client->lock. */
static int give_page(struct ringo_client *client, struct ringo_m *m)
{
	struct ringo_m *other;

	if (!m->number || m->number >= client->npages || !client->page[m->number])
		return -EINVAL;
	list_for_each_entry(other, &client->ms, node)
		if (other->number == m->number)
			return -EBUSY;
	m->page = page_address(client->page[m->number]);
	list_add(&m->node, &client->ms);
	ringo_client_get(client);
	return 0;
}

static void drop(struct ringo_m *m)
{
	preempt_disable();
	preempt_notifier_unregister(&m->notifier);
	ringo_went(m);
	preempt_enable();
	m_end(m);
}

int ringo_m_add(struct ringo_client *client, const struct ringo_add *a)
{
	struct ringo_m *m = current_m();
	int err;

	if (m && m->client == client)
		return -EALREADY;
	if (m)
		drop(m); /* of a client that is gone, or was another program's */
	m = m_new(client, a);
	if (!m)
		return -ENOMEM;
	mutex_lock(&client->lock);
	err = give_page(client, m);
	mutex_unlock(&client->lock);
	if (err) {
		m_free(m);
		return err;
	}
	preempt_disable();
	preempt_notifier_register(&m->notifier);
	ringo_came(m);
	preempt_enable();
	trace_m_register(a->page);
	return 0;
}

int ringo_m_remove(struct ringo_client *client)
{
	struct ringo_m *m = current_m();

	if (!m || m->client != client)
		return -ENOENT;
	drop(m);
	return 0;
}
