// SPDX-License-Identifier: MIT
/* Options of a run, the environment, and what a bad one gets. */
#include <ringo/stats.h>

#include "help.h"

static int procs_main(void *arg)
{
	return ringo_maxprocs(0);
}

static int none_main(void *arg)
{
	return 0;
}

static int run_with(struct ringo_options o)
{
	o.size = sizeof(o);
	return ringo_run_opt(none_main, NULL, &o);
}

TEST(procs_come_from_options_and_from_the_environment)
{
	unsetenv("RINGO_PROCS");
	EXPECT_EQ(3, ringo_run_opt(procs_main, NULL, &RINGO_OPTIONS(.procs = 3)));
	EXPECT_EQ(ringo_num_cpu(), ringo_run(procs_main, NULL));
	use_procs(2);
	EXPECT_EQ(2, ringo_run_opt(procs_main, NULL, &RINGO_OPTIONS(.procs = 3)));
	setenv("RINGO_PROCS", "", 1);
	EXPECT_EQ(3, ringo_run_opt(procs_main, NULL, &RINGO_OPTIONS(.procs = 3)));
}

TEST(options_out_of_range_are_refused)
{
	unsetenv("RINGO_PROCS");
	EXPECT_EQ(-EINVAL, run_with((struct ringo_options){ .procs = 1025 }));
	EXPECT_EQ(-EINVAL, run_with((struct ringo_options){ .quantum_ns = -1 }));
	EXPECT_EQ(-EINVAL, run_with((struct ringo_options){ .shutdown_ns = -1 }));
	EXPECT_EQ(-EINVAL, run_with((struct ringo_options){ .stack_max = ((size_t)1 << 30) + 1 }));
	EXPECT_EQ(-EINVAL, run_with((struct ringo_options){ .preempt = (enum ringo_preempt)99 }));
	EXPECT_EQ(-EINVAL, run_with((struct ringo_options){ .backend = (enum ringo_backend)99 }));
	EXPECT_EQ(-EINVAL, run_with((struct ringo_options){ .flags = 1u << 20 }));
	EXPECT_EQ(-EINVAL, ringo_run(NULL, NULL));
	EXPECT_EQ(0, run_with((struct ringo_options){ .procs = 1 }));
}

TEST(reserved_options_are_not_supported)
{
	EXPECT_EQ(-ENOTSUP, run_with((struct ringo_options){ .flags = RINGO_RUN_SQPOLL }));
	EXPECT_EQ(-ENOTSUP, run_with((struct ringo_options){ .flags = RINGO_RUN_DIRECT }));
}

TEST(the_size_of_options_is_judged)
{
	struct {
		struct ringo_options o;
		char tail[8];
	} newer = { .o = { .size = sizeof(newer) } };
	struct ringo_options o = { 0 };

	EXPECT_EQ(-EINVAL, ringo_run_opt(none_main, NULL, &o));
	EXPECT_EQ(0, ringo_run_opt(none_main, NULL, &newer.o));
	newer.tail[7] = 1;
	EXPECT_EQ(-E2BIG, ringo_run_opt(none_main, NULL, &newer.o));
	EXPECT_EQ(0, ringo_run_opt(none_main, NULL, NULL));
}

static void run_and_report(void)
{
	_exit(-ringo_run(none_main, NULL));
}

static bool refused(const char *name, const char *value)
{
	struct outcome o;

	setenv(name, value, 1);
	in_child(&o, run_and_report);
	unsetenv(name);
	return WIFEXITED(o.status) && WEXITSTATUS(o.status) == EINVAL && said(&o, "ringo: ") &&
	       said(&o, name) && said(&o, value);
}

TEST(bad_values_in_the_environment_are_refused_with_a_message)
{
	unsetenv("RINGO_PROCS");
	EXPECT_TRUE(refused("RINGO_PROCS", "none"));
	EXPECT_TRUE(refused("RINGO_PROCS", "0"));
	EXPECT_TRUE(refused("RINGO_PROCS", "-1"));
	EXPECT_TRUE(refused("RINGO_PROCS", "1025"));
	EXPECT_TRUE(refused("RINGO_PROCS", "2x"));
	EXPECT_TRUE(refused("RINGO_STACK", "2g"));
	EXPECT_TRUE(refused("RINGO_STACK", "many"));
	EXPECT_TRUE(refused("RINGO_STACK", "64kb"));
	EXPECT_TRUE(refused("RINGO_BACKEND", "poll"));
}

TEST(good_values_in_the_environment_are_taken)
{
	setenv("RINGO_STACK", "1m", 1);
	setenv("RINGO_BACKEND", "auto", 1);
	EXPECT_EQ(0, ringo_run(none_main, NULL));
	setenv("RINGO_STACK", "65536", 1);
	EXPECT_EQ(0, ringo_run(none_main, NULL));
}

static int stats_main(void *arg)
{
	struct ringo_stats s = { .size = sizeof(s) };

	CHECK_EQ(0, ringo_stats_get(&s));
	CHECK_EQ(1, s.goroutines);
	CHECK_EQ(1, s.running);
	CHECK_EQ(3, s.procs);
	CHECK_EQ(0, s.waiting);
	CHECK(s.goroutine_limit >= 1000);
	CHECK(s.backend[0]);
	s.size = 0;
	CHECK_EQ(-EINVAL, ringo_stats_get(&s));
	return 0;
}

TEST(stats_show_what_runs)
{
	struct ringo_stats s = { .size = sizeof(s) };

	EXPECT_EQ(-ESRCH, ringo_stats_get(&s));
	use_procs(3);
	EXPECT_EQ(0, ringo_run(stats_main, NULL));
}

TEST_HARNESS_MAIN
