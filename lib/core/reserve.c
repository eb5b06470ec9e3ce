// SPDX-License-Identifier: MIT
/*
 * Reserved Gs: see reserve.h.
 *
 * While reserved, a G's wait words mean what they mean for a parked one: wake is odd while time may have it,
 * and whoever moves it to even by CAS owns it. So stopping a timer is rg_claim with the number and the
 * generation that setting it gave: a timer that has fired, and whose descriptor has had other lives since,
 * does not match.
 *
 * A thread that is no M has no timer heap: a goroutine sets the timer for it. It writes g->tent, which in the
 * descriptor's next life would take a valid entry from it; so arming says which G it is about to write, fences,
 * and looks whether that is still set; and whoever takes a G back from time looks at arming afterwards.
 *
 * Waiting for the end of a timer's goroutine. Who waits queues up under the lock, then looks whether that
 * life still goes on; who ends counts its generation up, fences, and looks whether anybody waits.
 */
#include "core/reserve.h"

#include <errno.h>
#include <ringo/go.h>

#include "base/lock.h"
#include "base/usdt.h"
#include "core/event.h"
#include "core/gate.h"
#include "core/park.h"
#include "core/rt.h"
#include "core/runq.h"
#include "core/sched.h"
#include "core/timer.h"

struct joiner {
	struct joiner *next;
	struct g *of, *g;
	uint32_t gen;
};

static struct {
	uint32_t lock;
	uint32_t n;
	struct joiner *head;
} joins;

static struct {
	uint32_t lock;
	uint32_t g; /* index + 1 */
} arming;

/* Those who waited when a run ended. They lay on their stacks. */
static void forget(void)
{
	joins.lock = joins.n = 0;
	joins.head = NULL;
	arming.lock = arming.g = 0; /* of a forked child */
}

static int end(int64_t deadline)
{
	(void)deadline;
	forget();
	return 0;
}

static void hook_once(void)
{
	static struct rg_exit_hook hook = { .fn = end, .child = forget };
	static uint32_t done;

	if (!rg_load_relaxed(&done) && !rg_xchg_full(&done, 1)) /* order: full; pairs with itself: once */
		rg_at_exit(&hook);
}

struct g *rg_reserved_new(struct m *m, void (*fn)(void *), void *arg, void *pc)
{
	struct g *g;

	if (rt.stack_class && rg_stack_hold(rt.stack_class))
		return NULL;
	g = rg_g_alloc(m ? m->p : NULL);
	if (!g) {
		rg_stack_release(rt.stack_class);
		return NULL;
	}
	rg_store_relaxed(&g->args[0], (uintptr_t)arg);
	g->fn = fn;
	g->spawn_pc = pc;
	g->deadline = 0;
	g->scope = NULL;
	g->stack_class = rt.stack_class;
	g->flags = RG_G_TIMER;
	g->reason = RG_WHY_NONE;
	rg_store_relaxed(&g->gen, g->gen + 1);
	rg_store_relaxed(&g->state, RG_RESERVED);
	return g;
}

void rg_reserved_free(struct m *m, struct g *g)
{
	rg_stack_release(g->stack_class);
	rg_g_free(m ? m->p : NULL, g);
}

void rg_reserved_start(struct m *m, struct g *g)
{
	rg_store_relaxed(&g->epoch, rg_load_relaxed(&rt.epoch));
	if (m && m->p)
		rg_count(&m->p->count.spawned, 1);
	else
		rg_add_relaxed(&rt.foreign.spawned, 1);
	RG_USDT(g__spawn, g, g->fn, g->spawn_pc);
	rg_event_spawn(m, g);
	rg_ready_fresh(m, g);
}

/* Inside the gate. */
static int arm_unless_taken(struct m *m, struct g *g, uint32_t ticket)
{
	int err = 0;

	hook_once();
	rg_lock(&arming.lock);
	rg_xchg_full(&arming.g, rg_g_index(g) + 1); /* order: full; pairs with the CAS in rg_reserved_take */
	/* order: acquire; pairs with the release in rg_reserved_at: wait_until is set */
	if (rg_load_acquire(&g->wake) == ticket)
		err = rg_timer_arm(m, g);
	rg_store_release(&arming.g, 0); /* order: release; pairs with the acquire in rg_reserved_take */
	rg_unlock(&arming.lock);
	return err;
}

