// SPDX-License-Identifier: MIT
/*
 * Deadlocks under seeds. A true one is told apart from a lost wake-up: the process ends with status 2, at
 * most a moment (of simulated time) after the last goroutine fell asleep. And no interleaving of scenarios
 * in which everybody but one sleeps brings a false one.
 */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/thread.h"
#include "kselftest_harness.h"
#include "sim_test.h"

static struct ringo_waitgroup done;
static struct ringo_chan *ring[6];

/* A token goes round: exactly one goroutine can run at any time, and all else sleeps without a time. */
static void hop(int from, int rounds)
{
	long v;

	for (int i = 0; i < rounds; i++) {
		SIM_CHECK(ringo_chan_recv(ring[from], &v) == 1);
		v++;
		SIM_CHECK(ringo_chan_send(ring[(from + 1) % 6], &v) == 0);
	}
	ringo_waitgroup_done(&done);
}

static int token(void *arg)
{
	long v = 0;

	for (int i = 0; i < 6; i++)
		ring[i] = ringo_chan_new(sizeof(v), (size_t)(uintptr_t)arg);
	ringo_waitgroup_add(&done, 5);
	for (int i = 1; i < 6; i++)
		SIM_CHECK(ringo_go(hop, i, 20) == 0);
	for (int i = 0; i < 20; i++) {
		SIM_CHECK(ringo_chan_send(ring[1], &v) == 0);
		SIM_CHECK(ringo_chan_recv(ring[0], &v) == 1);
	}
	SIM_CHECK(v == 100);
	ringo_waitgroup_wait(&done);
	for (int i = 0; i < 6; i++)
		ringo_chan_unref(ring[i]);
	return 0;
}

SIM_TEST(a_token_that_goes_round_is_no_deadlock)
{
	sim_seeds(token, (void *)0);
	sim_seeds(token, (void *)1);
}

/*
 * As that, with a nap or a job of the pool now and then: who has the token may be the only one whom a time or that
 * job will wake, on whatever M, at any moment while another M looks.
 */
static void nap(void)
{
	SIM_CHECK(ringo_sleep(1 + (int64_t)(rg_sim_rand() % 3000)) == 0);
}

static int job(void *arg);

static void in_the_pool(void)
{
	int res = 0;

	SIM_CHECK(ringo_blocking(job, (void *)(uintptr_t)7, &res) == 0 && res == 7);
}

static void hop_and_rest(int from, void (*rest)(void))
{
	long v;

	for (int i = 0; i < 30; i++) {
		SIM_CHECK(ringo_chan_recv(ring[from], &v) == 1);
		if (rg_sim_chance(2))
			rest();
		v++;
		SIM_CHECK(ringo_chan_send(ring[(from + 1) % 6], &v) == 0);
	}
	ringo_waitgroup_done(&done);
}

static int slow_token(void *rest)
{
	long v = 0;

	for (int i = 0; i < 6; i++)
		ring[i] = ringo_chan_new(sizeof(v), 1);
	ringo_waitgroup_add(&done, 6);
	for (int i = 0; i < 6; i++)
		SIM_CHECK(ringo_go(hop_and_rest, i, (void (*)(void))rest) == 0);
	SIM_CHECK(ringo_chan_send(ring[rg_sim_rand() % 6], &v) == 0);
	ringo_waitgroup_wait(&done);
	for (int i = 0; i < 6; i++)
		ringo_chan_unref(ring[i]);
	return 0;
}

SIM_TEST(a_token_that_naps_is_no_deadlock)
{
	sim_seeds(slow_token, (void *)nap);
}

SIM_TEST(a_token_that_is_in_the_pool_is_no_deadlock)
{
	sim_seeds(slow_token, (void *)in_the_pool);
}

/*
 * What keeps everybody alive is a channel that time sends to: its descriptor lies among those of many that wait for
 * ever, and a look takes as long as several of these times. So it may miss it, gone when its descriptor is read, while
 * the one that waits was read before, and runs by then (its M has left its sleep), or waits for the next time (it
 * has slept again). Daemons see to it that Ms go to sleep, and look, at all moments.
 */
enum { ASLEEP = 60 };

static struct ringo_chan *never;

static void sleeps_through(void)
{
	SIM_CHECK(ringo_chan_recv(never, NULL) == 0);
	ringo_waitgroup_done(&done);
}

