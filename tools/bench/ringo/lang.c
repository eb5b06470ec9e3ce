// SPDX-License-Identifier: MIT
/*
 * lang WORKLOAD ARG: select, locks, contexts, timers, defer and panic, for ringo. The twins of this
 * program in go/ and pthread/ do the same steps under the same names. Those of select are the
 * benchmarks of Go's runtime.
 */
#include "workload.h"

#define TIMERS_MAX 10000

static struct ringo_chan *a, *b, *c, *d, *four[4];
static struct ringo_mutex lock;
static struct ringo_rwmutex rwlock;
static struct ringo_cond changed;
static struct ringo_once only;
static volatile long count;
static long turn;

static long procs(void)
{
	return ringo_maxprocs(0);
}

static void put(struct ringo_chan *to, long v)
{
	must(ringo_chan_send(to, &v), "send");
}

/* Take what is there from one of two channels and put it into the other. */
static void swap(struct ringo_chan *x, struct ringo_chan *y)
{
	long v;
	struct ringo_case cases[] = { RINGO_RECV(x, &v), RINGO_RECV(y, &v) };
	int i = ringo_select(cases, 2);

	must(i, "select");
	put(i ? x : y, 0);
}

static void own_channels(long me, long n)
{
	struct ringo_chan *x = make_chan(1), *y = make_chan(1);

	(void)me;
	put(x, 0);
	for (long i = 0; i < n; i++)
		swap(x, y);
	ringo_chan_unref(x);
	ringo_chan_unref(y);
}

static void select_uncontended(long n)
{
	parallel(procs(), n, own_channels);
}

static void shared_channels(long me, long n)
{
	(void)me;
	put(a, 0);
	for (long i = 0; i < n; i++)
		swap(a, b);
}

static void select_async(long n)
{
	a = make_chan((size_t)procs());
	b = make_chan((size_t)procs());
	parallel(procs(), n, shared_channels);
}

static void sync_sender(void)
{
	const long v = 0;
	int i;

	do {
		struct ringo_case cases[] = { RINGO_SEND(a, &v), RINGO_SEND(b, &v),
					      RINGO_SEND(c, &v), RINGO_RECV(d, NULL) };

		i = ringo_select(cases, 4);
		must(i, "select");
	} while (i < 3);
}

static void sync_receiver(long me, long n)
{
	long v;

	(void)me;
	must(ringo_go(sync_sender), "spawn");
	for (long i = 0; i < n; i++) {
		struct ringo_case cases[] = { RINGO_RECV(a, &v), RINGO_RECV(b, &v),
					      RINGO_RECV(c, &v) };

		must(ringo_select(cases, 3), "select");
	}
}

static void select_sync(long n)
{
	a = make_chan(0);
	b = make_chan(0);
	c = make_chan(0);
	d = make_chan(0);
	parallel(procs(), n, sync_receiver);
	ringo_chan_close(d);
}

static void make_four_kinds(void)
{
	a = make_chan(0);
	b = make_chan(0);
	c = make_chan(1);
	d = make_chan(1);
}

static int try_case(struct ringo_case one)
{
	return ringo_try_select(&one, 1);
}

static void by_try_select(long me, long n)
{
	long v = me, done = 0;

	for (long i = 0; i < n; i++)
		done += try_case(RINGO_RECV(a, &v)) + try_case(RINGO_SEND(b, &v)) +
			try_case(RINGO_RECV(c, &v)) + try_case(RINGO_SEND(d, &v));
	count = done;
}

static void select_nonblock(long n)
{
	make_four_kinds();
	parallel(procs(), n, by_try_select);
}

static void by_chan_try(long me, long n)
{
	long v = me, done = 0;

	for (long i = 0; i < n; i++)
		done += ringo_chan_try_recv(a, &v) + ringo_chan_try_send(b, &v) +
			ringo_chan_try_recv(c, &v) + ringo_chan_try_send(d, &v);
	count = done;
}

static void chan_try(long n)
{
	make_four_kinds();
	parallel(procs(), n, by_chan_try);
}

static void make_four(size_t cap)
{
	for (int i = 0; i < 4; i++)
		four[i] = make_chan(cap);
}

static void select4(void)
{
	long v;
	struct ringo_case cases[] = { RINGO_RECV(four[0], &v), RINGO_RECV(four[1], &v),
				      RINGO_RECV(four[2], &v), RINGO_RECV(four[3], &v) };

	must(ringo_select(cases, 4), "select");
}

static void select4_ready(long n)
{
	int64_t t0;

	make_four(1);
	t0 = bench_now();
	for (long i = 0; i < n; i++) {
		put(four[i % 4], i);
		select4();
	}
	bench_report_ns(t0, n);
}

static void answered_sender(void)
{
	long v;

	for (long i = 0; ; i++) {
		put(four[i % 4], i);
		if (ringo_chan_recv(a, &v) <= 0)
			return;
	}
}

static void select4_block(long n)
{
	int64_t t0;

	make_four(0);
	a = make_chan(0);
	must(ringo_go(answered_sender), "spawn");
	t0 = bench_now();
	for (long i = 0; i < n; i++) {
		select4();
		put(a, i);
	}
	bench_report_ns(t0, n);
}

