// SPDX-License-Identifier: MIT
/* ringo_lock_thread: a goroutine keeps its thread, and nobody else runs there. */
#include <sys/syscall.h>

#include "deadlock_help.h"

static struct ringo_waitgroup done;
static struct ringo_chan *chan;
static bool stop;

static int tid(void)
{
	return (int)syscall(SYS_gettid);
}

static void yielder(int n)
{
	for (int i = 0; i < n || (n < 0 && !LOAD(&stop)); i++)
		ringo_yield();
	ringo_waitgroup_done(&done);
}

/* Goes through every kind of wait, and stays where it is. */
static void keeper(int rounds)
{
	static __thread int mine;
	int self = tid();
	long v;

	ringo_lock_thread();
	mine = self;
	for (int i = 0; i < rounds; i++) {
		ringo_yield();
		CHECK_EQ(self, tid());
		CHECK_EQ(0, ringo_sleep(50 * RINGO_US));
		CHECK_EQ(self, tid());
		CHECK_EQ(1, ringo_chan_recv(chan, &v));
		CHECK_EQ(self, tid());
		CHECK_EQ(self, *(volatile int *)&mine);
	}
	ringo_unlock_thread();
	ringo_waitgroup_done(&done);
}

G_TEST(it_keeps_its_thread_through_all_its_waits)
{
	enum { KEEPERS = 3, ROUNDS = SCALE(200) };

	chan = ringo_chan_new(sizeof(long), 0);
	STORE(&stop, false);
	ringo_waitgroup_add(&done, KEEPERS);
	for (int i = 0; i < KEEPERS; i++)
		CHECK_EQ(0, ringo_go(keeper, ROUNDS));
	for (long i = 0; i < KEEPERS * ROUNDS; i++)
		CHECK_EQ(0, ringo_chan_send(chan, &i));
	ringo_waitgroup_wait(&done);
	ringo_chan_unref(chan);
	return 0;
}

static int kept[4];

static void elsewhere(void)
{
	for (int i = 0; i < 20; i++) {
		int self = tid();

		for (int k = 0; k < 4; k++)
			CHECK(self != LOAD(&kept[k]));
		ringo_yield();
	}
	ringo_waitgroup_done(&done);
}

static void resident(int k)
{
	ringo_lock_thread();
	STORE(&kept[k], tid());
	while (!LOAD(&stop)) {
		CHECK_EQ(LOAD(&kept[k]), tid());
		CHECK_EQ(0, ringo_sleep(100 * RINGO_US));
	}
	STORE(&kept[k], 0);
	ringo_unlock_thread();
	ringo_waitgroup_done(&done);
}

G_TEST(nobody_else_runs_on_its_thread)
{
	STORE(&stop, false);
	ringo_waitgroup_add(&done, 4);
	for (int k = 0; k < 4; k++)
		CHECK_EQ(0, ringo_go(resident, k));
	for (int k = 0; k < 4; k++)
		while (!LOAD(&kept[k]))
			ringo_yield();
	for (int i = 0; i < SCALE(50); i++) {
		ringo_waitgroup_add(&done, 1);
		CHECK_EQ(0, ringo_go(elsewhere));
		CHECK_EQ(0, ringo_sleep(100 * RINGO_US));
	}
	STORE(&stop, true);
	ringo_waitgroup_wait(&done);
	return 0;
}

/* Go's YieldProgress and YieldLocked with the main goroutine, or the others, locked. */
G_TEST(who_is_locked_gives_way_and_gets_its_turn)
{
	ringo_lock_thread();
	STORE(&stop, false);
	ringo_waitgroup_add(&done, 3);
	CHECK_EQ(0, ringo_go(yielder, -1));
	CHECK_EQ(0, ringo_go(yielder, 10));
	CHECK_EQ(0, ringo_go(yielder, 100));
	for (int i = 0; i < 100; i++)
		ringo_yield();
	STORE(&stop, true);
	ringo_waitgroup_wait(&done);
	ringo_unlock_thread();
	return 0;
}

