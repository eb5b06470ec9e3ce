// SPDX-License-Identifier: MIT
/*
 * Goroutines that nothing can wake any more: see ringo_leak_unreachable.
 *
 * All threads stop (core/probe.c), so that their registers lie in memory, and the process is forked: the copy
 * stands still while it is searched, and a fault in the search ends the copy only. It is made by clone(2)
 * without a signal, so that the program never hears of it; it takes no lock and no memory.
 *
 * In the copy every word of writable memory may be a pointer. Who is looked for and what becomes of a pointer
 * is told in reach.c. Roots are all mappings but the arenas of stacks and the table, the stacks of all
 * goroutines that are not lost, and the arguments of those not born.
 *
 * That errs on one side only: but for what lost goroutines wait for, the heap is not traced, so a structure
 * that is itself lost keeps what it points to alive.
 */
#include <errno.h>
#include <fcntl.h>
#include <ringo/stats.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

#include "core/dump.h"
#include "core/gate.h"
#include "core/probe.h"
#include "core/rt.h"
#include "core/stack.h"
#include "observe/reach.h"
#include "observe/reads.h"

enum { SHOWN = 100, HOLES = RG_CLASSES + 2 + RG_MAX_M, ALTSTACK = 64 << 10, CALLEE_SAVED = 48, TRIES = 8 };

struct range {
	uintptr_t lo, hi;
};

/* A mapping, from a line of maps. */
struct mapping {
	uintptr_t lo, hi;
	const char *file;
	bool brk;
};

/* Shared with the copy. */
struct result {
	uint32_t n;
	uint32_t done;
	uint32_t index[];
};

struct search {
	size_t size;
	struct rg_reach reach;
	struct range holes[HOLES]; /* not searched as mappings, in order */
	unsigned nholes;
	struct mapping heap; /* what may be one, so far */
	struct result *result;
	size_t result_size;
};

static void search_mapping(struct search *s, uintptr_t lo, uintptr_t hi, bool file)
{
	for (unsigned i = 0; i < s->nholes && lo < hi; i++) {
		const struct range *h = &s->holes[i];

		if (h->hi <= lo || h->lo >= hi)
			continue;
		if (h->lo > lo)
			search_mapping(s, lo, h->lo, file);
		lo = h->hi;
	}
	if (lo >= hi)
		return;
	rg_reach_root(&s->reach, lo, hi, !file);
}

/*
 * An M's own stack, below where its loop left it for a goroutine, and its signal stack while it runs none,
 * have only what the scheduler did last. What it works on, others point to as well.
 */
static uintptr_t above_ms(uintptr_t lo, uintptr_t hi)
{
	for (unsigned i = 0; i < rt.nm; i++) {
		uintptr_t sp = (uintptr_t)rt.m[i]->sched_sp;

		if (sp >= lo && sp < hi)
			return sp;
	}
	return lo;
}

/* Heaps have no file; one that grew after a fork is made of several mappings. m NULL: there are no more. */
static void look_for_heap(struct search *s, const struct mapping *m)
{
	struct mapping *h = &s->heap;

	if (m && !m->file && m->lo == h->hi && m->brk == h->brk) {
		h->hi = m->hi;
		return;
	}
	if (h->hi)
		rg_reach_heap(&s->reach, h->lo, h->hi, h->brk);
	*h = m && !m->file ? *m : (struct mapping){ 0 };
}

static void search_it(struct search *s, const struct mapping *m)
{
	const char *f = m->file;

	if (f && !strncmp(f, "/dev/", 5) && strncmp(f, "/dev/shm/", 9) && strncmp(f, "/dev/zero", 9))
		return; /* a device: what it does when read is its own affair */
	search_mapping(s, f ? m->lo : above_ms(m->lo, m->hi), m->hi, f != NULL);
}

