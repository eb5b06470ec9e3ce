// SPDX-License-Identifier: MIT
/*
 * The processes that are served, and what they may ask for (kmod/uapi/ringo.h, RINGO_BPFD_*).
 *
 * A client gets maps of its own and may name threads of its own process, nothing else. Who it is the kernel says
 * (SO_PEERCRED), and a pidfd from the moment of its connection says when it is gone, so its number cannot become
 * another's meanwhile. A thread may end between our look at it and its registration; the programs forget
 * threads when they end, so it is looked at again after that. What it writes into its pages and
 * counts there concerns it alone: nothing of that is read here.
 *
 * Whoever says what the protocol does not allow is dropped: its connection is closed, its threads and maps
 * are forgotten. It goes on by itself then.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bpf/limits.h"
#include "bpfd.h"
#include "kmod/uapi/ringo.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

enum {
	HELLO_MS = 2000, /* a connection that says nothing for so long is closed */
	DETACH_MS = 2000, /* the programs are attached for so long after the last client */
	LINGER_MS = 200, /* ticks go on for so long after one last found somebody waiting */
};

struct client {
	bool used;
	bool served; /* after HELLO */
	bool watch;
	int fd, pidfd;
	pid_t pid;
	uid_t uid;
	uint32_t generation;
	int64_t deadline; /* for HELLO */
	int64_t asked;    /* for ticks */
	uint32_t tick_us;
	uint32_t tids[RG_BPF_PAGES]; /* 0: none */
};

static struct client clients[RG_BPF_CLIENTS];
static unsigned served;
static bool attached;
static int64_t detach_at; /* if nobody is served then */
static int epoll = -1;
static uint32_t generation; /* of connections: a place may have been given anew since an event was found */

int clients_init(int ep)
{
	epoll = ep;
	return 0;
}

static uint32_t number(const struct client *c)
{
	return (uint32_t)(c - clients);
}

/* ---- ticks ---- */

/* As often as the most eager of those who want them. */
static void ticks_follow(void)
{
	uint32_t us = 0;

	for (unsigned i = 0; i < RG_BPF_CLIENTS; i++)
		if (clients[i].watch && (!us || clients[i].tick_us < us))
			us = clients[i].tick_us;
	ticks_set(us);
}

static void watch(struct client *c, bool on)
{
	if (on == c->watch)
		return;
	c->watch = on;
	c->asked = now_ms();
	maps_ticks(number(c), on);
	ticks_follow();
}

/* Nobody of it has waited for a while. When to look again; INT64_MAX: not. */
static int64_t watch_due(struct client *c, int64_t now)
{
	int64_t last = wanted_at(number(c));

	if (!c->watch)
		return INT64_MAX;
	last = last > c->asked ? last : c->asked;
	if (now - last >= LINGER_MS) {
		watch(c, false);
		return INT64_MAX;
	}
	return last + LINGER_MS;
}

/* ---- coming and going ---- */

static void drop(struct client *c, const char *why)
{
	tell("process %d: %s", (int)c->pid, why);
	for (unsigned i = 0; i < RG_BPF_PAGES; i++)
		if (c->tids[i])
			m_drop(number(c), c->tids[i]);
	if (c->served) {
		watch(c, false);
		maps_drop(number(c));
		if (!--served)
			detach_at = now_ms() + DETACH_MS;
	}
	close(c->fd); /* and out of the epoll set */
	if (c->pidfd >= 0)
		close(c->pidfd);
	memset(c, 0, sizeof(*c));
}

void clients_drop_all(void)
{
	for (unsigned i = 0; i < RG_BPF_CLIENTS; i++)
		if (clients[i].used)
			drop(&clients[i], "the end");
	if (attached)
		detach_programs();
}

static int peer_pidfd(int fd, pid_t pid)
{
	socklen_t n = sizeof(int);
	int pidfd;

	if (!getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &n))
		return pidfd;
	return (int)syscall(SYS_pidfd_open, pid, 0); /* before Linux 6.5 */
}

static int answer(const struct client *c, const struct ringo_bpfd_answer *a, const int *fds, unsigned nfds)
{
	union {
		char room[CMSG_SPACE(2 * sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)a, .iov_len = sizeof(*a) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (nfds) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		*CMSG_FIRSTHDR(&msg) = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
							 .cmsg_len = CMSG_LEN(nfds * sizeof(int)) };
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), fds, nfds * sizeof(int));
	}
	return sendmsg(c->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(*a) ? 0 : -errno;
}

static int answer_err(const struct client *c, uint32_t op, int err)
{
	struct ringo_bpfd_answer a = { .op = op, .err = err };

	return answer(c, &a, NULL, 0);
}

/* A place for one more of that user; NULL: there is none. */
static struct client *place_for(uid_t uid)
{
	struct client *free_one = NULL;
	unsigned all = 0, own = 0;

	for (unsigned i = 0; i < RG_BPF_CLIENTS; i++) {
		struct client *c = &clients[i];

		if (!c->used && (!free_one || (maps_ready(i) && !maps_ready(number(free_one)))))
			free_one = c;
		all += c->used;
		own += c->used && c->uid == uid;
	}
	return all < bpfd.clients && own < bpfd.per_user ? free_one : NULL;
}

