// SPDX-License-Identifier: MIT
/*
 * Shared loop variable. Each goroutine gets the address of i, and reads it when the loop has gone on; what it
 * sees is chance. With one P it is what the loop has left. Built with SAN=thread CC=clang, the program is
 * told by ThreadSanitizer: "WARNING: ThreadSanitizer: data race".
 *
 *   $ RINGO_PROCS=1 shared_variable
 *   seen: 3 3 3
 *
 * Cure: pass the value. ringo_go copies its arguments before it returns.
 *
 *   $ shared_variable cure
 *   seen: 0 1 2
 */
#include <ringo.h>
#include <stdio.h>

static int seen[3];

static void look_at(const int *i, int *result, struct ringo_waitgroup *done)
{
	*result = *i;
	ringo_waitgroup_done(done);
}

static void take(int i, int *result, struct ringo_waitgroup *done)
{
	*result = i;
	ringo_waitgroup_done(done);
}

static int mistake(void *arg)
{
	struct ringo_waitgroup done = { 0 };
	int i;

	(void)arg;
	ringo_waitgroup_add(&done, 3);
	for (i = 0; i < 3; i++)
		if (ringo_go(look_at, (const int *)&i, &seen[i], &done))
			return 1;
	ringo_waitgroup_wait(&done);
	printf("seen: %d %d %d\n", seen[0], seen[1], seen[2]);
	return 0;
}

static int cure(void *arg)
{
	struct ringo_waitgroup done = { 0 };

	(void)arg;
	ringo_waitgroup_add(&done, 3);
	for (int i = 0; i < 3; i++)
		if (ringo_go(take, i, &seen[i], &done))
			return 1;
	ringo_waitgroup_wait(&done);
	printf("seen: %d %d %d\n", seen[0], seen[1], seen[2]);
	return 0;
}

int main(int argc, char **argv)
{
	(void)argv;
	return ringo_run(argc > 1 ? cure : mistake, NULL);
}
