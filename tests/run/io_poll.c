// SPDX-License-Identifier: MIT
/* poll: as poll(2), but the goroutine waits. */
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "io_help.h"

static struct pollfd pfd(int fd, short events)
{
	return (struct pollfd){ fd, events, 0x7fff };
}

static void write_after(int fd, long ms)
{
	OK(ringo_sleep(ms * RINGO_MS));
	CHECK_EQ(ringo_write(fd, "x", 1), 1);
}

/* Returned 0, after about so many ms. */
#define RUNS_OUT(ms, call) \
	do { \
		int64_t start__ = now_ns(); \
		CHECK_EQ(call, 0); \
		CHECK(now_ns() - start__ >= (ms) * RINGO_MS - RINGO_MS / 10); \
		CHECK(now_ns() - start__ < (ms) * RINGO_MS + 5 * RINGO_SEC); \
	} while (0)

G_TEST(one_descriptor_becomes_ready)
{
	struct pollfd p;
	int fds[2];

	OK(ringo_pipe(fds));
	p = pfd(fds[0], POLLIN);
	CHECK_EQ(ringo_poll(&p, 1, 0), 0);
	CHECK_EQ(p.revents, 0);
	OK(ringo_go(write_after, fds[1], 10l));
	CHECK_EQ(ringo_poll(&p, 1, -1), 1);
	CHECK_EQ(p.revents, POLLIN);
	CHECK_EQ(ringo_poll(&p, 1, 1000), 1);
	p = pfd(fds[1], POLLOUT);
	CHECK_EQ(ringo_poll(&p, 1, -1), 1);
	CHECK_EQ(p.revents, POLLOUT);
	return 0;
}

G_TEST(the_timeout_is_no_error)
{
	struct pollfd p[2];
	int a[2], b[2];

	OK(ringo_pipe(a));
	OK(ringo_pipe(b));
	p[0] = pfd(a[0], POLLIN);
	p[1] = pfd(b[0], POLLIN);
	RUNS_OUT(10, ringo_poll(p, 1, 10));
	CHECK_EQ(p[0].revents, 0);
	RUNS_OUT(10, ringo_poll(p, 2, 10));
	CHECK_EQ(p[1].revents, 0);
	RUNS_OUT(10, ringo_poll(NULL, 0, 10));
	p[0].fd = p[1].fd = -1;
	RUNS_OUT(10, ringo_poll(p, 2, 10));
	CHECK_EQ(p[0].revents | p[1].revents, 0);
	return 0;
}

G_TEST(the_ambient_deadline_is_an_error)
{
	struct pollfd p[2];
	int a[2], b[2];

	OK(ringo_pipe(a));
	OK(ringo_pipe(b));
	p[0] = pfd(a[0], POLLIN);
	p[1] = pfd(b[0], POLLIN);
	for (nfds_t n = 0; n <= 2; n++) {
		TIMES_OUT(10, ringo_poll(p, n, -1));
		TIMES_OUT(10, ringo_poll(p, n, 1000));
		TIMES_OUT(10, ringo_poll(p, n, INT_MAX));
	}
	{
		/* Its own ends first, and leaves the ambient one as it was. */
		int64_t at = ringo_now() + 10 * RINGO_SEC;

		CHECK_EQ(ringo_deadline_set(at), 0);
		RUNS_OUT(10, ringo_poll(p, 2, 10));
		RUNS_OUT(10, ringo_poll(p, 1, 10));
		CHECK_EQ(ringo_deadline_set(0), at);
	}
	return 0;
}

G_TEST(one_of_two_becomes_ready)
{
	struct pollfd p[2];
	int a[2], b[2], fds;

	OK(ringo_pipe(a));
	OK(ringo_pipe(b));
	fds = count_fds();
	for (int i = 0; i < 20; i++) {
		char c;

		p[0] = pfd(a[0], POLLIN);
		p[1] = pfd(b[0], POLLIN);
		OK(ringo_go(write_after, i % 2 ? a[1] : b[1], 2l));
		CHECK_EQ(ringo_poll(p, 2, -1), 1);
		CHECK_EQ(p[0].revents, i % 2 ? POLLIN : 0);
		CHECK_EQ(p[1].revents, i % 2 ? 0 : POLLIN);
		CHECK_EQ(ringo_read(i % 2 ? a[0] : b[0], &c, 1), 1);
	}
	CHECK_EQ(count_fds(), fds);
	return 0;
}

