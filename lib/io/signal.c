// SPDX-License-Identifier: MIT
/*
 * Signals as channel elements.
 *
 * The handler counts the arrival and writes to an eventfd, nothing else. A daemon goroutine reads the
 * eventfd and sends to the channels that asked, as any goroutine would: sync stands beside this layer, so
 * only its public calls are used here, and they must not be made under a lock.
 *
 * Two locks. Who changes who is told of what holds sig.changing throughout, system calls included: others who
 * change something may wait for that, and nobody else. The lists themselves are under sig.lock.
 *
 * At the end of the run the former handlers are put back. The eventfd is closed once no handler is inside:
 * one that comes late finds it gone. A forked child puts the handlers back too, because it would write to
 * the eventfd of its parent.
 *
 * SIGPIPE. The ring raises it as write(2) does, in the thread that happens to submit. If the program has no
 * handler, an empty one stands in for the default while it runs. Not SIG_IGN, which programs that are
 * executed would inherit; and not the blocked mask, which they would too.
 */
#include "io/signal.h"

#include <errno.h>
#include <ringo/chan.h>
#include <ringo/context.h>
#include <ringo/go.h>
#include <ringo/io.h>
#include <ringo/time.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/lock.h"
#include "core/gate.h"
#include "core/rt.h"
#include "core/scope.h"
#include "io/sys.h"

struct subscriber {
	struct subscriber *next;
	struct ringo_chan *c;
};

static struct {
	uint32_t changing; /* before lock */
	uint32_t lock;     /* of subs */
	bool hooked;
	bool daemon;  /* runs in this run */
	int evfd;     /* plus one; 0 none. Read by handlers. */
	int inside;   /* handlers between the load of evfd and their last use of it */
	bool quiet;   /* our empty handler for SIGPIPE was installed */
	struct subscriber *subs[_NSIG];
	struct sigaction former[_NSIG];
	uint32_t arrived[_NSIG];
} sig;

uint32_t rg_sigpipe_seen;

static void on_signal(int signo)
{
	const uint64_t one = 1;
	int fd;

	rg_add_full(&sig.arrived[signo], 1); /* order: pairs with the exchange in deliver */
	rg_add_full(&sig.inside, 1);         /* order: pairs with the load in close_event */
	fd = rg_load_relaxed(&sig.evfd) - 1;
	if (fd >= 0)
		rg_sys_write(fd, &one, sizeof(one)); /* fails if full: then there is enough to read */
	rg_add_full(&sig.inside, -1); /* order: pairs with the load in close_event */
}

static void on_sigpipe(int signo)
{
	(void)signo;
}

static bool is_handler(int signo, void (*handler)(int))
{
	struct sigaction now;

	return !sigaction(signo, NULL, &now) && !(now.sa_flags & SA_SIGINFO) &&
	       now.sa_handler == handler;
}

static int install(int signo, void (*handler)(int), struct sigaction *former)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_RESTART | SA_ONSTACK };
	int saved = errno, err = 0;

	sigfillset(&sa.sa_mask);
	if (sigaction(signo, &sa, former))
		err = -errno;
	errno = saved;
	return err;
}

/* The channel of subscriber number i, with a reference, or NULL. */
static struct ringo_chan *subscriber_chan(int signo, unsigned i)
{
	struct m *m = rg_enter();
	struct ringo_chan *c = NULL;
	struct subscriber *s;

	rg_lock(&sig.lock);
	s = sig.subs[signo];
	while (s && i--)
		s = s->next;
	if (s)
		c = ringo_chan_ref(s->c);
	rg_unlock(&sig.lock);
	rg_leave(m);
	return c;
}

static void send_to_all(int signo)
{
	struct ringo_chan *c;

	for (unsigned i = 0; (c = subscriber_chan(signo, i)); i++) {
		int lost = ringo_chan_try_send(c, &signo);

		(void)lost; /* as documented: the channel should have had room */
		ringo_chan_unref(c);
	}
}

static void deliver(void)
{
	for (int signo = 1; signo < _NSIG; signo++) {
		/* order: pairs with the add in on_signal */
		uint32_t n = rg_load_relaxed(&sig.arrived[signo]) ?
			     rg_xchg_full(&sig.arrived[signo], 0) : 0;

		for (; n; n--)
			send_to_all(signo);
	}
}

static void daemon_main(void *arg)
{
	int fd = (int)(intptr_t)arg;
	uint64_t n;

	ringo_deadline_set(0); /* not that of whoever called ringo_signal_notify first */
	while (ringo_read(fd, &n, sizeof(n)) > 0)
		deliver();
}

