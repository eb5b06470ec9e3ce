// SPDX-License-Identifier: MIT
/*
 * Stacks of the module's: memory like any other, but that the first page of each slot cannot be had, by whoever, in
 * whatever way, and whatever has been done to the mapping before.
 */
#include <liburing.h>
#include <linux/userfaultfd.h>
#include <setjmp.h>

#include "help.h"

enum { ORDER = 4, SLOTS = 4096 };

#define SLOT (PAGE << ORDER)
#define SIZE ((size_t)SLOTS * SLOT)

static char *stacks;

static char *map_at(uint64_t offset, size_t size, int prot, int flags)
{
	int fd = dev_open();
	void *p = mmap(NULL, size, prot, flags | MAP_NORESERVE, fd, (off_t)offset);

	close(fd);
	return p == MAP_FAILED ? NULL : p;
}

FIXTURE(stacks) {
};

FIXTURE_SETUP(stacks)
{
	stacks = map_at(RINGO_STACKS(ORDER), SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	ASSERT_NE(NULL, stacks);
}

FIXTURE_TEARDOWN(stacks)
{
	munmap(stacks, SIZE);
}

static char *slot(size_t n)
{
	return stacks + n * SLOT;
}

/* ---- how a page can be had ---- */

static sigjmp_buf back;
static siginfo_t fault;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	fault = *info;
	siglongjmp(back, 1);
}

/* The signal that touching it brings; 0: none. */
static int touch(char *at, bool writes)
{
	struct sigaction act = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER };
	int sig = 0;

	sigaction(SIGSEGV, &act, NULL);
	sigaction(SIGBUS, &act, NULL);
	if (sigsetjmp(back, 1))
		sig = fault.si_signo;
	else if (writes)
		*(volatile char *)at = 1;
	else
		(void)*(volatile char *)at;
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	return sig;
}

static bool is_guard(char *at)
{
	return touch(at, false) == SIGSEGV && fault.si_addr == at && touch(at + PAGE - 1, true) == SIGSEGV &&
	       fault.si_addr == at + PAGE - 1;
}

/* Its guard is one, and its first and last pages are none. */
static bool is_slot(char *at)
{
	return is_guard(at) && !touch(at + PAGE, false) && !touch(at + PAGE, true) && !touch(at + SLOT - 1, true);
}

/* As a system call and the kernel's own threads write it. */
static int read_into(char *at)
{
	int p[2], err;

	CHECK_EQ(0, pipe(p));
	CHECK_EQ(1, write(p[1], "x", 1));
	err = read(p[0], at, 1) == 1 ? 0 : -errno;
	close(p[0]);
	close(p[1]);
	return err;
}

static int uring_read_into(char *at, unsigned flags)
{
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC), res;

	CHECK_EQ(0, io_uring_queue_init(4, &ring, 0));
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_read(sqe, zero, at, 1, 0);
	sqe->flags |= (unsigned char)flags;
	CHECK_EQ(1, io_uring_submit(&ring));
	CHECK_EQ(0, io_uring_wait_cqe(&ring, &cqe));
	res = cqe->res;
	io_uring_queue_exit(&ring);
	close(zero);
	return res == 1 ? 0 : res;
}

static int other_writes(char *at)
{
	struct iovec from = { (char[]){ 1 }, 1 }, to = { at, 1 };

	return process_vm_writev(getpid(), &from, 1, &to, 1, 0) == 1 ? 0 : -errno;
}

/* As a debugger does, whatever the rights. */
static int forced_write(char *at)
{
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC), err;

	err = pwrite(fd, "x", 1, (off_t)(uintptr_t)at) == 1 ? 0 : -errno;
	close(fd);
	return err;
}

/* ---- what is in it ---- */

