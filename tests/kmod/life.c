// SPDX-License-Identifier: MIT
/*
 * Ms and clients come and go in every way that threads and processes do, and nothing is left behind: the module
 * can be unloaded after each test.
 */
#include <sched.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/user.h>

#include "help.h"

FIXTURE(life) {
};

FIXTURE_SETUP(life)
{
}

FIXTURE_TEARDOWN(life)
{
	int err = module_unload_soon();

	EXPECT_NE(-EWOULDBLOCK, err);
	if (!err)
		EXPECT_EQ(0, module_load(""));
}

#define CHILD_TEST(name) \
	static void name(void); \
	TEST_F_TIMEOUT(life, name, 120) \
	{ \
		struct outcome o; \
		in_child(&o, name); \
		EXPECT_EQ(0, o.status); \
		if (*o.err) \
			TH_LOG("%s", o.err); \
	} \
	static void name(void)

/* This thread is M 1 of a new client, and computes while somebody waits. */
static void become_m(struct client *c)
{
	CHECK_EQ(0, client_open(c, 1000));
	CHECK_EQ(0, dev_add(c->fd, 1));
	page(1)->p = page(1)->cur_g = 1;
	STORE(&ctl()->permits, 1);
	watch(c, true);
}

static void runs_free(uint32_t n)
{
	STORE(&page(n)->revoked, RINGO_REVOKED_FREE);
	STORE(&ctl()->permits, 1);
}

static bool loses(void)
{
	runs_free(1);
	return taken_within(1, 5000 * MS);
}

/* ---- threads ---- */

CHILD_TEST(ten_thousand_times)
{
	struct client c;

	CHECK_EQ(0, client_open(&c, 1000));
	for (uint32_t i = 0; i < 10000; i++) {
		CHECK_EQ(0, dev_add(c.fd, 1 + i % 40));
		if (!(i % 100))
			nap_ms(1);
		CHECK_EQ(0, dev_ioctl(c.fd, RINGO_IOC_REMOVE, NULL));
	}
	CHECK_EQ(-ENOENT, dev_ioctl(c.fd, RINGO_IOC_REMOVE, NULL));
}

static void *ends_registered(void *arg)
{
	struct client *c = arg;
	static uint32_t n;
	int err = -EBUSY;

	/* The number of a thread that has ended is free a little later. */
	for (int i = 0; i < 1000 && err == -EBUSY; i++) {
		err = dev_add(c->fd, 1 + ADD(&n, 1) % 40);
		if (err)
			nap_ms(1);
	}
	CHECK_EQ(0, err);
	return NULL;
}

CHILD_TEST(threads_that_end_registered)
{
	struct client c;
	pthread_t t[4];

	CHECK_EQ(0, client_open(&c, 1000));
	watch(&c, true);
	for (int i = 0; i < 500; i++) {
		for (int k = 0; k < 4; k++)
			CHECK_EQ(0, pthread_create(&t[k], NULL, ends_registered, &c));
		for (int k = 0; k < 4; k++)
			pthread_join(t[k], NULL);
	}
}

CHILD_TEST(twice_and_the_same_page)
{
	struct client c;
	pthread_t t;

	become_m(&c);
	CHECK_EQ(-EALREADY, dev_add(c.fd, 1));
	CHECK_EQ(-EALREADY, dev_add(c.fd, 2));
	CHECK_EQ(0, pthread_create(&t, NULL, ends_registered, &c));
	pthread_join(t, NULL);
	CHECK(loses());
}

/* ---- processes ---- */

CHILD_TEST(two_at_a_time)
{
	struct ringo_notice n;
	struct client c;
	int other;
	pid_t child;

	become_m(&c);
	child = fork();
	if (!child)
		_exit(serves_as(2));
	for (int i = 0; i < 20; i++) {
		CHECK(loses());
		CHECK(client_notice(&c, &n, 1000));
		CHECK_EQ(1, n.page);
	}
	waitpid(child, &other, 0);
	CHECK_EQ(0, other);
	while (client_notice(&c, &n, 0))
		CHECK_EQ(1, n.page); /* none is of the other's */
}

static void *fork_child_has_none(void *arg)
{
	struct client *c = arg;
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	unsigned char there;

	CHECK(mincore(pages_at, PAGE, &there) && errno == ENOMEM);
	CHECK_EQ(-EPERM, dev_add(c->fd, 2));
	CHECK_EQ(-EPERM, dev_ioctl(c->fd, RINGO_IOC_WATCH, NULL));
	CHECK_EQ(-EPERM, dev_ioctl(c->fd, RINGO_IOC_REMOVE, NULL));
	CHECK(!dev_map(c->fd, 0, 1, PROT_READ));
	CHECK_EQ(EPERM, errno);
	CHECK(poll(&p, 1, 0) == 1 && p.revents & POLLERR);
	CHECK_EQ(0, serves());
	return NULL;
}

