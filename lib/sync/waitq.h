/* SPDX-License-Identifier: MIT */
/*
 * Queues of waiting goroutines: doubly linked, first in first out, under the lock of the object that has
 * them. A waiter lies on the stack of its G, or in the cases of a select, and needs no allocation. Only
 * whether there is a head may be asked without the lock.
 */
#ifndef RG_SYNC_WAITQ_H
#define RG_SYNC_WAITQ_H

#include <stdbool.h>

#include "core/park.h"

struct rg_waiter {
	struct rg_waiter *next, *prev;
	struct g *g;
	void *elem;   /* channels: where to, or from where */
	int64_t res;  /* what its call is to return */
	bool claim;   /* time may end the wait too: wakers must win the G */
	bool queued;
};

/* Public types have room for one in two void pointers. */
struct rg_waitq {
	struct rg_waiter *head, *tail;
} __attribute__((may_alias));

static inline void rg_waitq_push(struct rg_waitq *q, struct rg_waiter *w)
{
	w->next = NULL;
	w->prev = q->tail;
	if (q->tail)
		q->tail->next = w;
	else
		rg_store_relaxed(&q->head, w);
	q->tail = w;
	w->queued = true;
}

static inline void rg_waitq_remove(struct rg_waitq *q, struct rg_waiter *w)
{
	if (w->prev) {
		w->prev->next = w->next;
	} else {
		/* order: release; pairs with the acquire of who looks without the lock: it sees closed */
		rg_store_release(&q->head, w->next);
	}
	if (w->next)
		w->next->prev = w->prev;
	else
		q->tail = w->prev;
	w->queued = false;
}

/* The first waiter whose G we win; those that time has won are left for themselves to remove. */
static inline struct rg_waiter *rg_waitq_pop(struct rg_waitq *q)
{
	struct rg_waiter *w = q->head;

	while (w && w->claim && !rg_claim(w->g))
		w = w->next;
	if (w)
		rg_waitq_remove(q, w);
	return w;
}

#endif
