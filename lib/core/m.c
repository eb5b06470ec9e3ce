// SPDX-License-Identifier: MIT
/*
 * OS threads, and the Ps they hold. Each P is made with an M, and there are spare Ms that wait for a P which
 * another M has lost (revoke.c). An M never exits while operations that it submitted are in flight, because
 * the kernel would cancel them.
 *
 * Records are recycled but never unmapped, and each lies one page after its M page, which is not
 * inherited by fork.
 */
#include "core/m.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/lock.h"
#include "base/log.h"
#include "core/gate.h"
#include "core/kern.h"
#include "core/rt.h"
#include "core/sched.h"
#include "core/state.h"

enum { RECORD_PAGES = 2, ALTSTACK = 64 << 10 };

_Static_assert(sizeof(struct m) <= RG_PAGE, "record is the page after the M page");

static struct m *free_records; /* under rt.procs_lock */

static struct m *record_new(void)
{
	struct m *m = free_records;
	char *base;

	if (m) {
		free_records = m->next;
		memset(m, 0, sizeof(*m));
		memset(rg_m_page(m), 0, sizeof(struct ringo_m_page));
		return m;
	}
	base = mmap(NULL, RECORD_PAGES * RG_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	if (base == MAP_FAILED)
		return NULL;
	madvise(base, RG_PAGE, MADV_DONTFORK);
	return (struct m *)(base + RG_PAGE);
}

static void record_free(struct m *m)
{
	rg_store_relaxed(&m->self.thread, 0);
	rg_kern_leave(m);
	m->next = free_records;
	free_records = m;
}

void rg_m_child(void)
{
	free_records = NULL;
}

static struct p *p_new(uint32_t id)
{
	struct p *p = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	p->id = id;
	p->rand = (id + 1) * UINT64_C(0x9E3779B97F4A7C15);
	return p;
}

static int altstack_set(struct m *m)
{
	stack_t ss = { .ss_size = ALTSTACK };

	m->altstack = mmap(NULL, ALTSTACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m->altstack == MAP_FAILED) {
		m->altstack = NULL;
		return -ENOMEM;
	}
	ss.ss_sp = m->altstack;
	/* Not the end itself: that may be the address of something else, which would then not count as lost. */
	m->self.upcall_stack = (char *)m->altstack + ALTSTACK - RG_CACHELINE;
	return sigaltstack(&ss, NULL) ? -errno : 0;
}

static void altstack_drop(struct m *m)
{
	stack_t off = { .ss_flags = SS_DISABLE };

	sigaltstack(&off, NULL);
	if (m->altstack)
		munmap(m->altstack, ALTSTACK);
	m->altstack = NULL;
}

static void tell(struct m *m, uint32_t what)
{
	/* order: release; pairs with the acquire in rg_m_start and rg_m_free_all */
	rg_store_release(&m->started, what);
	rg_futex_wake(&m->started, INT32_MAX);
}

static void own_stack(struct m *m)
{
#ifdef RG_ASAN
	pthread_attr_t attr;
	size_t size = 0;
	void *lo = NULL;

	if (!pthread_getattr_np(pthread_self(), &attr)) {
		pthread_attr_getstack(&attr, &lo, &size);
		pthread_attr_destroy(&attr);
	}
	rg_san_thread(&m->san, lo, size);
#else
	rg_san_thread(&m->san, NULL, 0);
#endif
}

static void name_thread(const struct m *m)
{
	char name[16];

	snprintf(name, sizeof(name), "ringo-m%u", m->id);
	rg_thread_name(name);
}

static int thread_setup(struct m *m)
{
	int err;

	m->errnop = &errno;
	m->tid = rg_thread_self();
	name_thread(m);
	m->self.self = &m->self;
	m->self.thread = rg_thread_pointer();
	rg_m_page(m)->abi = RINGO_ABI_VERSION;
	rg_m_page(m)->in_rt = RINGO_RT_INSIDE;
	rg_state_m(m);
	own_stack(m);
	pthread_sigmask(SIG_SETMASK, &rt.sigmask, NULL); /* whoever made it */
	err = altstack_set(m);
	if (!err)
		err = rg_arch_set_self(&m->self);
	if (!err && m->p)
		err = rt.poller->init(m->p);
	if (!err)
		rg_kern_add(m);
	return err;
}

static bool drain(struct m *m, int64_t deadline)
{
	m->p->drained = rt.poller->drain(m, deadline);
	return m->p->drained;
}

/*
 * Before it runs anything: who takes its P, or has a G that is locked to it, looks for it there. Ms are made one at a
 * time, and who makes it may be kept from the CPU for long.
 */
static void enlist(const struct m *m)
{
	rg_add_full(&rt.live_ms, 1); /* order: full; pairs with the sub in thread_main */
	/* order: release; pairs with the acquire of whoever goes through them: rt.m up to it is set */
	rg_store_release(&rt.nm, m->id + 1);
	/* order: release; pairs with the acquire in steal: rt.p up to it is set */
	if (m->p)
		rg_store_release(&rt.np, m->p->id + 1);
}

static void *thread_main(void *arg)
{
	struct m *m = arg;
	bool clean = true;

	m->start_err = thread_setup(m);
	if (!m->start_err) {
		enlist(m);
		tell(m, 1);
		rg_sched_loop(m);
		/* order: acquire; pairs with the release in rg_m_hold: sysmon may give it one even now */
		clean = !rg_load_acquire(&m->p) || drain(m, rt.stop_deadline);
	}
	rg_arch_set_self(NULL);
	altstack_drop(m);
	if (m->start_err) {
		tell(m, 2);
		return NULL;
	}
	tell(m, 3);
	if (clean) {
		/* order: full; pairs with the wait in run.c: all of the above is done */
		rg_add_full(&rt.live_ms, -1);
		rg_futex_wake(&rt.live_ms, INT32_MAX);
	}
	return NULL;
}

static int thread_make(struct m *m)
{
	int err = rg_thread_start(&m->thread, thread_main, m, 0);

	if (err && !rt.told_no_spare) /* who wants a spare tries again and again */
		rg_warn("cannot make a thread (%s): the limit of processes (ulimit -u), of the cgroup "
			"(pids.max) or of memory is reached; raise it, or ask for fewer Ps (RINGO_PROCS)",
			strerror(-err));
	return err;
}

/* Start the thread of a new M; it is in rt.m then. */
static int m_start(struct m *m)
{
	int err;

	m->id = rt.nm;
	if (m->id >= RG_MAX_M)
		return -EAGAIN;
	rt.m[m->id] = m; /* before it can show up as idle */
	err = rg_kern_place(m);
	if (err)
		return err;
	if (m->p)
		rg_m_hold(m, m->p);
	err = thread_make(m);
	if (err)
		return err;
	/* order: acquire; pairs with the release in tell */
	while (!rg_load_acquire(&m->started))
		rg_futex_wait(&m->started, 0, -1);
	if (m->start_err)
		rg_thread_join(&m->thread);
	return m->start_err;
}

int rg_p_start(void)
{
	struct m *m = record_new();
	int err = -ENOMEM;

	if (!m)
		return err;
	m->p = p_new(rt.np);
	if (!m->p)
		goto free_record;
	m->p->m = m;
	rt.p[rt.np] = m->p;
	err = m_start(m);
	if (!err)
		return 0;
	if (m->p->io)
		rt.poller->fini(m->p);
	rt.p[rt.np] = NULL;
	munmap(m->p, sizeof(*m->p));
free_record:
	record_free(m);
	return err;
}

/* ---- spares ---- */

int rg_spare_start(struct m **made)
{
	struct m *m = record_new();
	int err = -ENOMEM;

	if (!m)
		return err;
	m->claimed = true;
	err = m_start(m);
	if (err)
		record_free(m);
	else
		*made = m;
	return err;
}

struct m *rg_spare_take(void)
{
	struct m *m;

