// SPDX-License-Identifier: MIT
/*
 * ringo-ps against what the program knows of itself: this program is the target, and asks the tool about itself, in
 * words of ringo_dump, in all states, from a core file, and with targets that are not what they should be.
 */
#include <ctype.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>

#include "help.h"
#include "run/waiters.h"

#define NOINLINE __attribute__((noinline))

/* ---- goroutines in known states ---- */

static struct ringo_chan *never;
static struct ringo_mutex taken;
static bool stop_spinning;

static NOINLINE int deep(int n)
{
	int res = n ? deep(n - 1) : ringo_chan_recv(never, NULL);

	__asm__ volatile("" ::: "memory");
	return res;
}

static void receiver(void *arg)
{
	int res = deep((int)(intptr_t)arg);

	CHECK(res <= 0);
}

static void selecter(void *arg)
{
	struct ringo_chan *no_chan = NULL;
	struct ringo_case cases[] = { RINGO_RECV(never, NULL), RINGO_TIMEOUT(7200 * RINGO_SEC),
				      RINGO_POLL((int)(intptr_t)arg, POLLIN), RINGO_SEND(no_chan, NULL) };
	int res = ringo_select(cases, 4);

	CHECK(res <= 0);
}

static NOINLINE void spin_here(void)
{
	while (!LOAD(&stop_spinning))
		;
}

static void spinner(void *arg)
{
	spin_here();
	__asm__ volatile("" ::: "memory");
}

static void start_them(void)
{
	struct ringo_go_options o = RINGO_GO_OPTIONS(.name = "the reader", .flags = RINGO_GO_DAEMON);
	int p[2];

	CHECK_EQ(0, pipe(p));
	never = ringo_chan_new(0, 0);
	ringo_mutex_lock(&taken);
	for (intptr_t i = 0; i < 40; i++)
		CHECK_EQ(0, ringo_go_fn(receiver, (void *)(i * 4 % 80)));
	CHECK_EQ(0, ringo_go_fn(locker, &taken));
	CHECK_EQ(0, ringo_go_fn(sleeper, NULL));
	CHECK_EQ(0, ringo_go_fn(selecter, (void *)(intptr_t)p[0]));
	CHECK_EQ(0, ringo_go_opt(&o, reader, (void *)(intptr_t)p[0]));
	wait_waiting(44);
}

/* ---- as ringo_dump ---- */

/* Leaves out lines of source, and how long, which goes on between two looks. */
static void normalise(char *text)
{
	char *to = text;

	for (char *from = text; *from;) {
		size_t n = strcspn(from, "\n");
		char *cut = from[0] == '\t' ? memmem(from, n, "  ", 2) : NULL;
		char *comma = !strncmp(from, "goroutine ", 10) ? memchr(from, ',', n) : NULL;
		char *after = comma ? memchr(comma, ']', n - (size_t)(comma - from)) : NULL;
		size_t keep = cut ? (size_t)(cut - from) : after ? (size_t)(comma - from) : n;

		memmove(to, from, keep);
		to += keep;
		if (after) {
			memmove(to, after, n - (size_t)(after - from));
			to += n - (size_t)(after - from);
		}
		*to++ = '\n';
		from += n + (from[n] == '\n');
	}
	*to = 0;
}

/* The part about each that start_them has started: the main one is elsewhere by now. */
static void check_same(char *ours, char *theirs)
{
	int n = 0;

	normalise(ours);
	normalise(theirs);
	for (char *part = strstr(ours, "goroutine "); part; part = strstr(part + 1, "\ngoroutine ")) {
		char *end = strstr(part + 1, "\n\n"), *copy;

		part += *part == '\n';
		CHECK(end != NULL);
		copy = strndup(part, (size_t)(end - part) + 2);
		if (strstr(copy, "created by start_them")) {
			check_has(__FILE__, __LINE__, theirs, copy);
			n++;
		}
		free(copy);
	}
	CHECK_EQ(44, n);
}

static int same_main(void *arg)
{
	struct said s;
	char *ours;

	start_them();
	s = say("ringo-ps", "-s %d", getpid());
	ours = dump_text(RINGO_DUMP_FULL);
	CHECK_EQ(0, s.status);
	CHECK_HAS(s.text, " [io, ");
	CHECK_HAS(s.text, ", daemon] the reader:\n");
	CHECK_HAS(s.text, ", timeout 120 minutes, fd ");
	check_same(ours, s.text);
	free(ours);
	free(s.text);
	return 0;
}

