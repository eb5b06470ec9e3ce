// SPDX-License-Identifier: MIT
/* Channels as in Go: order, hand-off, buffers, closing; and sizes, references, storms. */
#include "help.h"

static int seen;

static struct ringo_chan *ints(size_t cap)
{
	struct ringo_chan *c = ringo_chan_new(sizeof(int), cap);

	CHECK(c != NULL);
	return c;
}

static void send_numbers(struct ringo_chan *c, int from, int to)
{
	for (int i = from; i < to; i++)
		CHECK_EQ(0, ringo_chan_send(c, &i));
	ADD(&seen, 1);
}

static int fifo_main(void *arg)
{
	struct ringo_chan *c = ints((size_t)(intptr_t)arg);

	CHECK_EQ(0, ringo_go(send_numbers, c, 0, 1000));
	for (int i = 0, n; i < 1000; i++) {
		CHECK_EQ(1, ringo_chan_recv(c, &n));
		CHECK_EQ(i, n);
	}
	ringo_chan_unref(c);
	return 0;
}

TEST(values_come_in_the_order_they_were_sent)
{
	for (intptr_t cap = 0; cap < 5; cap++)
		EXPECT_EQ(0, ringo_run(fifo_main, (void *)cap));
}

static int waiting_senders_main(void *arg)
{
	struct ringo_chan *c = ints((size_t)(intptr_t)arg);

	for (int i = 0; i < 50; i++) {
		CHECK_EQ(0, ringo_go(send_numbers, c, i, i + 1));
		ringo_yield();
		ringo_yield();
	}
	for (int i = 0, n; i < 50; i++) {
		CHECK_EQ(1, ringo_chan_recv(c, &n));
		CHECK_EQ(i, n);
	}
	ringo_chan_unref(c);
	return 0;
}

TEST(waiting_senders_are_served_in_order)
{
	use_turns();
	EXPECT_EQ(0, ringo_run(waiting_senders_main, (void *)0));
	EXPECT_EQ(0, ringo_run(waiting_senders_main, (void *)3));
}

static void receive_one(struct ringo_chan *c, int i)
{
	int n;

	CHECK_EQ(1, ringo_chan_recv(c, &n));
	CHECK_EQ(i, n);
	ADD(&seen, 1);
}

static int waiting_receivers_main(void *arg)
{
	struct ringo_chan *c = ints(0);

	for (int i = 0; i < 50; i++) {
		CHECK_EQ(0, ringo_go(receive_one, c, i));
		ringo_yield();
		ringo_yield();
	}
	for (int i = 0; i < 50; i++)
		CHECK_EQ(0, ringo_chan_send(c, &i));
	while (LOAD(&seen) < 50)
		ringo_yield();
	ringo_chan_unref(c);
	return 0;
}

TEST(waiting_receivers_are_served_in_order)
{
	use_turns();
	EXPECT_EQ(0, ringo_run(waiting_receivers_main, NULL));
}

static int handoff_main(void *arg)
{
	struct ringo_chan *c = ints(0);

	CHECK_EQ(0, ringo_go(send_numbers, c, 5, 6));
	for (int i = 0; i < 20; i++)
		ringo_yield();
	CHECK_EQ(0, LOAD(&seen)); /* nobody received: the sender waits */
	CHECK_EQ(0, ringo_chan_len(c));
	CHECK_EQ(0, ringo_chan_cap(c));
	CHECK_EQ(1, ringo_chan_recv(c, NULL));
	while (!LOAD(&seen))
		ringo_yield();
	ringo_chan_unref(c);
	return 0;
}

TEST(an_unbuffered_send_waits_for_its_receiver)
{
	use_turns();
	EXPECT_EQ(0, ringo_run(handoff_main, NULL));
}

static int buffered_main(void *arg)
{
	struct ringo_chan *c = ints(3);
	int n = 0;

	CHECK_EQ(3, ringo_chan_cap(c));
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(0, ringo_chan_send(c, &i));
		CHECK_EQ(i + 1, ringo_chan_len(c));
	}
	CHECK_EQ(-EAGAIN, ringo_chan_try_send(c, &n));
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(1, ringo_chan_try_recv(c, &n));
		CHECK_EQ(i, n);
	}
	CHECK_EQ(-EAGAIN, ringo_chan_try_recv(c, &n));
	CHECK_EQ(0, ringo_chan_len(c));
	ringo_chan_unref(c);
	return 0;
}

TEST(a_buffer_takes_its_capacity_and_no_more)
{
	EXPECT_EQ(0, ringo_run(buffered_main, NULL));
}

