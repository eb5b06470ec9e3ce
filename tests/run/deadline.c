// SPDX-License-Identifier: MIT
/* The ambient deadline: scopes, inheritance, and that no value is lost or doubled when it races. */
#include "help.h"

static int seen;

static int64_t deadline(void)
{
	int64_t d = ringo_deadline_set(0);

	ringo_deadline_set(d);
	return d;
}

static int scope_return(void)
{
	ringo_timeout_scope(10 * RINGO_SEC);
	return deadline() != 0;
}

static int scopes_main(void *arg)
{
	int64_t outer, before;

	CHECK_EQ(0, deadline());
	{
		before = ringo_now();
		ringo_timeout_scope(10 * RINGO_SEC);
		outer = deadline();
		CHECK(outer >= before + 10 * RINGO_SEC && outer <= ringo_now() + 10 * RINGO_SEC);
		{
			ringo_timeout_scope(100 * RINGO_SEC); /* cannot last longer than the outer one */
			CHECK_EQ(outer, deadline());
		}
		{
			ringo_timeout_scope(RINGO_SEC);
			CHECK(deadline() < outer);
		}
		CHECK_EQ(outer, deadline());
		CHECK_EQ(1, scope_return());
		CHECK_EQ(outer, deadline());
	}
	CHECK_EQ(0, deadline());
	for (int i = 0; i < 3; i++) {
		ringo_timeout_scope(RINGO_SEC);
		if (i == 1)
			continue;
		if (i == 2)
			break;
	}
	CHECK_EQ(0, deadline());
	{
		ringo_timeout_scope(RINGO_SEC);
		if (outer)
			goto out;
		CHECK(false);
	}
out:
	CHECK_EQ(0, deadline());
	return 0;
}

TEST(scopes_nest_and_are_restored_on_every_way_out)
{
	EXPECT_EQ(0, ringo_run(scopes_main, NULL));
}

static void has_deadline(int64_t d)
{
	CHECK_EQ(d, deadline());
	ADD(&seen, 1);
}

static int inherit_main(void *arg)
{
	CHECK_EQ(0, ringo_go(has_deadline, (int64_t)0));
	{
		ringo_timeout_scope(100 * RINGO_SEC);
		CHECK_EQ(0, ringo_go(has_deadline, deadline()));
	}
	CHECK_EQ(0, ringo_go(has_deadline, (int64_t)0));
	while (LOAD(&seen) < 3)
		ringo_yield();
	return 0;
}

TEST(inherited_at_spawn)
{
	EXPECT_EQ(0, ringo_run(inherit_main, NULL));
}

static int set_main(void *arg)
{
	CHECK_EQ(0, ringo_deadline_set(12345));
	CHECK_EQ(12345, ringo_deadline_set(-1)); /* long over, and not the same as none */
	CHECK(ringo_deadline_set(0) > 0);
	CHECK_EQ(0, ringo_deadline_set(0));
	return 0;
}

TEST(set_returns_the_former)
{
	EXPECT_EQ(0, ringo_run(set_main, NULL));
}

static int over_main(void *arg)
{
	struct ringo_chan *c = ringo_chan_new(sizeof(int), 1);
	int n = 3;

	for (int64_t ns = 0; ns > -3; ns--) {
		ringo_timeout_scope(ns);
		CHECK_EQ(-ETIMEDOUT, ringo_chan_recv(c, &n));
		CHECK_EQ(-ETIMEDOUT, ringo_chan_recv(NULL, &n));
		CHECK_EQ(-ETIMEDOUT, ringo_sleep(RINGO_SEC));
		/* What does not have to wait happens all the same. */
		CHECK_EQ(0, ringo_chan_send(c, &n));
		CHECK_EQ(-ETIMEDOUT, ringo_chan_send(c, &n));
		CHECK_EQ(1, ringo_chan_recv(c, &n));
	}
	ringo_chan_unref(c);
	return 0;
}

TEST(one_that_is_over_ends_waits_at_once)
{
	int64_t start = now_ns();

	EXPECT_EQ(0, ringo_run(over_main, NULL));
	EXPECT_LT(now_ns() - start, RINGO_SEC);
}

static int ends_main(void *arg)
{
	struct ringo_chan *c = ringo_chan_new(sizeof(int), 0);
	int n = 3;

	for (int i = 0; i < 3; i++) {
		int64_t start = now_ns();

		ringo_timeout_scope(20 * RINGO_MS);
		if (i == 0)
			CHECK_EQ(-ETIMEDOUT, ringo_chan_recv(c, &n));
		else if (i == 1)
			CHECK_EQ(-ETIMEDOUT, ringo_chan_send(c, &n));
		else
			CHECK_EQ(-ETIMEDOUT, ringo_sleep(100 * RINGO_SEC));
		CHECK(now_ns() - start >= 20 * RINGO_MS);
	}
	ringo_chan_unref(c);
	return 0;
}

