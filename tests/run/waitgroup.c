// SPDX-License-Identifier: MIT
/* WaitGroups. */
#include "help.h"

static struct ringo_waitgroup wg;
static int seen, woken;

static void work(void)
{
	ringo_yield();
	ADD(&seen, 1);
	ringo_waitgroup_done(&wg);
}

static int reuse_main(void *arg)
{
	for (int round = 1; round <= SCALE(200); round++) {
		ringo_waitgroup_add(&wg, 20);
		for (int i = 0; i < 20; i++)
			CHECK_EQ(0, ringo_go(work));
		ringo_waitgroup_wait(&wg);
		CHECK_EQ(20 * round, LOAD(&seen));
	}
	return 0;
}

TEST(waits_for_all_and_can_be_used_again)
{
	EXPECT_EQ(0, ringo_run(reuse_main, NULL));
}

static int zero_main(void *arg)
{
	ringo_waitgroup_wait(&wg);
	ringo_waitgroup_add(&wg, 3);
	ringo_waitgroup_add(&wg, -3);
	ringo_waitgroup_wait(&wg);
	return 0;
}

TEST(at_zero_there_is_no_wait)
{
	EXPECT_EQ(0, ringo_run(zero_main, NULL));
}

static void waits(void)
{
	ringo_waitgroup_wait(&wg);
	ADD(&woken, 1);
}

static int many_main(void *arg)
{
	ringo_waitgroup_add(&wg, 1);
	for (int i = 0; i < 100; i++)
		CHECK_EQ(0, ringo_go(waits));
	CHECK_EQ(0, ringo_sleep(10 * RINGO_MS));
	CHECK_EQ(0, LOAD(&woken));
	ringo_waitgroup_done(&wg);
	while (LOAD(&woken) < 100)
		ringo_yield();
	return 0;
}

TEST(all_who_wait_are_woken)
{
	EXPECT_EQ(0, ringo_run(many_main, NULL));
}

static void done_on_stack(struct ringo_waitgroup *w)
{
	ringo_waitgroup_done(w);
}

static int stack_main(void *arg)
{
	for (int i = 0; i < SCALE(2000); i++) {
		struct ringo_waitgroup w = { 0 };

		ringo_waitgroup_add(&w, 2);
		CHECK_EQ(0, ringo_go(done_on_stack, &w));
		CHECK_EQ(0, ringo_go(done_on_stack, &w));
		ringo_waitgroup_wait(&w);
		memset(&w, 0xff, sizeof(w)); /* nobody uses it any more */
	}
	return 0;
}

TEST(it_may_be_gone_as_soon_as_the_wait_ends)
{
	EXPECT_EQ(0, ringo_run(stack_main, NULL));
}

static int hasty_main(void *arg)
{
	for (int i = 0; i < SCALE(2000); i++) {
		struct ringo_waitgroup w = { 0 };
		int res = -ETIMEDOUT;

		ringo_waitgroup_add(&w, 2);
		CHECK_EQ(0, ringo_go(done_on_stack, &w));
		CHECK_EQ(0, ringo_go(done_on_stack, &w));
		while (res) {
			ringo_timeout_scope((i % 4 * 5 + 1) * RINGO_US);
			res = ringo_waitgroup_wait_ctx(&w);
			CHECK(!res || res == -ETIMEDOUT);
		}
		memset(&w, 0xff, sizeof(w));
	}
	return 0;
}

TEST(it_may_be_gone_after_a_wait_that_gave_up_and_one_that_did_not)
{
	EXPECT_EQ(0, ringo_run(hasty_main, NULL));
}

/* What each of the workers wrote is seen after the wait. */
static int cells[16];

static void writes(int i)
{
	cells[i] = i + 1;
	ringo_waitgroup_done(&wg);
}

static int race_main(void *arg)
{
	for (int round = 0; round < SCALE(500); round++) {
		memset(cells, 0, sizeof(cells));
		for (int i = 0; i < 16; i++) {
			ringo_waitgroup_add(&wg, 1);
			CHECK_EQ(0, ringo_go(writes, i));
		}
		ringo_waitgroup_wait(&wg);
		for (int i = 0; i < 16; i++)
			CHECK_EQ(i + 1, cells[i]);
	}
	return 0;
}

