// SPDX-License-Identifier: MIT
/*
 * The lane: Gs that run without a P.
 *
 * A G whose P was taken (revoke.c) goes on as an ordinary thread, and fifty of them crowd out whoever holds
 * the P: the kernel gives each its share. So only as many of them run as there are Ps; the others are parked
 * where they are, in a signal handler, which is safe at any instruction, since no thread runs anything else
 * meanwhile. They take turns: a place is given up after TURN quanta of CPU time if somebody waits for it, and those
 * who wait are served in order. (By the clock, one that the kernel does not run at once would lose its turn unused.)
 *
 * Sticky goroutines. One that computed for a quantum will do so again: when it leaves the runtime in its next
 * run, its M hands the P to a spare at once, so that it costs others nothing; when there is no place it queues as a
 * goroutine, in the same order. (In the runtime it needs the P: calls go on with it after they have waited.) A run
 * of less than a quantum of CPU time puts an end to it. If nobody waits for the P it keeps that. Background
 * goroutines (RINGO_GO_BACKGROUND) are sticky for ever, and of low standing.
 *
 * Locks. One that is parked may hold a lock of malloc, stdio or the program. Who waits for that in futex(2)
 * needs no place: it is BLOCKED, its place goes on to the next, and turns last one quantum only as long as
 * somebody is, so that the holder comes soon. Nobody waits for longer than all turns together. Who spins on a lock
 * uses up its turn like any other.
 *
 *	OUT      runs with a P, or no G
 *	IN       has a place
 *	PARKED   in the queue: asked to park, which it does at the next instruction outside the runtime
 *	BLOCKED  in the kernel: has no place; when it uses CPU time again, it is IN, if need be as one too many
 *
 * Who changes what, all under lane.lock: sysmon alone moves an M between IN, BLOCKED and PARKED; the M itself
 * goes OUT (lane_leave), and IN for a G that was given to it or because it has noticed its loss before
 * sysmon has entered it. Both look at m->page.revoked under the lock for that: TAKEN means that the M has not
 * noticed, and what it has not noticed it has not left either.
 *
 * m->lane.park is set and cleared under the lock, and read by the handler of that thread. The handler parks only
 * outside the runtime: inside, the M is about to come to a gate, where it may leave the lane, and that takes
 * its request back; if it does not, it is asked again at the next look. So an M is never asked for a run
 * that is over. Signals are sent only to threads that the kernel calls running, so that hardly any system
 * call sees one; those of a few microseconds in between are restarted where the kernel can. With the kernel's module
 * an upcall comes in place of the signal (rg_kern_park), which is then only for who cannot be interrupted in that way.
 */
#include "core/lane.h"

#include <ringo/go.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/membarrier.h"
#include "core/kern.h"
#include "core/probe.h"
#include "core/revoke.h"
#include "core/rt.h"
#include "core/run.h"
#include "core/sched.h"

enum { TURN = 10 }; /* quanta */

static struct {
	uint32_t lock;
	uint32_t pass;     /* sysmon moves Ms; held by whoever wants that not to happen */
	uint32_t running;  /* Ms that are IN */
	uint32_t n;        /* goroutines in the queue: of PARKED Ms, which are running, and others */
	uint32_t open;     /* no more turns */
	struct g *head, *tail;
} lane;

/* The goroutine that m runs. NULL: it has been given one, and has not woken up yet. */
static struct g *run_by(struct m *m)
{
	uint64_t cur = rg_load_relaxed(&rg_m_page(m)->cur_g);

	return cur ? rg_g_at((uint32_t)cur - 1) : NULL;
}

/* ---- under the lock ---- */

static void push(struct g *g)
{
	g->next = NULL;
	if (lane.head)
		lane.tail->next = g;
	else
		lane.head = g;
	lane.tail = g;
	rg_store_relaxed(&lane.n, lane.n + 1);
}

static void drop(struct g *g)
{
	struct g **at = &lane.head, *before = NULL;

	while (*at != g) {
		before = *at;
		at = &before->next;
	}
	*at = g->next;
	if (lane.tail == g)
		lane.tail = before;
	rg_store_relaxed(&lane.n, lane.n - 1);
}

