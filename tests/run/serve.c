// SPDX-License-Identifier: MIT
/* The debug endpoint: what it answers, to whom, and when. */
#include <sys/resource.h>
#include <sys/stat.h>

#include "prom_help.h"
#include "serve_help.h"

static void receiver(void *chan)
{
	int res = ringo_chan_recv(chan, NULL);

	CHECK(res <= 0);
}

static void check_page(int port, const char *path, const char *has)
{
	struct reply r = get(port, path);

	CHECK_EQ(200, r.status);
	CHECK_HAS(r.body, has);
	CHECK_HAS(r.head, "Content-Type: text/plain");
	free(r.head);
}

G_TEST(answers_with_each_report)
{
	struct ringo_chan *c = ringo_chan_new(0, 0);
	int port = ringo_debug_serve(":0");
	struct reply r;

	CHECK(port > 0);
	CHECK_EQ(-EALREADY, ringo_debug_serve(":0"));
	for (int i = 0; i < 5; i++)
		CHECK_EQ(0, ringo_go_fn(receiver, c));
	wait_waiting(5);
	check_page(port, "/", "/metrics\n");
	check_page(port, "/debug/pprof/goroutine", "goroutine profile: total 6\n");
	check_page(port, "/debug/pprof/goroutine?debug=1", "goroutine profile: total 6\n");
	check_page(port, "/debug/pprof/goroutine?seconds=1&debug=2&x", "goroutine 1.1 [running");
	check_page(port, "/debug/pprof/goroutine?debug=2", "entry receiver\n");
	check_page(port, "/debug/leaks", "leak profile");
	r = get(port, "/metrics");
	CHECK_EQ(200, r.status);
	prom_check(r.body);
	CHECK(prom_value(r.body, "ringo_goroutines{state=\"waiting\"}") == 5);
	free(r.head);
	r = ask(connect_port(port), "HEAD /metrics HTTP/1.0\n\n");
	CHECK_EQ(200, r.status);
	CHECK_EQ(0, r.size);
	free(r.head);
	CHECK_EQ(0, ringo_chan_close(c));
	return 0;
}

G_TEST(refuses_what_it_does_not_understand)
{
	int port = ringo_debug_serve("localhost:0"), fd;
	char *big = calloc(1, 20001);

	CHECK(port > 0);
	check_status(port, "GET /nothing HTTP/1.1\r\n\r\n", 404);
	check_status(port, "GET /metricsx HTTP/1.1\r\n\r\n", 404);
	check_status(port, "GET http://localhost/metrics HTTP/1.1\r\n\r\n", 404);
	check_status(port, "POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 405);
	check_status(port, "GET /debug/pprof/goroutine?debug=7 HTTP/1.1\r\n\r\n", 400);
	check_status(port, "GET /metrics\r\n\r\n", 400);
	check_status(port, "GET  HTTP/1.1\r\n\r\n", 400);
	check_status(port, " / HTTP/1.1\r\n\r\n", 400);
	check_status(port, "\r\n\r\n", 400);
	check_status(port, "\x16\x03\x01\x02\n\n", 400); /* TLS, about */
	memset(big, 'x', 20000);
	check_status(port, big, 431);
	free(big);
	fd = connect_port(port);
	say_all(fd, "\0\0\0\n\n", 5);
	CHECK_EQ(400, hear(fd).status);
	check_page(port, "/metrics", "ringo_procs");
	return 0;
}

G_TEST(refuses_addresses)
{
	CHECK_EQ(-EINVAL, ringo_debug_serve(NULL));
	CHECK_EQ(-EINVAL, ringo_debug_serve(""));
	CHECK_EQ(-EINVAL, ringo_debug_serve("6060"));
	CHECK_EQ(-EINVAL, ringo_debug_serve("example.org:6060"));
	CHECK_EQ(-EINVAL, ringo_debug_serve("127.0.0.1:66000"));
	CHECK_EQ(-EINVAL, ringo_debug_serve("unix:relative"));
	CHECK_EQ(-EINVAL, ringo_debug_serve("unix:"));
	CHECK_EQ(-ENOENT, ringo_debug_serve("unix:/no/such/directory"));
	CHECK_EQ(-EADDRNOTAVAIL, ringo_debug_serve("192.0.2.1:0"));
	CHECK(ringo_debug_serve("127.0.0.1:0") > 0);
	return 0;
}

/* ThreadSanitizer makes a thread of its own with the first. */
#ifdef RG_TSAN
enum { IS_TSAN = 1 };
#else
enum { IS_TSAN = 0 };
#endif

static int stop;

static void spin(void *arg)
{
	while (!LOAD(&stop))
		;
}

static void *outside(void *arg)
{
	int port = *(int *)arg;

	nap_ms(20);
	check_page(port, "/metrics", "ringo_goroutines{state=\"running\"}");
	check_page(port, "/debug/pprof/goroutine?debug=2", "entry busy_main\n");
	STORE(&stop, 1);
	return NULL;
}

static int busy_main(void *arg)
{
	int port = ringo_debug_serve(":0");
	pthread_t t;

	CHECK(port > 0);
	CHECK_EQ(0, pthread_create(&t, NULL, outside, &port));
	for (int i = 0; i < 3; i++)
		CHECK_EQ(0, ringo_go_fn(spin, NULL));
	spin(NULL);
	CHECK_EQ(0, pthread_join(t, NULL));
	return 0;
}

TEST(answers_while_all_goroutines_are_busy)
{
	int fds = count_fds(), threads = count_threads() + IS_TSAN;

	use_procs(2);
	for (int i = 0; i < 2; i++) {
		stop = 0;
		EXPECT_EQ(0, ringo_run(busy_main, NULL));
	}
	EXPECT_EQ(fds, count_fds());
	EXPECT_EQ(threads, count_threads());
}

/* Clients that do nothing, or stop in the middle, or never read. */
G_TEST(answers_beside_clients_that_hang)
{
	static const char dump[] = "GET /debug/pprof/goroutine?debug=2 HTTP/1.1\r\n\r\n";
	int port = ringo_debug_serve(":0"), fds[7];

	CHECK(port > 0);
	for (int i = 0; i < 1000; i++)
		CHECK_EQ(0, ringo_go_fn(receiver, NULL));
	for (int i = 0; i < 7; i++) {
		fds[i] = connect_port(port);
		if (i % 3 == 1)
			say_all(fds[i], "GET /met", 8);
		else if (i % 3 == 2)
			say_all(fds[i], dump, strlen(dump));
	}
	for (int i = 0; i < 20; i++)
		check_page(port, "/metrics", "ringo_procs");
	for (int i = 0; i < 7; i++)
		close(fds[i]);
	for (int i = 0; i < 20; i++)
		check_page(port, "/metrics", "ringo_procs");
	return 0;
}

static char path[108];

static int path_main(void *arg)
{
	char addr[128];
	struct reply r;
	struct stat st;
	int fd;

	snprintf(addr, sizeof(addr), "unix:%s", path);
	CHECK_EQ(0, ringo_debug_serve(addr));
	CHECK_EQ(0, stat(path, &st));
	CHECK_EQ(S_IFSOCK | 0600, st.st_mode);
	fd = connect_path(path);
	CHECK(fd >= 0);
	r = ask(fd, "GET /metrics HTTP/1.1\r\n\r\n");
	CHECK_EQ(200, r.status);
	prom_check(r.body);
	free(r.head);
	return 0;
}

TEST(a_socket_file_is_the_users_own_and_goes_with_the_run)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(path, sizeof(path), "/tmp/ringo-serve.%d", getpid());
	umask(0);
	strcpy(a.sun_path, path);
	ASSERT_EQ(0, bind(fd, (struct sockaddr *)&a, sizeof(a)));
	close(fd); /* what somebody left who died */
	EXPECT_EQ(0, run_main(path_main));
	EXPECT_EQ(-1, access(path, F_OK));
	EXPECT_EQ(0, run_main(path_main));
	EXPECT_EQ(-1, access(path, F_OK));
}

