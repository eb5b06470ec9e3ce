// SPDX-License-Identifier: MIT
/* Signals as elements of channels. */
#include "io_help.h"

static struct ringo_chan *of_int(size_t cap)
{
	struct ringo_chan *c = ringo_chan_new(sizeof(int), cap);

	CHECK(c);
	return c;
}

static int next(struct ringo_chan *c)
{
	int signo = 0;

	ringo_timeout_scope(5 * RINGO_SEC);
	CHECK_EQ(ringo_chan_recv(c, &signo), 1);
	return signo;
}

static bool nothing_comes(struct ringo_chan *c)
{
	int signo;

	ringo_timeout_scope(20 * RINGO_MS);
	return ringo_chan_recv(c, &signo) == -ETIMEDOUT;
}

/* ThreadSanitizer keeps a signal back until the thread that got it calls something it knows. */
static void raise_here(int signo)
{
#ifdef RG_TSAN
	CHECK(!raise(signo));
#else
	CHECK(!kill(getpid(), signo));
#endif
}

static bool default_again(int signo)
{
	struct sigaction sa;

	return !sigaction(signo, NULL, &sa) && sa.sa_handler == SIG_DFL;
}

G_TEST(arrivals_come_through_the_channel)
{
	struct ringo_chan *c = of_int(8);

	CHECK_EQ(ringo_signal_notify(c, SIGUSR1), 0);
	CHECK_EQ(ringo_signal_notify(c, SIGTERM), 0);
	CHECK_EQ(ringo_signal_notify(c, SIGRTMIN), 0);
	for (int i = 0; i < 10; i++) {
		raise_here(SIGUSR1);
		CHECK_EQ(next(c), SIGUSR1);
		raise_here(SIGTERM);
		CHECK_EQ(next(c), SIGTERM);
		raise_here(SIGRTMIN);
		CHECK_EQ(next(c), SIGRTMIN);
	}
	CHECK(nothing_comes(c));
	ringo_chan_unref(c);
	return 0;
}

G_TEST(each_channel_that_asked_gets_it_once)
{
	struct ringo_chan *a = of_int(8), *b = of_int(8), *other = of_int(8);

	CHECK_EQ(ringo_signal_notify(a, SIGUSR1), 0);
	CHECK_EQ(ringo_signal_notify(b, SIGUSR1), 0);
	CHECK_EQ(ringo_signal_notify(b, SIGUSR1), 0);
	CHECK_EQ(ringo_signal_notify(other, SIGUSR2), 0);
	raise_here(SIGUSR1);
	CHECK_EQ(next(a), SIGUSR1);
	CHECK_EQ(next(b), SIGUSR1);
	CHECK(nothing_comes(a) && nothing_comes(b) && nothing_comes(other));
	CHECK_EQ(ringo_signal_stop(a, SIGUSR1), 0);
	raise_here(SIGUSR1);
	CHECK_EQ(next(b), SIGUSR1);
	CHECK(nothing_comes(a));
	return 0;
}

static int handled;

static void my_handler(int signo)
{
	(void)signo;
	ADD(&handled, 1);
}

G_TEST(the_last_stop_restores_the_former_handler)
{
	struct sigaction sa = { .sa_handler = my_handler, .sa_flags = SA_ONSTACK };
	struct ringo_chan *a = of_int(8), *b = of_int(8);

	CHECK(!sigaction(SIGUSR1, &sa, NULL));
	CHECK_EQ(ringo_signal_notify(a, SIGUSR1), 0);
	CHECK_EQ(ringo_signal_notify(b, SIGUSR1), 0);
	CHECK_EQ(ringo_signal_stop(a, SIGUSR1), 0);
	raise_here(SIGUSR1);
	CHECK_EQ(next(b), SIGUSR1);
	CHECK_EQ(LOAD(&handled), 0);
	CHECK_EQ(ringo_signal_stop(b, SIGUSR1), 0);
	raise_here(SIGUSR1);
	until(&handled, 1);
	CHECK(nothing_comes(a) && nothing_comes(b));
	CHECK_EQ(ringo_signal_stop(b, SIGUSR1), -ENOENT);
	/* And on again. */
	CHECK_EQ(ringo_signal_notify(b, SIGUSR1), 0);
	raise_here(SIGUSR1);
	CHECK_EQ(next(b), SIGUSR1);
	CHECK_EQ(LOAD(&handled), 1);
	/* One that the program has set since stays. */
	CHECK(!sigaction(SIGUSR1, &sa, NULL));
	CHECK(!signal(SIGUSR2, SIG_IGN));
	CHECK_EQ(ringo_signal_notify(b, SIGUSR2), 0);
	CHECK(!sigaction(SIGUSR2, &sa, NULL));
	CHECK_EQ(ringo_signal_stop(b, SIGUSR1), 0);
	CHECK_EQ(ringo_signal_stop(b, SIGUSR2), 0);
	raise_here(SIGUSR1);
	until(&handled, 2);
	raise_here(SIGUSR2);
	until(&handled, 3);
	return 0;
}

