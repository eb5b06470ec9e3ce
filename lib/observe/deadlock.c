// SPDX-License-Identifier: MIT
/*
 * What is said of a deadlock (core/deadlock.c): who waits for what, since when, with its stack; and which
 * locks wait for each other in a circle.
 *
 * Who waits for a lock has one successor, its holder, so the graph is a set of chains, each of which ends or
 * runs into a circle. From every goroutine the chain is followed until it ends, or comes back (told there if
 * it is the first of its circle by number), or goes round without us (Brent's method: a mark that moves up
 * at powers of two is met again).
 */
#include "core/deadlock.h"

#include <ringo/dump.h>
#include <unistd.h>

#include "base/log.h"
#include "core/dump.h"
#include "sync/mutex.h"

enum { SHOWN = 100 }; /* more than these are counted together */

static RG_PEEKS const void *lock_of(const struct g *g)
{
	if (rg_load_relaxed(&g->state) != RG_WAITING)
		return NULL;
	switch (g->reason) {
	case RG_WHY_MUTEX:
	case RG_WHY_RWMUTEX_R:
	case RG_WHY_RWMUTEX_W:
	case RG_WHY_ONCE:
		return g->wait_on;
	default:
		return NULL;
	}
}

/* Who holds what it waits for; NULL: it does not wait for a lock, or nobody is known to hold it. */
static const struct g *holder_for(const struct g *g)
{
	const void *lock = lock_of(g);
	uint32_t owner = lock ? rg_mutex_owner(lock) : 0;

	if (!owner || owner > rg_g_used())
		return NULL;
	/* A writer that has the lock and waits for its readers. */
	if (rg_g_at(owner - 1) == g && g->reason == RG_WHY_RWMUTEX_W)
		return NULL;
	return rg_g_at(owner - 1);
}

static bool first_of_circle(const struct g *first)
{
	const struct g *g = first, *mark = NULL;

	for (uint64_t steps = 1, next_mark = 1;; steps++) {
		g = holder_for(g);
		if (!g || g < first || g == mark)
			return false;
		if (g == first)
			return true;
		if (steps == next_mark) {
			mark = g;
			next_mark *= 2;
		}
	}
}

static void tell_circle(struct rg_out *o, const struct g *first)
{
	const struct g *g = first, *holder = holder_for(g);

	if (holder == g) {
		rg_out(o, "goroutine " RG_G_FMT " waits for the %s %p, which it holds itself\n\n", RG_G_ARGS(g),
		       rg_reason_name(g->reason), lock_of(g));
		return;
	}
	rg_out(o, "locks that wait for each other in a circle:\n");
	do {
		holder = holder_for(g);
		rg_out(o, "\tgoroutine " RG_G_FMT " waits for the %s %p, which goroutine " RG_G_FMT " holds\n",
		       RG_G_ARGS(g), rg_reason_name(g->reason), lock_of(g), RG_G_ARGS(holder));
		g = holder;
	} while (g != first);
	rg_out(o, "\n");
}

static void tell_circles(struct rg_out *o)
{
	for (uint32_t i = 0, used = rg_g_used(); i < used; i++)
		if (holder_for(rg_g_at(i)) && first_of_circle(rg_g_at(i)))
			tell_circle(o, rg_g_at(i));
}

static void tell_each(struct rg_out *o, struct rg_scan *s)
{
	struct rg_look *l;

	while ((l = rg_scan_next(s)))
		if (l->state == RG_WAITING && !(l->flags & RG_G_DAEMON))
			rg_out_full(o, l);
}

static void headline(const struct rg_deadlock *d)
{
	const char *what = d->asleep ? "all goroutines are asleep" : "no goroutines (main called ringo_exit)";

	if (rg_deadlock_fatal(d))
		rg_print(STDERR_FILENO, "fatal error: %s - deadlock!\n\n", what);
	else if (d->tracer)
		rg_warn("%s - deadlock! The program goes on for its debugger (process %d)", what, d->tracer);
	else if (d->others < 0)
		rg_warn("%s. The program goes on: nobody can tell without /proc/self/task whether other threads "
			"might wake one. This is said once", what);
	else
		rg_warn("%s. The program goes on: %d thread(s) that are not ringo's might wake one. This is "
			"said once", what, d->others);
}

void rg_deadlock_report(const struct rg_deadlock *d)
{
	struct rg_scan *s;
	struct rg_out *o;

	headline(d);
	o = rg_out_begin(NULL, STDERR_FILENO);
	if (!o)
		return;
	tell_circles(o);
	s = rg_scan_begin();
	if (s) {
		if (d->asleep <= SHOWN)
			tell_each(o, s);
		else
			rg_profile(o, s, RINGO_DUMP_LEAKS);
		rg_scan_end(s);
	}
	rg_out_end(o);
}
