// SPDX-License-Identifier: MIT
/* Goroutines that nothing can wake: those that are found, and all the ways in which one is not lost. */
#include <sched.h>

#include "dump_help.h"

struct node {
	struct node *next;
	struct ringo_chan *c;
};

/* Not static: the compiler would see that nobody reads them, and leave them out. */
extern struct ringo_chan *known;
extern struct node *list;
extern struct ringo_mutex known_lock;
extern struct ringo_ctx *known_ctx;
extern struct locks *known_locks;
struct ringo_chan *known;
struct node *list;
struct ringo_mutex known_lock;
struct ringo_ctx *known_ctx;
struct locks *known_locks;
static _Thread_local struct ringo_chan *of_thread;
static int stop, ready;

static void receives(void *arg)
{
	int res = ringo_chan_recv(arg, NULL);

	CHECK(res <= 1);
}

static void sends(void *arg)
{
	int res = ringo_chan_send(arg, NULL);

	CHECK(res <= 0);
}

static void receives_null(void *arg)
{
	int res = ringo_chan_recv(NULL, NULL);

	CHECK(res <= 0);
}

static void selects(void *arg)
{
	struct ringo_chan *b = ringo_chan_new(0, 0);
	struct ringo_case cases[] = { RINGO_RECV((struct ringo_chan *)arg, NULL), RINGO_SEND(b, NULL) };
	int res = ringo_select(cases, 2);

	CHECK(res < 2);
}

static void selects_with_timeout(void *arg)
{
	struct ringo_case cases[] = { RINGO_RECV((struct ringo_chan *)arg, NULL),
				      RINGO_TIMEOUT(3600 * RINGO_SEC) };
	int res = ringo_select(cases, 2);

	CHECK(res < 2);
}

/* Waits on one lost channel and holds the other one that its mate waits on. */
struct pair {
	struct ringo_chan *mine, *other;
};

static void waits_holding(void *arg)
{
	struct pair p = *(struct pair *)arg;
	struct ringo_chan *volatile holds = p.other;

	free(arg);
	p.other = NULL;
	CHECK(ringo_chan_recv(p.mine, NULL) <= 1);
	CHECK(ringo_chan_send(holds, NULL) <= 0);
}

/* In a goroutine of its own, whose stack is gone afterwards; nothing else is ever to hold the address. */
static void start_lost(void *arg)
{
	void (*const *fns)(void *) = arg;

	for (; *fns; fns++)
		CHECK_EQ(0, ringo_go_fn(*fns, *fns == receives_null ? NULL : ringo_chan_new(0, 0)));
}

/* Registers and dead frames that may hold an address are overwritten. */
static __attribute__((noinline)) void forget(void)
{
	char room[16384];

	memset(room, 0, sizeof(room));
	__asm__ volatile("" :: "r"(room) : "memory");
}

static void forgets(void *arg)
{
	forget();
	ADD(&ready, 1);
}

static void forget_all(void)
{
	for (int round = 0; round < 20; round++) {
		STORE(&ready, 0);
		for (int i = 0; i < 50; i++)
			CHECK_EQ(0, ringo_go_fn(forgets, NULL));
		while (LOAD(&ready) < 50)
			CHECK_EQ(0, ringo_sleep(RINGO_MS / 10));
	}
	forget();
}

static long lost(int fd)
{
	long n = -EAGAIN;

	for (int i = 0; i < 1000 && n == -EAGAIN; i++) {
		n = ringo_leak_unreachable(fd);
		if (n == -EAGAIN)
			nap_ms(10); /* a thread had no CPU */
	}
	return n;
}

static int lost_main(void *arg)
{
	static void (*const fns[])(void *) = { receives, sends, receives_null, selects, receives, NULL };
	int fd = memory_file();
	char *text;

	CHECK_EQ(0, lost(-1));
	CHECK_EQ(0, ringo_go_fn(start_lost, (void *)fns));
	wait_waiting(5);
	forget_all();
	CHECK_EQ(5, lost(fd));
	text = text_of(fd);
	CHECK_EQ(2, count_in(text, "[chan receive, "));
	CHECK_EQ(1, count_in(text, "[chan send, "));
	CHECK_EQ(1, count_in(text, "[NULL chan, "));
	CHECK_EQ(1, count_in(text, "[select, "));
	CHECK_HAS(text, "created by start_lost");
	free(text);
	return 0;
}