/* The M that is parked with g; NULL: g is not on any. Its state would not tell: the M may be on its way to leave. */
static struct m *m_of(const struct g *g)
{
	/* order: acquire; pairs with the release of rt.nm */
	for (unsigned i = 0, n = rg_load_acquire(&rt.nm); i < n; i++)
		if (rt.m[i]->lane.state == RG_LANE_PARKED && run_by(rt.m[i]) == g)
			return rt.m[i];
	return NULL;
}

static int64_t began(const struct m *m)
{
	return rg_load_relaxed(&m->lane.turn);
}

static bool places_left(void)
{
	return rg_load_relaxed(&lane.running) < rg_load_relaxed(&rt.procs);
}

static void go_in(struct m *m)
{
	rg_store_relaxed(&m->lane.state, RG_LANE_IN);
	rg_store_relaxed(&m->lane.turn, rg_now());
	rg_store_relaxed(&lane.running, lane.running + 1);
}

static void go_out(struct m *m, uint32_t state)
{
	if (m->lane.state == RG_LANE_IN)
		rg_store_relaxed(&lane.running, lane.running - 1);
	rg_store_relaxed(&m->lane.state, state);
}

static void unpark(struct m *m)
{
	drop(run_by(m));
	go_in(m);
	rg_kern_unpark(m);
	/* order: full; pairs with the load in rg_lane_interrupted: it may go on */
	rg_xchg_full(&m->lane.park, 0);
	rg_futex_wake(&m->lane.park, 1);
}

static void give(struct m *m, struct g *g)
{
	go_in(m);
	rg_store_release(&m->gift, g); /* order: release; pairs with the acquire in rg_spare_wait */
	rg_spare_wake(m);
}

static struct m *first_parked(void)
{
	for (const struct g *g = lane.head; g; g = g->next) {
		struct m *m = m_of(g);

		if (m)
			return m;
	}
	return NULL;
}

/*
 * Free places to those who wait. False: a spare M would be needed. Those that are parked need none and do not wait
 * for it, since they may hold a lock without which no thread can be made.
 */
static bool fill(void)
{
	bool enough = true;

	while (lane.head && places_left()) {
		struct g *g = lane.head;
		struct m *m = m_of(g), *spare = m || !enough ? NULL : rg_spare_take();

		if (spare) {
			drop(g);
			give(spare, g);
			continue;
		}
		if (!m) {
			enough = false;
			m = first_parked();
		}
		if (!m)
			break;
		unpark(m);
	}
	return enough;
}

/* ---- the M ---- */

void rg_lane_lost(struct m *m)
{
	struct ringo_m_page *page = rg_m_page(m);

	if (rg_load_relaxed(&m->lane.overran) || rg_load_relaxed(&page->overran))
		m->cur->flags |= RG_G_STICKY;
	rg_store_relaxed(&m->lane.overran, false);
	rg_store_relaxed(&page->overran, 0);
	rg_lock(&lane.lock);
	if (m->lane.state == RG_LANE_OUT)
		go_in(m);
	rg_m_let_go(m);
	rg_store_release(&page->revoked, RINGO_REVOKED_FREE); /* order: release; pairs with the CAS in take */
	rg_unlock(&lane.lock);
}

void rg_lane_leave(struct m *m)
{
	struct g *next;

	if (m->lane.begun && rg_thread_cpu(&m->thread) - m->lane.run_cpu < rt.quantum_ns)
		m->cur->flags &= (uint8_t)~RG_G_STICKY;
	m->lane.begun = false;
	rg_lock(&lane.lock);
	if (m->lane.state == RG_LANE_PARKED)
		drop(m->cur);
	go_out(m, RG_LANE_OUT);
	rg_store_relaxed(&m->lane.park, 0);
	rg_kern_unpark(m);
	/* A goroutine that is queued is taken by ourselves, as soon as we have let go of ours. */
	next = lane.head;
	if (next && places_left() && m_of(next))
		unpark(m_of(next));
	rg_unlock(&lane.lock);
	if (m->low)
		rg_thread_standing(m->tid, RG_STANDING_NORMAL);
	m->low = false;
}

