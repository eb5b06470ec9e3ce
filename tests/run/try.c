// SPDX-License-Identifier: MIT
/* ringo_try: what it contains, what it restores, and what passes through. */
#include "help.h"

static int seen;

static void add(int n)
{
	ADD(&seen, n);
}

static void fine(void *arg)
{
	add(*(int *)arg);
}

static void panics(void *arg)
{
	ringo_defer(add, 1);
	ringo_panic("no %s: %d", (const char *)arg, 42);
}

static void deep(void *arg)
{
	int depth = (int)(intptr_t)arg;
	char room[100];

	ringo_defer(add, 1);
	memset(room, depth, sizeof(room));
	__asm__ volatile("" :: "r"(room) : "memory");
	if (!depth)
		ringo_panic("deep");
	if (depth > 0)
		deep((void *)(intptr_t)(depth - 1));
}

static int simple_main(void *arg)
{
	struct ringo_panic_info p = { .signal = 1, .address = &p };
	int two = 2;

	CHECK_EQ(0, ringo_try(fine, &two, &p));
	CHECK_EQ(1, p.signal);
	CHECK_EQ(1, ringo_try(panics, "luck", &p));
	CHECK(!strcmp(p.message, "no luck: 42"));
	CHECK_EQ(0, p.signal);
	CHECK_EQ(0, (uintptr_t)p.address);
	CHECK_EQ(3, seen);
	CHECK_EQ(1, ringo_try(panics, "luck", NULL));
	seen = 0;
	for (int i = 0; i < 100; i++) {
		CHECK_EQ(1, ringo_try(deep, (void *)(intptr_t)20, &p));
		CHECK(!strcmp(p.message, "deep"));
	}
	CHECK_EQ(2100, seen);
	return 0;
}

TEST(a_panic_is_contained_with_its_message)
{
	EXPECT_EQ(0, ringo_run(simple_main, NULL));
}

static void long_message(void *arg)
{
	ringo_panic("%0500d", 1);
}

static int long_main(void *arg)
{
	struct ringo_panic_info p;

	CHECK_EQ(1, ringo_try(long_message, NULL, &p));
	CHECK_EQ(sizeof(p.message) - 1, strlen(p.message));
	return 0;
}

TEST(a_long_message_is_cut)
{
	EXPECT_EQ(0, ringo_run(long_main, NULL));
}

static void inner(void *arg)
{
	struct ringo_panic_info p;

	ringo_defer(add, 100);
	CHECK_EQ(1, ringo_try(panics, "inner", &p));
	CHECK(!strcmp(p.message, "no inner: 42"));
	CHECK_EQ(1, seen);
	if (arg)
		ringo_panic("outer");
}

static int nested_main(void *arg)
{
	struct ringo_panic_info p;

	ringo_defer(add, 1000);
	CHECK_EQ(0, ringo_try(inner, NULL, &p));
	CHECK_EQ(101, seen);
	seen = 0;
	CHECK_EQ(1, ringo_try(inner, &p, &p));
	CHECK(!strcmp(p.message, "outer"));
	CHECK_EQ(101, seen);
	return 0;
}

TEST(they_nest)
{
	seen = 0;
	EXPECT_EQ(0, ringo_run(nested_main, NULL));
	EXPECT_EQ(1101, seen);
}

static int64_t deadline(void)
{
	int64_t d = ringo_deadline_set(0);

	ringo_deadline_set(d);
	return d;
}

static void disturbs(void *arg)
{
	ringo_deadline_set(77);
	ringo_ctx_unref(ringo_ctx_enter(arg));
	CHECK_EQ((uintptr_t)arg, (uintptr_t)ringo_ctx_current());
	ringo_errno = EXDEV;
	(void)!ringo_sleep(RINGO_MS);
	ringo_panic("disturbed");
}

static void disturbs_in_defer(void *arg)
{
	ringo_defer(disturbs, arg);
	ringo_panic("not seen");
}

