// SPDX-License-Identifier: MIT
/* Calls from threads that are no goroutines: what cannot wait works, what would wait is refused. */
#include "help.h"

static int go_on, seen;
static struct ringo_chan *chan;

/* Run fn in a thread beside a runtime whose main goroutine waits until it has ended. */
static void *(*thread_fn)(void *);

static void *then_go_on(void *arg)
{
	thread_fn(arg);
	STORE(&go_on, 1);
	return NULL;
}

static int beside_main(void *arg)
{
	pthread_t t;

	CHECK_EQ(0, pthread_create(&t, NULL, then_go_on, arg));
	while (!LOAD(&go_on))
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	pthread_join(t, NULL);
	return 0;
}

static int beside(void *(*fn)(void *))
{
	thread_fn = fn;
	return ringo_run(beside_main, NULL);
}

static void count(int n)
{
	ADD(&seen, n);
}

static void *spawns(void *arg)
{
	for (int i = 0; i < 1000; i++)
		CHECK_EQ(0, ringo_go(count, 1));
	while (LOAD(&seen) < 1000)
		sched_yield();
	return NULL;
}

TEST(spawning_works)
{
	EXPECT_EQ(0, beside(spawns));
	EXPECT_EQ(1000, seen);
}

static void receive(struct ringo_chan *c)
{
	int n;

	while (ringo_chan_recv(c, &n) == 1)
		ADD(&seen, n);
	ADD(&seen, 1000);
}

static void *sends(void *arg)
{
	int n = 5, res;

	CHECK_EQ(0, ringo_go(receive, chan));
	for (int i = 0; i < 100;) {
		res = ringo_chan_send(chan, &n); /* to a receiver that waits; else it would have to wait itself */
		CHECK(!res || res == -EPERM);
		i += !res;
	}
	for (int i = 0; i < 100;) {
		res = ringo_chan_try_send(chan, &n);
		CHECK(!res || res == -EAGAIN);
		i += !res;
	}
	CHECK_EQ(0, ringo_chan_close(chan));
	CHECK_EQ(-EPIPE, ringo_chan_close(chan));
	while (LOAD(&seen) < 2000)
		sched_yield();
	return NULL;
}

TEST(sending_to_a_waiting_receiver_and_closing_work)
{
	chan = ringo_chan_new(sizeof(int), 0);
	EXPECT_EQ(0, beside(sends));
	EXPECT_EQ(2000, seen);
	ringo_chan_unref(chan);
}

static void give(struct ringo_chan *c)
{
	int n = 7;

	CHECK_EQ(0, ringo_chan_send(c, &n));
	ADD(&seen, 1);
}

static void *receives(void *arg)
{
	int n = 0;

	CHECK_EQ(0, ringo_go(give, chan));
	while (ringo_chan_recv(chan, &n) == -EPERM)
		sched_yield();
	CHECK_EQ(7, n);
	CHECK_EQ(0, ringo_go(give, chan));
	while (ringo_chan_try_recv(chan, &n) == -EAGAIN)
		sched_yield();
	while (LOAD(&seen) < 2)
		sched_yield();
	return NULL;
}

TEST(receiving_from_a_waiting_sender_works)
{
	chan = ringo_chan_new(sizeof(int), 0);
	EXPECT_EQ(0, beside(receives));
	ringo_chan_unref(chan);
}

static int job(void *arg)
{
	return 0;
}

static void *would_wait(void *arg)
{
	int n = 1, result;

	CHECK_EQ(-EPERM, ringo_chan_recv(chan, &n));
	CHECK_EQ(0, ringo_chan_send(chan, &n));
	CHECK_EQ(-EPERM, ringo_chan_send(chan, &n));
	CHECK_EQ(-EAGAIN, ringo_chan_try_send(chan, &n));
	CHECK_EQ(1, ringo_chan_recv(chan, &n));
	CHECK_EQ(-EPERM, ringo_chan_recv(NULL, &n));
	CHECK_EQ(-EPERM, ringo_chan_send(NULL, &n));
	CHECK_EQ(-EPERM, ringo_sleep(1));
	CHECK_EQ(-EPERM, ringo_sleep(0));
	CHECK_EQ(-EPERM, ringo_blocking(job, NULL, &result));
	CHECK_EQ(0, ringo_deadline_set(1));
	CHECK_EQ(0, ringo_deadline_set(0));
	CHECK_EQ(2, ringo_maxprocs(0));
	CHECK_EQ(1, ringo_num_goroutines());
	CHECK(ringo_now() > 0);
	return NULL;
}

