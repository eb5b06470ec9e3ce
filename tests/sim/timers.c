// SPDX-License-Identifier: MIT
/*
 * Timers and the sleep of the Ms under seeds: order, moves in every direction, and that no sleep, however long,
 * hides what comes earlier. Time is virtual, so an hour costs nothing and "late" is exact.
 */
#include "kselftest_harness.h"
#include "sim_test.h"
#include <errno.h>
#include <string.h>

enum { N = 8 };

/* Costs of the simulated machine itself: far below what a missed wake-up would cost. */
static const int64_t soon = 100 * RINGO_MS;

static struct ringo_waitgroup done;
static struct ringo_chan *chan;
static int fired;

static void fire(void *arg)
{
	(void)arg;
	__atomic_fetch_add(&fired, 1, __ATOMIC_RELAXED);
}

static int64_t up_to(int64_t ns)
{
	return (int64_t)(rg_sim_rand() % (uint64_t)ns);
}

/* ---- order ---- */

static void await(int64_t ns, struct ringo_chan *c)
{
	int64_t start = ringo_now(), at;

	SIM_CHECK(ringo_chan_recv(c, &at) == 1);
	SIM_CHECK(at <= ringo_now() && ringo_now() - start < ns + soon);
	ringo_chan_unref(c);
	ringo_waitgroup_done(&done);
}

static int queuing(void *arg)
{
	static const int slots[] = { 5, 3, 6, 6, 6, 1, 1, 2, 7, 9, 4, 8, 0 };
	const int n = sizeof(slots) / sizeof(slots[0]);

	(void)arg;
	ringo_waitgroup_add(&done, n);
	for (int i = 0; i < n; i++) {
		int64_t ns = slots[i] * RINGO_SEC;

		SIM_CHECK(ringo_go(await, ns, ringo_after(ns)) == 0);
	}
	ringo_waitgroup_wait(&done);
	return 0;
}

SIM_TEST(those_that_wait_for_times_are_not_late)
{
	sim_seeds(queuing, NULL);
}

/* ---- chains ---- */

static struct ringo_timer chain[N];

static void next_link(void *arg)
{
	struct ringo_timer *t = arg;

	if (++t == chain + N)
		ringo_waitgroup_done(&done);
	else
		SIM_CHECK(ringo_timer_start(t, up_to(3) * RINGO_US, next_link, t) == 0);
	(void)!ringo_sleep(3600 * RINGO_SEC);
}

static int chains(void *arg)
{
	int64_t start = ringo_now();

	(void)arg;
	memset(chain, 0, sizeof(chain));
	ringo_waitgroup_add(&done, 1);
	SIM_CHECK(ringo_timer_start(&chain[0], 0, next_link, &chain[0]) == 0);
	ringo_waitgroup_wait(&done);
	SIM_CHECK(ringo_now() - start < soon);
	return 0;
}

SIM_TEST(a_chain_of_timers_does_not_wait_for_their_functions)
{
	sim_seeds(chains, NULL);
}

/* ---- moves ---- */

static void moves(struct ringo_timer *t)
{
	int64_t start;
	int want = 0;

	for (int k = 0; k < 6; k++) {
		want += !ringo_timer_stop(t);
		SIM_CHECK(ringo_timer_reset(t, rg_sim_chance(2) ? -ringo_now() : 3600 * RINGO_SEC) == 0);
		if (rg_sim_chance(2))
			ringo_yield();
	}
	want += !ringo_timer_stop(t);
	start = ringo_now();
	SIM_CHECK(ringo_timer_reset(t, up_to(20) * RINGO_US) == 0);
	SIM_CHECK(ringo_sleep(RINGO_MS) == 0);
	SIM_CHECK(!ringo_timer_stop_wait(t));
	SIM_CHECK(ringo_now() - start < soon);
	__atomic_fetch_sub(&fired, want + 1, __ATOMIC_RELAXED);
	ringo_waitgroup_done(&done);
}

static int moved(void *arg)
{
	static struct ringo_timer t[N];

	(void)arg;
	fired = 0;
	memset(t, 0, sizeof(t));
	ringo_waitgroup_add(&done, N);
	for (int i = 0; i < N; i++) {
		SIM_CHECK(ringo_timer_start(&t[i], 3600 * RINGO_SEC, fire, NULL) == 0);
		SIM_CHECK(ringo_go(moves, &t[i]) == 0);
	}
	ringo_waitgroup_wait(&done);
	SIM_CHECK(ringo_sleep(RINGO_MS) == 0); /* those that fired before the last move may still run */
	SIM_CHECK(fired == 0);
	return 0;
}

SIM_TEST(moving_them_earlier_and_later_loses_none)
{
	sim_seeds(moved, NULL);
}

/* ---- breaking a long sleep ---- */

static void sleeps(void)
{
	(void)!ringo_sleep(10 * RINGO_SEC);
}

