// SPDX-License-Identifier: MIT
/*
 * Slow paths of the lock: see lock.h.
 *
 * Who finds it held looks again after a while of RELAX, not at once. Each look takes the cache line from the holder,
 * who mostly comes back for it soon: with one pause between looks a channel of 64 with both ends running at once cost
 * 67 ns an element instead of 28, more than Go's (make bench ONLY=chan, P=2).
 */
#include "base/lock.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { SPINS = 100 };
enum { RELAX = 16, LOOKS = 20, YIELDS = 20, NAP = 50000 /* ns */ };

#ifdef RG_TSAN
unsigned rg_tsan_fence;
#endif

#ifndef RINGO_SIM
void rg_futex_wait(uint32_t *word, uint32_t val, int64_t timeout_ns)
{
	struct timespec ts = { .tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000 };
	int saved = errno; /* it is the running goroutine's */

	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, val, timeout_ns < 0 ? NULL : &ts, NULL, 0);
	errno = saved;
}

void rg_futex_wake(uint32_t *word, int n)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
}
#endif

void rg_pause(unsigned n)
{
	rg_cpu_relax();
	/* The kernel may have taken its CPU away, and ours may be the one it needs. */
	if (n >= SPINS)
		sched_yield();
}

void rg_lock_slow(uint32_t *l)
{
	for (unsigned n = 0;; n++) {
		if (n < LOOKS)
			rg_cpu_relax_for(RELAX);
		else if (n < LOOKS + YIELDS)
			sched_yield();
		else
			rg_futex_wait(l, 1, NAP);
		if (!rg_load_relaxed(l) && rg_trylock(l))
			return;
	}
}
