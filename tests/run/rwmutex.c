// SPDX-License-Identifier: MIT
/* RWMutexes: parallel readers, exclusion, who goes first, misuse. */
#include "help.h"

static struct ringo_rwmutex rw;
static int seen, readers_in, may_leave;
static long activity;

enum { WRITER = 10000 };

static void done(void)
{
	ADD(&seen, 1);
}

static void wait_for(int n)
{
	while (LOAD(&seen) < n)
		CHECK_EQ(0, ringo_sleep(100 * RINGO_US));
}

static void parallel_reader(void)
{
	ringo_rwmutex_rdlock(&rw);
	ADD(&readers_in, 1);
	while (!LOAD(&may_leave))
		CHECK_EQ(0, ringo_sleep(100 * RINGO_US));
	ringo_rwmutex_rdunlock(&rw);
	done();
}

static int parallel_main(void *arg)
{
	for (int n = 1; n <= 16; n *= 2) {
		seen = readers_in = may_leave = 0;
		for (int i = 0; i < n; i++)
			CHECK_EQ(0, ringo_go(parallel_reader));
		while (LOAD(&readers_in) < n)
			CHECK_EQ(0, ringo_sleep(100 * RINGO_US));
		STORE(&may_leave, 1);
		wait_for(n);
	}
	return 0;
}

TEST(readers_are_in_together)
{
	EXPECT_EQ(0, ringo_run(parallel_main, NULL));
}

static void reads(int n)
{
	for (int i = 0; i < n; i++) {
		ringo_rwmutex_rdlock(&rw);
		CHECK(ADD(&activity, 1) < WRITER);
		if (i % 8 == 0)
			ringo_yield();
		ADD(&activity, -1);
		ringo_rwmutex_rdunlock(&rw);
	}
	done();
}

static void writes(int n)
{
	for (int i = 0; i < n; i++) {
		ringo_rwmutex_lock(&rw);
		CHECK_EQ(WRITER, ADD(&activity, WRITER));
		if (i % 8 == 0)
			ringo_yield();
		CHECK_EQ(0, ADD(&activity, -WRITER));
		ringo_rwmutex_unlock(&rw);
	}
	done();
}

static int hammer(int readers, int n)
{
	seen = 0;
	CHECK_EQ(0, ringo_go(writes, n));
	for (int i = 0; i < readers / 2; i++)
		CHECK_EQ(0, ringo_go(reads, n));
	CHECK_EQ(0, ringo_go(writes, n));
	for (int i = 0; i < readers - readers / 2; i++)
		CHECK_EQ(0, ringo_go(reads, n));
	wait_for(readers + 2);
	CHECK_EQ(0, ringo_rwmutex_try_lock(&rw));
	ringo_rwmutex_unlock(&rw);
	return 0;
}

static int hammer_main(void *arg)
{
	return hammer(1, SCALE(1000)) + hammer(3, SCALE(1000)) + hammer(10, SCALE(1000));
}

TEST(one_writer_or_many_readers)
{
	EXPECT_EQ(0, ringo_run(hammer_main, NULL));
}

TEST(one_writer_or_many_readers_on_two_Ps)
{
	use_procs(2);
	EXPECT_EQ(0, ringo_run(hammer_main, NULL));
}

static int try_main(void *arg)
{
	CHECK_EQ(0, ringo_rwmutex_try_rdlock(&rw));
	CHECK_EQ(0, ringo_rwmutex_try_rdlock(&rw));
	CHECK_EQ(-EAGAIN, ringo_rwmutex_try_lock(&rw));
	ringo_rwmutex_rdunlock(&rw);
	CHECK_EQ(-EAGAIN, ringo_rwmutex_try_lock(&rw));
	ringo_rwmutex_rdunlock(&rw);
	CHECK_EQ(0, ringo_rwmutex_try_lock(&rw));
	CHECK_EQ(-EAGAIN, ringo_rwmutex_try_lock(&rw));
	CHECK_EQ(-EAGAIN, ringo_rwmutex_try_rdlock(&rw));
	ringo_rwmutex_unlock(&rw);
	ringo_rwmutex_lock(&rw);
	ringo_rwmutex_unlock(&rw);
	return 0;
}

