// SPDX-License-Identifier: MIT
/* What goroutines cost while parked, and that memory used once is given back. */
#include "help.h"

static struct ringo_chan *never;
static int seen;

static void parks(void)
{
	ADD(&seen, 1);
	(void)!ringo_chan_recv(never, NULL);
}

static long in_use_kb(void)
{
	return status_of("VmRSS") + status_of("VmPTE");
}

static int cost_main(void *arg)
{
	struct ringo_stats s = { .size = sizeof(s) };
	long before = in_use_kb(), cost;
	int n = 100000;

	CHECK_EQ(0, ringo_stats_get(&s));
	if (s.goroutine_limit < (uint64_t)n) /* guard pages by mprotect */
		n = (int)s.goroutine_limit - 100;
	never = ringo_chan_new(0, 0);
	for (int i = 0; i < n; i++)
		CHECK_EQ(0, ringo_go(parks));
	while (LOAD(&seen) < n)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	cost = (in_use_kb() - before) * 1024 / n;
	fprintf(stderr, "# %ld bytes a goroutine\n", cost);
	CHECK(cost <= 4505); /* 4.4 KB */
	return 0;
}

TEST(a_parked_goroutine_costs_at_most_a_page_and_a_little)
{
	if (SANITIZED)
		SKIP(return, "shadow memory is counted too; run the plain build");
	EXPECT_EQ(0, ringo_run(cost_main, NULL));
}

static __attribute__((noinline)) void use_a_megabyte(void)
{
	volatile char room[1000 << 10];

	for (size_t i = 0; i < sizeof(room); i += 1024)
		room[i] = 1;
}

static void deep_then_parks(void *arg)
{
	use_a_megabyte();
	parks();
}

/* Within seconds: sysmon looks four times a second, and the machine may be busy. */
static bool falls_below(long kb)
{
	int64_t end = now_ns() + 2 * RINGO_SEC;

	while (now_ns() < end) {
		if (status_of("VmRSS") < kb)
			return true;
		(void)!ringo_sleep(20 * RINGO_MS);
	}
	return status_of("VmRSS") < kb;
}

static int trim_main(void *arg)
{
	struct ringo_go_options o = RINGO_GO_OPTIONS(.stack_max = (size_t)4 << 20);
	long before = status_of("VmRSS");

	never = ringo_chan_new(0, 0);
	for (int i = 0; i < 20; i++)
		CHECK_EQ(0, ringo_go_opt(&o, deep_then_parks, NULL));
	while (LOAD(&seen) < 20)
		ringo_yield();
	CHECK(status_of("VmHWM") > before + 15 * 1000);
	CHECK(falls_below(before + 2 * 1000));
	CHECK_EQ(0, ringo_chan_close(never));
	while (ringo_num_goroutines() > 1)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	return 0;
}

TEST(a_parked_goroutine_gives_back_what_it_used_once)
{
	if (SANITIZED)
		SKIP(return, "shadow memory is counted too; run the plain build");
	EXPECT_EQ(0, ringo_run(trim_main, NULL));
}

static void deep_then_ends(void *arg)
{
	use_a_megabyte();
	ringo_yield();
	use_a_megabyte();
	ADD(&seen, 1);
}

static int free_main(void *arg)
{
	struct ringo_go_options o = RINGO_GO_OPTIONS(.stack_max = (size_t)4 << 20);
	long before = status_of("VmRSS");

	for (int i = 0; i < 20; i++)
		CHECK_EQ(0, ringo_go_opt(&o, deep_then_ends, NULL));
	while (LOAD(&seen) < 20)
		ringo_yield();
	CHECK(status_of("VmHWM") > before + 5 * 1000);
	CHECK(falls_below(before + 2 * 1000));
	return 0;
}

TEST(stacks_of_dead_goroutines_are_given_back)
{
	if (SANITIZED)
		SKIP(return, "shadow memory is counted too; run the plain build");
	EXPECT_EQ(0, ringo_run(free_main, NULL));
}

/* Frames must stay as they were while pages below them go. */
static void keeps_its_frame(int i)
{
	volatile int mark[200];

	for (int k = 0; k < 200; k++)
		mark[k] = i + k;
	for (int round = 0; round < 30; round++) {
		use_a_megabyte();
		CHECK_EQ(0, ringo_sleep((1 + (i * 7 + round) % 30) * RINGO_MS));
		for (int k = 0; k < 200; k++)
			CHECK_EQ(i + k, mark[k]);
	}
	ADD(&seen, 1);
}

static void keeps_entry(void *arg)
{
	keeps_its_frame((int)(intptr_t)arg);
}

static int frames_main(void *arg)
{
	struct ringo_go_options o = RINGO_GO_OPTIONS(.stack_max = (size_t)4 << 20);

	for (intptr_t i = 0; i < 40; i++)
		CHECK_EQ(0, ringo_go_opt(&o, keeps_entry, (void *)i));
	while (LOAD(&seen) < 40)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	return 0;
}

TEST(giving_back_leaves_frames_alone)
{
	EXPECT_EQ(0, ringo_run(frames_main, NULL));
}

TEST_HARNESS_MAIN
