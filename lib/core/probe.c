// SPDX-License-Identifier: MIT
/*
 * The runtime's own signal, SIGURG: programs hardly use it, it does nothing by default, and debuggers let it
 * pass. (Go has the same one, for the same reasons.)
 *
 * The handler is there from the first question of a run until its end. A handler that the program had set
 * before gets every SIGURG that is not ours; one that it sets later replaces ours, and as long as it
 * stands we do not send. Ours carry a pointer, so that nobody else's is taken for one. But the kernel keeps
 * only one pending SIGURG of a thread: when another one is in the way, its arrival serves for both.
 *
 * A question is answered by at most one handler (the CAS on ask.word), and one that was taken is waited
 * for; so the asker's memory is safe to write to, however late a signal comes. If some of ours may still be
 * on the way at the end of a run, the handler stays, so that they do not reach the program's.
 *
 * Stopping all threads: each gets one, and its handler waits for the word to go on. Threads that block the
 * signal are let be if they are only those of the runtime itself, which have blocked everything, or Ms that the
 * lane has parked in the handler, and keeps there meanwhile.
 */
#include "core/probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/thread.h"
#include "core/lane.h"
#include "core/rt.h"
#include "core/trace.h"

#define PATIENCE INT64_C(100000000)

enum { MAX_THREADS = 4096 };

enum { NOTHING, TAKEN, DONE, ASKED /* + number of the M */ };

static struct {
	uint32_t lock;  /* one asker at a time; it also guards what follows, up to word */
	bool hooked, installed;
	struct m *deaf[RG_MAX_M]; /* Ms that did not answer the last time */
	uint32_t sent;
	uint32_t arrived;
	uint32_t word;  /* a futex word */
	int (*fn)(struct m *m, void *arg);
	void *arg;
	int result;
	struct sigaction former;
	uint32_t halt;    /* a futex word: 1 threads are to stop */
	uint32_t halted;
} ask;

static void serve(struct m *m)
{
	/* order: full; pairs with the store of the asker: fn and arg are there */
	if (!m || !rg_cas_full(&ask.word, ASKED + m->id, TAKEN))
		return;
	ask.result = ask.fn(m, ask.arg);
	rg_store_release(&ask.word, DONE); /* order: release; pairs with the load in wait_answer */
	rg_futex_wake(&ask.word, 1);
}

static void stop_here(void)
{
	/* order: acquire; pairs with the release in rg_probe_stop_all */
	if (!rg_load_acquire(&ask.halt))
		return;
	rg_add_full(&ask.halted, 1); /* order: full; pairs with the load in wait_halted: it is on our stack */
	while (rg_load_acquire(&ask.halt)) /* order: acquire; pairs with the release in rg_probe_go */
		rg_futex_wait(&ask.halt, 1, -1);
}

/* Parked in the handler (lane.c), where no signal of ours comes: it is woken instead. */
static void while_parked(struct m *m)
{
	serve(m);
	/* Counted as stopped by who stops all, without a word from us. */
	while (rg_load_acquire(&ask.halt)) /* order: acquire; pairs with the release in rg_probe_go */
		rg_futex_wait(&ask.halt, 1, -1);
}

static void pass_on(int sig, siginfo_t *info, void *uc)
{
	const struct sigaction *old = &ask.former;

	if (old->sa_flags & SA_SIGINFO)
		old->sa_sigaction(sig, info, uc);
	else if (old->sa_handler != SIG_DFL && old->sa_handler != SIG_IGN)
		old->sa_handler(sig);
}

static void handler(int sig, siginfo_t *info, void *uc)
{
	struct m *m = (struct m *)rg_arch_self();
	bool ours = info->si_code == SI_QUEUE && info->si_value.sival_ptr == &ask;
	int saved = errno;

	serve(m);
	stop_here();
	rg_lane_interrupted(m, while_parked);
	errno = saved;
	if (ours)
		rg_add_relaxed(&ask.arrived, 1);
	else
		pass_on(sig, info, uc);
}

_Static_assert((int)offsetof(struct ringo_m_page, upcall) - 4096 == RG_UPCALL_WORD &&
	       offsetof(struct rg_self, upcall_stack) == 16, "as in x86_64.S");

/* What the signal is otherwise sent for, if the kernel's module brings us here: from rg_upcall_entry. */
void rg_upcall(void)
{
	struct m *m = (struct m *)rg_arch_self();
	int saved = errno;

	rg_lane_interrupted(m, while_parked);
	errno = saved;
}

static bool is_ours(const struct sigaction *sa)
{
	return sa->sa_flags & SA_SIGINFO && sa->sa_sigaction == handler;
}

