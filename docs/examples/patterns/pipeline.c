// SPDX-License-Identifier: MIT
/*
 * Pipeline: each stage is a goroutine that reads from one channel, writes to the next, and closes that
 * when it ends. Who has seen enough cancels the context of the group; that ends the waits of all stages,
 * also of those that would send into a channel that nobody reads any more.
 *
 *   $ pipeline
 *   4 16 36 64 100
 */
#include <ringo.h>
#include <stdio.h>

struct stage {
	ringo_ch(int) in, out;
};

static int numbers(void *arg)
{
	struct stage *s = arg;

	for (int n = 1; !ringo_ch_send(s->out, n); n++)
		;
	return ringo_ch_close(s->out);
}

static int even(void *arg)
{
	struct stage *s = arg;
	int n;

	while (ringo_ch_recv(s->in, &n) == 1)
		if (n % 2 == 0 && ringo_ch_send(s->out, n))
			break;
	return ringo_ch_close(s->out);
}

static int squares(void *arg)
{
	struct stage *s = arg;
	int n;

	while (ringo_ch_recv(s->in, &n) == 1 && !ringo_ch_send(s->out, n * n))
		;
	return ringo_ch_close(s->out);
}

static int run(void *arg)
{
	ringo_ch(int) c[3] = { ringo_ch_make(int, 0), ringo_ch_make(int, 0), ringo_ch_make(int, 0) };
	struct stage first = { .out = c[0] }, second = { c[0], c[1] }, third = { c[1], c[2] };
	struct ringo_group g;
	int n = 0, err;

	(void)arg;
	ringo_group_init(&g, NULL);
	if (ringo_group_go(&g, numbers, &first) || ringo_group_go(&g, even, &second) ||
	    ringo_group_go(&g, squares, &third))
		return 1;
	while (n < 100 && ringo_ch_recv(c[2], &n) == 1)
		printf("%d%c", n, n < 100 ? ' ' : '\n');
	ringo_ctx_cancel(ringo_group_ctx(&g), 0);
	err = ringo_group_wait(&g);
	for (int i = 0; i < 3; i++)
		ringo_ch_unref(c[i]);
	return err;
}

int main(void)
{
	return ringo_run(run, NULL);
}
