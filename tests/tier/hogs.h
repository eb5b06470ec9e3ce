/* SPDX-License-Identifier: MIT */
/* Goroutines that compute, and which tier takes their Ps: for tests of the library in a tier of the kernel's. */
#ifndef RINGO_TESTS_TIER_HOGS_H
#define RINGO_TESTS_TIER_HOGS_H

#include "client.h"
#include "core/kern.h"
#include "core/rt.h"

static struct ringo_waitgroup done;
static bool stop;
static uint64_t expected; /* plain's tier */

static inline uint64_t tier_now(void)
{
	struct ringo_stats s = { .size = sizeof(s) };

	CHECK_EQ(0, ringo_stats_get(&s));
	return s.preempt;
}

static inline uint64_t revocations(void)
{
	return __atomic_load_n(&rt.revocations, __ATOMIC_RELAXED);
}

static inline void compute_for(int64_t ns)
{
	int64_t until = now_ns() + ns;

	while (now_ns() < until)
		;
}

/* More often than the quantum comes round. */
static inline void sleep_ms(int n)
{
	for (int i = 0; i < n; i++)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
}

static inline void hog(void)
{
	while (!LOAD(&stop))
		;
	ringo_waitgroup_done(&done);
}

static inline void start_hogs(int n)
{
	ringo_waitgroup_add(&done, n);
	for (int i = 0; i < n; i++)
		CHECK_EQ(0, ringo_go(hog));
}

static inline void end_hogs(void)
{
	STORE(&stop, true);
	ringo_waitgroup_wait(&done);
	STORE(&stop, false);
}

/* A main goroutine: whatever the tier, others get their turn beside a hog. */
static inline int plain(void *arg)
{
	(void)arg;
	CHECK_EQ(expected, tier_now());
	start_hogs(1);
	sleep_ms(10);
	end_hogs();
	return 0;
}

#endif