TEST(agrees_with_ringo_dump)
{
	NEEDS_TOOL("ringo-ps");
	EXPECT_EQ(0, ringo_run(same_main, NULL));
}

/* ---- running ones ---- */

static int running_main(void *arg)
{
	struct said s;

	CHECK_EQ(0, ringo_go_fn(spinner, NULL));
	s = say("ringo-ps", "-s %d", getpid());
	for (int i = 0; i < 100 && !strstr(s.text, " spin_here+0x"); i++) {
		free(s.text);
		s = say("ringo-ps", "-s %d", getpid());
	}
	CHECK_HAS(s.text, " spin_here+0x");
	CHECK_HAS(s.text, " spinner+0x");
	CHECK_HAS(s.text, ", on M ");
	free(s.text);
	s = say("ringo-ps", "-s --no-stop %d", getpid());
	check_says(&s, 0, "its thread is not to be stopped");
	free(s.text);
	STORE(&stop_spinning, true);
	return 0;
}

TEST(shows_the_stack_of_one_that_runs)
{
	NEEDS_TOOL("ringo-ps");
	EXPECT_EQ(0, ringo_run(running_main, NULL));
}

static int preempted_main(void *arg)
{
	struct said s;
	bool seen = false;

	CHECK_EQ(0, ringo_go_fn(spinner, NULL));
	for (int i = 0; i < 100 && !seen; i++) {
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
		s = say("ringo-ps", "-t preempted %d", getpid());
		CHECK_EQ(0, s.status);
		seen = strstr(s.text, " spinner ");
		free(s.text);
	}
	CHECK(seen);
	STORE(&stop_spinning, true);
	return 0;
}

TEST(shows_one_that_runs_without_a_p)
{
	NEEDS_TOOL("ringo-ps");
	use_procs(1);
	EXPECT_EQ(0, ringo_run(preempted_main, NULL));
}

/* Its CPU time, to the moment. */
static int cpu_main(void *arg)
{
	const char *at;
	struct said s;

	CHECK_EQ(0, ringo_go_fn(spinner, NULL));
	nap_ms(300);
	s = say("ringo-ps", "-w -o cpu -n 1 %d", getpid());
	CHECK_EQ(0, s.status);
	at = strstr(s.text, " ms ");
	while (at > s.text && (isdigit((unsigned char)at[-1]) || at[-1] == '.'))
		at--;
	CHECK_HAS(s.text, " spinner ");
	CHECK(at && atof(at) > 10);
	free(s.text);
	STORE(&stop_spinning, true);
	return 0;
}

TEST(counts_the_turn_under_way)
{
	NEEDS_TOOL("ringo-ps");
	setenv("RINGO_DEBUG", "1", 1);
	EXPECT_EQ(0, ringo_run(cpu_main, NULL));
}

/* ---- lists ---- */

static int lists_main(void *arg)
{
	struct ringo_stats st = { .size = sizeof(st) };
	struct said s;
	char all[64];

	start_them();
	s = say("ringo-ps", "-g %d", getpid());
	check_says(&s, 0, "       40 chan receive ");
	check_says(&s, 0, " reader               start_them");
	free(s.text);
	s = say("ringo-ps", "-u %d", getpid());
	CHECK_EQ(0, ringo_stats_get(&st));
	snprintf(all, sizeof(all), " %d goroutines: ", (int)st.goroutines);
	check_says(&s, 0, all);
	check_says(&s, 0, " 43 waiting; ");
	free(s.text);
	s = say("ringo-ps", "-t mutex %d", getpid());
	check_says(&s, 0, " locker ");
	CHECK(!strstr(s.text, " sleeper "));
	free(s.text);
	s = say("ringo-ps", "-i 100000 %d", getpid());
	check_says(&s, 1, "there is no goroutine 100000");
	free(s.text);
	return 0;
}

TEST(lists_groups_and_counts)
{
	NEEDS_TOOL("ringo-ps");
	EXPECT_EQ(0, ringo_run(lists_main, NULL));
}

/* ---- cores ---- */

FIXTURE(slow) {
};

FIXTURE_SETUP(slow)
{
}

FIXTURE_TEARDOWN(slow)
{
}

static int core_main(void *arg)
{
	start_them();
	CHECK_EQ(0, ringo_go_fn(spinner, NULL));
	CHECK_EQ(0, ringo_sleep(50 * RINGO_MS));
	ringo_panic("the end of %s", "this");
	return 0;
}

