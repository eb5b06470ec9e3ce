// SPDX-License-Identifier: MIT
/* Giving way: progress, fairness, and the bound on run-next. */
#include "help.h"

enum { GS = 10 };

static int stop;
static long turns[GS];

static void taker(int i)
{
	while (!LOAD(&stop)) {
		turns[i]++;
		ringo_yield();
	}
}

static int fair_main(void *arg)
{
	for (int i = 0; i < GS; i++)
		CHECK_EQ(0, ringo_go(taker, i));
	while (turns[0] < 1000)
		ringo_yield();
	STORE(&stop, 1);
	return 0;
}

TEST(with_one_P_yielding_goroutines_take_turns)
{
	use_turns();
	EXPECT_EQ(0, ringo_run(fair_main, NULL));
	for (int i = 0; i < GS; i++) {
		EXPECT_GE(turns[i], 900);
		EXPECT_LE(turns[i], 1100);
	}
}

static int flag;

static void setter(void)
{
	STORE(&flag, 1);
}

static int yield_reaches_main(void *arg)
{
	CHECK_EQ(0, ringo_go(setter));
	for (int i = 0; i < 1000 && !flag; i++)
		ringo_yield();
	CHECK_EQ(1, flag);
	return 0;
}

TEST(with_one_P_a_yield_lets_a_fresh_goroutine_run)
{
	use_turns();
	EXPECT_EQ(0, ringo_run(yield_reaches_main, NULL));
}

static int alone_main(void *arg)
{
	for (int i = 0; i < 100000; i++) {
		ringo_yield();
		ringo_checkpoint();
	}
	return 0;
}

TEST(a_lone_goroutine_may_yield_for_ever)
{
	EXPECT_EQ(0, ringo_run(alone_main, NULL));
}

static long pings, thirds;

static void ping(struct ringo_chan *a, struct ringo_chan *b)
{
	while (ringo_chan_recv(a, NULL) == 1) {
		pings++;
		if (ringo_chan_send(b, NULL))
			return;
	}
}

static void third(void)
{
	for (;;) {
		thirds++;
		ringo_yield();
	}
}

static int run_next_main(void *arg)
{
	struct ringo_chan *a = ringo_chan_new(0, 0), *b = ringo_chan_new(0, 0);

	CHECK_EQ(0, ringo_go(ping, a, b));
	CHECK_EQ(0, ringo_go(ping, b, a));
	CHECK_EQ(0, ringo_go(third));
	CHECK_EQ(0, ringo_chan_send(a, NULL));
	while (pings < 10000)
		ringo_yield(); /* through the queue too: it competes with the pair */
	return 0;
}

TEST(a_pair_that_wakes_each_other_does_not_starve_a_third)
{
	use_turns();
	EXPECT_EQ(0, ringo_run(run_next_main, NULL));
	EXPECT_GE(thirds, 100);
}

static void echo(struct ringo_chan *c)
{
	for (int n; ringo_chan_recv(c, &n) == 1;)
		;
}

/* Foreign threads put into the global queue; a busy local queue must look there. */
static int global_done;

static void from_outside(void *arg)
{
	STORE(&global_done, 1);
}

static void *outside(void *arg)
{
	CHECK_EQ(0, ringo_go_fn(from_outside, NULL));
	return NULL;
}

static int global_main(void *arg)
{
	struct ringo_chan *c = ringo_chan_new(sizeof(int), 0);
	pthread_t t;
	int n = 0;

	CHECK_EQ(0, ringo_go(echo, c));
	CHECK_EQ(0, pthread_create(&t, NULL, outside, NULL));
	while (!LOAD(&global_done)) {
		CHECK_EQ(0, ringo_chan_send(c, &n));
		n++;
	}
	pthread_join(t, NULL);
	CHECK_EQ(0, ringo_chan_close(c));
	return 0;
}

TEST(a_busy_P_still_looks_into_the_global_queue)
{
	use_turns();
	EXPECT_EQ(0, ringo_run(global_main, NULL));
}

static int sleeper_done;

static void sleeper(void)
{
	CHECK_EQ(0, ringo_sleep(5 * RINGO_MS));
	STORE(&sleeper_done, 1);
}

static int timers_main(void *arg)
{
	CHECK_EQ(0, ringo_go(sleeper));
	CHECK_EQ(0, ringo_go(third));
	while (!LOAD(&sleeper_done))
		ringo_yield();
	return 0;
}

TEST(a_busy_P_still_runs_its_timers)
{
	use_turns();
	EXPECT_EQ(0, ringo_run(timers_main, NULL));
}

static void *yields(void *arg)
{
	ringo_yield();
	ringo_checkpoint();
	return NULL;
}

TEST(outside_a_goroutine_yield_does_no_harm)
{
	pthread_t t;

	ringo_yield();
	ringo_checkpoint();
	ASSERT_EQ(0, pthread_create(&t, NULL, yields, NULL));
	pthread_join(t, NULL);
}

TEST_HARNESS_MAIN