void rg_lane_note_run(struct m *m, const struct p *p)
{
	rg_store_relaxed(&m->lane.from_p, p ? p->id + 1 : 0);
	rg_store_relaxed(&m->lane.from_run, p ? rg_load_relaxed(&p->count.switches) : ++m->lane.begins);
}

void rg_lane_begin(struct m *m, const struct g *g)
{
	bool background = g->flags & RG_G_BACKGROUND;

	rg_lane_note_run(m, m->p);
	m->called = true;
	m->lane.begun = true;
	m->lane.run_cpu = rg_thread_cpu(&m->thread);
	m->low = !rg_thread_standing(m->tid, background ? RG_STANDING_LOWEST : RG_STANDING_LOW);
	rg_watch_hint();
}

static void post_queue(struct m *m, void *g)
{
	(void)m;
	rg_lock(&lane.lock);
	push(g);
	rg_unlock(&lane.lock);
	rg_watch_hint();
}

/* The P goes to a spare M, if there is a place for this one. */
static bool hand_over(struct m *m)
{
	struct m *next = NULL;

	rg_lock(&lane.lock);
	if (!lane.head && places_left())
		next = rg_spare_take();
	if (next)
		go_in(m);
	rg_unlock(&lane.lock);
	if (!next)
		return false;
	rg_lane_begin(m, m->cur);
	rg_spare_give(next, m->p);
	rg_m_let_go(m);
	return true;
}

struct m *rg_lane_shed(struct m *m)
{
	m->shed = false;
	if (!m->p || rt.preempt < RINGO_PREEMPT_SYSMON || rg_load_relaxed(&lane.open))
		return m;
	if (!(m->cur->flags & RG_G_BACKGROUND) && !rg_revoke_wanted(m->p))
		return m;
	if (hand_over(m))
		return m;
	/* No spare M: then it runs with the P, and may lose it as any other. So does one that keeps its thread. */
	if ((!rg_lane_wanted() && places_left()) || m->cur->flags & RG_G_LOCKED)
		return m;
	rg_queue_apart(m, post_queue);
	return rg_m();
}

struct g *rg_lane_take(struct m *m)
{
	struct g *g = NULL;

	if (!rg_load_relaxed(&lane.n))
		return NULL;
	rg_lock(&lane.lock);
	if (lane.head && !lane.open && places_left() && !m_of(lane.head)) {
		g = lane.head;
		drop(g);
		go_in(m);
	}
	rg_unlock(&lane.lock);
	return g;
}

void rg_lane_interrupted(struct m *m, void (*woken)(struct m *m))
{
	/* order: acquire; pairs with the release in park */
	if (!m || !rg_load_acquire(&m->lane.park) || rg_load_relaxed(&rg_m_page(m)->in_rt))
		return;
	rg_xchg_full(&m->lane.parked, 1); /* order: full; pairs with the load in rg_probe: it wakes us, or we see it */
	for (;;) {
		woken(m);
		/* order: acquire; pairs with the exchange in unpark */
		if (!rg_load_acquire(&m->lane.park))
			break;
		rg_futex_wait(&m->lane.park, 1, -1);
	}
	rg_store_relaxed(&m->lane.parked, 0);
}

/* ---- sysmon ---- */

bool rg_lane_wanted(void)
{
	return rg_load_relaxed(&lane.n) && !rg_load_relaxed(&lane.open);
}

void rg_lane_enter(struct m *m)
{
	bool overran = rg_load_relaxed(&m->lane.overran) || rg_load_relaxed(&rg_m_page(m)->overran);
	bool low = overran && !rg_thread_standing(m->tid, RG_STANDING_LOW), in;

	rg_lock(&lane.lock);
	in = m->lane.state == RG_LANE_OUT && rg_load_relaxed(&rg_m_page(m)->revoked) == RINGO_REVOKED_TAKEN;
	if (in) {
		go_in(m);
		m->low = low;
	}
	rg_unlock(&lane.lock);
	if (low && !in)
		rg_thread_standing(m->tid, RG_STANDING_NORMAL); /* it has noticed meanwhile */
	m->lane.cpu = rg_thread_cpu(&m->thread);
}

