// SPDX-License-Identifier: MIT
/* Panics that nobody contains: what is run before, what is said, how it ends. Go's meaning. */
#include <ringo/stats.h>
#include <sys/resource.h>

#include "help.h"

static void tell(const char *what)
{
	dprintf(STDERR_FILENO, "%s\n", what);
}

static void panic(const char *message)
{
	ringo_panic("%s", message);
}

/* The goroutine of each test; main waits for it. */
static void (*the_fn)(void);

static int go_main(void *arg)
{
	struct ringo_go_options o = RINGO_GO_OPTIONS(.name = "the culprit");

	CHECK_EQ(0, ringo_go_opt(&o, (void (*)(void *))(void *)the_fn, NULL));
	CHECK_EQ(0, ringo_sleep(100 * RINGO_SEC));
	return 0;
}

static void run_it(void)
{
	struct rlimit none = { 0 };

	setrlimit(RLIMIT_CORE, &none);
	_exit(ringo_run(go_main, NULL));
}

static void ends(struct outcome *o, void (*fn)(void))
{
	the_fn = fn;
	in_child(o, run_it);
}

static bool panicked(const struct outcome *o, const char *how)
{
	if (!aborted(o))
		fprintf(stderr, "# status %#x: %s\n", o->status, o->err);
	return aborted(o) && said(o, how);
}

static __attribute__((noinline)) void the_place(void)
{
	ringo_panic("hello %d", 5);
}

static __attribute__((noinline)) void the_caller(void)
{
	ringo_defer(tell, (const char *)"deferred");
	the_place();
}

TEST(it_runs_what_was_deferred_then_names_the_goroutine_and_aborts)
{
	struct outcome o;

	NEEDS_ABORT();
	ends(&o, the_caller);
	EXPECT_TRUE(panicked(&o, "deferred\npanic: hello 5\n"));
	EXPECT_TRUE(said(&o, ".1 [running] the culprit: the_caller, started by go_main\n"));
	EXPECT_TRUE(said(&o, "#0 "));
	EXPECT_TRUE(said(&o, " the_place\n"));
	EXPECT_TRUE(said(&o, " the_caller\n"));
	EXPECT_EQ(NULL, strstr(o.err, "rg_panic")); /* it begins with the program's own */
	EXPECT_EQ(NULL, strstr(o.err, "ringo_panic"));
}

static int main_panics(void *arg)
{
	the_caller();
	return 0;
}

static void run_main_panics(void)
{
	ringo_run(main_panics, NULL);
}

TEST(main_may_panic)
{
	struct outcome o;

	NEEDS_ABORT();
	in_child(&o, run_main_panics);
	EXPECT_TRUE(panicked(&o, "deferred\npanic: hello 5\n"));
	EXPECT_TRUE(said(&o, "\ngoroutine 1.1 [running]: main_panics, started by ringo_run\n"));
}

TEST(outside_a_goroutine_it_says_the_message)
{
	struct outcome o;

	NEEDS_ABORT();
	in_child(&o, the_caller);
	EXPECT_TRUE(panicked(&o, "panic: hello 5\n"));
}

static void wraps(void *arg)
{
	struct ringo_panic_info p;

	CHECK_EQ(1, ringo_try((void (*)(void *))(void *)panic, "bad", &p));
	ringo_panic("wrap: %.*s", 100, p.message);
}

static void recursive_1(void)
{
	struct ringo_panic_info p;

	CHECK_EQ(1, ringo_try(wraps, NULL, &p));
	tell(p.message);
	ringo_panic("again");
}

TEST(recursive_panic_1)
{
	struct outcome o;

	NEEDS_ABORT();
	ends(&o, recursive_1);
	EXPECT_TRUE(panicked(&o, "wrap: bad\npanic: again\n\ngoroutine"));
}

static void first_then_second(void *arg)
{
	struct ringo_panic_info p;

	ringo_defer(panic, (const char *)"second panic");
	CHECK_EQ(1, ringo_try((void (*)(void *))(void *)panic, "first panic", &p));
	tell(p.message);
}

static void recursive_2(void)
{
	struct ringo_panic_info p;

	CHECK_EQ(1, ringo_try(first_then_second, NULL, &p));
	tell(p.message);
	ringo_panic("third panic");
}

TEST(recursive_panic_2)
{
	struct outcome o;

	NEEDS_ABORT();
	ends(&o, recursive_2);
	EXPECT_TRUE(panicked(&o, "first panic\nsecond panic\npanic: third panic\n\ngoroutine"));
}

static void contains_second(void)
{
	CHECK_EQ(1, ringo_try((void (*)(void *))(void *)panic, "second panic", NULL));
}

static void recursive_3(void)
{
	ringo_defer(contains_second);
	ringo_panic("first panic");
}

