// SPDX-License-Identifier: MIT
/* Conditions: who is woken, in which order, and that no signal is lost. */
#include "help.h"

static struct ringo_mutex mu;
static struct ringo_cond cond;
static int running, awake, seen;

/* With the mutex: let go of it until n is reached. */
static void until(int *what, int n)
{
	while (LOAD(what) < n) {
		ringo_mutex_unlock(&mu);
		CHECK_EQ(0, ringo_sleep(100 * RINGO_US));
		ringo_mutex_lock(&mu);
	}
}

static void waiter(void)
{
	ringo_mutex_lock(&mu);
	running++;
	CHECK_EQ(0, ringo_cond_wait(&cond, &mu));
	CHECK_EQ(-EAGAIN, ringo_mutex_try_lock(&mu));
	awake++;
	ringo_mutex_unlock(&mu);
	ADD(&seen, 1);
}

static int signal_main(void *arg)
{
	for (int i = 0; i < 3; i++)
		CHECK_EQ(0, ringo_go(waiter));
	ringo_mutex_lock(&mu);
	until(&running, 3);
	for (int n = 1; n <= 3; n++) {
		ringo_cond_signal(&cond);
		until(&awake, n);
		/* Nobody else. */
		ringo_mutex_unlock(&mu);
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
		ringo_mutex_lock(&mu);
		CHECK_EQ(n, awake);
	}
	ringo_cond_signal(&cond); /* which nobody remembers */
	ringo_mutex_unlock(&mu);
	CHECK_EQ(0, ringo_go(waiter));
	CHECK_EQ(0, ringo_sleep(RINGO_MS));
	ringo_mutex_lock(&mu);
	CHECK_EQ(3, awake);
	ringo_mutex_unlock(&mu);
	return 0;
}

TEST(a_signal_wakes_one_of_those_that_wait)
{
	EXPECT_EQ(0, ringo_run(signal_main, NULL));
}

static void in_turn(int id)
{
	ringo_mutex_lock(&mu);
	CHECK_EQ(id, running);
	running++;
	CHECK_EQ(0, ringo_cond_wait(&cond, &mu));
	CHECK_EQ(id, awake);
	awake++;
	ringo_mutex_unlock(&mu);
}

static int generations_main(void *arg)
{
	ringo_mutex_lock(&mu);
	for (int i = 0; i < 100; i++) {
		CHECK_EQ(0, ringo_go(in_turn, i));
		if (i > 0) {
			ringo_cond_signal(&cond);
			until(&awake, i);
		}
		until(&running, i + 1);
	}
	ringo_mutex_unlock(&mu);
	return 0;
}

TEST(signals_wake_in_the_order_of_waiting)
{
	EXPECT_EQ(0, ringo_run(generations_main, NULL));
}

static int stop;

static void waits_often(int *last)
{
	ringo_mutex_lock(&mu);
	while (!stop) {
		running++;
		CHECK_EQ(0, ringo_cond_wait(&cond, &mu));
		awake++;
	}
	ringo_mutex_unlock(&mu);
	ADD(&seen, 1);
}

static int broadcast_main(void *arg)
{
	enum { N = 50 };

	for (int i = 0; i < N; i++)
		CHECK_EQ(0, ringo_go(waits_often, &awake));
	ringo_mutex_lock(&mu);
	for (int round = 1; round <= 10; round++) {
		until(&running, N * round);
		CHECK_EQ(N * (round - 1), awake);
		stop = round == 10;
		ringo_cond_broadcast(&cond);
		until(&awake, N * round);
	}
	ringo_mutex_unlock(&mu);
	while (LOAD(&seen) < N)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	return 0;
}

TEST(a_broadcast_wakes_all_that_wait)
{
	EXPECT_EQ(0, ringo_run(broadcast_main, NULL));
}

/* One waits; after the signal, before it has come up, another begins to wait. */
static void thief(int *first_done)
{
	ringo_mutex_lock(&mu);
	ADD(&running, 1);
	CHECK_EQ(0, ringo_cond_wait(&cond, &mu));
	CHECK(LOAD(first_done));
	ringo_mutex_unlock(&mu);
	ADD(&seen, 1);
}

static void first(int *first_done)
{
	ringo_mutex_lock(&mu);
	ADD(&running, 1);
	CHECK_EQ(0, ringo_cond_wait(&cond, &mu));
	STORE(first_done, 1);
	ringo_mutex_unlock(&mu);
	ADD(&seen, 1);
}

