// SPDX-License-Identifier: MIT
/*
 * Locks under seeds, with waits that give up at any moment: exclusion, order, and no wake-up lost. A lost one
 * shows as the machine's verdict that every thread sleeps for ever.
 */
#include <string.h>

#include "kselftest_harness.h"
#include "sim_test.h"

#define ADD(p, v) __atomic_add_fetch(p, v, __ATOMIC_RELAXED)
#define GET(p) __atomic_load_n(p, __ATOMIC_RELAXED)

static struct ringo_waitgroup done;
static struct ringo_mutex mutex;
static long inside, total, late;

static void go(void (*fn)(int), int n)
{
	ringo_waitgroup_add(&done, n);
	for (int i = 0; i < n; i++)
		SIM_CHECK(ringo_go(fn, i) == 0);
}

static void canceller(struct ringo_ctx *ctx, int64_t ns)
{
	(void)!ringo_sleep(ns);
	ringo_ctx_cancel(ctx, 0);
	ringo_ctx_unref(ctx);
	ringo_waitgroup_done(&done);
}

/* fn(arg) with a deadline, or under a context that somebody cancels. By one of those that done counts. */
static int impatiently(int k, int (*fn)(void *), void *arg)
{
	struct ringo_ctx *ctx, *former;
	int64_t ns = k / 2 % 6 * RINGO_US;
	int res;

	if (k % 2) {
		ringo_timeout_scope(ns);
		res = fn(arg);
		SIM_CHECK(res == 0 || res == -ETIMEDOUT);
		return res;
	}
	ctx = ringo_ctx_with_cancel(NULL);
	ringo_waitgroup_add(&done, 1);
	SIM_CHECK(ringo_go(canceller, ringo_ctx_ref(ctx), ns) == 0);
	former = ringo_ctx_enter(ctx);
	res = fn(arg);
	SIM_CHECK(res == 0 || res == -ECANCELED);
	ringo_ctx_unref(ringo_ctx_enter(former));
	ringo_ctx_unref(former);
	ringo_ctx_unref(ctx);
	return res;
}

/* Mutex */

static int lock_it(void *mu)
{
	return ringo_mutex_lock_ctx(mu);
}

static void critical(int i)
{
	SIM_CHECK(inside++ == 0);
	if (i % 3 == 0)
		ringo_yield();
	if (i % 7 == 0)
		(void)!ringo_sleep(3 * RINGO_US);
	total++;
	SIM_CHECK(--inside == 0);
}

static void hasty_locker(int id)
{
	for (int i = 0; i < 15; i++) {
		int res = 0;

		if (id % 3 == 0) {
			ringo_mutex_lock(&mutex);
		} else if (id % 3 == 1 && i % 4 == 0) {
			res = ringo_mutex_try_lock(&mutex);
			SIM_CHECK(res == 0 || res == -EAGAIN);
		} else {
			res = impatiently(id + i, lock_it, &mutex);
		}
		if (res) {
			ADD(&late, 1);
			continue;
		}
		critical(id + i);
		ringo_mutex_unlock(&mutex);
		if (i % 4 == 0)
			(void)!ringo_sleep(RINGO_US);
	}
	ringo_waitgroup_done(&done);
}

static int lockers(void *arg)
{
	memset(&mutex, 0, sizeof(mutex));
	total = late = 0;
	go(hasty_locker, 9);
	ringo_waitgroup_wait(&done);
	SIM_CHECK(total + late == 9 * 15);
	SIM_CHECK(ringo_mutex_try_lock(&mutex) == 0);
	ringo_mutex_unlock(&mutex);
	for (size_t i = 0; i < sizeof(mutex); i++) /* nobody is queued, woken or starving */
		SIM_CHECK(((char *)&mutex)[i] == 0);
	return 0;
}

SIM_TEST(a_mutex_whose_waiters_give_up_excludes_and_forgets_nobody)
{
	sim_seeds(lockers, NULL);
}

/* The last user frees it, right after its unlock. */
struct object {
	struct ringo_mutex mutex;
	int refs;
};

