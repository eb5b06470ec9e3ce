// SPDX-License-Identifier: MIT
/* Timers as in Go's tests of them: chains, queues, moves in every direction, extreme times. Basics: timers.c. */
#include "io_help.h"

static struct ringo_waitgroup done;
static int fired;

static void fire(void *arg)
{
	ADD(&fired, 1);
}

static void until_fired(int n)
{
	int64_t start = ringo_now();

	while (LOAD(&fired) < n) {
		CHECK_EQ(0, ringo_sleep(100 * RINGO_US));
		CHECK(ringo_now() - start < 10 * RINGO_SEC);
	}
}

/* AfterFunc: each starts the next one and then takes its time, which holds up nobody. */
static struct ringo_timer chain[11];

static void next_link(void *arg)
{
	struct ringo_timer *t = arg;

	if (++t == chain + 11) {
		ringo_waitgroup_done(&done);
		return;
	}
	CHECK_EQ(0, ringo_timer_start(t, 0, next_link, t));
	(void)!ringo_sleep(3600 * RINGO_SEC);
}

G_TEST(a_chain_of_timers_does_not_wait_for_their_functions)
{
	ringo_waitgroup_add(&done, 1);
	CHECK_EQ(0, ringo_timer_start(&chain[0], 0, next_link, &chain[0]));
	ringo_waitgroup_wait(&done);
	return 0;
}

/* AfterStress: a ticker with no time between its ticks, beside somebody who looks at everything. */
static int stop;

static void looks_at_all(void)
{
	int fd = (int)OK(open("/dev/null", O_WRONLY | O_CLOEXEC));

	while (!LOAD(&stop)) {
		CHECK_EQ(0, ringo_dump(fd, RINGO_DUMP_FULL));
		CHECK_EQ(0, ringo_sleep(1));
	}
	close(fd);
	ringo_waitgroup_done(&done);
}

G_TEST(a_ticker_in_haste_beside_dumps)
{
	struct ringo_ticker *t = ringo_ticker_new(1);
	int64_t at, last = 0;

	ringo_waitgroup_add(&done, 1);
	CHECK_EQ(0, ringo_go(looks_at_all));
	for (int i = 0; i < 100; i++) {
		CHECK_EQ(1, ringo_chan_recv(ringo_ticker_chan(t), &at));
		CHECK(at >= last);
		last = at;
	}
	ringo_ticker_free(t);
	STORE(&stop, 1);
	ringo_waitgroup_wait(&done);
	return 0;
}

/* AfterTick */
G_TEST(ten_in_a_row_take_ten_times_as_long)
{
	int64_t start = ringo_now(), took;

	for (int i = 0; i < 10; i++) {
		struct ringo_chan *c = ringo_after(10 * RINGO_MS);

		CHECK_EQ(1, ringo_chan_recv(c, NULL));
		ringo_chan_unref(c);
	}
	took = ringo_now() - start;
	CHECK(took >= 100 * RINGO_MS);
	CHECK(took < 3 * RINGO_SEC);
	return 0;
}

/* AfterStop: between others that fire, those that are stopped do not. */
static void fire_one(void *arg)
{
	ADD((int *)arg, 1);
}

G_TEST(stopping_one_leaves_its_neighbours)
{
	struct ringo_timer t[8] = { 0 };
	int count[8] = { 0 }, stopped[8] = { 0 }, all = 0;
	struct ringo_chan *last;

	for (int i = 0; i < 8; i++)
		CHECK_EQ(0, ringo_timer_start(&t[i], (i % 4 + 1) * 20 * RINGO_MS, fire_one, &count[i]));
	last = ringo_after(100 * RINGO_MS);
	for (int i = 0; i < 8; i += 1 + i % 2) /* 0, 1, 3, 5, 7 */
		all += stopped[i] = ringo_timer_stop(&t[i]);
	CHECK_EQ(1, ringo_chan_recv(last, NULL));
	CHECK_EQ(0, ringo_sleep(20 * RINGO_MS));
	for (int i = 0; i < 8; i++) {
		CHECK_EQ(!stopped[i], LOAD(&count[i]));
		CHECK_EQ(0, ringo_timer_stop(&t[i]));
	}
	CHECK(all > 0);
	ringo_chan_unref(last);
	return 0;
}

/* AfterQueuing. A machine that stalls may mix up what comes close together; with more room it should not. */
static const int slots[] = { 5, 3, 6, 6, 6, 1, 1, 2, 7, 9, 4, 8, 0 };
enum { SLOTS = sizeof(slots) / sizeof(slots[0]) };

struct arrival {
	int slot;
	int64_t at;
};

static void waits_for(int slot, struct ringo_chan *c, struct ringo_chan *results)
{
	struct arrival a = { .slot = slot };

	CHECK_EQ(1, ringo_chan_recv(c, &a.at));
	CHECK_EQ(0, ringo_chan_send(results, &a));
	ringo_chan_unref(c);
}

static bool in_order(int64_t delta)
{
	struct ringo_chan *results = ringo_chan_new(sizeof(struct arrival), SLOTS);
	int64_t start = ringo_now();
	bool ordered = true;
	int last = 0;

	for (int i = 0; i < SLOTS; i++)
		CHECK_EQ(0, ringo_go(waits_for, slots[i], ringo_after(slots[i] * delta), results));
	for (int i = 0; i < SLOTS; i++) {
		struct arrival a;

		CHECK_EQ(1, ringo_chan_recv(results, &a));
		CHECK(a.at >= start + a.slot * delta);
		ordered &= a.slot >= last && a.at <= start + (a.slot + 10) * delta;
		last = a.slot;
	}
	ringo_chan_unref(results);
	return ordered;
}

