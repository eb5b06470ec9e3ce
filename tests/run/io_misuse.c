// SPDX-License-Identifier: MIT
/*
 * Each call of ringo/io.h and ringo/net.h from a thread that is no goroutine: those that would wait refuse,
 * -EPERM while a runtime is up and -ESRCH without; those that never wait work.
 */
#include "io_help.h"

static int nothing(void *arg)
{
	(void)arg;
	abort();
}

static void refuse(int err)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof(at);
	char c = 'x';
	struct iovec iov = { &c, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct pollfd p = { 0, POLLIN, 0 };
	struct addrinfo *list = NULL;
	struct statx st;

	CHECK_EQ(ringo_open("/", O_RDONLY), err);
	CHECK_EQ(ringo_openat(AT_FDCWD, "/", O_RDONLY), err);
	CHECK_EQ(ringo_read(0, &c, 1), err);
	CHECK_EQ(ringo_write(1, &c, 1), err);
	CHECK_EQ(ringo_pread(0, &c, 1, 0), err);
	CHECK_EQ(ringo_pwrite(0, &c, 1, 0), err);
	CHECK_EQ(ringo_readv(0, &iov, 1), err);
	CHECK_EQ(ringo_writev(1, &iov, 1), err);
	CHECK_EQ(ringo_preadv(0, &iov, 1, 0), err);
	CHECK_EQ(ringo_pwritev(0, &iov, 1, 0), err);
	CHECK_EQ(ringo_write_all(1, &c, 1), err);
	CHECK_EQ(ringo_read_full(0, &c, 1), err);
	CHECK_EQ(ringo_fsync(0), err);
	CHECK_EQ(ringo_fdatasync(0), err);
	CHECK_EQ(ringo_ftruncate(0, 0), err);
	CHECK_EQ(ringo_fallocate(0, 0, 0, 1), err);
	CHECK_EQ(ringo_statx(AT_FDCWD, "/", 0, STATX_TYPE, &st), err);
	CHECK_EQ(ringo_rename("/none/a", "/none/b"), err);
	CHECK_EQ(ringo_unlink("/none/a"), err);
	CHECK_EQ(ringo_mkdir("/none/a", 0700), err);
	CHECK_EQ(ringo_poll(&p, 1, 0), err);
	CHECK_EQ(ringo_splice(0, NULL, 1, NULL, 1, 0), err);
	CHECK_EQ(ringo_waitpid(-1, NULL, 0), err);
	CHECK_EQ(ringo_waitpid(-1, NULL, WNOHANG), err);
	CHECK_EQ(ringo_accept(0, NULL, NULL), err);
	CHECK_EQ(ringo_connect(0, (struct sockaddr *)&at, sizeof(at)), err);
	CHECK_EQ(ringo_send(0, &c, 1, 0), err);
	CHECK_EQ(ringo_recv(0, &c, 1, 0), err);
	CHECK_EQ(ringo_sendto(0, &c, 1, 0, (struct sockaddr *)&at, sizeof(at)), err);
	CHECK_EQ(ringo_recvfrom(0, &c, 1, 0, (struct sockaddr *)&at, &len), err);
	CHECK_EQ(ringo_sendmsg(0, &msg, 0), err);
	CHECK_EQ(ringo_recvmsg(0, &msg, 0), err);
	CHECK_EQ(ringo_tcp_listen("127.0.0.1:0", 1), err);
	CHECK_EQ(ringo_tcp_dial("127.0.0.1:1"), err);
	CHECK_EQ(ringo_blocking(nothing, NULL, NULL), err);
	CHECK_EQ(ringo_getaddrinfo("localhost", NULL, NULL, &list), EAI_SYSTEM);
	CHECK(!list);
}

static void work(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	int p[2], fd;

	CHECK_EQ(ringo_pipe(p), 0);
	CHECK_EQ(ringo_close(p[0]), 0);
	CHECK_EQ(ringo_close(p[1]), 0);
	fd = (int)OK(ringo_socket(AF_INET, SOCK_STREAM, 0));
	CHECK_EQ(ringo_bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	CHECK_EQ(ringo_listen(fd, 1), 0);
	CHECK_EQ(ringo_shutdown(fd, SHUT_RDWR), 0);
	CHECK_EQ(ringo_close(fd), 0);
	CHECK_EQ(ringo_close(fd), -EBADF);
}

static void *foreign(void *arg)
{
	struct ringo_chan *c = ringo_chan_new(sizeof(int), 1);

	errno = 4711;
	refuse(-EPERM);
	work();
	CHECK_EQ(ringo_signal_notify(c, SIGUSR1), 0);
	CHECK_EQ(ringo_signal_stop(c, SIGUSR1), 0);
	CHECK_EQ(errno, 4711);
	STORE((int *)arg, 1);
	return NULL;
}

G_TEST(a_foreign_thread_may_not_wait)
{
	int done = 0;
	pthread_t t;

	CHECK(!pthread_create(&t, NULL, foreign, &done));
	until(&done, 1);
	pthread_join(t, NULL);
	return 0;
}

static int nop(void *arg)
{
	(void)arg;
	return 0;
}

TEST(without_a_runtime_there_is_nobody_to_wait)
{
	errno = 4711;
	refuse(-ESRCH);
	work();
	ASSERT_EQ(4711, errno);
	ASSERT_EQ(0, ringo_run(nop, NULL));
	refuse(-ESRCH);
	work();
}

G_TEST(a_forked_child_has_no_runtime)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		refuse(-ESRCH);
		work();
#ifndef RG_TSAN /* which allows no threads in a child of many threads */
		CHECK_EQ(ringo_run(nop, NULL), 0);
#endif
		_exit(0);
	}
	CHECK_EQ(ringo_waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	return 0;
}

/* errno is the goroutine's own: no call touches it, whatever fails on whichever thread. */
G_TEST(errno_is_never_touched)
{
	struct pollfd p = { 9999, POLLIN, 0 };
	char c;

	ringo_errno = 4711;
	CHECK_EQ(ringo_read(9999, &c, 1), -EBADF);
	CHECK_EQ(ringo_open("/none", O_RDONLY), -ENOENT);
	CHECK_EQ(ringo_pread(9999, &c, 1, 0), -EBADF);
	CHECK_EQ(ringo_close(9999), -EBADF);
	CHECK_EQ(ringo_ftruncate(9999, 0), -EBADF);
	CHECK_EQ(ringo_waitpid(-1, NULL, 0), -ECHILD);
	CHECK_EQ(ringo_poll(&p, 1, -1), 1);
	CHECK_EQ(ringo_tcp_listen("198.51.100.1:1", 1), -EADDRNOTAVAIL);
	CHECK_EQ(ringo_tcp_dial("127.0.0.1:none-such"), -ENOENT);
	CHECK_EQ(ringo_shutdown(9999, 0), -EBADF);
	CHECK_EQ(ringo_sleep(RINGO_MS), 0);
	CHECK_EQ(ringo_errno, 4711);
	return 0;
}

TEST_HARNESS_MAIN
