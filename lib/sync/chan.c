// SPDX-License-Identifier: MIT
/*
 * Channels.
 *
 * Invariants, under the lock: at most one of the two wait queues has a waiter that can be won; receivers
 * wait only while nothing is buffered, senders only while the buffer is full or there is none. So an
 * element goes straight from a sender to a waiting receiver, or through the buffer, and order is first in,
 * first out over both.
 *
 * Elements are copied under the lock, between a G's memory, which may be a parked stack, and the buffer. A
 * G that waits publishes its waiter by dropping the lock only after it has left its stack. Copies of large
 * elements may fault; they are the price of a copy that is atomic to others.
 *
 * The lock orders everything: what a sender wrote before is seen by whoever received, as by the lock's
 * release and acquire.
 */
#include <errno.h>
#include <ringo/chan.h>
#include <stdlib.h>
#include <string.h>

#include "base/lock.h"
#include "base/log.h"
#include "core/gate.h"
#include "core/rt.h"
#include "sync/waitq.h"

struct ringo_chan {
	uint32_t refs;
	uint32_t lock;
	bool closed;
	size_t elem, cap, len;
	size_t head; /* index of the oldest buffered element */
	struct rg_waitq senders, receivers;
	char buf[] rg_aligned(16);
};

RG_API struct ringo_chan *ringo_chan_new(size_t elem, size_t cap)
{
	struct ringo_chan *c;
	size_t bytes;

	if (__builtin_mul_overflow(elem, cap, &bytes) ||
	    __builtin_add_overflow(bytes, sizeof(*c), &bytes))
		return NULL;
	c = malloc(bytes);
	if (!c)
		return NULL;
	memset(c, 0, sizeof(*c));
	c->refs = 1;
	c->elem = elem;
	c->cap = cap;
	return c;
}

RG_API struct ringo_chan *ringo_chan_ref(struct ringo_chan *c)
{
	if (c)
		rg_add_relaxed(&c->refs, 1);
	return c;
}

RG_API void ringo_chan_unref(struct ringo_chan *c)
{
	/* order: full; pairs with the other holders' subs: the last sees all they wrote */
	if (!c || rg_add_full(&c->refs, -1) != 1)
		return;
	if (c->senders.head || c->receivers.head)
		rg_fatal("the last reference of a channel was dropped while goroutine " RG_G_FMT " waits on it: "
			 "whoever waits must hold a reference",
			 RG_G_ARGS(c->senders.head ? c->senders.head->g : c->receivers.head->g));
	free(c);
}

static void copy(const struct ringo_chan *c, void *to, const void *from)
{
	if (to && c->elem)
		memcpy(to, from, c->elem);
}

static void push(struct ringo_chan *c, const void *elem)
{
	copy(c, c->buf + (c->head + c->len) % c->cap * c->elem, elem);
	c->len++;
}

static void pop(struct ringo_chan *c, void *elem)
{
	copy(c, elem, c->buf + c->head * c->elem);
	c->head = (c->head + 1) % c->cap;
	c->len--;
}

/* Under the lock, without waiting: 0, -EPIPE, or -EAGAIN. A receiver that is to go on is in *woken. */
static int send_now(struct ringo_chan *c, const void *elem, struct g **woken)
{
	struct rg_waiter *w;

	if (c->closed)
		return -EPIPE;
	w = rg_waitq_pop(&c->receivers);
	if (w) {
		copy(c, w->elem, elem);
		*woken = w->g;
		return 0;
	}
	if (c->len == c->cap)
		return -EAGAIN;
	push(c, elem);
	return 0;
}

/* Under the lock, without waiting: 1, 0 closed and drained, or -EAGAIN. */
static int recv_now(struct ringo_chan *c, void *elem, struct g **woken)
{
	struct rg_waiter *w;

	if (c->len) {
		pop(c, elem);
		w = rg_waitq_pop(&c->senders);
		if (w) {
			push(c, w->elem);
			*woken = w->g;
		}
		return 1;
	}
	w = rg_waitq_pop(&c->senders);
	if (w) {
		copy(c, elem, w->elem);
		*woken = w->g;
		return 1;
	}
	if (!c->closed)
		return -EAGAIN;
	if (elem && c->elem)
		memset(elem, 0, c->elem);
	return 0;
}

/*
 * Queue up and park. Whoever wakes us says what happened: 0 sent, 1 received, -EPIPE closed, or the time
 * is over. The lock is held on entry and dropped once we are off our stack.
 */
static int wait(struct m *m, struct ringo_chan *c, struct rg_waitq *q, void *elem, enum rg_reason why)
{
	struct rg_waiter w = { .g = m->cur, .elem = elem };
	int timed = rg_wait_begin(m, m->cur);
	int res;

	if (timed < 0) {
		rg_unlock(&c->lock);
		return timed;
	}
	w.claim = timed;
	rg_waitq_push(q, &w);
	res = (int)rg_park(m, why, rg_post_unlock, &c->lock);
	if (unlikely(w.queued)) {
		rg_lock(&c->lock);
		rg_waitq_remove(q, &w);
		rg_unlock(&c->lock);
	}
	return res;
}

