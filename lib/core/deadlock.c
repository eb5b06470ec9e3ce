// SPDX-License-Identifier: MIT
/*
 * Deadlock: all goroutines are asleep and nothing is left that could wake one.
 *
 * What keeps a program alive: a G that runs or is queued; an operation in flight or staged; a job of the
 * pool; a G, or a reserved one, that waits for a time; a signal that some G waits for. Of daemon Gs none of
 * that counts. Threads that are not ours may wake Gs by calls; see below.
 *
 * Who looks. The M that goes to sleep last: every M sets its bit (rt.idle, or rt.serving if its P is
 * retired) by a full RMW with a full fence behind it, and then reads the bits of all (quiet). Of two that go
 * to sleep at the same time at least one sees the other's bit, perhaps both; two that look at once do not
 * disturb each other. Whatever leaves a G alive that is not an M wakes an M by it: a foreign thread or a
 * pool thread readies a G, a timer is set by a goroutine. So after the last look nothing can die unseen but
 * what a foreign thread does inside a call, and while one is inside (rt.users) we look again soon.
 *
 * Cheap first. An idle server has operations in flight: the looking M finds that in one load (p->ops).
 * Sleepers: the top of its own timer heap, or the witness, which is the G that the last scan found alive.
 * Only then all descriptors are scanned, from the witness on. Heaps of others are not looked at: their Ms
 * may wake up and move them. g->wait_until says it as well.
 *
 * Why what the scan saw is true. It reads without locks, and is believed only if nothing moved meanwhile:
 * before it we sum up p->sleeps, which each M counts up before it sets its bit, and see all bits set; after
 * it, behind a fence, we see all bits set, the same sum, no user, nobody spinning and empty queues (still).
 *  - An M that ran in between has cleared its bit and, before it set it again, counted up. We saw the bit
 *    again, by an acquire that pairs with that RMW, so we see the count.
 *  - A thread without M that readies a G pushes it, fences, and reads rt.spinning. If it saw nobody spinning,
 *    it has taken an idle bit: that M is not quiet, or has run. If it saw a spinner, that M is on its way to
 *    sleep with its bit set already, and we read spinning after that: either it still counts, or the push
 *    came before we look into the queues.
 *  - A G of the pool is in the state SYSCALL until its thread makes it RUNNABLE: alive at any moment.
 *  - Foreign threads that are inside are counted in rt.users. Whoever has left has done what it did.
 *  - A thread that has ended since may have done something before: so threads are counted first, then comes
 *    the scan. New ones come only from Gs and jobs, which would have moved something.
 *
 * A verdict is kept for PAUSE and then reached once more. That is a second opinion for the fatal report,
 * and where other threads are there it lasts longer: one that wakes Gs often is not suspected, and one that is
 * just ending is not taken for one that stays.
 *
 * No wake-up that was lost is covered up by that: a G that is runnable is alive, and then we sleep as ever.
 *
 * Fatal, with status 2 as Go's, only if every thread of the process is ours and nobody debugs it.
 * Otherwise it is said once in a run, since somebody may yet wake a G.
 *
 * Rejected: counting Ms that run, as Go does (an M in a raw call counts as running there, too, but timers,
 * signals and every other thread switch the detector off); a count of live Gs that each park and ready
 * changes (a contended line on the way of every wake-up, and bugs of the kind that the count is dropped
 * before the G is ready).
 */
#include "core/deadlock.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"
#include "core/rt.h"
#include "core/sched.h"
#include "core/timer.h"

#define PAUSE (INT64_C(10) * 1000000)
#define PAUSE_OTHERS (INT64_C(50) * 1000000) /* if others are there */

enum { STRIDE = 4096 }; /* descriptors between two looks whether we are wanted */

enum verdict {
	ALIVE, /* somebody may run yet */
	MOVED, /* something was going on: whoever it was looks after us */
	BUSY,  /* a thread without M is inside, and will not look when it leaves */
	DEAD,
};

void rg_serving_enter(struct m *m)
{
	rg_count(&m->p->sleeps, 1);
	/* order: full; as (a) of wake.c; pairs with quiet */
	rg_or_full(&rt.serving[m->p->id / 64], 1ull << (m->p->id % 64));
	rg_fence_full(); /* order: full; pairs with the same of other Ms: one of us sees both bits */
}

void rg_serving_leave(struct m *m)
{
	/* order: full; pairs with quiet: what we do from here on comes after it */
	rg_and_full(&rt.serving[m->p->id / 64], ~(1ull << (m->p->id % 64)));
}

