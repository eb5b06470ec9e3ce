// SPDX-License-Identifier: MIT
/*
 * preempt WORKLOAD ARG: goroutines that compute, or block in calls that are not the runtime's,
 * beside others. The twin is go/preempt.go.
 */
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <sys/file.h>
#include <unistd.h>

#include "../spin.h"
#include "workload.h"

/* ---- open load: requests of two lengths come at random times, done or not ---- */

#define REQUESTS 40000
#define WARM_UP (REQUESTS / 10)
#define SHORT_US 20.0
#define LONG_US 20000.0
#define LONG_SHARE 0.005
#define LOAD 0.5

/*
 * All times are CPU time of the process, so that other processes do not disturb. Without a request
 * under way that clock stands still: then `skipped` takes it to the next one.
 */
static int64_t due[REQUESTS], finished[REQUESTS];
static bool is_long[REQUESTS];
static int64_t skipped;
static long under_way, long_under_way;
static uint64_t seed, short_spins, long_spins;

static double uniform(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (double)((seed >> 11) + 1) / 9007199254740992.0;
}

static void plan(void)
{
	double gap = ((1 - LONG_SHARE) * SHORT_US + LONG_SHARE * LONG_US) * 1000 / LOAD, t = 0;

	for (long i = 0; i < REQUESTS; i++) {
		t -= log(uniform()) * gap;
		due[i] = (int64_t)t;
		is_long[i] = uniform() < LONG_SHARE;
	}
}

static int64_t busy_clock(void)
{
	return bench_cpu() + __atomic_load_n(&skipped, __ATOMIC_RELAXED);
}

static void request(long i)
{
	bench_spin(is_long[i] ? long_spins : short_spins);
	finished[i] = busy_clock();
	if (is_long[i])
		__atomic_sub_fetch(&long_under_way, 1, __ATOMIC_RELAXED);
	__atomic_sub_fetch(&under_way, 1, __ATOMIC_RELEASE);
}

static void begin(long i)
{
	__atomic_add_fetch(&under_way, 1, __ATOMIC_RELAXED);
	if (is_long[i])
		__atomic_add_fetch(&long_under_way, 1, __ATOMIC_RELAXED);
	must(ringo_go(request, i), "spawn");
}

/* Until the next request is due, as far as others let us. */
static void let_others_run(int64_t until_due)
{
	if (!__atomic_load_n(&under_way, __ATOMIC_ACQUIRE))
		__atomic_add_fetch(&skipped, until_due, __ATOMIC_RELAXED);
	else if (__atomic_load_n(&long_under_way, __ATOMIC_RELAXED))
		must(ringo_sleep(until_due), "sleep");
	else
		ringo_yield();
}

static void report_slowdown(void)
{
	static int64_t late[REQUESTS];
	long n = 0;

	for (long i = WARM_UP; i < REQUESTS; i++)
		if (!is_long[i])
			late[n++] = finished[i] - due[i];
	qsort(late, (size_t)n, sizeof(*late), bench_later);
	bench_report("p50", (double)late[n / 2] / 1000 / SHORT_US);
	bench_report("p99", (double)late[n * 99 / 100] / 1000 / SHORT_US);
	bench_report("p999", (double)late[n * 999 / 1000] / 1000 / SHORT_US);
}

static void open_load(long s)
{
	seed = 88172645463325252 + (uint64_t)s;
	plan();
	short_spins = bench_spins(SHORT_US);
	long_spins = bench_spins(LONG_US);
	skipped = -bench_cpu();
	for (long i = 0; i < REQUESTS;) {
		int64_t now = busy_clock();

		if (due[i] <= now)
			begin(i++);
		else
			let_others_run(due[i] - now);
	}
	while (__atomic_load_n(&under_way, __ATOMIC_ACQUIRE))
		must(ringo_sleep(RINGO_MS), "sleep");
	report_slowdown();
}

/* ---- the gaps of a ticker beside a loop, a new goroutine each time ---- */

#define LOOPS 4
#define GAPS_MAX 100000