static void waits_for_times(int times)
{
	while (times--) {
		struct ringo_chan *c = ringo_after((int64_t)(rg_sim_rand() % 3000));

		SIM_CHECK(ringo_chan_recv(c, NULL) == 1);
		ringo_chan_unref(c);
		for (uint64_t n = rg_sim_rand() % 30; n; n--)
			rg_sim_point();
	}
	SIM_CHECK(ringo_chan_close(never) == 0);
	ringo_waitgroup_done(&done);
}

static void ticks(void *arg);

static int times_alone(void *arg)
{
	const struct ringo_go_options o = RINGO_GO_OPTIONS(.flags = RINGO_GO_DAEMON);

	(void)arg;
	never = ringo_chan_new(0, 0);
	ringo_waitgroup_add(&done, ASLEEP + 1);
	for (int i = 0; i < ASLEEP; i++) {
		SIM_CHECK(ringo_go(sleeps_through) == 0);
		if (i == ASLEEP / 3)
			SIM_CHECK(ringo_go(waits_for_times, 30) == 0);
	}
	for (uintptr_t i = 1; i < 4; i++)
		SIM_CHECK(ringo_go_opt(&o, ticks, (void *)(i * 3)) == 0);
	ringo_waitgroup_wait(&done);
	ringo_chan_unref(never);
	return 0;
}

SIM_TEST(who_waits_for_one_time_after_the_other_is_in_no_deadlock)
{
	sim_seeds(times_alone, NULL);
}

/* Between sleeps: all are asleep, and only a time, an operation or a job is left. */
static int job(void *arg)
{
	for (int i = 0; i < 5; i++)
		rg_sim_point();
	return (int)(intptr_t)arg;
}

static void by_turns(int id, int fd)
{
	char byte = 0;
	int res = 0;

	for (int i = 0; i < 8; i++) {
		switch ((id + i) % 4) {
		case 0:
			SIM_CHECK(ringo_sleep((id + i) * 20 * RINGO_US) == 0);
			break;
		case 1:
			SIM_CHECK(ringo_write(fd, &byte, 1) == 1);
			SIM_CHECK(ringo_read(fd, &byte, 1) == 1);
			break;
		case 2:
			SIM_CHECK(ringo_blocking(job, (void *)(intptr_t)id, &res) == 0);
			SIM_CHECK(res == id);
			break;
		default: {
			ringo_timeout_scope(30 * RINGO_US);
			SIM_CHECK(ringo_chan_recv(NULL, NULL) == -ETIMEDOUT);
		}
		}
	}
	ringo_waitgroup_done(&done);
}

static void echo(int fd)
{
	char byte;

	while (ringo_read(fd, &byte, 1) == 1)
		SIM_CHECK(ringo_write(fd, &byte, 1) == 1);
	ringo_waitgroup_done(&done);
}

static int turns(void *arg)
{
	int fds[3][2];

	(void)arg;
	ringo_waitgroup_add(&done, 3);
	for (int i = 0; i < 3; i++) {
		SIM_CHECK(rg_sim_stream(fds[i]) == 0);
		SIM_CHECK(ringo_go(by_turns, i, fds[i][0]) == 0);
	}
	ringo_waitgroup_add(&done, 3);
	for (int i = 0; i < 3; i++)
		SIM_CHECK(ringo_go(echo, fds[i][1]) == 0);
	SIM_CHECK(ringo_sleep(20 * RINGO_MS) == 0);
	for (int i = 0; i < 3; i++)
		rg_sim_stream_close(fds[i][0]);
	ringo_waitgroup_wait(&done);
	return 0;
}

SIM_TEST(times_operations_and_jobs_keep_everybody_alive)
{
	sim_seeds(turns, NULL);
}

/* After the same, everybody falls asleep for ever. */
static int64_t last;

static void falls_asleep(int id)
{
	ringo_yield();
	if (id % 2)
		SIM_CHECK(ringo_sleep(id * RINGO_US) == 0);
	last = ringo_now();
	(void)!ringo_chan_recv(NULL, NULL);
}

static int dead(void *arg)
{
	(void)!turns(arg);
	for (int i = 0; i < 9; i++)
		SIM_CHECK(ringo_go(falls_asleep, i) == 0);
	falls_asleep(9);
	return 0;
}