CHILD_TEST(a_forked_child_is_nothing)
{
	struct client c;
	int status;
	pid_t child;

	become_m(&c);
	child = fork();
	if (!child) {
		fork_child_has_none(&c);
		_exit(0);
	}
	waitpid(child, &status, 0);
	CHECK_EQ(0, status);
	CHECK(loses());
}

/* Shares the memory, and is another process all the same. */
static int same_memory(void *arg)
{
	struct client *c = arg;
	int fd;
	struct ringo_setup s;

	if (dev_add(c->fd, 2) != -EPERM || dev_ioctl(c->fd, RINGO_IOC_WATCH, NULL) != -EPERM)
		return 1;
	fd = dev_open();
	if (dev_setup(fd, &s, 1000) != -EBUSY)
		return 2;
	return 0;
}

CHILD_TEST(a_child_in_the_same_memory)
{
	static char stack[65536];
	struct client c;
	int status;
	pid_t child;

	become_m(&c);
	child = clone(same_memory, stack + sizeof(stack), CLONE_VM | SIGCHLD, &c);
	CHECK_EQ(child, waitpid(child, &status, 0));
	CHECK_EQ(0, status);
	CHECK(loses());
}

static int after_exec(int fd)
{
	struct client c;

	if (fd >= 0) { /* what was inherited is of no use */
		CHECK_EQ(-EPERM, dev_add(fd, 1));
		CHECK_EQ(-EPERM, dev_ioctl(fd, RINGO_IOC_REMOVE, NULL));
		CHECK(!dev_map(fd, 0, 1, PROT_READ));
	}
	nap_ms(5);
	become_m(&c); /* another client's M from now on */
	CHECK(loses());
	return 0;
}

static int gone[2];

/* Shares the memory of a program whose only thread is another one's by now, and its pages. */
static int stays_behind(void *arg)
{
	char c;

	(void)arg;
	close(gone[1]);
	if (read(gone[0], &c, 1)) /* closed by exec */
		return 1;
	page(1)->seen = 0;
	page(1)->block_since = 0;
	runs_free(1);
	nap_ms(200);
	return page(1)->seen || page(1)->block_since || page(1)->revoked ? 2 : 0;
}

/* All the while that it looks: with ticks, and blocked now and then. */
static int goes_on(pid_t beside)
{
	int status;

	while (!waitpid(beside, &status, WNOHANG)) {
		for (int64_t until = now_ns() + 5 * MS; now_ns() < until;)
			;
		nap_ms(1);
	}
	CHECK_EQ(0, status);
	return 0;
}

/* The thread is the M still; but its memory is not that of the client. */
CHILD_TEST(exec_that_leaves_the_memory_to_another)
{
	static char stack[65536];
	char arg[16];
	struct client c;

	CHECK_EQ(0, pipe2(gone, O_CLOEXEC));
	become_m(&c);
	CHECK(loses());
	snprintf(arg, sizeof(arg), "%d", clone(stays_behind, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL));
	execl("/proc/self/exe", "goes-on", arg, NULL);
	_exit(1);
}

static void exec_with(bool inherited)
{
	char arg[16] = "-1";
	struct client c;

	become_m(&c);
	if (inherited)
		snprintf(arg, sizeof(arg), "%d", dup(c.fd));
	CHECK(loses());
	runs_free(1); /* it is interrupted all the while */
	execl("/proc/self/exe", "after-exec", arg, NULL);
	_exit(1);
}

CHILD_TEST(exec)
{
	exec_with(false);
}

CHILD_TEST(exec_that_keeps_the_descriptor)
{
	exec_with(true);
}

static void *execs(void *arg)
{
	exec_with(false);
	return arg;
}

/* The thread becomes the process, and those that were others end. */
CHILD_TEST(exec_of_a_thread)
{
	pthread_t t;

	pthread_create(&t, NULL, execs, NULL);
	pthread_join(t, NULL);
}

static void spin(struct mock *m)
{
	while (!LOAD(&m->stop))
		;
}

TEST_F_TIMEOUT(life, killed, 120)
{
	for (int i = 0; i < 30; i++) {
		char x;
		int p[2];
		pid_t child;

		ASSERT_EQ(0, pipe(p));
		child = fork();
		if (!child) {
			struct mock m[3] = { 0 };
			struct client c;

			CHECK_EQ(0, client_open(&c, kmod_least_tick_us()));
			watch(&c, true);
			for (uint32_t k = 0; k < 3; k++) {
				m_start(&m[k], &c, k + 1, spin);
			}
			CHECK_EQ(1, write(p[1], "x", 1));
			for (;;)
				pause();
		}
		ASSERT_EQ(1, read(p[0], &x, 1));
		nap_ms(i % 7);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		close(p[0]);
		close(p[1]);
	}
	EXPECT_EQ(0, serves());
}

/* ---- closed under its Ms ---- */

