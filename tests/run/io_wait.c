// SPDX-License-Identifier: MIT
/* Waiting calls: EAGAIN and EINTR stay inside. */
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include "io_help.h"

/* ---- O_NONBLOCK ---- */

static void write_late(int fd)
{
	for (int i = 0; i < 4; i++) {
		OK(ringo_sleep(5 * RINGO_MS));
		CHECK_EQ(write(fd, "12345678", 8), 8);
	}
}

static void reads_wait(int fd, int from)
{
	char buf[8];
	struct iovec iov = { buf, sizeof(buf) };

	nonblock(fd);
	OK(ringo_go(write_late, from));
	CHECK_EQ(ringo_read(fd, buf, 8), 8);
	CHECK_EQ(ringo_readv(fd, &iov, 1), 8);
	CHECK_EQ(ringo_read_full(fd, buf, 8), 8);
	CHECK_EQ(ringo_read(fd, buf, 8), 8);
}

G_TEST(reading_waits_on_o_nonblock_descriptors)
{
	int p[2], s[2];

	CHECK(!pipe(p));
	reads_wait(p[0], p[1]);
	unix_pair(s, SOCK_STREAM);
	reads_wait(s[0], s[1]);
	tcp_pair(s);
	reads_wait(s[0], s[1]);
	p[0] = eventfd(0, 0);
	reads_wait(p[0], p[0]);
	return 0;
}

static void drain_late(int fd)
{
	char buf[1 << 14];
	ssize_t n;

	do {
		OK(ringo_sleep(RINGO_MS));
		n = read(fd, buf, sizeof(buf));
	} while (n > 0);
}

static void writes_wait(int fd, int to)
{
	enum { N = 1 << 20 };
	static char junk[N];
	struct iovec iov = { junk, 100 };

	nonblock(fd);
	fill_up(fd);
	OK(ringo_go(drain_late, to));
	CHECK(ringo_write(fd, junk, 100) > 0);
	fill_up(fd);
	CHECK(ringo_writev(fd, &iov, 1) > 0);
	fill_up(fd);
	CHECK_EQ(ringo_write_all(fd, junk, N), N);
	OK(close(fd));
}

G_TEST(writing_waits_on_o_nonblock_descriptors)
{
	int p[2], s[2];

	CHECK(!pipe(p));
	writes_wait(p[1], p[0]);
	unix_pair(s, SOCK_STREAM);
	writes_wait(s[0], s[1]);
	tcp_pair(s);
	writes_wait(s[0], s[1]);
	return 0;
}

static void send_late(int fd)
{
	for (int i = 0; i < 4; i++) {
		OK(ringo_sleep(5 * RINGO_MS));
		CHECK_EQ(ringo_send(fd, "x", 1, 0), 1);
	}
}

