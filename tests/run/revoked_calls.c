// SPDX-License-Identifier: MIT
/* A P that is taken, or asked for, just before, in or after a call of ringo. */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "core/revoke.h"
#include "revoked.h"

/* ---- calls that do not wait ---- */

static pthread_mutex_t checked = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
static struct ringo_chan *chan;
static struct ringo_mutex mutex;
static struct ringo_rwmutex rwmutex;
static struct ringo_sema sema;
static struct ringo_cond cond;
static int born;

static void child(void)
{
	ADD(&born, 1);
	ringo_waitgroup_done(&all_done);
}

static void calls_that_do_not_wait(long v)
{
	ringo_waitgroup_add(&all_done, 1);
	CHECK_EQ(0, ringo_go(child));
	(void)!ringo_chan_try_send(chan, &v);
	(void)!ringo_chan_try_recv(chan, &v);
	if (!ringo_mutex_try_lock(&mutex))
		ringo_mutex_unlock(&mutex);
	if (!ringo_rwmutex_try_rdlock(&rwmutex))
		ringo_rwmutex_rdunlock(&rwmutex);
	ringo_sema_release(&sema, 1);
	ringo_cond_broadcast(&cond);
	CHECK(ringo_now() > 0);
	CHECK(ringo_num_goroutines() > 1);
}

static void under_a_mutex(int rounds)
{
	for (int i = 0; i < rounds; i++) {
		CHECK_EQ(0, pthread_mutex_lock(&checked)); /* its owner is a thread */
		lose_p();
		for (int n = 0; n < 10; n++)
			calls_that_do_not_wait(i);
		CHECK(without_p());
		CHECK_EQ(0, pthread_mutex_unlock(&checked));
		if (i % 3)
			ringo_yield();
	}
	ringo_waitgroup_done(&all_done);
}

REVOKED_TEST(calls_that_do_not_wait_keep_the_thread, 1, 100)
{
	enum { WORKERS = 4, ROUNDS = 10 };

	chan = ringo_chan_new(sizeof(long), 2);
	ringo_sema_init(&sema, 0);
	ringo_waitgroup_add(&all_done, WORKERS);
	for (int i = 0; i < WORKERS; i++)
		CHECK_EQ(0, ringo_go(under_a_mutex, ROUNDS));
	start_ticker();
	while (LOAD(&born) < WORKERS * ROUNDS * 10)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	stop_ticker();
	CHECK_EQ(WORKERS * ROUNDS * 10, born);
	CHECK_EQ(0, ringo_sema_try_acquire(&sema, WORKERS * ROUNDS * 10));
	ringo_chan_unref(chan);
	return 0;
}

/* It is at a gate whenever sysmon looks, so the request is mostly withdrawn; it has to give way nevertheless. */
static void chatter(bool waits)
{
	long v = 1;

	while (!LOAD(&stop)) {
		(void)!ringo_chan_try_send(chan, &v);
		(void)!ringo_chan_try_recv(chan, &v);
		if (waits)
			ringo_checkpoint();
	}
	ringo_waitgroup_done(&all_done);
}

static int chat(void *waits)
{
	int64_t start;

	chan = ringo_chan_new(sizeof(long), 1);
	ringo_waitgroup_add(&all_done, 1);
	CHECK_EQ(0, ringo_go(chatter, (bool)waits));
	start_ticker();
	start = ringo_now();
	while (LOAD(&ticks) < 100)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK(emulated() || ringo_now() - start < 5 * RINGO_SEC); /* the debug kernel is slower still */
	stop_ticker();
	ringo_chan_unref(chan);
	return 0;
}

TEST(whoever_only_makes_calls_gives_way)
{
	use_procs(1);
	quantum_us(200);
	EXPECT_EQ(0, ringo_run(chat, NULL));
	ticks = 0;
	EXPECT_EQ(0, ringo_run(chat, (void *)1));
}

/* ---- the end of a goroutine ---- */

static int ended, deferred;

static void note(int *n)
{
	ADD(n, 1);
}

static void die(int how)
{
	ringo_defer(note, &deferred);
	if (how % 2)
		lose_p();
	else
		hog_for_us(how % 300);
	ADD(&ended, 1);
	ringo_waitgroup_done(&all_done);
	if (how % 3 == 1)
		ringo_exit();
}

