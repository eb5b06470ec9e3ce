// SPDX-License-Identifier: MIT
/*
 * What switches of threads tell, without the library: an M that blocks outside the runtime is told of while
 * somebody waits, with the system call, and its page says so at any time. Short blocks are told of once and
 * then no more.
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

#include "help.h"

enum { ROUNDS = 100, PAGE_FAULT = -1 };

TIERS(block);

static struct client client, *c = &client;

FIXTURE_SETUP(block)
{
	TIER_SETUP();
	ASSERT_EQ(0, client_begin(tier, c, 1000000)); /* no ticks to speak of */
}

FIXTURE_TEARDOWN(block)
{
	client_close(c);
	TIER_TEARDOWN();
}

/* ---- ways to block, and to be let go ---- */

static int fds[2];
static uint32_t word;
static int uffd = -1;
static char *missing;
static int disk;

static void in_read(void)
{
	char byte;

	CHECK_EQ(1, read(fds[0], &byte, 1));
}

static void out_read(void)
{
	CHECK_EQ(1, write(fds[1], "x", 1));
}

static void in_futex(void)
{
	while (LOAD(&word) == 0)
		syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
	STORE(&word, 0);
}

static void out_futex(void)
{
	STORE(&word, 1);
	syscall(SYS_futex, &word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void in_nap(void)
{
	struct timespec ts = { .tv_nsec = (emulated() ? 50 : 3) * MS }; /* over before it blocks it must not be */

	syscall(SYS_nanosleep, &ts, NULL);
}

static void out_by_itself(void)
{
}

static void in_fsync(void)
{
	static char data[4096] __attribute__((aligned(4096)));

	CHECK_EQ(sizeof(data), pwrite(disk, data, sizeof(data), 0)); /* into the page cache */
	CHECK_EQ(0, fsync(disk));
}

static void in_fault(void)
{
	CHECK_EQ(0, *(volatile char *)missing);
}

static void out_fault(void)
{
	struct uffdio_zeropage z = { .range = { .start = (uintptr_t)missing, .len = 4096 } };

	CHECK_EQ(0, ioctl(uffd, UFFDIO_ZEROPAGE, &z));
	while (LOAD(&word) == 0)
		sched_yield(); /* until it has seen that */
	STORE(&word, 0);
	madvise(missing, 4096, MADV_DONTNEED);
}

/* Blocks as asked, so many times. */
struct way {
	void (*in)(void);
	void (*out)(void);
	int nr;
};

static uint32_t may_block;

static int rounds(void)
{
	return emulated() ? ROUNDS / 5 : ROUNDS;
}

static void block_often(struct mock *m)
{
	const struct way *way = m->arg;

	for (int i = 0; i < rounds(); i++) {
		while (!LOAD(&may_block))
			;
		STORE(&may_block, 0);
		way->in();
		if (way->nr == PAGE_FAULT)
			STORE(&word, 1);
	}
}

static void show(struct __test_metadata *_metadata, const char *what, int64_t *late)
{
	const int n = rounds();

	qsort(late, (size_t)n, sizeof(late[0]), by_size);
	TH_LOG("%s: told after p50 %lld p90 %lld p99 %lld us", what, (long long)(late[n / 2] / US),
	       (long long)(late[n * 9 / 10] / US), (long long)(late[n * 99 / 100] / US));
}

static void told(struct __test_metadata *_metadata, const char *what, struct way way)
{
	struct mock m = { .arg = &way };
	int64_t late[ROUNDS];
	struct ringo_notice n;

	watch(c, true);
	m_start(&m, c, 1, block_often);
	for (int i = 0; i < rounds(); i++) {
		STORE(&may_block, 1);
		ASSERT_TRUE(client_notice(c, &n, 5000));
		late[i] = now_ns() - (int64_t)n.when;
		EXPECT_EQ(RINGO_NOTICE_BLOCKED, n.what);
		EXPECT_EQ(1, n.page);
		EXPECT_EQ(1, n.p);
		EXPECT_EQ(way.nr, n.nr);
		nap_ms(1); /* a long one: the next is told, too */
		way.out();
		while (LOAD(&page(1)->block_since) == n.when)
			sched_yield();
	}
	m_join(&m);
	show(_metadata, what, late);
	if (!emulated())
		EXPECT_GT(20 * MS, late[ROUNDS / 2]); /* some 20 us, if the reader gets a CPU */
	EXPECT_EQ(RINGO_REVOKED_FREE, LOAD(&page(1)->revoked)); /* that is for sysmon to do */
}

TEST_F(block, in_read)
{
	ASSERT_EQ(0, pipe(fds));
	told(_metadata, "read", (struct way){ in_read, out_read, SYS_read });
}

TEST_F(block, in_futex)
{
	told(_metadata, "futex", (struct way){ in_futex, out_futex, SYS_futex });
}

TEST_F(block, in_nanosleep)
{
	told(_metadata, "nanosleep", (struct way){ in_nap, out_by_itself, SYS_nanosleep });
}

/* One that takes 20 ms, which tests/vm/debian.sh makes; others may be over before it blocks. */
TEST_F(block, in_fsync)
{
	disk = open("/dev/nullb0", O_RDWR | O_CLOEXEC);
	if (disk < 0)
		SKIP(return, "no slow disk (%s)", strerror(errno));
	told(_metadata, "fsync", (struct way){ in_fsync, out_by_itself, SYS_fsync });
	close(disk);
}

TEST_F(block, in_a_page_fault)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .range.len = 4096, .mode = UFFDIO_REGISTER_MODE_MISSING };

	uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api))
		SKIP(return, "no userfaultfd (%s)", strerror(errno));
	missing = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	reg.range.start = (uintptr_t)missing;
	ASSERT_EQ(0, ioctl(uffd, UFFDIO_REGISTER, &reg));
	told(_metadata, "page fault", (struct way){ in_fault, out_fault, PAGE_FAULT });
}

