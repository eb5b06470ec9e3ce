/* SPDX-License-Identifier: MIT */
/*
 * Scope: the part of a context that the core must know, because every wait of a G obeys it. Contexts
 * (sync/context.c) begin with one. Scopes form a tree; cancelling one cancels what hangs on it: children,
 * waiting Gs, whoever waits for the scope itself, and hooks that start a G. See scope.c.
 */
#ifndef RG_CORE_SCOPE_H
#define RG_CORE_SCOPE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "core/g.h"
#include "core/m.h"

struct p;

struct ringo_ctx;

enum rg_node_kind {
	RG_NODE_G,      /* a G runs under the scope: its present wait is ended */
	RG_NODE_WAITER, /* g waits for the scope: it is won and readied with RG_SCOPE_DONE */
	RG_NODE_HOOK,   /* g is reserved: it is started */
	RG_NODE_CHILD,  /* a scope */
};

enum rg_node_where {
	RG_NODE_OUT,
	RG_NODE_LISTED,
	RG_NODE_INBOX,
	RG_NODE_BUSY, /* a child that cancellation is about to visit */
};

/* What a waiter of the scope is told. */
#define RG_SCOPE_DONE INT64_C(0x7d0e)

/*
 * Something that hangs on a scope. where changes under the scope's lock; once in an inbox, under that one's;
 * once busy, by whoever cancels.
 */
struct rg_node {
	struct rg_node *next, *prev;
	struct rg_scope *scope; /* written by the node's owner only */
	struct g *g;
	struct p *home;         /* RG_NODE_INBOX: whose inbox */
	uint8_t kind, where;
	uint32_t run;           /* rt.runs when it was hung up: all but a child goes with its run */
};

struct rg_scope {
	uint32_t refs;
	uint32_t lock;
	int32_t err;      /* 0, -ECANCELED, -ETIMEDOUT; set once */
	int32_t cause;    /* set before err */
	uint32_t run;     /* rt.runs that nodes belong to: those of a run that has ended are gone */
	struct rg_node *nodes, *children;
	struct rg_node up; /* on the parent */
	struct rg_scope *parent; /* with a reference */
	void (*free)(struct rg_scope *s); /* outside the gate */
};

/*
 * Gate. What takes a lock here wants to be called inside, with m the calling M or NULL; what may call free
 * wants to be called outside: rg_scope_unref and rg_scope_leave.
 */

/* A new one has one reference. Under a parent that is over it is over at once, with its cause. */
void rg_scope_init(struct rg_scope *s, struct rg_scope *parent, void (*free)(struct rg_scope *));

static inline void rg_scope_ref(struct rg_scope *s)
{
	if (s)
		rg_add_relaxed(&s->refs, 1);
}

/* Outside the gate: the last one calls free, which may be the user's code. */
void rg_scope_unref(struct rg_scope *s);

/* What a context is to a G: the background, which is never over and has nothing to free, is none. */
static inline struct rg_scope *rg_scope_of(struct ringo_ctx *c)
{
	struct rg_scope *s = (struct rg_scope *)c;

	return s && (s->free || s->err) ? s : NULL;
}

/* 0, -ECANCELED or -ETIMEDOUT. */
static inline int rg_scope_err(const struct rg_scope *s)
{
	return s ? rg_load_acquire(&s->err) : 0; /* order: acquire; pairs with the CAS in rg_scope_cancel: cause */
}

/* End it and all below. Only the first call counts: true. */
bool rg_scope_cancel(struct m *m, struct rg_scope *s, int err, int cause);

/* Likewise where no runtime is up, or none any more: no goroutine is touched. */
bool rg_scope_cancel_outside(struct rg_scope *s, int err, int cause);

/* Hang a node on a scope: false when the scope is over. The caller keeps the scope alive meanwhile. */
bool rg_scope_add(struct rg_scope *s, struct rg_node *n);

/* Take it off: true when it was still there, false when cancellation or the end of the run had it. It is free. */
bool rg_scope_remove(struct rg_node *n);

/* Wait until s is over (NULL: never): 0; or what ended the wait before. Inside the gate, on a G. */
int rg_scope_wait(struct m *m, struct rg_scope *s);

/* The running G is about to wait under its scope: see to it that cancellation finds it. */
void rg_scope_join(struct m *m, struct g *g);

/* The running G ends. Outside the gate. */
void rg_scope_leave(struct g *g);

/* Cancel operations on this P's ring that others asked for. Its M, in the scheduler. */
void rg_scope_inbox(struct m *m);

#endif
