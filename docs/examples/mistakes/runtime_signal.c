// SPDX-License-Identifier: MIT
/*
 * A handler for the runtime's own signal. ringo asks goroutines that run for their stack by SIGURG. A
 * program that sets a handler for SIGURG in the middle of a run has taken that away, and dumps say so.
 *
 *   $ runtime_signal
 *   ...
 *   # [running] entry compute, created by run+0x...
 *   #	0x... compute+0x...
 *   # [running] entry compute, created by run+0x...
 *   #	(stack not available: SIGURG is not ours)
 *
 *   SIGURG came 1 time
 *
 * Cure: set it before ringo_run. Then it gets every SIGURG that is not ringo's.
 *
 *   $ runtime_signal cure
 *   ...
 *   # [running] entry compute, created by run+0x...
 *   #	0x... compute+0x...
 *   SIGURG came 1 time
 */
#include <ringo.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>

static atomic_int urgent, started, stop;

static void on_urgent(int signo)
{
	(void)signo;
	urgent++;
}

static void take_signal(void)
{
	struct sigaction sa = { .sa_handler = on_urgent };

	sigaction(SIGURG, &sa, NULL);
}

static void compute(void)
{
	started = 1;
	while (!stop)
		;
}

static int run(void *set_handler)
{
	int err;

	if (ringo_go(compute)) /* it keeps a P for itself */
		return 1;
	while (!started)
		ringo_yield();
	err = ringo_dump(1, RINGO_DUMP_GROUPED);
	if (set_handler) {
		((void (*)(void))set_handler)();
		err = ringo_dump(1, RINGO_DUMP_GROUPED);
	}
	raise(SIGURG);
	printf("SIGURG came %d time\n", urgent);
	stop = 1;
	return err;
}

int main(int argc, char **argv)
{
	struct ringo_options two = RINGO_OPTIONS(.procs = 2);

	(void)argv;
	if (argc == 1)
		return ringo_run_opt(run, take_signal, &two);
	take_signal();
	return ringo_run_opt(run, NULL, &two);
}
