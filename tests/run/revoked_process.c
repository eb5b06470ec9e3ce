// SPDX-License-Identifier: MIT
/* A P that is taken in a signal handler, around fork, at the end of a run, while Ps go, and when no thread can be had. */
#include <grp.h>
#include <sys/resource.h>

#include "revoked.h"

#ifdef RG_TSAN
enum { DEFERRED = 1 };
#else
enum { DEFERRED = 0 };
#endif

/* ---- the program's own signal handlers ---- */

static struct {
	int calls, lost;
	long ticks; /* that came meanwhile */
} handled;

/* It computes for longer than a quantum, and makes no call of ringo. */
static void slow_handler(int sig)
{
	long before = LOAD(&ticks);
	int64_t until = now_ns() + 20 * RINGO_MS;

	(void)sig;
	while (now_ns() < until && LOAD(&ticks) < before + 5)
		;
	handled.lost += without_p();
	handled.ticks += LOAD(&ticks) - before;
	ADD(&handled.calls, 1);
}

static void signals_itself(int n)
{
	for (int i = 0; i < n; i++) {
		pid_t self = gettid(); /* compilers keep what pthread_self says */

		CHECK_EQ(0, tgkill(getpid(), self, SIGUSR1));
		CHECK_EQ(i + 1, handled.calls);
		CHECK_EQ(self, gettid());
		ringo_yield();
	}
	ringo_waitgroup_done(&all_done);
}

static int handlers(void *arg)
{
	start_ticker();
	ringo_waitgroup_add(&all_done, 1);
	CHECK_EQ(0, ringo_go(signals_itself, 10));
	while (LOAD(&handled.calls) < 10)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	stop_ticker();
	CHECK(handled.lost > 0);
	CHECK(handled.ticks >= 10);
	return 0;
}

TEST(signal_handlers_lose_the_p_too)
{
	if (DEFERRED)
		SKIP(return, "ThreadSanitizer delivers signals later; the other builds do it");
	signal(SIGUSR1, slow_handler);
	use_procs(1);
	quantum_us(500);
	EXPECT_EQ(0, run_main(handlers));
}

/* ---- fork ---- */

static int children;

/* The child has one thread, the locks of malloc, and no runtime. */
static void in_the_child(void)
{
	void *p[50];
	int blocks = SANITIZED ? 0 : 50; /* see RUNS_IN_CHILD_OF_BUSY_PARENT */

	CHECK_EQ(-ESRCH, ringo_go(stop_ticker));
	CHECK_EQ(0, ringo_num_goroutines());
	for (int i = 0; i < blocks; i++)
		CHECK((p[i] = malloc(100 + 100 * i)));
	for (int i = 0; i < blocks; i++)
		free(p[i]);
	_exit(7);
}

static void forks(int n)
{
	for (int i = 0; i < n; i++) {
		int status = 0;
		pid_t pid;

		lose_p();
		pid = fork();
		CHECK(pid >= 0);
		if (!pid)
			in_the_child();
		CHECK_EQ(pid, waitpid(pid, &status, 0));
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
		ADD(&children, 1);
		ringo_yield();
	}
	ringo_waitgroup_done(&all_done);
}

/* Holds a lock of malloc much of the time, with a P or without, parked or not. */
static void allocates(void)
{
	while (!LOAD(&stop)) {
		for (int i = 0; i < 200; i++)
			free(malloc(2000 + i % 7 * 500));
		if (without_p() && LOAD(&ticks) % 8 == 0)
			ringo_yield();
	}
	ringo_waitgroup_done(&all_done);
}

REVOKED_TEST(goroutines_fork_without_a_p, 2, 100)
{
	enum { FORKERS = 3, FORKS = 5 };

	start_ticker();
	ringo_waitgroup_add(&all_done, FORKERS + 4);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(0, ringo_go(allocates));
	for (int i = 0; i < FORKERS; i++)
		CHECK_EQ(0, ringo_go(forks, FORKS));
	while (LOAD(&children) < FORKERS * FORKS)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	stop_ticker();
	return 0;
}

/* A forked child may have a run of its own, with preemption. */
static int own_run(void *arg)
{
	start_ticker();
	for (int i = 0; i < 10; i++) {
		lose_p();
		ringo_yield();
	}
	stop_ticker();
	return 0;
}

static void forks_once(void)
{
	int status = 0;
	pid_t pid;

	lose_p();
	pid = fork();
	if (!pid) {
		stop = false;
		all_done = (struct ringo_waitgroup){ 0 };
		_exit(ringo_run(own_run, NULL) ? 1 : 7);
	}
	CHECK_EQ(pid, waitpid(pid, &status, 0));
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	ADD(&children, 1);
	ringo_waitgroup_done(&all_done);
}

static int run_of_a_child(void *arg)
{
	start_ticker();
	ringo_waitgroup_add(&all_done, 1);
	CHECK_EQ(0, ringo_go(forks_once));
	while (!LOAD(&children))
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	stop_ticker();
	return 0;
}