TEST_F(stacks, the_first_page_of_each_slot_faults)
{
	static const size_t some[] = { 0, 1, 2, 63, 1000, SLOTS - 1 };

	for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++)
		EXPECT_TRUE(is_slot(slot(some[i])));
	for (int i = 1; i < 1 << ORDER; i++)
		EXPECT_EQ(0, touch(slot(7) + i * PAGE, i % 2));
}

TEST_F(stacks, system_calls_get_efault)
{
	EXPECT_EQ(0, read_into(slot(1) + PAGE));
	EXPECT_EQ(-EFAULT, read_into(slot(1)));
	EXPECT_EQ(0, uring_read_into(slot(2) + PAGE, 0));
	EXPECT_EQ(-EFAULT, uring_read_into(slot(2), 0));
	EXPECT_EQ(0, uring_read_into(slot(3) + PAGE, IOSQE_ASYNC)); /* in a thread of the kernel's */
	EXPECT_EQ(-EFAULT, uring_read_into(slot(3), IOSQE_ASYNC));
	EXPECT_EQ(0, other_writes(slot(4) + PAGE));
	EXPECT_EQ(-EFAULT, other_writes(slot(4)));
	EXPECT_EQ(0, forced_write(slot(5) + PAGE));
	EXPECT_EQ(-EIO, forced_write(slot(5)));
}

TEST_F(stacks, memory_is_zero_and_stays_as_it_was_written)
{
	for (size_t i = 0; i < 100; i++) {
		volatile uint64_t *at = (uint64_t *)(slot(i) + PAGE);

		EXPECT_EQ(0, at[0] | at[511]);
		at[1] = i;
		EXPECT_EQ(i, at[1]);
		EXPECT_EQ(0, at[0] | at[2]);
	}
	for (size_t i = 0; i < 100; i++)
		EXPECT_EQ(i, ((uint64_t *)(slot(i) + PAGE))[1]);
	EXPECT_EQ(0, madvise(stacks, SIZE, MADV_DONTNEED));
	for (size_t i = 0; i < 100; i++) {
		EXPECT_EQ(0, ((uint64_t *)(slot(i) + PAGE))[1]);
		EXPECT_TRUE(is_guard(slot(i)));
	}
}

static int mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	int n = 0;

	for (int ch; (ch = getc(f)) != EOF;)
		n += ch == '\n';
	fclose(f);
	return n;
}

TEST_F(stacks, one_mapping_has_them_all)
{
	const int before = mappings();

	for (size_t i = 0; i < 1000; i++)
		slot(i * 4)[SLOT - 1] = 1;
	EXPECT_EQ(before, mappings());
}

TEST_F(stacks, memory_is_charged_to_the_cgroup)
{
	enum { N = 1000 };
	const long most = N * (long)PAGE * 9 / 10;
	long before, with, after;

	if (!cgroup_begin())
		SKIP(return, "no cgroup of our own here");
	before = cgroup_bytes();
	for (size_t i = 0; i < N; i++)
		slot(i)[SLOT - 1] = 1;
	with = cgroup_bytes();
	madvise(stacks, SIZE, MADV_DONTNEED);
	after = cgroup_bytes();
	TH_LOG("%ld KiB, %ld given back", (with - before) >> 10, (with - after) >> 10);
	EXPECT_LE(most, with - before);
	EXPECT_LE(most, with - after);
	cgroup_end();
}

/* ---- fork ---- */

TEST_F(stacks, a_child_has_a_copy)
{
	int status;
	pid_t child;

	strcpy(slot(1) + PAGE, "parent");
	child = fork();
	if (!child) {
		CHECK_EQ(0, strcmp(slot(1) + PAGE, "parent"));
		strcpy(slot(1) + PAGE, "child");
		CHECK_EQ(0, strcmp(slot(1) + PAGE, "child"));
		CHECK(is_slot(slot(0)) && is_slot(slot(1)));
		_exit(0);
	}
	waitpid(child, &status, 0);
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, strcmp(slot(1) + PAGE, "parent"));
	EXPECT_TRUE(is_slot(slot(1)));
}

