// SPDX-License-Identifier: MIT
/* Timers, tickers, and channels that deliver a time: never early, stop and reset in every order. */
#include "help.h"

static struct ringo_waitgroup done;
static int fired;

static void fire(void *arg)
{
	int64_t *when = arg;

	CHECK(!when || ringo_now() >= *when);
	ADD(&fired, 1);
}

static void fire_done(void *arg)
{
	fire(arg);
	ringo_waitgroup_done(&done);
}

G_TEST(a_timer_fires_once_and_not_early)
{
	struct ringo_timer t = { 0 };
	int64_t when = ringo_now() + 5 * RINGO_MS;

	ringo_waitgroup_add(&done, 1);
	CHECK_EQ(0, ringo_timer_start(&t, 5 * RINGO_MS, fire_done, &when));
	CHECK_EQ(1, ringo_num_goroutines()); /* not born yet */
	ringo_waitgroup_wait(&done);
	CHECK_EQ(0, ringo_timer_stop(&t));
	CHECK_EQ(0, ringo_sleep(5 * RINGO_MS));
	CHECK_EQ(1, fired);
	return 0;
}

G_TEST(one_that_is_stopped_does_not_fire)
{
	struct ringo_timer t = { 0 };

	CHECK_EQ(0, ringo_timer_stop(&t)); /* never set */
	CHECK_EQ(-EINVAL, ringo_timer_reset(&t, 1));
	CHECK_EQ(-EINVAL, ringo_timer_start(&t, 1, NULL, NULL));
	CHECK_EQ(0, ringo_timer_start(&t, 5 * RINGO_MS, fire, NULL));
	CHECK_EQ(1, ringo_timer_stop(&t));
	CHECK_EQ(0, ringo_timer_stop(&t));
	CHECK_EQ(0, ringo_sleep(10 * RINGO_MS));
	CHECK_EQ(0, fired);
	return 0;
}

G_TEST(reset_moves_it_or_sets_it_anew)
{
	struct ringo_timer t = { 0 };
	int64_t when = ringo_now() + 10 * RINGO_MS;

	CHECK_EQ(0, ringo_timer_start(&t, RINGO_SEC, fire, &when));
	CHECK_EQ(1, ringo_timer_reset(&t, 10 * RINGO_MS)); /* earlier */
	CHECK_EQ(0, ringo_sleep(20 * RINGO_MS));
	CHECK_EQ(1, LOAD(&fired));
	CHECK_EQ(0, ringo_timer_reset(&t, RINGO_MS)); /* again */
	CHECK_EQ(0, ringo_sleep(10 * RINGO_MS));
	CHECK_EQ(2, LOAD(&fired));
	CHECK_EQ(0, ringo_timer_reset(&t, RINGO_MS));
	when = ringo_now() + 20 * RINGO_MS;
	CHECK_EQ(1, ringo_timer_reset(&t, 20 * RINGO_MS)); /* later */
	CHECK_EQ(1, ringo_timer_stop(&t));
	CHECK_EQ(0, ringo_timer_reset(&t, 0));
	when = 0;
	CHECK_EQ(0, ringo_sleep(5 * RINGO_MS));
	CHECK_EQ(3, LOAD(&fired));
	return 0;
}

G_TEST(starting_again_stops_the_former)
{
	struct ringo_timer t = { 0 };

	CHECK_EQ(0, ringo_timer_start(&t, RINGO_MS, fire, NULL));
	CHECK_EQ(0, ringo_timer_start(&t, INT64_MAX, fire, NULL));
	CHECK_EQ(0, ringo_sleep(5 * RINGO_MS));
	CHECK_EQ(0, fired);
	CHECK_EQ(1, ringo_timer_stop(&t));
	CHECK_EQ(0, ringo_timer_start(&t, -5, fire, NULL)); /* at once */
	CHECK_EQ(0, ringo_sleep(5 * RINGO_MS));
	CHECK_EQ(1, LOAD(&fired));
	return 0;
}

