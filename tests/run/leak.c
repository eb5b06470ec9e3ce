// SPDX-License-Identifier: MIT
/* Leaks: what was started since a snapshot and has not ended; the profile of what waits. */
#include "dump_help.h"

static struct ringo_chan *c;

static void leaks(void *arg)
{
	int res = ringo_chan_recv(c, NULL);

	CHECK(res <= 1);
}

static void ends_soon(void *arg)
{
	CHECK_EQ(0, ringo_sleep((int64_t)(intptr_t)arg));
}

static int verify_main(void *arg)
{
	struct ringo_go_options o = RINGO_GO_OPTIONS(.flags = RINGO_GO_DAEMON);
	struct ringo_leaks l, later;
	int fd = memory_file();
	int64_t start;
	char *text;

	c = ringo_chan_new(0, 0);
	CHECK_EQ(0, ringo_go_fn(leaks, NULL)); /* before: does not count */
	ringo_leak_snapshot(&l);
	CHECK_EQ(0, ringo_leak_verify(&l, 0, fd));
	CHECK_EQ(0, ringo_go_opt(&o, leaks, NULL));
	CHECK_EQ(0, ringo_leak_verify(&l, 0, fd)); /* a daemon */
	CHECK_EQ(0, ringo_go_fn(ends_soon, (void *)(intptr_t)(20 * RINGO_MS)));
	CHECK_EQ(1, ringo_leak_verify(&l, 0, -1));
	start = now_ns();
	CHECK_EQ(0, ringo_leak_verify(&l, 60 * RINGO_SEC, fd)); /* waits, and no longer than it must */
	CHECK(now_ns() - start < 30 * RINGO_SEC);
	CHECK_EQ(0, lseek(fd, 0, SEEK_END));
	CHECK_EQ(0, ringo_go_fn(leaks, NULL));
	CHECK_EQ(0, ringo_go_fn(leaks, NULL));
	ringo_leak_snapshot(&later);
	CHECK_EQ(2, ringo_leak_verify(&l, 10 * RINGO_MS, fd));
	CHECK_EQ(0, ringo_leak_verify(&later, 0, -1));
	text = text_of(fd);
	CHECK_EQ(2, count_in(text, "[chan receive, "));
	CHECK_EQ(2, count_in(text, "\ngoroutine "));
	CHECK_HAS(text, " leaks+0x");
	CHECK_HAS(text, "created by verify_main+0x");
	free(text);
	CHECK_EQ(0, ringo_chan_close(c));
	CHECK_EQ(0, ringo_leak_verify(&l, 60 * RINGO_SEC, 2));
	return 0;
}

TEST(those_started_since_a_snapshot)
{
	EXPECT_EQ(0, ringo_run(verify_main, NULL));
}

static void verifies_itself(void *arg)
{
	struct ringo_leaks *l = arg;

	CHECK_EQ(0, ringo_leak_verify(l, 0, 2)); /* the caller does not count, nor does the main one */
	CHECK_EQ(0, ringo_chan_close(c));
}

static void *foreign_verify(void *arg)
{
	CHECK_EQ(1, ringo_leak_verify(arg, RINGO_MS, -1));
	CHECK_EQ(0, ringo_chan_close(c));
	CHECK_EQ(0, ringo_leak_verify(arg, 60 * RINGO_SEC, 2));
	return NULL;
}

static int callers_main(void *arg)
{
	struct ringo_leaks l;
	pthread_t t;

	ringo_leak_snapshot(&l);
	c = ringo_chan_new(0, 0);
	CHECK_EQ(0, ringo_go_fn(verifies_itself, &l));
	CHECK_EQ(0, ringo_chan_recv(c, NULL));
	c = ringo_chan_new(0, 0);
	ringo_leak_snapshot(&l);
	CHECK_EQ(0, ringo_go_fn(leaks, NULL));
	CHECK_EQ(0, pthread_create(&t, NULL, foreign_verify, &l));
	CHECK_EQ(0, ringo_leak_verify(&l, 60 * RINGO_SEC, 2));
	CHECK_EQ(0, pthread_join(t, NULL));
	return 0;
}

TEST(a_goroutine_or_a_thread_may_ask)
{
	EXPECT_EQ(0, ringo_run(callers_main, NULL));
}

static int cancelled_main(void *arg)
{
	struct ringo_leaks l;
	int64_t start = now_ns();

	c = ringo_chan_new(0, 0);
	ringo_leak_snapshot(&l);
	CHECK_EQ(0, ringo_go_fn(leaks, NULL));
	ringo_deadline_set(start + 10 * RINGO_MS);
	CHECK_EQ(1, ringo_leak_verify(&l, 600 * RINGO_SEC, -1));
	CHECK(now_ns() - start < 100 * RINGO_SEC);
	return 0;
}

TEST(the_ambient_deadline_ends_the_wait)
{
	EXPECT_EQ(0, ringo_run(cancelled_main, NULL));
}

/* One place in the code, whatever the compiler does to loops. */
static __attribute__((noinline)) void start_leak(void)
{
	CHECK_EQ(0, ringo_go_fn(leaks, NULL));
	__asm__ volatile("" ::: "memory");
}

static int profile_main(void *arg)
{
	struct ringo_go_options o = RINGO_GO_OPTIONS(.flags = RINGO_GO_DAEMON);
	const char *line;
	char *text;

	c = ringo_chan_new(0, 0);
	for (int i = 0; i < 9; i++)
		start_leak();
	CHECK_EQ(0, ringo_go_opt(&o, leaks, NULL));
	wait_waiting(10);
	nap_ms(30);
	text = dump_text(RINGO_DUMP_LEAKS);
	CHECK_HAS(text, "leak profile: total 9\n9 @ 0x");
	line = strstr(text, "\n# [chan receive, ");
	CHECK(line != NULL);
	CHECK_EQ(2, count_in(line, " / "));
	CHECK_HAS(line, "created by start_leak");
	CHECK(!strstr(text, "daemon"));
	free(text);
	CHECK_EQ(0, ringo_chan_close(c));
	return 0;
}

TEST(profile_by_place_of_creation)
{
	EXPECT_EQ(0, ringo_run(profile_main, NULL));
}

TEST_HARNESS_MAIN
