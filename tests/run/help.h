/* SPDX-License-Identifier: MIT */
/* What the tests of the core share: checks inside goroutines, child processes, looks at the process. */
#ifndef RINGO_TESTS_HELP_H
#define RINGO_TESTS_HELP_H

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <ringo.h>

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

#include "arch/san.h" /* RG_ASAN, RG_TSAN */

/* The limit of a test is for CPUs that are not emulated. */
#define alarm(seconds) (alarm)((unsigned int)(seconds) * (getenv("RINGO_TEST_EMULATED") ? 10 : 1))
#include "kselftest_harness.h"
#undef alarm

#if defined(RG_ASAN) || defined(RG_TSAN)
#define SANITIZED 1
#define SCALE(n) ((n) / 10 + 1)
#else
#define SANITIZED 0
#define SCALE(n) (n)
#endif

/*
 * A run in a forked child. ThreadSanitizer makes no threads there. AddressSanitizer does, but unlike glibc's
 * its allocator takes no care of forks: with another thread inside of it, a lock stays held in the child for ever.
 */
#ifdef RG_TSAN
#define RUNS_IN_CHILD() SKIP(return, "ThreadSanitizer makes no threads in a forked child; run another build")
#else
#define RUNS_IN_CHILD() (void)0
#endif
#if SANITIZED
#define RUNS_IN_CHILD_OF_BUSY_PARENT() \
	SKIP(return, "locks of sanitizers may be held when others allocate during the fork; run another build")
#else
#define RUNS_IN_CHILD_OF_BUSY_PARENT() (void)0
#endif

#define LOAD(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define STORE(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define ADD(p, v) __atomic_add_fetch(p, v, __ATOMIC_ACQ_REL)

/* For goroutines, which must not leave by the longjmp of the harness: report and end the test. */
#define CHECK(e) ((e) ? (void)0 : check_failed(__FILE__, __LINE__, #e, 0, 0))
#define CHECK_EQ(a, b) check_eq(__FILE__, __LINE__, #a " == " #b, (long long)(a), (long long)(b))

static inline void check_failed(const char *file, int line, const char *what, long long a, long long b)
{
	fprintf(stderr, "# %s:%d: not so: %s (%lld, %lld)\n", file, line, what, a, b);
	_exit(1);
}

static inline void check_eq(const char *file, int line, const char *what, long long a, long long b)
{
	if (a != b)
		check_failed(file, line, what, a, b);
}

/* fn as the main goroutine: what it returns, or why it could not run. Its end waits also for slow threads. */
static inline int run_main_with(int (*fn)(void *), void *arg)
{
	int result = -1;
	struct ringo_options o = RINGO_OPTIONS(.shutdown_ns = 20 * RINGO_SEC, .result = &result);
	int err = ringo_run_opt(fn, arg, &o);

	return err ? err : result;
}

static inline int run_main(int (*fn)(void *))
{
	return run_main_with(fn, NULL);
}

