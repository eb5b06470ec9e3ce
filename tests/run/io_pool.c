// SPDX-License-Identifier: MIT
/* The blocking pool: ringo_blocking. */
#include "io_help.h"

static int ticks, stop_ticks;
static int64_t worst_gap;

static void tick(void)
{
	int64_t last = now_ns();

	while (!LOAD(&stop_ticks)) {
		int64_t now;

		OK(ringo_sleep(RINGO_MS));
		now = now_ns();
		worst_gap = now - last > worst_gap ? now - last : worst_gap;
		last = now;
		ticks++;
	}
	STORE(&ticks, -1);
}

static int block_ms(void *arg)
{
	nap_ms((long)arg);
	return (int)(long)arg + 1;
}

static int a_second(void *arg)
{
	int res = 0;

	(void)arg;
	OK(ringo_go(tick));
	CHECK_EQ(ringo_blocking(block_ms, (void *)1000, &res), 0);
	CHECK_EQ(res, 1001);
	STORE(&stop_ticks, 1);
	until(&ticks, -1);
	CHECK(worst_gap < 500 * RINGO_MS);
	return 0;
}

TEST(a_job_does_not_hold_up_others)
{
	use_procs(1);
	ASSERT_EQ(0, ringo_run(a_second, NULL));
}

static int negative(void *arg)
{
	(void)arg;
	return -5;
}

G_TEST(the_result_is_the_functions)
{
	int res = 7;

	CHECK_EQ(ringo_blocking(negative, NULL, &res), 0);
	CHECK_EQ(res, -5);
	CHECK_EQ(ringo_blocking(negative, NULL, NULL), 0);
	return 0;
}

static int running, most, ran;

static int count_running(void *arg)
{
	int n = ADD(&running, 1);

	if (n > LOAD(&most))
		STORE(&most, n);
	nap_ms((long)arg);
	ADD(&running, -1);
	return ADD(&ran, 1);
}

static int finished;

static void one_job(long ms)
{
	CHECK_EQ(ringo_blocking(count_running, (void *)ms, NULL), 0);
	ADD(&finished, 1);
}

G_TEST(jobs_run_side_by_side)
{
	int64_t start = now_ns();

	for (int i = 0; i < 20; i++)
		OK(ringo_go(one_job, 100l));
	until(&finished, 20);
	CHECK(now_ns() - start < 1500 * RINGO_MS); /* 2000 one after the other */
	CHECK(most > 1);
	return 0;
}

G_TEST(many_more_jobs_than_threads_all_run)
{
	for (int i = 0; i < 2000; i++)
		OK(ringo_go(one_job, (long)(i % 50 == 0)));
	until(&finished, 2000);
	CHECK_EQ(ran, 2000);
	CHECK(most <= 64);
	return 0;
}

static int short_job(void *arg)
{
	return ADD((int *)arg, 1) * 0;
}

static void many_short(long n)
{
	for (long i = 0; i < n; i++)
		CHECK_EQ(ringo_blocking(short_job, &ran, NULL), 0);
	ADD(&finished, 1);
}

G_TEST(short_jobs_from_everywhere_are_all_done)
{
	for (int i = 0; i < 50; i++)
		OK(ringo_go(many_short, 100l));
	until(&finished, 50);
	CHECK_EQ(ran, 5000);
	return 0;
}

/* A job that has started is waited for: it may write to the goroutine's stack. */
G_TEST(a_deadline_does_not_leave_a_running_job_behind)
{
	int64_t start = now_ns();
	int res = 0;
	ringo_timeout_scope(100 * RINGO_MS);

	CHECK_EQ(ringo_blocking(block_ms, (void *)200, &res), 0);
	CHECK_EQ(res, 201);
	CHECK(now_ns() - start >= 200 * RINGO_MS);
	return 0;
}

static int refused, accepted;

static void job_with_deadline(int64_t ns)
{
	ringo_timeout_scope(ns);
	int res = 0, err = ringo_blocking(count_running, (void *)5, &res);

	if (err) {
		CHECK_EQ(err, -ETIMEDOUT);
		CHECK_EQ(res, 0);
		ADD(&refused, 1);
	} else {
		CHECK(res > 0);
		ADD(&accepted, 1);
	}
	ADD(&finished, 1);
}

