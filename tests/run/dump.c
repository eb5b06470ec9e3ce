// SPDX-License-Identifier: MIT
/* ringo_dump: what it says about each kind of goroutine, and that it may be asked at any time. */
#include <poll.h>

#include "dump_help.h"
#include "waiters.h"

static struct ringo_chan *forever;

#define NOINLINE __attribute__((noinline))

static NOINLINE int receive_deep_inside(struct ringo_chan *c)
{
	int res = ringo_chan_recv(c, NULL);

	__asm__ volatile("" ::: "memory"); /* a call, and no jump */
	return res;
}

static void receiver(void *arg)
{
	int res = receive_deep_inside(arg);

	CHECK(res <= 0);
}

static void sender(void *arg)
{
	int v = 1, res = ringo_chan_send(arg, &v);

	CHECK(res <= 0);
}

static void null_receiver(void *arg)
{
	int res = ringo_chan_recv(NULL, NULL);

	CHECK(res <= 0);
}

/* One place in the code, whatever the compiler does to loops. */
static NOINLINE void start_receiver(void)
{
	CHECK_EQ(0, ringo_go_fn(receiver, forever));
	__asm__ volatile("" ::: "memory");
}

static NOINLINE void start_them(int pipe_fd, struct ringo_mutex *mu)
{
	struct ringo_go_options o = RINGO_GO_OPTIONS(.name = "the reader", .flags = RINGO_GO_DAEMON);
	static struct ringo_chan *full;

	forever = ringo_chan_new(0, 0);
	full = ringo_chan_new(sizeof(int), 0);
	for (int i = 0; i < 3; i++)
		start_receiver();
	CHECK_EQ(0, ringo_go_fn(sender, full));
	CHECK_EQ(0, ringo_go_fn(locker, mu));
	CHECK_EQ(0, ringo_go_fn(sleeper, NULL));
	CHECK_EQ(0, ringo_go_fn(null_receiver, NULL));
	CHECK_EQ(0, ringo_go_opt(&o, reader, (void *)(intptr_t)pipe_fd));
	wait_waiting(8);
}

static void check_order(const char *text, const char *a, const char *b)
{
	const char *at = strstr(text, a);

	if (at && strstr(at, b))
		return;
	fprintf(stderr, "# not \"%s\" before \"%s\" in:\n%s\n", a, b, text);
	check_failed(__FILE__, __LINE__, a, 0, 0);
}

static void check_full(const char *text)
{
	char *part, on[64];

	part = part_of(text, "[chan receive, ");
	CHECK(part != NULL);
	check_order(part, "ringo_chan_recv+0x", "receive_deep_inside+0x");
	check_order(part, "receive_deep_inside+0x", "receiver+0x");
	check_order(part, "receiver+0x", "entry receiver");
	check_order(part, "entry receiver", "created by start_receiver");
	snprintf(on, sizeof(on), "waits on %p\n", (void *)forever);
	CHECK_HAS(part, on);
	CHECK(!strstr(part, " rg_")); /* nothing of the inside */
	free(part);
	part = part_of(text, ", daemon] the reader:");
	CHECK(part != NULL);
	CHECK_HAS(part, " [io, ");
	check_order(part, "ringo_read+0x", "reader+0x");
	free(part);
	part = part_of(text, "[chan send, ");
	CHECK(part != NULL);
	check_order(part, "ringo_chan_send+0x", "sender+0x");
	free(part);
	part = part_of(text, "[mutex, ");
	CHECK(part != NULL);
	CHECK_HAS(part, " locker+0x");
	free(part);
	part = part_of(text, "[sleep, ");
	CHECK(part != NULL);
	check_order(part, "ringo_sleep+0x", "sleeper+0x");
	free(part);
	part = part_of(text, "[NULL chan, ");
	CHECK(part != NULL);
	CHECK_HAS(part, "null_receiver+0x");
	free(part);
	part = part_of(text, "goroutine 1.1 [running, on M ");
	CHECK(part != NULL);
	check_order(part, "ringo_dump+0x", "all_main+0x");
	free(part);
	CHECK_EQ(9, count_in(text, "goroutine "));
	CHECK_EQ(3, count_in(text, "[chan receive"));
}

static void check_grouped(const char *text)
{
	const char *line = strchr(text, '\n') + 1;

	CHECK_HAS(text, "goroutine profile: total 9\n");
	/* The three receivers come first, with all their addresses. */
	CHECK(!strncmp(line, "3 @ 0x", 6));
	line = strchr(line, '\n') + 1;
	CHECK(!strncmp(line, "# [chan receive, ", 17));
	CHECK_HAS(line, "] entry receiver, created by start_receiver");
	CHECK_EQ(6 + 1, count_in(text, "\n1 @ 0x") + (count_in(text, ", daemon] entry reader") == 1));
}