/* One line of maps, if it is of memory that may be written. */
static void do_line(struct search *s, const char *line, void (*fn)(struct search *, const struct mapping *))
{
	char *at;
	struct mapping m = { .lo = strtoull(line, &at, 16), .file = strchr(line, '/') };

	m.hi = strtoull(at + 1, &at, 16);
	m.brk = strstr(line, "[heap]");
	if (at[1] == 'r' && at[2] == 'w')
		fn(s, &m);
}

static void each_mapping(struct search *s, void (*fn)(struct search *, const struct mapping *))
{
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	char buf[8192];
	size_t n = 0;
	ssize_t r;

	if (fd < 0)
		_exit(1);
	while ((r = read(fd, buf + n, sizeof(buf) - 1 - n)) > 0) {
		char *line = buf, *eol;

		n += (size_t)r;
		buf[n] = 0;
		while ((eol = strchr(line, '\n'))) {
			*eol = 0;
			do_line(s, line, fn);
			line = eol + 1;
		}
		n -= (size_t)(line - buf);
		memmove(buf, line, n);
	}
	close(fd);
}

static void add_hole(struct search *s, const void *lo, const void *hi)
{
	struct range r = { .lo = (uintptr_t)lo, .hi = (uintptr_t)hi };
	unsigned i = s->nholes++;

	for (; i && s->holes[i - 1].lo > r.lo; i--)
		s->holes[i] = s->holes[i - 1];
	s->holes[i] = r;
}

/* What an M did last for a goroutine that has left its stack: the lock of a channel, mostly. */
static void forget_ms(struct search *s)
{
	for (unsigned i = 0; i < rt.nm; i++) {
		struct m *m = rt.m[i];

		if (!m->post)
			m->post_arg = NULL;
		if (!m->cur && m->altstack)
			add_hole(s, m->altstack, (char *)m->altstack + ALTSTACK);
	}
}

/* In the copy. */
static void search_all(struct search *s)
{
	struct rg_reach *r = &s->reach;

	rg_reads_begin();
	r->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	forget_ms(s);
	rg_reach_begin(r);
	each_mapping(s, look_for_heap);
	look_for_heap(s, NULL);
	rg_reach_known(r);
	each_mapping(s, search_it);
	rg_reach_end(r);
	for (uint32_t i = 0; i < r->used; i++)
		if (r->lost[i])
			s->result->index[s->result->n++] = i;
	s->result->done = 1;
}

static void search_free(struct search *s)
{
	if (s->result)
		munmap(s->result, s->result_size);
	munmap(s, s->size);
}

