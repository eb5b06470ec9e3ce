/* SPDX-License-Identifier: MIT */
/* Channels as select.c sees them. The invariants are told in chan.c. */
#ifndef RG_SYNC_CHAN_H
#define RG_SYNC_CHAN_H

#include <ringo/chan.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/lock.h"
#include "core/rt.h"
#include "sync/waitq.h"

struct ringo_chan {
	uint32_t refs;
	uint32_t lock;
	bool closed;
	uint32_t run; /* rt.runs when somebody last queued up: those of a run that has ended are gone */
	size_t elem, cap, len;
	size_t head; /* index of the oldest buffered element */
	struct rg_waitq senders, receivers;
	char buf[] rg_aligned(16);
};

/* Under the lock, before a queue is used: forget those who waited when their run ended, and lay on their stacks. */
static inline void rg_chan_freshen(struct ringo_chan *c)
{
	uint32_t run = rg_load_relaxed(&rt.runs);

	if (likely(c->run == run))
		return;
	c->run = run;
	rg_store_relaxed(&c->senders.head, NULL);
	rg_store_relaxed(&c->receivers.head, NULL);
	c->senders.tail = c->receivers.tail = NULL;
}

/* Drop a reference where nothing may be freed: false, and it is still there, if it is the last. */
static inline bool rg_chan_unref_shared(struct ringo_chan *c)
{
	for (;;) {
		uint32_t n = rg_load_relaxed(&c->refs);

		if (n == 1)
			return false;
		/* order: full; as in ringo_chan_unref */
		if (rg_cas_full(&c->refs, n, n - 1))
			return true;
	}
}

/*
 * Under the lock, without waiting: 0, -EPIPE, or -EAGAIN. A receiver that is to be readied with 1, when the
 * lock is dropped, is in *woken.
 */
int rg_chan_send_now(struct ringo_chan *c, const void *elem, struct g **woken);

/* Likewise: 1, 0 closed and drained, or -EAGAIN. A sender in *woken is to be readied with 0. */
int rg_chan_recv_now(struct ringo_chan *c, void *elem, struct g **woken);

/*
 * A look without the lock. False: there was a moment within this call when it would have had to wait. Sure,
 * because each value of len and of a head is one that it has outside the lock too, or one that looks ready;
 * and because closed is read last and never taken back. Who closes sets it before it empties a queue.
 */
static inline bool rg_chan_may_send(const struct ringo_chan *c)
{
	/* order: acquire both; closed is read later. head's pairs with the release in rg_waitq_remove. */
	if (c->cap ? rg_load_acquire(&c->len) < c->cap : rg_load_acquire(&c->receivers.head) != NULL)
		return true;
	return rg_load_relaxed(&c->closed);
}

static inline bool rg_chan_may_recv(const struct ringo_chan *c)
{
	/* order: acquire both; closed is read later. head's pairs with the release in rg_waitq_remove. */
	if (c->cap ? rg_load_acquire(&c->len) != 0 : rg_load_acquire(&c->senders.head) != NULL)
		return true;
	return rg_load_relaxed(&c->closed);
}

#endif
