// SPDX-License-Identifier: MIT
/* ringo_exit, and what main's end and its value mean. */
#include "help.h"

static int after, seen;

static void leave(int depth)
{
	char room[200];

	memset(room, depth, sizeof(room));
	if (depth)
		leave(depth - 1);
	ADD(&seen, 1);
	if (LOAD(&seen))
		ringo_exit();
	after += room[0];
}

static void plain(void)
{
	ADD(&seen, 1);
}

static int exits_main(void *arg)
{
	for (int i = 0; i < 1000; i++) {
		CHECK_EQ(0, ringo_go(leave, i % 20));
		CHECK_EQ(0, ringo_go(plain));
	}
	while (LOAD(&seen) < 2000 || ringo_num_goroutines() > 1)
		ringo_yield();
	return 3;
}

TEST(exit_ends_the_goroutine_from_any_depth)
{
	EXPECT_EQ(3, ringo_run(exits_main, NULL));
	EXPECT_EQ(0, after);
	EXPECT_EQ(2000, seen);
}

TEST(exit_from_a_stack_taken_over_with_one_P)
{
	use_turns();
	EXPECT_EQ(3, ringo_run(exits_main, NULL));
}

static void outlives_main(void)
{
	CHECK_EQ(0, ringo_sleep(10 * RINGO_MS));
	_exit(after == 2 ? 77 : 78);
}

static void sets(int *p, int v)
{
	*p = v;
}

static int main_exits(void *arg)
{
	ringo_defer(sets, &after, 2);
	after = 1;
	CHECK_EQ(0, ringo_go(outlives_main));
	ringo_exit();
	after = 3;
	return 7;
}

static void run_main_exits(void)
{
	ringo_run(main_exits, NULL);
	_exit(79);
}

TEST(exit_in_main_ends_only_that_goroutine)
{
	struct outcome o;

	NEEDS_ABORT(); /* nor one that ends by _exit */
	in_child(&o, run_main_exits);
	EXPECT_TRUE(WIFEXITED(o.status));
	EXPECT_EQ(77, WEXITSTATUS(o.status));
}

static int value_main(void *arg)
{
	return *(int *)arg;
}

TEST(the_value_of_main_is_returned)
{
	int value = 42, result = 0;
	struct ringo_options o = RINGO_OPTIONS(.result = &result);

	EXPECT_EQ(42, ringo_run(value_main, &value));
	value = -EBUSY;
	EXPECT_EQ(0, ringo_run_opt(value_main, &value, &o));
	EXPECT_EQ(-EBUSY, result);
}

static void *exits_as_thread(void *arg)
{
	ringo_exit();
	return arg;
}

TEST(exit_outside_a_goroutine_ends_the_thread)
{
	void *result = &after;
	pthread_t t;

	ASSERT_EQ(0, pthread_create(&t, NULL, exits_as_thread, &after));
	ASSERT_EQ(0, pthread_join(t, &result));
	EXPECT_EQ(NULL, result);
}

TEST_HARNESS_MAIN