/* All Ms sleep, or are just about to. */
static bool quiet(void)
{
	/* order: acquire; pairs with the release of rt.np in rg_m_start */
	for (unsigned w = 0, n = rg_load_acquire(&rt.np); w * 64 < n; w++) {
		uint64_t all = n - w * 64 >= 64 ? ~0ull : (1ull << (n - w * 64)) - 1;
		/* order: acquire; pairs with the or in rg_idle_enter: what that M did before it went to sleep */
		uint64_t idle = rg_load_acquire(&rt.idle[w]);

		/* order: acquire; pairs with the or in rg_serving_enter */
		if (all & ~(idle | rg_load_acquire(&rt.serving[w])))
			return false;
	}
	return true;
}

static uint64_t sleeps(void)
{
	uint64_t sum = 0;

	/* order: acquire; so that what we read next is read later */
	for (unsigned i = 0, n = rg_load_acquire(&rt.np); i < n; i++)
		sum += rg_load_acquire(&rt.p[i]->sleeps); /* order: acquire; as above */
	return sum;
}

static bool work_outside(void)
{
	if (rg_load_relaxed(&rt.outside))
		return true;
	/* order: acquire; pairs with the release of rt.np in rg_m_start */
	for (unsigned i = 0, n = rg_load_acquire(&rt.np); i < n; i++)
		if (rg_load_relaxed(&rt.p[i]->ops))
			return true;
	return false;
}

/* Time will do something for it. */
static bool timed(const struct g *g)
{
	return (rg_load_relaxed(&g->wake) & 1) && rg_load_relaxed(&g->wait_until) != INT64_MAX;
}

/* A signal may wake it. What we cannot tell is answered with yes. */
static RG_PEEKS bool signalled(const struct g *g)
{
	if (!rg_load_relaxed(&rt.signals))
		return false;
	if (g->scope && (rg_load_relaxed(&g->wake) & 1)) /* one that a signal ends, perhaps */
		return true;
	switch (g->reason) {
	case RG_WHY_CHAN_RECV:
		return rt.signalled(g->wait_on);
	case RG_WHY_SELECT:
	case RG_WHY_CTX:
		return true;
	default:
		return false;
	}
}

/* It may run without another G's doing. */
static RG_PEEKS bool alive(const struct g *g)
{
	switch (rg_load_relaxed(&g->state)) {
	case RG_RUNNABLE:
	case RG_RUNNING:
	case RG_SYSCALL:
		return !(g->flags & RG_G_DAEMON);
	case RG_WAITING:
		return !(g->flags & RG_G_DAEMON) && (timed(g) || signalled(g));
	case RG_RESERVED:
		return timed(g);
	default:
		return false;
	}
}

#ifdef RINGO_SIM
static int other_threads(void)
{
	rg_sim_point();
	return rg_sim_others;
}

/* The first verdict must be as good as the second. */
static int64_t pause_for(void)
{
	return rg_sim_chance(2) ? 0 : PAUSE;
}

static bool only_one_verdict(void)
{
	return rg_sim_chance(2);
}

static uint32_t first_of(uint32_t used)
{
	return rg_sim_chance(2) ? (uint32_t)rg_sim_rand() % used : rg_load_relaxed(&rt.witness);
}
#else
static int64_t pause_for(void)
{
	return PAUSE;
}

static bool only_one_verdict(void)
{
	return false;
}

/* Where the scan begins. */
static uint32_t first_of(uint32_t used)
{
	(void)used;
	return rg_load_relaxed(&rt.witness);
}

static void read_task(const char *tid, const char *file, char *buf, size_t size)
{
	char path[300];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%s/%s", tid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, buf, size - 1);
		close(fd);
	}
	buf[rg_max(n, (ssize_t)0)] = 0;
}

/* The kernel's workers for our rings are listed as threads of ours. */
static bool is_ring_worker(const char *tid)
{
	char comm[16];

	read_task(tid, "comm", comm, sizeof(comm));
	return !comm[0] || !strncmp(comm, "iou-", 4); /* nothing: it is gone */
}

/* ThreadSanitizer's own threads block all signals but SIGSYS, which comes after SIGPWR. */
static bool is_sanitizer(const char *tid)
{
#ifdef RG_TSAN
	char status[4096], *at;

	read_task(tid, "status", status, sizeof(status));
	at = strstr(status, "\nSigBlk:");
	return at && (strtoull(at + 8, NULL, 16) >> (SIGPWR - 1) & 3) == 1;
#else
	(void)tid;
	return false;
#endif
}

static int other_threads(void)
{
	int ours = 1 + (int)rg_load_relaxed(&rg_threads), all = 0; /* 1: it is in ringo_run */
	struct dirent *e;
	DIR *d = opendir("/proc/self/task");

	if (!d)
		return -1;
	while ((e = readdir(d)))
		all += e->d_name[0] != '.' && !is_ring_worker(e->d_name) && !is_sanitizer(e->d_name);
	closedir(d);
	return rg_max(0, all - ours);
}
#endif

