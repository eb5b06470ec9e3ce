// SPDX-License-Identifier: MIT
/*
 * Files: opening them, and what is done to them by name or as a whole.
 *
 * Opening is given to the kernel's workers at once: tried in place, it opens a FIFO without waiting for the
 * other end.
 */
#include <errno.h>
#include <ringo/io.h>
#include <stdarg.h>

#include "io/call.h"
#include "io/fdkind.h"
#include "io/pool.h"
#include "io/sys.h"

static int open_at(int dir, const char *path, int flags, mode_t mode)
{
	struct rg_op op = { .keep = false };
	int fd;

	io_uring_prep_openat(&op.sqe, dir, path, flags | O_CLOEXEC, mode);
	op.sqe.flags |= IOSQE_ASYNC;
	fd = rg_io_call(&op, 0);
	rg_fd_is_no_socket(fd);
	return fd;
}

static bool has_mode(int flags)
{
	return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;
}

RG_API int ringo_open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	va_start(ap, flags);
	if (has_mode(flags))
		mode = va_arg(ap, mode_t);
	va_end(ap);
	return open_at(AT_FDCWD, path, flags, mode);
}

RG_API int ringo_openat(int dir, const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	va_start(ap, flags);
	if (has_mode(flags))
		mode = va_arg(ap, mode_t);
	va_end(ap);
	return open_at(dir, path, flags, mode);
}

RG_API int ringo_fsync(int fd)
{
	struct rg_op op = { .keep = false };

	io_uring_prep_fsync(&op.sqe, fd, 0);
	return rg_io_call(&op, 0);
}

RG_API int ringo_fdatasync(int fd)
{
	struct rg_op op = { .keep = false };

	io_uring_prep_fsync(&op.sqe, fd, IORING_FSYNC_DATASYNC);
	return rg_io_call(&op, 0);
}

RG_API int ringo_fallocate(int fd, int mode, off_t off, off_t len)
{
	struct rg_op op = { .keep = false };

	io_uring_prep_fallocate(&op.sqe, fd, mode, off, len);
	return rg_io_call(&op, 0);
}

struct truncation {
	int fd;
	off_t len;
};

static int truncate_job(void *arg)
{
	const struct truncation *t = arg;
	int res;

	do {
		res = rg_sys_ftruncate(t->fd, t->len);
	} while (res == -EINTR);
	return res;
}

RG_API int ringo_ftruncate(int fd, off_t len)
{
	struct truncation t = { .fd = fd, .len = len };
	int err, res = 0;
	struct m *m = rg_enter_g(&err);

	if (!m)
		return err;
	err = rg_pool_run(m, truncate_job, &t, &res);
	rg_leave(rg_m());
	return err ? err : res;
}

RG_API int ringo_statx(int dir, const char *path, int flags, unsigned mask, struct statx *buf)
{
	struct rg_op op = { .keep = false };

	io_uring_prep_statx(&op.sqe, dir, path, flags, mask, buf);
	return rg_io_call(&op, 0);
}

RG_API int ringo_rename(const char *from, const char *to)
{
	struct rg_op op = { .keep = false };

	io_uring_prep_renameat(&op.sqe, AT_FDCWD, from, AT_FDCWD, to, 0);
	return rg_io_call(&op, 0);
}

RG_API int ringo_unlink(const char *path)
{
	struct rg_op op = { .keep = false };

	io_uring_prep_unlinkat(&op.sqe, AT_FDCWD, path, 0);
	return rg_io_call(&op, 0);
}

RG_API int ringo_mkdir(const char *path, mode_t mode)
{
	struct rg_op op = { .keep = false };

	io_uring_prep_mkdirat(&op.sqe, AT_FDCWD, path, mode);
	return rg_io_call(&op, 0);
}

RG_API int ringo_pipe(int fds[2])
{
	int res = rg_sys_pipe(fds);

	if (!res) {
		rg_fd_is_no_socket(fds[0]);
		rg_fd_is_no_socket(fds[1]);
	}
	return res;
}