static void user(struct object *o, int id)
{
	bool last;

	for (int i = 0; i < 3; i++) {
		if (impatiently(id + i, lock_it, &o->mutex))
			continue;
		ringo_yield();
		ringo_mutex_unlock(&o->mutex);
	}
	ringo_mutex_lock(&o->mutex);
	last = --o->refs == 0;
	ringo_mutex_unlock(&o->mutex);
	if (last)
		memset(o, 0xa5, sizeof(*o));
	ringo_waitgroup_done(&done);
}

static int objects(void *arg)
{
	static struct object all[4];

	memset(all, 0, sizeof(all));
	for (int i = 0; i < 4; i++) {
		all[i].refs = 2 + i % 3;
		ringo_waitgroup_add(&done, all[i].refs);
		for (int k = all[i].refs; k--;)
			SIM_CHECK(ringo_go(user, &all[i], k) == 0);
	}
	ringo_waitgroup_wait(&done);
	for (size_t i = 0; i < sizeof(all); i++)
		SIM_CHECK(((unsigned char *)all)[i] == 0xa5);
	return 0;
}

SIM_TEST(the_last_user_of_a_mutex_may_free_it)
{
	sim_seeds(objects, NULL);
}

static void unlocks(struct ringo_mutex *mu)
{
	ringo_yield();
	ringo_mutex_unlock(mu);
}

/* As above, the unlock of another goroutine meeting waits that give up. */
static void lock_twice(int id)
{
	struct ringo_mutex mu = { 0 };
	int res = -ETIMEDOUT;

	ringo_mutex_lock(&mu);
	SIM_CHECK(ringo_go(unlocks, &mu) == 0);
	for (int i = 0; res; i++)
		res = impatiently(id + i, lock_it, &mu);
	memset(&mu, 0xa5, sizeof(mu));
	ringo_yield();
	for (size_t i = 0; i < sizeof(mu); i++)
		SIM_CHECK(((unsigned char *)&mu)[i] == 0xa5);
	ringo_waitgroup_done(&done);
}

static int lock_twices(void *arg)
{
	go(lock_twice, 8);
	ringo_waitgroup_wait(&done);
	return 0;
}

SIM_TEST(a_mutex_may_be_gone_when_it_was_got_from_another)
{
	sim_seeds(lock_twices, NULL);
}

/* Starvation: a waiter that lost for 1 ms gets it, and the hogs go on. */
static int wanted;

static void hog(int id)
{
	while (GET(&wanted)) {
		ringo_mutex_lock(&mutex);
		SIM_CHECK(inside++ == 0);
		(void)!ringo_sleep(200 * RINGO_US);
		SIM_CHECK(--inside == 0);
		ringo_mutex_unlock(&mutex);
		ADD(&total, 1);
		if (total > 1000)
			SIM_CHECK(!"a waiter starves");
	}
	ringo_waitgroup_done(&done);
}

static void starving(int id)
{
	for (int i = 0; i < 5; i++) {
		ringo_mutex_lock(&mutex);
		SIM_CHECK(inside++ == 0);
		ringo_yield();
		SIM_CHECK(--inside == 0);
		ringo_mutex_unlock(&mutex);
	}
	ADD(&wanted, -1);
	ringo_waitgroup_done(&done);
}

static void hasty_starving(int id)
{
	while (GET(&wanted)) {
		ringo_timeout_scope((700 + 300 * id) * RINGO_US);
		if (ringo_mutex_lock_ctx(&mutex))
			continue;
		SIM_CHECK(inside++ == 0);
		ringo_yield();
		SIM_CHECK(--inside == 0);
		ringo_mutex_unlock(&mutex);
		(void)!ringo_sleep(RINGO_US);
	}
	ringo_waitgroup_done(&done);
}

static int starvation(void *arg)
{
	memset(&mutex, 0, sizeof(mutex));
	total = 0;
	wanted = 3;
	go(hog, 2);
	go(starving, 3);
	go(hasty_starving, 2);
	ringo_waitgroup_wait(&done);
	for (size_t i = 0; i < sizeof(mutex); i++)
		SIM_CHECK(((char *)&mutex)[i] == 0);
	return 0;
}

