// SPDX-License-Identifier: MIT
/* Select: which cases are ready, what ends a wait, queues, stacks, other threads. Storms: select_race.c. */
#include "help.h"

static int seen;

static struct ringo_chan *ints(size_t cap)
{
	struct ringo_chan *c = ringo_chan_new(sizeof(int), cap);

	CHECK(c != NULL);
	return c;
}

static void close_and_drop(struct ringo_chan *c)
{
	ringo_chan_close(c);
	ringo_chan_unref(c);
}

static void run(int (*fn)(void *), void *arg)
{
	CHECK_EQ(0, ringo_run(fn, arg));
}

/* What a select over one case does: on what, and what is to come of it. */
enum { BLOCKS = -EAGAIN };

static void expect_one(struct ringo_case c, int result)
{
	struct ringo_case again = c;

	CHECK_EQ(result == BLOCKS ? -EAGAIN : 0, ringo_try_select(&c, 1));
	if (result != BLOCKS) {
		CHECK_EQ(result, c.result);
		return;
	}
	ringo_timeout_scope(RINGO_MS);
	CHECK_EQ(-ETIMEDOUT, ringo_select(&again, 1));
}

static int table_main(void *arg)
{
	struct ringo_chan *empty = ints(0), *roomy = ints(1), *full = ints(1), *closed = ints(1);
	int n = 7;

	CHECK_EQ(0, ringo_chan_send(full, &n));
	CHECK_EQ(0, ringo_chan_close(closed));
	expect_one(RINGO_SEND((struct ringo_chan *)NULL, &n), BLOCKS);
	expect_one(RINGO_RECV((struct ringo_chan *)NULL, &n), BLOCKS);
	expect_one(RINGO_SEND(empty, &n), BLOCKS);
	expect_one(RINGO_RECV(empty, &n), BLOCKS);
	expect_one(RINGO_RECV(roomy, &n), BLOCKS);
	expect_one(RINGO_SEND(full, &n), BLOCKS);
	expect_one(RINGO_TIMEOUT(RINGO_SEC), BLOCKS);
	expect_one(RINGO_DONE(NULL), BLOCKS);
	expect_one(RINGO_SEND(roomy, &n), 0);
	n = 0;
	expect_one(RINGO_RECV(full, &n), 1);
	CHECK_EQ(7, n);
	expect_one(RINGO_RECV(closed, &n), 0);
	CHECK_EQ(0, n);
	expect_one(RINGO_SEND(closed, &n), -EPIPE);
	expect_one(RINGO_TIMEOUT(0), 0);
	close_and_drop(empty);
	close_and_drop(roomy);
	close_and_drop(full);
	ringo_chan_unref(closed);
	return 0;
}

TEST(what_is_ready_alone)
{
	run(table_main, NULL);
}

static int bad_main(void *arg)
{
	struct ringo_case c;

	memset(&c, 0, sizeof(c));
	CHECK_EQ(-EINVAL, ringo_select(&c, 1));
	c.kind = 77;
	CHECK_EQ(-EINVAL, ringo_try_select(&c, 1));
	CHECK_EQ(-EAGAIN, ringo_try_select(NULL, 0));
	return 0;
}

TEST(a_case_of_no_kind_is_refused)
{
	run(bad_main, NULL);
	EXPECT_EQ(-ESRCH, ringo_select(NULL, 0));
	EXPECT_EQ(-ESRCH, ringo_try_select(NULL, 0));
}

static int none_main(void *arg)
{
	int64_t t0 = ringo_now();

	ringo_timeout_scope(5 * RINGO_MS);
	CHECK_EQ(-ETIMEDOUT, ringo_select(NULL, 0));
	CHECK(ringo_now() - t0 >= 5 * RINGO_MS);
	return 0;
}

TEST(no_cases_wait_until_the_ambient_end)
{
	run(none_main, NULL);
}

