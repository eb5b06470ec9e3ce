// SPDX-License-Identifier: MIT
/*
 * Revocation: how a P leaves an M that is in the program's code, be it that its G computes or that it is
 * blocked in a system call or a page fault. The G is neither stopped nor moved: its M loses the P, a spare M
 * takes that and runs the others, and the G goes on as an ordinary thread until its next call that may
 * wait. So it is safe at any instruction, also inside malloc, and nobody gets a signal or EINTR.
 *
 * The word m->page.revoked: FREE, ASKED, TAKEN. Only sysmon writes ASKED (CAS from FREE), then comes a
 * membarrier, then it looks at in_rt: inside, it withdraws (CAS to FREE); outside, it takes (CAS to TAKEN).
 * The M stores in_rt = 1 at its gate, plainly, and then reads the word. Either it sees ASKED, or the
 * membarrier came before its store and sysmon sees in_rt = 0 and takes the P before the M has used it: then
 * the M finds TAKEN. If it sees ASKED, it withdraws that itself by CAS, keeps the P and gives way at its next
 * call that may wait, since it was the turn of others; if that CAS fails, it is TAKEN by now.
 * After TAKEN only the M writes the word, and only sysmon has the P: it hands it to a spare.
 *
 * An M without a P. Calls that do not wait go on as on a thread that is no M: what they ready goes to the
 * global queue. A call that may wait first puts its G there, too; the M then is a spare. G and M part only
 * there, as ever. A G that parks needs no P for that.
 *
 * When. A G that looks of sysmon, a quarter of a quantum apart, find running without a switch on its P for 3/4 of one,
 * which is 3/4 to 1 quantum after its start, while somebody waits: a runnable G, a timer of that P that is due, or an
 * operation of its ring. Where no G has run through from one look to the next for long, as in a busy server, looks are
 * three times as far apart (each costs about 12 us of CPU time), and the first one that computes again runs for 3/4 to
 * 3/2.
 * Looks happen only while somebody waits: whoever begins to asks for them (rg_watch_hint), and so does an M that comes
 * out of its scheduler with a G while others wait (rg_watch_run), since a look may have found it there. sysmon sleeps
 * otherwise; if it was woken at once the last time, it first stays for a look that finds that nothing ran.
 * It clears the flag, then comes a membarrier, then the last look; who waits, or runs a G, shows that first and
 * reads the flag then, plainly. Either he finds it cleared and asks, or the look finds him.
 *
 * With help of the kernel a tick may take the P as well, by one CAS from FREE to TAKEN; and page->block_since tells of
 * blocked ones (kern.c).
 *
 * How many run without a P, and which: lane.c. What a former M submitted to the ring completes by task work of
 * its thread. If any waits for that, a look ends with a membarrier, whose interrupt makes such an M pass through the
 * kernel's exit path.
 */
#include "core/revoke.h"

#include <ringo/go.h>
#include <string.h>

#include "base/lock.h"
#include "base/log.h"
#include "base/membarrier.h"
#include "base/usdt.h"
#include "core/event.h"
#include "core/kern.h"
#include "core/rt.h"
#include "core/run.h"
#include "core/runq.h"
#include "core/sched.h"
#include "core/sysmon.h"

#define BLOCKED INT64_C(50000)

/* Where ticks of the kernel do the work: quanta between looks, and after which sysmon acts all the same. */
enum { SELDOM = 10, LATE = 3 };

enum { CALM = 256 }; /* so many looks at goroutines none of which ran from one to the next */

uint32_t rg_watch;

int64_t rg_enough_ns(void)
{
	return rt.quantum_ns * 3 / 4;
}

int64_t rg_look_ns(void)
{
	return rt.calm < CALM ? rg_enough_ns() / 3 : rg_enough_ns();
}

void rg_watch_ask(void)
{
	/* order: full; pairs with the exchange in rg_sysmon_main: it looks after what we have queued */
	if (rg_xchg_full(&rg_watch, 1))
		return;
	rg_kern_arm();
	rg_sysmon_wake();
}