REVOKED_TEST(goroutines_end_without_a_p, 2, 50)
{
	enum { N = SCALE(1000) };

	start_ticker();
	for (int i = 0; i < N; i++) {
		ringo_waitgroup_add(&all_done, 1);
		CHECK_EQ(0, ringo_go(die, i));
		if (i % 50 == 0)
			CHECK_EQ(0, ringo_sleep(RINGO_MS));
	}
	while (LOAD(&ended) < N)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	stop_ticker();
	while (ringo_num_goroutines() > 1)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK_EQ(N, deferred);
	CHECK(revocations() >= N / 10);
	return 0;
}

static void fails_without_p(void *arg)
{
	(void)arg;
	lose_p();
	ringo_panic("as agreed");
}

static void faults_without_p(void *arg)
{
	lose_p();
	*(volatile int *)arg = 1;
}

REVOKED_TEST(panics_without_a_p_are_contained, 1, 100)
{
	struct ringo_panic_info info;

	void *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	start_ticker();
	for (int i = 0; i < 20; i++) {
		CHECK_EQ(1, ringo_try(fails_without_p, NULL, &info));
		CHECK_EQ(1, ringo_try(faults_without_p, page, &info));
	}
	stop_ticker();
	munmap(page, 4096);
	return 0;
}

/* ---- timers ---- */

static void set(void *flag)
{
	STORE((bool *)flag, true);
}

/* Who begins to wait has the P watched until sysmon has looked for what; a tick may take it meanwhile. */
static void until_nobody_watches(void)
{
	do {
		ringo_yield(); /* with a P again */
		while (rg_load_relaxed(&rg_watch))
			;
		hog_for_us(1000); /* it is 0 also while sysmon looks */
	} while (rg_load_relaxed(&rg_watch) || without_p());
}

REVOKED_TEST(a_p_is_taken_for_a_timer_that_is_due_and_no_other, 1, 1000)
{
	struct ringo_timer far = { 0 }, near = { 0 };
	bool fired = false;
	uint64_t before;
	int64_t start;

	CHECK_EQ(0, ringo_timer_start(&far, 3600 * RINGO_SEC, set, &fired));
	until_nobody_watches();
	before = revocations();
	hog_for_us(50000);
	CHECK_EQ(0, revocations() - before);

	/* Nor is one missed that is set while the revoker waits for the other. */
	CHECK_EQ(0, ringo_timer_start(&near, 5 * RINGO_MS, set, &fired));
	start = now_ns();
	while (!LOAD(&fired) && now_ns() - start < 10 * RINGO_SEC)
		;
	CHECK(LOAD(&fired));
	CHECK(revocations() > before);
	CHECK_EQ(1, ringo_timer_stop(&far));
	return 0;
}

/* ---- io_uring_enter ---- */

static void write_much(int fd, const char *data, size_t n)
{
	for (int i = 0; i < 8; i++)
		CHECK_EQ((long long)n, ringo_pwrite(fd, data, n, i * (off_t)n)); /* at once, in the M's own call */
	ringo_waitgroup_done(&all_done);
}

static void hog_and_call(void)
{
	while (!LOAD(&stop)) {
		lose_p();
		ringo_yield();
	}
	ringo_waitgroup_done(&all_done);
}

REVOKED_TEST(long_system_calls_of_the_scheduler_are_left_alone, 1, 50)
{
	enum { SIZE = 8 << 20, WRITERS = 3 };
	char *data = malloc(SIZE), *back = malloc(SIZE);
	int fd[WRITERS];

	for (size_t i = 0; i < SIZE; i++)
		data[i] = (char)(i * 7 + i / 4096);
	start_ticker();
	ringo_waitgroup_add(&all_done, 1);
	CHECK_EQ(0, ringo_go(hog_and_call));
	ringo_waitgroup_add(&all_done, WRITERS);
	for (int i = 0; i < WRITERS; i++) {
		fd[i] = memfd_create("revoked", MFD_CLOEXEC);
		CHECK(fd[i] >= 0);
		CHECK_EQ(0, ringo_go(write_much, fd[i], (const char *)data, (size_t)SIZE));
	}
	CHECK_EQ(0, ringo_sleep(50 * RINGO_MS));
	stop_ticker();
	for (int i = 0; i < WRITERS; i++) {
		for (int k = 0; k < 8; k++) {
			CHECK_EQ(SIZE, ringo_pread(fd[i], back, SIZE, k * (off_t)SIZE));
			CHECK_EQ(0, memcmp(data, back, SIZE));
		}
		close(fd[i]);
	}
	free(data);
	free(back);
	return 0;
}

/* ---- page faults ---- */