static int timeout_main(void *arg)
{
	struct ringo_chan *c = ints(0);
	int64_t t0 = ringo_now();
	int n;
	struct ringo_case cases[] = { RINGO_TIMEOUT(RINGO_SEC), RINGO_RECV(c, &n),
				      RINGO_TIMEOUT(3 * RINGO_MS), RINGO_TIMEOUT(2 * RINGO_SEC) };

	CHECK_EQ(2, ringo_select(cases, 4));
	CHECK_EQ(0, cases[2].result);
	CHECK(ringo_now() - t0 >= 3 * RINGO_MS);
	CHECK(ringo_now() - t0 < RINGO_SEC);
	{
		ringo_timeout_scope(RINGO_MS);
		CHECK_EQ(-ETIMEDOUT, ringo_select(cases, 4)); /* the ambient one is earlier */
	}
	{
		ringo_timeout_scope(RINGO_SEC);
		CHECK_EQ(2, ringo_select(cases, 4)); /* and here later */
	}
	cases[2] = (struct ringo_case)RINGO_TIMEOUT(INT64_MAX);
	cases[0] = cases[3] = cases[2];
	{
		ringo_timeout_scope(RINGO_MS);
		CHECK_EQ(-ETIMEDOUT, ringo_select(cases, 4));
	}
	ringo_chan_unref(c);
	return 0;
}

TEST(the_earliest_end_wins)
{
	run(timeout_main, NULL);
}

/* A ready case counts even after the ambient end. */
static int late_main(void *arg)
{
	struct ringo_chan *c = ints(1);
	int n = 1;
	struct ringo_case send = RINGO_SEND(c, &n), recv = RINGO_RECV(c, &n);

	(void)ringo_deadline_set(1);
	CHECK_EQ(0, ringo_select(&send, 1));
	CHECK_EQ(0, ringo_select(&recv, 1));
	CHECK_EQ(-ETIMEDOUT, ringo_select(&recv, 1));
	(void)ringo_deadline_set(0);
	ringo_chan_unref(c);
	return 0;
}

TEST(what_is_ready_happens_though_time_is_over)
{
	run(late_main, NULL);
}

static void send_later(struct ringo_chan *c, int v)
{
	CHECK_EQ(0, ringo_sleep(2 * RINGO_MS));
	CHECK_EQ(0, ringo_chan_send(c, &v));
}

static void recv_later(struct ringo_chan *c, int want)
{
	int v = -1;

	CHECK_EQ(0, ringo_sleep(2 * RINGO_MS));
	CHECK_EQ(1, ringo_chan_recv(c, &v));
	CHECK_EQ(want, v);
	ADD(&seen, 1);
}

static void close_later(struct ringo_chan *c)
{
	CHECK_EQ(0, ringo_sleep(2 * RINGO_MS));
	CHECK_EQ(0, ringo_chan_close(c));
}

/* Each kind of channel case ends a wait, and leaves nothing on the other channels. */
static int waits_main(void *arg)
{
	struct ringo_chan *a = ints(0), *b = ints(0), *c = ints(0), *d = ints(0);
	int v = 0, w = 5;
	struct ringo_case cases[] = { RINGO_RECV(a, &v), RINGO_SEND(b, &w), RINGO_RECV(c, &v),
				      RINGO_SEND(d, &w), RINGO_TIMEOUT(60 * RINGO_SEC) };

	CHECK_EQ(0, ringo_go(send_later, a, 3));
	CHECK_EQ(0, ringo_select(cases, 5));
	CHECK_EQ(1, cases[0].result);
	CHECK_EQ(3, v);
	CHECK_EQ(0, ringo_go(recv_later, b, 5));
	CHECK_EQ(1, ringo_select(cases, 5));
	CHECK_EQ(0, cases[1].result);
	while (!LOAD(&seen))
		ringo_yield();
	CHECK_EQ(0, ringo_go(close_later, c));
	v = 9;
	CHECK_EQ(2, ringo_select(cases, 5));
	CHECK_EQ(0, cases[2].result);
	CHECK_EQ(0, v);
	cases[2] = cases[4];
	CHECK_EQ(0, ringo_go(close_later, d));
	CHECK_EQ(3, ringo_select(cases, 5));
	CHECK_EQ(-EPIPE, cases[3].result);
	/* a waiter left behind would take or give a value, or end these with a message */
	CHECK_EQ(-EAGAIN, ringo_chan_try_send(a, &v));
	CHECK_EQ(-EAGAIN, ringo_chan_try_recv(b, &v));
	ringo_chan_unref(a);
	ringo_chan_unref(b);
	ringo_chan_unref(c);
	ringo_chan_unref(d);
	return 0;
}

