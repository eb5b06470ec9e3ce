// SPDX-License-Identifier: MIT
/* Contexts: trees, causes, values, deadlines, hooks, across runs. That waits obey them: context_waits.c. */
#include <sys/socket.h>

#include "help.h"

static struct ringo_waitgroup done;

G_TEST(the_background_is_never_over)
{
	struct ringo_ctx *b = ringo_ctx_background();

	CHECK(ringo_ctx_current() == b);
	ringo_ctx_cancel(b, 0);
	ringo_ctx_cancel(NULL, 0);
	CHECK_EQ(0, ringo_ctx_err(b));
	CHECK_EQ(0, ringo_ctx_cause(NULL));
	CHECK_EQ(0, ringo_ctx_deadline(b));
	CHECK(!ringo_ctx_value(b, "key"));
	ringo_ctx_unref(b);
	return 0;
}

G_TEST(a_parent_ends_its_children_and_not_the_other_way_round)
{
	struct ringo_ctx *p = ringo_ctx_with_cancel(NULL), *c = ringo_ctx_with_cancel(p);
	struct ringo_ctx *d = ringo_ctx_with_value(c, "k", "v", NULL), *e = ringo_ctx_with_cancel(p);

	ringo_ctx_cancel(c, -EIO);
	CHECK_EQ(0, ringo_ctx_err(p));
	CHECK_EQ(0, ringo_ctx_err(e));
	CHECK_EQ(-ECANCELED, ringo_ctx_err(c));
	CHECK_EQ(-ECANCELED, ringo_ctx_err(d));
	CHECK_EQ(-EIO, ringo_ctx_cause(d));
	ringo_ctx_cancel(p, -EPIPE);
	ringo_ctx_cancel(p, -ENOENT);
	CHECK_EQ(-EPIPE, ringo_ctx_cause(p));
	CHECK_EQ(-EPIPE, ringo_ctx_cause(e));
	CHECK_EQ(-EIO, ringo_ctx_cause(c));
	ringo_ctx_unref(p);
	ringo_ctx_unref(c);
	ringo_ctx_unref(d);
	ringo_ctx_unref(e);
	return 0;
}

G_TEST(a_child_of_one_that_is_over_is_over)
{
	struct ringo_ctx *p = ringo_ctx_with_cancel(NULL), *c;

	ringo_ctx_cancel(p, -EIO);
	c = ringo_ctx_with_timeout(p, RINGO_SEC);
	CHECK_EQ(-ECANCELED, ringo_ctx_err(c));
	CHECK_EQ(-EIO, ringo_ctx_cause(c));
	ringo_ctx_unref(c);
	ringo_ctx_unref(p);
	return 0;
}

static int freed;

static void count_free(void *value)
{
	(void)value;
	freed++;
}

G_TEST(values_are_found_upwards_and_freed_once)
{
	static int k1, k2;
	struct ringo_ctx *a = ringo_ctx_with_value(NULL, &k1, "a", count_free);
	struct ringo_ctx *b = ringo_ctx_with_value(a, &k2, "b", count_free);
	struct ringo_ctx *c = ringo_ctx_with_value(b, &k1, "c", count_free);

	freed = 0;
	CHECK(!strcmp(ringo_ctx_value(c, &k1), "c"));
	CHECK(!strcmp(ringo_ctx_value(c, &k2), "b"));
	CHECK(!strcmp(ringo_ctx_value(b, &k1), "a"));
	CHECK(!ringo_ctx_value(a, &k2));
	ringo_ctx_unref(a);
	ringo_ctx_unref(b);
	CHECK_EQ(0, freed);
	ringo_ctx_unref(c);
	CHECK_EQ(3, freed);
	return 0;
}

G_TEST(deadlines_end_contexts_and_never_early)
{
	int64_t start = ringo_now();
	struct ringo_ctx *p = ringo_ctx_with_timeout(NULL, 300 * RINGO_MS);
	struct ringo_ctx *later = ringo_ctx_with_timeout(p, RINGO_SEC);
	struct ringo_ctx *sooner = ringo_ctx_with_timeout(p, 5 * RINGO_MS);
	struct ringo_ctx *over = ringo_ctx_with_deadline(p, start - 1);

	CHECK_EQ(-ETIMEDOUT, ringo_ctx_err(over));
	CHECK_EQ(ringo_ctx_deadline(p), ringo_ctx_deadline(later));
	CHECK(ringo_ctx_deadline(sooner) < ringo_ctx_deadline(p));
	CHECK_EQ(0, ringo_ctx_wait(sooner));
	CHECK(ringo_now() >= start + 5 * RINGO_MS);
	CHECK_EQ(-ETIMEDOUT, ringo_ctx_err(sooner));
	CHECK_EQ(-ETIMEDOUT, ringo_ctx_cause(sooner));
	CHECK_EQ(0, ringo_ctx_err(p));
	CHECK_EQ(0, ringo_ctx_wait(later));
	CHECK(ringo_now() >= start + 300 * RINGO_MS);
	CHECK_EQ(-ETIMEDOUT, ringo_ctx_err(p));
	ringo_ctx_cancel(p, 0);
	CHECK_EQ(-ETIMEDOUT, ringo_ctx_err(p));
	ringo_ctx_unref(p);
	ringo_ctx_unref(later);
	ringo_ctx_unref(sooner);
	ringo_ctx_unref(over);
	return 0;
}

