// SPDX-License-Identifier: MIT
/* Select over descriptors, alone and beside channels, time and contexts. */
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "help.h"

static int seen;
static int a[2], b[2]; /* pipes */

static void pipes(void)
{
	CHECK_EQ(0, pipe2(a, O_CLOEXEC | O_NONBLOCK));
	CHECK_EQ(0, pipe2(b, O_CLOEXEC | O_NONBLOCK));
}

static void close_pipes(void)
{
	for (int i = 0; i < 2; i++) {
		close(a[i]);
		close(b[i]);
	}
}

static void put(int fd)
{
	CHECK_EQ(1, write(fd, "x", 1));
}

static void take(int fd)
{
	char c;

	CHECK_EQ(1, read(fd, &c, 1));
}

static void put_later(int fd)
{
	CHECK_EQ(0, ringo_sleep(2 * RINGO_MS));
	put(fd);
}

static struct ringo_chan *ints(size_t cap)
{
	struct ringo_chan *c = ringo_chan_new(sizeof(int), cap);

	CHECK(c != NULL);
	return c;
}

static void run(int (*fn)(void *))
{
	int fds = count_fds(), before;

	before = fds;
	pipes();
	CHECK_EQ(0, ringo_run(fn, NULL));
	close_pipes();
	CHECK_EQ(before, count_fds());
}

static int ready_main(void *arg)
{
	struct ringo_case none[] = { RINGO_POLL(a[0], POLLIN), RINGO_POLL(-1, POLLIN) };
	struct ringo_case out = RINGO_POLL(a[1], POLLOUT), bad = RINGO_POLL(999, POLLIN);
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct ringo_case in_file = RINGO_POLL(file, POLLIN);

	CHECK_EQ(-EAGAIN, ringo_try_select(none, 2));
	CHECK_EQ(0, ringo_select(&out, 1));
	CHECK_EQ(POLLOUT, out.result);
	CHECK_EQ(0, ringo_select(&bad, 1));
	CHECK_EQ(POLLNVAL, bad.result);
	CHECK_EQ(0, ringo_select(&in_file, 1)); /* files are always ready */
	CHECK_EQ(POLLIN, in_file.result);
	close(file);
	put(a[1]);
	CHECK_EQ(0, ringo_try_select(none, 2));
	CHECK_EQ(POLLIN, none[0].result);
	return 0;
}

TEST(what_is_ready_needs_no_wait)
{
	run(ready_main);
}

static int waits_main(void *arg)
{
	struct ringo_chan *c = ints(0);
	struct ringo_case cases[] = { RINGO_RECV(c, NULL), RINGO_POLL(a[0], POLLIN), RINGO_POLL(b[0], POLLIN),
				      RINGO_POLL(b[0], POLLPRI), RINGO_TIMEOUT(60 * RINGO_SEC) };

	CHECK_EQ(0, ringo_go(put_later, a[1]));
	CHECK_EQ(1, ringo_select(cases, 5));
	CHECK_EQ(POLLIN, cases[1].result);
	take(a[0]);
	CHECK_EQ(0, ringo_go(put_later, b[1])); /* named twice, for different events */
	CHECK_EQ(2, ringo_select(cases, 5));
	CHECK_EQ(POLLIN, cases[2].result);
	take(b[0]);
	close(a[1]);
	CHECK_EQ(1, ringo_select(cases, 5));
	CHECK_EQ(POLLHUP, cases[1].result);
	a[1] = dup(b[1]);
	ringo_chan_unref(c);
	return 0;
}

TEST(descriptors_end_a_wait)
{
	run(waits_main);
}

static void send_later(struct ringo_chan *c, int v)
{
	CHECK_EQ(0, ringo_sleep(2 * RINGO_MS));
	CHECK_EQ(0, ringo_chan_send(c, &v));
}

