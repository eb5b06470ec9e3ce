// SPDX-License-Identifier: MIT
/*
 * Who can still be woken is not in a deadlock: by time, an operation, a job, a signal, a timer, a context. And
 * who else might do something: threads of the program, a debugger, main that has gone.
 */
#include <poll.h>
#include <sys/ptrace.h>

#include "core/gate.h"
#include "deadlock_help.h"

/* ThreadSanitizer holds signals back while a thread sleeps in a raw system call. */
#ifdef RG_TSAN
#define SIGNALS_COME false
#else
#define SIGNALS_COME true
#endif

/* Who is alive. */
static int sleeper(void *arg)
{
	return ringo_sleep(150 * RINGO_MS);
}

static int deadline_alone(void *arg)
{
	ringo_timeout_scope(150 * RINGO_MS);
	CHECK_EQ(-ETIMEDOUT, ringo_chan_recv(NULL, NULL));
	return 0;
}

static void wakes(struct ringo_chan *c)
{
	CHECK_EQ(0, ringo_sleep(150 * RINGO_MS));
	CHECK_EQ(0, ringo_chan_send(c, NULL));
}

static int waits_for_sleeper(void *arg)
{
	chan = ringo_chan_new(0, 0);
	CHECK_EQ(0, ringo_go(wakes, chan));
	CHECK_EQ(1, ringo_chan_recv(chan, NULL));
	return 0;
}

TEST_F(deadlock, not_while_somebody_waits_for_a_time)
{
	EXPECT_TRUE(lives(sleeper));
	EXPECT_TRUE(lives(deadline_alone));
	EXPECT_TRUE(lives(waits_for_sleeper));
}

/* Go's NetpollDeadlock: no report while one waits in a descriptor. */
static int socket_waits(void *arg)
{
	char byte = 1;
	pid_t pid;

	CHECK_EQ(0, pipe(pipe_fd));
	pid = fork();
	if (!pid) {
		nap_ms(150);
		_exit(write(pipe_fd[1], &byte, 1) != 1);
	}
	CHECK_EQ(1, ringo_read(pipe_fd[0], &byte, 1));
	CHECK_EQ(pid, ringo_waitpid(pid, NULL, 0));
	return 0;
}

static int nap(void *arg)
{
	nap_ms(150);
	return 0;
}

static int job_runs(void *arg)
{
	return ringo_blocking(nap, NULL, NULL);
}

static int polls(void *arg)
{
	return ringo_poll(NULL, 0, 150);
}

static int waits_for_child(void *arg)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		nap_ms(150);
		_exit(0);
	}
	CHECK_EQ(pid, ringo_waitpid(pid, &status, 0));
	pid = fork();
	if (!pid) {
		nap_ms(150);
		_exit(0);
	}
	CHECK_EQ(pid, ringo_waitpid(-1, &status, 0));
	return 0;
}

TEST_F(deadlock, not_while_an_operation_or_a_job_is_under_way)
{
	EXPECT_TRUE(lives(socket_waits));
	EXPECT_TRUE(lives(job_runs));
	EXPECT_TRUE(lives(polls));
	EXPECT_TRUE(lives(waits_for_child));
}

static int waits_for_signal(void *arg)
{
	int signo = 0;
	pid_t self = getpid();

	chan = ringo_chan_new(sizeof(int), 1);
	CHECK_EQ(0, ringo_signal_notify(chan, SIGUSR1));
	if (!fork()) {
		nap_ms(150);
		_exit(kill(self, SIGUSR1));
	}
	CHECK_EQ(1, ringo_chan_recv(chan, &signo));
	CHECK_EQ(SIGUSR1, signo);
	return 0;
}

TEST_F(deadlock, not_while_somebody_waits_for_a_signal)
{
	if (!SIGNALS_COME)
		SKIP(return, "ThreadSanitizer holds signals back; run another build");
	EXPECT_TRUE(lives(waits_for_signal));
}

static void raw_nap(struct ringo_chan *c)
{
	nap_ms(150);
	CHECK_EQ(0, ringo_chan_send(c, NULL));
}

static int raw_call(void *arg)
{
	chan = ringo_chan_new(0, 0);
	CHECK_EQ(0, ringo_go(raw_nap, chan));
	CHECK_EQ(1, ringo_chan_recv(chan, NULL));
	return 0;
}

TEST_F(deadlock, not_while_a_goroutine_blocks_its_thread)
{
	EXPECT_TRUE(lives(raw_call));
}

/* Other threads. */
static void *thread_wakes(void *arg)
{
	nap_ms(300);
	CHECK_EQ(0, ringo_chan_try_send(chan, NULL));
	return NULL;
}

static int foreign(void *arg)
{
	pthread_t t;

	chan = ringo_chan_new(0, 0);
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(0, pthread_create(&t, NULL, thread_wakes, NULL));
		CHECK_EQ(1, ringo_chan_recv(chan, NULL));
		CHECK_EQ(0, pthread_join(t, NULL));
	}
	return 9;
}