TEST(each_kind_of_channel_case_ends_a_wait)
{
	run(waits_main, NULL);
}

/* NULL to discard, and elements of no size. */
static int discard_main(void *arg)
{
	struct ringo_chan *c = ringo_chan_new(0, 1);
	struct ringo_case send = RINGO_SEND(c, NULL), recv = RINGO_RECV(c, NULL);

	CHECK_EQ(0, ringo_select(&send, 1));
	CHECK_EQ(0, ringo_select(&recv, 1));
	CHECK_EQ(1, recv.result);
	ringo_chan_unref(c);
	return 0;
}

TEST(elements_may_be_discarded)
{
	run(discard_main, NULL);
}

static int alone_main(void *arg)
{
	struct ringo_chan *c = ints(0);
	int v = 1, w;
	struct ringo_case cases[] = { RINGO_SEND(c, &v), RINGO_RECV(c, &w), RINGO_TIMEOUT(RINGO_MS) };

	CHECK_EQ(2, ringo_select(cases, 3));
	CHECK_EQ(-EAGAIN, ringo_try_select(cases, 2));
	ringo_chan_unref(c);
	return 0;
}

TEST(both_directions_alone_wait)
{
	run(alone_main, NULL);
}

/* SelectDuplicateChannel: a goroutine that waits twice on a channel, between others that wait once. */
static void twice(struct ringo_chan *c, struct ringo_chan *d)
{
	struct ringo_case cases[] = { RINGO_RECV(c, NULL), RINGO_RECV(c, NULL), RINGO_RECV(d, NULL) };

	CHECK_EQ(2, ringo_select(cases, 3));
	CHECK_EQ(0, cases[2].result);
	ADD(&seen, 1);
}

static void once(struct ringo_chan *c)
{
	CHECK_EQ(1, ringo_chan_recv(c, NULL));
	ADD(&seen, 1);
}

static int twice_main(void *arg)
{
	struct ringo_chan *c = ints(0), *d = ints(0);
	int v = 0;

	CHECK_EQ(0, ringo_go(twice, c, d));
	CHECK_EQ(0, ringo_sleep(2 * RINGO_MS));
	CHECK_EQ(0, ringo_go(once, c));
	CHECK_EQ(0, ringo_sleep(2 * RINGO_MS));
	CHECK_EQ(0, ringo_chan_close(d)); /* the first leaves both its places in c */
	while (LOAD(&seen) < 1)
		ringo_yield();
	CHECK_EQ(0, ringo_chan_send(c, &v));
	while (LOAD(&seen) < 2)
		ringo_yield();
	ringo_chan_unref(c);
	ringo_chan_unref(d);
	return 0;
}

TEST(a_channel_may_stand_in_several_cases)
{
	run(twice_main, NULL);
}

/* More cases than fit any fixed array, in no order of addresses. */
static int many_main(void *arg)
{
	enum { MANY = 300 };
	struct ringo_chan *c[MANY];
	struct ringo_case *cases = malloc(MANY * sizeof(*cases));
	int v = 0;

	for (int i = 0; i < MANY; i++)
		c[i] = ints(0);
	for (int i = 0; i < MANY; i++)
		cases[i] = RINGO_RECV(c[i * 7 % MANY], &v);
	for (int i = 0; i < MANY; i += 13) {
		CHECK_EQ(0, ringo_go(send_later, c[i * 7 % MANY], i));
		CHECK_EQ(i, ringo_select(cases, MANY));
		CHECK_EQ(i, v);
	}
	CHECK_EQ(-EAGAIN, ringo_try_select(cases, MANY));
	for (int i = 0; i < MANY; i++)
		ringo_chan_unref(c[i]);
	free(cases);
	return 0;
}

