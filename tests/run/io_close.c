// SPDX-License-Identifier: MIT
/* Closing: always closes, and holds up nobody. */
#include "io_help.h"

static int ticks, ticking = 1;
static int64_t worst_gap;

static void tick(void)
{
	int64_t last = now_ns();

	while (LOAD(&ticking)) {
		int64_t now;

		OK(ringo_sleep(RINGO_MS));
		now = now_ns();
		worst_gap = now - last > worst_gap ? now - last : worst_gap;
		last = now;
		ADD(&ticks, 1);
	}
	STORE(&ticks, -1);
}

/* A connected socket with data that its peer does not take, and which close waits for. */
static int stuck(int fds[2], int seconds)
{
	struct linger l = { 1, seconds };

	tcp_pair(fds);
	fill_up(fds[0]);
	CHECK(!setsockopt(fds[0], SOL_SOCKET, SO_LINGER, &l, sizeof(l)));
	return fds[0];
}

static void close_it(int fd)
{
	CHECK_EQ(ringo_close(fd), 0);
	CHECK_EQ(fcntl(fd, F_GETFD), -1);
	STORE(&ticking, 0);
}

static int lingers(void *arg)
{
	int fds[2], fd = stuck(fds, 1);
	int64_t start = now_ns();

	(void)arg;
	OK(ringo_go(tick));
	OK(ringo_go(close_it, fd));
	until(&ticks, -1);
	CHECK(now_ns() - start >= 900 * RINGO_MS); /* it did linger */
	CHECK(worst_gap < 500 * RINGO_MS);
	return 0;
}

TEST(a_close_that_lingers_does_not_hold_up_others)
{
	use_turns();
	ASSERT_EQ(0, ringo_run(lingers, NULL));
}

G_TEST(a_close_that_lingers_is_not_cut_short_by_a_deadline)
{
	int fds[2], fd = stuck(fds, 1);
	int64_t start = now_ns();
	ringo_timeout_scope(10 * RINGO_MS);

	CHECK_EQ(ringo_close(fd), 0);
	CHECK(now_ns() - start >= 900 * RINGO_MS);
	CHECK_EQ(fcntl(fd, F_GETFD), -1);
	return 0;
}

static int lingering;

static void close_many(int fd)
{
	CHECK_EQ(ringo_close(fd), 0);
	ADD(&lingering, -1);
}

G_TEST(many_linger_at_the_same_time)
{
	int64_t start = now_ns();

	lingering = 30;
	for (int i = 0; i < 30; i++) {
		int fds[2];

		OK(ringo_go(close_many, stuck(fds, 1)));
	}
	until(&lingering, 0);
	CHECK(now_ns() - start < 10 * RINGO_SEC);
	return 0;
}

G_TEST(all_kinds_of_descriptors_are_closed)
{
	int fds[12], n = 0, p[2], s[2];

	fds[n++] = (int)OK(ringo_open("/tmp", O_RDWR | O_TMPFILE, 0600));
	fds[n++] = (int)OK(ringo_open("/", O_RDONLY));
	fds[n++] = (int)OK(ringo_open("/dev/null", O_RDWR));
	OK(ringo_pipe(p));
	fds[n++] = p[0];
	fds[n++] = p[1];
	tcp_pair(s);
	fds[n++] = s[0];
	fds[n++] = s[1];
	unix_pair(s, SOCK_STREAM);
	fds[n++] = s[0];
	fds[n++] = s[1];
	for (int i = 0; i < n; i++) {
		CHECK_EQ(ringo_close(fds[i]), 0);
		CHECK_EQ(fcntl(fds[i], F_GETFD), -1);
		CHECK_EQ(ringo_close(fds[i]), -EBADF);
	}
	CHECK_EQ(ringo_close(-1), -EBADF);
	CHECK_EQ(ringo_close(1 << 30), -EBADF);
	return 0;
}

/* Closing one of two descriptors leaves the connection alone, lingering or not. */
G_TEST(a_socket_with_another_descriptor_lives_on)
{
	struct linger l = { 1, 1 };
	int s[2], other;
	char c = 'x';

	tcp_pair(s);
	CHECK(!setsockopt(s[0], SOL_SOCKET, SO_LINGER, &l, sizeof(l)));
	other = dup(s[0]);
	CHECK_EQ(ringo_close(s[0]), 0);
	CHECK_EQ(ringo_send(other, &c, 1, 0), 1);
	CHECK_EQ(ringo_recv(s[1], &c, 1, 0), 1);
	CHECK_EQ(ringo_send(s[1], &c, 1, 0), 1);
	CHECK_EQ(ringo_recv(other, &c, 1, 0), 1);
	return 0;
}

G_TEST(a_linger_ends_when_all_is_sent)
{
	struct linger l = { 1, 20 };
	int64_t start = now_ns();
	char buf[10];
	int s[2];

	tcp_pair(s);
	CHECK(!setsockopt(s[0], SOL_SOCKET, SO_LINGER, &l, sizeof(l)));
	CHECK_EQ(ringo_send(s[0], "0123456789", 10, 0), 10);
	CHECK_EQ(ringo_close(s[0]), 0);
	CHECK(now_ns() - start < 5 * RINGO_SEC);
	CHECK_EQ(ringo_read_full(s[1], buf, 10), 10);
	CHECK_EQ(ringo_read(s[1], buf, 10), 0);
	return 0;
}

