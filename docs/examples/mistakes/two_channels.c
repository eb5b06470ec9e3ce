// SPDX-License-Identifier: MIT
/*
 * Two channels that wait for each other. Both sides send first, and nobody is there to receive. When all
 * goroutines sleep for ever, the program ends at once with the stack of each.
 *
 *   $ two_channels
 *   fatal error: all goroutines are asleep - deadlock!
 *
 *   goroutine 1.1 [chan send, ...
 *   goroutine ... [chan send, ...
 *   	0x... send_first+0x...
 *   exit status 2
 *
 * Cure: one side receives first.
 *
 *   $ two_channels cure
 *   1 for 2
 */
#include <ringo.h>
#include <stdio.h>

typedef ringo_ch(int) channel;

static int send_first(channel out, channel in, int mine)
{
	int theirs = 0;

	if (ringo_ch_send(out, mine) || ringo_ch_recv(in, &theirs) != 1)
		return -1;
	return theirs;
}

static int receive_first(channel out, channel in, int mine)
{
	int theirs = 0;

	if (ringo_ch_recv(in, &theirs) != 1 || ringo_ch_send(out, mine))
		return -1;
	return theirs;
}

static void other(int (*exchange)(channel, channel, int), channel out, channel in)
{
	exchange(out, in, 1);
}

static int meet(int (*exchange)(channel, channel, int))
{
	channel a = ringo_ch_make(int, 0), b = ringo_ch_make(int, 0);

	if (ringo_go(other, exchange, b, a))
		return 1;
	printf("%d for 2\n", send_first(a, b, 2));
	return 0;
}

static int mistake(void *arg)
{
	(void)arg;
	return meet(send_first);
}

static int cure(void *arg)
{
	(void)arg;
	return meet(receive_first);
}

int main(int argc, char **argv)
{
	(void)argv;
	return ringo_run(argc > 1 ? cure : mistake, NULL);
}
