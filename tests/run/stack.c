// SPDX-License-Identifier: MIT
/* Stacks in use: depth up to the limit, and the report when it is not enough. */
#include <fcntl.h>
#include <ringo/stats.h>

#include "help.h"

#define KB ((size_t)1 << 10)
#define MB ((size_t)1 << 20)

static int seen;

/* About 1 KB a level. */
static __attribute__((noinline)) int go_deep_into_it(int depth)
{
	volatile char room[900];

	room[0] = (char)depth;
	room[899] = (char)depth;
	__asm__ volatile("" :: "r"(room)); /* all of it, for clang */
	if (depth > 0)
		return go_deep_into_it(depth - 1) + room[0] - room[899] + 1;
	return 0;
}

static void deep(int levels)
{
	CHECK_EQ(levels, go_deep_into_it(levels));
	ADD(&seen, 1);
}

static void deep_entry(void *arg)
{
	deep((int)(intptr_t)arg);
}

static int depths_main(void *arg)
{
	static const size_t limits[] = { 64 * KB, 256 * KB, MB, 4 * MB, 16 * MB, 64 * MB, 256 * MB };
	int n = 0;

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct ringo_go_options o = RINGO_GO_OPTIONS(.stack_max = limits[i]);
		/* A sanitizer's frames are larger. */
		intptr_t levels = (intptr_t)(limits[i] / KB) * (SANITIZED ? 50 : 90) / 100;

		CHECK_EQ(0, ringo_go_opt(&o, deep_entry, (void *)levels));
		n++;
		while (LOAD(&seen) < n)
			CHECK_EQ(0, ringo_sleep(RINGO_MS));
	}
	return 0;
}

TEST(recursion_works_up_to_the_limit)
{
#ifdef RG_TSAN
	SKIP(return, "ThreadSanitizer's own call stack is limited; run the plain build");
#endif
	EXPECT_EQ(0, ringo_run(depths_main, NULL));
}

static int default_main(void *arg)
{
	CHECK_EQ(0, ringo_go(deep, (int)(intptr_t)arg));
	while (!LOAD(&seen))
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	return 0;
}

TEST(the_default_limit_can_be_set)
{
	EXPECT_EQ(0, ringo_run_opt(default_main, (void *)500, &RINGO_OPTIONS(.stack_max = MB)));
	STORE(&seen, 0);
	setenv("RINGO_STACK", "2m", 1);
	EXPECT_EQ(0, ringo_run(default_main, (void *)900));
}

static int main_is_deep(void *arg)
{
	return go_deep_into_it(4000) == 4000 ? 5 : 6;
}

TEST(main_has_a_stack_as_large_as_a_process)
{
	EXPECT_EQ(5, ringo_run(main_is_deep, NULL));
}

static int overflow_main(void *arg)
{
	struct ringo_go_options o = RINGO_GO_OPTIONS(.stack_max = 256 * KB, .name = "the culprit");

	CHECK_EQ(0, ringo_go_opt(&o, deep_entry, (void *)100000));
	for (;;)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	return 0;
}

static void overflow(void)
{
	ringo_run(overflow_main, NULL);
}

#define NEEDS_PLAIN() \
	do { \
		if (SANITIZED) \
			SKIP(return, "a child of so many goroutines or frames needs the plain build"); \
	} while (0)

static bool reported(const struct outcome *o, const char *limit)
{
	if (!aborted(o))
		fprintf(stderr, "# status %#x: %s\n", o->status, o->err);
	return aborted(o) && said(o, "panic: stack overflow: the limit is ") && said(o, limit) &&
	       said(o, "[signal SIGSEGV") && said(o, "deep_entry, started by ") &&
	       said(o, "#0 ") && said(o, " go_deep_into_it") && said(o, " frames ...\n");
}

TEST(an_overflow_names_goroutine_function_limit_and_backtrace)
{
	struct outcome o;

	NEEDS_PLAIN();
	in_child(&o, overflow);
	EXPECT_TRUE(reported(&o, "262144 bytes"));
	EXPECT_TRUE(said(&o, "the culprit"));
}

TEST(an_overflow_is_reported_with_mprotect_guards)
{
	struct outcome o;

	NEEDS_PLAIN();
	setenv("RINGO_GUARD", "mprotect", 1);
	in_child(&o, overflow);
	EXPECT_TRUE(reported(&o, "262144 bytes"));
}

static struct ringo_chan *never;

static void parks(void)
{
	ADD(&seen, 1);
	(void)!ringo_chan_recv(never, NULL);
}

static int crowd_main(void *arg)
{
	const int n = 100000;

	never = ringo_chan_new(0, 0);
	for (int i = 0; i < n; i++)
		CHECK_EQ(0, ringo_go(parks));
	while (LOAD(&seen) < n)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK_EQ(0, ringo_go_fn(deep_entry, (void *)100000));
	for (;;)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	return 0;
}

