// SPDX-License-Identifier: MIT
/*
 * What ringo-bpfd does about clients that are up to no good, or just go away: they get nothing, and others are
 * served as before.
 */
#include <fcntl.h>
#include <grp.h>

#include "help.h"

FIXTURE(hostile) {
	struct daemon d;
};

FIXTURE_SETUP(hostile)
{
	const char *why = daemon_missing();

	if (why)
		SKIP_SETUP("%s", why);
	daemon_start(&self->d, NULL, NULL);
}

FIXTURE_TEARDOWN(hostile)
{
	/* It has survived the test. */
	if (self->d.pid)
		EXPECT_EQ(0, waitpid(self->d.pid, NULL, WNOHANG));
	daemon_end(&self->d, SIGTERM);
}

#define PATH (self->d.socket)
#define ME ((uint32_t)syscall(SYS_gettid))

/* Another process is served as ever. */
static bool serves(const char *path)
{
	struct client c;
	int status;
	pid_t child = fork();

	if (!child)
		_exit(bpfd_open(&c, path, 1000000) || client_add(&c, ME, 1));
	waitpid(child, &status, 0);
	return !status;
}

/* The connection is closed by the daemon. */
static bool closed(int fd)
{
	char room[64];

	return recv(fd, room, sizeof(room), 0) <= 0 && errno != EAGAIN;
}

/* ---- nonsense ---- */

static bool closed_after(const char *path, const void *what, size_t n)
{
	int fd = client_connect(path);
	bool yes;

	send(fd, what, n, MSG_NOSIGNAL);
	yes = closed(fd);
	close(fd);
	return yes;
}

TEST_F(hostile, garbage)
{
	unsigned seed = 1;
	char text[4096];

	for (int i = 0; i < 200; i++) {
		size_t n = i ? (size_t)(rand_r(&seed) % (i % 2 ? 40 : (int)sizeof(text))) : 0;

		for (size_t k = 0; k < n; k++)
			text[k] = (char)rand_r(&seed);
		EXPECT_TRUE(closed_after(PATH, text, n));
	}
	EXPECT_TRUE(serves(PATH));
}

TEST_F(hostile, messages_out_of_turn)
{
	static const struct ringo_bpfd_msg bad[] = {
		{ RINGO_BPFD_ADD, 1, 1, RINGO_ABI_VERSION },   /* before HELLO */
		{ RINGO_BPFD_WATCH, 1, 0, RINGO_ABI_VERSION },
		{ RINGO_BPFD_HELLO, 0, 0, RINGO_ABI_VERSION }, /* a quantum of nothing */
		{ 0, 0, 0, RINGO_ABI_VERSION },
		{ UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX },
	};
	static const struct ringo_bpfd_msg worse[] = { /* after HELLO */
		{ RINGO_BPFD_HELLO, 1000, 0, RINGO_ABI_VERSION },
		{ 77, 0, 0, RINGO_ABI_VERSION },
	};

	for (unsigned i = 0; i < 5; i++)
		EXPECT_TRUE(closed_after(PATH, &bad[i], sizeof(bad[i])));
	for (unsigned i = 0; i < 2; i++) {
		struct client c;

		ASSERT_EQ(0, bpfd_open(&c, PATH, 1000));
		send(c.fd, &worse[i], sizeof(worse[i]), 0);
		EXPECT_TRUE(closed(c.fd));
		client_close(&c);
	}
	EXPECT_TRUE(serves(PATH));
}

TEST_F(hostile, another_version)
{
	struct ringo_bpfd_msg m = { RINGO_BPFD_HELLO, 1000, 0, RINGO_ABI_VERSION + 1 };
	struct ringo_bpfd_answer a;
	int fd = client_connect(PATH);

	send(fd, &m, sizeof(m), 0);
	EXPECT_EQ(-EPROTONOSUPPORT, client_answer(fd, &a, NULL));
	close(fd);
}

