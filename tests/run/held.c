// SPDX-License-Identifier: MIT
/* RINGO_DEBUG: goroutines that wait, or end, with a lock of pthreads in their hands are reported, others not. */
#include <dlfcn.h>
#include <netdb.h>
#include <threads.h>

#include "held_cxx.h"
#include "help.h"

#define NOINLINE __attribute__((noinline))

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t recursive = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
static struct ringo_waitgroup done;
static int (*body)(void *);

static void run_body(void)
{
	int result = -1;
	struct ringo_options o = RINGO_OPTIONS(.result = &result);

	CHECK_EQ(0, ringo_run_opt(body, NULL, &o));
	CHECK_EQ(0, result);
}

/* What fn as the main goroutine makes a process of its own say. */
static void say(struct outcome *o, int (*fn)(void *))
{
	setenv("RINGO_DEBUG", "1", 1);
	setenv("RINGO_PREEMPT", "off", 0); /* so that the mistakes made here do no harm */
	use_procs(1);
	body = fn;
	in_child(o, run_body);
	if (o->status)
		said(o, "why it failed");
}

static unsigned reports(const struct outcome *o)
{
	unsigned n = 0;

	for (const char *at = o->err; (at = strstr(at, "while its thread holds")); at++)
		n++;
	return n;
}