/* Locks somewhere within a block of malloc's that points to itself. */
struct locks {
	struct locks *next, *prev;
	char text[200];
	struct ringo_mutex m;
	struct ringo_rwmutex rw;
	struct ringo_cond c;
	struct ringo_sema s;
	struct ringo_waitgroup wg;
	struct ringo_once o;
};

static struct locks *locks_new(void)
{
	struct locks *l = calloc(1, sizeof(*l));

	CHECK(l != NULL);
	l->next = l->prev = l;
	return l;
}

static void sleeps(void *arg)
{
	CHECK(ringo_sleep(3600 * RINGO_SEC) < 0);
}

static void sleeps_once(struct locks *l)
{
	ringo_once_do(&l->o, sleeps, NULL);
}

static void locks_twice(struct locks *l)
{
	ringo_mutex_lock(&l->m);
	ringo_mutex_lock(&l->m);
}

static void reads_what_it_writes(struct locks *l)
{
	ringo_rwmutex_lock(&l->rw);
	ringo_rwmutex_rdlock(&l->rw);
}

static void writes_what_it_reads(struct locks *l)
{
	ringo_rwmutex_rdlock(&l->rw);
	ringo_rwmutex_lock(&l->rw);
}

static void waits_for_a_signal(struct locks *l)
{
	ringo_mutex_lock(&l->m);
	CHECK(ringo_cond_wait(&l->c, &l->m) <= 0);
}

static void acquires(struct locks *l)
{
	CHECK(ringo_sema_acquire(&l->s, 1) <= 0);
}

static void waits_for_done(struct locks *l)
{
	ringo_waitgroup_add(&l->wg, 1);
	ringo_waitgroup_wait(&l->wg);
}

static void receives_of_none(void *arg)
{
	receives(ringo_chan_new(0, 0));
}

static void does_once(struct locks *l)
{
	ringo_once_do(&l->o, receives_of_none, NULL);
}

/* Two of them wait for one another. */
static void locks_both(struct ringo_mutex *first, struct ringo_mutex *second)
{
	ringo_mutex_lock(first);
	CHECK_EQ(0, ringo_sleep(10 * RINGO_MS));
	ringo_mutex_lock(second);
}

static void receives_and_is_done(struct ringo_waitgroup *wg)
{
	receives_of_none(NULL);
	ringo_waitgroup_done(wg);
}

static void waits_for_lost_ones(void)
{
	struct ringo_waitgroup wg = { 0 };

	ringo_waitgroup_add(&wg, 1);
	CHECK_EQ(0, ringo_go(receives_and_is_done, &wg));
	ringo_waitgroup_wait(&wg);
}

static int receives_in_group(void *arg)
{
	receives_of_none(NULL);
	return 0;
}

/* Its context hangs on none but the background. */
static void waits_for_a_lost_group(void)
{
	struct ringo_group g;

	ringo_group_init(&g, NULL);
	CHECK_EQ(0, ringo_group_go(&g, receives_in_group, NULL));
	CHECK_EQ(0, ringo_group_wait(&g));
}

static void selects_own_end(void)
{
	struct ringo_ctx *c = ringo_ctx_with_cancel(NULL);
	struct ringo_case cases[] = { RINGO_DONE(c), RINGO_RECV(ringo_chan_new(0, 0), NULL) };

	CHECK(ringo_select(cases, 2) < 2);
}

/* As start_lost. */
static void start_lost_locks(void)
{
	struct locks *a = locks_new(), *b = locks_new();

	CHECK_EQ(0, ringo_go(locks_twice, locks_new()));
	CHECK_EQ(0, ringo_go(reads_what_it_writes, locks_new()));
	CHECK_EQ(0, ringo_go(writes_what_it_reads, locks_new()));
	CHECK_EQ(0, ringo_go(waits_for_a_signal, locks_new()));
	CHECK_EQ(0, ringo_go(acquires, locks_new()));
	CHECK_EQ(0, ringo_go(waits_for_done, locks_new()));
	CHECK_EQ(0, ringo_go(locks_both, &a->m, &b->m));
	CHECK_EQ(0, ringo_go(locks_both, &b->m, &a->m));
	a = locks_new();
	CHECK_EQ(0, ringo_go(does_once, a));
	CHECK_EQ(0, ringo_go(does_once, a));
	CHECK_EQ(0, ringo_go(waits_for_lost_ones));
	CHECK_EQ(0, ringo_go(waits_for_a_lost_group));
	CHECK_EQ(0, ringo_go(selects_own_end));
}

enum { LOST_LOCKS = 15 }; /* of them two are the children */

