// SPDX-License-Identifier: MIT
/* Traces from the debug endpoint: what is in them, beside whom they are made, and how they end. */
#include "serve_help.h"

static bool stop;

static void ticker(void *arg)
{
	while (!LOAD(&stop))
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
}

static void count_has(const char *text, const char *what, int least)
{
	int n = 0;

	for (const char *at = text; (at = strstr(at, what)); at++)
		n++;
	if (n < least)
		check_failed(__FILE__, __LINE__, what, n, least);
}

static void check_whole(const struct reply *r)
{
	const char *end;

	CHECK_EQ(200, r->status);
	CHECK_HAS(r->head, "Content-Type: application/json\r\n");
	CHECK(!strncmp(r->body, "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n", 40));
	CHECK(r->size > 10 && !strcmp(r->body + r->size - 4, "}}}\n"));
	end = strstr(r->body, "\"otherData\"");
	CHECK(end && !strstr(end + 1, "\"otherData\""));
}

/* One who asks for something else meanwhile. */
static void *beside(void *arg)
{
	int64_t since = now_ns();
	struct reply r;

	nap_ms(200);
	r = get(*(int *)arg, "/metrics");
	CHECK_EQ(200, r.status);
	free(r.head);
	r = get(*(int *)arg, "/debug/trace?seconds=1");
	check_whole(&r);
	CHECK(now_ns() - since >= 1200 * RINGO_MS);
	free(r.head);
	return NULL;
}

static int trace_main(void *arg)
{
	struct ringo_go_options o = RINGO_GO_OPTIONS(.name = "the ticker");
	int port = ringo_debug_serve(":0");
	pthread_t thread;
	struct reply r;

	stop = false;
	CHECK(port > 0);
	CHECK_EQ(0, ringo_go_opt(&o, ticker, NULL));
	CHECK_EQ(0, pthread_create(&thread, NULL, beside, &port));
	r = get(port, "/debug/trace?seconds=1");
	check_whole(&r);
	count_has(r.body, "\"name\":\"the ticker\"", 10);
	count_has(r.body, "\"name\":\"sleep\"", 10);
	count_has(r.body, "\"lost\":0,\"garbage\":0,\"cut\":false", 1);
	free(r.head);
	CHECK_EQ(0, pthread_join(thread, NULL));
	STORE(&stop, true);
	return 0;
}

TEST(a_trace_has_what_happens_meanwhile)
{
	int fds = count_fds();

	use_procs(2);
	EXPECT_EQ(0, run_main(trace_main));
	EXPECT_EQ(0, run_main(trace_main));
	EXPECT_EQ(fds, count_fds());
}

G_TEST(only_some_seconds_at_a_time)
{
	int port = ringo_debug_serve(":0");
	struct reply r;

	CHECK(port > 0);
	check_status(port, "GET /debug/trace?seconds=0 HTTP/1.1\r\n\r\n", 400);
	check_status(port, "GET /debug/trace?seconds=61 HTTP/1.1\r\n\r\n", 400);
	check_status(port, "GET /debug/trace?seconds=4294967297 HTTP/1.1\r\n\r\n", 400);
	check_status(port, "GET /debug/trace?seconds= HTTP/1.1\r\n\r\n", 400);
	check_status(port, "GET /debug/trace?seconds=1x HTTP/1.1\r\n\r\n", 400);
	check_status(port, "GET /debug/trace?seconds=-1 HTTP/1.1\r\n\r\n", 400);
	r = ask(connect_port(port), "HEAD /debug/trace?seconds=50 HTTP/1.1\r\n\r\n");
	CHECK_EQ(200, r.status);
	CHECK_EQ(0, r.size);
	free(r.head);
	return 0;
}

static int ended_main(void *arg)
{
	static const char request[] = "GET /debug/trace?seconds=50 HTTP/1.1\r\n\r\n";
	int port = ringo_debug_serve(":0");
	struct linger now = { 1, 0 };
	int fd;

	stop = false;
	CHECK(port > 0);
	CHECK_EQ(0, ringo_go_fn(ticker, NULL));
	for (int i = 0; i < 12; i++) { /* more than there may be at a time */
		fd = connect_port(port);
		say_all(fd, request, strlen(request));
		CHECK_EQ(0, setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)));
		CHECK_EQ(0, ringo_sleep(20 * RINGO_MS));
		close(fd);
	}
	*(int *)arg = connect_port(port);
	say_all(*(int *)arg, request, strlen(request));
	CHECK_EQ(0, ringo_sleep(50 * RINGO_MS));
	STORE(&stop, true);
	return 0;
}

TEST(who_goes_away_and_the_end_of_the_run_end_it)
{
	int64_t since = now_ns();
	int fds = count_fds(), fd;

	EXPECT_EQ(0, ringo_run(ended_main, &fd));
	EXPECT_LT(now_ns() - since, 20 * RINGO_SEC);
	close(fd);
	EXPECT_EQ(fds, count_fds());
}

/* What a child of fork has of the recording must not write into the file. */
G_TEST(a_forked_child_leaves_it_alone)
{
	static const char request[] = "GET /debug/trace?seconds=1 HTTP/1.1\r\n\r\n";
	int port = ringo_debug_serve(":0"), fd, status;
	struct reply r;
	pid_t pid;

	stop = false;
	CHECK(port > 0);
	CHECK_EQ(0, ringo_go_fn(ticker, NULL));
	fd = connect_port(port);
	say_all(fd, request, strlen(request));
	CHECK_EQ(0, ringo_sleep(300 * RINGO_MS));
	pid = fork();
	if (!pid)
		exit(0);
	CHECK_EQ(pid, waitpid(pid, &status, 0));
	CHECK_EQ(0, status);
	r = hear(fd);
	check_whole(&r);
	count_has(r.body, "\"name\":\"sleep\"", 10);
	free(r.head);
	STORE(&stop, true);
	return 0;
}

TEST_HARNESS_MAIN
