// SPDX-License-Identifier: MIT
/*
 * One P, a ticker of 1 ms, and a goroutine that blocks again and again for BLOCK in a raw call: how late is the
 * ticker? Without revocation it would be by BLOCK, most of the time.
 *
 * What it should be at p99, a quantum and half a millisecond, or one with BPF programs, is asked for where
 * RINGO_TEST_IDLE is set: that nothing else runs cannot be known here.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "revoked.h"

enum { BLOCKS = 8, BLOCK_MS = 40, MAX_TICKS = 20000 };

static struct {
	int64_t late[MAX_TICKS];
	int n;
	int blocks;
	void (*block)(int i);
} bench;

static int64_t late(int percent)
{
	return bench.late[(int64_t)(bench.n - 1) * percent / 100];
}

static void measure(void)
{
	while (!LOAD(&stop)) {
		int64_t due = ringo_now() + RINGO_MS;

		CHECK_EQ(0, ringo_sleep(RINGO_MS));
		if (bench.n < MAX_TICKS)
			bench.late[bench.n++] = ringo_now() - due;
	}
	ringo_waitgroup_done(&all_done);
}

static void blocker(void)
{
	for (int i = 0; i < BLOCKS; i++) {
		bench.block(i);
		ringo_yield();
	}
	STORE(&stop, true);
	ringo_waitgroup_done(&all_done);
}

static int blocked_main(void *arg)
{
	ringo_waitgroup_add(&all_done, 2);
	CHECK_EQ(0, ringo_go(measure));
	CHECK_EQ(0, ringo_go(blocker));
	ringo_waitgroup_wait(&all_done);
	return 0;
}

/* At p99. */
static int64_t allowed(void)
{
	const char *tier = getenv("RINGO_PREEMPT");

	if (!getenv("RINGO_TEST_IDLE"))
		return RINGO_SEC;
	return tier && !strcmp(tier, "bpf") ? RINGO_MS : RINGO_MS * 3 / 2;
}

/* The body of a test, once all is set up. */
#define BLOCKED(fn) \
	do { \
		use_procs(1); \
		bench.block = (fn); \
		EXPECT_EQ(0, run_main(blocked_main)); \
		qsort(bench.late, (size_t)bench.n, sizeof(*bench.late), by_size); \
		TH_LOG("%d ticks, late by %lld us at p50, %lld at p99, %lld at most", bench.n, \
		       (long long)late(50) / 1000, (long long)late(99) / 1000, (long long)late(100) / 1000); \
		EXPECT_GT(BLOCK_MS * RINGO_MS / 4, late(50)); \
		EXPECT_GT(allowed(), late(99)); \
	} while (0)

static void block_in_nanosleep(int i)
{
	nap_ms(BLOCK_MS);
}

TEST(in_nanosleep)
{
	BLOCKED(block_in_nanosleep);
}

/* ---- with a thread that lets go of them ---- */

static int ends[2];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;

static void *write_slowly(void *arg)
{
	for (;;) {
		nap_ms(BLOCK_MS);
		if (write(ends[1], "x", 1) != 1)
			return arg;
	}
}

static void block_in_read(int i)
{
	char c;

	CHECK_EQ(1, read(ends[0], &c, 1));
}

TEST(in_read_from_a_pipe)
{
	pthread_t t;

	ASSERT_EQ(0, pipe(ends));
	ASSERT_EQ(0, pthread_create(&t, NULL, write_slowly, NULL));
	BLOCKED(block_in_read);
}

static void block_in_recv(int i)
{
	char c;

	CHECK_EQ(1, recv(ends[0], &c, 1, 0));
}

TEST(in_recv_from_a_socket)
{
	pthread_t t;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	ASSERT_EQ(0, pthread_create(&t, NULL, write_slowly, NULL));
	BLOCKED(block_in_recv);
}

static void *lock_slowly(void *arg)
{
	for (;;) {
		pthread_mutex_lock(&mutex);
		nap_ms(BLOCK_MS);
		pthread_mutex_unlock(&mutex);
		nap_ms(1);
	}
	return arg;
}

static void block_in_lock(int i)
{
	CHECK_EQ(0, pthread_mutex_lock(&mutex));
	pthread_mutex_unlock(&mutex);
	nap_ms(2);
}

TEST(in_a_mutex_of_pthreads)
{
	pthread_t t;

	ASSERT_EQ(0, pthread_create(&t, NULL, lock_slowly, NULL));
	BLOCKED(block_in_lock);
}

