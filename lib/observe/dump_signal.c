// SPDX-License-Identifier: MIT
/*
 * Dumps on a signal. The handler notes which one and writes to an eventfd; a thread of its own reads that and
 * makes the dump. No goroutine: the program is dumped because its goroutines do not get anywhere.
 *
 * The thread is started by the first use in a run and ended with it. Handlers may be on their way out of
 * the eventfd then: it is closed when none is inside.
 */
#include <errno.h>
#include <ringo/stats.h>
#include <signal.h>
#include <unistd.h>

#include "base/lock.h"
#include "core/gate.h"
#include "core/rt.h"
#include "observe/service.h"

struct order {
	bool set;
	int fd;
	unsigned flags;
	struct sigaction former;
};

static struct {
	uint32_t lock;
	bool hooked;
	int evfd;          /* plus one; 0 none: the bell, for handlers */
	int inside;        /* handlers between the load of evfd and their last use of it */
	uint64_t arrived;  /* bit signo - 1 */
	struct order of[_NSIG];
} ds;

_Static_assert(_NSIG <= 65, "a bit for each");

static void ring(void)
{
	const uint64_t one = 1;
	ssize_t n;
	int fd;

	rg_add_full(&ds.inside, 1); /* order: pairs with the load in close_event */
	fd = rg_load_relaxed(&ds.evfd) - 1;
	if (fd >= 0) {
		n = write(fd, &one, sizeof(one)); /* fails if full: then there is enough to read */
		(void)n;
	}
	rg_add_full(&ds.inside, -1); /* order: pairs with the load in close_event */
}

static void on_signal(int signo)
{
	int saved = errno;

	rg_or_full(&ds.arrived, UINT64_C(1) << (signo - 1)); /* order: pairs with the exchange in serve */
	ring();
	errno = saved;
}

static void serve(void)
{
	uint64_t arrived = rg_xchg_full(&ds.arrived, 0); /* order: pairs with the or in on_signal */

	while (arrived) {
		int signo = __builtin_ctzll(arrived) + 1, err;
		struct order o;

		arrived &= arrived - 1;
		rg_lock(&ds.lock);
		o = ds.of[signo];
		rg_unlock(&ds.lock);
		err = o.set ? ringo_dump(o.fd, o.flags) : 0;
		(void)err; /* there is nobody to tell */
	}
}

static void answer(struct rg_service *s)
{
	uint64_t n;

	while (!rg_service_over(s)) {
		ssize_t r = read(s->bell, &n, sizeof(n));

		if (r < 0 && errno != EINTR)
			break;
		serve();
	}
}

static struct rg_service thread = { .name = "ringo-dump", .fn = answer };

static void close_event(void)
{
	rg_xchg_full(&ds.evfd, 0);          /* order: pairs with the add to inside in ring */
	while (rg_load_acquire(&ds.inside)) /* order: acquire; pairs with the sub in ring */
		rg_cpu_relax();
	rg_service_close(&thread);
}

static void restore_all(void)
{
	for (int signo = 1; signo < _NSIG; signo++)
		if (ds.of[signo].set) {
			ds.of[signo].set = false;
			sigaction(signo, &ds.of[signo].former, NULL);
		}
}

static int at_exit(int64_t deadline)
{
	if (!thread.running)
		return 0;
	rg_lock(&ds.lock);
	restore_all();
	rg_unlock(&ds.lock);
	if (!rg_service_end(&thread, deadline))
		return 1; /* it is writing to somebody who does not read */
	close_event();
	return 0;
}

static void in_child(void)
{
	ds.lock = 0;
	restore_all();
	rg_service_child(&thread);
	ds.evfd = 0;
	ds.inside = 0;
}

/* Under the lock. */
static int provide(void)
{
	static struct rg_exit_hook hook = { .fn = at_exit, .child = in_child };
	int err;

	if (!ds.hooked)
		rg_at_exit(&hook);
	ds.hooked = true;
	if (thread.running)
		return 0;
	ds.arrived = 0;
	err = rg_service_start(&thread);
	if (!err)
		rg_store_relaxed(&ds.evfd, thread.bell + 1);
	return err;
}

static int set(int signo, int fd, unsigned flags)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART | SA_ONSTACK };
	struct order *o = &ds.of[signo];
	int err = provide();

	if (err)
		return err;
	sigfillset(&sa.sa_mask);
	if (!o->set && sigaction(signo, &sa, &o->former))
		return -errno;
	o->set = true;
	o->fd = fd;
	o->flags = flags;
	return 0;
}

static int unset(int signo)
{
	struct order *o = &ds.of[signo];
	struct sigaction now;

	if (!o->set)
		return -ENOENT;
	o->set = false;
	/* Unless the program has set its own meanwhile. */
	if (!sigaction(signo, NULL, &now) && !(now.sa_flags & SA_SIGINFO) && now.sa_handler == on_signal)
		sigaction(signo, &o->former, NULL);
	return 0;
}

static bool usable(int signo, unsigned flags)
{
	switch (signo) {
	case SIGKILL:
	case SIGSTOP:
	case SIGSEGV:
	case SIGBUS:
	case SIGFPE:
	case SIGILL:
	case SIGURG:
		return false;
	default:
		return signo > 0 && signo < _NSIG &&
		       (!flags || flags == RINGO_DUMP_GROUPED || flags == RINGO_DUMP_FULL ||
			flags == RINGO_DUMP_LEAKS);
	}
}

RG_API int ringo_dump_on_signal(int signo, int fd, unsigned flags)
{
	int saved = errno, err;
	struct m *m;

	if (!usable(signo, flags))
		return -EINVAL;
	m = rg_enter();
	err = m ? 0 : rg_foreign_enter();
	if (err)
		return err;
	rg_lock(&ds.lock);
	err = flags ? set(signo, fd, flags) : unset(signo);
	rg_unlock(&ds.lock);
	if (m)
		rg_leave(m);
	else
		rg_foreign_leave();
	errno = saved;
	return err;
}