G_TEST(those_that_wait_for_times_come_in_their_order)
{
	for (int i = 0; i < 5; i++)
		if (in_order((20 + i * 50) * RINGO_MS))
			return 0;
	CHECK(!"in order");
	return 1;
}

/* OverflowSleep */
static void sleeps_for_ever(void)
{
	(void)!ringo_sleep(INT64_MAX);
	CHECK(!"a sleep without an end ended");
}

G_TEST(times_beyond_all_measure_disturb_no_others)
{
	struct ringo_chan *never = ringo_after(INT64_MAX), *soon, *past;
	struct ringo_case cases[2] = { RINGO_RECV(never, NULL) };

	CHECK_EQ(0, ringo_go(sleeps_for_ever));
	soon = ringo_after(25 * RINGO_MS);
	cases[1] = RINGO_RECV(soon, NULL);
	CHECK_EQ(1, ringo_select(cases, 2));
	CHECK_EQ(0, ringo_sleep(INT64_MIN));
	past = ringo_after(INT64_MIN);
	cases[0] = RINGO_RECV(past, NULL);
	cases[1] = RINGO_TIMEOUT(10 * RINGO_SEC);
	CHECK_EQ(0, ringo_select(cases, 2));
	ringo_chan_unref(never);
	ringo_chan_unref(soon);
	ringo_chan_unref(past);
	return 0;
}

/* ZeroTimer: however often, none is missed by an M that is just going to sleep. */
G_TEST(timers_of_no_time_are_never_missed)
{
	for (int i = 0; i < SCALE(RUNNING_ON_VALGRIND ? 1000 : 50000); i++) {
		int64_t start = ringo_now();
		struct ringo_chan *c = ringo_after(0);

		CHECK_EQ(1, ringo_chan_recv(c, NULL));
		CHECK(ringo_now() - start < 2 * RINGO_SEC);
		ringo_chan_unref(c);
	}
	return 0;
}

/* TimerModifiedEarlier */
G_TEST(moving_one_earlier_again_and_again_does_not_drop_it)
{
	int want = 0;

	for (int i = 0; i < SCALE(1000); i++) {
		struct ringo_timer t = { 0 };

		CHECK_EQ(0, ringo_timer_start(&t, 3600 * RINGO_SEC, fire, NULL));
		for (int k = 0; k < 10; k++) {
			want += !ringo_timer_stop(&t);
			CHECK_EQ(0, ringo_timer_reset(&t, -ringo_now()));
		}
		until_fired(++want);
	}
	CHECK_EQ(0, ringo_sleep(5 * RINGO_MS));
	CHECK_EQ(want, LOAD(&fired));
	return 0;
}

/* AdjustTimers: a hundred timers, each through the same states, all at different moments. */
enum { MANY = 100, LAST_STATE = 10 };

static struct {
	struct ringo_timer t;
	int state, fired;
} many[MANY];

static void await(int *count, int n)
{
	int64_t start = ringo_now();

	while (LOAD(count) < n) {
		ringo_yield();
		CHECK(ringo_now() - start < 10 * RINGO_SEC);
	}
	CHECK_EQ(n, LOAD(count));
}

static void step(int i)
{
	static const int minutes[] = { [2] = 1, [4] = 3, [6] = 2 };
	struct ringo_timer *t = &many[i].t;

	switch (many[i].state++) {
	case 0:
		CHECK_EQ(0, ringo_timer_start(t, 0, fire_one, &many[i].fired));
		break;
	case 1:
		await(&many[i].fired, 1);
		break;
	case 2: case 4: case 6: /* to what will not be reached */
		CHECK_EQ(0, ringo_timer_reset(t, minutes[many[i].state - 1] * 60 * RINGO_SEC));
		break;
	case 3: case 5: case 7:
		CHECK_EQ(1, ringo_timer_stop(t));
		break;
	case 8:
		CHECK_EQ(0, ringo_timer_reset(t, 0));
		break;
	case 9:
		await(&many[i].fired, 2);
		break;
	}
}

G_TEST(moving_many_earlier_and_later_loses_none)
{
	int left[MANY], n;
	uint64_t rand = (uint64_t)ringo_now();

	for (int round = 0; round < SCALE(100); round++) {
		memset(many, 0, sizeof(many));
		for (n = 0; n < MANY; n++)
			left[n] = n;
		while (n) {
			int k = (int)(rg_rand(&rand) % (unsigned)n);

			step(left[k]);
			if (many[left[k]].state == LAST_STATE)
				left[k] = left[--n];
		}
	}
	return 0;
}

/* Teardown: a ticker that has just ticked is freed. */
G_TEST(tickers_are_freed_right_after_a_tick)
{
	for (int i = 0; i < 20; i++) {
		struct ringo_ticker *t = ringo_ticker_new(RINGO_MS);

		CHECK_EQ(1, ringo_chan_recv(ringo_ticker_chan(t), NULL));
		ringo_ticker_free(t);
	}
	return 0;
}

TEST_HARNESS_MAIN
