// SPDX-License-Identifier: MIT
/*
 * Select. Three steps, each only when the one before did not do:
 *
 * 0. Look at the cases without a lock, choose one of those that look ready, lock its channel alone and try.
 *    Most selects in busy programs end here, with one lock for any number of cases.
 * 1. Lock all channels, in the order of their addresses, and look again: now either a case happens or at this
 *    moment none is ready. A select that may not wait ends here; over one channel it ends before, because
 *    the look is sure enough there (chan.h).
 * 2. Queue a waiter on each channel, hang a node on each context, park; the post drops all locks. Whoever
 *    wants to let a case happen must win the G by rg_claim: so exactly one case happens. Then take the other
 *    waiters off, one lock at a time.
 *
 * Which case it was. A waker takes off the queue the waiter that it won by, and no other (rg_waitq_pop), so
 * it is the one that is no longer queued. Nobody can win the G again before its next wait, and until then all
 * its waiters are gone, so that flag can be read without the lock.
 *
 * The cases lie in the caller's frame, and the post reads them while it drops the locks, one after the other,
 * when the G may long run elsewhere. It cannot leave the select meanwhile: it must take its waiter off the
 * channel that comes last in the order, unless it was won by that one, and that lock is dropped last. The post
 * reads a case no more once the lock after it is dropped. Descriptors: hub.c has a lock of the wait.
 *
 * A select never meets itself: a G that looks, under the locks, has no waiter, and one that has does not look.
 *
 * Each case carries what its wait needs, so nothing is allocated, and there is no limit to their number.
 *
 * Fairness: a case is chosen by one pass that keeps the k-th ready one with probability 1/k.
 *
 * Lock order: channels by address, then a scope's, then a wait's for descriptors.
 */
#include <errno.h>
#include <ringo/select.h>

#include "base/clock.h"
#include "base/sys.h"
#include "core/gate.h"
#include "core/rt.h"
#include "core/scan.h"
#include "core/scope.h"
#include "ring/hub.h"
#include "sync/chan.h"
#include "sync/waker.h"

/* What a case carries in its reserved words. */
struct state {
	struct ringo_case *next; /* channel cases, by address of the channel */
	bool tried;              /* in vain, in this pass */
	union {
		struct rg_waiter waiter;
		struct rg_node node;
	};
} __attribute__((may_alias));

_Static_assert(sizeof(struct state) <= sizeof(((struct ringo_case *)0)->reserved), "it has room");

struct select {
	struct rg_select_wait pub;
	struct ringo_case *order; /* first of the sorted channel cases */
	bool several;    /* channels */
	bool polls;
	int64_t until;   /* the earliest timeout; INT64_MAX none */
	struct ringo_case *timeout;
	struct rg_hub_wait hub;
};

enum { NONE = -EAGAIN, FEW = 8 };

static struct state *state(struct ringo_case *c)
{
	return (struct state *)c->reserved;
}

static bool on_channel(const struct ringo_case *c)
{
	return (c->kind == RINGO__CASE_SEND || c->kind == RINGO__CASE_RECV) && c->on.chan;
}

/* NULL: one that is never over. */
static struct rg_scope *scope_of(struct m *m, const struct ringo_case *c)
{
	if (c->on.ctx)
		return (struct rg_scope *)c->on.ctx; /* a context begins with its scope */
	return m ? m->cur->scope : NULL;
}

static bool poll_ready(struct ringo_case *c)
{
	struct pollfd p = { .fd = c->on.poll.fd, .events = (short)c->on.poll.events };

	if (rg_sys_poll(&p, 1) <= 0)
		return false;
	c->result = (unsigned short)p.revents;
	return true;
}

/* locked: all channels are. Descriptors were looked at just before, and will be waited for. */
static bool looks_ready(struct m *m, struct ringo_case *c, bool locked)
{
	switch (c->kind) {
	case RINGO__CASE_SEND:
		return c->on.chan && rg_chan_may_send(c->on.chan);
	case RINGO__CASE_RECV:
		return c->on.chan && rg_chan_may_recv(c->on.chan);
	case RINGO__CASE_TIMEOUT:
		return c->on.ns <= 0;
	case RINGO__CASE_POLL:
		return !locked && poll_ready(c);
	default:
		return rg_scope_err(scope_of(m, c)) != 0;
	}
}

/* 64 random bits. Most selects need none. */
static uint64_t chance(struct m *m)
{
	uint64_t seed;

	if (m && m->p)
		return rg_rand(&m->p->rand);
	seed = rg_cycles() | 1;
	return rg_rand(&seed);
}

static struct ringo_case *choose(struct m *m, struct select *s, bool locked)
{
	struct ringo_case *chosen = NULL;
	uint64_t ready = 0;

