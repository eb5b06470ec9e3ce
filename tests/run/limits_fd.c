// SPDX-License-Identifier: MIT
/* Running out of file descriptors: an error with cause and remedy, and nothing lost. */
#include "io_help.h"

static int nop(void *arg)
{
	(void)arg;
	return 0;
}

static void limit_fds(unsigned n)
{
	struct rlimit l;

	CHECK(!getrlimit(RLIMIT_NOFILE, &l));
	l.rlim_cur = n;
	CHECK(!setrlimit(RLIMIT_NOFILE, &l));
}

/* Take all numbers below the limit; the last one, to be closed again. */
static int use_up(void)
{
	int fd, last = -1;

	while ((fd = dup(0)) >= 0)
		last = fd;
	return last;
}

static unsigned limit;

static void run_within_limit(void)
{
	int before = count_fds(), res;

	setenv("RINGO_PREEMPT", "sysmon", 1); /* which needs none */
	use_procs(4);
	limit_fds(limit);
	res = ringo_run(nop, NULL);
	limit_fds(256);
	CHECK_EQ(count_fds(), before);
	if (res)
		CHECK_EQ(res, -EMFILE);
	CHECK_EQ(ringo_run(nop, NULL), 0); /* the remedy helps */
	_exit(res ? 2 : 0);
}

TEST(a_run_with_too_few_descriptors_says_why)
{
	int refused = 0, fewer = 0, all = 0;

	for (limit = 3; limit < 30; limit++) {
		struct outcome o;

		in_child(&o, run_within_limit);
		ASSERT_TRUE(WIFEXITED(o.status)) TH_LOG("%s", o.err);
		if (WEXITSTATUS(o.status) == 2) {
			ASSERT_TRUE(said(&o, "ringo: no file descriptor left"));
			ASSERT_TRUE(said(&o, "ulimit -n"));
			ASSERT_EQ(0, fewer + all);
			refused++;
		} else {
			ASSERT_EQ(0, WEXITSTATUS(o.status)) TH_LOG("%s", o.err);
			if (*o.err) {
				ASSERT_TRUE(said(&o, "ulimit -n"));
				ASSERT_TRUE(said(&o, "of 4 Ps"));
				ASSERT_EQ(0, all);
				fewer++;
			} else {
				all++;
			}
		}
	}
	ASSERT_LT(0, refused);
	ASSERT_LT(0, fewer);
	ASSERT_LT(0, all);
}

G_TEST(a_connection_waits_until_there_is_a_descriptor)
{
	struct sockaddr_in at;
	int l = listener(&at), a, last, b;

	limit_fds(64);
	a = (int)OK(ringo_socket(AF_INET, SOCK_STREAM, 0));
	CHECK_EQ(ringo_connect(a, (struct sockaddr *)&at, sizeof(at)), 0);
	last = use_up();
	CHECK_EQ(ringo_accept(l, NULL, NULL), -EMFILE);
	CHECK_EQ(ringo_accept(l, NULL, NULL), -EMFILE);
	close(last);
	b = (int)OK(ringo_accept(l, NULL, NULL));
	CHECK_EQ(ringo_write(a, "x", 1), 1);
	CHECK_EQ(ringo_close(b), 0);
	return 0;
}

G_TEST(calls_that_make_descriptors_fail)
{
	struct ringo_chan *c = ringo_chan_new(sizeof(int), 1);
	char buf[64];
	int p[2], res, last;
	pid_t pid;

	limit_fds(64);
	last = use_up();
	CHECK_EQ(ringo_open("/", O_RDONLY), -EMFILE);
	CHECK_EQ(ringo_socket(AF_INET, SOCK_STREAM, 0), -EMFILE);
	CHECK_EQ(ringo_pipe(p), -EMFILE);
	CHECK_EQ(ringo_tcp_dial("127.0.0.1:1"), -EMFILE);
	CHECK_EQ(ringo_tcp_listen("127.0.0.1:0", 1), -EMFILE);
	CHECK_EQ(ringo_signal_notify(c, SIGUSR1), -EMFILE);
	res = ringo_tcp_dial("localhost:1");
	CHECK(res == -EMFILE || res == -ENOENT || res == -EAGAIN || res == -EIO);
	/* These have other ways. */
	pid = fork();
	if (!pid) {
		nap_ms(20);
		_exit(0);
	}
	CHECK_EQ(ringo_waitpid(pid, NULL, 0), pid);
	CHECK_EQ(ringo_pread(last, buf, 0, 0) == -EMFILE, 0);
	CHECK_EQ(ringo_close(last), 0);
	CHECK_EQ(ringo_signal_notify(c, SIGUSR1), 0);
	return 0;
}

static int accepted, tried;

static void accept_all(int l)
{
	for (;;) {
		int fd = ringo_accept(l, NULL, NULL);

		ADD(&tried, 1);
		if (fd == -EMFILE) {
			OK(ringo_sleep(RINGO_MS));
			continue;
		}
		ADD(&accepted, 1);
		OK(ringo_sleep(RINGO_MS));
		CHECK_EQ(ringo_close(fd), 0);
	}
}

/* A server at its limit serves all in the end. */
G_TEST(a_server_at_its_limit_goes_on)
{
	struct sockaddr_in at;
	int l = listener(&at), status;
	pid_t pid = fork();

	if (!pid) { /* clients with descriptors of their own */
		limit_fds(256);
		for (int i = 0; i < 100; i++) {
			int fd = socket(AF_INET, SOCK_STREAM, 0);

			if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)))
				_exit(1);
		}
		nap_ms(100);
		_exit(0);
	}
	limit_fds((unsigned)count_fds() + 3 + 4);
	for (int i = 0; i < 10; i++)
		OK(ringo_go(accept_all, l));
	CHECK_EQ(ringo_waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	until(&accepted, 100);
	return 0;
}

TEST_HARNESS_MAIN