TEST_F(deadlock, a_thread_of_the_program_may_wake_everybody)
{
	const char *first;

	scenario = foreign;
	in_child(&out, run_it);
	EXPECT_EQ(9, WIFEXITED(out.status) ? WEXITSTATUS(out.status) : -1);
	ASSERT_TRUE(said(&out, "all goroutines are asleep. The program goes on: 1 thread(s)"));
	first = strstr(out.err, "asleep. ");
	EXPECT_EQ(NULL, strstr(first + 1, "asleep. "));
}

/* A thread of the program that has ended does not count. */
static void *thread_ends(void *arg)
{
	return NULL;
}

static int foreign_ended(void *arg)
{
	pthread_t t;

	CHECK_EQ(0, pthread_create(&t, NULL, thread_ends, NULL));
	CHECK_EQ(0, pthread_join(t, NULL));
	return ringo_chan_recv(NULL, NULL);
}

TEST_F(deadlock, a_thread_that_has_ended_wakes_nobody)
{
	EXPECT_TRUE(dies(foreign_ended, DEADLOCK));
}

/* A thread that is inside a call just then may be about to wake somebody; when it leaves, nobody is told. */
static void *thread_inside(void *arg)
{
	CHECK_EQ(0, rg_foreign_enter());
	STORE(asleep, now_ns());
	nap_ms(200);
	asleep[1] = now_ns();
	rg_foreign_leave();
	nap_ms(SANITIZED ? 2000 : 500);
	CHECK_EQ(0, ringo_chan_try_send(chan, NULL));
	return NULL;
}

static int inside_main(void *arg)
{
	pthread_t t;

	chan = ringo_chan_new(0, 0);
	CHECK_EQ(0, pthread_create(&t, NULL, thread_inside, NULL));
	while (!LOAD(asleep))
		ringo_yield();
	CHECK_EQ(1, ringo_chan_recv(chan, NULL));
	CHECK_EQ(0, pthread_join(t, NULL));
	return 9;
}

static void watch_stderr(void)
{
	int p[2], status;
	char text[4096];
	pid_t pid;

	CHECK_EQ(0, pipe(p));
	pid = fork();
	if (!pid) {
		dup2(p[1], STDERR_FILENO);
		close(p[1]);
		run_it();
	}
	close(p[1]);
	CHECK(read(p[0], text, sizeof(text) - 1) > 0);
	asleep[2] = now_ns();
	while (read(p[0], text, sizeof(text) - 1) > 0)
		;
	waitpid(pid, &status, 0);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

TEST_F(deadlock, a_thread_that_is_inside_a_call_is_waited_for)
{
	scenario = inside_main;
	*asleep = 0;
	in_child(&out, watch_stderr);
	EXPECT_EQ(9, WIFEXITED(out.status) ? WEXITSTATUS(out.status) : -1);
	EXPECT_GE(asleep[2], asleep[1]);
}

/* A debugger looks into it. */
static int gate_fd[2];

static void traced(void)
{
	char byte;
	pid_t pid;

	CHECK_EQ(0, pipe(gate_fd));
	pid = fork();
	if (!pid) {
		close(gate_fd[1]);
		(void)!read(gate_fd[0], &byte, 1);
		run_it();
	}
	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL)) {
		kill(pid, SIGKILL);
		_exit(4);
	}
	close(gate_fd[0]);
	close(gate_fd[1]);
	nap_ms(SANITIZED ? 1500 : 400);
	kill(pid, SIGKILL);
	waitpid(pid, &out.status, 0);
	_exit(WIFSIGNALED(out.status) ? 0 : 1);
}

TEST_F(deadlock, a_debugger_may_look_at_it)
{
	scenario = simple;
	in_child(&out, traced);
	if (WIFEXITED(out.status) && WEXITSTATUS(out.status) == 4)
		SKIP(return, "ptrace(2) is forbidden here");
	EXPECT_EQ(0, out.status);
	EXPECT_TRUE(said(&out, "all goroutines are asleep - deadlock! The program goes on for its debugger"));
}

/* main ends alone by ringo_exit. */
static int exits(void *arg)
{
	CHECK_EQ(0, ringo_go(ends));
	ringo_exit();
}

static int exits_and_leaves_one(void *arg)
{
	CHECK_EQ(0, ringo_go(wait_for_ever));
	ringo_exit();
}

static void exits_the_process(void)
{
	CHECK_EQ(0, ringo_sleep(100 * RINGO_MS));
	_exit(0);
}

static int exits_and_leaves_a_live_one(void *arg)
{
	CHECK_EQ(0, ringo_go(exits_the_process));
	ringo_exit();
}

/* Go's GoexitInPanic: the exit takes the place of the panic. */
static void leave(void)
{
	ringo_exit();
}

static void exits_in_panic(void)
{
	ringo_defer(leave);
	ringo_panic("hello");
}

static int exits_beside_a_panic(void *arg)
{
	CHECK_EQ(0, ringo_go(exits_in_panic));
	ringo_exit();
}

