// SPDX-License-Identifier: MIT
/*
 * The simulated back end: a ring per M whose operations end at times, in an order and with faults that the
 * seed chooses. Byte streams in memory take the place of sockets: read, write, recv, send and poll work on
 * them; any other operation fails with -EINVAL.
 *
 * An operation is due some time after it was submitted. Then it is tried; one that would wait is tried
 * again later. A cancel ends it, or comes too late.
 */
#include "ring/sim.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sim.h"
#include "core/gate.h"
#include "core/poller.h"
#include "ring/op.h"

enum { FIRST_FD = 1 << 28, MAX_STREAMS = 64, CAPACITY = 100, DELAY = 20000 };

struct stream { /* what the other end has written and this end has not read */
	bool used, ended;
	unsigned head, len;
	char buf[CAPACITY];
};

struct pending {
	struct pending *next;
	struct io_uring_sqe sqe;
	int64_t due;
	bool ended; /* by a cancel, with res: -ECANCELED, or what had come of it by then */
	int res;
};

struct ring {
	struct p *p;
	struct ring *next;
	struct pending *ops;
	bool woken;
};

static struct stream streams[MAX_STREAMS];
static struct ring *rings;

int rg_sim_stream(int fds[2])
{
	for (int i = 0; i + 1 < MAX_STREAMS; i += 2) {
		if (streams[i].used)
			continue;
		memset(&streams[i], 0, 2 * sizeof(streams[i]));
		streams[i].used = streams[i + 1].used = true;
		fds[0] = FIRST_FD + i;
		fds[1] = FIRST_FD + i + 1;
		return 0;
	}
	return -EMFILE;
}

static struct stream *incoming(int fd)
{
	int i = fd - FIRST_FD;

	return i >= 0 && i < MAX_STREAMS && streams[i].used ? &streams[i] : NULL;
}

static struct stream *outgoing(int fd)
{
	return incoming(((fd - FIRST_FD) ^ 1) + FIRST_FD);
}

void rg_sim_stream_close(int fd)
{
	outgoing(fd)->ended = true;
	incoming(fd)->ended = true;
}

unsigned rg_sim_ring_reset(void)
{
	unsigned left = rg_sim_fds_reset();

	for (struct ring *r = rings; r; r = r->next)
		for (struct pending *p = r->ops; p; p = p->next)
			left++;
	memset(streams, 0, sizeof(streams));
	return left;
}

static unsigned some_of(unsigned n)
{
	return n > 1 && rg_sim_chance(rg_sim_faults()->short_io) ? 1 + (unsigned)(rg_sim_rand() % n) : n;
}

static int do_read(struct stream *s, char *buf, unsigned n)
{
	n = rg_min(n, s->len);
	if (!n)
		return s->ended ? 0 : -EAGAIN;
	n = some_of(n);
	for (unsigned i = 0; i < n; i++)
		buf[i] = s->buf[(s->head + i) % CAPACITY];
	s->head = (s->head + n) % CAPACITY;
	s->len -= n;
	return (int)n;
}

static int do_write(struct stream *s, const char *buf, unsigned n)
{
	if (s->ended)
		return -EPIPE;
	n = rg_min(n, CAPACITY - s->len);
	if (!n)
		return -EAGAIN;
	n = some_of(n);
	for (unsigned i = 0; i < n; i++)
		s->buf[(s->head + s->len + i) % CAPACITY] = buf[i];
	s->len += n;
	return (int)n;
}

int rg_sim_stream_poll(int fd, unsigned events)
{
	const struct stream *in = incoming(fd), *out = outgoing(fd);
	unsigned revents = 0;

	if (!in)
		return -EBADF;
	if (in->len || in->ended)
		revents |= POLLIN;
	if (out->len < CAPACITY || out->ended)
		revents |= POLLOUT;
	return (int)(revents & events);
}

static int do_poll(int fd, unsigned events)
{
	int res = rg_sim_poll(fd, events);

	return res ? res : -EAGAIN;
}

/* The result, or -EAGAIN: it waits. */
static int attempt(const struct io_uring_sqe *sqe)
{
	if (sqe->opcode == IORING_OP_NOP)
		return 0;
	if (sqe->opcode == IORING_OP_POLL_ADD)
		return do_poll(sqe->fd, sqe->poll32_events);
	if (!incoming(sqe->fd))
		return -EBADF;
	switch (sqe->opcode) {
	case IORING_OP_READ:
	case IORING_OP_RECV:
		return do_read(incoming(sqe->fd), (char *)(uintptr_t)sqe->addr, sqe->len);
	case IORING_OP_WRITE:
	case IORING_OP_SEND:
		return do_write(outgoing(sqe->fd), (const char *)(uintptr_t)sqe->addr, sqe->len);
	default:
		return -EINVAL;
	}
}

static bool is_io(const struct pending *p)
{
	return p->sqe.opcode != IORING_OP_NOP && p->sqe.opcode != IORING_OP_POLL_ADD;
}

/* True and *res: it has ended. */
static bool try_op(struct pending *p, int *res)
{
	if (p->ended) {
		*res = p->res;
		return true;
	}
	if (p->due > rg_now())
		return false;
	if (is_io(p) && rg_sim_chance(rg_sim_faults()->eintr)) {
		*res = -EINTR;
		return true;
	}
	*res = attempt(&p->sqe);
	if (*res != -EAGAIN)
		return true;
	if (is_io(p) && rg_sim_chance(rg_sim_faults()->eagain))
		return true;
	p->due = rg_now() + 1 + (int64_t)(rg_sim_rand() % DELAY);
	return false;
}

