// SPDX-License-Identifier: MIT
/* Spawning: arguments, their types, options, and the count of live goroutines. */
#include "help.h"

enum { MANY = 20000 };

static int seen;
static int64_t sum;

static void wait_for(const int *what, int n)
{
	while (LOAD(what) < n)
		ringo_yield();
}

static int value;

static void take_int(int n)
{
	CHECK_EQ(5, n);
	ADD(&seen, 1);
}

static int args_are_evaluated_main(void *arg)
{
	value = 5;
	CHECK_EQ(0, ringo_go(take_int, value));
	value = 6;
	wait_for(&seen, 1);
	return 0;
}

TEST(arguments_are_evaluated_in_the_caller)
{
	EXPECT_EQ(0, ringo_run(args_are_evaluated_main, NULL));
	EXPECT_EQ(1, seen);
}

static int later_main(void *arg)
{
	for (int i = 0; i < 100; i++)
		CHECK_EQ(0, ringo_go(take_int, 5));
	CHECK_EQ(0, LOAD(&seen));
	wait_for(&seen, 100);
	return 0;
}

TEST(with_one_P_a_goroutine_starts_after_spawn_has_returned)
{
	use_turns();
	EXPECT_EQ(0, ringo_run(later_main, NULL));
}

static void none(void)
{
	ADD(&seen, 1);
}

static void one(signed char a)
{
	CHECK_EQ(-7, a);
	ADD(&seen, 1);
}

static void two(unsigned short a, short b)
{
	CHECK_EQ(65535, a);
	CHECK_EQ(-32768, b);
	ADD(&seen, 1);
}

static void three(unsigned char a, bool b, int64_t c)
{
	CHECK_EQ(200, a);
	CHECK_EQ(true, b);
	CHECK_EQ(INT64_MIN, c);
	ADD(&seen, 1);
}

static void four(int *a, const char *b, size_t c, unsigned d)
{
	CHECK(a == &value);
	CHECK(!strcmp(b, "text"));
	CHECK_EQ(4, c);
	CHECK_EQ(4000000000u, d);
	ADD(&seen, 1);
}

enum colour { RED = 3 };

static void five(char a, enum colour b, long c, unsigned long d, int e)
{
	CHECK_EQ('x', a);
	CHECK_EQ(RED, b);
	CHECK_EQ(-1, c);
	CHECK(d == ULONG_MAX);
	CHECK_EQ(-2, e);
	ADD(&seen, 1);
}

static void six(long a, long b, long c, long d, long e, long f)
{
	CHECK_EQ(123456, a * 100000 + b * 10000 + c * 1000 + d * 100 + e * 10 + f);
	ADD(&seen, 1);
}

static int types_main(void *arg)
{
	const char *text = "text";
	enum colour red = RED;
	unsigned char uc = 200;
	signed char sc = -7;
	unsigned short us = 65535;
	short s = -32768;
	char x = 'x';
	bool yes = true;

	CHECK_EQ(0, ringo_go(none));
	CHECK_EQ(0, ringo_go(one, sc));
	CHECK_EQ(0, ringo_go(two, us, s));
	CHECK_EQ(0, ringo_go(three, uc, yes, (int64_t)INT64_MIN));
	CHECK_EQ(0, ringo_go(four, &value, text, sizeof("text") - 1, 4000000000u));
	CHECK_EQ(0, ringo_go(five, x, red, -1l, ULONG_MAX, -2));
	CHECK_EQ(0, ringo_go(six, 1l, 2l, 3l, 4l, 5l, 6l));
	wait_for(&seen, 7);
	return 0;
}

TEST(none_to_six_arguments_of_all_integer_and_pointer_types)
{
	EXPECT_EQ(0, ringo_run(types_main, NULL));
	EXPECT_EQ(7, seen);
}

static void add(void *arg)
{
	ADD(&sum, (intptr_t)arg);
	ADD(&seen, 1);
}

static int many_main(void *arg)
{
	for (intptr_t i = 0; i < SCALE(MANY); i++)
		CHECK_EQ(0, ringo_go_fn(add, (void *)i));
	wait_for(&seen, SCALE(MANY));
	return 0;
}

TEST(each_of_many_runs_once_with_its_argument)
{
	const int64_t n = SCALE(MANY);

	EXPECT_EQ(0, ringo_run(many_main, NULL));
	EXPECT_EQ(n, seen);
	EXPECT_EQ(n * (n - 1) / 2, sum);
}