TEST_F_TIMEOUT(slow, reads_a_core, 110)
{
	struct stat st;
	char path[128];
	struct said s;

	NEEDS_TOOL("ringo-ps");
	if (SANITIZED)
		SKIP(return, "sanitizers write no cores");
	if (!make_core(core_main, path, sizeof(path)))
		SKIP(return, "no core files here (ulimit -Hc, sysctl kernel.core_pattern=core)");
	s = say("ringo-ps", "-s %s", path);
	check_says(&s, 0, "core of process ");
	check_says(&s, 0, " ringo_panic");
	check_says(&s, 0, " core_main+0x");
	check_says(&s, 0, " spin_here+0x");
	check_says(&s, 0, " ringo_chan_recv+0x");
	check_says(&s, 0, ", daemon] the reader:\n");
	free(s.text);
	CHECK_EQ(0, stat(path, &st));
	CHECK(st.st_size < INT64_C(4) << 30); /* nothing of the stacks that were never used */
	/* At any length it ends, with what it has or a message. */
	for (int i = 24; i > 0; i--) {
		CHECK_EQ(0, stat(path, &st));
		CHECK_EQ(0, truncate(path, i > 16 ? st.st_size * 3 / 4 : st.st_size / 4));
		s = say("ringo-ps", "-s %s", path);
		if (s.status)
			check_says(&s, 1, "ringo-ps: ");
		CHECK(s.status == 0 || s.status == 1);
		free(s.text);
	}
	drop_core(path);
}

/* ---- targets that are none ---- */

static void check_refused(const char *what, const char *why)
{
	struct said s = say("ringo-ps", "%s", what);

	check_says(&s, 1, why);
	free(s.text);
}

TEST(says_why_it_cannot)
{
	char what[64];

	NEEDS_TOOL("ringo-ps");
	check_refused("999999999", "no such process");
	check_refused("0", "a process number is needed");
	check_refused("99999999999999999999", "a process number is needed");
	check_refused("/nonexistent", "No such file");
	check_refused("/dev/null", "no core file");
	check_refused("/etc/passwd", "no core file");
	check_refused("/proc/self/exe", "no core file");
	snprintf(what, sizeof(what), "%d", getpid());
	check_refused(what, "no ringo_run goes on in it");
}

static int other_user_main(void *arg)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		struct said s;

		if (setgid(65534) || setuid(65534) || access(tool("ringo-ps"), X_OK))
			_exit(4);
		s = say("ringo-ps", "%d", getppid());
		check_says(&s, 1, "another user");
		_exit(0);
	}
	CHECK_EQ(pid, waitpid(pid, &status, 0));
	*(int *)arg = WEXITSTATUS(status);
	return 0;
}

TEST(belongs_to_owner_and_root)
{
	int status = 0;

	NEEDS_TOOL("ringo-ps");
	if (geteuid())
		SKIP(return, "another user is needed: run as root");
	EXPECT_EQ(0, ringo_run(other_user_main, &status));
	if (status == 4)
		SKIP(return, "others may not run the tool where it lies");
	EXPECT_EQ(0, status);
}

/* ---- all moves, and all ends ---- */

static void short_one(void *arg)
{
	ringo_yield();
}

static int restless_main(void *arg)
{
	int64_t end = ringo_now() + 60 * RINGO_SEC;

	start_them();
	while (ringo_now() < end) {
		for (int i = 0; i < 1000; i++)
			if (ringo_go_fn(short_one, NULL))
				break;
		ringo_yield();
	}
	return 0;
}

/* Killed in the middle of being read, at other moments each time. */
TEST_F_TIMEOUT(slow, target_that_dies_meanwhile, 110)
{
	NEEDS_TOOL("ringo-ps");
	for (int i = 0; i < 20; i++) {
		char what[256];
		struct said s;
		pid_t pid = fork();

		if (!pid)
			_exit(ringo_run(restless_main, NULL));
		nap_ms(150);
		snprintf(what, sizeof(what), "%s %d & sleep 0.0%02d; kill -9 %d; wait $!", i % 2 ? "-s" : "-g", pid, i,
			 pid);
		s = say("ringo-ps", "%s", what);
		CHECK(!strstr(s.text, "ault") && !strstr(s.text, "bort"));
		free(s.text);
		waitpid(pid, NULL, 0);
	}
}

TEST(garbage_is_an_error)
{
	NEEDS_TOOL("ringo-ps");
	for (uint64_t seed = 0; seed < 4; seed++) {
		char what[32];
		pid_t pid = fork();

		if (!pid)
			garbage_child(seed);
		nap_ms(100);
		snprintf(what, sizeof(what), "%d", pid);
		check_refused(what, "ringo-ps: process ");
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
}

TEST_HARNESS_MAIN
