/* SPDX-License-Identifier: MIT */
/*
 * Tight loops: what computes and makes no call. A server's hogs count what they have done in a
 * file, where the load reads it.
 */
#ifndef BENCH_SPIN_H
#define BENCH_SPIN_H

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"

#define HOGS_MAX 64

struct bench_hog {
	uint64_t chunks;
	char pad[56];
};

/* A chain of multiplications: its speed hardly depends on what the neighbours of the core do. */
static __attribute__((noinline, unused)) void bench_spin(uint64_t n)
{
	uint64_t x = n;

	while (n--) {
		x = x * 6364136223846793005 + 1442695040888963407;
		__asm__ volatile("" : "+r"(x));
	}
}

/* How many rounds of it make n microseconds of CPU time. */
static inline uint64_t bench_spins(double us)
{
	const uint64_t n = 100000;
	static int64_t best;

	for (int i = best ? 50 : 0; i < 50; i++) {
		int64_t t0 = bench_cpu();

		bench_spin(n);
		t0 = bench_cpu() - t0;
		best = best && best < t0 ? best : t0;
	}
	return (uint64_t)(us * 1000 * (double)n / (double)best);
}

/* Counters of HOGS_MAX hogs. */
static inline struct bench_hog *bench_hogs(const char *path)
{
	size_t size = HOGS_MAX * sizeof(struct bench_hog);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct bench_hog *hogs = MAP_FAILED;

	if (fd >= 0 && !ftruncate(fd, (off_t)size))
		hogs = (struct bench_hog *)mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (hogs == MAP_FAILED)
		bench_die(path);
	close(fd);
	return hogs;
}

#endif