	rg_lock(&rt.spare_lock);
	m = rt.spares;
	if (m)
		rg_store_relaxed(&rt.spares, m->next);
	rg_unlock(&rt.spare_lock);
	return m;
}

void rg_spare_wake(struct m *m)
{
	rg_add_full(&m->given, 1); /* order: full; pairs with the acquire in rg_spare_wait */
	rg_futex_wake(&m->given, 1);
}

void rg_m_hold(struct m *m, struct p *p)
{
	rg_store_relaxed(&rg_m_page(m)->p, p->id + 1);
	rg_store_release(&p->m, m); /* order: release; pairs with the acquire in look of revoke.c: its record */
	rg_store_release(&m->p, p); /* order: release; pairs with the acquire in rg_spare_wait: all of that P */
}

void rg_m_let_go(struct m *m)
{
	rg_store_relaxed(&m->p, NULL);
	rg_store_relaxed(&rg_m_page(m)->p, 0);
}

void rg_spare_give(struct m *m, struct p *p)
{
	rg_m_hold(m, p);
	rg_spare_wake(m);
}

void rg_spare_put(struct m *m)
{
	rg_lock(&rt.spare_lock);
	m->next = rt.spares;
	rg_store_relaxed(&rt.spares, m);
	rg_unlock(&rt.spare_lock);
}

bool rg_spare_wait(struct m *m)
{
	/* Who gives us something has taken us off the list before, or has made us for that. */
	if (!m->claimed)
		rg_spare_put(m);
	m->claimed = false;
	for (;;) {
		/* order: acquire; pairs with the add in rg_spare_wake: what is given is there */
		uint32_t now = rg_load_acquire(&m->given);

		if (rg_load_acquire(&m->stop)) /* order: acquire; pairs with the release in run.c */
			return false;
		/* order: acquire; pairs with the releases in rg_spare_give and in lane.c */
		if (rg_load_acquire(&m->p) || rg_load_acquire(&m->gift))
			break;
		rg_futex_wait(&m->given, now, -1);
	}
	if (m->p)
		rt.poller->adopt(m);
	return true;
}

void rg_m_leave_all(void)
{
	for (unsigned i = 0; i < rt.nm; i++)
		rg_thread_detach(&rt.m[i]->thread);
}

bool rg_m_drain_rest(int64_t deadline)
{
	bool clean = true;

	for (unsigned i = 0; i < rt.np; i++) {
		struct m *m = rt.p[i]->m;

		if (rt.p[i]->drained)
			continue;
		m->p = rt.p[i];
		clean &= drain(m, deadline);
	}
	return clean;
}

void rg_m_free_all(void)
{
	for (unsigned i = 0; i < rt.nm; i++)
		rg_thread_join(&rt.m[i]->thread);
	for (unsigned i = 0; i < rt.np; i++) {
		struct p *p = rt.p[i];

		rt.poller->fini(p); /* not earlier: a waker may be late */
		rg_timers_free(p);
		munmap(p, sizeof(*p));
	}
	for (unsigned i = 0; i < rt.nm; i++)
		record_free(rt.m[i]);
}
