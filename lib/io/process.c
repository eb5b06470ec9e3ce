// SPDX-License-Identifier: MIT
/*
 * waitpid. First without waiting; then wait until there is something to collect, and try again, because
 * another goroutine or thread may have been faster.
 *
 * One child that is to exit is waited for by its pidfd. For any other case the ring has an operation since
 * kernel 6.7; before, we look again and again, with pauses that grow to 26 ms.
 */
#include "io/process.h"

#include <errno.h>
#include <limits.h>
#include <ringo/io.h>
#include <sys/wait.h>

#include "io/call.h"
#include "io/own.h"
#include "io/sys.h"

enum { OP_WAITID = 50 }; /* IORING_OP_WAITID; liburing 2.3 does not know it */

uint32_t rg_no_waitid;

static int wait_pidfd(pid_t pid)
{
	int fd = rg_sys_pidfd(pid), res;
	struct rg_owned own;

	if (fd < 0)
		return fd;
	rg_own_fd(&own, fd);
	res = rg_io_poll(fd, POLLIN);
	rg_own_close(&own);
	return res;
}

static int wait_id(pid_t pid, int options)
{
	struct rg_op op = { .keep = false };
	idtype_t type = pid > 0 ? P_PID : pid == -1 ? P_ALL : P_PGID;

	/* Without a siginfo, and nothing is collected here. */
	options = (options & (WCONTINUED | __WALL | __WCLONE | __WNOTHREAD)) | WEXITED | WNOWAIT |
		  (options & WUNTRACED ? WSTOPPED : 0);
	io_uring_prep_rw(OP_WAITID, &op.sqe, pid < 0 ? -pid : pid, NULL, type, 0);
	op.sqe.file_index = (unsigned)options;
	return rg_io_run(&op, 0);
}

static bool exits_only(int options)
{
	return !(options & (WUNTRACED | WCONTINUED));
}

static int wait_child(pid_t pid, int options, unsigned tries)
{
	int res = -EINVAL;

	if (pid > 0 && exits_only(options))
		res = wait_pidfd(pid);
	if (res >= 0 || res == -ETIMEDOUT)
		return res;
	if (pid != INT_MIN && !rg_load_relaxed(&rg_no_waitid)) {
		res = wait_id(pid, options);
		if (res == -EINVAL)
			rg_store_relaxed(&rg_no_waitid, 1);
		else
			return res == -ECHILD ? 0 : res; /* the next look says it */
	}
	return rg_io_pause(tries + 3);
}

RG_API pid_t ringo_waitpid(pid_t pid, int *status, int options)
{
	int err;
	struct m *m = rg_enter_g(&err);

	if (!m)
		return err;
	for (unsigned tries = 0;; tries++) {
		err = rg_sys_waitpid(pid, status, options | WNOHANG);
		if (err || options & WNOHANG)
			break;
		err = wait_child(pid, options, tries);
		if (err < 0)
			break;
	}
	rg_leave(rg_m());
	return err;
}
