// SPDX-License-Identifier: MIT
/* Every wait obeys its context: cancelling, a deadline, and what arrived all the same. */
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "help.h"

static struct ringo_waitgroup done;

static struct ringo_ctx *ctx;
static struct ringo_chan *chan;
static int fds[2], full[2], alive[2], listening;
static pid_t sleeping;
static struct ringo_mutex held, own;
static struct ringo_cond cond;
static struct ringo_sema sema;
static struct ringo_waitgroup group;
static int results[24];

static void wait_recv(int *res)
{
	long v;

	*res = ringo_chan_recv(chan, &v);
	ringo_waitgroup_done(&done);
}

static void wait_null(int *res)
{
	*res = ringo_chan_send(NULL, NULL);
	ringo_waitgroup_done(&done);
}

static void wait_sleep(int *res)
{
	*res = ringo_sleep(INT64_MAX);
	ringo_waitgroup_done(&done);
}

static void wait_read(int *res)
{
	char c;

	*res = (int)ringo_read(fds[0], &c, 1);
	ringo_waitgroup_done(&done);
}

static void wait_poll(int *res)
{
	struct pollfd p[2] = { { .fd = fds[0], .events = POLLIN }, { .fd = fds[1], .events = POLLIN } };

	*res = ringo_poll(p, 2, -1);
	ringo_waitgroup_done(&done);
}

static void wait_poll_none(int *res)
{
	*res = ringo_poll(NULL, 0, -1);
	ringo_waitgroup_done(&done);
}

static void wait_ctx(int *res)
{
	*res = ringo_ctx_wait(ringo_ctx_background());
	ringo_waitgroup_done(&done);
}

static void wait_select(int *res)
{
	long v;
	struct ringo_case cases[] = { RINGO_RECV(chan, &v), RINGO_TIMEOUT(INT64_MAX), RINGO_POLL(fds[0], POLLIN) };

	*res = ringo_select(cases, 3);
	ringo_waitgroup_done(&done);
}

static void wait_mutex(int *res)
{
	*res = ringo_mutex_lock_ctx(&held);
	ringo_waitgroup_done(&done);
}

static void wait_cond(int *res)
{
	ringo_mutex_lock(&own);
	*res = ringo_cond_wait(&cond, &own);
	ringo_mutex_unlock(&own);
	ringo_waitgroup_done(&done);
}

static void wait_sema(int *res)
{
	*res = ringo_sema_acquire(&sema, 1);
	ringo_waitgroup_done(&done);
}

static void wait_waitgroup(int *res)
{
	*res = ringo_waitgroup_wait_ctx(&group);
	ringo_waitgroup_done(&done);
}

static void wait_accept(int *res)
{
	*res = ringo_accept(listening, NULL, NULL);
	ringo_waitgroup_done(&done);
}

static void wait_write(int *res)
{
	static char much[1 << 20];
	ssize_t n;

	while ((n = ringo_write(full[1], much, sizeof(much))) > 0)
		;
	*res = (int)n;
	ringo_waitgroup_done(&done);
}

static void wait_child(int *res)
{
	*res = ringo_waitpid(sleeping, NULL, 0);
	ringo_waitgroup_done(&done);
}

static bool tried;

/* Whatever becomes of the context, until the other has been tried. */
static int stays_in_group(void *arg)
{
	while (!LOAD(&tried))
		if (ringo_sleep(RINGO_MS))
			ringo_yield();
	return 0;
}

/* For a place in a group whose only member stays. */
static void wait_group(int *res)
{
	struct ringo_group g;

	ringo_group_init(&g, NULL);
	ringo_group_limit(&g, 1);
	STORE(&tried, false);
	*res = ringo_group_go(&g, stays_in_group, NULL);
	if (!*res)
		*res = ringo_group_go(&g, stays_in_group, NULL);
	STORE(&tried, true);
	(void)!ringo_group_wait(&g);
	ringo_waitgroup_done(&done);
}