G_TEST(one_cancelled_before_its_deadline_stays_cancelled)
{
	struct ringo_ctx *c = ringo_ctx_with_timeout(NULL, 3 * RINGO_MS);

	ringo_ctx_cancel(c, 0);
	CHECK_EQ(0, ringo_sleep(10 * RINGO_MS));
	CHECK_EQ(-ECANCELED, ringo_ctx_err(c));
	ringo_ctx_unref(c);
	return 0;
}

/* Those who have said that they are done still have to end, and so has who sets a timer for one that lost its P. */
static void until_alone(void)
{
	for (int i = 0; i < 1000 && ringo_num_goroutines() > 1; i++)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK_EQ(1, ringo_num_goroutines());
}

G_TEST(many_deadlines_that_are_dropped_or_come_leave_nothing)
{
	for (int i = 0; i < SCALE(20000); i++) {
		struct ringo_ctx *c = ringo_ctx_with_timeout(NULL, i % 300 * RINGO_US);

		if (i % 3 == 0)
			ringo_yield();
		if (i % 2)
			ringo_ctx_cancel(c, 0);
		ringo_ctx_unref(c);
	}
	until_alone();
	return 0;
}

static struct ringo_ctx *ctx;
static struct ringo_chan *chan;

/* ---- hooks ---- */

static int hooked;

static void hook_fn(void *arg)
{
	CHECK(arg == &hooked);
	CHECK(ringo_ctx_current() == ringo_ctx_background());
	CHECK_EQ(0, ringo_sleep(1));
	ADD(&hooked, 1);
	ringo_waitgroup_done(&done);
}

G_TEST(a_hook_runs_once_at_the_end_unless_stopped)
{
	struct ringo_ctx_hook a, b;

	hooked = 0;
	ctx = ringo_ctx_with_cancel(NULL);
	ringo_waitgroup_add(&done, 1);
	CHECK_EQ(0, ringo_ctx_after_func(ctx, &a, hook_fn, &hooked));
	CHECK_EQ(0, ringo_ctx_after_func(ctx, &b, hook_fn, &hooked));
	CHECK_EQ(1, ringo_ctx_hook_stop(&b));
	CHECK_EQ(0, ringo_ctx_hook_stop(&b));
	CHECK_EQ(1, ringo_num_goroutines());
	ringo_ctx_cancel(ctx, 0);
	CHECK_EQ(0, ringo_ctx_hook_stop(&a));
	ringo_waitgroup_wait(&done);
	CHECK_EQ(1, hooked);
	ringo_waitgroup_add(&done, 1);
	CHECK_EQ(0, ringo_ctx_after_func(ctx, &a, hook_fn, &hooked));
	ringo_waitgroup_wait(&done);
	CHECK_EQ(2, hooked);
	CHECK_EQ(0, ringo_ctx_hook_stop(&a));
	ringo_ctx_unref(ctx);
	return 0;
}

/* ---- races ---- */

static void waiter_of(struct ringo_ctx *c)
{
	CHECK_EQ(0, ringo_ctx_wait(c));
	CHECK(ringo_ctx_err(c) != 0);
	ringo_ctx_unref(c);
	ringo_waitgroup_done(&done);
}

static void canceller_of(struct ringo_ctx *c)
{
	ringo_ctx_cancel(c, 0);
	ringo_ctx_unref(c);
	ringo_waitgroup_done(&done);
}

static void fires_and_drops(void *arg)
{
	ringo_ctx_unref(ctx);
	STORE(&hooked, 1);
}

G_TEST(stopping_one_that_has_run_needs_no_context)
{
	struct ringo_ctx_hook h;

	hooked = 0;
	ctx = ringo_ctx_with_cancel(NULL);
	CHECK_EQ(0, ringo_ctx_after_func(ringo_ctx_ref(ctx), &h, fires_and_drops, NULL));
	ringo_ctx_cancel(ctx, 0);
	while (!LOAD(&hooked))
		ringo_yield();
	ringo_ctx_unref(ctx);
	CHECK_EQ(0, ringo_ctx_hook_stop(&h));
	return 0;
}

