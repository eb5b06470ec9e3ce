// SPDX-License-Identifier: MIT
/* The timer heap: order, stale entries, growth, waits that move to a later time; never early. */
#include <sys/mman.h>

#include "base/clock.h"
#include "core/park.h"
#include "core/rt.h"
#include "core/runq.h"
#include "core/sched.h"
#include "run/help.h"

#define MS INT64_C(1000000)

static struct m *m;
static int cancelled;

static void cancel(struct m *self, struct g *g)
{
	(void)self, (void)g;
	cancelled++;
}

static const struct rg_poller poller = { .name = "none", .cancel = cancel };

static void setup(void)
{
	char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	static struct p p;

	m = (struct m *)(pages + 4096);
	m->p = &p;
	p.m = m;
	rt.nm = 1;
	rt.procs = 1;
	rt.poller = &poller;
	rg_g_table_init(100000);
	rg_global_init(100000);
}

static void begin(unsigned i, int64_t until)
{
	rg_g_at(i)->trim = RG_TRIM_DIRTY; /* as if it had parked */
	CHECK_EQ(1, rg_wait_begin_until(m, rg_g_at(i), until));
}

/* Somebody else woke it. */
static void wake(unsigned i)
{
	CHECK(rg_claim(rg_g_at(i)));
}

static struct g *next_woken(void)
{
	struct g *g = rg_runq_pop(m->p);

	return g ? g : rg_global_get(m->p);
}

/* Run timers until one wakes somebody or none is left. */
static struct g *wait_woken(void)
{
	for (;;) {
		struct g *g = next_woken();
		int64_t next;

		if (g)
			return g;
		next = rg_timers_run(m, rg_now());
		if (next == INT64_MAX)
			return next_woken();
	}
}

TEST(come_up_in_the_order_of_their_times_and_never_early)
{
	enum { N = 250 }; /* no more than a run queue keeps in order */
	static int64_t until[N];
	int64_t start, former = 0;
	uint64_t rand = 7;

	setup();
	start = rg_now() + 20 * MS;
	for (unsigned i = 0; i < N; i++) {
		until[i] = start + (int64_t)(rg_rand(&rand) % 50) * MS / 5;
		begin(i, until[i]);
	}
	EXPECT_EQ(N, m->p->timers.n);
	for (unsigned i = 0; i < N; i++) {
		struct g *g = wait_woken();
		int64_t t;

		ASSERT_NE(NULL, g);
		t = until[rg_g_index(g)];
		EXPECT_GE(t, former);
		EXPECT_GE(rg_now(), t);
		EXPECT_EQ(-ETIMEDOUT, g->wait_res);
		former = t;
	}
	EXPECT_EQ(NULL, next_woken());
	EXPECT_EQ(0, m->p->timers.n);
	EXPECT_EQ(INT64_MAX, rg_timers_run(m, rg_now()));
}

TEST(what_is_not_due_stays_and_its_time_is_returned)
{
	int64_t until;

	setup();
	until = rg_now() + 3600 * 1000 * MS;
	begin(3, until);
	EXPECT_EQ(until, rg_timers_run(m, rg_now()));
	EXPECT_EQ(NULL, next_woken());
}

TEST(an_entry_of_a_wait_that_ended_wakes_nobody)
{
	setup();
	begin(0, rg_now() + MS);
	wake(0);
	EXPECT_EQ(NULL, wait_woken());
	EXPECT_EQ(0, m->p->timers.n);
}

TEST(an_earlier_wait_is_woken_once_and_the_later_entry_dropped)
{
	int64_t start;

	setup();
	start = rg_now();
	begin(0, start + 20 * MS);
	wake(0);
	begin(0, start + 5 * MS);
	EXPECT_EQ(rg_g_at(0), wait_woken());
	EXPECT_GE(rg_now(), start + 5 * MS);
	EXPECT_EQ(NULL, wait_woken());
}

TEST(a_later_wait_uses_the_entry_there_is_and_is_not_woken_early)
{
	int64_t start;

	setup();
	start = rg_now();
	begin(0, start + 2 * MS);
	wake(0);
	begin(0, start + 30 * MS);
	EXPECT_EQ(1, m->p->timers.n);
	EXPECT_EQ(rg_g_at(0), wait_woken());
	EXPECT_GE(rg_now(), start + 30 * MS);
	EXPECT_EQ(0, m->p->timers.n);
}

TEST(a_thousand_waits_with_one_deadline_have_one_entry)
{
	int64_t until;

	setup();
	until = rg_now() + 3600 * 1000 * MS;
	for (int i = 0; i < 1000; i++) {
		begin(0, until);
		wake(0);
	}
	EXPECT_EQ(1, m->p->timers.n);
}

TEST(stale_entries_are_dropped_before_the_heap_grows)
{
	int64_t start;
	int woken = 0;

	setup();
	start = rg_now();
	for (int round = 0; round < 100; round++)
		for (unsigned i = 0; i < 200; i++) {
			if (rg_g_at(i)->wake & 1)
				wake(i);
			begin(i, start + (3000 - round * 20) * MS); /* earlier each time: a new entry */
		}
	EXPECT_LE(m->p->timers.cap, 1024);
	for (unsigned i = 0; i < 200; i++) {
		wake(i);
		begin(i, rg_now() + MS);
	}
	while (wait_woken()) {
		woken++;
		if (woken == 200)
			break;
	}
	EXPECT_EQ(200, woken);
}

TEST(the_heap_grows_and_keeps_all)
{
	const unsigned n = SCALE(90000);
	unsigned woken = 0;

	setup();
	for (unsigned i = 0; i < n; i++)
		begin(i, rg_now() + MS);
	EXPECT_GE(m->p->timers.cap, n);
	while (wait_woken())
		woken++;
	EXPECT_EQ(n, woken);
}

TEST(the_end_of_an_operation_cancels_it_and_wakes_nobody)
{
	setup();
	begin(0, rg_now() + MS);
	rg_g_at(0)->wait_kind = RG_WAIT_OP;
	EXPECT_EQ(NULL, wait_woken());
	EXPECT_EQ(1, cancelled);
	EXPECT_EQ(1, rg_g_at(0)->wake & 1);
}

TEST(an_ambient_deadline_that_is_earlier_ends_the_wait)
{
	int64_t start;

	setup();
	start = rg_now();
	rg_g_at(0)->deadline = start + 5 * MS;
	begin(0, start + 3600 * 1000 * MS);
	EXPECT_EQ(rg_g_at(0), wait_woken());
	rg_g_at(0)->deadline = start;
	EXPECT_EQ(-ETIMEDOUT, rg_wait_begin(m, rg_g_at(0)));
	rg_g_at(0)->deadline = 0;
	EXPECT_EQ(0, rg_wait_begin(m, rg_g_at(0)));
}

TEST_HARNESS_MAIN
