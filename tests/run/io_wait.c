// SPDX-License-Identifier: MIT
/* Waiting calls: EAGAIN and EINTR stay inside, deadlines end them, and what arrives at that moment is kept. */
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include "io_help.h"

/* ---- O_NONBLOCK ---- */

struct late_write {
	int fd, times;
};

static void write_late(struct late_write *w)
{
	for (int i = 0; i < w->times; i++) {
		OK(ringo_sleep(5 * RINGO_MS));
		CHECK_EQ(write(w->fd, "12345678", 8), 8);
	}
}

static void reads_wait(int fd, int from)
{
	struct late_write w = { from, 4 };
	char buf[8];
	struct iovec iov = { buf, sizeof(buf) };

	nonblock(fd);
	OK(ringo_go(write_late, &w));
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
	static char buf[1 << 16];
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

static void send_dgrams(int fd)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = "\0ringo-io-wait" };
	socklen_t len = offsetof(struct sockaddr_un, sun_path) + 14;

	for (int i = 0; i < 300; i++)
		CHECK_EQ(ringo_sendto(fd, &i, sizeof(i), 0, (struct sockaddr *)&to, len), sizeof(i));
	STORE(&dgram_done, 1);
}

G_TEST(a_sender_to_a_full_receiver_waits_and_does_not_spin)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX, .sun_path = "\0ringo-io-wait" };
	socklen_t len = offsetof(struct sockaddr_un, sun_path) + 14;
	int to = (int)OK(ringo_socket(AF_UNIX, SOCK_DGRAM, 0));
	int from = (int)OK(ringo_socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0));
	struct rusage before, after;
	int v;

	CHECK_EQ(ringo_bind(to, (struct sockaddr *)&at, len), 0);
	OK(ringo_go(send_dgrams, from));
	getrusage(RUSAGE_SELF, &before);
	OK(ringo_sleep(300 * RINGO_MS));
	getrusage(RUSAGE_SELF, &after);
	CHECK(!dgram_done);
	CHECK(after.ru_nvcsw - before.ru_nvcsw < 3000);
	for (int i = 0; i < 300; i++) {
		CHECK_EQ(ringo_recv(to, &v, sizeof(v), 0), sizeof(v));
		CHECK_EQ(v, i);
	}
	until(&dgram_done, 1);
	return 0;
}

/* ---- signals ---- */

static int stop_pestering, pestered;

static void on_pester(int signo)
{
	(void)signo;
	ADD(&pestered, 1);
}

/* A thread that interrupts all others of the process. */
static void *pester(void *arg)
{
	sigset_t set;

	(void)arg;
	sigfillset(&set);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
	while (!LOAD(&stop_pestering)) {
		DIR *d = opendir("/proc/self/task");
		struct dirent *e;

		while (d && (e = readdir(d))) {
			int tid = atoi(e->d_name);

			if (tid && tid != gettid())
				syscall(SYS_tgkill, getpid(), tid, SIGUSR1);
		}
		if (d)
			closedir(d);
		usleep(300);
	}
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

/* ---- deadlines ---- */

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

static int child_of_test(void)
{
	pid_t pid = fork();

	if (!pid) {
		pause();
		_exit(0);
	}
	return (int)OK(pid);
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
	pid_t pid = child_of_test();

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

/* ---- a deadline against arriving data ---- */

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
		sent_sum += c;
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
	CHECK(sender_done);
	CHECK(timeouts > 100 / (SANITIZED * 9 + 1));
	CHECK_EQ(sum, sent_sum);
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
	CHECK_EQ(LOAD(&connects), n);
	TIMES_OUT(5, ringo_accept(l, NULL, NULL));
	return 0;
}

/* ---- SIGPIPE ---- */

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
