// SPDX-License-Identifier: MIT
/*
 * Traces of what the kernel does to threads: a program that blocks in known calls, and is preempted, has that
 * in its trace; what is lost is told; and without privileges ringo-trace goes on without. Needs no more than
 * the tool, so that it runs on other kernels, too (tests/vm); where there is python3, trace.py says whether
 * each trace is one.
 */
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "help.h"
#include "kmod/uapi/ringo_events.h"

enum { BLOCKS = 10, MOST = 8, BLOCK_MS = 20, PREEMPTIONS = 20, RIVAL_MS = 100, NAPS = 3000, NOBODY = 65534 };

/* What a child and its parent both see. */
static struct shared {
	bool began, done;
	pid_t reader;
	int reading;
	long blocked, preempted;
	int64_t rival, taken; /* CPU time: that the rival has had, and of that, since the hog began */
} *shared;

/* Where a hog has a rival; and where everything else of this test is. */
static cpu_set_t there, elsewhere;

static void share(void)
{
	if (shared)
		return;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED);
}

/* ---- the target ---- */

static void wait_wanted(void)
{
	const struct ringo_state *s = find_state();
	const bool *flag;

	CHECK(s && s->events);
	flag = (const bool *)(uintptr_t)((const struct ringo_events *)(uintptr_t)s->events)->flag;
	STORE(&shared->began, true);
	while (!LOAD(flag))
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
}

static int target_main(void *arg)
{
	void (*what)(void) = *(void (**)(void))arg;

	wait_wanted();
	what();
	STORE(&shared->done, true);
	CHECK_EQ(0, ringo_sleep(600 * RINGO_SEC));
	return 0;
}

static void wait_for(const bool *b)
{
	for (int i = 0; i < 30000 && !LOAD(b); i++)
		nap_ms(2);
	CHECK(LOAD(b));
}

static pid_t target(void (*what)(void), unsigned procs)
{
	struct ringo_options o = RINGO_OPTIONS(.procs = procs, .preempt = RINGO_PREEMPT_OFF);
	pid_t pid;

	share();
	unsetenv("RINGO_PROCS");
	unsetenv("RINGO_PREEMPT");
	pid = fork();
	CHECK(pid >= 0);
	if (pid)
		return wait_for(&shared->began), pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_DUMPABLE, 1);
	_exit(ringo_run_opt(target_main, &what, &o));
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	CHECK_EQ(pid, waitpid(pid, NULL, 0));
}

/* ---- what it does ---- */

static int ends[2];

static void reader(void *wg)
{
	char byte;

	shared->reader = (pid_t)syscall(SYS_gettid);
	for (int i = 1; i <= BLOCKS; i++) {
		STORE(&shared->reading, i);
		CHECK_EQ(1, read(ends[0], &byte, 1));
	}
	ringo_waitgroup_done(wg);
}

static bool is_asleep(pid_t tid)
{
	char path[64], text[512] = "";
	const char *state;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	f = fopen(path, "re");
	CHECK(f && fgets(text, sizeof(text), f));
	fclose(f);
	state = strrchr(text, ')');
	return state && state[2] == 'S';
}

static void writer(void *wg)
{
	for (int i = 1; i <= BLOCKS; i++) {
		while (LOAD(&shared->reading) < i || !is_asleep(shared->reader))
			nap_ms(1);
		nap_ms(BLOCK_MS);
		CHECK_EQ(1, write(ends[1], "", 1));
	}
	ringo_waitgroup_done(wg);
}

static void blocks(void)
{
	struct ringo_waitgroup wg = { 0 };

	CHECK_EQ(0, pipe(ends));
	ringo_waitgroup_add(&wg, 2);
	CHECK_EQ(0, ringo_go_fn(reader, &wg));
	CHECK_EQ(0, ringo_go_fn(writer, &wg));
	ringo_waitgroup_wait(&wg);
}

/* By the kernel's own account: how often this thread has left its CPU. */
static struct rusage switched(void)
{
	struct rusage u;

	CHECK_EQ(0, getrusage(RUSAGE_THREAD, &u));
	return u;
}