/* What timed out has not run, and what has run did not time out. */
G_TEST(deadlines_of_queued_jobs_are_exact)
{
	for (int i = 0; i < 1000; i++)
		OK(ringo_go(job_with_deadline, (int64_t)(i % 60 * RINGO_MS)));
	until(&finished, 1000);
	CHECK_EQ(refused + accepted, 1000);
	CHECK_EQ(accepted, ran);
	CHECK(refused > 0 && accepted > 0);
	return 0;
}

static int use_stack(void *arg)
{
	volatile char deep[3 << 20];

	(void)arg;
	for (size_t i = 0; i < sizeof(deep); i += 4096)
		deep[i] = 1;
	return deep[4096];
}

/* Code that knows nothing of goroutines expects the stack that a thread has. */
G_TEST(a_job_has_an_ordinary_stack)
{
	int res = 0;

	CHECK_EQ(ringo_blocking(use_stack, NULL, &res), 0);
	CHECK_EQ(res, 1);
	return 0;
}

static int signal_mask(void *arg)
{
	sigset_t set;

	(void)arg;
	pthread_sigmask(SIG_SETMASK, NULL, &set);
	return sigismember(&set, SIGTERM) && sigismember(&set, SIGALRM);
}

G_TEST(signals_are_not_for_the_pools_threads)
{
	int res = 0;

	CHECK_EQ(ringo_blocking(signal_mask, NULL, &res), 0);
	CHECK_EQ(res, 1);
	return 0;
}

static int call_ringo(void *arg)
{
	struct ringo_chan *c = arg;
	int one = 1;
	char b;

	CHECK_EQ(ringo_read(0, &b, 1), -EPERM);
	CHECK_EQ(ringo_blocking(negative, NULL, NULL), -EPERM);
	CHECK_EQ(ringo_chan_try_send(c, &one), 0);
	return 0;
}

G_TEST(a_job_is_a_foreign_thread)
{
	struct ringo_chan *c = ringo_chan_new(sizeof(int), 1);
	int v = 0;

	CHECK_EQ(ringo_blocking(call_ringo, c, NULL), 0);
	CHECK_EQ(ringo_chan_try_recv(c, &v), 1);
	CHECK_EQ(v, 1);
	ringo_chan_unref(c);
	return 0;
}

static int leaves_jobs(void *arg)
{
	(void)arg;
	for (int i = 0; i < 100; i++)
		OK(ringo_go(one_job, 2l));
	OK(ringo_sleep(3 * RINGO_MS));
	return 0;
}

TEST(the_end_of_the_run_waits_for_running_jobs_only)
{
	int threads = 0;

	for (int i = 0; i < 5; i++) {
		int before, after;

		ASSERT_EQ(0, ringo_run(leaves_jobs, NULL));
		if (!i) {
			nap_ms(50);
			threads = count_threads();
		}
		before = LOAD(&ran);
		nap_ms(10);
		after = LOAD(&ran);
		ASSERT_EQ(before, after);
	}
	nap_ms(50); /* threads of the pool are detached: the last breath comes after the last word */
	ASSERT_EQ(threads, count_threads());
}

static void stuck_job(void)
{
	CHECK_EQ(ringo_blocking(block_ms, (void *)3000, NULL), 0);
}

static int leaves_stuck(void *arg)
{
	(void)arg;
	OK(ringo_go(stuck_job));
	OK(ringo_sleep(20 * RINGO_MS));
	return 0;
}

static void run_stuck(void)
{
	CHECK_EQ(ringo_run_opt(leaves_stuck, NULL, &RINGO_OPTIONS(.shutdown_ns = 50 * RINGO_MS)), 0);
	CHECK_EQ(ringo_run(leaves_stuck, NULL), -EBUSY);
}

TEST(a_job_that_does_not_end_makes_the_end_unclean)
{
	struct outcome o;

	in_child(&o, run_stuck);
	ASSERT_EQ(0, o.status);
	ASSERT_TRUE(said(&o, "blocking pool"));
}

TEST_HARNESS_MAIN
