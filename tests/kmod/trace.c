// SPDX-License-Identifier: MIT
/*
 * What the module shows to others: tracepoints, as tracefs has them, and the text in /proc/PID/fdinfo, for who may look
 * at the process.
 */

#include "help.h"

#define TRACEFS "/sys/kernel/tracing"

static struct client *c;
static char *text;

FIXTURE(trace) {
	struct client c;
};

FIXTURE_SETUP(trace)
{
	c = &self->c;
	ASSERT_EQ(0, client_open(c, 1000));
	text = malloc(1 << 20);
}

FIXTURE_TEARDOWN(trace)
{
	client_close(c);
	free(text);
}

static const char *read_all(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t at = 0;
	ssize_t n;

	if (fd < 0)
		return NULL;
	while ((n = read(fd, text + at, (1 << 20) - 1 - at)) > 0)
		at += (size_t)n;
	text[at] = '\0';
	close(fd);
	return text;
}

static bool write_to(const char *path, const char *what)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, what, strlen(what)) == (ssize_t)strlen(what);

	if (fd >= 0)
		close(fd);
	return done;
}

/* ---- tracepoints ---- */

static bool trace_to_be_had(void)
{
	if (access(TRACEFS "/trace", F_OK))
		mount("tracefs", TRACEFS, "tracefs", 0, NULL);
	return write_to(TRACEFS "/trace", "\n") && write_to(TRACEFS "/events/ringo/enable", "1\n");
}

/* Blocks, loses its P, and is refused another time. */
static void run(struct mock *m)
{
	struct timespec nap = { .tv_nsec = 5 * MS };

	syscall(SYS_nanosleep, &nap, NULL);
	while (!LOAD(&ctl()->refused))
		;
	STORE(&own_page(m)->in_rt, RINGO_RT_INSIDE);
	while (!LOAD(&ctl()->asked))
		;
	STORE(&own_page(m)->in_rt, 0);
}

#define HAS(what) EXPECT_NE(NULL, strstr(text, what))

TEST_F(trace, events_are_seen)
{
	struct mock m = { 0 };
	char line[128];

	if (!trace_to_be_had())
		SKIP(return, "no tracefs, or no right to it");
	STORE(&ctl()->permits, 1);
	watch(c, true);
	m_start(&m, c, 5, run);
	pthread_join(m.thread, NULL);
	CHECK(write_to(TRACEFS "/events/ringo/enable", "0\n"));
	ASSERT_NE(NULL, read_all(TRACEFS "/trace"));
	HAS("m_register: page=5\n");
	HAS("tick_revoke: page=5 g=1 p=5 taken\n");
	HAS("tick_revoke: page=5 g=1 p=5 refused\n");
	HAS("tick_revoke: page=5 g=1 p=5 asked\n");
	snprintf(line, sizeof(line), "block: page=5 g=1 nr=%d told=1\n", SYS_nanosleep);
	HAS(line);
	HAS("unblock: page=5 ns=");
}

/* ---- the view ---- */

static const char *fdinfo(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", pid, c->fd);
	return read_all(path);
}

static int tid;

static void wait_there(struct mock *m)
{
	tid = (int)syscall(SYS_gettid);
	STORE(&m->up, 2);
	while (!LOAD(&m->stop))
		;
}

TEST_F(trace, a_process_sees_its_threads)
{
	struct mock m = { 0 };
	char line[64];

	ASSERT_NE(NULL, fdinfo(getpid()));
	EXPECT_EQ(NULL, strstr(text, "ringo-m:"));
	m_start(&m, c, 7, wait_there);
	while (LOAD(&m.up) != 2)
		sched_yield();
	ASSERT_NE(NULL, fdinfo(getpid()));
	snprintf(line, sizeof(line), "ringo-m:\tpage 7 tid %d cpu ", tid);
	HAS(line);
	HAS(" in_rt 0 g 1 p 7 revoked 0 upcall 0 ");
	HAS("ringo-period-ns:\t1000000\n");
	HAS("ringo-upcalls:\t0\n");
	m_join(&m);
	fdinfo(getpid());
	EXPECT_EQ(NULL, strstr(text, "ringo-m:"));
}

TEST_F(trace, before_setup_there_is_nothing)
{
	const int former = c->fd;

	c->fd = dev_open();
	ASSERT_NE(NULL, fdinfo(getpid()));
	EXPECT_EQ(NULL, strstr(text, "ringo"));
	close(c->fd);
	c->fd = former;
}

TEST_F(trace, others_see_nothing)
{
	const pid_t pid = getpid();
	int status;
	pid_t child = fork();

	if (!child) {
		CHECK(fdinfo(pid));
		CHECK_EQ(0, setgroups(0, NULL) | setgid(65534) | setuid(65534));
		CHECK(!fdinfo(pid));
		_exit(errno != EACCES);
	}
	waitpid(child, &status, 0);
	EXPECT_EQ(0, status);
}

KMOD_MAIN
