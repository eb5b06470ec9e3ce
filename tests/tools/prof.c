// SPDX-License-Identifier: MIT
/* ringo-prof: that it counts what a program of known behaviour does, and whose it was; and what it says when it cannot. */
#include <sys/socket.h>
#include <sys/syscall.h>

#include "prof_help.h"

enum { CALLS = 500, PAGES = 300, NAPS = 200, WORKERS = 50, CROWD = 5000, NOBODY = 65534 };

/* What the target has done, by its own account. */
static struct shared {
	bool go, done;
	int64_t hot_ns, cool_ns;
	int64_t naps_ns;
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

/* Slices that end before anybody takes the P. */
static __attribute__((noinline)) void burn_slice(int64_t *ns, unsigned n)
{
	int64_t start = thread_cpu();

	burn(n);
	*ns += thread_cpu() - start;
}

static void hot(void *arg)
{
	while (!LOAD(&shared->done)) {
		burn_slice(&shared->hot_ns, 600000);
		ringo_yield();
	}
}

static void cool(void *arg)
{
	while (!LOAD(&shared->done)) {
		burn_slice(&shared->cool_ns, 200000);
		ringo_yield();
	}
}

/* What the kernel does at once, when the scheduler asks it to. */
static __attribute__((noinline)) void move_much(const int *s)
{
	static char buf[1 << 16];

	CHECK_EQ(sizeof(buf), ringo_send(s[0], buf, sizeof(buf), 0));
	CHECK_EQ(sizeof(buf), ringo_recv(s[1], buf, sizeof(buf), MSG_WAITALL));
}

static void mover(void *arg)
{
	int s[2];

	CHECK_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	while (!LOAD(&shared->done))
		move_much(s);
}

static __attribute__((noinline)) void make_calls(void)
{
	for (int i = 0; i < CALLS; i++)
		syscall(SYS_getppid);
}

static __attribute__((noinline)) void touch_pages(char *p)
{
	for (int i = 0; i < PAGES; i++)
		((volatile char *)p)[i * 4096] = 1;
}

static void caller(void *arg)
{
	char *p = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	madvise(p, PAGES * 4096, MADV_NOHUGEPAGE);
	wait_go();
	make_calls();
	touch_pages(p);
	STORE(&shared->done, true);
}

static __attribute__((noinline)) int take_naps(int n)
{
	for (int i = 0; i < n; i++)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	return n;
}

/* Stacks of the same size, which only a return address tells apart. */
static __attribute__((noinline)) int often(void)
{
	return take_naps(NAPS * 3 / 4) + 1;
}

static __attribute__((noinline)) int seldom(void)
{
	return take_naps(NAPS / 4) + 1;
}

static void napper(void *arg)
{
	int64_t start;

	wait_go();
	start = now_ns();
	CHECK_EQ(NAPS + 2, often() + seldom());
	shared->naps_ns = now_ns() - start;
	STORE(&shared->done, true);
}

static void blocker(void *arg)
{
	wait_go();
	for (int i = 0; i < 10; i++)
		nap_ms(10);
	STORE(&shared->done, true);
}

static void worker(void *arg)
{
}

static void spawner(void *arg)
{
	struct ringo_go_options o = RINGO_GO_OPTIONS(.name = "worker");

	wait_go();
	for (int i = 0; i < WORKERS; i++)
		CHECK_EQ(0, ringo_go_opt(&o, worker, NULL));
	while (ringo_num_goroutines() > 2)
		ringo_yield();
	STORE(&shared->done, true);
}

static int target_main(void *arg)
{
	struct ringo_go_options o = RINGO_GO_OPTIONS(.name = NULL);
	void (*const *fns)(void *) = arg;

	for (; *fns; fns++) {
		o.name = *fns == hot ? "hot" : *fns == cool ? "cool" : *fns == caller ? "caller" : NULL;
		CHECK_EQ(0, ringo_go_opt(&o, *fns, NULL));
	}
	CHECK_EQ(0, ringo_sleep(60 * RINGO_SEC));
	return 0;
}

static pid_t target(void (*const *fns)(void *))
{
	struct ringo_options o = RINGO_OPTIONS(.procs = 1, .preempt = RINGO_PREEMPT_SYSMON);
	pid_t pid;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED);
	unsetenv("RINGO_PROCS");
	unsetenv("RINGO_PREEMPT");
	pid = fork();
	if (pid)
		return nap_ms(300), pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	_exit(ringo_run_opt(target_main, (void *)fns, &o));
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* ---- the tool ---- */

/* One that says its size only when it is read. */
static char *text_of_file(const char *path)
{
	char *text = calloc(1, 1 << 22);
	int fd = open(path, O_RDONLY);
	size_t n = 0;
	ssize_t got;

	CHECK(text && fd >= 0);
	while ((got = read(fd, text + n, (1 << 22) - 1 - n)) > 0)
		n += (size_t)got;
	CHECK_EQ(0, got);
	close(fd);
	return text;
}

static void until_done(void)
{
	for (int i = 0; i < 2000 && !LOAD(&shared->done); i++)
		nap_ms(10);
	CHECK(LOAD(&shared->done));
}

static void check_sum(long long want, const char *folded, const char *root, const char *has)
{
	long long got = sum(folded, root, has);

	if (got != want)
		fprintf(stderr, "# %s ... %s: %lld, not %lld in\n%s", root, has, got, want, folded);
	CHECK_EQ(want, got);
}

/* Watches a target with these goroutines while it does what it is to do. */
static char *profile(void (*const *fns)(void *), const char *mode, const char *more, long ms)
{
	struct profiler p;
	pid_t pid = target(fns);
	char *folded;

	start(&p, pid, mode, more);
	if (!watches(&p))
		fprintf(stderr, "# %s\n", p.text);
	shared->hot_ns = shared->cool_ns = 0; /* what they are adding just now is a slice at most */
	STORE(&shared->go, true);
	if (ms)
		nap_ms(ms);
	else
		until_done();
	STORE(&shared->done, true);
	folded = stop(&p);
	end(pid);
	return folded;
}

/* ---- tests ---- */

TEST(samples_of_the_cpu_are_shared_as_the_cpu_was)
{
	static void (*const fns[])(void *) = { hot, cool, NULL };
	double share, by_clock;
	char *folded;

	NEEDS_PROF();
	folded = profile(fns, "--on-cpu", NULL, 4000);
	share = (double)sum(folded, "hot;", "burn") / (double)(sum(folded, "hot;", "burn") + sum(folded, "cool;", "burn"));
	by_clock = (double)shared->hot_ns / (double)(shared->hot_ns + shared->cool_ns);
	if (share < by_clock - 0.05 || share > by_clock + 0.05)
		fprintf(stderr, "# share %.3f, by its own clock %.3f:\n%s", share, by_clock, folded);
	EXPECT_TRUE(emulated() || (share > by_clock - 0.05 && share < by_clock + 0.05));
	CHECK(sum(folded, "hot;hot;burn_slice", "burn_slice;burn ") > 0);
	CHECK_HAS(report, " runs of our programs took ");
	free(folded);
}

TEST(what_the_ring_does_is_whose_operation_it_was)
{
	static void (*const fns[])(void *) = { mover, NULL };
	long long own, sends, receives, all;
	char *folded;

	NEEDS_PROF();
	folded = profile(fns, "--on-cpu", NULL, 1500);
	own = sum(folded, "mover by target_main;", "");
	sends = sum(folded, "mover by target_main;mover;move_much;ringo_send;", "[ring: send]");
	receives = sum(folded, "mover by target_main;mover;move_much;ringo_recv;", "[ring: recv]");
	all = sum(folded, "", "");
	if (sends < own / 10 || receives < own / 10 || own < all / 2)
		fprintf(stderr, "# %lld + %lld of %lld:\n%s", sends, receives, all, folded);
	EXPECT_TRUE(sends >= own / 10 && receives >= own / 10 && own >= all / 2);
	free(folded);
}

TEST(calls_and_faults_are_counted_exactly)
{
	static void (*const fns[])(void *) = { caller, NULL };
	char *folded;

	NEEDS_PROF();
	folded = profile(fns, "--calls", NULL, 0);
	check_sum(CALLS, folded, "caller;caller;make_calls;", "[getppid]");
	check_sum(CALLS, folded, "", "[getppid]");
	check_sum(PAGES, folded, "caller;caller;touch_pages;", "[page fault]");
	free(folded);
}

TEST(parks_are_counted_and_timed)
{
	static void (*const fns[])(void *) = { napper, NULL };
	long long us;
	char *folded;

	NEEDS_PROF();
	folded = profile(fns, "--off-cpu", "--count", 0);
	check_sum(NAPS * 3 / 4, folded, "napper by target_main;napper;often;take_naps;ringo_sleep;", "[sleep]");
	check_sum(NAPS / 4, folded, "napper by target_main;napper;seldom;take_naps;ringo_sleep;", "[sleep]");
	free(folded);
	folded = profile(fns, "--off-cpu", NULL, 0);
	us = sum(folded, "napper by target_main;napper;", "take_naps;ringo_sleep;[sleep]");
	if (us < NAPS * 950 || us > shared->naps_ns / 1000)
		fprintf(stderr, "# %lld us, by its own clock %lld:\n%s", us, (long long)shared->naps_ns / 1000, folded);
	EXPECT_TRUE(us >= NAPS * 950 && us <= shared->naps_ns / 1000);
	free(folded);
}

/* On a busy machine one may lose its CPU on the way to sleep, and find its time over when it comes back. */
TEST(blocks_in_the_kernel_are_told_with_their_call)
{
	static void (*const fns[])(void *) = { blocker, NULL };
	long long us;
	char *folded;

	NEEDS_PROF();
	folded = profile(fns, "--off-cpu", NULL, 0);
	us = sum(folded, "blocker by target_main;blocker;", "[blocked in clock_nanosleep]");
	if (us < 50000)
		fprintf(stderr, "# %lld us:\n%s%s", us, folded, report);
	EXPECT_TRUE(us >= 50000);
	free(folded);
}

TEST(waits_for_a_p_and_for_a_cpu_are_told_apart)
{
	static void (*const fns[])(void *) = { spawner, NULL };
	char *folded;

	NEEDS_PROF();
	folded = profile(fns, "--latency", "--count", 0);
	check_sum(WORKERS, folded, "worker;", "[waits for a P]");
	CHECK(sum(folded, "[scheduler];", "[its thread waits for a CPU]") > 0);
	CHECK_HAS(report, "goroutines waited for a P: ");
	CHECK_HAS(report, "threads that run goroutines waited for a CPU: ");
	free(folded);
}

TEST(draws_a_flame_graph)
{
	static void (*const fns[])(void *) = { hot, NULL };
	char svg[] = "/tmp/ringo-prof.XXXXXX";
	struct said s;
	pid_t pid;
	char *text;

	NEEDS_PROF();
	close(mkstemp(svg));
	pid = target(fns);
	s = say("ringo-prof", "%d -t 1 -o %s", pid, svg);
	check_says(&s, 0, "%  GOROUTINES\n");
	text = slurp(svg);
	CHECK_HAS(text, "<svg xmlns=\"http://www.w3.org/2000/svg\"");
	CHECK_HAS(text, "<title>hot: ");
	CHECK_HAS(text, ">burn</text>");
	CHECK(!strstr(text, "<script"));
	CHECK(!strcmp(text + strlen(text) - 7, "</svg>\n"));
	free(text);
	free(s.text);
	end(pid);
}

TEST(shows_what_it_has_when_the_target_dies)
{
	static void (*const fns[])(void *) = { hot, NULL };
	struct profiler p;
	pid_t pid;
	char *folded;
	int status;

	NEEDS_PROF();
	pid = target(fns);
	start(&p, pid, "--on-cpu", NULL);
	CHECK(watches(&p));
	nap_ms(500);
	end(pid);
	CHECK_EQ(p.pid, waitpid(p.pid, &status, 0));
	EXPECT_EQ(0, status);
	folded = slurp(p.folded);
	CHECK(sum(folded, "hot;hot;", "burn") > 0);
	free(folded);
	folded = slurp(p.out);
	CHECK_HAS(folded, "the process has ended meanwhile");
	free(folded);
	close(p.err);
}

static void waiter(void *chan)
{
	CHECK(ringo_chan_recv(chan, NULL) <= 0);
}

static void crowd(void *arg)
{
	struct ringo_chan *c = ringo_chan_new(0, 0);

	for (int i = 0; i < CROWD; i++)
		CHECK_EQ(0, ringo_go_fn(waiter, c));
	wait_waiting(CROWD + 1); /* the main one is another */
	STORE(&shared->done, true);
}

static int count_lines(const char *text, pid_t pid, const char *what)
{
	char line[256], start[16];
	int n = 0;

	snprintf(start, sizeof(start), "%d ", pid);
	for (const char *at = text; *at; at += strcspn(at, "\n"), at += *at == '\n') {
		snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
		n += !strncmp(line, start, strlen(start)) && strstr(line, what);
	}
	return n;
}

TEST(the_kernel_lists_the_goroutines_of_those_entered)
{
	static void (*const many[])(void *) = { crowd, NULL }, (*const one[])(void *) = { hot, NULL };
	static const char list[] = "/sys/fs/bpf/ringo/goroutines";
	struct said s;
	pid_t a, b;
	char *text;

	NEEDS_PROF();
	if (!access(list, F_OK))
		SKIP(return, "somebody uses %s", list);
	a = target(many);
	until_done();
	b = target(one);
	s = say("ringo-prof", "--pin %d", a);
	if (strstr(s.text, "Linux 6.2"))
		SKIP(goto out, "%s", s.text);
	check_says(&s, 0, list);
	free(s.text);
	s = say("ringo-prof", "--pin %d", b);
	check_says(&s, 0, list);
	text = text_of_file(list);
	CHECK_EQ(CROWD + 1, count_lines(text, a, " "));
	CHECK_EQ(CROWD, count_lines(text, a, " waiting   chan receive "));
	CHECK_EQ(1, count_lines(text, b, " hot"));
	free(text);
	end(a);
	text = text_of_file(list);
	CHECK_EQ(0, count_lines(text, a, " "));
	CHECK_EQ(1, count_lines(text, b, " hot"));
	free(text);
	free(s.text);
	s = say("ringo-prof", "--unpin");
	check_says(&s, 0, "");
	CHECK(access(list, F_OK));
	end(b);
	free(s.text);
	return;
out:
	end(a);
	end(b);
}

static void check_answer(int status, const char *args, const char *why)
{
	struct said s = say("ringo-prof", "%s", args);

	check_says(&s, status, why);
	free(s.text);
}

TEST(says_whether_it_could)
{
	NEEDS_PROF();
	check_answer(0, "--check", "the BPF programs can be loaded");
}

TEST(says_why_it_cannot)
{
	NEEDS_TOOL("ringo-prof");
	check_answer(64, "", "which process?");
	check_answer(64, "1 2", "one process");
	check_answer(64, "-t 0 1", "is needed");
	check_answer(64, "--on-cpu --calls 1", "at a time");
	check_answer(1, "999999999", "there is no such process");
	check_answer(1, "/etc/passwd", "ringo-prof: ");
	for (uint64_t seed = 0; seed < 4; seed++) {
		char args[32];
		pid_t pid = fork();

		if (!pid)
			garbage_child(seed);
		nap_ms(100);
		snprintf(args, sizeof(args), "-t 0.1 %d", pid);
		check_answer(1, args, "ringo-prof: process ");
		end(pid);
	}
}

TEST(says_what_it_takes_to_who_is_not_root)
{
	static void (*const fns[])(void *) = { hot, NULL };
	struct profiler p;
	int status;
	pid_t pid;

	NEEDS_PROF();
	pid = fork();
	if (!pid) {
		CHECK_EQ(0, setresgid(NOBODY, NOBODY, NOBODY));
		CHECK_EQ(0, setresuid(NOBODY, NOBODY, NOBODY));
		prctl(PR_SET_DUMPABLE, 1);
		if (access(tool("ringo-prof"), X_OK))
			_exit(4);
		pid = target(fns);
		start(&p, pid, "--on-cpu", NULL);
		CHECK(!watches(&p));
		CHECK_EQ(p.pid, waitpid(p.pid, &status, 0));
		CHECK_EQ(1 << 8, status);
		CHECK_HAS(p.text, "it takes root, or CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE");
		unlink(p.folded);
		unlink(p.out);
		end(pid);
		_exit(0);
	}
	CHECK_EQ(pid, waitpid(pid, &status, 0));
	if (status == 4 << 8)
		SKIP(return, "this tree is in a folder of root's own");
	EXPECT_EQ(0, status);
}

TEST_HARNESS_MAIN
