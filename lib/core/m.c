// SPDX-License-Identifier: MIT
/*
 * OS threads. M i is made with P i and holds it; each makes its own ring, because io_uring ties much of
 * a ring to the thread that made it. An M never exits while operations are in flight on its ring.
 *
 * Records are recycled but never unmapped, and each lies one page after its M page, which is not
 * inherited by fork.
 */
#include "core/m.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/lock.h"
#include "base/log.h"
#include "core/gate.h"
#include "core/rt.h"
#include "core/sched.h"

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

static int thread_setup(struct m *m)
{
	int err;

	m->errnop = &errno;
	m->self.self = &m->self;
	m->self.thread = rg_thread_pointer();
	rg_m_page(m)->abi = RINGO_ABI_VERSION;
	rg_m_page(m)->in_rt = 1;
	own_stack(m);
	err = altstack_set(m);
	if (!err)
		err = rg_arch_set_self(&m->self);
	if (!err)
		err = rt.poller->init(m);
	return err;
}

static void *thread_main(void *arg)
{
	struct m *m = arg;
	bool clean = true;

	m->start_err = thread_setup(m);
	if (!m->start_err) {
		tell(m, 1);
		rg_sched_loop(m);
		clean = rt.poller->drain(m, rt.stop_deadline);
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

	if (err)
		rg_warn("cannot make a thread (%s): the limit of processes (ulimit -u), of the cgroup "
			"(pids.max) or of memory is reached; raise it, or ask for fewer Ps (RINGO_PROCS)",
			strerror(-err));
	return err;
}

int rg_m_start(unsigned id)
{
	struct m *m = record_new();
	int err = -ENOMEM;

	if (!m)
		return err;
	m->id = id;
	m->p = p_new(id);
	if (!m->p)
		goto free_record;
	m->p->m = m;
	rt.m[id] = m; /* before it can show up as idle */
	rt.p[id] = m->p;
	err = thread_make(m);
	if (err)
		goto free_p;
	/* order: acquire; pairs with the release in tell */
	while (!rg_load_acquire(&m->started))
		rg_futex_wait(&m->started, 0, -1);
	if (m->start_err) {
		rg_thread_join(&m->thread);
		err = m->start_err;
		goto free_p;
	}
	rg_add_full(&rt.live_ms, 1); /* order: full; pairs with the sub in thread_main */
	/* order: release; pairs with the acquire in steal: rt.p and rt.m up to it are set */
	rg_store_release(&rt.nm, id + 1);
	return 0;

free_p:
	rt.m[id] = NULL;
	rt.p[id] = NULL;
	munmap(m->p, sizeof(*m->p));
free_record:
	record_free(m);
	return err;
}

void rg_m_leave_all(void)
{
	for (unsigned i = 0; i < rt.nm; i++)
		rg_thread_detach(&rt.m[i]->thread);
}

void rg_m_free_all(void)
{
	for (unsigned i = 0; i < rt.nm; i++) {
		struct m *m = rt.m[i];

		rg_thread_join(&m->thread);
		rt.poller->fini(m); /* not earlier: a waker may be late */
		rg_timers_free(m->p);
		munmap(m->p, sizeof(*m->p));
		record_free(m);
	}
}