static int all_main(void *arg)
{
	static struct ringo_mutex mu;
	char *text;
	int p[2];

	CHECK_EQ(0, pipe(p));
	ringo_mutex_lock(&mu);
	start_them(p[0], &mu);
	text = dump_text(RINGO_DUMP_FULL);
	CHECK_EQ(ringo_num_goroutines(), count_in(text, "goroutine ")); /* Go's NumGoroutine */
	check_full(text);
	free(text);
	text = dump_text(RINGO_DUMP_GROUPED);
	check_grouped(text);
	free(text);
	text = dump_text(RINGO_DUMP_SELF);
	CHECK_HAS(text, "goroutine 1.1 [running, on M ");
	CHECK_HAS(text, "all_main+0x");
	CHECK_EQ(1, count_in(text, "goroutine "));
	free(text);
	return 0;
}

TEST(each_kind_of_wait_is_shown_with_its_stack)
{
	EXPECT_EQ(0, ringo_run(all_main, NULL));
}

struct selects {
	const char *name;
	struct ringo_case cases[11];
	size_t n;
};

static void selecter(void *arg)
{
	struct selects *s = arg;

	CHECK(ringo_select(s->cases, s->n) < 0);
}

static void check_select(const char *mark, const char *want)
{
	char *text = dump_text(RINGO_DUMP_FULL), *part = part_of(text, mark);

	CHECK(part != NULL);
	CHECK_HAS(part, want);
	free(part);
	free(text);
}

static void start_select(struct selects *s)
{
	struct ringo_go_options o = RINGO_GO_OPTIONS(.name = s->name);

	CHECK_EQ(0, ringo_go_opt(&o, selecter, s));
}

G_TEST(a_select_is_shown_with_its_cases)
{
	static struct selects few = { .name = "few", .n = 7 }, many = { .name = "many", .n = 11 },
			      none = { .name = "none" };
	struct ringo_chan *a = ringo_chan_new(0, 0), *b = ringo_chan_new(0, 0);
	struct ringo_ctx *ctx = ringo_ctx_with_cancel(NULL);
	char want[512];
	int p[2];

	CHECK_EQ(0, pipe(p));
	few.cases[0] = RINGO_RECV(a, NULL);
	few.cases[1] = RINGO_SEND(b, NULL);
	few.cases[2] = RINGO_RECV((struct ringo_chan *)NULL, NULL);
	few.cases[3] = RINGO_POLL(p[0], POLLIN);
	few.cases[4] = RINGO_POLL(p[0], POLLIN | POLLPRI);
	few.cases[5] = RINGO_TIMEOUT(3600 * RINGO_SEC);
	few.cases[6] = RINGO_DONE(ctx);
	for (int i = 0; i < 11; i++)
		many.cases[i] = i ? RINGO_SEND(b, NULL) : RINGO_DONE(NULL);
	start_select(&few);
	start_select(&many);
	start_select(&none);
	wait_waiting(3);
	snprintf(want, sizeof(want), "\nwaits on receive %p, send %p, receive NULL, fd %d in, fd %d in|pri, "
		 "timeout 60 minutes, context %p\nentry ", (void *)a, (void *)b, p[0], p[0], (void *)ctx);
	check_select("] few:", want);
	check_select("] many:", "\nwaits on context of its own, send 0x");
	check_select("] many:", ", 3 more\nentry ");
	check_select("] none:", "selecter+0x");
	return 0;
}

static int of_group(void *arg)
{
	receiver(arg);
	return 0;
}

static NOINLINE void start_in_group(struct ringo_group *g, struct ringo_chan *c)
{
	CHECK_EQ(0, ringo_group_go(g, of_group, c));
	__asm__ volatile("" ::: "memory");
}

static void check_child(unsigned flags, const char *mark)
{
	char *text = dump_text(flags), *part = part_of(text, mark);

	if (!part)
		part = strdup(text);
	CHECK_HAS(part, "entry of_group");
	CHECK_HAS(part, "created by start_in_group+0x");
	CHECK(!strstr(part, "entry child"));
	free(part);
	free(text);
}

static int group_main(void *arg)
{
	struct ringo_chan *c = ringo_chan_new(0, 0);
	struct ringo_group g;

	ringo_group_init(&g, NULL);
	start_in_group(&g, c);
	check_child(RINGO_DUMP_FULL, "[runnable]");
	wait_waiting(1);
	check_child(RINGO_DUMP_FULL, "[chan receive, ");
	check_child(RINGO_DUMP_GROUPED, "none such");
	check_child(RINGO_DUMP_LEAKS, "none such");
	CHECK_EQ(0, ringo_chan_close(c));
	CHECK_EQ(0, ringo_group_wait(&g));
	return 0;
}

TEST(a_child_of_a_group_is_shown_as_what_the_program_started)
{
	use_turns(); /* at first it has not run yet */
	EXPECT_EQ(0, run_main(group_main));
}

static void nothing(void *arg)
{
}

static void check_fresh(const char *name, const char *has)
{
	struct ringo_go_options o = RINGO_GO_OPTIONS(.name = name);
	char *text, *part;

	CHECK_EQ(0, ringo_go_opt(&o, nothing, NULL));
	text = dump_text(RINGO_DUMP_FULL);
	part = part_of(text, "[runnable]");
	CHECK_HAS(part, "entry nothing");
	CHECK_HAS(part, has);
	free(part);
	free(text);
	CHECK_EQ(0, ringo_sleep(RINGO_MS)); /* its place is free for the next one */
}

