// SPDX-License-Identifier: MIT
/* Files: results and errors of each call, as POSIX has them. */
#include <sys/eventfd.h>

#include "io_help.h"

static char *long_name(void)
{
	static char name[5000];

	memset(name, 'a', sizeof(name) - 1);
	return name;
}

static char *component_too_long(void)
{
	static char name[300];

	memset(name, 'b', sizeof(name) - 1);
	return name;
}

/* Volatile: the compiler is not to know. */
static void *volatile bad_pointer = (void *)8;

#define BAD_POINTER bad_pointer

FIXTURE(dir) { };

FIXTURE_SETUP(dir)
{
	enter_dir();
}

FIXTURE_TEARDOWN(dir)
{
	leave_dir();
}

/* A test in a directory of its own whose body is the main goroutine. */
#define DIR_TEST(name) \
	static int name##_main(void *arg); \
	TEST_F(dir, name) \
	{ \
		ASSERT_EQ(0, ringo_run(name##_main, NULL)); \
	} \
	static int name##_main(void *arg __attribute__((unused)))

DIR_TEST(open_makes_files_with_their_mode_and_close_on_exec)
{
	struct stat st;
	int fd;

	umask(0);
	fd = (int)OK(ringo_open("f", O_RDWR | O_CREAT | O_EXCL, 0640));
	CHECK(cloexec(fd));
	CHECK(!fstat(fd, &st));
	CHECK_EQ(st.st_mode & 07777, 0640);
	CHECK_EQ(ringo_open("f", O_RDWR | O_CREAT | O_EXCL, 0640), -EEXIST);
	CHECK_EQ(ringo_close(fd), 0);
	CHECK_EQ(ringo_close(fd), -EBADF);
	return 0;
}

DIR_TEST(openat_is_relative_to_its_directory)
{
	int dir, fd;

	CHECK_EQ(ringo_mkdir("d", 0755), 0);
	dir = (int)OK(ringo_open("d", O_RDONLY | O_DIRECTORY));
	fd = (int)OK(ringo_openat(dir, "f", O_WRONLY | O_CREAT, 0600));
	CHECK(!access("d/f", F_OK));
	CHECK(cloexec(fd));
	CHECK_EQ(ringo_openat(fd, "f", O_RDONLY), -ENOTDIR);
	CHECK_EQ(ringo_openat(9999, "f", O_RDONLY), -EBADF);
	ringo_close(fd);
	ringo_close(dir);
	return 0;
}

DIR_TEST(an_unnamed_file_takes_its_mode)
{
	int fd = ringo_open(".", O_TMPFILE | O_RDWR, 0600);
	struct stat st;

	if (fd == -EOPNOTSUPP || fd == -EISDIR)
		return 0; /* a file system that has none */
	OK(fd);
	CHECK(!fstat(fd, &st));
	CHECK_EQ(st.st_mode & 0777, 0600);
	ringo_close(fd);
	return 0;
}

DIR_TEST(opening_fails_as_posix_says)
{
	close((int)OK(creat("file", 0600)));
	CHECK(!symlink("loop", "loop"));
	CHECK_EQ(ringo_open("none", O_RDONLY), -ENOENT);
	CHECK_EQ(ringo_open("", O_RDONLY), -ENOENT);
	CHECK_EQ(ringo_open("file/x", O_RDONLY), -ENOTDIR);
	CHECK_EQ(ringo_open("file", O_RDONLY | O_DIRECTORY), -ENOTDIR);
	CHECK_EQ(ringo_open(".", O_WRONLY), -EISDIR);
	CHECK_EQ(ringo_open("loop", O_RDONLY), -ELOOP);
	CHECK_EQ(ringo_open(long_name(), O_RDONLY), -ENAMETOOLONG);
	CHECK_EQ(ringo_open(component_too_long(), O_RDONLY), -ENAMETOOLONG);
	CHECK_EQ(ringo_open(BAD_POINTER, O_RDONLY), -EFAULT);
	return 0;
}

static int fifo_open;

static void read_fifo(void)
{
	int fd = (int)OK(ringo_open("fifo", O_RDONLY));
	char c;

	STORE(&fifo_open, 1);
	CHECK_EQ(ringo_read(fd, &c, 1), 1);
	CHECK_EQ(c, 'x');
	CHECK_EQ(ringo_read(fd, &c, 1), 0);
	ringo_close(fd);
	STORE(&fifo_open, 2);
}

DIR_TEST(opening_a_fifo_waits_for_the_other_end)
{
	int fd;

	CHECK(!mkfifo("fifo", 0600));
	TIMES_OUT(20, ringo_open("fifo", O_RDONLY));
	TIMES_OUT(20, ringo_open("fifo", O_WRONLY));
	CHECK_EQ(ringo_open("fifo", O_WRONLY | O_NONBLOCK), -ENXIO);
	OK(ringo_go(read_fifo));
	OK(ringo_sleep(20 * RINGO_MS));
	CHECK_EQ(LOAD(&fifo_open), 0);
	fd = (int)OK(ringo_open("fifo", O_WRONLY));
	until(&fifo_open, 1);
	CHECK_EQ(ringo_write(fd, "x", 1), 1);
	ringo_close(fd);
	until(&fifo_open, 2);
	return 0;
}

DIR_TEST(reading_and_writing_move_the_position)
{
	int fd = (int)OK(ringo_open("f", O_RDWR | O_CREAT, 0600));
	char buf[16] = "";

	CHECK_EQ(ringo_write(fd, "hello ", 6), 6);
	CHECK_EQ(ringo_write(fd, "world", 5), 5);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 11);
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	CHECK_EQ(ringo_read(fd, buf, 6), 6);
	CHECK_EQ(ringo_read(fd, buf, sizeof(buf)), 5);
	CHECK(!memcmp(buf, "world", 5));
	CHECK_EQ(ringo_read(fd, buf, sizeof(buf)), 0);
	CHECK_EQ(ringo_read(fd, buf, 0), 0);
	ringo_close(fd);
	return 0;
}

DIR_TEST(the_p_calls_leave_the_position_alone)
{
	int fd = (int)OK(ringo_open("f", O_RDWR | O_CREAT, 0600));
	char a[3] = "", b[3] = "";
	struct iovec iov[2] = { { a, 2 }, { b, 2 } };

	CHECK_EQ(ringo_pwrite(fd, "0123456789", 10, 0), 10);
	CHECK_EQ(ringo_pread(fd, a, 2, 4), 2);
	CHECK(!strcmp(a, "45"));
	CHECK_EQ(ringo_preadv(fd, iov, 2, 6), 4);
	CHECK(!strcmp(a, "67") && !strcmp(b, "89"));
	CHECK_EQ(ringo_pwritev(fd, iov, 2, 0), 4);
	CHECK_EQ(ringo_pread(fd, a, 2, 0), 2);
	CHECK(!strcmp(a, "67"));
	CHECK_EQ(ringo_pread(fd, a, 2, 10), 0);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
	CHECK_EQ(ringo_pwrite(fd, "x", 1, 1 << 20), 1);
	CHECK_EQ(lseek(fd, 0, SEEK_END), (1 << 20) + 1);
	ringo_close(fd);
	return 0;
}

enum { WRITERS = 8, LINES = 200, LINE = 20 };

static int shared_fd, writers_done;

static void write_lines(long id)
{
	char line[LINE + 1];

	for (int i = 0; i < LINES; i++) {
		snprintf(line, sizeof(line), "%03ld %014d \n", id, i);
		CHECK_EQ(ringo_write(shared_fd, line, LINE), LINE);
		if (i % 16 == 0)
			ringo_yield();
	}
	ADD(&writers_done, 1);
}

/* As with write(2); without O_APPEND all go by the one position. */
DIR_TEST(writers_of_one_descriptor_do_not_overwrite_each_other)
{
	int seen[WRITERS] = { 0 };
	char line[LINE + 1] = "";

	shared_fd = (int)OK(ringo_open("f", O_RDWR | O_CREAT, 0600));
	for (long i = 0; i < WRITERS; i++)
		OK(ringo_go(write_lines, i));
	until(&writers_done, WRITERS);
	CHECK_EQ(lseek(shared_fd, 0, SEEK_END), WRITERS * LINES * LINE);
	CHECK_EQ(lseek(shared_fd, 0, SEEK_SET), 0);
	while (ringo_read_full(shared_fd, line, LINE) == LINE)
		CHECK_EQ(atoi(line + 4), seen[atoi(line)]++);
	for (int i = 0; i < WRITERS; i++)
		CHECK_EQ(seen[i], LINES);
	return 0;
}

DIR_TEST(an_eventfd_waits_although_it_claims_to_seek)
{
	int fd = eventfd(0, 0);
	uint64_t n = 3;

	TIMES_OUT(20, ringo_read(fd, &n, sizeof(n)));
	CHECK_EQ(ringo_write(fd, &n, sizeof(n)), 8);
	CHECK_EQ(ringo_read(fd, &n, sizeof(n)), 8);
	CHECK_EQ(n, 3);
	return 0;
}

DIR_TEST(vectors_are_read_and_written_in_order)
{
	int fd = (int)OK(ringo_open("f", O_RDWR | O_CREAT, 0600));
	char a[4] = "abc", b[4] = "def";
	struct iovec iov[3] = { { a, 3 }, { NULL, 0 }, { b, 3 } };

	CHECK_EQ(ringo_writev(fd, iov, 3), 6);
	CHECK_EQ(lseek(fd, 1, SEEK_SET), 1);
	CHECK_EQ(ringo_readv(fd, iov, 3), 5);
	CHECK(!memcmp(a, "bcd", 3) && !memcmp(b, "ef", 2));
	CHECK_EQ(ringo_readv(fd, iov, 0), 0);
	CHECK_EQ(ringo_readv(fd, iov, -1), -EINVAL);
	CHECK_EQ(ringo_writev(fd, iov, IOV_MAX + 1), -EINVAL);
	CHECK_EQ(ringo_readv(fd, BAD_POINTER, 1), -EFAULT);
	ringo_close(fd);
	return 0;
}

DIR_TEST(negative_offsets_are_refused)
{
	int fd = (int)OK(ringo_open("f", O_RDWR | O_CREAT, 0600));
	char c = 'x';
	struct iovec iov = { &c, 1 };

	CHECK_EQ(ringo_write(fd, "abc", 3), 3);
	for (off_t off = -1; off > -3; off--) {
		CHECK_EQ(ringo_pread(fd, &c, 1, off), -EINVAL);
		CHECK_EQ(ringo_pwrite(fd, &c, 1, off), -EINVAL);
		CHECK_EQ(ringo_preadv(fd, &iov, 1, off), -EINVAL);
		CHECK_EQ(ringo_pwritev(fd, &iov, 1, off), -EINVAL);
	}
	CHECK_EQ(c, 'x');
	CHECK_EQ(lseek(fd, 0, SEEK_END), 3);
	ringo_close(fd);
	return 0;
}

DIR_TEST(pipes_and_sockets_have_no_offsets)
{
	int p[2], s[2];
	char c = 'x';
	struct iovec iov = { &c, 1 };

	OK(ringo_pipe(p));
	unix_pair(s, SOCK_STREAM);
	CHECK_EQ(ringo_write(p[1], "abc", 3), 3);
	CHECK_EQ(ringo_pread(p[0], &c, 1, 0), -ESPIPE);
	CHECK_EQ(ringo_pwrite(p[1], &c, 1, 0), -ESPIPE);
	CHECK_EQ(ringo_preadv(p[0], &iov, 1, 0), -ESPIPE);
	CHECK_EQ(ringo_pwritev(p[1], &iov, 1, 0), -ESPIPE);
	CHECK_EQ(ringo_pread(s[0], &c, 1, 0), -ESPIPE);
	CHECK_EQ(ringo_pwrite(s[0], &c, 1, 0), -ESPIPE);
	CHECK_EQ(ringo_read(p[0], &c, 1), 1); /* all is there still */
	CHECK_EQ(c, 'a');
	return 0;
}

DIR_TEST(devices_take_offsets)
{
	int fd = (int)OK(ringo_open("/dev/zero", O_RDWR));
	char c = 'x';

	CHECK_EQ(ringo_pread(fd, &c, 1, 1000), 1);
	CHECK_EQ(c, 0);
	CHECK_EQ(ringo_pwrite(fd, &c, 1, 1000), 1);
	ringo_close(fd);
	return 0;
}

DIR_TEST(transfers_on_the_wrong_descriptor_fail)
{
	int ro, wo, dir;
	char c = 'x';

	close((int)OK(creat("f", 0600)));
	ro = (int)OK(ringo_open("f", O_RDONLY));
	wo = (int)OK(ringo_open("f", O_WRONLY));
	dir = (int)OK(ringo_open(".", O_RDONLY));
	CHECK_EQ(ringo_read(-1, &c, 1), -EBADF);
	CHECK_EQ(ringo_read(9999, &c, 1), -EBADF);
	CHECK_EQ(ringo_read(1 << 30, &c, 1), -EBADF);
	CHECK_EQ(ringo_write(9999, &c, 1), -EBADF);
	CHECK_EQ(ringo_pread(9999, &c, 1, 0), -EBADF);
	CHECK_EQ(ringo_pwrite(9999, &c, 1, 0), -EBADF);
	CHECK_EQ(ringo_read(wo, &c, 1), -EBADF);
	CHECK_EQ(ringo_pread(wo, &c, 1, 0), -EBADF);
	CHECK_EQ(ringo_write(ro, &c, 1), -EBADF);
	CHECK_EQ(ringo_pwrite(ro, &c, 1, 0), -EBADF);
	CHECK_EQ(ringo_read(dir, &c, 1), -EISDIR);
	CHECK_EQ(ringo_pread(dir, &c, 1, 0), -EISDIR);
	CHECK_EQ(ringo_write_all(9999, &c, 1), -EBADF);
	CHECK_EQ(ringo_read_full(9999, &c, 1), -EBADF);
	return 0;
}

DIR_TEST(bad_memory_is_an_error_and_no_crash)
{
	int fd = (int)OK(ringo_open("f", O_RDWR | O_CREAT, 0600)), p[2];

	OK(ringo_pipe(p));
	CHECK_EQ(ringo_write(fd, "abc", 3), 3);
	CHECK_EQ(ringo_write(p[1], "abc", 3), 3);
	CHECK_EQ(ringo_pread(fd, BAD_POINTER, 1, 0), -EFAULT);
	CHECK_EQ(ringo_read(p[0], BAD_POINTER, 1), -EFAULT);
	CHECK_EQ(ringo_write(p[1], BAD_POINTER, 1), -EFAULT);
	CHECK_EQ(ringo_write(fd, BAD_POINTER, 1), -EFAULT);
	CHECK_EQ(ringo_rename(BAD_POINTER, "x"), -EFAULT);
	CHECK_EQ(ringo_unlink(BAD_POINTER), -EFAULT);
	CHECK_EQ(ringo_mkdir(BAD_POINTER, 0700), -EFAULT);
	CHECK_EQ(ringo_statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS, BAD_POINTER), -EFAULT);
	return 0;
}

