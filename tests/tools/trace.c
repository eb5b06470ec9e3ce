// SPDX-License-Identifier: MIT
/*
 * Traces: of programs that know what they do, by RINGO_TRACE and by ringo-trace; with rings that are too small; of
 * targets that end, lie, or are another's. trace.py says whether a trace is one, and what is in it.
 */
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "help.h"
#include "kmod/uapi/ringo_events.h"

enum { WORKERS = 10, TURNS = 3, YIELDS = 20000 };

/* What a child and its parent both see. */
struct both {
	bool began, done, go_on;
	uint64_t spawned, ops, switches, heads;
};

static struct both *both;
static char dir[] = "/tmp/ringo-trace.XXXXXX", file[64];

#define NEEDS_ALL() \
	do { \
		NEEDS_TOOL("ringo-trace"); \
		if (system("python3 -c 'import json' 2>/dev/null")) \
			SKIP(return, "no python3"); \
		set_up(); \
	} while (0)

static void set_up(void)
{
	both = mmap(NULL, sizeof(*both), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(both != MAP_FAILED);
	CHECK(mkdtemp(dir) != NULL);
	snprintf(file, sizeof(file), "%s/trace.json", dir);
}

static void clean_up(void)
{
	unlink(file);
	rmdir(dir);
}

/* 0 if the trace is one and has these numbers. */
static __attribute__((format(printf, 1, 2))) int check_trace(const char *fmt, ...)
{
	char wishes[400], command[5200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(wishes, sizeof(wishes), fmt, ap);
	va_end(ap);
	snprintf(command, sizeof(command), "python3 tests/tools/trace.py %s %s >&2", file, wishes);
	return system(command);
}

static void settle(pid_t pid)
{
	kill(pid, SIGKILL);
	CHECK_EQ(pid, waitpid(pid, NULL, 0));
}

static void wait_for(const bool *b)
{
	for (int i = 0; i < 10000 && !LOAD(b); i++)
		nap_ms(2);
	CHECK(LOAD(b));
}

/* ---- programs ---- */

static const struct ringo_events *our_events(void)
{
	const struct ringo_state *s = find_state();

	CHECK(s && s->events);
	return (const struct ringo_events *)(uintptr_t)s->events;
}

/* Events ever written. */
static uint64_t all_heads(void)
{
	const struct ringo_events *e = our_events();
	uint64_t n = 0;

	for (uint32_t i = 0; i < LOAD(&e->used); i++)
		if (e->rings[i])
			n += LOAD(&((struct ringo_event_ring *)(uintptr_t)e->rings[i])->head);
	return n;
}

static void wait_wanted(void)
{
	const bool *flag = (const bool *)(uintptr_t)our_events()->flag;

	while (!LOAD(flag))
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
}

static void worker(void *c)
{
	char byte = 'x';
	int p[2];

	CHECK_EQ(0, ringo_sleep(2 * RINGO_MS));
	CHECK_EQ(0, pipe(p));
	for (int i = 0; i < TURNS; i++) {
		CHECK_EQ(1, ringo_write(p[1], &byte, 1));
		CHECK_EQ(1, ringo_read(p[0], &byte, 1));
	}
	close(p[0]);
	close(p[1]);
	CHECK_EQ(0, ringo_chan_send(c, NULL));
}

static void work(void)
{
	struct ringo_go_options o = RINGO_GO_OPTIONS(.name = "worker \"1\" \\ of this test");
	struct ringo_chan *c = ringo_chan_new(0, 0);

	for (int i = 0; i < WORKERS; i++)
		CHECK_EQ(0, i ? ringo_go_fn(worker, c) : ringo_go_opt(&o, worker, c));
	for (int i = 0; i < WORKERS; i++)
		CHECK_EQ(1, ringo_chan_recv(c, NULL));
	CHECK_EQ(0, ringo_sleep(5 * RINGO_MS)); /* the last has ended */
	ringo_chan_unref(c);
}

static void note_stats(void)
{
	struct ringo_stats s = { .size = sizeof(s) };

	CHECK_EQ(0, ringo_stats_get(&s));
	both->spawned = s.spawned;
	both->ops = s.ops;
	both->switches = s.switches;
}

static int worker_main(void *arg)
{
	work();
	note_stats();
	return 0;
}

static void yielder(void *arg)
{
	for (int i = 0; i < YIELDS; i++)
		ringo_yield();
}

static int traced_main(void *arg)
{
	void (*what)(void) = *(void (**)(void))arg;

	STORE(&both->began, true);
	wait_wanted();
	what();
	both->heads = all_heads();
	STORE(&both->done, true);
	while (!LOAD(&both->go_on))
		CHECK_EQ(0, ringo_sleep(100 * RINGO_MS));
	return 0;
}

static void yields(void)
{
	for (int i = 0; i < 2; i++)
		CHECK_EQ(0, ringo_go_fn(yielder, NULL));
	CHECK_EQ(0, ringo_sleep(300 * RINGO_MS));
}

static void ticks(void)
{
	for (int i = 0;; i++) {
		CHECK_EQ(0, ringo_sleep(RINGO_MS / 10));
		STORE(&both->done, i > 100);
	}
}

static void works_later(void)
{
	CHECK_EQ(0, ringo_sleep(2 * RINGO_SEC));
	work();
}

static pid_t start(void (*what)(void))
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		use_turns();
		_exit(ringo_run(traced_main, &what));
	}
	wait_for(&both->began);
	return pid;
}