G_TEST(the_struct_may_be_gone_when_it_fires)
{
	struct ringo_timer *t = calloc(1, sizeof(*t));

	ringo_waitgroup_add(&done, 1);
	CHECK_EQ(0, ringo_timer_start(t, RINGO_MS, fire_done, NULL));
	memset(t, 0xee, sizeof(*t));
	free(t);
	ringo_waitgroup_wait(&done);
	return 0;
}

static struct ringo_timer self;

static void slow(void *arg)
{
	CHECK_EQ(0, ringo_timer_stop_wait(&self)); /* its own: does not wait */
	CHECK_EQ(0, ringo_sleep(5 * RINGO_MS));
	ADD(&fired, 1);
}

G_TEST(stop_wait_waits_until_it_has_returned)
{
	struct ringo_timer t = { 0 };

	CHECK_EQ(0, ringo_timer_start(&t, 0, slow, NULL));
	CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK_EQ(0, ringo_timer_stop_wait(&t));
	CHECK_EQ(1, LOAD(&fired));
	CHECK_EQ(0, ringo_timer_stop_wait(&t));
	CHECK_EQ(0, ringo_timer_start(&t, RINGO_SEC, slow, NULL));
	CHECK_EQ(1, ringo_timer_stop_wait(&t));
	CHECK_EQ(0, ringo_timer_start(&self, 0, slow, NULL));
	CHECK_EQ(0, ringo_sleep(20 * RINGO_MS));
	CHECK_EQ(2, LOAD(&fired));
	return 0;
}

static void stopper(struct ringo_timer *t)
{
	int stopped = ringo_timer_stop_wait(t);

	if (stopped)
		ADD(&fired, 1000000);
	ringo_waitgroup_done(&done);
}

G_TEST(of_stopping_and_firing_exactly_one_happens)
{
	enum { N = 200 };
	static struct ringo_timer t[N];

	for (int round = 0; round < SCALE(50); round++) {
		fired = 0;
		memset(t, 0, sizeof(t));
		ringo_waitgroup_add(&done, 2 * N);
		for (int i = 0; i < N; i++)
			CHECK_EQ(0, ringo_timer_start(&t[i], i * 3 * RINGO_US, fire, NULL));
		for (int i = 0; i < N; i++) {
			CHECK_EQ(0, ringo_go(stopper, &t[i]));
			CHECK_EQ(0, ringo_go(stopper, &t[i]));
		}
		ringo_waitgroup_wait(&done);
		CHECK_EQ(N, fired % 1000000 + fired / 1000000);
	}
	return 0;
}

/* When a timer may have been set to fire: between the looks before and after. */
struct moment {
	int64_t from, to;
};

static int64_t latest; /* of the from of those that have fired */

static void fire_in_order(void *arg)
{
	struct moment *m = arg;

	CHECK(ringo_now() >= m->from);
	CHECK(m->to >= latest); /* not clearly before one that was first */
	latest = m->from > latest ? m->from : latest;
	ADD(&fired, 1);
	ringo_waitgroup_done(&done);
}

static int ordered_main(void *arg)
{
	enum { N = 200 }; /* a run queue has room for them all, should they be due at once */
	static struct ringo_timer t[N];
	static struct moment m[N];

	ringo_waitgroup_add(&done, N);
	for (int i = 0; i < N; i++) {
		int64_t ns = (i * 7919 % N) * 100 * RINGO_US;

		m[i] = (struct moment){ ringo_now() + ns, INT64_MAX };
		CHECK_EQ(0, ringo_timer_start(&t[i], ns, fire_in_order, &m[i]));
		m[i].to = ringo_now() + ns;
	}
	ringo_waitgroup_wait(&done);
	CHECK_EQ(N, fired);
	return 0;
}

TEST(many_timers_fire_in_the_order_of_their_times)
{
	use_turns(); /* with more, goroutines started in order run in any */
	EXPECT_EQ(0, run_main(ordered_main));
}

static void plain(void *arg)
{
	CHECK(ringo_ctx_current() == ringo_ctx_background());
	CHECK_EQ(0, ringo_sleep(2 * RINGO_MS)); /* no deadline either */
	ringo_waitgroup_done(&done);
}

