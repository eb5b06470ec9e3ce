// SPDX-License-Identifier: MIT
/*
 * splice. The kernel gives it to a worker thread, which would sleep there as long as it has to wait: with
 * many goroutines, many threads. So wait for both ends before, and let the splice itself not wait.
 */
#include <errno.h>
#include <ringo/io.h>

#include "io/call.h"
#include "io/sys.h"

/* In an SQE: no offset; and a flag that is the ring's own. */
#define NO_OFFSET INT64_C(-1)
#define FIXED_FD (1u << 31)

static int wait_ready(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return rg_sys_poll(&p, 1) ? 0 : rg_io_poll(fd, events);
}

static int splice_ready(int in, int64_t off_in, int out, int64_t off_out, size_t n, unsigned flags)
{
	for (unsigned tries = 0;; tries++) {
		struct rg_op op = { .keep = false };
		int res;

		io_uring_prep_splice(&op.sqe, in, off_in, out, off_out, rg_io_len(n),
				     flags | SPLICE_F_NONBLOCK);
		res = flags & SPLICE_F_NONBLOCK ? 0 : wait_ready(in, POLLIN);
		if (res >= 0 && !(flags & SPLICE_F_NONBLOCK))
			res = wait_ready(out, POLLOUT);
		if (res >= 0)
			res = rg_io_run(&op, 0);
		if (res != -EAGAIN || flags & SPLICE_F_NONBLOCK)
			return res;
		res = rg_io_pause(tries);
		if (res)
			return res;
	}
}

RG_API ssize_t ringo_splice(int in, off_t *off_in, int out, off_t *off_out, size_t n, unsigned flags)
{
	int64_t from = off_in ? *off_in : NO_OFFSET, to = off_out ? *off_out : NO_OFFSET;
	int err;
	struct m *m = rg_enter_g(&err);

	if (!m)
		return err;
	if (flags & FIXED_FD || (off_in && from < 0) || (off_out && to < 0))
		err = -EINVAL;
	else
		err = splice_ready(in, from, out, to, n, flags);
	rg_leave(rg_m());
	if (err > 0 && off_in)
		*off_in += err;
	if (err > 0 && off_out)
		*off_out += err;
	return err;
}
