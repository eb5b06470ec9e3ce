// SPDX-License-Identifier: MIT
/* Slow paths of the lock: see lock.h. */
#include "base/lock.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { SPINS = 100 };

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

void rg_lock_slow(uint32_t *l)
{
	for (int i = 0; i < SPINS; i++) {
		rg_cpu_relax();
		if (rg_load_relaxed(l) == 0 && rg_trylock(l))
			return;
	}
	/* order: acquires; pairs with the xchg of rg_unlock. 2 makes the holder wake us. */
	while (rg_xchg_full(l, 2) != 0)
		rg_futex_wait(l, 2, -1);
}

void rg_unlock_slow(uint32_t *l)
{
	rg_futex_wake(l, 1);
}
