// SPDX-License-Identifier: MIT
/* ringo_defer: when, in which order, how often, and that nothing cancels what is deferred. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>

#include "help.h"

#define LOG 64

static int notes[LOG], n_notes;

static int note(int what)
{
	if (n_notes < LOG)
		notes[n_notes++] = what;
	return what;
}

static void note_bool(bool b)
{
	note(b);
}

static void clear(void)
{
	n_notes = 0;
}

static bool noted(int n, const int *want)
{
	return n == n_notes && !memcmp(notes, want, (size_t)n * sizeof(*want));
}

#define NOTED(...) \
	CHECK(noted((int)(sizeof((int[]){ __VA_ARGS__ }) / sizeof(int)), (int[]){ __VA_ARGS__ }))

static void block(void)
{
	ringo_defer(note, 1);
	ringo_defer(note, 2);
	{
		ringo_defer(note, 3);
		note(4);
	}
	note(5);
}

static int returns(int way)
{
	ringo_defer(note, 10);
	if (way == 1)
		return note(11);
	for (int i = 0; i < 2; i++) {
		ringo_defer(note, 20 + i);
		if (way == 2)
			break;
		if (way == 3)
			goto out;
	}
	return note(12);
out:
	return note(13);
}

static void six(char a, short b, int *c, uint64_t d, bool e, enum ringo_backend f)
{
	CHECK_EQ('a', a);
	CHECK_EQ(-2, b);
	CHECK_EQ(7, *c);
	CHECK_EQ((uint64_t)-4, d);
	CHECK(e);
	CHECK_EQ(RINGO_BACKEND_URING, f);
	note(6);
}

static double real(int n)
{
	note(n);
	return n;
}

static void arguments(void)
{
	int i = 1, seven = 7;

	ringo_defer(note, i); /* evaluated here */
	i = 2;
	ringo_defer(note, i++);
	ringo_defer(note_bool, (bool)(i == 3));
	ringo_defer(six, (char)'a', (short)-2, &seven, (uint64_t)-4, (bool)true,
		    (enum ringo_backend)RINGO_BACKEND_URING);
	ringo_defer(real, 9);
	clear();
}

static struct ringo_mutex mutex;

static void locks(void)
{
	ringo_mutex_lock(&mutex);
	ringo_defer(ringo_mutex_unlock, &mutex);
	CHECK_EQ(-EAGAIN, ringo_mutex_try_lock(&mutex));
}

static int opens(void)
{
	int fd = open("/dev/null", O_RDONLY);

	ringo_defer(ringo_close, fd);
	return fd;
}

static void in_both(void)
{
	clear();
	block();
	NOTED(4, 3, 5, 2, 1);
	clear();
	CHECK_EQ(11, returns(1));
	NOTED(11, 10);
	clear();
	CHECK_EQ(12, returns(2));
	NOTED(20, 12, 10);
	clear();
	CHECK_EQ(13, returns(3));
	NOTED(20, 13, 10);
	clear();
	CHECK_EQ(12, returns(4));
	NOTED(20, 21, 12, 10);
	arguments();
	NOTED(9, 6, 1, 2, 1);
	locks();
	CHECK_EQ(0, ringo_mutex_try_lock(&mutex));
	ringo_mutex_unlock(&mutex);
}

static int in_both_main(void *arg)
{
	int fd;

	in_both();
	fd = opens();
	CHECK_EQ(-1, fcntl(fd, F_GETFD));
	return 0;
}

TEST(defers_run_at_the_end_of_the_block_newest_first)
{
	EXPECT_EQ(0, ringo_run(in_both_main, NULL));
}

static void *in_both_thread(void *arg)
{
	in_both();
	return arg;
}

TEST(outside_a_goroutine_too)
{
	pthread_t t;

	in_both();
	ASSERT_EQ(0, pthread_create(&t, NULL, in_both_thread, NULL));
	pthread_join(t, NULL);
}

static int done;

static void add(int n)
{
	ADD(&done, n);
}

static void exits(int depth)
{
	ringo_defer(add, 1);
	if (depth)
		exits(depth - 1);
	if (!depth) {
		ringo_defer(add, 1000);
		ringo_exit();
	}
}

static int exits_main(void *arg)
{
	const int n = 200;

	for (int i = 0; i < n; i++)
		CHECK_EQ(0, ringo_go(exits, 9));
	while (ringo_num_goroutines() > 1)
		ringo_yield();
	CHECK_EQ(n * 1010, LOAD(&done));
	return 0;
}

TEST(exit_runs_what_was_deferred)
{
	EXPECT_EQ(0, ringo_run(exits_main, NULL));
}

static void ends_by_its_defer(void)
{
	ringo_defer(add, 1);
	{
		ringo_defer(ringo_exit);
		ringo_defer(add, 10);
	}
	add(100);
}

G_TEST(exit_can_be_deferred)
{
	STORE(&done, 0);
	CHECK_EQ(0, ringo_go(ends_by_its_defer));
	while (ringo_num_goroutines() > 1)
		ringo_yield();
	CHECK_EQ(11, LOAD(&done));
	return 0;
}

