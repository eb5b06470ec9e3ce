// SPDX-License-Identifier: MIT
/*
 * Leaked receivers. The channel of a worker pool is never closed, so its workers wait for ever. Nobody else
 * has a pointer to that channel: ringo_leak_unreachable finds goroutines that cannot be woken any more, also
 * in a program that runs and was not written to be tested.
 *
 *   $ leaked_receiver
 *   ringo: goroutines that nothing can wake any more:
 *
 *   goroutine ... [chan receive, ...
 *   	0x... worker+0x...
 *   created by ...
 *   3 can never go on
 *
 * Cure: who sends closes, on every way out.
 *
 *   $ leaked_receiver cure
 *   0 can never go on
 */
#include <ringo.h>
#include <stdio.h>

static void worker(ringo_ch(int) jobs)
{
	int job;

	while (ringo_ch_recv(jobs, &job) == 1)
		;               /* the work */
	ringo_ch_unref(jobs);
}

static ringo_ch(int) start_workers(void)
{
	ringo_ch(int) jobs = ringo_ch_make(int, 0);

	for (int i = 0; i < 3; i++)
		if (ringo_go(worker, ringo_ch_ref(jobs)))
			ringo_panic("no goroutine");
	return jobs;
}

static void close_jobs(ringo_ch(int) jobs)
{
	ringo_ch_close(jobs);
	ringo_ch_unref(jobs);
}

static __attribute__((noinline)) int forget(int n)
{
	ringo_ch(int) jobs = start_workers();
	int err = 0;

	for (int i = 0; i < n && !err; i++)
		err = ringo_ch_send(jobs, i);
	ringo_ch_unref(jobs);
	return err;
}

static __attribute__((noinline)) int take_care(int n)
{
	ringo_ch(int) jobs = start_workers();
	int err = 0;

	ringo_defer(close_jobs, jobs);
	for (int i = 0; i < n && !err; i++)
		err = ringo_ch_send(jobs, i);
	return err;
}

static int run(void *arg)
{
	int (*work)(int) = arg;
	long lost;

	if (work(10))
		return 1;
	ringo_sleep(300 * RINGO_MS);
	lost = ringo_leak_unreachable(1);
	printf("%ld can never go on\n", lost);
	return 0;
}

int main(int argc, char **argv)
{
	(void)argv;
	return ringo_run(run, argc > 1 ? take_care : forget);
}
