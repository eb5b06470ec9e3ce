// SPDX-License-Identifier: MIT
/* A million goroutines at once, on a machine as it comes: parked, asleep, spawned by everybody. */
#include <ringo/stats.h>

#include "run/help.h"

#define MILLION SCALE(1000000)

static struct ringo_chan *never;
static int64_t seen;

static void parks(void)
{
	ADD(&seen, 1);
	CHECK_EQ(0, ringo_chan_recv(never, NULL));
	ADD(&seen, 1);
}

static int guard_main(void *arg)
{
	struct ringo_stats s = { .size = sizeof(s) };

	CHECK_EQ(0, ringo_stats_get(&s));
	return s.guard == RINGO_GUARD_MARKER || s.guard == RINGO_GUARD_KMOD;
}

static long available_kb(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	char line[128];
	long kb = 0;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %ld", &kb) == 1)
			break;
	if (f)
		fclose(f);
	return kb;
}

#define NEEDS_A_MILLION() \
	do { \
		if (SANITIZED) \
			SKIP(return, "too many for the sanitizers; run the plain build"); \
		if (!ringo_run(guard_main, NULL)) \
			SKIP(return, "no guard markers: needs kernel 6.13, or the kernel module"); \
		if (available_kb() < 6L << 20) \
			SKIP(return, "needs 6 GB of memory"); \
	} while (0)

static int parked_main(void *arg)
{
	long before = status_of("VmRSS") + status_of("VmPTE"), cost;

	never = ringo_chan_new(0, 0);
	for (int i = 0; i < MILLION; i++)
		CHECK_EQ(0, ringo_go(parks));
	while (LOAD(&seen) < MILLION)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	cost = (status_of("VmRSS") + status_of("VmPTE") - before) * 1024 / MILLION;
	fprintf(stderr, "# %ld bytes a goroutine\n", cost);
	CHECK(cost <= 4505);
	CHECK_EQ(MILLION + 1, ringo_num_goroutines());
	CHECK_EQ(0, ringo_chan_close(never));
	while (ringo_num_goroutines() > 1)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK_EQ(2 * (int64_t)MILLION, LOAD(&seen));
	return 0;
}

FIXTURE(million) {
};

FIXTURE_SETUP(million)
{
}

FIXTURE_TEARDOWN(million)
{
}

TEST_F_TIMEOUT(million, parked_at_once_and_woken, 120)
{
	NEEDS_A_MILLION();
	EXPECT_EQ(0, ringo_run(parked_main, NULL));
}

static void sleeps(void)
{
	int64_t start = now_ns();

	CHECK_EQ(0, ringo_sleep(RINGO_SEC));
	CHECK(now_ns() - start >= RINGO_SEC);
	ADD(&seen, 1);
}

static int sleepers_main(void *arg)
{
	int64_t start = now_ns();

	for (int i = 0; i < MILLION; i++)
		CHECK_EQ(0, ringo_go(sleeps));
	while (LOAD(&seen) < MILLION)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	fprintf(stderr, "# %.3f s\n", (double)(now_ns() - start) / 1e9);
	CHECK(now_ns() - start < 60 * RINGO_SEC);
	return 0;
}

TEST_F_TIMEOUT(million, sleepers_of_a_second, 120)
{
	NEEDS_A_MILLION();
	EXPECT_EQ(0, ringo_run(sleepers_main, NULL));
}

static void leaf(void)
{
	ADD(&seen, 1);
}

static void branch(int n)
{
	for (int i = 0; i < n; i++) {
		int err;

		while ((err = ringo_go(leaf)) == -EAGAIN) /* ThreadSanitizer has room for 8000 */
			ringo_yield();
		CHECK_EQ(0, err);
		if (i % 50 == 0)
			ringo_yield();
	}
	ADD(&seen, 1);
}

static int storm_main(void *arg)
{
	const int branches = SCALE(10000), leaves = 300;

	for (int i = 0; i < branches; i++)
		CHECK_EQ(0, ringo_go(branch, leaves));
	while (LOAD(&seen) < (int64_t)branches * (leaves + 1))
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	while (ringo_num_goroutines() > 1)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	return 0;
}

TEST_F_TIMEOUT(million, three_times_spawned_by_ten_thousand, 120)
{
	use_procs(4);
	EXPECT_EQ(0, ringo_run(storm_main, NULL));
}

TEST_HARNESS_MAIN