static void turn_to(struct m *m, uint32_t from, uint32_t to)
{
	rg_lock(&lane.lock);
	if (m->lane.state == from && to == RG_LANE_IN)
		go_in(m);
	else if (m->lane.state == from)
		go_out(m, to);
	rg_unlock(&lane.lock);
}

static bool sleeps(const struct m *m)
{
	char state = rg_thread_state(m->tid);

	return state ? state != 'R' : !m->lane.moved; /* without /proc */
}

/* Who gets nowhere and sleeps in the kernel gives up its place; who goes on afterwards has one. */
static bool look_blocked(struct m *m)
{
	int64_t cpu = rg_thread_cpu(&m->thread);
	bool moved = cpu != m->lane.cpu;

	m->lane.cpu = cpu;
	m->lane.moved = moved;
	if (m->lane.seen != began(m))
		m->lane.turn_cpu = cpu;
	m->lane.seen = began(m);
	if (rg_load_relaxed(&m->lane.state) == RG_LANE_BLOCKED) {
		if (moved)
			turn_to(m, RG_LANE_BLOCKED, RG_LANE_IN);
		return !moved;
	}
	if (moved || !sleeps(m))
		return false;
	m->lane.locked_out = rg_thread_syscall(m->tid) == SYS_futex;
	turn_to(m, RG_LANE_IN, RG_LANE_BLOCKED);
	return true;
}

/* For a while in this turn. Who comes out of a system call for moments may be on its way into the next one. */
static bool computes(const struct m *m)
{
	return m->lane.seen == began(m) && m->lane.cpu - m->lane.turn_cpu >= rt.quantum_ns / 2;
}

/* The one whose turn began first, or last, among those that compute and that the kernel calls running. */
static struct m *choose(bool last)
{
	struct m *found = NULL;
	/* order: acquire; pairs with the release of rt.nm */
	for (unsigned i = 0, n = rg_load_acquire(&rt.nm); i < n; i++) {
		struct m *m = rt.m[i];

		if (rg_load_relaxed(&m->lane.state) == RG_LANE_IN && run_by(m) && computes(m) &&
		    (!found || (last ? began(m) > began(found) : began(m) < began(found))) &&
		    !sleeps(m))
			found = m;
	}
	return found;
}

/* Ask m to stay where it is, at the end of the queue. */
static bool park(struct m *m)
{
	bool asked = false, upcall = false;

	rg_lock(&lane.lock);
	if (m->lane.state == RG_LANE_IN && run_by(m) && !lane.open) {
		go_out(m, RG_LANE_PARKED);
		push(run_by(m));
		rg_store_release(&m->lane.park, 1); /* order: release; pairs with the load in rg_lane_interrupted */
		upcall = rg_kern_park(m, run_by(m));
		asked = true;
	}
	rg_unlock(&lane.lock);
	if (!asked || upcall || !rg_probe_nudge(m))
		return asked;
	/* No signal can be had: then all run. */
	rg_lock(&lane.lock);
	if (m->lane.state == RG_LANE_PARKED)
		unpark(m);
	rg_unlock(&lane.lock);
	return false;
}

static bool too_many(void)
{
	return rg_load_relaxed(&lane.running) > rg_load_relaxed(&rt.procs) && !rg_load_relaxed(&lane.open);
}

/* And so do compute. Who comes out of a system call for moments may be one too many. */
static bool crowded(void)
{
	uint32_t n = 0;

	if (!too_many())
		return false;
	/* order: acquire; pairs with the release of rt.nm */
	for (unsigned i = 0, nm = rg_load_acquire(&rt.nm); i < nm; i++)
		n += rg_load_relaxed(&rt.m[i]->lane.state) == RG_LANE_IN && computes(rt.m[i]);
	return n > rg_load_relaxed(&rt.procs);
}

/* Asked to park, it has gone on for longer than the next tick takes; that looks for what it may not interrupt. */
static bool overdue(struct m *m)
{
	return !rg_kern_parks(m) || rg_thread_cpu(&m->thread) - m->lane.cpu >= 3 * rt.quantum_ns;
}

