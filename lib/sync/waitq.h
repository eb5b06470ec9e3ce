/* SPDX-License-Identifier: MIT */
/*
 * Queues of waiting goroutines: doubly linked, first in first out, under the lock of the object that has
 * them. A waiter lies on the stack of its G and needs no allocation.
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
	bool hand;    /* mutexes: give me the lock, I have waited too long */
};

struct rg_waitq {
	struct rg_waiter *head, *tail;
};

static inline void rg_waitq_push(struct rg_waitq *q, struct rg_waiter *w)
{
	w->next = NULL;
	w->prev = q->tail;
	if (q->tail)
		q->tail->next = w;
	else
		q->head = w;
	q->tail = w;
	w->queued = true;
}

static inline void rg_waitq_remove(struct rg_waitq *q, struct rg_waiter *w)
{
	if (w->prev)
		w->prev->next = w->next;
	else
		q->head = w->next;
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
