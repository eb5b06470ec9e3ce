// SPDX-License-Identifier: MIT
/* Dumps on a signal, from whatever the program is doing. */
#include "dump_help.h"

static int stop;

static void spin(void *arg)
{
	while (!LOAD(&stop))
		;
}

static char *wait_text(int fd, const char *what)
{
	for (int i = 0; i < 20000; i++) {
		int copy = dup(fd);
		char *text;

		CHECK(copy >= 0);
		text = text_of(copy);
		if (strstr(text, what))
			return text;
		free(text);
		nap_ms(1);
	}
	check_failed(__FILE__, __LINE__, what, 0, 0);
	return NULL;
}

static int busy_main(void *arg)
{
	int fd = memory_file(), n;
	char *text;

	CHECK_EQ(-EINVAL, ringo_dump_on_signal(SIGKILL, fd, RINGO_DUMP_FULL));
	CHECK_EQ(-EINVAL, ringo_dump_on_signal(SIGURG, fd, RINGO_DUMP_FULL));
	CHECK_EQ(-EINVAL, ringo_dump_on_signal(SIGQUIT, fd, RINGO_DUMP_SELF));
	CHECK_EQ(-ENOENT, ringo_dump_on_signal(SIGQUIT, fd, 0));
	CHECK_EQ(0, ringo_dump_on_signal(SIGQUIT, fd, RINGO_DUMP_FULL));
	CHECK_EQ(0, ringo_dump_on_signal(SIGUSR1, fd, RINGO_DUMP_GROUPED));
	for (n = 0; n < 3; n++)
		CHECK_EQ(0, ringo_go_fn(spin, NULL)); /* all Ps are busy, this one too */
	CHECK_EQ(0, kill(getpid(), SIGQUIT));
	text = wait_text(fd, "entry busy_main\n");
	CHECK_HAS(text, "goroutine 1.1 [running, on M ");
	free(text);
	CHECK_EQ(0, kill(getpid(), SIGUSR1));
	text = wait_text(fd, "goroutine profile: total 4\n");
	free(text);
	CHECK_EQ(0, ringo_dump_on_signal(SIGUSR1, fd, 0));
	STORE(&stop, 1);
	return 0;
}

TEST(while_all_goroutines_are_busy)
{
#ifdef RG_TSAN
	SKIP(return, "ThreadSanitizer holds signals back while a thread only waits; run the plain build");
#endif
	struct sigaction sa = { .sa_handler = SIG_IGN }, now;
	int fds = count_fds(), threads = count_threads();

	EXPECT_EQ(0, sigaction(SIGUSR1, &sa, NULL));
	use_procs(2);
	for (int i = 0; i < 2; i++) {
		stop = 0;
		EXPECT_EQ(0, ringo_run(busy_main, NULL));
		EXPECT_EQ(0, sigaction(SIGUSR1, NULL, &now));
		EXPECT_TRUE(now.sa_handler == SIG_IGN);
		EXPECT_EQ(0, sigaction(SIGQUIT, NULL, &now));
		EXPECT_TRUE(now.sa_handler == SIG_DFL);
	}
	EXPECT_EQ(fds + 2, count_fds()); /* the memory files */
	EXPECT_EQ(threads, count_threads());
}

static int child_main(void *arg)
{
	int fd = memory_file(), status;
	pid_t pid;

	CHECK_EQ(0, ringo_dump_on_signal(SIGUSR1, fd, RINGO_DUMP_FULL));
	pid = fork();
	if (!pid) {
		raise(SIGUSR1); /* nobody dumps here: the default action */
		_exit(0);
	}
	CHECK_EQ(pid, waitpid(pid, &status, 0));
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1);
	CHECK_EQ(0, lseek(fd, 0, SEEK_END));
	return 0;
}

TEST(a_forked_child_has_its_signals_back)
{
	EXPECT_EQ(0, ringo_run(child_main, NULL));
}

TEST_HARNESS_MAIN
