// SPDX-License-Identifier: MIT
/* The stall watch: who is reported, how often, and who is not. */
#include "stall_help.h"

G_TEST(tells_once_of_who_computes)
{
	char *text;

	watch_stalls(50 * RINGO_MS);
	CHECK_EQ(0, ringo_go_fn(computes, (void *)300));
	wait_stalls(1);
	text = wait_told("created by tells_once_of_who_computes_main");
	CHECK_HAS(text, " has kept M ");
	CHECK_HAS(text, " [running, on M ");
	CHECK_HAS(text, "entry computes\n");
	CHECK_EQ(1, count_in(text, "has kept"));
	free(text);
	wait_alone();
	CHECK_EQ(1, stalls());
	return 0;
}

G_TEST(tells_of_who_is_blocked_and_where)
{
	bool said = false;
	char *text;

	for (unsigned i = 1; i <= 5 && !said; i++) { /* on a busy machine it may just be about to wait again */
		watch_stalls(50 * RINGO_MS);
		CHECK_EQ(0, ringo_go_fn(blocks, (void *)300));
		wait_stalls(i);
		text = wait_told("entry blocks\n");
		said = strstr(text, ", and is in system call ");
#ifndef RG_TSAN /* it holds signals back */
		said = said && strstr(text, "nanosleep");
#endif
		if (!said)
			fprintf(stderr, "# %s\n", text);
		free(text);
		wait_alone();
		CHECK_EQ(i, stalls());
	}
	CHECK(said);
	return 0;
}

/* The main goroutine as well; and one that stalls again is told again. */
static int turns_main(void *arg)
{
	watch_stalls(100 * RINGO_MS);
	computes((void *)200);
	CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK_EQ(1, stalls());
	blocks((void *)200);
	CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK_EQ(2, stalls());
	return 0;
}

TEST(tells_again_of_another_time)
{
	EXPECT_EQ(0, run_main(turns_main));
}

static void gives_way(void *stop)
{
	while (!LOAD((bool *)stop)) {
		computes((void *)2);
		ringo_yield();
	}
}

static int short_main(void *arg)
{
	bool stop = false;
	const char *at;
	char *text;

	watch_stalls(200 * RINGO_MS);
	CHECK_EQ(0, ringo_go_fn(gives_way, &stop));
	CHECK_EQ(0, ringo_go_fn(gives_way, &stop));
	CHECK_EQ(0, ringo_sleep(600 * RINGO_MS));
	STORE(&stop, true);
	wait_alone();
	text = told();
	/* On a busy machine it may get no CPU for that long. */
	for (at = text; (at = strstr(at, "computed ")); at++)
		CHECK(atoi(at + 9) < 50);
	free(text);
	return 0;
}

/* The same ones run all the time, but never for long. In turns: one alone has nobody to give way to. */
TEST(does_not_tell_of_who_gives_way)
{
	use_turns();
	EXPECT_EQ(0, run_main(short_main));
}

static int moments_main(void *arg)
{
	stall_never_for_long();
	return 0;
}

TEST(does_not_tell_of_who_is_blocked_for_moments)
{
	use_procs(1);
	EXPECT_EQ(0, run_main(moments_main));
}

static int voluntary(const char *name)
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;
	char path[300], line[256];
	int n = -1;

	while (d && (e = readdir(d))) {
		bool ours = false;
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/task/%s/status", e->d_name);
		f = fopen(path, "re");
		while (f && fgets(line, sizeof(line), f)) {
			ours |= !strncmp(line, "Name:\t", 6) && !strncmp(line + 6, name, strlen(name));
			if (ours && !strncmp(line, "voluntary_ctxt_switches:", 24))
				n = atoi(line + 24);
		}
		if (f)
			fclose(f);
	}
	if (d)
		closedir(d);
	return n;
}

G_TEST(sleeps_while_nobody_runs)
{
	int before;
	char *text;

	watch_stalls(20 * RINGO_MS);
	CHECK_EQ(0, ringo_sleep(100 * RINGO_MS));
	before = voluntary("ringo-stall");
	CHECK(before >= 0);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(0, ringo_sleep(200 * RINGO_MS));
	CHECK(voluntary("ringo-stall") - before <= 30); /* else 120 */
	CHECK_EQ(0, ringo_go_fn(blocks, (void *)200));
	text = wait_told("entry blocks\n");
	free(text);
	return 0;
}

G_TEST(leaves_some_out_when_there_are_many)
{
	char *text;

	watch_stalls(30 * RINGO_MS);
	for (int i = 0; i < 12; i++)
		CHECK_EQ(0, ringo_go_fn(blocks, (void *)400));
	wait_stalls(12);
	wait_alone();
	text = told();
	CHECK(count_in(text, "has kept") <= 6);
	free(text);
	CHECK_EQ(0, ringo_sleep(1100 * RINGO_MS));
	CHECK_EQ(0, ringo_go_fn(blocks, (void *)200));
	text = wait_told(" such before were not told)\n");
	free(text);
	return 0;
}

G_TEST(can_be_changed_and_stopped)
{
	CHECK_EQ(-ENOENT, ringo_stall_watch(0, -1));
	CHECK_EQ(-EINVAL, ringo_stall_watch(-1, 2));
	CHECK_EQ(-EINVAL, ringo_stall_watch(RINGO_US, 2));
	watch_stalls(3600 * RINGO_SEC);
	computes((void *)20);
	CHECK_EQ(0, ringo_stall_watch(20 * RINGO_MS, stall_fd));
	computes((void *)100);
	CHECK_EQ(1, stalls());
	CHECK_EQ(0, ringo_stall_watch(0, -1));
	computes((void *)100);
	CHECK_EQ(1, stalls());
	return 0;
}

TEST(needs_a_runtime)
{
	EXPECT_EQ(-ESRCH, ringo_stall_watch(RINGO_SEC, 2));
}

TEST_HARNESS_MAIN