static int64_t gaps[GAPS_MAX];
static long n_gaps;
static bool computing;

static void loop(long ms)
{
	bench_spin(bench_spins((double)ms * 1000));
	__atomic_store_n(&computing, false, __ATOMIC_RELEASE);
}

static void note_gaps(struct ringo_chan *ticks)
{
	int64_t last = bench_now();

	while (__atomic_load_n(&computing, __ATOMIC_ACQUIRE) && n_gaps < GAPS_MAX) {
		int64_t now;

		must(ringo_chan_recv(ticks, NULL), "receive");
		now = bench_now();
		gaps[n_gaps++] = now - last;
		last = now;
	}
}

static void gap(long ms)
{
	struct ringo_ticker *t = ringo_ticker_new(RINGO_MS);

	if (!t)
		must(-ENOMEM, "ticker");
	bench_spins(1);
	for (int i = 0; i < LOOPS; i++) {
		for (int j = 0; j < 10; j++)
			must(ringo_chan_recv(ringo_ticker_chan(t), NULL), "receive");
		computing = true;
		must(ringo_go(loop, ms), "spawn");
		note_gaps(ringo_ticker_chan(t));
	}
	ringo_ticker_free(t);
	qsort(gaps, (size_t)n_gaps, sizeof(*gaps), bench_later);
	bench_report("p99_ms", (double)gaps[n_gaps * 99 / 100] / 1e6);
	bench_report("worst_ms", (double)gaps[n_gaps - 1] / 1e6);
}

/* ---- one goroutine that computes, and nobody who waits ---- */

static void cpu_job(long pieces)
{
	uint64_t n = bench_spins(5000);
	int64_t best = INT64_MAX;

	for (long i = 0; i < pieces; i++) {
		int64_t t0 = bench_cpu();

		bench_spin(n);
		t0 = bench_cpu() - t0;
		best = t0 < best ? t0 : best;
	}
	bench_report("ns", (double)best / (double)n);
}

/* ---- a ticker beside a goroutine that blocks every 25 ms; see also load/block.c ---- */

static bool done;

static void in_sleep(void)
{
	const struct timespec t = { .tv_nsec = 20000000 };

	while (!__atomic_load_n(&done, __ATOMIC_RELAXED)) {
		nanosleep(&t, NULL);
		must(ringo_sleep(5 * RINGO_MS), "sleep");
	}
}

static void in_read(void)
{
	int fd = open("pipe", O_RDONLY);
	char c;

	while (!__atomic_load_n(&done, __ATOMIC_RELAXED)) {
		if (read(fd, &c, 1) != 1)
			bench_die("pipe");
		ringo_yield();
	}
}

static void in_flock(void)
{
	int fd = open("lock", O_RDWR);

	while (!__atomic_load_n(&done, __ATOMIC_RELAXED)) {
		if (flock(fd, LOCK_EX) || flock(fd, LOCK_UN))
			bench_die("lock");
		must(ringo_sleep(10 * RINGO_MS), "sleep");
	}
}

static void beside(void (*blocked)(void), long ticks)
{
	must(ringo_go(blocked), "spawn");
	ticker(ticks);
	__atomic_store_n(&done, true, __ATOMIC_RELAXED);
}

/* For the share of the machine in all this. */
static void blocked_never(long ticks)
{
	ticker(ticks);
}

static void blocked_sleep(long ticks)
{
	beside(in_sleep, ticks);
}

static void blocked_read(long ticks)
{
	beside(in_read, ticks);
}

static void blocked_flock(long ticks)
{
	beside(in_flock, ticks);
}

static const struct bench_workload workloads[] = {
	{ "open_load", open_load }, { "gap", gap }, { "cpu_job", cpu_job },
	{ "blocked_sleep", blocked_sleep }, { "blocked_read", blocked_read },
	{ "blocked_flock", blocked_flock }, { "blocked_never", blocked_never }, { NULL, NULL },
};

int main(int argc, char **argv)
{
	return run_workload(workloads, argc, argv);
}