static void tree(int depth)
{
	if (depth) {
		CHECK_EQ(0, ringo_go(tree, depth - 1));
		CHECK_EQ(0, ringo_go(tree, depth - 1));
	}
	ADD(&seen, 1);
}

static int tree_main(void *arg)
{
	CHECK_EQ(0, ringo_go(tree, 11));
	wait_for(&seen, (1 << 12) - 1);
	return 0;
}

TEST(goroutines_spawn_goroutines)
{
	EXPECT_EQ(0, ringo_run(tree_main, NULL));
}

static int opt_main(void *arg)
{
	struct {
		struct ringo_go_options o;
		char tail[16];
	} newer = { .o = { .size = sizeof(newer) } };
	char name[] = "a name that is longer than the thirty-one bytes that are kept of it";
	struct ringo_go_options named = RINGO_GO_OPTIONS(.name = name);
	struct ringo_go_options o = RINGO_GO_OPTIONS(.stack_max = (size_t)1 << 20);

	CHECK_EQ(0, ringo_go_opt(NULL, add, (void *)1));
	CHECK_EQ(0, ringo_go_opt(&o, add, (void *)2));
	CHECK_EQ(0, ringo_go_opt(&named, add, (void *)3));
	memset(name, 0, sizeof(name)); /* it was copied */
	CHECK_EQ(0, ringo_go_opt(&newer.o, add, (void *)4));
	newer.tail[15] = 1;
	CHECK_EQ(-E2BIG, ringo_go_opt(&newer.o, add, NULL));
	o = RINGO_GO_OPTIONS(.flags = RINGO_GO_DAEMON | RINGO_GO_BACKGROUND);
	CHECK_EQ(0, ringo_go_opt(&o, add, (void *)5));
	o = RINGO_GO_OPTIONS(.flags = 1u << 30);
	CHECK_EQ(-EINVAL, ringo_go_opt(&o, add, NULL));
	o = RINGO_GO_OPTIONS(.stack_max = ((size_t)1 << 30) + 1);
	CHECK_EQ(-EINVAL, ringo_go_opt(&o, add, NULL));
	o = (struct ringo_go_options){ 0 };
	CHECK_EQ(-EINVAL, ringo_go_opt(&o, add, NULL));
	wait_for(&seen, 5);
	return 0;
}

TEST(options_are_used_and_bad_ones_refused)
{
	EXPECT_EQ(0, ringo_run(opt_main, NULL));
	EXPECT_EQ(15, sum);
	EXPECT_EQ(5, seen);
}

static void hold(struct ringo_chan *c)
{
	CHECK_EQ(0, ringo_chan_recv(c, NULL));
	ringo_chan_unref(c);
}

static int count_main(void *arg)
{
	struct ringo_chan *c = ringo_chan_new(0, 0);

	CHECK_EQ(1, ringo_num_goroutines());
	for (int i = 0; i < 100; i++)
		CHECK_EQ(0, ringo_go(hold, ringo_chan_ref(c)));
	CHECK_EQ(101, ringo_num_goroutines());
	CHECK_EQ(0, ringo_chan_close(c));
	while (ringo_num_goroutines() != 1)
		ringo_yield();
	ringo_chan_unref(c);
	return 0;
}

TEST(live_goroutines_are_counted)
{
	EXPECT_EQ(0, ringo_num_goroutines());
	EXPECT_EQ(0, ringo_run(count_main, NULL));
	EXPECT_EQ(0, ringo_num_goroutines());
}

TEST(without_a_runtime_spawning_says_so)
{
	EXPECT_EQ(-ESRCH, ringo_go_fn(add, NULL));
	EXPECT_EQ(-ESRCH, ringo_go(none));
	EXPECT_EQ(-ESRCH, ringo_go_opt(NULL, add, NULL));
}

static int descriptors_main(void *arg)
{
	for (int round = 0; round < 50; round++) {
		STORE(&seen, 0);
		for (intptr_t i = 0; i < 1000; i++)
			CHECK_EQ(0, ringo_go_fn(add, NULL));
		wait_for(&seen, 1000);
	}
	return 0;
}

TEST(descriptors_and_stacks_of_dead_goroutines_are_used_again)
{
	long before;

	EXPECT_EQ(0, ringo_run(descriptors_main, NULL));
	before = status_of("VmHWM");
	EXPECT_EQ(0, ringo_run(descriptors_main, NULL));
	EXPECT_EQ(0, ringo_run(descriptors_main, NULL));
	if (!SANITIZED)
		EXPECT_LT(status_of("VmHWM"), before + 16384);
}

TEST_HARNESS_MAIN
