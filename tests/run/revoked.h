/* SPDX-License-Identifier: MIT */
/* What the tests about losing the P share. */
#ifndef RINGO_TESTS_REVOKED_H
#define RINGO_TESTS_REVOKED_H

#include "core/rt.h"
#include "help.h"

static struct ringo_waitgroup all_done;
static bool stop;
static long ticks;

/* Where ticks come seldom (tests/kmod/help.h), a shorter one would be for sysmon, which comes later still. */
static inline void quantum_us(unsigned us)
{
	char s[16];

	if (getenv("RINGO_TEST_SLOW_KERNEL") && us < 1000)
		us = 1000;
	snprintf(s, sizeof(s), "%u", us);
	setenv("RINGO_QUANTUM_US", s, 1);
}

/* The body of a test with so many Ps and this quantum. */
#define REVOKED_TEST(name, procs, us) \
	static int g_##name(void *arg); \
	TEST(name) \
	{ \
		use_procs(procs); \
		quantum_us(us); \
		EXPECT_EQ(0, run_main(g_##name)); \
	} \
	static int g_##name(void *arg __attribute__((unused)))

static inline uint64_t revocations(void)
{
	struct ringo_stats s = { .size = sizeof(s) };

	CHECK_EQ(0, ringo_stats_get(&s));
	return s.revocations;
}

/* The calling goroutine has lost its P, whether it knows or not. */
static inline bool without_p(void)
{
	struct m *m = rg_m();

	return !m->p || rg_load_relaxed(&rg_m_page(m)->revoked) == RINGO_REVOKED_TAKEN;
}

static inline void hog_for_us(int64_t us)
{
	int64_t until = now_ns() + us * RINGO_US;

	while (now_ns() < until)
		;
}

/*
 * Compute until the P is lost. Somebody has to wait for it, such as a ticker; with several Ps that may be on
 * another one, so this ends anyway.
 */
static inline void lose_p(void)
{
	int64_t until = now_ns() + (rt.procs > 1 ? 10 : 10000) * RINGO_MS;

	while (!without_p() && now_ns() < until)
		;
}

/* Waits for its P ten thousand times a second. */
static inline void ticker(void)
{
	while (!LOAD(&stop)) {
		CHECK_EQ(0, ringo_sleep(100 * RINGO_US));
		ADD(&ticks, 1);
	}
	ringo_waitgroup_done(&all_done);
}

static inline void start_ticker(void)
{
	STORE(&stop, false);
	ringo_waitgroup_add(&all_done, 1);
	CHECK_EQ(0, ringo_go(ticker));
}

static inline void stop_ticker(void)
{
	STORE(&stop, true);
	ringo_waitgroup_wait(&all_done);
}

#endif