static int lost_locks_main(void *arg)
{
	int fd = memory_file();
	char *text;

	CHECK_EQ(0, ringo_go(start_lost_locks));
	wait_waiting(LOST_LOCKS);
	CHECK_EQ(0, ringo_sleep(50 * RINGO_MS));
	wait_waiting(LOST_LOCKS);
	forget_all();
	CHECK_EQ(LOST_LOCKS, lost(fd));
	text = text_of(fd);
	CHECK_EQ(3, count_in(text, "[mutex, "));
	CHECK_EQ(1, count_in(text, "[rwmutex read, "));
	CHECK_EQ(1, count_in(text, "[rwmutex write, "));
	CHECK_EQ(1, count_in(text, "[cond, "));
	CHECK_EQ(1, count_in(text, "[once, "));
	CHECK_EQ(1, count_in(text, "[semaphore, "));
	CHECK_EQ(2, count_in(text, "[waitgroup, "));
	CHECK_EQ(1, count_in(text, "[group, "));
	CHECK_EQ(3, count_in(text, "[chan receive, "));
	CHECK_EQ(1, count_in(text, "[select, "));
	free(text);
	return 0;
}

#define NEEDS_PLAIN() \
	do { \
		if (SANITIZED || RUNNING_ON_VALGRIND) \
			SKIP(return, "not under sanitizers and valgrind: run the plain build"); \
	} while (0)

TEST(those_on_channels_that_nobody_knows_are_found)
{
	NEEDS_PLAIN();
	EXPECT_EQ(0, ringo_run(lost_main, NULL));
}

TEST(those_on_locks_that_nobody_else_knows_are_found)
{
	NEEDS_PLAIN();
	EXPECT_EQ(0, ringo_run(lost_locks_main, NULL));
}

static void spins_with_register(void *arg)
{
	register void *c __asm__("r14") = arg;

	ADD(&ready, 1);
	/* The only copy of it is in a register. */
	while (!LOAD(&stop))
		__asm__ volatile("" : "+r"(c) :: "memory");
	CHECK_EQ(0, ringo_chan_close(c));
}

static void *holds_in_tls(void *arg)
{
	of_thread = arg;
	ADD(&ready, 1);
	while (!LOAD(&stop))
		nap_ms(1);
	return of_thread;
}

static void parked_holder(void *arg)
{
	struct ringo_chan *volatile c = arg;

	CHECK_EQ(0, ringo_sleep(3600 * RINGO_SEC) == 0);
	CHECK(c != NULL);
}

static void later(void *arg)
{
}

/* A structure on the stack of the one that waits, and who has its address will wake it. */
struct job {
	struct ringo_chan *done;
	struct ringo_waitgroup wg;
};

static void works_for(struct job *j)
{
	CHECK(ringo_sleep(3600 * RINGO_SEC) < 0);
	CHECK(ringo_chan_send(j->done, NULL) == 0);
}

static void waits_for_work(int wg)
{
	struct job j = { .done = ringo_chan_new(0, 0) };

	CHECK_EQ(0, ringo_go(works_for, &j));
	ringo_waitgroup_add(&j.wg, 1);
	if (wg)
		ringo_waitgroup_wait(&j.wg);
	else
		receives(j.done);
}

static void locks(struct ringo_mutex *m)
{
	ringo_mutex_lock(m);
}

/* Has its lock at a place that needs no pointer. */
static void lends_its_own(void)
{
	struct ringo_mutex m = { 0 };

	ringo_mutex_lock(&m);
	CHECK_EQ(0, ringo_go(locks, &m));
	CHECK(ringo_sleep(3600 * RINGO_SEC) < 0);
	ringo_mutex_unlock(&m);
}

/* The same, and it waits for one that anybody knows. */
static void lends_and_waits(void)
{
	struct ringo_mutex m = { 0 };

	ringo_mutex_lock(&known_lock);
	ringo_mutex_lock(&m);
	CHECK_EQ(0, ringo_go(locks, &m));
	ringo_mutex_lock(&known_lock);
	ringo_mutex_unlock(&m);
}

static void receives_under(struct ringo_ctx *c)
{
	ringo_ctx_unref(ringo_ctx_enter(c));
	receives_of_none(NULL);
}

static void waits_for_end_of(struct ringo_ctx *c)
{
	CHECK(ringo_ctx_wait(c) <= 0);
}

