// SPDX-License-Identifier: MIT
/*
 * With one goroutine for each P that computes, nobody is sent a signal: no system call returns EINTR, and no handler
 * of the program is called. With more of them some are parked by a signal, but only while they compute, and no
 * handler of the program is called either.
 *
 * One exception is the kernel's. What a thread has submitted to a ring is completed by that thread: operations, and
 * the poll for wake-ups, which whoever takes over the P withdraws. If it sleeps in a call that returns EINTR
 * whenever it is woken for anything, that does. Such calls are epoll_wait(2), sigtimedwait(2), semtimedop(2),
 * and those on sockets with SO_RCVTIMEO or SO_SNDTIMEO.
 */
#include <linux/futex.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "revoked.h"

enum { CALL_MS = 4, ROUNDS = SCALE(12) };

static int ends[2], timed[2], epoll_fd, semaphores;

static int call_nanosleep(void)
{
	return nanosleep(&(struct timespec){ .tv_nsec = CALL_MS * RINGO_MS }, NULL);
}

static int call_clock_nanosleep(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_nsec += CALL_MS * RINGO_MS;
	if (ts.tv_nsec >= RINGO_SEC) {
		ts.tv_nsec -= RINGO_SEC;
		ts.tv_sec++;
	}
	errno = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
	return errno ? -1 : 0;
}

static int call_poll(void)
{
	return poll(NULL, 0, CALL_MS);
}

static int call_select(void)
{
	return select(0, NULL, NULL, NULL, &(struct timeval){ .tv_usec = CALL_MS * 1000 });
}

static int call_futex(void)
{
	static uint32_t word;

	return (int)syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0,
			    &(struct timespec){ .tv_nsec = CALL_MS * RINGO_MS });
}

static int call_sem_timedwait(void)
{
	static sem_t sem;
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_nsec += CALL_MS * RINGO_MS;
	if (ts.tv_nsec >= RINGO_SEC) {
		ts.tv_nsec -= RINGO_SEC;
		ts.tv_sec++;
	}
	return sem_timedwait(&sem, &ts);
}

static int call_read(void)
{
	char c;

	return (int)read(ends[0], &c, 1);
}

static int call_usleep(void)
{
	return usleep(CALL_MS * 1000);
}

static int call_epoll_wait(void)
{
	struct epoll_event e;

	return epoll_wait(epoll_fd, &e, 1, CALL_MS);
}

static int call_sigtimedwait(void)
{
	sigset_t none;

	sigemptyset(&none);
	return sigtimedwait(&none, NULL, &(struct timespec){ .tv_nsec = CALL_MS * RINGO_MS });
}

static int call_semtimedop(void)
{
	return semtimedop(semaphores, &(struct sembuf){ .sem_op = -1 }, 1,
			  &(struct timespec){ .tv_nsec = CALL_MS * RINGO_MS });
}

static int call_recv(void)
{
	char c;

	return (int)recv(timed[0], &c, 1, 0);
}

static struct call {
	const char *name;
	int (*fn)(void);
	bool kernel_may; /* return EINTR for completions */
	int made, interrupted;
} calls[] = {
	{ .name = "nanosleep", .fn = call_nanosleep },
	{ .name = "clock_nanosleep", .fn = call_clock_nanosleep },
	{ .name = "usleep", .fn = call_usleep },
	{ .name = "poll", .fn = call_poll },
	{ .name = "select", .fn = call_select },
	{ .name = "futex", .fn = call_futex },
	{ .name = "sem_timedwait", .fn = call_sem_timedwait },
	{ .name = "read", .fn = call_read },
	{ .name = "epoll_wait", .fn = call_epoll_wait, .kernel_may = true },
	{ .name = "sigtimedwait", .fn = call_sigtimedwait, .kernel_may = true },
	{ .name = "semtimedop", .fn = call_semtimedop, .kernel_may = true },
	{ .name = "recv with SO_RCVTIMEO", .fn = call_recv, .kernel_may = true },
};

static int signals_seen;

static void see_signal(int sig)
{
	if (sig != SIGCHLD)
		ADD(&signals_seen, 1);
}

/* For all signals, those of the runtime among them. */
static void watch_signals(void)
{
	struct sigaction sa = { .sa_handler = see_signal };

	for (int sig = 1; sig < NSIG; sig++)
		if (sig != SIGALRM && sig != SIGTERM)
			sigaction(sig, &sa, NULL); /* some cannot be had */
}

static void make_call(struct call *c)
{
	ringo_errno = 0;
	if (c->fn() < 0 && ringo_errno == EINTR)
		ADD(&c->interrupted, 1);
	ADD(&c->made, 1);
}

/* Computes, makes calls, and keeps its thread. */
static void hog(void)
{
	while (!LOAD(&stop)) {
		hog_for_us(3000);
		make_call(&calls[0]);
	}
	ringo_waitgroup_done(&all_done);
}

