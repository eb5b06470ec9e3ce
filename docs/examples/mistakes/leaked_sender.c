// SPDX-License-Identifier: MIT
/*
 * Leaked sender. Who asked has no more time and goes away; who answers then waits for ever to send, with its
 * stack and all it holds.
 *
 *   $ leaked_sender
 *   no answer in 10 ms
 *   ringo: goroutines that were started since the snapshot and still live:
 *
 *   goroutine ... [chan send, ...
 *   	0x... look_up+0x...
 *   created by ...
 *   exit status 1
 *
 * Cure: a channel with room for the answer. Or start look_up under the deadline of who asks, in a
 * ringo_timeout_scope: deadlines are inherited, so the send ends with -ETIMEDOUT.
 *
 *   $ leaked_sender cure
 *   no answer in 10 ms
 */
#include <ringo.h>
#include <stdio.h>

static void look_up(ringo_ch(int) answer)
{
	ringo_sleep(50 * RINGO_MS);
	(void)!ringo_ch_send(answer, 42);
	ringo_ch_unref(answer);
}

static void ask(size_t room)
{
	ringo_ch(int) answer = ringo_ch_make(int, room);
	int v;
	struct ringo_case cases[] = { RINGO_RECV(answer, &v), RINGO_TIMEOUT(10 * RINGO_MS) };

	if (ringo_go(look_up, ringo_ch_ref(answer)))
		ringo_panic("no goroutine");
	if (ringo_select(cases, 2) == 0)
		printf("the answer is %d\n", v);
	else
		printf("no answer in 10 ms\n");
	fflush(stdout);
	ringo_ch_unref(answer);
}

static int mistake(void *arg)
{
	struct ringo_leaks before;

	(void)arg;
	ringo_leak_snapshot(&before);
	ask(0);
	return ringo_leak_verify(&before, 500 * RINGO_MS, 1);
}

static int cure(void *arg)
{
	struct ringo_leaks before;

	(void)arg;
	ringo_leak_snapshot(&before);
	ask(1);
	return ringo_leak_verify(&before, 30 * RINGO_SEC, 1);
}

int main(int argc, char **argv)
{
	(void)argv;
	return ringo_run(argc > 1 ? cure : mistake, NULL);
}
