// SPDX-License-Identifier: MIT
/*
 * Bounded group: at most 4 of the goroutines at a time. The first error ends the context that all of them
 * run under: waits that are on return -ECANCELED, and what has not begun is not begun.
 *
 *   $ bounded_group
 *   page 20 of 1000: No such file or directory
 */
#include <errno.h>
#include <ringo.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { LIMIT = 4, PAGES = 1000, MISSING = 20 };

static atomic_int working;

static int fetch(void *arg)
{
	const int *page = arg;
	int err;

	if (++working > LIMIT)
		ringo_panic("%d work at a time", working);
	err = ringo_sleep(*page * 100 * RINGO_US); /* the network, say */
	working--;
	return *page == MISSING && !err ? -ENOENT : err;
}

static int run(void *arg)
{
	struct ringo_group g;
	int pages[PAGES], err;

	(void)arg;
	ringo_group_init(&g, NULL);
	ringo_group_limit(&g, LIMIT);
	for (int i = 0; i < PAGES && !ringo_ctx_err(ringo_group_ctx(&g)); i++) {
		pages[i] = i;
		if (ringo_group_go(&g, fetch, &pages[i])) /* waits while four are at work */
			break;
	}
	err = ringo_group_wait(&g);
	printf("page %d of %d: %s\n", MISSING, PAGES, strerror(-err));
	return 0;
}

int main(void)
{
	return ringo_run(run, NULL);
}
