// SPDX-License-Identifier: MIT
/* The runtime's own signal: stacks of running goroutines, and nothing of it for the program's handlers. */
#include "dump_help.h"

#define NOINLINE __attribute__((noinline))

static int spinning, stop;
static int calls;

static void on_urg(int sig)
{
	ADD(&calls, 1);
}

static void on_urg_info(int sig, siginfo_t *info, void *uc)
{
	/* What the program sends comes as it was sent. */
	if (info->si_code == SI_QUEUE && info->si_value.sival_int == 42)
		ADD(&calls, 1);
	else
		ADD(&calls, 1000);
}

/* Others wait by naps of their thread: a timer of the P that spins would not come. */
static NOINLINE void spin_in_the_program(void)
{
	ADD(&spinning, 1);
	while (!LOAD(&stop))
		;
	ADD(&spinning, -1);
}

static void spinner(void *arg)
{
	spin_in_the_program();
	__asm__ volatile("" ::: "memory"); /* a call, and no jump */
}

static void start_spinner(void)
{
	struct ringo_go_options o = RINGO_GO_OPTIONS(.name = "spinner");

	STORE(&stop, 0);
	CHECK_EQ(0, ringo_go_opt(&o, spinner, NULL));
	while (!LOAD(&spinning))
		nap_ms(1);
}

static void stop_spinner(void)
{
	STORE(&stop, 1);
	while (LOAD(&spinning))
		nap_ms(1);
}

/* The part of a dump that is about the spinner; free it. */
static char *look_at_spinner(void)
{
	char *text = dump_text(RINGO_DUMP_FULL);
	char *part = part_of(text, "[running, on M ");
	const char *rest = strstr(text, "entry spinner");

	CHECK(part != NULL && rest != NULL);
	free(part);
	/* The caller runs too. */
	while (rest > text && !(rest[0] == '\n' && rest[1] == '\n'))
		rest--;
	part = strdup(rest);
	free(text);
	return part;
}

static int running_main(void *arg)
{
	char *part;

	start_spinner();
	part = look_at_spinner();
	CHECK_HAS(part, "[running, on M ");
#ifndef RG_TSAN /* it delivers signals when it pleases */
	CHECK_HAS(part, "] spinner:\n");
	CHECK_HAS(part, " spin_in_the_program+0x");
	CHECK(strstr(part, " spin_in_the_program+0x") < strstr(part, " spinner+0x"));
#endif
	free(part);
	stop_spinner();
	return 0;
}

TEST(stack_of_a_running_goroutine)
{
	struct sigaction before, after;

	use_procs(2);
	EXPECT_EQ(0, sigaction(SIGURG, NULL, &before));
	EXPECT_EQ(0, ringo_run(running_main, NULL));
	EXPECT_EQ(0, sigaction(SIGURG, NULL, &after));
#ifndef RG_TSAN /* where a signal may still be on its way */
	EXPECT_EQ((void *)before.sa_handler, (void *)after.sa_handler);
#endif
}

static void dump_often(int n)
{
	for (int i = 0; i < n; i++)
		free(dump_text(i % 2 ? RINGO_DUMP_FULL : RINGO_DUMP_GROUPED));
}

static void send_some(int n)
{
	for (int i = 0; i < n; i++) {
		int before = LOAD(&calls);

		CHECK_EQ(0, kill(getpid(), SIGURG));
		for (int k = 0; k < 2000 && LOAD(&calls) == before; k++)
			nap_ms(1);
		CHECK_EQ(before + 1, LOAD(&calls));
	}
}

static int handler_before_main(void *arg)
{
	start_spinner();
	dump_often(SCALE(30));
	CHECK_EQ(0, LOAD(&calls));
	send_some(5);
	CHECK_EQ(5, LOAD(&calls));
	dump_often(SCALE(30));
	CHECK_EQ(5, LOAD(&calls));
	stop_spinner();
	return 0;
}

TEST(handler_set_before_gets_what_is_not_ours)
{
	struct sigaction sa = { .sa_handler = on_urg };
	__attribute__((unused)) struct sigaction now;

	use_procs(2);
	EXPECT_EQ(0, sigaction(SIGURG, &sa, NULL));
	EXPECT_EQ(0, ringo_run(handler_before_main, NULL));
	EXPECT_EQ(5, LOAD(&calls));
#ifndef RG_TSAN
	EXPECT_EQ(0, sigaction(SIGURG, NULL, &now));
	EXPECT_EQ((void *)on_urg, (void *)now.sa_handler);
#endif
}