/* It asks for no more than /dev/zero does, so also with a descriptor that came from elsewhere. */
TEST_F(stacks, a_child_can_map_its_own)
{
	int fd = dev_open(), status;
	pid_t child = fork();

	if (!child) {
		munmap(stacks, SIZE);
		stacks = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, fd,
			      (off_t)RINGO_STACKS(ORDER));
		CHECK(stacks != MAP_FAILED && is_slot(slot(3)));
		_exit(0);
	}
	waitpid(child, &status, 0);
	EXPECT_EQ(0, status);
	close(fd);
}

/* ---- hostile ---- */

static int map_err(uint64_t offset, int prot, int flags)
{
	char *p = map_at(offset, SIZE, prot, flags);

	if (!p)
		return -errno;
	munmap(p, SIZE);
	return 0;
}

TEST_F(stacks, mappings_that_make_no_sense)
{
	const int rw = PROT_READ | PROT_WRITE;
	char *p;
	int fd;

	EXPECT_EQ(-EINVAL, map_err(RINGO_STACKS(ORDER), rw, MAP_SHARED));
	EXPECT_EQ(-EINVAL, map_err(RINGO_STACKS(ORDER), PROT_READ, MAP_SHARED));
	EXPECT_EQ(-EPERM, map_err(RINGO_STACKS(ORDER), rw | PROT_EXEC, MAP_PRIVATE));
	EXPECT_EQ(-EINVAL, map_err(RINGO_STACKS(0), rw, MAP_PRIVATE));
	EXPECT_EQ(-EINVAL, map_err(RINGO_STACKS(RINGO_STACKS_ORDERS), rw, MAP_PRIVATE));
	EXPECT_EQ(-EINVAL, map_err(RINGO_STACKS(63), rw, MAP_PRIVATE));
	EXPECT_NE(0, map_err(RINGO_STACKS(64), rw, MAP_PRIVATE));
	for (unsigned order = 1; order < RINGO_STACKS_ORDERS; order++)
		EXPECT_EQ(0, map_err(RINGO_STACKS(order), PROT_NONE, MAP_PRIVATE));
	/* What is opened for reading cannot be mapped shared in disguise either. */
	fd = open(RINGO_DEVICE, O_RDONLY | O_CLOEXEC);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, (off_t)RINGO_STACKS(ORDER)));
	p = mmap(NULL, SLOT, rw, MAP_PRIVATE, fd, (off_t)RINGO_STACKS(ORDER));
	close(fd);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_TRUE(is_slot(p));
	munmap(p, SLOT);
}

TEST_F(stacks, rights_do_not_open_it)
{
	EXPECT_EQ(-1, mprotect(stacks, SIZE, PROT_READ | PROT_EXEC));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(0, mprotect(slot(1), SLOT, PROT_NONE));
	EXPECT_EQ(SIGSEGV, touch(slot(1) + PAGE, false));
	EXPECT_EQ(0, mprotect(slot(1), SLOT, PROT_READ));
	EXPECT_EQ(0, touch(slot(1) + PAGE, false));
	EXPECT_EQ(SIGSEGV, touch(slot(1) + PAGE, true));
	EXPECT_EQ(0, mprotect(slot(1), SLOT, PROT_READ | PROT_WRITE));
	EXPECT_TRUE(is_slot(slot(1)));
}

TEST_F(stacks, moved_split_and_grown)
{
	char *p;

	munmap(slot(1) + PAGE, PAGE); /* in two */
	EXPECT_TRUE(is_guard(slot(1)) && is_slot(slot(2)));
	strcpy(slot(2) + PAGE, "moved");
	p = mremap(slot(2), 2 * SLOT, 2 * SLOT, MREMAP_MAYMOVE | MREMAP_FIXED, slot(SLOTS / 2) + PAGE);
	ASSERT_EQ(slot(SLOTS / 2) + PAGE, p);
	EXPECT_EQ(0, strcmp(p + PAGE, "moved"));
	EXPECT_TRUE(is_slot(p) && is_slot(p + SLOT));
	p = mremap(p, 2 * SLOT, 4 * SLOT, MREMAP_MAYMOVE);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_TRUE(is_slot(p) && is_slot(p + SLOT) && is_slot(p + 2 * SLOT) && is_slot(p + 3 * SLOT));
	munmap(p, 4 * SLOT);
	munmap(slot(2), 2 * SLOT); /* where nothing is */
}