TEST_F(hostile, who_says_nothing_is_closed)
{
	int fd = client_connect(PATH);

	EXPECT_TRUE(closed(fd)); /* within the 5 s that recv waits */
	EXPECT_TRUE(serves(PATH));
}

/* Answers that nobody reads: it must not wait for that. */
TEST_F(hostile, who_does_not_listen)
{
	struct client c;
	int n = 0;

	ASSERT_EQ(0, bpfd_open(&c, PATH, 1000000));
	while (n < 100000 && !client_send(c.fd, RINGO_BPFD_ADD, ME, 1))
		n++;
	EXPECT_GT(100000, n);
	EXPECT_TRUE(serves(PATH));
	client_close(&c);
}

/* ---- threads of others ---- */

TEST_F(hostile, threads_of_other_processes)
{
	struct client c;
	pid_t child = fork();

	if (!child)
		for (;;)
			pause();
	ASSERT_EQ(0, bpfd_open(&c, PATH, 1000000));
	EXPECT_EQ(-ESRCH, client_add(&c, (uint32_t)child, 1));
	EXPECT_EQ(-ESRCH, client_add(&c, 1, 1));
	EXPECT_EQ(-ESRCH, client_add(&c, 2, 1)); /* the kernel's */
	EXPECT_EQ(-ESRCH, client_add(&c, (uint32_t)self->d.pid, 1));
	EXPECT_EQ(-ESRCH, client_add(&c, 0, 1));
	EXPECT_EQ(-ESRCH, client_add(&c, UINT32_MAX, 1));
	EXPECT_EQ(-EINVAL, client_add(&c, ME, 0));
	EXPECT_EQ(-EINVAL, client_add(&c, ME, c.setup.pages));
	EXPECT_EQ(-EINVAL, client_add(&c, ME, UINT32_MAX));
	EXPECT_EQ(0, client_add(&c, ME, 1));
	client_close(&c);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

TEST_F(hostile, a_child_speaks_for_its_parent_only)
{
	struct client c;
	int status;
	pid_t child;

	ASSERT_EQ(0, bpfd_open(&c, PATH, 1000000));
	child = fork();
	if (!child)
		_exit(client_add(&c, ME, 1) != -ESRCH);
	waitpid(child, &status, 0);
	EXPECT_EQ(0, status);
	client_close(&c);
}

TEST_F(hostile, a_thread_has_one_page)
{
	struct client a, b;

	ASSERT_EQ(0, bpfd_open(&a, PATH, 1000000));
	ASSERT_EQ(0, bpfd_open(&b, PATH, 1000000));
	EXPECT_EQ(0, client_add(&a, ME, 1));
	EXPECT_EQ(-EBUSY, client_add(&b, ME, 1));
	EXPECT_EQ(0, client_add(&a, ME, 2)); /* its own it may move */
	client_close(&a);
	nap_ms(50);
	EXPECT_EQ(0, client_add(&b, ME, 1));
	client_close(&b);
}

TEST_F(hostile, pages_of_others)
{
	struct client a, b;

	ASSERT_EQ(0, bpfd_open(&a, PATH, 1000000));
	ASSERT_EQ(0, bpfd_open(&b, PATH, 1000000));
	memset(a.pages, 0x55, a.setup.pages * 4096ul);
	for (size_t i = 0; i < b.setup.pages * 4096ul; i++)
		ASSERT_EQ(0, b.pages[i]);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ, MAP_SHARED, a.pages_fd, a.setup.pages * 4096l));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, a.ring_fd, 4096));
	client_close(&a);
	client_close(&b);
}

