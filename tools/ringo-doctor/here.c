// SPDX-License-Identifier: MIT
/* What programs would find here: each thing is tried as the library does it, not guessed from versions. */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "doctor.h"
#include "kmod/uapi/ringo.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

enum { FEW_FILES = 4096, FEW_PROCESSES = 512 };

long number_in(const char *path)
{
	FILE *f = fopen(path, "re");
	long n = -1;

	if (!f)
		return -1;
	if (fscanf(f, "%ld", &n) != 1)
		n = -1;
	fclose(f);
	return n;
}

static void kernel(void)
{
	unsigned major = 0, minor = 0;
	struct utsname u;

	uname(&u);
	sscanf(u.release, "%u.%u", &major, &minor);
	if (major < 6 || (major == 6 && minor < 1))
		finding(AMISS, "kernel", "Linux 6.1 or newer is needed.", "%s", u.release);
	else
		finding(FINE, "kernel", NULL, "%s", u.release);
}

static void io_uring(void)
{
	struct io_uring_params p = { 0 };
	long fd = syscall(SYS_io_uring_setup, 4, &p), disabled;

	if (fd >= 0) {
		close((int)fd);
		finding(FINE, "io_uring", NULL, "works");
		return;
	}
	disabled = number_in("/proc/sys/kernel/io_uring_disabled");
	if (errno == EPERM && disabled > 0)
		finding(AMISS, "io_uring", disabled == 1 ?
			"sysctl kernel.io_uring_disabled=0, or join the group of sysctl kernel.io_uring_group." :
			"sysctl kernel.io_uring_disabled=0",
			"forbidden by sysctl kernel.io_uring_disabled=%ld: ringo_run fails", disabled);
	else if (errno == EPERM || errno == EACCES)
		finding(AMISS, "io_uring", "Allow io_uring_setup, io_uring_enter and io_uring_register in the seccomp "
			"profile of the container (docker: --security-opt seccomp=FILE).",
			"forbidden by seccomp or another security module: ringo_run fails");
	else if (errno == ENOSYS)
		finding(AMISS, "io_uring", "A kernel with CONFIG_IO_URING, and a seccomp profile that does not hide it.",
			"not there: ringo_run fails");
	else
		finding(AMISS, "io_uring", errno == ENOMEM ? "Raise the memory limit of the cgroup, or ulimit -l." : NULL,
			"%s: ringo_run fails", strerror(errno));
}

static bool module_guards(void)
{
	const size_t size = 4096 << 1;
	int fd = open(RINGO_DEVICE, O_RDWR | O_CLOEXEC);
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, fd, (off_t)RINGO_STACKS(1));

	if (fd >= 0)
		close(fd);
	if (p == MAP_FAILED)
		return false;
	munmap(p, size);
	return true;
}

static void guard(void)
{
	long maps = number_in("/proc/sys/vm/max_map_count");
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p != MAP_FAILED && !madvise(p, 4096, MADV_GUARD_INSTALL))
		finding(FINE, "stack guard", NULL, "markers: any number of goroutines");
	else if (module_guards())
		finding(FINE, "stack guard", NULL, "the kernel module's: any number of goroutines");
	else
		finding(COULD_BE_BETTER, "stack guard", "Linux 6.13 or newer has guard markers, and the kernel module "
			"has its own; or sysctl vm.max_map_count=1048576; or RINGO_RUN_CANARY, where those beyond are checked less strictly.",
			"guard pages: about %ld goroutines at once (sysctl vm.max_map_count=%ld)", maps / 2 - 1024,
			maps);
	if (p != MAP_FAILED)
		munmap(p, 4096);
}

static void address_space(void)
{
	long mode = number_in("/proc/sys/vm/overcommit_memory");
	struct rlimit l;

	getrlimit(RLIMIT_AS, &l);
	if (l.rlim_cur != RLIM_INFINITY)
		finding(COULD_BE_BETTER, "address space", "ulimit -v unlimited",
			"limited to %llu MiB: fewer goroutines at once", (unsigned long long)l.rlim_cur >> 20);
	else if (mode == 2)
		finding(COULD_BE_BETTER, "address space", "sysctl vm.overcommit_memory=0 (or 1)",
			"vm.overcommit_memory=2: fewer goroutines at once");
	else
		finding(FINE, "address space", NULL, "unlimited");
}

/* ---- preemption ---- */

static bool module_there(void)
{
	int fd = open(RINGO_DEVICE, O_RDWR | O_CLOEXEC);

	if (fd >= 0) {
		close(fd);
		finding(FINE, "kernel module", NULL, "there");
		return true;
	}
	if (errno == EACCES || errno == EPERM)
		finding(COULD_BE_BETTER, "kernel module", "adduser USER ringo, and log in anew.",
			"there, but " RINGO_DEVICE " is for its group");
	else
		finding(COULD_BE_BETTER, "kernel module", "See kmod/README.md; then modprobe ringo.",
			"not loaded (no " RINGO_DEVICE ")");
	return false;
}

static const char *bpfd_path(void)
{
	const char *path = getenv("RINGO_BPFD");

	return path && *path ? path : RINGO_BPFD_SOCKET;
}

