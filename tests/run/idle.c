// SPDX-License-Identifier: MIT
/* A process whose goroutines all wait does not wake up. */
#include "core/gate.h"
#include "help.h"
#include "ring/op.h"

static int fds[2];
static long before, after, threads;
static struct ringo_chan *never;

static void waits_on_channel(void)
{
	(void)!ringo_chan_recv(never, NULL);
}

static void waits_in_read(char *buf)
{
	struct m *m = rg_enter();
	struct rg_op op = { .keep = false };

	io_uring_prep_read(&op.sqe, fds[0], buf, 1, 0);
	rg_op_run(m, &op);
	rg_leave(rg_m());
}

static char bytes[100];

static int wait_main(void *arg)
{
	never = ringo_chan_new(0, 0);
	for (int i = 0; i < 100; i++) {
		CHECK_EQ(0, ringo_go(waits_on_channel));
		CHECK_EQ(0, ringo_go(waits_in_read, &bytes[i]));
	}
	waits_in_read(&bytes[0]);
	return 0;
}

/* The observer is outside, so that it does not count itself: a process of its own reads our tasks. */
static long switches_of(pid_t pid)
{
	char path[64];
	DIR *d;
	struct dirent *e;
	long sum = 0;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	d = opendir(path);
	threads = 0;
	while (d && (e = readdir(d))) {
		char file[400], line[256];
		FILE *f;

		if (e->d_name[0] == '.')
			continue;
		threads++;
		snprintf(file, sizeof(file), "%s/%s/status", path, e->d_name);
		f = fopen(file, "re");
		while (f && fgets(line, sizeof(line), f)) {
			char *p = strstr(line, "ctxt_switches:");

			if (p)
				sum += atol(p + strlen("ctxt_switches:"));
		}
		if (f)
			fclose(f);
	}
	if (d)
		closedir(d);
	return sum;
}

static void watch(struct __test_metadata *_metadata, unsigned procs)
{
	pid_t pid;

	use_procs(procs);
	ASSERT_EQ(0, pipe(fds));
	pid = fork();
	if (!pid)
		_exit(ringo_run(wait_main, NULL));
	nap_ms(1000);
	before = switches_of(pid);
	EXPECT_GE(threads, 1 + (long)procs);
	nap_ms(2000);
	after = switches_of(pid);
	EXPECT_LE(after - before, 1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

#define NEEDS_NO_TSAN() \
	do { \
		if (THREADS_OF_SANITIZER) \
			SKIP(return, "ThreadSanitizer has a thread that wakes up; run another build"); \
	} while (0)
#ifdef RG_TSAN
#define THREADS_OF_SANITIZER 1
#else
#define THREADS_OF_SANITIZER 0
#endif

TEST(no_wake_up_in_two_seconds)
{
	NEEDS_NO_TSAN();
	watch(_metadata, 1);
}

TEST(no_wake_up_in_two_seconds_with_two_Ps)
{
	NEEDS_NO_TSAN();
	watch(_metadata, 2);
}

static int used_main(void *arg)
{
	/* Stacks were used and given back before: sysmon had something to do, and is done. */
	for (int i = 0; i < 2000; i++)
		CHECK_EQ(0, ringo_go(waits_on_channel));
	CHECK_EQ(0, ringo_sleep(10 * RINGO_MS));
	return wait_main(arg);
}

TEST(no_wake_up_after_work)
{
	pid_t pid;

	NEEDS_NO_TSAN();
	ASSERT_EQ(0, pipe(fds));
	pid = fork();
	if (!pid)
		_exit(ringo_run(used_main, NULL));
	nap_ms(3000);
	before = switches_of(pid);
	nap_ms(2000);
	after = switches_of(pid);
	EXPECT_LE(after - before, 1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

TEST_HARNESS_MAIN