static void crowd(void)
{
	ringo_run(crowd_main, NULL);
}

static int guard_main(void *arg)
{
	struct ringo_stats s = { .size = sizeof(s) };

	CHECK_EQ(0, ringo_stats_get(&s));
	return (int)s.guard;
}

/* Any number of stacks is guarded. */
static bool have_any_number(void)
{
	const int guard = ringo_run(guard_main, NULL);

	return guard == RINGO_GUARD_MARKER || guard == RINGO_GUARD_KMOD;
}

TEST(an_overflow_among_a_hundred_thousand_is_reported)
{
	struct outcome o;

	NEEDS_PLAIN();
	if (!have_any_number())
		SKIP(return, "no guard markers: needs kernel 6.13, or the kernel module");
	in_child(&o, crowd);
	EXPECT_TRUE(reported(&o, "65536 bytes"));
}

TEST(the_kind_of_guard_is_shown)
{
	setenv("RINGO_GUARD", "mprotect", 1);
	EXPECT_EQ(RINGO_GUARD_MPROTECT, ringo_run(guard_main, NULL));
	EXPECT_EQ(RINGO_GUARD_CANARY,
		  ringo_run_opt(guard_main, NULL, &RINGO_OPTIONS(.flags = RINGO_RUN_CANARY)));
}

static int spawned;

/* Where nothing faults, the overflow is noticed when the goroutine gives way. */
static __attribute__((noinline)) int parks_too_deep_down(int depth)
{
	volatile char room[900];

	room[0] = (char)depth;
	room[899] = (char)depth;
	__asm__ volatile("" :: "r"(room)); /* all of it, for clang */
	if (depth > 0)
		return parks_too_deep_down(depth - 1) + room[0] - room[899];
	return ringo_sleep(RINGO_MS);
}

static void parks_too_deep(int depth)
{
	CHECK_EQ(0, parks_too_deep_down(depth));
}

static int limit_main(void *arg)
{
	int res;

	never = ringo_chan_new(0, 0);
	for (spawned = 0; spawned < 100000; spawned++) {
		res = ringo_go(parks);
		if (res)
			break;
		if (spawned % 64 == 0)
			ringo_yield();
	}
	if (arg) {
		CHECK_EQ(0, res);
		while (LOAD(&seen) < spawned)
			CHECK_EQ(0, ringo_sleep(RINGO_MS));
		CHECK_EQ(0, ringo_go(parks_too_deep, 100));
		for (;;)
			CHECK_EQ(0, ringo_sleep(RINGO_MS));
	}
	CHECK_EQ(-EAGAIN, res);
	while (LOAD(&seen) < spawned) /* those that were spawned have their guards and run */
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK_EQ(-EAGAIN, ringo_go(parks));
	CHECK_EQ(0, ringo_chan_close(never));
	while (ringo_num_goroutines() > 1)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK_EQ(0, ringo_go(parks)); /* there is room again */
	return 0;
}

static void at_limit(void)
{
	if (ringo_run(limit_main, NULL) || spawned < 1000)
		_exit(1);
}

TEST(beyond_what_mprotect_can_guard_spawning_fails)
{
	struct outcome o;

	NEEDS_PLAIN();
	setenv("RINGO_GUARD", "mprotect", 1);
	in_child(&o, at_limit);
	EXPECT_EQ(0, o.status);
	EXPECT_TRUE(said(&o, "no more than"));
	EXPECT_TRUE(said(&o, "vm.max_map_count"));
}

static void canary(void)
{
	ringo_run_opt(limit_main, (void *)1, &RINGO_OPTIONS(.flags = RINGO_RUN_CANARY));
}

TEST(with_canaries_spawning_goes_on_and_an_overflow_is_reported)
{
	struct outcome o;

	NEEDS_PLAIN();
	setenv("RINGO_GUARD", "mprotect", 1);
	in_child(&o, canary);
	EXPECT_TRUE(aborted(&o));
	EXPECT_TRUE(said(&o, "ringo: stack overflow in goroutine "));
}

/* ---- contained ---- */

static void add(int n)
{
	ADD(&seen, n);
}

static void overflows(void *arg)
{
	ringo_defer(add, 1);
	deep(100000);
}

static void works(void *arg)
{
	ringo_defer(add, 10);
	CHECK_EQ(30, go_deep_into_it(30));
	CHECK_EQ(0, ringo_sleep(RINGO_MS)); /* on the spare stack */
	CHECK_EQ(0, ringo_try(deep_entry, (void *)20, NULL));
}

static void works_after(void *arg)
{
	ringo_defer(works, NULL);
	overflows(arg);
}

static void overflows_twice(void *arg)
{
	ringo_defer(overflows, NULL);
	works_after(arg);
}

static void contains_inside(void *arg)
{
	CHECK_EQ(1, ringo_try(overflows_twice, NULL, NULL));
	CHECK_EQ(1, ringo_try(overflows, NULL, NULL));
}

