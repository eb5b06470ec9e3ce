// SPDX-License-Identifier: MIT
/*
 * tools/bt and tools/perf: that bpftrace and perf count with them what a program of known behaviour does.
 *
 * Nothing tells when bpftrace has attached its probes. So the program is told to begin after a while, and if something
 * is missing from what was counted, all is done again with more patience.
 *
 * RINGO_EXAMPLES=DIR keeps there what they print: that is how tools/bt/examples and tools/perf/example.txt are made.
 */
#include <sys/stat.h>

#include "help.h"
#include "kmod/uapi/ringo_state.h"

enum { SPAWNS = 20, SLEEPS = 30, ECHOES = 40, BYTES = 25, NAPS = 10, BLOCKS = 5, TEXT = 1 << 20 };

static const char *const why_names[] = RINGO_WHY_NAMES;

/* ---- the target ---- */

static struct {
	bool done;
	int64_t slept_ns, ran_ns; /* the main one, by its own account */
	uint64_t runs;    /* of goroutines, since it began; one more was under way */
} *shared;

static int go_pipe[2];

static void worker(void *arg)
{
}

static void echo(void *arg)
{
	struct ringo_chan *c = arg;
	int v;

	while (ringo_chan_recv(c, &v) == 1)
		;
}

static __attribute__((noinline)) void naps(void)
{
	for (int i = 0; i < NAPS; i++)
		nap_ms(5);
}

static __attribute__((noinline)) void spawn_workers(void)
{
	for (int i = 0; i < SPAWNS; i++)
		CHECK_EQ(0, ringo_go_fn(worker, NULL));
}

static void move_bytes(void)
{
	int p[2];
	char ch = 'x';

	CHECK_EQ(0, ringo_pipe(p));
	for (int i = 0; i < BYTES; i++) {
		CHECK_EQ(1, ringo_write(p[1], &ch, 1));
		CHECK_EQ(1, ringo_read(p[0], &ch, 1));
	}
}

static uint64_t count_runs(void)
{
	struct ringo_stats s = { .size = sizeof(s) };

	CHECK_EQ(0, ringo_stats_get(&s));
	return s.switches;
}

static int target_main(void *arg)
{
	struct ringo_chan *c = ringo_chan_new(sizeof(int), 0);
	uint64_t runs;
	int64_t start;
	char ch;

	CHECK_EQ(1, ringo_read(go_pipe[0], &ch, 1)); /* was submitted before anybody looked */
	runs = count_runs();
	shared->ran_ns = -now_ns();
	spawn_workers();
	CHECK_EQ(0, ringo_go_fn(echo, c));
	start = now_ns();
	for (int i = 0; i < SLEEPS; i++)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	shared->slept_ns = now_ns() - start;
	for (int i = 0; i < ECHOES; i++)
		CHECK_EQ(0, ringo_chan_send(c, &i));
	move_bytes();
	naps();
	shared->ran_ns += now_ns() - shared->slept_ns;
	shared->runs = count_runs() - runs;
	STORE(&shared->done, true);
	return ringo_read(go_pipe[0], &ch, 1) < 0; /* one more operation */
}

static pid_t target(void)
{
	struct ringo_options o = RINGO_OPTIONS(.procs = 1, .preempt = RINGO_PREEMPT_OFF);
	pid_t pid;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED);
	CHECK_EQ(0, pipe(go_pipe));
	unsetenv("RINGO_PROCS");
	unsetenv("RINGO_PREEMPT");
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(ringo_run_opt(target_main, NULL, &o));
	}
	nap_ms(300);
	return pid;
}

static void let_it_work(void)
{
	CHECK(write(go_pipe[1], "x", 1) == 1);
	for (int i = 0; i < 1000 && !LOAD(&shared->done); i++)
		nap_ms(10);
	CHECK(LOAD(&shared->done));
	nap_ms(100);
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(go_pipe[0]);
	close(go_pipe[1]);
}

/* ---- the tools ---- */

/* Of the sources: this program lies in a folder of the tree, as a rule. */
static const char *source(const char *name)
{
	static char path[4400];

	snprintf(path, sizeof(path), "%s", tool(""));
	for (int up = 0; up < 4; up++) {
		char *slash = strrchr(path, '/');
		char there[4500];

		if (!slash)
			break;
		*slash = 0;
		snprintf(there, sizeof(there), "%s/tools/%s", path, name);
		if (!access(there, R_OK))
			return strcpy(path, there);
	}
	return NULL;
}

static bool works(const char *command)
{
	return !WEXITSTATUS(system(command));
}

static const char *missing(const char *what, const char *command)
{
	static char why[200];

	if (geteuid())
		return "it takes root";
	if (!source("bt/parks.bt"))
		return "the sources are not here";
	if (works(command))
		return NULL;
	snprintf(why, sizeof(why), "%s is missing, or does not work here (apt-get install %s)", what, what);
	return why;
}