G_TEST(socket_calls_wait_on_o_nonblock_sockets)
{
	enum { N = 1 << 20 };
	static char junk[N];
	char c;
	struct iovec iov = { &c, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	int s[2];

	tcp_pair(s);
	nonblock(s[0]);
	OK(ringo_go(send_late, s[1]));
	CHECK_EQ(ringo_recv(s[0], &c, 1, 0), 1);
	CHECK_EQ(ringo_recv(s[0], &c, 1, MSG_PEEK), 1);
	CHECK_EQ(ringo_recvmsg(s[0], &msg, 0), 1);
	CHECK_EQ(ringo_recvfrom(s[0], &c, 1, 0, (struct sockaddr *)&from, &len), 1);
	CHECK_EQ(ringo_recv(s[0], &c, 1, MSG_WAITALL), 1);
	fill_up(s[0]);
	OK(ringo_go(drain_late, s[1]));
	CHECK_EQ(ringo_send(s[0], &c, 1, 0), 1);
	fill_up(s[0]);
	CHECK_EQ(ringo_sendmsg(s[0], &msg, 0), 1);
	fill_up(s[0]);
	CHECK(ringo_send(s[0], junk, N, 0) > 0);
	OK(close(s[0]));
	return 0;
}

G_TEST(msg_dontwait_asks_for_eagain)
{
	char c = 'x';
	struct iovec iov = { &c, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int s[2];

	unix_pair(s, SOCK_STREAM);
	for (int mode = 0; mode < 2; mode++) {
		CHECK_EQ(ringo_recv(s[0], &c, 1, MSG_DONTWAIT), -EAGAIN);
		CHECK_EQ(ringo_recvmsg(s[0], &msg, MSG_DONTWAIT), -EAGAIN);
		fill_up(s[0]);
		CHECK_EQ(ringo_send(s[0], &c, 1, MSG_DONTWAIT), -EAGAIN);
		CHECK_EQ(ringo_sendmsg(s[0], &msg, MSG_DONTWAIT), -EAGAIN);
		nonblock(s[0]);
	}
	return 0;
}

/* A full datagram receiver does not make an unconnected sender's poll wait. */
static int dgram_done;

static struct sockaddr_un dgram_at = { .sun_family = AF_UNIX };

static void send_dgrams(int fd)
{

	for (int i = 0; i < 300; i++)
		CHECK_EQ(ringo_sendto(fd, &i, sizeof(i), 0, (struct sockaddr *)&dgram_at,
				      sizeof(dgram_at)), sizeof(i));
	STORE(&dgram_done, 1);
}

static long cpu_us(const struct rusage *r)
{
	return (r->ru_utime.tv_sec + r->ru_stime.tv_sec) * 1000000 + r->ru_utime.tv_usec +
	       r->ru_stime.tv_usec;
}

G_TEST(a_sender_to_a_full_receiver_waits_and_does_not_spin)
{
	int to = (int)OK(ringo_socket(AF_UNIX, SOCK_DGRAM, 0));
	int from = (int)OK(ringo_socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0));
	struct rusage before, after;
	int v;

	snprintf(dgram_at.sun_path + 1, sizeof(dgram_at.sun_path) - 1, "ringo-io-wait-%d", getpid());
	CHECK_EQ(ringo_bind(to, (struct sockaddr *)&dgram_at, sizeof(dgram_at)), 0);
	OK(ringo_go(send_dgrams, from));
	getrusage(RUSAGE_SELF, &before);
	OK(ringo_sleep(300 * RINGO_MS));
	getrusage(RUSAGE_SELF, &after);
	CHECK(!LOAD(&dgram_done));
	CHECK(cpu_us(&after) - cpu_us(&before) < 150000);
	for (int i = 0; i < 300; i++) {
		CHECK_EQ(ringo_recv(to, &v, sizeof(v), 0), sizeof(v));
		CHECK_EQ(v, i);
	}
	until(&dgram_done, 1);
	return 0;
}

enum { SPLICERS = 5 };

static int spliced;

static void splice_one(int in, int out)
{
	CHECK_EQ(ringo_splice(in, NULL, out, NULL, 1, 0), 1);
	ADD(&spliced, 1);
}

/* All are told that there is something, and all but one find nothing. */
G_TEST(those_who_come_too_late_wait_on)
{
	int in[2], out[2];

	OK(ringo_pipe(in));
	OK(ringo_pipe(out));
	for (int i = 0; i < SPLICERS; i++)
		OK(ringo_go(splice_one, in[0], out[1]));
	for (int i = 0; i < SPLICERS; i++) {
		OK(ringo_sleep(10 * RINGO_MS));
		CHECK_EQ(LOAD(&spliced), i);
		CHECK_EQ(ringo_write(in[1], "x", 1), 1);
		until(&spliced, i + 1);
	}
	return 0;
}

/* ---- signals ---- */

static int stop_pestering, pestered;

static void on_pester(int signo)
{
	(void)signo;
	ADD(&pestered, 1);
}

/*
 * A thread that interrupts all others of the process. By bare system calls: ThreadSanitizer follows
 * descriptors, but not those that rings make.
 */
static void *pester(void *arg)
{
	int dir = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/task", O_RDONLY | O_DIRECTORY);
	sigset_t set;

	(void)arg;
	sigfillset(&set);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
	while (!LOAD(&stop_pestering)) {
		char buf[4096] __attribute__((aligned(8)));
		long n = syscall(SYS_getdents64, dir, buf, sizeof(buf)), at = 0;

		for (; at < n; at += *(unsigned short *)(buf + at + 16)) {
			int tid = atoi(buf + at + 19);

			if (tid && tid != gettid())
				syscall(SYS_tgkill, getpid(), tid, SIGUSR1);
		}
		if (n <= 0)
			syscall(SYS_lseek, dir, 0, SEEK_SET);
		usleep(300);
	}
	syscall(SYS_close, dir);
	return NULL;
}

static void trickle(int fd)
{
	for (int i = 0; i < 100; i++) {
		OK(ringo_sleep(RINGO_MS));
		CHECK_EQ(ringo_write(fd, "x", 1), 1);
	}
}

static int accepted;

static void accept_some(int l)
{
	for (int i = 0; i < 50; i++) {
		int fd = (int)OK(ringo_accept(l, NULL, NULL));

		CHECK_EQ(ringo_close(fd), 0);
		ADD(&accepted, 1);
	}
}

static void connect_some(struct sockaddr_in *at)
{
	for (int i = 0; i < 50; i++) {
		int fd = (int)OK(ringo_socket(AF_INET, SOCK_STREAM, 0));

		OK(ringo_sleep(RINGO_MS));
		CHECK_EQ(ringo_connect(fd, (struct sockaddr *)at, sizeof(*at)), 0);
		CHECK_EQ(ringo_close(fd), 0);
	}
}

static int sleepy(void *arg)
{
	(void)arg;
	usleep(50000);
	return 7;
}

static int pestered_main(void *arg)
{
	struct sockaddr_in at;
	struct pollfd p;
	int a[2], b[2], l, fd, res = 0;
	char c;
	pid_t pid;

	(void)arg;
	CHECK(!pipe(a));
	tcp_pair(b);
	l = listener(&at);
	OK(ringo_go(trickle, a[1]));
	OK(ringo_go(trickle, b[1]));
	OK(ringo_go(accept_some, l));
	OK(ringo_go(connect_some, &at));
	for (int i = 0; i < 100; i++) {
		CHECK_EQ(ringo_read(a[0], &c, 1), 1);
		p = (struct pollfd){ b[0], POLLIN, 0 };
		CHECK_EQ(ringo_poll(&p, 1, -1), 1);
		CHECK_EQ(ringo_recv(b[0], &c, 1, 0), 1);
	}
	fd = (int)OK(ringo_open("/tmp", O_RDWR | O_TMPFILE, 0600));
	for (int i = 0; i < 20; i++) {
		CHECK_EQ(ringo_pwrite(fd, "abc", 3, 0), 3);
		CHECK_EQ(ringo_write(fd, "abc", 3), 3);
		CHECK_EQ(ringo_fsync(fd), 0);
		CHECK_EQ(ringo_ftruncate(fd, 100), 0);
	}
	CHECK_EQ(ringo_close(fd), 0);
	CHECK_EQ(ringo_blocking(sleepy, NULL, &res), 0);
	CHECK_EQ(res, 7);
	pid = fork();
	if (!pid) {
		usleep(50000);
		_exit(0);
	}
	CHECK_EQ(ringo_waitpid(pid, &res, 0), pid);
	until(&accepted, 50);
	return 0;
}

TEST(signals_do_not_show_in_any_result)
{
	struct sigaction sa = { .sa_handler = on_pester, .sa_flags = SA_ONSTACK };
	pthread_t t;

	ASSERT_EQ(0, sigaction(SIGUSR1, &sa, NULL));
	ASSERT_EQ(0, pthread_create(&t, NULL, pester, NULL));
	ASSERT_EQ(0, ringo_run(pestered_main, NULL));
	STORE(&stop_pestering, 1);
	pthread_join(t, NULL);
	ASSERT_LT(100, pestered);
}

TEST_HARNESS_MAIN