G_TEST(bad_and_negative_descriptors)
{
	struct pollfd p[3];
	int a[2];

	OK(ringo_pipe(a));
	p[0] = pfd(9999, POLLIN);
	CHECK_EQ(ringo_poll(p, 1, -1), 1);
	CHECK_EQ(p[0].revents, POLLNVAL);
	p[1] = pfd(-5, POLLIN);
	p[2] = pfd(a[0], POLLIN);
	CHECK_EQ(ringo_poll(p, 3, -1), 1);
	CHECK_EQ(p[0].revents, POLLNVAL);
	CHECK_EQ(p[1].revents, 0);
	CHECK_EQ(p[2].revents, 0);
	OK(ringo_go(write_after, a[1], 5l));
	CHECK_EQ(ringo_poll(p + 1, 2, -1), 1);
	CHECK_EQ(p[1].revents, 0);
	CHECK_EQ(p[2].revents, POLLIN);
	CHECK_EQ(ringo_poll(NULL, 1, -1), -EFAULT);
	CHECK_EQ(ringo_poll(p, (nfds_t)-1, -1), -EINVAL);
	return 0;
}

G_TEST(files_are_always_ready)
{
	struct pollfd p[2];
	int a[2], fd = (int)OK(ringo_open("/proc/self/exe", O_RDONLY));

	OK(ringo_pipe(a));
	p[0] = pfd(fd, POLLIN);
	p[1] = pfd(a[0], POLLIN);
	CHECK_EQ(ringo_poll(p, 1, -1), 1);
	CHECK_EQ(p[0].revents, POLLIN);
	CHECK_EQ(ringo_poll(p, 2, -1), 1);
	CHECK_EQ(p[0].revents, POLLIN);
	/* But not for what nobody asked. */
	p[0].events = 0;
	RUNS_OUT(5, ringo_poll(p, 2, 5));
	OK(ringo_go(write_after, a[1], 5l));
	CHECK_EQ(ringo_poll(p, 2, -1), 1);
	CHECK_EQ(p[0].revents, 0);
	CHECK_EQ(p[1].revents, POLLIN);
	return 0;
}

G_TEST(one_descriptor_named_several_times)
{
	struct pollfd p[4];
	int s[2];

	unix_pair(s, SOCK_STREAM);
	fill_up(s[0]);
	p[0] = pfd(s[0], POLLOUT);
	p[1] = pfd(s[0], POLLIN);
	p[2] = pfd(s[0], 0);
	p[3] = pfd(s[0], POLLIN);
	OK(ringo_go(write_after, s[1], 5l));
	CHECK_EQ(ringo_poll(p, 4, -1), 2);
	CHECK_EQ(p[0].revents, 0);
	CHECK_EQ(p[1].revents, POLLIN);
	CHECK_EQ(p[2].revents, 0);
	CHECK_EQ(p[3].revents, POLLIN);
	return 0;
}

static void close_after(int fd)
{
	OK(ringo_sleep(5 * RINGO_MS));
	CHECK_EQ(ringo_close(fd), 0);
}

G_TEST(hanging_up_is_seen_though_nobody_asked)
{
	struct pollfd p[2];
	int a[2], b[2];

	for (nfds_t n = 1; n <= 2; n++) {
		OK(ringo_pipe(a));
		OK(ringo_pipe(b));
		p[0] = pfd(a[0], 0);
		p[1] = pfd(b[0], POLLIN);
		OK(ringo_go(close_after, a[1]));
		CHECK_EQ(ringo_poll(p, n, -1), 1);
		CHECK_EQ(p[0].revents, POLLHUP);
	}
	return 0;
}

