// SPDX-License-Identifier: MIT
/* The end of a run: who does not resume, what is left behind (nothing), and what an unclean end means. */
#include "core/gate.h"
#include "help.h"
#include "ring/op.h"

static int resumed, started;

static void waits_on_channel(struct ringo_chan *c)
{
	int n;

	ADD(&started, 1);
	(void)!ringo_chan_recv(c, &n);
	ADD(&resumed, 1);
}

static void waits_in_sleep(int64_t ns)
{
	ADD(&started, 1);
	(void)!ringo_sleep(ns);
	ADD(&resumed, 1);
}

static void waits_for_mutex(struct ringo_mutex *mu)
{
	ADD(&started, 1);
	ringo_mutex_lock(mu);
	ADD(&resumed, 1);
}

static void spins_and_yields(void)
{
	ADD(&started, 1);
	for (;;)
		ringo_yield();
}

static int pipe_fd[2];

static void waits_in_read(char *buf)
{
	struct m *m = rg_enter();
	struct rg_op op = { .keep = false };

	ADD(&started, 1);
	io_uring_prep_read(&op.sqe, pipe_fd[0], buf, 1, 0);
	rg_op_run(m, &op);
	rg_leave(rg_m());
	ADD(&resumed, 1);
}

static char buffers[64];
static struct ringo_mutex mutex;

static int busy_main(void *arg)
{
	struct ringo_chan *c = ringo_chan_new(sizeof(int), 0);
	const int n = 5;

	STORE(&started, 0);
	memset(&mutex, 0, sizeof(mutex));
	ringo_mutex_lock(&mutex);
	for (int i = 0; i < n; i++) {
		CHECK_EQ(0, ringo_go(waits_on_channel, c));
		CHECK_EQ(0, ringo_go(waits_in_sleep, 100 * RINGO_SEC));
		CHECK_EQ(0, ringo_go(waits_for_mutex, &mutex));
		CHECK_EQ(0, ringo_go(spins_and_yields));
		CHECK_EQ(0, ringo_go(waits_in_read, &buffers[i]));
	}
	while (LOAD(&started) < 5 * n)
		ringo_yield();
	for (int i = 0; i < 5; i++)
		ringo_yield();
	*(struct ringo_chan **)arg = c;
	return 0;
}

TEST(waiting_goroutines_never_resume)
{
	struct ringo_chan *c = NULL;

	ASSERT_EQ(0, pipe(pipe_fd));
	EXPECT_EQ(0, ringo_run(busy_main, &c));
	EXPECT_EQ(0, resumed);
}

static int write_main(void *arg)
{
	CHECK_EQ(1, write(pipe_fd[1], "x", 1));
	CHECK_EQ(0, ringo_sleep(20 * RINGO_MS));
	return 0;
}

TEST(ring_operations_are_cancelled)
{
	struct ringo_chan *c = NULL;
	char ch = 0;

	ASSERT_EQ(0, pipe(pipe_fd));
	EXPECT_EQ(0, ringo_run(busy_main, &c));
	/* A read that still stood in a ring would eat this byte. */
	EXPECT_EQ(0, ringo_run(write_main, NULL));
	EXPECT_EQ(1, read(pipe_fd[0], &ch, 1));
	EXPECT_EQ('x', ch);
	for (size_t i = 0; i < sizeof(buffers); i++)
		EXPECT_EQ(0, buffers[i]);
}

/* A thread that was joined may still be listed for a moment. */
static int threads_settled(int want)
{
	for (int i = 0; i < 1000 && count_threads() != want; i++)
		nap_ms(1);
	return count_threads();
}

TEST(a_hundred_runs_leave_no_descriptor_thread_or_mapping)
{
	struct ringo_chan *c = NULL;
	int fds, maps, threads;

	ASSERT_EQ(0, pipe(pipe_fd));
	/* The first runs leave records of Ms, which are used again, and what libc keeps. */
	for (int i = 0; i < 5; i++)
		EXPECT_EQ(0, ringo_run(busy_main, &c));
	fds = count_fds();
	threads = count_threads();
	maps = count_maps();
	for (int i = 0; i < SCALE(100); i++)
		EXPECT_EQ(0, ringo_run(busy_main, &c));
	EXPECT_EQ(fds, count_fds());
	EXPECT_EQ(threads, threads_settled(threads));
	/* A run that makes more spare Ms than those before leaves more stacks in the cache of libc. */
	if (!SANITIZED)
		EXPECT_LT(count_maps(), maps + SCALE(100) / 2);
	EXPECT_EQ(0, resumed);
}

static int empty_main(void *arg)
{
	return 0;
}

TEST(a_run_that_does_nothing_leaves_nothing)
{
	int fds = count_fds(), threads = count_threads();

	EXPECT_EQ(0, ringo_run(empty_main, NULL));
	EXPECT_EQ(fds, count_fds());
	if (!SANITIZED) /* ThreadSanitizer has a thread of its own */
		EXPECT_EQ(threads, threads_settled(threads));
}

static int nested_main(void *arg)
{
	CHECK_EQ(-EBUSY, ringo_run(empty_main, NULL));
	return 5;
}

TEST(a_nested_run_is_refused)
{
	EXPECT_EQ(5, ringo_run(nested_main, NULL));
	EXPECT_EQ(5, ringo_run(nested_main, NULL));
}

static int go_on;