#define NEEDS(what, command) \
	do { \
		if (RUNNING_ON_VALGRIND || SANITIZED) \
			SKIP(return, "it looks at a program as users have it"); \
		if (missing(what, command)) \
			SKIP(return, "%s", missing(what, command)); \
	} while (0)
#define NEEDS_BPFTRACE() NEEDS("bpftrace", "timeout 20 bpftrace -e 'BEGIN { exit(); }' >/dev/null 2>&1")
#define NEEDS_PERF() \
	NEEDS("linux-perf", "perf version --build-options 2>/dev/null | grep -q 'libpython.*on ' && " \
	      "! HOME=/nonexistent perf probe -l 2>&1 | grep -q 'sdt_ringo\\|rror'")

static char *slurp(FILE *f)
{
	char *text = calloc(1, TEXT);

	CHECK(text != NULL);
	fread(text, 1, TEXT - 1, f);
	return text;
}

static void keep_example(const char *script, const char *text)
{
	const char *dir = getenv("RINGO_EXAMPLES");
	char path[4300];
	FILE *f;

	if (!dir)
		return;
	snprintf(path, sizeof(path), "%s/%.*s.txt", dir, (int)strcspn(script, "."), script);
	f = fopen(path, "we");
	CHECK(f != NULL);
	fputs(text, f);
	fclose(f);
}

/* It may be deaf while it starts; the kernel takes a while to remove its probes. */
static void interrupt(pid_t tracer)
{
	for (int i = 0; i < 40; i++) {
		kill(tracer, SIGINT);
		for (int k = 0; k < 50; k++) {
			if (waitpid(tracer, NULL, WNOHANG) == tracer)
				return;
			nap_ms(10);
		}
	}
	kill(tracer, SIGKILL);
	waitpid(tracer, NULL, 0);
}

/* What the script has printed of a target that did its work when the script had run for so long; *said: on stderr. */
static char *trace_once(const char *script, long ms, char **said)
{
	char path[64], pid[16];
	pid_t it = target(), tracer;
	FILE *out = tmpfile(), *err = tmpfile();
	char *text;

	CHECK(out != NULL && err != NULL);
	snprintf(path, sizeof(path), "bt/%s", script);
	snprintf(pid, sizeof(pid), "%d", it);
	tracer = fork();
	if (!tracer) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(fileno(out), STDOUT_FILENO);
		dup2(fileno(err), STDERR_FILENO);
		execlp("bpftrace", "bpftrace", "-p", pid, source(path), NULL);
		_exit(127);
	}
	nap_ms(ms);
	let_it_work();
	nap_ms(1100); /* one of them prints each second */
	interrupt(tracer);
	end(it);
	rewind(err);
	*said = slurp(err);
	fclose(err);
	rewind(out);
	text = slurp(out);
	fclose(out);
	return text;
}

/* The sum of what stands behind the colon in the lines with both; of a stack, in the line where it ends. */
static long long sum(const char *text, const char *map, const char *key)
{
	long long all = 0;

	for (const char *at = strstr(text, map); at; at = strstr(at + 1, map)) {
		const char *stop = strstr(at, "]: "), *found = strstr(at, key);

		if (stop && found && found < stop + 3)
			all += atoll(stop + 3);
	}
	return all;
}

/* Within 5 % of what the target itself has measured. */
static bool near(long long us, int64_t own_ns)
{
	long long own = own_ns / 1000;

	return us >= own - own / 20 && us <= own + own / 20;
}

static bool has_all(const char *script, const char *text)
{
	if (!strcmp(script, "runqlat.bt"))
		return strstr(text, "@waits: ") &&
		       atoll(strstr(text, "@waits: ") + 8) == (long long)shared->runs + 1;
	if (!strcmp(script, "parks.bt"))
		return sum(text, "@parks[", "sleep]") == SLEEPS &&
		       near(sum(text, "@us[", "sleep]"), shared->slept_ns);
	if (!strcmp(script, "blocks.bt"))
		return sum(text, "@blocks[230,", "nanosleep") >= BLOCKS;
	if (!strcmp(script, "chans.bt"))
		return sum(text, "@sends[", "]: ") == ECHOES && sum(text, "@receives[", "]: ") == ECHOES + 1;
	if (!strcmp(script, "ops.bt"))
		return sum(text, "@ops[", " write]") == BYTES && sum(text, "@ops[", " read]") == BYTES;
	return sum(text, "@spawns[worker, ", "spawn_workers") == SPAWNS;
}

