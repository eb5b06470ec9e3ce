// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ticks: a timer of each CPU, which runs while an M is current there whose client wants ticks.
 *
 * It is started by the switch to such an M, or by ringo_watch on the CPUs where some run already,
 * and ends by itself when it finds none, or one whose client has not wanted any for a while. So
 * an idle machine has no ticks, a thread that comes and goes does not start and stop a timer each
 * time, and however many clients and Ms there are, there is one timer of a CPU, which expires no
 * sooner than min_tick_us after it was started.
 *
 * The tick makes a mark when it first sees a goroutine, which the M removes with the same store
 * that switches to another; a quantum after that mark the P is taken (notice.c). A tick that is a
 * little early counts, else each second one of a period like the quantum would not.
 *
 * Ordering. ringo_watch writes ticking, a full barrier, then reads where Ms run; the switch
 * writes where the M runs, a full barrier, then reads ticking. One of them sees the other, and
 * starts the timer. A tick that ends the ticks of a client may do so just when somebody begins to
 * wait and has found them on. sysmon, which looks on, finds them off at its next look.
 */
#include <linux/hrtimer.h>
#include <linux/moduleparam.h>
#include <linux/percpu.h>
#include <linux/smp.h>
#include <linux/timekeeping.h>

#include "compat.h"
#include "ringo.h"

#define LINGER_NS (20 * NSEC_PER_MSEC)

unsigned int ringo_min_tick_us = 100;
module_param_named(min_tick_us, ringo_min_tick_us, uint, 0444);
MODULE_PARM_DESC(min_tick_us, "microseconds between ticks of a CPU, at the least");

/* Used on that CPU only. */
struct cpu {
	struct hrtimer timer;
	struct ringo_m *m;	/* which is current here; NULL: none */
};

static DEFINE_PER_CPU(struct cpu, cpus);

static bool wanted(struct ringo_client *client, u64 now)
{
	if (READ_ONCE(client->ctl->watch)) {
		WRITE_ONCE(client->wanted, now);
		return true;
	}
	if (now - READ_ONCE(client->wanted) < LINGER_NS)
		return true;
	WRITE_ONCE(client->ticking, false);
	WRITE_ONCE(client->ctl->ticks, 0);
	return false;
}

static void look(struct ringo_m *m, u64 now)
{
	struct ringo_m_page *page = m->page;
	const struct ringo_ctl_page *ctl = m->client->ctl;
	u32 seen = READ_ONCE(page->seen), quantum = READ_ONCE(ctl->quantum);

	if (!READ_ONCE(ctl->watch) || !READ_ONCE(page->cur_g) || !READ_ONCE(page->p))
		return;
	if (!seen)
		WRITE_ONCE(page->seen, ringo_stamp(now));
	else if ((s32)(ringo_stamp(now) - seen) >= (s32)(quantum - quantum / 8)) /* clocks of CPUs differ */
		ringo_revoke(m, now);
}

/* Hard interrupt. */
static enum hrtimer_restart tick(struct hrtimer *timer)
{
	struct ringo_m *m = this_cpu_read(cpus.m);
	u64 now = ktime_get_mono_fast_ns();

	/* That of a CPU which went away comes here, too. */
	if (timer != this_cpu_ptr(&cpus.timer) || !m || !ringo_usable(m) || !wanted(m->client, now))
		return HRTIMER_NORESTART;
	look(m, now);
	ringo_upcall(m);
	hrtimer_forward(timer, ns_to_ktime(now), ns_to_ktime(m->client->period_ns));
	return HRTIMER_RESTART;
}

/* On this CPU, unless the next tick comes soon enough. Preemption off. */
static void start(const struct ringo_client *client)
{
	const ktime_t period = ns_to_ktime(client->period_ns);
	struct hrtimer *timer;
	unsigned long flags;

	local_irq_save(flags);
	timer = this_cpu_ptr(&cpus.timer);
	if (!hrtimer_is_queued(timer) || ktime_compare(hrtimer_get_remaining(timer), period) > 0)
		hrtimer_start(timer, period, HRTIMER_MODE_REL_PINNED_HARD);
	local_irq_restore(flags);
}

void ringo_came(struct ringo_m *m)
{
	this_cpu_write(cpus.m, m);
	WRITE_ONCE(m->cpu, smp_processor_id());
	smp_mb(); /* pairs with the one in ringo_watch */
	if (READ_ONCE(m->client->ticking))
		start(m->client);
}

void ringo_went(struct ringo_m *m)
{
	this_cpu_write(cpus.m, NULL);
	WRITE_ONCE(m->cpu, -1);
}

/* Interrupts off. */
static void start_here(void *arg)
{
	struct ringo_m *m = arg;

	if (this_cpu_read(cpus.m) == m)
		start(m->client);
}

void ringo_watch(struct ringo_client *client)
{
	struct ringo_m *m;

	mutex_lock(&client->lock); /* so that no M goes */
	WRITE_ONCE(client->wanted, ktime_get_mono_fast_ns());
	WRITE_ONCE(client->ticking, true);
	WRITE_ONCE(client->ctl->ticks, 1);
	smp_mb(); /* pairs with the one in ringo_came */
	list_for_each_entry(m, &client->ms, node) {
		int cpu = READ_ONCE(m->cpu);

		if (cpu >= 0)
			smp_call_function_single(cpu, start_here, m, 1);
	}
	mutex_unlock(&client->lock);
}

void ringo_ticks_init(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		hrtimer_setup(per_cpu_ptr(&cpus.timer, cpu), tick, CLOCK_MONOTONIC,
			      HRTIMER_MODE_REL_PINNED_HARD);
}

/* There are no Ms: none is started again. */
void ringo_ticks_exit(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		hrtimer_cancel(per_cpu_ptr(&cpus.timer, cpu));
}