G_TEST(its_goroutine_has_no_context_and_no_deadline)
{
	struct ringo_ctx *c = ringo_ctx_with_cancel(NULL), *former = ringo_ctx_enter(c);
	struct ringo_timer t = { 0 };

	ringo_waitgroup_add(&done, 1);
	{
		ringo_timeout_scope(RINGO_MS);
		CHECK_EQ(0, ringo_timer_start(&t, 3 * RINGO_MS, plain, NULL));
	}
	ringo_ctx_cancel(c, 0);
	ringo_waitgroup_wait(&done);
	ringo_ctx_unref(ringo_ctx_enter(former));
	ringo_ctx_unref(former);
	ringo_ctx_unref(c);
	return 0;
}

static void *from_outside(void *arg)
{
	static struct ringo_timer t, u;

	CHECK_EQ(0, ringo_timer_start(&t, 2 * RINGO_MS, fire_done, NULL));
	CHECK_EQ(0, ringo_timer_start(&u, RINGO_SEC, fire_done, NULL));
	CHECK_EQ(1, ringo_timer_reset(&u, 2 * RINGO_SEC));
	CHECK_EQ(1, ringo_timer_stop(&u));
	return NULL;
}

G_TEST(any_thread_sets_timers)
{
	pthread_t t;

	ringo_waitgroup_add(&done, 1);
	CHECK_EQ(0, pthread_create(&t, NULL, from_outside, NULL));
	ringo_waitgroup_wait(&done);
	pthread_join(t, NULL);
	return 0;
}

/* ---- channels ---- */

G_TEST(after_delivers_the_time_once)
{
	int64_t start = ringo_now(), at = 0;
	struct ringo_chan *c = ringo_after(3 * RINGO_MS), *unread = ringo_after(0);

	CHECK_EQ(-EAGAIN, ringo_chan_try_recv(c, &at));
	CHECK_EQ(1, ringo_chan_recv(c, &at));
	CHECK(at >= start + 3 * RINGO_MS && at <= ringo_now());
	CHECK_EQ(-EAGAIN, ringo_chan_try_recv(c, &at));
	ringo_chan_unref(c);
	ringo_chan_unref(unread);
	ringo_chan_unref(ringo_after(RINGO_MS)); /* fires later, into nothing */
	CHECK_EQ(0, ringo_sleep(3 * RINGO_MS));
	return 0;
}

G_TEST(a_ticker_keeps_its_rhythm)
{
	int64_t start = ringo_now(), at;
	struct ringo_ticker *t = ringo_ticker_new(2 * RINGO_MS);
	struct ringo_chan *c = ringo_ticker_chan(t);

	CHECK(!ringo_ticker_new(0));
	CHECK(!ringo_ticker_new(-1));
	for (int i = 1; i <= 10; i++) {
		CHECK_EQ(1, ringo_chan_recv(c, &at));
		CHECK(at >= start + i * 2 * RINGO_MS);
	}
	CHECK(ringo_now() - start < RINGO_SEC); /* 20 ms, if there is a CPU */
	/* A slow receiver misses ticks: one waits for it, not ten. */
	CHECK_EQ(0, ringo_sleep(20 * RINGO_MS));
	CHECK_EQ(1, ringo_chan_len(c));
	CHECK_EQ(1, ringo_chan_try_recv(c, &at));
	CHECK_EQ(1, ringo_num_goroutines());
	ringo_chan_ref(c);
	ringo_ticker_free(t);
	while (ringo_chan_try_recv(c, &at) == 1)
		;
	CHECK_EQ(0, ringo_sleep(5 * RINGO_MS));
	CHECK_EQ(-EAGAIN, ringo_chan_try_recv(c, &at)); /* open, and silent */
	ringo_chan_unref(c);
	ringo_ticker_free(NULL);
	return 0;
}

G_TEST(tickers_are_freed_at_any_moment)
{
	for (int i = 0; i < SCALE(2000); i++) {
		struct ringo_ticker *t = ringo_ticker_new(1 + i % 7 * 5 * RINGO_US);

		for (int k = 0; k < i % 5; k++)
			ringo_yield();
		if (i % 10 == 0)
			CHECK_EQ(0, ringo_sleep(i % 3 * 20 * RINGO_US));
		ringo_ticker_free(t);
	}
	return 0;
}