G_TEST(a_full_device_says_so)
{
	int fd = (int)OK(ringo_open("/dev/full", O_RDWR));
	char c = 'x';
	struct iovec iov = { &c, 1 };

	CHECK_EQ(ringo_write(fd, &c, 1), -ENOSPC);
	CHECK_EQ(ringo_pwrite(fd, &c, 1, 0), -ENOSPC);
	CHECK_EQ(ringo_writev(fd, &iov, 1), -ENOSPC);
	CHECK_EQ(ringo_write_all(fd, &c, 1), -ENOSPC);
	CHECK_EQ(ringo_read(fd, &c, 1), 1);
	ringo_close(fd);
	return 0;
}

DIR_TEST(the_limit_of_a_files_size_is_an_error)
{
	struct rlimit l = { 4096, 4096 };
	int fd = (int)OK(ringo_open("f", O_RDWR | O_CREAT, 0600));
	static char page[8192];

	signal(SIGXFSZ, SIG_IGN);
	CHECK(!setrlimit(RLIMIT_FSIZE, &l));
	CHECK_EQ(ringo_write_all(fd, page, sizeof(page)), 4096); /* what went before the error */
	CHECK_EQ(ringo_write_all(fd, page, 1), -EFBIG);
	CHECK_EQ(ringo_ftruncate(fd, 5000), -EFBIG);
	ringo_close(fd);
	return 0;
}