static struct search *search_new(void)
{
	uint32_t used = rg_g_used();
	size_t size = sizeof(struct search) + rg_reach_size(used);
	struct search *s = mmap(NULL, size, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *lo, *hi;

	if (s == MAP_FAILED)
		return NULL;
	s->size = size;
	rg_reach_init(&s->reach, s + 1, used);
	s->result_size = sizeof(*s->result) + (size_t)used * sizeof(uint32_t);
	s->result = mmap(NULL, s->result_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s->result == MAP_FAILED) {
		s->result = NULL;
		search_free(s);
		return NULL;
	}
	for (unsigned i = 0; i < RG_CLASSES; i++)
		if (rg_stack_arena(i, &lo, &hi))
			add_hole(s, lo, hi);
	add_hole(s, rg_g_table, rg_g_table + rg_g_limit());
	add_hole(s, s, (char *)s + size);
	return s;
}

/* Jobs of the blocking pool may hold in registers what only they know. */
static bool pool_at_work(void)
{
	for (uint32_t i = 0, n = rg_g_used(); i < n; i++)
		if (rg_load_relaxed(&rg_g_at(i)->state) == RG_SYSCALL &&
		    *(const volatile uint8_t *)&rg_g_at(i)->reason == RG_WHY_POOL)
			return true;
	return false;
}

static bool asleep(const struct m *m)
{
	const struct p *p = m->p;

	if (!p)
		return !rg_load_relaxed(&rg_m_page((struct m *)m)->cur_g);
	return rg_load_relaxed(&p->idle) == RG_P_PARKED ||
	       rg_load_relaxed(&rt.serving[p->id / 64]) >> (p->id % 64) & 1;
}

/*
 * Is everybody else in the program's code, or asleep? A waker takes a goroutine off its channel before it
 * makes it runnable, and in between only the waker knows of it. All threads stand still.
 */
static bool at_rest(const struct m *self)
{
	if (rg_load_relaxed(&rt.users) != (self ? 0u : 1u))
		return false;
	for (unsigned i = 0; i < rt.nm; i++) {
		struct m *m = rt.m[i];

		if (m == self)
			continue;
		if (m->cur ? rg_load_relaxed(&rg_m_page(m)->in_rt) : !asleep(m))
			return false;
	}
	return true;
}

/* The copy, searched: 0, and s->result is there. */
static int copy_and_search(struct m *m, struct search *s, uintptr_t sp)
{
	int err = rg_probe_stop_all(), status;
	pid_t pid;

	if (err)
		return err;
	err = pool_at_work() || !at_rest(m) ? -EAGAIN : 0;
	s->reach.self = m ? m->cur : NULL;
	s->reach.sp = sp;
	pid = err ? 0 : (pid_t)syscall(SYS_clone, 0, 0, 0, 0, 0);
	if (!err && !pid) {
		search_all(s);
		_exit(0);
	}
	rg_probe_go();
	if (err)
		return err;
	if (pid < 0)
		return -errno;
	while (waitpid(pid, &status, __WALL) < 0 && errno == EINTR)
		;
	return s->result->done ? 0 : -EAGAIN;
}

static void tell(struct m *m, const struct result *r, int fd)
{
	struct rg_out *o = rg_out_begin(m, fd);
	struct rg_scan *sc = o ? rg_scan_begin() : NULL;

	for (uint32_t i = 0; sc && i < r->n && i < SHOWN; i++) {
		struct rg_look *l = rg_scan_one(sc, rg_g_at(r->index[i]));

		if (!i)
			rg_out(o, "ringo: goroutines that nothing can wake any more:\n\n");
		if (l)
			rg_out_full(o, l);
	}
	if (sc && r->n > SHOWN)
		rg_out(o, "... and %u more\n", r->n - SHOWN);
	if (sc)
		rg_scan_end(sc);
	if (o)
		rg_out_end(o);
}

static long find_lost(struct m *m, int fd, uintptr_t sp)
{
	struct search *s = search_new();
	long n = 0;

	if (!s)
		return -ENOMEM;
	/* Most are only between two states for a moment. */
	for (int i = 0; i < TRIES; i++) {
		n = copy_and_search(m, s, sp);
		if (n != -EAGAIN)
			break;
		sched_yield();
	}
	if (!n) {
		n = s->result->n;
		if (fd >= 0 && n)
			tell(m, s->result, fd);
	}
	search_free(s);
	return n;
}

/* What its caller has in registers is saved right below its frame: from there on the stack is searched. */
RG_API long ringo_leak_unreachable(int fd)
{
	uintptr_t sp = (uintptr_t)__builtin_frame_address(0) - CALLEE_SAVED;
	int saved = errno;
	struct m *m = rg_enter();
	long n = m ? 0 : rg_foreign_enter();

	__builtin_unwind_init();
	if (n)
		return n;
#if defined(RG_ASAN) || defined(RG_TSAN) || defined(RINGO_SIM)
	n = -ENOTSUP;
	(void)find_lost, (void)sp, (void)fd;
#else
	n = RUNNING_ON_VALGRIND ? -ENOTSUP : find_lost(m, fd, sp);
#endif
	if (m)
		rg_leave(m);
	else
		rg_foreign_leave();
	errno = saved;
	return n;
}
