// SPDX-License-Identifier: MIT
/* ringo-doctor: what it says about a process, about a machine where something is forbidden, and to bad questions. */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "help.h"

static int process_main(void *arg)
{
	struct said s = say("ringo-doctor", "%d", getpid());

	check_says(&s, 0, "back end          ok      io_uring\n");
	check_says(&s, 0, arg);
	check_says(&s, 0, "quantum           ok      2000 us\n");
	free(s.text);
	return 0;
}

/* preempt: what it is set to; says: a line of it. */
static int examined(const char *preempt, const char *bpfd, char *says)
{
	setenv("RINGO_PREEMPT", preempt, 1);
	setenv("RINGO_BPFD", bpfd, 1);
	setenv("RINGO_QUANTUM_US", "2000", 1);
	return ringo_run(process_main, says);
}

TEST(says_what_is_in_force_in_a_process)
{
	char asked[] = "preemption        better  by sysmon, as the program or RINGO_PREEMPT wants it\n";
	char none[] = "BPF               better  it was not there when the program started\n"
		      "                          -> systemctl";
	char off[] = "preemption        better  none: a goroutine that computes holds up those of its P\n";

	NEEDS_TOOL("ringo-doctor");
	EXPECT_EQ(0, examined("sysmon", "/nonexistent", asked));
	EXPECT_EQ(0, examined("bpf", "/nonexistent", none));
	EXPECT_EQ(0, examined("off", "/nonexistent", off));
}

/* One system call fails with that error from now on, in this process and those it starts. */
static void forbid(int nr, int err)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | err),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { sizeof(f) / sizeof(*f), f };

	CHECK_EQ(0, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	CHECK_EQ(0, prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog));
}

static void check_forbidden(int nr, int err, int status, const char *says)
{
	struct said s;
	int end;
	pid_t pid = fork();

	if (pid) {
		CHECK_EQ(pid, waitpid(pid, &end, 0));
		CHECK_EQ(0, end);
		return;
	}
	forbid(nr, err);
	s = say("ringo-doctor", "%s", "");
	check_says(&s, status, says);
	_exit(0);
}

TEST(says_what_is_forbidden_here)
{
	NEEDS_TOOL("ringo-doctor");
	check_forbidden(SYS_io_uring_setup, EPERM, 1, "io_uring          AMISS   forbidden by ");
	check_forbidden(SYS_io_uring_setup, ENOSYS, 1, "io_uring          AMISS   not there: ringo_run fails\n");
	check_forbidden(SYS_membarrier, EPERM, 1, "preemption        AMISS   none: membarrier(2) is not there\n");
	check_forbidden(SYS_madvise, EINVAL, -1, "stack guard       better  guard pages: about ");
}

TEST(says_which_limits_are_low)
{
	const struct rlimit files = { 100, 100 }, space = { INT64_C(64) << 30, RLIM_INFINITY };
	struct said s;

	NEEDS_TOOL("ringo-doctor");
	if (SANITIZED)
		SKIP(return, "sanitizers need address space without a limit");
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
	ASSERT_EQ(0, setrlimit(RLIMIT_AS, &space));
	s = say("ringo-doctor", "%s", "");
	check_says(&s, -1, "descriptors       better  100, hard limit 100");
	check_says(&s, -1, "address space     better  limited to 65536 MiB");
	free(s.text);
}

TEST(refuses_bad_questions)
{
	struct said s;

	NEEDS_TOOL("ringo-doctor");
	s = say("ringo-doctor", "%d", getpid());
	check_says(&s, 1, "no ringo_run goes on in it");
	s = say("ringo-doctor", "1 2");
	check_says(&s, 64, "one process at a time");
	s = say("ringo-doctor", "--nonsense");
	check_says(&s, 64, "nonsense");
	s = say("ringo-doctor", "--help");
	check_says(&s, 0, "Examples:");
}

TEST_HARNESS_MAIN
