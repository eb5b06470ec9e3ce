// SPDX-License-Identifier: MIT
/*
 * Running operations: see call.h.
 *
 * The kernel waits for O_NONBLOCK descriptors as for others where it can poll them, but completes some
 * operations with -EAGAIN all the same: connect, files without asynchronous support, older kernels. So
 * -EAGAIN means: poll, and try again. Several goroutines may poll for one event, and a few kinds of
 * descriptors are called ready while they are not (unconnected datagram sockets); from the third try in
 * vain on there is a pause, so that this never becomes a busy loop.
 *
 * -EINTR and its raw forms come from the kernel's worker threads, also when the operation they run is
 * cancelled: nothing was transferred then, and the next try finds the deadline over. An operation that
 * needs a worker when none can be made (a limit, or signals that come too fast) ends with -ECANCELED.
 */
#include "io/call.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/park.h"
#include "io/sys.h"

enum { TRIES_FREE = 3, PAUSE_MAX_SHIFT = 8, WORKER_TRIES = 8 };

int rg_io_poll(int fd, short events)
{
	struct rg_op op = { .keep = false };
	int res;

	io_uring_prep_poll_add(&op.sqe, fd, (unsigned short)events);
	do {
		res = rg_op_run(rg_m(), &op);
	} while (rg_io_interrupted(res));
	return res;
}

int rg_io_pause(unsigned tries)
{
	struct m *m = rg_m();
	int64_t ns = INT64_C(100000);
	int64_t until;
	int err;

	if (tries < TRIES_FREE)
		return 0;
	ns <<= rg_min(tries - TRIES_FREE, (unsigned)PAUSE_MAX_SHIFT);
	until = rg_time_add(rg_now(), ns);
	err = rg_wait_begin_until(m, m->cur, until);
	if (err < 0)
		return err;
	rg_park(m, RG_WHY_IO, NULL, NULL, NULL);
	return rg_ambient_err(rg_m()->cur);
}

static int wait_ready(const struct rg_op *op, short events, unsigned tries)
{
	int res = rg_io_poll(op->sqe.fd, events);

	return res < 0 ? res : rg_io_pause(tries);
}

static void tell_no_worker(void)
{
	static uint32_t told;

	/* order: full; pairs with itself: one of us says it */
	if (!rg_xchg_full(&told, 1))
		rg_warn("the kernel cannot make a worker thread for an operation: the limit of processes "
			"(ulimit -u) or of the cgroup (pids.max) is reached");
}

/* Cancelled, and not by us. A timerfd says so when the clock was set; all else had no worker. */
static int not_run(const struct rg_op *op, unsigned tries)
{
	bool read = op->sqe.opcode == IORING_OP_READ || op->sqe.opcode == IORING_OP_READV;

	if (read && rg_sys_is_timerfd(op->sqe.fd))
		return -ECANCELED;
	if (tries < WORKER_TRIES)
		return rg_io_pause(TRIES_FREE + tries);
	tell_no_worker();
	return -EAGAIN;
}

/* What comes of a failure: 0 to try again. */
static RG_COLD int failed(const struct rg_op *op, int res, short events, unsigned tries)
{
	if (res == -EAGAIN && events)
		res = wait_ready(op, events, tries);
	else if (res == -ECANCELED)
		res = not_run(op, tries);
	return rg_io_interrupted(res) ? 0 : res;
}

int rg_io_run(struct rg_op *op, short events)
{
	int res;

	for (unsigned tries = 0;; tries++) {
		res = rg_op_run(rg_m(), op);
		if (likely(res >= 0))
			return res;
		res = failed(op, res, events, tries);
		if (res)
			return res;
	}
}

int rg_io_call(struct rg_op *op, short events)
{
	int err;
	struct m *m = rg_enter_g(&err);

	if (unlikely(!m))
		return err;
	err = rg_io_run(op, events);
	rg_leave(rg_m());
	return err;
}
