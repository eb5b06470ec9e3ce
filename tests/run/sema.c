// SPDX-License-Identifier: MIT
/* Semaphores: permits, turns, giving up, misuse. */
#include "help.h"

static struct ringo_sema sema;
static long used;
static int seen;

static void wait_for(int n)
{
	while (LOAD(&seen) < n)
		CHECK_EQ(0, ringo_sleep(100 * RINGO_US));
}

static void worker(int id)
{
	for (int i = 0; i < SCALE(1000); i++) {
		long n = (id + i) % 4;

		CHECK_EQ(0, ringo_sema_acquire(&sema, n));
		CHECK(ADD(&used, n) <= 10);
		if (i % 8 == 0)
			ringo_yield();
		ADD(&used, -n);
		ringo_sema_release(&sema, n);
	}
	ADD(&seen, 1);
}

static int permits_main(void *arg)
{
	ringo_sema_init(&sema, 10);
	for (int i = 0; i < 20; i++)
		CHECK_EQ(0, ringo_go(worker, i));
	wait_for(20);
	CHECK_EQ(-EAGAIN, ringo_sema_try_acquire(&sema, 11));
	CHECK_EQ(0, ringo_sema_try_acquire(&sema, 10));
	CHECK_EQ(-EAGAIN, ringo_sema_try_acquire(&sema, 1));
	CHECK_EQ(0, ringo_sema_try_acquire(&sema, 0));
	return 0;
}

TEST(no_more_permits_are_out_than_there_are)
{
	EXPECT_EQ(0, ringo_run(permits_main, NULL));
}

TEST(no_more_permits_are_out_than_there_are_on_two_Ps)
{
	use_procs(2);
	EXPECT_EQ(0, ringo_run(permits_main, NULL));
}

static void taker(void)
{
	CHECK_EQ(0, ringo_sema_acquire(&sema, 1));
	ADD(&seen, 1);
}

static int zeroed_main(void *arg)
{
	CHECK_EQ(-EAGAIN, ringo_sema_try_acquire(&sema, 1));
	CHECK_EQ(0, ringo_go(taker));
	CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK_EQ(0, LOAD(&seen));
	ringo_sema_release(&sema, 1);
	wait_for(1);
	return 0;
}

TEST(a_zeroed_one_has_no_permits)
{
	EXPECT_EQ(0, ringo_run(zeroed_main, NULL));
}

static char order[16];

static void wants(char name, int64_t n)
{
	CHECK_EQ(0, ringo_sema_acquire(&sema, n));
	order[ADD(&seen, 1) - 1] = name;
}

static int turns_main(void *arg)
{
	CHECK_EQ(0, ringo_go(wants, (char)'a', (int64_t)2));
	ringo_yield();
	CHECK_EQ(0, ringo_go(wants, (char)'B', (int64_t)10));
	ringo_yield();
	CHECK_EQ(0, ringo_go(wants, (char)'c', (int64_t)1));
	CHECK_EQ(0, ringo_go(wants, (char)'d', (int64_t)0));
	ringo_yield();
	ringo_sema_release(&sema, 1);
	CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK_EQ(0, seen);
	for (int i = 0; i < 10; i++) { /* a goes on; B keeps what comes, and c and d behind it */
		ringo_sema_release(&sema, 1);
		CHECK_EQ(-EAGAIN, ringo_sema_try_acquire(&sema, 1));
		CHECK_EQ(0, ringo_sleep(200 * RINGO_US));
		CHECK_EQ(1, seen);
	}
	ringo_sema_release(&sema, 1);
	wait_for(2);
	CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK_EQ(2, seen);
	ringo_sema_release(&sema, 1);
	wait_for(4);
	CHECK(order[0] == 'a' && order[1] == 'B');
	return 0;
}

TEST(a_large_request_is_not_overtaken)
{
	use_turns();
	EXPECT_EQ(0, ringo_run(turns_main, NULL));
}

/* A release goes to who waits: the releaser cannot take it back at once. */
static int handoff_main(void *arg)
{
	for (int i = 0; i < SCALE(200); i++) {
		seen = 0;
		CHECK_EQ(0, ringo_go(taker));
		while (ringo_sema_try_acquire(&sema, 0) == 0) /* until it waits */
			ringo_yield();
		ringo_sema_release(&sema, 1);
		CHECK_EQ(-EAGAIN, ringo_sema_try_acquire(&sema, 1));
		while (!LOAD(&seen))
			ringo_yield();
	}
	return 0;
}

TEST(a_permit_is_handed_to_who_waits)
{
	EXPECT_EQ(0, ringo_run(handoff_main, NULL));
}

static void large_and_hasty(void)
{
	ringo_timeout_scope(5 * RINGO_MS);
	CHECK_EQ(-ETIMEDOUT, ringo_sema_acquire(&sema, 100));
	ADD(&seen, 100);
}

