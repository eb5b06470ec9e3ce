// SPDX-License-Identifier: MIT
/* Goroutines that never wait share one P with those that always do. */
#include <fcntl.h>

#include "help.h"

static struct ringo_waitgroup done;
static bool stop;
static long turns[3];

#define P1_TEST(name) \
	static int g_##name(void *arg); \
	TEST(name) \
	{ \
		use_procs(1); \
		STORE(&stop, false); \
		memset(turns, 0, sizeof(turns)); \
		EXPECT_EQ(0, run_main(g_##name)); \
	} \
	static int g_##name(void *arg __attribute__((unused)))

static void finish(void)
{
	STORE(&stop, true);
	ringo_waitgroup_wait(&done);
}

/* Raw calls that return at once, without an end. */
static void writer(int fd)
{
	while (!LOAD(&stop))
		CHECK_EQ(1, write(fd, ".", 1));
	ringo_waitgroup_done(&done);
}

P1_TEST(sleepers_wake_beside_loops_of_system_calls)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	int64_t start = ringo_now();

	ringo_waitgroup_add(&done, 2);
	CHECK_EQ(0, ringo_go(writer, fd));
	CHECK_EQ(0, ringo_go(writer, fd));
	for (int i = 0; i < 10; i++)
		CHECK_EQ(0, ringo_sleep(10 * RINGO_MS));
	CHECK(ringo_now() - start < 10 * RINGO_SEC);
	CHECK(!LOAD(&stop));
	finish();
	close(fd);
	return 0;
}

static void reader(int fd, int i)
{
	char c;

	while (!LOAD(&stop)) {
		CHECK_EQ(0, read(fd, &c, 0));
		ADD(&turns[i], 1);
	}
	ringo_waitgroup_done(&done);
}

P1_TEST(loops_of_system_calls_all_get_their_turns)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int64_t start = ringo_now();

	ringo_waitgroup_add(&done, 3);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(0, ringo_go(reader, fd, i));
	while (!LOAD(&turns[0]) || !LOAD(&turns[1]) || !LOAD(&turns[2])) {
		CHECK_EQ(0, ringo_sleep(20 * RINGO_MS));
		CHECK(ringo_now() - start < 10 * RINGO_SEC);
	}
	finish();
	close(fd);
	return 0;
}

static struct ringo_chan *there, *back;
static long rounds;

static void ping(void)
{
	long v = 0;

	while (!LOAD(&stop)) {
		CHECK_EQ(0, ringo_chan_send(there, &v));
		CHECK_EQ(1, ringo_chan_recv(back, &v));
		ADD(&rounds, 1);
	}
	CHECK_EQ(0, ringo_chan_close(there));
	ringo_waitgroup_done(&done);
}

static void pong(void)
{
	long v;

	while (ringo_chan_recv(there, &v) == 1)
		CHECK_EQ(0, ringo_chan_send(back, &v));
	ringo_waitgroup_done(&done);
}

static void hog(void)
{
	while (!LOAD(&stop))
		ADD(&turns[0], 1);
	ringo_waitgroup_done(&done);
}

static int64_t cpu_of_process(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * RINGO_SEC + ts.tv_nsec;
}

/* How often the hog came round in a millisecond of CPU time by itself. */
static double pace(void)
{
	int64_t start = cpu_of_process(), now;
	long n = 0, sum = 0;

	do {
		for (int i = 0; i < 1000; i++)
			ADD(&sum, 1);
		n += 1000;
		now = cpu_of_process();
	} while (now - start < 20 * RINGO_MS);
	return (double)n / ((double)(now - start) / (double)RINGO_MS);
}

/* Two that hand a value to and fro run next, again and again; a hog beside them has its part of the CPU, and so have they. */
P1_TEST(neither_ping_pong_nor_a_hog_starves_the_other)
{
	double alone = pace();
	int64_t start, used;

	there = ringo_chan_new(sizeof(long), 0);
	back = ringo_chan_new(sizeof(long), 0);
	rounds = 0;
	ringo_waitgroup_add(&done, 3);
	CHECK_EQ(0, ringo_go(hog));
	CHECK_EQ(0, ringo_go(ping));
	CHECK_EQ(0, ringo_go(pong));
	start = cpu_of_process();
	while (cpu_of_process() - start < 300 * RINGO_MS)
		CHECK_EQ(0, ringo_sleep(10 * RINGO_MS));
	used = cpu_of_process() - start;
	finish();
	printf("# the hog had %.0f %% of the CPU time, beside %ld rounds\n",
	       100 * (double)turns[0] / alone / ((double)used / (double)RINGO_MS), rounds);
	CHECK((double)turns[0] / alone > 0.05 * (double)used / (double)RINGO_MS);
	CHECK(rounds > SCALE(1000));
	ringo_chan_unref(there);
	ringo_chan_unref(back);
	return 0;
}

TEST_HARNESS_MAIN