TEST(recursive_panic_3)
{
	struct outcome o;

	NEEDS_ABORT();
	ends(&o, recursive_3);
	EXPECT_TRUE(panicked(&o, "panic: first panic\n\ngoroutine"));
}

static void recursive_4(void)
{
	ringo_defer(panic, (const char *)"second panic");
	ringo_panic("first panic");
}

TEST(double_panic_reports_both)
{
	struct outcome o;

	NEEDS_ABORT();
	ends(&o, recursive_4);
	EXPECT_TRUE(panicked(&o, "panic: first panic\n\tpanic: second panic\n\ngoroutine"));
	/* As in Go's PanicTraceback, the frames of both are there. */
	EXPECT_TRUE(said(&o, " panic\n"));
	EXPECT_TRUE(said(&o, " recursive_4\n"));
}

static void triple(void)
{
	ringo_defer(panic, (const char *)"3");
	ringo_defer(tell, (const char *)"between");
	ringo_defer(panic, (const char *)"2");
	ringo_panic("1");
}

TEST(each_defer_runs_once_through_three_panics)
{
	struct outcome o;

	NEEDS_ABORT();
	ends(&o, triple);
	EXPECT_TRUE(panicked(&o, "between\npanic: 1\n\tpanic: 2\n\tpanic: 3\n\ngoroutine"));
}

static void exit_then_panic(void)
{
	ringo_defer(panic, (const char *)"hello");
	ringo_exit();
}

TEST(panic_after_exit_is_reported)
{
	struct outcome o;

	NEEDS_ABORT();
	ends(&o, exit_then_panic);
	EXPECT_TRUE(panicked(&o, "panic: hello\n\ngoroutine"));
}

/* The panic comes upon an exit within the ringo_try, and goes on past what contains it. */
static void exit_then_panic_in_try(void *arg)
{
	exit_then_panic();
}

static void outer_panic(void)
{
	ringo_defer(panic, (const char *)"outer");
	ringo_try(exit_then_panic_in_try, NULL, NULL);
	tell("not reached");
}

TEST(an_exit_goes_on_after_a_contained_panic_and_older_defers_may_panic)
{
	struct outcome o;

	NEEDS_ABORT();
	ends(&o, outer_panic);
	EXPECT_TRUE(panicked(&o, "panic: outer\n\ngoroutine"));
	EXPECT_EQ(NULL, strstr(o.err, "not reached"));
}

static void exits(void *arg)
{
	ringo_exit();
}

static void panic_behind_exit(void)
{
	ringo_defer(panic, (const char *)"behind");
	ringo_try(exits, NULL, NULL);
}

TEST(a_ringo_try_that_an_exit_has_passed_contains_nothing_more)
{
	struct outcome o;

	NEEDS_ABORT();
	ends(&o, panic_behind_exit);
	EXPECT_TRUE(panicked(&o, "panic: behind\n\ngoroutine"));
}

static void waits(void)
{
	CHECK_EQ(0, ringo_sleep(5 * RINGO_MS));
	ringo_yield();
	tell("waited");
}

static void panics_and_waits(void)
{
	ringo_deadline_set(1);
	ringo_defer(waits);
	ringo_panic("patience");
}

/* Go: GoschedInPanic, SyscallInPanic */
TEST(what_is_deferred_may_wait)
{
	struct outcome o;

	NEEDS_ABORT();
	ends(&o, panics_and_waits);
	EXPECT_TRUE(panicked(&o, "waited\npanic: patience\n"));
}

static void many(void)
{
	for (int i = 0; i < 50; i++)
		CHECK_EQ(0, ringo_go(panic, (const char *)"one of many"));
}

TEST(many_panic_and_one_report_is_written)
{
	struct outcome o;
	char *first;

	NEEDS_ABORT();
	use_procs(4);
	ends(&o, many);
	EXPECT_TRUE(panicked(&o, "panic: one of many\n"));
	first = strstr(o.err, "panic: ");
	ASSERT_NE(NULL, first);
	EXPECT_EQ(NULL, strstr(first + 1, "panic: "));
}

static __attribute__((noinline)) int recursion(volatile int *n)
{
	if (--*n > 0)
		return recursion(n) + *n;
	if (*n == 0)
		ringo_panic("at the bottom");
	return 0;
}

static void recurses(void)
{
	volatile int n = 150;

	recursion(&n);
}

TEST(the_middle_of_a_long_backtrace_is_left_out)
{
	struct outcome o;

	NEEDS_ABORT();
	ends(&o, recurses);
	EXPECT_TRUE(panicked(&o, "panic: at the bottom\n"));
	EXPECT_TRUE(said(&o, " frames ..."));
	EXPECT_TRUE(said(&o, " recurses\n"));
}

TEST_HARNESS_MAIN
