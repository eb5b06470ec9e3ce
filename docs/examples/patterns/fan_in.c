// SPDX-License-Identifier: MIT
/*
 * Fan-in: one goroutine reads from several sources, whichever has something. A source that is closed is
 * set to NULL, and a NULL channel is never ready: so it drops out of the select.
 *
 *   $ fan_in
 *   5 from the north, 3 from the south
 */
#include <ringo.h>
#include <stdio.h>

static void source(ringo_ch(int) out, int n)
{
	for (int i = 0; i < n && !ringo_ch_send(out, i); i++)
		;
	ringo_ch_close(out);
	ringo_ch_unref(out);
}

static int run(void *arg)
{
	ringo_ch(int) north = ringo_ch_make(int, 0), south = ringo_ch_make(int, 0);
	int from_north = 0, from_south = 0, v;

	(void)arg;
	if (ringo_go(source, ringo_ch_ref(north), 5) || ringo_go(source, ringo_ch_ref(south), 3))
		return 1;
	while (north || south) {
		struct ringo_case cases[] = { RINGO_RECV(north, &v), RINGO_RECV(south, &v) };
		int i = ringo_select(cases, 2);

		if (i < 0)
			return i;
		if (cases[i].result == 1 && i == 0) {
			from_north++;
		} else if (cases[i].result == 1) {
			from_south++;
		} else if (i == 0) {
			ringo_ch_unref(north);
			north = NULL;
		} else {
			ringo_ch_unref(south);
			south = NULL;
		}
	}
	printf("%d from the north, %d from the south\n", from_north, from_south);
	return 0;
}

int main(void)
{
	return ringo_run(run, NULL);
}