/* ---- what is not told ---- */

/* Longer than the test needs to look. */
static long long_nap(void)
{
	return emulated() ? 500 : 20;
}

static void nap_once(struct mock *m)
{
	(void)m;
	nap_ms(long_nap());
}

static void nap_inside(struct mock *m)
{
	STORE(&own_page(m)->in_rt, 1);
	nap_ms(long_nap());
}

static void nap_without_g(struct mock *m)
{
	now_runs(m, 0);
	nap_ms(long_nap());
}

static void nap_without_p(struct mock *m)
{
	STORE(&own_page(m)->p, 0);
	nap_ms(long_nap());
}

/* Whether fn is told of; and what its page says while it is blocked. */
static bool heard(void (*fn)(struct mock *), bool *page_says)
{
	struct ringo_notice n;
	struct mock m = { 0 };
	bool was;

	m_start(&m, c, 1, fn);
	was = client_notice(c, &n, emulated() ? 100 : 10);
	*page_says = LOAD(&page(1)->block_since);
	m_join(&m);
	return was;
}

TEST_F(block, only_while_somebody_waits)
{
	bool page_says;

	EXPECT_FALSE(heard(nap_once, &page_says));
	EXPECT_TRUE(page_says); /* for who comes to wait later */
	EXPECT_EQ(0, LOAD(&page(1)->block_since));
	watch(c, true);
	EXPECT_TRUE(heard(nap_once, &page_says));
	EXPECT_TRUE(page_says);
	watch(c, false);
	EXPECT_FALSE(heard(nap_once, &page_says));
}

TEST_F(block, only_outside_the_runtime_and_of_goroutines)
{
	bool page_says;

	watch(c, true);
	EXPECT_FALSE(heard(nap_inside, &page_says));
	EXPECT_FALSE(page_says);
	EXPECT_FALSE(heard(nap_without_g, &page_says));
	EXPECT_FALSE(page_says);
	EXPECT_FALSE(heard(nap_without_p, &page_says));
	EXPECT_TRUE(page_says);
	EXPECT_TRUE(heard(nap_once, &page_says));
}

static void compute(struct mock *m)
{
	int64_t until = now_ns() + 30 * MS;

	(void)m;
	while (now_ns() < until)
		sched_yield();
}

TEST_F(block, who_only_waits_for_a_cpu_is_not_blocked)
{
	bool page_says;

	watch(c, true);
	EXPECT_FALSE(heard(compute, &page_says));
	EXPECT_FALSE(page_says);
}

/* In BPF a tick that takes nothing, here without a permit, leaves a discarded record, which nobody reads. */
static void be_refused_and_nap(struct mock *m)
{
	int64_t start = now_ns();
	uint64_t before;

	(void)m;
	while (now_ns() < start + 100 * MS) /* until its reader sleeps */
		;
	before = LOAD(&ctl()->refused);
	while (LOAD(&ctl()->refused) < before + 3 && now_ns() < start + 2000 * MS)
		;
	nap_ms(500);
}

TEST_F(block, told_at_once_after_refused_ticks)
{
	struct mock m = { 0 };
	struct ringo_notice n;

	client_close(c);
	ASSERT_EQ(0, client_begin(tier, c, 10000));
	watch(c, true);
	m_start(&m, c, 1, be_refused_and_nap);
	ASSERT_TRUE(client_notice(c, &n, 10000));
	EXPECT_EQ(RINGO_NOTICE_BLOCKED, n.what);
	EXPECT_GT((emulated() ? 5000 : 250) * MS, now_ns() - (int64_t)n.when); /* else it takes until the poll ends */
	m_join(&m);
	EXPECT_LE(3, LOAD(&ctl()->refused));
}

/* ---- short ones ---- */

enum { SHORTS = 5000 };
static int back[2];

static void *ping(void *arg)
{
	char byte = 'x';

	for (int i = 0; i < SHORTS; i++) {
		CHECK_EQ(1, write(fds[1], &byte, 1));
		CHECK_EQ(1, read(back[0], &byte, 1));
	}
	return arg;
}

static void pong(struct mock *m)
{
	char byte;

	(void)m;
	for (int i = 0; i < SHORTS; i++) {
		CHECK_EQ(1, read(fds[0], &byte, 1));
		CHECK_EQ(1, write(back[1], &byte, 1));
	}
	nap_ms(20);
	nap_ms(20);
	nap_ms(20);
}

TEST_F(block, many_short_ones_are_told_of_seldom)
{
	struct mock m = { 0 };
	struct ringo_notice n;
	int heard_of = 0, naps = 0;
	pthread_t peer;

	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ(0, pipe(back));
	watch(c, true);
	m_start(&m, c, 1, pong);
	pthread_create(&peer, NULL, ping, NULL);
	while (client_notice(c, &n, 500)) {
		if (n.nr == SYS_read)
			heard_of++;
		else
			naps++;
	}
	pthread_join(peer, NULL);
	m_join(&m);
	TH_LOG("%d of %llu blocks told of", heard_of, (unsigned long long)LOAD(&ctl()->blocked));
	/* Some are long, on a busy machine. */
	if (!emulated())
		EXPECT_GT(SHORTS / 4, heard_of);
	/* A long one after them, at the latest the second. */
	EXPECT_LE(2, naps);
}

TIER_MAIN
