// SPDX-License-Identifier: MIT
/* Whole programs made of channels: every capacity, chains, consumers, barriers, a sieve, power series. */
#include "help.h"

static int seen;

static struct ringo_chan *ints(size_t cap)
{
	struct ringo_chan *c = ringo_chan_new(sizeof(int), cap);

	CHECK(c != NULL);
	return c;
}

static void run(int (*fn)(void *))
{
	CHECK_EQ(0, ringo_run(fn, NULL));
}

static void wait_for(int n)
{
	while (LOAD(&seen) < n)
		ringo_yield();
}

/* TestChan: what holds for any capacity. */
static void receives(struct ringo_chan *c, int want, int value)
{
	int v = -1;

	CHECK_EQ(want, ringo_chan_recv(c, &v));
	CHECK_EQ(value, v);
	ADD(&seen, 1);
}

static void sends(struct ringo_chan *c, int v)
{
	CHECK_EQ(0, ringo_chan_send(c, &v));
	ADD(&seen, 1);
}

static void settle(void)
{
	for (int i = 0; i < 3; i++)
		ringo_yield();
}

static void empty_and_full(int cap)
{
	struct ringo_chan *c = ints((size_t)cap);
	int from = LOAD(&seen), v = 1;

	CHECK_EQ(0, ringo_go(receives, c, 1, 0));
	settle();
	CHECK_EQ(from, LOAD(&seen)); /* receiving from an empty one waits */
	v = 0;
	CHECK_EQ(0, ringo_chan_send(c, &v));
	wait_for(from + 1);
	CHECK_EQ(-EAGAIN, ringo_chan_try_recv(c, &v));
	for (int i = 0; i < cap; i++)
		CHECK_EQ(0, ringo_chan_send(c, &i));
	CHECK_EQ(-EAGAIN, ringo_chan_try_send(c, &v));
	CHECK_EQ(0, ringo_go(sends, c, cap));
	settle();
	CHECK_EQ(from + 1, LOAD(&seen)); /* sending to a full one waits */
	for (int i = 0; i <= cap; i++) {
		CHECK_EQ(1, ringo_chan_recv(c, &v));
		CHECK_EQ(i, v);
	}
	wait_for(from + 2);
	ringo_chan_unref(c);
}

static void close_finds(int cap)
{
	struct ringo_chan *c = ints((size_t)cap);
	int from = LOAD(&seen), v;

	for (int i = 0; i < cap; i++)
		CHECK_EQ(0, ringo_chan_send(c, &i));
	CHECK_EQ(0, ringo_chan_close(c));
	for (int i = 0; i < cap + 2; i++) {
		CHECK_EQ(i < cap, ringo_chan_recv(c, &v));
		CHECK_EQ(i < cap ? i : 0, v);
	}
	ringo_chan_unref(c);
	c = ints((size_t)cap);
	CHECK_EQ(0, ringo_go(receives, c, 0, 0));
	settle();
	CHECK_EQ(0, ringo_chan_close(c)); /* while it waits */
	wait_for(from + 1);
	ringo_chan_unref(c);
}

static void count_up(struct ringo_chan *c, int n)
{
	for (int i = 0; i < n; i++)
		CHECK_EQ(0, ringo_chan_send(c, &i));
	ADD(&seen, 1);
}

static void tally(struct ringo_chan *c, int *count, int n)
{
	int v;

	for (int i = 0; i < n; i++) {
		CHECK_EQ(1, ringo_chan_recv(c, &v));
		ADD(&count[v], 1);
	}
	ADD(&seen, 1);
}

static void many_to_many(int cap)
{
	enum { L = 4, N = 20 };
	struct ringo_chan *c = ints((size_t)cap);
	int count[N] = { 0 }, from = LOAD(&seen);

	for (int i = 0; i < L; i++) {
		CHECK_EQ(0, ringo_go(count_up, c, N));
		CHECK_EQ(0, ringo_go(tally, c, (int *)count, N));
	}
	wait_for(from + 2 * L);
	for (int i = 0; i < N; i++)
		CHECK_EQ(L, count[i]);
	CHECK_EQ(0, ringo_chan_len(c));
	ringo_chan_unref(c);
}

