// SPDX-License-Identifier: MIT
/*
 * lang WORKLOAD ARG: those workloads of ringo/lang.c that POSIX threads have. The ticker is a
 * timerfd: what the kernel alone is late.
 */
#include <sys/timerfd.h>
#include <unistd.h>

#include "workload.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_once_t only = PTHREAD_ONCE_INIT;
static volatile long count;
static long turn;

static void reader(long me, long n)
{
	(void)me;
	for (long i = 0; i < n; i++) {
		if (i % 100 == 0) {
			pthread_rwlock_wrlock(&rwlock);
			count++;
		} else {
			pthread_rwlock_rdlock(&rwlock);
		}
		pthread_rwlock_unlock(&rwlock);
	}
}

static void rwmutex(long k)
{
	parallel(k, 5000000, reader);
}

static void player(long me, long n)
{
	pthread_mutex_lock(&lock);
	for (long i = 0; i < n; i++) {
		while (turn != me)
			pthread_cond_wait(&changed, &lock);
		turn = 1 - me;
		pthread_cond_signal(&changed);
	}
	pthread_mutex_unlock(&lock);
}

static void cond(long n)
{
	parallel(2, n / 10, player);
}

static void nothing(void)
{
}

static void once(long n)
{
	int64_t t0 = bench_now();

	for (long i = 0; i < n; i++)
		pthread_once(&only, nothing);
	bench_report_ns(t0, n);
}

static void wait_tick(void *fd)
{
	uint64_t ticks;

	if (read(*(int *)fd, &ticks, sizeof(ticks)) < 0)
		bench_die("read");
}

static void ticker(long n)
{
	const struct itimerspec ms = { { 0, 1000000 }, { 0, 1000000 } };
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	int64_t t0 = bench_now();

	if (fd < 0 || timerfd_settime(fd, 0, &ms, NULL))
		bench_die("timerfd");
	bench_ticker(t0, 1000000, n, wait_tick, &fd);
}

static const struct bench_workload workloads[] = {
	{ "rwmutex", rwmutex }, { "cond", cond }, { "once", once }, { "ticker", ticker },
	{ NULL, NULL },
};

int main(int argc, char **argv)
{
	bench_find(workloads, argc, argv)->run(bench_arg(argc, argv, 2, 1));
	return 0;
}