/* ---- tests ---- */

/*
 * What is known: WORKERS and the main one are spawned, the former end; each sleeps once, as does the main one, and
 * sends once. The rest the runtime counts itself.
 */
TEST(ringo_trace_in_the_environment_has_all_that_happened)
{
	int status;
	pid_t pid;

	NEEDS_ALL();
	pid = fork();
	if (!pid) {
		use_turns();
		setenv("RINGO_TRACE", file, 1);
		_exit(ringo_run(worker_main, NULL));
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(WORKERS + 1, both->spawned);
	EXPECT_EQ(0, check_trace("lost=0 garbage=0 cut=0 events.spawn=%d i.spawn=%d i.exit=%d X.sleep=%d i.send=%d "
				 "i.receive=%d runs=%lu events.submit=%lu events.complete=%lu tracks.goroutines=%d "
				 "'X.worker \"1\" \\ of this test>1' X.worker_main'>'1", WORKERS + 1, WORKERS + 1, WORKERS,
				 WORKERS + 1, WORKERS, WORKERS, (unsigned long)both->switches, (unsigned long)both->ops,
				 (unsigned long)both->ops, WORKERS + 1));
	clean_up();
}

static int recorded_main(void *arg)
{
	work();
	STORE(&both->began, true);
	while (!LOAD(&both->go_on))
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	return 0;
}

/* A process that records into the file of that name until it is to go on. */
static pid_t start_recorded(const char *name)
{
	pid_t pid;

	STORE(&both->began, false);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		use_turns();
		setenv("RINGO_TRACE", name, 1);
		_exit(ringo_run(recorded_main, NULL));
	}
	wait_for(&both->began);
	return pid;
}

static void end_recorded(pid_t pid)
{
	int status;

	STORE(&both->go_on, true);
	CHECK_EQ(pid, waitpid(pid, &status, 0));
	CHECK_EQ(0, status);
}

static void record_too(void)
{
	setenv("RINGO_TRACE", file, 1);
	CHECK_EQ(0, run_main(worker_main));
}

static const char others[] = ": another process records into that file; going on without a trace.";