SIM_TEST(no_waiter_of_a_mutex_starves)
{
	sim_seeds(starvation, NULL);
}

/* RWMutex */

static struct ringo_rwmutex rw;
static long activity;

enum { WRITER = 10000 };

static void read_once(bool try)
{
	if (try ? ringo_rwmutex_try_rdlock(&rw) : (ringo_rwmutex_rdlock(&rw), 0))
		return;
	SIM_CHECK(ADD(&activity, 1) < WRITER);
	ringo_yield();
	ADD(&activity, -1);
	ringo_rwmutex_rdunlock(&rw);
}

static void write_once(bool try)
{
	if (try ? ringo_rwmutex_try_lock(&rw) : (ringo_rwmutex_lock(&rw), 0))
		return;
	SIM_CHECK(ADD(&activity, WRITER) == WRITER);
	total++;
	ringo_yield();
	ADD(&activity, -WRITER);
	ringo_rwmutex_unlock(&rw);
}

static void reads(int id)
{
	for (int i = 0; i < 12; i++)
		read_once(i % 5 == id % 5);
	ringo_waitgroup_done(&done);
}

static void writes(int id)
{
	for (int i = 0; i < 6; i++)
		write_once(i % 3 == id);
	ringo_waitgroup_done(&done);
}

static int hammer(void *arg)
{
	memset(&rw, 0, sizeof(rw));
	activity = 0;
	go(reads, 3);
	go(writes, 3);
	go(reads, 3);
	ringo_waitgroup_wait(&done);
	SIM_CHECK(activity == 0);
	for (size_t i = 0; i < sizeof(rw); i++)
		SIM_CHECK(((char *)&rw)[i] == 0);
	return 0;
}

SIM_TEST(a_rwmutex_has_many_readers_or_one_writer)
{
	sim_seeds(hammer, NULL);
}

/* Cond: each token is signalled once; who gives up must not take a signal along. */

static struct ringo_cond cond;
static long tokens, remaining;

static void patient(int id)
{
	for (;;) {
		ringo_mutex_lock(&mutex);
		while (!tokens && remaining)
			SIM_CHECK(ringo_cond_wait(&cond, &mutex) == 0);
		SIM_CHECK(inside++ == 0);
		if (!remaining)
			break;
		tokens--;
		if (!--remaining)
			ringo_cond_broadcast(&cond);
		inside--;
		ringo_mutex_unlock(&mutex);
	}
	inside--;
	ringo_mutex_unlock(&mutex);
	ringo_waitgroup_done(&done);
}

static int take_one(void *arg)
{
	int res = 0;

	ringo_mutex_lock(&mutex);
	while (!tokens && remaining && !res)
		res = ringo_cond_wait(&cond, &mutex);
	SIM_CHECK(inside++ == 0); /* the mutex is locked, whatever it returned */
	if (!res && remaining) {
		tokens--;
		if (!--remaining)
			ringo_cond_broadcast(&cond);
	}
	inside--;
	ringo_mutex_unlock(&mutex);
	return res;
}

static void hasty(int id)
{
	for (int i = 0; i < 10; i++)
		impatiently(id + i, take_one, NULL);
	ringo_waitgroup_done(&done);
}

static void producer(int id)
{
	for (int i = 0; i < 10; i++) {
		ringo_mutex_lock(&mutex);
		tokens++;
		if (i % 2)
			ringo_cond_signal(&cond);
		ringo_mutex_unlock(&mutex);
		if (i % 2 == 0)
			ringo_cond_signal(&cond);
		if (i % 3 == id)
			(void)!ringo_sleep(2 * RINGO_US);
	}
	ringo_waitgroup_done(&done);
}

static int signals(void *arg)
{
	memset(&mutex, 0, sizeof(mutex));
	memset(&cond, 0, sizeof(cond));
	tokens = 0;
	remaining = 30;
	go(hasty, 4);
	go(patient, 2);
	go(producer, 3);
	ringo_waitgroup_wait(&done);
	SIM_CHECK(tokens == 0);
	for (size_t i = 0; i < sizeof(cond); i++)
		SIM_CHECK(((char *)&cond)[i] == 0);
	return 0;
}

