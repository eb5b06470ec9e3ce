// SPDX-License-Identifier: MIT
/*
 * Sockets. What cannot wait is called directly, the rest are ring operations.
 *
 * Sending is tried with MSG_DONTWAIT first. What is left of a stream then waits in the ring, until all is
 * sent as send(2) on a blocking socket does (MSG_WAITALL). But a datagram must not wait there: when it does
 * not fit, the ring tries it again with the buffers it has already consumed and sends an empty one (Unix
 * sockets, seen on 6.18). So datagrams wait by poll, and are sent anew.
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

static int send_op(int fd, const void *buf, size_t n, int flags)
{
	struct rg_op op = { .keep = false };

	io_uring_prep_send(&op.sqe, fd, buf, rg_io_len(n), flags | MSG_NOSIGNAL);
	return rg_io_run(&op, 0);
}

static int sendmsg_op(int fd, const struct msghdr *msg, int flags, short events)
{
	struct rg_op op = { .keep = false };

	io_uring_prep_sendmsg(&op.sqe, fd, msg, (unsigned)flags | MSG_NOSIGNAL);
	return rg_io_run(&op, events);
}

/* The bytes of iov[0] from skip on, then the other n - 1. */
static int send_tail(int fd, struct iovec *iov, size_t n, size_t skip, int flags)
{
	const struct msghdr more = { .msg_iov = iov + 1, .msg_iovlen = n - 1 };
	size_t rest = iov->iov_len - skip;
	int sent = 0, res;

	if (rest) {
		sent = send_op(fd, (char *)iov->iov_base + skip, rest, flags);
		if (sent < 0 || (size_t)sent < rest)
			return sent;
	}
	if (n == 1)
		return sent;
	res = sendmsg_op(fd, &more, flags, 0);
	return res < 0 ? sent : sent + res;
}

/* A stream has taken this many bytes of the message. */
static int send_more(int fd, const struct msghdr *msg, int flags, int done)
{
	size_t skip = (size_t)done, i = 0;
	int res;

	while (i < msg->msg_iovlen && skip >= msg->msg_iov[i].iov_len)
		skip -= msg->msg_iov[i++].iov_len;
	if (i == msg->msg_iovlen)
		return done;
	res = send_tail(fd, msg->msg_iov + i, msg->msg_iovlen - i, skip, flags | MSG_WAITALL);
	return res < 0 ? done : done + res;
}

/* The first try, without waiting, gave res: see that the rest goes too. */
static int send_rest(int fd, const struct msghdr *msg, int flags, int res)
{
	if (flags & MSG_DONTWAIT || (res <= 0 && res != -EAGAIN))
		return res;
	if (res > 0)
		return send_more(fd, msg, flags, res);
	if (rg_sys_socket_type(fd) == SOCK_STREAM)
		return sendmsg_op(fd, msg, flags | MSG_WAITALL, POLLOUT);
	return sendmsg_op(fd, msg, flags | MSG_DONTWAIT, POLLOUT);
}

int rg_io_send(int fd, const void *buf, size_t n, int flags)
{
	struct iovec iov = { .iov_base = (void *)buf, .iov_len = rg_io_len(n) };
	const struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int res = send_op(fd, buf, n, flags | MSG_DONTWAIT);

	if (likely(res == (int)iov.iov_len))
		return res;
	return send_rest(fd, &msg, flags, res);
}

RG_API ssize_t ringo_send(int fd, const void *buf, size_t n, int flags)
{
	int res;
	struct m *m = rg_enter_g(&res);

	if (unlikely(!m))
		return res;
	res = rg_io_send(fd, buf, n, flags);
	rg_leave(rg_m());
	return res;
}

RG_API ssize_t ringo_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	int res;
	struct m *m = rg_enter_g(&res);

	if (unlikely(!m))
		return res;
	res = sendmsg_op(fd, msg, flags | MSG_DONTWAIT, 0);
	res = send_rest(fd, msg, flags, res);
	rg_leave(rg_m());
	return res;
}

RG_API ssize_t ringo_recv(int fd, void *buf, size_t n, int flags)
{
	struct rg_op op = { .keep = false };

	io_uring_prep_recv(&op.sqe, fd, buf, rg_io_len(n), flags);
	return rg_io_call(&op, events_for(flags, POLLIN));
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
