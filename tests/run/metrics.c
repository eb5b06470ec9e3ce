// SPDX-License-Identifier: MIT
/* Metrics: that Prometheus would read them, and that they are true. */
#include <locale.h>
#include <sys/socket.h>

#include "dump_help.h"
#include "prom_help.h"

static char *metrics(void)
{
	int fd = memory_file();

	CHECK_EQ(0, ringo_metrics(fd));
	return text_of(fd);
}

static void receiver(void *chan)
{
	int res = ringo_chan_recv(chan, NULL);

	CHECK(res <= 0);
}

static int64_t thread_cpu(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* It does not change its thread here. */
static void hog(void *done)
{
	for (int64_t end = thread_cpu() + 10 * RINGO_MS; thread_cpu() < end;)
		;
	ADD((int *)done, 1);
}

G_TEST(are_well_formed_and_true)
{
	struct ringo_chan *c = ringo_chan_new(0, 0);
	char *text;

	for (int i = 0; i < 7; i++)
		CHECK_EQ(0, ringo_go_fn(receiver, c));
	wait_waiting(7);
	text = metrics();
	prom_check(text);
	CHECK(prom_value(text, "ringo_goroutines{state=\"waiting\"}") == 7);
	CHECK(prom_value(text, "ringo_goroutines{state=\"running\"}") == 1);
	CHECK(prom_value(text, "ringo_goroutines_waiting{reason=\"chan receive\"}") == 7);
	CHECK(prom_value(text, "ringo_goroutines_waiting{reason=\"mutex\"}") == 0);
	CHECK(prom_value(text, "ringo_goroutines_spawned_total") == 8);
	CHECK(prom_value(text, "ringo_switches_total") >= 8);
	CHECK(prom_value(text, "ringo_goroutines_limit") > 1000);
	CHECK(prom_value(text, "ringo_threads") >= 1);
	CHECK(prom_value(text, "ringo_cpu_seconds_total") < 0); /* nobody counts */
	free(text);
	CHECK_EQ(0, ringo_chan_close(c));
	return 0;
}

static int busy_main(void *arg)
{
	char *text;
	int done = 0;

	setlocale(LC_ALL, "de_DE.UTF-8"); /* decimals are no words */
	for (int i = 0; i < 3; i++)
		CHECK_EQ(0, ringo_go_fn(hog, &done));
	while (LOAD(&done) < 3)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	text = metrics();
	prom_check(text);
	CHECK(prom_value(text, "ringo_cpu_seconds_total") > 0.01);
	if (strstr(text, "preempt=\"sysmon\""))
		CHECK(prom_value(text, "ringo_preemptions_total{cause=\"computed\"}") +
		      prom_value(text, "ringo_preemptions_total{cause=\"blocked\"}") > 0);
	free(text);
	return 0;
}

TEST(count_what_was_taken_from_goroutines)
{
	struct ringo_options o = RINGO_OPTIONS(.procs = 1, .preempt = RINGO_PREEMPT_SYSMON,
					       .flags = RINGO_RUN_CPU_TIME);

	unsetenv("RINGO_PROCS");
	unsetenv("RINGO_PREEMPT");
	EXPECT_EQ(0, ringo_run_opt(busy_main, NULL, &o));
}

static void yielder(void *done)
{
	for (int i = 0; i < 60; i++) {
		for (int64_t turn = now_ns() + 100 * RINGO_US; now_ns() < turn;)
			;
		ringo_yield();
	}
	ADD((int *)done, 1);
}

static int queue_main(void *arg)
{
	char *text = metrics();
	double n, sum;
	int done = 0;

	CHECK(prom_value(text, "ringo_runqueue_wait_seconds_count") == 0);
	free(text);
	for (int i = 0; i < 10; i++)
		CHECK_EQ(0, ringo_go_fn(yielder, &done));
	while (LOAD(&done) < 10)
		ringo_yield();
	text = metrics();
	prom_check(text);
	n = prom_value(text, "ringo_runqueue_wait_seconds_count");
	sum = prom_value(text, "ringo_runqueue_wait_seconds_sum");
	CHECK(n >= 2);
	CHECK(sum / n >= 0.0005);
	CHECK(prom_value(text, "ringo_runqueue_wait_seconds_bucket{le=\"0.000064000\"}") <= n / 2);
	free(text);
	return 0;
}

/* Nine others have a turn of 0.1 ms before it is that of the last one. */
TEST(tell_how_long_goroutines_wait_in_a_queue)
{
	use_turns();
	EXPECT_EQ(0, run_main(queue_main));
}

G_TEST(go_to_whoever_reads)
{
	int p[2];

	CHECK_EQ(-EBADF, ringo_metrics(-1));
	CHECK_EQ(0, pipe(p));
	close(p[0]);
	signal(SIGPIPE, SIG_IGN);
	CHECK_EQ(-EPIPE, ringo_metrics(p[1]));
	close(p[1]);
	return 0;
}

TEST(need_a_runtime)
{
	EXPECT_EQ(-ESRCH, ringo_metrics(1));
}

TEST_HARNESS_MAIN
