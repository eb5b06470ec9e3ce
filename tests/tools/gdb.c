// SPDX-License-Identifier: MIT
/* gdb with tools/gdb/ringo-gdb.py, attached to this process, and on its core: the list, and stacks of parked and running ones. */
#include "help.h"

#define NOINLINE __attribute__((noinline))

static struct ringo_chan *never;
static bool stop_spinning;

static NOINLINE void deep(int n)
{
	int res = 0;

	if (n)
		deep(n - 1);
	else
		res = ringo_chan_recv(never, NULL);
	__asm__ volatile("" ::: "memory"); /* calls, and no loop */
	CHECK(res <= 0);
}

static void receiver(void *arg)
{
	deep(3);
	__asm__ volatile("" ::: "memory");
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

static NOINLINE void start_them(void)
{
	struct ringo_go_options o = RINGO_GO_OPTIONS(.name = "the receiver");

	never = ringo_chan_new(0, 0);
	CHECK_EQ(0, ringo_go_opt(&o, receiver, NULL));
	CHECK_EQ(0, ringo_go_fn(spinner, NULL));
	wait_waiting(1);
}

/* gdb on that, with commands; its output goes to a file first, because it stops who would read a pipe. */
static struct said gdb(const char *target, const char *commands)
{
	char text[4096];
	struct said s = { .text = text };

	snprintf(text, sizeof(text), "f=$(mktemp); timeout 100 gdb -nx -batch -x tools/gdb/ringo-gdb.py %s %s >$f 2>&1; "
		 "cat $f; rm -f $f", commands, target);
	run_tool(&s);
	return s;
}

static void check_gdb(const char *target)
{
	struct said s = gdb(target, "-ex 'info goroutines' -ex 'goroutine all bt' -ex 'goroutine 0 bt' "
				    "-ex 'goroutine 99999999 bt' -ex 'goroutine x bt' -ex 'goroutine' -ex 'info goroutines spinner'");
	const char *bt;

	CHECK_HAS(s.text, " chan receive ");
	CHECK_HAS(s.text, "by start_them");
	CHECK_HAS(s.text, "  the receiver\n");
	bt = strstr(s.text, "\ngoroutine ");
	CHECK(bt != NULL);
	bt = strstr(bt, "in ringo_chan_recv (");
	CHECK(bt != NULL);
	for (int i = 0; i < 4; i++) {
		bt = strstr(bt + 1, " deep (");
		CHECK(bt != NULL);
	}
	CHECK_HAS(bt, " in receiver (");
	CHECK_HAS(s.text, " spin_here (");
	CHECK_HAS(s.text, "There is no goroutine 0.");
	CHECK_HAS(s.text, "There is no goroutine 99999999.");
	CHECK_HAS(s.text, "x: the number of a goroutine is needed.");
	CHECK_HAS(s.text, "as in: goroutine 3 bt");
	free(s.text);
}

#define NEEDS_GDB() \
	do { \
		if (system("command -v gdb >/dev/null 2>&1") || access("tools/gdb/ringo-gdb.py", R_OK)) \
			SKIP(return, "no gdb (make deps-check), or not run at the top of the tree"); \
		if (SANITIZED) \
			SKIP(return, "stacks of sanitized code look otherwise"); \
	} while (0)

FIXTURE(slow) {
};

FIXTURE_SETUP(slow)
{
}

FIXTURE_TEARDOWN(slow)
{
}

static int live_main(void *arg)
{
	char pid[32];

	start_them();
	snprintf(pid, sizeof(pid), "-p %d", getpid());
	check_gdb(pid);
	STORE(&stop_spinning, true);
	return 0;
}

TEST_F_TIMEOUT(slow, knows_goroutines_of_a_process, 110)
{
	NEEDS_GDB();
	EXPECT_EQ(0, ringo_run(live_main, NULL));
}

static int core_main(void *arg)
{
	start_them();
	CHECK_EQ(0, ringo_sleep(50 * RINGO_MS));
	abort();
}

TEST_F_TIMEOUT(slow, knows_goroutines_of_a_core, 110)
{
	char path[128], target[512];

	NEEDS_GDB();
	if (!make_core(core_main, path, sizeof(path)))
		SKIP(return, "no core files here (ulimit -Hc, sysctl kernel.core_pattern=core)");
	snprintf(target, sizeof(target), "/proc/%d/exe %s", getpid(), path);
	check_gdb(target);
	drop_core(path);
}

TEST_HARNESS_MAIN
