// SPDX-License-Identifier: MIT
/*
 * micro WORKLOAD ARG: the small workloads on POSIX threads; the twin of ringo/micro.c. Counts are
 * smaller, since the figures are per thread and a thread costs about 10 us. A channel without a
 * buffer is a pair of semaphores here (the fastest hand-over that glibc offers), a buffered one a
 * ring under a mutex with two conditions. Sleepers are absent: Linux does not hold a million
 * threads by default.
 */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <unistd.h>

#include "../bench.h"

#define RING 64

static pthread_barrier_t barrier;
static sem_t ping, pong;
static long rounds;

static void start(pthread_t *t, void *(*fn)(void *))
{
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	if (pthread_create(t, &attr, fn, NULL))
		bench_die("pthread_create");
	pthread_attr_destroy(&attr);
}

static pthread_t *start_many(long n, void *(*fn)(void *))
{
	pthread_t *t = malloc((size_t)n * sizeof(*t));

	if (!t)
		bench_die("malloc");
	for (long i = 0; i < n; i++)
		start(&t[i], fn);
	return t;
}

static void join_many(pthread_t *t, long n)
{
	for (long i = 0; i < n; i++)
		pthread_join(t[i], NULL);
	free(t);
}

static void *nothing(void *arg)
{
	return arg;
}

static void spawn(long batch)
{
	const long n = 20000;
	int64_t t0 = bench_now();

	for (long i = 0; i < n; i += batch)
		join_many(start_many(batch, nothing), batch);
	bench_report("ns", (double)(bench_now() - t0) / (double)n);
}

static void *yielder(void *arg)
{
	pthread_barrier_wait(&barrier);
	for (long i = 0; i < rounds; i++)
		sched_yield();
	return arg;
}

static void yield(long k)
{
	pthread_t *t;
	int64_t t0;

	rounds = 500000 / k;
	pthread_barrier_init(&barrier, NULL, (unsigned)k + 1);
	t = start_many(k, yielder);
	pthread_barrier_wait(&barrier);
	t0 = bench_now();
	join_many(t, k);
	bench_report("ns", (double)(bench_now() - t0) / (double)(k * rounds));
}

static void *receiver(void *arg)
{
	pthread_barrier_wait(&barrier);
	sem_wait(&ping);
	return arg;
}

static void memory(long n)
{
	if (n > 10000)
		n = 10000;
	sem_init(&ping, 0, 0);
	pthread_barrier_init(&barrier, NULL, (unsigned)n + 1);
	free(start_many(n, receiver));
	pthread_barrier_wait(&barrier);
	usleep(100000);
	bench_report_parked(n);
	_exit(0);
}

static void *echoer(void *arg)
{
	for (long i = 0; i < rounds; i++) {
		sem_wait(&ping);
		sem_post(&pong);
	}
	return arg;
}

static void chan_rt(long n)
{
	pthread_t t;
	int64_t t0;

	n /= 5;
	rounds = n;
	sem_init(&ping, 0, 0);
	sem_init(&pong, 0, 0);
	start(&t, echoer);
	t0 = bench_now();
	for (long i = 0; i < n; i++) {
		sem_post(&ping);
		sem_wait(&pong);
	}
	bench_report("ns", (double)(bench_now() - t0) / (double)n);
	pthread_join(t, NULL);
}

static struct {
	pthread_mutex_t lock;
	pthread_cond_t not_empty, not_full;
	long elem[RING], head, tail;
} ring = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER,
	   { 0 }, 0, 0 };

static void *producer(void *arg)
{
	for (long i = 0; i < rounds; i++) {
		pthread_mutex_lock(&ring.lock);
		while (ring.head - ring.tail == RING)
			pthread_cond_wait(&ring.not_full, &ring.lock);
		ring.elem[ring.head++ % RING] = i;
		pthread_mutex_unlock(&ring.lock);
		pthread_cond_signal(&ring.not_empty);
	}
	return arg;
}

static long receive(void)
{
	long v;

	pthread_mutex_lock(&ring.lock);
	while (ring.head == ring.tail)
		pthread_cond_wait(&ring.not_empty, &ring.lock);
	v = ring.elem[ring.tail++ % RING];
	pthread_mutex_unlock(&ring.lock);
	pthread_cond_signal(&ring.not_full);
	return v;
}

static void chan_buf(long n)
{
	pthread_t t;
	int64_t t0 = bench_now();

	rounds = n;
	start(&t, producer);
	while (receive() < n - 1)
		;
	bench_report("ns", (double)(bench_now() - t0) / (double)n);
	pthread_join(t, NULL);
}

static void mutex(long n)
{
	pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	pthread_t t;
	int64_t t0;

	/* glibc takes short cuts while a process has never had a second thread. */
	start(&t, nothing);
	pthread_join(t, NULL);
	t0 = bench_now();
	for (long i = 0; i < n; i++) {
		pthread_mutex_lock(&m);
		pthread_mutex_unlock(&m);
	}
	bench_report("ns", (double)(bench_now() - t0) / (double)n);
}

static const struct workload {
	const char *name;
	void (*run)(long arg);
} workloads[] = {
	{ "spawn", spawn }, { "yield", yield }, { "memory", memory },
	{ "chan_rt", chan_rt }, { "chan_buf", chan_buf }, { "mutex", mutex },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(workloads) / sizeof(workloads[0]); i++) {
		if (strcmp(argv[1], workloads[i].name))
			continue;
		workloads[i].run(bench_arg(argc, argv, 2, 1));
		return 0;
	}
	return 2;
}
