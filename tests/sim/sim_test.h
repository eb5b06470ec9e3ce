/* SPDX-License-Identifier: MIT */
/*
 * Running a scenario under many seeds. RINGO_SIM_SEEDS says how many (50 by default), RINGO_SIM_SEED which
 * single one to replay. A scenario fails by SIM_CHECK, which names the seed, or by the machine's own
 * verdict that a wake-up was lost.
 */
#ifndef SIM_TEST_H
#define SIM_TEST_H

#include <ringo.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/sim.h"
#include "ring/sim.h"

/* As TEST, with time for many thousand seeds. */
FIXTURE(seeds) {
};
FIXTURE_SETUP(seeds)
{
}
FIXTURE_TEARDOWN(seeds)
{
}
#define SIM_TEST(name) TEST_F_TIMEOUT(seeds, name, 1500)

static unsigned long long sim_seed;
static int64_t sim_quantum; /* not 0: goroutines that compute for so long lose their P */

#define SIM_CHECK(c) \
	do { \
		if (!(c)) { \
			fprintf(stderr, "seed %llu: %s:%d: %s\n", sim_seed, __FILE__, __LINE__, #c); \
			abort(); \
		} \
	} while (0)

static inline unsigned long long sim_env(const char *name, unsigned long long otherwise)
{
	const char *s = getenv(name);

	return s && *s ? strtoull(s, NULL, 10) : otherwise;
}

/* Everything that can go wrong, mildly; nothing at all for every fourth seed. */
static inline struct rg_sim_faults sim_faults_of(unsigned long long seed)
{
	if (seed % 4 == 0)
		return (struct rg_sim_faults){ 0 };
	return (struct rg_sim_faults){ .refuse_threads = 0, .eintr = 7, .eagain = 5, .short_io = 2,
				       .late_cancel = 2, .spurious = 5, .overflow = 4 };
}

static inline void sim_one(unsigned long long seed, unsigned procs, int (*scenario)(void *), void *arg)
{
	struct rg_sim_faults faults = sim_faults_of(seed);
	struct ringo_options o = RINGO_OPTIONS(.procs = procs, .quantum_ns = sim_quantum);
	int result = -1, err;

	if (sim_quantum)
		o.preempt = RINGO_PREEMPT_SYSMON;
	sim_seed = seed;
	rg_sim_begin(seed, &faults);
	o.result = &result;
	err = ringo_run_opt(scenario, arg, &o);
	SIM_CHECK(err == 0);
	SIM_CHECK(result == 0);
	SIM_CHECK(rg_sim_ring_reset() == 0);
	rg_sim_end();
}

/* So many bytes, and no more, are still in the stream to fds[0]; then it ends. */
static inline void sim_stream_end(const int fds[2], long left)
{
	char buf[64];

	while (left > 0) {
		ssize_t n = ringo_read(fds[0], buf, sizeof(buf));

		SIM_CHECK(n > 0);
		left -= n;
	}
	SIM_CHECK(left == 0);
	rg_sim_stream_close(fds[0]);
	rg_sim_stream_close(fds[1]);
}

/* P = 1, 2 and 8 by turns. */
static inline void sim_seeds(int (*scenario)(void *), void *arg)
{
	static const unsigned procs[] = { 1, 2, 8 };
	unsigned long long n = sim_env("RINGO_SIM_SEEDS", 50), only = sim_env("RINGO_SIM_SEED", 0);

	if (only) {
		sim_one(only, procs[only % 3], scenario, arg);
		return;
	}
	for (unsigned long long seed = 1; seed <= n; seed++)
		sim_one(seed, procs[seed % 3], scenario, arg);
}

#endif