void rg_revoked(struct m *m)
{
	struct ringo_m_page *page = rg_m_page(m);

	/* order: full; pairs with the CAS to TAKEN in take: one of us has the P */
	if (rg_load_relaxed(&page->revoked) == RINGO_REVOKED_ASKED &&
	    rg_cas_full(&page->revoked, RINGO_REVOKED_ASKED, RINGO_REVOKED_FREE)) {
		m->called = true;
		return;
	}
	/* order: acquire; pairs with the CAS in take. FREE: withdrawn meanwhile. */
	if (rg_load_acquire(&page->revoked) != RINGO_REVOKED_TAKEN)
		return;
	rg_lane_lost(m);
	m->called = true;
}

static bool wanted_now(const struct p *p)
{
	return !rg_runq_empty(p) || rg_load_relaxed(&rt.nglobal) || rg_load_relaxed(&p->ops);
}

bool rg_revoke_wanted(const struct p *p)
{
	return wanted_now(p) || rg_load_relaxed(&p->timers.n);
}

/* Its first timer; INT64_MAX: none. */
static int64_t due_at(const struct p *p)
{
	return rg_load_relaxed(&p->timers.n) ? rg_load_relaxed(&p->timers.first) : INT64_MAX;
}

void rg_watch_others(const struct p *p)
{
	if (rg_revoke_wanted(p))
		rg_watch_ask();
}

/* The P of m, which is not in the runtime: true if it is ours now. */
static bool take(struct m *m, const struct p *p)
{
	struct ringo_m_page *page = rg_m_page(m);

	/* order: full; pairs with the release in rg_revoked */
	if (!rg_cas_full(&page->revoked, RINGO_REVOKED_FREE, RINGO_REVOKED_ASKED))
		return false;
	rg_membarrier();
	/* order: acquire; pairs with the release in rg_leave: all that it did with the P */
	if (!rg_load_acquire(&page->in_rt) && rg_load_relaxed(&page->p) == p->id + 1) {
		/* order: full; pairs with the CAS in rg_revoked */
		return rg_cas_full(&page->revoked, RINGO_REVOKED_ASKED, RINGO_REVOKED_TAKEN);
	}
	/* order: full; as above. If it fails, the M has seen it, and gives way. */
	rg_cas_full(&page->revoked, RINGO_REVOKED_ASKED, RINGO_REVOKED_FREE);
	return false;
}

static void tell_no_spare(int err)
{
	if (!rt.told_no_spare)
		rg_warn("no thread to hand a P to (%s): goroutines that compute hold up others", strerror(-err));
	rt.told_no_spare = true;
}

struct m *rg_revoke_spare(void)
{
	struct m *m = rg_spare_take();
	int err = 0;

	if (m)
		return m;
	rg_lock(&rt.procs_lock);
	/* order: acquire; pairs with the release in ask_stop, which also holds the lock */
	if (rg_load_acquire(&rt.phase) == RG_UP)
		err = rg_spare_start(&m);
	rg_unlock(&rt.procs_lock);
	if (err)
		tell_no_spare(err);
	return m;
}

/* It computed, rather than being blocked, or kept from the CPU by others. */
static bool overran(const struct p *p, struct m *m)
{
	return rg_thread_cpu(&m->thread) - p->seen_cpu >= rt.quantum_ns / 2;
}

void rg_revoke_taken(struct m *m, struct p *p, struct m *next)
{
	rg_add_relaxed(&rt.revocations, 1);
	RG_USDT(m__revoke, m->tid, p->id);
	rg_event_of_m(RINGO_EVENT_REVOKE, m, p);
	rg_lane_note_run(m, p);
	rg_lane_enter(m); /* first: who wakes up is preferred to a thread of low standing */
	rg_spare_give(next, p);
}

static struct m *free_spare(void)
{
	struct m *m = rg_spare_take();

	return m ? m : rg_kern_spare();
}