SIM_TEST(a_cond_loses_no_signal_to_who_gives_up)
{
	sim_seeds(signals, NULL);
}

/* Who came to wait after a signal never gets it. */
static int arrived, woken_first, generation;

static void waits_in_order(int id)
{
	int mine;

	ringo_mutex_lock(&mutex);
	mine = arrived++;
	SIM_CHECK(ringo_cond_wait(&cond, &mutex) == 0);
	SIM_CHECK(mine < generation);
	SIM_CHECK(!(woken_first & 1 << mine));
	woken_first |= 1 << mine;
	ringo_mutex_unlock(&mutex);
	ringo_waitgroup_done(&done);
}

static int generations(void *arg)
{
	int n = 0;

	memset(&mutex, 0, sizeof(mutex));
	memset(&cond, 0, sizeof(cond));
	arrived = woken_first = generation = 0;
	go(waits_in_order, 12);
	while (n < 12) {
		ringo_mutex_lock(&mutex);
		if (n < arrived) {
			generation = ++n;
			ringo_cond_signal(&cond);
			ringo_mutex_unlock(&mutex);
			if (n % 3)
				continue;
		} else {
			ringo_mutex_unlock(&mutex);
		}
		ringo_yield();
	}
	ringo_waitgroup_wait(&done);
	return 0;
}

SIM_TEST(a_signal_wakes_one_that_waited_before_it)
{
	sim_seeds(generations, NULL);
}

/* Once */

static struct ringo_once once;
static int ran, result;

static void initialize(void *arg)
{
	SIM_CHECK(arg == &result);
	SIM_CHECK(++ran == 1);
	ringo_yield();
	(void)!ringo_sleep(2 * RINGO_US);
	result = 42;
}

static void needs_it(int id)
{
	ringo_once_do(&once, initialize, &result);
	SIM_CHECK(result == 42);
	ringo_waitgroup_done(&done);
}

static int onces(void *arg)
{
	memset(&once, 0, sizeof(once));
	ran = result = 0;
	go(needs_it, 10);
	ringo_waitgroup_wait(&done);
	SIM_CHECK(ran == 1);
	return 0;
}

SIM_TEST(a_once_runs_once_and_all_wait_for_it)
{
	sim_seeds(onces, NULL);
}

/* Sema */

static struct ringo_sema sema;
static long used;

enum { PERMITS = 5 };

static int acquire_it(void *n)
{
	return ringo_sema_acquire(&sema, *(long *)n);
}

static void taker(int id)
{
	for (int i = 0; i < 15; i++) {
		long n = (id * 3 + i) % PERMITS + 1;
		int res;

		if (id % 3 == 0) {
			res = ringo_sema_acquire(&sema, n);
			SIM_CHECK(res == 0);
		} else if (id % 3 == 1 && i % 5 == 0) {
			res = ringo_sema_try_acquire(&sema, n);
			SIM_CHECK(res == 0 || res == -EAGAIN);
		} else {
			res = impatiently(id + i, acquire_it, &n);
		}
		if (res)
			continue;
		SIM_CHECK(ADD(&used, n) <= PERMITS);
		if (i % 2)
			ringo_yield();
		if (i % 5 == 0)
			(void)!ringo_sleep(2 * RINGO_US);
		ADD(&used, -n);
		ringo_sema_release(&sema, n / 2);
		ringo_sema_release(&sema, n - n / 2);
	}
	ringo_waitgroup_done(&done);
}

static int takers(void *arg)
{
	used = 0;
	ringo_sema_init(&sema, PERMITS);
	go(taker, 9);
	ringo_waitgroup_wait(&done);
	SIM_CHECK(ringo_sema_try_acquire(&sema, PERMITS + 1) == -EAGAIN);
	SIM_CHECK(ringo_sema_try_acquire(&sema, PERMITS) == 0);
	for (size_t i = 0; i < sizeof(sema); i++)
		SIM_CHECK(((char *)&sema)[i] == 0);
	return 0;
}

