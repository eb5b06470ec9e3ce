// SPDX-License-Identifier: MIT
/* The run queues: order, overflow into the global queue, stealing, and that nothing is lost or doubled. */
#include "core/rt.h"
#include "core/runq.h"
#include "core/sched.h"
#include "run/help.h"

enum { MANY = 1000, THIEVES = 3 };

static struct p a, b;
static struct g gs[MANY];
static uint32_t taken[1 << 18];

static void setup(void)
{
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	b.id = 1;
	rt.procs = 2;
	rt.nglobal = 0;
	if (!rt.global)
		rg_global_init(1 << 18);
	rt.global_head = 0;
}

static int number(const struct g *g)
{
	return g ? (int)(g - gs) : -1;
}

TEST(first_in_first_out)
{
	setup();
	EXPECT_TRUE(rg_runq_empty(&a));
	EXPECT_EQ(-1, number(rg_runq_pop(&a)));
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 200; i++)
			rg_runq_put(&a, &gs[i]);
		EXPECT_FALSE(rg_runq_empty(&a));
		for (int i = 0; i < 200; i++)
			EXPECT_EQ(i, number(rg_runq_pop(&a)));
		EXPECT_TRUE(rg_runq_empty(&a));
	}
}

TEST(indices_wrap_around)
{
	setup();
	a.head = a.tail = b.head = b.tail = UINT32_MAX - 100;
	for (int i = 0; i < 200; i++)
		rg_runq_put(&a, &gs[i]);
	EXPECT_EQ(99, number(rg_runq_steal(&b, &a, false)));
	for (int i = 0; i < 99; i++)
		EXPECT_EQ(i, number(rg_runq_pop(&b)));
	for (int i = 100; i < 200; i++)
		EXPECT_EQ(i, number(rg_runq_pop(&a)));
	EXPECT_EQ(-1, number(rg_runq_pop(&a)));
}

TEST(overflow_moves_the_older_half_to_the_global_queue)
{
	setup();
	for (int i = 0; i < RG_RUNQ; i++)
		rg_runq_put(&a, &gs[i]);
	EXPECT_EQ(0, rt.nglobal);
	rg_runq_put(&a, &gs[RG_RUNQ]);
	EXPECT_EQ(RG_RUNQ / 2 + 1, rt.nglobal);
	EXPECT_EQ(RG_RUNQ / 2, a.tail - a.head);
	for (int i = RG_RUNQ / 2; i < RG_RUNQ; i++)
		EXPECT_EQ(i, number(rg_runq_pop(&a)));
	for (int i = 0, got = 0; i < 2 * RG_RUNQ; i++) {
		struct g *g = rg_runq_pop(&b);

		if (!g)
			g = rg_global_get(&b);
		if (!g) {
			EXPECT_EQ(RG_RUNQ / 2 + 1, got);
			break;
		}
		EXPECT_EQ(got < RG_RUNQ / 2 ? got : RG_RUNQ, number(g));
		got++;
	}
	EXPECT_EQ(0, rt.nglobal);
}

TEST(the_global_queue_shares_out)
{
	setup();
	for (int i = 0; i < 100; i++)
		rg_global_put(&gs[i]);
	EXPECT_EQ(0, number(rg_global_get(&a)));
	EXPECT_EQ(100 / 2 + 1 - 1, (int)(a.tail - a.head)); /* one P's share, less the one to run */
	EXPECT_EQ(49, rt.nglobal);
	EXPECT_EQ(51, number(rg_global_get(&b)));
}

TEST(the_global_queue_gives_a_full_queue_no_more_than_fits)
{
	setup();
	for (int i = 0; i < RG_RUNQ; i++)
		rg_runq_put(&a, &gs[i]);
	for (int i = 0; i < 100; i++)
		rg_global_put(&gs[RG_RUNQ + i]);
	EXPECT_EQ(RG_RUNQ, number(rg_global_get(&a)));
	EXPECT_EQ(RG_RUNQ, (int)(a.tail - a.head));
	EXPECT_EQ(99, rt.nglobal);
}

TEST(a_thief_takes_half)
{
	setup();
	for (int i = 0; i < 101; i++)
		rg_runq_put(&a, &gs[i]);
	EXPECT_EQ(50, number(rg_runq_steal(&b, &a, false)));
	EXPECT_EQ(50, (int)(b.tail - b.head));
	EXPECT_EQ(50, (int)(a.tail - a.head));
	EXPECT_EQ(0, number(rg_runq_pop(&b)));
	EXPECT_EQ(51, number(rg_runq_pop(&a)));
	EXPECT_EQ(1, b.count.steals);
	EXPECT_EQ(51, b.count.stolen);
}

TEST(run_next_is_stolen_only_at_last)
{
	setup();
	EXPECT_EQ(-1, number(rg_runq_steal(&b, &a, true)));
	rg_runq_put_next(&a, &gs[7]);
	EXPECT_FALSE(rg_runq_empty(&a));
	EXPECT_EQ(-1, number(rg_runq_steal(&b, &a, false)));
	EXPECT_EQ(7, number(rg_runq_steal(&b, &a, true)));
	EXPECT_TRUE(rg_runq_empty(&a));
}

TEST(run_next_goes_first_and_pushes_the_former_one_out)
{
	setup();
	rg_runq_put(&a, &gs[1]);
	rg_runq_put_next(&a, &gs[2]);
	rg_runq_put_next(&a, &gs[3]);
	EXPECT_EQ(3, number(rg_runq_pop(&a)));
	EXPECT_EQ(1, number(rg_runq_pop(&a)));
	EXPECT_EQ(2, number(rg_runq_pop(&a)));
}

