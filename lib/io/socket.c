// SPDX-License-Identifier: MIT
/*
 * Sockets. What cannot wait is called directly, the rest are ring operations.
 *
 * A send of several bytes on a stream goes on until all are sent, as send(2) on a blocking socket does: the
 * kernel does that for MSG_WAITALL.
 */
#include <errno.h>
#include <ringo/io.h>
#include <ringo/net.h>

#include "io/call.h"
#include "io/fdkind.h"
#include "io/socket.h"
#include "io/sys.h"

static short events_for(int flags, short events)
{
	return flags & MSG_DONTWAIT ? 0 : events;
}

static int send_flags(int flags)
{
	return flags | MSG_NOSIGNAL | (flags & MSG_DONTWAIT ? 0 : MSG_WAITALL);
}

RG_API int ringo_socket(int domain, int type, int protocol)
{
	int fd = rg_sys_socket(domain, type, protocol);

	rg_fd_forget(fd);
	return fd;
}

RG_API int ringo_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	return rg_sys_bind(fd, addr, len);
}

RG_API int ringo_listen(int fd, int backlog)
{
	return rg_sys_listen(fd, backlog);
}

RG_API int ringo_shutdown(int fd, int how)
{
	return rg_sys_shutdown(fd, how);
}

RG_API int ringo_accept(int fd, struct sockaddr *addr, socklen_t *len)
{
	struct rg_op op = { .keep = false };

	int res;

	io_uring_prep_accept(&op.sqe, fd, addr, len, SOCK_CLOEXEC);
	res = rg_io_call(&op, POLLIN);
	rg_fd_forget(res);
	return res;
}

static int connect_once(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct rg_op op = { .keep = false };

	io_uring_prep_connect(&op.sqe, fd, addr, len);
	return rg_io_run(&op, 0);
}

/*
 * On an O_NONBLOCK socket the first try may only begin it. The next one says how it went, but what would
 * be an error the first time (EISCONN) is success then.
 */
int rg_io_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	for (unsigned tries = 0;; tries++) {
		int res = connect_once(fd, addr, len);

		if (res == -EISCONN && tries)
			return 0;
		if (res != -EINPROGRESS && res != -EALREADY && res != -EAGAIN)
			return res;
		res = rg_io_poll(fd, POLLOUT);
		if (res >= 0)
			res = rg_sys_socket_error(fd);
		if (!res)
			res = rg_io_pause(tries);
		if (res)
			return res;
	}
}

RG_API int ringo_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	int err;
	struct m *m = rg_enter_g(&err);

	if (!m)
		return err;
	err = rg_io_connect(fd, addr, len);
	rg_leave(rg_m());
	return err;
}

RG_API ssize_t ringo_send(int fd, const void *buf, size_t n, int flags)
{
	struct rg_op op = { .keep = false };

	io_uring_prep_send(&op.sqe, fd, buf, rg_io_len(n), send_flags(flags));
	return rg_io_call(&op, events_for(flags, POLLOUT));
}

RG_API ssize_t ringo_recv(int fd, void *buf, size_t n, int flags)
{
	struct rg_op op = { .keep = false };

	io_uring_prep_recv(&op.sqe, fd, buf, rg_io_len(n), flags);
	return rg_io_call(&op, events_for(flags, POLLIN));
}

RG_API ssize_t ringo_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	struct rg_op op = { .keep = false };

	io_uring_prep_sendmsg(&op.sqe, fd, msg, (unsigned)send_flags(flags));
	return rg_io_call(&op, events_for(flags, POLLOUT));
}

RG_API ssize_t ringo_recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct rg_op op = { .keep = false };

	io_uring_prep_recvmsg(&op.sqe, fd, msg, (unsigned)flags | MSG_CMSG_CLOEXEC);
	return rg_io_call(&op, events_for(flags, POLLIN));
}

RG_API ssize_t ringo_sendto(int fd, const void *buf, size_t n, int flags, const struct sockaddr *to,
			    socklen_t len)
{
	struct iovec iov = { .iov_base = (void *)buf, .iov_len = rg_io_len(n) };
	struct msghdr msg = { .msg_name = (void *)to, .msg_namelen = len, .msg_iov = &iov,
			      .msg_iovlen = 1 };

	if (!to)
		return ringo_send(fd, buf, n, flags);
	return ringo_sendmsg(fd, &msg, flags);
}

RG_API ssize_t ringo_recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr *from,
			      socklen_t *len)
{
	struct iovec iov = { .iov_base = buf, .iov_len = rg_io_len(n) };
	struct msghdr msg = { .msg_name = from, .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t res;

	if (!from)
		return ringo_recv(fd, buf, n, flags);
	if (!len)
		return -EFAULT;
	msg.msg_namelen = *len;
	res = ringo_recvmsg(fd, &msg, flags);
	if (res >= 0)
		*len = msg.msg_namelen;
	return res;
}