/*
 * Go's fd_mutex, as far as C has it. A close does not end what waits on the descriptor, as with threads: that
 * has the file until its peer acts. shutdown ends it (net_socket.c). What comes later finds nothing.
 */
static int got_a_byte, got_the_end;

static void read_byte(int fd)
{
	ssize_t n;
	char c;

	n = OK(ringo_read(fd, &c, 1));
	ADD(n ? &got_a_byte : &got_the_end, 1);
}

G_TEST(those_who_wait_outlive_a_close_and_nobody_comes_after)
{
	char c = 'x';
	int s[2];

	unix_pair(s, SOCK_STREAM);
	for (int i = 0; i < 4; i++)
		OK(ringo_go(read_byte, s[0]));
	OK(ringo_sleep(20 * RINGO_MS));
	CHECK_EQ(ringo_close(s[0]), 0);
	CHECK_EQ(ringo_close(s[0]), -EBADF);
	CHECK_EQ(ringo_read(s[0], &c, 1), -EBADF);
	CHECK_EQ(ringo_write(s[0], &c, 1), -EBADF);
	OK(ringo_sleep(5 * RINGO_MS));
	CHECK_EQ(LOAD(&got_a_byte) + LOAD(&got_the_end), 0);
	CHECK_EQ(ringo_write(s[1], "ab", 2), 2);
	until(&got_a_byte, 2);
	CHECK_EQ(ringo_shutdown(s[1], SHUT_WR), 0);
	until(&got_the_end, 2);
	CHECK_EQ(got_a_byte, 2);
	CHECK_EQ(ringo_close(s[1]), 0);
	return 0;
}

/* Lock and Stress: many read and write one descriptor; each piece goes through whole and once. */
enum { WRITERS = 8, PIECES = 500 };

static uint8_t arrived[WRITERS * PIECES];
static int finished_readers;

static void write_pieces(int fd, int me)
{
	for (int i = 0; i < SCALE(PIECES); i++) {
		uint16_t piece[4];

		for (int k = 0; k < 4; k++)
			piece[k] = (uint16_t)(me * PIECES + i);
		CHECK_EQ(ringo_write(fd, piece, sizeof(piece)), sizeof(piece));
	}
	ADD(&lingering, -1);
}

static void read_pieces(int fd)
{
	uint16_t piece[4];
	ssize_t n;

	while ((n = OK(ringo_read(fd, piece, sizeof(piece))))) {
		CHECK_EQ(n, sizeof(piece));
		CHECK(piece[0] == piece[1] && piece[0] == piece[2] && piece[0] == piece[3]);
		CHECK_EQ(ADD(&arrived[piece[0]], 1), 1);
	}
	ADD(&finished_readers, 1);
}

G_TEST(many_use_one_descriptor_at_once)
{
	int fds[2];

	OK(ringo_pipe(fds)); /* up to PIPE_BUF a write to it is never cut */
	lingering = WRITERS;
	for (int i = 0; i < WRITERS; i++) {
		OK(ringo_go(write_pieces, fds[1], i));
		OK(ringo_go(read_pieces, fds[0]));
	}
	until(&lingering, 0);
	CHECK_EQ(ringo_close(fds[1]), 0);
	until(&finished_readers, WRITERS);
	for (int i = 0; i < WRITERS; i++)
		for (int k = 0; k < SCALE(PIECES); k++)
			CHECK_EQ(arrived[i * PIECES + k], 1);
	CHECK_EQ(ringo_close(fds[0]), 0);
	return 0;
}

static void *close_from_thread(void *arg)
{
	int *fds = arg;

	CHECK_EQ(ringo_close(fds[0]), 0);
	CHECK_EQ(ringo_close(fds[0]), -EBADF);
	return NULL;
}

static int closes_elsewhere(void *arg)
{
	pthread_t t;

	CHECK(!pthread_create(&t, NULL, close_from_thread, arg));
	pthread_join(t, NULL);
	return 0;
}

TEST(any_thread_may_close_with_or_without_a_runtime)
{
	int fds[2];

	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ(0, ringo_run(closes_elsewhere, fds));
	ASSERT_EQ(0, ringo_close(fds[1]));
	ASSERT_EQ(-EBADF, ringo_close(fds[1]));
}

static int leaves_closing(void *arg)
{
	int fds[2];

	(void)arg;
	OK(ringo_go(close_many, stuck(fds, 1)));
	OK(ringo_sleep(10 * RINGO_MS));
	OK(close(fds[1]));
	return 0;
}

TEST(the_end_of_the_run_closes_what_lingers)
{
	int before = count_fds(), after;

	for (int i = 0; i < 3; i++)
		ASSERT_EQ(0, ringo_run(leaves_closing, NULL));
	after = count_fds();
	ASSERT_EQ(before, after);
}

TEST_HARNESS_MAIN