static void (*const waits[])(int *) = { wait_recv, wait_null, wait_sleep, wait_read, wait_poll,
					wait_poll_none, wait_ctx, wait_select, wait_mutex, wait_cond,
					wait_sema, wait_waitgroup, wait_accept, wait_write, wait_child,
					wait_group };
enum { WAITS = sizeof(waits) / sizeof(waits[0]) };

static void start_all(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET };

	CHECK_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	listening = ringo_socket(AF_INET, SOCK_STREAM, 0);
	CHECK_EQ(0, ringo_bind(listening, (struct sockaddr *)&at, sizeof(at)));
	CHECK_EQ(0, ringo_listen(listening, 1));
	CHECK_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, full));
	CHECK_EQ(0, pipe(alive));
	sleeping = fork();
	if (!sleeping) { /* until its parent ends */
		close(alive[1]);
		_exit(read(alive[0], alive, 1) != 0);
	}
	chan = ringo_chan_new(sizeof(long), 0);
	ringo_mutex_lock(&held);
	ringo_waitgroup_add(&group, 1);
	ringo_waitgroup_add(&done, WAITS);
	for (int i = 0; i < WAITS; i++) {
		results[i] = 1;
		CHECK_EQ(0, ringo_go_opt(&RINGO_GO_OPTIONS(.ctx = ctx), (void (*)(void *))waits[i],
					 &results[i]));
	}
}

static void end_all(int want)
{
	ringo_waitgroup_wait(&done);
	for (int i = 0; i < WAITS; i++)
		CHECK_EQ(want, results[i]);
	ringo_mutex_unlock(&held);
	ringo_waitgroup_done(&group);
	kill(sleeping, SIGKILL);
	CHECK_EQ(sleeping, waitpid(sleeping, NULL, 0));
	close(fds[0]);
	close(fds[1]);
	close(listening);
	for (int i = 0; i < 2; i++) {
		close(full[i]);
		close(alive[i]);
	}
	ringo_chan_unref(chan);
	ringo_ctx_unref(ctx);
}

G_TEST(cancelling_ends_every_wait)
{
	ctx = ringo_ctx_with_cancel(NULL);
	start_all();
	CHECK_EQ(0, ringo_sleep(10 * RINGO_MS));
	ringo_ctx_cancel(ctx, 0);
	end_all(-ECANCELED);
	return 0;
}

G_TEST(cancelling_a_distant_ancestor_ends_every_wait)
{
	struct ringo_ctx *top = ringo_ctx_with_cancel(NULL), *p = ringo_ctx_ref(top);

	for (int i = 0; i < 1000; i++) {
		struct ringo_ctx *c = i % 2 ? ringo_ctx_with_cancel(p) : ringo_ctx_with_value(p, &p, &p, NULL);

		ringo_ctx_unref(p);
		p = c;
	}
	ctx = p;
	start_all();
	CHECK_EQ(0, ringo_sleep(10 * RINGO_MS));
	ringo_ctx_cancel(top, 0);
	end_all(-ECANCELED);
	ringo_ctx_unref(top);
	return 0;
}

G_TEST(a_deadline_ends_every_wait)
{
	ctx = ringo_ctx_with_timeout(NULL, 10 * RINGO_MS);
	start_all();
	end_all(-ETIMEDOUT);
	return 0;
}

G_TEST(nothing_begins_to_wait_under_one_that_is_over)
{
	ctx = ringo_ctx_with_cancel(NULL);
	ringo_ctx_cancel(ctx, 0);
	start_all();
	end_all(-ECANCELED);
	return 0;
}

