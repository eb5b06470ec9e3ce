// SPDX-License-Identifier: MIT
/*
 * Revocation under seeds: goroutines lose their P at any point of their own code, and so at any entry and
 * exit of the runtime. Nothing is lost or done twice, and everybody comes to an end.
 */
#include "core/rt.h"
#include "kselftest_harness.h"
#include "sim_test.h"

enum { HOGS = 5, ROUNDS = 6, QUANTUM = 300 /* ns: 15 steps of the machine */ };

static struct ringo_waitgroup done;
static struct ringo_chan *chan;
static struct ringo_mutex mutex;
static struct ringo_ctx *ctx;
static long inside, sent, got, born, revoked, moved;

static void woken(struct m *m)
{
	(void)m;
}

/* The program's own code, in which the machine may do anything else: also park it, as the signal handler would. */
static void compute(unsigned most_us)
{
	int64_t until = rg_sim_now() + (int64_t)(rg_sim_rand() % most_us) * RINGO_US;

	while (rg_sim_now() < until) {
		rg_sim_point();
		rg_lane_interrupted((struct m *)rg_arch_self(), woken);
	}
}

/* A lock as pthreads have: who holds it may be parked, and who waits for it blocks the thread. */
static bool taken;

static bool is_free(void *arg)
{
	(void)arg;
	return !taken;
}

static void child(void)
{
	compute(5);
	born++;
	ringo_waitgroup_done(&done);
}

/* Calls that do not wait leave its holder on its thread, with a P or without. */
static void with_a_thread_lock(void)
{
	struct m *own;
	long v = 1;

	while (taken)
		rg_sim_block(is_free, NULL, INT64_MAX);
	taken = true;
	own = rg_m();
	compute(30);
	sent += ringo_chan_try_send(chan, &v) == 0;
	compute(10);
	ringo_waitgroup_add(&done, 1);
	SIM_CHECK(ringo_go(child) == 0);
	got += ringo_chan_try_recv(chan, &v) == 1;
	SIM_CHECK(rg_m() == own);
	taken = false;
}

static void critical(void)
{
	ringo_mutex_lock(&mutex);
	SIM_CHECK(inside++ == 0);
	compute(25);
	SIM_CHECK(--inside == 0);
	ringo_mutex_unlock(&mutex);
}

static void one_call(int i)
{
	long v = 1;
	int res;

	switch (i) {
	case 0:
		SIM_CHECK(ringo_chan_send(chan, &v) == 0);
		sent++;
		break;
	case 1:
		res = ringo_chan_try_send(chan, &v);
		SIM_CHECK(res == 0 || res == -EAGAIN);
		sent += !res;
		break;
	case 2:
		res = ringo_chan_try_recv(chan, &v);
		SIM_CHECK(res == 1 || res == -EAGAIN);
		got += res == 1;
		break;
	case 3:
		critical();
		break;
	case 4:
		ringo_yield();
		break;
	case 5:
		SIM_CHECK(ringo_sleep((int64_t)(rg_sim_rand() % 20) * RINGO_US) == 0);
		break;
	case 6:
		ringo_waitgroup_add(&done, 1);
		SIM_CHECK(ringo_go(child) == 0);
		break;
	case 7:
		ringo_checkpoint();
		break;
	case 8:
		if (ringo_mutex_try_lock(&mutex) == 0)
			ringo_mutex_unlock(&mutex);
		break;
	case 9:
		with_a_thread_lock();
		break;
	}
}

static void hog(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		compute(40);
		one_call((int)(rg_sim_rand() % 10));
	}
	compute(30);
	ringo_waitgroup_done(&done);
}

static void receiver(void)
{
	long v;

	while (ringo_chan_recv(chan, &v) == 1)
		got++;
	ringo_waitgroup_done(&done);
}

/* What was sent is there. */
static int settle(void)
{
	long v;

	while (ringo_chan_try_recv(chan, &v) == 1)
		got++;
	SIM_CHECK(sent == got);
	revoked += (long)rt.revocations;
	ringo_chan_unref(chan);
	return 0;
}

static int hogs(void *arg)
{
	(void)arg;
	inside = sent = got = born = 0;
	taken = false;
	chan = ringo_chan_new(sizeof(long), 2);
	ringo_waitgroup_add(&done, HOGS + 1);
	for (int i = 0; i < HOGS; i++)
		SIM_CHECK(ringo_go_opt(&RINGO_GO_OPTIONS(.flags = i ? 0 : RINGO_GO_BACKGROUND),
				       (void (*)(void *))(void (*)(void))hog, NULL) == 0);
	SIM_CHECK(ringo_go(receiver) == 0);
	for (int i = 0; i < 10; i++)
		SIM_CHECK(ringo_sleep(10 * RINGO_US) == 0);
	ringo_waitgroup_add(&done, -1);
	ringo_waitgroup_wait(&done);
	ringo_waitgroup_add(&done, 1);
	SIM_CHECK(ringo_chan_close(chan) == 0);
	ringo_waitgroup_wait(&done);
	return settle();
}

