// SPDX-License-Identifier: MIT
/*
 * sysmon: a thread that looks whether goroutines run for too long (revoke.c), and gives stack pages back that
 * were used once and are not now.
 *
 * A goroutine that went deep and came back keeps its pages. Nobody can tell by looking at its stack
 * pointer, and asking the kernel what is resident costs more than giving back what may be. So a pass
 * simply gives back what lies below the stack pointer of each parked G that has run since the last
 * pass, and all of the free slots. Free ones that stay hot lie in the Ps' caches and are left alone.
 *
 * A pass runs a moment after some M went through its scheduler, at most once a PERIOD, and only when
 * there are more than a few stacks. Then sysmon sleeps without a timeout: an idle process does not wake up.
 *
 * Ordering: a parked G may be resumed at any moment by anybody, and from then on its frames may grow into
 * the pages we are about to drop. So g->trim goes DIRTY -> BUSY (CAS), then one membarrier for the whole
 * batch, then we look at g->state. The M that resumes a G stores state = RUNNING, then loads trim (plain
 * accesses: the barrier is on our side). Either we see RUNNING (or the RUNNABLE before it) and leave the
 * G alone, or that M sees BUSY and waits. trim turns from ONSTACK to DIRTY only when the G's stack pointer
 * was saved, so a G on its way to being parked is not touched. An M that loaded trim before our BUSY says ONSTACK
 * over it; its G may have parked again by the time we look, so trim must then still be BUSY, and ours: each
 * holder at a time has a value of its own (trace.c).
 */
#include "core/sysmon.h"

#include <errno.h>
#include <ringo/go.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/membarrier.h"
#include "base/thread.h"
#include "core/kern.h"
#include "core/revoke.h"
#include "core/rt.h"
#include "core/stack.h"

#ifdef RINGO_SIM
enum { HAS_MEMORY = 0 }; /* the simulation has none to give back */
#else
enum { HAS_MEMORY = 1 };
#endif

enum { BATCH = 256 };

#define PERIOD (INT64_C(250) * 1000000)
#define EXPOSURE ((size_t)2 << 20) /* less than this in use: not worth a look */
#define MAIN_STACK ((size_t)16 << 20) /* the main goroutine's slot, not counted */

uint32_t rg_trim_wanted;

static struct {
	struct rg_thread thread;
	bool started;
	bool stop;
	uint32_t bell; /* a futex word: counts up for each thing to do */
	int self;      /* pidfd for process_madvise; -1: not usable */
} sysmon;

void rg_trim_ask(void)
{
	if (!sysmon.started || rg_stack_exposure() < EXPOSURE + MAIN_STACK)
		return;
	/* order: full; pairs with the xchg in sysmon_main. One M of many makes the call. */
	if (!rg_xchg_full(&rg_trim_wanted, 1))
		rg_sysmon_wake();
}

static void drop_one_by_one(const struct iovec *iov, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		madvise(iov[i].iov_base, iov[i].iov_len, MADV_DONTNEED);
}

static void drop(const struct iovec *iov, unsigned n)
{
	ssize_t done;

	if (!n)
		return;
	rg_add_relaxed(&rt.trimmed, n);
	if (sysmon.self < 0) {
		drop_one_by_one(iov, n);
		return;
	}
	done = syscall(SYS_process_madvise, sysmon.self, iov, (size_t)n, MADV_DONTNEED, 0);
	if (done < 0) {
		/* Kernels before 6.13 do not allow it. */
		close(sysmon.self);
		sysmon.self = -1;
		drop_one_by_one(iov, n);
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		done -= (ssize_t)iov[i].iov_len;
		if (done < 0) {
			drop_one_by_one(iov + i, n - i);
			return;
		}
	}
}

static bool parked(const struct g *g)
{
	uint32_t s = rg_load_relaxed(&g->state);

	return s == RG_WAITING || s == RG_SYSCALL;
}

/* Pages below the stack pointer of a parked G, without the guard. False: none. */
static bool unused_part(const struct g *g, struct iovec *iov)
{
	char *lo, *hi, *end = (char *)((uintptr_t)g->sp & ~(uintptr_t)(RG_PAGE - 1));

	rg_stack_bounds(g, &lo, &hi);
	lo += RG_PAGE;
	if (end <= lo || end > hi)
		return false;
	*iov = (struct iovec){ .iov_base = lo, .iov_len = (size_t)(end - lo) };
	return true;
}

/* All BUSY. After the barrier none of those still parked can be resumed. */
static void trim_batch(struct g **batch, unsigned n)
{
	struct iovec iov[BATCH];
	bool trimmed[BATCH];
	unsigned k = 0;

	if (!n)
		return;
	rg_membarrier();
	for (unsigned i = 0; i < n; i++) {
		/* order: acquire; pairs with the release in do_post, in case it has parked anew: then trim is not BUSY */
		trimmed[i] = parked(batch[i]) && rg_load_acquire(&batch[i]->trim) == RG_TRIM_BUSY;
		if (trimmed[i] && unused_part(batch[i], &iov[k]))
			k++;
	}
	drop(iov, k);
	/* Not a store: what an M said over our BUSY must stay. */
	/* order: full; pairs with the load in set_resumed: the pages are gone before it goes on */
	for (unsigned i = 0; i < n; i++)
		rg_cas_full(&batch[i]->trim, (uint8_t)RG_TRIM_BUSY,
			    (uint8_t)(trimmed[i] ? RG_TRIM_CLEAN : RG_TRIM_DIRTY));
}