static int capacities_main(void *arg)
{
	for (int cap = 0; cap < 200; cap += SANITIZED ? 11 : 1) {
		empty_and_full(cap);
		close_finds(cap);
		many_to_many(cap);
	}
	return 0;
}

TEST(every_capacity_keeps_the_rules)
{
	run(capacities_main);
}

/* MultiConsumer: workers that also yield now and then; the sum is right. */
static void work(struct ringo_chan *in, struct ringo_chan *out)
{
	int v;

	while (ringo_chan_recv(in, &v) == 1) {
		if (v % 7 == 0)
			ringo_yield();
		CHECK_EQ(0, ringo_chan_send(out, &v));
	}
	if (ADD(&seen, 1) == 23)
		CHECK_EQ(0, ringo_chan_close(out));
}

static void feed(struct ringo_chan *in, int n)
{
	for (int i = 0; i < n; i++) {
		int v = 2 + i % 29;

		CHECK_EQ(0, ringo_chan_send(in, &v));
	}
	CHECK_EQ(0, ringo_chan_close(in));
}

static int consumers_main(void *arg)
{
	struct ringo_chan *in = ints(14), *out = ints(14);
	const int n = SCALE(46 * 1000);
	long want = 0, sum = 0;
	int v;

	for (int i = 0; i < 23; i++)
		CHECK_EQ(0, ringo_go(work, in, out));
	CHECK_EQ(0, ringo_go(feed, in, n));
	for (int i = 0; i < n; i++)
		want += 2 + i % 29;
	while (ringo_chan_recv(out, &v) == 1)
		sum += v;
	CHECK_EQ(want, sum);
	ringo_chan_unref(in);
	ringo_chan_unref(out);
	return 0;
}

TEST(many_consumers_share_the_work)
{
	run(consumers_main);
}

/* test/chan/goroutines: a daisy chain, and its end. */
static void chain_link(struct ringo_chan *left, struct ringo_chan *right)
{
	int v;

	CHECK_EQ(1, ringo_chan_recv(right, &v));
	v++;
	CHECK_EQ(0, ringo_chan_send(left, &v));
	ringo_chan_unref(right);
	ringo_chan_unref(left);
}

static int chain_main(void *arg)
{
	const int n = SANITIZED ? 3000 : 10000;
	struct ringo_chan *leftmost = ints(0), *left = ringo_chan_ref(leftmost), *right;
	int v = 0;

	for (int i = 0; i < n; i++) {
		right = ints(0);
		CHECK_EQ(0, ringo_go(chain_link, left, ringo_chan_ref(right)));
		left = right;
	}
	CHECK_EQ(0, ringo_chan_send(left, &v));
	CHECK_EQ(1, ringo_chan_recv(leftmost, &v));
	CHECK_EQ(n, v);
	ringo_chan_unref(left);
	while (ringo_num_goroutines() > 1)
		ringo_yield();
	ringo_chan_unref(leftmost);
	return 0;
}

TEST(a_long_chain_passes_a_value)
{
	struct ringo_options o = RINGO_OPTIONS(.flags = RINGO_RUN_CANARY);

	EXPECT_EQ(0, ringo_run_opt(chain_main, NULL, &o));
}

/* ChanSendBarrier, ChanSendSelectBarrier: memory written before a send is seen by the receiver. */
struct message {
	long stamp, copy;
};

static void post(struct ringo_chan *c, bool selects, int n)
{
	for (int i = 0; i < n; i++) {
		struct message *m = malloc(sizeof(*m));
		struct ringo_case one = RINGO_SEND(c, &m);

		m->stamp = i;
		m->copy = ~(long)i;
		if (selects)
			CHECK_EQ(0, ringo_select(&one, 1));
		else
			CHECK_EQ(0, ringo_chan_send(c, &m));
	}
	ADD(&seen, 1);
}