static void caller(struct call *c)
{
	for (int i = 0; i < ROUNDS; i++) {
		make_call(c);
		hog_for_us(100);
		ringo_yield();
	}
	ringo_waitgroup_done(&all_done);
}

static void *write_now_and_then(void *arg)
{
	for (;;) {
		nap_ms(CALL_MS);
		if (write(ends[1], "x", 1) != 1)
			return arg;
	}
}

static int hogs_and_calls(void *arg)
{
	start_ticker();
	ringo_waitgroup_add(&all_done, 2);
	CHECK_EQ(0, ringo_go(hog));
	CHECK_EQ(0, ringo_go(hog));
	for (unsigned i = 1; i < RG_ARRAY_SIZE(calls); i++) {
		ringo_waitgroup_add(&all_done, 1);
		CHECK_EQ(0, ringo_go(caller, &calls[i]));
	}
	for (unsigned i = 1; i < RG_ARRAY_SIZE(calls); i++)
		while (LOAD(&calls[i].made) < ROUNDS)
			CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK(revocations() > 0);
	stop_ticker();
	return 0;
}

TEST(no_signal_and_no_interrupted_call)
{
	const struct timeval timeout = { .tv_usec = CALL_MS * 1000 };
	pthread_t t;

	ASSERT_EQ(0, pipe(ends));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, timed));
	ASSERT_EQ(0, setsockopt(timed[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)));
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	ASSERT_LE(0, epoll_fd);
	semaphores = semget(IPC_PRIVATE, 1, 0600);
	ASSERT_LE(0, semaphores);
	watch_signals();
	ASSERT_EQ(0, pthread_create(&t, NULL, write_now_and_then, NULL));
	use_procs(2);
	EXPECT_EQ(0, run_main(hogs_and_calls));
	semctl(semaphores, 0, IPC_RMID);
	for (unsigned i = 0; i < RG_ARRAY_SIZE(calls); i++) {
		TH_LOG("%s: %d calls, %d interrupted", calls[i].name, calls[i].made, calls[i].interrupted);
		if (!calls[i].kernel_may)
			EXPECT_EQ(0, calls[i].interrupted);
	}
	EXPECT_EQ(0, signals_seen);
}

/* ---- more goroutines that compute than there are places for ---- */

enum { CROWD = 8 };

static void crowd_hog(void)
{
	while (!LOAD(&stop))
		hog_for_us(500);
	ringo_waitgroup_done(&all_done);
}

/* It computes for long enough to be chosen, and may be in a call by then. */
static void busy_caller(struct call *c)
{
	for (int i = 0; i < 4 * ROUNDS; i++) {
		make_call(c);
		hog_for_us(2000);
	}
	ringo_waitgroup_done(&all_done);
}

/* Without the lane's signal, to which a handler of the program's own would put an end. */
static void watch_other_signals(void)
{
	watch_signals();
	signal(SIGURG, SIG_DFL);
}

/* By the signal. */
static bool any_parked(void)
{
	for (unsigned i = 0; i < rg_load_acquire(&rt.nm); i++)
		if (rg_load_relaxed(&rt.m[i]->lane.parked))
			return true;
	return false;
}

static int crowd(void *arg)
{
	bool parked = false;
	struct call *plain[] = { &calls[0], &calls[1], &calls[3], &calls[5], &calls[7] };

	start_ticker();
	ringo_waitgroup_add(&all_done, CROWD);
	for (int i = 0; i < CROWD; i++)
		CHECK_EQ(0, ringo_go(crowd_hog));
	for (unsigned i = 0; i < RG_ARRAY_SIZE(plain); i++) {
		ringo_waitgroup_add(&all_done, 1);
		CHECK_EQ(0, ringo_go(busy_caller, plain[i]));
	}
	for (unsigned i = 0; i < RG_ARRAY_SIZE(plain); i++)
		while (LOAD(&plain[i]->made) < 4 * ROUNDS || !parked) {
			CHECK_EQ(0, ringo_sleep(RINGO_MS));
			parked |= any_parked();
		}
	stop_ticker();
	return 0;
}

/* The signal may come just when its thread goes into the kernel: a millionth of the calls in a program, of ours few. */
TEST(more_hogs_than_places_are_signalled_outside_system_calls)
{
	pthread_t t;
	int made = 0, interrupted = 0;

	ASSERT_EQ(0, pipe(ends));
	watch_other_signals();
	ASSERT_EQ(0, pthread_create(&t, NULL, write_now_and_then, NULL));
	use_procs(2);
	EXPECT_EQ(0, run_main(crowd));
	for (unsigned i = 0; i < RG_ARRAY_SIZE(calls); i++) {
		made += calls[i].made;
		interrupted += calls[i].interrupted;
	}
	TH_LOG("%d calls, %d interrupted", made, interrupted);
	EXPECT_GE(2 + made / 60, interrupted);
	EXPECT_EQ(0, signals_seen);
}

TEST_HARNESS_MAIN