	for (size_t i = 0; i < s->pub.n; i++) {
		struct ringo_case *c = &s->pub.cases[i];

		if (state(c)->tried || !looks_ready(m, c, locked))
			continue;
		if (!ready++ || (chance(m) >> 32) * ready >> 32 == 0)
			chosen = c;
	}
	return chosen;
}

/* Let a case happen whose channel, if it has one, is locked. False: it would have to wait. */
static bool happen(struct m *m, struct ringo_case *c, struct g **woken)
{
	switch (c->kind) {
	case RINGO__CASE_SEND:
		c->result = rg_chan_send_now(c->on.chan, c->elem, woken);
		return c->result != -EAGAIN;
	case RINGO__CASE_RECV:
		c->result = rg_chan_recv_now(c->on.chan, c->elem, woken);
		return c->result != -EAGAIN;
	case RINGO__CASE_TIMEOUT:
		c->result = 0;
		return true;
	case RINGO__CASE_POLL: /* the look has left the events */
		return true;
	default:
		c->result = rg_scope_err(scope_of(m, c));
		return true;
	}
}

/* A waiter is told what its own call returns: the other end of what happened to us. */
static void ready_peer(struct m *m, const struct ringo_case *c, struct g *woken)
{
	if (woken)
		rg_ready(m, woken, c->kind == RINGO__CASE_SEND);
}

/* Step 0. */
static int try_unlocked(struct m *m, struct select *s)
{
	struct ringo_case *c;

	for (size_t i = 0; i < s->pub.n; i++)
		state(&s->pub.cases[i])->tried = false;
	while ((c = choose(m, s, false))) {
		struct g *woken = NULL;
		bool done;

		if (on_channel(c))
			rg_lock(&c->on.chan->lock);
		done = happen(m, c, &woken);
		if (on_channel(c))
			rg_unlock(&c->on.chan->lock);
		ready_peer(m, c, woken);
		if (done)
			return (int)(c - s->pub.cases);
		state(c)->tried = true;
	}
	return NONE;
}

/* Cases of one channel are queued there in an order left to chance. */
static bool goes_first(struct m *m, const struct ringo_case *a, const struct ringo_case *b)
{
	if (a->on.chan != b->on.chan)
		return a->on.chan < b->on.chan;
	return chance(m) >> 63;
}

static struct ringo_case *merge(struct m *m, struct ringo_case *a, struct ringo_case *b)
{
	struct ringo_case *head, **at = &head;

	while (a && b) {
		struct ringo_case **least = goes_first(m, a, b) ? &a : &b;

		*at = *least;
		at = &state(*least)->next;
		*least = *at;
	}
	*at = a ? a : b;
	return head;
}

/* By insertion, from the end, so that what is in order already costs one look a case. */
static struct ringo_case *sort_few(struct m *m, struct select *s)
{
	struct ringo_case *all = NULL;

	for (size_t i = s->pub.n; i-- > 0;) {
		struct ringo_case *c = &s->pub.cases[i], **at = &all;

		state(c)->tried = false;
		if (!on_channel(c))
			continue;
		while (*at && !goes_first(m, c, *at))
			at = &state(*at)->next;
		state(c)->next = *at;
		*at = c;
	}
	return all;
}

/* Lists of 2^i in bins[i], merged as they come. */
static struct ringo_case *sort_many(struct m *m, struct select *s)
{
	struct ringo_case *bins[32], *all = NULL;
	unsigned used = 0; /* those beyond are not set */

	for (size_t i = 0; i < s->pub.n; i++) {
		struct ringo_case *c = &s->pub.cases[i];
		unsigned b = 0;

		state(c)->tried = false;
		if (!on_channel(c))
			continue;
		state(c)->next = NULL;
		for (; b < used && bins[b]; b++) {
			c = merge(m, bins[b], c);
			bins[b] = NULL;
		}
		bins[b] = c;
		used = rg_max(used, b + 1);
	}
	for (unsigned b = 0; b < used; b++)
		all = merge(m, bins[b], all);
	return all;
}

/* The first case of the channel after that of c. */
static struct ringo_case *next_channel(struct ringo_case *c)
{
	struct ringo_case *next = state(c)->next;

	while (next && next->on.chan == c->on.chan)
		next = state(next)->next;
	return next;
}

/* The channel cases are sorted by address. */
static void lock_all(struct m *m, struct select *s)
{
	s->order = s->pub.n <= FEW ? sort_few(m, s) : sort_many(m, s);
	for (struct ringo_case *c = s->order; c; c = next_channel(c))
		rg_lock(&c->on.chan->lock);
}

