/* SPDX-License-Identifier: MIT */
/* What the tests of the stall watch share, with any tier: who stalls, and what is told of it. */
#ifndef RINGO_TESTS_STALL_HELP_H
#define RINGO_TESTS_STALL_HELP_H

#include "dump_help.h"

static int stall_fd;

static inline int64_t thread_cpu(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static inline uint64_t stalls(void)
{
	struct ringo_stats s = { .size = sizeof(s) };

	CHECK_EQ(0, ringo_stats_get(&s));
	return s.stalls;
}

static inline char *told(void)
{
	return text_of(dup(stall_fd));
}

static inline void watch_stalls(int64_t ns)
{
	stall_fd = memory_file();
	CHECK_EQ(0, ringo_stall_watch(ns, stall_fd));
}

static inline void computes(void *ms)
{
	for (int64_t end = thread_cpu() + (intptr_t)ms * RINGO_MS; thread_cpu() < end;)
		;
}

/* The thread is blocked, in a call that a signal ends now and then. */
static inline void blocks(void *ms)
{
	for (int64_t end = now_ns() + (intptr_t)ms * RINGO_MS; now_ns() < end;)
		nap_ms((end - now_ns()) / RINGO_MS + 1);
}

static inline void wait_stalls(uint64_t n)
{
	for (int i = 0; i < 20000 && stalls() < n; i++)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK_EQ(n, stalls());
}

/* The report is written a little after it is counted. */
static inline char *wait_told(const char *what)
{
	for (int i = 0; i < 20000; i++) {
		char *text = told();

		if (strstr(text, what))
			return text;
		free(text);
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	}
	check_failed(__FILE__, __LINE__, what, 0, 0);
	return NULL;
}

static int64_t stall_limit;
static uint32_t stall_long;
static bool stall_over;

/* Blocked nearly all the time, without a P and always on the same thread, but never for long. */
static inline void blocks_again_and_again(void *arg)
{
	int64_t since = now_ns(), now;

	(void)arg;
	ringo_lock_thread();
	while (!LOAD(&stall_over)) {
		nap_ms(5);
		ringo_yield();
		now = now_ns();
		if (now - since >= stall_limit / 2) /* on a busy machine */
			ADD(&stall_long, 1);
		since = now;
	}
}

static inline void wait_alone(void)
{
	while (ringo_num_goroutines() > 1)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
}

/* Such ones are not told of. */
static inline void stall_never_for_long(void)
{
	struct ringo_stats s = { .size = sizeof(s) };

	stall_limit = (emulated() ? 1000 : 100) * RINGO_MS;
	watch_stalls(stall_limit);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(0, ringo_go_fn(blocks_again_and_again, NULL));
	for (int64_t end = now_ns() + (emulated() ? 10 : 20) * stall_limit; now_ns() < end || s.revocations < 10;) {
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
		CHECK_EQ(0, ringo_stats_get(&s));
	}
	STORE(&stall_over, true);
	wait_alone();
	CHECK_EQ(0, ringo_stats_get(&s));
	CHECK(s.stalls <= LOAD(&stall_long));
}

#endif
