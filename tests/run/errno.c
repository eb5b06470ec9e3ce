// SPDX-License-Identifier: MIT
/* errno belongs to the goroutine: it survives switches and migration, and no call of ringo changes it. */
#include "help.h"

enum { GS = 20 };

static int ended;

static void keeps(int i)
{
	for (int k = 0; k < SCALE(3000); k++) {
		ringo_errno = 1000 + i;
		if (k % 100 == 0)
			CHECK_EQ(0, ringo_sleep(10 * RINGO_US));
		else
			ringo_yield();
		CHECK_EQ(1000 + i, ringo_errno);
	}
	ADD(&ended, 1);
}

static int switches_main(void *arg)
{
	for (int i = 0; i < GS; i++)
		CHECK_EQ(0, ringo_go(keeps, i));
	while (LOAD(&ended) < GS)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	return 0;
}

TEST(survives_switches_and_migration)
{
	EXPECT_EQ(0, ringo_run(switches_main, NULL));
}

static void begins_with_none(void)
{
	CHECK_EQ(0, ringo_errno);
	ringo_errno = 77;
	ADD(&ended, 1);
}

static int fresh_main(void *arg)
{
	ringo_errno = 55;
	for (int i = 0; i < 100; i++)
		CHECK_EQ(0, ringo_go(begins_with_none));
	while (LOAD(&ended) < 100)
		ringo_yield();
	CHECK_EQ(55, ringo_errno);
	return 0;
}

TEST(a_fresh_goroutine_has_none)
{
	EXPECT_EQ(0, ringo_run(fresh_main, NULL));
}

static struct ringo_chan *chan;
static struct ringo_mutex mu;

static void contends(int i)
{
	for (int k = 0; k < SCALE(20000); k++) {
		ringo_errno = 1000 + i;
		if (i % 2) {
			CHECK_EQ(0, ringo_chan_send(chan, NULL));
		} else {
			CHECK_EQ(1, ringo_chan_recv(chan, NULL));
		}
		CHECK_EQ(1000 + i, ringo_errno);
		ringo_mutex_lock(&mu);
		ringo_mutex_unlock(&mu);
		CHECK_EQ(1000 + i, ringo_errno);
	}
	ADD(&ended, 1);
}

static int contention_main(void *arg)
{
	chan = ringo_chan_new(0, 1);
	for (int i = 0; i < 8; i++)
		CHECK_EQ(0, ringo_go(contends, i));
	while (LOAD(&ended) < 8)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	ringo_chan_unref(chan);
	return 0;
}

TEST(contention_inside_does_not_show)
{
	use_procs(4);
	EXPECT_EQ(0, ringo_run(contention_main, NULL));
}

static int failing_main(void *arg)
{
	ringo_errno = 4242;
	ringo_deadline_set(1);
	CHECK_EQ(-ETIMEDOUT, ringo_chan_recv(NULL, NULL));
	ringo_deadline_set(0);
	CHECK_EQ(-EINVAL, ringo_maxprocs(-1));
	CHECK_EQ(-EINVAL, ringo_chan_close(NULL));
#if !SANITIZED /* they end the process */
	CHECK(!ringo_chan_new(1, (size_t)1 << 62));
#endif
	CHECK(ringo_num_cpu() > 0);
	CHECK_EQ(4242, ringo_errno);
	return 0;
}

TEST(failing_calls_do_not_set_it)
{
	EXPECT_EQ(0, ringo_run(failing_main, NULL));
}

TEST_HARNESS_MAIN
