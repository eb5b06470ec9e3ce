// SPDX-License-Identifier: MIT
/* Where io_uring is forbidden, ringo_run says so, and what to do. */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "io_help.h"

static int nop(void *arg)
{
	(void)arg;
	return 0;
}

/* As a container's profile does: this system call fails with err. */
static void forbid(int nr, int err)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)err),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { 4, code };

	CHECK(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	CHECK(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0));
}

static int forbid_err;

static void run_forbidden(void)
{
	int before = count_fds(), result = 4711;

	forbid(SYS_io_uring_setup, forbid_err);
	CHECK_EQ(ringo_run(nop, NULL), -forbid_err);
	CHECK_EQ(ringo_run_opt(nop, NULL, &RINGO_OPTIONS(.result = &result)), -forbid_err);
	CHECK_EQ(result, 4711);
	CHECK_EQ(count_fds(), before);
	if (!SANITIZED) /* which have one of their own */
		CHECK_EQ(count_threads(), 1);
}

TEST(forbidden_by_seccomp)
{
	struct outcome o;

	forbid_err = EPERM;
	in_child(&o, run_forbidden);
	ASSERT_EQ(0, o.status) TH_LOG("%s", o.err);
	ASSERT_TRUE(said(&o, "ringo: io_uring is forbidden"));
	ASSERT_TRUE(said(&o, "seccomp") || said(&o, "io_uring_disabled"));
	ASSERT_TRUE(said(&o, "allow") || said(&o, "set it to"));
}

TEST(not_there)
{
	struct outcome o;

	forbid_err = ENOSYS;
	in_child(&o, run_forbidden);
	ASSERT_EQ(0, o.status) TH_LOG("%s", o.err);
	ASSERT_TRUE(said(&o, "ringo: io_uring is not there"));
	ASSERT_TRUE(said(&o, "kernel 6.1"));
	ASSERT_TRUE(said(&o, "seccomp"));
}

TEST(too_old)
{
	struct outcome o;

	forbid_err = EINVAL;
	in_child(&o, run_forbidden);
	ASSERT_EQ(0, o.status) TH_LOG("%s", o.err);
	ASSERT_TRUE(said(&o, "6.1"));
}

TEST(no_memory_for_a_ring)
{
	struct outcome o;

	forbid_err = ENOMEM;
	in_child(&o, run_forbidden);
	ASSERT_EQ(0, o.status) TH_LOG("%s", o.err);
	ASSERT_TRUE(said(&o, "ulimit -l"));
	ASSERT_TRUE(said(&o, "RINGO_PROCS"));
}

static int reads(void *arg)
{
	int p[2];
	char c;

	(void)arg;
	OK(ringo_pipe(p));
	CHECK_EQ(ringo_write(p[1], "x", 1), 1);
	CHECK_EQ(ringo_read(p[0], &c, 1), 1);
	return 0;
}

static void run_unregistered(void)
{
	forbid(SYS_io_uring_register, EPERM);
	CHECK_EQ(ringo_run(reads, NULL), 0);
}

/* Registering saves a little; nothing depends on it. */
TEST(registering_forbidden)
{
	struct outcome o;

	in_child(&o, run_unregistered);
	ASSERT_EQ(0, o.status) TH_LOG("%s", o.err);
}

TEST_HARNESS_MAIN