G_TEST(an_epoll_descriptor_can_be_polled)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct pollfd p[2];
	int a[2], b[2], ep = epoll_create1(0);

	OK(ringo_pipe(a));
	OK(ringo_pipe(b));
	CHECK(!epoll_ctl(ep, EPOLL_CTL_ADD, a[0], &ev));
	p[0] = pfd(ep, POLLIN);
	p[1] = pfd(b[0], POLLIN);
	OK(ringo_go(write_after, a[1], 5l));
	CHECK_EQ(ringo_poll(p, 2, -1), 1);
	CHECK_EQ(p[0].revents, POLLIN);
	CHECK_EQ(ringo_poll(p, 1, -1), 1);
	return 0;
}

enum { MANY = 400 };

static int many[MANY][2];

G_TEST(many_descriptors)
{
	struct rlimit l = { 4096, 4096 };
	struct pollfd p[MANY];

	setrlimit(RLIMIT_NOFILE, &l);
	for (int i = 0; i < MANY; i++) {
		OK(ringo_pipe(many[i]));
		p[i] = pfd(many[i][0], POLLIN);
	}
	for (int i = 0; i < MANY; i += 7) {
		char c;

		OK(ringo_go(write_after, many[i][1], 1l));
		CHECK_EQ(ringo_poll(p, MANY, -1), 1);
		CHECK_EQ(p[i].revents, POLLIN);
		CHECK_EQ(ringo_read(many[i][0], &c, 1), 1);
	}
	RUNS_OUT(10, ringo_poll(p, MANY, 10));
	return 0;
}

static int pollers_done, go_pipe[2];

static void poll_it(int fd)
{
	struct pollfd p[2] = { pfd(fd, POLLIN), pfd(go_pipe[0], POLLIN) };

	CHECK_EQ(ringo_poll(p, 2, -1), 1);
	CHECK_EQ(p[0].revents, 0);
	CHECK_EQ(p[1].revents, POLLIN);
	ADD(&pollers_done, 1);
}

G_TEST(many_goroutines_poll_the_same)
{
	int a[2];

	OK(ringo_pipe(a));
	OK(ringo_pipe(go_pipe));
	for (int i = 0; i < 100; i++)
		OK(ringo_go(poll_it, a[0]));
	OK(ringo_sleep(10 * RINGO_MS));
	CHECK_EQ(LOAD(&pollers_done), 0);
	CHECK_EQ(ringo_write(go_pipe[1], "x", 1), 1);
	until(&pollers_done, 100);
	return 0;
}

G_TEST(no_descriptor_left_to_wait_for_two)
{
	struct rlimit l = { 64, 64 };
	struct pollfd p[2];
	int a[2], b[2], fd;

	OK(ringo_pipe(a));
	OK(ringo_pipe(b));
	CHECK(!setrlimit(RLIMIT_NOFILE, &l));
	while ((fd = dup(0)) >= 0)
		;
	p[0] = pfd(a[0], POLLIN);
	p[1] = pfd(b[0], POLLIN);
	CHECK_EQ(ringo_poll(p, 2, 10), -EMFILE);
	RUNS_OUT(10, ringo_poll(p, 1, 10)); /* one needs none */
	CHECK_EQ(ringo_write(b[1], "x", 1), 1);
	CHECK_EQ(ringo_poll(p, 2, 10), 1); /* nor does what need not wait */
	return 0;
}

static int leaves_polls(void *arg)
{
	int *fds = arg;

	for (int i = 0; i < 10; i++)
		OK(ringo_go(poll_it, fds[0]));
	OK(ringo_sleep(10 * RINGO_MS));
	CHECK(count_fds() >= 10);
	return 0;
}

TEST(the_end_of_the_run_closes_what_waiting_polls_opened)
{
	int a[2], before, after;

	ASSERT_EQ(0, pipe(a));
	ASSERT_EQ(0, pipe(go_pipe));
	before = count_fds();
	for (int i = 0; i < 10; i++)
		ASSERT_EQ(0, ringo_run(leaves_polls, a));
	after = count_fds();
	ASSERT_EQ(before, after);
}

TEST_HARNESS_MAIN
