// SPDX-License-Identifier: MIT
/* All goroutines are asleep: it is said, with status 2, soon, and naming everybody. */
#include "deadlock_help.h"

TEST_F(deadlock, a_main_that_waits_for_ever_ends_the_program)
{
	ASSERT_TRUE(dies(simple, DEADLOCK));
	EXPECT_TRUE(said(&out, "NULL chan"));
	EXPECT_TRUE(said(&out, "goroutine 1.1"));
}

TEST_F(deadlock, it_is_said_within_milliseconds)
{
	int64_t best = INT64_MAX;

	for (int i = 0; i < 5; i++) {
		ASSERT_TRUE(dies(simple, DEADLOCK));
		if (ended - *asleep < best)
			best = ended - *asleep;
	}
	EXPECT_LT(best, (SANITIZED ? 1000 : 250) * RINGO_MS);
}

static void named_waiter(void *arg)
{
	(void)!ringo_chan_recv(chan, NULL);
}

static int many(void *arg)
{
	const struct ringo_go_options o = RINGO_GO_OPTIONS(.name = "somebody");

	chan = ringo_chan_new(0, 0);
	CHECK_EQ(0, ringo_go_opt(&o, named_waiter, NULL));
	for (int i = 0; i < 20; i++)
		CHECK_EQ(0, ringo_go(wait_for_ever));
	CHECK_EQ(0, ringo_sleep(5 * RINGO_MS));
	return ringo_chan_send(NULL, NULL);
}

TEST_F(deadlock, every_goroutine_is_named)
{
	const char *at = out.err;
	int n = 0;

	ASSERT_TRUE(dies(many, DEADLOCK));
	while ((at = strstr(at, "\ngoroutine "))) { /* the first stands behind the headline */
		at++;
		n++;
	}
	EXPECT_EQ(22, n);
	EXPECT_TRUE(said(&out, "somebody"));
	EXPECT_TRUE(said(&out, "chan receive"));
	EXPECT_TRUE(said(&out, "wait_for_ever"));
	EXPECT_TRUE(said(&out, "many"));
}

static struct ringo_waitgroup group;

static int forgotten_done(void *arg)
{
	ringo_waitgroup_add(&group, 1);
	ringo_waitgroup_wait(&group);
	return 0;
}

TEST_F(deadlock, a_waitgroup_that_nobody_finishes)
{
	ASSERT_TRUE(dies(forgotten_done, DEADLOCK));
	EXPECT_TRUE(said(&out, "waitgroup"));
}

static struct ringo_mutex m1, m2;

static int self_lock(void *arg)
{
	ringo_mutex_lock(&m1);
	ringo_mutex_lock(&m1);
	return 0;
}

TEST_F(deadlock, a_mutex_locked_twice)
{
	ASSERT_TRUE(dies(self_lock, DEADLOCK));
	EXPECT_TRUE(said(&out, "goroutine 1.1 waits for the mutex"));
	EXPECT_TRUE(said(&out, "which it holds itself"));
}

static void lock_both(struct ringo_mutex *first, struct ringo_mutex *second)
{
	ringo_mutex_lock(first);
	CHECK_EQ(0, ringo_sleep(2 * RINGO_MS));
	ringo_mutex_lock(second);
}

static void lock_one(struct ringo_mutex *m)
{
	CHECK_EQ(0, ringo_sleep(2 * RINGO_MS));
	ringo_mutex_lock(m);
}

static int cross(void *arg)
{
	CHECK_EQ(0, ringo_go(lock_both, &m2, &m1));
	CHECK_EQ(0, ringo_go(lock_one, &m1)); /* waits for the circle, but is not in it */
	lock_both(&m1, &m2);
	return 0;
}

TEST_F(deadlock, two_mutexes_taken_in_turn)
{
	const char *line;

	ASSERT_TRUE(dies(cross, DEADLOCK));
	ASSERT_TRUE(said(&out, "wait for each other in a circle:\n\tgoroutine 1.1 waits for the mutex "));
	line = strchr(strstr(out.err, "circle:\n") + 8, '\n') + 1;
	EXPECT_EQ(0, strncmp(line, "\tgoroutine ", 11));
	EXPECT_TRUE(said(&out, ", which goroutine 1.1 holds\n\n"));
	EXPECT_EQ(NULL, strstr(strstr(out.err, "circle") + 1, "circle"));
}

