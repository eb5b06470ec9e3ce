// SPDX-License-Identifier: MIT
/*
 * Preemption with help of the kernel: what its two tiers have in common, BPF programs (preempt_bpf.c) and the module
 * (preempt_kmod.c). Either way a tick that interrupts an M whose goroutine has run for a quantum takes its P there and
 * then, without a barrier; and sysmon is told when one blocks outside the runtime.
 *
 * sysmon stays, as the one who hands over what was taken, and who looks for what the kernel does not see; only
 * it need not look so often. So nothing is lost when the tier ends in mid-run: the pages of Ms are still there, nobody
 * changes them any more, and sysmon looks as often as it does without.
 *
 * Permits. A tick takes a P only with a permit, and each permit stands for a spare M in the reserve, which
 * nobody else can have. For each notice that a P was taken there is thus one in the reserve. Permits are taken back
 * when the tier ends; what a tick did just before is still told in the ring, which is read until the run ends.
 *
 * One possession of a P ends once. The M's page names its P from when it is given one until it notices that
 * it was taken, or gives it away inside the runtime. A tick takes only what is named there with the word FREE, and
 * says in the notice which P it was; sysmon does likewise (revoke.c). What was taken in a tick is so handed over
 * by its notice alone, whatever the M does meanwhile.
 *
 * At the end of a run sysmon hands over whatever else is told, also to a spare that has ended already: run.c
 * empties the rings of such Ps itself.
 *
 * The pages are the tier's, each mapped over the page before the M's record, and given back with the record. Where
 * there are more Ms than pages, the others have ordinary ones, and sysmon looks after them.
 */
#include "core/kern.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/revoke.h"
#include "core/rt.h"
#include "core/run.h"
#include "core/stack.h"
#include "core/state.h"

#define WANT_AGAIN (INT64_C(20) * 1000 * 1000)

enum { MAX_PAGES = RG_MAX_M + 1, MAX_RING = 16 << 20, TICKS = 4 /* in a quantum */ };

static struct {
	const struct rg_kern_tier *tier; /* NULL: none was begun */
	struct rg_kern_link link;
	bool used;          /* there is a ring to read */
	uint32_t on;        /* the tier is there */
	int bell;
	uint32_t missed;    /* an M that it does not know */
	uint64_t passed_over; /* at the last look */
	struct ringo_ctl_page *ctl;
	uint64_t *consumer; /* the ring's; the kernel's end, and the data after it */
	char *producer;
	struct m *reserve;
	uint32_t reserved;
	bool full;          /* so many as there should be */
	int64_t want_at;    /* not before that another is asked for */
} kern;

static bool ever; /* some records may have pages of an earlier run */

struct ringo_ctl_page *rg_kern_ctl(void)
{
	return kern.used ? kern.ctl : NULL;
}

bool rg_kern_used(void)
{
	return kern.used;
}

bool rg_kern_on(void)
{
	return rg_load_relaxed(&kern.on);
}

/* ---- memory ---- */

/* Part of what the tier offers: as all that is shared, not the child's of a fork. */
static void *map(int fd, uint64_t at, size_t size, int prot)
{
	void *p = mmap(NULL, size, prot, MAP_SHARED, fd, (off_t)at);

	if (p == MAP_FAILED)
		return NULL;
	madvise(p, size, MADV_DONTFORK);
	return p;
}

static size_t producer_size(void)
{
	return RG_PAGE + kern.link.data;
}

uint32_t rg_kern_tick_us(void)
{
	const int64_t us = rt.quantum_ns / 1000 / TICKS;

	return us > 1 ? (uint32_t)rg_min(us, INT32_MAX) : 1;
}

static void unmap(void *p, size_t size)
{
	if (p)
		munmap(p, size);
}

