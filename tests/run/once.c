// SPDX-License-Identifier: MIT
/* Once: one call, for which all wait, however it ends. */
#include "help.h"

static struct ringo_once once;
static int calls, value, seen;

static void call(void *arg)
{
	calls++;
	CHECK_EQ(0, ringo_sleep(2 * RINGO_MS));
	value = *(int *)arg;
}

static void other(void *arg)
{
	calls += 100;
}

static void needs_it(void)
{
	int seven = 7;

	ringo_once_do(&once, call, &seven);
	CHECK_EQ(7, value);
	CHECK_EQ(1, calls);
	ADD(&seen, 1);
}

static int once_main(void *arg)
{
	for (int i = 0; i < 20; i++)
		CHECK_EQ(0, ringo_go(needs_it));
	while (LOAD(&seen) < 20)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	ringo_once_do(&once, other, NULL);
	CHECK_EQ(1, calls);
	return 0;
}

TEST(it_is_called_once_and_all_wait_for_it)
{
	EXPECT_EQ(0, ringo_run(once_main, NULL));
}

static void panics(void *arg)
{
	calls++;
	ringo_panic("this one fails");
}

static void does_panicking(void *arg)
{
	ringo_once_do(&once, panics, NULL);
}

static int panic_main(void *arg)
{
	struct ringo_panic_info info;

	CHECK_EQ(1, ringo_try(does_panicking, NULL, &info));
	CHECK(!strcmp(info.message, "this one fails"));
	CHECK_EQ(0, ringo_try(does_panicking, NULL, &info)); /* it was called */
	ringo_once_do(&once, other, NULL);
	CHECK_EQ(1, calls);
	return 0;
}

TEST(a_call_that_panicked_was_the_call)
{
	EXPECT_EQ(0, ringo_run(panic_main, NULL));
}

static void exits(void *arg)
{
	calls++;
	CHECK_EQ(0, ringo_sleep(2 * RINGO_MS));
	ringo_exit();
}

static void does_exiting(void)
{
	ringo_once_do(&once, exits, NULL);
	ADD(&seen, 1);
}

static int exit_main(void *arg)
{
	for (int i = 0; i < 3; i++)
		CHECK_EQ(0, ringo_go(does_exiting));
	while (LOAD(&seen) < 2) /* the two that waited for the one that exited */
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK_EQ(1, calls);
	return 0;
}

TEST(a_call_that_exited_was_the_call)
{
	EXPECT_EQ(0, ringo_run(exit_main, NULL));
}

static void calls_itself(void *arg)
{
	ringo_once_do(&once, calls_itself, NULL);
}

static void does_itself(void *arg)
{
	ringo_once_do(&once, calls_itself, NULL);
}

static int itself_main(void *arg)
{
	struct ringo_panic_info info;

	CHECK_EQ(1, ringo_try(does_itself, NULL, &info));
	CHECK(strstr(info.message, "wait for itself"));
	return 0;
}

TEST(a_call_from_within_panics)
{
	EXPECT_EQ(0, ringo_run(itself_main, NULL));
}

TEST(any_thread_may_where_it_need_not_wait)
{
	ringo_once_do(&once, other, NULL);
	ringo_once_do(&once, other, NULL);
	EXPECT_EQ(100, calls);
}

TEST_HARNESS_MAIN