static int restore_main(void *arg)
{
	struct ringo_ctx *ctx = ringo_ctx_with_cancel(NULL), *other = ringo_ctx_with_cancel(NULL);
	void (*const fns[])(void *) = { disturbs, disturbs_in_defer };

	ringo_ctx_unref(ringo_ctx_enter(ctx));
	for (int i = 0; i < 20; i++) {
		int64_t until = i % 4 < 2 ? 0 : ringo_now() + 100 * RINGO_SEC;

		ringo_deadline_set(until);
		ringo_errno = ENOTTY;
		CHECK_EQ(1, ringo_try(fns[i % 2], other, NULL));
		CHECK_EQ(ENOTTY, ringo_errno);
		CHECK_EQ(until, deadline());
		CHECK_EQ((uintptr_t)ctx, (uintptr_t)ringo_ctx_current());
		CHECK_EQ(0, ringo_sleep(i % 3));
	}
	ringo_ctx_cancel(other, 0);
	CHECK_EQ(0, ringo_sleep(RINGO_MS));
	ringo_ctx_cancel(ctx, 0);
	CHECK_EQ(-ECANCELED, ringo_sleep(RINGO_MS));
	CHECK_EQ(1, ringo_try(disturbs_in_defer, other, NULL));
	CHECK_EQ(-ECANCELED, ringo_sleep(RINGO_MS));
	ringo_ctx_unref(ctx);
	ringo_ctx_unref(other);
	return 0;
}

TEST(errno_deadline_and_context_are_those_of_the_call)
{
	EXPECT_EQ(0, ringo_run(restore_main, NULL));
}

static struct ringo_chan *hops;
static int contained;

static void hops_and_panics(void *arg)
{
	int n = 0;

	ringo_defer(add, 1);
	for (int i = 0; i < 20; i++) {
		CHECK_EQ(0, ringo_chan_send(hops, &i));
		CHECK_EQ(1, ringo_chan_recv(hops, &n));
		if (i % 7 == 0)
			ringo_yield();
	}
	ringo_panic("%p", arg);
}

static void hopper(int times)
{
	struct ringo_panic_info p;
	char want[40];

	for (int i = 0; i < times; i++) {
		snprintf(want, sizeof(want), "%p", (void *)(uintptr_t)(i + 1));
		CHECK_EQ(1, ringo_try(hops_and_panics, (void *)(uintptr_t)(i + 1), &p));
		CHECK(!strcmp(p.message, want));
		ADD(&contained, 1);
	}
}

static int hops_main(void *arg)
{
	const int gs = 16, times = SCALE(300);

	seen = contained = 0;
	hops = ringo_chan_new(sizeof(int), 3);
	for (int i = 0; i < gs; i++)
		CHECK_EQ(0, ringo_go(hopper, times));
	while (ringo_num_goroutines() > 1)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK_EQ(gs * times, LOAD(&contained));
	CHECK_EQ(gs * times, LOAD(&seen));
	ringo_chan_unref(hops);
	return 0;
}

TEST(a_panic_is_contained_on_another_thread)
{
	EXPECT_EQ(0, ringo_run(hops_main, NULL));
	use_procs(4);
	EXPECT_EQ(0, ringo_run(hops_main, NULL));
}

static void exits(void *arg)
{
	ringo_defer(add, 10);
	ringo_exit();
}

static void tries_exit(void)
{
	ringo_defer(add, 100);
	ringo_try(exits, NULL, NULL);
	add(1);
}

static void panics_in_exit(void *arg)
{
	ringo_defer(panics, (void *)"exit");
	ringo_defer(add, 10);
	ringo_exit();
}

/* Go: RecoverBeforePanicAfterGoexit */
static void tries_panic_in_exit(void)
{
	ringo_defer(add, 100);
	ringo_try(panics_in_exit, NULL, NULL);
	add(1);
}

static void tries(void *arg)
{
	CHECK_EQ(1, ringo_try(panics, arg, NULL));
	add(5);
}

static void contains_in_exit(void)
{
	ringo_defer(add, 100);
	ringo_defer(tries, (void *)"exit");
	ringo_exit();
}