static int info_main(void *arg)
{
	union sigval v = { .sival_int = 42 };

	dump_often(5);
	start_spinner();
	dump_often(5);
	CHECK_EQ(0, LOAD(&calls));
	CHECK_EQ(0, sigqueue(getpid(), SIGURG, v));
	for (int k = 0; k < 2000 && !LOAD(&calls); k++)
		nap_ms(1);
	CHECK_EQ(1, LOAD(&calls));
	stop_spinner();
	return 0;
}

TEST(handler_set_before_gets_what_was_sent_with_it)
{
	struct sigaction sa = { .sa_sigaction = on_urg_info, .sa_flags = SA_SIGINFO };

	use_procs(2);
	EXPECT_EQ(0, sigaction(SIGURG, &sa, NULL));
	EXPECT_EQ(0, ringo_run(info_main, NULL));
	EXPECT_EQ(1, LOAD(&calls));
}

static int handler_after_main(void *arg)
{
	struct sigaction sa = { .sa_handler = on_urg };
	char *part;

	start_spinner();
#ifndef RG_TSAN
	dump_often(4); /* ours is there */
#endif
	CHECK_EQ(0, sigaction(SIGURG, &sa, NULL));
	dump_often(10);
	CHECK_EQ(0, LOAD(&calls));
#ifndef RG_TSAN
	part = look_at_spinner();
	CHECK_HAS(part, "(stack not available: SIGURG is not ours)");
	CHECK_HAS(part, "entry spinner\n");
	free(part);
#else
	(void)part;
#endif
	send_some(3);
	stop_spinner();
	return 0;
}

TEST(handler_set_later_never_sees_ours)
{
	struct sigaction now;

	use_procs(2);
	EXPECT_EQ(0, ringo_run(handler_after_main, NULL));
	EXPECT_EQ(3, LOAD(&calls));
	EXPECT_EQ(0, sigaction(SIGURG, NULL, &now));
	EXPECT_EQ((void *)on_urg, (void *)now.sa_handler);
}

static int blocked_main(void *arg)
{
	int64_t start, once;
	char *part;

	start_spinner();
	start = now_ns();
	part = look_at_spinner();
	once = now_ns() - start;
	CHECK_HAS(part, "(stack not available: its thread does not answer)");
	free(part);
	start = now_ns();
	dump_often(50);
	/* It is waited for only once. */
	CHECK(SANITIZED || now_ns() - start < 20 * once);
	stop_spinner();
	return 0;
}

TEST(a_thread_that_blocks_the_signal_is_not_waited_for_long)
{
	sigset_t set;

	use_procs(2);
	sigemptyset(&set);
	sigaddset(&set, SIGURG);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	EXPECT_EQ(0, ringo_run(blocked_main, NULL));
}

static void *foreign_dump(void *arg)
{
	*(char **)arg = dump_text(RINGO_DUMP_FULL);
	return NULL;
}

/* A goroutine whose thread is in the kernel, by a call that is not ringo's. */
static NOINLINE void block_in_the_kernel(int fd)
{
	char c;

	ADD(&spinning, 1);
	CHECK_EQ(1, read(fd, &c, 1)); /* goes on by itself after the signal */
	ADD(&spinning, -1);
}

static void blocker(void *arg)
{
	block_in_the_kernel(*(int *)arg);
	__asm__ volatile("" ::: "memory");
}

static int foreign_main(void *arg)
{
	static int p[2];
	pthread_t t;
	char *text;

	CHECK_EQ(0, pipe(p));
	CHECK_EQ(0, ringo_go_fn(blocker, p));
	while (!LOAD(&spinning))
		nap_ms(1);
	CHECK_EQ(0, pthread_create(&t, NULL, foreign_dump, &text));
	CHECK_EQ(0, pthread_join(t, NULL));
#ifndef RG_TSAN
	CHECK_HAS(text, "block_in_the_kernel+0x");
#endif
	CHECK_HAS(text, "foreign_main+0x");
	free(text);
	CHECK_EQ(1, write(p[1], "x", 1));
	while (LOAD(&spinning))
		nap_ms(1);
	return 0;
}

TEST(a_thread_that_is_no_goroutine_may_ask)
{
	use_procs(2);
	EXPECT_EQ(0, ringo_run(foreign_main, NULL));
}

TEST_HARNESS_MAIN
