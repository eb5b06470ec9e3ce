// SPDX-License-Identifier: MIT
/* The number of Ps, changed while there is work. */
#include <fcntl.h>
#include <ringo/dump.h>
#include <ringo/stats.h>

#include "help.h"

static int stop, seen, ended;

static int answers_main(void *arg)
{
	CHECK_EQ(2, ringo_maxprocs(0));
	CHECK_EQ(2, ringo_maxprocs(5));
	CHECK_EQ(5, ringo_maxprocs(1));
	CHECK_EQ(1, ringo_maxprocs(0));
	CHECK_EQ(1, ringo_maxprocs(3));
	CHECK_EQ(-EINVAL, ringo_maxprocs(-1));
	CHECK_EQ(-EINVAL, ringo_maxprocs(1025));
	CHECK_EQ(-EINVAL, ringo_maxprocs(INT_MIN));
	CHECK_EQ(3, ringo_maxprocs(0));
	return 0;
}

TEST(returns_the_former_number)
{
	use_procs(2);
	EXPECT_EQ(0, ringo_run(answers_main, NULL));
}

static void yields(void)
{
	while (!LOAD(&stop)) {
		ADD(&seen, 1);
		ringo_yield();
	}
	ADD(&ended, 1);
}

static void sleeps(void)
{
	while (!LOAD(&stop)) {
		int64_t start = now_ns();

		CHECK_EQ(0, ringo_sleep(100 * RINGO_US));
		CHECK(now_ns() - start >= 100 * RINGO_US);
		ADD(&seen, 1);
	}
	ADD(&ended, 1);
}

static int64_t sum_sent, sum_received;

static void sends(struct ringo_chan *c)
{
	for (int64_t i = 0; !LOAD(&stop); i++) {
		CHECK_EQ(0, ringo_chan_send(c, &i));
		ADD(&sum_sent, i);
	}
	ADD(&ended, 1);
}

static void receives(struct ringo_chan *c)
{
	int64_t v;

	while (ringo_chan_recv(c, &v) == 1)
		ADD(&sum_received, v);
	ADD(&ended, 1);
}

static void spawned(void)
{
	ADD(&seen, 1);
}

static void spawns(void)
{
	while (!LOAD(&stop)) {
		for (int i = 0; i < 20; i++)
			CHECK_EQ(0, ringo_go(spawned));
		ringo_yield();
	}
	ADD(&ended, 1);
}

static int load_main(void *arg)
{
	const int each = 5;
	struct ringo_chan *c = ringo_chan_new(sizeof(int64_t), 2);
	uint64_t rand = 99;

	for (int i = 0; i < each; i++) {
		CHECK_EQ(0, ringo_go(yields));
		CHECK_EQ(0, ringo_go(sleeps));
		CHECK_EQ(0, ringo_go(sends, c));
		CHECK_EQ(0, ringo_go(receives, c));
		CHECK_EQ(0, ringo_go(spawns));
	}
	for (int i = 0; i < 100; i++) {
		CHECK(ringo_maxprocs((int)(rg_rand(&rand) % 8) + 1) > 0);
		CHECK_EQ(0, ringo_sleep(2 * RINGO_MS));
	}
	STORE(&stop, 1);
	while (LOAD(&ended) < 4 * each)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK_EQ(0, ringo_chan_close(c));
	while (LOAD(&ended) < 5 * each)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK_EQ(sum_sent, sum_received);
	while (ringo_num_goroutines() > 1)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	ringo_chan_unref(c);
	return 0;
}

TEST(nothing_is_lost_while_it_changes_under_load)
{
	EXPECT_EQ(0, ringo_run(load_main, NULL));
}

/* Two that need each other to run at once: only with two Ps does that end. */
static void meets(int other)
{
	ADD(&seen, 1);
	while (LOAD(&seen) < 2)
		;
	ADD(&ended, 1);
}

static int grow_main(void *arg)
{
	CHECK_EQ(1, ringo_maxprocs(3));
	CHECK_EQ(0, ringo_go(meets, 0));
	CHECK_EQ(0, ringo_go(meets, 1));
	while (LOAD(&ended) < 2)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	return 0;
}

TEST(new_Ps_run_goroutines)
{
	use_procs(1);
	EXPECT_EQ(0, ringo_run(grow_main, NULL));
}

static int in_parallel, most;

static void counts_company(void)
{
	for (int i = 0; i < 200; i++) {
		int n = ADD(&in_parallel, 1);

		for (int k = 0; k < 1000; k++)
			if (n > LOAD(&most))
				STORE(&most, n);
		ADD(&in_parallel, -1);
		ringo_yield();
	}
	ADD(&ended, 1);
}

