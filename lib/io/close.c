// SPDX-License-Identifier: MIT
/*
 * Closing.
 *
 * A socket is closed directly, what may flush is closed by a worker thread of the kernel, and a socket that
 * lingers too. There the linger begins only after the operation has completed, so the caller would not be
 * held up; so it waits here before, until the peer has acknowledged everything or the time is over.
 * Shutting the socket down first would be more exact, but not if it has other descriptors.
 */
#include <errno.h>
#include <ringo/io.h>

#include "base/clock.h"
#include "io/call.h"
#include "io/fdkind.h"
#include "io/own.h"
#include "io/sys.h"

enum { FIRST_PAUSE = 3 };

static void wait_until_sent(int fd, int seconds)
{
	struct g *g = rg_m()->cur;
	int64_t until = rg_time_add(rg_now(), seconds * INT64_C(1000000000));
	int64_t deadline = g->deadline;
	struct rg_owned own;

	g->deadline = 0;
	rg_own_fd(&own, fd);
	for (unsigned i = FIRST_PAUSE; rg_sys_unsent(fd) > 0 && rg_now() < until; i++)
		if (rg_io_pause(i))
			break;
	rg_disown(&own);
	g->deadline = deadline;
}

static int close_directly(int fd)
{
	struct m *m = rg_m();
	int res;

	rg_step_out(m);
	res = rg_sys_close(fd);
	rg_step_in_w(m);
	return res;
}

static int close_by_worker(int fd)
{
	struct rg_op op = { .keep = true };
	int res;

	io_uring_prep_close(&op.sqe, fd);
	op.sqe.flags |= IOSQE_ASYNC;
	res = rg_op_run(rg_m(), &op);
	/* The kernel has no worker: then we hold up others, but it is closed. */
	return res == -ECANCELED ? close_directly(fd) : res;
}

static int close_inside(int fd)
{
	int seconds, lingers = rg_sys_lingers(fd, &seconds);

	/* On for no time means a reset, which waits for nothing. */
	if (lingers == 0 || (lingers > 0 && !seconds))
		return close_directly(fd);
	if (lingers > 0)
		wait_until_sent(fd, seconds);
	return close_by_worker(fd);
}

RG_API int ringo_close(int fd)
{
	struct m *m = rg_enter_w();
	int res;

	rg_fd_forget(fd);
	if (!m) {
		res = rg_sys_close(fd);
	} else {
		res = close_inside(fd);
		rg_leave(rg_m());
	}
	return rg_io_interrupted(res) ? 0 : res; /* Linux has closed it all the same */
}
