// SPDX-License-Identifier: MIT
/*
 * micro WORKLOAD ARG: the small workloads, for ringo. The twins of this program in go/, pthread/
 * and boost/ do the same steps under the same names. The number of Ps comes from RINGO_PROCS.
 */
#include <ringo.h>

#include "../bench.h"

static struct ringo_waitgroup wg;
static struct ringo_chan *never;
static long started;

static void must(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(-r));
	exit(1);
}

static struct ringo_chan *make_chan(size_t cap)
{
	struct ringo_chan *c = ringo_chan_new(sizeof(long), cap);

	if (!c)
		must(-ENOMEM, "channel");
	return c;
}

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

static void yielder(long n)
{
	for (long i = 0; i < n; i++)
		ringo_yield();
	ringo_waitgroup_done(&wg);
}

static void yield(long k)
{
	const long each = 2000000 / k;
	int64_t t0;

	ringo_waitgroup_add(&wg, k);
	for (long i = 0; i < k; i++)
		must(ringo_go(yielder, each), "spawn");
	t0 = bench_now();
	ringo_waitgroup_wait(&wg);
	bench_report("ns", (double)(bench_now() - t0) / (double)(k * each));
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
	bench_report("ns", (double)(bench_now() - t0) / (double)n);
	ringo_chan_close(a);
}

static void producer(struct ringo_chan *c, long n)
{
	for (long i = 0; i < n; i++)
		must(ringo_chan_send(c, &i), "send");
	ringo_chan_close(c);
}

static void chan_buf(long n)
{
	struct ringo_chan *c = make_chan(64);
	int64_t t0 = bench_now();
	long v;

	must(ringo_go(producer, c, n), "spawn");
	while (ringo_chan_recv(c, &v) > 0)
		;
	bench_report("ns", (double)(bench_now() - t0) / (double)n);
}

static void mutex(long n)
{
	struct ringo_mutex m = { 0 };
	int64_t t0 = bench_now();

	for (long i = 0; i < n; i++) {
		ringo_mutex_lock(&m);
		ringo_mutex_unlock(&m);
	}
	bench_report("ns", (double)(bench_now() - t0) / (double)n);
}

static const struct workload {
	const char *name;
	void (*run)(long arg);
} workloads[] = {
	{ "spawn", spawn }, { "yield", yield }, { "sleepers", sleepers }, { "memory", memory },
	{ "chan_rt", chan_rt }, { "chan_buf", chan_buf }, { "mutex", mutex },
};

struct call {
	void (*run)(long arg);
	long arg;
};

static int main_goroutine(void *arg)
{
	struct call *call = arg;

	call->run(call->arg);
	return 0;
}

int main(int argc, char **argv)
{
	/* A million stacks: on kernels without guard markers only a canary can protect them. */
	struct ringo_options opt = RINGO_OPTIONS(.flags = RINGO_RUN_CANARY);
	struct call call = { NULL, bench_arg(argc, argv, 2, 1) };

	for (size_t i = 0; argc > 1 && i < sizeof(workloads) / sizeof(workloads[0]); i++)
		if (!strcmp(argv[1], workloads[i].name))
			call.run = workloads[i].run;
	if (!call.run)
		return 2;
	must(ringo_run_opt(main_goroutine, &call, &opt), "ringo_run");
	return 0;
}
