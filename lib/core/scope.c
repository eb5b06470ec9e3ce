// SPDX-License-Identifier: MIT
/*
 * Scopes: cancellation, from the tree of contexts down to the waits of goroutines.
 *
 * A G hangs on its scope from its first wait there until it ends or changes scope, by a node at the top of
 * its stack; so one that never waits pays one reference, and one that waits often pays for the list once.
 *
 * No wait survives cancellation. A G stores wake (odd) with a full exchange and then loads err; who cancels
 * stores err, fences, and then looks at wake. At least one sees the other: either the G finds the scope over
 * and takes its wait back, or we find it waiting. If both, the CAS on wake decides; a G that loses it parks
 * all the same, because we are about to ready it. A wait that begins after that sees err before anything else.
 *
 * A G that we won may still be on its way off its stack, on another M. g->trim says when it has left: we
 * wait for that, outside all locks, before we ready it. Other wakers need not, because they meet a G only in
 * lists that it publishes once it has left.
 *
 * An operation can be cancelled only by the M that holds the P whose ring has it. The node goes into that P's
 * inbox, and the M looks through it in its next round: the operation of that G, if there is one under a scope that is over,
 * is cancelled. No operation that may be cancelled can begin there since, so it is the one that was meant.
 *
 * Locks: a scope's, then an inbox's. Children are marked busy and visited afterwards, so no two scopes are ever
 * locked at a time, and a tree of any depth needs no stack. Who frees a busy one waits until it was visited; a
 * reference would not do, because its last drop may be the user's code, and we may be in the scheduler.
 *
 * Contexts outlive runs, what hangs on them does not, except children: scope->run and node->run tell. A hook is
 * the user's memory and may come back in a later run, when the scope it hung on is gone or has other nodes.
 */
#include "core/scope.h"

#include <errno.h>
#include <stddef.h>

#include "base/lock.h"
#include "core/base.h"
#include "core/gate.h"
#include "core/park.h"
#include "core/reserve.h"
#include "core/rt.h"
#include "core/sched.h"

static void list_add(struct rg_node **head, struct rg_node *n)
{
	n->prev = NULL;
	n->next = *head;
	if (*head)
		(*head)->prev = n;
	rg_store_relaxed(head, n);
}

static void list_del(struct rg_node **head, struct rg_node *n)
{
	if (n->prev)
		n->prev->next = n->next;
	else
		rg_store_relaxed(head, n->next); /* of an inbox, read without the lock */
	if (n->next)
		n->next->prev = n->prev;
}

static struct rg_node **list_of(struct rg_scope *s, const struct rg_node *n)
{
	return n->kind == RG_NODE_CHILD ? &s->children : &s->nodes;
}

/* Under the lock: forget what hung on it in a run that has ended. */
static void freshen(struct rg_scope *s)
{
	uint32_t run = rg_load_relaxed(&rt.runs);

	if (s->run != run)
		s->nodes = NULL;
	s->run = run;
}

bool rg_scope_add(struct rg_scope *s, struct rg_node *n)
{
	bool over;

	n->scope = s;
	rg_lock(&s->lock);
	freshen(s);
	n->run = s->run;
	over = s->err;
	if (!over) {
		list_add(list_of(s, n), n);
		rg_store_relaxed(&n->where, RG_NODE_LISTED);
	}
	rg_unlock(&s->lock);
	if (over)
		n->scope = NULL;
	return !over;
}

static void leave_inbox(struct rg_node *n)
{
	rg_lock(&n->home->inbox_lock);
	if (n->where == RG_NODE_INBOX)
		list_del(&n->home->inbox, n);
	rg_store_relaxed(&n->where, RG_NODE_OUT);
	rg_unlock(&n->home->inbox_lock);
}

bool rg_scope_remove(struct rg_node *n)
{
	struct rg_scope *s = n->scope;
	unsigned looks = 0;
	uint8_t where;

	if (!s)
		return false;
	if (n->kind != RG_NODE_CHILD && n->run != rg_load_relaxed(&rt.runs)) {
		n->scope = NULL;
		return false;
	}
	/* order: acquire; pairs with the release in cancel_tree: a child that has been visited is on no list */
	if (n->kind == RG_NODE_CHILD && rg_load_acquire(&n->where) == RG_NODE_OUT) {
		n->scope = NULL;
		return false;
	}
	rg_lock(&s->lock);
	where = rg_load_acquire(&n->where); /* order: acquire; pairs as the one above: it may have been visited since */
	if (where == RG_NODE_LISTED) {
		list_del(list_of(s, n), n);
		rg_store_relaxed(&n->where, RG_NODE_OUT);
	}
	rg_unlock(&s->lock);
	if (where == RG_NODE_INBOX)
		leave_inbox(n);
	/* order: acquire; pairs with the release in rg_scope_cancel: it has been visited */
	while (where == RG_NODE_BUSY && rg_load_acquire(&n->where) == RG_NODE_BUSY)
		rg_pause(looks++);
	n->scope = NULL;
	return where == RG_NODE_LISTED;
}

