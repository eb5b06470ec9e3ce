// SPDX-License-Identifier: MIT
/* fork(2) with a runtime: the child is no part of it, the parent goes on. */
#include "help.h"

static int seen;

static void ticks(void)
{
	for (;;) {
		ADD(&seen, 1);
		(void)!ringo_sleep(RINGO_MS);
	}
}

static int seven_main(void *arg)
{
	CHECK_EQ(0, ringo_sleep(RINGO_MS));
	return 7;
}

static int wait_code(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Parent's side: still alive and well. */
static void goes_on(void)
{
	int before = LOAD(&seen);

	for (int i = 0; i < 5000 && LOAD(&seen) < before + 3; i++)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK(LOAD(&seen) >= before + 3);
}

static int is_none_main(void *arg)
{
	pid_t pid;

	CHECK_EQ(0, ringo_go(ticks));
	pid = fork();
	if (!pid) {
		struct ringo_chan *c = ringo_chan_new(0, 1);

		if (ringo_go(ticks) != -ESRCH || ringo_sleep(1) != -ESRCH ||
		    ringo_chan_send(c, NULL) != -ESRCH || ringo_num_goroutines())
			_exit(1);
		ringo_yield();
		ringo_checkpoint();
		_exit(23);
	}
	CHECK_EQ(23, wait_code(pid));
	goes_on();
	return 0;
}

TEST(the_child_of_a_goroutine_has_no_runtime)
{
	EXPECT_EQ(0, ringo_run(is_none_main, NULL));
}

static int own_run_main(void *arg)
{
	pid_t pid;

	CHECK_EQ(0, ringo_go(ticks));
	CHECK_EQ(0, ringo_sleep(5 * RINGO_MS));
	pid = fork();
	if (!pid) {
		int first = ringo_run(seven_main, NULL);

		_exit(first == 7 ? ringo_run(seven_main, NULL) : 100 - first);
	}
	CHECK_EQ(7, wait_code(pid));
	goes_on();
	return 0;
}

TEST(the_child_may_run_its_own)
{
	RUNS_IN_CHILD();
	EXPECT_EQ(0, ringo_run(own_run_main, NULL));
}

TEST(the_child_may_run_its_own_after_runs_of_the_parent)
{
	pid_t pid;

	RUNS_IN_CHILD();
	EXPECT_EQ(7, ringo_run(seven_main, NULL));
	pid = fork();
	if (!pid)
		_exit(ringo_run(seven_main, NULL));
	EXPECT_EQ(7, wait_code(pid));
	EXPECT_EQ(7, ringo_run(seven_main, NULL));
}

static void forks(pid_t *pid)
{
	*pid = fork();
	if (*pid)
		ADD(&seen, 1);
}

static int returns_main(void *arg)
{
	pid_t pid = 0;

	CHECK_EQ(0, ringo_go(forks, &pid));
	while (!LOAD(&seen))
		ringo_yield();
	CHECK_EQ(0, wait_code(pid));
	CHECK_EQ(0, ringo_go(ticks));
	goes_on();
	return 0;
}

TEST(when_the_goroutine_of_the_child_returns_the_child_ends)
{
	EXPECT_EQ(0, ringo_run(returns_main, NULL));
}

static pid_t main_child;

static int main_forks_main(void *arg)
{
	main_child = fork();
	return main_child ? 0 : 31;
}

TEST(when_main_returns_in_the_child_its_value_is_the_exit_status)
{
	EXPECT_EQ(0, ringo_run(main_forks_main, NULL));
	EXPECT_EQ(31, wait_code(main_child));
}

static int wait_stop_main(void *arg)
{
	CHECK_EQ(0, ringo_go(ticks));
	while (!LOAD((int *)arg))
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	goes_on();
	return 0;
}

static void *run_thread(void *arg)
{
	CHECK_EQ(0, ringo_run(wait_stop_main, arg));
	return NULL;
}

TEST(a_thread_outside_may_fork)
{
	int stop = 0;
	pthread_t t;

	ASSERT_EQ(0, pthread_create(&t, NULL, run_thread, &stop));
	while (LOAD(&seen) < 3)
		nap_ms(1);
	for (int i = 0; i < 5; i++) {
		pid_t pid = fork();

		if (!pid)
			_exit(ringo_go(ticks) == -ESRCH ? 5 : 6);
		EXPECT_EQ(5, wait_code(pid));
	}
	STORE(&stop, 1);
	pthread_join(t, NULL);
}

static int handled;

static void on_segv(int sig)
{
	(void)sig;
	_exit(handled ? 66 : 55);
}

static int segv_main(void *arg)
{
	kill(getpid(), SIGSEGV); /* a fault of its own would be a panic */
	nap_ms(20000);
	return 0;
}

static int handler_main(void *arg)
{
	pid_t pid = fork();

	if (!pid)
		_exit(ringo_run(segv_main, NULL) & 63);
	CHECK_EQ(55, wait_code(pid));
	return 0;
}

TEST(signals_in_the_run_of_a_child_reach_the_handler_of_the_program)
{
	RUNS_IN_CHILD();
	signal(SIGSEGV, on_segv);
	EXPECT_EQ(0, ringo_run(handler_main, NULL));
}

static int inherits_main(void *arg)
{
	int before = count_fds();
	pid_t pid = fork();

	if (!pid) /* rings and wake-up descriptors are not the child's */
		_exit(count_fds() < before ? 9 : 10);
	CHECK_EQ(9, wait_code(pid));
	return 0;
}

TEST(the_child_does_not_keep_the_rings)
{
	EXPECT_EQ(0, ringo_run(inherits_main, NULL));
}

TEST_HARNESS_MAIN