/* For a thread that is no M: set the timer, unless it was taken back meanwhile. */
static void arm_for(uint32_t index, uint32_t ticket)
{
	struct g *g = rg_g_at(index);
	int err;

	do {
		struct m *m = rg_enter_w(); /* a P is needed */

		err = arm_unless_taken(m, g, ticket);
		rg_leave(m);
		if (err)
			ringo_yield(); /* out of memory: it was accepted, so try until there is some */
	} while (err);
}

static int arm_by_goroutine(struct g *g, uint32_t ticket)
{
	const uintptr_t words[] = { rg_g_index(g), ticket };
	struct rg_spawn s = { .fn = (void (*)(void *))(void (*)(void))arm_for, .words = words, .nwords = 2,
			      .is_words = true, .flags = RG_G_DAEMON, .pc = (void *)arm_for };

	return rg_spawn(NULL, &s);
}

int rg_reserved_at(struct m *m, struct g *g, enum rg_wait_kind kind, int64_t when, uint32_t *ticket)
{
	int err = 0;

	rg_store_relaxed(&g->wait_until, rg_min(when, INT64_MAX - 1));
	rg_store_relaxed(&g->wait_kind, kind);
	if (m && m->p)
		err = rg_timer_arm(m, g);
	else
		m = NULL;
	if (err)
		return err;
	*ticket = rg_load_relaxed(&g->wake) + 1; /* an old entry may look, too */
	rg_store_release(&g->wake, *ticket); /* order: release; pairs with the acquire in entry_due of timer.c */
	if (m)
		return 0;
	err = arm_by_goroutine(g, *ticket);
	if (err)
		rg_claim(g);
	return err;
}

bool rg_reserved_take(struct g *g, uint32_t gen, uint32_t ticket)
{
	unsigned n = 0;

	/* order: full; pairs with the CAS in entry_due of timer.c, and with the exchange in arm_unless_taken */
	if (rg_load_relaxed(&g->gen) != gen || !rg_cas_full(&g->wake, ticket, ticket + 1))
		return false;
	/* order: acquire; pairs with the release in arm_unless_taken */
	while (rg_load_acquire(&arming.g) == rg_g_index(g) + 1)
		rg_pause(n++);
	return true;
}

void rg_reserved_join(struct m *m, struct g *g, uint32_t gen)
{
	struct joiner j = { .of = g, .g = m->cur, .gen = gen };

	if (g == m->cur)
		return; /* it would wait for itself */
	hook_once();
	rg_lock(&joins.lock);
	rg_add_full(&joins.n, 1); /* order: full; pairs with the fence in rg_reserved_ended */
	if (!rg_reserved_lives(g, gen)) {
		rg_add_relaxed(&joins.n, -1u);
		rg_unlock(&joins.lock);
		return;
	}
	j.next = joins.head;
	joins.head = &j;
	rg_park(m, RG_WHY_TIMER, g, rg_post_unlock, &joins.lock);
}

void rg_reserved_ended(struct m *m, struct g *g, uint32_t gen)
{
	struct joiner **at = &joins.head, *woken = NULL, *j;

	rg_fence_full(); /* order: full; pairs with the add in rg_reserved_join: our gen has gone up */
	if (!rg_load_relaxed(&joins.n))
		return;
	rg_lock(&joins.lock);
	while ((j = *at)) {
		if (j->of != g || j->gen != gen) {
			at = &j->next;
			continue;
		}
		*at = j->next;
		j->next = woken;
		woken = j;
		rg_add_relaxed(&joins.n, -1u);
	}
	rg_unlock(&joins.lock);
	while ((j = woken)) {
		woken = j->next;
		rg_ready(m, j->g, 0);
	}
}
