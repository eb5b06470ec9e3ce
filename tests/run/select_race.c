// SPDX-License-Identifier: MIT
/* Select among many: that the choice is fair, that exactly one case happens, and that nothing is lost. */
#include "help.h"

enum { N = 20000 };

static int seen;

static struct ringo_chan *ints(size_t cap)
{
	struct ringo_chan *c = ringo_chan_new(sizeof(int), cap);

	CHECK(c != NULL);
	return c;
}

static void run(int (*fn)(void *), void *arg)
{
	CHECK_EQ(0, ringo_run(fn, arg));
}

/*
 * SelfSelect: both directions of one channel in each select; without a buffer a value never comes back to who
 * sent it.
 */
static void self(struct ringo_chan *c, int me, int rounds)
{
	for (int i = 0; i < rounds; i++) {
		int got = -1, sent = me;
		struct ringo_case cases[] = { RINGO_SEND(c, &sent), RINGO_RECV(c, &got) };

		if (ringo_select(cases, 2) == 1)
			CHECK(got == !me || (got == me && ringo_chan_cap(c)));
	}
	ADD(&seen, 1);
}

static int self_main(void *arg)
{
	struct ringo_chan *c = ints((size_t)(intptr_t)arg);
	int v, n;

	CHECK_EQ(0, ringo_go(self, c, 0, SCALE(5000)));
	CHECK_EQ(0, ringo_go(self, c, 1, SCALE(5000)));
	while ((n = LOAD(&seen)) < 1)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	/* the one left alone: serve it */
	while (LOAD(&seen) < 2)
		if (ringo_chan_try_recv(c, &v) < 0)
			ringo_yield();
	ringo_chan_unref(c);
	return 0;
}

TEST(a_select_does_not_meet_itself)
{
	run(self_main, (void *)0);
	seen = 0;
	run(self_main, (void *)10);
}

/* SelectFairness: two channels that are always ready, and one that never is. */
static void feed(struct ringo_chan *c, struct ringo_chan *stop)
{
	int v = 1;
	struct ringo_case cases[] = { RINGO_SEND(c, &v), RINGO_RECV(stop, NULL) };

	while (ringo_select(cases, 2) == 0)
		;
	ADD(&seen, 1);
}

static int fair_main(void *arg)
{
	const int trials = 10000;
	struct ringo_chan *a = ints(8), *b = ints(8), *never = ints(0), *stop = ints(0);
	int v, got[4] = { 0 }, n = 0;

	CHECK_EQ(0, ringo_go(feed, a, stop));
	CHECK_EQ(0, ringo_go(feed, b, stop));
	while (n < trials) {
		struct ringo_case cases[] = { RINGO_RECV(never, &v), RINGO_RECV(a, &v), RINGO_RECV(b, &v),
					      RINGO_RECV(never, &v) };

		while (!ringo_chan_len(a) || !ringo_chan_len(b))
			ringo_yield();
		got[ringo_select(cases, 4)]++;
		n++;
	}
	CHECK_EQ(0, got[0] + got[3]);
	/* 4.89 standard deviations: fails once in a million */
	CHECK(abs(got[1] - trials / 2) <= 4.891676 * 0.5 * 100);
	ringo_chan_close(stop);
	while (LOAD(&seen) < 2)
		ringo_yield();
	ringo_chan_unref(a);
	ringo_chan_unref(b);
	ringo_chan_unref(never);
	ringo_chan_unref(stop);
	return 0;
}

TEST(ready_cases_are_chosen_alike)
{
	run(fair_main, NULL);
}

/* The same when the ready ones are neighbours among many, and include an end of time. */
static int neighbours_main(void *arg)
{
	enum { CASES = 7, TRIALS = 14000 };
	struct ringo_chan *c = ints(1);
	int v = 1, got[CASES] = { 0 };

	for (int i = 0; i < TRIALS; i++) {
		struct ringo_case cases[CASES] = {
			RINGO_RECV(c, &v), RINGO_SEND(c, &v), RINGO_SEND(c, &v), RINGO_TIMEOUT(0),
			RINGO_RECV((struct ringo_chan *)NULL, &v), RINGO_TIMEOUT(-5), RINGO_DONE(NULL) };
		int k = ringo_select(cases, CASES);

		got[k]++;
		if (k == 1 || k == 2)
			CHECK_EQ(1, ringo_chan_try_recv(c, &v));
	}
	CHECK_EQ(0, got[0] + got[4] + got[6]);
	for (int k = 1; k < 6; k++)
		if (k != 4)
			CHECK(abs(got[k] - TRIALS / 4) < 260); /* 5 standard deviations */
	ringo_chan_unref(c);
	return 0;
}

