// SPDX-License-Identifier: MIT
/*
 * Operations under seeds and faults: short reads and writes, EINTR, EAGAIN, completions in any order and in
 * pieces, cancels that come too late. No byte is lost or doubled, and callers see none of it.
 */
#include <string.h>

#include "kselftest_harness.h"
#include "sim_test.h"

enum { PAIRS = 5, BYTES = 1500 };

static struct ringo_waitgroup done;

static unsigned char byte_of(int pair, int i)
{
	return (unsigned char)(pair * 31 + i * 7 + i / 256);
}

static void writer(int fd, int pair)
{
	unsigned char buf[BYTES];

	for (int i = 0; i < BYTES; i++)
		buf[i] = byte_of(pair, i);
	SIM_CHECK(ringo_write_all(fd, buf, BYTES) == BYTES);
	rg_sim_stream_close(fd);
	ringo_waitgroup_done(&done);
}

/* hasty: each read has a deadline that often comes first; what a read that was cut off took is not lost. */
static void reader(int fd, int pair, bool hasty)
{
	unsigned char buf[64];
	int i = 0;

	for (;;) {
		ssize_t n;

		ringo_timeout_scope(hasty ? (1 + i % 40) * RINGO_US : RINGO_SEC);
		n = ringo_read(fd, buf, sizeof(buf));
		SIM_CHECK(n >= 0 || (hasty && n == -ETIMEDOUT));
		if (!n)
			break;
		for (ssize_t k = 0; k < n; k++, i++)
			SIM_CHECK(buf[k] == byte_of(pair, i));
	}
	SIM_CHECK(i == BYTES);
	ringo_waitgroup_done(&done);
}

static int streams(void *hasty)
{
	ringo_waitgroup_add(&done, 2 * PAIRS);
	for (int i = 0; i < PAIRS; i++) {
		int fds[2];

		SIM_CHECK(rg_sim_stream(fds) == 0);
		SIM_CHECK(ringo_go(writer, fds[0], i) == 0);
		SIM_CHECK(ringo_go(reader, fds[1], i, (bool)hasty) == 0);
	}
	ringo_waitgroup_wait(&done);
	return 0;
}

SIM_TEST(streams_arrive_whole_and_in_order)
{
	sim_seeds(streams, NULL);
}

SIM_TEST(a_deadline_drops_no_byte_that_arrived)
{
	sim_seeds(streams, "hasty");
}

static void stuck(int fd)
{
	char c;

	(void)!ringo_read(fd, &c, 1);
	SIM_CHECK(!"a waiting goroutine resumed after the end");
}

static int leave_in_flight(void *arg)
{
	(void)arg;
	for (int i = 0; i < PAIRS; i++) {
		int fds[2];

		SIM_CHECK(rg_sim_stream(fds) == 0);
		SIM_CHECK(ringo_go(stuck, fds[i % 2]) == 0);
	}
	SIM_CHECK(ringo_sleep((int64_t)(rg_sim_rand() % 30) * RINGO_US) == 0);
	return 0;
}

SIM_TEST(operations_in_flight_at_the_end_are_reaped)
{
	sim_seeds(leave_in_flight, NULL);
}

TEST_HARNESS_MAIN
