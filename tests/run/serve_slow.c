// SPDX-License-Identifier: MIT
/*
 * The debug endpoint beside clients that are slow, gone, or mean harm: others are answered, none stays for
 * ever, what they take is bounded, nothing is left of them, and a run ends in spite of them.
 */
#include <alloca.h>
#include <poll.h>
#include <sys/stat.h>

#include "observe/serve.h"
#include "serve_help.h"

enum { MANY = 300, WAITERS = 3000 /* whose dump no socket takes at once */, DEEP = SANITIZED ? 7000 : 14000 };

static const char dump[] = "GET /debug/pprof/goroutine?debug=2 HTTP/1.1\r\n\r\n";
static const char trace[] = "GET /debug/trace?seconds=60 HTTP/1.1\r\n\r\n";
static const char metrics[] = "GET /metrics HTTP/1.1\r\n\r\n";

static char path[100];

/* A Unix socket: what it takes without being read is little, and does not grow. */
static void serve_at_path(void)
{
	char addr[128];

	snprintf(path, sizeof(path), "/tmp/ringo-serve-slow.%d", getpid());
	snprintf(addr, sizeof(addr), "unix:%s", path);
	CHECK_EQ(0, ringo_debug_serve(addr));
}

static int connect_there(void)
{
	int fd = connect_path(path);

	CHECK(fd >= 0);
	return fd;
}

static int ask_there(const char *request)
{
	int fd = connect_there();

	say_all(fd, request, strlen(request));
	return fd;
}

/* One who does not wait for the connection to be made. */
static int connect_soon(int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	CHECK(fd >= 0);
	CHECK(!connect(fd, (struct sockaddr *)&a, sizeof(a)) || errno == EINPROGRESS);
	return fd;
}

static void check_answered(int fd)
{
	struct reply r = ask(fd, metrics);

	CHECK_EQ(200, r.status);
	CHECK_HAS(r.body, "ringo_procs");
	free(r.head);
}

static void receiver(void *chan)
{
	CHECK(ringo_chan_recv(chan, NULL) <= 0);
}

static void start_waiters(void)
{
	for (int i = 0; i < WAITERS; i++)
		CHECK_EQ(0, ringo_go_fn(receiver, NULL));
	wait_waiting(WAITERS);
}

/*
 * Sockets of both ends, answers that are in memory, and the bytes of these. The runtime may open other
 * things.
 */
struct there {
	int sockets, answers;
	int64_t bytes;
};

static struct there there(void)
{
	DIR *d = opendir("/proc/self/fd");
	struct there n = { 0 };
	struct dirent *e;

	CHECK(d != NULL);
	while ((e = readdir(d))) {
		char at[300], to[100] = "";
		struct stat st;

		snprintf(at, sizeof(at), "/proc/self/fd/%s", e->d_name);
		if (readlink(at, to, sizeof(to) - 1) < 0)
			continue;
		n.sockets += !strncmp(to, "socket:", 7);
		if (!strstr(to, "ringo-debug") || stat(at, &st))
			continue;
		n.bytes += st.st_blocks * 512;
		n.answers++;
	}
	closedir(d);
	return n;
}

static void wait_answers(int n)
{
	for (int i = 0; i < 10000 && there().answers != n; i++)
		nap_ms(2);
	CHECK_EQ(n, there().answers);
}

/* Only the socket that it listens on, and nothing of any client. */
static void wait_nothing_left(void)
{
	wait_answers(0);
	for (int i = 0; i < 10000 && there().sockets != 1; i++)
		nap_ms(2);
	CHECK_EQ(1, there().sockets);
}

/* Bytes until it is closed, or reset. Closes fd. */
static size_t drain(int fd)
{
	char buf[4096];
	size_t n = 0;
	ssize_t got;

	while ((got = recv(fd, buf, sizeof(buf), 0)) > 0 || (got < 0 && errno == EINTR))
		n += got > 0 ? (size_t)got : 0;
	close(fd);
	return n;
}

static bool is_readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) > 0;
}

/* ---- too many ---- */

G_TEST(hundreds_who_say_nothing_keep_nobody_out)
{
	int port = ringo_debug_serve(":0"), fd[MANY];

	CHECK(port > 0);
	for (int i = 0; i < MANY; i++)
		fd[i] = connect_soon(port);
	for (int i = 0; i < 10; i++)
		check_answered(connect_port(port));
	CHECK(there().sockets <= 1 + MANY + RG_SERVE_CLIENTS);
	for (int i = 0; i < MANY; i++)
		close(fd[i]);
	check_answered(connect_port(port));
	wait_nothing_left();
	return 0;
}

