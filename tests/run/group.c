// SPDX-License-Identifier: MIT
/* Groups: the first error, cancellation of the others, limits, and use again after the wait. */
#include "help.h"

static struct ringo_group group;
static int ran, at_once, most;

static int count(void *arg)
{
	ADD(&ran, 1);
	return (int)(intptr_t)arg;
}

G_TEST(wait_waits_for_all)
{
	ringo_group_init(&group, NULL);
	CHECK_EQ(0, ringo_group_wait(&group)); /* none */
	for (int i = 0; i < 100; i++)
		CHECK_EQ(0, ringo_group_go(&group, count, NULL));
	CHECK_EQ(0, ringo_group_wait(&group));
	CHECK_EQ(100, ran);
	return 0;
}

static int until_cancelled(void *arg)
{
	CHECK(ringo_ctx_current() == ringo_group_ctx(&group));
	CHECK_EQ(-ECANCELED, ringo_sleep(INT64_MAX));
	CHECK_EQ(-EIO, ringo_ctx_cause(NULL));
	ADD(&ran, 1);
	return -ENOENT; /* not the first */
}

static int fail(void *arg)
{
	CHECK_EQ(0, ringo_sleep(RINGO_MS));
	return -EIO;
}

G_TEST(the_first_error_is_kept_and_ends_the_others)
{
	struct ringo_ctx *c;

	ran = 0;
	ringo_group_init(&group, NULL);
	for (int i = 0; i < 10; i++)
		CHECK_EQ(0, ringo_group_go(&group, until_cancelled, NULL));
	CHECK_EQ(0, ringo_group_go(&group, fail, NULL));
	c = ringo_ctx_ref(ringo_group_ctx(&group));
	CHECK_EQ(-EIO, ringo_group_wait(&group));
	CHECK_EQ(10, ran);
	CHECK_EQ(-ECANCELED, ringo_ctx_err(c));
	CHECK_EQ(-EIO, ringo_ctx_cause(c));
	ringo_ctx_unref(c);
	return 0;
}

G_TEST(it_may_be_used_again)
{
	ran = 0;
	ringo_group_init(&group, NULL);
	for (int i = 0; i < 20; i++) {
		CHECK_EQ(0, ringo_group_go(&group, count, (void *)(intptr_t)(i % 2 ? -7 : 0)));
		CHECK_EQ(0, ringo_group_go(&group, count, NULL));
		CHECK_EQ(0, ringo_ctx_err(ringo_group_ctx(&group)) == -ECANCELED && !(i % 2));
		CHECK_EQ(i % 2 ? -7 : 0, ringo_group_wait(&group));
	}
	CHECK_EQ(40, ran);
	return 0;
}

static int busy(void *arg)
{
	int n = ADD(&at_once, 1);

	if (n > LOAD(&most))
		STORE(&most, n);
	CHECK_EQ(0, ringo_sleep(RINGO_MS));
	ADD(&at_once, -1);
	ADD(&ran, 1);
	return 0;
}

static bool gate_open;

static int until_open(void *arg)
{
	while (!LOAD(&gate_open))
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	return arg ? -EIO : 0;
}

G_TEST(the_limit_holds)
{
	ran = most = 0;
	ringo_group_init(&group, NULL);
	ringo_group_limit(&group, 3);
	for (int i = 0; i < 30; i++)
		CHECK_EQ(0, ringo_group_go(&group, busy, NULL));
	CHECK_EQ(0, ringo_group_wait(&group));
	CHECK_EQ(30, ran);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(0, ringo_group_try_go(&group, until_open, NULL));
	CHECK_EQ(-EAGAIN, ringo_group_try_go(&group, busy, NULL));
	STORE(&gate_open, true);
	CHECK_EQ(0, ringo_group_wait(&group));
	CHECK_EQ(3, most);
	ringo_group_limit(&group, 0);
	for (int i = 0; i < 30; i++)
		CHECK_EQ(0, ringo_group_try_go(&group, busy, NULL));
	CHECK_EQ(0, ringo_group_wait(&group));
	CHECK_EQ(60, ran);
	return 0;
}

static void raise_limit(void)
{
	CHECK_EQ(0, ringo_sleep(2 * RINGO_MS));
	ringo_group_limit(&group, 2);
}