static int close_main(void *arg)
{
	struct ringo_chan *c = ints(2);
	int n = 1;

	CHECK_EQ(0, ringo_chan_send(c, &n));
	n = 2;
	CHECK_EQ(0, ringo_chan_send(c, &n));
	CHECK_EQ(0, ringo_chan_close(c));
	CHECK_EQ(-EPIPE, ringo_chan_close(c));
	CHECK_EQ(-EPIPE, ringo_chan_send(c, &n));
	CHECK_EQ(-EPIPE, ringo_chan_try_send(c, &n));
	CHECK_EQ(1, ringo_chan_recv(c, &n));
	CHECK_EQ(1, n);
	CHECK_EQ(1, ringo_chan_try_recv(c, &n));
	CHECK_EQ(2, n);
	for (int i = 0; i < 3; i++) {
		n = 77;
		CHECK_EQ(0, i % 2 ? ringo_chan_try_recv(c, &n) : ringo_chan_recv(c, &n));
		CHECK_EQ(0, n); /* zeroed */
	}
	CHECK_EQ(0, ringo_chan_recv(c, NULL));
	ringo_chan_unref(c);
	CHECK_EQ(-EINVAL, ringo_chan_close(NULL));
	return 0;
}

TEST(a_closed_channel_is_drained_and_then_gives_zeroes)
{
	EXPECT_EQ(0, ringo_run(close_main, NULL));
}

static void blocked_receiver(struct ringo_chan *c)
{
	int n = 9;

	CHECK_EQ(0, ringo_chan_recv(c, &n));
	CHECK_EQ(0, n);
	ADD(&seen, 1);
}

static void blocked_sender(struct ringo_chan *c)
{
	int n = 9;

	CHECK_EQ(-EPIPE, ringo_chan_send(c, &n));
	ADD(&seen, 1);
}

static int close_wakes_main(void *arg)
{
	struct ringo_chan *a = ints(0), *b = ints(0);

	for (int i = 0; i < 50; i++) {
		CHECK_EQ(0, ringo_go(blocked_receiver, a));
		CHECK_EQ(0, ringo_go(blocked_sender, b));
	}
	CHECK_EQ(0, ringo_sleep(20 * RINGO_MS));
	CHECK_EQ(0, LOAD(&seen));
	CHECK_EQ(0, ringo_chan_close(a));
	CHECK_EQ(0, ringo_chan_close(b));
	while (LOAD(&seen) < 100)
		ringo_yield();
	ringo_chan_unref(a);
	ringo_chan_unref(b);
	return 0;
}

TEST(closing_wakes_all_who_wait)
{
	EXPECT_EQ(0, ringo_run(close_wakes_main, NULL));
}

static int null_main(void *arg)
{
	CHECK_EQ(-EAGAIN, ringo_chan_try_send(NULL, NULL));
	CHECK_EQ(-EAGAIN, ringo_chan_try_recv(NULL, NULL));
	CHECK_EQ(0, ringo_chan_len(NULL));
	CHECK_EQ(0, ringo_chan_cap(NULL));
	ringo_chan_unref(NULL);
	CHECK(!ringo_chan_ref(NULL));
	return 0;
}

TEST(a_NULL_channel_is_never_ready)
{
	EXPECT_EQ(0, ringo_run(null_main, NULL));
}

static void bump(struct ringo_chan *c, int n)
{
	while (n--)
		CHECK_EQ(0, ringo_chan_send(c, NULL));
}

static int zero_size_main(void *arg)
{
	for (size_t cap = 0; cap < 3; cap++) {
		struct ringo_chan *c = ringo_chan_new(0, cap);
		char untouched = 'x';

		CHECK(c != NULL);
		CHECK_EQ(0, ringo_go(bump, c, 100));
		for (int i = 0; i < 100; i++)
			CHECK_EQ(1, ringo_chan_recv(c, &untouched));
		CHECK_EQ(0, ringo_chan_close(c));
		CHECK_EQ(0, ringo_chan_recv(c, &untouched));
		CHECK_EQ('x', untouched);
		ringo_chan_unref(c);
	}
	return 0;
}

TEST(elements_may_have_no_size)
{
	EXPECT_EQ(0, ringo_run(zero_size_main, NULL));
}

struct large {
	int n;
	char fill[5000];
};

static void send_large(struct ringo_chan *c)
{
	struct large l;

	for (l.n = 0; l.n < 100; l.n++) {
		memset(l.fill, l.n, sizeof(l.fill));
		CHECK_EQ(0, ringo_chan_send(c, &l));
	}
}

