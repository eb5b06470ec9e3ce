// SPDX-License-Identifier: MIT
/*
 * Descriptors of the simulation as system calls see them: poll and epoll over its streams, in place of those of
 * base/sys.c. Each call is a place where other threads may go on.
 *
 * An epoll descriptor holds streams and other epoll descriptors, and tells of each while it is ready, or once. One that
 * is closed is forgotten by those that hold it, and the lowest free number is used again at once, as with the kernel:
 * who holds on to one for too long meets another's.
 */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/log.h"
#include "base/sim.h"
#include "base/sys.h"
#include "ring/sim.h"

enum { FIRST_EPOLL = 1 << 29, EPOLLS = 64, ITEMS = 64 };

struct item {
	int fd;
	uint32_t events; /* 0: it has told once */
	uint64_t data;
};

struct epoll {
	bool used;
	unsigned n;
	struct item items[ITEMS];
};

static struct epoll epolls[EPOLLS];

static struct epoll *epoll_of(int fd)
{
	int i = fd - FIRST_EPOLL;

	return i >= 0 && i < EPOLLS && epolls[i].used ? &epolls[i] : NULL;
}

int rg_sim_poll(int fd, unsigned events)
{
	const struct epoll *ep = epoll_of(fd);

	if (!ep)
		return rg_sim_stream_poll(fd, events);
	for (unsigned i = 0; i < ep->n; i++)
		if (rg_sim_poll(ep->items[i].fd, ep->items[i].events) > 0)
			return (int)(events & POLLIN);
	return 0;
}

int rg_sys_poll(struct pollfd *fds, nfds_t n)
{
	int ready = 0;

	rg_sim_point();
	for (nfds_t i = 0; i < n; i++) {
		int res = fds[i].fd < 0 ? 0 : rg_sim_poll(fds[i].fd, (unsigned short)fds[i].events);

		fds[i].revents = (short)(res < 0 ? POLLNVAL : res);
		ready += res != 0;
	}
	return ready;
}

int rg_sys_epoll(void)
{
	rg_sim_point();
	for (int i = 0; i < EPOLLS; i++) {
		if (epolls[i].used)
			continue;
		epolls[i] = (struct epoll){ .used = true };
		return FIRST_EPOLL + i;
	}
	return -EMFILE;
}

static struct item *find(struct epoll *ep, int fd)
{
	for (unsigned i = 0; i < ep->n; i++)
		if (ep->items[i].fd == fd)
			return &ep->items[i];
	return NULL;
}

static void forget(int fd)
{
	for (struct epoll *ep = epolls; ep < epolls + EPOLLS; ep++) {
		struct item *it = find(ep, fd);

		if (it)
			*it = ep->items[--ep->n];
	}
}

int rg_sys_epoll_ctl_data(int ep, int op, int fd, uint32_t events, uint64_t data)
{
	struct epoll *e = epoll_of(ep);
	struct item *it;

	rg_sim_point();
	if (!e || rg_sim_poll(fd, 0) < 0)
		return -EBADF;
	it = find(e, fd);
	if (op == EPOLL_CTL_ADD && it)
		return -EEXIST;
	if (op == EPOLL_CTL_MOD && !it)
		return -ENOENT;
	if (op == EPOLL_CTL_ADD) {
		if (e->n == ITEMS)
			return -ENOSPC;
		it = &e->items[e->n++];
	}
	*it = (struct item){ .fd = fd, .events = events, .data = data };
	return 0;
}

int rg_sys_epoll_ctl(int ep, int op, int fd, uint32_t events)
{
	return rg_sys_epoll_ctl_data(ep, op, fd, events, 0);
}

int rg_sys_epoll_look(int ep, struct epoll_event *evs, int n)
{
	struct epoll *e = epoll_of(ep);
	unsigned at = (unsigned)rg_sim_rand();
	int found = 0;

	rg_sim_point();
	if (!e)
		return -EBADF;
	for (unsigned i = 0; i < e->n && found < n; i++) {
		struct item *it = &e->items[(at + i) % e->n];
		int res = rg_sim_poll(it->fd, it->events);

		if (res <= 0)
			continue;
		evs[found++] = (struct epoll_event){ .events = (uint32_t)res, .data.u64 = it->data };
		if (it->events & EPOLLONESHOT)
			it->events = 0;
	}
	return found;
}

int rg_sys_close(int fd)
{
	struct epoll *ep = epoll_of(fd);

	if (!ep)
		return RG_KEEP_ERRNO(syscall(SYS_close, fd));
	rg_sim_point();
	ep->used = false;
	ep->n = 0;
	forget(fd);
	return 0;
}

unsigned rg_sim_fds_reset(void)
{
	unsigned left = 0;

	for (int i = 0; i < EPOLLS; i++)
		left += epolls[i].used;
	memset(epolls, 0, sizeof(epolls));
	return left;
}