static int barrier_main(void *arg)
{
	struct ringo_chan *c = ringo_chan_new(sizeof(struct message *), 0);
	const int n = SCALE(5000);
	struct message *m;

	for (int i = 0; i < 4; i++)
		CHECK_EQ(0, ringo_go(post, c, (bool)(i % 2), n));
	for (int i = 0; i < 4 * n; i++) {
		struct ringo_case cases[] = { RINGO_RECV(c, &m), RINGO_RECV((struct ringo_chan *)NULL, NULL) };

		if (i % 3)
			CHECK_EQ(1, ringo_chan_recv(c, &m));
		else
			CHECK_EQ(0, ringo_select(cases, 2));
		CHECK_EQ(m->copy, ~m->stamp);
		free(m);
	}
	wait_for(4);
	ringo_chan_unref(c);
	return 0;
}

TEST(a_send_is_a_barrier)
{
	run(barrier_main);
}

/* ShrinkStackDuringBlockedSend: senders wait with their value on a stack that is trimmed meanwhile. */
static __attribute__((noinline)) int dig(int depth)
{
	volatile char fill[600];

	fill[0] = (char)depth;
	return depth ? dig(depth - 1) + fill[0] - (char)depth : 1;
}

static void blocked_sender(struct ringo_chan *c, int i)
{
	int v = i;

	CHECK_EQ(1, dig(30));
	CHECK_EQ(0, ringo_chan_send(c, &v));
	CHECK_EQ(i, v);
	CHECK_EQ(1, dig(30));
	ADD(&seen, 1);
}

static int shrink_main(void *arg)
{
	enum { SENDERS = 300 };
	static unsigned char got[SENDERS];
	struct ringo_chan *c = ints(0);
	int v;

	for (int i = 0; i < SENDERS; i++)
		CHECK_EQ(0, ringo_go(blocked_sender, c, i));
	CHECK_EQ(0, ringo_sleep(150 * RINGO_MS));
	for (int i = 0; i < SENDERS; i++) {
		CHECK_EQ(1, ringo_chan_recv(c, &v));
		CHECK_EQ(1, ++got[v]);
	}
	wait_for(SENDERS);
	ringo_chan_unref(c);
	return 0;
}

TEST(values_on_trimmed_stacks_stay_whole)
{
	run(shrink_main);
}

/* test/chan/nonblock: tries against every state, with a peer that waits and one that does not. */
static int nonblock_main(void *arg)
{
	for (size_t cap = 0; cap < 11; cap += 10) {
		struct ringo_chan *c = ints(cap);
		int from = LOAD(&seen), v = 3;

		CHECK_EQ(-EAGAIN, ringo_chan_try_recv(c, &v));
		if (!cap)
			CHECK_EQ(-EAGAIN, ringo_chan_try_send(c, &v));
		CHECK_EQ(0, ringo_go(receives, c, 1, 3));
		settle();
		while (ringo_chan_try_send(c, &v) == -EAGAIN)
			ringo_yield();
		wait_for(from + 1);
		CHECK_EQ(0, ringo_go(sends, c, 4));
		while (ringo_chan_try_recv(c, &v) == -EAGAIN)
			ringo_yield();
		CHECK_EQ(4, v);
		wait_for(from + 2);
		ringo_chan_unref(c);
	}
	return 0;
}

TEST(a_try_meets_whoever_waits)
{
	run(nonblock_main);
}

/* test/chan/sieve1: a chain that grows with each prime. */
static void numbers(struct ringo_chan *out)
{
	for (int i = 2; !ringo_chan_send(out, &i); i++)
		;
	ringo_chan_unref(out);
	ADD(&seen, 1);
}

static void filter(struct ringo_chan *in, struct ringo_chan *out, int prime)
{
	int v;

	while (ringo_chan_recv(in, &v) == 1)
		if (v % prime && ringo_chan_send(out, &v))
			break;
	ringo_chan_close(in); /* whoever sends to us ends */
	ringo_chan_unref(in);
	ringo_chan_unref(out);
	ADD(&seen, 1);
}

