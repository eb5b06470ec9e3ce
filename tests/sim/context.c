// SPDX-License-Identifier: MIT
/*
 * Contexts, groups and timers under seeds: every wait of every goroutine below a context ends with it, no
 * value is lost or doubled by a cancel that races, stop and fire exclude each other.
 */
#include "kselftest_harness.h"
#include "sim_test.h"

enum { N = 8, EACH = 6 };

static struct ringo_waitgroup done;
static struct ringo_chan *chan;
static struct ringo_ctx *top;
static long sent, got;

static void finished(void)
{
	ringo_waitgroup_done(&done);
}

/* Sends until cancelled. What was not said to be sent was not received. */
static void sender(struct ringo_ctx *c)
{
	struct ringo_ctx *former = ringo_ctx_enter(c);
	long v = 1;

	ringo_ctx_unref(c);
	for (;;) {
		int res = ringo_chan_send(chan, &v);

		if (res) {
			SIM_CHECK(res == -ECANCELED || res == -ETIMEDOUT);
			SIM_CHECK(res == ringo_ctx_err(c));
			break;
		}
		__atomic_fetch_add(&sent, 1, __ATOMIC_RELAXED);
		if (sent > 500)
			ringo_ctx_cancel(top, 0);
	}
	ringo_ctx_unref(ringo_ctx_enter(former));
	ringo_ctx_unref(former);
	finished();
}

static void receiver(struct ringo_ctx *c)
{
	struct ringo_ctx *former = ringo_ctx_enter(c);
	long v;
	int res;

	ringo_ctx_unref(c);
	while ((res = ringo_chan_recv(chan, &v)) == 1)
		__atomic_fetch_add(&got, 1, __ATOMIC_RELAXED);
	SIM_CHECK(res == -ECANCELED || res == -ETIMEDOUT);
	ringo_ctx_unref(ringo_ctx_enter(former));
	ringo_ctx_unref(former);
	finished();
}

static void canceller(void)
{
	SIM_CHECK(ringo_sleep((int64_t)(rg_sim_rand() % 40) * RINGO_US) == 0);
	ringo_ctx_cancel(top, 0);
	finished();
}

static struct ringo_ctx *some_child(int i)
{
	switch (i % 4) {
	case 0:
		return ringo_ctx_with_timeout(top, (int64_t)(rg_sim_rand() % 60) * RINGO_US);
	case 1:
		return ringo_ctx_with_value(top, &done, &done, NULL);
	case 2:
		return ringo_ctx_with_cancel(top);
	default:
		return ringo_ctx_ref(top);
	}
}

static int cancel_exchange(void *arg)
{
	long v;

	sent = got = 0;
	chan = ringo_chan_new(sizeof(long), (size_t)(uintptr_t)arg);
	top = ringo_ctx_with_cancel(NULL);
	ringo_waitgroup_add(&done, 2 * N + 2);
	for (int i = 0; i < N; i++) {
		SIM_CHECK(ringo_go(sender, some_child(i)) == 0);
		SIM_CHECK(ringo_go(receiver, some_child(i + 1)) == 0);
	}
	SIM_CHECK(ringo_go(canceller) == 0);
	SIM_CHECK(ringo_go(canceller) == 0);
	ringo_waitgroup_wait(&done);
	while (ringo_chan_try_recv(chan, &v) == 1)
		got++;
	SIM_CHECK(sent == got);
	ringo_chan_unref(chan);
	ringo_ctx_unref(top);
	return 0;
}

SIM_TEST(a_cancel_that_races_neither_loses_nor_doubles_a_value)
{
	sim_seeds(cancel_exchange, (void *)0);
	sim_seeds(cancel_exchange, (void *)2);
}

/* ---- a tree, cancelled from several sides, with all kinds of things hanging on it ---- */

static long hooks;

static void hook_fn(void *arg)
{
	(void)arg;
	__atomic_fetch_add(&hooks, 1, __ATOMIC_RELAXED);
	finished();
}

static struct ringo_mutex held, own;
static struct ringo_cond cond;
static struct ringo_sema sema;
static struct ringo_waitgroup never;

static int wait_somehow(int how)
{
	struct ringo_case cases[] = { RINGO_RECV((struct ringo_chan *)NULL, NULL), RINGO_TIMEOUT(INT64_MAX) };
	int res;

	switch (how) {
	case 0:
		return ringo_sleep(INT64_MAX);
	case 1:
		return ringo_chan_recv(NULL, NULL);
	case 2:
		return ringo_select(cases, 2);
	case 3:
		return ringo_mutex_lock_ctx(&held);
	case 4:
		ringo_mutex_lock(&own);
		res = ringo_cond_wait(&cond, &own);
		ringo_mutex_unlock(&own);
		return res;
	case 5:
		return ringo_sema_acquire(&sema, 1);
	case 6:
		return ringo_waitgroup_wait_ctx(&never);
	default:
		return ringo_ctx_wait(ringo_ctx_background());
	}
}

static void sleeper(void *how)
{
	int res = wait_somehow((int)(intptr_t)how);

	SIM_CHECK(res == -ECANCELED || res == -ETIMEDOUT);
	finished();
}

