// SPDX-License-Identifier: MIT
/*
 * micro WORKLOAD ARG: the small workloads, for ringo. The twins of this program in go/, pthread/
 * and boost/ do the same steps under the same names.
 */
#include "workload.h"

static struct ringo_chan *never, *shared;
static struct ringo_mutex lock;
static volatile long count;
static long started;

static void nothing(void)
{
	ringo_waitgroup_done(&wg);
}

static int64_t spawn_batches(long n, long batch)
{
	int64_t t0 = bench_now();

	for (long i = 0; i < n; i += batch) {
		ringo_waitgroup_add(&wg, batch);
		for (long j = 0; j < batch; j++)
			must(ringo_go(nothing), "spawn");
		ringo_waitgroup_wait(&wg);
	}
	return bench_now() - t0;
}

static void spawn(long batch)
{
	const long n = 1000000;

	spawn_batches(n / 10, batch);
	bench_report("ns", (double)spawn_batches(n, batch) / (double)n);
}

static void yielder(long me, long n)
{
	(void)me;
	for (long i = 0; i < n; i++)
		ringo_yield();
}

static void yield(long k)
{
	parallel(k, 2000000, yielder);
}

static void sleeper(void)
{
	must(ringo_sleep(RINGO_SEC), "sleep");
	ringo_waitgroup_done(&wg);
}

static void sleepers(long n)
{
	int64_t t0 = bench_now();

	ringo_waitgroup_add(&wg, n);
	for (long i = 0; i < n; i++)
		must(ringo_go(sleeper), "spawn");
	ringo_waitgroup_wait(&wg);
	bench_report_slept(t0);
}

static void receiver(void)
{
	__atomic_add_fetch(&started, 1, __ATOMIC_RELAXED);
	must(ringo_chan_recv(never, NULL), "receive");
}

static void memory(long n)
{
	never = make_chan(0);
	for (long i = 0; i < n; i++)
		must(ringo_go(receiver), "spawn");
	while (__atomic_load_n(&started, __ATOMIC_RELAXED) < n)
		must(ringo_sleep(10 * RINGO_MS), "sleep");
	must(ringo_sleep(100 * RINGO_MS), "sleep");
	bench_report_parked(n);
}

static void echoer(struct ringo_chan *in, struct ringo_chan *out)
{
	long v;

	while (ringo_chan_recv(in, &v) > 0)
		must(ringo_chan_send(out, &v), "send");
}

static void chan_rt(long n)
{
	struct ringo_chan *a = make_chan(0), *b = make_chan(0);
	int64_t t0;
	long v;

	must(ringo_go(echoer, a, b), "spawn");
	t0 = bench_now();
	for (long i = 0; i < n; i++) {
		must(ringo_chan_send(a, &i), "send");
		must(ringo_chan_recv(b, &v), "receive");
	}
	bench_report_ns(t0, n);
	ringo_chan_close(a);
}

static void producer(struct ringo_chan *c, long n)
{
	for (long i = 0; i < n; i++)
		must(ringo_chan_send(c, &i), "send");
	ringo_chan_close(c);
}

static void chan_buf(long cap)
{
	const long n = 1000000;
	struct ringo_chan *c = make_chan((size_t)cap);
	int64_t t0 = bench_now();
	long v;

	must(ringo_go(producer, c, n), "spawn");
	while (ringo_chan_recv(c, &v) > 0)
		;
	bench_report_ns(t0, n);
}

static void sender_or_receiver(long me, long n)
{
	long v;

	for (long i = 0; i < n; i++)
		if (me % 2)
			must(ringo_chan_send(shared, &i), "send");
		else
			must(ringo_chan_recv(shared, &v), "receive");
}

/* k producers and k consumers; each element counts twice, as sent and as received. */
static void prodcons(long k)
{
	shared = make_chan(64);
	parallel(2 * k, 2000000, sender_or_receiver);
}

static void mutex(long n)
{
	int64_t t0 = bench_now();

	for (long i = 0; i < n; i++) {
		ringo_mutex_lock(&lock);
		ringo_mutex_unlock(&lock);
	}
	bench_report_ns(t0, n);
}

static void counter(long me, long n)
{
	(void)me;
	for (long i = 0; i < n; i++) {
		ringo_mutex_lock(&lock);
		count++;
		ringo_mutex_unlock(&lock);
	}
}

static void mutex_shared(long k)
{
	parallel(k, 2000000, counter);
}

static void holder(long me, long n)
{
	(void)me;
	for (long i = 0; i < n; i++) {
		ringo_mutex_lock(&lock);
		ringo_yield();
		ringo_mutex_unlock(&lock);
	}
}

static void mutex_held(long k)
{
	parallel(k, 200000, holder);
}

static void waitgroup(long n)
{
	int64_t t0 = bench_now();

	for (long i = 0; i < n; i++) {
		ringo_waitgroup_add(&wg, 1);
		ringo_waitgroup_done(&wg);
		ringo_waitgroup_wait(&wg);
	}
	bench_report_ns(t0, n);
}

static const struct bench_workload workloads[] = {
	{ "spawn", spawn }, { "yield", yield }, { "sleepers", sleepers }, { "memory", memory },
	{ "chan_rt", chan_rt }, { "chan_buf", chan_buf }, { "prodcons", prodcons },
	{ "mutex", mutex }, { "mutex_shared", mutex_shared }, { "mutex_held", mutex_held },
	{ "waitgroup", waitgroup }, { NULL, NULL },
};

int main(int argc, char **argv)
{
	return run_workload(workloads, argc, argv);
}
