// SPDX-License-Identifier: MIT
/* ringo-ps with a million goroutines: counted and grouped in less than a second. */
#include "tools/help.h"

enum { MANY = 1000000 };

static struct ringo_chan *never;

static void receiver(void *arg)
{
	int res = ringo_chan_recv(never, NULL);

	CHECK(res <= 0);
}

/* The best of three, in nanoseconds: the machine may be busy. */
static int64_t time_of(const char *option, const char *says)
{
	int64_t best = INT64_MAX;

	for (int i = 0; i < 3; i++) {
		int64_t start = now_ns(), took;
		struct said s = say("ringo-ps", "%s %d", option, getpid());

		took = now_ns() - start;
		best = took < best ? took : best;
		check_says(&s, 0, says);
		free(s.text);
	}
	return best;
}

static int million_main(void *arg)
{
	char waiting[64], group[64];

	never = ringo_chan_new(0, 0);
	for (int i = 0; i < SCALE(MANY); i++)
		CHECK_EQ(0, ringo_go_fn(receiver, NULL));
	wait_waiting(SCALE(MANY));
	snprintf(waiting, sizeof(waiting), " %d waiting; ", SCALE(MANY));
	snprintf(group, sizeof(group), "%9d chan receive ", SCALE(MANY));
	CHECK(time_of("-u", waiting) < RINGO_SEC);
	CHECK(time_of("-g", group) < RINGO_SEC);
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

TEST_HARNESS_MAIN