TEST(a_child_of_who_has_no_p_runs_goroutines)
{
	RUNS_IN_CHILD_OF_BUSY_PARENT();
	use_procs(1);
	quantum_us(200);
	EXPECT_EQ(0, run_main(run_of_a_child));
}

/* ---- the end of a run ---- */

static void until_the_end(int kind)
{
	for (;;) {
		switch (kind % 4) {
		case 0:
			hog_for_us(200); /* in the end nobody takes the P any more */
			ringo_yield();
			break;
		case 1:
			hog_for_us(30);
			ringo_checkpoint();
			break;
		case 2:
			hog_for_us(100);
			(void)ringo_maxprocs(0); /* one of those that have a gate but do not wait */
			break;
		default:
			(void)!ringo_sleep(10 * RINGO_US);
			break;
		}
	}
}

static int ends_in_the_middle(void *us)
{
	for (int i = 0; i < 12; i++)
		CHECK_EQ(0, ringo_go(until_the_end, i));
	hog_for_us((intptr_t)us);
	CHECK_EQ(0, ringo_sleep((intptr_t)us * RINGO_US));
	return 0;
}

TEST(a_run_ends_in_the_middle_of_it)
{
	const struct ringo_options patient = RINGO_OPTIONS(.shutdown_ns = 20 * RINGO_SEC);

	quantum_us(50);
	for (int i = 0; i < SCALE(60); i++) {
		use_procs(1 + (unsigned)i % 3);
		ASSERT_EQ(0, ringo_run_opt(ends_in_the_middle, (void *)(intptr_t)(i * 67 % 2000), &patient));
	}
}

/* ---- Ps come and go ---- */

static long in_flight;
static struct ringo_chan *chan;

static void carries(int id)
{
	while (!LOAD(&stop)) {
		long v;

		CHECK_EQ(1, ringo_chan_recv(chan, &v));
		hog_for_us(id % 3 ? 30 : 400);
		CHECK_EQ(0, ringo_chan_send(chan, &v));
	}
	ringo_waitgroup_done(&all_done);
}

REVOKED_TEST(ps_are_retired_while_they_are_taken, 4, 50)
{
	enum { CARRIERS = 10 };
	long sum = 0, v;

	chan = ringo_chan_new(sizeof(long), CARRIERS);
	for (long i = 0; i < CARRIERS; i++) {
		in_flight += i;
		CHECK_EQ(0, ringo_chan_send(chan, &i));
	}
	start_ticker();
	ringo_waitgroup_add(&all_done, CARRIERS);
	for (int i = 0; i < CARRIERS; i++)
		CHECK_EQ(0, ringo_go(carries, i));
	for (int i = 0; i < SCALE(200); i++) {
		CHECK(ringo_maxprocs(1 + i * 5 % 7) > 0);
		CHECK_EQ(0, ringo_sleep(i % 4 * 300 * RINGO_US));
	}
	stop_ticker();
	for (int i = 0; i < CARRIERS; i++) {
		CHECK_EQ(1, ringo_chan_recv(chan, &v));
		sum += v;
	}
	CHECK_EQ(in_flight, sum);
	CHECK(revocations() > 0);
	ringo_chan_unref(chan);
	return 0;
}

/* ---- no thread to be had ---- */

static void no_more_threads(void)
{
	struct rlimit none = { 1, 1 };
	uid_t uid = 1000000 + (uid_t)getpid();

	CHECK(!setrlimit(RLIMIT_NPROC, &none));
	CHECK(!setgroups(0, NULL));
	CHECK(!setgid(uid));
	CHECK(!setuid(uid));
}

static int finished;

static void computes(void)
{
	for (int i = 0; i < 10; i++) {
		hog_for_us(2000);
		ringo_yield();
	}
	ADD(&finished, 1);
	ringo_waitgroup_done(&all_done);
}

static int refused(void *arg)
{
	enum { N = 12 };

	no_more_threads();
	start_ticker();
	ringo_waitgroup_add(&all_done, N);
	for (int i = 0; i < N; i++)
		CHECK_EQ(0, ringo_go(computes));
	while (LOAD(&finished) < N)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK(LOAD(&ticks) > 0);
	stop_ticker();
	return 0;
}

static void run_refused(void)
{
	use_procs(2);
	quantum_us(200);
	_exit(run_main(refused));
}

static int times(const char *text, const char *what)
{
	int n = 0;

	while ((text = strstr(text, what))) {
		n++;
		text++;
	}
	return n;
}

TEST(without_threads_to_spare_all_get_on_all_the_same)
{
	struct outcome o;

	if (getuid())
		SKIP(return, "needs root, to become another user");
	if (SANITIZED)
		SKIP(return, "sanitizers have threads of their own");
	in_child(&o, run_refused);
	ASSERT_TRUE(WIFEXITED(o.status)) TH_LOG("%s", o.err);
	EXPECT_EQ(0, WEXITSTATUS(o.status)) TH_LOG("%s", o.err);
	EXPECT_EQ(1, times(o.err, "cannot make a thread")) TH_LOG("%s", o.err);
	EXPECT_EQ(1, times(o.err, "no thread to hand a P to")) TH_LOG("%s", o.err);
}

TEST_HARNESS_MAIN
