// SPDX-License-Identifier: MIT
/* Threads by pthreads: see thread.h. */
#include "base/thread.h"

#include "base/atomic.h"

uint32_t rg_threads;

void rg_thread_gone(void)
{
	rg_add_relaxed(&rg_threads, -1u);
}

#ifndef RINGO_SIM

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/compiler.h"

enum { STACK = 256 << 10 };

/* As the kernel's struct sched_attr, whose header does not go together with the C library's. */
struct sched_params {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

static int start(struct rg_thread *t, void *(*fn)(void *), void *arg, unsigned flags)
{
	pthread_attr_t attr;
	int err = pthread_attr_init(&attr);

	if (err)
		return -err;
#if !defined(RG_ASAN) && !defined(RG_TSAN) /* they need more, and know how much */
	if (!(flags & RG_THREAD_FULL_STACK))
		pthread_attr_setstacksize(&attr, STACK);
#endif
	if (flags & RG_THREAD_DETACHED)
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	rg_add_relaxed(&rg_threads, 1); /* before it can be seen */
	err = pthread_create(&t->id, &attr, fn, arg);
	if (err)
		rg_thread_gone();
	pthread_attr_destroy(&attr);
	return -err;
}

int rg_thread_start(struct rg_thread *t, void *(*fn)(void *), void *arg, unsigned flags)
{
	sigset_t all, former;
	int err;

	if (!(flags & RG_THREAD_NO_SIGNALS))
		return start(t, fn, arg, flags);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &former);
	err = start(t, fn, arg, flags);
	pthread_sigmask(SIG_SETMASK, &former, NULL);
	return err;
}

/*
 * ThreadSanitizer runs a handler at once where pthread_join waits, though that also frees memory, with a lock of the
 * sanitizer's that the handler takes, too: so there are no signals meanwhile.
 */
void rg_thread_join(struct rg_thread *t)
{
#ifdef RG_TSAN
	sigset_t all, former;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &former);
#endif
	pthread_join(t->id, NULL);
#ifdef RG_TSAN
	pthread_sigmask(SIG_SETMASK, &former, NULL);
#endif
	rg_thread_gone();
}

void rg_thread_detach(struct rg_thread *t)
{
	pthread_detach(t->id);
}

int rg_thread_self(void)
{
	return (int)syscall(SYS_gettid);
}

void rg_thread_name(const char *name)
{
	prctl(PR_SET_NAME, name);
}

int64_t rg_thread_cpu(const struct rg_thread *t)
{
	struct timespec ts = { 0 };
	clockid_t clock;

	if (!pthread_getcpuclockid(t->id, &clock))
		clock_gettime(clock, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

/* What a file of /proc says of a thread, up to size - 1 bytes; false: it cannot be read. */
static bool ask_proc(int tid, const char *what, char *buf, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/%s", tid, what);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, buf, size - 1);
	close(fd);
	buf[n > 0 ? n : 0] = 0;
	return n > 0;
}

char rg_thread_state(int tid)
{
	char buf[128], *state;

	if (!ask_proc(tid, "stat", buf, sizeof(buf)))
		return 0;
	state = strrchr(buf, ')'); /* the name before it may contain anything */
	return state && strlen(state) > 2 ? state[2] : 0;
}

int rg_thread_syscall(int tid)
{
	char buf[128];

	/* "running" for one that is not blocked. */
	return ask_proc(tid, "syscall", buf, sizeof(buf)) && isdigit((unsigned char)*buf) ? atoi(buf) : -1;
}

int rg_thread_standing(int tid, enum rg_standing standing)
{
	static const uint64_t slices[] = { 0, 20000000, 100000000, 100000 }; /* the kernel's own, or nanoseconds */
	struct sched_params attr = { .size = sizeof(attr) };

	if (syscall(SYS_sched_getattr, tid, &attr, sizeof(attr), 0))
		return -errno;
	if (attr.policy != SCHED_OTHER)
		return -EBUSY; /* as somebody wants to have it */
	attr.runtime = slices[standing]; /* before 6.12 it is ignored */
	return syscall(SYS_sched_setattr, tid, &attr, 0) ? -errno : 0;
}

void rg_thread_punctual(void)
{
	prctl(PR_SET_TIMERSLACK, 1UL);
	rg_thread_standing(rg_thread_self(), RG_STANDING_PROMPT);
}

#endif