static int gives_up_main(void *arg)
{
	ringo_sema_init(&sema, 3);
	CHECK_EQ(0, ringo_go(large_and_hasty));
	while (!ringo_sema_try_acquire(&sema, 0))
		ringo_yield();
	for (int i = 0; i < 3; i++)
		CHECK_EQ(0, ringo_go(taker));
	wait_for(103); /* those behind it go on when it has given up */
	CHECK_EQ(-EAGAIN, ringo_sema_try_acquire(&sema, 1));
	CHECK_EQ(0, ringo_sema_try_acquire(&sema, 0)); /* nobody is queued */
	ringo_timeout_scope(0);
	CHECK_EQ(-ETIMEDOUT, ringo_sema_acquire(&sema, 1));
	CHECK_EQ(0, ringo_sema_try_acquire(&sema, 0));
	return 0;
}

TEST(who_gives_up_lets_those_behind_it_go_on)
{
	EXPECT_EQ(0, ringo_run(gives_up_main, NULL));
}

static void is_cancelled(struct ringo_ctx *ctx)
{
	ringo_ctx_unref(ringo_ctx_enter(ctx));
	CHECK_EQ(-ECANCELED, ringo_sema_acquire(&sema, 1));
	CHECK_EQ(-ECANCELED, ringo_sema_acquire(&sema, 1));
	ADD(&seen, 1);
}

static int cancel_main(void *arg)
{
	struct ringo_ctx *ctx = ringo_ctx_with_cancel(NULL);

	for (int i = 0; i < 10; i++) {
		CHECK_EQ(0, ringo_go(is_cancelled, ctx));
		CHECK_EQ(0, ringo_go(taker));
	}
	CHECK_EQ(0, ringo_sleep(2 * RINGO_MS));
	ringo_ctx_cancel(ctx, 0);
	wait_for(10);
	ringo_sema_release(&sema, 9);
	wait_for(19);
	ringo_sema_release(&sema, 2);
	wait_for(20);
	CHECK_EQ(0, ringo_sema_try_acquire(&sema, 1));
	ringo_ctx_unref(ctx);
	return 0;
}

TEST(a_wait_obeys_cancellation)
{
	EXPECT_EQ(0, ringo_run(cancel_main, NULL));
}

static void releases(struct ringo_sema *s)
{
	ringo_sema_release(s, 1);
}

static int stack_main(void *arg)
{
	for (int i = 0; i < SCALE(2000); i++) {
		struct ringo_sema s = { 0 };
		int res = -ETIMEDOUT;

		CHECK_EQ(0, ringo_go(releases, &s));
		while (res) {
			ringo_timeout_scope((i % 4 * 5 + 1) * RINGO_US);
			res = ringo_sema_acquire(&s, 1);
		}
		memset(&s, 0xff, sizeof(s)); /* nobody uses it any more */
	}
	return 0;
}

TEST(it_may_be_gone_as_soon_as_the_last_permit_was_got)
{
	EXPECT_EQ(0, ringo_run(stack_main, NULL));
}

static void too_few(void *arg)
{
	ringo_sema_release(&sema, -1);
}

static void too_many(void *arg)
{
	ringo_sema_init(&sema, INT64_MAX / 2);
	ringo_sema_release(&sema, 1);
}

static void negative(void *arg)
{
	ringo_sema_init(&sema, -1);
}

static int misuse_main(void *arg)
{
	CHECK_EQ(1, ringo_try(too_few, NULL, NULL));
	CHECK_EQ(1, ringo_try(too_many, NULL, NULL));
	CHECK_EQ(1, ringo_try(negative, NULL, NULL));
	CHECK_EQ(-EINVAL, ringo_sema_acquire(&sema, -1));
	CHECK_EQ(-EINVAL, ringo_sema_try_acquire(&sema, -1));
	return 0;
}

TEST(misuse_panics)
{
	EXPECT_EQ(0, ringo_run(misuse_main, NULL));
}

static void *foreign(void *arg)
{
	CHECK_EQ(-EPERM, ringo_sema_acquire(&sema, 1));
	CHECK_EQ(-EAGAIN, ringo_sema_try_acquire(&sema, 1));
	ringo_sema_release(&sema, 3);
	return NULL;
}

static int foreign_main(void *arg)
{
	pthread_t t;

	for (int i = 0; i < 3; i++)
		CHECK_EQ(0, ringo_go(taker));
	CHECK_EQ(0, ringo_sleep(2 * RINGO_MS));
	CHECK_EQ(0, pthread_create(&t, NULL, foreign, NULL));
	wait_for(3);
	pthread_join(t, NULL);
	return 0;
}

TEST(other_threads_may_use_it_where_they_need_not_wait)
{
	EXPECT_EQ(0, ringo_run(foreign_main, NULL));
	EXPECT_EQ(-ESRCH, ringo_sema_acquire(&sema, 1));
	ringo_sema_release(&sema, 1);
	EXPECT_EQ(0, ringo_sema_acquire(&sema, 1));
}

TEST_HARNESS_MAIN
