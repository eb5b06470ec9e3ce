// SPDX-License-Identifier: MIT
/*
 * Context never cancelled. Each request has a context, and a goroutine that waits for its end. The requests
 * are over, but nobody said so to the contexts: the goroutines pile up. A dump of what waits, grouped by
 * where it was started, shows what there is too much of.
 *
 *   $ context_not_cancelled
 *   leak profile: total 100
 *   100 @ 0x...
 *   # [context, ...] entry when_over, created by ...
 *
 * Cure: cancel what you made, on every way out; a context with a timeout, too.
 *
 *   $ context_not_cancelled cure
 *   100 requests over, 0 goroutines left
 */
#include <ringo.h>
#include <stdatomic.h>
#include <stdio.h>

static atomic_int over;

static void when_over(struct ringo_ctx *request)
{
	if (!ringo_ctx_wait(request))
		over++; /* give back what the request has used */
	ringo_ctx_unref(request);
}

static int serve_and_forget(void)
{
	struct ringo_ctx *request = ringo_ctx_with_cancel(NULL);

	ringo_defer(ringo_ctx_unref, request);
	return ringo_go(when_over, ringo_ctx_ref(request));
}

static int serve(void)
{
	struct ringo_ctx *request = ringo_ctx_with_cancel(NULL);

	ringo_defer(ringo_ctx_unref, request);
	ringo_defer(ringo_ctx_cancel, request, 0);
	return ringo_go(when_over, ringo_ctx_ref(request));
}

static int mistake(void *arg)
{
	(void)arg;
	for (int i = 0; i < 100; i++)
		if (serve_and_forget())
			return 1;
	ringo_sleep(300 * RINGO_MS);
	return ringo_dump(1, RINGO_DUMP_LEAKS);
}

static int cure(void *arg)
{
	struct ringo_leaks before;
	int left;

	(void)arg;
	ringo_leak_snapshot(&before);
	for (int i = 0; i < 100; i++)
		if (serve())
			return 1;
	left = ringo_leak_verify(&before, 30 * RINGO_SEC, 1);
	printf("%d requests over, %d goroutines left\n", over, left);
	return 0;
}

int main(int argc, char **argv)
{
	(void)argv;
	return ringo_run(argc > 1 ? cure : mistake, NULL);
}