SIM_TEST(goroutines_that_compute_lose_their_P_and_nothing_else)
{
	sim_quantum = QUANTUM;
	revoked = 0;
	sim_seeds(hogs, NULL);
	if (!sim_env("RINGO_SIM_SEED", 0))
		EXPECT_GT(revoked, 0);
}

static bool on_retired(void)
{
	const struct p *p = rg_m()->p;

	return p && p->retired; /* none: just taken */
}

/*
 * Ps are retired and come back meanwhile. Who runs on one goes on until it gives way, and whoever has just looked for
 * work there may have found us; but not twice, for nobody else retires any. What is left to do at last is done with
 * the Ps that are left.
 */
static void change_procs(void)
{
	SIM_CHECK(ringo_maxprocs(1 + (int)(rg_sim_rand() % 4)) > 0);
	SIM_CHECK(ringo_sleep((int64_t)(rg_sim_rand() % 10) * RINGO_US) == 0);
	for (unsigned i = 0; i < rt.np && on_retired(); i++) {
		moved++;
		ringo_yield();
	}
	SIM_CHECK(!on_retired());
}

static void locked_hog(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		ringo_lock_thread();
		compute(20);
		ringo_yield();
		ringo_unlock_thread();
		ringo_sleep((int64_t)(rg_sim_rand() % 5) * RINGO_US);
	}
	ringo_waitgroup_done(&done);
}

static int fewer_and_more(void *arg)
{
	(void)arg;
	inside = sent = got = born = 0;
	taken = false;
	chan = ringo_chan_new(sizeof(long), 1000);
	ringo_waitgroup_add(&done, HOGS + 2);
	for (int i = 0; i < HOGS; i++)
		SIM_CHECK(ringo_go(hog) == 0);
	for (int i = 0; i < 2; i++)
		SIM_CHECK(ringo_go(locked_hog) == 0);
	for (int i = 0; i < 12; i++)
		change_procs();
	ringo_waitgroup_wait(&done);
	return settle();
}

SIM_TEST(ps_are_retired_while_they_are_taken)
{
	sim_quantum = QUANTUM;
	revoked = moved = 0;
	sim_seeds(fewer_and_more, NULL);
	if (sim_env("RINGO_SIM_SEED", 0))
		return;
	EXPECT_GT(revoked, 0);
	EXPECT_GT(moved, 0);
}

/* Operations, deadlines and cancellation while their P changes hands. */
static int fds[2];

static void reader(void)
{
	char buf[4];
	ssize_t n;

	while ((n = ringo_read(fds[0], buf, sizeof(buf))) > 0) {
		got += n;
		compute(25);
	}
	SIM_CHECK(n == -ECANCELED || n == -ETIMEDOUT);
	ringo_waitgroup_done(&done);
}

static void writer(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		ssize_t n = ringo_write(fds[1], "ab", 2);

		if (n < 0) {
			SIM_CHECK(n == -ECANCELED || n == -ETIMEDOUT);
			break;
		}
		sent += n;
		compute(25);
	}
	ringo_waitgroup_done(&done);
}

static void canceller(void)
{
	compute(100);
	ringo_ctx_cancel(ctx, 0);
	compute(20);
	ringo_waitgroup_done(&done);
}

static int operations(void *arg)
{
	(void)arg;
	sent = got = 0;
	SIM_CHECK(rg_sim_stream(fds) == 0);
	ctx = ringo_ctx_with_timeout(NULL, 150 * RINGO_US);
	ringo_waitgroup_add(&done, 5);
	for (int i = 0; i < 2; i++) {
		SIM_CHECK(ringo_go_opt(&RINGO_GO_OPTIONS(.ctx = ctx),
				       (void (*)(void *))(void (*)(void))reader, NULL) == 0);
		SIM_CHECK(ringo_go_opt(&RINGO_GO_OPTIONS(.ctx = ctx),
				       (void (*)(void *))(void (*)(void))writer, NULL) == 0);
	}
	SIM_CHECK(ringo_go(canceller) == 0);
	ringo_waitgroup_wait(&done);
	sim_stream_end(fds, sent - got);
	ringo_ctx_unref(ctx);
	return 0;
}

SIM_TEST(operations_survive_that_their_P_changes_hands)
{
	sim_quantum = QUANTUM;
	sim_seeds(operations, NULL);
}

