// SPDX-License-Identifier: MIT
/*
 * Progress, as Go's scheduler promises it: everybody runs, at the same time where there are Ps for it, and a
 * sleep is cut short by whatever comes before its end. Order and turns: yield.c.
 */
#include "io_help.h"

static struct ringo_chan *chan, *ack;
static struct ringo_waitgroup done;
static int seen;

static void until_seen(int n)
{
	while (LOAD(&seen) < n)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
}

/* YieldProgress */
static void yields_until_told(void)
{
	while (ringo_chan_try_recv(chan, NULL) == -EAGAIN)
		ringo_yield();
	CHECK_EQ(0, ringo_chan_send(ack, NULL));
}

G_TEST(who_only_yields_still_meets_a_sender)
{
	chan = ringo_chan_new(0, 0);
	ack = ringo_chan_new(0, 0);
	CHECK_EQ(0, ringo_go(yields_until_told));
	CHECK_EQ(0, ringo_sleep(10 * RINGO_MS));
	CHECK_EQ(0, ringo_chan_send(chan, NULL));
	CHECK_EQ(1, ringo_chan_recv(ack, NULL));
	ringo_chan_unref(chan);
	ringo_chan_unref(ack);
	return 0;
}

/* GoroutineParallelism: as many as there are Ps hand a number round without ever giving way. */
static unsigned number;

static void takes_turns(unsigned me, unsigned all)
{
	for (unsigned i = 0; i < 3; i++) {
		while (LOAD(&number) != all * i + me)
			sched_yield(); /* the CPU, not the P */
		STORE(&number, all * i + me + 1);
	}
	ringo_waitgroup_done(&done);
}

static unsigned enough_Ps(void)
{
	int n = ringo_maxprocs(0);

	if (n < 4)
		CHECK_EQ(n, ringo_maxprocs(4));
	return n < 4 ? 4 : (unsigned)n;
}

G_TEST(as_many_run_at_once_as_there_are_Ps)
{
	unsigned all = enough_Ps();

	for (int round = 0; round < 10; round++) {
		STORE(&number, 0);
		ringo_waitgroup_add(&done, (int)all);
		for (unsigned i = 0; i < all; i++)
			CHECK_EQ(0, ringo_go(takes_turns, i, all));
		ringo_waitgroup_wait(&done);
	}
	return 0;
}

/* GoroutineParallelism2: spawned by one another, just when all Ms run out of work, and with rings in use. */
static void waits_for_the_others(unsigned all)
{
	ADD(&number, 1);
	while (LOAD(&number) < all)
		sched_yield();
	ringo_waitgroup_done(&done);
}

static void starts_two(unsigned me, unsigned all)
{
	CHECK_EQ(0, ringo_go(takes_turns, me, all));
	CHECK_EQ(0, ringo_go(takes_turns, me + 1, all));
}

static void accepts(int fd)
{
	CHECK_EQ(-EINVAL, ringo_accept(fd, NULL, NULL));
	ADD(&seen, 1);
}

static void nested(unsigned all, bool load)
{
	if (load) {
		STORE(&number, 0);
		ringo_waitgroup_add(&done, (int)all);
		for (unsigned i = 0; i < all; i++)
			CHECK_EQ(0, ringo_go(waits_for_the_others, all));
		ringo_waitgroup_wait(&done);
	}
	STORE(&number, 0);
	ringo_waitgroup_add(&done, (int)all);
	for (unsigned i = 0; i < all; i += 2)
		CHECK_EQ(0, ringo_go(starts_two, i, all));
	ringo_waitgroup_wait(&done);
}

G_TEST(all_Ps_find_work_that_comes_up_deep_inside)
{
	unsigned all = enough_Ps() & ~1u;
	struct sockaddr_in at;
	int fd;

	for (int round = 0; round < 10; round++)
		nested(all, true);
	fd = listener(&at);
	CHECK_EQ(0, ringo_go(accepts, fd));
	for (int round = 0; round < 20; round++)
		nested(all, round % 2);
	CHECK_EQ(0, ringo_shutdown(fd, SHUT_RDWR));
	until_seen(1);
	CHECK_EQ(0, ringo_close(fd));
	return 0;
}

/* TimerFairness: a select that is always ready does not keep time from passing. */
static struct ringo_chan *stop;

static void always_ready(void)
{
	struct ringo_case cases[] = { RINGO_SEND(chan, NULL), RINGO_RECV(stop, NULL) };

	while (ringo_select(cases, 2) == 0)
		;
	ADD(&seen, 1);
}