static int stealing_main(void *arg)
{
	int n = SCALE(1000);

	for (int i = 0; i < n; i++) {
		int first_done = 0;

		running = seen = 0;
		CHECK_EQ(0, ringo_go(first, &first_done));
		ringo_mutex_lock(&mu);
		until(&running, 1);
		CHECK_EQ(0, ringo_go(thief, &first_done));
		ringo_cond_signal(&cond);
		until(&running, 2);
		until(&seen, 1);
		CHECK(first_done);
		ringo_cond_broadcast(&cond);
		until(&seen, 2);
		ringo_mutex_unlock(&mu);
	}
	return 0;
}

TEST(who_comes_after_a_signal_does_not_steal_it)
{
	EXPECT_EQ(0, ringo_run(stealing_main, NULL));
}

/* Three states of x, each reached by another goroutine. */
static int x;

static void racer_a(void)
{
	ringo_mutex_lock(&mu);
	x = 1;
	CHECK_EQ(0, ringo_cond_wait(&cond, &mu));
	CHECK_EQ(2, x);
	x = 3;
	ringo_cond_signal(&cond);
	ringo_mutex_unlock(&mu);
	ADD(&seen, 1);
}

static void racer_b(void)
{
	ringo_mutex_lock(&mu);
	while (x != 1) {
		ringo_mutex_unlock(&mu);
		ringo_yield();
		ringo_mutex_lock(&mu);
	}
	x = 2;
	ringo_cond_signal(&cond);
	ringo_mutex_unlock(&mu);
	ADD(&seen, 1);
}

static void racer_c(void)
{
	ringo_mutex_lock(&mu);
	while (x != 2 && x != 3) {
		ringo_mutex_unlock(&mu);
		ringo_yield();
		ringo_mutex_lock(&mu);
	}
	while (x == 2)
		CHECK_EQ(0, ringo_cond_wait(&cond, &mu));
	CHECK_EQ(3, x);
	ringo_mutex_unlock(&mu);
	ADD(&seen, 1);
}

static int race_main(void *arg)
{
	for (int i = 0; i < SCALE(300); i++) {
		x = seen = 0;
		CHECK_EQ(0, ringo_go(racer_a));
		CHECK_EQ(0, ringo_go(racer_b));
		CHECK_EQ(0, ringo_go(racer_c));
		while (LOAD(&seen) < 3)
			CHECK_EQ(0, ringo_sleep(20 * RINGO_US));
	}
	return 0;
}

TEST(a_signal_before_the_next_wait_goes_where_it_was_meant)
{
	EXPECT_EQ(0, ringo_run(race_main, NULL));
}

/* The end of a wait by time and by cancellation. */
static bool held;

static void times_out(void)
{
	int64_t t0 = now_ns();

	ringo_mutex_lock(&mu);
	{
		ringo_timeout_scope(5 * RINGO_MS);
		CHECK_EQ(-ETIMEDOUT, ringo_cond_wait(&cond, &mu));
		CHECK(now_ns() - t0 >= 5 * RINGO_MS);
		CHECK(!held);
		CHECK_EQ(-EAGAIN, ringo_mutex_try_lock(&mu));
		CHECK_EQ(-ETIMEDOUT, ringo_cond_wait(&cond, &mu));
	}
	ringo_mutex_unlock(&mu);
	ADD(&seen, 1);
}

static int timeout_main(void *arg)
{
	CHECK_EQ(0, ringo_go(times_out));
	CHECK_EQ(0, ringo_sleep(2 * RINGO_MS));
	/* It does not come back while we have the mutex. */
	ringo_mutex_lock(&mu);
	held = true;
	CHECK_EQ(0, ringo_sleep(10 * RINGO_MS));
	held = false;
	until(&seen, 1);
	ringo_mutex_unlock(&mu);
	return 0;
}

TEST(a_wait_obeys_the_deadline_and_returns_with_the_mutex)
{
	EXPECT_EQ(0, ringo_run(timeout_main, NULL));
}

static void is_cancelled(struct ringo_ctx *ctx)
{
	ringo_ctx_unref(ringo_ctx_enter(ctx));
	ringo_mutex_lock(&mu);
	running++;
	CHECK_EQ(-ECANCELED, ringo_cond_wait(&cond, &mu));
	CHECK_EQ(-EAGAIN, ringo_mutex_try_lock(&mu));
	ringo_mutex_unlock(&mu);
	ADD(&seen, 1);
}