static void contains_on_spare(void *arg)
{
	ringo_defer(contains_inside, NULL);
	overflows(arg);
}

static void contained(void (*fn)(void *), int want)
{
	struct ringo_panic_info p;
	int here;

	STORE(&seen, 0);
	CHECK_EQ(1, ringo_try(fn, NULL, &p));
	CHECK_EQ(SIGSEGV, p.signal);
	CHECK(strstr(p.message, "stack overflow: the limit is 65536 bytes"));
	CHECK_EQ(want, LOAD(&seen));
	if (fn == overflows)
		CHECK(labs((char *)&here - (char *)p.address) < (long)(80 * KB)); /* below us, nearby */
	CHECK_EQ(40, go_deep_into_it(40));
}

static void contains(int times)
{
	for (int i = 0; i < times; i++) {
		STORE(&seen, 0);
		contained(overflows, 1);
		contained(works_after, 12);
		contained(overflows_twice, 13);
		contained(contains_on_spare, 15);
		CHECK_EQ(0, ringo_sleep(i % 3));
	}
	STORE(&spawned, -1);
}

static int contains_main(void *arg)
{
	int maps;

	spawned = 0;
	CHECK_EQ(0, ringo_go(contains, 1));
	while (!LOAD(&spawned))
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	maps = count_maps();
	spawned = 0;
	CHECK_EQ(0, ringo_go(contains, 20));
	while (!LOAD(&spawned))
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	if (!SANITIZED) /* they map what they like */
		CHECK(count_maps() <= maps + 8); /* no stack is left behind */
	return 0;
}

/* For those that count mappings: an M that steps in has some, too. */
static void no_ms_come(void)
{
	setenv("RINGO_PREEMPT", "off", 1);
}

TEST(an_overflow_is_contained_and_its_defers_have_a_stack)
{
	no_ms_come();
	EXPECT_EQ(0, ringo_run(contains_main, NULL));
}

TEST(an_overflow_is_contained_with_mprotect_guards)
{
	setenv("RINGO_GUARD", "mprotect", 1);
	no_ms_come();
	EXPECT_EQ(0, ringo_run(contains_main, NULL));
}

static void exits(void)
{
	ringo_exit();
}

static void exits_on_spare(void)
{
	ringo_defer(add, 1);
	{
		ringo_defer(exits);
		deep(100000);
	}
}

static int exits_main(void *arg)
{
	int n = SCALE(100), maps = count_maps();

	seen = 0;
	for (int i = 0; i < n; i++) {
		CHECK_EQ(0, ringo_go(exits_on_spare));
		CHECK_EQ(0, ringo_go(deep, 20));
	}
	while (ringo_num_goroutines() > 1)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK_EQ(2 * n, LOAD(&seen));
	if (!SANITIZED)
		CHECK(count_maps() < maps + 8);
	return 0;
}

TEST(a_goroutine_may_exit_in_the_middle_of_an_overflow)
{
	no_ms_come();
	EXPECT_EQ(0, ringo_run(exits_main, NULL));
}

static void stays(void)
{
	add(1);
	CHECK_EQ(0, ringo_sleep(1000 * RINGO_SEC));
}

static void stays_on_spare(void)
{
	ringo_defer(stays);
	deep(100000);
}

/* sysmon trims stacks of those that wait; these stand elsewhere. */
static int stays_main(void *arg)
{
	int n = 40, dev_null = open("/dev/null", O_WRONLY);

	seen = 0;
	for (int i = 0; i < n; i++)
		CHECK_EQ(0, ringo_go(stays_on_spare));
	while (LOAD(&seen) < n)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK_EQ(0, ringo_sleep(600 * RINGO_MS));
	CHECK_EQ(n, LOAD(&seen));
	CHECK_EQ(0, ringo_dump(dev_null, RINGO_DUMP_FULL)); /* unwinds them all */
	close(dev_null);
	return 6;
}

TEST(the_run_can_end_in_the_middle_of_overflows)
{
	EXPECT_EQ(6, ringo_run(stays_main, NULL));
	EXPECT_EQ(6, ringo_run(stays_main, NULL));
}

static int defer_overflows_main(void *arg)
{
	ringo_defer(overflows, NULL);
	go_deep_into_it(100000);
	return 0;
}

static void defer_overflows(void)
{
	ringo_run(defer_overflows_main, NULL);
}

TEST(an_overflow_in_a_defer_of_an_overflow_is_reported)
{
	struct outcome o;

	NEEDS_PLAIN();
	in_child(&o, defer_overflows);
	EXPECT_TRUE(aborted(&o));
	EXPECT_TRUE(said(&o, "panic: stack overflow: the limit is "));
	EXPECT_TRUE(said(&o, "\tpanic: stack overflow: the limit is "));
}

TEST_HARNESS_MAIN
