// SPDX-License-Identifier: MIT
/* Select under seeds: exactly one case happens, nothing is lost, whatever ends the wait. */
#include <poll.h>

#include "kselftest_harness.h"
#include "sim_test.h"

enum { EACH = 12 };

static struct ringo_waitgroup done;
static struct ringo_chan *a, *b, *stop;
static long sent[2], received[2], ends;

#define ADD(p, v) __atomic_fetch_add(p, v, __ATOMIC_RELAXED)

static void chans(size_t cap_a, size_t cap_b)
{
	a = ringo_chan_new(sizeof(long), cap_a);
	b = ringo_chan_new(sizeof(long), cap_b);
	stop = ringo_chan_new(0, 0);
	sent[0] = sent[1] = received[0] = received[1] = ends = 0;
}

static void drop(void)
{
	ringo_chan_unref(a);
	ringo_chan_unref(b);
	ringo_chan_unref(stop);
}

/* Sends to either, until it has sent all. */
static void sender(long me)
{
	for (long i = 0; i < EACH; i++) {
		long v = me * 100 + i;
		struct ringo_case cases[] = { RINGO_SEND(a, &v), RINGO_SEND(b, &v) };
		int k = ringo_select(cases, 2);

		SIM_CHECK(k >= 0 && cases[k].result == 0);
		ADD(&sent[k], v);
	}
	ringo_waitgroup_done(&done);
}

static void receiver(void)
{
	long v;

	for (;;) {
		struct ringo_case cases[] = { RINGO_RECV(b, &v), RINGO_RECV(stop, NULL), RINGO_RECV(a, &v),
					      RINGO_RECV(b, &v) };
		int k = ringo_select(cases, 4);

		if (k == 1)
			break;
		SIM_CHECK(k >= 0 && cases[k].result == 1);
		ADD(&received[k != 2], v);
	}
	ringo_waitgroup_done(&done);
}

/* On one channel only, without a select. */
static void plain_sender(long me)
{
	for (long i = 0; i < EACH; i++) {
		long v = me * 100 + i;

		SIM_CHECK(ringo_chan_send(me % 2 ? b : a, &v) == 0);
		ADD(&sent[me % 2], v);
	}
	ringo_waitgroup_done(&done);
}

static int conserve(void *arg)
{
	chans((size_t)(uintptr_t)arg, 0);
	ringo_waitgroup_add(&done, 6);
	for (long i = 0; i < 4; i++)
		SIM_CHECK(ringo_go(sender, i) == 0);
	for (long i = 4; i < 6; i++)
		SIM_CHECK(ringo_go(plain_sender, i) == 0);
	for (int i = 0; i < 3; i++)
		SIM_CHECK(ringo_go(receiver) == 0);
	ringo_waitgroup_wait(&done);
	while (ringo_chan_len(a) || ringo_chan_len(b))
		ringo_yield();
	ringo_waitgroup_add(&done, 3);
	SIM_CHECK(ringo_chan_close(stop) == 0);
	ringo_waitgroup_wait(&done);
	SIM_CHECK(sent[0] == received[0] && sent[1] == received[1]);
	drop();
	return 0;
}

SIM_TEST(selects_conserve_values)
{
	sim_seeds(conserve, (void *)0);
	sim_seeds(conserve, (void *)2);
}

/* Each may be ended by time: its own, or the ambient one. */
static void hasty(long patience)
{
	for (long i = 1; i <= EACH; i++) {
		long v = i, w = 0;
		struct ringo_case cases[] = { RINGO_SEND(a, &v), RINGO_RECV(b, &w),
					      RINGO_TIMEOUT(patience * i % 7 * RINGO_US) };
		int k;

		ringo_timeout_scope((patience + 3) * RINGO_US);
		k = ringo_select(cases, 3);
		SIM_CHECK(k == 0 || k == 1 || k == 2 || k == -ETIMEDOUT);
		if (k == 0)
			ADD(&sent[0], v);
		if (k == 1)
			ADD(&received[1], w);
		if (k == 2 || k < 0)
			ADD(&ends, 1);
	}
	ringo_waitgroup_done(&done);
}