static struct ringo_chan *hops;

static void migrates(int n)
{
	int got;

	ringo_defer(add, 1);
	for (int i = 0; i < n; i++) {
		ringo_defer(add, 1);
		CHECK_EQ(0, ringo_chan_send(hops, &i));
		CHECK_EQ(1, ringo_chan_recv(hops, &got));
	}
	ringo_exit();
}

static int migrates_main(void *arg)
{
	const int n = SCALE(500), gs = 20;

	STORE(&done, 0);
	hops = ringo_chan_new(sizeof(int), 4);
	for (int i = 0; i < gs; i++)
		CHECK_EQ(0, ringo_go(migrates, n));
	while (ringo_num_goroutines() > 1)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK_EQ(gs * (n + 1), LOAD(&done));
	ringo_chan_unref(hops);
	return 0;
}

TEST(defers_of_goroutines_that_change_threads)
{
	EXPECT_EQ(0, ringo_run(migrates_main, NULL));
}

/* ---- what is ambient ---- */

static int64_t deadline(void)
{
	int64_t d = ringo_deadline_set(0);

	ringo_deadline_set(d);
	return d;
}

static void sleeps(int ms)
{
	int64_t start = ringo_now();

	CHECK_EQ(0, ringo_sleep(ms * RINGO_MS));
	CHECK(ringo_now() - start >= ms * RINGO_MS);
	note(ms);
}

static void own_timeout(int64_t outer)
{
	{
		ringo_timeout_scope(5 * RINGO_MS);
		CHECK_EQ(-ETIMEDOUT, ringo_sleep(10 * RINGO_SEC));
		{
			ringo_defer(sleeps, 6); /* one inside the other */
			CHECK_EQ(-ETIMEDOUT, ringo_sleep(10 * RINGO_SEC));
		}
		CHECK_EQ(-ETIMEDOUT, ringo_sleep(10 * RINGO_SEC));
	}
	CHECK_EQ(outer, deadline());
	CHECK_EQ(0, ringo_sleep(RINGO_MS));
}

static void under_deadline(void)
{
	int64_t over = ringo_now() + 5 * RINGO_MS;

	ringo_deadline_set(over);
	{
		ringo_defer(sleeps, 7);
		ringo_defer(own_timeout, over);
		CHECK_EQ(-ETIMEDOUT, ringo_sleep(10 * RINGO_SEC));
	}
	CHECK_EQ(-ETIMEDOUT, ringo_sleep(10 * RINGO_SEC));
	CHECK_EQ(over, deadline());
	{
		ringo_defer(ringo_deadline_set, (int64_t)0); /* sets what is ambient afterwards */
	}
	CHECK_EQ(0, deadline());
	{
		ringo_defer(ringo_deadline_set, over);
	}
	CHECK_EQ(over, deadline());
	{
		int64_t former = ringo_deadline_set(1);

		ringo_defer(ringo_deadline_set, former);
	}
	CHECK_EQ(over, deadline());
	NOTED(6, 7);
}

static void exits_under_deadline(void)
{
	ringo_defer(add, 1);
	ringo_defer(sleeps, 8);
	ringo_defer(sleeps, 9);
	under_deadline();
	ringo_exit();
}

static int ambient_main(void *arg)
{
	clear();
	done = 0;
	CHECK_EQ(0, ringo_go(exits_under_deadline));
	while (!LOAD(&done))
		ringo_yield();
	NOTED(6, 7, 9, 8);
	return 0;
}

TEST(a_deadline_that_is_over_does_not_disturb_defers)
{
	EXPECT_EQ(0, ringo_run(ambient_main, NULL));
}

static void waits_uncancelled(struct ringo_ctx *ctx)
{
	struct ringo_ctx *former;

	CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK_EQ(0, ringo_ctx_err(NULL)); /* as the background */
	former = ringo_ctx_enter(ctx);
	CHECK_EQ((uintptr_t)former, (uintptr_t)ctx);
	ringo_ctx_unref(former);
	CHECK_EQ(0, ringo_sleep(RINGO_MS));
	note(1);
}

static void leaves(struct ringo_ctx *former)
{
	ringo_ctx_unref(ringo_ctx_enter(former));
	ringo_ctx_unref(former);
}

static void under_context(void)
{
	struct ringo_ctx *ctx = ringo_ctx_with_cancel(NULL), *former = ringo_ctx_enter(ctx);

	ringo_defer(leaves, former);
	{
		ringo_defer(waits_uncancelled, ctx);
		CHECK_EQ(0, ringo_sleep(RINGO_MS)); /* now it hangs on its context */
		ringo_ctx_cancel(ctx, 0);
		CHECK_EQ(-ECANCELED, ringo_sleep(RINGO_SEC));
	}
	CHECK_EQ(-ECANCELED, ringo_sleep(RINGO_SEC));
	{
		struct ringo_ctx *inner = ringo_ctx_with_cancel(ringo_ctx_background());
		struct ringo_ctx *outer = ringo_ctx_enter(inner);

		ringo_defer(leaves, outer);
		ringo_ctx_unref(inner);
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	}
	CHECK_EQ(-ECANCELED, ringo_sleep(RINGO_SEC));
	ringo_ctx_unref(ctx);
}