TEST(there_may_be_hundreds_of_cases)
{
	run(many_main, NULL);
}

/* test/chan/select6: a select that leaves its queues from the middle keeps the order of the others. */
static void leaves(struct ringo_chan *c, struct ringo_chan *go)
{
	struct ringo_case cases[] = { RINGO_RECV(c, NULL), RINGO_RECV(go, NULL) };

	CHECK_EQ(1, ringo_select(cases, 2));
	ADD(&seen, 1);
}

static void in_turn(struct ringo_chan *c, int want)
{
	int v;

	CHECK_EQ(1, ringo_chan_recv(c, &v));
	CHECK_EQ(want, v);
	ADD(&seen, 1);
}

static void settle(void)
{
	for (int i = 0; i < 5; i++)
		ringo_yield();
}

static int middle_main(void *arg)
{
	for (int where = 0; where < 3; where++) {
		struct ringo_chan *c = ints(0), *go = ints(0);
		int from = LOAD(&seen), v = 0;

		for (int i = 0; i < 3; i++) {
			if (i == where)
				CHECK_EQ(0, ringo_go(leaves, c, go));
			settle();
			CHECK_EQ(0, ringo_go(in_turn, c, i));
			settle();
		}
		CHECK_EQ(0, ringo_chan_send(go, &v));
		for (int i = 0; i < 3; i++)
			CHECK_EQ(0, ringo_chan_send(c, &i));
		while (LOAD(&seen) < from + 4)
			ringo_yield();
		ringo_chan_unref(c);
		ringo_chan_unref(go);
	}
	return 0;
}

TEST(leaving_a_queue_keeps_the_order_of_the_others)
{
	use_turns();
	run(middle_main, NULL);
}

/* test/chan/select7: every way of receiving against every way of sending, either one first. */
static void take(int way, struct ringo_chan *c)
{
	int v = 0;
	struct ringo_case one[] = { RINGO_RECV(c, &v) };
	struct ringo_case more[] = { RINGO_RECV(c, &v), RINGO_RECV((struct ringo_chan *)NULL, &v),
				     RINGO_TIMEOUT(60 * RINGO_SEC) };

	if (way == 0)
		CHECK_EQ(1, ringo_chan_recv(c, &v));
	else if (way == 1)
		CHECK_EQ(0, ringo_select(one, 1));
	else
		CHECK_EQ(0, ringo_select(more, 3));
	CHECK_EQ(42, v);
	ADD(&seen, 1);
}

static void give(int way, struct ringo_chan *c)
{
	int v = 42;
	struct ringo_case one[] = { RINGO_SEND(c, &v) };
	struct ringo_case more[] = { RINGO_DONE(NULL), RINGO_SEND(c, &v), RINGO_SEND((struct ringo_chan *)NULL, &v) };

	if (way == 0)
		CHECK_EQ(0, ringo_chan_send(c, &v));
	else if (way == 1)
		CHECK_EQ(0, ringo_select(one, 1));
	else
		CHECK_EQ(1, ringo_select(more, 3));
	ADD(&seen, 1);
}

static int ways_main(void *arg)
{
	for (int i = 0; i < 3 * 3 * 2 * 2; i++) {
		struct ringo_chan *c = ints((size_t)(i / 18));
		int from = LOAD(&seen);

		if (i / 9 % 2)
			CHECK_EQ(0, ringo_go(take, i % 3, c));
		CHECK_EQ(0, ringo_go(give, i / 3 % 3, c));
		settle();
		if (!(i / 9 % 2))
			CHECK_EQ(0, ringo_go(take, i % 3, c));
		while (LOAD(&seen) < from + 2)
			ringo_yield();
		ringo_chan_unref(c);
	}
	return 0;
}