/* The run ends while goroutines compute without a P. */
static void endless(void)
{
	for (int i = 0; i < 100; i++) {
		compute(40);
		one_call((int)(4 + rg_sim_rand() % 2));
	}
}

static int end_early(void *arg)
{
	(void)arg;
	for (int i = 0; i < HOGS; i++)
		SIM_CHECK(ringo_go(endless) == 0);
	SIM_CHECK(ringo_sleep((int64_t)(rg_sim_rand() % 100) * RINGO_US) == 0);
	return 0;
}

SIM_TEST(the_end_of_a_run_reaches_those_without_a_P)
{
	sim_quantum = QUANTUM;
	sim_seeds(end_early, NULL);
}

/* Goroutines that keep their thread, among others; some end without unlocking. */
static unsigned spoilt[256];

static void keeper(int leaves)
{
	struct m *own = rg_m();

	ringo_lock_thread();
	SIM_CHECK(!spoilt[own->id]);
	for (int i = 0; i < ROUNDS; i++) {
		compute(20);
		one_call((int)(rg_sim_rand() % 10));
		SIM_CHECK(rg_m() == own);
	}
	if (leaves)
		spoilt[own->id] = 1;
	else
		ringo_unlock_thread();
	ringo_waitgroup_done(&done);
}

static void passer_by(void)
{
	for (int i = 0; i < 2 * ROUNDS; i++) {
		SIM_CHECK(!spoilt[rg_m()->id]);
		ringo_yield();
		compute(10);
	}
	ringo_waitgroup_done(&done);
}

static int locked(void *arg)
{
	long v;

	(void)arg;
	memset(spoilt, 0, sizeof(spoilt));
	taken = false;
	inside = sent = got = born = 0;
	chan = ringo_chan_new(sizeof(long), 100);
	ringo_waitgroup_add(&done, 7);
	for (int i = 0; i < 4; i++)
		SIM_CHECK(ringo_go(keeper, i & 1) == 0);
	for (int i = 0; i < 3; i++)
		SIM_CHECK(ringo_go(passer_by) == 0);
	ringo_waitgroup_wait(&done);
	while (ringo_chan_try_recv(chan, &v) == 1)
		got++;
	SIM_CHECK(sent == got);
	ringo_chan_unref(chan);
	return 0;
}

SIM_TEST(who_is_locked_keeps_its_thread_to_itself)
{
	sim_quantum = QUANTUM;
	sim_seeds(locked, NULL);
}

/* Where no thread can be had, who keeps its own runs others, and gives its P away later. */
static void nobody_sleeps_who_counts_as_spinning(void)
{
	for (unsigned i = 0; i < rt.nm; i++)
		SIM_CHECK(!rt.m[i]->lock_waits || !rt.m[i]->spinning);
}

static void sleeper(int locks)
{
	int thread = 0;

	if (locks) {
		ringo_lock_thread();
		thread = rg_m()->tid;
	}
	for (int i = 0; i < (locks ? 20 : 40); i++) {
		ringo_sleep((int64_t)(rg_sim_rand() % (locks ? 30 : 20)) * RINGO_US);
		if (!locks)
			ringo_yield();
		SIM_CHECK(!locks || thread == rg_m()->tid);
		nobody_sleeps_who_counts_as_spinning();
	}
	if (locks)
		ringo_unlock_thread();
	ringo_waitgroup_done(&done);
}

static int sleepers(void *lockers)
{
	ringo_waitgroup_add(&done, 5);
	for (int i = 0; i < 5; i++)
		SIM_CHECK(ringo_go(sleeper, i < *(int *)lockers) == 0);
	ringo_waitgroup_wait(&done);
	return 0;
}

static void without_threads(int refused, int lockers)
{
	unsigned long long n = sim_env("RINGO_SIM_SEEDS", 50), only = sim_env("RINGO_SIM_SEED", 0);
	struct rg_sim_faults faults = { .refuse_threads = (unsigned)refused, .spurious = 5 };
	struct ringo_options o = RINGO_OPTIONS(.procs = 2, .quantum_ns = QUANTUM, .preempt = RINGO_PREEMPT_SYSMON);

	for (sim_seed = only ? only : 1; sim_seed <= (only ? only : n); sim_seed++) {
		rg_sim_begin(sim_seed, &faults);
		ringo_run_opt(sleepers, &lockers, &o); /* or not, without a thread for the first P */
		SIM_CHECK(rg_sim_ring_reset() == 0);
		rg_sim_end();
	}
}

SIM_TEST(who_waits_for_its_thread_does_not_spin)
{
	without_threads(2, 1);
}

SIM_TEST(nobody_locks_a_thread_that_is_anothers)
{
	without_threads(8, 2);
}

TEST_HARNESS_MAIN