static void cancels(struct ringo_ctx *ctx)
{
	CHECK_EQ(0, ringo_sleep(3 * RINGO_MS));
	ringo_ctx_cancel(ctx, 0);
	ringo_ctx_unref(ctx);
}

/* The context ends while what is deferred waits. */
static void waits_long(struct ringo_ctx *ctx)
{
	CHECK_EQ(0, ringo_go(cancels, ringo_ctx_ref(ctx)));
	CHECK_EQ(0, ringo_sleep(20 * RINGO_MS));
	note(2);
}

static void exits_under_context(void)
{
	struct ringo_ctx *ctx = ringo_ctx_with_cancel(NULL);

	ringo_defer(add, 1);
	ringo_ctx_unref(ringo_ctx_enter(ctx));
	ringo_defer(waits_long, ctx);
	CHECK_EQ(0, ringo_sleep(RINGO_MS));
	ringo_ctx_unref(ctx);
	ringo_exit();
}

static int context_main(void *arg)
{
	clear();
	done = 0;
	under_context();
	CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK_EQ(0, ringo_go(exits_under_context));
	while (!LOAD(&done))
		ringo_yield();
	NOTED(1, 2);
	return 0;
}

TEST(a_context_that_is_over_does_not_disturb_defers)
{
	EXPECT_EQ(0, ringo_run(context_main, NULL));
}

static void just_exits(void)
{
	ringo_exit();
}

static void exits_in_defer(void)
{
	ringo_defer(add, 1);
	ringo_deadline_set(1);
	ringo_defer(just_exits);
}

static void is_fresh(void)
{
	CHECK_EQ(0, deadline());
	CHECK_EQ(0, ringo_deadline_set(1));
	CHECK_EQ(-ETIMEDOUT, ringo_sleep(RINGO_SEC));
	CHECK_EQ(1, ringo_deadline_set(0));
	add(1);
}

static int fresh_main(void *arg)
{
	done = 0;
	for (int i = 0; i < 200; i++) {
		CHECK_EQ(0, ringo_go(exits_in_defer));
		while (LOAD(&done) < 2 * i + 1)
			ringo_yield();
		CHECK_EQ(0, ringo_go(is_fresh));
		while (LOAD(&done) < 2 * i + 2)
			ringo_yield();
	}
	return 0;
}

TEST(nothing_set_aside_outlives_an_exit)
{
	use_turns();
	EXPECT_EQ(0, ringo_run(fresh_main, NULL));
}

/* ---- misuse ---- */

static jmp_buf back;

static __attribute__((noinline)) void jumps(void)
{
	volatile char room[100];

	ringo_defer(note, 1);
	room[0] = 1;
	longjmp(back, room[0]);
}

static __attribute__((noinline)) void pushes(void)
{
	ringo_defer(note, 2);
	__asm__ volatile("" ::: "memory");
}

static int jump_main(void *arg)
{
	ringo_defer(note, 3);
	if (!_setjmp(back))
		jumps();
	if (arg)
		pushes();
	return 0;
}

static void jump_then_push(void)
{
	ringo_run(jump_main, "push");
}

static void jump_then_end(void)
{
	ringo_run(jump_main, NULL);
}

TEST(leaving_a_block_by_longjmp_is_noticed)
{
	struct outcome o;

	NEEDS_ABORT();
	in_child(&o, jump_then_end);
	EXPECT_TRUE(aborted(&o));
	EXPECT_TRUE(said(&o, "left by longjmp"));
	in_child(&o, jump_then_push);
	EXPECT_TRUE(aborted(&o));
	EXPECT_TRUE(said(&o, "left by longjmp"));
}

static void never(void)
{
	_exit(9);
}

static void killed(void)
{
	ringo_defer(never);
	CHECK_EQ(0, ringo_sleep(1000 * RINGO_SEC));
}

static int kill_main(void *arg)
{
	for (int i = 0; i < 10; i++)
		CHECK_EQ(0, ringo_go(killed));
	CHECK_EQ(0, ringo_sleep(5 * RINGO_MS));
	return 4;
}

TEST(what_the_end_of_the_run_finds_waiting_is_not_run)
{
	EXPECT_EQ(4, ringo_run(kill_main, NULL));
}

static int forks_main(void *arg)
{
	int status;
	pid_t pid;

	clear();
	ringo_defer(note, 1);
	{
		ringo_defer(note, 2);
		pid = fork();
		if (!pid) {
			ringo_defer(note, 3);
			note(4);
		}
	}
	if (!pid)
		_exit(noted(3, (int[]){ 4, 3, 2 }) ? 77 : 78);
	CHECK_EQ(pid, waitpid(pid, &status, 0));
	CHECK_EQ(77, WEXITSTATUS(status));
	return 0;
}

TEST(blocks_of_a_forked_child_end_as_others)
{
	EXPECT_EQ(0, ringo_run(forks_main, NULL));
}

TEST_HARNESS_MAIN
