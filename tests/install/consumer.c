// SPDX-License-Identifier: MIT
/* The smallest program of a user: also valid C++. Its exit status says whether a goroutine ran. */
#include <ringo.h>

static void set(void *flag)
{
	*(int *)flag = 1;
}

static int add(int *n, int what)
{
	return *n += what;
}

static void fails(void *n)
{
	ringo_defer(add, (int *)n, 2);
	ringo_panic("as it should");
}

static int run(void *flag)
{
	int err = ringo_go_fn(set, flag);

	if (err)
		return err;
	ringo_yield();
	while (!*(volatile int *)flag)
		ringo_yield();
	{
		int n = 0;

		if (ringo_try(fails, &n, NULL) != 1 || n != 2)
			return 2;
	}
	return 0;
}

int main(void)
{
	int flag = 0;

	return ringo_run(run, &flag) == 0 && flag ? 0 : 1;
}
