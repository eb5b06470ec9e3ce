// SPDX-License-Identifier: MIT
/* Running out of threads: fewer Ps, refusals with a message, and nothing that was accepted is lost. */
#include <grp.h>

#include "io_help.h"

static int threads_allowed;

/* A user of our own with so many threads: root has no limit. */
static void become_limited(void)
{
	struct rlimit l = { (rlim_t)threads_allowed, (rlim_t)threads_allowed };
	uid_t uid = 1000000 + (uid_t)getpid();

	CHECK(!setrlimit(RLIMIT_NPROC, &l));
	CHECK(!setgroups(0, NULL));
	CHECK(!setgid(uid));
	CHECK(!setuid(uid));
}

#define NEEDS_ROOT() \
	do { \
		if (getuid()) \
			SKIP(return, "needs root, to become another user"); \
		if (SANITIZED) \
			SKIP(return, "sanitizers have threads of their own"); \
	} while (0)

static int finished;

static void work(void)
{
	for (int i = 0; i < 100; i++)
		ringo_yield();
	ADD(&finished, 1);
}

static int some_work(void *arg)
{
	(void)arg;
	for (int i = 0; i < 100; i++)
		OK(ringo_go(work));
	until(&finished, 100);
	return 0;
}

static void run_limited(void)
{
	int res;

	use_procs(4);
	become_limited();
	res = ringo_run(some_work, NULL);
	if (res)
		CHECK_EQ(res, -EAGAIN);
	_exit(res ? 2 : 0);
}

TEST(fewer_ps_when_threads_are_refused)
{
	int refused = 0, fewer = 0, all = 0;

	NEEDS_ROOT();
	for (threads_allowed = 1; threads_allowed < 10; threads_allowed++) {
		struct outcome o;

		in_child(&o, run_limited);
		ASSERT_TRUE(WIFEXITED(o.status)) TH_LOG("%s", o.err);
		if (WEXITSTATUS(o.status) == 2) {
			ASSERT_TRUE(said(&o, "cannot make a thread"));
			ASSERT_TRUE(said(&o, "ulimit -u"));
			ASSERT_EQ(0, fewer + all);
			refused++;
			continue;
		}
		ASSERT_EQ(0, WEXITSTATUS(o.status)) TH_LOG("%s", o.err);
		if (*o.err) {
			ASSERT_TRUE(said(&o, "ulimit -u"));
			ASSERT_TRUE(strstr(o.err, "of 4 Ps") || said(&o, "until there is a thread to spare"));
			ASSERT_EQ(0, all);
			fewer += strstr(o.err, "of 4 Ps") != NULL;
		} else {
			all++;
		}
	}
	ASSERT_LT(0, refused);
	ASSERT_LT(0, fewer);
	ASSERT_LT(0, all);
}

static int ran, refused_jobs;

static int job(void *arg)
{
	nap_ms(1);
	return ADD((int *)arg, 1) * 0;
}

static void one_job(void)
{
	int err = ringo_blocking(job, &ran, NULL);

	if (err) {
		CHECK_EQ(err, -EAGAIN);
		ADD(&refused_jobs, 1);
	}
	ADD(&finished, 1);
}

static int pool_work(void *arg)
{
	(void)arg;
	for (int i = 0; i < 200; i++)
		OK(ringo_go(one_job));
	until(&finished, 200);
	CHECK_EQ(ran + refused_jobs, 200);
	return refused_jobs;
}

static void pool_limited(void)
{
	int res;

	use_procs(1);
	become_limited();
	res = ringo_run(pool_work, NULL);
	CHECK(res >= 0);
	_exit(res == 200 ? 2 : res ? 3 : 0);
}

/* main, sysmon, one M: then come the pool's. */
TEST(the_pool_refuses_what_it_can_never_run)
{
	struct outcome o;

	NEEDS_ROOT();
	threads_allowed = 3;
	in_child(&o, pool_limited);
	ASSERT_TRUE(WIFEXITED(o.status)) TH_LOG("%s", o.err);
	ASSERT_EQ(2, WEXITSTATUS(o.status)) TH_LOG("%s", o.err); /* all of them */
	ASSERT_TRUE(said(&o, "cannot make a thread for blocking calls"));
	ASSERT_TRUE(said(&o, "ulimit -u"));
}

TEST(the_pool_does_with_few_threads)
{
	NEEDS_ROOT();
	for (threads_allowed = 5; threads_allowed < 9; threads_allowed++) {
		struct outcome o;

		in_child(&o, pool_limited);
		ASSERT_EQ(0, o.status) TH_LOG("%d: %s", threads_allowed, o.err);
	}
}

static int file_work(void *arg)
{
	char path[] = "/tmp/ringo-limits-XXXXXX";
	struct statx st;
	int fd = mkstemp(path), res, other;
	struct linger l = { 1, 1 };
	int s[2];

	(void)arg;
	CHECK(fd >= 0);
	/* The kernel has no worker for these: what cannot be done in place is refused. */
	other = ringo_open(path, O_RDONLY);
	CHECK(other >= 0 || other == -EAGAIN);
	res = ringo_fsync(fd);
	CHECK(!res || res == -EAGAIN);
	res = ringo_statx(AT_FDCWD, path, 0, STATX_SIZE, &st);
	CHECK(!res || res == -EAGAIN);
	res = ringo_unlink(path);
	CHECK(!res || res == -EAGAIN);
	res = (int)ringo_pwrite(fd, "abc", 3, 0);
	CHECK(res == 3 || res == -EAGAIN);
	res = (int)ringo_write(fd, "abc", 3);
	CHECK(res == 3 || res == -EAGAIN);
	unlink(path);
	/* But closing always works. */
	CHECK_EQ(ringo_close(fd), 0);
	CHECK_EQ(fcntl(fd, F_GETFD), -1);
	tcp_pair(s);
	CHECK(!setsockopt(s[0], SOL_SOCKET, SO_LINGER, &l, sizeof(l)));
	CHECK_EQ(ringo_close(s[0]), 0);
	CHECK_EQ(fcntl(s[0], F_GETFD), -1);
	return 0;
}

static void files_limited(void)
{
	use_procs(1);
	become_limited();
	CHECK_EQ(ringo_run(file_work, NULL), 0);
}

TEST(the_kernel_has_no_worker_for_files)
{
	NEEDS_ROOT();
	for (threads_allowed = 3; threads_allowed < 6; threads_allowed++) {
		struct outcome o;

		in_child(&o, files_limited);
		ASSERT_EQ(0, o.status) TH_LOG("%d: %s", threads_allowed, o.err);
	}
}

TEST_HARNESS_MAIN
