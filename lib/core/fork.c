// SPDX-License-Identifier: MIT
/*
 * fork(2) from a program with goroutines.
 *
 * The child has one thread, and that is no M: %gs is cleared and the runtime is forgotten, so calls return
 * -ESRCH and ringo_run may be used anew. Rings must not be used from there: their memory is not inherited
 * (MADV_DONTFORK, by liburing) and their descriptors are closed. A child that forked on a goroutine's stack
 * goes on there: stacks are inherited. When that goroutine's function returns, the child exits.
 *
 * vfork and posix_spawn share everything and run no handlers: between them and exec, no ringo calls.
 */
#include <pthread.h>

#include "arch/arch.h"
#include "core/m.h"
#include "core/rt.h"
#include "core/run.h"
#include "core/sysmon.h"

static void child(void)
{
	rg_arch_set_self(NULL);
	rg_store_relaxed(&rg_threads, 0);
	rg_m_child(); /* records of runs that have ended too: their pages are not inherited */
	if (!rt.phase)
		return;
	rg_run_child();
	rg_sysmon_child();
}

void rg_fork_init(void)
{
	static bool done;

	if (!done)
		pthread_atfork(NULL, NULL, child);
	done = true;
}