/* Whatever a client writes there, the programs go on for the others. */
TEST_F(hostile, pages_and_ring_full_of_nonsense)
{
	int64_t until = now_ns() + 300 * MS;
	unsigned seed = 7;
	struct client c;

	ASSERT_EQ(0, bpfd_open(&c, PATH, 1000));
	ASSERT_EQ(0, client_add(&c, ME, 1));
	watch(&c, true);
	while (now_ns() < until) {
		uint32_t *words = (uint32_t *)(c.pages + 4096ul * (rand_r(&seed) % 2));

		words[rand_r(&seed) % 16] = (uint32_t)rand_r(&seed) >> rand_r(&seed) % 32;
		*c.reader = (uint64_t)rand_r(&seed) << rand_r(&seed) % 34;
		if (!(rand_r(&seed) % 64))
			usleep(10);
	}
	EXPECT_TRUE(serves(PATH));
	client_close(&c);
}

/* ---- too many ---- */

TEST_F(hostile, no_more_of_one_user_than_are_allowed)
{
	int fds[40], refused = 0;
	struct ringo_bpfd_answer a;

	for (int i = 0; i < 40; i++) {
		fds[i] = client_connect(PATH);
		client_send(fds[i], RINGO_BPFD_HELLO, 1000, 0);
		if (client_answer(fds[i], &a, NULL)) {
			EXPECT_EQ(-EUSERS, a.err);
			refused++;
		}
	}
	EXPECT_EQ(40 - 16, refused);
	EXPECT_FALSE(serves(PATH));
	for (int i = 0; i < 40; i++)
		close(fds[i]);
	nap_ms(100);
	EXPECT_TRUE(serves(PATH));
}

TEST_F(hostile, comes_and_goes)
{
	const int times = emulated() ? 20 : 200; /* two grace periods of the kernel each */

	for (int i = 0; i < times; i++)
		ASSERT_TRUE(serves(PATH));
}

/* ---- going away ---- */

TEST_F(hostile, killed)
{
	for (int i = 0; i < 20; i++) { /* more than one user may have at a time */
		int p[2];
		char c;
		pid_t child;

		ASSERT_EQ(0, pipe(p));
		child = fork();
		if (!child) {
			struct client mine;

			CHECK_EQ(0, bpfd_open(&mine, PATH, 1000));
			CHECK_EQ(0, client_add(&mine, ME, 1));
			watch(&mine, true);
			CHECK_EQ(1, write(p[1], "x", 1));
			for (;;)
				;
		}
		ASSERT_EQ(1, read(p[0], &c, 1));
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		close(p[0]);
		close(p[1]);
	}
	nap_ms(100);
	EXPECT_TRUE(serves(PATH));
}

/* A process that is gone is no client any more, though a child of it has the connection. */
TEST_F(hostile, connection_outlives_process)
{
	int p[2], fd;
	pid_t child;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM, 0, p));
	child = fork();
	if (!child) {
		struct client c;

		CHECK_EQ(0, bpfd_open(&c, PATH, 1000));
		CHECK_EQ(0, client_add(&c, ME, 1));
		if (!fork()) {
			CHECK(closed(c.fd));
			CHECK_EQ(1, write(p[1], "x", 1));
			_exit(0);
		}
		_exit(0);
	}
	waitpid(child, NULL, 0);
	fd = p[0];
	EXPECT_EQ(1, read(fd, (char[1]){ 0 }, 1));
}

enum { PAGES = 100 };

/* Run again by exec, with the pages as descriptor PAGES: computes, and tells whether it was revoked. */
static int after_exec(void)
{
	char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, PAGES, 0);
	struct ringo_ctl_page *ctl_page = (struct ringo_ctl_page *)pages;
	struct ringo_m_page *pg = (struct ringo_m_page *)(pages + 4096);
	int64_t until = now_ns() + 100 * MS;

	pg->p = 1;
	pg->cur_g = 1;
	STORE(&ctl_page->quantum, 1000);
	STORE(&ctl_page->permits, 1);
	STORE(&ctl_page->watch, 1);
	while (now_ns() < until)
		if (LOAD(&pg->revoked) == RINGO_REVOKED_TAKEN)
			return 42;
	return 0;
}

