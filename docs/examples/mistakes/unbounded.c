// SPDX-License-Identifier: MIT
/*
 * Unbounded spawning. Goroutines are cheap, what they hold is not: memory, descriptors, the patience of the
 * server behind. Ten thousand requests come at once, and all of them are begun.
 *
 *   $ unbounded
 *   goroutine profile: total 10001
 *   ... @ 0x...
 *   # [sleep, ...] entry request, created by mistake+0x...
 *
 * Cure: a limit. At the limit the loop waits, so the rest stays where it is, in the queue of the kernel.
 *
 *   $ unbounded cure
 *   10000 requests, never more than 64 at a time
 */
#include <ringo.h>
#include <stdatomic.h>
#include <stdio.h>

enum { REQUESTS = 10000, LIMIT = 64 };

static atomic_int working, served;

static void request(void)
{
	ringo_sleep(3600 * RINGO_SEC);
}

static int mistake(void *arg)
{
	(void)arg;
	for (int i = 0; i < REQUESTS; i++)
		if (ringo_go(request))
			return 1;
	ringo_sleep(300 * RINGO_MS);
	return ringo_dump(1, RINGO_DUMP_GROUPED);
}

static int limited_request(void *arg)
{
	(void)arg;
	if (++working > LIMIT)
		ringo_panic("%d at a time", working);
	ringo_sleep(100 * RINGO_US);
	working--;
	served++;
	return 0;
}

static int cure(void *arg)
{
	struct ringo_group g;
	int err = 0;

	(void)arg;
	ringo_group_init(&g, NULL);
	ringo_group_limit(&g, LIMIT);
	for (int i = 0; i < REQUESTS && !err; i++)
		err = ringo_group_go(&g, limited_request, NULL);
	if (err || ringo_group_wait(&g))
		return 1;
	printf("%d requests, never more than %d at a time\n", served, LIMIT);
	return 0;
}

int main(int argc, char **argv)
{
	(void)argv;
	return ringo_run(argc > 1 ? cure : mistake, NULL);
}
