// SPDX-License-Identifier: MIT
/*
 * Leaks in tests: each goroutine carries the epoch of its start (g->epoch), and a snapshot begins the next
 * epoch. So a snapshot costs one addition, and nothing is kept per goroutine.
 */
#include <errno.h>
#include <inttypes.h>
#include <ringo/stats.h>
#include <ringo/time.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "core/dump.h"
#include "core/gate.h"
#include "core/rt.h"

enum { SHOWN = 100 };

#define FIRST_STEP INT64_C(200000)
#define LAST_STEP INT64_C(20000000)

/* Enter as a goroutine or as another thread: 0 or -ESRCH. */
static int enter(struct m **m)
{
	*m = rg_enter();
	return *m ? 0 : rg_foreign_enter();
}

static void leave(struct m *m)
{
	if (m)
		rg_leave(m);
	else
		rg_foreign_leave();
}

RG_API void ringo_leak_snapshot(struct ringo_leaks *l)
{
	struct m *m;

	memset(l, 0, sizeof(*l));
	if (enter(&m))
		return;
	/* order: full; what is started after this carries the new number */
	l->ringo__epoch = rg_add_full(&rt.epoch, 1) + 1;
	leave(m);
}

static RG_PEEKS bool is_since(const struct g *g, uint32_t epoch, const struct g *self)
{
	uint32_t state = rg_load_relaxed(&g->state);

	return (state == RG_RUNNABLE || state == RG_RUNNING || state == RG_SYSCALL || state == RG_WAITING) &&
	       (int32_t)(rg_load_relaxed(&g->epoch) - epoch) >= 0 &&
	       !(*(const volatile uint8_t *)&g->flags & (RG_G_DAEMON | RG_G_MAIN)) && g != self;
}

static int count(struct m *m, uint32_t epoch)
{
	const struct g *self = m ? m->cur : NULL;
	int n = 0;

	for (uint32_t i = 0, used = rg_g_used(); i < used; i++)
		n += is_since(rg_g_at(i), epoch, self);
	return n;
}

static int report(struct m *m, uint32_t epoch, int fd)
{
	const struct g *self = m ? m->cur : NULL;
	struct rg_out *o = rg_out_begin(m, fd);
	struct rg_scan *s = o ? rg_scan_begin() : NULL;
	struct rg_look *l;
	int n = 0;

	if (!s) {
		if (o)
			rg_out_end(o);
		return -ENOMEM;
	}
	while ((l = rg_scan_next(s))) {
		if (!is_since(rg_g_at(l->index), epoch, self) || n++ >= SHOWN)
			continue;
		if (n == 1)
			rg_out(o, "ringo: goroutines that were started since the snapshot and still live:\n\n");
		rg_out_full(o, l);
	}
	if (n > SHOWN)
		rg_out(o, "... and %d more\n", n - SHOWN);
	rg_scan_end(s);
	rg_out_end(o);
	return n;
}

static int look(uint32_t epoch, int fd, bool tell)
{
	struct m *m;
	int res = enter(&m);

	if (res)
		return res;
	res = tell ? report(m, epoch, fd) : count(m, epoch);
	leave(m);
	return res;
}

/* False: there is no waiting any more. */
static bool rest(int64_t ns)
{
	struct timespec ts = { .tv_nsec = (long)ns };

	if (rg_arch_self())
		return !ringo_sleep(ns);
	nanosleep(&ts, NULL);
	return true;
}

RG_API int ringo_leak_verify(struct ringo_leaks *l, int64_t ns, int fd)
{
	int64_t end = rg_time_add(rg_now(), rg_max(ns, INT64_C(0))), step = FIRST_STEP;
	uint32_t epoch = (uint32_t)l->ringo__epoch;

	for (;;) {
		int64_t start = rg_now(), left;
		int n = look(epoch, fd, false);

		if (n <= 0)
			return n;
		left = end - rg_now();
		if (left <= 0)
			return fd < 0 ? n : look(epoch, fd, true);
		/* Looking at a large table takes time of its own. */
		step = rg_max(step, 8 * (rg_now() - start));
		if (!rest(rg_min(step, left)))
			end = rg_now();
		step = rg_min(2 * step, LAST_STEP);
	}
}
