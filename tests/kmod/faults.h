/* SPDX-License-Identifier: MIT */
/*
 * Allocations, and copies to and from user memory, that fail where the kernel is asked for that: the n-th in the
 * system calls that a thread makes from now on. As root, with CONFIG_FAULT_INJECTION: tests/vm/debug.sh.
 */
#ifndef RINGO_TESTS_KMOD_FAULTS_H
#define RINGO_TESTS_KMOD_FAULTS_H

#include <fcntl.h>

#include "../run/help.h"

static inline bool put_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return done;
}

/* Those that may wait for memory fail as well, and single pages; without a line in the log for each. */
static inline bool faults_possible(void)
{
#define IN_DEBUGFS(name, text) put_text("/sys/kernel/debug/" name, text)
	return IN_DEBUGFS("failslab/ignore-gfp-wait", "N") && IN_DEBUGFS("fail_page_alloc/ignore-gfp-wait", "N") &&
	       IN_DEBUGFS("fail_page_alloc/min-order", "0") && IN_DEBUGFS("failslab/verbose", "0") &&
	       IN_DEBUGFS("fail_page_alloc/verbose", "0") && IN_DEBUGFS("fail_usercopy/verbose", "0");
#undef IN_DEBUGFS
}

/* For the calling thread: -1 if it cannot be had. */
static inline int faults_open(void)
{
	return open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
}

static inline void faults_begin(int fd, uint32_t n)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", n);
	CHECK(write(fd, text, strlen(text)) > 0);
}

/* Whether it has happened. Reading that is a copy, too, and may be what fails: then it had not. */
static inline bool faults_end(int fd)
{
	char left[16] = "";
	bool happened = pread(fd, left, sizeof(left) - 1, 0) > 0 && atoi(left) == 0;

	while (write(fd, "0", 1) != 1)
		;
	return happened;
}

#endif
