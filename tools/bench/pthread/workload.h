/* SPDX-License-Identifier: MIT */
/* What the workload programs on POSIX threads share; the twin of ringo/workload.h. */
#ifndef WORKLOAD_H
#define WORKLOAD_H

#include <pthread.h>

#include "../bench.h"

static pthread_barrier_t barrier;

static inline void start(pthread_t *t, void *(*fn)(void *), void *arg)
{
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	if (pthread_create(t, &attr, fn, arg))
		bench_die("pthread_create");
	pthread_attr_destroy(&attr);
}

static inline pthread_t *start_many(long n, void *(*fn)(void *))
{
	pthread_t *t = malloc((size_t)n * sizeof(*t));

	if (!t)
		bench_die("malloc");
	for (long i = 0; i < n; i++)
		start(&t[i], fn, (void *)i);
	return t;
}

static inline void join_many(pthread_t *t, long n)
{
	for (long i = 0; i < n; i++)
		pthread_join(t[i], NULL);
	free(t);
}

static struct {
	void (*run)(long i, long n);
	long n;
} body;

static inline void *run_body(void *arg)
{
	pthread_barrier_wait(&barrier);
	body.run((long)arg, body.n);
	return NULL;
}

/* k threads run fn(i, n / k); reports the time of one of the n. */
static inline void parallel(long k, long n, void (*fn)(long i, long n))
{
	pthread_t *t;
	int64_t t0;

	body.run = fn;
	body.n = n / k;
	pthread_barrier_init(&barrier, NULL, (unsigned)k + 1);
	t = start_many(k, run_body);
	t0 = bench_now();
	pthread_barrier_wait(&barrier);
	join_many(t, k);
	bench_report_ns(t0, n);
}

#endif
