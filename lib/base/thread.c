// SPDX-License-Identifier: MIT
/* Threads by pthreads: see thread.h. */
#include "base/thread.h"

#ifndef RINGO_SIM

#include <signal.h>

#include "base/compiler.h"

enum { STACK = 256 << 10 };

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
	err = pthread_create(&t->id, &attr, fn, arg);
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

void rg_thread_join(struct rg_thread *t)
{
	pthread_join(t->id, NULL);
}

void rg_thread_detach(struct rg_thread *t)
{
	pthread_detach(t->id);
}

#endif