TEST(every_way_to_receive_meets_every_way_to_send)
{
	run(ways_main, NULL);
}

/* test/chan/select5: selects of random shape against a model of what may happen: queues of numbers. */
enum { SHAPED = 6 };

struct model {
	struct ringo_chan *c;
	int queue[4], len; /* oldest first */
	bool closed;
};

static bool may_happen(const struct model *m, bool sends)
{
	return m->closed || (m->c && (sends ? m->len < (int)ringo_chan_cap(m->c) : m->len > 0));
}

/* A case has happened: it did what it should, and to its own channel. */
static void happens(struct model *m, bool sends, int result, int sent, int got)
{
	if (sends) {
		CHECK_EQ(m->closed ? -EPIPE : 0, result);
		if (!m->closed)
			m->queue[m->len++] = sent;
		return;
	}
	CHECK_EQ(!m->closed, result);
	CHECK_EQ(m->closed ? 0 : m->queue[0], got);
	if (!m->closed)
		memmove(m->queue, m->queue + 1, (size_t)--m->len * sizeof(m->queue[0]));
}

static int shapes_main(void *arg)
{
	unsigned long long rand = 88172645463325252ull;
	struct model all[SHAPED] = { { .c = NULL }, { .c = ints(0) }, { .c = ints(1) }, { .c = ints(2) },
				     { .c = ints(3) }, { .c = ints(1) } };

	all[5].closed = ringo_chan_close(all[5].c) == 0;
	for (int round = 0; round < SCALE(20000); round++) {
		struct ringo_case cases[8];
		struct model *m[8];
		bool any = false;
		int n, k, sent = round, got = -1;

		rand ^= rand << 13;
		rand ^= rand >> 7;
		rand ^= rand << 17;
		n = (int)(rand % 9);
		for (int i = 0; i < n; i++) {
			unsigned bits = (unsigned)(rand >> (6 * i + 4));

			m[i] = &all[bits % SHAPED];
			cases[i] = bits & 32 ? RINGO_SEND(m[i]->c, &sent) : RINGO_RECV(m[i]->c, &got);
			any |= may_happen(m[i], bits & 32);
		}
		k = any && rand & 1 ? ringo_select(cases, (size_t)n) : ringo_try_select(cases, (size_t)n);
		CHECK_EQ(any, k >= 0 && k < n);
		if (!any) {
			CHECK_EQ(-EAGAIN, k);
			continue;
		}
		CHECK(may_happen(m[k], cases[k].kind == RINGO__CASE_SEND));
		happens(m[k], cases[k].kind == RINGO__CASE_SEND, cases[k].result, sent, got);
		for (int i = 0; i < SHAPED; i++)
			CHECK_EQ(all[i].len, ringo_chan_len(all[i].c));
	}
	for (int i = 0; i < SHAPED; i++)
		ringo_chan_unref(all[i].c);
	return 0;
}

TEST(selects_of_any_shape_do_only_what_is_ready)
{
	run(shapes_main, NULL);
}

/* SelectStackAdjust, ShrinkStackDuringBlockedSend: pointers into a deep stack while it waits and is trimmed. */
static __attribute__((noinline)) int deep(int n, struct ringo_chan *c, struct ringo_chan *d, bool sends)
{
	volatile char fill[512];
	int v = 17;

	fill[0] = fill[511] = (char)n;
	if (n)
		return deep(n - 1, c, d, sends) + (fill[0] == fill[511]) - 1;
	struct ringo_case cases[] = { RINGO_RECV(d, &v), sends ? RINGO_SEND(c, &v) : RINGO_RECV(c, &v) };

	CHECK_EQ(1, ringo_select(cases, 2));
	return v;
}

