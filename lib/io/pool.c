// SPDX-License-Identifier: MIT
/*
 * The blocking pool.
 *
 * A job lies on the stack of the G that waits for it. Threads are made when a job finds none idle, up to
 * MAX_THREADS, and sleep without a timeout when idle; they end with the run. If no more can be made, jobs
 * wait for those there are; only when there is none at all is the job refused, before it was accepted.
 *
 * A job is published to the threads after its G has left its stack (post), so the thread that runs it
 * may ready the G at once. A deadline takes a job out of the queue under the lock, or finds it started: then
 * it is waited for, because it may write through pointers of the G.
 */
#include "io/pool.h"

#include <errno.h>
#include <ringo/go.h>
#include <string.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/thread.h"
#include "core/deadlock.h"
#include "core/gate.h"
#include "core/park.h"
#include "core/rt.h"

enum { MAX_THREADS = 64 };

struct job {
	int (*fn)(void *);
	void *arg;
	int result;
	bool claim; /* time may end the wait too */
	bool queued;
	struct g *g;
	struct job *next, *prev;
};

static struct {
	uint32_t lock;
	uint32_t wake;    /* a futex word: changes with each job and at the end */
	uint32_t threads, idle;
	uint32_t waiting; /* jobs in the queue */
	uint32_t live;    /* threads not yet gone: a futex word */
	bool stop;
	bool hooked;
	bool told;        /* that there are no threads */
	uint64_t jobs;
	struct job *head, *tail;
} pool;

static void enqueue(struct job *j)
{
	j->next = NULL;
	j->prev = pool.tail;
	if (pool.tail)
		pool.tail->next = j;
	else
		pool.head = j;
	pool.tail = j;
	j->queued = true;
	pool.waiting++;
}

static void dequeue(struct job *j)
{
	if (j->prev)
		j->prev->next = j->next;
	else
		pool.head = j->next;
	if (j->next)
		j->next->prev = j->prev;
	else
		pool.tail = j->prev;
	j->queued = false;
	pool.waiting--;
}

/* The first job whose G is not just being woken by its deadline. Under the lock. */
static struct job *take(void)
{
	struct job *j = pool.head;

	while (j && j->claim && !rg_claim(j->g))
		j = j->next;
	if (j)
		dequeue(j);
	return j;
}

static void *worker(void *arg)
{
	(void)arg;
	rg_thread_name("ringo-pool");
	rg_lock(&pool.lock);
	while (!pool.stop) {
		struct job *j = take();
		uint32_t seen;

		if (j) {
			rg_unlock(&pool.lock);
			j->result = j->fn(j->arg);
			rg_ready(NULL, j->g, 0);
			rg_lock(&pool.lock);
			continue;
		}
		pool.idle++;
		seen = rg_load_relaxed(&pool.wake);
		rg_unlock(&pool.lock);
		rg_futex_wait(&pool.wake, seen, -1);
		rg_lock(&pool.lock);
		pool.idle--;
	}
	rg_unlock(&pool.lock);
	rg_thread_gone();
	/* order: full; pairs with the wait in pool_end: it no longer touches anything of ours */
	if (rg_add_full(&pool.live, -1) == 1)
		rg_futex_wake(&pool.live, 1);
	return NULL;
}

static int make_thread(void)
{
	struct rg_thread t;
	int err;

	rg_add_full(&pool.live, 1); /* order: full; pairs with the sub in worker */
	err = rg_thread_start(&t, worker, NULL, RG_THREAD_NO_SIGNALS | RG_THREAD_DETACHED |
						RG_THREAD_FULL_STACK);
	if (err)
		rg_add_full(&pool.live, -1); /* order: full; as above */
	return err;
}

/* At the end of a run: idle threads go, running jobs get until the deadline. */
static int pool_end(int64_t deadline)
{
	uint32_t live;

	rg_lock(&pool.lock);
	pool.stop = true;
	pool.head = pool.tail = NULL;
	rg_unlock(&pool.lock);
	rg_add_full(&pool.wake, 1); /* order: full; pairs with the read under the lock in worker */
	rg_futex_wake(&pool.wake, INT32_MAX);
	/* order: acquire; pairs with the sub in worker */
	while ((live = rg_load_acquire(&pool.live))) {
		int64_t left = deadline - rg_now();

		if (left <= 0) {
			rg_warn("at the end of the run, %u job(s) of the blocking pool still run: ringo_run "
				"cannot be used again", live);
			return (int)live;
		}
		rg_futex_wait(&pool.live, live, left);
	}
	memset(&pool, 0, sizeof(pool));
	pool.hooked = true;
	return 0;
}

static void pool_child(void)
{
	memset(&pool, 0, sizeof(pool));
	pool.hooked = true;
}

static struct rg_exit_hook hook = { .fn = pool_end, .child = pool_child };

/* Under the lock: see that somebody will run one more job. */
static int provide_thread(void)
{
	int err;

	if (!pool.hooked) {
		pool.hooked = true;
		rg_at_exit(&hook);
	}
	if (pool.idle > pool.waiting || pool.threads >= MAX_THREADS)
		return 0;
	err = make_thread();
	if (!err) {
		pool.threads++;
		return 0;
	}
	if (pool.threads)
		return 0; /* those there are will come to it */
	if (!pool.told)
		rg_warn("cannot make a thread for blocking calls (%s): the limit of processes (ulimit -u) or "
			"of the cgroup (pids.max) is reached", strerror(-err));
	pool.told = true;
	return -EAGAIN;
}

static void post_publish(struct m *m, void *arg)
{
	(void)m, (void)arg;
	rg_unlock(&pool.lock);
	rg_add_full(&pool.wake, 1); /* order: full; pairs with the read under the lock in worker */
	rg_futex_wake(&pool.wake, 1);
}

int rg_pool_run(struct m *m, int (*fn)(void *), void *arg, int *result)
{
	struct job j = { .fn = fn, .arg = arg, .g = m->cur };
	int64_t res;
	int err;

	rg_lock(&pool.lock);
	err = provide_thread();
	if (!err)
		err = rg_wait_begin(m, m->cur);
	if (err < 0) {
		rg_unlock(&pool.lock);
		return err;
	}
	j.claim = err;
	pool.jobs++;
	enqueue(&j);
	rg_outside(j.g, 1);
	res = rg_park(m, RG_WHY_POOL, NULL, post_publish, NULL);
	rg_outside(j.g, -1);
	if (res) { /* the deadline or cancellation won us, so no thread has */
		rg_lock(&pool.lock);
		dequeue(&j);
		rg_unlock(&pool.lock);
		return (int)res;
	}
	if (result)
		*result = j.result;
	return 0;
}

void rg_pool_stats(uint64_t *jobs, uint64_t *threads)
{
	rg_lock(&pool.lock);
	*jobs = pool.jobs;
	*threads = pool.threads;
	rg_unlock(&pool.lock);
}

RG_API int ringo_blocking(int (*fn)(void *), void *arg, int *result)
{
	int err;
	struct m *m = rg_enter_g(&err);

	if (!m)
		return err;
	err = rg_pool_run(m, fn, arg, result);
	rg_leave(rg_m());
	return err;
}