static int at_exit(int64_t deadline)
{
	struct sigaction now;

	(void)deadline;
	rg_lock(&ask.lock);
	if (ask.installed && ask.sent == rg_load_relaxed(&ask.arrived) && !sigaction(SIGURG, NULL, &now) &&
	    is_ours(&now))
		sigaction(SIGURG, &ask.former, NULL);
	ask.installed = false;
	rg_unlock(&ask.lock);
	return 0;
}

static void in_child(void)
{
	ask.lock = 0;
	ask.word = NOTHING;
	ask.halt = 0; /* its asker stayed behind */
	ask.sent = ask.arrived = 0;
	ask.installed = false;
}

/* Under the lock. The program's handler keeps the mask and the flags it was given. */
static int install(void)
{
	static struct rg_exit_hook hook = { .fn = at_exit, .child = in_child };
	struct sigaction sa = { .sa_sigaction = handler }, now;
	void *pc;

	if (!ask.hooked)
		rg_at_exit(&hook);
	ask.hooked = true;
	if (sigaction(SIGURG, NULL, &now))
		return -EBUSY;
	if (ask.installed)
		return is_ours(&now) ? 0 : -EBUSY;
	rg_trace_self(NULL, &pc, 1); /* what the unwinder does only once must not be done in the handler */
	if (!is_ours(&now)) {
		bool used = now.sa_handler != SIG_DFL && now.sa_handler != SIG_IGN;

		if (used && now.sa_flags & (int)SA_RESETHAND)
			return -EBUSY;
		ask.former = now;
		sa.sa_mask = now.sa_mask;
		sa.sa_flags = SA_SIGINFO | SA_ONSTACK | (used ? now.sa_flags & (SA_RESTART | SA_NODEFER) : SA_RESTART);
		if (sigaction(SIGURG, &sa, NULL))
			return -EBUSY;
	}
	ask.installed = true;
	return 0;
}

static bool lock_until(int64_t deadline)
{
	for (unsigned i = 0; !rg_trylock(&ask.lock); i++) {
		if (rg_now() > deadline)
			return false;
		rg_pause(i);
	}
	return true;
}

static int wait_answer(struct m *m, int64_t deadline)
{
	for (;;) {
		uint32_t word = rg_load_acquire(&ask.word); /* order: acquire; pairs with the release in serve */
		int64_t left = deadline - rg_now();

		if (word == DONE)
			return ask.result;
		/* order: full; pairs with the CAS in serve: one of us has it */
		if (left <= 0 && rg_cas_full(&ask.word, ASKED + m->id, NOTHING))
			return -ETIMEDOUT;
		rg_futex_wait(&ask.word, word, rg_max(left, INT64_C(1000000)));
	}
}

/* Under the lock. */
static int put(struct m *m, int (*fn)(struct m *m, void *arg), void *arg, int64_t deadline)
{
	union sigval v = { .sival_ptr = &ask };
	int res;

	ask.fn = fn;
	ask.arg = arg;
	rg_store_release(&ask.word, ASKED + m->id); /* order: release; pairs with the CAS in serve */
	ask.sent++;
	if (pthread_sigqueue(m->thread.id, SIGURG, v)) {
		ask.sent--;
		rg_store_relaxed(&ask.word, NOTHING);
		return -EBUSY;
	}
	/* order: full; pairs with the exchange in rg_lane_interrupted: it sees the word, or we that it is parked */
	rg_fence_full();
	if (rg_load_relaxed(&m->lane.parked))
		rg_futex_wake(&m->lane.park, 1);
	res = wait_answer(m, deadline);
	rg_store_relaxed(&ask.word, NOTHING);
	return res;
}

int rg_probe(struct m *m, int (*fn)(struct m *m, void *arg), void *arg)
{
	int64_t deadline = rg_time_add(rg_now(), PATIENCE);
	int res;

#ifdef RINGO_SIM
	return -EBUSY; /* all Ms are on one thread */
#endif
	if (!lock_until(deadline))
		return -EBUSY;
	res = install();
	/* Each that does not answer costs its time only once. */
	if (!res && ask.deaf[m->id] == m && ask.sent != rg_load_relaxed(&ask.arrived))
		res = -ETIMEDOUT;
	if (!res) {
		res = put(m, fn, arg, deadline);
		ask.deaf[m->id] = res == -ETIMEDOUT ? m : NULL;
	}
	rg_unlock(&ask.lock);
	return res;
}

/* A number from a status file; -1: there is none. Takes no memory. */
static int64_t status_of(const char *path, const char *field, int base)
{
	char buf[4096], *at;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (n <= 0)
		return -1;
	buf[n] = 0;
	at = strstr(buf, field);
	return at ? (int64_t)strtoull(at + strlen(field), NULL, base) & INT64_MAX : -1;
}

/* Signals that a thread blocks. */
static int64_t blocked_by(int tid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", tid);
	return status_of(path, "\nSigBlk:", 16);
}