static int map_all(void)
{
	const struct rg_kern_link *l = &kern.link;

	if (l->pages_fd < 0 || l->ring_fd < 0 || l->pages < 2 || l->pages > MAX_PAGES || !l->ring ||
	    l->ring > MAX_RING || l->ring & (l->ring - 1) || l->data < l->ring)
		return -EPROTO;
	kern.ctl = map(l->pages_fd, 0, RG_PAGE, PROT_READ | PROT_WRITE);
	kern.consumer = map(l->ring_fd, l->ring_at, RG_PAGE, PROT_READ | PROT_WRITE);
	kern.producer = map(l->ring_fd, l->ring_at + RG_PAGE, producer_size(), PROT_READ);
	if (!kern.ctl || !kern.consumer || !kern.producer)
		return -ENOMEM;
	kern.ctl->abi = RINGO_ABI_VERSION;
	kern.ctl->quantum = (uint32_t)rg_min(rg_enough_ns() >> 10, INT32_MAX);
	return 0;
}

static void forget(void)
{
	if (!kern.tier)
		return;
	kern.tier->stop();
	if (kern.bell >= 0)
		close(kern.bell);
	memset(&kern, 0, sizeof(kern));
}

int rg_kern_start(const struct rg_kern_tier *tier)
{
	int err;

#ifdef RINGO_SIM
	return -ENOSYS;
#endif
	memset(&kern, 0, sizeof(kern));
	kern.tier = tier;
	kern.link.pages_fd = kern.link.ring_fd = kern.link.alive_fd = -1;
	kern.bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = kern.bell < 0 ? -errno : tier->start(&kern.link);
	if (!err)
		err = map_all();
	if (err) {
		rg_kern_stop();
		return err;
	}
	ever = kern.used = true;
	kern.on = 1;
	return 0;
}

void rg_kern_stop(void)
{
	unmap(kern.ctl, RG_PAGE);
	unmap(kern.consumer, RG_PAGE);
	unmap(kern.producer, producer_size());
	forget();
}

void rg_kern_child(void)
{
	forget();
}

/* ---- Ms ---- */

static bool has_page(const struct m *m)
{
	return kern.used && m->id + 1 < kern.link.pages;
}