TEST(a_file_is_one_processs_at_a_time)
{
	struct outcome o;
	pid_t pid;

	RUNS_IN_CHILD();
	NEEDS_ALL();
	pid = start_recorded(file);
	in_child(&o, record_too);
	EXPECT_EQ(0, o.status);
	EXPECT_TRUE(said(&o, others));
	EXPECT_TRUE(said(&o, "%p in the name"));
	end_recorded(pid);
	EXPECT_EQ(0, check_trace("lost=0 garbage=0 cut=0 events.spawn=%d", WORKERS + 1));
	in_child(&o, record_too); /* now it is */
	EXPECT_EQ(0, o.status);
	EXPECT_STREQ("", o.err);
	EXPECT_EQ(0, check_trace("lost=0 garbage=0 cut=0 events.spawn=%d i.exit=%d", WORKERS + 1, WORKERS));
	clean_up();
}

static struct outcome of_child;

static int forks_main(void *arg)
{
	work();
	in_child(&of_child, record_too);
	work();
	return 0;
}

TEST(the_file_is_not_a_forked_childs)
{
	RUNS_IN_CHILD();
	NEEDS_ALL();
	use_turns();
	setenv("RINGO_TRACE", file, 1);
	EXPECT_EQ(0, run_main(forks_main));
	EXPECT_EQ(0, of_child.status);
	EXPECT_TRUE(said(&of_child, others));
	EXPECT_EQ(0, check_trace("lost=0 garbage=0 cut=0 events.spawn=%d", 2 * WORKERS + 1));
	clean_up();
}

TEST(a_name_may_have_the_process_id)
{
	char name[100];
	pid_t pids[2];

	NEEDS_ALL();
	snprintf(name, sizeof(name), "%s/of.%%p.100%%%%.json", dir);
	for (int i = 0; i < 2; i++)
		pids[i] = start_recorded(name);
	for (int i = 0; i < 2; i++)
		end_recorded(pids[i]);
	for (int i = 0; i < 2; i++) {
		snprintf(file, sizeof(file), "%s/of.%d.100%%.json", dir, pids[i]);
		EXPECT_EQ(0, check_trace("lost=0 garbage=0 cut=0 events.spawn=%d", WORKERS + 1));
		unlink(file);
	}
	EXPECT_EQ(0, rmdir(dir)); /* nothing else was made there */
}

static const char *bad_name;

static void record_badly(void)
{
	setenv("RINGO_TRACE", bad_name, 1);
	CHECK_EQ(0, run_main(worker_main));
}

TEST(a_name_that_is_none_is_told)
{
	static const char *const names[] = { "/tmp/%d", "/tmp/x%", "%" };
	struct outcome o;

	RUNS_IN_CHILD();
	NEEDS_ALL();
	for (int i = 0; i < 3; i++) {
		bad_name = names[i];
		in_child(&o, record_badly);
		EXPECT_EQ(0, o.status);
		EXPECT_TRUE(said(&o, "% is to be followed by p, for the process id, or by %, for itself;"));
	}
	clean_up();
}

TEST(ringo_trace_has_all_that_happens_meanwhile)
{
	struct said s;
	pid_t pid;

	NEEDS_ALL();
	pid = start(work);
	s = say("ringo-trace", "-p %d -t 2 -o %s", pid, file);
	EXPECT_EQ(0, s.status);
	EXPECT_NE(NULL, strstr(s.text, " events, "));
	EXPECT_TRUE(both->done);
	EXPECT_EQ(0, check_trace("lost=0 garbage=0 cut=0 events.spawn=%d i.spawn=%d i.exit=%d i.send=%d i.receive=%d "
				 "X.worker'>'8", WORKERS, WORKERS, WORKERS, WORKERS, WORKERS));
	settle(pid);
	free(s.text);
	clean_up();
}

