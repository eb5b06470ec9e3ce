/* SPDX-License-Identifier: MIT */
/* Goroutines that wait until the end of the run, for tests of what is seen of them. */
#ifndef RINGO_TESTS_WAITERS_H
#define RINGO_TESTS_WAITERS_H

#include "help.h"

static inline void locker(void *arg)
{
	ringo_mutex_lock(arg);
	ringo_mutex_unlock(arg);
}

static inline void sleeper(void *arg)
{
	int res = ringo_sleep(3600 * RINGO_SEC);

	CHECK(res <= 0);
}

static inline void reader(void *arg)
{
	char c;
	ssize_t res = ringo_read((int)(intptr_t)arg, &c, 1);

	CHECK(res <= 0);
}

#endif