void rg_scope_join(struct m *m, struct g *g)
{
	struct rg_node *n = &rg_base(g)->node;

	(void)m;
	if (likely(n->scope))
		return;
	n->g = g;
	n->kind = RG_NODE_G;
	rg_scope_add(g->scope, n); /* if it is over, the wait will not begin */
}

void rg_scope_leave(struct g *g)
{
	struct rg_scope *s = g->scope;

	rg_gate_in(rg_m());
	rg_scope_remove(&rg_base(g)->node);
	g->scope = NULL;
	rg_leave(rg_m());
	rg_scope_unref(s);
}

static void to_inbox(struct g *g, struct rg_node *n, struct p **wake)
{
	struct p *home = rt.p[g->op_home];

	n->home = home;
	rg_store_relaxed(&n->where, RG_NODE_INBOX);
	rg_lock(&home->inbox_lock);
	list_add(&home->inbox, n);
	rg_unlock(&home->inbox_lock);
	/* Those of one ring mostly come in a row: one wake for all of them. */
	if (*wake && *wake != home)
		rg_wake_p(*wake);
	*wake = home;
}

/* What cancellation has taken off a scope, to be dealt with when its lock is dropped. */
struct taken {
	struct g *won, *done;   /* linked by next: to be readied, with err or with RG_SCOPE_DONE */
	struct g *reserved;     /* linked by next: to be started */
	struct rg_node *todo;   /* busy children, linked by next */
	bool outside;           /* only children: the rest is of a run that ends, or has ended */
	struct p *wake;         /* has something in its inbox */
};

static void take_g(struct rg_node *n, struct taken *t)
{
	struct g *g = n->g;
	/* order: acquire; pairs with the exchange in rg_wait_begin: kind and op_home are of this wait */
	uint32_t wake = rg_load_acquire(&g->wake);

	if (!(wake & 1))
		return;
	if (rg_load_relaxed(&g->wait_kind) == RG_WAIT_OP) {
		to_inbox(g, n, &t->wake);
	} else if (rg_cas_full(&g->wake, wake, wake + 1)) { /* order: full; pairs with rg_claim */
		g->next = t->won;
		t->won = g;
	}
}

static void take(struct rg_node *n, struct taken *t)
{
	switch (n->kind) {
	case RG_NODE_G:
		rg_store_relaxed(&n->where, RG_NODE_OUT);
		take_g(n, t);
		break;
	case RG_NODE_WAITER:
		rg_store_relaxed(&n->where, RG_NODE_OUT);
		if (rg_claim(n->g)) {
			n->g->next = t->done;
			t->done = n->g;
		}
		break;
	case RG_NODE_HOOK:
		n->g->next = t->reserved;
		t->reserved = n->g;
		/* order: release; pairs with the acquire in ringo_ctx_hook_stop: from here on it may be gone */
		rg_store_release(&n->where, RG_NODE_OUT);
		break;
	case RG_NODE_CHILD:
		rg_store_relaxed(&n->where, RG_NODE_BUSY);
		n->next = t->todo;
		t->todo = n;
		break;
	}
}

static void ready_all(struct m *m, struct g *all, int64_t res)
{
	while (all) {
		struct g *g = all;

		all = g->next;
		rg_off_stack(g);
		rg_ready(m, g, res);
	}
}

static void wake_taken(struct m *m, struct taken *t, int err)
{
	struct g *g;

	if (t->wake)
		rg_wake_p(t->wake);
	ready_all(m, t->won, err);
	ready_all(m, t->done, RG_SCOPE_DONE);
	t->wake = NULL;
	t->won = t->done = NULL;
	while ((g = t->reserved)) {
		t->reserved = g->next;
		rg_reserved_start(m, g);
	}
}

static struct rg_node *next_of(struct rg_scope *s, const struct taken *t)
{
	return s->nodes && !t->outside ? s->nodes : s->children;
}