TEST(run_next_gives_way_to_the_queue_after_a_while)
{
	int before = 0;

	setup();
	rg_runq_put(&a, &gs[1]);
	for (; before < 100; before++) {
		rg_runq_put_next(&a, &gs[2]);
		if (number(rg_runq_pop(&a)) == 1)
			break;
	}
	EXPECT_LT(before, 20);
	EXPECT_GT(before, 1);
}

TEST(a_retired_queue_is_drained_completely)
{
	setup();
	for (int i = 0; i < 10; i++)
		rg_runq_put(&a, &gs[i]);
	rg_runq_put_next(&a, &gs[10]);
	rg_runq_drain(&a);
	EXPECT_TRUE(rg_runq_empty(&a));
	EXPECT_EQ(11, rt.nglobal);
}

TEST(a_thief_takes_half_of_any_length)
{
	setup();
	for (int n = 0; n <= RG_RUNQ; n++) {
		bool seen[RG_RUNQ] = { false };
		int stolen = 0, left = 0, i;

		for (i = 0; i < n; i++)
			rg_runq_put(&a, &gs[i]);
		i = number(rg_runq_steal(&b, &a, true));
		ASSERT_EQ(n > 0, i >= 0);
		for (; i >= 0; i = number(rg_runq_pop(&b)), stolen++) {
			ASSERT_FALSE(seen[i]);
			seen[i] = true;
		}
		for (; (i = number(rg_runq_pop(&a))) >= 0; left++) {
			ASSERT_FALSE(seen[i]);
			seen[i] = true;
		}
		ASSERT_EQ((n + 1) / 2, stolen);
		ASSERT_EQ(n, stolen + left);
	}
}

/* Whoever looks never finds a queue empty that is not: a G moves from run-next into the ring meanwhile. */
static int rounds, looked, found_empty;

static void *looks(void *arg)
{
	for (int i = 1;; i++) {
		int round;

		while ((round = LOAD(&rounds)) >= 0 && round < i)
			rg_cpu_relax();
		if (round < 0)
			return NULL;
		found_empty += rg_runq_empty(&a);
		STORE(&looked, i);
	}
}

TEST(what_is_not_empty_never_looks_empty)
{
	int64_t end = now_ns() + RINGO_SEC; /* each round needs both threads to run */
	uint64_t rand = 7;
	pthread_t t;

	setup();
	rounds = looked = found_empty = 0;
	ASSERT_EQ(0, pthread_create(&t, NULL, looks, NULL));
	for (int i = 1; now_ns() < end; i++) {
		void (*first)(struct p *, struct g *) = i & 1 ? rg_runq_put_next : rg_runq_put;
		void (*second)(struct p *, struct g *) = i & 2 ? rg_runq_put_next : rg_runq_put;

		first(&a, &gs[0]);
		STORE(&rounds, i);
		for (int k = (int)(rg_rand(&rand) % 32); k--;)
			rg_cpu_relax();
		while (LOAD(&looked) < i) {
			second(&a, &gs[1]);
			ASSERT_NE(NULL, rg_runq_pop(&a));
		}
		while (rg_runq_pop(&a))
			;
	}
	STORE(&rounds, -1);
	pthread_join(t, NULL);
	EXPECT_EQ(0, found_empty);
}

/* One owner puts and pops, thieves steal: each item comes out exactly once. */
static struct g *items;
static uint32_t done;

static void take(const struct g *g)
{
	ADD(&taken[g - items], 1);
}

static void *thief(void *arg)
{
	static struct p mine[THIEVES];
	struct p *p = &mine[(intptr_t)arg];
	bool last = false;

	p->id = 1 + (uint32_t)(intptr_t)arg;
	for (;;) {
		struct g *g;

		while ((g = rg_runq_pop(p)))
			take(g);
		g = rg_runq_steal(p, &a, true);
		if (!g)
			g = rg_global_get(p);
		if (g) {
			take(g);
			last = false;
		} else if (last) {
			return NULL;
		} else {
			last = LOAD(&done);
		}
	}
}

TEST(each_item_is_taken_exactly_once_by_owner_or_thieves)
{
	const int n = SCALE((int)(sizeof(taken) / sizeof(taken[0])) - 1);
	pthread_t t[THIEVES];
	uint64_t rand = 42;
	int wrong = 0;

	setup();
	rt.procs = THIEVES + 1;
	items = calloc((size_t)n, sizeof(*items) + 64);
	items = (struct g *)(((uintptr_t)items + 63) & ~(uintptr_t)63);
	for (intptr_t i = 0; i < THIEVES; i++)
		ASSERT_EQ(0, pthread_create(&t[i], NULL, thief, (void *)i));
	for (int i = 0; i < n;) {
		int burst = (int)(rg_rand(&rand) % 300);
		struct g *g;

		for (; burst-- && i < n; i++) {
			if (i % 7)
				rg_runq_put(&a, &items[i]);
			else
				rg_runq_put_next(&a, &items[i]);
		}
		for (burst = (int)(rg_rand(&rand) % 300); burst-- && (g = rg_runq_pop(&a));)
			take(g);
	}
	STORE(&done, 1);
	for (int i = 0; i < THIEVES; i++)
		pthread_join(t[i], NULL);
	for (struct g *g; (g = rg_runq_pop(&a)) || (g = rg_global_get(&a));)
		take(g);
	for (int i = 0; i < n; i++)
		wrong += taken[i] != 1;
	EXPECT_EQ(0, wrong);
}

TEST_HARNESS_MAIN