TEST(what_would_wait_is_refused)
{
	chan = ringo_chan_new(sizeof(int), 1);
	use_procs(2);
	EXPECT_EQ(0, beside(would_wait));
	ringo_chan_unref(chan);
}

static struct ringo_mutex mu;
static struct ringo_waitgroup wg;

static void locks(void)
{
	ringo_mutex_lock(&mu);
	ADD(&seen, 1);
	ringo_mutex_unlock(&mu);
}

static void waits(void)
{
	ringo_waitgroup_wait(&wg);
	ADD(&seen, 1);
}

static void *unlocks(void *arg)
{
	ringo_mutex_lock(&mu); /* free, so it need not wait */
	CHECK_EQ(-EAGAIN, ringo_mutex_try_lock(&mu));
	ringo_waitgroup_add(&wg, 1);
	CHECK_EQ(0, ringo_go(locks));
	CHECK_EQ(0, ringo_go(waits));
	nap_ms(20);
	CHECK_EQ(0, LOAD(&seen));
	ringo_mutex_unlock(&mu);
	ringo_waitgroup_done(&wg);
	while (LOAD(&seen) < 2)
		sched_yield();
	ringo_waitgroup_wait(&wg); /* at 0 there is nothing to wait for */
	return NULL;
}

TEST(unlocking_and_done_wake_goroutines)
{
	EXPECT_EQ(0, beside(unlocks));
}

static void *locks_in_vain(void *arg)
{
	ringo_mutex_lock(&mu);
	ringo_mutex_lock(&mu);
	return NULL;
}

static void *waits_in_vain(void *arg)
{
	ringo_waitgroup_add(&wg, 1);
	ringo_waitgroup_wait(&wg);
	return NULL;
}

static void lock_child(void)
{
	beside(locks_in_vain);
}

static void wait_child(void)
{
	beside(waits_in_vain);
}

TEST(a_lock_that_would_wait_ends_in_a_message)
{
	struct outcome o;

	in_child(&o, lock_child);
	EXPECT_TRUE(aborted(&o));
	EXPECT_TRUE(said(&o, "outside a goroutine"));
	in_child(&o, wait_child);
	EXPECT_TRUE(aborted(&o));
	EXPECT_TRUE(said(&o, "outside a goroutine"));
}

TEST(without_a_runtime_there_is_ESRCH)
{
	int n = 1;

	chan = ringo_chan_new(sizeof(int), 1);
	EXPECT_EQ(-ESRCH, ringo_chan_send(chan, &n));
	EXPECT_EQ(-ESRCH, ringo_chan_recv(chan, &n));
	EXPECT_EQ(-ESRCH, ringo_chan_try_send(chan, &n));
	EXPECT_EQ(-ESRCH, ringo_chan_try_recv(chan, &n));
	EXPECT_EQ(-ESRCH, ringo_sleep(1));
	EXPECT_EQ(-ESRCH, ringo_maxprocs(0));
	EXPECT_EQ(-ESRCH, ringo_blocking(job, NULL, NULL));
	EXPECT_EQ(0, ringo_num_goroutines());
	EXPECT_EQ(0, ringo_deadline_set(5));
	EXPECT_GE(ringo_num_cpu(), 1);
	ringo_chan_unref(chan);
}

static void *storm(void *arg)
{
	for (int i = 0; i < SCALE(20000); i++) {
		int err;

		while ((err = ringo_go(count, 1)) == -EAGAIN)
			nap_ms(1); /* the limit of guarded stacks, where it is low */
		CHECK_EQ(0, err);
	}
	return NULL;
}

static int storm_main(void *arg)
{
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		CHECK_EQ(0, pthread_create(&t[i], NULL, storm, NULL));
	while (LOAD(&seen) < 4 * SCALE(20000))
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	return 0;
}

TEST(nothing_that_several_threads_spawn_is_lost)
{
	EXPECT_EQ(0, ringo_run(storm_main, NULL));
}

TEST_HARNESS_MAIN