/* Go on under a context that somebody waits for, without a pointer to it. */
static __attribute__((noinline)) void enter_awaited(void)
{
	struct ringo_ctx *c = ringo_ctx_with_cancel(NULL);

	ringo_ctx_unref(ringo_ctx_enter(c));
	CHECK_EQ(0, ringo_go(waits_for_end_of, c));
	ringo_ctx_unref(c);
}

static void sleeps_under(void)
{
	enter_awaited();
	forget();
	sleeps(NULL);
}

static void receives_under_it(struct ringo_chan *c)
{
	enter_awaited();
	forget();
	receives(c);
}

/* Has a channel that one waits on; a context wakes it, and its own channel nobody knows. */
static void holds_under(struct ringo_ctx *ctx, struct ringo_chan *c)
{
	struct ringo_chan *volatile holds = c;

	CHECK_EQ(0, ringo_go_fn(receives, c));
	receives_under(ctx);
	CHECK_EQ(0, ringo_chan_close(holds));
}

static void receives_until(int64_t deadline)
{
	ringo_deadline_set(deadline);
	receives_of_none(NULL);
}

/* Locks that are not lost. */
/* Mappings that can be read and written, but for their first page: 128 MiB, so that each has an aligned 64. */
static char *partly_readable(void)
{
	enum { ALIGN = 64 << 20, MADV_GUARD = 102 };
	char *p = mmap(NULL, 2 * ALIGN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *start = (char *)(((uintptr_t)p + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1));
	int fd = memory_file();

	CHECK(p != MAP_FAILED);
	if (madvise(start, 4096, MADV_GUARD)) /* before Linux 6.13 there are none */
		CHECK_EQ(EINVAL, errno);
	CHECK_EQ(0, ftruncate(fd, 4096));
	CHECK(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED);
	return start + 4096;
}

static void hide_lock(int where)
{
	static struct ringo_timer timer;
	struct locks *l = locks_new(), *other = locks_new();

	switch (where) {
	case 0: /* a global; whoever had it has gone */
		CHECK_EQ(0, ringo_go(locks, &known_lock));
		CHECK_EQ(0, ringo_go(locks, &known_lock));
		break;
	case 1: /* its neighbour in a structure is known to one that sleeps */
		CHECK_EQ(0, ringo_go_fn(parked_holder, l->text));
		CHECK_EQ(0, ringo_go(locks_twice, l));
		break;
	case 2: /* its waiter's own stack, a part of which another one knows */
		CHECK_EQ(0, ringo_go(waits_for_work, 1));
		break;
	case 3: /* the same, of a channel */
		CHECK_EQ(0, ringo_go(waits_for_work, 0));
		break;
	case 4: /* a frame of one that sleeps */
		CHECK_EQ(0, ringo_go(lends_its_own));
		break;
	case 5: /* a frame of one that waits for a global */
		CHECK_EQ(0, ringo_go(lends_and_waits));
		break;
	case 6: /* a context that is known ends the wait */
		known_ctx = ringo_ctx_with_cancel(NULL);
		CHECK_EQ(0, ringo_go(receives_under, known_ctx));
		break;
	case 7: /* the wait is for its end */
		known_ctx = ringo_ctx_with_cancel(NULL);
		CHECK_EQ(0, ringo_go(waits_for_end_of, known_ctx));
		break;
	case 8: /* time ends a context */
		CHECK_EQ(0, ringo_go(receives_under, ringo_ctx_with_timeout(NULL, 3600 * RINGO_SEC)));
		break;
	case 9: /* the argument of a timer, by its structure */
		CHECK_EQ(0, ringo_timer_start(&timer, 3600 * RINGO_SEC, later, l));
		CHECK_EQ(0, ringo_go(waits_for_a_signal, l));
		break;
	case 10: /* a structure in which somebody waits, too, and that is known */
		known_locks = l;
		l->next = other;
		CHECK_EQ(0, ringo_go(acquires, l));
		CHECK_EQ(0, ringo_go(acquires, other));
		break;
	case 11: /* a block with a mapping of its own: nobody can tell where it begins */
		CHECK_EQ(0, ringo_go(acquires, (struct locks *)((char *)calloc(1, 1 << 20) + 4096)));
		break;
	case 12: /* once: who runs it goes on */
		CHECK_EQ(0, ringo_go(sleeps_once, l));
		CHECK_EQ(0, ringo_go(sleeps_once, l));
		break;
	case 13: /* a stack that nobody has a pointer to, but whose goroutine is not lost */
		known_ctx = ringo_ctx_with_cancel(NULL);
		CHECK_EQ(0, ringo_go(holds_under, known_ctx, ringo_chan_new(0, 0)));
		break;
	case 14: /* the deadline ends it */
		CHECK_EQ(0, ringo_go(receives_until, ringo_now() + 3600 * RINGO_SEC));
		break;
	case 15: /* the context of one that sleeps */
		CHECK_EQ(0, ringo_go(sleeps_under));
		break;
	case 16: /* the context of one that is not lost */
		known = ringo_chan_new(0, 0);
		CHECK_EQ(0, ringo_go(receives_under_it, known));
		break;
	case 17: /* memory that looks like a heap, in a part that can be read */
		CHECK_EQ(0, ringo_go(acquires, (struct locks *)partly_readable()));
		break;
	}
	l = other = NULL;
}

enum { LOCKS = 9, PLACES = LOCKS + 18 };

/* Starts a receiver and hides its channel where only the case itself can find it. */
static void hide(int where)
{
	static struct ringo_timer timer;
	struct ringo_go_options daemon = RINGO_GO_OPTIONS(.flags = RINGO_GO_DAEMON);
	struct ringo_chan *c = ringo_chan_new(0, 0);
	struct pair *p;
	pthread_t t;

	switch (where) {
	case 0: /* a global */
		known = c;
		break;
	case 1: /* the heap, by way of a list */
		for (int i = 0; i < 3; i++) {
			struct node *n = malloc(sizeof(*n));

			*n = (struct node){ .next = list, .c = i ? NULL : c };
			list = n;
		}
		break;
	case 2: /* a register of a running goroutine */
		CHECK_EQ(0, ringo_go_fn(spins_with_register, c));
		break;
	case 3: /* a variable of a thread */
		CHECK_EQ(0, pthread_create(&t, NULL, holds_in_tls, c));
		break;
	case 4: /* the stack of a goroutine that sleeps */
		CHECK_EQ(0, ringo_go_fn(parked_holder, c));
		break;
	case 5: /* the argument of a timer */
		CHECK_EQ(0, ringo_timer_start(&timer, 3600 * RINGO_SEC, later, c));
		break;
	case 6: /* it is a daemon */
		CHECK_EQ(0, ringo_go_opt(&daemon, receives, c));
		return;
	case 7: /* a time ends it */
		CHECK_EQ(0, ringo_go_fn(selects_with_timeout, c));
		return;
	case 8: /* one that is live holds it, and it in turn holds the next */
		p = malloc(sizeof(*p));
		known = ringo_chan_new(0, 0);
		*p = (struct pair){ .mine = known, .other = c };
		CHECK_EQ(0, ringo_go_fn(waits_holding, p));
		break;
	}
	CHECK_EQ(0, ringo_go_fn(receives, c));
}

static int hidden_main(void *arg)
{
	int where = *(int *)arg;

	if (where < LOCKS)
		hide(where);
	else
		CHECK_EQ(0, ringo_go(hide_lock, where - LOCKS)); /* its frames go */
	nap_ms(30);
	for (int i = 0; i < 5; i++) {
		forget();
		CHECK_EQ(0, lost(2));
	}
	STORE(&stop, 1);
	return 0;
}

TEST(no_false_ones)
{
	NEEDS_PLAIN();
	use_procs(3);
	for (int where = 0; where < PLACES; where++) {
		int status;
		pid_t pid;

		fflush(NULL);
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			_exit(ringo_run(hidden_main, &where) ? 1 : 0);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(0, status) {
			TH_LOG("place %d", where);
		}
	}
}

static int blocked_main(void *arg)
{
	CHECK_EQ(-EAGAIN, ringo_leak_unreachable(-1));
	return 0;
}

TEST(not_told_while_a_thread_cannot_be_stopped)
{
	sigset_t set;

	NEEDS_PLAIN();
	sigemptyset(&set);
	sigaddset(&set, SIGURG);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	EXPECT_EQ(0, ringo_run(blocked_main, NULL));
	EXPECT_EQ(-ESRCH, ringo_leak_unreachable(-1));
}

static int child_main(void *arg)
{
	CHECK_EQ(0, lost(-1));
	CHECK_EQ(-1, waitpid(-1, NULL, WNOHANG));
	CHECK_EQ(ECHILD, errno);
	return 0;
}

TEST(the_program_hears_nothing_of_the_copy)
{
	NEEDS_PLAIN();
	EXPECT_EQ(0, ringo_run(child_main, NULL));
}

TEST_HARNESS_MAIN
