// SPDX-License-Identifier: MIT
/*
 * The stall watch: who keeps a thread for too long, computing or blocked, is reported while it does.
 *
 * A thread of its own looks at the M pages several times within the limit. Nothing is counted for it on any path: a
 * run of a goroutine is told from others by the P with which it began and the number of switches of that. Whoever takes
 * the P away leaves both with the M (rg_lane_note_run), be it sysmon or a tick of the kernel's, and so does an M that
 * begins a run without any.
 *
 * An M may also be stuck in the scheduler, in io_uring_enter, without being asleep there: then the number of these
 * calls stays the same.
 *
 * While all Ms are asleep nothing can stall, and the watch sleeps too: it says so (rt.awake), then comes a
 * membarrier, then it looks whether they are. An M that wakes up leaves the idle state first and looks at rt.awake
 * then, plainly: either it sees that we sleep, or we see it awake.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <ringo/go.h>
#include <ringo/stats.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/membarrier.h"
#include "core/dump.h"
#include "core/gate.h"
#include "core/rt.h"
#include "observe/service.h"

enum { BURST = 5, LOOKS = 4 };

#define LEAST INT64_C(1000000)
#define PER_REPORT INT64_C(1000000000) /* on average */

/* What an M was found at. */
struct found {
	uint32_t cur_g; /* 0: in io_uring_enter */
	uint32_t p;     /* with which that began, plus 1; 0: with none */
	uint64_t count; /* then: of switches, or of those calls */
	int64_t since, cpu;
	bool busy, told;
	bool due; /* to be told now */
};

static struct {
	uint32_t lock;
	bool hooked;
	int64_t limit; /* 0: off */
	int fd;
	uint32_t asleep;
	int64_t credit, credited; /* for reports, in time */
	uint64_t left_out;
	struct found of[RG_MAX_M];
} st;

/* ---- looking ---- */

static bool is_idle(const struct p *p)
{
	return rg_load_relaxed(&p->idle) == RG_P_PARKED || rg_load_relaxed(&p->retired);
}

/* It is the last M that had that one, plus 1; it may have lost it, and nobody have got it. */
static const struct p *p_if_its(const struct m *m, uint32_t p)
{
	/* order: acquire; pairs with the release in rg_m_hold: with which run it goes on */
	return p && rg_load_acquire(&rt.p[p - 1]->m) == m ? rt.p[p - 1] : NULL;
}

/* The page names the one that it has lost and does not know of; if it does know, that was the one at the last look. */
static const struct p *p_of(struct m *m)
{
	const struct p *p = p_if_its(m, rg_load_relaxed(&rg_m_page(m)->p));

	return p ? p : p_if_its(m, st.of[m->id].p);
}

/* The run that m is in. */
static void find_run(struct m *m, const struct p *p, struct found *f)
{
	if (p) {
		f->p = p->id + 1;
		f->count = rg_load_relaxed(&p->count.switches);
	}
	if (p_if_its(m, f->p))
		return;
	f->p = rg_load_relaxed(&m->lane.from_p);
	f->count = rg_load_relaxed(&m->lane.from_run);
}

static struct found find(struct m *m, int64_t now)
{
	struct ringo_m_page *page = rg_m_page(m);
	const struct p *p = p_of(m);
	struct found f = { .cur_g = rg_load_relaxed(&page->cur_g), .since = now };

	if (f.cur_g) {
		f.busy = true;
		find_run(m, p, &f);
	} else if (p && rg_load_relaxed(&page->in_rt) == RINGO_RT_ASIDE && !is_idle(p)) {
		f.busy = true;
		f.p = p->id + 1;
		f.count = rg_load_relaxed(&p->count.enters);
	}
	return f;
}

static bool is_same(const struct found *a, const struct found *b)
{
	return a->busy && b->busy && a->cur_g == b->cur_g && a->p == b->p && a->count == b->count;
}

/* True: it is busy. Keeps what was known of a run that goes on. */
static bool look(struct m *m, int64_t now)
{
	struct found *f = &st.of[m->id], new = find(m, now);

	if (is_same(f, &new)) {
		new.since = f->since;
		new.cpu = f->cpu;
		new.told = f->told;
	} else if (new.busy) {
		new.cpu = rg_thread_cpu(&m->thread);
	}
	*f = new;
	return new.busy;
}

static bool all_asleep(void)
{
	/* order: acquire; pairs with the release of rt.np in rg_p_start */
	for (unsigned i = 0, n = rg_load_acquire(&rt.np); i < n; i++)
		if (!is_idle(rt.p[i]))
			return false;
	/* order: acquire; pairs with the release of rt.nm */
	for (unsigned i = 0, n = rg_load_acquire(&rt.nm); i < n; i++)
		if (rg_load_relaxed(&rg_m_page(rt.m[i])->cur_g))
			return false;
	return true;
}

/* ---- telling ---- */

static bool may_tell(int64_t now)
{
	st.credit = rg_min(st.credit + now - st.credited, BURST * PER_REPORT);
	st.credited = now;
	if (st.credit < PER_REPORT) {
		st.left_out++;
		return false;
	}
	st.credit -= PER_REPORT;
	return true;
}