G_TEST(what_arrived_is_returned)
{
	struct ringo_ctx *former;
	char c = 0;
	long v = 7;

	ctx = ringo_ctx_with_cancel(NULL);
	former = ringo_ctx_enter(ctx);
	CHECK(former == ringo_ctx_background());
	CHECK(ringo_ctx_current() == ctx);
	chan = ringo_chan_new(sizeof(long), 1);
	CHECK_EQ(0, ringo_chan_send(chan, &v));
	ringo_ctx_cancel(ctx, 0);
	/* Without waiting, all goes on as ever. */
	CHECK_EQ(1, ringo_chan_recv(chan, &v));
	CHECK_EQ(-ECANCELED, ringo_chan_recv(chan, &v));
	CHECK_EQ(-ECANCELED, ringo_sleep(1));
	CHECK_EQ(0, pipe(fds));
	CHECK_EQ(-ECANCELED, ringo_read(fds[0], &c, 1));
	CHECK_EQ(0, ringo_close(fds[0])); /* always closes */
	CHECK_EQ(0, ringo_close(fds[1]));
	ringo_ctx_unref(ringo_ctx_enter(former));
	ringo_ctx_unref(former);
	CHECK_EQ(0, ringo_sleep(1));
	ringo_chan_unref(chan);
	ringo_ctx_unref(ctx);
	return 0;
}

static void inherit(void)
{
	CHECK(ringo_ctx_current() == ctx);
	CHECK_EQ(-ECANCELED, ringo_sleep(INT64_MAX));
	ringo_waitgroup_done(&done);
}

G_TEST(spawning_hands_the_context_down)
{
	struct ringo_ctx *former;

	ctx = ringo_ctx_with_cancel(NULL);
	former = ringo_ctx_enter(ctx);
	ringo_waitgroup_add(&done, 2);
	CHECK_EQ(0, ringo_go(inherit));
	CHECK_EQ(0, ringo_go(inherit));
	ringo_ctx_unref(ringo_ctx_enter(former));
	ringo_yield();
	ringo_ctx_cancel(ctx, 0);
	ringo_waitgroup_wait(&done);
	ringo_ctx_unref(ctx);
	return 0;
}

/* Operations that are cancelled from goroutines elsewhere, again and again. */
static void reader(int *fd)
{
	char buf[8];

	CHECK_EQ(-ECANCELED, ringo_read(*fd, buf, sizeof(buf)));
	ringo_waitgroup_done(&done);
}

G_TEST(operations_are_cancelled_on_whatever_ring_they_are)
{
	enum { N = 40 };

	CHECK_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	for (int round = 0; round < SCALE(200); round++) {
		ctx = ringo_ctx_with_cancel(NULL);
		ringo_waitgroup_add(&done, N);
		for (int i = 0; i < N; i++)
			CHECK_EQ(0, ringo_go_opt(&RINGO_GO_OPTIONS(.ctx = ctx), (void (*)(void *))reader,
						 &fds[0]));
		for (int i = 0; i < round % 50; i++)
			ringo_yield();
		if (round % 3 == 0)
			CHECK_EQ(0, ringo_sleep(round % 100 * RINGO_US));
		ringo_ctx_cancel(ctx, 0);
		ringo_waitgroup_wait(&done);
		ringo_ctx_unref(ctx);
	}
	close(fds[0]);
	close(fds[1]);
	return 0;
}

static void *cancel_from_outside(void *c)
{
	CHECK(ringo_ctx_current() == ringo_ctx_background());
	nap_ms(5);
	ringo_ctx_cancel(c, -EIO);
	return NULL;
}

G_TEST(any_thread_cancels)
{
	pthread_t t;

	ctx = ringo_ctx_with_cancel(NULL);
	start_all();
	CHECK_EQ(0, pthread_create(&t, NULL, cancel_from_outside, ctx));
	CHECK_EQ(0, ringo_ctx_wait(ctx));
	CHECK_EQ(-EIO, ringo_ctx_cause(ctx));
	pthread_join(t, NULL);
	end_all(-ECANCELED);
	return 0;
}

TEST_HARNESS_MAIN
