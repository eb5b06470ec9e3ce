// SPDX-License-Identifier: MIT
/*
 * The io_uring back end: one ring per P. Who holds the P, holds the ring.
 *
 * COOP_TASKRUN: completions are posted when the M enters the kernel anyway, without an interrupt; TASKRUN_FLAG
 * says in shared memory that some are pending. Not DEFER_TASKRUN: equal cost, but completions are stuck
 * while their M runs a long goroutine. Not SINGLE_ISSUER: a P and its ring go from one M to another. No
 * registered ring descriptor either: that would belong to one thread.
 *
 * Everything that is due goes to the kernel in one io_uring_enter per scheduler round. Around it the M is
 * outside the gate, since the call may block, and touches nothing of its P.
 *
 * Others wake a sleeping M through its eventfd, on which the ring keeps a multishot poll. One mechanism
 * serves Ms, pool threads and foreign threads on every kernel; MSG_RING costs the same (the IPI does) and
 * would need a second one for threads without a ring. The counter is never read: the poll fires per write.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/event.h"
#include "core/gate.h"
#include "core/poller.h"
#include "ring/op.h"

enum { SQ_ENTRIES = 128, CQ_ENTRIES = 4096, CQE_BATCH = 64 };

/* user_data of the ring's own operations: low half 0. The polls that wake it are numbered. */
#define DATA_CANCEL (UINT64_C(1) << 32)
#define DATA_WAKE(n) ((UINT64_C(2) + (n)) << 32)

#ifndef IORING_ASYNC_CANCEL_ANY
#define IORING_ASYNC_CANCEL_ANY (1U << 2)
#endif

struct uring {
	struct io_uring ring;
	int evfd;
	uint32_t inflight; /* goroutines' operations in the kernel */
	uint32_t wakes;    /* polls on evfd made so far: the last one counts */
	bool wake_armed;
	bool woken; /* a wake was reaped since the last wait, which the next one owes an answer */
};

/* Why there is no ring, in the user's words. */
static void explain(int err)
{
	FILE *f;
	int disabled = 0;

	switch (err) {
	case -ENOSYS:
		rg_warn("io_uring is not there: kernel 6.1 or newer is needed, built with CONFIG_IO_URING, "
			"and a container's seccomp profile may hide it");
		break;
	case -EPERM:
	case -EACCES:
		f = fopen("/proc/sys/kernel/io_uring_disabled", "re");
		if (f) {
			if (fscanf(f, "%d", &disabled) != 1)
				disabled = 0;
			fclose(f);
		}
		if (disabled)
			rg_warn("io_uring is forbidden here by sysctl kernel.io_uring_disabled=%d: set it to "
				"0%s", disabled, disabled == 1 ? ", or join kernel.io_uring_group" : "");
		else
			rg_warn("io_uring is forbidden here, probably by a container's seccomp profile: "
				"allow io_uring_setup, io_uring_enter and io_uring_register in it");
		break;
	case -EMFILE:
	case -ENFILE:
		rg_warn("no file descriptor left for a ring: raise the limit (ulimit -n; each P needs two)");
		break;
	case -ENOMEM:
		rg_warn("no memory for a ring: raise the memory limit of the cgroup or the limit of locked "
			"memory (ulimit -l), or ask for fewer Ps (RINGO_PROCS)");
		break;
	case -EINVAL:
		rg_warn("this kernel's io_uring is too old: 6.1 or newer is needed");
		break;
	default:
		rg_warn("cannot make a ring: %s", strerror(-err));
	}
}

static struct io_uring_sqe *get_sqe(struct uring *u)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

	if (unlikely(!sqe)) {
		io_uring_submit(&u->ring);
		sqe = io_uring_get_sqe(&u->ring);
	}
	return sqe;
}

static void arm_wake(struct uring *u)
{
	struct io_uring_sqe *sqe = get_sqe(u);

	if (!sqe)
		return;
	io_uring_prep_poll_multishot(sqe, u->evfd, POLLIN);
	sqe->user_data = DATA_WAKE(++u->wakes);
	u->wake_armed = true;
}