G_TEST(what_cannot_be_is_refused)
{
	static const int never[] = { SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, 0, -1, 65, 1000,
				     32, 33 };
	struct ringo_chan *c = of_int(1), *wide = ringo_chan_new(8, 1), *none = ringo_chan_new(0, 1);

	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		CHECK_EQ(ringo_signal_notify(c, never[i]), -EINVAL);
	CHECK_EQ(ringo_signal_notify(wide, SIGUSR1), -EINVAL);
	CHECK_EQ(ringo_signal_notify(none, SIGUSR1), -EINVAL);
	CHECK_EQ(ringo_signal_notify(NULL, SIGUSR1), -EINVAL);
	CHECK_EQ(ringo_signal_stop(NULL, SIGUSR1), -EINVAL);
	CHECK_EQ(ringo_signal_stop(c, SIGUSR1), -ENOENT);
	CHECK(default_again(SIGUSR1));
	return 0;
}

G_TEST(a_full_or_closed_channel_loses_them_quietly)
{
	struct ringo_chan *c = of_int(1), *closed = of_int(1);

	CHECK_EQ(ringo_signal_notify(c, SIGUSR1), 0);
	CHECK_EQ(ringo_signal_notify(closed, SIGUSR1), 0);
	CHECK_EQ(ringo_chan_close(closed), 0);
	for (int i = 0; i < 5; i++) {
		raise_here(SIGUSR1);
		OK(ringo_sleep(20 * RINGO_MS));
	}
	CHECK_EQ(next(c), SIGUSR1);
	CHECK(nothing_comes(c));
	return 0;
}

static int received;

static void receive(struct ringo_chan *c)
{
	int signo;

	while (ringo_chan_recv(c, &signo) == 1 && signo == SIGUSR1)
		ADD(&received, 1);
}

static bool within(int *p, int n, int ms)
{
	while (LOAD(p) < n && ms--)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	return LOAD(p) >= n;
}

/* A channel without a buffer has room when somebody waits there. */
G_TEST(a_waiting_receiver_is_woken)
{
	struct ringo_chan *c = of_int(0);

	CHECK_EQ(ringo_signal_notify(c, SIGUSR1), 0);
	OK(ringo_go(receive, c));
	for (int i = 1; i <= 20; i++) {
		/* On a busy machine it may not wait again yet: then the signal is dropped. */
		do {
			OK(ringo_sleep(RINGO_MS));
			raise_here(SIGUSR1);
		} while (!within(&received, i, 200));
	}
	return 0;
}

/* The daemon does not inherit the deadline of whoever asked first. */
G_TEST(the_deadline_of_the_first_caller_means_nothing)
{
	struct ringo_chan *c = of_int(8);

	{
		ringo_timeout_scope(RINGO_MS);
		CHECK_EQ(ringo_signal_notify(c, SIGUSR1), 0);
	}
	OK(ringo_sleep(10 * RINGO_MS));
	raise_here(SIGUSR1);
	CHECK_EQ(next(c), SIGUSR1);
	return 0;
}

static struct ringo_chan *shared;
static int thread_done;

static void *ask_from_thread(void *arg)
{
	(void)arg;
	CHECK_EQ(ringo_signal_notify(shared, SIGUSR1), 0);
	CHECK_EQ(ringo_signal_notify(shared, SIGUSR2), 0);
	CHECK_EQ(ringo_signal_stop(shared, SIGUSR2), 0);
	STORE(&thread_done, 1);
	return NULL;
}

G_TEST(any_thread_may_ask)
{
	pthread_t t;

	shared = of_int(8);
	CHECK(!pthread_create(&t, NULL, ask_from_thread, NULL));
	until(&thread_done, 1);
	pthread_join(t, NULL);
	raise_here(SIGUSR1);
	CHECK_EQ(next(shared), SIGUSR1);
	CHECK(default_again(SIGUSR2));
	return 0;
}