static int large_main(void *arg)
{
	struct large *l = malloc(sizeof(*l)), same;

	for (size_t cap = 0; cap < 3; cap++) {
		struct ringo_chan *c = ringo_chan_new(sizeof(*l), cap);

		CHECK_EQ(0, ringo_go(send_large, c));
		for (int i = 0; i < 100; i++) {
			CHECK_EQ(1, ringo_chan_recv(c, l));
			CHECK_EQ(i, l->n);
			memset(same.fill, i, sizeof(same.fill));
			CHECK(!memcmp(same.fill, l->fill, sizeof(same.fill)));
		}
		ringo_chan_unref(c);
	}
	free(l);
	return 0;
}

TEST(large_elements_are_copied_whole)
{
	EXPECT_EQ(0, ringo_run(large_main, NULL));
}

TEST(impossible_sizes_are_refused)
{
	EXPECT_EQ(NULL, ringo_chan_new(SIZE_MAX, 2));
	EXPECT_EQ(NULL, ringo_chan_new(16, SIZE_MAX / 8));
	EXPECT_EQ(NULL, ringo_chan_new(1, SIZE_MAX));
}

static void holder(struct ringo_chan *c)
{
	int n;

	while (ringo_chan_recv(c, &n) == 1)
		;
	ringo_chan_unref(c);
	ADD(&seen, 1);
}

static int refs_main(void *arg)
{
	struct ringo_chan *c = ints(0);

	for (int i = 0; i < 100; i++)
		CHECK_EQ(0, ringo_go(holder, ringo_chan_ref(c)));
	for (int i = 0; i < 1000; i++)
		CHECK_EQ(0, ringo_chan_send(c, &i));
	CHECK_EQ(0, ringo_chan_close(c));
	ringo_chan_unref(c);
	while (LOAD(&seen) < 100)
		ringo_yield();
	return 0;
}

TEST(the_last_reference_frees)
{
	EXPECT_EQ(0, ringo_run(refs_main, NULL));
}

static void blocked_select(struct ringo_chan *c)
{
	struct ringo_case cases[] = { RINGO_RECV(c, NULL), RINGO_TIMEOUT(60 * RINGO_SEC) };

	CHECK_EQ(0, ringo_select(cases, 2));
	ADD(&seen, 1);
}

static void unref(void *c)
{
	ringo_chan_unref(c);
}

static int drop_main(void *arg)
{
	struct ringo_chan *c = ints(0);
	struct ringo_panic_info p;

	CHECK_EQ(0, ringo_go(blocked_receiver, c));
	CHECK_EQ(0, ringo_go(blocked_select, c));
	wait_waiting(2);
	CHECK_EQ(1, ringo_try(unref, c, &p));
	CHECK(strstr(p.message, "last reference of a channel") != NULL);
	CHECK(strstr(p.message, "(chan receive)") != NULL);
	CHECK(strstr(p.message, "(select)") != NULL);
	/* it was not dropped */
	CHECK_EQ(0, ringo_chan_close(c));
	while (LOAD(&seen) < 2)
		ringo_yield();
	ringo_chan_unref(c);
	return 0;
}

static struct ringo_chan *kept[4];

static void waits_for_ever(intptr_t i)
{
	int v = 0;
	struct ringo_case both[] = { RINGO_RECV(kept[i], &v), RINGO_TIMEOUT(60 * RINGO_SEC) };

	if (i == 3)
		CHECK_EQ(-1, ringo_select(both, 2));
	else
		CHECK_EQ(i == 1 ? 0 : -1, i == 2 ? ringo_chan_send(kept[i], &v) : ringo_chan_recv(kept[i], &v));
}

static int ends_while_they_wait(void *arg)
{
	for (intptr_t i = 0; i < 4; i++)
		CHECK_EQ(0, ringo_go(waits_for_ever, i));
	return ringo_sleep(5 * RINGO_MS);
}

static void uses_the_stack(void *arg)
{
	volatile char bytes[8192];

	memset((char *)bytes, 0x5a, sizeof(bytes));
	CHECK_EQ(0, ringo_sleep(RINGO_MS));
}

static int goes_on_with_them(void *arg)
{
	int v = 7;

	for (int i = 0; i < 20; i++)
		CHECK_EQ(0, ringo_go_fn(uses_the_stack, NULL));
	CHECK_EQ(0, ringo_sleep(5 * RINGO_MS));
	CHECK_EQ(-EAGAIN, ringo_chan_try_send(kept[0], &v)); /* nobody receives */
	CHECK_EQ(0, ringo_chan_close(kept[1]));
	CHECK_EQ(-EAGAIN, ringo_chan_try_recv(kept[2], &v)); /* nobody sends */
	CHECK_EQ(-EAGAIN, ringo_chan_try_send(kept[3], &v));
	return ends_while_they_wait(arg);
}

