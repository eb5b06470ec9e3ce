// SPDX-License-Identifier: MIT
/*
 * A program of known behaviour, and what each tool says of it. How often things happen is held against exact
 * numbers where the tools have tests of their own; here it is times: CPU time, waits, and shares of samples have
 * to be within 5 % of what the program itself has measured meanwhile, by the same clocks, so that what the machine
 * does to the program is in both numbers.
 *
 * The target is a process with one P, whose goroutines take turns by themselves: nobody is taken for one that
 * computes because the machine was busy. It begins when it is told to, and says itself when it is done.
 */
#include <sched.h>

#include "kmod/uapi/ringo_events.h"
#include "prof_help.h"

enum { NAPS = 40, BLOCKS = 50, TURNS = 30 };

/* What the target has done, by its own account, in nanoseconds. */
static struct shared {
	bool go, done;
	int64_t hot_ns, cool_ns; /* CPU time */
	int64_t ran_ns;          /* on a thread, by the clock on the wall */
	int64_t naps_ns;
	int64_t blocked_ns;
	int64_t ready_ns;        /* from being ready until it ran */
	int64_t delayed_ns;      /* its thread waited for a CPU, as the kernel counts */
	int64_t parks_at, parked_at; /* it is about to wait; it does */
} *shared;

/* ---- the target ---- */

static void wait_go(void)
{
	while (!LOAD(&shared->go))
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
}

static int64_t thread_cpu(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static __attribute__((noinline)) void burn(unsigned n)
{
	for (volatile unsigned i = 0; i < n; i++)
		;
}

/* In slices, between which others have their turn. */
static void burn_on(int64_t *ns, unsigned slice)
{
	wait_go();
	while (!LOAD(&shared->done)) {
		int64_t start = thread_cpu();

		burn(slice);
		STORE(ns, *ns + thread_cpu() - start);
		ringo_yield();
	}
}

static void hot(void *arg)
{
	burn_on(&shared->hot_ns, 1500000);
}

static void cool(void *arg)
{
	burn_on(&shared->cool_ns, 500000);
}

/* When it has begun to wait, the next one runs. */
static void waiter(void *arg)
{
	wait_go();
	STORE(&shared->parks_at, now_ns());
	CHECK(ringo_chan_recv(NULL, NULL) <= 0);
}

static void watcher(void *arg)
{
	while (!LOAD(&shared->parks_at))
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	STORE(&shared->parked_at, now_ns());
}

static void blocker(void *arg)
{
	wait_go();
	for (int i = 0; i < BLOCKS; i++) {
		int64_t start = now_ns();

		nap_ms(50);
		shared->blocked_ns += now_ns() - start;
	}
	STORE(&shared->done, true);
}

static void fresh(void *since)
{
	shared->ready_ns += now_ns() - *(int64_t *)since;
}

static void woken(void *c)
{
	int64_t since;

	while (ringo_chan_recv(c, &since) == 1)
		shared->ready_ns += now_ns() - since;
}

/* Keeps those waiting that it makes ready. */
static void waker(void *arg)
{
	struct ringo_chan *c = ringo_chan_new(sizeof(int64_t), 0);
	int64_t since;

	CHECK_EQ(0, ringo_go_fn(woken, c));
	wait_go();
	for (int i = 0; i < TURNS; i++) {
		since = now_ns();
		CHECK_EQ(0, i % 2 ? ringo_go_fn(fresh, &since) : ringo_chan_send(c, &since));
		nap_ms(100);
		ringo_yield();
	}
	STORE(&shared->done, true);
}

static int64_t delayed(void)
{
	FILE *f = fopen("/proc/thread-self/schedstat", "re");
	long long ran, waited = -1;

	CHECK(f && fscanf(f, "%lld %lld", &ran, &waited) == 2);
	fclose(f);
	return waited;
}

static void *rival(void *arg)
{
	while (!LOAD(&shared->done))
		burn(100000);
	return NULL;
}

/* On the CPU that all of us have. */
static void crowded(void *arg)
{
	pthread_t t;
	int64_t start;

	wait_go();
	CHECK_EQ(0, pthread_create(&t, NULL, rival, NULL));
	start = delayed();
	for (int64_t end = thread_cpu() + RINGO_SEC / 2; thread_cpu() < end;)
		burn(100000);
	shared->delayed_ns = delayed() - start;
	STORE(&shared->done, true);
	CHECK_EQ(0, pthread_join(t, NULL));
}

static void wait_recorded(void)
{
	const struct ringo_state *s = find_state();

	CHECK(s && s->events);
	while (!LOAD((const bool *)(uintptr_t)((const struct ringo_events *)(uintptr_t)s->events)->flag))
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
}

static void take_naps(void)
{
	for (int i = 0; i < NAPS; i++) {
		int64_t start = now_ns();

		CHECK_EQ(0, ringo_sleep(25 * RINGO_MS));
		shared->naps_ns += now_ns() - start;
	}
}

/* In one go. */
static void run_long(void)
{
	int64_t start = now_ns();

	for (int64_t end = thread_cpu() + RINGO_SEC / 2; thread_cpu() < end;)
		burn(100000);
	shared->ran_ns = now_ns() - start;
	STORE(&shared->done, true);
}

static struct ringo_chan *over;

/* With this the run is over, and the trace of it. */
static void recorded(void *arg)
{
	wait_recorded();
	take_naps();
	run_long();
	CHECK_EQ(0, ringo_chan_close(over));
}

static int target_main(void *arg)
{
	struct ringo_go_options o = RINGO_GO_OPTIONS(.name = NULL);
	void (*const *fns)(void *) = arg;
	bool recording = *fns == recorded; /* no sleep but its own */

	over = ringo_chan_new(0, 0);
	for (; *fns; fns++) {
		o.name = *fns == hot ? "hot" : *fns == cool ? "cool" : *fns == recorded ? "recorded" : NULL;
		CHECK_EQ(0, ringo_go_opt(&o, *fns, NULL));
	}
	if (!recording)
		return ringo_sleep(600 * RINGO_SEC);
	CHECK_EQ(0, ringo_chan_recv(over, NULL));
	nap_ms(1000); /* until all of it has been read */
	return 0;
}

static pid_t target_on(void (*const *fns)(void *), int cpu)
{
	struct ringo_options o = RINGO_OPTIONS(.procs = 1, .preempt = RINGO_PREEMPT_OFF,
					       .flags = RINGO_RUN_CPU_TIME);
	cpu_set_t set;
	pid_t pid;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED);
	unsetenv("RINGO_PROCS");
	unsetenv("RINGO_PREEMPT");
	pid = fork();
	if (pid)
		return nap_ms(300), pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (cpu >= 0) {
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		CHECK_EQ(0, sched_setaffinity(0, sizeof(set), &set));
	}
	_exit(ringo_run_opt(target_main, (void *)fns, &o));
}