static int shrink_main(void *arg)
{
	CHECK_EQ(4, ringo_maxprocs(1));
	CHECK_EQ(0, ringo_sleep(RINGO_MS)); /* those on retired Ps give way */
	for (int i = 0; i < 10; i++)
		CHECK_EQ(0, ringo_go(counts_company));
	while (LOAD(&ended) < 10)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK_EQ(1, most);
	return 0;
}

TEST(retired_Ps_run_none)
{
	setenv("RINGO_PREEMPT", "off", 1); /* those without a P run besides */
	use_procs(4);
	EXPECT_EQ(0, ringo_run(shrink_main, NULL));
}

static int sleepers_main(void *arg)
{
	for (int i = 0; i < 100; i++)
		CHECK_EQ(0, ringo_go(sleeps));
	CHECK_EQ(0, ringo_sleep(20 * RINGO_MS));
	CHECK_EQ(8, ringo_maxprocs(1));
	CHECK_EQ(0, ringo_sleep(20 * RINGO_MS));
	STORE(&stop, 1);
	while (LOAD(&ended) < 100)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	return 0;
}

TEST(timers_of_retired_Ps_go_on)
{
	use_procs(8);
	EXPECT_EQ(0, ringo_run(sleepers_main, NULL));
}

/*
 * Go's StopTheWorldDeadlock and SleepZeroDeadlock: what looks at all Ps, or changes them, from several sides,
 * beside goroutines that never leave theirs for long.
 */
static void flips(int n)
{
	for (int i = 0; i < SCALE(300); i++)
		CHECK(ringo_maxprocs(n + i % 2) > 0);
	ADD(&ended, 1);
}

static void looks_at_all(void)
{
	struct ringo_stats s = { .size = sizeof(s) };
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	for (int i = 0; i < SCALE(300); i++) {
		CHECK_EQ(0, ringo_dump(fd, RINGO_DUMP_FULL));
		CHECK_EQ(0, ringo_stats_get(&s));
		CHECK(s.procs >= 2 && s.procs <= 4);
	}
	close(fd);
	ADD(&ended, 1);
}

static void sleeps_no_time(void)
{
	struct ringo_chan *c = ringo_chan_new(0, 1);

	for (int i = 0; i < SCALE(300); i++) {
		CHECK_EQ(0, ringo_sleep(0));
		CHECK_EQ(0, ringo_chan_send(c, NULL));
		CHECK_EQ(1, ringo_chan_recv(c, NULL));
	}
	ringo_chan_unref(c);
	ADD(&ended, 1);
}

static int all_sides_main(void *arg)
{
	CHECK(ringo_maxprocs(3) > 0);
	ADD(&ended, -1); /* yields, which goes on until the others have ended */
	CHECK_EQ(0, ringo_go(yields));
	CHECK_EQ(0, ringo_go(flips, 2));
	CHECK_EQ(0, ringo_go(flips, 3));
	CHECK_EQ(0, ringo_go(looks_at_all));
	CHECK_EQ(0, ringo_go(looks_at_all));
	CHECK_EQ(0, ringo_go(sleeps_no_time));
	while (LOAD(&ended) < 4)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	STORE(&stop, 1);
	while (LOAD(&ended) < 5)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	return 0;
}

TEST(changes_and_dumps_from_all_sides_do_not_wait_for_each_other)
{
	EXPECT_EQ(0, ringo_run(all_sides_main, NULL));
}

/* Go's BigGOMAXPROCS. A small machine may refuse so many threads, with a message. */
static int most_main(void *arg)
{
	for (int i = 0; i < 2000; i++)
		CHECK_EQ(0, ringo_go(spawned));
	while (LOAD(&seen) < 2000)
		ringo_yield();
	return 0;
}

static void run_with_most(void)
{
	int err;

	use_procs(1024);
	err = ringo_run(most_main, NULL);
	_exit(err == -EAGAIN || err == -ENOMEM ? 4 : err ? 1 : 0);
}

TEST(the_greatest_number_of_Ps_starts)
{
	struct outcome o;

	if (SANITIZED || RUNNING_ON_VALGRIND)
		SKIP(return, "a thousand threads take too long here; run the plain build");
	in_child(&o, run_with_most);
	ASSERT_TRUE(WIFEXITED(o.status)) TH_LOG("%s", o.err);
	if (WEXITSTATUS(o.status) == 4) {
		EXPECT_TRUE(said(&o, "cannot"));
		SKIP(return, "this machine refuses a thousand threads");
	}
	EXPECT_EQ(0, WEXITSTATUS(o.status)) TH_LOG("%s", o.err);
}

TEST_HARNESS_MAIN
