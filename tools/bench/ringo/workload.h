/* SPDX-License-Identifier: MIT */
/* What the workload programs for ringo share; the twins: pthread/workload.h and go/workload.go. */
#ifndef WORKLOAD_H
#define WORKLOAD_H

#include <ringo.h>

#include "../bench.h"

static struct ringo_waitgroup wg;

static inline void must(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(-r));
	exit(1);
}

static inline struct ringo_chan *make_chan(size_t cap)
{
	struct ringo_chan *c = ringo_chan_new(sizeof(long), cap);

	if (!c)
		must(-ENOMEM, "channel");
	return c;
}

static inline void run_body(void (*body)(long i, long n), long i, long n)
{
	body(i, n);
	ringo_waitgroup_done(&wg);
}

/* k goroutines run body(i, n / k); reports the time of one of the n. */
static inline void parallel(long k, long n, void (*body)(long i, long n))
{
	int64_t t0 = bench_now();

	ringo_waitgroup_add(&wg, k);
	for (long i = 0; i < k; i++)
		must(ringo_go(run_body, body, i, n / k), "spawn");
	ringo_waitgroup_wait(&wg);
	bench_report_ns(t0, n);
}

static inline void wait_tick(void *ticks)
{
	must(ringo_chan_recv(ticks, NULL), "receive");
}

/* How late n ticks of a millisecond come. */
static inline void ticker(long n)
{
	int64_t t0 = bench_now();
	struct ringo_ticker *t = ringo_ticker_new(RINGO_MS);

	if (!t)
		must(-ENOMEM, "ticker");
	bench_ticker(t0, RINGO_MS, n, wait_tick, ringo_ticker_chan(t));
	ringo_ticker_free(t);
}

struct call {
	const struct bench_workload *workload;
	long arg;
};

static inline int main_goroutine(void *arg)
{
	struct call *call = arg;

	call->workload->run(call->arg);
	return 0;
}

/* The whole of main(): the number of Ps comes from RINGO_PROCS. */
static inline int run_workload(const struct bench_workload *table, int argc, char **argv)
{
	/* A million stacks: on kernels without guard markers only a canary can protect them. */
	struct ringo_options opt = RINGO_OPTIONS(.flags = RINGO_RUN_CANARY);
	struct call call = { bench_find(table, argc, argv), bench_arg(argc, argv, 2, 1) };

	must(ringo_run_opt(main_goroutine, &call, &opt), "ringo_run");
	return 0;
}

#endif
