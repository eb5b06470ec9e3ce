// SPDX-License-Identifier: MIT
/*
 * At the edge of idleness: at any time exactly one goroutine can run, wherever that is, or only a time, an
 * operation, a job or a thread of the program will wake one. No deadlock is reported.
 */
#include "help.h"

enum { HOPPERS = 8 };

static struct outcome out;
static unsigned procs;
static bool foreign;

static struct ringo_chan *to[HOPPERS], *finish;
static int pipes[2], calls[2];
static int64_t stop_at;
static uint64_t hops;

static int short_job(void *arg)
{
	return (int)(intptr_t)arg;
}

/* A thread of the program: reads a byte by itself, then passes the token on. */
static void *outsider(void *arg)
{
	unsigned char at;

	while (read(calls[0], &at, 1) == 1)
		while (ringo_chan_try_send(to[at], NULL) == -EAGAIN)
			;
	return NULL;
}

static void linger(unsigned how)
{
	char byte = 0;
	int res = 0;

	switch (how % (foreign ? 8 : 7)) {
	case 0:
		ringo_yield();
		break;
	case 1:
		CHECK_EQ(0, ringo_sleep(how % 50 * RINGO_US));
		break;
	case 2:
		CHECK_EQ(0, ringo_blocking(short_job, (void *)7, &res));
		CHECK_EQ(7, res);
		break;
	case 3:
		CHECK_EQ(1, ringo_write(pipes[1], &byte, 1));
		CHECK_EQ(1, ringo_read(pipes[0], &byte, 1));
		break;
	case 4: {
		ringo_timeout_scope(how % 30 * RINGO_US);
		CHECK_EQ(-ETIMEDOUT, ringo_chan_recv(NULL, NULL));
		break;
	}
	case 5:
		usleep(how % 20);
		break;
	default:
		break;
	}
}

static void hopper(int self)
{
	unsigned rand = (unsigned)self * 7919 + 1;

	for (;;) {
		unsigned char next;

		CHECK_EQ(1, ringo_chan_recv(to[self], NULL));
		hops++;
		rand = rand * 1103515245 + 12345;
		linger(rand >> 8);
		if (now_ns() > stop_at)
			break;
		next = (unsigned char)((rand >> 16) % HOPPERS);
		if (foreign && rand >> 20 & 1)
			CHECK_EQ(1, write(calls[1], &next, 1));
		else
			CHECK_EQ(0, ringo_chan_send(to[next], NULL));
	}
	CHECK_EQ(0, ringo_chan_send(finish, NULL));
}

static int storm(void *arg)
{
	pthread_t t;

	CHECK_EQ(0, pipe(pipes));
	CHECK_EQ(0, pipe(calls));
	finish = ringo_chan_new(0, 0);
	stop_at = now_ns() + 1500 * RINGO_MS;
	for (int i = 0; i < HOPPERS; i++)
		to[i] = ringo_chan_new(0, 1);
	for (int i = 0; i < HOPPERS; i++)
		CHECK_EQ(0, ringo_go(hopper, i));
	if (foreign)
		CHECK_EQ(0, pthread_create(&t, NULL, outsider, NULL));
	CHECK_EQ(0, ringo_chan_send(to[0], NULL));
	CHECK_EQ(1, ringo_chan_recv(finish, NULL));
	CHECK(hops > 100);
	if (foreign) {
		close(calls[1]);
		CHECK_EQ(0, pthread_join(t, NULL));
	}
	return 0;
}

static void run_it(void)
{
	use_procs(procs);
	_exit(ringo_run(storm, NULL));
}

FIXTURE(storm) {
};
FIXTURE_VARIANT(storm) {
	unsigned procs;
};
FIXTURE_VARIANT_ADD(storm, P1) { .procs = 1 };
FIXTURE_VARIANT_ADD(storm, P2) { .procs = 2 };
FIXTURE_VARIANT_ADD(storm, P8) { .procs = 8 };
FIXTURE_SETUP(storm)
{
	procs = variant->procs;
}
FIXTURE_TEARDOWN(storm)
{
}

TEST_F(storm, of_one_goroutine_at_a_time)
{
	foreign = false;
	in_child(&out, run_it);
	EXPECT_EQ(0, out.status);
	if (out.status || strstr(out.err, "asleep"))
		fprintf(stderr, "# %s\n", out.err);
	EXPECT_EQ(NULL, strstr(out.err, "asleep"));
}

/* The thread may be slow, on a busy machine: then it is said that only it can wake somebody, which is true. */
TEST_F(storm, with_a_thread_of_the_program)
{
	foreign = true;
	in_child(&out, run_it);
	EXPECT_EQ(0, out.status);
	EXPECT_EQ(NULL, strstr(out.err, "fatal"));
}

TEST_HARNESS_MAIN