/* Past the last unlock neither s nor a case may be touched: see the head. */
static void unlock_all(struct select *s)
{
	struct ringo_case *c = s->order;

	while (c) {
		struct ringo_case *next = next_channel(c);

		rg_unlock(&c->on.chan->lock);
		c = next;
	}
}

/* Step 1. The channels stay locked if it was in vain. */
static int try_locked(struct m *m, struct select *s)
{
	struct ringo_case *c;

	lock_all(m, s);
	while ((c = choose(m, s, true))) {
		struct g *woken = NULL;

		if (happen(m, c, &woken)) {
			unlock_all(s);
			ready_peer(m, c, woken);
			return (int)(c - s->pub.cases);
		}
		state(c)->tried = true;
	}
	return NONE;
}

/* Events asked of this descriptor in all cases up to and including this one. */
static uint32_t events_of(const struct select *s, const struct ringo_case *last)
{
	uint32_t events = 0;

	for (const struct ringo_case *c = s->pub.cases; c <= last; c++)
		if (c->kind == RINGO__CASE_POLL && c->on.poll.fd == last->on.poll.fd)
			events |= (uint32_t)c->on.poll.events;
	return events;
}

/* What cannot be added will be told by the next look: closed meanwhile, or never ready for this. */
static int add_descriptors(struct m *m, struct select *s)
{
	int res = rg_hub_begin(m, &s->hub);

	if (res)
		return res;
	for (struct ringo_case *c = s->pub.cases; c < s->pub.cases + s->pub.n; c++) {
		if (c->kind != RINGO__CASE_POLL || c->on.poll.fd < 0)
			continue;
		res = rg_hub_add(&s->hub, c->on.poll.fd, (uint32_t)c->on.poll.events);
		if (res == -EEXIST)
			res = rg_hub_change(&s->hub, c->on.poll.fd, events_of(s, c));
		if (res && res != -EPERM)
			break;
		res = 0;
	}
	if (res)
		rg_hub_end(&s->hub);
	return res;
}

static void enqueue(struct m *m, struct select *s)
{
	for (struct ringo_case *c = s->order; c; c = state(c)->next) {
		struct ringo_chan *chan = c->on.chan;
		struct rg_waiter *w = &state(c)->waiter;

		*w = (struct rg_waiter){ .g = m->cur, .elem = c->elem, .claim = true };
		rg_chan_freshen(chan);
		rg_waitq_push(c->kind == RINGO__CASE_SEND ? &chan->senders : &chan->receivers, w);
	}
}

static void dequeue(struct ringo_case *c)
{
	struct ringo_chan *chan = c->on.chan;

	rg_waitq_remove(c->kind == RINGO__CASE_SEND ? &chan->senders : &chan->receivers, &state(c)->waiter);
}

/* False: a context is over already. */
static bool hang_nodes(struct m *m, struct select *s)
{
	bool none_over = true;

	for (struct ringo_case *c = s->pub.cases; c < s->pub.cases + s->pub.n; c++) {
		struct rg_node *n = &state(c)->node;
		struct rg_scope *scope;

		if (c->kind != RINGO__CASE_DONE)
			continue;
		*n = (struct rg_node){ .g = m->cur, .kind = RG_NODE_WAITER };
		scope = scope_of(m, c);
		if (scope && !rg_scope_add(scope, n))
			none_over = false;
	}
	return none_over;
}

static void take_nodes(struct select *s)
{
	for (struct ringo_case *c = s->pub.cases; c < s->pub.cases + s->pub.n; c++)
		if (c->kind == RINGO__CASE_DONE)
			rg_scope_remove(&state(c)->node);
}

/* Take what is still queued off the channels; the one case that is not has happened. */
static struct ringo_case *dequeue_others(struct select *s)
{
	struct ringo_case *happened = NULL;

	for (struct ringo_case *c = s->order; c; c = state(c)->next) {
		if (!state(c)->waiter.queued) {
			happened = c;
			continue;
		}
		rg_lock(&c->on.chan->lock);
		dequeue(c);
		rg_unlock(&c->on.chan->lock);
	}
	return happened;
}

static void post(struct m *m, void *arg)
{
	struct select *s = arg;
	bool polls = s->polls;

	(void)m;
	unlock_all(s);
	if (polls)
		rg_hub_publish(&s->hub);
}

/* A context that is over: the index of its case. */
static int context_over(struct m *m, struct select *s)
{
	for (size_t i = 0; i < s->pub.n; i++) {
		struct ringo_case *c = &s->pub.cases[i];

		if (c->kind == RINGO__CASE_DONE && looks_ready(m, c, true)) {
			happen(m, c, NULL);
			return (int)i;
		}
	}
	return NONE;
}