DIR_TEST(sizes_beyond_the_limit_of_one_call_are_cut)
{
	int fd = (int)OK(ringo_open("f", O_RDWR | O_CREAT, 0600));
	char buf[8];

	CHECK_EQ(ringo_pwrite(fd, "abcd", 4, 0), 4);
	/* Lengths are 64 bits: the low 32 of this one are 0. */
	CHECK_EQ(ringo_pread(fd, buf, (size_t)1 << 32, 0), 4);
	CHECK(!memcmp(buf, "abcd", 4));
	ringo_close(fd);
	return 0;
}

DIR_TEST(a_file_grows_and_shrinks)
{
	int fd = (int)OK(ringo_open("f", O_RDWR | O_CREAT, 0600)), p[2], ro, res;
	struct stat st;

	CHECK_EQ(ringo_ftruncate(fd, 1000), 0);
	CHECK(!fstat(fd, &st));
	CHECK_EQ(st.st_size, 1000);
	CHECK_EQ(ringo_ftruncate(fd, -1), -EINVAL);
	CHECK_EQ(ringo_ftruncate(9999, 0), -EBADF);
	ro = (int)OK(ringo_open("f", O_RDONLY));
	CHECK_EQ(ringo_ftruncate(ro, 0), -EINVAL);
	res = ringo_fallocate(fd, 0, 0, 8192);
	if (res != -EOPNOTSUPP) {
		CHECK_EQ(res, 0);
		CHECK(!fstat(fd, &st));
		CHECK_EQ(st.st_size, 8192);
	}
	CHECK_EQ(ringo_fallocate(fd, 0, -1, 10), -EINVAL);
	CHECK_EQ(ringo_fallocate(fd, 0, 0, 0), -EINVAL);
	CHECK_EQ(ringo_fallocate(ro, 0, 0, 10), -EBADF);
	OK(ringo_pipe(p));
	CHECK_EQ(ringo_fallocate(p[1], 0, 0, 10), -ESPIPE);
	return 0;
}