static void exits_in_panic(void *arg)
{
	ringo_defer(exits, NULL);
	ringo_panic("abandoned");
}

static void tries_exit_in_panic(void)
{
	ringo_defer(add, 100);
	ringo_try(exits_in_panic, NULL, NULL);
	add(1);
}

/* An older defer's panic: the ringo_try that the exit has passed does not contain it, the next one does. */
static void panics_behind(void *arg)
{
	ringo_defer(panics, (void *)"behind");
	ringo_try(exits, NULL, NULL);
	add(1);
}

static void passes_two(void)
{
	ringo_defer(add, 100);
	ringo_try(panics_behind, NULL, NULL);
	add(1);
}

static int after(void (*fn)(void))
{
	seen = 0;
	CHECK_EQ(0, ringo_go(fn));
	while (ringo_num_goroutines() > 1)
		ringo_yield();
	return LOAD(&seen);
}

static int exit_main(void *arg)
{
	CHECK_EQ(110, after(tries_exit));
	CHECK_EQ(111, after(tries_panic_in_exit));
	CHECK_EQ(106, after(contains_in_exit));
	CHECK_EQ(110, after(tries_exit_in_panic));
	CHECK_EQ(111, after(passes_two));
	return 0;
}

TEST(an_exit_passes_through)
{
	EXPECT_EQ(0, ringo_run(exit_main, NULL));
}

static void wraps(void *arg)
{
	struct ringo_panic_info p;

	ringo_defer(panics, (void *)"second");
	CHECK_EQ(1, ringo_try(panics, "first", &p));
	ringo_panic("wrap: %.*s", 40, p.message);
}

static int replaced_main(void *arg)
{
	struct ringo_panic_info p;

	seen = 0;
	CHECK_EQ(1, ringo_try(wraps, NULL, &p));
	CHECK(!strcmp(p.message, "no second: 42"));
	CHECK_EQ(2, seen);
	CHECK_EQ(0, ringo_try(tries, "again", &p)); /* nothing of it is left */
	return 0;
}

TEST(a_panic_in_a_defer_takes_the_place_of_the_first)
{
	EXPECT_EQ(0, ringo_run(replaced_main, NULL));
}

static void unlocks_unlocked(void *arg)
{
	ringo_mutex_unlock(arg);
}

static int misuse_main(void *arg)
{
	struct ringo_mutex m = { 0 };
	struct ringo_panic_info p;

	CHECK_EQ(1, ringo_try(unlocks_unlocked, &m, &p));
	CHECK(strstr(p.message, "unlock of an unlocked mutex"));
	CHECK_EQ(0, ringo_sleep(1));
	ringo_mutex_lock(&m);
	ringo_mutex_unlock(&m);
	return 0;
}

TEST(misuse_of_ringo_is_contained)
{
	EXPECT_EQ(0, ringo_run(misuse_main, NULL));
}

TEST(outside_a_goroutine_it_only_calls)
{
	int three = 3;

	seen = 0;
	EXPECT_EQ(0, ringo_try(fine, &three, NULL));
	EXPECT_EQ(3, seen);
}

static void stays(void *arg)
{
	ADD(&seen, 1);
	CHECK_EQ(0, ringo_sleep(1000 * RINGO_SEC));
}

static void defers_stay(void *arg)
{
	ringo_defer(stays, NULL);
	ringo_panic("waits");
}

static void stays_in_defer(void)
{
	ringo_try(defers_stay, NULL, NULL);
}

static int end_main(void *arg)
{
	seen = 0;
	for (int i = 0; i < 10; i++)
		CHECK_EQ(0, ringo_go(stays_in_defer));
	while (LOAD(&seen) < 10)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	return 3;
}

TEST(the_run_can_end_in_the_middle_of_a_panic)
{
	EXPECT_EQ(3, ringo_run(end_main, NULL));
	EXPECT_EQ(3, ringo_run(end_main, NULL));
}

TEST_HARNESS_MAIN
