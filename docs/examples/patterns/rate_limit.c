// SPDX-License-Identifier: MIT
/*
 * Rate limit: a bucket of tokens. Each request takes one; a ticker puts one in every 10 ms, and what does
 * not fit is lost. So there are 100 requests a second in the long run, and bursts of at most 3.
 *
 *   $ rate_limit
 *   request 8 came after 50 ms or more
 */
#include <ringo.h>
#include <stdio.h>

enum { BURST = 3, REQUESTS = 8 };

static int refill(void *arg)
{
	ringo_ch(char) *bucket = arg;
	struct ringo_ticker *t = ringo_ticker_new(10 * RINGO_MS);

	/* Waits for a tick until the group's context is over. */
	while (ringo_chan_recv(ringo_ticker_chan(t), NULL) == 1)
		(void)!ringo_ch_try_send(*bucket, 1);
	ringo_ticker_free(t);
	return 0;
}

static int run(void *arg)
{
	ringo_ch(char) bucket = ringo_ch_make(char, BURST);
	int64_t start = ringo_now();
	struct ringo_group g;
	int err;

	(void)arg;
	for (int i = 0; i < BURST; i++)
		(void)!ringo_ch_try_send(bucket, 1);
	ringo_group_init(&g, NULL);
	err = ringo_group_go(&g, refill, &bucket);
	for (int i = 0; i < REQUESTS && !err; i++)
		if (ringo_ch_recv(bucket, NULL) != 1)
			return 1;
	printf("request %d came after %s\n", REQUESTS,
	       ringo_now() - start >= (REQUESTS - BURST) * 10 * RINGO_MS ? "50 ms or more" : "less than 50 ms");
	ringo_ctx_cancel(ringo_group_ctx(&g), 0);
	err = ringo_group_wait(&g);
	ringo_ch_unref(bucket);
	return err;
}

int main(void)
{
	return ringo_run(run, NULL);
}