DIR_TEST(a_file_is_synced)
{
	int fd = (int)OK(ringo_open("f", O_RDWR | O_CREAT, 0600)), p[2];

	CHECK_EQ(ringo_write(fd, "abc", 3), 3);
	CHECK_EQ(ringo_fsync(fd), 0);
	CHECK_EQ(ringo_fdatasync(fd), 0);
	OK(ringo_pipe(p));
	CHECK_EQ(ringo_fsync(p[0]), -EINVAL);
	CHECK_EQ(ringo_fdatasync(9999), -EBADF);
	return 0;
}

DIR_TEST(names_are_made_moved_removed)
{
	struct statx st;

	CHECK_EQ(ringo_mkdir("d", 0700), 0);
	CHECK_EQ(ringo_mkdir("d", 0700), -EEXIST);
	CHECK_EQ(ringo_mkdir("none/d", 0700), -ENOENT);
	CHECK_EQ(ringo_mkdir(long_name(), 0700), -ENAMETOOLONG);
	close((int)OK(creat("a", 0600)));
	CHECK_EQ(ringo_mkdir("a/d", 0700), -ENOTDIR);
	CHECK_EQ(ringo_rename("a", "d/b"), 0);
	CHECK(access("a", F_OK) && !access("d/b", F_OK));
	CHECK_EQ(ringo_rename("a", "c"), -ENOENT);
	CHECK_EQ(ringo_rename("d", "d/e"), -EINVAL);
	CHECK_EQ(ringo_rename("d/b", "d"), -ENOTEMPTY);
	CHECK_EQ(ringo_mkdir("e", 0700), 0);
	CHECK_EQ(ringo_rename("d/b", "e"), -EISDIR);
	CHECK_EQ(ringo_unlink("d"), -EISDIR);
	CHECK_EQ(ringo_statx(AT_FDCWD, "d/b", 0, STATX_SIZE | STATX_MODE, &st), 0);
	CHECK_EQ(st.stx_size, 0);
	CHECK(S_ISREG(st.stx_mode));
	CHECK_EQ(ringo_unlink("d/b"), 0);
	CHECK_EQ(ringo_unlink("d/b"), -ENOENT);
	CHECK_EQ(ringo_statx(AT_FDCWD, "d/b", 0, STATX_SIZE, &st), -ENOENT);
	CHECK_EQ(ringo_statx(9999, "d/b", 0, STATX_SIZE, &st), -EBADF);
	return 0;
}