TEST(neighbours_and_timeouts_are_chosen_alike)
{
	run(neighbours_main, NULL);
}

/* PseudoRandomSend: a choice between sending 0 and 1 gives both about as often. */
static void random_bits(struct ringo_chan *c, int n)
{
	int zero = 0, one = 1;

	for (int i = 0; i < n; i++) {
		struct ringo_case cases[] = { RINGO_SEND(c, &zero), RINGO_SEND(c, &one) };

		CHECK(ringo_select(cases, 2) >= 0);
	}
	ADD(&seen, 1);
}

static int bits_main(void *arg)
{
	struct ringo_chan *c = ints((size_t)(intptr_t)arg);
	int n = SCALE(4000), bit, ones = 0;

	CHECK_EQ(0, ringo_go(random_bits, c, n));
	for (int i = 0; i < n; i++) {
		ringo_yield();
		CHECK_EQ(1, ringo_chan_recv(c, &bit));
		ones += bit;
	}
	CHECK(ones > n / 3 && ones < n - n / 3);
	while (!LOAD(&seen))
		ringo_yield();
	ringo_chan_unref(c);
	return 0;
}

TEST(one_of_two_sends_is_taken_at_random)
{
	const int caps[] = { 0, 1, N };

	for (int i = 0; i < 3; i++) {
		seen = 0;
		run(bits_main, (void *)(intptr_t)caps[i]);
	}
}

/* NonblockSelectRace: there is a value in one of the two at every moment. */
static struct ringo_chan *left, *right;

static void look_at_both(struct ringo_chan *done)
{
	struct ringo_case cases[] = { RINGO_RECV(right, NULL), RINGO_RECV(left, NULL) };
	int found = ringo_try_select(cases, 2) >= 0;

	CHECK_EQ(0, ringo_chan_send(done, &found));
}

static int race_main(void *arg)
{
	bool closing = arg;
	struct ringo_chan *done = ints(1);
	int v = 1, found;

	for (int i = 0; i < SCALE(20000); i++) {
		left = ints(1);
		right = ints(1);
		CHECK_EQ(0, ringo_chan_send(left, &v));
		CHECK_EQ(0, ringo_go(look_at_both, done));
		if (closing)
			CHECK_EQ(0, ringo_chan_close(right));
		else
			CHECK_EQ(0, ringo_chan_send(right, &v));
		(void)!ringo_chan_try_recv(left, &v);
		CHECK_EQ(1, ringo_chan_recv(done, &found));
		CHECK(found);
		ringo_chan_unref(left);
		ringo_chan_unref(right);
	}
	ringo_chan_unref(done);
	return 0;
}

TEST(a_try_over_two_sees_both_at_one_moment)
{
	run(race_main, (void *)0);
}

TEST(a_try_over_two_sees_a_close_and_a_value_at_one_moment)
{
	run(race_main, (void *)1);
}

/* NonblockRecvRace: a try after the close has happened sees it. */
static void try_one(struct ringo_chan *c)
{
	struct ringo_case one = RINGO_RECV(c, NULL);

	(void)!ringo_try_select(&one, 1);
	ringo_chan_unref(c);
	ADD(&seen, 1);
}

static int recv_race_main(void *arg)
{
	int n = SCALE(10000);

	for (int i = 0; i < n; i++) {
		struct ringo_chan *c = ints(1);
		struct ringo_case one = RINGO_RECV(c, NULL);

		CHECK_EQ(0, ringo_chan_send(c, &i));
		CHECK_EQ(0, ringo_go(try_one, ringo_chan_ref(c)));
		CHECK_EQ(0, ringo_chan_close(c));
		CHECK_EQ(0, ringo_try_select(&one, 1)); /* the value, or the close */
		ringo_chan_unref(c);
	}
	while (LOAD(&seen) < n)
		ringo_yield();
	return 0;
}