/* The other ends, until told to stop. */
static void haste_peer(long patience)
{
	for (long i = 1;; i++) {
		long v = i, w = 0;
		struct ringo_case cases[] = { RINGO_RECV(a, &w), RINGO_SEND(b, &v), RINGO_RECV(stop, NULL),
					      RINGO_TIMEOUT((i + patience) % 5 * RINGO_US) };
		int k = ringo_select(cases, 4);

		SIM_CHECK(k >= 0);
		if (k == 0)
			ADD(&received[0], w);
		if (k == 1)
			ADD(&sent[1], v);
		if (k == 2)
			break;
		ringo_yield();
	}
	ringo_waitgroup_done(&done);
}

static int haste(void *arg)
{
	(void)arg;
	chans(0, 0);
	ringo_waitgroup_add(&done, 4);
	for (long i = 0; i < 4; i++)
		SIM_CHECK(ringo_go(hasty, i + 1) == 0);
	for (long i = 0; i < 2; i++)
		SIM_CHECK(ringo_go(haste_peer, i) == 0);
	ringo_waitgroup_wait(&done);
	ringo_waitgroup_add(&done, 2);
	SIM_CHECK(ringo_chan_close(stop) == 0);
	ringo_waitgroup_wait(&done);
	SIM_CHECK(sent[0] == received[0] && sent[1] == received[1]);
	drop();
	return 0;
}

SIM_TEST(time_and_channels_race_for_a_select)
{
	sim_seeds(haste, NULL);
}

/* Waits in all ways on one channel that is closed meanwhile; nothing ever meets itself. */
static void all_ways(long me)
{
	long v = me, w = 0;
	struct ringo_case cases[] = { RINGO_SEND(a, &v), RINGO_RECV(a, &w), RINGO_SEND(a, &v),
				      RINGO_RECV(a, &w) };
	int k = ringo_select(cases, 4);

	if (k % 2) {
		SIM_CHECK(cases[k].result == 0 || cases[k].result == 1);
		SIM_CHECK(w != me && (w != 0) == cases[k].result);
		ADD(&received[0], w);
	} else {
		SIM_CHECK(cases[k].result == 0 || cases[k].result == -EPIPE);
		ADD(&sent[0], cases[k].result ? 0 : me);
	}
	ringo_waitgroup_done(&done);
}

static int closing(void *arg)
{
	(void)arg;
	chans(0, 0);
	ringo_waitgroup_add(&done, 5);
	for (long i = 1; i <= 5; i++)
		SIM_CHECK(ringo_go(all_ways, i) == 0);
	(void)!ringo_sleep(RINGO_US);
	SIM_CHECK(ringo_chan_close(a) == 0);
	ringo_waitgroup_wait(&done);
	SIM_CHECK(sent[0] == received[0]); /* both ends of what met */
	drop();
	return 0;
}

SIM_TEST(a_close_ends_each_select_once)
{
	sim_seeds(closing, NULL);
}

/* There is a value in one of the two at every moment. */
static void look(void)
{
	struct ringo_case cases[] = { RINGO_RECV(b, NULL), RINGO_RECV(a, NULL) }; /* looked at in this order */

	SIM_CHECK(ringo_try_select(cases, 2) >= 0);
	ringo_waitgroup_done(&done);
}

static int one_of_two(void *arg)
{
	for (int i = 0; i < 5; i++) {
		long v = 1;

		chans(1, 1);
		SIM_CHECK(ringo_chan_send(a, &v) == 0);
		ringo_waitgroup_add(&done, 1);
		SIM_CHECK(ringo_go(look) == 0);
		if (arg)
			SIM_CHECK(ringo_chan_close(b) == 0);
		else
			SIM_CHECK(ringo_chan_send(b, &v) == 0);
		(void)!ringo_chan_try_recv(a, &v);
		ringo_waitgroup_wait(&done);
		drop();
	}
	return 0;
}

SIM_TEST(a_try_over_two_sees_both_at_one_moment)
{
	sim_seeds(one_of_two, (void *)0);
	sim_seeds(one_of_two, (void *)1);
}

/* Over one channel a try looks without the lock: the value, or the close, is there at every moment. */
static void drain(void)
{
	(void)!ringo_chan_try_recv(a, NULL);
	ringo_waitgroup_done(&done);
}

static void close_a(void)
{
	SIM_CHECK(ringo_chan_close(a) == 0);
	ringo_waitgroup_done(&done);
}

static void close_then_drain(void)
{
	close_a();
	drain();
}