G_TEST(a_tree_is_cancelled_from_all_sides_at_once)
{
	enum { N = 100 };

	for (int round = 0; round < SCALE(60); round++) {
		struct ringo_ctx *all[N];

		all[0] = ringo_ctx_with_cancel(NULL);
		for (int i = 1; i < N; i++)
			all[i] = i % 4 ? ringo_ctx_with_cancel(all[i / 2]) :
					 ringo_ctx_with_timeout(all[i / 3], i * 10 * RINGO_US);
		ringo_waitgroup_add(&done, 2 * N);
		for (int i = 0; i < N; i++)
			CHECK_EQ(0, ringo_go(waiter_of, ringo_ctx_ref(all[i])));
		for (int i = 0; i < N; i++)
			CHECK_EQ(0, ringo_go(canceller_of, ringo_ctx_ref(all[(i * 37 + round) % N])));
		for (int i = 0; i < N; i++)
			ringo_ctx_unref(all[i]);
		ringo_waitgroup_wait(&done);
	}
	until_alone();
	return 0;
}

static void *timeout_from_outside(void *arg)
{
	struct ringo_ctx **c = arg;

	*c = ringo_ctx_with_timeout(NULL, 3 * RINGO_MS);
	return NULL;
}

G_TEST(any_thread_sets_a_deadline)
{
	pthread_t t;

	CHECK_EQ(0, pthread_create(&t, NULL, timeout_from_outside, &ctx));
	pthread_join(t, NULL);
	CHECK_EQ(0, ringo_ctx_wait(ctx));
	CHECK_EQ(-ETIMEDOUT, ringo_ctx_err(ctx));
	ringo_ctx_unref(ctx);
	return 0;
}

/* ThreadSanitizer keeps a signal back until the thread that got it calls something it knows. */
static void raise_here(int signo)
{
#ifdef RG_TSAN
	CHECK(!raise(signo));
#else
	CHECK(!kill(getpid(), signo));
#endif
}

G_TEST(a_signal_ends_its_context)
{
	struct ringo_ctx *bad = ringo_ctx_with_signal(NULL, SIGKILL);
	struct ringo_ctx *c = ringo_ctx_with_signal(NULL, SIGUSR1), *unused;

	CHECK_EQ(-EINVAL, ringo_ctx_cause(bad));
	CHECK_EQ(0, ringo_ctx_err(c));
	raise_here(SIGUSR1);
	CHECK_EQ(0, ringo_ctx_wait(c));
	CHECK_EQ(-EINTR, ringo_ctx_cause(c));
	unused = ringo_ctx_with_signal(NULL, SIGUSR2);
	ringo_ctx_cancel(unused, 0);
	for (int i = 0; i < 1000 && signal(SIGUSR2, SIG_DFL) != SIG_DFL; i++)
		CHECK_EQ(0, ringo_sleep(RINGO_MS)); /* until the subscription has ended */
	ringo_ctx_unref(bad);
	ringo_ctx_unref(c);
	ringo_ctx_unref(unused);
	return 0;
}

static void first_to_ask(void)
{
	struct ringo_chan *c = ringo_chan_new(sizeof(int), 1);

	CHECK_EQ(0, ringo_signal_notify(c, SIGUSR1)); /* starts the runtime's daemon */
	ringo_chan_unref(c);
	ringo_waitgroup_done(&done);
}

G_TEST(the_runtime_s_own_goroutines_run_under_no_context)
{
	int signo;

	ctx = ringo_ctx_with_cancel(NULL);
	ringo_waitgroup_add(&done, 1);
	CHECK_EQ(0, ringo_go_opt(&RINGO_GO_OPTIONS(.ctx = ctx),
				 (void (*)(void *))(void (*)(void))first_to_ask, NULL));
	ringo_waitgroup_wait(&done);
	ringo_ctx_cancel(ctx, 0);
	chan = ringo_chan_new(sizeof(int), 1);
	CHECK_EQ(0, ringo_signal_notify(chan, SIGUSR1));
	raise_here(SIGUSR1);
	CHECK_EQ(1, ringo_chan_recv(chan, &signo));
	CHECK_EQ(0, ringo_signal_stop(chan, SIGUSR1));
	ringo_chan_unref(chan);
	ringo_ctx_unref(ctx);
	return 0;
}

/* ---- without a runtime, and across runs ---- */

static void sleeps(void)
{
	(void)!ringo_sleep(INT64_MAX);
}