static int uring_init(struct p *p)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_CQSIZE |
			 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP,
		.cq_entries = CQ_ENTRIES,
	};
	struct uring *u = calloc(1, sizeof(*u));
	int err;

	if (!u)
		return -ENOMEM;
	u->evfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (u->evfd < 0) {
		err = -errno;
		goto free_u;
	}
	err = io_uring_queue_init_params(SQ_ENTRIES, &u->ring, &params);
	if (err)
		goto close_event;
	io_uring_ring_dontfork(&u->ring);
	p->io = u;
	arm_wake(u);
	return 0;

close_event:
	close(u->evfd);
free_u:
	free(u);
	explain(err);
	return err;
}

static void uring_fini(struct p *p)
{
	struct uring *u = p->io;

	if (!u)
		return;
	io_uring_queue_exit(&u->ring);
	close(u->evfd);
	free(u);
	p->io = NULL;
}

static void uring_child(struct p *p)
{
	struct uring *u = p->io;

	if (!u)
		return;
	close(u->ring.ring_fd);
	close(u->evfd);
	free(u);
	p->io = NULL;
}

static void dispatch(struct m *m, struct uring *u, const struct io_uring_cqe *cqe)
{
	struct g *g;

	if (!rg_op_is(cqe->user_data)) {
		if (cqe->user_data == DATA_CANCEL)
			return;
		u->woken = true;
		if (cqe->user_data == DATA_WAKE(u->wakes))
			u->wake_armed = cqe->flags & IORING_CQE_F_MORE;
		return;
	}
	u->inflight--;
	g = rg_op_find(cqe->user_data);
	if (g)
		rg_op_done(m, g, cqe->res);
}

static unsigned uring_reap(struct m *m)
{
	struct uring *u = m->p->io;
	struct io_uring_cqe *cqes[CQE_BATCH];
	unsigned total = 0, n;

	do {
		n = io_uring_peek_batch_cqe(&u->ring, cqes, CQE_BATCH);
		for (unsigned i = 0; i < n; i++)
			dispatch(m, u, cqes[i]);
		io_uring_cq_advance(&u->ring, n);
		total += n;
	} while (n == CQE_BATCH);
	if (unlikely(!u->wake_armed))
		arm_wake(u);
	return total;
}

/* Staged operations into the submission queue. */
static void fill(struct m *m, struct uring *u)
{
	struct p *p = m->p;

	for (uint32_t i = 0; i < p->nstage; i++) {
		struct g *g = p->stage[i];
		struct io_uring_sqe *sqe = get_sqe(u);

		if (!sqe) { /* the kernel takes none now: the rest stays staged */
			p->nstage -= i;
			memmove(p->stage, p->stage + i, p->nstage * sizeof(p->stage[0]));
			return;
		}
		*sqe = g->op->sqe;
		sqe->user_data = rg_op_user_data(g);
		RG_EVENT(op__submit, m, SUBMIT, g, sqe->opcode, sqe->fd);
		rg_store_relaxed(&g->op_by, (uint16_t)m->id);
		/* order: release; pairs with the acquire of a report's look (scan.c), which reads op_by after it */
		rg_store_release(&g->op_staged, 0);
		u->inflight++;
		rg_count(&p->count.ops, 1);
	}
	p->nstage = 0;
}

