// SPDX-License-Identifier: MIT
/* Writing to nobody. */
#include "io_help.h"

static void no_reader(int fd)
{
	char c = 'x';
	struct iovec iov = { &c, 1 };

	CHECK_EQ(ringo_write(fd, &c, 1), -EPIPE);
	CHECK_EQ(ringo_writev(fd, &iov, 1), -EPIPE);
	CHECK_EQ(ringo_write_all(fd, &c, 1), -EPIPE);
}

static int sigpipe_main(void *arg)
{
	int p[2], s[2], q[2];
	char c = 'x';
	struct iovec iov = { &c, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	(void)arg;
	unix_pair(s, SOCK_STREAM);
	close(s[1]);
	CHECK_EQ(ringo_send(s[0], &c, 1, 0), -EPIPE);
	CHECK_EQ(ringo_sendmsg(s[0], &msg, 0), -EPIPE);
	no_reader(s[0]);
	CHECK(!pipe(p));
	close(p[0]);
	no_reader(p[1]);
	CHECK(!pipe(q));
	CHECK_EQ(write(q[1], "x", 1), 1);
	CHECK_EQ(ringo_splice(q[0], NULL, p[1], NULL, 1, 0), -EPIPE);
	return 0;
}

TEST(writing_to_nobody_is_an_error_and_no_signal)
{
	struct sigaction sa;

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, ringo_run(sigpipe_main, NULL));
		ASSERT_EQ(0, sigaction(SIGPIPE, NULL, &sa));
		ASSERT_TRUE(sa.sa_handler == SIG_DFL); /* as it was */
	}
}

static int my_pipes;

static void my_sigpipe(int signo)
{
	(void)signo;
	my_pipes++;
}

TEST(a_sigpipe_handler_of_the_programs_own_stays)
{
	struct sigaction sa = { .sa_handler = my_sigpipe, .sa_flags = SA_ONSTACK };

	ASSERT_EQ(0, sigaction(SIGPIPE, &sa, NULL));
	ASSERT_EQ(0, ringo_run(sigpipe_main, NULL));
	ASSERT_EQ(0, sigaction(SIGPIPE, NULL, &sa));
	ASSERT_TRUE(sa.sa_handler == my_sigpipe);
}

static int exec_main(void *arg)
{
	int p[2], status;
	pid_t pid;

	(void)arg;
	CHECK(!pipe(p));
	close(p[0]);
	no_reader(p[1]);
	pid = fork();
	if (!pid) {
		execl("/bin/sh", "sh", "-c", "kill -PIPE $$; exit 0", NULL);
		_exit(9);
	}
	CHECK_EQ(ringo_waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status));
	CHECK_EQ(WTERMSIG(status), SIGPIPE);
	return 0;
}

TEST(executed_programs_die_of_sigpipe_as_ever)
{
	ASSERT_EQ(0, ringo_run(exec_main, NULL));
}

TEST_HARNESS_MAIN