static void waiter(struct ringo_ctx *c)
{
	SIM_CHECK(ringo_ctx_wait(c) == 0);
	SIM_CHECK(ringo_ctx_err(c) != 0);
	ringo_ctx_unref(c);
	finished();
}

static void cut(struct ringo_ctx *c)
{
	ringo_ctx_cancel(c, 0);
	ringo_ctx_unref(c);
	finished();
}

static int cancel_tree(void *arg)
{
	struct ringo_ctx *all[N];
	struct ringo_ctx_hook hook[N];
	long stopped = 0;

	(void)arg;
	hooks = 0;
	ringo_mutex_lock(&held);
	ringo_waitgroup_add(&never, 1);
	all[0] = top = ringo_ctx_with_cancel(NULL);
	for (int i = 1; i < N; i++)
		all[i] = rg_sim_chance(3) ?
			 ringo_ctx_with_timeout(all[rg_sim_rand() % (unsigned)i], 10 * RINGO_US) :
			 ringo_ctx_with_cancel(all[rg_sim_rand() % (unsigned)i]);
	ringo_waitgroup_add(&done, 4 * N);
	for (int i = 0; i < N; i++) {
		SIM_CHECK(ringo_go_opt(&RINGO_GO_OPTIONS(.ctx = all[i]),
				       sleeper, (void *)(intptr_t)i) == 0);
		SIM_CHECK(ringo_go(waiter, ringo_ctx_ref(all[i])) == 0);
		SIM_CHECK(ringo_ctx_after_func(all[i], &hook[i], hook_fn, NULL) == 0);
	}
	for (int i = 0; i < N; i++)
		SIM_CHECK(ringo_go(cut, ringo_ctx_ref(all[(i * 5 + 3) % N])) == 0);
	for (int i = 0; i < N; i += 2)
		if (ringo_ctx_hook_stop(&hook[i]))
			stopped++;
	ringo_waitgroup_add(&done, -stopped);
	for (int i = 0; i < N; i++) /* a hook wants a reference until it has run */
		SIM_CHECK(ringo_ctx_wait(all[i]) == 0);
	ringo_waitgroup_wait(&done);
	SIM_CHECK(hooks == N - stopped);
	ringo_mutex_unlock(&held);
	ringo_waitgroup_done(&never);
	for (int i = 0; i < N; i++)
		ringo_ctx_unref(all[i]);
	return 0;
}

SIM_TEST(everything_below_a_context_ends_with_it)
{
	sim_seeds(cancel_tree, NULL);
}

/* ---- layers, and children that are cancelled by who hears of their parents ---- */

enum { LAYERS = 20 };

static struct ringo_ctx *layer[LAYERS];
static int cut_at;

static void hears(int i)
{
	SIM_CHECK(ringo_ctx_wait(layer[i]) == 0);
	SIM_CHECK(ringo_ctx_err(layer[i]) != 0);
	if (i + 1 < LAYERS)
		ringo_ctx_cancel(layer[i + 1], -EIO);
	finished();
}

static void cuts(void)
{
	ringo_ctx_cancel(layer[cut_at], 0); /* others may be ending parts of it just then */
	finished();
}

static int cancel_layers(void *arg)
{
	bool with_times = arg;

	for (int i = 0; i < LAYERS; i++) {
		struct ringo_ctx *above = i ? layer[i - 1] : ringo_ctx_background();

		switch (rg_sim_rand() % 3) {
		case 0:
			layer[i] = ringo_ctx_with_value(above, &layer[i], &layer[i], NULL);
			break;
		case 1:
			layer[i] = ringo_ctx_with_cancel(above);
			break;
		default:
			layer[i] = ringo_ctx_with_timeout(above, with_times ?
					(int64_t)(rg_sim_rand() % 60) * RINGO_US : 3600 * RINGO_SEC);
		}
	}
	cut_at = (int)(rg_sim_rand() % LAYERS);
	ringo_waitgroup_add(&done, LAYERS - cut_at + 2);
	for (int i = cut_at; i < LAYERS; i++)
		SIM_CHECK(ringo_go(hears, i) == 0);
	SIM_CHECK(ringo_go(cuts) == 0);
	SIM_CHECK(ringo_go(cuts) == 0);
	ringo_waitgroup_wait(&done);
	for (int i = 0; i < cut_at && !with_times; i++)
		SIM_CHECK(ringo_ctx_err(layer[i]) == 0);
	for (int i = LAYERS; i--;)
		ringo_ctx_unref(layer[i]);
	return 0;
}

SIM_TEST(layers_end_from_the_one_that_is_cancelled_downwards)
{
	sim_seeds(cancel_layers, NULL);
	sim_seeds(cancel_layers, &done);
}

/* ---- operations on whatever ring ---- */

static int fds[2];

static void reader(void)
{
	char buf[8];
	ssize_t n;

	while ((n = ringo_read(fds[0], buf, sizeof(buf))) > 0)
		__atomic_fetch_add(&got, n, __ATOMIC_RELAXED);
	SIM_CHECK(n == -ECANCELED);
	finished();
}

