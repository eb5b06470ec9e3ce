// SPDX-License-Identifier: MIT
/*
 * poll: look, wait, look again. The look is poll(2) without waiting, which knows all the rules (bad and
 * negative descriptors, files that are always ready, descriptors named twice). Between the looks one
 * operation waits: on the descriptor itself, or on an epoll descriptor that holds them all.
 *
 * The timeout is a deadline of its own, put in front of the ambient one while the operation runs.
 */
#include <errno.h>
#include <ringo/io.h>
#include <stdbool.h>

#include "base/clock.h"
#include "core/park.h"
#include "io/call.h"
#include "io/own.h"
#include "io/sys.h"

/* Events asked of this descriptor in all its entries up to and including number i. */
static uint32_t events_of(const struct pollfd *fds, nfds_t i)
{
	uint32_t events = 0;

	for (nfds_t j = 0; j <= i; j++)
		if (fds[j].fd == fds[i].fd)
			events |= (unsigned short)fds[j].events;
	return events;
}

/* What cannot be added will be told by the next look: closed meanwhile, or never ready for this. */
static int add_to_epoll(int ep, const struct pollfd *fds, nfds_t i)
{
	int res = rg_sys_epoll_ctl(ep, EPOLL_CTL_ADD, fds[i].fd, (unsigned short)fds[i].events);

	if (res == -EEXIST)
		res = rg_sys_epoll_ctl(ep, EPOLL_CTL_MOD, fds[i].fd, events_of(fds, i));
	return res == -ENOMEM || res == -ENOSPC ? -ENOMEM : 0;
}

static int wait_many(const struct pollfd *fds, nfds_t n)
{
	int ep = rg_sys_epoll(), res = 0;
	struct rg_owned own;

	if (ep < 0)
		return ep;
	for (nfds_t i = 0; i < n && !res; i++)
		if (fds[i].fd >= 0)
			res = add_to_epoll(ep, fds, i);
	rg_own_fd(&own, ep);
	if (!res)
		res = rg_io_poll(ep, POLLIN);
	rg_own_close(&own);
	return res;
}

/* Nothing to wait for but time. */
static int wait_none(void)
{
	struct m *m = rg_m();
	int timed = rg_wait_begin(m, m->cur);

	if (timed < 0)
		return timed;
	return (int)rg_park(m, RG_WHY_IO, NULL, NULL, NULL);
}

static int wait_any(const struct pollfd *fds, nfds_t n)
{
	nfds_t used = 0, last = 0;

	for (nfds_t i = 0; i < n; i++) {
		if (fds[i].fd < 0)
			continue;
		used++;
		last = i;
	}
	if (!used)
		return wait_none();
	if (used > 1)
		return wait_many(fds, n);
	return rg_io_poll(fds[last].fd, fds[last].events);
}

static int look_and_wait(struct pollfd *fds, nfds_t n)
{
	for (unsigned tries = 0;; tries++) {
		int res = rg_sys_poll(fds, n);

		if (res && res != -EINTR)
			return res;
		res = wait_any(fds, n);
		/* Bad since the last look: let the next one say so. */
		if (res >= 0 || res == -EBADF)
			res = rg_io_pause(tries);
		if (res < 0)
			return res;
	}
}

/* With a deadline of our own before the ambient one: when that ends the wait, nothing was ready. */
static int poll_until(struct g *g, struct pollfd *fds, nfds_t n, int64_t until)
{
	int64_t ambient = g->deadline;
	bool own = !ambient || until < ambient;
	int res;

	if (ambient && ambient <= rg_now())
		return -ETIMEDOUT;
	if (own)
		g->deadline = until;
	res = look_and_wait(fds, n);
	g->deadline = ambient;
	return own && res == -ETIMEDOUT ? 0 : res;
}

RG_API int ringo_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	int err;
	struct m *m = rg_enter_g(&err);
	struct g *g;

	if (!m)
		return err;
	g = m->cur;
	if (!timeout_ms)
		err = rg_sys_poll(fds, n);
	else if (timeout_ms > 0)
		err = poll_until(g, fds, n, rg_time_add(rg_now(), timeout_ms * INT64_C(1000000)));
	else if (g->deadline && g->deadline <= rg_now())
		err = -ETIMEDOUT;
	else
		err = look_and_wait(fds, n);
	rg_leave(rg_m());
	return err;
}