TEST(ends_a_wait_that_has_begun_and_not_before_its_time)
{
	EXPECT_EQ(0, ringo_run(ends_main, NULL));
}

static int null_main(void *arg)
{
	ringo_timeout_scope(10 * RINGO_MS);
	CHECK_EQ(-ETIMEDOUT, ringo_chan_send(NULL, NULL));
	return 0;
}

TEST(a_NULL_channel_waits_until_the_deadline)
{
	EXPECT_EQ(0, ringo_run(null_main, NULL));
}

static struct ringo_mutex mu;
static struct ringo_waitgroup wg;

static void release(void)
{
	ringo_deadline_set(0);
	CHECK_EQ(0, ringo_sleep(20 * RINGO_MS));
	ringo_mutex_unlock(&mu);
	ringo_waitgroup_done(&wg);
}

static int locks_main(void *arg)
{
	ringo_mutex_lock(&mu);
	ringo_waitgroup_add(&wg, 1);
	ringo_timeout_scope(RINGO_MS);
	CHECK_EQ(0, ringo_go(release));
	ringo_mutex_lock(&mu); /* held now: its end did not come from the deadline */
	CHECK_EQ(-EAGAIN, ringo_mutex_try_lock(&mu));
	ringo_waitgroup_wait(&wg);
	return 0;
}

TEST(locks_and_waitgroups_do_not_end_early)
{
	EXPECT_EQ(0, ringo_run(locks_main, NULL));
}

/* Racing deadlines: each value that was sent is received once, each that timed out never. */
enum { PAIRS = 4, ROUNDS = 4000 };

static int64_t sent[PAIRS], received[PAIRS], sum_sent, sum_received, timeouts;
static int ended;

static int64_t jitter(uint64_t *rand)
{
	return (int64_t)(rg_rand(rand) % 60) * RINGO_US;
}

static void racing_sender(struct ringo_chan *c, int id)
{
	uint64_t rand = (uint64_t)id + 1;

	for (int64_t i = 0; i < SCALE(ROUNDS); i++) {
		int64_t v = i << 8 | id;
		int res;

		ringo_timeout_scope(jitter(&rand));
		res = ringo_chan_send(c, &v);
		CHECK(!res || res == -ETIMEDOUT);
		if (res) {
			ADD(&timeouts, 1);
		} else {
			sent[id]++;
			ADD(&sum_sent, v);
		}
		if (rg_rand(&rand) % 4 == 0)
			ringo_yield();
	}
	ADD(&ended, 1);
}

static void racing_receiver(struct ringo_chan *c, int id)
{
	uint64_t rand = (uint64_t)id + 100;
	int64_t v;
	int res;

	for (;;) {
		ringo_timeout_scope(jitter(&rand));
		v = -1;
		res = ringo_chan_recv(c, &v);
		if (!res)
			break;
		CHECK(res == 1 || res == -ETIMEDOUT);
		if (res == 1) {
			received[id]++;
			ADD(&sum_received, v);
		} else {
			CHECK_EQ(-1, v);
			ADD(&timeouts, 1);
		}
	}
	ADD(&ended, 1);
}

static int racing_main(void *arg)
{
	struct ringo_chan *c = ringo_chan_new(sizeof(int64_t), (size_t)(intptr_t)arg);

	for (int i = 0; i < PAIRS; i++) {
		CHECK_EQ(0, ringo_go(racing_sender, c, i));
		CHECK_EQ(0, ringo_go(racing_receiver, c, i));
	}
	while (LOAD(&ended) < PAIRS)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK_EQ(0, ringo_chan_close(c));
	while (LOAD(&ended) < 2 * PAIRS)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	ringo_chan_unref(c);
	return 0;
}

static void conserve(struct __test_metadata *_metadata, intptr_t cap)
{
	int64_t in = 0, out = 0;

	ASSERT_EQ(0, ringo_run(racing_main, (void *)cap));
	for (int i = 0; i < PAIRS; i++) {
		in += sent[i];
		out += received[i];
	}
	EXPECT_EQ(in, out);
	EXPECT_EQ(sum_sent, sum_received);
	EXPECT_GT(timeouts, 0);
	EXPECT_GT(in, 0);
}

TEST(racing_deadlines_lose_and_double_nothing_unbuffered)
{
	conserve(_metadata, 0);
}

TEST(racing_deadlines_lose_and_double_nothing_buffered)
{
	conserve(_metadata, 3);
}

TEST_HARNESS_MAIN