enum { PAGE = 4096, ELEM = 4 * PAGE };

static struct {
	int fd;
	int faults;
	char fill[PAGE];
} pager;

/* Each fault takes a few quanta. */
static void *serve_faults(void *arg)
{
	struct uffd_msg msg;

	while (read(pager.fd, &msg, sizeof(msg)) == sizeof(msg)) {
		struct uffdio_copy c = { .dst = msg.arg.pagefault.address & ~(uint64_t)(PAGE - 1),
					 .src = (uintptr_t)pager.fill, .len = PAGE };

		nap_ms(3);
		ADD(&pager.faults, 1);
		CHECK(!ioctl(pager.fd, UFFDIO_COPY, &c) || errno == EEXIST);
	}
	return arg;
}

/* False: this system does not let us. */
static bool pager_start(pthread_t *thread)
{
	struct uffdio_api api = { .api = UFFD_API };

	pager.fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	if (pager.fd < 0)
		return false;
	memset(pager.fill, 'p', sizeof(pager.fill));
	CHECK_EQ(0, ioctl(pager.fd, UFFDIO_API, &api));
	CHECK_EQ(0, pthread_create(thread, NULL, serve_faults, NULL));
	return true;
}

/* Pages that appear when they are touched. */
static char *paged(size_t size)
{
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffdio_register r = { .range = { (uintptr_t)p, size }, .mode = UFFDIO_REGISTER_MODE_MISSING };

	CHECK(p != MAP_FAILED);
	CHECK_EQ(0, ioctl(pager.fd, UFFDIO_REGISTER, &r));
	return p;
}

static void send_paged(char *from)
{
	CHECK_EQ(0, ringo_chan_send(chan, from));
	ringo_waitgroup_done(&all_done);
}

static void check_filled(const char *p)
{
	for (int i = 0; i < ELEM; i++)
		CHECK_EQ('p', p[i]);
}

/* cap 0: from one goroutine's memory into the other's; else the buffer lies between. */
static void send_and_receive(size_t cap)
{
	char *from = paged(ELEM), *to = paged(ELEM);

	chan = ringo_chan_new(ELEM, cap);
	ringo_waitgroup_add(&all_done, 1);
	CHECK_EQ(0, ringo_go(send_paged, from));
	if (cap)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK_EQ(1, ringo_chan_recv(chan, to));
	check_filled(to);
	check_filled(from);
	ringo_chan_unref(chan);
	munmap(from, ELEM);
	munmap(to, ELEM);
}

static int copies_fault(void *arg)
{
	ringo_waitgroup_add(&all_done, 1);
	CHECK_EQ(0, ringo_go(hog_and_call));
	start_ticker();
	for (int i = 0; i < 6; i++)
		send_and_receive(i % 2);
	stop_ticker();
	CHECK_EQ(6 * 2 * ELEM / PAGE, LOAD(&pager.faults));
	return 0;
}

/* Inside the gate, where nobody is revoked: the P is asked for all the time. */
TEST(channels_copy_to_and_from_memory_that_faults)
{
	pthread_t thread;

	if (!pager_start(&thread))
		SKIP(return, "no userfaultfd: root, or sysctl vm.unprivileged_userfaultfd=1");
	use_procs(1);
	quantum_us(100);
	EXPECT_EQ(0, run_main(copies_fault));
}

static int lost;

static void touch(const volatile char *p)
{
	CHECK_EQ('p', *p);
	ADD(&lost, without_p());
	ringo_yield();
	ringo_waitgroup_done(&all_done);
}

static int touches(void *arg)
{
	char *p = paged(20 * PAGE);

	start_ticker();
	for (int i = 0; i < 20; i++) {
		ringo_waitgroup_add(&all_done, 1);
		CHECK_EQ(0, ringo_go(touch, (const volatile char *)p + i * PAGE));
	}
	while (LOAD(&pager.faults) < 20)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	/* 20 faults of 3 ms; where CPUs are emulated, a hand-over may take as long as that. */
	CHECK(emulated() || LOAD(&ticks) > 20);
	stop_ticker();
	CHECK(lost > 0);
	munmap(p, 20 * PAGE);
	return 0;
}

TEST(who_faults_loses_its_p)
{
	pthread_t thread;

	if (!pager_start(&thread))
		SKIP(return, "no userfaultfd: root, or sysctl vm.unprivileged_userfaultfd=1");
	use_procs(1);
	quantum_us(200);
	EXPECT_EQ(0, run_main(touches));
}

TEST_HARNESS_MAIN