/* In a child, whose words are kept for the case that it does not end with this status. */
static void expect(unsigned long long seed, int (*scenario)(void *), unsigned procs, int wanted)
{
	char text[8192];
	size_t n = 0;
	ssize_t r;
	int p[2], status;
	bool dead;
	pid_t pid;

	SIM_CHECK(pipe(p) == 0);
	fflush(NULL);
	pid = fork();
	if (!pid) {
		dup2(p[1], 2);
		close(p[0]);
		close(p[1]);
		sim_one(seed, procs, scenario, NULL);
		_exit(0);
	}
	close(p[1]);
	while (n < sizeof(text) - 1 && (r = read(p[0], text + n, sizeof(text) - 1 - n)) > 0)
		n += (size_t)r;
	text[n] = 0;
	close(p[0]);
	sim_seed = seed;
	SIM_CHECK(waitpid(pid, &status, 0) == pid);
	dead = strstr(text, "asleep - deadlock!");
	if (!WIFEXITED(status) || WEXITSTATUS(status) != wanted || dead != (wanted == 2)) {
		fprintf(stderr, "seed %llu: status %#x\n%s\n", seed, status, text);
		abort();
	}
}

static void in_children(int (*scenario)(void *), int wanted)
{
	static const unsigned procs[] = { 1, 2, 8 };
	unsigned long long n = sim_env("RINGO_SIM_SEEDS", 50), only = sim_env("RINGO_SIM_SEED", 0);

	if (only) {
		expect(only, scenario, procs[only % 3], wanted);
		return;
	}
	for (unsigned long long seed = 1; seed <= n; seed++)
		expect(seed, scenario, procs[seed % 3], wanted);
}

SIM_TEST(a_deadlock_is_found_under_every_seed)
{
	in_children(dead, 2);
}

/* Daemons that tick keep nobody alive. */
static void ticks(void *arg)
{
	for (;;)
		SIM_CHECK(ringo_sleep((int64_t)(uintptr_t)arg * RINGO_US) == 0);
}

static int dead_but_daemons(void *arg)
{
	const struct ringo_go_options o = RINGO_GO_OPTIONS(.flags = RINGO_GO_DAEMON);

	(void)arg;
	for (uintptr_t i = 1; i < 4; i++)
		SIM_CHECK(ringo_go_opt(&o, ticks, (void *)(i * 300)) == 0);
	for (int i = 0; i < 5; i++)
		SIM_CHECK(ringo_go(falls_asleep, i) == 0);
	(void)!ringo_maxprocs(1);
	falls_asleep(9);
	return 0;
}

SIM_TEST(daemons_hide_no_deadlock)
{
	in_children(dead_but_daemons, 2);
}

/*
 * A thread of the program wakes one now and then, and ends. While it is there nothing is fatal; what it did
 * last may still be on its way when it has gone.
 */
static struct ringo_chan *from_outside;
static int woken;

static void *outside(void *arg)
{
	for (int sent = 0; sent < 12;) {
		for (int i = (int)(rg_sim_rand() % 40); i; i--)
			rg_sim_point();
		sent += ringo_chan_try_send(from_outside, NULL) == 0;
	}
	rg_sim_others--;
	return arg;
}

static void woken_from_outside(void)
{
	for (int i = 0; i < 3; i++) {
		SIM_CHECK(ringo_chan_recv(from_outside, NULL) == 1);
		woken++;
		ringo_yield();
	}
	ringo_waitgroup_done(&done);
}

static int woken_by_thread(void *arg)
{
	struct rg_thread t;

	(void)arg;
	woken = 0;
	from_outside = ringo_chan_new(0, 0);
	ringo_waitgroup_add(&done, 4);
	for (int i = 0; i < 4; i++)
		SIM_CHECK(ringo_go(woken_from_outside) == 0);
	rg_sim_others = 1;
	SIM_CHECK(rg_thread_start(&t, outside, NULL, RG_THREAD_DETACHED) == 0);
	ringo_waitgroup_wait(&done);
	SIM_CHECK(woken == 12);
	return 0;
}

SIM_TEST(what_a_thread_did_last_is_seen)
{
	in_children(woken_by_thread, 0);
}

TEST_HARNESS_MAIN
