// SPDX-License-Identifier: MIT
/*
 * Semaphore by channel: a channel with room for 3 elements lets 3 goroutines work at a time. To send is
 * to take a place, to receive is to give it back. The elements carry nothing, so their size is 0.
 *
 *   $ semaphore
 *   10 jobs done, never more than 3 at a time
 */
#include <ringo.h>
#include <stdatomic.h>
#include <stdio.h>

enum { PLACES = 3 };

static atomic_int working, done;

static void job(struct ringo_chan *places)
{
	if (++working > PLACES)
		ringo_panic("%d work at a time", working);
	ringo_sleep(RINGO_MS);
	working--;
	done++;
	(void)!ringo_chan_recv(places, NULL);
	ringo_chan_unref(places);
}

static int run(void *arg)
{
	struct ringo_chan *places = ringo_chan_new(0, PLACES);

	(void)arg;
	if (!places)
		return 1;
	/* The place is taken here, not in the job: so there are never more goroutines than places. */
	for (int i = 0; i < 10; i++)
		if (ringo_chan_send(places, NULL) || ringo_go(job, ringo_chan_ref(places)))
			return 1;
	/* Who has all places is alone. */
	for (int i = 0; i < PLACES; i++)
		if (ringo_chan_send(places, NULL))
			return 1;
	printf("%d jobs done, never more than %d at a time\n", done, PLACES);
	ringo_chan_unref(places);
	return 0;
}

int main(void)
{
	return ringo_run(run, NULL);
}