static int cancel_main(void *arg)
{
	struct ringo_ctx *ctx = ringo_ctx_with_cancel(NULL);

	for (int i = 0; i < 5; i++) {
		CHECK_EQ(0, ringo_go(is_cancelled, ctx));
		CHECK_EQ(0, ringo_go(waiter));
	}
	ringo_mutex_lock(&mu);
	until(&running, 10);
	ringo_ctx_cancel(ctx, 0);
	until(&seen, 5);
	CHECK_EQ(0, awake);
	/* Those that stayed get the signals. */
	for (int i = 0; i < 5; i++)
		ringo_cond_signal(&cond);
	until(&awake, 5);
	ringo_mutex_unlock(&mu);
	ringo_ctx_unref(ctx);
	return 0;
}

TEST(a_wait_obeys_cancellation_and_others_get_the_signals)
{
	EXPECT_EQ(0, ringo_run(cancel_main, NULL));
}

/* Each token is signalled once; takers with no patience must not make signals vanish. */
static long tokens, remaining;

static void take(void)
{
	tokens--;
	if (!--remaining)
		ringo_cond_broadcast(&cond);
}

static void patient(void)
{
	ringo_mutex_lock(&mu);
	for (;;) {
		while (!tokens && remaining)
			CHECK_EQ(0, ringo_cond_wait(&cond, &mu));
		if (!remaining)
			break;
		take();
	}
	ringo_mutex_unlock(&mu);
	ADD(&seen, 1);
}

static void hasty(int id)
{
	ringo_mutex_lock(&mu);
	for (int i = 0; remaining; i++) {
		ringo_timeout_scope((id + i) % 6 * 20 * RINGO_US);
		int res = 0;

		while (!tokens && remaining && !res)
			res = ringo_cond_wait(&cond, &mu);
		if (!res && remaining)
			take();
		ringo_mutex_unlock(&mu);
		ringo_yield();
		ringo_mutex_lock(&mu);
	}
	ringo_mutex_unlock(&mu);
	ADD(&seen, 1);
}

static void producer(int n)
{
	for (int i = 0; i < n; i++) {
		ringo_mutex_lock(&mu);
		tokens++;
		ringo_mutex_unlock(&mu);
		ringo_cond_signal(&cond);
		if (i % 16 == 0)
			CHECK_EQ(0, ringo_sleep(50 * RINGO_US));
	}
	ADD(&seen, 1);
}

static int signals_main(void *arg)
{
	remaining = 2L * SCALE(2000);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(0, ringo_go(hasty, i));
	for (int i = 0; i < 3; i++)
		CHECK_EQ(0, ringo_go(patient));
	for (int i = 0; i < 2; i++)
		CHECK_EQ(0, ringo_go(producer, SCALE(2000)));
	while (LOAD(&seen) < 8)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK_EQ(0, tokens);
	return 0;
}

TEST(who_gives_up_takes_no_signal_along)
{
	EXPECT_EQ(0, ringo_run(signals_main, NULL));
}

static void waits_without(void *arg)
{
	(void)!ringo_cond_wait(&cond, &mu);
}

static int misuse_main(void *arg)
{
	struct ringo_panic_info info;

	CHECK_EQ(1, ringo_try(waits_without, NULL, &info));
	CHECK(strstr(info.message, "not locked"));
	return 0;
}

TEST(waiting_without_the_mutex_panics)
{
	EXPECT_EQ(0, ringo_run(misuse_main, NULL));
}

static void *foreign(void *arg)
{
	CHECK_EQ(-EPERM, ringo_cond_wait(&cond, &mu));
	ringo_cond_signal(&cond);
	ringo_cond_broadcast(&cond);
	return NULL;
}

static int foreign_main(void *arg)
{
	pthread_t t;

	for (int i = 0; i < 3; i++)
		CHECK_EQ(0, ringo_go(waiter));
	ringo_mutex_lock(&mu);
	until(&running, 3);
	ringo_mutex_unlock(&mu);
	CHECK_EQ(0, pthread_create(&t, NULL, foreign, NULL));
	while (LOAD(&seen) < 3)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	pthread_join(t, NULL);
	return 0;
}

TEST(other_threads_signal_but_do_not_wait)
{
	EXPECT_EQ(0, ringo_run(foreign_main, NULL));
	ringo_cond_signal(&cond);
	EXPECT_EQ(-ESRCH, ringo_cond_wait(&cond, &mu));
}

TEST_HARNESS_MAIN
