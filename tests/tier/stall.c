// SPDX-License-Identifier: MIT
/*
 * The stall watch where the kernel takes Ps: who stalls loses the P meanwhile, in a tick or because it
 * blocks, and is told of once all the same. The same without the kernel's help, and what else it does:
 * tests/run/stall.c.
 */
#include <sched.h>

#include "help.h"
#include "hogs.h"
#include "../run/stall_help.h"

TIERS(stall);

/* One CPU, so that whoever else wakes up takes it from the one that computes: that moves the tick's mark. */
FIXTURE_SETUP(stall)
{
	cpu_set_t cpus;

	TIER_SETUP();
	setenv("RINGO_PREEMPT", tier->name, 1);
	use_procs(1);
	ASSERT_EQ(0, sched_getaffinity(0, sizeof(cpus), &cpus));
	for (int i = 0, n = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &cpus) && n++)
			CPU_CLR(i, &cpus);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(cpus), &cpus));
}

FIXTURE_TEARDOWN(stall)
{
	TIER_TEARDOWN();
}

#define G_TEST_F(name) \
	static int g_##name(void *arg); \
	TEST_F_TIMEOUT(stall, name, 120) \
	{ \
		EXPECT_EQ(0, run_main(g_##name)); \
	} \
	static int g_##name(void *arg)

/* What is told of the first one: for how long, in ms. */
static long told_ms(const char *text)
{
	const char *at = strstr(text, " has kept M ");
	double n = 0;
	char unit[8] = "";

	CHECK(at != NULL);
	CHECK_EQ(2, sscanf(at, " has kept M %*u for %lf %7[ms]", &n, unit));
	return (long)(strcmp(unit, "s") ? n : n * 1000);
}

/* So many that compute, and others that wait: these make that they lose the P. */
static void compute_and_be_told(int n)
{
	int64_t start = now_ns();
	char *text;
	long ms;

	CHECK_EQ(tier->number, tier_now());
	watch_stalls(100 * RINGO_MS);
	for (int i = 0; i < n; i++)
		CHECK_EQ(0, ringo_go_fn(computes, (void *)600));
	wait_stalls((uint64_t)n);
	text = wait_told("entry computes\n");
	ms = told_ms(text);
	CHECK(ms >= 100 && ms <= (now_ns() - start) / MS);
	free(text);
	wait_alone();
	CHECK(revocations() > 0);
	CHECK_EQ(n, stalls());
	text = told();
	CHECK_EQ(n, count_in(text, "has kept"));
	CHECK_EQ(n, count_in(text, "entry computes\n"));
	if (!emulated()) /* within 0.1 s it may not get the CPU there */
		CHECK_EQ(0, count_in(text, "stack not available"));
	free(text);
}

G_TEST_F(tells_once_of_who_computes)
{
	compute_and_be_told(1);
	return 0;
}

/* They take turns in the lane: one of them is parked there at a time. */
G_TEST_F(tells_once_of_each_that_computes)
{
	compute_and_be_told(3);
	return 0;
}

static bool was_told;

static void blocks_until_told(void *arg)
{
	(void)arg;
	while (!LOAD(&was_told))
		nap_ms(200);
}

G_TEST_F(tells_once_of_who_is_blocked_and_where)
{
	struct ringo_stats s = { .size = sizeof(s) };
	bool said = false;
	char *text;

	for (unsigned i = 1; i <= 5 && !said; i++) { /* on a busy machine it may just be about to wait again */
		watch_stalls(50 * RINGO_MS);
		STORE(&was_told, false);
		CHECK_EQ(0, ringo_go_fn(blocks_until_told, NULL));
		wait_stalls(i);
		text = wait_told("entry blocks_until_told\n");
		sleep_ms(100); /* twice as long as it takes to be told: not again */
		STORE(&was_told, true);
		said = strstr(text, ", and is in system call ") && strstr(text, "nanosleep");
		if (!said)
			fprintf(stderr, "# %s\n", text);
		CHECK(told_ms(text) >= 50);
		free(text);
		wait_alone();
		CHECK_EQ(i, stalls());
	}
	CHECK(said);
	CHECK_EQ(0, ringo_stats_get(&s));
	CHECK(s.blocked > 0);
	return 0;
}

static void computes_and_says_so(void *chan)
{
	computes((void *)1500);
	CHECK_EQ(0, ringo_chan_send(chan, NULL));
}

static void nothing(void *arg)
{
	(void)arg;
}

/* Not before it was told: until then nobody waits, and it keeps the P. */
static void *comes_to_wait(void *arg)
{
	for (int i = 0; i < 20000 && !stalls(); i++)
		nap_ms(1);
	for (int i = 0; i < 20000 && !revocations(); i++) {
		CHECK_EQ(0, ringo_go_fn(nothing, NULL));
		nap_ms(1);
	}
	for (int i = 0; i < 100; i++) /* others get the CPU in between */
		nap_ms(5);
	return arg;
}

G_TEST_F(does_not_tell_again_when_the_p_is_lost)
{
	struct ringo_chan *c = ringo_chan_new(0, 0);
	pthread_t thread;

	watch_stalls(100 * RINGO_MS);
	CHECK_EQ(0, ringo_go_fn(computes_and_says_so, c));
	CHECK_EQ(0, pthread_create(&thread, NULL, comes_to_wait, NULL));
	CHECK_EQ(1, ringo_chan_recv(c, NULL));
	CHECK(revocations() > 0);
	CHECK_EQ(1, stalls());
	CHECK_EQ(0, pthread_join(thread, NULL));
	ringo_chan_unref(c);
	return 0;
}

G_TEST_F(does_not_tell_of_who_is_blocked_for_moments)
{
	stall_never_for_long();
	return 0;
}

TIER_MAIN