static void nested(void)
{
	int self = tid();

	ringo_lock_thread();
	ringo_lock_thread();
	ringo_unlock_thread();
	for (int i = 0; i < 20; i++) {
		CHECK_EQ(0, ringo_sleep(20 * RINGO_US));
		CHECK_EQ(self, tid());
	}
	ringo_unlock_thread();
	ringo_waitgroup_done(&done);
}

G_TEST(locks_nest)
{
	ringo_waitgroup_add(&done, 2);
	CHECK_EQ(0, ringo_go(nested));
	CHECK_EQ(0, ringo_go(yielder, 100));
	ringo_waitgroup_wait(&done);
	return 0;
}

static void unlock(void *arg)
{
	(void)arg;
	ringo_unlock_thread();
}

G_TEST(unlocking_what_is_not_locked_is_a_panic)
{
	struct ringo_panic_info p;

	CHECK_EQ(1, ringo_try(unlock, NULL, &p));
	CHECK(strstr(p.message, "ringo_unlock_thread"));
	return 0;
}

static __thread int changed;
static int last;

static void leaver(void)
{
	ringo_lock_thread();
	changed = 1;
	STORE(&last, tid());
	ringo_waitgroup_done(&done);
}

static void unchanged(void)
{
	for (int i = 0; i < 20; i++) {
		CHECK(!*(volatile int *)&changed);
		CHECK(tid() != LOAD(&last));
		ringo_yield();
	}
	ringo_waitgroup_done(&done);
}

G_TEST(a_thread_that_was_not_unlocked_runs_nobody_else)
{
	for (int i = 0; i < 5; i++) {
		ringo_waitgroup_add(&done, 1);
		CHECK_EQ(0, ringo_go(leaver));
		ringo_waitgroup_wait(&done);
		for (int k = 0; k < 4; k++) {
			ringo_waitgroup_add(&done, 1);
			CHECK_EQ(0, ringo_go(unchanged));
		}
		ringo_waitgroup_wait(&done);
	}
	return 0;
}

static void locked_hog(void)
{
	int self = tid();

	ringo_lock_thread();
	for (int i = 0; i < 5; i++) {
		int64_t until = now_ns() + 5 * RINGO_MS;

		while (now_ns() < until)
			;
		ringo_yield();
		CHECK_EQ(self, tid());
	}
	ringo_unlock_thread();
	ringo_waitgroup_done(&done);
}

G_TEST(one_that_computes_keeps_its_thread_too)
{
	ringo_waitgroup_add(&done, 4);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(0, ringo_go(locked_hog));
	CHECK_EQ(0, ringo_go(yielder, 1000));
	for (int i = 0; i < 20; i++)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	ringo_waitgroup_wait(&done);
	return 0;
}

static int of_no_goroutine(void *arg)
{
	(void)arg;
	ringo_lock_thread();
	ringo_unlock_thread();
	return 0;
}

TEST(outside_a_goroutine_it_does_nothing)
{
	of_no_goroutine(NULL);
	EXPECT_EQ(0, run_main(of_no_goroutine));
}

static void never(void)
{
	CHECK(ringo_chan_recv(NULL, NULL) < 0);
}

static int locked_main(void *arg)
{
	(void)arg;
	ringo_lock_thread();
	never();
	return 0;
}

static void locked_receiver(void)
{
	ringo_lock_thread();
	never();
}

static int beside_a_locked_one(void *arg)
{
	(void)arg;
	CHECK_EQ(0, ringo_go(locked_receiver));
	ringo_yield();
	never();
	return 0;
}

TEST(a_deadlock_of_locked_ones_is_seen)
{
	asleep = mmap(NULL, sizeof(*asleep), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	EXPECT_TRUE(dies(locked_main, DEADLOCK));
	EXPECT_TRUE(dies(beside_a_locked_one, DEADLOCK));
}

TEST_HARNESS_MAIN
