// SPDX-License-Identifier: MIT
/*
 * What the module does about calls that make no sense, or are up to no good: each has its error, and other
 * processes are served as before.
 */
#include "help.h"

FIXTURE(hostile) {
	struct client c;
};

FIXTURE_SETUP(hostile)
{
	ASSERT_EQ(0, client_open(&self->c, 1000));
}

FIXTURE_TEARDOWN(hostile)
{
	client_close(&self->c);
	EXPECT_EQ(0, serves());
}

#define FD (self->c.fd)
#define SETUP (self->c.setup)

/* ---- calls ---- */

TEST_F(hostile, before_setup)
{
	struct ringo_setup s;
	struct pollfd p = { .fd = dev_open(), .events = POLLIN };

	ASSERT_LE(0, p.fd);
	EXPECT_EQ(-ENOTCONN, dev_add(p.fd, 1));
	EXPECT_EQ(-ENOTCONN, dev_ioctl(p.fd, RINGO_IOC_REMOVE, NULL));
	EXPECT_EQ(-ENOTCONN, dev_ioctl(p.fd, RINGO_IOC_WATCH, NULL));
	EXPECT_EQ(NULL, dev_map(p.fd, 0, 1, PROT_READ));
	EXPECT_EQ(ENOTCONN, errno);
	EXPECT_EQ(1, poll(&p, 1, 0));
	EXPECT_TRUE(p.revents & POLLERR);
	EXPECT_EQ(-EBUSY, dev_setup(p.fd, &s, 1000)); /* we have one */
	EXPECT_EQ(-EBUSY, dev_setup(FD, &s, 1000));
	close(p.fd);
}

TEST_F(hostile, bad_setup)
{
	struct ringo_setup good = { .abi = RINGO_ABI_VERSION, .period_us = 1000 }, s;
	int fd = dev_open();

	for (size_t i = 8; i < sizeof(s); i++) {
		s = good;
		((char *)&s)[i] = 1;
		EXPECT_EQ(-EINVAL, dev_ioctl(fd, RINGO_IOC_SETUP, &s));
	}
	s = good;
	s.period_us = 0;
	EXPECT_EQ(-EINVAL, dev_ioctl(fd, RINGO_IOC_SETUP, &s));
	s = good;
	s.abi++;
	EXPECT_EQ(-EPROTONOSUPPORT, dev_ioctl(fd, RINGO_IOC_SETUP, &s));
	EXPECT_EQ(RINGO_ABI_VERSION, s.abi);
	EXPECT_EQ(-EFAULT, dev_ioctl(fd, RINGO_IOC_SETUP, NULL));
	EXPECT_EQ(-EFAULT, dev_ioctl(fd, RINGO_IOC_SETUP, (void *)-64l));
	close(fd);
}

TEST_F(hostile, the_longest_quantum_there_is)
{
	client_close(&self->c);
	ASSERT_EQ(0, client_open(&self->c, UINT32_MAX));
	EXPECT_EQ(UINT32_MAX, SETUP.tick_us);
	EXPECT_EQ(0, dev_add(FD, 1));
	watch(&self->c, true);
	nap_ms(5);
}

TEST_F(hostile, bad_add)
{
	static const uint32_t bad[] = { 0, PAGES, 1023, 1024, 1025, 1026, 1027, 1u << 31, UINT32_MAX };
	struct ringo_add a;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		EXPECT_EQ(-EINVAL, dev_add(FD, bad[i]));
	for (size_t i = 4; i < sizeof(a); i++) {
		if (i / 8 == offsetof(struct ringo_add, upcall) / 8)
			continue; /* most of these are sound: upcall.c */
		a = (struct ringo_add){ .page = 1 };
		((char *)&a)[i] = 1;
		EXPECT_EQ(-EINVAL, dev_ioctl(FD, RINGO_IOC_ADD, &a));
	}
	EXPECT_EQ(-EFAULT, dev_ioctl(FD, RINGO_IOC_ADD, NULL));
	EXPECT_EQ(-ENOENT, dev_ioctl(FD, RINGO_IOC_REMOVE, NULL));
	EXPECT_EQ(-EINVAL, dev_ioctl(FD, RINGO_IOC_REMOVE, &a));
	EXPECT_EQ(-EINVAL, dev_ioctl(FD, RINGO_IOC_WATCH, &a));
}

TEST_F(hostile, other_calls)
{
	char text[64] = "";

	for (unsigned long nr = 0; nr < 256; nr++) {
		if (nr >= 1 && nr <= 4)
			continue;
		EXPECT_EQ(-ENOTTY, dev_ioctl(FD, _IOC(_IOC_READ | _IOC_WRITE, 0xd7, nr, 64), text));
		EXPECT_EQ(-ENOTTY, dev_ioctl(FD, _IOC(_IOC_NONE, 0xd7, nr, 0), NULL));
	}
	/* The same number, another size. */
	EXPECT_EQ(-ENOTTY, dev_ioctl(FD, _IOC(_IOC_WRITE, 0xd7, 2, 4), text));
	EXPECT_EQ(-ENOTTY, dev_ioctl(FD, _IOC(_IOC_READ | _IOC_WRITE, 0xd7, 1, 16383), text));
	EXPECT_EQ(-1, read(FD, text, 1));
	EXPECT_EQ(-1, write(FD, text, 1));
	EXPECT_EQ(-1, lseek(FD, 0, SEEK_SET));
	EXPECT_EQ(-1, ftruncate(FD, 0));
}

/* ---- mappings ---- */

static int map_err(int fd, uint64_t at, size_t size, int prot, int flags)
{
	void *p = mmap(NULL, size, prot, flags, fd, (off_t)at);

	if (p == MAP_FAILED)
		return -errno;
	munmap(p, size);
	return 0;
}