static int own_page(void *page)
{
	page = mmap(page, RG_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	return page == MAP_FAILED ? -ENOMEM : madvise(page, RG_PAGE, MADV_DONTFORK);
}

static int shared_page(void *page, uint32_t number)
{
	page = mmap(page, RG_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, kern.link.pages_fd,
		    (off_t)number * RG_PAGE);
	if (page == MAP_FAILED)
		return -ENOMEM;
	madvise(page, RG_PAGE, MADV_DONTFORK);
	memset(page, 0, sizeof(struct ringo_m_page)); /* one whose thread could not be made had it before */
	return 0;
}

int rg_kern_place(struct m *m)
{
	if (!ever)
		return 0;
	/* It may fail when the tier is just being lost. */
	m->ticked = has_page(m) && rg_kern_on() && !shared_page(rg_m_page(m), m->id + 1);
	return m->ticked ? 0 : own_page(rg_m_page(m));
}

void rg_kern_leave(struct m *m)
{
	if (ever)
		own_page(rg_m_page(m));
}

void rg_kern_add(struct m *m)
{
	if (!kern.used)
		return;
	m->upcalls = false;
	m->ticked = m->ticked && rg_kern_on() && !kern.tier->add(m);
	if (!m->ticked)
		rg_store_relaxed(&kern.missed, 1);
}

/* ---- the reserve ---- */

static struct m *reserve_pop(void)
{
	struct m *m = kern.reserve;

	if (m) {
		kern.reserve = m->next;
		kern.reserved--;
	}
	return m;
}

/* For as many goroutines as may overrun at a time, within reason: who did comes back as a spare. */
static void reserve_fill(void)
{
	const uint32_t want = rg_min(rg_load_relaxed(&rt.procs) + 1, 4u);

	while (kern.reserved < want && rg_kern_on()) {
		struct m *m = rg_spare_take();

		if (!m)
			break;
		m->next = kern.reserve;
		kern.reserve = m;
		kern.reserved++;
		rg_add_full(&kern.ctl->permits, 1); /* order: full; pairs with the tick's: there is one in the reserve */
	}
	kern.full = kern.reserved == want;
	/* One is left to others, who look for one too. */
	if (!rg_load_relaxed(&rt.spares) && rg_now() >= kern.want_at) {
		kern.want_at = rg_now() + WANT_AGAIN;
		rg_run_want_spare();
	}
}

struct m *rg_kern_spare(void)
{
	uint32_t n = rg_kern_on() ? rg_load_relaxed(&kern.ctl->permits) : 0;

	/* order: full; pairs with the tick's: one of us has the permit */
	if (!n || !rg_cas_full(&kern.ctl->permits, n, n - 1))
		return NULL;
	kern.full = false;
	return reserve_pop();
}

static void reserve_drop(void)
{
	/* order: full; pairs with the tick's: what it has had is told in the ring */
	uint32_t n = rg_xchg_full(&kern.ctl->permits, 0);

	while (n--) {
		struct m *m = reserve_pop();

		if (m)
			rg_spare_put(m);
	}
}

/* ---- sysmon ---- */

static void lost(void)
{
	rg_store_relaxed(&kern.on, 0);
	rg_store_relaxed(&kern.ctl->watch, 0);
	kern.tier->lost();
	reserve_drop();
	rg_state_lost();
	rg_warn("%s: preemption goes on without, a little later and for blocked threads much later",
		kern.tier->lost_text);
}

void rg_kern_wake(void)
{
	const uint64_t one = 1;
	ssize_t n;

	do {
		n = write(kern.bell, &one, sizeof(one));
	} while (n < 0 && errno == EINTR);
}

void rg_kern_sleep(int64_t timeout_ns)
{
	struct timespec ts = { .tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000 };
	struct pollfd fds[] = {
		{ .fd = kern.bell, .events = POLLIN },
		{ .fd = kern.link.ring_fd, .events = POLLIN },
		{ .fd = rg_kern_on() ? kern.link.alive_fd : -1 },
	};
	uint64_t n;

	if (ppoll(fds, RG_ARRAY_SIZE(fds), timeout_ns < 0 ? NULL : &ts, NULL) <= 0)
		return;
	if (fds[0].revents && read(kern.bell, &n, sizeof(n)) < 0)
		return;
	if (fds[1].revents & ~POLLIN)
		kern.link.ring_fd = -1; /* closed behind our back */
	if (rg_kern_on() && (fds[1].revents & ~POLLIN || fds[2].revents))
		lost();
}

void rg_kern_arm(void)
{
	if (rg_kern_on())
		rg_store_relaxed(&kern.ctl->watch, 1);
}

static void disarm(void)
{
	rg_store_relaxed(&kern.ctl->watch, 0);
	/* Who asks from now on finds rg_watch 0, and arms it after us. */
	rg_fence_full(); /* order: full; pairs with the exchange in rg_watch_ask */
	if (rg_load_relaxed(&rg_watch))
		rg_kern_arm();
}

void rg_kern_watch(bool on)
{
	if (!rg_kern_on())
		return;
	if (!on) {
		disarm();
		return;
	}
	reserve_fill();
	rg_kern_arm();
	if (!rg_load_relaxed(&kern.ctl->ticks))
		kern.tier->watch();
}

static bool ticks_suffice(void)
{
	return rg_kern_on() && rg_load_relaxed(&kern.ctl->ticks) && kern.link.tick_us <= rt.quantum_ns / 1000 * 9 / 8;
}

bool rg_kern_takes(const struct m *m)
{
	return m->ticked && ticks_suffice() && rg_load_relaxed(&kern.ctl->permits);
}

bool rg_kern_suffices(void)
{
	uint64_t before = kern.passed_over;

	if (!rg_kern_on())
		return false;
	kern.passed_over = rg_load_relaxed(&kern.ctl->passed_over);
	return kern.full && !rg_load_relaxed(&kern.missed) && kern.passed_over == before && ticks_suffice();
}

/* ---- upcalls ---- */

bool rg_kern_park(struct m *m, const struct g *g)
{
	struct ringo_m_page *page = rg_m_page(m);
	char *lo, *hi;

	/* It may be on its way out of the last one. */
	if (!m->upcalls || !ticks_suffice() || rg_load_relaxed(&page->upcall))
		return false;
	rg_stack_bounds(g, &lo, &hi);
	rg_store_relaxed(&page->stack_low, (uint64_t)(uintptr_t)lo + RG_PAGE + sizeof(void *));
	rg_store_relaxed(&page->stack_high, (uint64_t)(uintptr_t)hi);
	/* order: release; pairs with the acquire in the module's tick: it sees these, and m->lane.park */
	rg_store_release(&page->upcall, RINGO_UPCALL_ASKED);
	return true;
}

void rg_kern_unpark(struct m *m)
{
	/* order: full; pairs with the CAS of the module's tick: if that was first, the M finds m->lane.park 0 */
	if (rg_kern_parks(m))
		rg_cas_full(&rg_m_page(m)->upcall, RINGO_UPCALL_ASKED, 0);
}

bool rg_kern_parks(struct m *m)
{
	return rg_load_relaxed(&rg_m_page(m)->upcall);
}

/* ---- notices ---- */

static void taken(struct m *m, struct p *p)
{
	struct m *next = reserve_pop();

	/* The CAS in the tick, and the ring, order it in fact; this is for who sees only us. */
	/* order: acquire; pairs with the release in rg_leave: all that m did with the P */
	(void)rg_load_acquire(&rg_m_page(m)->in_rt);
	if (next)
		rg_revoke_taken(m, p, next);
}

static void obey(const struct ringo_notice *n)
{
	struct m *m;
	struct p *p;

	/* order: acquire; pairs with the releases of rt.nm and rt.np */
	if (n->page - 1 >= rg_load_acquire(&rt.nm) || n->p - 1 >= rg_load_acquire(&rt.np))
		return;
	m = rt.m[n->page - 1];
	p = rt.p[n->p - 1];
	if (n->what == RINGO_NOTICE_TAKEN)
		taken(m, p);
	else if (n->what == RINGO_NOTICE_BLOCKED)
		rg_revoke_blocked(m, p, n->when);
}

/* The kernel's format: before each record its length, the two highest bits of which say what it is. */
static bool next_notice(struct ringo_notice *n)
{
	enum { HEAD = 8 };
	const uint32_t busy = 1u << 31, discarded = 1u << 30;
	uint64_t at = rg_load_relaxed(kern.consumer);
	uint32_t *head, len;

	for (;;) {
		/* order: acquire; pairs with the kernel's release of its position: the length is there */
		if (at == rg_load_acquire((uint64_t *)kern.producer))
			return false;
		head = (uint32_t *)(kern.producer + RG_PAGE + (at & (kern.link.ring - 1)));
		len = rg_load_acquire(head); /* order: acquire; pairs with the kernel's release: the record is there */
		if (len & busy)
			return false; /* we are woken when it is done */
		if (!(len & discarded))
			memcpy(n, (char *)head + HEAD, sizeof(*n));
		at += ((len & ~discarded) + HEAD + 7) & ~7u;
		rg_store_release(kern.consumer, at); /* order: release; pairs with the kernel's acquire: it may be written over */
		if (!(len & discarded))
			return true;
	}
}

bool rg_kern_notices(void)
{
	struct ringo_notice n;
	bool any = false;

	while (next_notice(&n)) {
		obey(&n);
		any = true;
	}
	/* order: acquire; pairs with the release in run.c */
	if (any && rg_load_acquire(&rt.phase) == RG_UP)
		reserve_fill();
	return any;
}
