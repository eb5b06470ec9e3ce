// SPDX-License-Identifier: MIT
/*
 * Fifty goroutines compute in malloc and stdio; nearly all of them are parked, wherever they were, until their turn in the
 * lane comes (lib/core/lane.c). Whoever wants a lock that one of them holds waits for at most one round of turns.
 *
 * Time is CPU time of the process, of which turns consist: a busy machine makes no difference to it.
 */
#include <malloc.h>

#include "revoked.h"

enum { HOGS = 50, TAKERS = 3, SAMPLES = SCALE(150), PATIENCE_S = 5 /* then fewer do */ };

/* lane.c: ten quanta, which are of 1 ms here. Half a quantum more, until sysmon looks; and others use CPU time, too. */
#define ROUND (HOGS * INT64_C(21) / 2 * RINGO_MS * 3 / 2)

static struct {
	int64_t longest;
	int n, long_ones, through;
	void (*lock)(void);
} taken;

static FILE *file;

static int64_t cpu_of_process(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * RINGO_SEC + ts.tv_nsec;
}

/* Sizes that come from the arena, which all share: caches of threads have none of them. Its lock is had for each. */
static void in_malloc(void)
{
	enum { N = 16 };
	void *p[N];

	for (size_t i = 0; i < N; i++)
		CHECK((p[i] = malloc(1500 + 700 * i)));
	for (int i = 0; i < N; i++)
		free(p[i]);
}

static void in_flockfile(void)
{
	flockfile(file);
	for (int i = 0; i < 8; i++)
		fprintf(file, "%d %g\n", i, i + 0.1);
	funlockfile(file);
	hog_for_us(5); /* whoever wants it has to find it free now and then */
}

static void hog(void)
{
	while (!LOAD(&stop))
		taken.lock();
	ringo_waitgroup_done(&all_done);
}

static void note(int64_t waited)
{
	static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&m);
	taken.longest = waited > taken.longest ? waited : taken.longest;
	taken.long_ones += waited > 2 * RINGO_MS;
	taken.n++;
	pthread_mutex_unlock(&m);
}

static void taker(void)
{
	int64_t until = now_ns() + PATIENCE_S * RINGO_SEC;

	for (int i = 0; i < SAMPLES && now_ns() < until; i++) {
		int64_t start = cpu_of_process();

		taken.lock();
		note(cpu_of_process() - start);
		CHECK_EQ(0, ringo_sleep(2 * RINGO_MS));
	}
	ADD(&taken.through, 1);
	ringo_waitgroup_done(&all_done);
}

static int take(void *arg)
{
	ringo_waitgroup_add(&all_done, HOGS + TAKERS);
	for (int i = 0; i < HOGS; i++)
		CHECK_EQ(0, ringo_go(hog));
	while (revocations() < HOGS) /* each has lost its P once, or nearly */
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	for (int i = 0; i < TAKERS; i++)
		CHECK_EQ(0, ringo_go(taker));
	while (LOAD(&taken.through) < TAKERS)
		CHECK_EQ(0, ringo_sleep(5 * RINGO_MS));
	STORE(&stop, true);
	ringo_waitgroup_wait(&all_done);
	return 0;
}

#define LOCK_TEST(fn, procs) \
	TEST(fn##_with_##procs##_Ps) \
	{ \
		mallopt(M_ARENA_MAX, 1); \
		file = fopen("/dev/null", "we"); \
		taken.lock = (fn); \
		use_procs(procs); \
		quantum_us(1000); \
		EXPECT_EQ(0, run_main(take)); \
		TH_LOG("%d times, %d of them over 2 ms, %lld us of CPU time at most", taken.n, taken.long_ones, \
		       (long long)taken.longest / 1000); \
		EXPECT_GT(ROUND, taken.longest); \
	}

LOCK_TEST(in_malloc, 1)
LOCK_TEST(in_malloc, 2)
LOCK_TEST(in_flockfile, 1)
LOCK_TEST(in_flockfile, 2)

TEST_HARNESS_MAIN