TEST(after_the_wait_all_that_was_done_is_seen)
{
	EXPECT_EQ(0, ringo_run(race_main, NULL));
}

static void gives_up(struct ringo_ctx *ctx)
{
	ringo_ctx_unref(ringo_ctx_enter(ctx));
	CHECK_EQ(-ECANCELED, ringo_waitgroup_wait_ctx(&wg));
	CHECK_EQ(-ECANCELED, ringo_waitgroup_wait_ctx(&wg));
	ADD(&seen, 1);
	ringo_waitgroup_wait(&wg); /* does not care */
	CHECK_EQ(0, ringo_waitgroup_wait_ctx(&wg));
	ADD(&woken, 1);
}

static int cancel_main(void *arg)
{
	struct ringo_ctx *ctx = ringo_ctx_with_cancel(NULL);

	ringo_waitgroup_add(&wg, 1);
	for (int i = 0; i < 10; i++) {
		CHECK_EQ(0, ringo_go(gives_up, ctx));
		CHECK_EQ(0, ringo_go(waits));
	}
	CHECK_EQ(0, ringo_sleep(2 * RINGO_MS));
	CHECK_EQ(0, LOAD(&seen));
	ringo_ctx_cancel(ctx, 0);
	while (LOAD(&seen) < 10)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK_EQ(0, LOAD(&woken));
	ringo_waitgroup_done(&wg);
	while (LOAD(&woken) < 20)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	ringo_ctx_unref(ctx);
	return 0;
}

TEST(wait_ctx_obeys_cancellation_and_wait_does_not)
{
	EXPECT_EQ(0, ringo_run(cancel_main, NULL));
}

static int negative_main(void *arg)
{
	ringo_waitgroup_add(&wg, 1);
	ringo_waitgroup_add(&wg, -2);
	return 0;
}

static void negative(void)
{
	ringo_run(negative_main, NULL);
}

TEST(a_negative_count_ends_in_a_message)
{
	struct outcome o;

	NEEDS_ABORT();
	in_child(&o, negative);
	EXPECT_TRUE(aborted(&o));
	EXPECT_TRUE(said(&o, "negative WaitGroup counter"));
}

static void goes_negative(void *arg)
{
	negative_main(arg);
}

static void too_much(void *arg)
{
	ringo_waitgroup_add(&wg, INT32_MAX);
}

static int contained_main(void *arg)
{
	CHECK_EQ(1, ringo_try(goes_negative, NULL, NULL));
	CHECK_EQ(1, ringo_try(too_much, NULL, NULL));
	ringo_waitgroup_done(&wg); /* it is at 1, as before */
	ringo_waitgroup_wait(&wg);
	return 0;
}

TEST(misuse_can_be_contained)
{
	EXPECT_EQ(0, ringo_run(contained_main, NULL));
}

static void *foreign(void *arg)
{
	CHECK_EQ(-EPERM, ringo_waitgroup_wait_ctx(&wg));
	ringo_waitgroup_add(&wg, 1);
	ringo_waitgroup_add(&wg, -2);
	return NULL;
}

static int foreign_main(void *arg)
{
	pthread_t t;

	ringo_waitgroup_add(&wg, 1);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(0, ringo_go(waits));
	CHECK_EQ(0, ringo_sleep(2 * RINGO_MS));
	CHECK_EQ(0, pthread_create(&t, NULL, foreign, NULL));
	ringo_waitgroup_wait(&wg);
	while (LOAD(&woken) < 3)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	pthread_join(t, NULL);
	return 0;
}

TEST(other_threads_may_use_it_where_they_need_not_wait)
{
	EXPECT_EQ(0, ringo_run(foreign_main, NULL));
	ringo_waitgroup_wait(&wg);
	ringo_waitgroup_add(&wg, 1);
	EXPECT_EQ(-ESRCH, ringo_waitgroup_wait_ctx(&wg));
}

TEST_HARNESS_MAIN
