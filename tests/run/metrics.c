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

/* By its own account; it does not change its thread here. */
static int64_t hogs_ns;

static void hog(void *done)
{
	int64_t start = thread_cpu(), now = start;

	while (now < start + 50 * RINGO_MS)
		now = thread_cpu();
	ADD(&hogs_ns, now - start);
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
	double cpu, known;
	char *text;
	int done = 0;

	setlocale(LC_ALL, "de_DE.UTF-8"); /* decimals are no words */
	for (int i = 0; i < 3; i++)
		CHECK_EQ(0, ringo_go_fn(hog, &done));
	while (LOAD(&done) < 3)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	text = metrics();
	prom_check(text);
	cpu = prom_value(text, "ringo_cpu_seconds_total");
	known = (double)hogs_ns / 1e9;
	CHECK(cpu > known * 0.95 && cpu < known * 1.05 + 0.002); /* and ours */
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

/* What those who yield have waited, by their own account. */
static struct {
	int64_t ns, n;
} own;

/* As many as the runtime switches before it looks at the queue: samples come one after the other. */
enum { YIELDERS = 60, YIELDS = 60, LOOKS = 20 };

static void yielder(void *done)
{
	for (int i = 0; i < YIELDS; i++) {
		int64_t start;

		for (int64_t turn = now_ns() + 100 * RINGO_US; now_ns() < turn;)
			;
		start = now_ns();
		ringo_yield();
		own.ns += now_ns() - start;
		own.n++;
	}
	ADD((int *)done, 1);
}

/* How long on the average, by the metrics of what has happened since; then that is the new past. */
static double mean_wait(double *n, double *sum)
{
	char *text = metrics();
	double before_n = *n, before_sum = *sum;

	prom_check(text);
	*n = prom_value(text, "ringo_runqueue_wait_seconds_count");
	*sum = prom_value(text, "ringo_runqueue_wait_seconds_sum");
	CHECK(prom_value(text, "ringo_runqueue_wait_seconds_bucket{le=\"0.000064000\"}") <= *n / 2);
	free(text);
	return (*sum - before_sum) / (*n - before_n);
}

/* A sample of them is as long as all are, unless what comes between hits one or not: then look again. */
static int queue_main(void *arg)
{
	double n = 0, sum = 0, sampled, known;
	char *text = metrics();
	int looks = 0;

	CHECK(prom_value(text, "ringo_runqueue_wait_seconds_count") == 0);
	free(text);
	do {
		int done = 0;

		own.ns = own.n = 0;
		for (int i = 0; i < YIELDERS; i++)
			CHECK_EQ(0, ringo_go_fn(yielder, &done));
		while (LOAD(&done) < YIELDERS)
			ringo_yield();
		sampled = mean_wait(&n, &sum);
		known = (double)own.ns / (double)own.n / 1e9;
		fprintf(stderr, "# a wait is %.3f ms, of the samples %.3f ms\n", known * 1e3, sampled * 1e3);
		CHECK(n >= 2 && sampled >= 0.0005);
	} while (++looks < LOOKS && !(sampled > known * 0.95 && sampled < known * 1.05));
	CHECK(looks < LOOKS);
	return 0;
}

/* All others have a turn of 0.1 ms before it is that of the last one. */
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