TEST_F(hostile, mappings)
{
	const uint64_t ring = (uint64_t)SETUP.ring_at * PAGE, end = ring + 3 * PAGE;
	const int rw = PROT_READ | PROT_WRITE;

	EXPECT_EQ(-EINVAL, map_err(FD, 0, PAGE, rw, MAP_PRIVATE));
	EXPECT_EQ(-EPERM, map_err(FD, 0, PAGE, rw | PROT_EXEC, MAP_SHARED));
	EXPECT_EQ(0, map_err(FD, ring, PAGE, rw, MAP_SHARED));
	EXPECT_EQ(-EPERM, map_err(FD, ring, 2 * PAGE, rw, MAP_SHARED));
	EXPECT_EQ(-EPERM, map_err(FD, ring + PAGE, PAGE, rw, MAP_SHARED));
	EXPECT_EQ(-EPERM, map_err(FD, ring + 2 * PAGE, PAGE, PROT_WRITE, MAP_SHARED));
	EXPECT_EQ(0, map_err(FD, ring, 3 * PAGE, PROT_READ, MAP_SHARED));
	EXPECT_EQ(-EINVAL, map_err(FD, ring, 4 * PAGE, PROT_READ, MAP_SHARED));
	EXPECT_EQ(-EINVAL, map_err(FD, end, PAGE, PROT_READ, MAP_SHARED));
	EXPECT_EQ(-EINVAL, map_err(FD, 1ull << 32, PAGE, PROT_READ, MAP_SHARED));
	EXPECT_NE(0, map_err(FD, 0x7ffffffffffff000, PAGE, PROT_READ, MAP_SHARED));
	EXPECT_NE(0, map_err(FD, 0x7ffffffffffff000, 2 * PAGE, PROT_READ, MAP_SHARED));
	EXPECT_EQ(0, map_err(FD, 0, end, PROT_READ, MAP_SHARED)); /* all there are */
}

TEST_F(hostile, rights_do_not_grow)
{
	char *p = self->c.writer;

	EXPECT_EQ(-1, mprotect(p, PAGE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(-1, mprotect(p, PAGE, PROT_READ | PROT_EXEC));
	EXPECT_EQ(-1, mprotect(pages_at, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC));
	EXPECT_EQ(MAP_FAILED, mremap(pages_at, PAGE, 100 * PAGE, MREMAP_MAYMOVE)); /* nor the mapping */
}

/* A page that its M runs on is moved, thrown away, unmapped. */
TEST_F(hostile, the_page_goes_away)
{
	char *p = dev_map(FD, PAGES, 1, PROT_READ | PROT_WRITE), *q;

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, dev_add(FD, PAGES));
	((struct ringo_m_page *)p)->p = ((struct ringo_m_page *)p)->cur_g = 1;
	STORE(&ctl()->permits, 100);
	watch(&self->c, true);
	q = mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, pages_at + PAGE);
	EXPECT_EQ(pages_at + PAGE, q);
	EXPECT_TRUE(taken_within(1, 5000 * MS));
	madvise(q, PAGE, MADV_DONTNEED);
	nap_ms(5);
	munmap(q, PAGE);
	nap_ms(5);
	for (volatile long i = 0; i < 10000000; i++)
		;
	EXPECT_EQ(0, dev_ioctl(FD, RINGO_IOC_REMOVE, NULL));
	EXPECT_EQ(0, dev_add(FD, PAGES)); /* it is there still */
}

/* ---- what stands in the pages ---- */

static void *scribbles(void *arg)
{
	uint64_t *words[] = { (uint64_t *)pages_at, (uint64_t *)(pages_at + PAGE), ((struct client *)arg)->reader };
	unsigned seed = 1;

	for (int64_t until = now_ns() + 1000 * MS; now_ns() < until;)
		for (int i = 0; i < 100; i++)
			STORE(words[rand_r(&seed) % 3] + rand_r(&seed) % 9,
			      (uint64_t)rand_r(&seed) << rand_r(&seed) % 48);
	return NULL;
}

TEST_F(hostile, nonsense_in_all_pages)
{
	struct client *c = &self->c;
	unsigned seed = 2;
	pthread_t t;

	ASSERT_EQ(0, dev_add(FD, 1));
	pthread_create(&t, NULL, scribbles, c);
	for (int64_t until = now_ns() + 1000 * MS; now_ns() < until;) {
		STORE(&ctl()->watch, 1);
		STORE(&page(1)->in_rt, 0);
		STORE(&page(1)->revoked, 0);
		STORE(&ctl()->permits, 1000);
		if (!(rand_r(&seed) % 64))
			usleep(10);
		if (!(rand_r(&seed) % 64))
			dev_ioctl(FD, RINGO_IOC_WATCH, NULL);
	}
	pthread_join(t, NULL);
}

/* ---- others ---- */

TEST_F(hostile, a_descriptor_given_away)
{
	struct ringo_setup s;
	int status;
	pid_t child = fork();

	if (!child) {
		if (dev_add(FD, 1) != -EPERM || dev_map(FD, 0, 1, PROT_READ) || errno != EPERM ||
		    dev_setup(FD, &s, 1000) != -EPERM)
			_exit(1);
		_exit(0);
	}
	waitpid(child, &status, 0);
	EXPECT_EQ(0, status);
}

TEST_F(hostile, opened_often)
{
	int fds[500];

	for (int i = 0; i < 500; i++) {
		struct ringo_setup s;

		fds[i] = dev_open();
		ASSERT_LE(0, fds[i]);
		EXPECT_EQ(-EBUSY, dev_setup(fds[i], &s, 1000));
	}
	for (int i = 0; i < 500; i++)
		close(fds[i]);
}

KMOD_MAIN