static void hogs(void)
{
	const long before = switched().ru_nivcsw;
	const int64_t rival = LOAD(&shared->rival);

	CHECK_EQ(0, sched_setaffinity(0, sizeof(there), &there));
	while (shared->preempted < PREEMPTIONS || shared->taken < RIVAL_MS * RINGO_MS) {
		for (volatile int i = 0; i < 1000000; i++)
			;
		shared->preempted = switched().ru_nivcsw - before;
		shared->taken = LOAD(&shared->rival) - rival;
	}
}

static void naps(void)
{
	const struct timespec ts = { .tv_nsec = 50000 };
	const struct rusage before = switched();
	struct rusage after;

	for (int i = 0; i < NAPS; i++)
		CHECK_EQ(0, clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL));
	after = switched();
	shared->blocked = after.ru_nvcsw - before.ru_nvcsw;
	shared->preempted = after.ru_nivcsw - before.ru_nivcsw;
}

/* ---- recording ---- */

struct recording {
	pid_t pid;
	int status;
	char json[64], err[64];
	char *trace, *said;
};

static char *slurp(const char *path)
{
	int fd = open(path, O_RDONLY);

	CHECK(fd >= 0);
	return text_of(fd);
}

static void start(struct recording *r, pid_t pid, const char *more)
{
	char number[16];
	int fd;

	*r = (struct recording){ .json = "/tmp/ringo-ktrace.XXXXXX", .err = "/tmp/ringo-ktrace.XXXXXX" };
	close(mkstemp(r->json));
	fd = mkstemp(r->err);
	CHECK(fd >= 0);
	snprintf(number, sizeof(number), "%d", pid);
	r->pid = fork();
	if (!r->pid) {
		dup2(fd, STDERR_FILENO);
		execl(tool("ringo-trace"), "ringo-trace", "-p", number, "-t", "300", "-o", r->json, more,
		      NULL);
		_exit(127);
	}
	close(fd);
}

static bool is_trace(const char *path)
{
	char command[200];

	if (system("python3 -c 'import json' 2>/dev/null"))
		return true;
	snprintf(command, sizeof(command), "python3 tests/tools/trace.py %s >&2", path);
	return !system(command);
}

static void stop(struct recording *r)
{
	kill(r->pid, SIGINT);
	CHECK_EQ(r->pid, waitpid(r->pid, &r->status, 0));
	r->trace = slurp(r->json);
	r->said = slurp(r->err);
	if (r->status)
		fprintf(stderr, "# %s\n", r->said);
	CHECK_EQ(0, r->status);
	CHECK(is_trace(r->json));
	unlink(r->json);
	unlink(r->err);
}

static void drop(struct recording *r)
{
	free(r->trace);
	free(r->said);
}

/* The tool while the target does what it is to do. */
static void record(struct recording *r, pid_t pid, const char *more)
{
	start(r, pid, more);
	wait_for(&shared->done);
	stop(r);
	end(pid);
}

struct tally {
	unsigned n;
	double us;
};

/* Spans whose name begins so, and that have that in them. */
static struct tally tally(const char *trace, const char *name, const char *has)
{
	struct tally t = { 0 };
	char begin[100], line[1000];

	snprintf(begin, sizeof(begin), ",\"name\":\"%s", name);
	for (const char *at = trace; *at; at += strcspn(at, "\n"), at += *at == '\n') {
		const char *dur;

		snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
		dur = strstr(line, ",\"dur\":");
		if (!dur || !strstr(line, begin) || !strstr(line, has))
			continue;
		t.n++;
		t.us += strtod(dur + 7, NULL);
	}
	return t;
}

/* There are kernels that do not tell of all switches, and some of these are not even missed. */
static long unseen_in(const struct recording *r)
{
	const char *at = strstr(r->trace, "\"kernel_unseen\":");

	return at ? strtol(at + 16, NULL, 10) : 0;
}

/* One more line that says what is so if something is not. */
static bool at_least(const struct recording *r, double least, double got, const char *what)
{
	if (got < least)
		fprintf(stderr, "# %s: %f, not %f; %s", what, got, least, r->said);
	return got >= least;
}

static const char *missing(void)
{
	if (geteuid())
		return "it takes root";
	return access("/sys/kernel/btf/vmlinux", R_OK) ? "this kernel has no BTF" : NULL;
}