G_TEST(those_who_never_read_keep_nobody_out_and_take_little)
{
	enum { CLIENTS = 2 * RG_SERVE_CLIENTS };
	struct there n;
	int fd[CLIENTS];
	int64_t most = 0;

	rg_serve_limits.body = 1 << 20;
	rg_serve_limits.bodies = 3 << 20;
	rg_serve_limits.patience = 20 * RINGO_MS;
	start_waiters();
	serve_at_path();
	for (int i = 0; i < CLIENTS; i++) {
		fd[i] = ask_there(dump);
		check_answered(connect_there());
		n = there();
		CHECK(n.answers <= RG_SERVE_CLIENTS);
		CHECK(n.bytes <= rg_serve_limits.bodies);
		CHECK(n.sockets <= 1 + i + 1 + RG_SERVE_CLIENTS);
		most = n.bytes > most ? n.bytes : most;
	}
	CHECK(most > rg_serve_limits.body);
	for (int i = 0; i < CLIENTS; i++)
		close(fd[i]);
	wait_nothing_left();
	return 0;
}

/* One who reads is not the one who gives way. */
G_TEST(who_fetches_an_answer_gets_all_of_it)
{
	enum { CLIENTS = 2 * RG_SERVE_CLIENTS };
	int port = ringo_debug_serve(":0"), fd[CLIENTS];
	struct reply r;

	start_waiters();
	for (int i = 0; i < CLIENTS; i++)
		fd[i] = connect_soon(port);
	for (int i = 0; i < 5; i++) {
		r = get(port, "/debug/pprof/goroutine?debug=2");
		CHECK_EQ(200, r.status);
		CHECK_EQ(WAITERS, count_in(r.body, "entry receiver\n"));
		free(r.head);
	}
	for (int i = 0; i < CLIENTS; i++)
		close(fd[i]);
	return 0;
}

/* ---- too slow ---- */

G_TEST(who_does_not_come_to_an_end_is_cut_off)
{
	int port, fd;
	char byte;

	rg_serve_limits.request = 300 * RINGO_MS;
	port = ringo_debug_serve(":0");
	CHECK(port > 0);
	fd = connect_port(port); /* says nothing */
	CHECK_EQ(0, recv(fd, &byte, 1, 0));
	close(fd);
	fd = connect_port(port); /* says one byte after the other */
	while (!is_readable(fd, 20))
		say_all(fd, "G", 1);
	CHECK_EQ(408, hear(fd).status);
	rg_serve_limits.request = 60 * RINGO_SEC;
	fd = connect_port(port); /* has no end of headers */
	say_all(fd, metrics, strlen(metrics) - 2);
	while (!is_readable(fd, 0))
		say_all(fd, "Name: value\r\n", 13);
	CHECK_EQ(431, hear(fd).status);
	return 0;
}

G_TEST(who_does_not_read_is_cut_off)
{
	int fd;

	rg_serve_limits.stall = 200 * RINGO_MS;
	start_waiters();
	serve_at_path();
	fd = ask_there(dump);
	wait_answers(1);
	wait_answers(0);
	CHECK(drain(fd) < WAITERS * 100);
	return 0;
}

G_TEST(who_reads_slowly_is_cut_off_in_the_end)
{
	char buf[1000];
	size_t n = 0;
	int fd;

	rg_serve_limits.answer = 500 * RINGO_MS;
	start_waiters();
	serve_at_path();
	fd = ask_there(dump);
	wait_answers(1);
	while (there().answers) {
		ssize_t got = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

		n += got > 0 ? (size_t)got : 0;
		nap_ms(5);
	}
	CHECK(n + drain(fd) < WAITERS * 100);
	return 0;
}

static int garbage_port;

/* Until the other end has had enough. */
static void *says_garbage(void *arg)
{
	char buf[4096];
	int fd = connect_port(garbage_port);

	memset(buf, 'x', sizeof(buf));
	say_all(fd, metrics, strlen(metrics));
	while (send(fd, buf, sizeof(buf), MSG_NOSIGNAL) > 0)
		;
	close(fd);
	return arg;
}

G_TEST(what_comes_behind_a_request_is_thrown_away_for_a_while)
{
	size_t n = 256 << 10;
	char *text = malloc(n);
	pthread_t t;
	int fd;

	garbage_port = ringo_debug_serve(":0");
	CHECK(text && garbage_port > 0);
	CHECK_EQ(0, pthread_create(&t, NULL, says_garbage, NULL));
	for (size_t i = 0; i < n; i++)
		text[i] = metrics[i % strlen(metrics)];
	fd = connect_port(garbage_port);
	say_all(fd, text, n);
	CHECK_EQ(200, hear(fd).status); /* only one */
	check_answered(connect_port(garbage_port));
	CHECK_EQ(0, pthread_join(t, NULL));
	free(text);
	return 0;
}

/* ---- gone ---- */

G_TEST(who_says_no_more_is_answered)
{
	static const char one[] = "GET /debug/trace?seconds=1 HTTP/1.1\r\n\r\n";
	int port = ringo_debug_serve(":0"), fd = connect_port(port);
	struct reply r;
	char byte;

	say_all(fd, metrics, strlen(metrics));
	CHECK_EQ(0, shutdown(fd, SHUT_WR));
	CHECK_EQ(200, hear(fd).status);
	fd = connect_port(port);
	say_all(fd, one, strlen(one));
	CHECK_EQ(0, shutdown(fd, SHUT_WR));
	r = hear(fd);
	CHECK_EQ(200, r.status);
	CHECK_HAS(r.body, "\"otherData\"");
	free(r.head);
	fd = connect_port(port);
	say_all(fd, metrics, 5);
	CHECK_EQ(0, shutdown(fd, SHUT_WR));
	CHECK_EQ(0, recv(fd, &byte, 1, 0));
	close(fd);
	return 0;
}