static struct ringo_rwmutex rw;

static void writes(void)
{
	ringo_rwmutex_lock(&rw);
	CHECK_EQ(0, ringo_sleep(2 * RINGO_MS));
	ringo_mutex_lock(&m1);
}

static int rw_cross(void *arg)
{
	CHECK_EQ(0, ringo_go(writes));
	ringo_mutex_lock(&m1);
	CHECK_EQ(0, ringo_sleep(2 * RINGO_MS));
	ringo_rwmutex_rdlock(&rw);
	return 0;
}

TEST_F(deadlock, a_mutex_and_a_rwmutex_taken_in_turn)
{
	ASSERT_TRUE(dies(rw_cross, DEADLOCK));
	EXPECT_TRUE(said(&out, "in a circle"));
	EXPECT_TRUE(said(&out, "waits for the rwmutex read"));
}

static void crowd(void)
{
	(void)!ringo_chan_recv(NULL, NULL);
}

static int crowded(void *arg)
{
	for (int i = 0; i < 3000; i++)
		CHECK_EQ(0, ringo_go(crowd));
	return ringo_chan_recv(NULL, NULL);
}

TEST_F(deadlock, many_are_counted_together)
{
	ASSERT_TRUE(dies(crowded, DEADLOCK));
	EXPECT_TRUE(said(&out, "3000 @"));
	EXPECT_TRUE(said(&out, "crowd"));
	EXPECT_LT(strlen(out.err), 8000);
}

/* After much work everywhere: queues, timers, operations and jobs leave nothing behind that keeps us alive. */
static int nothing(void *arg)
{
	return 0;
}

static void busy(struct ringo_waitgroup *w)
{
	char byte = 0;

	for (int i = 0; i < 10; i++) {
		int res = -1;

		CHECK_EQ(0, ringo_sleep(10 * RINGO_US));
		CHECK_EQ(1, ringo_write(pipe_fd[1], &byte, 1));
		CHECK_EQ(1, ringo_read(pipe_fd[0], &byte, 1));
		CHECK_EQ(0, ringo_blocking(nothing, NULL, &res));
		{
			ringo_timeout_scope(3600 * RINGO_SEC);
			CHECK_EQ(1, ringo_write(pipe_fd[1], &byte, 1));
			CHECK_EQ(1, ringo_read(pipe_fd[0], &byte, 1));
		}
		ringo_yield();
	}
	ringo_waitgroup_done(w);
}

static int after_work(void *arg)
{
	CHECK_EQ(0, pipe(pipe_fd));
	ringo_waitgroup_add(&group, 20);
	for (int i = 0; i < 20; i++)
		CHECK_EQ(0, ringo_go(busy, &group));
	ringo_waitgroup_wait(&group);
	STORE(asleep, now_ns());
	return ringo_chan_send(NULL, NULL);
}

TEST_F(deadlock, after_timers_operations_and_jobs)
{
	ASSERT_TRUE(dies(after_work, DEADLOCK));
	/* Entries of deadlines in an hour are still in the heaps. */
	EXPECT_LT(ended - *asleep, (SANITIZED ? 2000 : 500) * RINGO_MS);
}

/* Daemons. */
static void ticks(void *arg)
{
	for (;;)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
}

static void reads(void *arg)
{
	char byte;

	(void)!ringo_read(pipe_fd[0], &byte, 1);
}

static int sleeps_for_ever(void *arg)
{
	for (;;)
		nap_ms(1000);
	return 0;
}

static void blocks(void *arg)
{
	(void)!ringo_blocking(sleeps_for_ever, NULL, NULL);
}