TEST_F(hostile, exec)
{
	for (int with_exec = 0; with_exec < 2; with_exec++) {
		pid_t child = fork();
		int status;

		if (!child) {
			struct client c;

			CHECK_EQ(0, bpfd_open(&c, PATH, 1000));
			CHECK_EQ(0, client_add(&c, ME, 1));
			dup2(c.pages_fd, PAGES);
			dup(c.fd); /* stays open */
			if (!with_exec)
				_exit(after_exec());
			execl("/proc/self/exe", "after-exec", NULL);
			_exit(1);
		}
		waitpid(child, &status, 0);
		EXPECT_EQ(with_exec ? 0 : 42, WEXITSTATUS(status));
	}
}

/* ---- without privilege ---- */

TEST_F(hostile, nobody_is_served_too)
{
	pid_t child = fork();
	int status;

	if (!child) {
		struct client c;

		if (setgroups(0, NULL) || setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
			_exit(4);
		CHECK_EQ(0, bpfd_open(&c, PATH, 1000));
		CHECK_EQ(0, client_add(&c, ME, 1));
		memset(c.pages, 0, 8192);
		dup2(c.pages_fd, PAGES);
		_exit(after_exec());
	}
	waitpid(child, &status, 0);
	if (WEXITSTATUS(status) == 4)
		SKIP(return, "cannot become nobody");
	EXPECT_EQ(42, WEXITSTATUS(status));
}

/* ---- the daemon's own end ---- */

TEST_F(hostile, the_daemon_is_killed)
{
	struct ringo_notice n;
	struct client c;

	ASSERT_EQ(0, bpfd_open(&c, PATH, 1000));
	ASSERT_EQ(0, client_add(&c, ME, 1));
	daemon_end(&self->d, SIGKILL);
	EXPECT_TRUE(closed(c.fd));
	/* The pages are there still; only nobody revokes. */
	dup2(c.pages_fd, PAGES);
	nap_ms(20);
	EXPECT_EQ(0, after_exec());
	EXPECT_EQ(1, page(1)->cur_g);
	EXPECT_FALSE(client_notice(&c, &n, 10));
}

TEST_F(hostile, asked_to_end_it_takes_its_socket_along)
{
	int status = -1;

	EXPECT_TRUE(serves(PATH));
	EXPECT_EQ(0, kill(self->d.pid, SIGTERM));
	EXPECT_EQ(self->d.pid, waitpid(self->d.pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(-1, access(PATH, F_OK));
	self->d.pid = 0;
}

TEST_F(hostile, passed_socket)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct daemon d = { 0 };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0), status = -1;

	strcpy(d.dir, "/tmp/ringo-bpfd.XXXXXX");
	ASSERT_NE(NULL, mkdtemp(d.dir));
	snprintf(d.socket, sizeof(d.socket), "%s/socket", d.dir);
	strcpy(addr.sun_path, d.socket);
	ASSERT_EQ(0, bind(fd, (struct sockaddr *)&addr, sizeof(addr)));
	ASSERT_EQ(0, listen(fd, 5));
	d.pid = fork();
	if (!d.pid) {
		char pid[16];

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		snprintf(pid, sizeof(pid), "%d", getpid());
		setenv("LISTEN_PID", pid, 1);
		setenv("LISTEN_FDS", "1", 1);
		dup2(fd, 3);
		execl(daemon_path(), "ringo-bpfd", NULL);
		_exit(127);
	}
	EXPECT_TRUE(serves(d.socket));
	EXPECT_EQ(0, kill(d.pid, SIGTERM));
	EXPECT_EQ(d.pid, waitpid(d.pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, access(d.socket, F_OK)); /* whose it is not to remove */
	d.pid = 0;
	daemon_end(&d, 0);
}

int main(int argc, char **argv)
{
	if (!strcmp(argv[0], "after-exec"))
		return after_exec();
	daemon_missing();
	return test_harness_run(argc, argv);
}