static int long_sleep(void *arg)
{
	return ringo_sleep(INT64_MAX) == -ECANCELED ? 0 : 1;
}

G_TEST(waiting_for_a_place_ends_with_a_place_or_with_the_context)
{
	struct ringo_ctx *c = ringo_ctx_with_cancel(NULL);

	ringo_group_init(&group, c);
	ringo_group_limit(&group, 1);
	CHECK_EQ(0, ringo_group_go(&group, long_sleep, NULL));
	{
		ringo_timeout_scope(2 * RINGO_MS);
		CHECK_EQ(-ETIMEDOUT, ringo_group_go(&group, count, NULL));
	}
	CHECK_EQ(0, ringo_go(raise_limit));
	CHECK_EQ(0, ringo_group_go(&group, count, NULL));
	ringo_ctx_cancel(c, 0);
	CHECK_EQ(0, ringo_group_wait(&group));
	ringo_ctx_unref(c);
	return 0;
}

static int leave(void *arg)
{
	ringo_exit();
}

G_TEST(one_that_exits_counts_as_done)
{
	ringo_group_init(&group, NULL);
	CHECK_EQ(0, ringo_group_go(&group, leave, NULL));
	CHECK_EQ(0, ringo_group_wait(&group));
	return 0;
}

static int nest(void *arg)
{
	intptr_t depth = (intptr_t)arg;
	struct ringo_group g;

	ringo_group_init(&g, NULL); /* under the outer group's context */
	if (depth)
		for (int i = 0; i < 3; i++)
			CHECK_EQ(0, ringo_group_go(&g, nest, (void *)(depth - 1)));
	else
		CHECK_EQ(-ECANCELED, ringo_sleep(INT64_MAX));
	return ringo_group_wait(&g);
}

G_TEST(an_error_reaches_groups_within_groups)
{
	ringo_group_init(&group, NULL);
	CHECK_EQ(0, ringo_group_go(&group, nest, (void *)4));
	CHECK_EQ(0, ringo_group_go(&group, fail, NULL));
	CHECK_EQ(-EIO, ringo_group_wait(&group));
	return 0;
}

static void *from_outside(void *arg)
{
	CHECK_EQ(0, ringo_group_go(&group, until_open, &group));
	CHECK_EQ(-EPERM, ringo_group_wait(&group));
	STORE(&gate_open, true);
	return NULL;
}

G_TEST(any_thread_starts_goroutines_of_a_group)
{
	pthread_t t;

	ringo_group_init(&group, NULL);
	CHECK_EQ(0, pthread_create(&t, NULL, from_outside, NULL));
	pthread_join(t, NULL);
	CHECK_EQ(-EIO, ringo_group_wait(&group));
	return 0;
}

static int lasts(void *arg)
{
	return ringo_sleep(60 * RINGO_SEC);
}

static void waits_for_a_place(void *arg)
{
	CHECK_EQ(-1, ringo_group_go(&group, lasts, NULL));
}

static int ends_with_one_queued(void *arg)
{
	ringo_group_init(&group, NULL);
	ringo_group_limit(&group, 1);
	CHECK_EQ(0, ringo_group_go(&group, lasts, NULL));
	CHECK_EQ(0, ringo_go_fn(waits_for_a_place, NULL));
	return ringo_sleep(2 * RINGO_MS);
}

static int counts_in_the_next(void *arg)
{
	ringo_group_limit(&group, 1);
	CHECK_EQ(0, ringo_group_go(&group, fail, NULL));
	return ringo_group_wait(&group);
}

TEST(goroutines_of_a_run_that_is_over_are_none)
{
	EXPECT_EQ(0, run_main(ends_with_one_queued));
	ringo_group_limit(&group, 2);
	ringo_group_limit(&group, 0);
	EXPECT_EQ(0, ringo_group_wait(&group));
	EXPECT_EQ(0, run_main(ends_with_one_queued));
	EXPECT_EQ(-EIO, run_main(counts_in_the_next));
}

TEST(without_a_runtime_nothing_starts)
{
	ringo_group_init(&group, NULL);
	EXPECT_EQ(-ESRCH, ringo_group_try_go(&group, count, NULL));
	EXPECT_EQ(-ESRCH, ringo_group_go(&group, count, NULL));
	EXPECT_EQ(0, ringo_group_wait(&group));
}

TEST_HARNESS_MAIN