static void out_how(struct rg_out *o, struct m *m, const struct found *f, int nr)
{
	rg_out(o, " for ");
	rg_out_span(o, rg_now() - f->since);
	if (nr >= 0)
		rg_out(o, ", and is in system call %d", nr);
	rg_out(o, "; of that it computed ");
	rg_out_span(o, rg_max(rg_thread_cpu(&m->thread) - f->cpu, INT64_C(0)));
	rg_out(o, "\n");
	if (st.left_out)
		rg_out(o, "(%" PRIu64 " such before were not told)\n", st.left_out);
	st.left_out = 0;
}

/* Its stack is looked at first, so that all is said of one run. */
static void tell_g(struct rg_out *o, struct rg_scan *s, struct m *m, struct found *f, int nr)
{
	struct rg_look *l = rg_scan_one(s, rg_g_at(f->cur_g - 1));
	struct found now = find(m, f->since);

	if (!l || !is_same(f, &now))
		return; /* just now it was over */
	rg_out(o, "ringo: goroutine %u.%u has kept M %u", l->index + 1, l->gen, m->id);
	out_how(o, m, f, nr);
	rg_out_full(o, l);
}

static void tell(struct m *m, struct found *f)
{
	struct rg_out *o = rg_out_begin(NULL, rg_load_relaxed(&st.fd));
	struct rg_scan *s = o ? rg_scan_begin() : NULL;
	int nr = rg_thread_syscall(m->tid); /* before the signal for its stack ends that */

	if (s && f->cur_g) {
		tell_g(o, s, m, f, nr);
	} else if (s) {
		rg_out(o, "ringo: M %u has been in io_uring_enter, with operations of P %u,", m->id, f->p - 1);
		out_how(o, m, f, nr);
		rg_out(o, "\n");
	}
	if (s)
		rg_scan_end(s);
	if (o)
		rg_out_end(o);
}

/* ---- the thread ---- */

/* When to look again, from now; -1: when somebody wakes us. */
static int64_t look_all(int64_t limit)
{
	const unsigned n = rg_load_acquire(&rt.nm); /* order: acquire; pairs with the release of rt.nm */
	int64_t now = rg_now();
	bool busy = false;

	for (unsigned i = 0; i < n; i++) {
		struct found *f = &st.of[i];

		busy |= look(rt.m[i], now);
		f->due = f->busy && !f->told && now - f->since >= limit;
		f->told |= f->due;
		rg_add_relaxed(&rt.stalls, f->due);
	}
	/* To tell takes long: who would be looked at only after that might have gone by unseen. */
	for (unsigned i = 0; i < n; i++)
		if (st.of[i].due && may_tell(now))
			tell(rt.m[i], &st.of[i]);
	if (!busy && rg_membarrier_works()) {
		rg_store_relaxed(&st.asleep, 1);
		rg_membarrier();
		if (all_asleep())
			return -1;
		rg_store_relaxed(&st.asleep, 0);
	}
	return limit / LOOKS;
}

static void watch(struct rg_service *s)
{
	struct pollfd fd = { .fd = s->bell, .events = POLLIN };
	uint64_t n;

	while (!rg_service_over(s)) {
		int64_t limit = rg_load_relaxed(&st.limit), next = -1;

		if (limit && !rg_foreign_enter()) {
			next = look_all(limit);
			rg_foreign_leave();
		}
		if (poll(&fd, 1, next < 0 ? -1 : (int)rg_min(next / 1000000 + 1, INT64_C(60000))) > 0 &&
		    read(s->bell, &n, sizeof(n)) < 0 && errno != EINTR)
			return;
	}
}

static struct rg_service thread = { .name = "ringo-stall", .fn = watch };

/* In an M that comes out of its sleep. */
static void awake(void)
{
	/* order: full; pairs with nothing but itself: one of many makes the call */
	if (rg_load_relaxed(&st.asleep) && rg_xchg_full(&st.asleep, 0))
		rg_service_ring(&thread);
}

/* ---- beginning and end ---- */

static int at_exit(int64_t deadline)
{
	if (!thread.running)
		return 0;
	rt.awake = NULL;
	if (!rg_service_end(&thread, deadline))
		return 1;
	rg_service_close(&thread);
	return 0;
}

static void in_child(void)
{
	st.lock = 0;
	rt.awake = NULL;
	rg_service_child(&thread);
}

/* Under the lock. */
static int set(int64_t limit, int fd)
{
	static struct rg_exit_hook hook = { .fn = at_exit, .child = in_child };
	int err;

	if (!limit && !thread.running)
		return -ENOENT;
	if (!st.hooked)
		rg_at_exit(&hook);
	st.hooked = true;
	rg_store_relaxed(&st.fd, fd);
	rg_store_relaxed(&st.limit, limit);
	if (thread.running) {
		rg_service_ring(&thread);
		return 0;
	}
	memset(st.of, 0, sizeof(st.of));
	st.asleep = 0;
	st.left_out = 0;
	st.credit = BURST * PER_REPORT;
	st.credited = rg_now();
	err = rg_service_start(&thread);
	if (!err)
		rg_store_relaxed(&rt.awake, awake);
	return err;
}

RG_API int ringo_stall_watch(int64_t ns, int fd)
{
	int saved = errno, err;
	struct m *m;

	if (ns && ns < LEAST)
		return -EINVAL;
	m = rg_enter();
	err = m ? 0 : rg_foreign_enter();
	if (err)
		return err;
	rg_lock(&st.lock);
	err = set(ns, fd);
	rg_unlock(&st.lock);
	if (m)
		rg_leave(m);
	else
		rg_foreign_leave();
	errno = saved;
	return err;
}
