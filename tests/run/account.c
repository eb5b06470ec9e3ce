// SPDX-License-Identifier: MIT
/* CPU time of goroutines: ringo_cpu_time, and where else it is told. */
#include "dump_help.h"

static struct ringo_waitgroup done;

static int64_t cpu_by(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * RINGO_SEC + ts.tv_nsec;
}

/* Computes so much, by the clock of the thread; what it came to. */
static int64_t compute(int64_t ns)
{
	int64_t start = cpu_by(CLOCK_THREAD_CPUTIME_ID), now = start;

	while (now - start < ns)
		now = cpu_by(CLOCK_THREAD_CPUTIME_ID);
	return now - start;
}

static uint64_t stat_cpu(void)
{
	struct ringo_stats s = { .size = sizeof(s) };

	CHECK_EQ(0, ringo_stats_get(&s));
	return s.cpu_ns;
}

static void check_near(int line, int64_t got, int64_t wanted)
{
	int64_t tolerance = wanted / 20 + 2 * RINGO_MS;

	if (got < wanted - tolerance || got > wanted + tolerance)
		check_failed(__FILE__, line, "CPU time as measured", got, wanted);
}
#define CHECK_NEAR(got, wanted) check_near(__LINE__, got, wanted)

static int run_with(int (*fn)(void *), unsigned flags)
{
	int result = -1;
	struct ringo_options o = RINGO_OPTIONS(.result = &result, .flags = flags);
	int err = ringo_run_opt(fn, NULL, &o);

	return err ? err : result;
}