/* All that was written was either read or counted as lost. */
TEST(what_is_overrun_is_counted)
{
	unsigned long read = 0, lost = 0;
	struct said s;
	pid_t pid;

	NEEDS_ALL();
	pid = start(yields);
	s = say("ringo-trace", "-p %d -t 2 -r 0.002 -o %s", pid, file);
	EXPECT_EQ(0, s.status);
	EXPECT_TRUE(both->done);
	EXPECT_NE(NULL, strstr(s.text, " are missing (--ring)"));
	ASSERT_EQ(2, sscanf(strstr(s.text, " s, ") + 4, "%lu events, %*f MiB, %lu lost", &read, &lost));
	EXPECT_GT(lost, 0);
	/* Some sleeps of the end, after the child looked. */
	EXPECT_GE(read + lost, both->heads);
	EXPECT_LE(read + lost, both->heads + 200);
	EXPECT_EQ(0, check_trace("lost=%lu garbage=0 'X.events lost=0' 'i.events lost>0'", lost));
	settle(pid);
	free(s.text);
	clean_up();
}

struct killer {
	pid_t pid;
	int sig;
};

static void *kill_later(void *arg)
{
	const struct killer *k = arg;

	wait_for(&both->done);
	nap_ms(200);
	kill(k->pid, k->sig);
	return NULL;
}

TEST(a_process_that_dies_leaves_a_whole_trace)
{
	struct killer k = { .sig = SIGKILL };
	pthread_t thread;
	struct said s;

	NEEDS_ALL();
	k.pid = start(ticks);
	ASSERT_EQ(0, pthread_create(&thread, NULL, kill_later, &k));
	s = say("ringo-trace", "-p %d -t 30 -o %s", k.pid, file);
	EXPECT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, s.status);
	EXPECT_EQ(0, check_trace("garbage=0 cut=0 runs'>'10"));
	settle(k.pid);
	free(s.text);
	clean_up();
}

static void *end_later(void *arg)
{
	nap_ms(300);
	STORE(&both->go_on, true);
	return arg;
}

TEST(a_run_that_ends_leaves_a_whole_trace)
{
	pthread_t thread;
	struct said s;
	pid_t pid;

	NEEDS_ALL();
	pid = start(work);
	ASSERT_EQ(0, pthread_create(&thread, NULL, end_later, NULL));
	s = say("ringo-trace", "-p %d -t 30 -o %s", pid, file);
	EXPECT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, s.status);
	EXPECT_EQ(0, check_trace("lost=0 garbage=0 events.spawn=%d", WORKERS));
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	free(s.text);
	clean_up();
}

TEST(a_limit_of_size_is_kept)
{
	struct stat st;
	struct said s;
	pid_t pid;

	NEEDS_ALL();
	pid = start(ticks);
	s = say("ringo-trace", "-p %d -t 30 -s 0.5 -o %s", pid, file);
	EXPECT_EQ(0, s.status);
	EXPECT_NE(NULL, strstr(s.text, "has reached its limit"));
	ASSERT_EQ(0, stat(file, &st));
	EXPECT_LE(st.st_size, 512 << 10);
	EXPECT_GT(st.st_size, 400 << 10);
	EXPECT_EQ(0, check_trace("cut=1"));
	settle(pid);
	free(s.text);
	clean_up();
}

/* The n-th word of the events and of all rings, again and again. */
static void scribble(bool heads)
{
	const struct ringo_events *e = our_events();
	uint64_t seed = 1;

	for (int i = 0; i < 3000; i++) {
		struct ringo_event_ring *r = (void *)(uintptr_t)e->rings[1];
		uint64_t *words = heads ? (uint64_t *)r : (uint64_t *)r->events;
		size_t n = heads ? sizeof(*r) / 8 : (sizeof(r->events[0]) << r->order) / 8;

		seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
		if (heads && i < 1000)
			n = 0; /* at first it is all right */
		for (int k = 0; n && k < 64; k++)
			words[(seed >> 33) * 31 % n + (heads ? 0 : (size_t)k) % 4] = seed >> k;
		CHECK_EQ(0, ringo_sleep(RINGO_MS / 5));
	}
}