static void writer(void)
{
	for (int i = 0; i < EACH; i++) {
		ssize_t n = ringo_write(fds[1], "abc", 3);

		if (n < 0) {
			SIM_CHECK(n == -ECANCELED);
			break;
		}
		__atomic_fetch_add(&sent, n, __ATOMIC_RELAXED);
	}
	finished();
}

static int cancel_operations(void *arg)
{
	(void)arg;
	sent = got = 0;
	SIM_CHECK(rg_sim_stream(fds) == 0);
	top = ringo_ctx_with_cancel(NULL);
	ringo_waitgroup_add(&done, 7);
	for (int i = 0; i < 3; i++) {
		SIM_CHECK(ringo_go_opt(&RINGO_GO_OPTIONS(.ctx = top),
				       (void (*)(void *))(void (*)(void))reader, NULL) == 0);
		SIM_CHECK(ringo_go_opt(&RINGO_GO_OPTIONS(.ctx = top),
				       (void (*)(void *))(void (*)(void))writer, NULL) == 0);
	}
	SIM_CHECK(ringo_go(canceller) == 0);
	ringo_waitgroup_wait(&done);
	sim_stream_end(fds, sent - got);
	ringo_ctx_unref(top);
	return 0;
}

SIM_TEST(cancelled_operations_drop_no_byte)
{
	sim_seeds(cancel_operations, NULL);
}

/* ---- groups and timers ---- */

static int member(void *arg)
{
	int res = ringo_sleep((int64_t)(rg_sim_rand() % 20) * RINGO_US);

	__atomic_fetch_add(&got, 1, __ATOMIC_RELAXED);
	SIM_CHECK(res == 0 || res == -ECANCELED);
	return res ? res : arg && rg_sim_chance(4) ? -EIO : 0;
}

static int group_limits(void *arg)
{
	struct ringo_group g;

	ringo_group_init(&g, NULL);
	for (int round = 0; round < 3; round++) {
		int res, started = 0;

		got = 0;
		ringo_group_limit(&g, round);
		for (int i = 0; i < N; i++)
			started += ringo_group_go(&g, member, arg) == 0;
		res = ringo_group_wait(&g);
		SIM_CHECK(res == 0 || (arg && (res == -EIO || res == -ECANCELED)));
		SIM_CHECK(started == N && got == N);
	}
	return 0;
}

SIM_TEST(groups_run_and_count_all)
{
	sim_seeds(group_limits, NULL);
	sim_seeds(group_limits, &done);
}

static struct ringo_timer timers[N];

static void fire(void *arg)
{
	(void)arg;
	__atomic_fetch_add(&got, 1, __ATOMIC_RELAXED);
}

static void stopper(int i)
{
	if (rg_sim_chance(3) && ringo_timer_reset(&timers[i], (int64_t)(rg_sim_rand() % 10) * RINGO_US) == 0)
		__atomic_fetch_add(&sent, 1, __ATOMIC_RELAXED); /* it had fired, and does so again */
	if (ringo_timer_stop_wait(&timers[i]))
		__atomic_fetch_sub(&sent, 1, __ATOMIC_RELAXED);
	finished();
}

static int stop_and_fire(void *arg)
{
	(void)arg;
	sent = got = 0;
	for (int i = 0; i < N; i++) {
		timers[i] = (struct ringo_timer){ 0 };
		SIM_CHECK(ringo_timer_start(&timers[i], (int64_t)(rg_sim_rand() % 10) * RINGO_US, fire,
					    NULL) == 0);
		sent++;
	}
	ringo_waitgroup_add(&done, 2 * N);
	for (int i = 0; i < N; i++) {
		SIM_CHECK(ringo_go(stopper, i) == 0);
		SIM_CHECK(ringo_go(stopper, i) == 0);
	}
	ringo_waitgroup_wait(&done);
	for (int i = 0; i < N; i++)
		if (ringo_timer_stop_wait(&timers[i]))
			sent--;
	/* A reset may have orphaned one that had fired and was still running. */
	SIM_CHECK(ringo_sleep(100 * RINGO_US) == 0);
	SIM_CHECK(sent == got);
	return 0;
}

SIM_TEST(of_stopping_and_firing_exactly_one_happens)
{
	sim_seeds(stop_and_fire, NULL);
}

static int tick(void *arg)
{
	(void)arg;
	for (int i = 0; i < N; i++) {
		struct ringo_ticker *t = ringo_ticker_new(1 + (int64_t)(rg_sim_rand() % 5) * RINGO_US);
		struct ringo_chan *c = ringo_after((int64_t)(rg_sim_rand() % 5) * RINGO_US);
		int64_t at;

		if (rg_sim_chance(2))
			SIM_CHECK(ringo_chan_recv(ringo_ticker_chan(t), &at) == 1);
		if (rg_sim_chance(2))
			SIM_CHECK(ringo_chan_recv(c, &at) == 1);
		ringo_ticker_free(t);
		ringo_chan_unref(c);
	}
	return 0;
}

SIM_TEST(tickers_end_at_any_moment)
{
	sim_seeds(tick, NULL);
}

TEST_HARNESS_MAIN