/* With one P, and counted. */
#define P1_TEST(name) \
	static int g_##name(void *arg); \
	TEST(name) \
	{ \
		use_procs(1); \
		EXPECT_EQ(0, run_with(g_##name, RINGO_RUN_CPU_TIME)); \
	} \
	static int g_##name(void *arg)

P1_TEST(what_was_computed_counts)
{
	int64_t start = ringo_cpu_time(), computed = compute(50 * RINGO_MS);

	CHECK(start >= 0);
	CHECK_NEAR(ringo_cpu_time() - start, computed);
	CHECK_EQ(0, ringo_sleep(10 * RINGO_MS)); /* now it is charged */
	CHECK_NEAR(ringo_cpu_time() - start, computed);
	return 0;
}

static int64_t of_sleeper, of_blocked;

static void sleeper(void)
{
	for (int i = 0; i < 5; i++)
		CHECK_EQ(0, ringo_sleep(10 * RINGO_MS));
	of_sleeper = ringo_cpu_time();
	ringo_waitgroup_done(&done);
}

static void blocked(void)
{
	for (int i = 0; i < 5; i++) {
		nap_ms(20);
		ringo_yield();
	}
	of_blocked = ringo_cpu_time();
	ringo_waitgroup_done(&done);
}

P1_TEST(who_sleeps_or_is_blocked_uses_nearly_nothing)
{
	ringo_waitgroup_add(&done, 2);
	CHECK_EQ(0, ringo_go(sleeper));
	CHECK_EQ(0, ringo_go(blocked));
	compute(50 * RINGO_MS);
	ringo_waitgroup_wait(&done);
	CHECK_NEAR(of_sleeper, 0);
	CHECK_NEAR(of_blocked, 0);
	return 0;
}

enum { HOGS = 4, PARTS = 5 };

static void hog(int64_t *computed)
{
	for (int i = 0; i < PARTS; i++) {
		*computed += compute(10 * RINGO_MS);
		ringo_yield();
	}
	CHECK_NEAR(ringo_cpu_time(), *computed);
	ringo_waitgroup_done(&done);
}

/* They lose the P, take turns in the lane, where they are parked, and share the CPU with whoever has the P. */
P1_TEST(hogs_are_charged_what_they_used_without_a_p)
{
	struct ringo_stats s = { .size = sizeof(s) };
	int64_t computed[HOGS] = { 0 }, sum = 0;

	ringo_waitgroup_add(&done, HOGS);
	for (int i = 0; i < HOGS; i++)
		CHECK_EQ(0, ringo_go(hog, &computed[i]));
	for (int i = 0; i < 50; i++)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	ringo_waitgroup_wait(&done);
	CHECK_EQ(0, ringo_stats_get(&s));
	CHECK(s.revocations > 0);
	for (int i = 0; i < HOGS; i++)
		sum += computed[i];
	CHECK((int64_t)s.cpu_ns >= sum - sum / 20);
	CHECK(ringo_cpu_time() < sum / 4);
	return 0;
}

static void yielder(int64_t *cpu)
{
	for (int64_t end = ringo_now() + 50 * RINGO_MS; ringo_now() < end;)
		for (int i = 0; i < 100; i++)
			ringo_yield();
	*cpu = ringo_cpu_time();
	ringo_waitgroup_done(&done);
}

/* Too short for the kernel's clock to be asked each time. */
P1_TEST(turns_of_less_than_a_microsecond_add_up)
{
	int64_t cpu[2], start = cpu_by(CLOCK_PROCESS_CPUTIME_ID), all;

	ringo_waitgroup_add(&done, 2);
	CHECK_EQ(0, ringo_go(yielder, &cpu[0]));
	CHECK_EQ(0, ringo_go(yielder, &cpu[1]));
	ringo_waitgroup_wait(&done);
	all = cpu_by(CLOCK_PROCESS_CPUTIME_ID) - start;
	CHECK(cpu[0] + cpu[1] > all / 2);
	CHECK(cpu[0] + cpu[1] < all + all / 10 + RINGO_MS);
	return 0;
}

static void short_lived(void)
{
	compute(30 * RINGO_MS);
	ringo_waitgroup_done(&done);
}

/* Takes over the stack of the one before, if that still has its P when it ends. */
static void on_its_stack(void)
{
	ringo_waitgroup_done(&done);
}

static void successor(void)
{
	CHECK_NEAR(ringo_cpu_time(), 0);
	ringo_waitgroup_done(&done);
}

static int lives(void *arg)
{
	uint64_t before = stat_cpu();

	for (int i = 0; i < 5; i++) {
		ringo_waitgroup_add(&done, 2);
		CHECK_EQ(0, ringo_go(short_lived));
		CHECK_EQ(0, ringo_go(on_its_stack));
		ringo_waitgroup_wait(&done);
		ringo_waitgroup_add(&done, 4);
		for (int k = 0; k < 4; k++)
			CHECK_EQ(0, ringo_go(successor));
		ringo_waitgroup_wait(&done);
	}
	for (int i = 0; stat_cpu() - before < 145 * RINGO_MS && i < 5000; i++)
		CHECK_EQ(0, ringo_sleep(RINGO_MS)); /* the last may still be on its way out */
	CHECK_NEAR((int64_t)(stat_cpu() - before), 150 * RINGO_MS);
	return 0;
}

TEST(a_life_begins_with_nothing_and_the_sum_keeps_what_was)
{
	use_procs(1);
	EXPECT_EQ(0, run_with(lives, RINGO_RUN_CPU_TIME));
	setenv("RINGO_PREEMPT", "off", 1);
	EXPECT_EQ(0, run_with(lives, RINGO_RUN_CPU_TIME));
}

static void worker(struct ringo_chan *c)
{
	compute(20 * RINGO_MS);
	CHECK_EQ(0, ringo_chan_recv(c, NULL));
	ringo_waitgroup_done(&done);
}

/* One place in the code. */
static __attribute__((noinline)) void start_worker(struct ringo_chan *c)
{
	ringo_waitgroup_add(&done, 1);
	CHECK_EQ(0, ringo_go(worker, c));
	__asm__ volatile("" ::: "memory");
}

/* The number behind "cpu " in microseconds; -1: there is none. */
static long told(const char *text)
{
	const char *at = text ? strstr(text, ", cpu ") : NULL;
	long ms, us;

	return at && sscanf(at, ", cpu %ld.%ld ms", &ms, &us) == 2 ? ms * 1000 + us : -1;
}

P1_TEST(dumps_tell_it)
{
	struct ringo_chan *c = ringo_chan_new(0, 0);
	char *full, *part, *grouped;

	start_worker(c);
	start_worker(c);
	wait_waiting(2);
	full = dump_text(RINGO_DUMP_FULL);
	part = part_of(full, "[chan receive");
	CHECK_NEAR(told(part) * 1000, 20 * RINGO_MS);
	free(part);
	part = part_of(full, "[running");
	CHECK(told(part) >= 0);
	grouped = dump_text(RINGO_DUMP_GROUPED);
	CHECK_NEAR(told(strstr(grouped, "[chan receive")) * 1000, 40 * RINGO_MS);
	ringo_chan_close(c);
	ringo_waitgroup_wait(&done);
	ringo_chan_unref(c);
	free(full);
	free(part);
	free(grouped);
	return 0;
}

/* One that runs on another thread at the moment. */
static bool stop;

static void runner(void *arg)
{
	while (!LOAD(&stop))
		;
	ringo_waitgroup_done(&done);
}

P1_TEST(dumps_tell_it_of_one_that_runs)
{
	struct ringo_go_options o = RINGO_GO_OPTIONS(.name = "runner");
	long us = 0;

	STORE(&stop, false);
	ringo_waitgroup_add(&done, 1);
	CHECK_EQ(0, ringo_go_opt(&o, runner, NULL));
	for (int i = 0; us < 20000 && i < 5000; i++) {
		char *full, *part;

		CHECK_EQ(0, ringo_sleep(RINGO_MS));
		full = dump_text(RINGO_DUMP_FULL);
		part = part_of(full, "] runner:");
		us = told(part);
		free(part);
		free(full);
	}
	CHECK(us >= 20000);
	STORE(&stop, true);
	ringo_waitgroup_wait(&done);
	return 0;
}

static int not_counted(void *arg)
{
	char *full;

	CHECK_EQ(-ENOTSUP, ringo_cpu_time());
	CHECK_EQ(0, stat_cpu());
	full = dump_text(RINGO_DUMP_FULL);
	CHECK(!strstr(full, "cpu"));
	free(full);
	return 0;
}

static void *outside(void *arg)
{
	*(int64_t *)arg = ringo_cpu_time();
	return NULL;
}

static int of_another_thread(void *arg)
{
	pthread_t t;
	int64_t cpu;

	CHECK_EQ(0, pthread_create(&t, NULL, outside, &cpu));
	CHECK_EQ(0, pthread_join(t, NULL));
	CHECK_EQ(-EPERM, cpu);
	CHECK(ringo_cpu_time() >= 0);
	return 0;
}

TEST(it_is_counted_only_if_asked_for)
{
	unsetenv("RINGO_DEBUG");
	EXPECT_EQ(-ESRCH, ringo_cpu_time());
	EXPECT_EQ(0, run_with(not_counted, 0));
	EXPECT_EQ(0, run_with(of_another_thread, RINGO_RUN_CPU_TIME));
	EXPECT_EQ(0, run_with(of_another_thread, RINGO_RUN_DEBUG));
	setenv("RINGO_DEBUG", "1", 1);
	EXPECT_EQ(0, run_with(of_another_thread, 0));
	setenv("RINGO_DEBUG", "0", 1);
	EXPECT_EQ(0, run_with(not_counted, 0));
	setenv("RINGO_DEBUG", "yes", 1);
	EXPECT_EQ(-EINVAL, run_with(not_counted, 0));
}

static int panicking(void *arg)
{
	compute(5 * RINGO_MS);
	ringo_panic("enough");
	return 0;
}

static int asleep(void *arg)
{
	return ringo_chan_recv(NULL, NULL);
}

static void die(void)
{
	run_with(panicking, RINGO_RUN_CPU_TIME);
}

static void sleep_for_ever(void)
{
	run_with(asleep, RINGO_RUN_CPU_TIME);
}

TEST(last_words_tell_it)
{
	struct outcome o;

	NEEDS_ABORT();
	in_child(&o, die);
	EXPECT_TRUE(aborted(&o));
	EXPECT_GE(told(strstr(o.err, "[running")), 4000);
	in_child(&o, sleep_for_ever);
	EXPECT_GE(told(strstr(o.err, "[NULL chan")), 0);
}

TEST_HARNESS_MAIN