static void close_event(void)
{
	int fd = sig.evfd - 1;

	if (fd < 0)
		return;
	rg_xchg_full(&sig.evfd, 0); /* order: pairs with the add to inside in on_signal */
	while (rg_load_acquire(&sig.inside)) /* order: acquire; pairs with the sub in on_signal */
		rg_cpu_relax();
	rg_sys_close(fd);
}

/* Unless the program has set its own meanwhile. */
static void restore(int signo)
{
	if (is_handler(signo, on_signal))
		sigaction(signo, &sig.former[signo], NULL);
	rg_store_relaxed(&sig.arrived[signo], 0);
}

static void sigpipe_restore(void)
{
	if (sig.quiet && is_handler(SIGPIPE, on_sigpipe))
		signal(SIGPIPE, SIG_DFL);
	sig.quiet = false;
	rg_store_relaxed(&rg_sigpipe_seen, 0);
}

static void drop(struct subscriber *s)
{
	ringo_chan_unref(s->c);
	free(s);
}

static int signal_end(int64_t deadline)
{
	struct subscriber *all = NULL, *s;

	(void)deadline;
	rg_lock(&sig.changing);
	rg_lock(&sig.lock);
	for (int signo = 1; signo < _NSIG; signo++) {
		if (sig.subs[signo])
			restore(signo);
		while ((s = sig.subs[signo])) {
			sig.subs[signo] = s->next;
			s->next = all;
			all = s;
		}
	}
	rg_unlock(&sig.lock);
	sigpipe_restore();
	close_event();
	sig.daemon = false;
	rg_unlock(&sig.changing);
	while ((s = all)) {
		all = s->next;
		drop(s);
	}
	return 0;
}

/* The channels stay the parent's affair. */
static void signal_child(void)
{
	sig.changing = sig.lock = 0;
	sig.inside = 0;
	for (int signo = 1; signo < _NSIG; signo++) {
		if (sig.subs[signo])
			restore(signo);
		sig.subs[signo] = NULL;
	}
	sigpipe_restore();
	close_event();
	sig.daemon = false;
}

static struct rg_exit_hook hook = { .fn = signal_end, .child = signal_child };

static void hook_once(void)
{
	if (!sig.hooked)
		rg_at_exit(&hook);
	sig.hooked = true;
}

void rg_sigpipe_look(void)
{
	if (!rg_arch_self())
		return; /* no goroutine: nothing will be written */
	rg_lock(&sig.changing);
	hook_once();
	if (!rg_sigpipe_seen && is_handler(SIGPIPE, SIG_DFL))
		sig.quiet = !install(SIGPIPE, on_sigpipe, NULL);
	rg_store_relaxed(&rg_sigpipe_seen, 1);
	rg_unlock(&sig.changing);
}

/* While changing: eventfd and daemon are there. */
static int provide(struct m *m)
{
	int err;

	hook_once();
	if (!sig.evfd) {
		int fd = rg_sys_eventfd();

		if (fd < 0)
			return fd;
		rg_store_relaxed(&sig.evfd, fd + 1);
	}
	if (sig.daemon)
		return 0;
	err = rg_spawn_daemon(m, "ringo signals", daemon_main, (void *)(intptr_t)(sig.evfd - 1));
	sig.daemon = !err;
	return err;
}

static struct subscriber **find(struct ringo_chan *c, int signo)
{
	struct subscriber **at = &sig.subs[signo];

	while (*at && (*at)->c != c)
		at = &(*at)->next;
	return at;
}

/* Does some signal lead to this channel? For who looks for deadlocks. */
static bool leads_to(const void *chan)
{
	bool yes = false;

	rg_lock(&sig.lock);
	for (int signo = 1; signo < _NSIG && !yes; signo++)
		for (struct subscriber *s = sig.subs[signo]; s && !yes; s = s->next)
			yes = s->c == chan;
	rg_unlock(&sig.lock);
	return yes;
}

/* Put s in the place of whatever was there. */
static void set(struct subscriber **at, struct subscriber *s)
{
	rg_lock(&sig.lock);
	*at = s;
	rg_unlock(&sig.lock);
}

