/* SPDX-License-Identifier: MIT */
/* The BPF tier for its tests: a ringo-bpfd of their own, and clients that speak its protocol by hand. */
#ifndef RINGO_TESTS_BPF_HELP_H
#define RINGO_TESTS_BPF_HELP_H

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "../tier/client.h"

/* ---- the daemon ---- */

struct daemon {
	pid_t pid;
	char dir[32];
	char socket[64];
};

/* That of this build. */
static inline const char *daemon_path(void)
{
	static char path[PATH_MAX];
	char self[PATH_MAX - 64];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0)
		return NULL;
	self[n] = '\0';
	*strrchr(self, '/') = '\0';
	snprintf(path, sizeof(path), "%s/../../tools/ringo-bpfd", self);
	return access(path, X_OK) ? NULL : path;
}

static inline pid_t daemon_spawn(char **argv)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(STDERR_FILENO, STDOUT_FILENO); /* which is for TAP */
	execv(daemon_path(), argv);
	_exit(127);
}

/* Why no test here can run; NULL: they can. It takes a while: ask before there are processes for each test. */
static inline const char *daemon_missing(void)
{
	static const char *answer;
	char *argv[] = { "ringo-bpfd", "--check", NULL };
	int status = -1;

	if (answer)
		return *answer ? answer : NULL;
	if (RUNNING_ON_VALGRIND)
		answer = "threads of valgrind's are not where BPF programs see them";
	else if (!daemon_path())
		answer = "ringo-bpfd was not built: clang, bpftool and libbpf-dev are needed (make deps-check)";
	else if (waitpid(daemon_spawn(argv), &status, 0) < 0 || status)
		answer = "BPF programs cannot be loaded here: root, or CAP_BPF and CAP_PERFMON, are needed";
	else
		answer = "";
	return *answer ? answer : NULL;
}

static inline void daemon_start(struct daemon *d, const char *option, const char *value)
{
	char *argv[] = { "ringo-bpfd", "-s", d->socket, (char *)option, (char *)value, NULL };

	strcpy(d->dir, "/tmp/ringo-bpfd.XXXXXX");
	CHECK(mkdtemp(d->dir));
	chmod(d->dir, 0755);
	snprintf(d->socket, sizeof(d->socket), "%s/socket", d->dir);
	d->pid = daemon_spawn(argv);
	for (int i = 0; i < 2000 && access(d->socket, F_OK); i++)
		nap_ms(5);
	nap_ms(5); /* bound, and listening by now */
}

static inline void daemon_end(struct daemon *d, int sig)
{
	if (d->pid) {
		kill(d->pid, sig);
		waitpid(d->pid, NULL, 0);
	}
	d->pid = 0;
	unlink(d->socket);
	rmdir(d->dir);
}

/* ---- a client ---- */

static inline int client_connect(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = 5 };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, path);
	for (int i = 0; connect(fd, (struct sockaddr *)&addr, sizeof(addr)); i++) {
		if (i == 200) {
			close(fd);
			return -1;
		}
		nap_ms(5); /* made, and not yet listening */
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return fd;
}

static inline int client_send(int fd, uint32_t op, uint32_t arg, uint32_t page)
{
	struct ringo_bpfd_msg m = { .op = op, .arg = arg, .page = page, .abi = RINGO_ABI_VERSION };

	return send(fd, &m, sizeof(m), MSG_NOSIGNAL) == sizeof(m) ? 0 : -errno;
}

/* The answer, with up to two descriptors; its err, or -EPIPE for none. */
static inline int client_answer(int fd, struct ringo_bpfd_answer *a, int *fds)
{
	union {
		char room[CMSG_SPACE(2 * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { .iov_base = a, .iov_len = sizeof(*a) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *c;

	if (recvmsg(fd, &msg, MSG_CMSG_CLOEXEC) != sizeof(*a))
		return -EPIPE;
	c = CMSG_FIRSTHDR(&msg);
	if (c && fds)
		memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
	return a->err;
}

static const struct tier bpf_tier;

static inline int bpfd_open(struct client *c, const char *path, uint32_t quantum_us)
{
	struct ringo_bpfd_answer a;
	int fds[2] = { -1, -1 }, err;

	c->tier = &bpf_tier;
	c->fd = client_connect(path);
	if (c->fd < 0)
		return -ECONNREFUSED;
	client_send(c->fd, RINGO_BPFD_HELLO, quantum_us, 0);
	err = client_answer(c->fd, &a, fds);
	if (err) {
		close(c->fd);
		return err;
	}
	c->pages_fd = fds[0];
	c->ring_fd = fds[1];
	c->setup = (struct ringo_setup){ .pages = a.pages, .ring = a.ring, .tick_us = a.tick_us };
	client_map(c, a.pages);
	return 0;
}

static inline int client_add(struct client *c, uint32_t tid, uint32_t page)
{
	struct ringo_bpfd_answer a;
	int err = client_send(c->fd, RINGO_BPFD_ADD, tid, page);

	return err ? err : client_answer(c->fd, &a, NULL);
}

/* ---- the tier ---- */

static struct daemon bpfd;

static inline const char *bpf_begin(void)
{
	const char *why = daemon_missing();

	if (why)
		return why;
	daemon_start(&bpfd, NULL, NULL);
	setenv("RINGO_BPFD", bpfd.socket, 1);
	return NULL;
}

static inline int bpf_end(void)
{
	daemon_end(&bpfd, SIGTERM);
	return 0;
}

static inline int bpf_open(struct client *c, uint32_t quantum_us)
{
	return bpfd_open(c, bpfd.socket, quantum_us);
}

static inline int bpf_add(struct client *c, uint32_t page)
{
	return client_add(c, (uint32_t)syscall(SYS_gettid), page);
}

/* There is no such call: a thread that ends is forgotten. */
static inline int bpf_remove(struct client *c)
{
	(void)c;
	return 0;
}

static inline int bpf_watch(struct client *c)
{
	return client_send(c->fd, RINGO_BPFD_WATCH, 0, 0);
}

static inline const char *bpf_door(void)
{
	return bpfd.socket;
}

static inline uint32_t bpf_few_pages(void)
{
	return 256; /* always */
}

static inline uint32_t bpf_least_tick_us(void)
{
	return 250;
}

static inline int bpf_lose(unsigned nth)
{
	return kill(bpfd.pid, nth % 2 ? SIGTERM : SIGKILL) ? -errno : 0;
}

static const struct tier bpf_tier = {
	.name = "bpf",
	.number = RINGO_PREEMPT_BPF,
	.begin = bpf_begin,
	.end = bpf_end,
	.open = bpf_open,
	.add = bpf_add,
	.remove = bpf_remove,
	.watch = bpf_watch,
	.least_tick_us = bpf_least_tick_us,
	.door = bpf_door,
	.refused = "ringo: no preemption by BPF, but by sysmon: ringo-bpfd does not serve us",
	.few_pages = bpf_few_pages,
	.lose = bpf_lose,
	.lost = "ringo: ringo-bpfd has ended",
};

#endif
