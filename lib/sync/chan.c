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
 * Channels outlive runs; who waits when a run ends does not, and its waiter lies on a stack that is gone. So a
 * channel knows the run of those in its queues, and a waiter is looked for only if there seems to be one.
 *
 * The lock orders everything: what a sender wrote before is seen by whoever received, as by the lock's
 * release and acquire.
 */
#include <ringo/errno.h>
#include <ringo/typed.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/usdt.h"
#include "core/event.h"
#include "core/gate.h"
#include "core/panic.h"
#include "core/rt.h"
#include "sync/chan.h"
#include "sync/waker.h"

RG_API struct ringo_chan *ringo_chan_new(size_t elem, size_t cap)
{
	struct ringo_chan *c;
	int saved = errno;
	size_t bytes;

	if (__builtin_mul_overflow(elem, cap, &bytes) ||
	    __builtin_add_overflow(bytes, sizeof(*c), &bytes))
		return NULL;
	c = malloc(bytes);
	if (!c) {
		*ringo_errno_location() = saved; /* compilers take malloc for a function that leaves errno alone */
		return NULL;
	}
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

/* Add those of a queue to a list of words, as many as fit. */
static size_t name_waiters(char *buf, size_t size, size_t at, const struct rg_waitq *q)
{
	for (const struct rg_waiter *w = q->head; w && at < size; w = w->next)
		at += (size_t)snprintf(buf + at, size - at, "%s" RG_G_FMT " (%s)", at ? ", " : "",
				       RG_G_ARGS(w->g), rg_reason_name(w->g->reason));
	return at;
}

/* The reference is not dropped: who catches the panic has it still. */
static RG_COLD void still_waited_for(struct ringo_chan *c)
{
	char names[512];
	size_t n;
	struct m *m = rg_enter();

	rg_add_relaxed(&c->refs, 1);
	rg_lock(&c->lock);
	n = name_waiters(names, sizeof(names), 0, &c->senders);
	n = name_waiters(names, sizeof(names), n, &c->receivers);
	rg_unlock(&c->lock);
	rg_panic(m, "the last reference of a channel was dropped while goroutines wait on it: %s%s. "
		 "Whoever waits must hold a reference", names, n < sizeof(names) ? "" : "...");
}

RG_API void ringo_chan_unref(struct ringo_chan *c)
{
	/* order: full; pairs with the other holders' subs: the last sees all they wrote */
	if (!c || rg_add_full(&c->refs, -1) != 1)
		return;
	/* order: acquire; pairs with the release in run.c: at the end of a run nobody resumes */
	if (unlikely(c->senders.head || c->receivers.head) && c->run == rg_load_relaxed(&rt.runs) &&
	    rg_load_acquire(&rt.phase) == RG_UP)
		still_waited_for(c);
	free(c);
}

RG_API struct ringo_chan *ringo__ch_make(size_t elem, size_t cap)
{
	struct ringo_chan *c = ringo_chan_new(elem, cap);

	if (!c)
		rg_panic(rg_enter(), "no memory for a channel of %zu elements of %zu bytes", cap, elem);
	return c;
}

RG_API struct ringo_chan *ringo__ch_as(struct ringo_chan *c, size_t elem)
{
	if (c && c->elem != elem)
		rg_panic(rg_enter(), "ringo_ch_as: the channel has elements of %zu bytes, the type has %zu",
			 c->elem, elem);
	return c;
}

/* The sizes of most elements inline: the call is a good part of a short copy. */
static inline void copy(const struct ringo_chan *c, void *to, const void *from)
{
	if (!to)
		return;
	if (c->elem == 8)
		memcpy(to, from, 8);
	else if (c->elem == 4)
		memcpy(to, from, 4);
	else if (c->elem)
		memcpy(to, from, c->elem);
}

static inline void push(struct ringo_chan *c, const void *elem)
{
	size_t at = c->head + c->len; /* both below 2^63: the buffer was allocated */

	if (at >= c->cap)
		at -= c->cap;
	copy(c, c->buf + at * c->elem, elem);
	rg_store_relaxed(&c->len, c->len + 1);
}

/*
 * sender: one that waits, or NULL. Then the buffer is full, and the place that is freed is the one to be
 * filled. The length stays, and must: who looks without the lock must not find it at 0 meanwhile.
 */
static inline void pop(struct ringo_chan *c, void *elem, const struct rg_waiter *sender)
{
	char *oldest = c->buf + c->head * c->elem;

	copy(c, elem, oldest);
	if (++c->head == c->cap)
		c->head = 0;
	if (sender)
		copy(c, oldest, sender->elem);
	else
		rg_store_relaxed(&c->len, c->len - 1);
}

/* A waiter whose G we win, or NULL. */
static inline struct rg_waiter *first(struct ringo_chan *c, struct rg_waitq *q)
{
	if (!q->head)
		return NULL;
	rg_chan_freshen(c);
	return rg_waitq_pop(q);
}

static inline int send_now(struct ringo_chan *c, const void *elem, struct g **woken)
{
	struct rg_waiter *w;

	if (unlikely(c->closed))
		return -EPIPE;
	w = first(c, &c->receivers);
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

static inline int recv_now(struct ringo_chan *c, void *elem, struct g **woken)
{
	struct rg_waiter *w = first(c, &c->senders);

	if (w)
		*woken = w->g;
	if (c->len) {
		pop(c, elem, w);
		return 1;
	}
	if (w) {
		copy(c, elem, w->elem);
		return 1;
	}
	if (!c->closed)
		return -EAGAIN;
	if (elem && c->elem)
		memset(elem, 0, c->elem);
	return 0;
}

int rg_chan_send_now(struct ringo_chan *c, const void *elem, struct g **woken)
{
	return send_now(c, elem, woken);
}

int rg_chan_recv_now(struct ringo_chan *c, void *elem, struct g **woken)
{
	return recv_now(c, elem, woken);
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
	rg_chan_freshen(c);
	rg_waitq_push(q, &w);
	res = (int)rg_park(m, why, c, rg_post_unlock, &c->lock);
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

	return timed < 0 ? timed : (int)rg_park(m, RG_WHY_CHAN_NULL, NULL, NULL, NULL);
}

static int send(struct m *m, struct ringo_chan *c, const void *elem, bool may_wait)
{
	struct g *woken = NULL;
	int res;

	if (unlikely(!c))
		return may_wait ? wait_null(m) : -EAGAIN;
	RG_USDT(chan__send, c, elem);
	RG_RECORD(m, SEND, m ? m->cur : NULL, c, 0);
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
	RG_USDT(chan__recv, c, elem);
	RG_RECORD(m, RECV, m ? m->cur : NULL, c, 0);
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
	struct m *m = rg_enter_w();
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
	struct m *m = rg_enter_w();
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

/* Functions of their own, so that a look that finds nothing saves no registers. */
static RG_NOINLINE int try_send(struct ringo_chan *c, const void *elem)
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

static RG_NOINLINE int try_recv(struct ringo_chan *c, void *elem)
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

/* A goroutine that finds nothing to do goes without gate and lock. */
static inline bool may_look(void)
{
	struct m *m = (struct m *)rg_arch_self();

	return likely(m) && likely(!rg_called(m));
}

RG_API int ringo_chan_try_send(struct ringo_chan *c, const void *elem)
{
	if (may_look() && (!c || !rg_chan_may_send(c)))
		return -EAGAIN;
	return try_send(c, elem);
}

RG_API int ringo_chan_try_recv(struct ringo_chan *c, void *elem)
{
	if (may_look() && (!c || !rg_chan_may_recv(c)))
		return -EAGAIN;
	return try_recv(c, elem);
}

static int close_chan(struct m *m, struct ringo_chan *c)
{
	struct rg_waiter *w, *woken = NULL;

	rg_lock(&c->lock);
	if (c->closed) {
		rg_unlock(&c->lock);
		return -EPIPE;
	}
	rg_store_relaxed(&c->closed, true);
	rg_chan_freshen(c);
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