static bool counts(const char *script)
{
	static const long patience_ms[] = { 2000, 10000 };

	for (size_t i = 0; i < sizeof(patience_ms) / sizeof(*patience_ms); i++) {
		char *said, *text = trace_once(script, patience_ms[i], &said);
		bool ok = has_all(script, text);

		if (ok)
			keep_example(script, text);
		else
			fprintf(stderr, "# %s after %ld ms:\n%s%s", script, patience_ms[i], text, said);
		free(said);
		free(text);
		if (ok)
			return true;
	}
	return false;
}

FIXTURE(bt) {};
FIXTURE_SETUP(bt) {}
FIXTURE_TEARDOWN(bt) {}

#define BT_TEST(name) \
	TEST_F_TIMEOUT(bt, name, 100) \
	{ \
		NEEDS_BPFTRACE(); \
		EXPECT_TRUE(counts(#name ".bt")); \
	}

BT_TEST(runqlat)
BT_TEST(parks)
BT_TEST(blocks)
BT_TEST(chans)
BT_TEST(ops)
BT_TEST(spawns)

TEST(reasons_have_the_names_that_ringo_gives_them)
{
	char want[64], *bt, *py;
	FILE *f;

	if (!source("bt/parks.bt"))
		SKIP(return, "the sources are not here");
	f = fopen(source("bt/parks.bt"), "re");
	bt = slurp(f);
	fclose(f);
	f = fopen(source("perf/ringo.py"), "re");
	py = slurp(f);
	fclose(f);
	for (int i = 1; i < RINGO_WHYS; i++) {
		snprintf(want, sizeof(want), "@why[%d] = \"%s\";", i, why_names[i]);
		CHECK_HAS(bt, want);
		snprintf(want, sizeof(want), "\"%s\",", why_names[i]);
		CHECK_HAS(py, want);
	}
	free(bt);
	free(py);
}

/* What shell can do is left to it: $1 the process, $2 a folder, $3 the handler. */
static const char perf_begin[] =
	"cd $2 && export HOME=$2 && perf buildid-cache --add /proc/$1/exe && "
	"for e in g__run g__park g__exit op__submit; do perf probe -q %sdt_ringo:$e || exit 1; done && "
	"exec perf record -q -o data -e 'sdt_ringo:*' -p $1";
static const char perf_end[] =
	"cd $2 && export HOME=$2 && perf script -i data -s $3 2>&1; perf probe -q -d 'sdt_ringo:*'; rm -rf $2";

static pid_t shell(const char *script, pid_t it, const char *dir, int out)
{
	char pid[16];
	pid_t child;

	snprintf(pid, sizeof(pid), "%d", it);
	child = fork();
	if (!child) {
		dup2(out, STDOUT_FILENO);
		dup2(out, STDERR_FILENO);
		execl("/bin/sh", "sh", "-c", script, "sh", pid, dir, source("perf/ringo.py"), NULL);
		_exit(127);
	}
	return child;
}

/* Columns of a line for a goroutine. */
struct perf_line {
	unsigned long address;
	long runs, ran_us, parks, waited_us, ops;
};

static bool parse_line(const char *at, struct perf_line *l)
{
	return sscanf(at, "%lx %ld %ld %ld %ld %ld", &l->address, &l->runs, &l->ran_us, &l->parks,
		      &l->waited_us, &l->ops) == 6;
}

/* The main one is who did all operations; the last of them is under way. */
static bool is_known(const char *text)
{
	struct perf_line l, m = { 0 };
	uint64_t runs = 0;

	for (const char *at = text; *at; at += strcspn(at, "\n"), at += *at == '\n') {
		if (!parse_line(at, &l))
			continue;
		runs += (uint64_t)l.runs;
		m = l.ops ? l : m;
	}
	return runs == shared->runs + 1 && m.ops == 2 * BYTES + 1 && m.runs == m.parks &&
	       near(m.ran_us, shared->ran_ns) && near(m.waited_us, shared->slept_ns);
}

TEST(perf_script)
{
	char dir[] = "/tmp/ringo-perf.XXXXXX", *text;
	FILE *out = tmpfile();
	pid_t it, child;

	NEEDS_PERF();
	CHECK(out && mkdtemp(dir));
	it = target();
	child = shell(perf_begin, it, dir, fileno(out));
	nap_ms(6000);
	let_it_work();
	interrupt(child);
	child = shell(perf_end, it, dir, fileno(out));
	waitpid(child, NULL, 0);
	end(it);
	rewind(out);
	text = slurp(out);
	if (!is_known(text))
		fprintf(stderr, "# %lu runs, ran %ld us, waited %ld us, but %s\n", (unsigned long)shared->runs + 1,
			(long)shared->ran_ns / 1000, (long)shared->slept_ns / 1000, text);
	EXPECT_TRUE(is_known(text));
	keep_example("perf.", text);
	free(text);
	fclose(out);
}

TEST_HARNESS_MAIN