static void scribbles_events(void)
{
	ringo_yield();
	CHECK_EQ(0, ringo_sleep(RINGO_MS));
	scribble(false);
}

static void lies_of_heads(void)
{
	CHECK_EQ(0, ringo_sleep(RINGO_MS));
	scribble(true);
}

TEST(garbage_for_events_is_told)
{
	struct said s;
	pid_t pid;

	NEEDS_ALL();
	pid = start(scribbles_events);
	s = say("ringo-trace", "-p %d -t 1 -r 0.002 -o %s", pid, file);
	EXPECT_EQ(0, s.status);
	EXPECT_EQ(0, check_trace("cut=0 garbage'>'0"));
	settle(pid);
	free(s.text);
	clean_up();
}

TEST(garbage_for_rings_is_an_error)
{
	struct said s;
	pid_t pid;

	NEEDS_ALL();
	pid = start(lies_of_heads);
	s = say("ringo-trace", "-p %d -t 20 -o %s", pid, file);
	EXPECT_EQ(1, s.status);
	EXPECT_NE(NULL, strstr(s.text, "the trace ends there"));
	EXPECT_EQ(0, check_trace("cut=0"));
	settle(pid);
	free(s.text);
	clean_up();
}

TEST(what_cannot_be_traced_is_told)
{
	struct said s;
	pid_t pid;

	NEEDS_ALL();
	pid = fork();
	if (!pid)
		garbage_child(7);
	nap_ms(100);
	s = say("ringo-trace", "-p %d -o %s", pid, file);
	check_says(&s, 1, "ringo-trace: process ");
	settle(pid);
	s = say("ringo-trace", "-p %d -o %s", pid, file);
	check_says(&s, 1, "there is no such process");
	s = say("ringo-trace", "-p 2 -o %s", file);
	check_says(&s, 1, "process 2");
	s = say("ringo-trace", "-p %d -o /no/such/file", getpid());
	check_says(&s, 1, "no ringo_run goes on");
	EXPECT_NE(0, access(file, F_OK));
	s = say("ringo-trace", "-o %s", file);
	check_says(&s, 64, "which process?");
	s = say("ringo-trace", "-t x -p 1");
	check_says(&s, 64, "a number from");
	s = say("ringo-trace", "--help");
	check_says(&s, 0, "Exit status");
	clean_up();
}

TEST(only_the_owner_may_trace)
{
	int status;
	pid_t pid, other;

	NEEDS_ALL();
	if (getuid())
		SKIP(return, "not root");
	pid = start(ticks);
	other = fork();
	if (!other) {
		struct said s;

		if (setgid(65534) || setuid(65534) || access(tool("ringo-trace"), X_OK))
			_exit(4);
		s = say("ringo-trace", "-p %d -t 1 -o %s", pid, file);
		_exit(s.status == 1 && strstr(s.text, "another user") ? 0 : 1);
	}
	ASSERT_EQ(other, waitpid(other, &status, 0));
	settle(pid);
	clean_up();
	if (WEXITSTATUS(status) == 4)
		SKIP(return, "another user cannot get at the tool");
	EXPECT_EQ(0, status);
}

/* The end of one that traces is not the end of the other. */
TEST(two_may_trace)
{
	char first[128];
	struct said s;
	pid_t pid;

	NEEDS_ALL();
	pid = start(works_later);
	snprintf(first, sizeof(first), "-q -p %d -t 0.2 -o /dev/null & %s", pid, tool("ringo-trace"));
	s = say("ringo-trace", "%s -p %d -t 4 -o %s", first, pid, file);
	EXPECT_EQ(0, s.status);
	EXPECT_EQ(0, check_trace("lost=0 garbage=0 events.spawn=%d", WORKERS));
	settle(pid);
	free(s.text);
	clean_up();
}

TEST_HARNESS_MAIN