static void take_away(struct p *p, struct m *m, bool computed)
{
	struct m *next = rt.preempt == RINGO_PREEMPT_FLAG ? NULL : free_spare();

	if (!next) {
		rg_or_full(&rg_m_page(m)->asked, RINGO_ASK_YIELD); /* order: full; pairs with the gate's look */
		if (rt.preempt != RINGO_PREEMPT_FLAG)
			rg_run_want_spare(); /* for the next look */
		return;
	}
	rg_store_relaxed(&m->lane.overran, computed); /* a tick may take the P meanwhile */
	if (!take(m, p)) {
		rg_spare_put(next);
		return;
	}
	if (!computed) {
		rg_add_relaxed(&rt.blocked, 1);
		RG_USDT(m__block, m->tid, p->id);
		rg_event_of_m(RINGO_EVENT_BLOCK, m, p);
	}
	rg_revoke_taken(m, p, next);
}

void rg_revoke_blocked(struct m *m, struct p *p, uint64_t since)
{
	if (rg_load_relaxed(&rg_m_page(m)->block_since) == since && rg_revoke_wanted(p))
		take_away(p, m, false);
}

/* In a system call or a page fault, for so long that it is worth it; known with help of the kernel only. */
static bool blocked(struct m *m, int64_t now)
{
	uint64_t since = rg_load_relaxed(&rg_m_page(m)->block_since);

	return since && now - (int64_t)since >= BLOCKED;
}

/*
 * True: it has to be looked at again. *waiting: somebody waits for it, while a goroutine runs. *due: becomes the time of
 * its timer, if that is what has to be waited for first.
 */
static bool look(struct p *p, int64_t now, bool *waiting, int64_t *due)
{
	struct m *m = rg_load_acquire(&p->m); /* order: acquire; pairs with the release in rg_spare_give */
	uint64_t switches = rg_load_relaxed(&p->count.switches);
	bool again = false;

	if (!rg_load_relaxed(&rg_m_page(m)->cur_g) || switches != p->seen_switches) {
		p->seen_switches = switches;
		p->seen_since = now;
		p->seen_cpu = rg_thread_cpu(&m->thread);
		if (!rg_load_relaxed(&rg_m_page(m)->cur_g))
			return false;
		again = true;
	}
	if (!again)
		rt.calm = 0;
	if (!wanted_now(p) && !rg_lane_wanted() && due_at(p) > now + rg_look_ns()) {
		*due = rg_min(*due, due_at(p));
		return again;
	}
	*waiting = true;
	if (blocked(m, now))
		take_away(p, m, false);
	else if (now - p->seen_since >= (rg_kern_takes(m) ? LATE * rt.quantum_ns : rg_enough_ns()))
		take_away(p, m, overran(p, m));
	return true;
}

/* One is kept ready while they are being used. */
static void refill(uint64_t before)
{
	if (rt.revocations != before && !rg_load_relaxed(&rt.spares))
		rg_run_want_spare(); /* not made by sysmon: run.c */
}

/* Since it was last asked. */
static bool any_switches(void)
{
	uint64_t before = rt.seen_switches;

	rt.seen_switches = 0;
	/* order: acquire; pairs with the release of rt.np in rg_p_start */
	for (unsigned i = 0, n = rg_load_acquire(&rt.np); i < n; i++)
		rt.seen_switches += rg_load_relaxed(&rt.p[i]->count.switches);
	return rt.seen_switches != before;
}

int64_t rg_revoke_look(int64_t now, bool stay, int64_t *due)
{
	uint64_t before = rt.revocations;
	bool again = false, waiting = false, lane, seldom;

	*due = INT64_MAX;
	/* order: acquire; pairs with the release in run.c */
	if (rg_load_acquire(&rt.phase) != RG_UP) {
		rg_kern_watch(false);
		return 0;
	}
	rt.calm = rg_min(rt.calm + 1, (uint32_t)CALM);
	/* order: acquire; pairs with the release of rt.np in rg_p_start */
	for (unsigned i = 0, n = rg_load_acquire(&rt.np); i < n; i++)
		again |= look(rt.p[i], now, &waiting, due);
	lane = rg_lane_look();
	refill(before);
	seldom = rg_kern_suffices() && !lane;
	/* Who sleeps for moments only would ask again each time. */
	if (any_switches() && !again)
		again = waiting = seldom || stay;
	rg_kern_watch(waiting || rg_lane_wanted()); /* ticks also park */
	if (!again && !lane)
		return 0;
	return waiting && seldom ? SELDOM * rt.quantum_ns : rg_look_ns();
}
