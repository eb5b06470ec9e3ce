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

static inline int64_t bench_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline void bench_report(const char *key, double value)
{
	printf("%s %.6g\n", key, value);
	fflush(stdout);
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

static inline long bench_arg(int argc, char **argv, int i, long otherwise)
{
	return i < argc ? strtol(argv[i], NULL, 10) : otherwise;
}

#endif