static bool wanted(const struct m *m)
{
	uint64_t bits = rg_load_relaxed(&rt.idle[m->p->id / 64]) | rg_load_relaxed(&rt.serving[m->p->id / 64]);

	return !(bits >> (m->p->id % 64) & 1);
}

/* Somebody alive, who is then the witness; or nobody. */
static enum verdict scan(const struct m *m)
{
	uint32_t used = rg_g_used(), at = first_of(used);

	for (uint32_t i = 0; i < used; i++, at++) {
		if (at >= used)
			at = 0;
		if (i % STRIDE == 0 && wanted(m))
			return MOVED;
		rg_sim_point();
		if (alive(rg_g_at(at))) {
			rg_store_relaxed(&rt.witness, at);
			return ALIVE;
		}
	}
	return DEAD;
}

static RG_PEEKS uint32_t count_asleep(void)
{
	uint32_t n = 0;

	for (uint32_t i = 0, used = rg_g_used(); i < used; i++) {
		const struct g *g = rg_g_at(i);

		n += rg_load_relaxed(&g->state) == RG_WAITING && !(g->flags & RG_G_DAEMON);
	}
	return n;
}

static int tracer(void)
{
	static const char field[] = "\nTracerPid:";
	char buf[1024], *at;
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return 0;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	buf[rg_max(n, (ssize_t)0)] = 0;
	at = strstr(buf, field);
	return at ? atoi(at + sizeof(field) - 1) : 0;
}

/* d: look thoroughly, and say what was found. */
static enum verdict judge(const struct m *m, struct rg_deadlock *d)
{
	for (;;) {
		uint64_t before = sleeps();
		enum verdict v;

		if (!quiet())
			return MOVED;
		if (work_outside())
			return ALIVE;
		if (d) {
			d->others = other_threads();
			d->tracer = tracer();
		}
		v = scan(m);
		if (v != DEAD)
			return v;
		if (d)
			d->asleep = count_asleep();
		rg_fence_full(); /* order: full; what we read above was read before what follows */
		if (rg_load_relaxed(&rt.users) || rg_load_relaxed(&rt.spinning))
			return BUSY;
		/* order: full; pairs with the fence in rg_wake_if_needed: its push, or it has taken a bit */
		rg_fence_full();
		if (rg_work_anywhere(NULL) || !quiet())
			return MOVED;
		if (sleeps() == before)
			return DEAD;
	}
}

static uint64_t switches(void)
{
	uint64_t sum = 0;

	/* order: acquire; pairs with the release of rt.np in rg_m_start */
	for (unsigned i = 0, n = rg_load_acquire(&rt.np); i < n; i++)
		sum += rg_load_relaxed(&rt.p[i]->count.switches);
	return sum;
}

static void conclude(const struct rg_deadlock *d)
{
	/* order: full; pairs with itself: one M says it */
	if (rg_xchg_full(&rt.told_deadlock, 1))
		return;
	rg_deadlock_report(d);
	if (rg_deadlock_fatal(d))
		_exit(2);
}

/* It looks dead. As rg_deadlock_look. */
static int64_t suspect(const struct m *m, int64_t until)
{
	int64_t now = rg_now(), since = rg_load_relaxed(&rt.suspect_since), pause = pause_for();
	uint64_t ran = switches();
	struct rg_deadlock d;

	if (!since) {
		since = now;
		rg_store_relaxed(&rt.suspect_since, now);
		rg_store_relaxed(&rt.suspect_switches, ran);
	}
	if (now - since < pause)
		return rg_min(until, since + pause);
	if (judge(m, &d) == DEAD && rg_deadlock_fatal(&d))
		conclude(&d);
	/* Others may well be behind what happens here, if only among daemons. Some may just be ending. */
	if (ran != rg_load_relaxed(&rt.suspect_switches))
		rg_store_relaxed(&rt.suspect_since, 0);
	else if (now - since >= PAUSE_OTHERS && judge(m, &d) == DEAD)
		conclude(&d);
	return rg_load_relaxed(&rt.told_deadlock) ? until : rg_min(until, now + PAUSE);
}

int64_t rg_deadlock_look(struct m *m, int64_t until)
{
	uint32_t first;

	if (likely(m->p->ops))
		return until;
	if (!quiet() || rg_load_relaxed(&rt.phase) != RG_UP || rg_load_relaxed(&rt.told_deadlock))
		return until;
	if (work_outside() || (rg_timers_first(&m->p->timers, &first) && alive(rg_g_at(first)))) {
		rg_store_relaxed(&rt.suspect_since, 0);
		return until;
	}
	switch (only_one_verdict() ? DEAD : judge(m, NULL)) {
	case DEAD:
		return suspect(m, until);
	case BUSY:
		return rg_min(until, rg_now() + PAUSE);
	case ALIVE:
		rg_store_relaxed(&rt.suspect_since, 0);
		break;
	case MOVED:
		break;
	}
	return until;
}
