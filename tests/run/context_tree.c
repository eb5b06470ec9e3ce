// SPDX-License-Identifier: MIT
/* Contexts in layers and trees, and what they cost: allocations, goroutines, what a parent keeps. */
#include <ringo/stats.h>

#include "io_help.h"

static struct ringo_waitgroup done;

/* ---- what is allocated: this program's malloc counts, where no sanitizer has its own ---- */

static long allocations, live;
#if !SANITIZED
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void __libc_free(void *p);

void *malloc(size_t n)
{
	ADD(&allocations, 1);
	ADD(&live, 1);
	return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	ADD(&allocations, 1);
	ADD(&live, 1);
	return __libc_calloc(n, size);
}

void free(void *p)
{
	if (p)
		ADD(&live, -1);
	__libc_free(p);
}
#endif

static const char key;
static int value;

static void just_background(void)
{
	ringo_ctx_unref(ringo_ctx_ref(ringo_ctx_background()));
}

static void one_value(void)
{
	struct ringo_ctx *c = ringo_ctx_with_value(NULL, &key, &value, NULL);

	CHECK(ringo_ctx_value(c, &key) == &value);
	ringo_ctx_unref(c);
}

static void one_cancel(void)
{
	struct ringo_ctx *c = ringo_ctx_with_cancel(NULL);

	ringo_ctx_cancel(c, 0);
	CHECK_EQ(0, ringo_ctx_wait(c));
	ringo_ctx_unref(c);
}

static void one_timeout(void)
{
	struct ringo_ctx *c = ringo_ctx_with_timeout(NULL, 1);

	CHECK_EQ(0, ringo_ctx_wait(c));
	CHECK_EQ(-ETIMEDOUT, ringo_ctx_err(c));
	ringo_ctx_unref(c);
}

static void one_cancelled_timeout(void)
{
	struct ringo_ctx *c = ringo_ctx_with_timeout(NULL, 3600 * RINGO_SEC);

	ringo_ctx_cancel(c, 0);
	CHECK_EQ(0, ringo_ctx_wait(c));
	CHECK_EQ(-ECANCELED, ringo_ctx_err(c));
	ringo_ctx_unref(c);
}

static uint64_t spawned(void)
{
	struct ringo_stats s = { .size = sizeof(s) };

	CHECK_EQ(0, ringo_stats_get(&s));
	return s.spawned;
}

/* Allocs (Go's bounds are 0, 3, 5, 12 and 8), CustomContextGoroutines. */
static const struct {
	void (*fn)(void);
	long limit;
} costs[] = { { just_background, 0 }, { one_value, 1 }, { one_cancel, 1 }, { one_timeout, 1 },
	      { one_cancelled_timeout, 1 } };

G_TEST(a_context_is_one_allocation_and_no_goroutine)
{
	enum { TIMES = 200 };
	uint64_t born = spawned();

	for (size_t i = 0; i < sizeof(costs) / sizeof(costs[0]); i++) {
		long before, kept;

		costs[i].fn(); /* what is made once */
		before = LOAD(&allocations);
		kept = LOAD(&live);
		for (int k = 0; k < TIMES; k++)
			costs[i].fn();
		CHECK(LOAD(&allocations) - before <= costs[i].limit * TIMES);
		CHECK(LOAD(&live) - kept <= 0);
	}
	if (!SANITIZED && !RUNNING_ON_VALGRIND)
		CHECK(LOAD(&allocations) > 0);
	CHECK_EQ(1, ringo_num_goroutines());
	CHECK_EQ(born, spawned());
	return 0;
}

/* CancelRemoves: a parent that lives on keeps nothing of children that are over and dropped. */
static int freed;

static void count_free(void *arg)
{
	freed++;
}

G_TEST(a_parent_keeps_nothing_of_a_child_that_is_over)
{
	struct ringo_ctx *parent = ringo_ctx_with_cancel(NULL);
	const int n = SCALE(20000);
	long before;

	for (int i = 0; i < 2 * n; i++) {
		struct ringo_ctx *c, *v;

		if (i == n)
			before = LOAD(&live);
		c = i % 2 ? ringo_ctx_with_cancel(parent) : ringo_ctx_with_timeout(parent, 3600 * RINGO_SEC);
		v = ringo_ctx_with_value(c, &key, &value, count_free);
		if (i % 3)
			ringo_ctx_cancel(c, 0);
		if (i % 5 == 0)
			CHECK_EQ(i % 3 ? -ECANCELED : 0, ringo_ctx_err(v));
		ringo_ctx_unref(i % 7 ? c : v);
		ringo_ctx_unref(i % 7 ? v : c);
		CHECK_EQ(i + 1, freed);
	}
	CHECK(LOAD(&live) <= before + n / 10); /* some lie in the caches of another P */
	CHECK_EQ(0, ringo_ctx_err(parent));
	ringo_ctx_cancel(parent, 0);
	ringo_ctx_unref(parent);
	return 0;
}

/* InterlockedCancels: who hears of the parent's end cancels the child, which is ending just then. */
static void cancels_child(struct ringo_ctx *parent, struct ringo_ctx *child)
{
	CHECK_EQ(0, ringo_ctx_wait(parent));
	ringo_ctx_cancel(child, -EIO);
	ringo_waitgroup_done(&done);
}

