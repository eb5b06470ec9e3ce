// SPDX-License-Identifier: MIT
/*
 * CPU time of goroutines.
 *
 * It is the CPU time of the threads that a G runs on, user and system, while it is on its stack: its calls of
 * ringo count, the scheduler on the M's own stack does not. So what the kernel gives to others meanwhile is not in
 * it, nor what a G without a P spends parked in the lane, or blocked.
 *
 * The kernel's clock of a thread is a system call, which takes as long as tens of switches, and every clock that
 * costs less goes on while the thread does not run. So a turn shorter than SHORT is taken to be CPU time from end
 * to end, and the thread's clock is read only at the end of a longer one, and whenever the M comes from its own
 * stack, where it may have slept. A short turn also moves m->meter.cpu on, which so is never behind the thread's
 * clock; the next reading puts it right. A G is thus charged too much by less than SHORT for each time that its
 * thread was off the CPU for less than that.
 *
 * The table lies beside that of the Gs, whose descriptors have no room. An entry is written only by the M that
 * runs the G, and so in order with all that hands a G on; others read each number whole, and know that it may
 * lag by a turn.
 */
#include "core/account.h"

#include <errno.h>
#include <ringo/stats.h>

#include "base/clock.h"
#include "base/os.h"
#include "core/gate.h"
#include "core/rt.h"

#define SHORT INT64_C(10000)

static struct {
	uint64_t *ns; /* as rg_g_table; NULL: nobody counts */
	size_t size;
} table;

int rg_account_init(uint32_t limit)
{
	size_t all = limit * sizeof(*table.ns);

	table.size = all;
	table.ns = rg_reserve(&table.size, all);
	return table.ns ? 0 : -ENOMEM;
}

void rg_account_fini(void)
{
	rg_unreserve(table.ns, table.size);
	table.ns = NULL;
}

const uint64_t *rg_account_table(void)
{
	return table.ns;
}

/* Of the turn that ends now. */
static int64_t used(struct m *m)
{
	struct rg_meter *t = &m->meter;
	int64_t now = rg_now(), cpu = t->cpu + (now - t->wall), ns;

	if (!m->cur || now - t->wall >= SHORT)
		cpu = rg_thread_cpu(&m->thread);
	ns = rg_max(cpu - t->cpu, INT64_C(0));
	rg_store_relaxed(&t->cpu, cpu);
	rg_store_relaxed(&t->wall, now);
	return ns;
}

void rg_account_switch(struct m *m)
{
	uint64_t ns = (uint64_t)used(m);
	uint64_t *entry;

	if (!m->cur)
		return;
	entry = &table.ns[rg_g_index(m->cur)];
	rg_store_relaxed(entry, *entry + ns);
	rg_store_relaxed(&m->meter.total, m->meter.total + ns);
}

void rg_account_forget(const struct g *g)
{
	rg_store_relaxed(&table.ns[rg_g_index(g)], 0);
}

/* The turn of g under way on m; 0 if it ends while we look. */
static int64_t turn_of(const struct g *g, struct m *m)
{
	int64_t wall = rg_load_relaxed(&m->meter.wall);
	int64_t ns = rg_thread_cpu(&m->thread) - rg_load_relaxed(&m->meter.cpu);

	if (rg_load_relaxed(&rg_m_page(m)->cur_g) != rg_g_index(g) + 1u ||
	    rg_load_relaxed(&m->meter.wall) != wall)
		return 0;
	return rg_max(ns, INT64_C(0));
}

int64_t rg_account_of(const struct g *g, struct m *m)
{
	int64_t ns;

	if (!table.ns)
		return -1;
	ns = (int64_t)rg_load_relaxed(&table.ns[rg_g_index(g)]);
	return m ? ns + turn_of(g, m) : ns;
}

uint64_t rg_account_total(void)
{
	uint64_t sum = 0;

	/* order: acquire; pairs with the release of rt.nm */
	for (unsigned i = 0, n = rg_load_acquire(&rt.nm); i < n; i++)
		sum += rg_load_relaxed(&rt.m[i]->meter.total);
	return sum;
}

static int64_t outside(void)
{
	int err = rg_foreign_enter();

	if (!err)
		rg_foreign_leave();
	return err ? err : -EPERM;
}

RG_API int64_t ringo_cpu_time(void)
{
	struct m *m = rg_enter();
	int64_t ns;

	if (!m)
		return outside();
	ns = rg_account_of(m->cur, m);
	rg_leave(m);
	return ns < 0 ? -ENOTSUP : ns;
}
