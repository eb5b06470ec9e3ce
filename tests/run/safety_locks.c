// SPDX-License-Identifier: MIT
/* Locks between threads, held by a goroutine that loses its P. */
#include "safety.h"

#ifdef RG_TSAN
enum { MISUSE = 0 }; /* it reports that, and ends the program */
#else
enum { MISUSE = 1 };
#endif

static struct {
	unsigned holder;
	unsigned long entries;
} held;

static void hold(const struct worker *w)
{
	CHECK_EQ(0, held.holder);
	held.holder = w->id + 1;
	for (int i = 0; i < 200; i++)
		CHECK_EQ(LOAD(&held.holder), w->id + 1);
	held.entries++;
	held.holder = 0;
}

SAFETY_TEST(plain_mutex)
{
	static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;

	CHECK_EQ(0, pthread_mutex_lock(&m));
	hold(w);
	CHECK_EQ(0, pthread_mutex_unlock(&m));
}

SAFETY_TEST(recursive_mutex)
{
	static pthread_mutex_t m = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

	CHECK_EQ(0, pthread_mutex_lock(&m));
	CHECK_EQ(0, pthread_mutex_lock(&m));
	hold(w);
	CHECK_EQ(0, pthread_mutex_unlock(&m));
	hold(w);
	CHECK_EQ(0, pthread_mutex_unlock(&m));
}

SAFETY_TEST(mutex_that_checks)
{
	static pthread_mutex_t m = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;

	CHECK_EQ(0, pthread_mutex_lock(&m));
	if (MISUSE)
		CHECK_EQ(EDEADLK, pthread_mutex_lock(&m));
	hold(w);
	CHECK_EQ(0, pthread_mutex_unlock(&m));
	if (MISUSE)
		CHECK_EQ(EPERM, pthread_mutex_unlock(&m));
}

SAFETY_TEST(read_write_lock)
{
	static pthread_rwlock_t l = PTHREAD_RWLOCK_INITIALIZER;
	static unsigned long writes, copy;

	if (rand_below(w, 4)) {
		CHECK_EQ(0, pthread_rwlock_rdlock(&l));
		for (int i = 0; i < 50; i++)
			CHECK_EQ(LOAD(&writes), LOAD(&copy));
	} else {
		CHECK_EQ(0, pthread_rwlock_wrlock(&l));
		hold(w);
		ADD(&writes, 1);
		ADD(&copy, 1);
	}
	CHECK_EQ(0, pthread_rwlock_unlock(&l));
}

SAFETY_TEST(condition_variable)
{
	static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
	struct timespec soon;
	int err = 0;

	clock_gettime(CLOCK_REALTIME, &soon);
	soon.tv_nsec = rg_min(soon.tv_nsec + 20000, 999999999L);
	CHECK_EQ(0, pthread_mutex_lock(&m));
	hold(w);
	if (!rand_below(w, 16))
		err = pthread_cond_timedwait(&c, &m, &soon);
	CHECK(!err || err == ETIMEDOUT);
	hold(w);
	pthread_cond_signal(&c);
	CHECK_EQ(0, pthread_mutex_unlock(&m));
}

TEST_HARNESS_MAIN