static int sieve_main(void *arg)
{
	const int n = SCALE(300);
	struct ringo_chan *c = ints(0), *next;
	int p = 0, last = 0;

	CHECK_EQ(0, ringo_go(numbers, ringo_chan_ref(c)));
	for (int i = 0; i < n; i++) {
		CHECK_EQ(1, ringo_chan_recv(c, &p));
		CHECK(p > last);
		for (int d = 2; d * d <= p; d++)
			CHECK(p % d);
		last = p;
		next = ints(0);
		CHECK_EQ(0, ringo_go(filter, c, ringo_chan_ref(next), p));
		c = next;
	}
	if (!SANITIZED)
		CHECK_EQ(1987, p);
	CHECK_EQ(0, ringo_chan_close(c));
	wait_for(n + 1);
	ringo_chan_unref(c);
	return 0;
}

TEST(a_sieve_finds_the_primes)
{
	run(sieve_main);
}

/*
 * test/chan/powser1, in small: power series as goroutines that give one coefficient on demand; the product
 * and the integral ask others for theirs.
 */
struct series {
	struct ringo_chan *ask, *coef;
};

static struct series series_new(void)
{
	return (struct series){ ringo_chan_new(0, 0), ringo_chan_new(sizeof(double), 0) };
}

static bool wanted(struct series s)
{
	return ringo_chan_recv(s.ask, NULL) == 1;
}

static void give(struct series s, double v)
{
	CHECK_EQ(0, ringo_chan_send(s.coef, &v));
}

static double get(struct series s)
{
	double v;

	CHECK_EQ(0, ringo_chan_send(s.ask, NULL));
	CHECK_EQ(1, ringo_chan_recv(s.coef, &v));
	return v;
}

static void end(struct series s)
{
	ringo_chan_close(s.ask);
}

static void series_free(struct series s)
{
	ringo_chan_unref(s.ask);
	ringo_chan_unref(s.coef);
	ADD(&seen, 1);
}

struct op {
	struct series out, a, b;
};

static void ones(void *arg)
{
	struct op *o = arg;

	while (wanted(o->out))
		give(o->out, 1);
	series_free(o->out);
}

static void integral(void *arg)
{
	struct op *o = arg;

	for (int n = 0; wanted(o->out); n++)
		give(o->out, n ? get(o->a) / n : 0);
	end(o->a);
	series_free(o->out);
}

static void product(void *arg)
{
	enum { MOST = 32 };
	struct op *o = arg;
	double a[MOST], b[MOST];

	for (int n = 0; wanted(o->out); n++) {
		double sum = 0;

		CHECK(n < MOST);
		a[n] = get(o->a);
		b[n] = get(o->b);
		for (int i = 0; i <= n; i++)
			sum += a[i] * b[n - i];
		give(o->out, sum);
	}
	end(o->a);
	end(o->b);
	series_free(o->out);
}

static struct series start(void (*fn)(void *), struct op *o)
{
	o->out = series_new();
	CHECK_EQ(0, ringo_go_fn(fn, o));
	return o->out;
}

static bool near(double a, double b)
{
	return a - b < 1e-9 && b - a < 1e-9;
}

static int powser_main(void *arg)
{
	enum { TERMS = 20 };
	struct op one[4] = { 0 }, log[2] = { 0 }, square = { 0 }, log_square = { 0 };
	struct series s;

	/* 1/(1-x) squared has the coefficients n + 1 */
	square.a = start(ones, &one[0]);
	square.b = start(ones, &one[1]);
	s = start(product, &square);
	for (int n = 0; n < TERMS; n++)
		CHECK(near(n + 1, get(s)));
	end(s);
	wait_for(3);
	/* -log(1-x) squared, halved, has the coefficients H(n-1)/n */
	log[0].a = start(ones, &one[2]);
	log[1].a = start(ones, &one[3]);
	log_square.a = start(integral, &log[0]);
	log_square.b = start(integral, &log[1]);
	s = start(product, &log_square);
	for (int n = 0; n < TERMS; n++) {
		double h = 0;

		for (int i = 1; i < n; i++)
			h += 1.0 / i;
		CHECK(near(n ? 2 * h / n : 0, get(s)));
	}
	end(s);
	wait_for(8);
	return 0;
}

TEST(power_series_are_streams)
{
	run(powser_main);
}

TEST_HARNESS_MAIN
