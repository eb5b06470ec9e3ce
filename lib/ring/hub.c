// SPDX-License-Identifier: MIT
/*
 * The hub: one epoll descriptor of the run, polled through the ring by a daemon goroutine, for goroutines
 * that wait for descriptors and for something else at the same time.
 *
 * Each such wait has an epoll descriptor of its own that holds its descriptors, because an epoll descriptor
 * takes each of them once only, and two waits may be for the same. That one is added to the hub's with the G
 * and the number of its wait, to tell once. The daemon wins the G by moving exactly that number: it can
 * neither wake a later wait, nor one that somebody else has ended.
 *
 * The G must be off its stack when it is won, so its post says that the hub may tell. But cancellation may
 * win it before that has come to pass, and then w->ep must not be closed yet: w->lock is held until the post
 * has done its last access, and rg_hub_end takes it.
 *
 * Rejected: several ring operations for one G (each must be cancelled and reaped before its stack can be
 * left, on the rings of different Ms); descriptors kept in the hub's from one wait to the next (they would
 * have to be told apart from others of the same number, opened since).
 */
#include "ring/hub.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/sys.h"
#include "core/deadlock.h"
#include "core/gate.h"
#include "core/park.h"
#include "core/rt.h"
#include "ring/op.h"

enum { EVENTS = 32, RETRY = 1000000 /* ns */ };

static struct {
	uint32_t lock;
	bool hooked, up;
	int ep;
	struct rg_hub_wait *head; /* all that have a descriptor */
} hub;

static int end(int64_t deadline)
{
	struct rg_hub_wait *w;

	(void)deadline;
	rg_lock(&hub.lock);
	while ((w = hub.head)) {
		hub.head = w->next;
		w->listed = false;
		rg_sys_close(w->ep);
	}
	if (hub.up)
		rg_sys_close(hub.ep);
	hub.up = false;
	rg_unlock(&hub.lock);
	return 0;
}

static void child(void)
{
	hub.lock = 0;
	hub.up = false;
	hub.head = NULL;
}

static struct rg_exit_hook hook = { .fn = end, .child = child };

static void wake(struct m *m, uint64_t who)
{
	struct g *g = rg_g_at((uint32_t)who);
	uint32_t number = (uint32_t)(who >> 32);

	/* order: full; pairs with rg_claim of other wakers */
	if (!rg_cas_full(&g->wake, number, number + 1))
		return;
	(void)rg_load_acquire(&g->trim); /* order: acquire; pairs with the release in do_post: it has left its stack */
	rg_ready(m, g, RG_HUB_READY);
}

static void look(int ep)
{
	struct epoll_event evs[EVENTS];
	int n;

	do {
		n = rg_sys_epoll_look(ep, evs, EVENTS);
		for (int i = 0; i < n; i++)
			wake(rg_m(), evs[i].data.u64);
	} while (n == EVENTS);
}

/* An operation failed, for want of memory perhaps. */
static void pause_a_little(void)
{
	struct m *m = rg_m();

	if (rg_wait_begin_until(m, m->cur, rg_time_add(rg_now(), RETRY)) > 0)
		rg_park(m, RG_WHY_SLEEP, NULL, NULL, NULL);
}

static void serve(void *arg)
{
	int ep = (int)(intptr_t)arg;
	struct rg_op op = { .keep = true };

	rg_enter_w();
	rg_m()->cur->deadline = 0; /* not that of whoever was the first to need us */
	io_uring_prep_poll_add(&op.sqe, ep, POLLIN);
	for (;;) {
		int res = rg_op_run(rg_m(), &op);

		look(ep);
		if (res < 0)
			pause_a_little();
	}
}

static int start(struct m *m)
{
	struct rg_spawn s = { .fn = serve, .name = "descriptors of selects", .flags = RG_G_DAEMON,
			      .pc = (void *)serve, .own_scope = true };
	uintptr_t word;
	int err;

	hub.ep = rg_sys_epoll();
	if (hub.ep < 0)
		return hub.ep;
	word = (uintptr_t)hub.ep;
	s.words = &word;
	s.nwords = 1;
	err = rg_spawn(m, &s);
	if (err) {
		rg_sys_close(hub.ep);
		return err;
	}
	hub.up = true;
	if (!hub.hooked) {
		hub.hooked = true;
		rg_at_exit(&hook);
	}
	return 0;
}

static void list(struct rg_hub_wait *w)
{
	w->hub = hub.ep;
	w->prev = NULL;
	w->next = hub.head;
	if (w->next)
		w->next->prev = w;
	hub.head = w;
	w->listed = true;
}

int rg_hub_begin(struct m *m, struct rg_hub_wait *w)
{
	int err = 0, ep = rg_sys_epoll();

	if (ep < 0)
		return ep;
	w->ep = ep;
	w->lock = 0;
	rg_lock(&hub.lock);
	if (!hub.up)
		err = start(m);
	/* Added now, to tell nothing: what can fail fails here. */
	if (!err)
		err = rg_sys_epoll_ctl(hub.ep, EPOLL_CTL_ADD, ep, 0);
	if (!err)
		list(w);
	rg_unlock(&hub.lock);
	if (err)
		rg_sys_close(ep);
	else
		rg_outside(m->cur, 1);
	return err;
}

int rg_hub_add(struct rg_hub_wait *w, int fd, uint32_t events)
{
	return rg_sys_epoll_ctl(w->ep, EPOLL_CTL_ADD, fd, events);
}

int rg_hub_change(struct rg_hub_wait *w, int fd, uint32_t events)
{
	return rg_sys_epoll_ctl(w->ep, EPOLL_CTL_MOD, fd, events);
}

void rg_hub_expect(struct rg_hub_wait *w, const struct g *g, uint32_t wake)
{
	w->who = (uint64_t)wake << 32 | rg_g_index(g);
	rg_lock(&w->lock);
}

void rg_hub_publish(struct rg_hub_wait *w)
{
	rg_sys_epoll_ctl_data(w->hub, EPOLL_CTL_MOD, w->ep, EPOLLIN | EPOLLONESHOT, w->who);
	rg_unlock(&w->lock);
}

void rg_hub_end(struct rg_hub_wait *w)
{
	bool listed;

	rg_outside(rg_m()->cur, -1);
	rg_lock(&w->lock);
	rg_unlock(&w->lock);
	rg_lock(&hub.lock);
	listed = w->listed;
	if (listed) {
		if (w->next)
			w->next->prev = w->prev;
		if (w->prev)
			w->prev->next = w->next;
		else
			hub.head = w->next;
		w->listed = false;
	}
	rg_unlock(&hub.lock);
	if (listed)
		rg_sys_close(w->ep);
}