/* What comes of a wait, or of one that could not begin, that no channel ended. NONE: look again. */
static int ended(struct m *m, struct select *s, int64_t res)
{
	const struct g *g = m->cur;
	int over = res == RG_SCOPE_DONE || rg_scope_err(g->scope) ? context_over(m, s) : NONE;

	if (over != NONE || res == RG_HUB_READY)
		return over;
	if (res == -ETIMEDOUT && s->until <= rg_now() && (!g->deadline || s->until <= g->deadline)) {
		happen(m, s->timeout, NULL);
		return (int)(s->timeout - s->pub.cases);
	}
	return (int)res;
}

/* Step 2, with all channels locked. */
static int wait(struct m *m, struct select *s)
{
	struct g *g = m->cur;
	uint32_t wake = rg_load_relaxed(&g->wake) + 1;
	struct ringo_case *happened;
	int64_t res = rg_wait_begin_any(m, g, s->until);

	if (res < 0) {
		unlock_all(s);
		return ended(m, s, res);
	}
	enqueue(m, s);
	if (!hang_nodes(m, s) && rg_claim(g)) {
		/* We have won ourselves. Otherwise somebody else has, and will ready us. */
		for (struct ringo_case *c = s->order; c; c = state(c)->next)
			dequeue(c);
		unlock_all(s);
		take_nodes(s);
		return ended(m, s, RG_SCOPE_DONE);
	}
	if (s->polls)
		rg_hub_expect(&s->hub, g, wake);
	/* Without either, whoever wins us may do so before post, which reads our frame. See tests/model. */
	res = rg_park(m, RG_WHY_SELECT, s->pub.n ? &s->pub : NULL, s->order || s->polls ? post : NULL, s);
	happened = dequeue_others(s);
	take_nodes(s);
	if (!happened)
		return ended(rg_m(), s, res);
	happened->result = (int)res;
	return (int)(happened - s->pub.cases);
}

static int try_locked_and_wait(struct m *m, struct select *s)
{
	int res = s->polls ? add_descriptors(m, s) : 0;

	if (res == -EBADF)
		return NONE; /* bad since the last look: let the next one say so */
	if (res)
		return res;
	res = try_locked(m, s);
	if (res == NONE)
		res = wait(m, s);
	if (s->polls)
		rg_hub_end(&s->hub);
	return res;
}

/* What the cases are, before anything happens: 0, or -EINVAL. */
static int begin(struct select *s, struct ringo_case *cases, size_t n)
{
	const struct ringo_chan *first = NULL;

	/* The hub's part is large, and set when it is used. */
	s->pub.cases = cases;
	s->pub.n = n;
	s->several = s->polls = false;
	s->until = INT64_MAX;
	s->timeout = NULL;
	for (struct ringo_case *c = cases; c < cases + n; c++) {
		if (c->kind < RINGO__CASE_SEND || c->kind > RINGO__CASE_DONE)
			return -EINVAL;
		if (c->kind == RINGO__CASE_POLL)
			s->polls = true;
		if (c->kind == RINGO__CASE_TIMEOUT && (!s->timeout || c->on.ns < s->timeout->on.ns))
			s->timeout = c;
		if (!on_channel(c))
			continue;
		s->several |= first && first != c->on.chan;
		first = c->on.chan;
	}
	return 0;
}

static int select_wait(struct select *s)
{
	int res;

	if (s->timeout)
		s->until = rg_time_add(rg_now(), s->timeout->on.ns);
	do {
		res = try_locked_and_wait(rg_m(), s);
		if (res == NONE)
			res = try_unlocked(rg_m(), s);
	} while (res == NONE);
	return res;
}

static int select_try(struct m *m, struct select *s)
{
	int res;

	if (!s->several)
		return NONE;
	res = try_locked(m, s);
	if (res == NONE)
		unlock_all(s);
	return res;
}

RG_API int ringo_select(struct ringo_case *cases, size_t n)
{
	struct select s;
	int res;
	struct m *m = rg_enter_w();

	res = m ? 0 : rg_foreign_enter();
	if (res)
		return res;
	res = begin(&s, cases, n);
	if (!res)
		res = try_unlocked(m, &s);
	if (m) {
		if (res == NONE)
			res = select_wait(&s);
		rg_leave(rg_m());
		return res;
	}
	if (res == NONE)
		res = select_try(NULL, &s);
	rg_foreign_leave();
	return res == NONE ? -EPERM : res;
}

RG_API int (ringo_try_select)(struct ringo_case *cases, size_t n)
{
	struct select s;
	struct m *m = rg_enter();
	int res = m ? 0 : rg_foreign_enter();

	if (res)
		return res;
	res = begin(&s, cases, n);
	if (!res)
		res = try_unlocked(m, &s);
	if (res == NONE)
		res = select_try(m, &s);
	if (m)
		rg_leave(m);
	else
		rg_foreign_leave();
	return res;
}