static bool events_pending(const struct uring *u)
{
	return IO_URING_READ_ONCE(*u->ring.sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

/*
 * What the former M submitted completes by task work of its thread. For operations that only takes longer
 * (sysmon kicks it); a wake must not wait for that, so we poll the eventfd ourselves.
 */
static void uring_adopt(struct m *m)
{
	struct uring *u = m->p->io;
	struct io_uring_sqe *sqe = get_sqe(u);

	if (sqe) {
		io_uring_prep_poll_remove(sqe, DATA_WAKE(u->wakes));
		sqe->user_data = DATA_CANCEL;
	}
	u->wake_armed = false;
	u->woken = true; /* one may be on its way through the former M */
	arm_wake(u);
}

static bool uring_behind(const struct p *p)
{
	return events_pending(p->io);
}

static void uring_submit(struct m *m)
{
	struct uring *u = m->p->io;

	fill(m, u);
	if (!io_uring_sq_ready(&u->ring) && !events_pending(u))
		return;
	rg_count(&m->p->count.enters, 1);
	rg_step_aside(m);
	/* What it does not take (EINTR, EBUSY for a full completion queue) is still ready next time. */
	io_uring_submit_and_get_events(&u->ring);
	rg_step_in(m);
}

/*
 * As io_uring_submit_and_wait_timeout, for valgrind: it runs one thread at a time and takes io_uring_enter(2)
 * for a call that does not block, so nobody else would run while we wait in it.
 */
static RG_COLD void wait_in_poll(struct uring *u, const struct timespec *ts)
{
	struct pollfd fd = { .fd = u->ring.ring_fd, .events = POLLIN };
	int saved = errno;

	io_uring_submit_and_get_events(&u->ring);
	ppoll(&fd, 1, ts, NULL);
	errno = saved;
}

static void uring_wait(struct m *m, int64_t until)
{
	struct uring *u = m->p->io;
	struct __kernel_timespec ts;
	struct io_uring_cqe *cqe;
	int64_t ns = 0;

	fill(m, u);
	if (until != INT64_MAX) {
		ns = until - rg_now();
		if (ns < 0)
			ns = 0;
		ts = (struct __kernel_timespec){ .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
	}
	if (u->woken) {
		u->woken = false;
		return; /* what is filled in goes with the next round, which is now */
	}
	rg_count(&m->p->count.enters, 1);
	rg_step_aside(m);
	if (unlikely(rg_arch_slow_gs))
		wait_in_poll(u, until == INT64_MAX ? NULL :
			     &(struct timespec){ .tv_sec = ts.tv_sec, .tv_nsec = ts.tv_nsec });
	else
		io_uring_submit_and_wait_timeout(&u->ring, &cqe, 1, until == INT64_MAX ? NULL : &ts,
						 NULL);
	rg_step_in(m);
}

static void uring_wake(struct p *target)
{
	struct uring *u = target->io;
	const uint64_t one = 1;
	ssize_t n;

	do {
		n = write(u->evfd, &one, sizeof(one));
	} while (n < 0 && errno == EINTR);
}

/* Without an SQE, when the kernel takes none now: a system call of its own, which does not wait. */
static RG_COLD void cancel_now(struct uring *u, uint64_t user_data)
{
	struct io_uring_sync_cancel_reg reg = { .addr = user_data };

	io_uring_register_sync_cancel(&u->ring, &reg);
}

/* The P of the timer is the one whose ring or stage has the operation. */
static void uring_cancel(struct m *m, struct g *g)
{
	struct uring *u = m->p->io;
	struct io_uring_sqe *sqe;

	if (rg_op_unstage(m, g)) {
		rg_op_done(m, g, -ECANCELED);
		return;
	}
	sqe = get_sqe(u);
	if (likely(sqe)) {
		io_uring_prep_cancel64(sqe, rg_op_user_data(g), 0);
		sqe->user_data = DATA_CANCEL;
	} else {
		cancel_now(u, rg_op_user_data(g));
	}
}

static bool uring_drain(struct m *m, int64_t deadline)
{
	struct uring *u = m->p->io;

	m->p->nstage = 0; /* never submitted */
	while (u->inflight) {
		struct io_uring_sqe *sqe;

		if (rg_now() >= deadline)
			return false;
		sqe = get_sqe(u);
		if (sqe) {
			io_uring_prep_cancel64(sqe, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
			sqe->user_data = DATA_CANCEL;
		}
		uring_wait(m, rg_time_add(rg_now(), 10000000));
		uring_reap(m);
	}
	return true;
}

static const struct rg_poller uring = {
	.name = "io_uring",
	.init = uring_init,
	.fini = uring_fini,
	.adopt = uring_adopt,
	.behind = uring_behind,
	.submit = uring_submit,
	.reap = uring_reap,
	.wait = uring_wait,
	.wake = uring_wake,
	.cancel = uring_cancel,
	.drain = uring_drain,
	.child = uring_child,
};

const struct rg_poller *rg_poller_choose(void)
{
	return &uring;
}