G_TEST(a_timer_is_heard_beside_channels_that_are_always_ready)
{
	struct ringo_chan *timer;
	struct ringo_case cases[2];
	int64_t start = ringo_now();

	chan = ringo_chan_new(0, 0);
	stop = ringo_chan_new(0, 0);
	CHECK_EQ(0, ringo_go(always_ready));
	CHECK_EQ(0, ringo_go(always_ready));
	timer = ringo_after(20 * RINGO_MS);
	cases[0] = RINGO_RECV(chan, NULL);
	cases[1] = RINGO_RECV(timer, NULL);
	while (ringo_select(cases, 2) == 0)
		;
	CHECK(ringo_now() - start >= 20 * RINGO_MS);
	CHECK(ringo_now() - start < 10 * RINGO_SEC);
	CHECK_EQ(0, ringo_chan_close(stop));
	until_seen(2);
	ringo_chan_unref(chan);
	ringo_chan_unref(stop);
	ringo_chan_unref(timer);
	return 0;
}

/* TimerFairness2: two that exchange values, with system calls in between. */
static void exchanges(int fd)
{
	struct ringo_chan *timer = ringo_after(20 * RINGO_MS);
	struct ringo_case cases[] = { RINGO_SEND(chan, NULL), RINGO_RECV(chan, NULL), RINGO_RECV(timer, NULL) };
	char none;

	do {
		CHECK_EQ(0, read(fd, &none, 0));
		CHECK_EQ(0, ringo_read(fd, &none, 0));
	} while (ringo_select(cases, 3) < 2);
	ringo_chan_unref(timer);
	ADD(&seen, 1);
}

G_TEST(a_timer_is_heard_beside_system_calls)
{
	int64_t start = ringo_now();
	int fd = (int)OK(open("/dev/null", O_RDONLY | O_CLOEXEC));

	chan = ringo_chan_new(0, 0);
	CHECK_EQ(0, ringo_go(exchanges, fd));
	CHECK_EQ(0, ringo_go(exchanges, fd));
	until_seen(2);
	CHECK(ringo_now() - start < 10 * RINGO_SEC);
	ringo_chan_unref(chan);
	close(fd);
	return 0;
}

/*
 * NetpollBreak: all Ms sleep in their rings, the next timer is 10 s away; another thread makes something come
 * earlier.
 */
static struct ringo_timer timer;

static void tells(void *arg)
{
	CHECK_EQ(0, ringo_chan_send(chan, NULL));
}

static void sleeps(void)
{
	CHECK_EQ(0, ringo_sleep(10 * RINGO_SEC));
}

static void selects(void)
{
	struct ringo_case one = RINGO_TIMEOUT(10 * RINGO_SEC);

	CHECK_EQ(0, ringo_select(&one, 1));
}

static void polls(void)
{
	CHECK_EQ(0, ringo_poll(NULL, 0, 10000));
}

static void *breaks(void *arg)
{
	nap_ms(30); /* until all are asleep */
	switch (*(int *)arg) {
	case 0:
		CHECK_EQ(0, ringo_timer_start(&timer, 5 * RINGO_MS, tells, NULL));
		break;
	case 1:
		CHECK_EQ(1, ringo_timer_reset(&timer, 5 * RINGO_MS));
		break;
	case 2:
		CHECK_EQ(0, ringo_go_fn(tells, NULL));
		break;
	case 3:
		CHECK_EQ(0, ringo_chan_try_send(chan, NULL));
		break;
	}
	return NULL;
}

G_TEST(a_long_sleep_of_all_is_broken_by_what_comes_earlier)
{
	int64_t start = ringo_now();

	chan = ringo_chan_new(0, 0);
	for (int i = 0; i < 4; i++) {
		CHECK_EQ(0, ringo_go(sleeps));
		CHECK_EQ(0, ringo_go(selects));
		CHECK_EQ(0, ringo_go(polls));
	}
	for (int how = 0; how < 4; how++) {
		ringo_timeout_scope(20 * RINGO_SEC);
		pthread_t t;

		if (how == 1)
			CHECK_EQ(0, ringo_timer_start(&timer, 10 * RINGO_SEC, tells, NULL));
		CHECK_EQ(0, pthread_create(&t, NULL, breaks, &how));
		CHECK_EQ(1, ringo_chan_recv(chan, NULL));
		CHECK_EQ(0, pthread_join(t, NULL));
	}
	CHECK(ringo_now() - start < 5 * RINGO_SEC);
	return 0;
}

TEST_HARNESS_MAIN
