// SPDX-License-Identifier: MIT
/* Mutexes: exclusion, waiting, fairness against a hog, giving up, misuse. */
#include "help.h"
#include "sync/mutex.h"

static struct ringo_mutex mu;
static long counter;
static int seen;

static void count(int n)
{
	for (int i = 0; i < n; i++) {
		ringo_mutex_lock(&mu);
		counter++;
		if (i % 16 == 0)
			ringo_yield(); /* others meet a held mutex, also with one P */
		ringo_mutex_unlock(&mu);
	}
	ADD(&seen, 1);
}

static int exclusion_main(void *arg)
{
	for (int i = 0; i < 20; i++)
		CHECK_EQ(0, ringo_go(count, SCALE(2000)));
	while (LOAD(&seen) < 20)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	ringo_mutex_lock(&mu);
	CHECK_EQ(20L * SCALE(2000), counter);
	ringo_mutex_unlock(&mu);
	return 0;
}

TEST(one_at_a_time)
{
	EXPECT_EQ(0, ringo_run(exclusion_main, NULL));
}

TEST(one_at_a_time_on_two_Ps)
{
	use_procs(2);
	EXPECT_EQ(0, ringo_run(exclusion_main, NULL));
}

static int try_main(void *arg)
{
	CHECK_EQ(0, ringo_mutex_try_lock(&mu));
	CHECK_EQ(-EAGAIN, ringo_mutex_try_lock(&mu));
	ringo_mutex_unlock(&mu);
	CHECK_EQ(0, ringo_mutex_try_lock(&mu));
	ringo_mutex_unlock(&mu);
	return 0;
}

TEST(try_lock_does_not_wait)
{
	EXPECT_EQ(0, ringo_run(try_main, NULL));
}

static void wants_it(int n)
{
	for (int i = 0; i < n; i++) {
		ringo_mutex_lock(&mu);
		ringo_mutex_unlock(&mu);
	}
	STORE(&seen, 1);
}

static int hog_main(void *arg)
{
	int64_t start = now_ns();
	long rounds = 0;

	CHECK_EQ(0, ringo_go(wants_it, 20));
	/* Holds it nearly all the time and takes it back at once. */
	while (!LOAD(&seen)) {
		ringo_mutex_lock(&mu);
		CHECK_EQ(0, ringo_sleep(100 * RINGO_US));
		ringo_mutex_unlock(&mu);
		rounds++;
		CHECK(now_ns() - start < 20 * RINGO_SEC);
	}
	/* Hand-over comes after 1 ms; each of the 20 may cost that and what the machine adds. */
	CHECK(rounds < 5000);
	return 0;
}

TEST(a_waiter_gets_it_against_a_hog_with_one_P)
{
	use_turns();
	EXPECT_EQ(0, ringo_run(hog_main, NULL));
}

TEST(a_waiter_gets_it_against_a_hog_with_two_Ps)
{
	use_procs(2);
	EXPECT_EQ(0, ringo_run(hog_main, NULL));
}

static int order[30], next;

static void in_order(int i)
{
	ringo_mutex_lock(&mu);
	order[next++] = i;
	ringo_mutex_unlock(&mu);
}

static int order_main(void *arg)
{
	ringo_mutex_lock(&mu);
	for (int i = 0; i < 30; i++) {
		CHECK_EQ(0, ringo_go(in_order, i));
		ringo_yield();
		ringo_yield();
	}
	ringo_mutex_unlock(&mu);
	while (next < 30)
		ringo_yield();
	for (int i = 0; i < 30; i++)
		CHECK_EQ(i, order[i]);
	return 0;
}

TEST(waiters_are_served_in_order)
{
	use_turns();
	EXPECT_EQ(0, ringo_run(order_main, NULL));
}

static void unlocks(void)
{
	ringo_mutex_unlock(&mu);
}

static int other_main(void *arg)
{
	ringo_mutex_lock(&mu);
	CHECK_EQ(0, ringo_go(unlocks));
	ringo_mutex_lock(&mu);
	ringo_mutex_unlock(&mu);
	return 0;
}

TEST(another_goroutine_may_unlock)
{
	EXPECT_EQ(0, ringo_run(other_main, NULL));
}

static int misuse_main(void *arg)
{
	ringo_mutex_lock(&mu);
	ringo_mutex_unlock(&mu);
	ringo_mutex_unlock(&mu);
	return 0;
}

static void misuse(void)
{
	ringo_run(misuse_main, NULL);
}

TEST(unlocking_an_unlocked_one_ends_in_a_message)
{
	struct outcome o;

	NEEDS_ABORT();
	in_child(&o, misuse);
	EXPECT_TRUE(aborted(&o));
	EXPECT_TRUE(said(&o, "unlock of an unlocked mutex"));
}

static void unlocks_twice(void *arg)
{
	misuse_main(arg);
}

