// SPDX-License-Identifier: MIT
/*
 * The library in the tiers of the kernel: ticks take the P from who computes, blocked ones are noticed at once, and
 * whatever happens to the tier, the program goes on.
 */
#include "help.h"
#include "hogs.h"

TIERS(preempt);

FIXTURE_SETUP(preempt)
{
	TIER_SETUP();
	setenv("RINGO_PREEMPT", tier->name, 1);
	use_procs(1);
}

FIXTURE_TEARDOWN(preempt)
{
	TIER_TEARDOWN();
}

#define G_TEST_F(name) \
	static int g_##name(void *arg); \
	TEST_F_TIMEOUT(preempt, name, 120) \
	{ \
		EXPECT_EQ(0, run_main(g_##name)); \
	} \
	static int g_##name(void *arg)

static uint64_t taken(void)
{
	return LOAD(&rg_kern_ctl()->taken);
}

/* ---- ticks ---- */

static void short_hog(void)
{
	compute_for(5 * MS);
	ringo_waitgroup_done(&done);
}

/* The first ones may be sysmon's, until ticks come as often as they should. */
G_TEST_F(ticks_take_the_p)
{
	CHECK_EQ(tier->number, tier_now());
	for (int i = 0; i < 1000 && !taken(); i++) {
		ringo_waitgroup_add(&done, 1);
		CHECK_EQ(0, ringo_go(short_hog));
		sleep_ms(1);
	}
	ringo_waitgroup_wait(&done);
	CHECK(taken() > 0);
	CHECK(taken() <= revocations());
	return 0;
}

/* The module is what is best. Of BPF that can be said only where there is none. */
TEST_F(preempt, found_by_itself)
{
	setenv("RINGO_PREEMPT", "auto", 1);
	if (!access(RINGO_DEVICE, R_OK | W_OK))
		tier = &kmod_tier;
	EXPECT_EQ(0, run_main(g_ticks_take_the_p));
	tier = variant->tier;
}

/* Each long one starts with a P, because a run of less than a quantum comes before it. */
static void now_and_then(int n)
{
	for (int i = 0; i < n; i++) {
		ringo_yield();
		compute_for(4 * MS);
		ringo_yield();
	}
	ringo_waitgroup_done(&done);
}

static int taken_often(void *arg)
{
	ringo_waitgroup_add(&done, 8);
	for (int i = 0; i < 8; i++)
		CHECK_EQ(0, ringo_go(now_and_then, 20));
	ringo_waitgroup_wait(&done);
	fprintf(stderr, "# %u Ps: %llu of %llu were taken in ticks\n", rt.procs, (unsigned long long)taken(),
		(unsigned long long)revocations());
	return 0;
}

TEST_F_TIMEOUT(preempt, on_several_ps, 120)
{
	for (unsigned procs = 1; procs <= 8; procs *= 2) {
		use_procs(procs);
		EXPECT_EQ(0, run_main(taken_often));
	}
}

/* ---- blocked ones ---- */

static void sleeper(int ms)
{
	while (!LOAD(&stop)) {
		nap_ms(ms);
		ringo_yield();
	}
	ringo_waitgroup_done(&done);
}

/* How late 9 of 10 timers are at most. */
static int64_t late_beside_naps(void)
{
	enum { TICKS = 300 };
	int64_t late[TICKS];

	for (int i = 0; i < TICKS; i++) {
		int64_t due = ringo_now() + RINGO_MS;

		CHECK_EQ(0, ringo_sleep(RINGO_MS));
		late[i] = ringo_now() - due;
	}
	qsort(late, TICKS, sizeof(late[0]), by_size);
	fprintf(stderr, "# a timer beside raw naps of 5 ms is late by p50 %lld p90 %lld p99 %lld us\n",
		(long long)(late[TICKS / 2] / US), (long long)(late[TICKS * 9 / 10] / US),
		(long long)(late[TICKS * 99 / 100] / US));
	return late[TICKS * 9 / 10];
}

/* The best of some tells: the machine is busy, or there is no notice. */
G_TEST_F(blocked_ones_hold_up_others_for_less_than_a_quantum)
{
	bool so = false;

	ringo_waitgroup_add(&done, 1);
	CHECK_EQ(0, ringo_go(sleeper, 5));
	for (int i = 0; i < 5 && !so; i++)
		so = late_beside_naps() < 3 * MS;
	CHECK(so || emulated());
	CHECK(LOAD(&rg_kern_ctl()->blocked) > 0);
	end_hogs();
	return 0;
}

/* Nobody gets a signal or EINTR: a pipe read in a raw call beside a hog comes back when there is something. */
static int pipes[2];

static void raw_reader(int n)
{
	char c;

	for (int i = 0; i < n; i++)
		CHECK_EQ(1, read(pipes[0], &c, 1));
	ringo_waitgroup_done(&done);
}

G_TEST_F(blocked_ones_lose_the_p_and_see_no_eintr)
{
	CHECK_EQ(0, pipe(pipes));
	ringo_waitgroup_add(&done, 1);
	CHECK_EQ(0, ringo_go(raw_reader, 200));
	for (int i = 0; i < 200; i++) {
		sleep_ms(2);
		CHECK_EQ(1, write(pipes[1], "x", 1));
	}
	ringo_waitgroup_wait(&done);
	CHECK(LOAD(&rg_kern_ctl()->blocked) > 0);
	CHECK(revocations() > 0);
	return 0;
}

/* ---- more threads than pages ---- */

static uint32_t readers;

static void one_read(void)
{
	char c;

	CHECK_EQ(1, read(pipes[0], &c, 1));
	ringo_waitgroup_done(&done);
}

/* Those that have none are sysmon's. */
static int many_threads(void *arg)
{
	CHECK_EQ(0, pipe(pipes));
	CHECK_EQ(tier->number, tier_now());
	ringo_waitgroup_add(&done, (int)readers);
	for (uint32_t i = 0; i < readers; i++)
		CHECK_EQ(0, ringo_go(one_read));
	while (LOAD(&rt.nm) < readers)
		sleep_ms(1);
	start_hogs(1);
	sleep_ms(20);
	for (uint32_t i = 0; i < readers; i++)
		CHECK_EQ(1, write(pipes[1], "x", 1));
	end_hogs();
	return 0;
}

TEST_F_TIMEOUT(preempt, more_threads_than_pages, 120)
{
	const uint32_t pages = tier->few_pages();

	if (!pages)
		SKIP(return, "on this machine the module is not ours to load anew");
	readers = pages + 14;
	EXPECT_EQ(0, run_main(many_threads));
}

/* ---- where it is not to be had ---- */

static void run_plain(void)
{
	CHECK_EQ(0, run_main(plain));
}

static bool refused(struct outcome *o, const char *error)
{
	char text[256];

	snprintf(text, sizeof(text), "%s (%s", tier->refused, error);
	return said(o, text);
}

/* What RINGO_PREEMPT=auto takes instead. */
static uint64_t next_best(void)
{
	return tier != &kmod_tier && !access(RINGO_DEVICE, R_OK | W_OK) ? RINGO_PREEMPT_KMOD : RINGO_PREEMPT_SYSMON;
}

TEST_F(preempt, nobody_there)
{
	const char *door = tier->door();
	struct outcome by_itself, asked_for;
	char elsewhere[128];

	snprintf(elsewhere, sizeof(elsewhere), "%s.away", door);
	if (rename(door, elsewhere))
		SKIP(return, "not root");
	expected = next_best();
	setenv("RINGO_PREEMPT", "auto", 1);
	in_child(&by_itself, run_plain);
	expected = RINGO_PREEMPT_SYSMON;
	setenv("RINGO_PREEMPT", tier->name, 1);
	in_child(&asked_for, run_plain);
	EXPECT_EQ(0, rename(elsewhere, door));
	EXPECT_EQ(0, by_itself.status);
	EXPECT_STREQ("", by_itself.err);
	EXPECT_EQ(0, asked_for.status);
	EXPECT_TRUE(refused(&asked_for, "No such file"));
}

static void run_as_nobody(void)
{
	CHECK(!setgroups(0, NULL) && !setresgid(65534, 65534, 65534) && !setresuid(65534, 65534, 65534));
	run_plain();
}

TEST_F(preempt, without_permission_and_with)
{
	const char *door = tier->door();
	struct outcome o;

	if (getuid())
		SKIP(return, "not root");
	ASSERT_EQ(0, chmod(door, 0660));
	expected = RINGO_PREEMPT_SYSMON;
	in_child(&o, run_as_nobody);
	EXPECT_EQ(0, o.status);
	EXPECT_TRUE(refused(&o, "Permission denied"));
	ASSERT_EQ(0, chmod(door, 0666));
	expected = tier->number;
	in_child(&o, run_as_nobody);
	EXPECT_EQ(0, o.status);
	EXPECT_STREQ("", o.err);
	if (tier == &kmod_tier)
		EXPECT_EQ(0, chmod(door, 0660));
}

/* ---- which ends meanwhile ---- */

static void worker(long *sum)
{
	for (int i = 0; i < 200; i++) {
		compute_for(20 * US);
		ringo_yield();
		ADD(sum, 1);
	}
	ringo_waitgroup_done(&done);
}

static unsigned nth;

static int loses_it(void *arg)
{
	uint64_t before;
	long sum = 0;

	CHECK_EQ(tier->number, tier_now());
	start_hogs(2);
	sleep_ms(20);
	ringo_waitgroup_add(&done, 20);
	for (int i = 0; i < 20; i++)
		CHECK_EQ(0, ringo_go(worker, &sum));
	sleep_ms(5);
	CHECK_EQ(0, tier->lose(nth));
	sleep_ms(20);
	for (int i = 0; i < 5000 && tier_now() != RINGO_PREEMPT_SYSMON; i++)
		sleep_ms(1);
	CHECK_EQ(RINGO_PREEMPT_SYSMON, tier_now());
	/* Hogs that come now are sysmon's. */
	before = revocations();
	start_hogs(2);
	for (int i = 0; i < 5000 && revocations() == before; i++)
		sleep_ms(1);
	CHECK(revocations() > before);
	end_hogs();
	CHECK_EQ(20 * 200, sum);
	return 0;
}

/* The next run has it again. */
static void lose_it(void)
{
	CHECK_EQ(0, run_main(loses_it));
	CHECK_EQ(0, tier->end());
	CHECK(!tier->begin());
	CHECK_EQ(0, run_main(g_ticks_take_the_p));
	CHECK_EQ(0, tier->end());
}

TEST_F_TIMEOUT(preempt, it_is_lost, 120)
{
	for (nth = 0; nth < 5; nth++) {
		const char *text;
		struct outcome o;

		if (nth)
			ASSERT_EQ(NULL, tier->begin());
		in_child(&o, lose_it);
		EXPECT_EQ(0, o.status);
		EXPECT_TRUE(said(&o, tier->lost));
		text = strstr(o.err, tier->lost);
		EXPECT_EQ(NULL, text ? strstr(text, "\nringo: ") : NULL); /* and no more */
		EXPECT_EQ(0, tier->end());
	}
}

/* ---- runs that end ---- */

static void reader(int fd)
{
	char c;

	ringo_waitgroup_done(&done);
	CHECK_EQ(0, ringo_read(fd, &c, 1)); /* which does not come back */
}

static void hog_for_ever(void)
{
	for (;;)
		ringo_maxprocs(0); /* where it ends */
}

static int ends_among_revocations(void *arg)
{
	long us = (long)(intptr_t)arg;

	CHECK_EQ(tier->number, tier_now());
	ringo_waitgroup_add(&done, 3);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(0, ringo_go(reader, pipes[0]));
	ringo_waitgroup_wait(&done);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(0, ringo_go(hog_for_ever));
	CHECK_EQ(0, ringo_sleep(us * RINGO_US));
	return 0;
}

TEST_F_TIMEOUT(preempt, a_run_may_end_at_any_time, 120)
{
	int result = -1;
	struct ringo_options o = RINGO_OPTIONS(.result = &result, .quantum_ns = 200 * RINGO_US);

	if (emulated())
		o.shutdown_ns = 60 * RINGO_SEC;
	ASSERT_EQ(0, pipe(pipes));
	for (long i = 0; i < 60; i++) {
		use_procs(1 + (unsigned)i % 3);
		ASSERT_EQ(0, ringo_run_opt(ends_among_revocations, (void *)(intptr_t)(i * 97 % 3000), &o));
		ASSERT_EQ(0, result);
	}
}

static int forks(void *arg)
{
	int status = -1;
	pid_t child;

	start_hogs(2);
	sleep_ms(10);
	child = fork();
	if (!child) {
		CHECK_EQ(-ESRCH, ringo_maxprocs(0));
		memset(&done, 0, sizeof(done)); /* the parent's hogs */
		CHECK_EQ(0, run_main(g_ticks_take_the_p)); /* a client of its own */
		_exit(0);
	}
	CHECK_EQ(child, waitpid(child, &status, 0));
	CHECK_EQ(0, status);
	end_hogs();
	return 0;
}

TEST_F_TIMEOUT(preempt, a_forked_child_is_another_client, 120)
{
#ifdef RG_TSAN
	SKIP(return, "ThreadSanitizer allows no threads after a fork; run it without");
#endif
	EXPECT_EQ(0, run_main(forks));
}

/* Nor does the module's reference: the teardown unloads it. */
TEST_F_TIMEOUT(preempt, nothing_is_left_behind, 120)
{
	int fds, maps = 0;

	EXPECT_EQ(0, run_main(g_ticks_take_the_p));
	fds = count_fds();
	for (int i = 0; i < 20; i++) {
		EXPECT_EQ(0, run_main(g_ticks_take_the_p));
		if (i == 4)
			maps = count_maps();
	}
	EXPECT_EQ(fds, count_fds());
	if (!SANITIZED) /* which have maps of their own */
		EXPECT_GE(maps + 30, count_maps()); /* of the tier's own, 3 a run; records are kept, as many as there were Ms */
}

TIER_MAIN