static void trim_parked(void)
{
	struct g *batch[BATCH];
	unsigned n = 0;

	if (!rg_membarrier_works())
		return;
	for (uint32_t i = 0, used = rg_g_used(); i < used; i++) {
		struct g *g = rg_g_at(i);

		if (rg_load_relaxed(&g->trim) != RG_TRIM_DIRTY || !parked(g))
			continue;
		/* order: full; pairs with the release in do_post of sched.c: sp is saved */
		if (!rg_cas_full(&g->trim, RG_TRIM_DIRTY, RG_TRIM_BUSY))
			continue;
		batch[n++] = g;
		if (n == BATCH) {
			trim_batch(batch, n);
			n = 0;
		}
	}
	trim_batch(batch, n);
}

static void trim_free(void)
{
	uint32_t slots[BATCH];
	struct iovec iov[BATCH];
	unsigned n;

	for (unsigned class = 0; class < RG_CLASSES; class++)
		while ((n = rg_stack_take_dirty(class, slots, BATCH))) {
			for (unsigned i = 0; i < n; i++) {
				char *lo, *hi;

				rg_stack_slot_bounds(slots[i], &lo, &hi);
				lo += RG_PAGE;
				iov[i] = (struct iovec){ .iov_base = lo, .iov_len = (size_t)(hi - lo) };
			}
			drop(iov, n);
			rg_stack_put_clean(class, slots, n);
		}
}

/* Give back what is not used; when this is to be done again at the earliest. */
static int64_t trim(int64_t start)
{
	/* order: full; pairs with the xchg in rg_trim_ask: what parks from now on asks again */
	rg_xchg_full(&rg_trim_wanted, 0);
	if (HAS_MEMORY) {
		trim_parked();
		trim_free();
	}
	/* Many stacks: at most a fiftieth of one CPU. */
	return rg_max(PERIOD, 50 * (rg_now() - start));
}

/* *at: when to look again, if nobody asks before; false: one has to. busy: only when nothing ran since the last look. */
static bool watch(int64_t now, bool busy, int64_t *at)
{
	int64_t next;

	/* order: full; pairs with the exchange in rg_watch_ask: who comes to wait from now on asks again */
	rg_xchg_full(&rg_watch, 0);
	next = rg_revoke_look(now, busy, at);
	if (!next) {
		rg_membarrier(); /* who read the flag before that has made itself seen by now */
		next = rg_revoke_look(now, false, at);
	}
	if (!next)
		return false;
	rg_store_relaxed(&rg_watch, 1);
	*at = now + next;
	return true;
}

static void wait_for(uint32_t bell, int64_t ns)
{
	if (rg_kern_used())
		rg_kern_sleep(ns);
	else
		rg_futex_wait(&sysmon.bell, bell, ns);
}

static void *sysmon_main(void *arg)
{
	int64_t period = PERIOD, trim_at = INT64_MAX, watch_at = INT64_MAX, slept_at = 0;
	bool watching = false; /* looks go on, nobody need ask */
	bool busy = false; /* the last sleep was too short to be worth waking up */

	(void)arg;
	rg_thread_name("ringo-sysmon");
	rg_thread_punctual(); /* or it waits for the kernel's tick, and for other timers */
	for (;;) {
		/* order: acquire; pairs with the add in rg_sysmon_wake */
		uint32_t bell = rg_load_acquire(&sysmon.bell);
		int64_t now = rg_now(), next;

		if (rg_load_relaxed(&sysmon.stop))
			return NULL;
		if (trim_at == INT64_MAX && rg_load_relaxed(&rg_trim_wanted))
			trim_at = now + period;
		if (rt.preempt != RINGO_PREEMPT_OFF && !watching && rg_load_relaxed(&rg_watch)) {
			watching = true;
			busy = now - slept_at < rg_look_ns();
			watch_at = now + rg_look_ns();
		}
		next = rg_min(trim_at, watch_at);
		if (next > now) {
			wait_for(bell, next == INT64_MAX ? -1 : next - now);
			now = rg_now();
		}
		if (rg_kern_used() && rg_kern_notices())
			watch_at = rg_min(watch_at, now + rg_look_ns());
		if (now >= trim_at) {
			period = trim(now);
			trim_at = INT64_MAX;
		}
		if (now >= watch_at) {
			watching = watch(now, busy, &watch_at);
			slept_at = now;
		}
	}
}

void rg_sysmon_wake(void)
{
	rg_add_full(&sysmon.bell, 1); /* order: full; pairs with the acquire in sysmon_main */
	if (rg_kern_used())
		rg_kern_wake();
	else
		rg_futex_wake(&sysmon.bell, 1);
}

int rg_sysmon_start(void)
{
	int err;

	memset(&sysmon, 0, sizeof(sysmon));
	rg_trim_wanted = 0;
	rg_watch = rt.preempt == RINGO_PREEMPT_OFF; /* nobody need ask */
	sysmon.self = (int)syscall(SYS_pidfd_open, getpid(), 0);
	err = rg_thread_start(&sysmon.thread, sysmon_main, NULL, RG_THREAD_NO_SIGNALS);
	sysmon.started = !err;
	return err;
}

void rg_sysmon_child(void)
{
	if (sysmon.self >= 0)
		close(sysmon.self);
	memset(&sysmon, 0, sizeof(sysmon));
	sysmon.self = -1;
}

void rg_sysmon_stop(void)
{
	if (sysmon.started) {
		rg_store_relaxed(&sysmon.stop, true);
		rg_sysmon_wake();
		rg_thread_join(&sysmon.thread);
	}
	if (sysmon.self >= 0)
		close(sysmon.self);
	sysmon.started = false;
	sysmon.self = -1;
}
