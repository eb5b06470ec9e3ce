// SPDX-License-Identifier: MIT
/*
 * micro WORKLOAD ARG: the small workloads on POSIX threads; the twin of ringo/micro.c. Counts are
 * smaller, since the figures are per thread and a thread costs about 10 us. A channel without a
 * buffer is a pair of semaphores here (the fastest hand-over that glibc offers), a buffered one a
 * ring under a mutex with two conditions. Sleepers are absent: Linux does not hold a million
 * threads by default.
 */
#include <sched.h>
#include <semaphore.h>
#include <unistd.h>

#include "workload.h"

#define RING_MAX 1024

static sem_t ping, pong;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static volatile long count;

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
	bench_report_ns(t0, n);
}

static void yielder(long me, long n)
{
	(void)me;
	for (long i = 0; i < n; i++)
		sched_yield();
}

static void yield(long k)
{
	parallel(k, 500000, yielder);
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
	for (long i = 0; i < (long)arg; i++) {
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
	sem_init(&ping, 0, 0);
	sem_init(&pong, 0, 0);
	start(&t, echoer, (void *)n);
	t0 = bench_now();
	for (long i = 0; i < n; i++) {
		sem_post(&ping);
		sem_wait(&pong);
	}
	bench_report_ns(t0, n);
	pthread_join(t, NULL);
}

static struct {
	pthread_mutex_t lock;
	pthread_cond_t not_empty, not_full;
	long elem[RING_MAX], cap, head, tail;
} ring = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER,
	   { 0 }, 64, 0, 0 };

static void send(long v)
{
	pthread_mutex_lock(&ring.lock);
	while (ring.head - ring.tail == ring.cap)
		pthread_cond_wait(&ring.not_full, &ring.lock);
	ring.elem[ring.head++ % ring.cap] = v;
	pthread_mutex_unlock(&ring.lock);
	pthread_cond_signal(&ring.not_empty);
}

static long receive(void)
{
	long v;

	pthread_mutex_lock(&ring.lock);
	while (ring.head == ring.tail)
		pthread_cond_wait(&ring.not_empty, &ring.lock);
	v = ring.elem[ring.tail++ % ring.cap];
	pthread_mutex_unlock(&ring.lock);
	pthread_cond_signal(&ring.not_full);
	return v;
}

static void *producer(void *arg)
{
	for (long i = 0; i < (long)arg; i++)
		send(i);
	return arg;
}

static void chan_buf(long cap)
{
	const long n = 50000;
	pthread_t t;
	int64_t t0 = bench_now();

	ring.cap = cap;
	start(&t, producer, (void *)n);
	while (receive() < n - 1)
		;
	bench_report_ns(t0, n);
	pthread_join(t, NULL);
}

static void sender_or_receiver(long me, long n)
{
	for (long i = 0; i < n; i++)
		if (me % 2)
			send(i);
		else
			receive();
}

static void prodcons(long k)
{
	parallel(2 * k, 400000, sender_or_receiver);
}

static void mutex(long n)
{
	pthread_t t;
	int64_t t0;

	/* glibc takes short cuts while a process has never had a second thread. */
	start(&t, nothing, NULL);
	pthread_join(t, NULL);
	t0 = bench_now();
	for (long i = 0; i < n; i++) {
		pthread_mutex_lock(&lock);
		pthread_mutex_unlock(&lock);
	}
	bench_report_ns(t0, n);
}

static void counter(long me, long n)
{
	(void)me;
	for (long i = 0; i < n; i++) {
		pthread_mutex_lock(&lock);
		count++;
		pthread_mutex_unlock(&lock);
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
		pthread_mutex_lock(&lock);
		sched_yield();
		pthread_mutex_unlock(&lock);
	}
}

static void mutex_held(long k)
{
	parallel(k, 50000, holder);
}

static const struct bench_workload workloads[] = {
	{ "spawn", spawn }, { "yield", yield }, { "memory", memory },
	{ "chan_rt", chan_rt }, { "chan_buf", chan_buf }, { "prodcons", prodcons },
	{ "mutex", mutex }, { "mutex_shared", mutex_shared }, { "mutex_held", mutex_held },
	{ NULL, NULL },
};

int main(int argc, char **argv)
{
	bench_find(workloads, argc, argv)->run(bench_arg(argc, argv, 2, 1));
	return 0;
}