/* As many as there are places; and turns. */
static void see_to_turns(bool short_turns)
{
	int64_t turn = short_turns ? rt.quantum_ns : TURN * rt.quantum_ns;
	struct m *m;
	bool enough;

	while (crowded()) {
		m = choose(true);
		if (!m || !park(m))
			break;
	}
	for (uint32_t i = 0; i < rg_load_relaxed(&rt.procs) && rg_lane_wanted(); i++) {
		m = rg_load_relaxed(&lane.running) < rg_load_relaxed(&rt.procs) ? NULL : choose(false);
		if (m && (m->lane.cpu - m->lane.turn_cpu < turn || m->lane.seen != began(m) || !park(m)))
			break;
		rg_lock(&lane.lock);
		enough = fill();
		rg_unlock(&lane.lock);
		if (!enough) {
			rg_run_want_spare();
			break;
		}
	}
}

/* Operations are in flight; *behind: some are through, but for the task work of the thread that submitted them. */
static bool in_flight(bool *behind)
{
	bool any = false;

	*behind = false;
	/* order: acquire; pairs with the release of rt.np in rg_p_start */
	for (unsigned i = 0, n = rg_load_acquire(&rt.np); i < n; i++) {
		any |= rg_load_relaxed(&rt.p[i]->ops) != 0;
		*behind |= rt.poller->behind(rt.p[i]);
	}
	return any;
}

bool rg_lane_look(void)
{
	bool short_turns = false, running = false, behind, ops;

	if (!rg_trylock(&lane.pass))
		return true;
	/* order: acquire; pairs with the release of rt.nm */
	for (unsigned i = 0, n = rg_load_acquire(&rt.nm); i < n; i++) {
		struct m *m = rt.m[i];
		uint32_t state = rg_load_relaxed(&m->lane.state);

		if (state == RG_LANE_PARKED && !rg_load_relaxed(&m->lane.parked) && overdue(m))
			rg_probe_nudge(m); /* it was inside the runtime */
		if (state != RG_LANE_IN && state != RG_LANE_BLOCKED)
			continue;
		if (run_by(m) && look_blocked(m))
			short_turns |= m->lane.locked_out;
		else
			running = true;
	}
	if (rg_lane_wanted() || too_many())
		see_to_turns(short_turns);
	rg_unlock(&lane.pass);
	if (!running)
		return rg_lane_wanted();
	ops = in_flight(&behind);
	if (behind)
		rg_membarrier(); /* the interrupt takes them through the kernel */
	return ops || rg_lane_wanted() || too_many();
}

/* ---- others ---- */

void rg_lane_stop(void)
{
	rg_lock(&lane.lock);
	rg_store_relaxed(&lane.open, 1);
	/* order: acquire; pairs with the release of rt.nm */
	for (unsigned i = 0, n = rg_load_acquire(&rt.nm); i < n; i++)
		if (rt.m[i]->lane.state == RG_LANE_PARKED)
			unpark(rt.m[i]);
	rg_unlock(&lane.lock);
}

bool rg_lane_freeze(void)
{
	for (unsigned i = 0; i < 1000; i++) {
		if (rg_trylock(&lane.pass))
			return true;
		rg_pause(i);
	}
	return false;
}

void rg_lane_thaw(void)
{
	rg_unlock(&lane.pass);
}

bool rg_lane_stuck(unsigned id)
{
	const struct m *m = rt.m[id];

	return rg_load_relaxed(&m->lane.state) == RG_LANE_BLOCKED && rg_thread_state(m->tid) == 'D';
}

uint32_t rg_lane_count(void)
{
	uint32_t count = 0;

	/* order: acquire; pairs with the release of rt.nm */
	for (unsigned i = 0, n = rg_load_acquire(&rt.nm); i < n; i++)
		count += rg_load_relaxed(&rt.m[i]->lane.state) != RG_LANE_OUT;
	return count;
}

void rg_lane_reset(void)
{
	memset(&lane, 0, sizeof(lane));
}