static bool has_bpf(void)
{
	struct said s = say("ringo-trace", "--check");
	bool has = !strstr(s.text, "built without libbpf");

	free(s.text);
	return has;
}

#define NEEDS_KERNEL() \
	do { \
		NEEDS_TOOL("ringo-trace"); \
		RUNS_IN_CHILD(); \
		if (missing()) \
			SKIP(return, "%s", missing()); \
		if (!has_bpf()) \
			SKIP(return, "built without libbpf (make deps-check)"); \
	} while (0)

/* ---- tests ---- */

/* On a busy machine one may lose its CPU on the way to sleep, and find that over when it comes back. */
TEST(blocks_are_told_with_their_call_and_who_ended_them)
{
	struct recording r;
	struct tally t;

	NEEDS_KERNEL();
	record(&r, target(blocks, 2), NULL);
	CHECK_HAS(r.trace, "\"kernel_lost\":0,");
	CHECK_HAS(r.trace, " (kernel)\"");
	t = tally(r.trace, "blocked: read\"", "\"interruptible\":true");
	EXPECT_TRUE(at_least(&r, MOST, t.n, "blocks in read"));
	EXPECT_LE(t.n, 4 * BLOCKS);
	EXPECT_TRUE(at_least(&r, MOST * BLOCK_MS * 1000, t.us, "us in read"));
	t = tally(r.trace, "blocked: read\"", "\"woken_by\":\"M ");
	EXPECT_TRUE(at_least(&r, MOST, t.n, "of these ended by an M"));
	t = tally(r.trace, "wakes M ", "");
	EXPECT_TRUE(at_least(&r, MOST, t.n, "wakings"));
	EXPECT_LE(2 * MOST, count_in(r.trace, "\"cat\":\"wake M\""));
	t = tally(r.trace, "waits for a CPU\"", "");
	EXPECT_TRUE(at_least(&r, MOST, t.n, "waits for a CPU"));
	t = tally(r.trace, "blocked: clock_nanosleep\"", "\"woken_by\":\"interrupt\"");
	EXPECT_TRUE(at_least(&r, 1, t.n, "naps, ended by the clock"));
	t = tally(r.trace, "blocked: clock_nanosleep\"", "");
	EXPECT_TRUE(at_least(&r, MOST * BLOCK_MS * 1000, t.us, "us in naps"));
	drop(&r);
}

static int64_t cpu_time(void)
{
	struct timespec ts;

	CHECK_EQ(0, clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts));
	return (int64_t)ts.tv_sec * RINGO_SEC + ts.tv_nsec;
}

/* One that takes the CPU of the hog whenever it wants it; all the rest is to stay out of their way. */
static pid_t start_rival(void)
{
	const struct sched_param first = { .sched_priority = 1 };
	pid_t pid;
	int cpu = 0;

	share();
	CHECK_EQ(0, sched_getaffinity(0, sizeof(elsewhere), &elsewhere));
	while (!CPU_ISSET(cpu, &elsewhere))
		cpu++;
	CPU_SET(cpu, &there);
	if (CPU_COUNT(&elsewhere) > 1)
		CPU_CLR(cpu, &elsewhere);
	pid = fork();
	CHECK_EQ(0, sched_setaffinity(0, sizeof(there), pid ? &elsewhere : &there));
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "ringo-rival");
	if (sched_setscheduler(0, SCHED_FIFO, &first))
		CHECK_EQ(0, setpriority(PRIO_PROCESS, 0, -20));
	for (int64_t until = RINGO_MS;; until += RINGO_MS) {
		while (cpu_time() < until)
			;
		STORE(&shared->rival, until);
		nap_ms(3);
	}
}

TEST(preemptions_are_told_with_who_took_the_cpu)
{
	struct recording r;
	struct tally t;
	pid_t rival;

	NEEDS_KERNEL();
	rival = start_rival();
	record(&r, target(hogs, 1), NULL);
	end(rival);
	t = tally(r.trace, "preempted by ", "");
	EXPECT_GE(t.n + unseen_in(&r), shared->preempted * 9 / 10);
	EXPECT_TRUE(at_least(&r, (double)shared->taken / 1000 / 2, t.us, "us of preemptions"));
	t = tally(r.trace, "preempted by ringo-rival\"", "\"in\":\"own code\"");
	if (!CPU_EQUAL(&there, &elsewhere)) /* else others may come between them each time */
		EXPECT_TRUE(at_least(&r, 1, t.n, "of these by the rival"));
	drop(&r);
}

