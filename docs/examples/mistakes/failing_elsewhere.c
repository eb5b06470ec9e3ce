// SPDX-License-Identifier: MIT
/*
 * Failing a test from another goroutine. REQUIRE panics, and the loop over the tests contains that: but only
 * a panic in the goroutine that called ringo_try. One in another goroutine ends the process, with the report
 * of who it was; the tests behind it never run.
 *
 *   $ failing_elsewhere
 *   panic: REQUIRE: answer() == 42
 *
 *   goroutine ... [running]: checker, started by the_answer_mistaken
 *   ...
 *   exit status 134
 *
 * Cure: goroutines return what they found; the test waits for them and judges.
 *
 *   $ failing_elsewhere cure
 *   not ok 1 the answer: REQUIRE: ringo_group_wait(&g) == 0
 *   ok 2 nothing
 */
#include <errno.h>
#include <ringo.h>
#include <stdio.h>

#define REQUIRE(condition) ((condition) ? (void)0 : ringo_panic("REQUIRE: %s", #condition))

static int answer(void)
{
	return 41;
}

static void checker(struct ringo_waitgroup *done)
{
	REQUIRE(answer() == 42);
	ringo_waitgroup_done(done);
}

static void the_answer_mistaken(void *arg)
{
	struct ringo_waitgroup done = { 0 };

	(void)arg;
	ringo_waitgroup_add(&done, 1);
	REQUIRE(ringo_go(checker, &done) == 0);
	ringo_waitgroup_wait(&done);
}

static int check(void *arg)
{
	(void)arg;
	return answer() == 42 ? 0 : -EDOM;
}

static void the_answer(void *arg)
{
	struct ringo_group g;

	(void)arg;
	ringo_group_init(&g, NULL);
	REQUIRE(ringo_group_go(&g, check, NULL) == 0);
	REQUIRE(ringo_group_wait(&g) == 0);
}

static void nothing(void *arg)
{
	(void)arg;
}

static int run(void *first)
{
	void (*const tests[])(void *) = { first, nothing };
	const char *const names[] = { "the answer", "nothing" };
	struct ringo_panic_info p;

	for (int i = 0; i < 2; i++)
		if (ringo_try(tests[i], NULL, &p))
			printf("not ok %d %s: %s\n", i + 1, names[i], p.message);
		else
			printf("ok %d %s\n", i + 1, names[i]);
	return 0;
}

int main(int argc, char **argv)
{
	(void)argv;
	return ringo_run(run, argc > 1 ? the_answer : the_answer_mistaken);
}