SIM_TEST(a_sema_conserves_its_permits)
{
	sim_seeds(takers, NULL);
}

static void gives(struct ringo_sema *s)
{
	ringo_yield();
	ringo_sema_release(s, 1);
}

static int acquire_one(void *s)
{
	return ringo_sema_acquire(s, 1);
}

/* Whoever gave up and then found a permit lets the memory go. */
static void one_shot(int id)
{
	struct ringo_sema s = { 0 };
	int res = -ETIMEDOUT;

	SIM_CHECK(ringo_go(gives, &s) == 0);
	for (int i = 0; res; i++)
		res = impatiently(id + i, acquire_one, &s);
	memset(&s, 0xa5, sizeof(s));
	ringo_yield();
	for (size_t i = 0; i < sizeof(s); i++)
		SIM_CHECK(((unsigned char *)&s)[i] == 0xa5);
	ringo_waitgroup_done(&done);
}

static int one_shots(void *arg)
{
	go(one_shot, 6);
	ringo_waitgroup_wait(&done);
	return 0;
}

SIM_TEST(a_sema_may_be_gone_when_its_last_permit_was_got)
{
	sim_seeds(one_shots, NULL);
}

/* WaitGroup */

static void works(struct ringo_waitgroup *w)
{
	ringo_yield();
	ADD(&total, 1);
	ringo_waitgroup_done(w);
}

static void waits_too(struct ringo_waitgroup *w)
{
	ringo_waitgroup_wait(w);
	ringo_waitgroup_done(&done);
}

static int wait_it(void *w)
{
	return ringo_waitgroup_wait_ctx(w);
}

/* Rounds of waits that give up, try again, and then take the memory away. */
static void rounds(int id)
{
	for (int i = 0; i < 4; i++) {
		struct ringo_waitgroup w = { 0 };

		for (int round = 0; round < 2; round++) {
			int res = -ETIMEDOUT;

			ringo_waitgroup_add(&w, 3);
			for (int k = 0; k < 3; k++)
				SIM_CHECK(ringo_go(works, &w) == 0);
			for (int k = 0; res; k++)
				res = impatiently(id + i + k, wait_it, &w);
		}
		memset(&w, 0xa5, sizeof(w));
		ringo_yield();
		for (size_t b = 0; b < sizeof(w); b++)
			SIM_CHECK(((unsigned char *)&w)[b] == 0xa5);
	}
	ringo_waitgroup_done(&done);
}

static int groups(void *arg)
{
	total = 0;
	go(rounds, 4);
	ringo_waitgroup_wait(&done);
	SIM_CHECK(total == 4 * 4 * 2 * 3);
	return 0;
}

SIM_TEST(a_waitgroup_may_be_gone_when_a_wait_has_ended)
{
	sim_seeds(groups, NULL);
}

static void waits_a_little(struct ringo_waitgroup *w, int id)
{
	impatiently(id, wait_it, w);
	ringo_waitgroup_done(&done);
}

static int crowd(void *arg)
{
	struct ringo_waitgroup w = { 0 };

	total = 0;
	ringo_waitgroup_add(&w, 6);
	ringo_waitgroup_add(&done, 9);
	for (int i = 0; i < 4; i++) {
		SIM_CHECK(ringo_go(waits_too, &w) == 0);
		SIM_CHECK(ringo_go(waits_a_little, &w, i) == 0);
	}
	SIM_CHECK(ringo_go(waits_too, &w) == 0);
	ringo_yield();
	for (int i = 0; i < 6; i++)
		SIM_CHECK(ringo_go(works, &w) == 0);
	ringo_waitgroup_wait(&w);
	SIM_CHECK(total == 6);
	ringo_waitgroup_wait(&done);
	return 0;
}

SIM_TEST(all_who_wait_for_a_waitgroup_go_on)
{
	sim_seeds(crowd, NULL);
}

TEST_HARNESS_MAIN
