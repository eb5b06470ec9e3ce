// SPDX-License-Identifier: MIT
/* The smallest program of a user: also valid C++. Its exit status says whether a goroutine ran. */
#include <ringo.h>

static void set(void *flag)
{
	*(int *)flag = 1;
}

static int run(void *flag)
{
	int err = ringo_go_fn(set, flag);

	if (err)
		return err;
	ringo_yield();
	while (!*(volatile int *)flag)
		ringo_yield();
	return 0;
}

int main(void)
{
	int flag = 0;

	return ringo_run(run, &flag) == 0 && flag ? 0 : 1;
}
