// SPDX-License-Identifier: MIT
/* Stack classes and the book-keeping of slots. */
#include <ringo/stats.h>

#include "core/p.h"
#include "core/rt.h"
#include "core/stack.h"
#include "run/help.h"

enum { N = 500 };

static struct p p;
static struct g gs[N];

static size_t setup(size_t limit)
{
	memset(&p, 0, sizeof(p));
	memset(gs, 0, sizeof(gs));
	CHECK_EQ(0, rg_stack_init(&limit, false));
	return limit;
}

TEST(classes_hold_what_was_asked_for)
{
	EXPECT_EQ(0, rg_stack_class(0));
	EXPECT_EQ(0, rg_stack_class(1));
	EXPECT_EQ(0, rg_stack_class(64 << 10));
	EXPECT_EQ(1, rg_stack_class((64 << 10) + 1));
	EXPECT_EQ(RG_CLASSES - 1, rg_stack_class((size_t)1 << 30));
	EXPECT_EQ(-EINVAL, rg_stack_class(((size_t)1 << 30) + 1));
	EXPECT_EQ(-EINVAL, rg_stack_class(SIZE_MAX));
	for (size_t n = 1; n <= (size_t)1 << 30; n = n * 3 / 2 + 1) {
		int class = rg_stack_class(n);

		EXPECT_GE(rg_stack_class_size((unsigned)class), n);
		if (class)
			EXPECT_LT(rg_stack_class_size((unsigned)class - 1), n);
	}
}

TEST(slots_do_not_overlap_and_are_found_by_address)
{
	setup(10000);
	for (int i = 0; i < N; i++) {
		char *lo, *hi, *top;
		bool guard;

		rg_stack_bind(&p, &gs[i]);
		ASSERT_NE(0, gs[i].slot);
		rg_stack_bounds(&gs[i], &lo, &hi);
		top = rg_stack_top(&gs[i]);
		EXPECT_EQ(64 << 10, hi - lo);
		EXPECT_GT(top, hi - RG_PAGE);
		EXPECT_LE(top, hi);
		EXPECT_EQ(0, (uintptr_t)top % 16);
		EXPECT_EQ(gs[i].slot, rg_stack_find(lo + RG_PAGE, &guard));
		EXPECT_FALSE(guard);
		EXPECT_EQ(gs[i].slot, rg_stack_find(hi - 1, &guard));
		EXPECT_FALSE(guard);
		EXPECT_EQ(gs[i].slot, rg_stack_find(lo + RG_PAGE - 1, &guard));
		EXPECT_TRUE(guard);
		for (int k = 0; k < i; k++)
			ASSERT_NE(gs[k].slot, gs[i].slot);
	}
	EXPECT_EQ(0, rg_stack_find(&p, &(bool){ false }));
}

TEST(the_hottest_slot_is_used_again_first)
{
	uint32_t last;

	setup(10000);
	for (int i = 0; i < 10; i++)
		rg_stack_bind(&p, &gs[i]);
	last = gs[4].slot;
	rg_stack_unbind(&p, &gs[7]);
	rg_stack_unbind(&p, &gs[4]);
	EXPECT_EQ(0, gs[4].slot);
	rg_stack_bind(&p, &gs[20]);
	EXPECT_EQ(last, gs[20].slot);
}

TEST(freed_slots_are_bound_again_before_new_ones)
{
	static uint32_t seen[N];
	int again = 0;

	setup(10000);
	for (int i = 0; i < N; i++) {
		rg_stack_bind(&p, &gs[i]);
		seen[i] = gs[i].slot;
	}
	for (int i = 0; i < N; i++)
		rg_stack_unbind(&p, &gs[i]);
	for (int i = 0; i < N; i++) {
		rg_stack_bind(&p, &gs[i]);
		for (int k = 0; k < N; k++)
			again += seen[k] == gs[i].slot;
	}
	/* Some were carved in advance and wait in the cache. */
	EXPECT_GE(again, N - RG_SLOT_CACHE);
}

