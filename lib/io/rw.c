// SPDX-License-Identifier: MIT
/*
 * Reading and writing. One operation each; write_all and read_full go on until all is done.
 *
 * The p-calls on a pipe or socket are an error in POSIX, but the ring takes no notice of the offset there,
 * so they look first.
 */
#include <errno.h>
#include <ringo/io.h>
#include <sys/socket.h>

#include "io/call.h"
#include "io/fdkind.h"
#include "io/signal.h"
#include "io/sys.h"

/* In a ring: from the current position. */
#define POSITION ((__u64)-1)

static bool seekable(int fd, off_t off, int *err)
{
	*err = -EINVAL;
	if (off < 0)
		return false;
	*err = rg_sys_seek_nowhere(fd);
	if (likely(!*err))
		return true;
	/* Some devices cannot seek and take an offset all the same. */
	if (*err == -ESPIPE)
		*err = rg_sys_pread_nothing(fd, off) == -ESPIPE ? -ESPIPE : 0;
	return !*err;
}

uint8_t rg_fd_no_socket[RG_FDKIND_MAX];

/* Inside the gate. Of nothing, a socket is asked as a file is: recv of 0 bytes would wait. */
static int read_some(int fd, void *buf, size_t n)
{
	struct rg_op op = { .keep = false };
	int res;

	if (n && rg_fd_may_be_socket(fd)) {
		io_uring_prep_recv(&op.sqe, fd, buf, rg_io_len(n), 0);
		res = rg_io_run(&op, POLLIN);
		if (res != -ENOTSOCK)
			return res;
		rg_fd_is_no_socket(fd);
	}
	io_uring_prep_read(&op.sqe, fd, buf, rg_io_len(n), POSITION);
	return rg_io_run(&op, POLLIN);
}

static int write_some(int fd, const void *buf, size_t n)
{
	struct rg_op op = { .keep = false };
	int res;

	if (n && rg_fd_may_be_socket(fd)) {
		io_uring_prep_send(&op.sqe, fd, buf, rg_io_len(n), MSG_NOSIGNAL);
		res = rg_io_run(&op, POLLOUT);
		if (res != -ENOTSOCK)
			return res;
		rg_fd_is_no_socket(fd);
	}
	rg_sigpipe_quiet();
	io_uring_prep_write(&op.sqe, fd, buf, rg_io_len(n), POSITION);
	return rg_io_run(&op, POLLOUT);
}

RG_API ssize_t ringo_read(int fd, void *buf, size_t n)
{
	int res;
	struct m *m = rg_enter_g(&res);

	if (unlikely(!m))
		return res;
	res = read_some(fd, buf, n);
	rg_leave(rg_m());
	return res;
}

RG_API ssize_t ringo_write(int fd, const void *buf, size_t n)
{
	int res;
	struct m *m = rg_enter_g(&res);

	if (unlikely(!m))
		return res;
	res = write_some(fd, buf, n);
	rg_leave(rg_m());
	return res;
}

RG_API ssize_t ringo_readv(int fd, const struct iovec *iov, int n)
{
	struct rg_op op = { .keep = false };

	io_uring_prep_readv(&op.sqe, fd, iov, (unsigned)n, POSITION);
	return rg_io_call(&op, POLLIN);
}

RG_API ssize_t ringo_writev(int fd, const struct iovec *iov, int n)
{
	struct rg_op op = { .keep = false };

	rg_sigpipe_quiet();
	io_uring_prep_writev(&op.sqe, fd, iov, (unsigned)n, POSITION);
	return rg_io_call(&op, POLLOUT);
}

/* A call at an offset: first whether the descriptor has one. */
static int call_at(struct rg_op *op, off_t off, short events)
{
	int err;
	struct m *m = rg_enter_g(&err);

	if (unlikely(!m))
		return err;
	if (seekable(op->sqe.fd, off, &err))
		err = rg_io_run(op, events);
	rg_leave(rg_m());
	return err;
}

RG_API ssize_t ringo_pread(int fd, void *buf, size_t n, off_t off)
{
	struct rg_op op = { .keep = false };

	io_uring_prep_read(&op.sqe, fd, buf, rg_io_len(n), (__u64)off);
	return call_at(&op, off, POLLIN);
}

RG_API ssize_t ringo_pwrite(int fd, const void *buf, size_t n, off_t off)
{
	struct rg_op op = { .keep = false };

	io_uring_prep_write(&op.sqe, fd, buf, rg_io_len(n), (__u64)off);
	return call_at(&op, off, POLLOUT);
}

RG_API ssize_t ringo_preadv(int fd, const struct iovec *iov, int n, off_t off)
{
	struct rg_op op = { .keep = false };

	io_uring_prep_readv(&op.sqe, fd, iov, (unsigned)n, (__u64)off);
	return call_at(&op, off, POLLIN);
}

RG_API ssize_t ringo_pwritev(int fd, const struct iovec *iov, int n, off_t off)
{
	struct rg_op op = { .keep = false };

	io_uring_prep_writev(&op.sqe, fd, iov, (unsigned)n, (__u64)off);
	return call_at(&op, off, POLLOUT);
}

RG_API ssize_t ringo_write_all(int fd, const void *buf, size_t n)
{
	const char *from = buf;
	size_t done = 0;
	int err, res = 0;
	struct m *m = rg_enter_g(&err);

	if (unlikely(!m))
		return err;
	do {
		res = write_some(fd, from + done, n - done);
		if (res > 0)
			done += (size_t)res;
	} while (res > 0 && done < n);
	rg_leave(rg_m());
	return done ? (ssize_t)done : res;
}

RG_API ssize_t ringo_read_full(int fd, void *buf, size_t n)
{
	char *to = buf;
	size_t done = 0;
	int err, res = 0;
	struct m *m = rg_enter_g(&err);

	if (unlikely(!m))
		return err;
	do {
		res = read_some(fd, to + done, n - done);
		if (res > 0)
			done += (size_t)res;
	} while (res > 0 && done < n);
	rg_leave(rg_m());
	return done ? (ssize_t)done : res;
}