/* What else may end it, and that the descriptors are let go of then. */
static int others_main(void *arg)
{
	struct ringo_chan *c = ints(0);
	int v = 0;
	struct ringo_case cases[] = { RINGO_POLL(a[0], POLLIN), RINGO_RECV(c, &v), RINGO_POLL(b[0], POLLIN),
				      RINGO_TIMEOUT(20 * RINGO_MS) };
	struct ringo_case only = RINGO_POLL(a[0], POLLIN);

	for (int i = 1; i < 5; i++) {
		CHECK_EQ(0, ringo_go(send_later, c, i));
		CHECK_EQ(1, ringo_select(cases, 4));
		CHECK_EQ(i, v);
		CHECK_EQ(3, ringo_select(cases, 4));
	}
	{
		ringo_timeout_scope(3 * RINGO_MS);
		CHECK_EQ(-ETIMEDOUT, ringo_select(&only, 1));
	}
	put(a[1]); /* wakes no later wait */
	take(a[0]);
	cases[3] = RINGO_TIMEOUT(2 * RINGO_MS);
	CHECK_EQ(3, ringo_select(cases, 4));
	ringo_chan_unref(c);
	return 0;
}

TEST(channels_and_time_end_it_as_well)
{
	run(others_main);
}

static void cancel_later(struct ringo_ctx *ctx)
{
	CHECK_EQ(0, ringo_sleep(2 * RINGO_MS));
	ringo_ctx_cancel(ctx, 0);
}

static int context_main(void *arg)
{
	struct ringo_ctx *ctx = ringo_ctx_with_cancel(NULL);
	struct ringo_case cases[] = { RINGO_POLL(a[0], POLLIN), RINGO_DONE(ctx) };
	struct ringo_case only = RINGO_POLL(a[0], POLLIN);
	struct ringo_ctx *former;

	CHECK_EQ(0, ringo_go(cancel_later, ctx));
	CHECK_EQ(1, ringo_select(cases, 2));
	CHECK_EQ(-ECANCELED, cases[1].result);
	ringo_ctx_unref(ctx);
	ctx = ringo_ctx_with_cancel(NULL);
	CHECK_EQ(0, ringo_go(cancel_later, ctx));
	former = ringo_ctx_enter(ctx);
	CHECK_EQ(-ECANCELED, ringo_select(&only, 1));
	ringo_ctx_unref(ringo_ctx_enter(former));
	ringo_ctx_unref(former);
	ringo_ctx_unref(ctx);
	return 0;
}

TEST(contexts_end_it_as_well)
{
	run(context_main);
}

/* Cancellation, a descriptor and a channel all at once, over and over. */
enum { ROUNDS = 600 };

static void cancel_it(struct ringo_ctx *ctx)
{
	ringo_ctx_cancel(ctx, 0);
	ringo_ctx_unref(ctx);
	ADD(&seen, 1);
}

static void put_it(int fd)
{
	put(fd);
	ADD(&seen, 1);
}

static int race_main(void *arg)
{
	int got[3] = { 0 };

	for (int i = 0; i < SCALE(ROUNDS); i++) {
		struct ringo_ctx *ctx = ringo_ctx_with_cancel(NULL);
		struct ringo_chan *c = ints(1);
		struct ringo_case cases[] = { RINGO_POLL(a[0], POLLIN), RINGO_DONE(ctx), RINGO_RECV(c, NULL) };
		int from = LOAD(&seen), k;

		CHECK_EQ(0, ringo_go(cancel_it, ringo_ctx_ref(ctx)));
		CHECK_EQ(0, ringo_go(put_it, a[1]));
		if (i % 2)
			CHECK_EQ(0, ringo_go(send_later, c, i));
		k = ringo_select(cases, i % 2 ? 3 : 2);
		CHECK(k >= 0);
		got[k]++;
		while (LOAD(&seen) < from + 2)
			ringo_yield();
		take(a[0]);
		if (i % 2 && k != 2)
			CHECK_EQ(1, ringo_chan_recv(c, NULL));
		ringo_chan_unref(c);
		ringo_ctx_unref(ctx);
	}
	CHECK(got[0] + got[1] > 0);
	return 0;
}

TEST(all_that_may_end_it_races)
{
	run(race_main);
}

/* Many wait for one descriptor, and take from it in turn; others wait for many. */
enum { WAITERS = 20 };

static void taker(struct ringo_chan *stop, int n)
{
	for (;;) {
		struct ringo_case cases[] = { RINGO_POLL(a[0], POLLIN), RINGO_RECV(stop, NULL) };
		char c;

		if (ringo_select(cases, 2) == 1)
			break;
		if (read(a[0], &c, 1) == 1)
			ADD(&seen, 1);
	}
	ADD(&seen, 1000000);
}

