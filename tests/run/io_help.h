/* SPDX-License-Identifier: MIT */
/* What the tests of files and sockets share. */
#ifndef RINGO_TESTS_IO_HELP_H
#define RINGO_TESTS_IO_HELP_H

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "help.h"

/* What must return 0 or more: its value. */
#define OK(e) check_ok(__FILE__, __LINE__, #e " >= 0", e)

static inline long long check_ok(const char *file, int line, const char *what, long long v)
{
	if (v < 0)
		check_failed(file, line, what, v, 0);
	return v;
}

/* The call ends by a deadline of this many ms, not much earlier and not at some other time. */
#define TIMES_OUT(ms, call) \
	do { \
		int64_t start__ = now_ns(); \
		long long res__; \
		{ \
			ringo_timeout_scope((ms) * RINGO_MS); \
			res__ = (call); \
		} \
		check_eq(__FILE__, __LINE__, #call " == -ETIMEDOUT", res__, -ETIMEDOUT); \
		CHECK(now_ns() - start__ >= (ms) * RINGO_MS - RINGO_MS / 10); \
		CHECK(now_ns() - start__ < (ms) * RINGO_MS + 5 * RINGO_SEC); \
		CHECK_EQ(ringo_deadline_set(0), 0); \
	} while (0)

/* Memory that nobody knows any more, where AddressSanitizer can tell. After the run. */
#ifdef RG_ASAN
int __lsan_do_recoverable_leak_check(void);
#define LEAKS() __lsan_do_recoverable_leak_check()
#else
#define LEAKS() 0
#endif

/* A directory of the test's own, current; removed with what is in it by leave_dir. */
static char test_dir[64];

static inline void enter_dir(void)
{
	strcpy(test_dir, "/tmp/ringo-test-XXXXXX");
	if (!mkdtemp(test_dir) || chdir(test_dir))
		abort();
}

static inline void leave_dir(void)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", test_dir);
	if (chdir("/") || system(cmd))
		abort();
}

static inline void nonblock(int fd)
{
	CHECK(!fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK));
}

static inline bool cloexec(int fd)
{
	return fcntl(fd, F_GETFD) & FD_CLOEXEC;
}

/* A listening socket on a free port of 127.0.0.1. */
static inline int listener(struct sockaddr_in *at)
{
	socklen_t len = sizeof(*at);
	int fd = (int)OK(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));

	*at = (struct sockaddr_in){ .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	CHECK(!bind(fd, (struct sockaddr *)at, sizeof(*at)));
	CHECK(!listen(fd, 128));
	CHECK(!getsockname(fd, (struct sockaddr *)at, &len));
	return fd;
}

/* A connected pair of TCP sockets in blocking mode. */
static inline void tcp_pair(int fds[2])
{
	struct sockaddr_in at;
	int l = listener(&at);

	fds[0] = (int)OK(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	/* A signal may cut connect short; then it goes on by itself. */
	while (connect(fds[0], (struct sockaddr *)&at, sizeof(at)) && errno != EISCONN)
		CHECK(errno == EINTR || errno == EALREADY);
	fds[1] = (int)OK(accept4(l, NULL, NULL, SOCK_CLOEXEC));
	close(l);
}

static inline void unix_pair(int fds[2], int type)
{
	CHECK(!socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds));
}

/* Write until no more goes in; how much went. The descriptor stays in the mode it was in. */
static inline size_t fill_up(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	static char junk[65536];
	size_t total = 0;
	ssize_t n;

	fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	while ((n = write(fd, junk, sizeof(junk))) > 0)
		total += (size_t)n;
	while ((n = write(fd, junk, 1)) > 0)
		total += (size_t)n;
	fcntl(fd, F_SETFL, flags);
	return total;
}

/* A child that ends with this code after so long, or with the thread that made it. */
static inline pid_t child(int ms, int code)
{
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		nap_ms(ms);
		_exit(code);
	}
	return (pid_t)check_ok(__FILE__, __LINE__, "fork", pid);
}

static inline pid_t sleeper(void)
{
	return child(100000, 0);
}

/* Wait, as a goroutine, until *p is n. */
static inline void until(int *p, int n)
{
	while (LOAD(p) != n)
		OK(ringo_sleep(RINGO_MS / 5));
}

#endif