static int one_alone(void *arg)
{
	(void)arg;
	for (int i = 0; i < 5; i++) {
		struct ringo_case one;
		long v = 1;

		chans(1, 0);
		SIM_CHECK(ringo_chan_send(a, &v) == 0);
		ringo_waitgroup_add(&done, 2);
		SIM_CHECK(ringo_go(close_then_drain) == 0);
		one = RINGO_RECV(a, &v);
		SIM_CHECK(ringo_try_select(&one, 1) == 0);
		ringo_waitgroup_wait(&done);
		drop();
	}
	return 0;
}

SIM_TEST(a_try_over_one_needs_no_lock)
{
	sim_seeds(one_alone, NULL);
}

/*
 * A descriptor beside all else that may end a wait, at the same moment, for many at once: the hub tells one after the
 * other. What comes after a select is a wait of another kind, which nothing of that may end.
 */
enum { STREAMS = 3, LOOKS = 10, CROWD = 6 };

static int fds[STREAMS][2];
static struct ringo_ctx *ctx, *other;
static long looking;

static int64_t a_while(void)
{
	return (int64_t)(rg_sim_rand() % 20) * RINGO_US;
}

/* Nobody sends to b, nor ends the context but by its time. */
static void waits_otherwise(int how)
{
	int64_t start = ringo_now(), ns = RINGO_US + a_while();
	struct ringo_ctx *c;

	switch (how) {
	case 0: {
		ringo_timeout_scope(ns);
		SIM_CHECK(ringo_chan_recv(b, NULL) == -ETIMEDOUT);
		break;
	}
	case 1:
		SIM_CHECK(ringo_sleep(ns) == 0);
		break;
	default:
		c = ringo_ctx_with_timeout(NULL, ns);
		SIM_CHECK(ringo_ctx_wait(c) == 0);
		ringo_ctx_unref(c);
	}
	SIM_CHECK(ringo_now() - start >= ns);
}

static void looks(int k)
{
	static const int results[] = { POLLIN, 1, 0 };
	long v;

	for (int n = 0; n < LOOKS; n++) {
		struct ringo_case cases[] = { RINGO_POLL(fds[0][0], POLLIN), RINGO_RECV(a, &v),
					      RINGO_TIMEOUT(a_while()) };
		int i = ringo_select(cases, 3);

		SIM_CHECK(i >= 0 && cases[i].result == results[i]);
		waits_otherwise((k + n) % 3);
	}
	ADD(&looking, -1);
	ringo_waitgroup_done(&done);
}

static long still_looking(void)
{
	return __atomic_load_n(&looking, __ATOMIC_RELAXED);
}

/* There is something to read now and then. */
static void flips(void)
{
	char byte;

	while (still_looking()) {
		SIM_CHECK(ringo_write(fds[0][1], "x", 1) == 1);
		(void)!ringo_sleep(a_while());
		SIM_CHECK(ringo_read(fds[0][0], &byte, 1) == 1);
		(void)!ringo_sleep(a_while());
	}
	ringo_waitgroup_done(&done);
}

static void sends_beside(void)
{
	long v = 1;

	while (still_looking()) {
		(void)!ringo_chan_try_send(a, &v);
		(void)!ringo_sleep(a_while());
	}
	ringo_waitgroup_done(&done);
}

static int descriptors(void *arg)
{
	(void)arg;
	chans(0, 0);
	looking = CROWD;
	ringo_waitgroup_add(&done, CROWD + 2);
	SIM_CHECK(rg_sim_stream(fds[0]) == 0);
	for (int k = 0; k < CROWD; k++)
		SIM_CHECK(ringo_go(looks, k) == 0);
	SIM_CHECK(ringo_go(flips) == 0);
	SIM_CHECK(ringo_go(sends_beside) == 0);
	ringo_waitgroup_wait(&done);
	drop();
	return 0;
}

SIM_TEST(a_descriptor_ends_the_wait_that_it_is_for)
{
	sim_seeds(descriptors, NULL);
}

/*
 * Somebody cancels selects that are only just leaving their stacks. The numbers of their epoll descriptors go to
 * others, who hear of what is theirs all the same.
 */
static struct ringo_ctx *current[CROWD];

static void cancels_all(void)
{
	while (still_looking())
		for (int k = 0; k < CROWD; k++) {
			/* acquire: what it points to */
			struct ringo_ctx *c = __atomic_exchange_n(&current[k], NULL, __ATOMIC_ACQUIRE);

			if (c)
				ringo_ctx_cancel(c, 0);
			ringo_ctx_unref(c);
			ringo_yield();
		}
	ringo_waitgroup_done(&done);
}