static void selects(void)
{
	struct ringo_case one = RINGO_TIMEOUT(10 * RINGO_SEC);

	(void)!ringo_select(&one, 1);
}

static void tells(void *arg)
{
	(void)arg;
	SIM_CHECK(ringo_chan_send(chan, NULL) == 0);
}

static int job(void *arg)
{
	(void)arg;
	return 0;
}

/* Whatever wakes one M must make all the others see what it brings. */
static void brings(struct ringo_timer *t)
{
	static struct ringo_timer other;

	switch (rg_sim_rand() % 4) {
	case 0:
		SIM_CHECK(ringo_timer_reset(t, up_to(5) * RINGO_MS) == 1);
		break;
	case 1:
		other = (struct ringo_timer){ 0 };
		SIM_CHECK(ringo_timer_start(&other, up_to(5) * RINGO_MS, tells, NULL) == 0);
		break;
	case 2:
		SIM_CHECK(ringo_sleep(up_to(5) * RINGO_MS) == 0);
		SIM_CHECK(ringo_go_fn(tells, NULL) == 0);
		break;
	case 3:
		SIM_CHECK(ringo_blocking(job, NULL, NULL) == 0);
		tells(NULL);
		break;
	}
}

static int long_sleep(void *arg)
{
	struct ringo_timer t = { 0 };
	int64_t start;

	(void)arg;
	chan = ringo_chan_new(0, 0);
	for (int i = 0; i < N; i++) {
		SIM_CHECK(ringo_go(sleeps) == 0);
		SIM_CHECK(ringo_go(selects) == 0);
	}
	SIM_CHECK(ringo_timer_start(&t, 10 * RINGO_SEC, tells, NULL) == 0);
	SIM_CHECK(ringo_sleep(RINGO_MS) == 0); /* until all sleep */
	start = ringo_now();
	SIM_CHECK(ringo_go(brings, &t) == 0);
	SIM_CHECK(ringo_chan_recv(chan, NULL) == 1);
	SIM_CHECK(ringo_now() - start < soon);
	(void)ringo_timer_stop_wait(&t);
	ringo_chan_unref(chan);
	return 0;
}

SIM_TEST(a_long_sleep_of_all_is_broken_by_what_comes_earlier)
{
	sim_seeds(long_sleep, NULL);
}

/* ---- fairness ---- */

static struct ringo_chan *stop;

static void always_ready(void)
{
	struct ringo_case cases[] = { RINGO_SEND(chan, NULL), RINGO_RECV(stop, NULL) };

	while (ringo_select(cases, 2) == 0)
		;
	ringo_waitgroup_done(&done);
}

static int fairness(void *arg)
{
	struct ringo_chan *timer;
	struct ringo_case cases[2];
	int64_t start = ringo_now();

	(void)arg;
	chan = ringo_chan_new(0, 0);
	stop = ringo_chan_new(0, 0);
	ringo_waitgroup_add(&done, 2);
	SIM_CHECK(ringo_go(always_ready) == 0);
	SIM_CHECK(ringo_go(always_ready) == 0);
	timer = ringo_after(20 * RINGO_US);
	cases[0] = RINGO_RECV(chan, NULL);
	cases[1] = RINGO_RECV(timer, NULL);
	while (ringo_select(cases, 2) == 0)
		;
	SIM_CHECK(ringo_now() - start >= 20 * RINGO_US);
	SIM_CHECK(ringo_now() - start < soon);
	SIM_CHECK(ringo_chan_close(stop) == 0);
	ringo_waitgroup_wait(&done);
	ringo_chan_unref(chan);
	ringo_chan_unref(stop);
	ringo_chan_unref(timer);
	return 0;
}

SIM_TEST(a_timer_is_heard_beside_channels_that_are_always_ready)
{
	sim_seeds(fairness, NULL);
}

/* ---- who only yields ---- */

static void yields_until_told(void)
{
	while (ringo_chan_try_recv(chan, NULL) == -EAGAIN)
		ringo_yield();
	SIM_CHECK(ringo_chan_send(stop, NULL) == 0);
}

static int progress(void *arg)
{
	(void)arg;
	chan = ringo_chan_new(0, 0);
	stop = ringo_chan_new(0, 0);
	SIM_CHECK(ringo_go(yields_until_told) == 0);
	SIM_CHECK(ringo_sleep(up_to(50) * RINGO_US) == 0);
	SIM_CHECK(ringo_chan_send(chan, NULL) == 0);
	SIM_CHECK(ringo_chan_recv(stop, NULL) == 1);
	ringo_chan_unref(chan);
	ringo_chan_unref(stop);
	return 0;
}

SIM_TEST(who_only_yields_still_meets_a_sender)
{
	sim_seeds(progress, NULL);
}

TEST_HARNESS_MAIN
