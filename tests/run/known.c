// SPDX-License-Identifier: MIT
/* Faults that other runtimes have had, where no other test is about the same: see conformance.md. */
#include "core/rt.h"
#include "io_help.h"
#include "revoked.h"

/*
 * Go 44343: waits of milliseconds only, where there are shorter ones to wait for. A quarter of many tells: on a busy
 * machine some are late anyway, and a few in time because they were about to be too late.
 */
G_TEST(short_sleeps_are_not_rounded_up)
{
	enum { SLEEPS = 200 };
	int64_t took[SLEEPS];

	for (int i = 0; i < SLEEPS; i++) {
		int64_t start = ringo_now();

		CHECK_EQ(0, ringo_sleep(100 * RINGO_US));
		took[i] = ringo_now() - start;
	}
	qsort(took, SLEEPS, sizeof(took[0]), by_size);
	CHECK(took[0] >= 100 * RINGO_US);
	CHECK(took[SLEEPS / 4] < 800 * RINGO_US || RUNNING_ON_VALGRIND);
	return 0;
}

/* Go 38070: who changes a timer is preempted, and whoever comes next waits for its lock. */
static long fired;

static void fires(void *arg)
{
	ADD(&fired, 1);
}

static void moves_timers(void)
{
	struct ringo_timer mine[4];

	memset(mine, 0, sizeof(mine));
	for (int i = 0; !LOAD(&stop); i++) {
		struct ringo_timer *t = &mine[i % 4];

		switch (i / 4 % 3) {
		case 0:
			CHECK_EQ(0, ringo_timer_start(t, i % 300 * RINGO_US, fires, NULL));
			break;
		case 1:
			(void)ringo_timer_reset(t, i % 100 * RINGO_US);
			break;
		default:
			(void)ringo_timer_stop(t);
			break;
		}
		if (i % 16 == 0)
			hog_for_us(i % 96); /* a quantum is over before, in or after the next call */
		if (i % 500 == 0)
			ringo_yield();
	}
	for (int i = 0; i < 4; i++)
		(void)ringo_timer_stop_wait(&mine[i]);
	ringo_waitgroup_done(&all_done);
}

static int timers_move(void *arg)
{
	enum { MOVERS = 4 };
	int64_t until = now_ns() + 5 * RINGO_SEC; /* on a busy machine fewer must do */

	ringo_waitgroup_add(&all_done, MOVERS);
	start_ticker();
	for (int i = 0; i < MOVERS; i++)
		CHECK_EQ(0, ringo_go(moves_timers));
	while (revocations() < SCALE(100) && now_ns() < until)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK(LOAD(&ticks) > 0 && LOAD(&fired) > 0);
	stop_ticker();
	return 0;
}

TEST(timers_are_moved_by_those_who_lose_their_p)
{
	for (unsigned procs = 1; procs <= 4; procs *= 2) {
		use_procs(procs);
		quantum_us(50);
		ticks = fired = 0;
		EXPECT_EQ(0, run_main(timers_move));
	}
}

/*
 * Go PR 51651: with all Ps busy, who dials waits for sysmon to look for completions, 10 ms. Half of some tell.
 * Busy are Ps only with who has not computed for long.
 */
static void brief_hog(void)
{
	hog_for_us(30000);
	ringo_waitgroup_done(&all_done);
}

static void answers(int fd)
{
	for (;;) {
		int c = ringo_accept(fd, NULL, NULL);

		if (c < 0)
			break;
		OK(ringo_close(c));
	}
	ringo_waitgroup_done(&all_done);
}

static int64_t dial(const struct sockaddr_in *at)
{
	int64_t start = ringo_now();
	int fd = (int)OK(ringo_socket(AF_INET, SOCK_STREAM, 0));
	char c;

	OK(ringo_connect(fd, (const struct sockaddr *)at, sizeof(*at)));
	CHECK_EQ(0, ringo_read(fd, &c, 1)); /* the other end has run, too */
	OK(ringo_close(fd));
	return ringo_now() - start;
}

