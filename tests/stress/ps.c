// SPDX-License-Identifier: MIT
/*
 * A million goroutines: ringo-ps counts and groups them in less than a second, and ringo-top shows them without a
 * stall.
 */
#include "tools/help.h"

enum { MANY = 1000000, LOOKS = 10 };

static struct ringo_chan *never;

static void receiver(void *arg)
{
	int res = ringo_chan_recv(never, NULL);

	CHECK(res <= 0);
}

/* The best of three, in nanoseconds: the machine may be busy. */
static int64_t time_of(const char *name, const char *options, const char *says)
{
	int64_t best = INT64_MAX;

	for (int i = 0; i < 3; i++) {
		int64_t start = now_ns(), took;
		struct said s = say(name, "%s %d", options, getpid());

		took = now_ns() - start;
		best = took < best ? took : best;
		check_says(&s, 0, says);
		free(s.text);
	}
	return best;
}

static void start_them(void)
{
	never = ringo_chan_new(0, 0);
	for (int i = 0; i < SCALE(MANY); i++)
		CHECK_EQ(0, ringo_go_fn(receiver, NULL));
	wait_waiting(SCALE(MANY));
}

static int million_main(void *arg)
{
	char waiting[64], group[64];

	start_them();
	snprintf(waiting, sizeof(waiting), " %d waiting; ", SCALE(MANY));
	snprintf(group, sizeof(group), "%9d chan receive ", SCALE(MANY));
	CHECK(time_of("ringo-ps", "-u", waiting) < RINGO_SEC);
	CHECK(time_of("ringo-ps", "-g", group) < RINGO_SEC);
	return 0;
}

/* Between looks it rests for 0.1 s. */
static int shown_main(void *arg)
{
	char options[32], group[64];
	int64_t took;

	start_them();
	snprintf(options, sizeof(options), "-b -d 0.1 -n %d", LOOKS);
	snprintf(group, sizeof(group), "%9d chan receive ", SCALE(MANY));
	took = time_of("ringo-top", options, group) - (LOOKS - 1) * RINGO_SEC / 10;
	fprintf(stderr, "# a look takes %.0f ms\n", (double)took / LOOKS / 1e6);
	CHECK(took < LOOKS * RINGO_SEC / 3);
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

TEST_F_TIMEOUT(million, is_counted_in_a_second, 110)
{
	NEEDS_TOOL("ringo-ps");
#ifdef RG_TSAN
	SKIP(return, "ThreadSanitizer has room for 8,000 goroutines");
#endif
	EXPECT_EQ(0, ringo_run(million_main, NULL));
}

TEST_F_TIMEOUT(million, is_shown_without_a_stall, 110)
{
	NEEDS_TOOL("ringo-top");
#ifdef RG_TSAN
	SKIP(return, "ThreadSanitizer has room for 8,000 goroutines");
#endif
	EXPECT_EQ(0, ringo_run(shown_main, NULL));
}

TEST_HARNESS_MAIN