static int taken_main(void *arg)
{
	char addr[128];

	snprintf(addr, sizeof(addr), "unix:%s", path);
	CHECK_EQ(-EADDRINUSE, ringo_debug_serve(addr));
	return 0;
}

TEST(a_socket_file_in_use_is_left_alone)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(path, sizeof(path), "/tmp/ringo-serve.%d", getpid());
	strcpy(a.sun_path, path);
	ASSERT_EQ(0, bind(fd, (struct sockaddr *)&a, sizeof(a)));
	ASSERT_EQ(0, listen(fd, 1));
	EXPECT_EQ(0, run_main(taken_main));
	EXPECT_EQ(0, access(path, F_OK));
	unlink(path);
	close(fd);
	fd = open(path, O_CREAT | O_EXCL, 0600); /* and so is what is no socket */
	ASSERT_TRUE(fd >= 0);
	close(fd);
	EXPECT_EQ(0, run_main(taken_main));
	EXPECT_EQ(0, access(path, F_OK));
	unlink(path);
}

static int limited_main(void *arg)
{
	const struct rlimit small = { .rlim_cur = 16384, .rlim_max = RLIM_INFINITY };
	const struct rlimit none = { .rlim_cur = 0, .rlim_max = RLIM_INFINITY };
	int port = ringo_debug_serve(":0");
	struct reply r;

	CHECK(port > 0);
	for (int i = 0; i < 1000; i++)
		CHECK_EQ(0, ringo_go_fn(receiver, NULL));
	CHECK_EQ(0, setrlimit(RLIMIT_FSIZE, &small));
	r = get(port, "/debug/pprof/goroutine?debug=2");
	CHECK_EQ(200, r.status);
	CHECK_EQ(16384, r.size);
	CHECK_HAS(r.body, "\n... cut here: too long\n");
	free(r.head);
	CHECK_EQ(0, setrlimit(RLIMIT_FSIZE, &none));
	check_status(port, "GET /metrics HTTP/1.1\r\n\r\n", 503);
	CHECK_EQ(0, setrlimit(RLIMIT_FSIZE, &(struct rlimit){ RLIM_INFINITY, RLIM_INFINITY }));
	return 0;
}

TEST(what_is_too_long_is_cut)
{
	EXPECT_EQ(0, run_main(limited_main));
}

static int child_main(void *arg)
{
	int port = ringo_debug_serve(":0");
	pid_t pid;

	CHECK(port > 0);
	pid = fork();
	if (!pid) {
		CHECK_EQ(-ESRCH, ringo_debug_serve(":0"));
		nap_ms(3000); /* it must not keep the port */
		_exit(0);
	}
	check_page(port, "/metrics", "ringo_procs");
	*(int *)arg = port;
	*((int *)arg + 1) = pid;
	return 0;
}

TEST(a_forked_child_does_not_listen)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int shared[2], fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ASSERT_EQ(0, ringo_run(child_main, shared));
	a.sin_port = htons((uint16_t)shared[0]);
	EXPECT_EQ(-1, connect(fd, (struct sockaddr *)&a, sizeof(a)));
	EXPECT_EQ(ECONNREFUSED, errno);
	close(fd);
	kill(shared[1], SIGKILL);
	waitpid(shared[1], NULL, 0);
}

TEST(needs_a_runtime)
{
	EXPECT_EQ(-ESRCH, ringo_debug_serve(":0"));
}

TEST_HARNESS_MAIN