static pid_t target(void (*const *fns)(void *))
{
	return target_on(fns, -1);
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* ---- comparing ---- */

/* More than so much, whatever it is. */
static void wait_past(const int64_t *ns, int64_t least)
{
	for (int i = 0; i < 20000 && LOAD(ns) <= least; i++)
		nap_ms(2);
	CHECK(LOAD(ns) > least);
}

static void wait_done(void)
{
	for (int i = 0; i < 20000 && !LOAD(&shared->done); i++)
		nap_ms(2);
	CHECK(LOAD(&shared->done));
}

/* The tool may say 5 % less than the least and 5 % more than the most that it can have been. */
static void check_between(int line, const char *text, double got, double least, double most)
{
	fprintf(stderr, "# line %d: %.3f of %.3f to %.3f\n", line, got, least, most);
	if (got >= least * 0.95 && got <= most * 1.05)
		return;
	fprintf(stderr, "# %s\n", text);
	check_failed(__FILE__, line, "within 5 % of it (us)", (long long)(got * 1e6),
		     (long long)(least * 1e6));
}
#define CHECK_BETWEEN(text, got, least, most) check_between(__LINE__, text, got, least, most)
#define CHECK_NEAR(text, got, want) check_between(__LINE__, text, got, want, want)

/* The line of the text that has that in it, from that column on. */
static const char *cell(const char *text, const char *has, unsigned col)
{
	static char line[256];
	const char *at = strstr(text, has);

	if (!at)
		fprintf(stderr, "# no \"%s\" in: %s\n", has, text);
	CHECK(at != NULL);
	while (at > text && at[-1] != '\n')
		at--;
	snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
	CHECK(strlen(line) > col);
	return line + col;
}

/* "12 ms" or "1.2 s" in nanoseconds; *step: that of the last digit. */
static int64_t span(const char *s, int64_t *step)
{
	char *unit;
	double n = strtod(s, &unit);

	if (!strncmp(unit, " ms ", 4)) {
		*step = RINGO_MS;
		return (int64_t)(n * 1e6);
	}
	CHECK(!strncmp(unit, " s ", 3));
	*step = 100 * RINGO_MS;
	return (int64_t)(n * 1e9);
}

#define NEEDS(name) \
	do { \
		NEEDS_TOOL(name); \
		if (SANITIZED || emulated()) \
			SKIP(return, "it is about a program, and time, as users have it"); \
	} while (0)

/* Where the machine has little time for us, all of it takes long. */
FIXTURE(known) {
};

FIXTURE_SETUP(known)
{
}

FIXTURE_TEARDOWN(known)
{
}

#define KNOWN_TEST(name) TEST_F_TIMEOUT(known, name, 110)

/* ---- ringo-ps ---- */

static void (*const burners[])(void *) = { hot, cool, NULL };

static void check_ps_cpu(pid_t pid, const char *option, unsigned column)
{
	int64_t hot_before = LOAD(&shared->hot_ns), cool_before = LOAD(&shared->cool_ns);
	struct said s = say("ringo-ps", "-w %s %d", option, pid);

	CHECK_EQ(0, s.status);
	CHECK_BETWEEN(s.text, atof(cell(s.text, " hot ", column)) / 1e3, (double)hot_before / 1e9,
		      (double)LOAD(&shared->hot_ns) / 1e9);
	CHECK_BETWEEN(s.text, atof(cell(s.text, " cool ", column)) / 1e3, (double)cool_before / 1e9,
		      (double)LOAD(&shared->cool_ns) / 1e9);
	free(s.text);
}

KNOWN_TEST(ringo_ps_tells_cpu_time)
{
	pid_t pid;

	NEEDS("ringo-ps");
	pid = target(burners);
	STORE(&shared->go, true);
	wait_past(&shared->cool_ns, RINGO_SEC / 2);
	check_ps_cpu(pid, "", 36);
	check_ps_cpu(pid, "-g", 46);
	end(pid);
}

/* To one of its units of 2^20 ns, at either end. */
static void check_waited(const char *text, unsigned column, int64_t before)
{
	int64_t step, got = span(cell(text, "NULL chan ", column), &step), now = now_ns();

	CHECK(got >= before - LOAD(&shared->parked_at) - 2 * RINGO_MS - step);
	CHECK(got <= now - shared->parks_at + 2 * RINGO_MS);
}

static void check_tool_waited(const char *name, const char *options, pid_t pid, unsigned column)
{
	int64_t before = now_ns();
	struct said s = say(name, "%s %d", options, pid);

	CHECK_EQ(0, s.status);
	check_waited(s.text, column, before);
	free(s.text);
}

KNOWN_TEST(ringo_ps_and_ringo_top_tell_how_long_one_waits)
{
	static void (*const fns[])(void *) = { watcher, waiter, NULL };
	pid_t pid;

	NEEDS("ringo-ps");
	NEEDS("ringo-top");
	pid = target(fns);
	STORE(&shared->go, true);
	wait_past(&shared->parked_at, 0);
	nap_ms(500);
	check_tool_waited("ringo-ps", "", pid, 25);
	check_tool_waited("ringo-ps", "-g", pid, 24);
	check_tool_waited("ringo-ps", "-g", pid, 35);
	check_tool_waited("ringo-top", "-b -n 1", pid, 24);
	check_tool_waited("ringo-top", "-b -e -n 1", pid, 24);
	end(pid);
}

/* ---- ringo-top ---- */

enum { LOOK_S = 2 };

/* Its two looks lie somewhere in the time that the tool took, LOOK_S apart or more. */
static void check_top_share(const char *second, const char *has, double cpu, double wall)
{
	CHECK_BETWEEN(second, atof(cell(second, has, 35)) / 100, (cpu - (wall - LOOK_S)) / LOOK_S,
		      cpu / LOOK_S);
}

static void check_top(pid_t pid, const char *option, const char *hot_has, const char *cool_has)
{
	int64_t start = now_ns(), hot_ns = LOAD(&shared->hot_ns), cool_ns = LOAD(&shared->cool_ns);
	struct said s = say("ringo-top", "-b -n 2 -d %d %s %d", LOOK_S, option, pid);
	double wall = (double)(now_ns() - start) / 1e9;
	const char *second;

	CHECK_EQ(0, s.status);
	second = strstr(s.text + 10, "ringo-top - ");
	CHECK(second != NULL);
	check_top_share(second, hot_has, (double)(LOAD(&shared->hot_ns) - hot_ns) / 1e9, wall);
	check_top_share(second, cool_has, (double)(LOAD(&shared->cool_ns) - cool_ns) / 1e9, wall);
	free(s.text);
}

KNOWN_TEST(ringo_top_tells_the_share_of_a_cpu)
{
	pid_t pid;

	NEEDS("ringo-top");
	pid = target(burners);
	STORE(&shared->go, true);
	wait_past(&shared->cool_ns, 0);
	check_top(pid, "", " hot ", " cool ");
	check_top(pid, "-e", " hot  ", " cool  ");
	end(pid);
}

/* ---- ringo-prof ---- */

/* Of these goroutines, from before they begin until they are done, or cool has used so much. */
static char *profile(pid_t pid, const char *mode, int64_t most)
{
	struct profiler p;
	char *folded;

	start(&p, pid, mode, NULL);
	if (!watches(&p))
		fprintf(stderr, "# %s\n", p.text);
	STORE(&shared->go, true);
	if (most)
		wait_past(&shared->cool_ns, most);
	else
		wait_done();
	STORE(&shared->done, true);
	nap_ms(50); /* the last turn ends */
	folded = stop(&p);
	end(pid);
	return folded;
}

KNOWN_TEST(ringo_prof_samples_in_proportion)
{
	double hots, cools;
	char *folded;

	NEEDS("ringo-prof");
	NEEDS_PROF();
	folded = profile(target(burners), "--on-cpu", RINGO_SEC * 3 / 4);
	hots = (double)sum(folded, "hot;", "burn");
	cools = (double)sum(folded, "cool;", "burn");
	CHECK_NEAR(folded, hots / (hots + cools),
		   (double)shared->hot_ns / (double)(shared->hot_ns + shared->cool_ns));
	CHECK_NEAR(folded, (hots + cools) / 997, (double)(shared->hot_ns + shared->cool_ns) / 1e9);
	free(folded);
}

KNOWN_TEST(ringo_prof_tells_how_long_threads_are_blocked)
{
	static void (*const fns[])(void *) = { blocker, NULL };
	char *folded;

	NEEDS("ringo-prof");
	NEEDS_PROF();
	folded = profile(target(fns), "--off-cpu", 0);
	CHECK_NEAR(folded, (double)sum(folded, "blocker by target_main;blocker;", "[blocked in clock_nanosleep]") /
		   1e6, (double)shared->blocked_ns / 1e9);
	free(folded);
}

KNOWN_TEST(ringo_prof_tells_how_long_goroutines_wait_for_a_p)
{
	static void (*const fns[])(void *) = { waker, NULL };
	char *folded;

	NEEDS("ringo-prof");
	NEEDS_PROF();
	folded = profile(target(fns), "--latency", 0);
	CHECK_NEAR(folded, (double)(sum(folded, "fresh by waker;", "[waits for a P]") +
				    sum(folded, "woken by waker;", "[waits for a P]")) / 1e6,
		   (double)shared->ready_ns / 1e9);
	free(folded);
}

KNOWN_TEST(ringo_prof_tells_how_long_threads_wait_for_a_cpu)
{
	static void (*const fns[])(void *) = { crowded, NULL };
	char *folded;

	NEEDS("ringo-prof");
	NEEDS_PROF();
	if (access("/proc/self/schedstat", R_OK))
		SKIP(return, "this kernel counts no such waits itself (CONFIG_SCHED_INFO)");
	folded = profile(target_on(fns, sched_getcpu()), "--latency", 0);
	CHECK(shared->delayed_ns > RINGO_SEC / 10);
	CHECK_NEAR(folded, (double)sum(folded, "crowded by target_main;", "[its thread waits for a CPU]") /
		   1e6, (double)shared->delayed_ns / 1e9);
	free(folded);
}

/* ---- ringo-trace ---- */

KNOWN_TEST(ringo_trace_draws_spans_as_long_as_they_were)
{
	static void (*const fns[])(void *) = { recorded, NULL };
	char file[] = "/tmp/ringo-known.XXXXXX", command[400];
	struct said s;
	pid_t pid;

	NEEDS("ringo-trace");
	if (access("tests/tools/trace.py", R_OK))
		SKIP(return, "the sources are not here");
	close(mkstemp(file));
	pid = target(fns);
	s = say("ringo-trace", "-p %d -t 50 -o %s", pid, file);
	EXPECT_EQ(0, s.status);
	CHECK(LOAD(&shared->done));
	snprintf(command, sizeof(command), "python3 tests/tools/trace.py %s us.sleep~%lld us.recorded~%lld >&2",
		 file, (long long)shared->naps_ns / 1000, (long long)shared->ran_ns / 1000);
	EXPECT_EQ(0, system(command));
	unlink(file);
	end(pid);
	free(s.text);
}

TEST_HARNESS_MAIN