DIR_TEST(write_all_and_read_full_move_megabytes)
{
	enum { N = 10 << 20 };
	int fd = (int)OK(ringo_open("f", O_RDWR | O_CREAT, 0600));
	char *out = malloc(N), *in = malloc(N + 1);

	for (int i = 0; i < N; i++)
		out[i] = (char)(i * 7 + i / 251);
	CHECK_EQ(ringo_write_all(fd, out, N), N);
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	CHECK_EQ(ringo_read_full(fd, in, N + 1), N);
	CHECK(!memcmp(in, out, N));
	CHECK_EQ(ringo_read_full(fd, in, 1), 0);
	CHECK_EQ(ringo_write_all(fd, out, 0), 0);
	CHECK_EQ(ringo_read_full(fd, in, 0), 0);
	free(out);
	free(in);
	return 0;
}

DIR_TEST(a_pipe_is_close_on_exec)
{
	int p[2];

	CHECK_EQ(ringo_pipe(p), 0);
	CHECK(cloexec(p[0]) && cloexec(p[1]));
	CHECK_EQ(ringo_pipe(BAD_POINTER), -EFAULT);
	return 0;
}

DIR_TEST(splice_moves_bytes_and_offsets)
{
	int fd = (int)OK(ringo_open("f", O_RDWR | O_CREAT, 0600)), p[2];
	off_t off = 2, neg = -1;
	char buf[8];

	OK(ringo_pipe(p));
	CHECK_EQ(ringo_write(fd, "abcdef", 6), 6);
	CHECK_EQ(ringo_splice(fd, &off, p[1], NULL, 3, 0), 3);
	CHECK_EQ(off, 5);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 6);
	CHECK_EQ(ringo_read(p[0], buf, 8), 3);
	CHECK(!memcmp(buf, "cde", 3));
	CHECK_EQ(ringo_write(p[1], "xy", 2), 2);
	off = 1;
	CHECK_EQ(ringo_splice(p[0], NULL, fd, &off, 100, 0), 2);
	CHECK_EQ(off, 3);
	CHECK_EQ(ringo_pread(fd, buf, 8, 0), 6);
	CHECK(!memcmp(buf, "axydef", 6));
	CHECK_EQ(ringo_splice(fd, &neg, p[1], NULL, 1, 0), -EINVAL);
	CHECK_EQ(ringo_splice(p[0], &off, fd, NULL, 1, SPLICE_F_NONBLOCK), -ESPIPE);
	CHECK_EQ(ringo_splice(fd, &off, fd, NULL, 1, 0), -EINVAL);
	CHECK_EQ(ringo_splice(9999, NULL, p[1], NULL, 1, 0), -EBADF);
	CHECK_EQ(ringo_splice(fd, NULL, p[1], NULL, 1, ~0u), -EINVAL);
	CHECK_EQ(ringo_splice(p[0], NULL, fd, NULL, 1, SPLICE_F_NONBLOCK), -EAGAIN);
	TIMES_OUT(20, ringo_splice(p[0], NULL, fd, NULL, 1, 0));
	ringo_close(p[1]);
	CHECK_EQ(ringo_splice(p[0], NULL, fd, NULL, 1, 0), 0);
	return 0;
}

TEST_HARNESS_MAIN