/* Until its offset says something else, and beyond. */
TEST_F(stacks, grown_far_away)
{
	const size_t huge = (size_t)1 << 46;
	char *p = map_at(RINGO_STACKS(RINGO_STACKS_ORDERS - 1), PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	int n;

	ASSERT_NE(NULL, p);
	EXPECT_TRUE(is_guard(p));
	for (n = 0; n < 1100; n++) {
		char *q = mremap(p, PAGE, huge, MREMAP_MAYMOVE);

		if (q == MAP_FAILED)
			break;
		munmap(q, huge - PAGE);
		p = q + huge - PAGE;
		if (n % 16 == 0)
			touch(p, n % 32);
	}
	EXPECT_LT(1024, n);
	munmap(p, PAGE);
}

/* Whatever the advice, and whether it is taken. */
TEST_F(stacks, advice)
{
	for (int advice = 0; advice < 30; advice++) {
		if (advice == MADV_DONTFORK || advice == MADV_REMOVE)
			continue;
		slot(1)[PAGE] = 1;
		madvise(stacks, 4 * SLOT, advice);
		EXPECT_TRUE(is_slot(slot(1)));
	}
	for (int advice = 22; advice < 24; advice++) { /* MADV_POPULATE_READ, _WRITE */
		EXPECT_EQ(-1, madvise(slot(1), PAGE, advice));
		EXPECT_EQ(EFAULT, errno);
		EXPECT_EQ(0, madvise(slot(1) + PAGE, SLOT - PAGE, advice));
	}
	EXPECT_EQ(-1, madvise(stacks, SLOT, MADV_REMOVE));
	EXPECT_EQ(0, madvise(stacks, SIZE, MADV_DODUMP)); /* they belong in a core */
	EXPECT_EQ(-1, mlock(slot(1), SLOT));
	munlock(slot(1), SLOT);
	EXPECT_TRUE(is_slot(slot(1)));
}

/* Nor with a page put there. */
TEST_F(stacks, userfaultfd_is_refused)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .range = { (uintptr_t)stacks, SIZE }, .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd < 0)
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, ioctl(fd, UFFDIO_API, &api));
	EXPECT_EQ(-1, ioctl(fd, UFFDIO_REGISTER, &reg));
	close(fd);
}

/* All threads of a process at the same pages, while another throws them away. */
static void *touches(void *arg)
{
	for (int i = 0; i < 500; i++) {
		STORE(slot((size_t)i % 8) + PAGE + (uintptr_t)arg, 1);
		CHECK_EQ(-EFAULT, read_into(slot((size_t)i % 8)));
		if (!arg)
			madvise(stacks, 8 * SLOT, MADV_DONTNEED);
	}
	return NULL;
}

TEST_F(stacks, many_at_once)
{
	pthread_t t[4];

	for (uintptr_t i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, touches, (void *)i);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	EXPECT_TRUE(is_slot(slot(0)));
}

TEST_F(stacks, the_module_stays_as_long_as_they_do)
{
	if (!emulated())
		SKIP(return, "only in a machine of our own");
	EXPECT_EQ(-EWOULDBLOCK, module_unload());
	EXPECT_TRUE(is_slot(slot(1)));
	munmap(stacks, SIZE);
	EXPECT_EQ(0, module_unload_soon());
	EXPECT_EQ(0, module_load(""));
}

KMOD_MAIN
