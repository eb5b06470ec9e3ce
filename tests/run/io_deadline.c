// SPDX-License-Identifier: MIT
/* Deadlines: they end each waiting call, and what arrives at that moment is kept. */
#include "io_help.h"

G_TEST(a_deadline_ends_each_waiting_call)
{
	struct sockaddr_in at;
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	int p[2], s[2], u[2], l = listener(&at);
	char c;
	static char junk[100];
	struct iovec iov = { &c, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	CHECK(!pipe(p));
	tcp_pair(s);
	unix_pair(u, SOCK_STREAM);
	for (int mode = 0; mode < 2; mode++) {
		TIMES_OUT(5, ringo_accept(l, NULL, NULL));
		TIMES_OUT(5, ringo_read(p[0], &c, 1));
		TIMES_OUT(5, ringo_readv(p[0], &iov, 1));
		TIMES_OUT(5, ringo_read_full(p[0], &c, 1));
		TIMES_OUT(5, ringo_read(s[0], &c, 1));
		TIMES_OUT(5, ringo_recv(s[0], &c, 1, 0));
		TIMES_OUT(5, ringo_recv(s[0], junk, 100, MSG_WAITALL));
		TIMES_OUT(5, ringo_recvmsg(s[0], &msg, 0));
		TIMES_OUT(5, ringo_recvfrom(s[0], &c, 1, 0, (struct sockaddr *)&from, &len));
		fill_up(p[1]);
		fill_up(s[0]);
		fill_up(u[0]);
		TIMES_OUT(5, ringo_write(p[1], junk, 100));
		TIMES_OUT(5, ringo_writev(p[1], &iov, 1));
		TIMES_OUT(5, ringo_write_all(p[1], &c, 1));
		TIMES_OUT(5, ringo_write(u[0], junk, 100));
		TIMES_OUT(5, ringo_send(u[0], junk, 100, 0));
		TIMES_OUT(5, ringo_sendmsg(u[0], &msg, 0));
		TIMES_OUT(5, ringo_splice(p[0], NULL, u[0], NULL, 10, 0));
		while (read(p[0], junk, sizeof(junk)) == sizeof(junk))
			;
		for (int i = 0; i < 2; i++) {
			nonblock(s[i]);
			nonblock(p[i]);
			nonblock(u[i]);
		}
		nonblock(l);
		tcp_pair(s);
		CHECK(!pipe(p));
	}
	return 0;
}

/* A listening socket whose queue is full: a connect to it waits. */
static int full_listener(struct sockaddr_in *at)
{
	int l = listener(at), n = 0;

	CHECK(!listen(l, 0));
	for (; n < 10; n++) {
		int fd = (int)OK(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
		struct pollfd p = { fd, POLLOUT, 0 };

		if (connect(fd, (struct sockaddr *)at, sizeof(*at)) && errno != EINPROGRESS)
			abort();
		if (poll(&p, 1, 100) == 0)
			return l;
	}
	abort();
}

G_TEST(a_deadline_ends_a_connect)
{
	struct sockaddr_in at;
	char target[32];
	int l = full_listener(&at), fd, before;

	fd = (int)OK(ringo_socket(AF_INET, SOCK_STREAM, 0));
	TIMES_OUT(20, ringo_connect(fd, (struct sockaddr *)&at, sizeof(at)));
	close(fd);
	fd = (int)OK(ringo_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
	TIMES_OUT(20, ringo_connect(fd, (struct sockaddr *)&at, sizeof(at)));
	close(fd);
	snprintf(target, sizeof(target), "127.0.0.1:%d", ntohs(at.sin_port));
	before = count_fds();
	TIMES_OUT(20, ringo_tcp_dial(target));
	CHECK_EQ(count_fds(), before);
	close(l);
	return 0;
}

static int job(void *arg)
{
	ADD((int *)arg, 1);
	return 0;
}

G_TEST(a_deadline_that_is_over_ends_calls_before_they_begin)
{
	struct sockaddr_in at;
	struct pollfd p = { 0, POLLIN, 0 };
	struct addrinfo *list = NULL;
	struct statx st;
	int l = listener(&at), s[2], fd, ran = 0, res = 0;
	char c = 'x';
	pid_t pid = sleeper();

	tcp_pair(s);
	fd = (int)OK(ringo_open("/tmp", O_RDWR | O_TMPFILE, 0600));
	CHECK_EQ(ringo_write(s[1], "a", 1), 1);
	p.fd = s[0];
	ringo_deadline_set(1);
	CHECK_EQ(ringo_accept(l, NULL, NULL), -ETIMEDOUT);
	CHECK_EQ(ringo_recv(s[0], &c, 1, 0), -ETIMEDOUT);
	CHECK_EQ(ringo_send(s[0], &c, 1, 0), -ETIMEDOUT);
	CHECK_EQ(ringo_read(s[0], &c, 1), -ETIMEDOUT);
	CHECK_EQ(ringo_read(fd, &c, 1), -ETIMEDOUT);
	CHECK_EQ(ringo_write(fd, &c, 1), -ETIMEDOUT);
	CHECK_EQ(ringo_write_all(fd, &c, 1), -ETIMEDOUT);
	CHECK_EQ(ringo_pread(fd, &c, 1, 0), -ETIMEDOUT);
	CHECK_EQ(ringo_pwrite(fd, &c, 1, 0), -ETIMEDOUT);
	CHECK_EQ(ringo_fsync(fd), -ETIMEDOUT);
	CHECK_EQ(ringo_ftruncate(fd, 0), -ETIMEDOUT);
	CHECK_EQ(ringo_fallocate(fd, 0, 0, 1), -ETIMEDOUT);
	CHECK_EQ(ringo_open("/tmp/x", O_RDONLY), -ETIMEDOUT);
	CHECK_EQ(ringo_statx(AT_FDCWD, "/", 0, STATX_TYPE, &st), -ETIMEDOUT);
	CHECK_EQ(ringo_unlink("/tmp/none/none"), -ETIMEDOUT);
	CHECK_EQ(ringo_connect(s[0], (struct sockaddr *)&at, sizeof(at)), -ETIMEDOUT);
	CHECK_EQ(ringo_poll(&p, 1, 100), -ETIMEDOUT);
	CHECK_EQ(ringo_poll(&p, 1, -1), -ETIMEDOUT);
	CHECK_EQ(ringo_poll(&p, 1, 0), 1); /* this one never waits */
	CHECK_EQ(ringo_waitpid(pid, NULL, 0), -ETIMEDOUT);
	CHECK_EQ(ringo_waitpid(pid, NULL, WNOHANG), 0);
	CHECK_EQ(ringo_tcp_dial("127.0.0.1:1"), -ETIMEDOUT);
	CHECK_EQ(ringo_tcp_dial("localhost:1"), -ETIMEDOUT);
	CHECK_EQ(ringo_getaddrinfo("localhost", NULL, NULL, &list), EAI_CANCELED);
	CHECK_EQ(ringo_blocking(job, &ran, &res), -ETIMEDOUT);
	CHECK_EQ(ran, 0);
	CHECK_EQ(ringo_close(s[1]), 0); /* always closes */
	CHECK_EQ(fcntl(s[1], F_GETFD), -1);
	CHECK_EQ(ringo_close(fd), 0);
	CHECK_EQ(fcntl(fd, F_GETFD), -1);
	CHECK_EQ(ringo_deadline_set(0), 1);
	CHECK_EQ(ringo_recv(s[0], &c, 1, 0), 1); /* nothing was taken */
	CHECK_EQ(c, 'a');
	kill(pid, SIGKILL);
	CHECK_EQ(ringo_waitpid(pid, NULL, 0), pid);
	return 0;
}

/* A deadline against arriving data. */

enum { ROUNDS = 20000 };

static uint64_t sent_sum;
static int sender_done;

static void pause_a_little(unsigned *seed)
{
	int64_t ns = rand_r(seed) % 60000;

	if (ns > 20000)
		OK(ringo_sleep(ns));
	else
		ringo_yield();
}

static void send_bytes(int fd)
{
	unsigned seed = 1;

	for (int i = 0; i < SCALE(ROUNDS); i++) {
		uint8_t c = (uint8_t)rand_r(&seed);

		pause_a_little(&seed);
		CHECK_EQ(ringo_write(fd, &c, 1), 1);
		ADD(&sent_sum, c);
	}
	STORE(&sender_done, 1);
	CHECK_EQ(ringo_close(fd), 0);
}

typedef ssize_t read_fn(int fd, uint8_t *buf, size_t n);

static ssize_t by_read(int fd, uint8_t *buf, size_t n)
{
	return ringo_read(fd, buf, n);
}

static ssize_t by_recv(int fd, uint8_t *buf, size_t n)
{
	return ringo_recv(fd, buf, n, 0);
}

static ssize_t by_waitall(int fd, uint8_t *buf, size_t n)
{
	return ringo_recv(fd, buf, n, MSG_WAITALL);
}

static ssize_t by_full(int fd, uint8_t *buf, size_t n)
{
	return ringo_read_full(fd, buf, n);
}

static ssize_t by_recvmsg(int fd, uint8_t *buf, size_t n)
{
	struct iovec iov = { buf, n };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	return ringo_recvmsg(fd, &msg, 0);
}

static void keeps_all(int in, int out, read_fn *rd)
{
	uint64_t sum = 0;
	unsigned seed = 2;
	int timeouts = 0;
	ssize_t n;

	sent_sum = 0;
	sender_done = 0;
	OK(ringo_go(send_bytes, out));
	do {
		uint8_t buf[4];

		ringo_timeout_scope(rand_r(&seed) % 100000);
		n = rd(in, buf, sizeof(buf));
		for (ssize_t i = 0; i < n; i++)
			sum += buf[i];
		timeouts += n == -ETIMEDOUT;
		CHECK(n >= 0 || n == -ETIMEDOUT);
	} while (n);
	CHECK(LOAD(&sender_done));
	CHECK(timeouts > 100 / (SANITIZED * 9 + 1));
	CHECK_EQ(sum, LOAD(&sent_sum));
	OK(close(in));
}

G_TEST(bytes_that_arrive_at_the_deadline_are_not_lost)
{
	int s[2];

	CHECK(!pipe(s));
	keeps_all(s[0], s[1], by_read);
	unix_pair(s, SOCK_STREAM);
	keeps_all(s[0], s[1], by_read);
	tcp_pair(s);
	keeps_all(s[0], s[1], by_recv);
	tcp_pair(s);
	keeps_all(s[0], s[1], by_recvmsg);
	return 0;
}

G_TEST(parts_that_arrived_before_the_deadline_are_not_lost)
{
	int s[2];

	tcp_pair(s);
	keeps_all(s[0], s[1], by_waitall);
	unix_pair(s, SOCK_STREAM);
	keeps_all(s[0], s[1], by_full);
	CHECK(!pipe(s));
	keeps_all(s[0], s[1], by_full);
	return 0;
}

static long got_bytes;

static void drain_slowly(int fd)
{
	char buf[4096];
	unsigned seed = 3;
	ssize_t n;

	while ((n = OK(ringo_read(fd, buf, sizeof(buf)))) > 0) {
		got_bytes += n;
		if (rand_r(&seed) % 4 == 0)
			OK(ringo_sleep(rand_r(&seed) % 50000));
	}
	STORE(&sender_done, 1);
}

static ssize_t send_plain(int fd, const char *buf, size_t n)
{
	return ringo_send(fd, buf, n, 0);
}

static ssize_t write_all(int fd, const char *buf, size_t n)
{
	return ringo_write_all(fd, buf, n);
}

static void counts_all(int out, int in, ssize_t (*wr)(int, const char *, size_t))
{
	static char junk[100000];
	unsigned seed = 4;
	long total = 0;
	int cut = 0;

	got_bytes = 0;
	sender_done = 0;
	OK(ringo_go(drain_slowly, in));
	for (int i = 0; i < SCALE(1000); i++) {
		ringo_timeout_scope(rand_r(&seed) % 300000);
		ssize_t n = wr(out, junk, sizeof(junk));

		CHECK(n > 0 || n == -ETIMEDOUT);
		cut += n != sizeof(junk);
		if (n > 0)
			total += n;
	}
	CHECK(cut);
	CHECK_EQ(ringo_close(out), 0);
	until(&sender_done, 1);
	CHECK_EQ(got_bytes, total);
	OK(close(in));
}

G_TEST(bytes_sent_before_the_deadline_are_counted)
{
	int s[2];

	tcp_pair(s);
	counts_all(s[0], s[1], send_plain);
	unix_pair(s, SOCK_STREAM);
	counts_all(s[0], s[1], send_plain);
	unix_pair(s, SOCK_STREAM);
	counts_all(s[0], s[1], write_all);
	CHECK(!pipe(s));
	counts_all(s[1], s[0], write_all);
	return 0;
}

static int connects;

static void connect_at_random(struct sockaddr_in *at)
{
	unsigned seed = 5;

	for (int i = 0; i < SCALE(3000); i++) {
		int fd = (int)OK(ringo_socket(AF_INET, SOCK_STREAM, 0));

		pause_a_little(&seed);
		CHECK_EQ(ringo_connect(fd, (struct sockaddr *)at, sizeof(*at)), 0);
		CHECK_EQ(ringo_close(fd), 0);
		ADD(&connects, 1);
	}
}

G_TEST(connections_that_arrive_at_the_deadline_are_not_lost)
{
	struct sockaddr_in at;
	int l = listener(&at), n = 0;
	unsigned seed = 6;

	OK(ringo_go(connect_at_random, &at));
	while (n < SCALE(3000)) {
		ringo_timeout_scope(rand_r(&seed) % 200000);
		int fd = ringo_accept(l, NULL, NULL);

		CHECK(fd >= 0 || fd == -ETIMEDOUT);
		if (fd >= 0) {
			n++;
			close(fd);
		}
	}
	until(&connects, n);
	TIMES_OUT(5, ringo_accept(l, NULL, NULL));
	return 0;
}

TEST_HARNESS_MAIN