static int stay_behind(void *arg)
{
	CHECK_EQ(0, ringo_go_opt(&RINGO_GO_OPTIONS(.ctx = ctx),
				 (void (*)(void *))(void (*)(void))sleeps, NULL));
	ringo_ctx_unref(ringo_ctx_with_timeout(ctx, RINGO_SEC));
	ringo_yield();
	CHECK_EQ(0, ringo_sleep(RINGO_MS));
	return 0;
}

TEST(contexts_outlive_runs)
{
	struct ringo_ctx *child, *late;
	struct ringo_ctx_hook h;

	ctx = ringo_ctx_with_value(NULL, &freed, &freed, count_free);
	child = ringo_ctx_with_cancel(ctx);
	late = ringo_ctx_with_timeout(NULL, RINGO_SEC);
	EXPECT_EQ(-ESRCH, ringo_ctx_cause(late));
	EXPECT_EQ(-ESRCH, ringo_ctx_after_func(ctx, &h, hook_fn, NULL));
	EXPECT_EQ(-ESRCH, ringo_ctx_wait(ctx));
	EXPECT_EQ(0, run_main(stay_behind));
	EXPECT_EQ(0, run_main(stay_behind));
	ringo_ctx_cancel(ctx, 0);
	EXPECT_EQ(-ECANCELED, ringo_ctx_err(child));
	freed = 0;
	ringo_ctx_unref(child);
	ringo_ctx_unref(ctx);
	EXPECT_EQ(1, freed);
	ringo_ctx_unref(late);
}

static struct ringo_ctx_hook old_hook, new_hook;

static int hangs_up_and_ends(void *arg)
{
	CHECK_EQ(0, ringo_ctx_after_func(ctx, &old_hook, hook_fn, &hooked));
	return 0;
}

static int stops_it_and_hangs_up(void *arg)
{
	hooked = 0;
	ringo_waitgroup_add(&done, 1);
	CHECK_EQ(0, ringo_ctx_after_func(ctx, &new_hook, hook_fn, &hooked));
	CHECK_EQ(0, ringo_ctx_hook_stop(&old_hook));
	ringo_ctx_cancel(ctx, 0);
	ringo_waitgroup_wait(&done);
	CHECK_EQ(1, hooked);
	ringo_ctx_unref(ctx);
	CHECK_EQ(0, ringo_ctx_hook_stop(&old_hook)); /* it cannot even look at its context */
	return 0;
}

TEST(a_hook_ends_with_its_run)
{
	ctx = ringo_ctx_with_cancel(NULL);
	EXPECT_EQ(0, run_main(hangs_up_and_ends));
	EXPECT_EQ(0, run_main(stops_it_and_hangs_up));
}

static void waits_in_a_defer(int64_t ns)
{
	CHECK_EQ(0, ringo_sleep(ns));
}

static void waits_in_a_try(void *arg)
{
	CHECK_EQ(0, ringo_sleep(RINGO_SEC));
}

static void leaves_a_scope_aside(void *arg)
{
	ringo_defer(waits_in_a_defer, RINGO_SEC);
}

static void enters_within_a_try(void *arg)
{
	struct ringo_ctx *c = ringo_ctx_with_cancel(NULL);

	ringo_ctx_unref(ringo_ctx_enter(c));
	ringo_ctx_unref(c);
	ringo_try(waits_in_a_try, NULL, NULL);
}

static void two_tries(void *arg)
{
	ringo_try(enters_within_a_try, NULL, NULL);
}

static int deeper(int n)
{
	volatile char room[1024];

	room[0] = (char)n;
	return n ? deeper(n - 1) + room[0] : 0;
}

static void tries_on_spare_stack(void *arg)
{
	ringo_try(waits_in_a_try, NULL, NULL);
}

static void overflows(void *arg)
{
	ringo_defer(tries_on_spare_stack, NULL);
	deeper(1 << 20);
}

static void tries_to_overflow(void *arg)
{
	ringo_try(overflows, NULL, NULL);
}

static int ends_while_they_wait(void *arg)
{
	struct ringo_ctx *c = ringo_ctx_with_value(NULL, &freed, &freed, count_free);

	CHECK_EQ(0, ringo_go_opt(&RINGO_GO_OPTIONS(.ctx = c), leaves_a_scope_aside, NULL));
	CHECK_EQ(0, ringo_go_opt(&RINGO_GO_OPTIONS(.ctx = c), tries_to_overflow, NULL));
	CHECK_EQ(0, ringo_go_opt(&RINGO_GO_OPTIONS(.ctx = c), two_tries, NULL));
	ringo_ctx_unref(c);
	return ringo_sleep(20 * RINGO_MS);
}

TEST(the_end_of_a_run_drops_the_contexts_of_those_that_wait)
{
	freed = 0;
	EXPECT_EQ(0, run_main(ends_while_they_wait));
	EXPECT_EQ(1, freed);
}

TEST_HARNESS_MAIN