TEST(who_waited_when_a_run_ended_is_forgotten)
{
	for (int i = 0; i < 4; i++)
		kept[i] = ints(0);
	EXPECT_EQ(0, ringo_run(ends_while_they_wait, NULL));
	EXPECT_EQ(0, ringo_run(goes_on_with_them, NULL));
	for (int i = 0; i < 4; i++)
		ringo_chan_unref(kept[i]);
}

TEST(dropping_the_last_reference_under_waiters_is_a_panic_that_names_them)
{
	EXPECT_EQ(0, ringo_run(drop_main, NULL));
}

/* Many senders and receivers over one channel: each value arrives once. */
enum { WORKERS = 8, EACH = 5000 };

static unsigned char arrived[WORKERS * EACH];

static void collect(struct ringo_chan *c)
{
	int n;

	while (ringo_chan_recv(c, &n) == 1)
		CHECK_EQ(1, ADD(&arrived[n], 1));
	ADD(&seen, 1);
}

static int storm_main(void *arg)
{
	struct ringo_chan *c = ints((size_t)(intptr_t)arg);
	const int each = SCALE(EACH);

	for (int i = 0; i < WORKERS; i++) {
		CHECK_EQ(0, ringo_go(send_numbers, c, i * each, (i + 1) * each));
		CHECK_EQ(0, ringo_go(collect, c));
	}
	while (LOAD(&seen) < WORKERS)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK_EQ(0, ringo_chan_close(c));
	while (LOAD(&seen) < 2 * WORKERS)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	for (int i = 0; i < WORKERS * each; i++)
		CHECK_EQ(1, arrived[i]);
	ringo_chan_unref(c);
	return 0;
}

TEST(no_value_is_lost_or_doubled_among_many_unbuffered)
{
	EXPECT_EQ(0, ringo_run(storm_main, (void *)0));
}

TEST(no_value_is_lost_or_doubled_among_many_buffered)
{
	EXPECT_EQ(0, ringo_run(storm_main, (void *)7));
}

/* As long as senders wait, a receive never finds the channel empty: try_recv looks without the lock. */
static void drain(struct ringo_chan *c, int n)
{
	for (int v; n; n--)
		CHECK_EQ(1, ringo_chan_try_recv(c, &v));
	ADD(&seen, 1);
}

static int refill_main(void *arg)
{
	const int n = SCALE(4000);
	struct ringo_chan *c = ints(1);
	struct ringo_stats s = { .size = sizeof(s) };

	(void)arg;
	seen = 0;
	for (int i = 0; i < 2 * n; i++)
		CHECK_EQ(0, ringo_go(send_numbers, c, i, i + 1));
	while (LOAD(&seen) < 1 || s.waiting < 2 * (uint64_t)n - 1) {
		ringo_yield();
		CHECK_EQ(0, ringo_stats_get(&s));
	}
	CHECK_EQ(0, ringo_go(drain, c, n));
	CHECK_EQ(0, ringo_go(drain, c, n));
	while (LOAD(&seen) < 2 * n + 2)
		ringo_yield();
	ringo_chan_unref(c);
	return 0;
}

TEST(a_full_channel_that_is_refilled_never_looks_empty)
{
	for (int i = 0; i < 5; i++)
		EXPECT_EQ(0, ringo_run(refill_main, NULL));
}

/* What the sender wrote before is there for the receiver: the sanitizers see to it. */
static int plain;

static void publish(struct ringo_chan *c)
{
	int n = 1;

	for (int i = 0; i < 1000; i++) {
		plain = i;
		CHECK_EQ(0, ringo_chan_send(c, &n));
		CHECK_EQ(1, ringo_chan_recv(c, &n));
	}
}

static int publish_main(void *arg)
{
	struct ringo_chan *c = ints(0);
	int n;

	CHECK_EQ(0, ringo_go(publish, c));
	for (int i = 0; i < 1000; i++) {
		CHECK_EQ(1, ringo_chan_recv(c, &n));
		CHECK_EQ(i, plain);
		plain = -1;
		CHECK_EQ(0, ringo_chan_send(c, &n));
	}
	ringo_chan_unref(c);
	return 0;
}

TEST(a_receive_sees_what_was_written_before_the_send)
{
	EXPECT_EQ(0, ringo_run(publish_main, NULL));
}

TEST_HARNESS_MAIN