static int contained_main(void *arg)
{
	struct ringo_panic_info info;

	CHECK_EQ(1, ringo_try(unlocks_twice, NULL, &info));
	CHECK(strstr(info.message, "unlock of an unlocked mutex"));
	CHECK_EQ(0, ringo_mutex_try_lock(&mu)); /* it is as good as before */
	ringo_mutex_unlock(&mu);
	return 0;
}

TEST(misuse_can_be_contained)
{
	EXPECT_EQ(0, ringo_run(contained_main, NULL));
}

/* lock_ctx */

static void times_out(void)
{
	int64_t t0 = now_ns();

	ringo_timeout_scope(5 * RINGO_MS);
	CHECK_EQ(-ETIMEDOUT, ringo_mutex_lock_ctx(&mu));
	CHECK(now_ns() - t0 >= 5 * RINGO_MS);
	CHECK_EQ(-ETIMEDOUT, ringo_mutex_lock_ctx(&mu)); /* at once */
	ADD(&seen, 1);
	ringo_mutex_lock(&mu); /* whatever the deadline */
	ringo_mutex_unlock(&mu);
	CHECK_EQ(0, ringo_mutex_lock_ctx(&mu)); /* it need not wait */
	ringo_mutex_unlock(&mu);
	ADD(&seen, 1);
}

static int timeout_main(void *arg)
{
	ringo_mutex_lock(&mu);
	CHECK_EQ(0, ringo_go(times_out));
	CHECK_EQ(0, ringo_go(times_out));
	while (LOAD(&seen) < 2)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	ringo_mutex_unlock(&mu);
	while (LOAD(&seen) < 4)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	return 0;
}

TEST(lock_ctx_obeys_the_deadline_and_lock_does_not)
{
	EXPECT_EQ(0, ringo_run(timeout_main, NULL));
}

static void is_cancelled(struct ringo_ctx *ctx)
{
	ringo_ctx_unref(ringo_ctx_enter(ctx));
	CHECK_EQ(-ECANCELED, ringo_mutex_lock_ctx(&mu));
	ADD(&seen, 1);
}

static int cancel_main(void *arg)
{
	struct ringo_ctx *ctx = ringo_ctx_with_cancel(NULL);

	ringo_mutex_lock(&mu);
	for (int i = 0; i < 10; i++) {
		CHECK_EQ(0, ringo_go(is_cancelled, ctx));
		CHECK_EQ(0, ringo_go(wants_it, 1)); /* between them, some that stay */
	}
	CHECK_EQ(0, ringo_sleep(5 * RINGO_MS));
	CHECK_EQ(0, LOAD(&seen));
	ringo_ctx_cancel(ctx, 0);
	while (LOAD(&seen) < 10)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	STORE(&seen, 0);
	ringo_mutex_unlock(&mu);
	while (!LOAD(&seen))
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	ringo_ctx_unref(ctx);
	return 0;
}

TEST(lock_ctx_obeys_cancellation)
{
	EXPECT_EQ(0, ringo_run(cancel_main, NULL));
}

static void hasty(int id)
{
	for (int i = 0; i < SCALE(1000); i++) {
		ringo_timeout_scope((id + i) % 8 * 10 * RINGO_US);
		if (ringo_mutex_lock_ctx(&mu))
			continue;
		counter++;
		if (i % 4 == 0)
			ringo_yield();
		counter--;
		ringo_mutex_unlock(&mu);
	}
	ADD(&seen, 1);
}

static int hasty_main(void *arg)
{
	for (int i = 0; i < 10; i++)
		CHECK_EQ(0, ringo_go(hasty, i));
	for (int i = 0; i < 3; i++)
		CHECK_EQ(0, ringo_go(count, SCALE(1000)));
	while (LOAD(&seen) < 13)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK_EQ(0, ringo_mutex_try_lock(&mu));
	CHECK_EQ(3L * SCALE(1000), counter);
	return 0;
}

TEST(who_gives_up_takes_no_wake_up_along)
{
	EXPECT_EQ(0, ringo_run(hasty_main, NULL));
}

/* The last of the users frees what it is in. */
struct object {
	int refs;
	struct ringo_mutex mutex;
};

static void user(struct object *o)
{
	bool last;

	ringo_mutex_lock(&o->mutex);
	last = --o->refs == 0;
	ringo_mutex_unlock(&o->mutex);
	if (last) {
		memset(o, 0xff, sizeof(*o));
		free(o);
		ADD(&seen, 1);
	}
}

static int object_main(void *arg)
{
	for (int i = 0; i < SCALE(3000); i++) {
		struct object *o = calloc(1, sizeof(*o));

		o->refs = 4;
		for (int k = 0; k < 4; k++)
			CHECK_EQ(0, ringo_go(user, o));
		if (i % 8 == 0)
			ringo_yield();
	}
	while (LOAD(&seen) < SCALE(3000))
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	return 0;
}

