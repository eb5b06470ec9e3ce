// SPDX-License-Identifier: MIT
/*
 * The BPF tier of preemption, from the library's side; what it has in common with the module's is in kern.c. The
 * programs stand in bpf/ and are loaded by tools/ringo-bpfd, to which this speaks on a Unix socket
 * (kmod/uapi/ringo.h); no library and no privilege is needed for that.
 */
#include "core/kern.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/rt.h"

enum { LOST_AFTER_S = 2 };

static struct {
	int sock, pages_fd, ring_fd;
} bpf = { -1, -1, -1 };

/* ---- to and from ringo-bpfd ---- */

static int say(uint32_t op, uint32_t arg, uint32_t page)
{
	struct ringo_bpfd_msg m = { .op = op, .arg = arg, .page = page, .abi = RINGO_ABI_VERSION };
	ssize_t n;

	do {
		n = send(bpf.sock, &m, sizeof(m), MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n == sizeof(m) ? 0 : -errno;
}

/* The answer to op, with the two descriptors that come with HELLO; its err. */
static int hear(uint32_t op, struct ringo_bpfd_answer *a, int *fds)
{
	union {
		char room[CMSG_SPACE(2 * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { .iov_base = a, .iov_len = sizeof(*a) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;
	ssize_t n;

	if (fds) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
	}
	do {
		n = recvmsg(bpf.sock, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n != sizeof(*a) || a->op != op)
		return n < 0 ? -errno : -EPROTO;
	c = fds ? CMSG_FIRSTHDR(&msg) : NULL;
	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(fds, CMSG_DATA(c), rg_min(c->cmsg_len - CMSG_LEN(0), 2 * sizeof(int)));
	return a->err;
}

static int reach(void)
{
	const char *path = secure_getenv("RINGO_BPFD");
	struct timeval limit = { .tv_sec = LOST_AFTER_S };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	if (!path || !*path)
		path = RINGO_BPFD_SOCKET;
	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, strlen(path));
	bpf.sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (bpf.sock < 0)
		return -errno;
	/* One that hangs is one that is not there. */
	setsockopt(bpf.sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(bpf.sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	return connect(bpf.sock, (struct sockaddr *)&addr, sizeof(addr)) ? -errno : 0;
}

static int greet(struct rg_kern_link *link)
{
	struct ringo_bpfd_answer a;
	int fds[2] = { -1, -1 };
	int err = say(RINGO_BPFD_HELLO, rg_kern_tick_us(), 0);

	if (!err)
		err = hear(RINGO_BPFD_HELLO, &a, fds);
	bpf.pages_fd = fds[0];
	bpf.ring_fd = fds[1];
	if (err)
		return err;
	*link = (struct rg_kern_link){
		.pages_fd = bpf.pages_fd,
		.ring_fd = bpf.ring_fd,
		.alive_fd = bpf.sock,
		.pages = a.pages,
		.ring = a.ring,
		.data = 2 * (size_t)a.ring, /* the kernel maps it twice, one after the other */
		.tick_us = a.tick_us,
	};
	return 0;
}

/* ---- what kern.c asks for ---- */

static int bpf_start(struct rg_kern_link *link)
{
	int err = reach();

	return err ? err : greet(link);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void bpf_stop(void)
{
	close_fd(&bpf.sock);
	close_fd(&bpf.pages_fd);
	close_fd(&bpf.ring_fd);
}

static int bpf_add(struct m *m)
{
	struct ringo_bpfd_answer a;
	int err = say(RINGO_BPFD_ADD, (uint32_t)m->tid, m->id + 1);

	if (!err)
		err = hear(RINGO_BPFD_ADD, &a, NULL);
	/* What comes late would be taken for the answer to something else. */
	if (err == -EAGAIN || err == -EPROTO)
		shutdown(bpf.sock, SHUT_RDWR);
	return err;
}

static void bpf_watch(void)
{
	say(RINGO_BPFD_WATCH, 0, 0);
}

/* Closed at the end: an M may be waiting for an answer. */
static void bpf_lost(void)
{
	shutdown(bpf.sock, SHUT_RDWR);
}

const struct rg_kern_tier rg_kern_bpf = {
	.start = bpf_start,
	.stop = bpf_stop,
	.add = bpf_add,
	.watch = bpf_watch,
	.lost = bpf_lost,
	.lost_text = "ringo-bpfd has ended",
};
