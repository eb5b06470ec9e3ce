// SPDX-License-Identifier: MIT
/* waitpid: as waitpid(2), but the goroutine waits. */
#include <io/process.h>

#include "io_help.h"

static void collects(pid_t pid, int options, pid_t expect, int code)
{
	int status = -1;

	CHECK_EQ(ringo_waitpid(pid, &status, options), expect);
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), code);
}

G_TEST(one_child_is_waited_for)
{
	pid_t a = child(20, 3), b = child(0, 4);
	int fds = count_fds();

	collects(a, 0, a, 3);
	collects(b, 0, b, 4);
	CHECK_EQ(count_fds(), fds);
	CHECK_EQ(ringo_waitpid(a, NULL, 0), -ECHILD);
	CHECK_EQ(ringo_waitpid(-1, NULL, 0), -ECHILD);
	return 0;
}

G_TEST(no_status_need_be_given)
{
	pid_t a = child(10, 3);

	CHECK_EQ(ringo_waitpid(a, NULL, 0), a);
	return 0;
}

static void any_child(void)
{
	pid_t a = child(300, 5), b = child(20, 6);

	collects(-1, 0, b, 6);
	collects(-1, 0, a, 5);
	a = child(10, 7);
	collects(0, 0, a, 7); /* of our group */
	a = child(10, 8);
	collects(-getpgrp(), 0, a, 8);
	a = sleeper();
	setpgid(a, a);
	b = child(10, 9);
	CHECK_EQ(ringo_waitpid(-a, NULL, WNOHANG), 0);
	TIMES_OUT(20, ringo_waitpid(-a, NULL, 0));
	collects(0, 0, b, 9);
	kill(a, SIGKILL);
	CHECK_EQ(ringo_waitpid(-a, NULL, 0), a);
}

G_TEST(any_child_is_waited_for)
{
	any_child();
	return 0;
}

G_TEST(any_child_is_waited_for_on_older_kernels)
{
	rg_no_waitid = 1;
	any_child();
	CHECK_EQ(rg_no_waitid, 1);
	return 0;
}

static void stops(void)
{
	pid_t a = sleeper();
	int status;

	kill(a, SIGSTOP);
	CHECK_EQ(ringo_waitpid(a, &status, WUNTRACED), a);
	CHECK(WIFSTOPPED(status));
	kill(a, SIGCONT);
	CHECK_EQ(ringo_waitpid(a, &status, WCONTINUED), a);
	CHECK(WIFCONTINUED(status));
	kill(a, SIGKILL);
	CHECK_EQ(ringo_waitpid(a, &status, WUNTRACED | WCONTINUED), a);
	CHECK(WIFSIGNALED(status));
	CHECK_EQ(WTERMSIG(status), SIGKILL);
}

G_TEST(stopping_and_going_on_is_seen)
{
	stops();
	rg_no_waitid = 1;
	stops();
	return 0;
}

G_TEST(the_wait_ends_by_deadline_and_collects_nothing)
{
	pid_t a = sleeper();

	for (rg_no_waitid = 0; rg_no_waitid < 2; rg_no_waitid++) {
		TIMES_OUT(20, ringo_waitpid(a, NULL, 0));
		TIMES_OUT(20, ringo_waitpid(-1, NULL, 0));
		TIMES_OUT(20, ringo_waitpid(a, NULL, WUNTRACED));
	}
	CHECK_EQ(ringo_waitpid(a, NULL, WNOHANG), 0);
	kill(a, SIGKILL);
	CHECK_EQ(ringo_waitpid(a, NULL, 0), a);
	return 0;
}

G_TEST(waiting_fails_as_posix_says)
{
	CHECK_EQ(ringo_waitpid(-1, NULL, 0), -ECHILD);
	CHECK_EQ(ringo_waitpid(1, NULL, 0), -ECHILD);
	CHECK_EQ(ringo_waitpid(INT_MIN, NULL, 0), -ESRCH);
	CHECK_EQ(ringo_waitpid(-1, NULL, 0x4000), -EINVAL);
	return 0;
}

enum { CHILDREN = 30 };

static int collected[CHILDREN], collectors;

static void collect_some(void)
{
	int status;

	while (ringo_waitpid(-1, &status, 0) > 0)
		ADD(&collected[WEXITSTATUS(status)], 1);
	ADD(&collectors, 1);
}

G_TEST(each_child_is_collected_once)
{
	for (int i = 0; i < CHILDREN; i++)
		child(i % 7 * 5, i);
	for (int i = 0; i < 5; i++)
		OK(ringo_go(collect_some));
	until(&collectors, 5);
	for (int i = 0; i < CHILDREN; i++)
		CHECK_EQ(collected[i], 1);
	return 0;
}

static void wait_quietly(pid_t pid)
{
	int got = ringo_waitpid(pid, NULL, 0);

	(void)got;
}

static int leaves_waits(void *arg)
{
	(void)arg;
	OK(ringo_go(wait_quietly, sleeper()));
	OK(ringo_go(wait_quietly, (pid_t)-1));
	OK(ringo_sleep(10 * RINGO_MS));
	return 0;
}

TEST(the_end_of_the_run_ends_waits_for_children)
{
	int before = count_fds(), after;

	signal(SIGCHLD, SIG_IGN);
	for (int i = 0; i < 4; i++) {
		rg_no_waitid = i % 2;
		ASSERT_EQ(0, ringo_run(leaves_waits, NULL));
	}
	after = count_fds();
	ASSERT_EQ(before, after);
}

TEST_HARNESS_MAIN