CHILD_TEST(closed_and_unmapped_while_ms_run)
{
	for (int i = 0; i < 50; i++) {
		struct client c;
		pthread_t t;

		CHECK_EQ(0, client_open(&c, kmod_least_tick_us()));
		watch(&c, true);
		CHECK_EQ(0, pthread_create(&t, NULL, ends_registered, &c));
		CHECK_EQ(0, dev_add(c.fd, 50));
		page(50)->p = page(50)->cur_g = 1;
		taken_within(50, i % 3 * MS);
		pthread_join(t, NULL);
		client_close(&c); /* this thread is one still */
	}
}

static uint32_t closed;

static void *outlives(void *arg)
{
	struct client *c = arg;

	CHECK_EQ(0, dev_add(c->fd, 3));
	page(3)->p = page(3)->cur_g = 1;
	ADD(&closed, 1);
	while (LOAD(&closed) < 2)
		;
	for (int64_t until = now_ns() + 5 * MS; now_ns() < until;)
		sched_yield();
	return NULL;
}

/* The M is another thread's, which goes on, is switched, and ends when the client is long gone. */
CHILD_TEST(closed_by_another_thread)
{
	for (int i = 0; i < 20; i++) {
		struct client c;
		pthread_t t;

		closed = 0;
		CHECK_EQ(0, client_open(&c, kmod_least_tick_us()));
		watch(&c, true);
		CHECK_EQ(0, pthread_create(&t, NULL, outlives, &c));
		while (!LOAD(&closed))
			;
		client_close(&c);
		ADD(&closed, 1);
		if (i % 2)
			pthread_join(t, NULL);
		CHECK_EQ(0, client_open(&c, 1000)); /* a new one is welcome at once */
		client_close(&c);
		if (!(i % 2))
			pthread_join(t, NULL);
	}
}

/* ---- what else may happen to a registered thread ---- */

CHILD_TEST(other_users)
{
	struct client c;

	become_m(&c);
	CHECK(loses());
	if (getuid())
		return;
	CHECK(!setgroups(0, NULL) && !setresgid(65534, 65534, 65534) && !setresuid(65534, 65534, 65534));
	CHECK(loses());
	CHECK_EQ(0, dev_ioctl(c.fd, RINGO_IOC_WATCH, NULL));
}

CHILD_TEST(traced)
{
	struct user_regs_struct regs;
	int status;
	pid_t child = fork();

	if (!child) {
		struct client c;

		become_m(&c);
		CHECK_EQ(0, ptrace(PTRACE_TRACEME, 0, NULL, NULL));
		raise(SIGSTOP);
		CHECK(loses());
		_exit(0);
	}
	CHECK_EQ(child, waitpid(child, &status, 0));
	CHECK(WIFSTOPPED(status));
	for (int i = 0; i < 2000 && WIFSTOPPED(status); i++) {
		CHECK_EQ(0, ptrace(PTRACE_GETREGS, child, NULL, &regs));
		CHECK_EQ(0, ptrace(PTRACE_SINGLESTEP, child, NULL, NULL));
		CHECK_EQ(child, waitpid(child, &status, 0));
		CHECK(!WIFSTOPPED(status) || WSTOPSIG(status) == SIGTRAP);
	}
	if (WIFSTOPPED(status)) {
		CHECK_EQ(0, ptrace(PTRACE_CONT, child, NULL, NULL));
		CHECK_EQ(child, waitpid(child, &status, 0));
	}
	CHECK_EQ(0, status);
}

CHILD_TEST(other_namespaces)
{
	struct client c;

	if (unshare(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS)) {
		fprintf(stderr, "no namespaces here (%s)", strerror(errno));
		return;
	}
	become_m(&c); /* in the user namespace */
	CHECK(loses());
	client_close(&c);
	CHECK_EQ(0, serves()); /* a child, which is in that of pids as well */
}

static void on_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		CHECK_EQ(EINVAL, errno);
}

CHILD_TEST(moved_among_cpus)
{
	struct client c;

	become_m(&c);
	for (int i = 0; i < 200; i++) {
		on_cpu(i % 2);
		if (!(i % 10))
			CHECK(loses());
	}
}

CHILD_TEST(memory_is_charged_to_the_cgroup)
{
	enum { N = 1000 };
	struct ringo_setup s;
	long before, after;
	int fd;

	if (!cgroup_begin()) {
		fprintf(stderr, "no cgroup of our own here");
		return;
	}
	before = cgroup_bytes();
	fd = dev_open();
	CHECK_EQ(0, dev_setup(fd, &s, 1000));
	CHECK(dev_map(fd, 0, N, PROT_READ | PROT_WRITE));
	after = cgroup_bytes();
	fprintf(stderr, "%ld KiB more", (after - before) >> 10);
	CHECK(after - before >= N * 4096l * 9 / 10);
	cgroup_end();
}

int main(int argc, char **argv)
{
	const char *why;

	if (!strcmp(argv[0], "after-exec"))
		return after_exec(atoi(argv[1]));
	if (!strcmp(argv[0], "goes-on"))
		return goes_on(atoi(argv[1]));
	why = module_missing();
	if (!why)
		return test_harness_run(argc, argv);
	printf("1..0 # SKIP %s\n", why);
	return KSFT_SKIP;
}
