/* SPDX-License-Identifier: MIT */
/*
 * What every contestant written in C or C++ shares: clock, memory figures, the output line.
 * A contestant prints lines "key value" and nothing else; run.py reads them.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline int64_t bench_clock(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline int64_t bench_now(void)
{
	return bench_clock(CLOCK_MONOTONIC);
}

/* CPU time of all threads. */
static inline int64_t bench_cpu(void)
{
	return bench_clock(CLOCK_PROCESS_CPUTIME_ID);
}

static inline void bench_report(const char *key, double value)
{
	printf("%s %.6g\n", key, value);
	fflush(stdout);
}

static inline void bench_report_ns(int64_t t0, long n)
{
	bench_report("ns", (double)(bench_now() - t0) / (double)n);
}

/* Bytes named by a field of /proc/self/status, e.g. "VmRSS:". */
static inline double bench_status(const char *field)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	double kb = 0;

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, field, strlen(field)))
			kb = strtod(line + strlen(field), NULL);
	if (f)
		fclose(f);
	return kb * 1024;
}

/* Bytes per goroutine (fiber, thread) of n that are parked now: user memory and its page tables. */
static inline void bench_report_parked(long n)
{
	bench_report("bytes", (bench_status("VmRSS:") + bench_status("VmPTE:")) / (double)n);
}

/* Of a run of sleepers of one second begun at t0: what it took beyond that second; peak memory. */
static inline void bench_report_slept(int64_t t0)
{
	bench_report("excess_ms", (double)(bench_now() - t0 - 1000000000) / 1e6);
	bench_report("peak_mib", (bench_status("VmHWM:") + bench_status("VmPTE:")) / (1 << 20));
}

static inline void bench_die(const char *what)
{
	perror(what);
	exit(1);
}

static inline int bench_later(const void *a, const void *b)
{
	return (*(const int64_t *)a > *(const int64_t *)b) - (*(const int64_t *)a < *(const int64_t *)b);
}

/* Report how late n ticks of a ticker started at t0 come; wait(arg) waits for the next one. */
static inline void bench_ticker(int64_t t0, int64_t period, long n, void (*wait)(void *), void *arg)
{
	int64_t *late = (int64_t *)malloc((size_t)n * sizeof(*late)), due = t0 + period;

	if (!late)
		bench_die("malloc");
	for (long i = 0; i < n; i++) {
		wait(arg);
		late[i] = bench_now() - due;
		if (late[i] < -period / 2) { /* it was kept for us, and not dropped */
			late[i] += period;
			due -= period;
		}
		/* Ticks that nobody took in time are lost. */
		due += period + (late[i] > 0 ? late[i] / period * period : 0);
	}
	qsort(late, (size_t)n, sizeof(*late), bench_later);
	bench_report("p50_us", (double)late[n / 2] / 1000);
	bench_report("p99_us", (double)late[n * 99 / 100] / 1000);
	free(late);
}

static inline long bench_arg(int argc, char **argv, int i, long otherwise)
{
	return i < argc ? strtol(argv[i], NULL, 10) : otherwise;
}

struct bench_workload {
	const char *name;
	void (*run)(long arg);
};

/* What argv[1] names in a table that ends with an empty entry; without it the program ends. */
static inline const struct bench_workload *bench_find(const struct bench_workload *table, int argc,
						      char **argv)
{
	for (; table->name; table++)
		if (argc > 1 && !strcmp(argv[1], table->name))
			return table;
	exit(2);
}

#endif