TEST(a_try_sees_the_close_that_was_before_it)
{
	run(recv_race_main, NULL);
}

/* SelectStress: four channels; senders and receivers alone, and selects over all. */
static struct ringo_chan *four[4];
static int sent[4], received[4];

static void stress_send(int k, int n)
{
	for (int i = 0; i < n; i++)
		CHECK_EQ(0, ringo_chan_send(four[k], &i));
	ADD(&sent[k], n);
	ADD(&seen, 1);
}

static void stress_recv(int k, int n)
{
	int v;

	for (int i = 0; i < n; i++)
		CHECK_EQ(1, ringo_chan_recv(four[k], &v));
	ADD(&received[k], n);
	ADD(&seen, 1);
}

static void stress_select(int sends, int n)
{
	struct ringo_case cases[4];
	int left_of[4] = { n, n, n, n }, v = 0;

	for (int total = 4 * n; total--;) {
		int k;

		for (int i = 0; i < 4; i++) {
			struct ringo_chan *c = left_of[i] ? four[i] : NULL;

			cases[i] = sends ? RINGO_SEND(c, &v) : RINGO_RECV(c, &v);
		}
		k = ringo_select(cases, 4);
		CHECK(k >= 0);
		CHECK_EQ(!sends, cases[k].result);
		left_of[k]--;
		ADD(sends ? &sent[k] : &received[k], 1);
	}
	ADD(&seen, 1);
}

static int stress_main(void *arg)
{
	const int n = SCALE(N) / 4;

	four[0] = ints(0);
	four[1] = ints(0);
	four[2] = ints(2);
	four[3] = ints(3);
	for (int k = 0; k < 4; k++) {
		CHECK_EQ(0, ringo_go(stress_send, k, n));
		CHECK_EQ(0, ringo_go(stress_recv, k, n));
	}
	for (int k = 0; k < 4; k++)
		CHECK_EQ(0, ringo_go(stress_select, k % 2, n));
	while (LOAD(&seen) < 12)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	for (int k = 0; k < 4; k++) {
		CHECK_EQ(3 * n, sent[k]);
		CHECK_EQ(3 * n, received[k]);
		CHECK_EQ(0, ringo_chan_len(four[k]));
		ringo_chan_unref(four[k]);
	}
	return 0;
}

TEST(all_that_is_sent_in_selects_arrives_once)
{
	run(stress_main, NULL);
}

/* A close that wakes a select which waits on that channel in all ways. */
static void all_ways(struct ringo_chan *c)
{
	int v = 1, w;
	struct ringo_case cases[] = { RINGO_SEND(c, &v), RINGO_RECV(c, &w), RINGO_SEND(c, &v),
				      RINGO_RECV(c, &w) };
	int k = ringo_select(cases, 4);

	CHECK_EQ(k % 2 ? 0 : -EPIPE, cases[k].result);
	ringo_chan_unref(c);
	ADD(&seen, 1);
}

static int close_all_main(void *arg)
{
	int n = SCALE(2000);

	for (int i = 0; i < n; i++) {
		struct ringo_chan *c = ints(0);

		CHECK_EQ(0, ringo_go(all_ways, ringo_chan_ref(c)));
		for (int k = i % 3; k--;)
			ringo_yield();
		CHECK_EQ(0, ringo_chan_close(c));
		ringo_chan_unref(c);
	}
	while (LOAD(&seen) < n)
		ringo_yield();
	return 0;
}

TEST(a_close_ends_a_select_once)
{
	run(close_all_main, NULL);
}

/* test/chan/doubleselect: of the cases of one select never two happen. */
static void alternate(struct ringo_chan *c[4], int n)
{
	for (int i = 0; i < n; i++) {
		struct ringo_case cases[] = { RINGO_SEND(c[0], &i), RINGO_SEND(c[1], &i),
					      RINGO_SEND(c[2], &i), RINGO_SEND(c[3], &i) };

		CHECK(ringo_select(cases, 4) >= 0);
	}
	for (int k = 0; k < 4; k++)
		ringo_chan_close(c[k]);
}

static void forward(struct ringo_chan *from, struct ringo_chan *to)
{
	int v;

	while (ringo_chan_recv(from, &v) == 1)
		CHECK_EQ(0, ringo_chan_send(to, &v));
	ADD(&seen, 1);
}