REVOKED_TEST(a_dial_is_soon_through_with_all_ps_busy, 2, 1000)
{
	enum { DIALS = 20 };
	struct sockaddr_in at;
	int fd = listener(&at);
	int64_t took[DIALS];

	ringo_waitgroup_add(&all_done, 1);
	CHECK_EQ(0, ringo_go(answers, fd));
	for (int i = 0; i < DIALS; i++) {
		ringo_waitgroup_add(&all_done, 2);
		CHECK_EQ(0, ringo_go(brief_hog));
		CHECK_EQ(0, ringo_go(brief_hog));
		took[i] = dial(&at);
		CHECK_EQ(0, ringo_sleep(40 * RINGO_MS));
	}
	qsort(took, DIALS, sizeof(took[0]), by_size);
	fprintf(stderr, "# %lld to %lld us, half of them %lld\n", (long long)took[0] / 1000,
		(long long)took[DIALS - 1] / 1000, (long long)took[DIALS / 2] / 1000);
	CHECK(took[DIALS / 2] < 20 * RINGO_MS); /* who has to wait for the hogs waits 30 */
	OK(ringo_shutdown(fd, SHUT_RDWR));
	ringo_waitgroup_wait(&all_done);
	OK(ringo_close(fd));
	return 0;
}

/* Go 33624, 43997: numbers of those who wait or look for work that do not come back to what they were. */
static int job(void *arg)
{
	return 0;
}

static void everything(int *fds)
{
	char c;

	{
		ringo_timeout_scope(RINGO_MS / 2);
		(void)!ringo_read(fds[0], &c, 1);
	}
	CHECK_EQ(0, ringo_sleep(200 * RINGO_US));
	CHECK_EQ(0, ringo_blocking(job, NULL, NULL));
	hog_for_us(300);
	CHECK_EQ(1, ringo_write(fds[1], "x", 1));
	ringo_yield();
	ringo_waitgroup_done(&all_done);
}

static bool all_quiet(void)
{
	uint32_t left = rg_load_relaxed(&rt.spinning) + (uint32_t)rg_load_relaxed(&rt.nglobal) + rg_lane_count();

	for (unsigned i = 0; i < rg_load_relaxed(&rt.np); i++)
		left += rg_load_relaxed(&rt.p[i]->ops);
	return !left;
}

REVOKED_TEST(counts_come_back_to_nothing, 2, 100)
{
	int fds[2], n = 0;

	CHECK_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	for (int round = 0; round < 10; round++) {
		ringo_waitgroup_add(&all_done, 20);
		for (int i = 0; i < 20; i++)
			CHECK_EQ(0, ringo_go(everything, fds));
		ringo_waitgroup_wait(&all_done);
	}
	/* The last ones are on their way; and others may be looking for work just now. */
	while (!all_quiet() && n++ < 2000)
		nap_ms(1);
	CHECK(n < 2000);
	close(fds[0]);
	close(fds[1]);
	return 0;
}

/* Tokio 4941, 6596: the one that was readied last stays behind with who computes, or is blocked, afterwards. */
static void marks(struct ringo_chan *c, bool *ran)
{
	CHECK_EQ(1, ringo_chan_recv(c, NULL));
	STORE(ran, true);
}

static void leaves_one_behind(bool blocked)
{
	struct ringo_chan *c = ringo_chan_new(0, 0);
	bool ran = false;

	CHECK_EQ(0, ringo_go(marks, c, &ran));
	while (ringo_chan_try_send(c, NULL) == -EAGAIN)
		ringo_yield(); /* it does not wait yet */
	while (!LOAD(&ran))
		if (blocked)
			nap_ms(1);
	ringo_chan_unref(c);
	ringo_waitgroup_done(&all_done);
}

static int left_behind(void *blocked)
{
	for (int i = 0; i < 100; i++) {
		ringo_waitgroup_add(&all_done, 1);
		CHECK_EQ(0, ringo_go(leaves_one_behind, (bool)blocked));
		ringo_waitgroup_wait(&all_done);
	}
	return 0;
}

TEST(who_was_readied_last_is_stolen_from_who_computes)
{
	use_procs(2);
	setenv("RINGO_PREEMPT", "off", 1);
	EXPECT_EQ(0, ringo_run(left_behind, NULL));
	EXPECT_EQ(0, ringo_run(left_behind, (void *)1));
}

TEST(who_was_readied_last_goes_with_the_p)
{
	use_procs(1);
	EXPECT_EQ(0, ringo_run(left_behind, NULL));
	EXPECT_EQ(0, ringo_run(left_behind, (void *)1));
}

TEST_HARNESS_MAIN
