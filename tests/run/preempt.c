// SPDX-License-Identifier: MIT
/* Goroutines that compute, or block in raw calls, hold up nobody; and what that leaves untouched. */
#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>

#include "help.h"

static struct ringo_waitgroup done;
static bool stop;

static int run(int (*fn)(void *))
{
	setenv("RINGO_PREEMPT", "sysmon", 0);
	return run_main(fn);
}

/* With one P, and with preemption. */
#define P1_TEST(name) \
	static int g_##name(void *arg); \
	TEST(name) \
	{ \
		use_procs(1); \
		stop = false; \
		EXPECT_EQ(0, run(g_##name)); \
	} \
	static int g_##name(void *arg)

/* No call at all. */
static void hog(void)
{
	while (!LOAD(&stop))
		;
	ringo_waitgroup_done(&done);
}

static void hog_for_us(int64_t us)
{
	int64_t until = now_ns() + us * RINGO_US;

	while (now_ns() < until)
		;
}

static void hog_for(int ms)
{
	hog_for_us(ms * 1000);
}

static void other(int *n)
{
	for (int i = 0; i < 100; i++) {
		ringo_yield();
		ADD(n, 1);
	}
	ringo_waitgroup_done(&done);
}

P1_TEST(a_tight_loop_does_not_hold_up_who_is_queued)
{
	int n = 0;

	ringo_waitgroup_add(&done, 2);
	CHECK_EQ(0, ringo_go(hog));
	CHECK_EQ(0, ringo_go(other, &n));
	while (LOAD(&n) < 100)
		ringo_yield();
	CHECK(!LOAD(&stop));
	STORE(&stop, true);
	ringo_waitgroup_wait(&done);
	return 0;
}

P1_TEST(a_tight_loop_does_not_hold_up_timers)
{
	int64_t start = ringo_now();

	ringo_waitgroup_add(&done, 1);
	CHECK_EQ(0, ringo_go(hog));
	for (int i = 0; i < 20; i++)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK(!LOAD(&stop));
	CHECK(ringo_now() - start < RINGO_SEC);
	STORE(&stop, true);
	ringo_waitgroup_wait(&done);
	return 0;
}

static int fds[2];

static void echo(void)
{
	char c;

	for (int i = 0; i < 50; i++) {
		CHECK_EQ(1, ringo_read(fds[0], &c, 1));
		CHECK_EQ(1, ringo_write(fds[0], &c, 1));
	}
	ringo_waitgroup_done(&done);
}

P1_TEST(a_tight_loop_does_not_hold_up_operations)
{
	char c = 'x';

	CHECK_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	ringo_waitgroup_add(&done, 2);
	CHECK_EQ(0, ringo_go(echo));
	ringo_yield();
	CHECK_EQ(0, ringo_go(hog)); /* on the M that has submitted the read */
	for (int i = 0; i < 50; i++) {
		CHECK_EQ(1, ringo_write(fds[1], &c, 1));
		CHECK_EQ(1, ringo_read(fds[1], &c, 1));
	}
	CHECK(!LOAD(&stop));
	STORE(&stop, true);
	ringo_waitgroup_wait(&done);
	close(fds[0]);
	close(fds[1]);
	return 0;
}

static void blocked_in_read(int fd)
{
	char c;

	CHECK_EQ(1, read(fd, &c, 1));
	ringo_waitgroup_done(&done);
}

static void napper(void)
{
	nap_ms(500);
	ringo_waitgroup_done(&done);
}

P1_TEST(raw_calls_that_block_do_not_hold_up_others)
{
	int64_t start;
	int p[2];

	CHECK_EQ(0, pipe(p));
	ringo_waitgroup_add(&done, 2);
	CHECK_EQ(0, ringo_go(blocked_in_read, p[0]));
	CHECK_EQ(0, ringo_go(napper));
	start = ringo_now();
	for (int i = 0; i < 10; i++)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK(ringo_now() - start < 400 * RINGO_MS);
	CHECK_EQ(1, write(p[1], "x", 1));
	ringo_waitgroup_wait(&done);
	close(p[0]);
	close(p[1]);
	return 0;
}

/* Calls of both classes from a goroutine whose M has lost its P. */
static struct ringo_chan *chan;
static struct ringo_mutex mutex;
static int born;

static void child(void)
{
	ADD(&born, 1);
	ringo_waitgroup_done(&done);
}

static void busy_caller(int rounds)
{
	for (int i = 0; i < rounds; i++) {
		pid_t self = gettid(); /* compilers keep what pthread_self says */
		long v = i;

		hog_for(3); /* loses the P */
		ringo_waitgroup_add(&done, 1);
		CHECK_EQ(0, ringo_go(child));
		(void)!ringo_chan_try_send(chan, &v);
		(void)!ringo_chan_try_recv(chan, &v);
		if (ringo_mutex_try_lock(&mutex) == 0)
			ringo_mutex_unlock(&mutex);
		(void)ringo_now();
		(void)ringo_num_goroutines();
		CHECK_EQ(self, gettid()); /* none of these waits */
		switch (i % 5) {
		case 0:
			CHECK_EQ(0, ringo_chan_send(chan, &v));
			break;
		case 1:
			CHECK_EQ(0, ringo_sleep(RINGO_US));
			break;
		case 2:
			ringo_mutex_lock(&mutex);
			ringo_yield();
			ringo_mutex_unlock(&mutex);
			break;
		case 3:
			ringo_checkpoint();
			break;
		default:
			break; /* ends, or goes on, without its P */
		}
	}
	ringo_waitgroup_done(&done);
}

static void receiver(int *n)
{
	long v;

	while (ringo_chan_recv(chan, &v) == 1)
		++*n;
	ringo_waitgroup_done(&done);
}

P1_TEST(calls_are_what_they_are_without_a_p)
{
	enum { CALLERS = 3, ROUNDS = 16 };
	int got = 0;

	chan = ringo_chan_new(sizeof(long), 1);
	born = 0;
	ringo_waitgroup_add(&done, CALLERS);
	for (int i = 0; i < CALLERS; i++)
		CHECK_EQ(0, ringo_go(busy_caller, ROUNDS - i));
	while (LOAD(&born) < CALLERS * ROUNDS - 3) {
		long v;

		while (ringo_chan_try_recv(chan, &v) == 1)
			;
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	}
	ringo_waitgroup_wait(&done);
	ringo_waitgroup_add(&done, 1);
	CHECK_EQ(0, ringo_go(receiver, &got));
	ringo_chan_close(chan);
	ringo_waitgroup_wait(&done);
	ringo_chan_unref(chan);
	return 0;
}

static int begun;

static void loop(void)
{
	ADD(&begun, 1);
	hog();
}

/* The threads that the kernel calls running. */
static int threads_running(void)
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;
	int n = 0;

	while ((e = readdir(d))) {
		char path[300], line[300], *state;
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/task/%s/stat", e->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		state = fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
		n += state && state[2] == 'R';
		fclose(f);
	}
	closedir(d);
	return n;
}

static int loops(void *arg)
{
	enum { N = 6, PLACES = 1, SELF = 1 };

	ringo_waitgroup_add(&done, N);
	for (int i = 0; i < N; i++)
		CHECK_EQ(0, ringo_go(loop));
	while (LOAD(&begun) < N || threads_running() > PLACES + SELF)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	STORE(&stop, true);
	ringo_waitgroup_wait(&done);
	return 0;
}

TEST(no_more_loops_run_without_a_p_than_there_are_ps)
{
#ifdef RG_TSAN
	SKIP(return, "ThreadSanitizer delivers signals later; the other builds do it");
#endif
	use_procs(1);
	stop = false;
	EXPECT_EQ(0, run(loops));
}

/* The end of a run does not wait for a thread that comes to a call in time, and names one that does not. */
static void ends_soon(void)
{
	while (!LOAD(&stop))
		;
	hog_for(200); /* the end has come by then */
	ringo_yield();
	CHECK(!"a goroutine went on after the end");
}

P1_TEST(the_end_of_a_run_finds_those_without_a_p)
{
	for (int i = 0; i < 3; i++)
		CHECK_EQ(0, ringo_go(ends_soon));
	CHECK_EQ(0, ringo_sleep(20 * RINGO_MS));
	STORE(&stop, true);
	return 0;
}

P1_TEST(ps_come_and_go_meanwhile)
{
	ringo_waitgroup_add(&done, 2);
	CHECK_EQ(0, ringo_go(hog));
	CHECK_EQ(0, ringo_go(hog));
	for (int i = 0; i < 30; i++) {
		CHECK(ringo_maxprocs(1 + i % 3) > 0);
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	}
	STORE(&stop, true);
	ringo_waitgroup_wait(&done);
	return 0;
}

/* Whoever revokes sleeps when nobody waits. It must not fall asleep just when somebody begins to. */
static int waits_from_now_on(void *us)
{
	ringo_waitgroup_add(&done, 1);
	CHECK_EQ(0, ringo_go(hog));
	hog_for_us((intptr_t)us);
	CHECK_EQ(0, ringo_sleep(20 * RINGO_US)); /* the hog runs */
	STORE(&stop, true);
	ringo_waitgroup_wait(&done);
	return 0;
}

TEST(it_is_noticed_that_somebody_begins_to_wait)
{
	use_procs(1);
	setenv("RINGO_QUANTUM_US", "50", 1);
	for (int i = 0; i < SCALE(400); i++) {
		stop = false;
		ASSERT_EQ(0, run_main_with(waits_from_now_on, (void *)(intptr_t)(i % 160)));
	}
	unsetenv("RINGO_QUANTUM_US");
}

static void look_at_mask(void)
{
	sigset_t now;

	hog_for(5);
	ringo_yield();
	hog_for(5);
	CHECK_EQ(0, pthread_sigmask(SIG_BLOCK, NULL, &now));
	CHECK(!sigismember(&now, SIGTERM) && sigismember(&now, SIGUSR2));
	ringo_waitgroup_done(&done);
}

static int masks(void *arg)
{
	ringo_waitgroup_add(&done, 20);
	for (int i = 0; i < 20; i++)
		CHECK_EQ(0, ringo_go(look_at_mask));
	ringo_waitgroup_wait(&done);
	return 0;
}

TEST(threads_that_step_in_have_the_program_s_signal_mask)
{
	sigset_t set;

	use_procs(1);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
	EXPECT_EQ(0, run(masks));
}

static int unhindered(void *arg)
{
	int n = 0;

	ringo_waitgroup_add(&done, 1);
	CHECK_EQ(0, ringo_go(other, &n));
	hog_for(50);
	CHECK_EQ(0, LOAD(&n));
	ringo_waitgroup_wait(&done);
	return 0;
}

static int hindered(void *arg)
{
	int n = 0;

	ringo_waitgroup_add(&done, 1);
	CHECK_EQ(0, ringo_go(other, &n));
	while (!LOAD(&n))
		;
	ringo_waitgroup_wait(&done);
	return 0;
}

TEST(it_can_be_switched_off)
{
	use_procs(1);
	setenv("RINGO_PREEMPT", "off", 1);
	EXPECT_EQ(0, run_main(unhindered));
	setenv("RINGO_PREEMPT", "sysmon", 1);
	EXPECT_EQ(0, run_main(hindered));
	setenv("RINGO_PREEMPT", "nonsense", 1);
	EXPECT_EQ(-EINVAL, run_main(unhindered));
	unsetenv("RINGO_PREEMPT");
	setenv("RINGO_QUANTUM_US", "1", 1);
	EXPECT_EQ(-EINVAL, run_main(unhindered));
	unsetenv("RINGO_QUANTUM_US");
}

TEST_HARNESS_MAIN