/* data of an event: the client, whether it is the pidfd, and which of those that had the place. */
static int listen_to(const struct client *c, int fd, bool pidfd)
{
	struct epoll_event ev = { .events = EPOLLIN };

	ev.data.u64 = (uint64_t)c->generation << 32 | (number(c) + 1) << 1 | pidfd;
	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

/* What it has said already is read: else to close the connection would take the answer back. */
static void refuse(const struct client *c)
{
	char room[sizeof(struct ringo_bpfd_msg)];

	tell("process %d: no place", (int)c->pid);
	shutdown(c->fd, SHUT_RD);
	while (recv(c->fd, room, sizeof(room), 0) > 0)
		;
	answer_err(c, RINGO_BPFD_HELLO, -EUSERS);
	close(c->fd);
}

void client_accept(int listener)
{
	struct client one = { .used = true, .pidfd = -1, .deadline = now_ms() + HELLO_MS }, *c;
	struct ucred cred;
	socklen_t n = sizeof(cred);

	one.fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (one.fd < 0)
		return;
	if (getsockopt(one.fd, SOL_SOCKET, SO_PEERCRED, &cred, &n)) {
		close(one.fd);
		return;
	}
	one.pid = cred.pid;
	one.uid = cred.uid;
	c = place_for(cred.uid);
	if (!c) {
		refuse(&one);
		return;
	}
	one.pidfd = peer_pidfd(one.fd, cred.pid);
	one.generation = ++generation;
	*c = one;
	if (c->pidfd < 0 || listen_to(c, c->fd, false) || listen_to(c, c->pidfd, true))
		drop(c, "not to be watched");
}

/* ---- what it says ---- */

static int attach(void)
{
	int err = attached ? 0 : attach_programs();

	attached = !err;
	if (!served)
		detach_at = now_ms() + DETACH_MS;
	return err;
}

static int hello(struct client *c, uint32_t tick_us, uint32_t abi)
{
	struct ringo_bpfd_answer a = { .op = RINGO_BPFD_HELLO, .pages = RG_BPF_PAGES, .ring = RG_BPF_RING };
	int fds[2], err;

	if (c->served || !tick_us)
		return -EPROTO;
	if (abi != RINGO_ABI_VERSION)
		return answer_err(c, a.op, -EPROTONOSUPPORT);
	err = attach();
	if (!err)
		err = maps_new(number(c), &fds[0], &fds[1]);
	if (err)
		return answer_err(c, a.op, err);
	served++;
	c->served = true;
	c->tick_us = a.tick_us = tick_for(tick_us);
	err = answer(c, &a, fds, 2);
	close(fds[0]); /* the programs hold their maps */
	close(fds[1]);
	tell("process %d of user %u is served", (int)c->pid, (unsigned)c->uid);
	return err;
}

/* Whether there is such a thread in the process. To be told of it needs no right to signal it. */
static bool alive(pid_t pid, uint32_t tid)
{
	return !syscall(SYS_tgkill, pid, (pid_t)tid, 0) || errno == EPERM;
}

static int add(struct client *c, uint32_t page, uint32_t tid)
{
	int err;

	if (!page || page >= RG_BPF_PAGES)
		return -EINVAL;
	if (!tid || tid > INT32_MAX || !alive(c->pid, tid))
		return -ESRCH;
	if (c->tids[page])
		m_drop(number(c), c->tids[page]);
	c->tids[page] = 0;
	err = m_add(number(c), page, (uint32_t)c->pid, tid);
	if (err)
		return err;
	c->tids[page] = tid;
	if (alive(c->pid, tid))
		return 0;
	m_drop(number(c), tid);
	c->tids[page] = 0;
	return -ESRCH;
}

/* A message, checked; not 0: the connection is to be closed. */
static int obey(struct client *c, const struct ringo_bpfd_msg *m)
{
	if (m->op == RINGO_BPFD_HELLO)
		return hello(c, m->arg, m->abi);
	if (!c->served)
		return -EPROTO;
	switch (m->op) {
	case RINGO_BPFD_ADD:
		return answer_err(c, m->op, add(c, m->page, m->arg));
	case RINGO_BPFD_WATCH:
		watch(c, true);
		return 0;
	default:
		return -EPROTO;
	}
}

static void read_one(struct client *c)
{
	/* One byte more, so that a message that is too long shows. Descriptors that come along are dropped. */
	char room[sizeof(struct ringo_bpfd_msg) + 1];
	struct ringo_bpfd_msg m;
	ssize_t n = recv(c->fd, room, sizeof(room), 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		drop(c, "has gone");
		return;
	}
	memcpy(&m, room, sizeof(m));
	if (n != sizeof(m) || obey(c, &m))
		drop(c, "talks nonsense");
}

void client_event(uint64_t data, uint32_t events)
{
	struct client *c = &clients[(uint32_t)data / 2 - 1];

	if (!c->used || c->generation != data >> 32) /* dropped by an event before this one */
		return;
	if (data % 2)
		drop(c, "has ended");
	else if (events & EPOLLIN)
		read_one(c);
	else
		drop(c, "has hung up");
}

static void detach(void)
{
	detach_programs();
	attached = false;
}

int clients_due(void)
{
	const int64_t now = now_ms();
	int64_t next = INT64_MAX, due;

	for (unsigned i = 0; i < RG_BPF_CLIENTS; i++) {
		struct client *c = &clients[i];

		if (!c->used)
			continue;
		due = c->served ? watch_due(c, now) : c->deadline;
		if (now >= due)
			drop(c, "says nothing");
		else if (due < next)
			next = due;
	}
	if (attached && !served) {
		if (now >= detach_at)
			detach();
		else if (detach_at < next)
			next = detach_at;
	}
	return next == INT64_MAX ? -1 : (int)(next - now);
}