TEST(what_goes_on_at_the_end_is_in_the_trace)
{
	struct recording r;
	struct tally t;
	pid_t pid;

	NEEDS_KERNEL();
	pid = target(naps, 1);
	start(&r, pid, NULL);
	wait_for(&shared->done);
	nap_ms(300); /* its M waits for its ring, for minutes */
	stop(&r);
	end(pid);
	t = tally(r.trace, "blocked: io_uring_enter\"", "");
	EXPECT_TRUE(at_least(&r, 250000, t.us, "us at the end"));
	drop(&r);
}

/* All that has been is told, or counted. */
TEST(what_is_lost_is_counted)
{
	unsigned long lost, here;
	struct recording r;
	const char *said;
	long told;

	NEEDS_KERNEL();
	record(&r, target(naps, 1), "--ring=0.002");
	CHECK_HAS(r.said, " times that threads left their CPU came faster than they were read");
	said = strstr(r.said, " times that threads");
	while (said > r.said && said[-1] >= '0' && said[-1] <= '9')
		said--;
	lost = strtoul(said, NULL, 10);
	EXPECT_GT(lost, 0);
	EXPECT_LE(1, count_in(r.trace, "\"name\":\"switches lost\""));
	CHECK_HAS(r.trace, "\"kernel_lost\":");
	here = strtoul(strstr(r.trace, "\"kernel_lost\":") + 14, NULL, 10);
	EXPECT_EQ(lost, here);
	told = tally(r.trace, "blocked: ", "").n + tally(r.trace, "preempted by ", "").n;
	EXPECT_LT(NAPS / 2, shared->blocked);
	EXPECT_GE(told + (long)lost + unseen_in(&r), (shared->blocked + shared->preempted) * 9 / 10);
	drop(&r);
}

TEST(goes_without_if_it_is_to)
{
	struct recording r;

	NEEDS_TOOL("ringo-trace");
	RUNS_IN_CHILD();
	record(&r, target(blocks, 2), "--no-kernel");
	EXPECT_EQ(NULL, strstr(r.trace, "kernel"));
	EXPECT_EQ(NULL, strstr(r.said, "kernel"));
	EXPECT_NE(NULL, strstr(r.trace, "\"spawn\""));
	drop(&r);
}

/* 0; 4 if the tool is out of reach. */
static int as_nobody(void)
{
	struct recording r;
	struct said s;

	CHECK_EQ(0, setresgid(NOBODY, NOBODY, NOBODY));
	CHECK_EQ(0, setresuid(NOBODY, NOBODY, NOBODY));
	prctl(PR_SET_DUMPABLE, 1);
	if (access(tool("ringo-trace"), X_OK))
		return 4;
	record(&r, target(blocks, 2), NULL);
	CHECK_HAS(r.said, "ringo-trace: without what the kernel does to the threads: ");
	CHECK_HAS(r.said, "it takes root, or CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE");
	CHECK(!strstr(r.trace, "kernel"));
	CHECK_HAS(r.trace, "\"spawn\"");
	drop(&r);
	s = say("ringo-trace", "--check");
	check_says(&s, 4, "it takes root, or CAP_BPF");
	free(s.text);
	return 0;
}

TEST(goes_without_where_it_may_not)
{
	int status;
	pid_t pid;

	NEEDS_KERNEL();
	pid = fork();
	if (!pid)
		_exit(as_nobody());
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	if (status == 4 << 8)
		SKIP(return, "this tree is in a folder of root's own");
	EXPECT_EQ(0, status);
}

TEST(says_whether_it_could)
{
	struct said s;

	NEEDS_KERNEL();
	s = say("ringo-trace", "--check");
	check_says(&s, 0, "the BPF programs can be loaded");
	free(s.text);
}

TEST_HARNESS_MAIN