static int double_main(void *arg)
{
	static unsigned char count[N];
	struct ringo_chan *c[4] = { ints(0), ints(0), ints(0), ints(0) }, *all = ints(0);
	const int n = SCALE(N);
	int v;

	CHECK_EQ(0, ringo_go(alternate, &c[0], n));
	for (int k = 0; k < 4; k++)
		CHECK_EQ(0, ringo_go(forward, c[k], all));
	for (int i = 0; i < n; i++) {
		CHECK_EQ(1, ringo_chan_recv(all, &v));
		CHECK_EQ(1, ++count[v]);
	}
	while (LOAD(&seen) < 4)
		ringo_yield();
	for (int k = 0; k < 4; k++)
		ringo_chan_unref(c[k]);
	ringo_chan_unref(all);
	return 0;
}

TEST(never_do_two_cases_of_one_select_happen)
{
	run(double_main, NULL);
}

/* test/chan/select2: selects leave no memory behind. */
static void pump(struct ringo_chan *c, struct ringo_chan *other, int n)
{
	for (int i = 0; i < n; i++) {
		struct ringo_case cases[] = { RINGO_SEND(c, &i), RINGO_RECV(other, NULL) };

		CHECK_EQ(0, ringo_select(cases, 2));
	}
	ADD(&seen, 1);
}

static int leak_main(void *arg)
{
	struct ringo_chan *c = ints(0), *other = ints(0);
	const int n = SCALE(100000);
	long before = 0;

	for (int round = 0; round < 3; round++) {
		CHECK_EQ(0, ringo_go(pump, c, other, n));
		for (int i = 0; i < n; i++) {
			struct ringo_case cases[] = { RINGO_RECV(c, NULL), RINGO_RECV(other, NULL) };

			CHECK_EQ(0, ringo_select(cases, 2));
		}
		while (LOAD(&seen) <= round)
			ringo_yield();
		if (!round)
			before = status_of("VmRSS");
	}
	if (!SANITIZED && !RUNNING_ON_VALGRIND)
		CHECK(status_of("VmRSS") - before < 1000);
	ringo_chan_unref(c);
	ringo_chan_unref(other);
	return 0;
}

TEST(selects_leave_nothing_behind)
{
	run(leak_main, NULL);
}

/* A waiter in a select may be timed out, found by a channel, and closed, all at once. */
static void hasty(struct ringo_chan *c, struct ringo_chan *d, int n)
{
	for (int i = 0; i < n; i++) {
		struct ringo_case cases[] = { RINGO_RECV(c, NULL), RINGO_SEND(d, &i),
					      RINGO_TIMEOUT((i % 7) * 3000) };
		int k = ringo_select(cases, 3);

		CHECK(k >= 0 && k < 3);
		ADD(k == 0 ? &received[0] : k == 1 ? &sent[1] : &sent[3], 1);
	}
	ADD(&seen, 1);
}

static void counterpart(struct ringo_chan *c, struct ringo_chan *d)
{
	for (int i = 0;; i++) {
		struct ringo_case cases[] = { RINGO_SEND(c, &i), RINGO_RECV(d, NULL),
					      RINGO_TIMEOUT((i % 5) * 4000) };
		int k = ringo_select(cases, 3);

		if (k == 1 && cases[1].result == 0)
			break;
		ADD(k == 0 ? &sent[0] : k == 1 ? &received[1] : &sent[3], 1);
	}
	ADD(&seen, 1);
}

static int hasty_main(void *arg)
{
	struct ringo_chan *c = ints(0), *d = ints(0);

	for (int i = 0; i < 4; i++)
		CHECK_EQ(0, ringo_go(hasty, c, d, SCALE(3000)));
	for (int i = 0; i < 3; i++)
		CHECK_EQ(0, ringo_go(counterpart, c, d));
	while (LOAD(&seen) < 4)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK_EQ(0, ringo_chan_close(d));
	while (LOAD(&seen) < 7)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK_EQ(sent[0], received[0]);
	CHECK_EQ(sent[1], received[1]);
	ringo_chan_unref(c);
	ringo_chan_unref(d);
	return 0;
}

TEST(time_and_channels_race_for_a_select)
{
	run(hasty_main, NULL);
}

TEST_HARNESS_MAIN
