// SPDX-License-Identifier: MIT
/* The scheduler under seeds: nobody is lost, run twice, or left lying while an M sleeps. */
#include "base/atomic.h"
#include "base/lock.h"
#include "base/thread.h"
#include "kselftest_harness.h"
#include "sim_test.h"

static struct ringo_waitgroup done;
static unsigned ran;

static void leaf(int yields)
{
	for (int i = 0; i < yields; i++)
		ringo_yield();
	__atomic_fetch_add(&ran, 1, __ATOMIC_RELAXED);
	ringo_waitgroup_done(&done);
}

static void tree(int depth)
{
	if (depth) {
		ringo_waitgroup_add(&done, 2);
		SIM_CHECK(ringo_go(tree, depth - 1) == 0);
		SIM_CHECK(ringo_go(tree, depth - 1) == 0);
	}
	leaf(depth % 3);
}

static int spawn_tree(void *arg)
{
	(void)arg;
	ran = 0;
	ringo_waitgroup_add(&done, 1);
	SIM_CHECK(ringo_go(tree, 6) == 0);
	ringo_waitgroup_wait(&done);
	SIM_CHECK(ran == 127);
	SIM_CHECK(ringo_num_goroutines() >= 1);
	return 0;
}

SIM_TEST(every_goroutine_of_a_tree_runs_once)
{
	sim_seeds(spawn_tree, NULL);
}

static int many(void *arg)
{
	(void)arg;
	ran = 0;
	ringo_waitgroup_add(&done, 700);
	for (int i = 0; i < 700; i++) /* more than a run queue holds */
		SIM_CHECK(ringo_go(leaf, i % 2) == 0);
	ringo_waitgroup_wait(&done);
	SIM_CHECK(ran == 700);
	return 0;
}

SIM_TEST(an_overflowing_run_queue_loses_nobody)
{
	sim_seeds(many, NULL);
}

static void sleeper(int64_t ns)
{
	int64_t start = ringo_now();

	SIM_CHECK(ringo_sleep(ns) == 0);
	SIM_CHECK(ringo_now() - start >= ns);
	leaf(0);
}

static int sleepers(void *arg)
{
	(void)arg;
	ran = 0;
	ringo_waitgroup_add(&done, 100);
	for (int64_t i = 0; i < 100; i++)
		SIM_CHECK(ringo_go(sleeper, (i * 7919) % 1000 * RINGO_US) == 0);
	ringo_waitgroup_wait(&done);
	SIM_CHECK(ran == 100);
	return 0;
}

SIM_TEST(timers_never_fire_early_and_none_is_lost)
{
	sim_seeds(sleepers, NULL);
}

static int procs_flap(void *arg)
{
	(void)arg;
	ran = 0;
	for (int i = 0; i < 12; i++) {
		int n = 1 + (int)(rg_sim_rand() % 4);

		ringo_waitgroup_add(&done, 10);
		for (int64_t k = 0; k < 5; k++) {
			SIM_CHECK(ringo_go(leaf, 3) == 0);
			SIM_CHECK(ringo_go(sleeper, k * RINGO_US) == 0);
		}
		SIM_CHECK(ringo_maxprocs(n) > 0);
		SIM_CHECK(ringo_maxprocs(0) == n);
		ringo_yield();
	}
	ringo_waitgroup_wait(&done);
	SIM_CHECK(ran == 120);
	return 0;
}

SIM_TEST(nothing_is_lost_while_the_number_of_ps_changes)
{
	sim_seeds(procs_flap, NULL);
}

static void forever(void)
{
	struct ringo_chan *c = ringo_chan_new(0, 0);

	(void)!ringo_chan_recv(c, NULL);
	SIM_CHECK(!"a waiting goroutine resumed after the end");
}

static void sleep_on(void)
{
	for (;;)
		(void)!ringo_sleep(10 * RINGO_US);
}

static int leave_them(void *arg)
{
	(void)arg;
	for (int i = 0; i < 5; i++) {
		SIM_CHECK(ringo_go(forever) == 0);
		SIM_CHECK(ringo_go(sleep_on) == 0);
		ringo_yield();
	}
	SIM_CHECK(ringo_sleep(50 * RINGO_US) == 0);
	return 0;
}

SIM_TEST(the_end_of_main_ends_all)
{
	sim_seeds(leave_them, NULL);
}

static int job(void *arg)
{
	return *(int *)arg + 1;
}

static void blocker(int n)
{
	int result = 0;

	SIM_CHECK(ringo_blocking(job, &n, &result) == 0);
	SIM_CHECK(result == n + 1);
	leaf(0);
}

static int blockers(void *arg)
{
	(void)arg;
	ran = 0;
	ringo_waitgroup_add(&done, 30);
	for (int i = 0; i < 30; i++)
		SIM_CHECK(ringo_go(blocker, i) == 0);
	ringo_waitgroup_wait(&done);
	SIM_CHECK(ran == 30);
	return 0;
}

SIM_TEST(each_job_of_the_pool_runs_and_wakes_its_goroutine)
{
	sim_seeds(blockers, NULL);
}

/*
 * A thread that is no M queues a goroutine, and counts on the M that looks for work just then. That M has something
 * of its own to run, for long.
 */
enum { ROUNDS = 20 };

static uint32_t asked, answered;

static void answer(void)
{
	rg_store_relaxed(&answered, rg_load_relaxed(&asked));
}

static void *asker(void *arg)
{
	for (uint32_t i = 0; i < ROUNDS; i++) {
		rg_futex_wait(&asked, i, -1);
		for (uint64_t n = rg_sim_rand() % 200; n; n--)
			rg_sim_point();
		SIM_CHECK(ringo_go(answer) == 0);
	}
	rg_sim_others--;
	return arg;
}

static void compute_until_answered(void)
{
	int64_t until;

	for (uint32_t i = 1; i <= ROUNDS; i++) {
		rg_store_relaxed(&asked, i);
		rg_futex_wake(&asked, 1);
		SIM_CHECK(ringo_sleep((int64_t)(rg_sim_rand() % 4000)) == 0);
		until = rg_sim_now() + RINGO_MS;
		while (rg_load_relaxed(&answered) != i) {
			SIM_CHECK(rg_sim_now() < until);
			rg_sim_point();
		}
	}
	ringo_waitgroup_done(&done);
}

static int served_beside_a_hog(void *arg)
{
	struct rg_thread t;

	(void)arg;
	if (ringo_maxprocs(0) == 1)
		return 0;
	asked = answered = 0;
	rg_sim_others = 1;
	SIM_CHECK(rg_thread_start(&t, asker, NULL, RG_THREAD_DETACHED) == 0);
	ringo_waitgroup_add(&done, 1);
	SIM_CHECK(ringo_go(compute_until_answered) == 0);
	ringo_waitgroup_wait(&done);
	return 0;
}

SIM_TEST(who_is_queued_is_not_left_lying_while_an_M_sleeps)
{
	sim_seeds(served_beside_a_hog, NULL);
}

TEST_HARNESS_MAIN