static int wait_for_go_main(void *arg)
{
	STORE(&started, 1);
	while (!LOAD(&go_on))
		(void)!ringo_sleep(RINGO_MS);
	return 0;
}

static void *run_in_thread(void *arg)
{
	CHECK_EQ(0, ringo_run(wait_for_go_main, NULL));
	return NULL;
}

TEST(a_second_run_from_another_thread_is_refused)
{
	pthread_t t;

	ASSERT_EQ(0, pthread_create(&t, NULL, run_in_thread, NULL));
	while (!LOAD(&started))
		nap_ms(1);
	EXPECT_EQ(-EBUSY, ringo_run(empty_main, NULL));
	STORE(&go_on, 1);
	pthread_join(t, NULL);
	EXPECT_EQ(0, ringo_run(empty_main, NULL));
}

static void hog_without_calls(void)
{
	STORE(&started, 1);
	while (!LOAD(&go_on))
		;
	(void)!ringo_sleep(0);
	ADD(&resumed, 1);
}

static int hog_main(void *arg)
{
	STORE(&started, 0);
	CHECK_EQ(0, ringo_go(hog_without_calls));
	while (!LOAD(&started))
		ringo_yield();
	return 9;
}

static void straggler_child(void)
{
	int result = 0;
	struct ringo_options o = RINGO_OPTIONS(.shutdown_ns = 200 * RINGO_MS, .result = &result);
	int64_t start = now_ns();

	use_procs(2);
	if (ringo_run_opt(hog_main, NULL, &o) || result != 9)
		_exit(2);
	if (now_ns() - start < 200 * RINGO_MS)
		_exit(3);
	if (ringo_run(empty_main, NULL) != -EBUSY)
		_exit(4);
	if (ringo_go(hog_without_calls) != -ESRCH)
		_exit(5);
	/* It ends at its next call; nothing can go on after this, but nothing breaks either. */
	STORE(&go_on, 1);
	nap_ms(50);
	if (LOAD(&resumed))
		_exit(6);
	if (ringo_run(empty_main, NULL) != -EBUSY)
		_exit(7);
}

TEST(a_straggler_is_named_and_makes_the_next_run_busy)
{
	struct outcome o;

	in_child(&o, straggler_child);
	EXPECT_EQ(0, o.status);
	EXPECT_TRUE(said(&o, "hog_without_calls"));
	EXPECT_TRUE(said(&o, "still in user code"));
}

static void slow_but_ends(void)
{
	int64_t end = now_ns() + 300 * RINGO_MS;

	STORE(&started, 1);
	while (now_ns() < end)
		;
	ringo_yield();
	ADD(&resumed, 1);
}

static int slow_main(void *arg)
{
	CHECK_EQ(0, ringo_go(slow_but_ends));
	while (!LOAD(&started))
		ringo_yield();
	return 0;
}

TEST(a_goroutine_in_user_code_ends_at_its_next_call_within_the_time)
{
	struct ringo_options o = RINGO_OPTIONS(.shutdown_ns = 20 * RINGO_SEC);
	int64_t start = now_ns();

	use_procs(2);
	EXPECT_EQ(0, ringo_run_opt(slow_main, NULL, &o));
	EXPECT_LT(now_ns() - start, 15 * RINGO_SEC);
	EXPECT_EQ(0, resumed);
	EXPECT_EQ(0, ringo_run(empty_main, NULL));
}

/* Threads that are no goroutines call while runs come and go. */
static int stop_calling;

static void ends_at_once(void)
{
}

static void *calls_all_the_time(void *arg)
{
	struct ringo_chan *c = ringo_chan_new(0, 1);
	int res;

	while (!LOAD(&stop_calling)) {
		res = ringo_go(ends_at_once);
		CHECK(!res || res == -ESRCH || res == -EAGAIN);
		res = ringo_chan_try_send(c, NULL);
		CHECK(!res || res == -ESRCH || res == -EAGAIN);
		CHECK(ringo_num_goroutines() >= 0);
	}
	ringo_chan_unref(c);
	return NULL;
}

static int short_main(void *arg)
{
	return ringo_sleep(RINGO_MS);
}

TEST(runs_come_and_go_while_other_threads_call)
{
	pthread_t t[2];

	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&t[i], NULL, calls_all_the_time, NULL));
	for (int i = 0; i < SCALE(150); i++)
		ASSERT_EQ(0, ringo_run(short_main, NULL));
	STORE(&stop_calling, 1);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	EXPECT_EQ(0, ringo_run(empty_main, NULL));
}

static void flaps(int seed)
{
	for (int n = seed;; n++) {
		int former = ringo_maxprocs(n % 7 + 1);

		CHECK_EQ(true, (former >= 1 && former <= 7) || former == -ESRCH ? true : former);
		ringo_yield();
	}
}

static int flap_main(void *arg)
{
	for (int i = 0; i < 3; i++)
		CHECK_EQ(0, ringo_go(flaps, i));
	return ringo_sleep((intptr_t)arg % 5 * RINGO_MS / 2);
}

TEST(a_run_may_end_while_the_number_of_Ps_changes)
{
	use_procs(4);
	for (intptr_t i = 0; i < SCALE(40); i++) {
		int64_t start = now_ns();

		ASSERT_EQ(0, ringo_run(flap_main, (void *)i));
		EXPECT_LT(now_ns() - start, 5 * RINGO_SEC);
	}
}

TEST_HARNESS_MAIN