static void deep_waiter(struct ringo_chan *c, struct ringo_chan *d, bool sends)
{
	CHECK_EQ(17, deep(25, c, d, sends)); /* leaves a dirty stack behind */
	CHECK_EQ(17, deep(2, c, d, sends));
	CHECK_EQ(17, deep(30, c, d, sends));
	ADD(&seen, 1);
}

static int deep_main(void *arg)
{
	struct ringo_chan *c = ints(0), *d = ints(0);
	int v = 17;

	for (int sends = 0; sends < 2; sends++) {
		for (int i = 0; i < 20; i++)
			CHECK_EQ(0, ringo_go(deep_waiter, c, d, (bool)sends));
		for (int i = 0; i < 60; i++) {
			if (i % 20 == 0)
				CHECK_EQ(0, ringo_sleep(60 * RINGO_MS));
			if (sends)
				CHECK_EQ(1, ringo_chan_recv(c, &v));
			else
				CHECK_EQ(0, ringo_chan_send(c, &v));
			CHECK_EQ(17, v);
		}
		while (LOAD(&seen) < 20 * (sends + 1))
			ringo_yield();
	}
	ringo_chan_unref(c);
	ringo_chan_unref(d);
	return 0;
}

TEST(cases_on_deep_stacks_stay_whole_while_they_wait)
{
	run(deep_main, NULL);
}

/* The end of the run finds selects that wait. */
static void waits_for_ever(struct ringo_chan *c)
{
	int v = 1;
	struct ringo_case cases[] = { RINGO_SEND(c, &v), RINGO_RECV(c, &v), RINGO_TIMEOUT(RINGO_SEC * 60),
				      RINGO_DONE(NULL) };

	(void)!ringo_select(cases, 4);
	CHECK(false);
}

static int stop_main(void *arg)
{
	struct ringo_chan *c = arg;

	CHECK_EQ(0, ringo_go(waits_for_ever, c));
	CHECK_EQ(0, ringo_sleep(2 * RINGO_MS));
	return 0;
}

TEST(the_end_of_the_run_ends_selects)
{
	struct ringo_chan *c[3];

	for (int i = 0; i < 3; i++) {
		c[i] = ringo_chan_new(sizeof(int), 0);
		EXPECT_EQ(0, ringo_run(stop_main, c[i]));
	}
}

/* From a thread that is no goroutine. */
static struct ringo_chan *box, *other;

static void *foreign(void *arg)
{
	int v = 5;
	struct ringo_case send = RINGO_SEND(box, &v), recv = RINGO_RECV(box, &v), time = RINGO_TIMEOUT(0);
	struct ringo_case both[] = { recv, RINGO_RECV(other, &v), RINGO_DONE(NULL) };

	CHECK_EQ(-EPERM, ringo_select(both, 3));
	CHECK_EQ(-EAGAIN, ringo_try_select(both, 3));
	CHECK_EQ(-EPERM, ringo_select(NULL, 0));
	CHECK_EQ(0, ringo_select(&time, 1));
	CHECK_EQ(0, ringo_select(&send, 1));
	CHECK_EQ(-EPERM, ringo_select(&send, 1));
	CHECK_EQ(0, ringo_select(both, 3));
	CHECK_EQ(5, v);
	CHECK_EQ(0, ringo_select(&send, 1));
	ADD(&seen, 1);
	return NULL;
}

static int foreign_main(void *arg)
{
	struct ringo_case recv;
	pthread_t t;
	int v;

	box = ints(1);
	other = ints(1);
	CHECK_EQ(0, pthread_create(&t, NULL, foreign, NULL));
	while (!LOAD(&seen))
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	recv = RINGO_RECV(box, &v);
	CHECK_EQ(0, ringo_select(&recv, 1));
	CHECK_EQ(5, v);
	pthread_join(t, NULL);
	ringo_chan_unref(box);
	ringo_chan_unref(other);
	return 0;
}

TEST(other_threads_select_without_waiting)
{
	run(foreign_main, NULL);
}


TEST_HARNESS_MAIN
