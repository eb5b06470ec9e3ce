// SPDX-License-Identifier: MIT
/* A thread in uninterruptible sleep cannot complete what it has submitted: whoever waits for that is named. */
#include <sys/socket.h>

#include "core/rt.h"
#include "dump_help.h"

enum { READERS = 3 };

static int fds[2], other[2];
static struct ringo_waitgroup done;
static bool asleep, seen;
static unsigned sleeps_on; /* which M */

static void reader(int fd)
{
	char c;

	CHECK_EQ(1, ringo_read(fd, &c, 1));
	ringo_waitgroup_done(&done);
}

/* The parent of a vfork(2) is in such a sleep until its child is through. */
static void sleeper(void)
{
	sleeps_on = rg_m()->id;
	STORE(&asleep, true);
	if (!vfork()) {
		for (int i = 0; i < 2000 && !LOAD(&seen); i++)
			nap_ms(5);
		_exit(0);
	}
	ringo_waitgroup_done(&done);
}

static int count(const char *text, const char *what)
{
	int n = 0;

	for (; (text = strstr(text, what)); text++)
		n++;
	return n;
}

/* Those that submitted before it slept, and not who did so later. */
static void named_in(const char *text, int times)
{
	char what[80];

	snprintf(what, sizeof(what), "behind M %u, which is in uninterruptible sleep", sleeps_on);
	CHECK_EQ(times, count(text, what));
	CHECK_EQ(times, count(text, "behind M"));
}

/* As many as there will be, after a while: its P is taken first. */
static char *dump_with(int times)
{
	for (int i = 0;; i++) {
		char *text = dump_text(RINGO_DUMP_FULL);

		if (count(text, "behind M") >= times || i == 200)
			return text;
		free(text);
		CHECK_EQ(0, ringo_sleep(20 * RINGO_MS));
	}
}

static void __attribute__((noinline)) start_reader(int fd)
{
	CHECK_EQ(0, ringo_go(reader, fd));
}

/* Of the group that is named: the line above begins with it. */
static long group_size(const char *text)
{
	const char *at = strstr(text, "behind M");

	for (int lines = 0; at > text && lines < 2; lines += *at == '\n')
		at--;
	return strtol(at, NULL, 10);
}

static int stuck_main(void *arg)
{
	char *text;

	(void)arg;
	CHECK_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	CHECK_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, other));
	ringo_waitgroup_add(&done, READERS + 2);
	for (int i = 0; i < READERS; i++)
		start_reader(fds[0]);
	CHECK_EQ(0, ringo_sleep(RINGO_MS)); /* they are submitted */
	text = dump_text(RINGO_DUMP_FULL);
	CHECK(!strstr(text, "behind M"));
	free(text);
	CHECK_EQ(0, ringo_go(sleeper));
	while (!LOAD(&asleep))
		ringo_yield();
	CHECK_EQ(0, ringo_sleep(100 * RINGO_MS)); /* others run on */
	start_reader(other[0]);
	CHECK_EQ(0, ringo_sleep(20 * RINGO_MS)); /* submitted as well, by who has the P now */
	CHECK_EQ(READERS, write(fds[1], "xxx", READERS));
	text = dump_with(READERS);
	named_in(text, READERS);
	free(text);
	text = dump_text(RINGO_DUMP_GROUPED);
	named_in(text, 1);
	CHECK_EQ(READERS, group_size(text));
	free(text);
	STORE(&seen, true);
	CHECK_EQ(1, write(other[1], "x", 1));
	ringo_waitgroup_wait(&done);
	while (wait(NULL) > 0)
		;
	return 0;
}

TEST(who_waits_behind_a_thread_in_uninterruptible_sleep_is_named)
{
	if (RUNNING_ON_VALGRIND)
		SKIP(return, "valgrind waits by poll(2), in another thread than the kernel's work");
#ifdef RG_TSAN
	SKIP(return, "TSan makes vfork(2) a fork(2)");
#endif
	use_procs(1);
	setenv("RINGO_QUANTUM_US", "50000", 1); /* who sleeps has submitted what waits: nobody has lost the P before */
	EXPECT_EQ(0, run_main(stuck_main));
}

TEST_HARNESS_MAIN