TEST(slots_taken_for_trimming_come_back)
{
	uint32_t slots[N];
	unsigned n;

	setup(10000);
	for (int i = 0; i < N; i++)
		rg_stack_bind(&p, &gs[i]);
	for (int i = 0; i < N; i++)
		rg_stack_unbind(&p, &gs[i]);
	n = rg_stack_take_dirty(0, slots, N);
	EXPECT_GE(n, N - RG_SLOT_CACHE);
	EXPECT_EQ(0, rg_stack_take_dirty(0, slots, N));
	rg_stack_put_clean(0, slots, n);
	EXPECT_EQ(0, rg_stack_take_dirty(0, slots, N));
	p.nslots = 0;
	for (unsigned i = 0; i < n; i++) {
		bool known = false;

		rg_stack_bind(&p, &gs[i]);
		for (unsigned k = 0; k < n; k++)
			known |= slots[k] == gs[i].slot;
		EXPECT_TRUE(known);
	}
}

TEST(a_large_class_gives_as_many_places_as_it_has)
{
	int n = 0;

	setup(10000);
	while (!rg_stack_hold(RG_CLASSES - 1))
		n++;
	EXPECT_GE(n, 16);
	EXPECT_LE(n, 4096);
	EXPECT_EQ(-EAGAIN, rg_stack_hold(RG_CLASSES - 1));
	rg_stack_release(RG_CLASSES - 1);
	EXPECT_EQ(0, rg_stack_hold(RG_CLASSES - 1));
}

TEST(a_large_slot_is_bound_and_given_back)
{
	char *lo, *hi;
	uint32_t slot;

	setup(10000);
	ASSERT_EQ(0, rg_stack_hold(3));
	gs[0].stack_class = 3;
	rg_stack_bind(&p, &gs[0]);
	rg_stack_bounds(&gs[0], &lo, &hi);
	EXPECT_EQ(4 << 20, hi - lo);
	lo[RG_PAGE] = 1;
	slot = gs[0].slot;
	rg_stack_unbind(&p, &gs[0]);
	ASSERT_EQ(0, rg_stack_hold(3));
	rg_stack_bind(&p, &gs[0]);
	EXPECT_EQ(slot, gs[0].slot);
}

static void touch_guard(void)
{
	char *lo, *hi;

	setup(10000);
	rg_stack_bind(&p, &gs[0]);
	rg_stack_bounds(&gs[0], &lo, &hi);
	lo[RG_PAGE] = 1;
	*(volatile char *)(lo + RG_PAGE - 1) = 1;
}

static void touch_guard_mprotect(void)
{
	setenv("RINGO_GUARD", "mprotect", 1);
	touch_guard();
}

TEST(the_lowest_page_faults)
{
	struct outcome o;

	if (SANITIZED)
		SKIP(return, "the sanitizer reports the fault itself; run the plain build");
	in_child(&o, touch_guard);
	EXPECT_TRUE(WIFSIGNALED(o.status) && WTERMSIG(o.status) == SIGSEGV);
	in_child(&o, touch_guard_mprotect);
	EXPECT_TRUE(WIFSIGNALED(o.status) && WTERMSIG(o.status) == SIGSEGV);
}

TEST(mprotect_guards_limit_the_number_of_stacks)
{
	size_t limit;

	setenv("RINGO_GUARD", "mprotect", 1);
	limit = setup(1 << 20);
	EXPECT_EQ(RINGO_GUARD_MPROTECT, rg_stack_guard());
	EXPECT_LT(limit, 1 << 20);
	EXPECT_GT(limit, 100);
}

TEST(exposure_counts_bound_slots)
{
	size_t before;

	setup(10000);
	before = rg_stack_exposure();
	for (int i = 0; i < 100; i++)
		rg_stack_bind(&p, &gs[i]);
	EXPECT_GE(rg_stack_exposure(), before + 100 * (64 << 10));
}

TEST_HARNESS_MAIN
