// SPDX-License-Identifier: MIT
/*
 * echo PORT: TCP echo on loopback, the hand-written event loop that ringo is measured against.
 *
 * Edge triggered, each connection registered once for both directions: EPOLLOUT costs nothing while
 * the send buffer has room, for the kernel wakes for it only after a send has failed. A read that
 * does not fill the buffer has emptied the socket, so the read that would say EAGAIN is left out,
 * unless the peer has closed: that must be seen now, no other edge will come. What is unsent stays
 * in the connection's buffer, and nothing is read until it has left.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../bench.h"
#include "../listen.h"

#define EVENTS 512

struct conn {
	int fd;
	unsigned begin, end;	/* what of buf is still to be sent */
	char buf[2048];
};

static int ep;

static void conn_close(struct conn *c)
{
	close(c->fd);
	free(c);
}

/* 1: all sent; 0: the socket is full; -1: over. */
static int conn_flush(struct conn *c)
{
	while (c->begin < c->end) {
		ssize_t n = send(c->fd, c->buf + c->begin, c->end - c->begin, MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN ? 0 : -1;
		c->begin += (unsigned)n;
	}
	return 1;
}

static void conn_ready(struct conn *c, uint32_t events)
{
	const int closing = events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);

	for (;;) {
		int sent = conn_flush(c);
		ssize_t n;

		if (sent <= 0) {
			if (sent < 0)
				conn_close(c);
			return;
		}
		n = recv(c->fd, c->buf, sizeof(c->buf), 0);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			conn_close(c);
			return;
		}
		c->begin = 0;
		c->end = (unsigned)n;
		if (n == sizeof(c->buf) || closing)
			continue;
		sent = conn_flush(c);
		if (sent < 0)
			conn_close(c);
		return;
	}
}

static void accept_all(int l)
{
	int fd;

	while ((fd = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET };
		struct conn *c = malloc(sizeof(*c));

		if (!c)
			bench_die("malloc");
		c->fd = fd;
		c->begin = 0;
		c->end = 0;
		ev.data.ptr = c;
		bench_nodelay(fd);
		if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev))
			bench_die("epoll_ctl");
	}
}

int main(int argc, char **argv)
{
	static struct epoll_event events[EVENTS];
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	int l = bench_listen((int)bench_arg(argc, argv, 1, 0)), flags = 1;

	ep = epoll_create1(EPOLL_CLOEXEC);
	if (ep < 0 || ioctl(l, FIONBIO, &flags) || epoll_ctl(ep, EPOLL_CTL_ADD, l, &ev))
		bench_die("epoll");
	for (;;) {
		int n = epoll_wait(ep, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr)
				conn_ready(events[i].data.ptr, events[i].events);
			else
				accept_all(l);
		}
	}
}