static int daemons(void *arg)
{
	const struct ringo_go_options o = RINGO_GO_OPTIONS(.flags = RINGO_GO_DAEMON);

	CHECK_EQ(0, pipe(pipe_fd));
	CHECK_EQ(0, ringo_go_opt(&o, ticks, NULL));
	CHECK_EQ(0, ringo_go_opt(&o, reads, NULL));
	CHECK_EQ(0, ringo_go_opt(&o, blocks, NULL));
	CHECK_EQ(0, ringo_sleep(5 * RINGO_MS));
	STORE(asleep, now_ns());
	return ringo_chan_send(NULL, NULL);
}

TEST_F(deadlock, daemons_keep_nothing_alive)
{
	ASSERT_TRUE(dies(daemons, DEADLOCK));
	EXPECT_EQ(NULL, strstr(out.err, "ticks"));
	EXPECT_LT(ended - *asleep, (SANITIZED ? 2000 : 500) * RINGO_MS);
}

static int fewer_procs(void *arg)
{
	int n = ringo_maxprocs(0);

	CHECK_EQ(n, ringo_maxprocs(4));
	for (int i = 0; i < 100; i++)
		CHECK_EQ(0, ringo_go(ends));
	CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK_EQ(4, ringo_maxprocs(1));
	CHECK_EQ(0, ringo_sleep(RINGO_MS));
	return ringo_chan_send(NULL, NULL);
}

TEST_F(deadlock, after_the_number_of_Ps_has_changed)
{
	ASSERT_TRUE(dies(fewer_procs, DEADLOCK));
}

/* A signal channel keeps alive who waits on it, and nobody else (Go's #12734: the detector is off then). */
static int other_waits(void *arg)
{
	chan = ringo_chan_new(sizeof(int), 1);
	CHECK_EQ(0, ringo_signal_notify(chan, SIGTERM));
	return ringo_chan_recv(NULL, NULL);
}

TEST_F(deadlock, a_signal_that_nobody_waits_for)
{
	ASSERT_TRUE(dies(other_waits, DEADLOCK));
}

static int stopped_signal(void *arg)
{
	chan = ringo_chan_new(sizeof(int), 1);
	CHECK_EQ(0, ringo_signal_notify(chan, SIGTERM));
	CHECK_EQ(0, ringo_signal_stop(chan, SIGTERM));
	return ringo_chan_recv(chan, NULL);
}

TEST_F(deadlock, a_signal_that_is_not_asked_for_any_more)
{
	ASSERT_TRUE(dies(stopped_signal, DEADLOCK));
}

/* A second run finds nothing of the first one. */
static int quick(void *arg)
{
	chan = ringo_chan_new(sizeof(int), 1);
	CHECK_EQ(0, ringo_signal_notify(chan, SIGTERM));
	CHECK_EQ(0, ringo_go(wait_for_ever));
	CHECK_EQ(0, ringo_blocking(nothing, NULL, NULL));
	return 0;
}

static void two_runs(void)
{
	use_procs(procs);
	CHECK_EQ(0, ringo_run(quick, NULL));
	CHECK_EQ(0, ringo_run(quick, NULL));
	_exit(ringo_run(simple, NULL));
}

TEST_F(deadlock, in_a_later_run)
{
	in_child(&out, two_runs);
	EXPECT_TRUE(WIFEXITED(out.status) && WEXITSTATUS(out.status) == 2);
	EXPECT_TRUE(said(&out, DEADLOCK));
}

/* In a forked child. */
static int forks(void *arg)
{
	pid_t pid = fork();
	int status = 0;

	if (!pid)
		_exit(ringo_run(simple, NULL));
	CHECK_EQ(pid, ringo_waitpid(pid, &status, 0));
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 2);
	return 7;
}

TEST_F(deadlock, in_a_forked_child)
{
	RUNS_IN_CHILD_OF_BUSY_PARENT();
	scenario = forks;
	in_child(&out, run_it);
	EXPECT_TRUE(WIFEXITED(out.status) && WEXITSTATUS(out.status) == 7);
	EXPECT_TRUE(said(&out, DEADLOCK));
}

TEST_HARNESS_MAIN
