/* SPDX-License-Identifier: MIT */
/* What the tests of deadlocks share: scenarios in a child that must die of one, or must not. */
#ifndef RINGO_TESTS_DEADLOCK_HELP_H
#define RINGO_TESTS_DEADLOCK_HELP_H

#include <sys/mman.h>

#include "help.h"

#define DEADLOCK "fatal error: all goroutines are asleep - deadlock!"
#define NOBODY "fatal error: no goroutines (main called ringo_exit) - deadlock!"

static struct outcome out;
static int (*scenario)(void *);
static unsigned procs;
static int64_t ended;

static inline void run_it(void)
{
	if (procs)
		use_procs(procs);
	_exit(ringo_run(scenario, NULL));
}

/* The child dies of a deadlock, soon after the moment it names by STORE(&*asleep, now_ns()). */
static int64_t *asleep;

static inline bool dies(int (*fn)(void *), const char *headline)
{
	scenario = fn;
	*asleep = 0;
	in_child(&out, run_it);
	ended = now_ns();
	if (!WIFEXITED(out.status) || WEXITSTATUS(out.status) != 2) {
		fprintf(stderr, "# status %#x:\n# %s\n", out.status, out.err);
		return false;
	}
	return said(&out, headline);
}

static inline bool lives(int (*fn)(void *))
{
	scenario = fn;
	in_child(&out, run_it);
	if (out.status || strstr(out.err, "asleep") || strstr(out.err, "deadlock")) {
		fprintf(stderr, "# status %#x:\n# %s\n", out.status, out.err);
		return false;
	}
	return true;
}

FIXTURE(deadlock) {
};
FIXTURE_VARIANT(deadlock) {
	unsigned procs;
};
FIXTURE_VARIANT_ADD(deadlock, P1) { .procs = 1 };
FIXTURE_VARIANT_ADD(deadlock, P2) { .procs = 2 };
FIXTURE_VARIANT_ADD(deadlock, P8) { .procs = 8 };
FIXTURE_SETUP(deadlock)
{
	procs = variant->procs;
	asleep = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)asleep);
}
FIXTURE_TEARDOWN(deadlock)
{
	munmap(asleep, 4096);
}

static struct ringo_chan *chan;
static __attribute__((unused)) int pipe_fd[2];

static inline void wait_for_ever(void)
{
	(void)!ringo_chan_recv(NULL, NULL);
}

/* Go's SimpleDeadlock. */
static inline int simple(void *arg)
{
	STORE(asleep, now_ns());
	(void)!ringo_chan_recv(NULL, NULL);
	return 0;
}

static inline void ends(void)
{
	for (int i = 0; i < 10; i++)
		ringo_yield();
}

#endif