G_TEST(a_recording_whose_client_is_gone_gives_way)
{
	int port = ringo_debug_serve(":0");
	struct reply r;

	for (int i = 0; i < 3 * RG_SERVE_RECORDINGS; i++) {
		int gone = connect_port(port);

		say_all(gone, trace, strlen(trace));
		close(gone); /* by TCP that is no more than to say no more */
	}
	r = get(port, "/debug/trace?seconds=1");
	CHECK_EQ(200, r.status);
	free(r.head);
	return 0;
}

G_TEST(there_are_a_few_recordings_at_a_time)
{
	int port = ringo_debug_serve(":0"), fd[RG_SERVE_RECORDINGS];
	struct reply r;

	for (int i = 0; i < RG_SERVE_RECORDINGS; i++) {
		fd[i] = connect_port(port);
		say_all(fd[i], trace, strlen(trace));
	}
	wait_answers(RG_SERVE_RECORDINGS);
	check_status(port, trace, 503);
	check_answered(connect_port(port));
	close(fd[0]);
	r = get(port, "/debug/trace?seconds=1");
	CHECK_EQ(200, r.status);
	free(r.head);
	for (int i = 1; i < RG_SERVE_RECORDINGS; i++)
		close(fd[i]);
	return 0;
}

G_TEST(who_goes_in_the_middle_leaves_nothing)
{
	const struct linger now = { 1, 0 };
	int port = ringo_debug_serve(":0");
	char buf[100];

	start_waiters();
	for (int i = 0; i < 40; i++) {
		int fd = connect_port(port);

		say_all(fd, dump, strlen(dump));
		CHECK(recv(fd, buf, sizeof(buf), 0) > 0);
		if (i % 2)
			CHECK_EQ(0, setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)));
		close(fd);
	}
	check_answered(connect_port(port));
	wait_nothing_left();
	return 0;
}

/* ---- the end of a run ---- */

static int left[MANY], nleft;

static int ends_main(void *arg)
{
	start_waiters();
	serve_at_path();
	for (nleft = 0; nleft < 30; nleft++) {
		int fd = left[nleft] = connect_there();

		if (nleft % 4 == 1)
			say_all(fd, metrics, 5);
		else if (nleft % 4 == 2)
			say_all(fd, dump, strlen(dump));
		else if (nleft % 4 == 3)
			say_all(fd, trace, strlen(trace));
		if (nleft % 8 > 4)
			CHECK_EQ(0, shutdown(fd, SHUT_WR));
	}
	check_answered(connect_there());
	for (int i = 0; i < 100; i++) /* they wait to be let in */
		left[nleft++] = connect_there();
	return 0;
}

TEST(a_run_ends_with_all_of_them)
{
	int fds = count_fds(), threads = 0;

	for (int i = 0; i < 3; i++) {
		int64_t since = now_ns();

		ASSERT_EQ(0, run_main(ends_main));
		EXPECT_GT(20 * RINGO_SEC, now_ns() - since);
		while (nleft)
			drain(left[--nleft]); /* their ends were closed */
		EXPECT_EQ(fds, count_fds());
		if (!i)
			threads = count_threads(); /* sanitizers may have made some */
		EXPECT_EQ(threads, count_threads());
	}
}

/* So that no stack is like the one before: each takes a long look. */
static __attribute__((noinline)) int deep(void *chan, int n, volatile char *at)
{
	int res = n ? deep(chan, n - 1, at) : ringo_chan_recv(chan, NULL);

	*at = (char)res;
	return res;
}

static int nth;

static void waits_deep(void *chan)
{
	char byte, *at = alloca((size_t)(ADD(&nth, 1) % 1500) * 16 + 16);

	*at = 0;
	CHECK(deep(chan, 60, &byte) <= 0);
}

static int cut_main(void *arg)
{
	for (int i = 0; i < DEEP; i++)
		CHECK_EQ(0, ringo_go_fn(waits_deep, NULL));
	wait_waiting(DEEP);
	serve_at_path();
	left[0] = ask_there(dump);
	wait_answers(1);
	return 0;
}

/* If the dump held it up for longer than the grace period, what it may look at could not be given back. */
TEST(a_run_ends_in_the_middle_of_a_dump)
{
	int result = -1;
	struct ringo_options o = RINGO_OPTIONS(.result = &result, .shutdown_ns = RINGO_MS);

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, ringo_run_opt(cut_main, NULL, &o));
		EXPECT_EQ(0, result);
		close(left[0]);
	}
}

TEST_HARNESS_MAIN