/* The other threads of the process; -1: too many. */
static int list_threads(int *tids)
{
	DIR *d = opendir("/proc/self/task");
	int self = (int)syscall(SYS_gettid), n = 0;
	struct dirent *e;

	while (d && (e = readdir(d))) {
		int tid = atoi(e->d_name);

		if (tid > 0 && tid != self)
			tids[n++] = tid;
		if (n == MAX_THREADS)
			break;
	}
	if (d)
		closedir(d);
	return d && n < MAX_THREADS ? n : -1;
}

static bool is_parked(int tid)
{
	/* order: acquire; pairs with the release of rt.nm */
	for (unsigned i = 0, n = rg_load_acquire(&rt.nm); i < n; i++)
		/* order: acquire; pairs with the exchange in rg_lane_interrupted: its registers are on its stack */
		if (rt.m[i]->tid == tid && rg_load_acquire(&rt.m[i]->lane.parked))
			return true;
	return false;
}

/*
 * Those that can be stopped stay in the list; how many, or -EAGAIN. The runtime's own threads that run no
 * code of the program block all that can be blocked, and we know how many of these there are.
 */
static int choose(int *tids, int n)
{
	const int64_t all = INT64_MAX & ~(INT64_C(1) << (SIGKILL - 1) | INT64_C(1) << (SIGSTOP - 1) |
					  INT64_C(3) << 31); /* glibc keeps two for itself */
	int own = (int)rg_load_relaxed(&rg_threads) - (int)rg_load_relaxed(&rt.nm);
	int left = 0;

	for (int i = 0; i < n; i++) {
		int64_t blocked = blocked_by(tids[i]);

		if (blocked >= 0 && !(blocked & INT64_C(1) << (SIGURG - 1)))
			tids[left++] = tids[i];
		else if (blocked >= 0 && (blocked & all) == all && own > 0)
			own--;
		else if (blocked >= 0 && is_parked(tids[i]))
			continue;
		else
			return -EAGAIN;
	}
	return own ? -EAGAIN : left;
}

static bool wait_halted(uint32_t n, int64_t deadline)
{
	/* order: acquire; pairs with the add in stop_here */
	for (unsigned i = 0; rg_load_acquire(&ask.halted) < n; i++) {
		if (rg_now() > deadline)
			return false;
		rg_pause(i);
	}
	return true;
}

static bool send_halt(int tid)
{
	siginfo_t info = { .si_signo = SIGURG, .si_code = SI_QUEUE };

	info.si_pid = getpid();
	info.si_uid = getuid();
	info.si_value.sival_ptr = &ask;
	ask.sent++;
	if (!syscall(SYS_rt_tgsigqueueinfo, getpid(), tid, SIGURG, &info))
		return true;
	ask.sent--;
	return false;
}

int rg_probe_stop_all(void)
{
	static int tids[MAX_THREADS]; /* under the lock */
	int64_t deadline = rg_time_add(rg_now(), PATIENCE);
	int n, res, all;

	if (!rg_lane_freeze())
		return -EBUSY;
	if (!lock_until(deadline)) {
		rg_lane_thaw();
		return -EBUSY;
	}
	res = install();
	ask.halted = 0;
	rg_xchg_full(&ask.halt, 1); /* order: full; pairs with the loads in stop_here and while_parked */
	all = res ? 0 : list_threads(tids);
	n = res ? res : all < 0 ? -EAGAIN : choose(tids, all);
	if (n < 0) {
		rg_probe_go();
		return n;
	}
	for (int i = 0; i < n && !res; i++)
		res = send_halt(tids[i]) ? 0 : -EAGAIN;
	if (!res && !wait_halted((uint32_t)n, deadline))
		res = -EAGAIN;
	/* One that was started meanwhile goes on. */
	if (!res && status_of("/proc/self/status", "\nThreads:", 10) != all + 1)
		res = -EAGAIN;
	if (res)
		rg_probe_go();
	return res;
}

void rg_probe_go(void)
{
	rg_store_release(&ask.halt, 0); /* order: release; pairs with the loads in stop_here */
	rg_futex_wake(&ask.halt, INT32_MAX);
	rg_unlock(&ask.lock);
	rg_lane_thaw();
}

int rg_probe_nudge(struct m *m)
{
	union sigval v = { .sival_ptr = &ask };
	int res;

#ifdef RINGO_SIM
	return 0; /* they look by themselves */
#endif
	/* Who has the lock may be waiting for an answer of one that is parked: no waiting here. */
	if (!rg_trylock(&ask.lock))
		return 0;
	res = install();
	if (!res) {
		ask.sent++;
		if (pthread_sigqueue(m->thread.id, SIGURG, v)) {
			ask.sent--;
			res = -EBUSY;
		}
	}
	rg_unlock(&ask.lock);
	return res;
}