static void reader(long me, long n)
{
	(void)me;
	for (long i = 0; i < n; i++) {
		if (i % 100 == 0) {
			ringo_rwmutex_lock(&rwlock);
			count++;
			ringo_rwmutex_unlock(&rwlock);
		} else {
			ringo_rwmutex_rdlock(&rwlock);
			ringo_rwmutex_rdunlock(&rwlock);
		}
	}
}

static void rwmutex(long k)
{
	parallel(k, 5000000, reader);
}

static void player(long me, long n)
{
	ringo_mutex_lock(&lock);
	for (long i = 0; i < n; i++) {
		while (turn != me)
			must(ringo_cond_wait(&changed, &lock), "wait");
		turn = 1 - me;
		ringo_cond_signal(&changed);
	}
	ringo_mutex_unlock(&lock);
}

static void cond(long n)
{
	parallel(2, n, player);
}

static void nothing(void *arg)
{
	(void)arg;
}

static void once(long n)
{
	int64_t t0 = bench_now();

	for (long i = 0; i < n; i++)
		ringo_once_do(&only, nothing, NULL);
	bench_report_ns(t0, n);
}

static void ctx_tree(long rounds, long n, int chain)
{
	struct ringo_ctx **ctx = calloc((size_t)n + 1, sizeof(*ctx));
	int64_t t0 = bench_now();

	if (!ctx)
		bench_die("calloc");
	for (long i = 0; i < rounds; i++) {
		ctx[0] = ringo_ctx_with_cancel(NULL);
		for (long j = 1; j <= n; j++)
			ctx[j] = ringo_ctx_with_cancel(ctx[chain ? j - 1 : 0]);
		ringo_ctx_cancel(ctx[0], 0);
		for (long j = 0; j <= n; j++)
			ringo_ctx_unref(ctx[j]);
	}
	bench_report_ns(t0, rounds * n);
	free(ctx);
}

static void ctx_flat(long n)
{
	ctx_tree(300, n, 0);
}

static void ctx_chain(long n)
{
	ctx_tree(3000, n, 1);
}

static void ctx_timeout(long n)
{
	struct ringo_ctx *parent = ringo_ctx_with_cancel(NULL), *ctx;
	int64_t t0 = bench_now();

	for (long i = 0; i < n; i++) {
		ctx = ringo_ctx_with_timeout(parent, RINGO_SEC);
		ringo_ctx_cancel(ctx, 0);
		ringo_ctx_unref(ctx);
	}
	bench_report_ns(t0, n);
	ringo_ctx_unref(parent);
}

static struct ringo_timer timers[TIMERS_MAX];

static void timer_stop(long batch)
{
	const long n = 1000000 / batch * batch;
	int64_t t0 = bench_now();

	for (long i = 0; i < n; i += batch) {
		for (long j = 0; j < batch; j++)
			must(ringo_timer_start(&timers[j], 3600 * RINGO_SEC, nothing, NULL), "start");
		for (long j = 0; j < batch; j++)
			if (ringo_timer_stop(&timers[j]) != 1)
				must(-EINVAL, "stop");
	}
	bench_report_ns(t0, n);
}

static void fired(void *arg)
{
	(void)arg;
	ringo_waitgroup_done(&wg);
}

static void timer_fire(long n)
{
	const long rounds = 10;
	int64_t t0 = bench_cpu();

	for (long i = 0; i < rounds; i++) {
		ringo_waitgroup_add(&wg, n);
		for (long j = 0; j < n; j++)
			must(ringo_timer_start(&timers[j], 5 * RINGO_MS, fired, NULL), "start");
		ringo_waitgroup_wait(&wg);
	}
	bench_report("ns", (double)(bench_cpu() - t0) / (double)(rounds * n));
}

static __attribute__((noinline)) void count_call(void)
{
	count++;
}

static __attribute__((noinline)) void deferring(void)
{
	ringo_defer(count_call);
}

static void defer_call(long n)
{
	int64_t t0 = bench_now();

	for (long i = 0; i < n; i++)
		deferring();
	bench_report_ns(t0, n);
}

static void panics(void *arg)
{
	(void)arg;
	ringo_panic("benchmark");
}

static void panic_try(long n)
{
	struct ringo_panic_info info;
	int64_t t0 = bench_now();

	for (long i = 0; i < n; i++)
		if (!ringo_try(panics, NULL, &info))
			must(-EINVAL, "try");
	bench_report_ns(t0, n);
}

static const struct bench_workload workloads[] = {
	{ "select_uncontended", select_uncontended }, { "select_sync", select_sync },
	{ "select_async", select_async }, { "select_nonblock", select_nonblock },
	{ "chan_try", chan_try }, { "select4_ready", select4_ready },
	{ "select4_block", select4_block }, { "rwmutex", rwmutex }, { "cond", cond },
	{ "once", once }, { "ctx_flat", ctx_flat }, { "ctx_chain", ctx_chain },
	{ "ctx_timeout", ctx_timeout }, { "timer_stop", timer_stop }, { "timer_fire", timer_fire },
	{ "ticker", ticker }, { "defer", defer_call }, { "panic", panic_try }, { NULL, NULL },
};

int main(int argc, char **argv)
{
	return run_workload(workloads, argc, argv);
}
