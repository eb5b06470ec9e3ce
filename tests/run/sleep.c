// SPDX-License-Identifier: MIT
/* Sleeping: never too short, in order, many at once. */
#include "help.h"

enum { SLEEPERS = 10000 };

static int woken;

static int never_early_main(void *arg)
{
	for (int64_t ns = 1; ns < 20 * RINGO_MS; ns = ns * 3 + 7) {
		int64_t start = now_ns();

		CHECK_EQ(0, ringo_sleep(ns));
		CHECK(now_ns() - start >= ns);
	}
	return 0;
}

TEST(never_too_short)
{
	EXPECT_EQ(0, ringo_run(never_early_main, NULL));
}

static void never_early(int64_t ns)
{
	for (int i = 0; i < 5; i++) {
		int64_t start = now_ns();

		CHECK_EQ(0, ringo_sleep(ns));
		CHECK(now_ns() - start >= ns);
	}
	ADD(&woken, 1);
}

static int many_never_early_main(void *arg)
{
	for (int i = 0; i < 500; i++)
		CHECK_EQ(0, ringo_go(never_early, (i * 7919 % 1000) * 10 * RINGO_US));
	while (LOAD(&woken) < 500)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	return 0;
}

TEST(never_too_short_among_many)
{
	EXPECT_EQ(0, ringo_run(many_never_early_main, NULL));
}

static int order[20], next;

static void in_order(int i)
{
	CHECK_EQ(0, ringo_sleep((1 + i) * 5 * RINGO_MS));
	order[next++] = i;
}

static int order_main(void *arg)
{
	for (int i = 19; i >= 0; i--)
		CHECK_EQ(0, ringo_go(in_order, i));
	while (next < 20)
		CHECK_EQ(0, ringo_sleep(5 * RINGO_MS));
	return 0;
}

TEST(with_one_P_sleepers_wake_in_the_order_of_their_times)
{
	use_turns();
	EXPECT_EQ(0, ringo_run(order_main, NULL));
	/* Spawned within one time slice as a rule; a machine that stalls for 5 ms right there may swap some. */
	for (int i = 0; i < 20; i++)
		EXPECT_LE(abs(order[i] - i), 5);
}

static void sleeper(void)
{
	CHECK_EQ(0, ringo_sleep(100 * RINGO_MS));
	ADD(&woken, 1);
}

static int many_main(void *arg)
{
	for (int i = 0; i < SCALE(SLEEPERS); i++)
		CHECK_EQ(0, ringo_go(sleeper));
	while (LOAD(&woken) < SCALE(SLEEPERS))
		CHECK_EQ(0, ringo_sleep(10 * RINGO_MS));
	return 0;
}

TEST(ten_thousand_sleepers_all_wake)
{
	int64_t start = now_ns();

	EXPECT_EQ(0, ringo_run(many_main, NULL));
	EXPECT_LT(now_ns() - start, 20 * RINGO_SEC);
}

static int others;

static void other(void)
{
	ADD(&others, 1);
}

static int zero_main(void *arg)
{
	CHECK_EQ(0, ringo_go(other));
	for (int i = 0; i < 1000 && !others; i++)
		CHECK_EQ(0, ringo_sleep(i % 2 ? 0 : -5));
	CHECK_EQ(1, others);
	CHECK_EQ(0, ringo_sleep(INT64_MIN));
	return 0;
}

TEST(no_time_is_a_yield)
{
	use_turns();
	EXPECT_EQ(0, ringo_run(zero_main, NULL));
}

static void sleeps_for_ever(int64_t ns)
{
	(void)!ringo_sleep(ns);
	ADD(&woken, 1);
}

static int forever_main(void *arg)
{
	CHECK_EQ(0, ringo_go(sleeps_for_ever, INT64_MAX));
	CHECK_EQ(0, ringo_go(sleeps_for_ever, INT64_MAX - 1));
	CHECK_EQ(0, ringo_go(sleeps_for_ever, INT64_MAX / 2));
	CHECK_EQ(0, ringo_sleep(50 * RINGO_MS));
	CHECK_EQ(0, LOAD(&woken));
	return 0;
}

TEST(very_long_sleeps_do_not_wrap_around)
{
	EXPECT_EQ(0, ringo_run(forever_main, NULL));
}

static void sleeps_again_and_again(void)
{
	for (int i = 0; i < 200; i++)
		CHECK_EQ(0, ringo_sleep(20 * RINGO_US));
	ADD(&woken, 1);
}

static int short_main(void *arg)
{
	for (int i = 0; i < SCALE(200); i++)
		CHECK_EQ(0, ringo_go(sleeps_again_and_again));
	while (LOAD(&woken) < SCALE(200))
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	return 0;
}

TEST(many_short_sleeps_on_moving_goroutines)
{
	EXPECT_EQ(0, ringo_run(short_main, NULL));
}

TEST_HARNESS_MAIN