static void is_cancelled(int k)
{
	for (int i = 0; i < 6 * LOOKS; i++) {
		struct ringo_ctx *c = ringo_ctx_with_cancel(NULL);
		struct ringo_case cases[] = { RINGO_POLL(fds[0][0], POLLIN), RINGO_DONE(c) };

		__atomic_store_n(&current[k], ringo_ctx_ref(c), __ATOMIC_RELEASE);
		SIM_CHECK(ringo_select(cases, 2) == 1);
		ringo_ctx_unref(c);
	}
	ADD(&looking, -1);
	ringo_waitgroup_done(&done);
}

static void hears(int k, int rounds)
{
	char byte;

	for (int i = 0; i < rounds; i++) {
		struct ringo_case one = RINGO_POLL(fds[k][0], POLLIN);

		SIM_CHECK(ringo_select(&one, 1) == 0);
		SIM_CHECK(ringo_read(fds[k][0], &byte, 1) == 1);
	}
	ringo_waitgroup_done(&done);
}

static void writes(int k, int rounds)
{
	for (int i = 0; i < rounds; i++) {
		SIM_CHECK(ringo_write(fds[k][1], "x", 1) == 1);
		if (rg_sim_chance(2))
			(void)!ringo_sleep(a_while());
	}
	ringo_waitgroup_done(&done);
}

static int leaving(void *arg)
{
	(void)arg;
	looking = CROWD;
	ringo_waitgroup_add(&done, CROWD + 1 + 2 * (STREAMS - 1));
	for (int k = 0; k < STREAMS; k++)
		SIM_CHECK(rg_sim_stream(fds[k]) == 0);
	SIM_CHECK(ringo_go(cancels_all) == 0);
	for (int k = 1; k < STREAMS; k++) {
		SIM_CHECK(ringo_go(hears, k, 5 * LOOKS) == 0);
		SIM_CHECK(ringo_go(writes, k, 5 * LOOKS) == 0);
	}
	for (int k = 0; k < CROWD; k++)
		SIM_CHECK(ringo_go(is_cancelled, k) == 0);
	ringo_waitgroup_wait(&done);
	return 0;
}

SIM_TEST(who_is_cancelled_on_its_way_off_its_stack_disturbs_no_others)
{
	sim_seeds(leaving, NULL);
}

/* Contexts that end while selects wait for them, in and outside of their trees. */
static void cancelled(long how)
{
	long v = how;
	int k;

	if (how % 2)
		ringo_ctx_unref(ringo_ctx_enter(ctx));
	for (;;) {
		struct ringo_case cases[] = { RINGO_SEND(a, &v), RINGO_RECV(a, &v),
					      how & 2 ? RINGO_DONE(ctx) : RINGO_DONE(other),
					      RINGO_TIMEOUT(3 * RINGO_US) };

		k = ringo_select(cases, 4);
		SIM_CHECK(k >= 0 || k == -ECANCELED);
		if (k == 0)
			ADD(&sent[0], 1);
		if (k == 1)
			ADD(&received[0], 1);
		if (k == 2) {
			SIM_CHECK(cases[2].result == -ECANCELED);
			SIM_CHECK(ringo_ctx_err(how & 2 ? ctx : other) == -ECANCELED);
		}
		if (k < 0)
			SIM_CHECK(how % 2 && !(how & 2) && ringo_ctx_err(ctx) == -ECANCELED);
		if (k < 0 || k == 2)
			break;
		ringo_yield();
	}
	ringo_waitgroup_done(&done);
}

static int cancelling(void *arg)
{
	(void)arg;
	chans(0, 0);
	ctx = ringo_ctx_with_cancel(NULL);
	other = ringo_ctx_with_cancel(NULL);
	ringo_waitgroup_add(&done, 8);
	for (long i = 0; i < 8; i++)
		SIM_CHECK(ringo_go(cancelled, i) == 0);
	(void)!ringo_sleep(10 * RINGO_US);
	ringo_ctx_cancel(ctx, 0);
	ringo_yield();
	ringo_ctx_cancel(other, 0);
	ringo_waitgroup_wait(&done);
	SIM_CHECK(sent[0] == received[0]);
	ringo_ctx_unref(ctx);
	ringo_ctx_unref(other);
	drop();
	return 0;
}

SIM_TEST(contexts_end_selects_once)
{
	sim_seeds(cancelling, NULL);
}

TEST_HARNESS_MAIN
