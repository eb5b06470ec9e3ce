// SPDX-License-Identifier: MIT
/*
 * Forgotten wait. A run ends when its main function returns; goroutines that wait at that moment never go
 * on. Nothing says so by itself: a test asks ringo_leak_verify who is left.
 *
 *   $ forgotten_wait
 *   0 of 3 letters sent
 *   ringo: goroutines that were started since the snapshot and still live:
 *   ...
 *   goroutine ... [sleep, ...
 *   	0x... send_letter+0x...
 *   exit status 3
 *
 * Cure: who starts goroutines waits for them.
 *
 *   $ forgotten_wait cure
 *   3 of 3 letters sent
 */
#include <ringo.h>
#include <stdatomic.h>
#include <stdio.h>

static atomic_int sent;

static int send_letter(void *arg)
{
	(void)arg;
	ringo_sleep(200 * RINGO_MS); /* the post is slow */
	sent++;
	return 0;
}

static int send_all(struct ringo_group *g)
{
	int err = 0;

	ringo_group_init(g, NULL);
	for (int i = 0; i < 3 && !err; i++)
		err = ringo_group_go(g, send_letter, NULL);
	return err;
}

static int tell(struct ringo_leaks *before)
{
	printf("%d of 3 letters sent\n", sent);
	fflush(stdout);
	return ringo_leak_verify(before, 20 * RINGO_MS, 1);
}

static int mistake(void *arg)
{
	struct ringo_leaks before;
	struct ringo_group g;

	(void)arg;
	ringo_leak_snapshot(&before);
	if (send_all(&g))
		return -1;
	return tell(&before);
}

static int cure(void *arg)
{
	struct ringo_leaks before;
	struct ringo_group g;

	(void)arg;
	ringo_leak_snapshot(&before);
	if (send_all(&g) || ringo_group_wait(&g))
		return -1;
	return tell(&before);
}

int main(int argc, char **argv)
{
	(void)argv;
	return ringo_run(argc > 1 ? cure : mistake, NULL);
}
