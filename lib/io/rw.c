// SPDX-License-Identifier: MIT
/*
 * Reading and writing.
 *
 * Pipes, sockets, devices, and files at a given offset: one ring operation. What may be a socket is tried
 * as one first (fdkind.h).
 *
 * Files at their current position are not left to the ring. It moves the position without the lock of
 * read(2) and write(2), so that lines of two goroutines overwrite each other, and after a short write (disk
 * full) not at all, so that the next one overwrites what was written. The system call keeps the position
 * right for everybody who shares it. It is tried in place, if it need not wait; else it goes to the pool.
 *
 * What has no offsets is an error for the p-calls, but the ring takes no notice there, so they look first.
 */
#include <errno.h>
#include <ringo/io.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "io/call.h"
#include "io/fdkind.h"
#include "io/pool.h"
#include "io/signal.h"
#include "io/socket.h"
#include "io/sys.h"

uint8_t rg_fd_no_socket[RG_FDKIND_MAX];

/* In an SQE: from the current position. */
#define POSITION ((__u64)-1)

struct transfer {
	int fd;
	bool out;
	bool single; /* one buffer: iov is one of ours */
	const struct iovec *iov;
	int n;
};

/* Whether fd can seek, as lseek(2) says. That may wait for a read or write of the same file by another. */
static int look_for_offset(int fd)
{
	struct m *m = rg_m();
	int res;

	rg_step_out(m);
	res = rg_sys_seek_nowhere(fd);
	rg_step_in_w(m);
	return res;
}

/* Some descriptors (eventfd) claim to seek and have no position. */
static bool is_file(int fd)
{
	int mode;

	if (look_for_offset(fd))
		return false;
	mode = rg_sys_mode(fd);
	return mode >= 0 && (S_ISREG(mode) || S_ISBLK(mode));
}

static int file_job(void *arg)
{
	const struct transfer *t = arg;
	int res;

	do {
		res = rg_sys_transfer(t->fd, t->out, t->iov, t->n, true);
	} while (res == -EINTR);
	return res;
}

static int move_file(struct transfer *t)
{
	struct m *m = rg_m();
	int64_t deadline = m->cur->deadline;
	int err, res;

	if (deadline && deadline <= rg_now())
		return -ETIMEDOUT;
	rg_step_out(m);
	res = rg_sys_transfer(t->fd, t->out, t->iov, t->n, false);
	m = rg_step_in_w(m);
	if (res != -EAGAIN && res != -EOPNOTSUPP && res != -EINTR)
		return res;
	err = rg_pool_run(m, file_job, t, &res);
	return err ? err : res;
}

/* -ENOTSOCK: nothing done. */
static int move_socket(const struct transfer *t)
{
	struct rg_op op = { .keep = false };

	if (t->out)
		return rg_io_send(t->fd, t->iov->iov_base, t->iov->iov_len, 0);
	io_uring_prep_recv(&op.sqe, t->fd, t->iov->iov_base, t->iov->iov_len, 0);
	return rg_io_run(&op, POLLIN);
}

static int move_stream(const struct transfer *t)
{
	struct rg_op op = { .keep = false };
	unsigned len = t->single ? (unsigned)t->iov->iov_len : (unsigned)t->n;
	void *at = t->single ? t->iov->iov_base : (void *)t->iov;
	int code;

	if (t->out)
		code = t->single ? IORING_OP_WRITE : IORING_OP_WRITEV;
	else
		code = t->single ? IORING_OP_READ : IORING_OP_READV;
	io_uring_prep_rw(code, &op.sqe, t->fd, at, len, POSITION);
	return rg_io_run(&op, t->out ? POLLOUT : POLLIN);
}

/* Inside the gate. Of nothing, a socket is asked as a stream is: RECV of 0 bytes would wait. */
static int move(struct transfer *t)
{
	if (t->single && t->iov->iov_len && rg_fd_may_be_socket(t->fd)) {
		int res = move_socket(t);

		if (res != -ENOTSOCK)
			return res;
		rg_fd_is_no_socket(t->fd);
	}
	if (is_file(t->fd))
		return move_file(t);
	if (t->out)
		rg_sigpipe_quiet();
	return move_stream(t);
}

static int move_call(struct transfer *t)
{
	int res;
	struct m *m = rg_enter_g(&res);

	if (unlikely(!m))
		return res;
	res = move(t);
	rg_leave(rg_m());
	return res;
}

RG_API ssize_t ringo_read(int fd, void *buf, size_t n)
{
	const struct iovec iov = { .iov_base = buf, .iov_len = rg_io_len(n) };
	struct transfer t = { .fd = fd, .single = true, .iov = &iov, .n = 1 };

	return move_call(&t);
}

RG_API ssize_t ringo_write(int fd, const void *buf, size_t n)
{
	const struct iovec iov = { .iov_base = (void *)buf, .iov_len = rg_io_len(n) };
	struct transfer t = { .fd = fd, .out = true, .single = true, .iov = &iov, .n = 1 };

	return move_call(&t);
}

RG_API ssize_t ringo_readv(int fd, const struct iovec *iov, int n)
{
	struct transfer t = { .fd = fd, .iov = iov, .n = n };

	return move_call(&t);
}

RG_API ssize_t ringo_writev(int fd, const struct iovec *iov, int n)
{
	struct transfer t = { .fd = fd, .out = true, .iov = iov, .n = n };

	return move_call(&t);
}

/* Until all is moved, an error, or the end. */
static ssize_t move_all(int fd, char *buf, size_t n, bool out)
{
	size_t done = 0;
	int res;
	struct m *m = rg_enter_g(&res);

	if (unlikely(!m))
		return res;
	do {
		const struct iovec iov = { .iov_base = buf + done, .iov_len = rg_io_len(n - done) };
		struct transfer t = { .fd = fd, .out = out, .single = true, .iov = &iov, .n = 1 };

		res = move(&t);
		if (res > 0)
			done += (size_t)res;
	} while (res > 0 && done < n);
	rg_leave(rg_m());
	return done ? (ssize_t)done : res;
}

RG_API ssize_t ringo_write_all(int fd, const void *buf, size_t n)
{
	return move_all(fd, (char *)buf, n, true);
}

RG_API ssize_t ringo_read_full(int fd, void *buf, size_t n)
{
	return move_all(fd, buf, n, false);
}

static int check_offset(int fd, off_t off)
{
	int err;

	if (off < 0)
		return -EINVAL;
	err = look_for_offset(fd);
	/* Some devices cannot seek and take an offset all the same. */
	if (err == -ESPIPE)
		err = rg_sys_pread_nothing(fd, off) == -ESPIPE ? -ESPIPE : 0;
	return err;
}

static int call_at(struct rg_op *op, off_t off, short events)
{
	int err;
	struct m *m = rg_enter_g(&err);

	if (unlikely(!m))
		return err;
	err = check_offset(op->sqe.fd, off);
	if (!err)
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