G_TEST(a_child_is_cancelled_by_who_hears_of_its_parent)
{
	for (int i = 0; i < SCALE(5000); i++) {
		struct ringo_ctx *parent = ringo_ctx_with_cancel(NULL), *child = ringo_ctx_with_cancel(parent);

		ringo_waitgroup_add(&done, 1);
		CHECK_EQ(0, ringo_go(cancels_child, parent, child));
		if (i % 3)
			ringo_yield();
		ringo_ctx_cancel(parent, -EPIPE);
		CHECK_EQ(-ECANCELED, ringo_ctx_err(child)); /* when it returns, all below is over */
		CHECK(ringo_ctx_cause(child) == -EPIPE || ringo_ctx_cause(child) == -EIO);
		ringo_waitgroup_wait(&done);
		ringo_ctx_unref(child);
		ringo_ctx_unref(parent);
	}
	return 0;
}

/* LayersCancel, LayersTimeout: values, cancels and deadlines in random layers. */
enum { MOST = 200, LEAST = 30 };

static struct ringo_ctx *layer[MOST];
static char keys[MOST];
static bool has_value[MOST], has_end[MOST];

static int make_layers(uint64_t *rand, int64_t timeout)
{
	int values = 0, timers = 0, cancels = 0, i;

	for (i = 0; i < LEAST || (i < MOST && !(values && timers && cancels)); i++) {
		struct ringo_ctx *above = i ? layer[i - 1] : ringo_ctx_background();
		unsigned kind = (unsigned)(rg_rand(rand) % 3);

		has_value[i] = kind == 0;
		has_end[i] = kind != 0;
		if (kind == 0) {
			layer[i] = ringo_ctx_with_value(above, &keys[i], &keys[i], NULL);
			values++;
		} else if (kind == 1) {
			layer[i] = ringo_ctx_with_cancel(above);
			cancels++;
		} else {
			layer[i] = ringo_ctx_with_timeout(above, timeout);
			timers++;
		}
	}
	return i;
}

static void check_values(int n)
{
	for (int i = 0; i < n; i++)
		CHECK(ringo_ctx_value(layer[n - 1], &keys[i]) == (has_value[i] ? &keys[i] : NULL));
}

static void drop_layers(int n)
{
	while (n)
		ringo_ctx_unref(layer[--n]);
}

G_TEST(layers_end_from_the_one_that_is_cancelled_downwards)
{
	uint64_t rand = (uint64_t)ringo_now();

	for (int round = 0; round < SCALE(500); round++) {
		int n = make_layers(&rand, 3600 * RINGO_SEC), at;

		do
			at = (int)(rg_rand(&rand) % (unsigned)n);
		while (!has_end[at]);
		CHECK_EQ(0, ringo_ctx_err(layer[n - 1]));
		check_values(n);
		ringo_ctx_cancel(layer[at], -EIO);
		for (int i = 0; i < n; i++)
			CHECK_EQ(i < at ? 0 : -ECANCELED, ringo_ctx_err(layer[i]));
		CHECK_EQ(0, ringo_ctx_wait(layer[n - 1]));
		CHECK_EQ(-EIO, ringo_ctx_cause(layer[n - 1]));
		check_values(n);
		drop_layers(n);
	}
	return 0;
}

G_TEST(layers_end_when_the_first_of_their_times_is_over)
{
	uint64_t rand = (uint64_t)ringo_now();

	for (int round = 0; round < SCALE(200); round++) {
		int64_t start = ringo_now(), timeout = (int64_t)(rg_rand(&rand) % 1000) * RINGO_US;
		int n = make_layers(&rand, timeout);

		check_values(n);
		CHECK_EQ(0, ringo_ctx_wait(layer[n - 1]));
		CHECK(ringo_now() >= start + timeout);
		CHECK_EQ(-ETIMEDOUT, ringo_ctx_err(layer[n - 1]));
		check_values(n);
		drop_layers(n);
	}
	return 0;
}

/* SimultaneousCancels: four children each, a hundred in all; cancelled and awaited in random orders. */
static void cancels(struct ringo_ctx *c)
{
	ringo_ctx_cancel(c, 0);
	ringo_waitgroup_done(&done);
}

static void shuffle(struct ringo_ctx **c, int n, uint64_t *rand)
{
	while (n > 1) {
		int k = (int)(rg_rand(rand) % (unsigned)n--);
		struct ringo_ctx *t = c[k];

		c[k] = c[n];
		c[n] = t;
	}
}

G_TEST(a_tree_is_cancelled_in_any_order)
{
	uint64_t rand = (uint64_t)ringo_now();

	for (int round = 0; round < SCALE(200); round++) {
		struct ringo_ctx *all[101];
		int n = 0;

		all[n++] = ringo_ctx_with_cancel(NULL);
		for (int i = 0; n < 101; i++)
			for (int k = 0; k < 4; k++)
				all[n++] = ringo_ctx_with_cancel(all[i]);
		shuffle(all, n, &rand);
		ringo_waitgroup_add(&done, n);
		for (int i = 0; i < n; i++)
			CHECK_EQ(0, ringo_go(cancels, all[i]));
		shuffle(all, n, &rand);
		for (int i = 0; i < n; i++)
			CHECK_EQ(0, ringo_ctx_wait(all[i]));
		ringo_waitgroup_wait(&done);
		for (int i = 0; i < n; i++)
			ringo_ctx_unref(all[i]);
	}
	return 0;
}

TEST_HARNESS_MAIN