/* A NULL channel: until the deadline. */
static int wait_null(struct m *m)
{
	int timed = rg_wait_begin(m, m->cur);

	return timed < 0 ? timed : (int)rg_park(m, RG_WHY_CHAN_NULL, NULL, NULL);
}

static int send(struct m *m, struct ringo_chan *c, const void *elem, bool may_wait)
{
	struct g *woken = NULL;
	int res;

	if (unlikely(!c))
		return may_wait ? wait_null(m) : -EAGAIN;
	rg_lock(&c->lock);
	res = send_now(c, elem, &woken);
	if (res == -EAGAIN && may_wait)
		return wait(m, c, &c->senders, (void *)elem, RG_WHY_CHAN_SEND);
	rg_unlock(&c->lock);
	if (woken)
		rg_ready(m, woken, 1);
	return res;
}

static int recv(struct m *m, struct ringo_chan *c, void *elem, bool may_wait)
{
	struct g *woken = NULL;
	int res;

	if (unlikely(!c))
		return may_wait ? wait_null(m) : -EAGAIN;
	rg_lock(&c->lock);
	res = recv_now(c, elem, &woken);
	if (res == -EAGAIN && may_wait)
		return wait(m, c, &c->receivers, elem, RG_WHY_CHAN_RECV);
	rg_unlock(&c->lock);
	if (woken)
		rg_ready(m, woken, 0);
	return res;
}

RG_API int ringo_chan_send(struct ringo_chan *c, const void *elem)
{
	struct m *m = rg_enter();
	int res;

	if (likely(m)) {
		res = send(m, c, elem, true);
		rg_leave(rg_m());
		return res;
	}
	res = rg_foreign_enter();
	if (res)
		return res;
	res = send(NULL, c, elem, false);
	rg_foreign_leave();
	return res == -EAGAIN ? -EPERM : res;
}

RG_API int ringo_chan_recv(struct ringo_chan *c, void *elem)
{
	struct m *m = rg_enter();
	int res;

	if (likely(m)) {
		res = recv(m, c, elem, true);
		rg_leave(rg_m());
		return res;
	}
	res = rg_foreign_enter();
	if (res)
		return res;
	res = recv(NULL, c, elem, false);
	rg_foreign_leave();
	return res == -EAGAIN ? -EPERM : res;
}

RG_API int ringo_chan_try_send(struct ringo_chan *c, const void *elem)
{
	struct m *m = rg_enter();
	int res = m ? 0 : rg_foreign_enter();

	if (res)
		return res;
	res = send(m, c, elem, false);
	if (m)
		rg_leave(m);
	else
		rg_foreign_leave();
	return res;
}

RG_API int ringo_chan_try_recv(struct ringo_chan *c, void *elem)
{
	struct m *m = rg_enter();
	int res = m ? 0 : rg_foreign_enter();

	if (res)
		return res;
	res = recv(m, c, elem, false);
	if (m)
		rg_leave(m);
	else
		rg_foreign_leave();
	return res;
}

static int close_chan(struct m *m, struct ringo_chan *c)
{
	struct rg_waiter *w, *woken = NULL;

	rg_lock(&c->lock);
	if (c->closed) {
		rg_unlock(&c->lock);
		return -EPIPE;
	}
	c->closed = true;
	/* Won under the lock, woken after it. res: what each one's call returns. */
	while ((w = rg_waitq_pop(&c->receivers))) {
		if (w->elem && c->elem)
			memset(w->elem, 0, c->elem);
		w->res = 0;
		w->next = woken;
		woken = w;
	}
	while ((w = rg_waitq_pop(&c->senders))) {
		w->res = -EPIPE;
		w->next = woken;
		woken = w;
	}
	rg_unlock(&c->lock);
	while (woken) {
		w = woken;
		woken = w->next;
		rg_ready(m, w->g, w->res);
	}
	return 0;
}

RG_API int ringo_chan_close(struct ringo_chan *c)
{
	struct m *m;
	int res;

	if (!c)
		return -EINVAL;
	m = rg_enter();
	res = m ? 0 : rg_foreign_enter();
	if (res)
		return res;
	res = close_chan(m, c);
	if (m)
		rg_leave(m);
	else
		rg_foreign_leave();
	return res;
}

RG_API size_t ringo_chan_len(const struct ringo_chan *c)
{
	return c ? rg_load_relaxed(&c->len) : 0;
}

RG_API size_t ringo_chan_cap(const struct ringo_chan *c)
{
	return c ? c->cap : 0;
}

RG_API size_t ringo_chan_elem_size(const struct ringo_chan *c)
{
	return c ? c->elem : 0;
}