TEST_F(deadlock, after_main_has_exited)
{
	EXPECT_TRUE(dies(exits, NOBODY));
	EXPECT_TRUE(dies(exits_and_leaves_one, DEADLOCK));
	EXPECT_TRUE(dies(exits_beside_a_panic, NOBODY));
	EXPECT_EQ(NULL, strstr(out.err, "hello"));
	EXPECT_TRUE(lives(exits_and_leaves_a_live_one));
}

/* Go's PanicDeadlockGosched and PanicDeadlockSyscall: who panics is not asleep while it runs defers. */
static void yields_on(void)
{
	for (int i = 0; i < 5; i++) {
		ringo_yield();
		CHECK_EQ(0, ringo_sleep(20 * RINGO_MS));
		nap_ms(1);
	}
}

static int panics(void *arg)
{
	CHECK_EQ(0, ringo_go(wait_for_ever));
	ringo_defer(yields_on);
	ringo_panic("errorThatGosched");
}

TEST_F(deadlock, not_while_somebody_panics)
{
	NEEDS_ABORT();
	scenario = panics;
	in_child(&out, run_it);
	EXPECT_TRUE(aborted(&out));
	EXPECT_TRUE(said(&out, "errorThatGosched"));
	EXPECT_EQ(NULL, strstr(out.err, "asleep"));
}

/* Selects and contexts. */
static int no_cases(void *arg)
{
	return ringo_select(NULL, 0);
}

static int deaf_select(void *arg)
{
	struct ringo_case c[] = { RINGO_RECV((struct ringo_chan *)NULL, NULL), RINGO_SEND(ringo_chan_new(0, 0), NULL) };

	return ringo_select(c, 2);
}

static int cancellable(void *arg)
{
	struct ringo_ctx *ctx = ringo_ctx_with_cancel(NULL);

	ringo_ctx_unref(ringo_ctx_enter(ctx));
	return ringo_chan_recv(NULL, NULL);
}

TEST_F(deadlock, a_select_or_a_context_that_nobody_ends)
{
	EXPECT_TRUE(dies(no_cases, DEADLOCK));
	EXPECT_TRUE(dies(deaf_select, DEADLOCK));
	EXPECT_TRUE(dies(cancellable, DEADLOCK));
}

static int select_times_out(void *arg)
{
	struct ringo_case c[] = { RINGO_RECV((struct ringo_chan *)NULL, NULL), RINGO_TIMEOUT(150 * RINGO_MS) };

	CHECK_EQ(1, ringo_select(c, 2));
	return 0;
}

static int select_polls(void *arg)
{
	struct ringo_case c[2];
	char byte = 0;

	CHECK_EQ(0, pipe(pipe_fd));
	if (!fork()) {
		nap_ms(150);
		_exit(write(pipe_fd[1], &byte, 1) != 1);
	}
	c[0] = RINGO_RECV((struct ringo_chan *)NULL, NULL);
	c[1] = RINGO_POLL(pipe_fd[0], POLLIN);
	CHECK_EQ(1, ringo_select(c, 2));
	return 0;
}

static int context_times_out(void *arg)
{
	struct ringo_ctx *ctx = ringo_ctx_with_timeout(NULL, 150 * RINGO_MS);

	ringo_ctx_unref(ringo_ctx_enter(ctx));
	CHECK_EQ(-ETIMEDOUT, ringo_chan_recv(NULL, NULL));
	return 0;
}

static int context_ends_by_signal(void *arg)
{
	struct ringo_ctx *ctx = ringo_ctx_with_signal(NULL, SIGUSR1);
	pid_t self = getpid();

	if (!fork()) {
		nap_ms(150);
		_exit(kill(self, SIGUSR1));
	}
	ringo_ctx_unref(ringo_ctx_enter(ctx));
	CHECK_EQ(-ECANCELED, ringo_chan_recv(NULL, NULL));
	return 0;
}

static int timer_func(void *arg)
{
	static struct ringo_timer t;

	chan = ringo_chan_new(0, 1);
	CHECK_EQ(0, ringo_timer_start(&t, 150 * RINGO_MS, (void (*)(void *))(void (*)(void))raw_nap, chan));
	CHECK_EQ(1, ringo_chan_recv(chan, NULL));
	return 0;
}

static int stopped_timer(void *arg)
{
	static struct ringo_timer t;

	CHECK_EQ(0, ringo_timer_start(&t, 3600 * RINGO_SEC, (void (*)(void *))(void (*)(void))raw_nap, chan));
	CHECK_EQ(1, ringo_timer_stop(&t));
	return ringo_chan_recv(NULL, NULL);
}

TEST_F(deadlock, not_while_a_timer_a_descriptor_or_a_context_will_wake_somebody)
{
	EXPECT_TRUE(lives(select_times_out));
	EXPECT_TRUE(lives(select_polls));
	EXPECT_TRUE(lives(context_times_out));
	EXPECT_TRUE(!SIGNALS_COME || lives(context_ends_by_signal));
	EXPECT_TRUE(lives(timer_func));
	EXPECT_TRUE(dies(stopped_timer, DEADLOCK));
}

TEST_HARNESS_MAIN