/* One scope. True if it was not over yet. */
static bool cancel_one(struct m *m, struct rg_scope *s, int err, int cause, struct taken *t)
{
	struct rg_node *n;

	rg_lock(&s->lock);
	if (s->err) {
		rg_unlock(&s->lock);
		return false;
	}
	s->cause = cause;
	rg_store_release(&s->err, err); /* order: release; pairs with rg_scope_err */
	freshen(s);
	/* Who is not here yet will find, under the lock, that it is over. */
	if (s->nodes)
		rg_fence_full(); /* order: full; pairs with the exchange in rg_wait_begin */
	while ((n = next_of(s, t))) {
		list_del(list_of(s, n), n);
		take(n, t);
	}
	rg_unlock(&s->lock);
	wake_taken(m, t, err);
	return true;
}

static bool cancel_tree(struct m *m, struct rg_scope *s, int err, int cause, struct taken *t)
{
	if (!cancel_one(m, s, err, cause, t))
		return false;
	while (t->todo) {
		struct rg_node *n = t->todo;

		t->todo = n->next;
		cancel_one(m, rg_container_of(n, struct rg_scope, up), err, cause, t);
		/* order: release; pairs with the acquire in rg_scope_remove: from here on it may be gone */
		rg_store_release(&n->where, RG_NODE_OUT);
	}
	return true;
}

bool rg_scope_cancel(struct m *m, struct rg_scope *s, int err, int cause)
{
	struct taken t = { 0 };

	return cancel_tree(m, s, err, cause, &t);
}

bool rg_scope_cancel_outside(struct rg_scope *s, int err, int cause)
{
	struct taken t = { .outside = true };

	return cancel_tree(NULL, s, err, cause, &t);
}

void rg_scope_init(struct rg_scope *s, struct rg_scope *parent, void (*free)(struct rg_scope *))
{
	/* One by one: zeroing the whole by rep stos is a good part of the time that a short context costs. */
	s->refs = 1;
	s->lock = 0;
	s->err = s->cause = 0;
	s->run = 0;
	s->nodes = s->children = NULL;
	s->up.scope = NULL;
	s->up.kind = RG_NODE_CHILD;
	s->up.where = RG_NODE_OUT;
	s->parent = NULL;
	s->free = free;
	if (!parent)
		return;
	rg_scope_ref(parent);
	s->parent = parent;
	if (!rg_scope_add(parent, &s->up)) {
		s->cause = parent->cause;
		s->err = parent->err;
	}
}

void rg_scope_unref(struct rg_scope *s)
{
	/* A chain of any length, without recursion. */
	/* order: full; the last one sees all that the others did */
	while (s && rg_add_full(&s->refs, -1) == 1) {
		struct rg_scope *parent = s->parent;
		struct m *m = rg_enter();

		rg_scope_remove(&s->up);
		if (m)
			rg_leave(m);
		s->free(s);
		s = parent;
	}
}

int rg_scope_wait(struct m *m, struct rg_scope *s)
{
	struct rg_node n = { .g = m->cur, .kind = RG_NODE_WAITER };
	int64_t res;
	int err;

	if (s && rg_scope_err(s))
		return 0;
	/* First this, then onto the list: who takes us off it must find us waiting. */
	err = rg_wait_begin_any(m, m->cur, INT64_MAX);
	if (err < 0)
		return err;
	if (s && !rg_scope_add(s, &n) && rg_claim(m->cur))
		return 0;
	res = rg_park(m, RG_WHY_CTX, s, NULL, NULL);
	rg_scope_remove(&n);
	return s && rg_scope_err(s) ? 0 : (int)res;
}

void rg_scope_inbox(struct m *m)
{
	struct p *p = m->p;
	struct rg_node *n;

	rg_lock(&p->inbox_lock);
	while ((n = p->inbox)) {
		struct g *g = n->g;

		list_del(&p->inbox, n);
		rg_store_relaxed(&n->where, RG_NODE_OUT);
		/* order: acquire; pairs with the exchange in rg_wait_begin_op */
		if ((rg_load_acquire(&g->wake) & 1) && rg_load_relaxed(&g->wait_kind) == RG_WAIT_OP &&
		    rg_load_relaxed(&g->op_home) == p->id && rg_scope_err(n->scope)) {
			rg_count(&p->count.cancels, 1);
			rt.poller->cancel(m, g);
		}
	}
	rg_unlock(&p->inbox_lock);
}
