/* SPDX-License-Identifier: MIT */
/* Sockets and names. Conventions as in ringo/io.h; sockets that ringo makes are close-on-exec. */
#ifndef RINGO_NET_H
#define RINGO_NET_H

#include <netdb.h>
#include <ringo/base.h>
#include <sys/socket.h>
#include <sys/types.h>

RINGO__C_BEGIN

struct addrinfo; /* strict C11 hides it in netdb.h */

/* As the POSIX calls. These three never wait; any thread, with or without a runtime. */
RINGO__API RINGO__MUST int ringo_socket(int domain, int type, int protocol);
RINGO__API RINGO__MUST int ringo_bind(int fd, const struct sockaddr *addr, socklen_t len);
RINGO__API RINGO__MUST int ringo_listen(int fd, int backlog);

/* As the POSIX calls; the accepted socket is close-on-exec and in blocking mode. */
RINGO__API RINGO__MUST int ringo_accept(int fd, struct sockaddr *addr, socklen_t *len);
RINGO__API RINGO__MUST int ringo_connect(int fd, const struct sockaddr *addr, socklen_t len);

/*
 * MSG_DONTWAIT asks for -EAGAIN. SIGPIPE is never raised: the result is -EPIPE. Sending on a stream goes on
 * until all is sent; less means that an error or the deadline came in between. Descriptors received in
 * messages are close-on-exec.
 */
RINGO__API RINGO__MUST ssize_t ringo_send(int fd, const void *buf, size_t n, int flags);
RINGO__API RINGO__MUST ssize_t ringo_recv(int fd, void *buf, size_t n, int flags);
RINGO__API RINGO__MUST ssize_t ringo_sendto(int fd, const void *buf, size_t n, int flags,
					    const struct sockaddr *to, socklen_t len);
RINGO__API RINGO__MUST ssize_t ringo_recvfrom(int fd, void *buf, size_t n, int flags,
					      struct sockaddr *from, socklen_t *len);
RINGO__API RINGO__MUST ssize_t ringo_sendmsg(int fd, const struct msghdr *msg, int flags);
RINGO__API RINGO__MUST ssize_t ringo_recvmsg(int fd, struct msghdr *msg, int flags);

/* As shutdown(2): wakes goroutines that wait on the socket. Never waits; any thread. */
RINGO__API int ringo_shutdown(int fd, int how);

/*
 * As getaddrinfo(3): 0 or EAI_*; EAI_CANCELED when the deadline is over before the look-up began. EAI_SYSTEM
 * leaves errno alone, and also says: not a goroutine, or no runtime. Free the list with freeaddrinfo(3).
 */
RINGO__API RINGO__MUST int ringo_getaddrinfo(const char *node, const char *service,
					     const struct addrinfo *hints, struct addrinfo **res);

/*
 * A listening or connected TCP socket for "host:port", "[v6]:port" or ":port" (any address). Names are
 * looked up on the pool. All addresses are tried in order; the error is that of the first that this
 * machine has a way to. listen sets SO_REUSEADDR, and any address means IPv6 and IPv4. Also -EINVAL (no
 * port, or several colons without brackets), -ENOENT (no such name), -EAGAIN, -EIO (look-up failed).
 */
RINGO__API RINGO__MUST int ringo_tcp_listen(const char *host_port, int backlog);
RINGO__API RINGO__MUST int ringo_tcp_dial(const char *host_port);

RINGO__C_END

#endif
