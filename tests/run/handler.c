// SPDX-License-Identifier: MIT
/* Signals and ringo: no call is async-signal-safe, and whoever tries inside is told. */
#include "help.h"

static void calls_ringo(int sig)
{
	(void)sig;
	ringo_yield();
	_exit(3);
}

static int send_from_nowhere_main(void *arg)
{
	struct ringo_chan *c = ringo_chan_new(64, 1);

	signal(SIGSEGV, calls_ringo);
	return ringo_chan_send(c, (void *)16); /* faults while the channel copies */
}

static void inside(void)
{
	ringo_run(send_from_nowhere_main, NULL);
}

TEST(a_call_from_a_handler_while_inside_ends_in_a_message)
{
	struct outcome o;

	if (SANITIZED)
		SKIP(return, "the sanitizer reports the fault itself; run the plain build");
	in_child(&o, inside);
	EXPECT_TRUE(aborted(&o));
	EXPECT_TRUE(said(&o, "async-signal-safe"));
}

static int caught;

static void counts(int sig)
{
	(void)sig;
	ADD(&caught, 1);
}

static int ended;

static void works(struct ringo_chan *c)
{
	for (int i = 0; i < SCALE(20000); i++) {
		CHECK_EQ(0, ringo_chan_send(c, &i));
		if (i % 64 == 0)
			CHECK_EQ(0, ringo_sleep(10 * RINGO_US));
	}
	ADD(&ended, 1);
}

static int flood_main(void *arg)
{
	struct ringo_chan *c = ringo_chan_new(sizeof(int), 4);
	int n;

	for (int i = 0; i < 4; i++)
		CHECK_EQ(0, ringo_go(works, c));
	for (int i = 0; i < 4 * SCALE(20000); i++)
		CHECK_EQ(1, ringo_chan_recv(c, &n));
	ringo_chan_unref(c);
	return 0;
}

TEST(a_flood_of_signals_does_no_harm)
{
	struct itimerspec every = { .it_interval.tv_nsec = 50000, .it_value.tv_nsec = 50000 };
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct sigaction sa = { .sa_handler = counts };
	timer_t timer;

	sigaction(SIGUSR1, &sa, NULL);
	ASSERT_EQ(0, timer_create(CLOCK_MONOTONIC, &ev, &timer));
	ASSERT_EQ(0, timer_settime(timer, 0, &every, NULL));
	EXPECT_EQ(0, ringo_run(flood_main, NULL));
	timer_delete(timer);
	EXPECT_GT(caught, 0);
}

static int masked_main(void *arg)
{
	sigset_t now;

	pthread_sigmask(SIG_SETMASK, NULL, &now);
	return sigismember(&now, SIGUSR2);
}

TEST(goroutines_have_the_signal_mask_of_who_started_the_run)
{
	sigset_t set;

	EXPECT_EQ(0, ringo_run(masked_main, NULL));
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	EXPECT_EQ(1, ringo_run(masked_main, NULL));
}

TEST_HARNESS_MAIN