/* A test whose body is the main goroutine, and returns 0. */
#define G_TEST(name) \
	static int name##_main(void *arg); \
	TEST(name) \
	{ \
		EXPECT_EQ(0, run_main(name##_main)); \
	} \
	static int name##_main(void *arg __attribute__((unused)))

/* This many Ps, whatever RINGO_PROCS the test program was started with. */
static inline void use_procs(unsigned n)
{
	char s[16];

	snprintf(s, sizeof(s), "%u", n);
	setenv("RINGO_PROCS", s, 1);
}

/* One at a time: none is taken for one that computes because the machine was busy. */
static inline void use_turns(void)
{
	use_procs(1);
	setenv("RINGO_PREEMPT", "off", 1);
}

/* Until so many goroutines wait. */
static inline void wait_waiting(uint64_t n)
{
	struct ringo_stats s = { .size = sizeof(s) };

	for (int i = 0; i < 20000; i++) {
		CHECK_EQ(0, ringo_stats_get(&s));
		if (s.waiting + s.syscall >= n)
			return;
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	}
	check_failed(__FILE__, __LINE__, "they wait", (long long)s.waiting, (long long)n);
}

/* Where CPUs are emulated (tests/vm) each step takes some 10 times as long, and how long says nothing. */
static inline bool emulated(void)
{
	return getenv("RINGO_TEST_EMULATED");
}

/*
 * For FIXTURE_SETUP. The harness of 6.1 goes on to the test when the setup has returned; this leaves both, and what
 * was not set up is not torn down.
 */
#define SKIP_SETUP(...) SKIP(longjmp(_metadata->env, 1), __VA_ARGS__)

static inline int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* The OS thread sleeps. */
static inline void nap_ms(long ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

/* For qsort. */
static inline int by_size(const void *a, const void *b)
{
	const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static inline int count_dir(const char *path)
{
	DIR *d = opendir(path);
	int n = 0;

	if (!d)
		return -1;
	while (readdir(d))
		n++;
	closedir(d);
	return n - 3; /* ".", ".." and the one we opened, or for tasks one less than there are */
}

static inline int count_fds(void)
{
	return count_dir("/proc/self/fd");
}

static inline int count_threads(void)
{
	return count_dir("/proc/self/task") + 1;
}

static inline int count_maps(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	int n = 0, ch;

	while (f && (ch = getc(f)) != EOF)
		n += ch == '\n';
	if (f)
		fclose(f);
	return n;
}

/* A number from /proc/self/status: "VmRSS" and "VmPTE" are in kB. */
static inline long status_of(const char *field)
{
	FILE *f = fopen("/proc/self/status", "re");
	size_t len = strlen(field);
	char line[256];
	long n = -1;

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, field, len) && line[len] == ':')
			n = atol(line + len + 1);
	if (f)
		fclose(f);
	return n;
}

/* Sum over all threads of a field of their status. */
static inline long sum_over_threads(const char *field)
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;
	long sum = 0;

	while (d && (e = readdir(d))) {
		char path[300], line[256];
		FILE *f;

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%s/status", e->d_name);
		f = fopen(path, "re");
		while (f && fgets(line, sizeof(line), f))
			if (!strncmp(line, field, strlen(field)) && line[strlen(field)] == ':')
				sum += atol(line + strlen(field) + 1);
		if (f)
			fclose(f);
	}
	if (d)
		closedir(d);
	return sum;
}

/* valgrind 3.19 does not end a process of several threads that aborts. */
#define NEEDS_ABORT() \
	do { \
		if (RUNNING_ON_VALGRIND) \
			SKIP(return, "an abort hangs under valgrind; run it without"); \
	} while (0)

/* How a child process ended and what it wrote to stderr. */
struct outcome {
	int status;
	char err[32768];
};

static inline void in_child(struct outcome *o, void (*fn)(void))
{
	int p[2];
	size_t n = 0;
	ssize_t r;
	pid_t pid;

	memset(o, 0, sizeof(*o));
	fflush(NULL);
	if (pipe(p) || (pid = fork()) < 0)
		abort();
	if (!pid) {
		dup2(p[1], STDERR_FILENO);
		close(p[0]);
		close(p[1]);
		fn();
		_exit(0);
	}
	close(p[1]);
	while (n < sizeof(o->err) - 1 && (r = read(p[0], o->err + n, sizeof(o->err) - 1 - n)) > 0)
		n += (size_t)r;
	close(p[0]);
	waitpid(pid, &o->status, 0);
}

static inline bool aborted(const struct outcome *o)
{
	return WIFSIGNALED(o->status) && WTERMSIG(o->status) == SIGABRT;
}

static inline bool said(const struct outcome *o, const char *what)
{
	if (strstr(o->err, what))
		return true;
	fprintf(stderr, "# no \"%s\" in what the child said (status %#x):\n# %s\n", what, o->status, o->err);
	return false;
}

#endif