static void *signal_slowly(void *arg)
{
	for (;;) {
		nap_ms(BLOCK_MS);
		pthread_mutex_lock(&mutex);
		pthread_cond_signal(&cond);
		pthread_mutex_unlock(&mutex);
	}
	return arg;
}

static void block_in_wait(int i)
{
	pthread_mutex_lock(&mutex);
	CHECK_EQ(0, pthread_cond_wait(&cond, &mutex));
	pthread_mutex_unlock(&mutex);
}

TEST(in_a_condition_variable_of_pthreads)
{
	pthread_t t;

	ASSERT_EQ(0, pthread_create(&t, NULL, signal_slowly, NULL));
	BLOCKED(block_in_wait);
}

static void block_in_poll(int i)
{
	CHECK_EQ(0, poll(NULL, 0, BLOCK_MS));
}

TEST(in_poll)
{
	BLOCKED(block_in_poll);
}

static void block_in_epoll_wait(int i)
{
	struct epoll_event e;
	int n = epoll_wait(ends[0], &e, 1, BLOCK_MS);

	CHECK(!n || errno == EINTR); /* see revoked_signals.c */
}

TEST(in_epoll_wait)
{
	ends[0] = epoll_create1(EPOLL_CLOEXEC);
	ASSERT_LE(0, ends[0]);
	BLOCKED(block_in_epoll_wait);
}

/* ---- with another process ---- */

static char path[] = "/tmp/ringo-test-XXXXXX";
static int file;

static void flock_slowly(int ready)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		flock(fd, LOCK_EX);
		(void)!write(ready, "x", 1);
		nap_ms(BLOCK_MS);
		flock(fd, LOCK_UN);
		nap_ms(1);
	}
}

static void block_in_flock(int i)
{
	CHECK_EQ(0, flock(file, LOCK_EX));
	CHECK_EQ(0, flock(file, LOCK_UN));
	nap_ms(2);
}

TEST(in_flock)
{
	pid_t child;
	char c;

	file = mkstemp(path);
	ASSERT_LE(0, file);
	ASSERT_EQ(0, pipe(ends));
	child = fork();
	if (!child)
		flock_slowly(ends[1]);
	ASSERT_EQ(1, read(ends[0], &c, 1));
	BLOCKED(block_in_flock);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	unlink(path);
	close(file);
}

/* ---- files ---- */

static void block_in_fsync(int i)
{
	static char data[1 << 20];
	int64_t until = now_ns() + BLOCK_MS * RINGO_MS;

	while (now_ns() < until) {
		CHECK_EQ(sizeof(data), pwrite(file, data, sizeof(data), 0));
		CHECK_EQ(0, fsync(file));
	}
}

TEST(in_fsync)
{
	file = mkstemp(path);
	ASSERT_LE(0, file);
	BLOCKED(block_in_fsync);
	unlink(path);
	close(file);
}

/* ---- page faults ---- */

enum { PAGE = 4096 };

static char *pages;

static void *serve_slowly(void *arg)
{
	static char fill[PAGE] __attribute__((aligned(PAGE)));
	struct uffd_msg msg;

	while (read(file, &msg, sizeof(msg)) == sizeof(msg)) {
		struct uffdio_copy c = { .dst = msg.arg.pagefault.address & ~(uint64_t)(PAGE - 1),
					 .src = (uintptr_t)fill, .len = PAGE };

		nap_ms(BLOCK_MS);
		CHECK_EQ(0, ioctl(file, UFFDIO_COPY, &c));
	}
	return arg;
}

static void block_in_a_fault(int i)
{
	CHECK_EQ(0, ((volatile char *)pages)[i * PAGE]);
}

TEST(in_a_page_fault)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register r;
	pthread_t t;

	file = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	if (file < 0)
		SKIP(return, "no userfaultfd: root, or sysctl vm.unprivileged_userfaultfd=1");
	pages = mmap(NULL, BLOCKS * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, pages);
	ASSERT_EQ(0, ioctl(file, UFFDIO_API, &api));
	r = (struct uffdio_register){ .range = { (uintptr_t)pages, BLOCKS * PAGE },
				      .mode = UFFDIO_REGISTER_MODE_MISSING };
	ASSERT_EQ(0, ioctl(file, UFFDIO_REGISTER, &r));
	ASSERT_EQ(0, pthread_create(&t, NULL, serve_slowly, NULL));
	BLOCKED(block_in_a_fault);
}

TEST_HARNESS_MAIN