static int many_main(void *arg)
{
	struct ringo_chan *stop = ints(0);
	const int n = SCALE(1000);

	for (int i = 0; i < WAITERS; i++)
		CHECK_EQ(0, ringo_go(taker, stop, i));
	for (int i = 0; i < n; i++) {
		put(a[1]);
		if (i % 7 == 0)
			CHECK_EQ(0, ringo_sleep(RINGO_US));
	}
	while (LOAD(&seen) < n)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	ringo_chan_close(stop);
	while (LOAD(&seen) < n + WAITERS * 1000000)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	ringo_chan_unref(stop);
	return 0;
}

TEST(many_may_wait_for_one_descriptor)
{
	run(many_main);
}

/* An epoll descriptor is a descriptor; nested too deep it is refused. */
static int nested_main(void *arg)
{
	int eps[6], linked = 1, res;
	struct epoll_event ev = { .events = EPOLLIN };

	for (int i = 0; i < 6; i++)
		eps[i] = epoll_create1(EPOLL_CLOEXEC);
	CHECK_EQ(0, epoll_ctl(eps[0], EPOLL_CTL_ADD, a[0], &ev));
	while (linked < 6 && !epoll_ctl(eps[linked], EPOLL_CTL_ADD, eps[linked - 1], &ev))
		linked++;
	for (int i = 0; i < linked; i++) {
		struct ringo_case cases[] = { RINGO_POLL(eps[i], POLLIN), RINGO_TIMEOUT(60 * RINGO_SEC) };

		CHECK_EQ(0, ringo_go(put_later, a[1]));
		res = ringo_select(cases, 2);
		CHECK(res == 0 || (i > 1 && (res == -ELOOP || res == -EINVAL)));
		while (res < 0 && poll(&(struct pollfd){ a[0], POLLIN, 0 }, 1, 0) == 0)
			ringo_yield();
		take(a[0]);
	}
	for (int i = 0; i < 6; i++)
		close(eps[i]);
	return 0;
}

TEST(epoll_descriptors_may_be_waited_for)
{
	run(nested_main);
}

/* Runs that end while selects wait for descriptors leave none open; the next run begins anew. */
static void for_ever(void)
{
	struct ringo_case cases[] = { RINGO_POLL(a[0], POLLIN), RINGO_POLL(b[0], POLLIN) };

	(void)!ringo_select(cases, 2);
	CHECK(false);
}

static int stop_main(void *arg)
{
	for (int i = 0; i < 5; i++)
		CHECK_EQ(0, ringo_go(for_ever));
	CHECK_EQ(0, ringo_sleep(2 * RINGO_MS));
	return 0;
}

TEST(the_end_of_the_run_closes_what_they_had)
{
	for (int i = 0; i < 3; i++)
		run(stop_main);
}

/* No goroutine but one, which waits: nobody is deadlocked. */
static void *thread_puts(void *arg)
{
	nap_ms(60);
	put(a[1]);
	return NULL;
}

static int alive_main(void *arg)
{
	struct ringo_case cases[] = { RINGO_POLL(a[0], POLLIN), RINGO_RECV((struct ringo_chan *)NULL, NULL) };

	CHECK_EQ(0, ringo_select(cases, 2));
	return 0;
}

TEST(waiting_for_a_descriptor_is_no_deadlock)
{
	pid_t pid;
	int fds = count_fds();

	pipes();
	pid = fork(); /* the one that puts is another process: nobody here is left who could */
	if (!pid) {
		thread_puts(NULL);
		_exit(0);
	}
	EXPECT_EQ(0, ringo_run(alive_main, NULL));
	waitpid(pid, NULL, 0);
	close_pipes();
	EXPECT_EQ(fds, count_fds());
}

static int no_fd_main(void *arg)
{
	struct ringo_case cases[] = { RINGO_POLL(a[0], POLLIN), RINGO_TIMEOUT(60 * RINGO_SEC) };
	int held[1024], n = 0;

	while (n < 1024 && (held[n] = dup(a[0])) >= 0)
		n++;
	CHECK_EQ(-EMFILE, ringo_select(cases, 2));
	while (n)
		close(held[--n]);
	CHECK_EQ(0, ringo_go(put_later, a[1]));
	CHECK_EQ(0, ringo_select(cases, 2));
	take(a[0]);
	return 0;
}

TEST(no_descriptor_left_is_told)
{
	struct rlimit r = { 200, 200 };

	EXPECT_EQ(0, setrlimit(RLIMIT_NOFILE, &r));
	run(no_fd_main);
}

TEST_HARNESS_MAIN