TEST(tries_do_not_wait)
{
	EXPECT_EQ(0, ringo_run(try_main, NULL));
	EXPECT_EQ(0, try_main(NULL)); /* and any thread may */
}

/* Readers and writers in the order in which they got it. */
static char order[16];

static void note(char c)
{
	order[strlen(order)] = c;
}

static void late_writer(void)
{
	ringo_rwmutex_lock(&rw);
	note('w');
	ringo_rwmutex_unlock(&rw);
	done();
}

static void late_reader(void)
{
	ringo_rwmutex_rdlock(&rw);
	note('r');
	ringo_rwmutex_rdunlock(&rw);
	done();
}

static int order_main(void *arg)
{
	ringo_rwmutex_rdlock(&rw);
	CHECK_EQ(0, ringo_go(late_writer));
	CHECK_EQ(0, ringo_sleep(RINGO_MS));
	/* A waiting writer keeps new readers out. */
	CHECK_EQ(-EAGAIN, ringo_rwmutex_try_rdlock(&rw));
	CHECK_EQ(0, ringo_go(late_writer));
	CHECK_EQ(0, ringo_go(late_reader));
	CHECK_EQ(0, ringo_go(late_reader));
	CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK(!order[0]);
	ringo_rwmutex_rdunlock(&rw);
	wait_for(4);
	/* After the writer come the readers that waited, then the next writer. */
	CHECK(!strcmp(order, "wrrw"));
	return 0;
}

TEST(writers_and_readers_take_turns)
{
	use_turns();
	EXPECT_EQ(0, ringo_run(order_main, NULL));
}

static void panics(void *fn)
{
	((void (*)(struct ringo_rwmutex *))fn)(&rw);
}

static int misuse_main(void *arg)
{
	struct ringo_panic_info info;

	CHECK_EQ(1, ringo_try(panics, ringo_rwmutex_unlock, &info));
	CHECK(strstr(info.message, "no writer"));
	CHECK_EQ(1, ringo_try(panics, ringo_rwmutex_rdunlock, &info));
	CHECK(strstr(info.message, "no reader"));
	ringo_rwmutex_rdlock(&rw);
	CHECK_EQ(1, ringo_try(panics, ringo_rwmutex_unlock, &info));
	ringo_rwmutex_rdunlock(&rw);
	ringo_rwmutex_lock(&rw);
	CHECK_EQ(1, ringo_try(panics, ringo_rwmutex_rdunlock, &info));
	ringo_rwmutex_unlock(&rw);
	return try_main(NULL); /* it is as good as before */
}

TEST(unlocking_what_is_not_locked_panics)
{
	EXPECT_EQ(0, ringo_run(misuse_main, NULL));
}

static void *foreign(void *arg)
{
	int n = SCALE(2000);

	for (int i = 0; i < n;) {
		if (!ringo_rwmutex_try_rdlock(&rw)) {
			CHECK(ADD(&activity, 1) < WRITER);
			ADD(&activity, -1);
			ringo_rwmutex_rdunlock(&rw);
			i++;
		}
		if (!ringo_rwmutex_try_lock(&rw)) {
			CHECK_EQ(WRITER, ADD(&activity, WRITER));
			ADD(&activity, -WRITER);
			ringo_rwmutex_unlock(&rw);
		}
	}
	done();
	return NULL;
}

static int foreign_main(void *arg)
{
	pthread_t t;

	CHECK_EQ(0, pthread_create(&t, NULL, foreign, NULL));
	for (int i = 0; i < 3; i++)
		CHECK_EQ(0, ringo_go(reads, SCALE(2000)));
	CHECK_EQ(0, ringo_go(writes, SCALE(2000)));
	wait_for(5);
	pthread_join(t, NULL);
	return 0;
}

TEST(other_threads_may_use_it_where_they_need_not_wait)
{
	EXPECT_EQ(0, ringo_run(foreign_main, NULL));
}

TEST_HARNESS_MAIN