/* A test of what body says: so many reports. */
#define SAYS(name, number) \
	static int g_##name(void *arg); \
	TEST(name) \
	{ \
		struct outcome o; \
		if (not_watched()) \
			SKIP(return, "ThreadSanitizer has pthread calls of its own"); \
		say(&o, g_##name); \
		EXPECT_EQ(0, o.status); \
		EXPECT_EQ(number, reports(&o)) \
			TH_LOG("%s", o.err); \
	} \
	static int g_##name(void *arg)

static bool not_watched(void)
{
#ifdef RG_TSAN
	return true;
#else
	return false;
#endif
}

static void nap(void)
{
	CHECK_EQ(0, ringo_sleep(RINGO_MS));
}

static NOINLINE void lock_it(void)
{
	CHECK_EQ(0, pthread_mutex_lock(&mutex));
	__asm__ volatile("" ::: "memory"); /* a call, and no jump */
}

static NOINLINE void careless(void *arg)
{
	lock_it();
	nap();
	CHECK_EQ(0, pthread_mutex_unlock(&mutex));
	ringo_waitgroup_done(&done);
}

static int start_careless(void *arg)
{
	struct ringo_go_options o = RINGO_GO_OPTIONS(.name = "the careless");

	ringo_waitgroup_add(&done, 1);
	CHECK_EQ(0, ringo_go_opt(&o, careless, NULL));
	ringo_waitgroup_wait(&done);
	return 0;
}

TEST(a_report_names_all_that_is_needed)
{
	struct outcome o;
	char lock[32];

	if (not_watched())
		SKIP(return, "ThreadSanitizer has pthread calls of its own");
	snprintf(lock, sizeof(lock), "mutex %p locked at", (void *)&mutex);
	say(&o, start_careless);
	EXPECT_EQ(1, reports(&o));
	EXPECT_TRUE(said(&o, "(the careless) waits while its thread holds a pthread mutex"));
	EXPECT_TRUE(said(&o, "use ringo_mutex"));
	EXPECT_TRUE(said(&o, " ringo_sleep+"));
	EXPECT_TRUE(said(&o, " careless+"));
	EXPECT_TRUE(said(&o, lock));
	EXPECT_TRUE(said(&o, " lock_it+"));
}

TEST(without_ringo_debug_nothing_is_said)
{
	struct outcome o;

	setenv("RINGO_DEBUG", "0", 1);
	body = start_careless;
	in_child(&o, run_body);
	EXPECT_EQ(0, o.status);
	EXPECT_EQ(0, reports(&o));
}

static NOINLINE void careless_in_one_place(void)
{
	CHECK_EQ(0, pthread_mutex_lock(&mutex));
	CHECK_EQ(0, ringo_sleep(1000));
	CHECK_EQ(0, pthread_mutex_unlock(&mutex));
}

static NOINLINE void another_way_there(void)
{
	careless_in_one_place();
	__asm__ volatile("" ::: "memory");
}

SAYS(it_is_said_once_for_each_place, 3)
{
	careless_in_one_place();
	another_way_there();
	for (int i = 0; i < 20; i++) {
		CHECK_EQ(0, pthread_mutex_lock(&mutex));
		CHECK_EQ(0, ringo_sleep(1000));
		CHECK_EQ(0, pthread_mutex_unlock(&mutex));
	}
	for (int i = 0; i < 20; i++) {
		CHECK_EQ(0, pthread_mutex_lock(&mutex));
		ringo_yield();
		CHECK_EQ(0, ringo_sleep(1000)); /* the lock counts as told */
		CHECK_EQ(0, pthread_mutex_unlock(&mutex));
	}
	return 0;
}

static const struct timespec *soon(void)
{
	static struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += 10;
	return &ts;
}

#define WAIT_BETWEEN(lock, unlock) \
	do { \
		CHECK_EQ(0, lock); \
		nap(); \
		CHECK_EQ(0, unlock); \
	} while (0)

SAYS(all_ways_to_lock_are_seen, 17)
{
	int (*volatile by_pointer)(pthread_mutex_t *) = pthread_mutex_lock;
	mtx_t c11;

	CHECK_EQ(0, mtx_init(&c11, mtx_timed));
	WAIT_BETWEEN(by_pointer(&mutex), pthread_mutex_unlock(&mutex));
	WAIT_BETWEEN(pthread_mutex_trylock(&mutex), pthread_mutex_unlock(&mutex));
	WAIT_BETWEEN(pthread_mutex_timedlock(&mutex, soon()), pthread_mutex_unlock(&mutex));
	WAIT_BETWEEN(pthread_mutex_clocklock(&mutex, CLOCK_REALTIME, soon()), pthread_mutex_unlock(&mutex));
	WAIT_BETWEEN(mtx_lock(&c11), mtx_unlock(&c11));
	WAIT_BETWEEN(mtx_trylock(&c11), mtx_unlock(&c11));
	WAIT_BETWEEN(mtx_timedlock(&c11, soon()), mtx_unlock(&c11));
	WAIT_BETWEEN(pthread_rwlock_rdlock(&rw), pthread_rwlock_unlock(&rw));
	WAIT_BETWEEN(pthread_rwlock_tryrdlock(&rw), pthread_rwlock_unlock(&rw));
	WAIT_BETWEEN(pthread_rwlock_timedrdlock(&rw, soon()), pthread_rwlock_unlock(&rw));
	WAIT_BETWEEN(pthread_rwlock_clockrdlock(&rw, CLOCK_REALTIME, soon()), pthread_rwlock_unlock(&rw));
	WAIT_BETWEEN(pthread_rwlock_wrlock(&rw), pthread_rwlock_unlock(&rw));
	WAIT_BETWEEN(pthread_rwlock_trywrlock(&rw), pthread_rwlock_unlock(&rw));
	WAIT_BETWEEN(pthread_rwlock_timedwrlock(&rw, soon()), pthread_rwlock_unlock(&rw));
	WAIT_BETWEEN(pthread_rwlock_clockwrlock(&rw, CLOCK_REALTIME, soon()), pthread_rwlock_unlock(&rw));
	cxx_mutex_around(nap);
	cxx_shared_mutex_around(nap);
	return 0;
}

static void ends_with_it(void)
{
	lock_it();
	ringo_waitgroup_done(&done);
}

static void leaves_with_it(void)
{
	CHECK_EQ(0, pthread_rwlock_wrlock(&rw));
	ringo_waitgroup_done(&done);
	ringo_exit();
}

static void waits_for_nothing(void)
{
	nap();
	ringo_waitgroup_done(&done);
}

SAYS(who_ends_with_a_lock_is_told_and_nobody_after_it, 2)
{
	ringo_waitgroup_add(&done, 4);
	CHECK_EQ(0, ringo_go(ends_with_it));
	CHECK_EQ(0, ringo_go(waits_for_nothing));
	CHECK_EQ(0, ringo_go(leaves_with_it));
	CHECK_EQ(0, ringo_go(waits_for_nothing));
	ringo_waitgroup_wait(&done);
	return 0;
}

SAYS(a_recursive_one_is_held_until_the_last_unlock, 1)
{
	for (int i = 0; i < 3; i++)
		CHECK_EQ(0, pthread_mutex_lock(&recursive));
	for (int i = 0; i < 3; i++)
		CHECK_EQ(0, pthread_mutex_unlock(&recursive));
	nap();
	CHECK_EQ(0, pthread_mutex_lock(&recursive));
	CHECK_EQ(0, pthread_mutex_lock(&recursive));
	CHECK_EQ(0, pthread_mutex_unlock(&recursive));
	nap();
	CHECK_EQ(0, pthread_mutex_unlock(&recursive));
	return 0;
}

SAYS(several_are_told_apart, 2)
{
	CHECK_EQ(0, pthread_mutex_lock(&recursive));
	CHECK_EQ(0, pthread_mutex_lock(&mutex));
	CHECK_EQ(0, pthread_rwlock_rdlock(&rw));
	CHECK_EQ(0, pthread_mutex_unlock(&recursive));
	nap();
	CHECK_EQ(0, pthread_mutex_unlock(&mutex));
	CHECK_EQ(0, pthread_rwlock_unlock(&rw));
	return 0;
}

/* ---- what is no mistake ---- */

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* The C library takes locks in most of these. */
static void use_libc(void)
{
	int v[64];
	struct addrinfo *ai;
	void *p[64];

	for (int i = 0; i < 64; i++) {
		v[i] = 64 - i;
		p[i] = malloc((size_t)i * 1000);
	}
	qsort(v, 64, sizeof(*v), compare);
	for (int i = 0; i < 64; i++)
		free(p[i]);
	fprintf(stdout, "# %d\n", v[0]);
	fflush(stdout);
	if (!getaddrinfo("127.0.0.1", "80", NULL, &ai))
		freeaddrinfo(ai);
	(void)!strlen(tzname[0]);
	tzset();
}

SAYS(locks_that_were_dropped_before_are_no_mistake, 0)
{
	for (int i = 0; i < 100; i++) {
		CHECK_EQ(0, pthread_mutex_lock(&mutex));
		CHECK_EQ(EBUSY, pthread_mutex_trylock(&mutex)); /* it is not locked twice */
		CHECK_EQ(0, pthread_mutex_unlock(&mutex));
		CHECK_EQ(0, pthread_rwlock_rdlock(&rw));
		CHECK_EQ(0, pthread_rwlock_unlock(&rw));
		ringo_yield();
		CHECK_EQ(0, ringo_sleep(1000));
	}
	for (int i = 0; i < 10; i++) {
		use_libc();
		CHECK_EQ(0, ringo_sleep(1000));
	}
	return 0;
}

SAYS(an_unlock_that_was_not_seen_is_no_mistake, 0)
{
	int (*unseen)(pthread_mutex_t *);

	*(void **)&unseen = dlsym(RTLD_DEFAULT, "pthread_mutex_unlock");
	CHECK_EQ(0, pthread_mutex_lock(&mutex));
	CHECK_EQ(0, unseen(&mutex));
	nap();
	return 0;
}

SAYS(calls_that_do_not_wait_are_no_mistake, 0)
{
	struct ringo_chan *c = ringo_chan_new(0, 1);

	CHECK_EQ(0, pthread_mutex_lock(&mutex));
	CHECK_EQ(0, ringo_chan_send(c, NULL));
	CHECK_EQ(1, ringo_chan_recv(c, NULL));
	ringo_waitgroup_add(&done, 1);
	CHECK_EQ(0, ringo_go(waits_for_nothing));
	CHECK(ringo_cpu_time() >= 0);
	CHECK_EQ(0, pthread_mutex_unlock(&mutex));
	ringo_waitgroup_wait(&done);
	ringo_chan_unref(c);
	return 0;
}

static void locks_and_computes(void)
{
	for (int i = 0; i < 5; i++) {
		CHECK_EQ(0, pthread_mutex_lock(&recursive));
		for (int64_t end = now_ns() + 10 * RINGO_MS; now_ns() < end;)
			;
		CHECK_EQ(0, pthread_mutex_unlock(&recursive)); /* of the same thread: it would fail otherwise */
		ringo_yield();
	}
	ringo_waitgroup_done(&done);
}

static int lose_the_p(void *arg)
{
	struct ringo_stats s = { .size = sizeof(s) };

	ringo_waitgroup_add(&done, 3);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(0, ringo_go(locks_and_computes));
	for (int i = 0; i < 50; i++)
		nap();
	ringo_waitgroup_wait(&done);
	CHECK_EQ(0, ringo_stats_get(&s));
	CHECK(s.revocations > 0);
	return 0;
}

TEST(to_lose_the_p_with_a_lock_is_no_mistake)
{
	struct outcome o;

	setenv("RINGO_PREEMPT", "sysmon", 1);
	say(&o, lose_the_p);
	EXPECT_EQ(0, o.status);
	EXPECT_EQ(0, reports(&o))
		TH_LOG("%s", o.err);
}

SAYS(who_keeps_the_thread_may_keep_the_lock, 1)
{
	ringo_lock_thread();
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(0, pthread_mutex_lock(&recursive));
		nap();
		CHECK_EQ(0, pthread_mutex_unlock(&recursive));
	}
	CHECK_EQ(0, pthread_mutex_lock(&recursive));
	nap();
	ringo_unlock_thread();
	nap(); /* this is one */
	CHECK_EQ(0, pthread_mutex_unlock(&recursive));
	return 0;
}

static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static bool posted, held;

/* No goroutine. */
static void *holder(void *arg)
{
	CHECK_EQ(0, pthread_mutex_lock(&recursive));
	STORE(&held, true);
	nap_ms(20);
	CHECK_EQ(0, pthread_mutex_lock(&mutex));
	posted = true;
	CHECK_EQ(0, pthread_cond_signal(&cond));
	CHECK_EQ(0, pthread_mutex_unlock(&mutex));
	CHECK_EQ(0, pthread_mutex_unlock(&recursive));
	return arg;
}

SAYS(other_threads_and_conditions_of_pthreads_are_no_mistake, 0)
{
	pthread_t t;

	CHECK_EQ(0, pthread_create(&t, NULL, holder, NULL));
	while (!LOAD(&held))
		nap();
	nap();
	CHECK_EQ(0, pthread_mutex_lock(&mutex));
	while (!posted)
		CHECK_EQ(0, pthread_cond_wait(&cond, &mutex)); /* blocks the thread, and is no wait of ringo's */
	CHECK_EQ(0, pthread_mutex_unlock(&mutex));
	nap();
	CHECK_EQ(0, pthread_join(t, NULL));
	return 0;
}

TEST_HARNESS_MAIN