/* ---- ends ---- */

static struct ringo_timer left_over;
static struct ringo_ticker *left_ticker;
static struct ringo_chan *left_after;

static int leave_them(void *arg)
{
	CHECK_EQ(0, ringo_timer_start(&left_over, RINGO_SEC, fire, NULL));
	left_ticker = ringo_ticker_new(RINGO_MS);
	left_after = ringo_after(RINGO_SEC);
	return 0;
}

static int another_run(void *arg)
{
	CHECK_EQ(0, ringo_timer_stop(&left_over)); /* it ended with its run */
	CHECK_EQ(0, ringo_timer_stop_wait(&left_over));
	ringo_ticker_free(left_ticker);
	ringo_chan_unref(left_after);
	return 0;
}

TEST(the_end_of_a_run_is_the_end_of_its_timers)
{
	struct ringo_timer t = { 0 };

	EXPECT_EQ(-ESRCH, ringo_timer_start(&t, 0, fire, NULL));
	EXPECT_EQ(NULL, ringo_after(0));
	EXPECT_EQ(NULL, ringo_ticker_new(1));
	fired = 0;
	EXPECT_EQ(0, run_main(leave_them));
	EXPECT_EQ(0, ringo_timer_stop(&left_over));
	EXPECT_EQ(0, run_main(another_run));
	EXPECT_EQ(0, fired);
}

static void fires_for_long(void *arg)
{
	STORE(&fired, 1);
	CHECK_EQ(0, ringo_sleep(RINGO_SEC));
}

static void waits_for_its_end(void)
{
	ringo_timer_stop_wait(&left_over);
	CHECK(!"a goroutine that waited when the run ended goes on");
}

static int leaves_one_waiting(void *arg)
{
	fired = 0;
	CHECK_EQ(0, ringo_timer_start(&left_over, 0, fires_for_long, NULL));
	while (!LOAD(&fired))
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK_EQ(0, ringo_go(waits_for_its_end));
	return ringo_sleep(RINGO_MS);
}

static void uses_up_stack(void *arg)
{
	volatile char bytes[4096];

	memset((char *)bytes, 0x5a, sizeof(bytes));
	ADD(&fired, 1);
}

static int fires_on_old_stacks(void *arg)
{
	static struct ringo_timer t[50];

	fired = 0;
	for (int i = 0; i < 50; i++)
		CHECK_EQ(0, ringo_timer_start(&t[i], 0, uses_up_stack, NULL));
	while (LOAD(&fired) < 50)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	return 0;
}

TEST(who_waited_for_a_timer_when_the_run_ended_is_forgotten)
{
	EXPECT_EQ(0, run_main(leaves_one_waiting));
	EXPECT_EQ(0, run_main(fires_on_old_stacks));
}

static struct ringo_ctx *left_ctx;

/* What frees them is no goroutine, and comes when the run is just about to end. */
static void *frees_at_the_end(void *arg)
{
	while (!LOAD(&left_ctx))
		;
	while (ringo_maxprocs(0) != -ESRCH)
		;
	ringo_ticker_free(left_ticker);
	ringo_ctx_unref(left_ctx);
	return NULL;
}

static int ends_while_they_fire(void *arg)
{
	int64_t end = ringo_now() + RINGO_MS;

	left_ticker = ringo_ticker_new(20 * RINGO_US);
	STORE(&left_ctx, ringo_ctx_with_deadline(NULL, end));
	while (ringo_now() < end)
		ringo_yield();
	return 0;
}

TEST(other_threads_free_them_while_the_run_ends)
{
	for (int i = 0; i < SCALE(500); i++) {
		pthread_t t;

		left_ctx = NULL;
		ASSERT_EQ(0, pthread_create(&t, NULL, frees_at_the_end, NULL));
		ASSERT_EQ(0, run_main(ends_while_they_fire));
		pthread_join(t, NULL);
	}
}

TEST_HARNESS_MAIN
