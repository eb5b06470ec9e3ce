// SPDX-License-Identifier: MIT
/*
 * Worker pool: four goroutines take jobs from one channel and put results into another. Closing `jobs`
 * ends the workers; when all have ended, `results` is closed, and that ends the loop that collects.
 *
 *   $ workers
 *   the squares of 1 to 100 add up to 338350
 */
#include <ringo.h>
#include <stdio.h>

enum { WORKERS = 4 };

struct pool {
	ringo_ch(int) jobs;
	ringo_ch(long) results;
	struct ringo_waitgroup working;
};

static int feed(void *arg)
{
	struct pool *p = arg;
	int err = 0;

	for (int n = 1; n <= 100 && !err; n++)
		err = ringo_ch_send(p->jobs, n);
	ringo_ch_close(p->jobs);
	return err;
}

static int work(void *arg)
{
	struct pool *p = arg;
	int n, err = 0;

	while (!err && ringo_ch_recv(p->jobs, &n) == 1)
		err = ringo_ch_send(p->results, (long)n * n);
	ringo_waitgroup_done(&p->working);
	return err;
}

static int close_results(void *arg)
{
	struct pool *p = arg;

	ringo_waitgroup_wait(&p->working);
	return ringo_ch_close(p->results);
}

static int run(void *arg)
{
	struct pool p = { .jobs = ringo_ch_make(int, 0), .results = ringo_ch_make(long, 0) };
	struct ringo_group g;
	long square, sum = 0;
	int err;

	(void)arg;
	ringo_group_init(&g, NULL);
	err = ringo_group_go(&g, feed, &p);
	for (int i = 0; i < WORKERS && !err; i++) {
		ringo_waitgroup_add(&p.working, 1);
		err = ringo_group_go(&g, work, &p);
	}
	if (err || ringo_group_go(&g, close_results, &p))
		return 1;
	while (ringo_ch_recv(p.results, &square) == 1)
		sum += square;
	err = ringo_group_wait(&g); /* now nobody uses p any more */
	printf("the squares of 1 to 100 add up to %ld\n", sum);
	ringo_ch_unref(p.jobs);
	ringo_ch_unref(p.results);
	return err;
}

int main(void)
{
	return ringo_run(run, NULL);
}