/* While changing. *s is ours to keep, else it stays the caller's. */
static int subscribe(struct m *m, struct subscriber **s, struct ringo_chan *c, int signo)
{
	struct subscriber **at = find(c, signo);
	int err;

	if (*at)
		return 0;
	err = provide(m);
	if (!err && !sig.subs[signo])
		err = install(signo, on_signal, &sig.former[signo]);
	if (err)
		return err;
	set(at, *s);
	*s = NULL;
	rt.signalled = leads_to;
	rg_count(&rt.signals, 1);
	return 0;
}

/* While changing. *s is what the caller has to drop. */
static int unsubscribe(struct m *m, struct subscriber **s, struct ringo_chan *c, int signo)
{
	struct subscriber **at = find(c, signo);

	(void)m;
	*s = *at;
	if (!*s)
		return -ENOENT;
	set(at, (*s)->next);
	rg_count(&rt.signals, -1u);
	if (!sig.subs[signo])
		restore(signo);
	return 0;
}

static bool catchable(int signo)
{
	switch (signo) {
	case SIGKILL:
	case SIGSTOP:
	case SIGSEGV:
	case SIGBUS:
	case SIGFPE:
	case SIGILL:
		return false;
	default:
		return signo > 0 && signo < _NSIG;
	}
}

static int change(struct subscriber **s, struct ringo_chan *c, int signo,
		  int (*how)(struct m *, struct subscriber **, struct ringo_chan *, int))
{
	struct m *m = rg_enter();
	int err = m ? 0 : rg_foreign_enter();

	if (err)
		return err;
	rg_lock(&sig.changing);
	err = how(m, s, c, signo);
	rg_unlock(&sig.changing);
	if (m)
		rg_leave(m);
	else
		rg_foreign_leave();
	return err;
}

RG_API int ringo_signal_notify(struct ringo_chan *c, int signo)
{
	struct subscriber *s;
	int err;

	if (!c || ringo_chan_elem_size(c) != sizeof(int) || !catchable(signo))
		return -EINVAL;
	s = malloc(sizeof(*s));
	if (!s)
		return -ENOMEM;
	*s = (struct subscriber){ .c = ringo_chan_ref(c) };
	err = change(&s, c, signo, subscribe);
	if (s)
		drop(s);
	return err;
}

RG_API int ringo_signal_stop(struct ringo_chan *c, int signo)
{
	struct subscriber *s = NULL;
	int err;

	if (!c || !catchable(signo))
		return -EINVAL;
	err = change(&s, c, signo, unsubscribe);
	if (s)
		drop(s);
	return err;
}

/* ---- contexts ---- */

/*
 * Runs under the context it ends, and so keeps it; cancelling that ends the subscription, which keeps the
 * channel. Both go by themselves when the run ends meanwhile.
 */
static void end_by_signal(struct ringo_ctx *ctx, struct ringo_chan *c, int signo)
{
	int got;

	ringo_deadline_set(0);
	if (ringo_chan_recv(c, &got) == 1)
		ringo_ctx_cancel(ctx, -EINTR);
	ringo_signal_stop(c, signo);
}

static int spawn_ending(struct ringo_ctx *ctx, struct ringo_chan *c, int signo)
{
	const uintptr_t words[] = { (uintptr_t)ctx, (uintptr_t)c, (uintptr_t)signo };
	struct rg_spawn s = { .fn = (void (*)(void *))(void (*)(void))end_by_signal, .words = words, .nwords = 3,
			      .is_words = true, .name = "ringo context", .flags = RG_G_DAEMON,
			      .pc = (void *)spawn_ending, .scope = rg_scope_of(ctx), .own_scope = true };
	struct m *m = rg_enter();
	int err = m ? 0 : rg_foreign_enter();

	if (err)
		return err;
	err = rg_spawn(m, &s);
	if (m)
		rg_leave(m);
	else
		rg_foreign_leave();
	return err;
}

static int end_on(struct ringo_ctx *ctx, int signo)
{
	struct ringo_chan *c = ringo_chan_new(sizeof(int), 1);
	int err;

	if (!c)
		return -ENOMEM;
	err = ringo_signal_notify(c, signo);
	if (!err) {
		err = spawn_ending(ctx, c, signo);
		if (err)
			ringo_signal_stop(c, signo);
	}
	ringo_chan_unref(c);
	return err;
}

RG_API struct ringo_ctx *ringo_ctx_with_signal(struct ringo_ctx *parent, int signo)
{
	struct ringo_ctx *c = ringo_ctx_with_cancel(parent);
	int err = end_on(c, signo);

	if (err)
		ringo_ctx_cancel(c, err);
	return c;
}
