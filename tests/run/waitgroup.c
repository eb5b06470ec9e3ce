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
	EXPECT_TRUE(said(&o, "ringo: negative WaitGroup counter"));
}

TEST_HARNESS_MAIN
