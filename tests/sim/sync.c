// SPDX-License-Identifier: MIT
/* Channels, mutexes and WaitGroups under seeds: conservation, exclusion, deadlines that race. */
#include "kselftest_harness.h"
#include "sim_test.h"

enum { SENDERS = 6, EACH = 15 };

static struct ringo_waitgroup done;
static struct ringo_chan *chan;
static long sum, got, timeouts;

static void sender(int id)
{
	for (int i = 0; i < EACH; i++) {
		long v = id * 1000 + i;

		SIM_CHECK(ringo_chan_send(chan, &v) == 0);
	}
	ringo_waitgroup_done(&done);
}

static void receiver(void)
{
	long v;

	while (ringo_chan_recv(chan, &v) == 1) {
		__atomic_fetch_add(&sum, v, __ATOMIC_RELAXED);
		__atomic_fetch_add(&got, 1, __ATOMIC_RELAXED);
	}
	ringo_waitgroup_done(&done);
}

static int conserve(void *arg)
{
	long want = 0;

	sum = got = 0;
	chan = ringo_chan_new(sizeof(long), (size_t)(uintptr_t)arg);
	ringo_waitgroup_add(&done, SENDERS);
	for (int i = 0; i < SENDERS; i++) {
		for (int k = 0; k < EACH; k++)
			want += i * 1000 + k;
		SIM_CHECK(ringo_go(sender, i) == 0);
	}
	for (int i = 0; i < 3; i++)
		SIM_CHECK(ringo_go(receiver) == 0);
	ringo_waitgroup_wait(&done);
	ringo_waitgroup_add(&done, 3);
	SIM_CHECK(ringo_chan_close(chan) == 0);
	ringo_waitgroup_wait(&done);
	SIM_CHECK(got == SENDERS * EACH);
	SIM_CHECK(sum == want);
	ringo_chan_unref(chan);
	return 0;
}

SIM_TEST(an_unbuffered_channel_conserves_its_values)
{
	sim_seeds(conserve, (void *)0);
}

SIM_TEST(a_buffered_channel_conserves_its_values)
{
	sim_seeds(conserve, (void *)3);
}

/* A send that times out was not received; one that did not, was: exactly once. */
static void hasty_sender(int64_t patience)
{
	for (long v = 1; v <= EACH; v++) {
		int res;

		ringo_timeout_scope(patience * RINGO_US);
		res = ringo_chan_send(chan, &v);
		SIM_CHECK(res == 0 || res == -ETIMEDOUT);
		if (res == 0)
			__atomic_fetch_add(&sum, v, __ATOMIC_RELAXED);
		else
			__atomic_fetch_add(&timeouts, 1, __ATOMIC_RELAXED);
	}
	ringo_waitgroup_done(&done);
}

static void hasty_receiver(int64_t patience)
{
	long v;
	int res;

	for (;;) {
		ringo_timeout_scope(patience * RINGO_US);
		res = ringo_chan_recv(chan, &v);
		SIM_CHECK(res == 1 || res == 0 || res == -ETIMEDOUT);
		if (res == 1)
			__atomic_fetch_sub(&sum, v, __ATOMIC_RELAXED);
		if (res == 0)
			break;
		ringo_yield();
	}
	ringo_waitgroup_done(&done);
}

static int haste(void *arg)
{
	sum = 0;
	chan = ringo_chan_new(sizeof(long), (size_t)(uintptr_t)arg);
	ringo_waitgroup_add(&done, 4);
	for (int64_t i = 0; i < 4; i++)
		SIM_CHECK(ringo_go(hasty_sender, i + 1) == 0);
	for (int64_t i = 0; i < 2; i++)
		SIM_CHECK(ringo_go(hasty_receiver, 2 * i + 1) == 0);
	ringo_waitgroup_wait(&done);
	ringo_waitgroup_add(&done, 2);
	SIM_CHECK(ringo_chan_close(chan) == 0);
	ringo_waitgroup_wait(&done);
	SIM_CHECK(sum == 0);
	ringo_chan_unref(chan);
	return 0;
}

SIM_TEST(a_deadline_neither_loses_nor_doubles_a_value)
{
	sim_seeds(haste, (void *)0);
	sim_seeds(haste, (void *)2);
}

static struct ringo_mutex mutex;
static long inside, total;

static void locker(int rounds)
{
	for (int i = 0; i < rounds; i++) {
		ringo_mutex_lock(&mutex);
		SIM_CHECK(inside++ == 0);
		if (i % 3 == 0)
			ringo_yield();
		total++;
		SIM_CHECK(--inside == 0);
		ringo_mutex_unlock(&mutex);
		if (i % 5 == 0)
			(void)!ringo_sleep(RINGO_US);
	}
	ringo_waitgroup_done(&done);
}

static int lockers(void *arg)
{
	(void)arg;
	total = 0;
	ringo_waitgroup_add(&done, 8);
	for (int i = 0; i < 8; i++)
		SIM_CHECK(ringo_go(locker, 20) == 0);
	ringo_waitgroup_wait(&done);
	SIM_CHECK(total == 160);
	SIM_CHECK(ringo_mutex_try_lock(&mutex) == 0);
	ringo_mutex_unlock(&mutex);
	return 0;
}

SIM_TEST(a_mutex_excludes_and_forgets_nobody)
{
	sim_seeds(lockers, NULL);
}

TEST_HARNESS_MAIN