TEST(the_last_user_may_free_it)
{
	EXPECT_EQ(0, ringo_run(object_main, NULL));
}

/* Threads that are no goroutine. */

static void *foreign(void *arg)
{
	int *step = arg;

	CHECK_EQ(-EAGAIN, ringo_mutex_try_lock(&mu));
	CHECK_EQ(-EPERM, ringo_mutex_lock_ctx(&mu));
	ringo_mutex_unlock(&mu); /* which wakes goroutines */
	for (int i = 0; i < 1000;) {
		if (ringo_mutex_try_lock(&mu))
			continue;
		i++;
		counter++;
		ringo_mutex_unlock(&mu);
	}
	STORE(step, 1);
	return NULL;
}

static int foreign_main(void *arg)
{
	int step = 0;
	pthread_t t;

	ringo_mutex_lock(&mu);
	CHECK_EQ(0, ringo_go(count, 1000));
	CHECK_EQ(0, ringo_go(count, 1000));
	CHECK_EQ(0, ringo_sleep(2 * RINGO_MS));
	CHECK_EQ(0, pthread_create(&t, NULL, foreign, &step));
	while (!LOAD(&step) || LOAD(&seen) < 2)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	pthread_join(t, NULL);
	CHECK_EQ(3000, counter);
	return 0;
}

TEST(other_threads_may_use_it_where_they_need_not_wait)
{
	EXPECT_EQ(0, ringo_run(foreign_main, NULL));
	ringo_mutex_lock(&mu); /* and without a runtime */
	EXPECT_EQ(-EAGAIN, ringo_mutex_try_lock(&mu));
	EXPECT_EQ(-ESRCH, ringo_mutex_lock_ctx(&mu));
	ringo_mutex_unlock(&mu);
	EXPECT_EQ(0, ringo_mutex_lock_ctx(&mu));
}

static void waits_outside(void)
{
	ringo_mutex_lock(&mu);
	ringo_mutex_lock(&mu);
}

TEST(waiting_outside_a_goroutine_ends_in_a_message)
{
	struct outcome o;

	NEEDS_ABORT();
	in_child(&o, waits_outside);
	EXPECT_TRUE(aborted(&o));
	EXPECT_TRUE(said(&o, "would wait outside a goroutine"));
}

/* The owner, for reports. */

static uint32_t owner[2];

static void *locks_outside(void *arg)
{
	ringo_mutex_lock(&mu);
	return NULL;
}

static uint32_t self(void)
{
	struct ringo_mutex own = { 0 };

	ringo_mutex_lock(&own);
	return rg_mutex_owner(&own);
}

static void gets_it_handed(int i)
{
	owner[i] = self();
	ringo_mutex_lock(&mu);
	CHECK_EQ(owner[i], rg_mutex_owner(&mu));
	ringo_mutex_unlock(&mu);
	ADD(&seen, 1);
}

static int owner_main(void *arg)
{
	pthread_t t;

	CHECK(self());
	CHECK_EQ(0, rg_mutex_owner(&mu));
	ringo_mutex_lock(&mu);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(0, ringo_go(gets_it_handed, i));
	/* We take it back each time, until they starve and it is given to them. */
	while (LOAD(&seen) < 2) {
		CHECK_EQ(0, ringo_sleep(2 * RINGO_MS));
		CHECK_EQ(self(), rg_mutex_owner(&mu));
		ringo_mutex_unlock(&mu);
		ringo_mutex_lock(&mu);
	}
	ringo_mutex_unlock(&mu);
	CHECK(owner[0] && owner[1] && owner[0] != owner[1]);
	CHECK(owner[0] != self() && owner[1] != self());
	CHECK_EQ(0, rg_mutex_owner(&mu));
	CHECK_EQ(0, pthread_create(&t, NULL, locks_outside, NULL));
	pthread_join(t, NULL);
	CHECK_EQ(0, rg_mutex_owner(&mu));
	ringo_mutex_unlock(&mu);
	return 0;
}

TEST(it_knows_who_has_it)
{
	use_turns();
	EXPECT_EQ(0, ringo_run(owner_main, NULL));
}

/* A run ends, although a goroutine does nothing but lock and unlock. */
static void never_waits(void)
{
	struct ringo_mutex own = { 0 };

	STORE(&seen, 1);
	for (;;) {
		ringo_mutex_lock(&own);
		ringo_mutex_unlock(&own);
	}
}

static int end_main(void *arg)
{
	CHECK_EQ(0, ringo_go(never_waits));
	while (!LOAD(&seen))
		sched_yield();
	return 0;
}

TEST(a_loop_of_locks_does_not_hold_up_the_end_of_the_run)
{
	use_procs(2);
	EXPECT_EQ(0, ringo_run(end_main, NULL));
	EXPECT_EQ(0, ringo_run(other_main, NULL)); /* not -EBUSY */
}

TEST_HARNESS_MAIN