static bool op_possible(const struct pending *p)
{
	struct io_uring_sqe sqe = p->sqe;
	const struct stream *in = incoming(sqe.fd), *out = outgoing(sqe.fd);

	if (p->ended || sqe.opcode == IORING_OP_NOP)
		return true;
	if (sqe.opcode == IORING_OP_POLL_ADD)
		return do_poll(sqe.fd, sqe.poll32_events) != -EAGAIN;
	if (!in)
		return true;
	switch (sqe.opcode) {
	case IORING_OP_READ:
	case IORING_OP_RECV:
		return in->len || in->ended;
	case IORING_OP_WRITE:
	case IORING_OP_SEND:
		return out->len < CAPACITY || out->ended;
	default:
		return true;
	}
}

/* When does some ring have something to say? Operations that wait for others say nothing. */
static int64_t next_event(void)
{
	int64_t next = INT64_MAX;

	for (struct ring *r = rings; r; r = r->next)
		for (struct pending *p = r->ops; p; p = p->next)
			if (op_possible(p))
				next = rg_min(next, p->ended ? rg_now() : p->due);
	return next;
}

static int sim_init(struct p *p)
{
	struct ring *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->p = p;
	r->next = rings;
	rings = r;
	p->io = r;
	rg_sim_next_event = next_event;
	return 0;
}

static void sim_fini(struct p *p)
{
	struct ring **at = &rings;

	while (*at && *at != p->io)
		at = &(*at)->next;
	if (*at)
		*at = (*at)->next;
	free(p->io);
	p->io = NULL;
}

static void sim_submit(struct m *m)
{
	struct ring *r = m->p->io;
	struct p *p = m->p;

	for (uint32_t i = 0; i < p->nstage; i++) {
		struct g *g = p->stage[i];
		struct pending *o = calloc(1, sizeof(*o));

		if (!o)
			rg_fatal("simulation: out of memory");
		o->sqe = g->op->sqe;
		o->sqe.user_data = rg_op_user_data(g);
		o->due = rg_now() + (int64_t)(rg_sim_rand() % DELAY);
		o->next = r->ops;
		r->ops = o;
		rg_store_relaxed(&g->op_staged, 0);
		rg_count(&p->count.ops, 1);
	}
	p->nstage = 0;
	rg_step_aside(m);
	rg_sim_point();
	rg_step_in(m);
}

static unsigned sim_reap(struct m *m)
{
	struct ring *r = m->p->io;
	struct pending **at = &r->ops;
	unsigned n = 0;

	while (*at) {
		struct pending *o = *at;
		struct g *g;
		int res;

		if (rg_sim_chance(rg_sim_faults()->overflow) || !try_op(o, &res)) {
			at = &o->next;
			continue;
		}
		*at = o->next;
		g = rg_op_find(o->sqe.user_data);
		if (!g)
			rg_fatal("simulation: a completion without its operation");
		free(o);
		rg_op_done(m, g, res);
		n++;
	}
	return n;
}

static bool wait_over(void *arg)
{
	struct ring *r = arg;

	if (r->woken)
		return true;
	for (struct pending *p = r->ops; p; p = p->next)
		if (p->ended || (p->due <= rg_now() && op_possible(p)))
			return true;
	return false;
}

static void sim_wait(struct m *m, int64_t until)
{
	struct ring *r = m->p->io;

	sim_submit(m);
	rg_step_aside(m);
	if (!rg_sim_chance(rg_sim_faults()->spurious))
		rg_sim_block(wait_over, r, until);
	r->woken = false;
	rg_step_in(m);
}

static void sim_wake(struct p *target)
{
	((struct ring *)target->io)->woken = true;
	rg_sim_point();
}

static void sim_cancel(struct m *m, struct g *g)
{
	struct ring *r = m->p->io;

	if (rg_op_unstage(m, g)) {
		rg_op_done(m, g, -ECANCELED);
		return;
	}
	for (struct pending *p = r->ops; p; p = p->next) {
		if (p->sqe.user_data != rg_op_user_data(g))
			continue;
		if (p->ended)
			return;
		/* Too late: it has just ended by itself. */
		p->res = rg_sim_chance(rg_sim_faults()->late_cancel) ? attempt(&p->sqe) : -EAGAIN;
		if (p->res == -EAGAIN)
			p->res = -ECANCELED;
		p->ended = true;
		return;
	}
	rg_fatal("simulation: cancel of an operation that is nowhere");
}

static bool sim_drain(struct m *m, int64_t deadline)
{
	struct ring *r = m->p->io;

	(void)deadline;
	m->p->nstage = 0;
	while (r->ops) {
		for (struct pending *p = r->ops; p; p = p->next) {
			if (!p->ended)
				p->res = -ECANCELED;
			p->ended = true;
		}
		sim_reap(m);
	}
	return true;
}

static void sim_adopt(struct m *m)
{
	((struct ring *)m->p->io)->woken = true;
}

static bool sim_behind(const struct p *p)
{
	(void)p;
	return false;
}

static void sim_child(struct p *p)
{
	(void)p;
}

static const struct rg_poller sim = {
	.name = "simulation",
	.init = sim_init,
	.adopt = sim_adopt,
	.behind = sim_behind,
	.fini = sim_fini,
	.submit = sim_submit,
	.reap = sim_reap,
	.wait = sim_wait,
	.wake = sim_wake,
	.cancel = sim_cancel,
	.drain = sim_drain,
	.child = sim_child,
};

const struct rg_poller *rg_poller_choose(void)
{
	return &sim;
}