static int asks_and_ends(void *arg)
{
	(void)arg;
	CHECK_EQ(ringo_signal_notify(shared, SIGUSR1), 0);
	CHECK_EQ(ringo_signal_notify(shared, SIGUSR1), 0);
	CHECK_EQ(ringo_signal_notify(shared, SIGPIPE), 0);
	ringo_ctx_unref(ringo_ctx_with_signal(NULL, SIGUSR2)); /* it is still waited for at the end */
	raise_here(SIGUSR1);
	CHECK_EQ(next(shared), SIGUSR1);
	return 0;
}

TEST(the_end_of_the_run_undoes_all)
{
	int before, after;

	shared = ringo_chan_new(sizeof(int), 8);
	before = count_fds();
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, ringo_run(asks_and_ends, NULL));
		ASSERT_TRUE(default_again(SIGUSR1));
		ASSERT_TRUE(default_again(SIGUSR2));
		ASSERT_TRUE(default_again(SIGPIPE));
	}
	after = count_fds();
	ASSERT_EQ(before, after);
	ASSERT_EQ(-ESRCH, ringo_signal_notify(shared, SIGUSR1));
	ASSERT_EQ(-ESRCH, ringo_signal_stop(shared, SIGUSR1));
	ringo_chan_unref(shared); /* the last one, if the run has dropped its own */
	shared = NULL;
	ASSERT_EQ(0, LEAKS());
}

/* Whether the kernel raises it depends on the thread that does the write. */
static int sigpipe_both(void *arg)
{
	struct ringo_chan *c = of_int(8);
	int p[2];

	(void)arg;
	OK(ringo_pipe(p));
	CHECK_EQ(ringo_close(p[0]), 0);
	CHECK_EQ(ringo_signal_notify(c, SIGPIPE), 0);
	raise_here(SIGPIPE);
	CHECK_EQ(next(c), SIGPIPE);
	CHECK_EQ(ringo_write(p[1], "x", 1), -EPIPE);
	OK(ringo_sleep(5 * RINGO_MS));
	CHECK_EQ(ringo_signal_stop(c, SIGPIPE), 0);
	CHECK(default_again(SIGPIPE));
	return 0;
}

TEST(sigpipe_can_be_asked_for)
{
	ASSERT_EQ(0, ringo_run(sigpipe_both, NULL));
	ASSERT_TRUE(default_again(SIGPIPE));
}

/* In a forked child signals do what they did, and tell the parent nothing. */
G_TEST(a_forked_child_has_the_former_handlers)
{
	struct ringo_chan *c = of_int(8);
	int status;
	pid_t pid;

	CHECK_EQ(ringo_signal_notify(c, SIGUSR1), 0);
	pid = fork();
	if (!pid) {
		if (!default_again(SIGUSR1))
			_exit(1);
		kill(getpid(), SIGUSR1);
		_exit(2);
	}
	CHECK_EQ(ringo_waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status));
	CHECK_EQ(WTERMSIG(status), SIGUSR1);
	CHECK(nothing_comes(c));
	raise_here(SIGUSR1);
	CHECK_EQ(next(c), SIGUSR1);
	return 0;
}

static int storm_over, stormed;

static void *storm(void *arg)
{
	(void)arg;
	while (!LOAD(&storm_over)) {
		raise_here(SIGUSR1);
		ADD(&stormed, 1);
	}
	return NULL;
}

static int under_storm(void *arg)
{
	struct ringo_chan *c = of_int(100), *d = of_int(1);

	(void)arg;
	for (int i = 0; i < 100; i++) {
		CHECK_EQ(ringo_signal_notify(c, SIGUSR1), 0);
		CHECK_EQ(next(c), SIGUSR1);
		CHECK_EQ(ringo_signal_notify(d, SIGUSR1), 0);
		CHECK_EQ(ringo_signal_stop(c, SIGUSR1), 0);
		CHECK_EQ(next(d), SIGUSR1);
		CHECK_EQ(ringo_signal_stop(d, SIGUSR1), 0);
	}
	CHECK_EQ(ringo_signal_notify(c, SIGUSR1), 0);
	return 0;
}

TEST(a_storm_of_signals_through_changes_and_ends)
{
	pthread_t t;

	signal(SIGUSR1, SIG_IGN);
	ASSERT_EQ(0, pthread_create(&t, NULL, storm, NULL));
	for (int i = 0; i < 10; i++)
		ASSERT_EQ(0, ringo_run(under_storm, NULL));
	STORE(&storm_over, 1);
	pthread_join(t, NULL);
}

TEST_HARNESS_MAIN
