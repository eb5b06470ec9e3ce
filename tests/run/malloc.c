// SPDX-License-Identifier: MIT
/*
 * Where malloc and free are called: not inside ringo's gate, the scheduler included, but for goroutines with a
 * name. Whoever holds a lock of malloc's may be a goroutine that waits for its turn to compute, and a P would stand
 * still meanwhile.
 */
#include "help.h"

#include "core/m.h"

enum { ROUNDS = 50, TICKERS = 2000 };

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void __libc_free(void *p);

static bool watching, stop;
static int inside;
static long live;
static void *first;

#if SANITIZED
enum { WATCHED = 0 };
#else
enum { WATCHED = 1 };

static void look(void *pc)
{
	struct m *m = LOAD(&watching) ? (struct m *)rg_arch_self() : NULL;

	if (m && LOAD(&rg_m_page(m)->in_rt) && ADD(&inside, 1) == 1)
		STORE(&first, pc);
}

void *malloc(size_t n)
{
	look(__builtin_return_address(0));
	ADD(&live, 1);
	return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	look(__builtin_return_address(0));
	ADD(&live, 1);
	return __libc_calloc(n, size);
}

void free(void *p)
{
	if (p) {
		look(__builtin_return_address(0));
		ADD(&live, -1);
	}
	__libc_free(p);
}
#endif

static int ran;

static void counts(void *arg)
{
	ADD(&ran, 1);
}

static int returns(void *arg)
{
	ringo_yield();
	return 0;
}

static void frees(void *arg)
{
	ADD(&ran, 1);
}

static void use_channels(void)
{
	struct ringo_chan *c = ringo_chan_new(sizeof(int64_t), 1), *after;
	struct ringo_case cases[2];
	int64_t v = 1;

	CHECK_EQ(0, ringo_chan_send(c, &v));
	CHECK_EQ(1, ringo_chan_recv(c, &v));
	after = ringo_after(20 * RINGO_US);
	ringo_chan_unref(ringo_after(20 * RINGO_US)); /* it fires into nothing */
	ringo_chan_unref(ringo_after(1000 * RINGO_SEC));
	cases[0] = RINGO_RECV(c, &v);
	cases[1] = RINGO_RECV(after, &v);
	CHECK_EQ(1, ringo_select(cases, 2));
	ringo_chan_unref(after);
	ringo_chan_unref(c);
}

static void use_timers(void)
{
	struct ringo_ticker *t = ringo_ticker_new(10 * RINGO_US), *u = ringo_ticker_new(RINGO_SEC);
	struct ringo_timer timer = { 0 };

	CHECK_EQ(1, ringo_chan_recv(ringo_ticker_chan(t), &(int64_t){ 0 }));
	ringo_ticker_free(t);
	ringo_ticker_free(u);
	CHECK_EQ(0, ringo_timer_start(&timer, 0, counts, NULL));
	ringo_timer_stop_wait(&timer);
}

static struct ringo_ticker *ticking;

static void *frees_tickers(void *arg)
{
	while (!LOAD(&stop)) {
		ringo_ticker_free(LOAD(&ticking));
		STORE(&ticking, NULL);
	}
	return NULL;
}

/* In the middle of a tick. */
static void use_tickers_of_others(void)
{
	pthread_t t;

	CHECK_EQ(0, pthread_create(&t, NULL, frees_tickers, NULL));
	for (int i = 0; i < TICKERS; i++) {
		STORE(&ticking, ringo_ticker_new(RINGO_US));
		while (LOAD(&ticking))
			ringo_yield();
	}
	STORE(&stop, true);
	pthread_join(t, NULL);
}

static void use_contexts(void)
{
	struct ringo_ctx *a = ringo_ctx_with_cancel(NULL), *b = ringo_ctx_with_value(a, &ran, &ran, frees),
			 *c = ringo_ctx_with_timeout(b, 20 * RINGO_US);
	struct ringo_ctx_hook hook;
	struct ringo_group g;

	CHECK_EQ(0, ringo_ctx_after_func(c, &hook, counts, NULL));
	ringo_group_init(&g, b);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(0, ringo_group_go(&g, returns, NULL));
	CHECK_EQ(0, ringo_group_wait(&g));
	CHECK_EQ(0, ringo_ctx_wait(c));
	ringo_ctx_cancel(a, 0);
	ringo_ctx_unref(c);
	ringo_ctx_unref(b);
	ringo_ctx_unref(a);
}

static void use_signals(void)
{
	struct ringo_chan *c = ringo_chan_new(sizeof(int), 4);
	int signo;

	CHECK_EQ(0, ringo_signal_notify(c, SIGUSR1));
	CHECK_EQ(0, ringo_signal_notify(c, SIGUSR1));
	CHECK_EQ(0, ringo_signal_notify(c, SIGUSR2));
	kill(getpid(), SIGUSR2);
	CHECK_EQ(1, ringo_chan_recv(c, &signo));
	CHECK_EQ(0, ringo_signal_stop(c, SIGUSR1));
	CHECK_EQ(0, ringo_signal_stop(c, SIGUSR2));
	ringo_chan_unref(c);
}

static int all_main(void *arg)
{
	use_signals(); /* starts a goroutine with a name */
	STORE(&watching, true);
	for (int i = 0; i < ROUNDS; i++) {
		use_channels();
		use_timers();
		use_contexts();
		use_signals();
	}
	use_tickers_of_others();
	CHECK_EQ(0, ringo_sleep(10 * RINGO_MS));
	STORE(&watching, false);
	return 0;
}

TEST(nobody_waits_for_malloc_inside)
{
	if (!WATCHED)
		SKIP(return, "the sanitizers have a malloc of their own: run the plain build");
	EXPECT_EQ(0, run_main(all_main));
	EXPECT_EQ(0, inside) {
		TH_LOG("the first from %p; ringo_run is at %p", first, (void *)ringo_run);
	}
}

/* With one P what the timers leave to be freed is queued behind main. */
static int ends_as_they_fire(void *arg)
{
	struct ringo_ticker *t = ringo_ticker_new(RINGO_US);

	ringo_chan_unref(ringo_after(1000 * RINGO_SEC));
	for (int i = 0; i < 10; i++)
		ringo_chan_unref(ringo_after(0));
	for (int64_t end = ringo_now() + RINGO_US; ringo_now() < end;)
		;
	ringo_yield();
	ringo_ticker_free(t);
	return 0;
}

TEST(what_fires_as_the_run_ends_is_freed)
{
	long before = 0;

	if (!WATCHED)
		SKIP(return, "the sanitizers have a malloc of their own: run the plain build");
	for (int i = 0; i < 20; i++) {
		EXPECT_EQ(0, run_main(ends_as_they_fire));
		if (i)
			EXPECT_EQ(before, LOAD(&live));
		before = LOAD(&live);
	}
}

TEST_HARNESS_MAIN