static int fresh_main(void *arg)
{
	check_fresh("the first", "[runnable] the first:\n");
	check_fresh(NULL, "[runnable]:\n");
	check_fresh("2", "[runnable] 2:\n");
	return 0;
}

TEST(names_are_known_before_the_first_run_and_not_after_the_last)
{
	use_turns();
	EXPECT_EQ(0, run_main(fresh_main));
}

static NOINLINE void start_many(int n, void (*fn)(void *), void *arg)
{
	while (n--)
		CHECK_EQ(0, ringo_go_fn(fn, arg));
}

static int many_main(void *arg)
{
	int n = *(int *)arg;
	char *text, want[64];
	int64_t start;

	forever = ringo_chan_new(0, 0);
	start_many(n, receiver, forever);
	wait_waiting((uint64_t)n);
	start = now_ns();
	text = dump_text(RINGO_DUMP_GROUPED);
	fprintf(stderr, "# a grouped dump of %d goroutines took %lld ms\n", n, (long long)(now_ns() - start) / 1000000);
	CHECK(now_ns() - start < 10 * RINGO_SEC);
	snprintf(want, sizeof(want), "goroutine profile: total %d\n", n + 1);
	CHECK_HAS(text, want);
	/* One group, whatever way each left its stack. */
	CHECK_EQ(1, count_in(text, "entry receiver"));
	free(text);
	return 0;
}

TEST(a_hundred_thousand_are_dumped_in_a_moment)
{
	int n = SANITIZED ? 3000 : 100000;

	EXPECT_EQ(0, ringo_run(many_main, &n));
}

static int stop, passed;

/* Hands a token round, selects, sleeps and ends now and then: all that can happen to one that is looked at. */
static void restless(void *arg)
{
	struct ringo_chan *c = arg;

	for (int i = 0; !LOAD(&stop); i++) {
		struct ringo_case cases[] = { RINGO_RECV(c, NULL), RINGO_TIMEOUT(3600 * RINGO_SEC) };

		if (i % 2)
			CHECK_EQ(0, ringo_select(cases, 2));
		else
			CHECK_EQ(1, ringo_chan_recv(c, NULL));
		ADD(&passed, 1);
		if (i % 50 == 49)
			CHECK_EQ(0, ringo_sleep(RINGO_MS / 10));
		if (i % 20 == 19)
			ringo_yield();
		if (ringo_chan_send(c, NULL))
			return;
		if (i == 100) {
			CHECK_EQ(0, ringo_go_fn(restless, c));
			return;
		}
	}
}

static void asker(void *arg)
{
	for (int i = 0; !LOAD(&stop); i++) {
		char *text = dump_text(i % 2 ? RINGO_DUMP_FULL : RINGO_DUMP_GROUPED);

		CHECK(strlen(text) > 0);
		free(text);
		ringo_yield();
	}
	ADD((int *)arg, -1);
}

static int restless_main(void *arg)
{
	struct ringo_chan *c = ringo_chan_new(0, 20);
	static int askers = 2;
	int n = 0, before;

	for (int i = 0; i < 20; i++)
		CHECK_EQ(0, ringo_chan_send(c, NULL));
	start_many(100, restless, c);
	start_many(2, asker, &askers);
	for (int i = 0; i < 8; i++) {
		before = LOAD(&passed);
		for (n = 0; LOAD(&passed) < before + SCALE(10000) && n < 20000; n++)
			CHECK_EQ(0, ringo_sleep(RINGO_MS));
		CHECK(n < 20000); /* nobody is held for ever */
	}
	STORE(&stop, 1);
	while (LOAD(&askers))
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	return 0;
}

TEST(while_everything_is_on_the_move)
{
	EXPECT_EQ(0, ringo_run(restless_main, NULL));
}

static int pipe_main(void *arg)
{
	int p[2];

	signal(SIGPIPE, SIG_IGN);
	CHECK_EQ(0, pipe(p));
	close(p[0]);
	CHECK_EQ(-EPIPE, ringo_dump(p[1], RINGO_DUMP_FULL));
	CHECK_EQ(-EBADF, ringo_dump(-1, RINGO_DUMP_GROUPED));
	CHECK_EQ(-EINVAL, ringo_dump(p[1], 0));
	CHECK_EQ(-EINVAL, ringo_dump(p[1], RINGO_DUMP_FULL | RINGO_DUMP_GROUPED));
	CHECK_EQ(-EINVAL, ringo_dump(p[1], 1u << 20));
	return 0;
}

TEST(errors_are_returned)
{
	EXPECT_EQ(-ESRCH, ringo_dump(1, RINGO_DUMP_FULL));
	EXPECT_EQ(0, ringo_run(pipe_main, NULL));
}

TEST_HARNESS_MAIN