/* 0, or why nobody answers there. */
static int reach(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd, err = 0;

	if (strlen(path) >= sizeof(addr.sun_path))
		return ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		err = errno;
	close(fd);
	return err;
}

static bool bpfd_there(void)
{
	const char *path = bpfd_path();
	int err = reach(path);

	if (!err)
		finding(FINE, "BPF", NULL, "ringo-bpfd answers on %s", path);
	else if (access("/sys/kernel/btf/vmlinux", R_OK))
		finding(COULD_BE_BETTER, "BPF", "A kernel with CONFIG_DEBUG_INFO_BTF; Debian's have it.",
			"the kernel has no BTF (/sys/kernel/btf/vmlinux), which ringo-bpfd needs");
	else if (err == EACCES)
		finding(COULD_BE_BETTER, "BPF", "Start ringo-bpfd with --mode=0666, or join its group.",
			"ringo-bpfd's socket %s is not for you", path);
	else
		finding(COULD_BE_BETTER, "BPF", "systemctl enable --now ringo-bpfd.socket, or run ringo-bpfd as root.",
			"no ringo-bpfd on %s (%s)", path, strerror(err));
	return !err;
}

static void preemption(void)
{
	long can = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
	bool module, bpf;

	if (can < 0 || !(can & MEMBARRIER_CMD_PRIVATE_EXPEDITED)) {
		finding(AMISS, "preemption", "Allow membarrier(2) in the seccomp profile.",
			"none: membarrier(2) is not there");
		return;
	}
	module = module_there();
	bpf = bpfd_there();
	finding(FINE, "preemption", NULL, module || bpf ? "better than by sysmon is to be had" :
		"by sysmon: within one and a half quanta; later for threads that block");
}

/* ---- limits ---- */

static void files(void)
{
	struct rlimit l;

	getrlimit(RLIMIT_NOFILE, &l);
	finding(l.rlim_cur < FEW_FILES ? COULD_BE_BETTER : FINE, "descriptors",
		"ulimit -n, LimitNOFILE= of systemd, or /etc/security/limits.conf; the program may raise it to the hard "
		"limit by itself.", "%llu, hard limit %llu: one for each connection",
		(unsigned long long)l.rlim_cur, (unsigned long long)l.rlim_max);
}

static void locked_memory(void)
{
	struct rlimit l;

	getrlimit(RLIMIT_MEMLOCK, &l);
	if (l.rlim_cur == RLIM_INFINITY)
		finding(FINE, "locked memory", NULL, "unlimited");
	else
		finding(FINE, "locked memory", NULL, "%llu KiB: enough, since Linux 5.12 rings are not counted in it",
			(unsigned long long)l.rlim_cur >> 10);
}

static void threads(void)
{
	struct rlimit l;

	getrlimit(RLIMIT_NPROC, &l);
	if (l.rlim_cur != RLIM_INFINITY && l.rlim_cur < FEW_PROCESSES)
		finding(COULD_BE_BETTER, "threads", "ulimit -u, LimitNPROC= or TasksMax= of systemd.",
			"no more than %llu of this user", (unsigned long long)l.rlim_cur);
	else
		finding(FINE, "threads", NULL, "no tight limit");
}

static void processors(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set))
		return;
	finding(FINE, "processors", NULL, "%d: so many Ps, or fewer if the cgroup's quota is less", CPU_COUNT(&set));
}

/* ---- looking at programs ---- */

static void looking(void)
{
	long yama = number_in("/proc/sys/kernel/yama/ptrace_scope");
	long perf = number_in("/proc/sys/kernel/perf_event_paranoid");

	if (yama > 0 && geteuid())
		finding(COULD_BE_BETTER, "ringo-ps", yama == 3 ? "It stays so until the next boot." :
			"As root; or sysctl kernel.yama.ptrace_scope=0",
			"only root may look into processes (sysctl kernel.yama.ptrace_scope=%ld)", yama);
	else
		finding(FINE, "ringo-ps", NULL, geteuid() ? "may look into your own processes" :
							    "may look into every process");
	if (perf > 2 && geteuid())
		finding(COULD_BE_BETTER, "perf", "As root; or sysctl kernel.perf_event_paranoid=1",
			"forbidden to users (sysctl kernel.perf_event_paranoid=%ld)", perf);
	else if (perf > 1 && geteuid())
		finding(COULD_BE_BETTER, "perf", "As root; or sysctl kernel.perf_event_paranoid=1",
			"no kernel frames (sysctl kernel.perf_event_paranoid=%ld)", perf);
	else if (perf >= -1)
		finding(FINE, "perf", NULL, "may profile, kernel frames included");
}

static void cores(void)
{
	struct rlimit l;

	getrlimit(RLIMIT_CORE, &l);
	if (!l.rlim_cur)
		finding(COULD_BE_BETTER, "core files", "ulimit -c unlimited", "none: the limit is 0");
	else
		finding(FINE, "core files", NULL, "written");
}

void examine_here(void)
{
	kernel();
	io_uring();
	guard();
	address_space();
	preemption();
	files();
	locked_memory();
	threads();
	processors();
	looking();
	cores();
}
