// SPDX-License-Identifier: MIT
/*
 * Goroutines that wait while they hold a lock of pthreads. Such a one may go on on another thread, which does
 * not own the lock: to unlock it there is undefined, and until then whoever runs on the first thread counts as
 * its owner. Tests hardly find that, since most waits end where they began.
 *
 * So the calls of pthreads are replaced, when it is asked for: in all objects that are loaded when a run starts,
 * the slots for them in the global offset table are made to point here. That costs nothing otherwise, needs no other
 * way to link or to start the program, sees the locks of C++, and not what the C library does inside. Rejected: a
 * library for LD_PRELOAD, which has to be at hand; functions of these names in our library, which every program
 * would pay for. Not seen: locks of objects that are loaded later and of programs that are linked statically,
 * calls by pointers in data, and anything under ThreadSanitizer, which replaces the same calls.
 *
 * What a thread has locked is noted in its M, if a G did it. The notes belong to that G, so they are dropped when
 * it leaves. As an unlock may be missed, the lock itself is asked whether it is still held: glibc's locks know
 * the thread that owns them.
 *
 * A lock that is held while the P is taken is fine, since the G stays where it is (revoke.c). So is one of a
 * goroutine that keeps its thread (locked.c).
 */
#include "core/held.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/lock.h"
#include "base/log.h"
#include "base/os.h"
#include "core/dump.h"
#include "core/rt.h"
#include "core/trace.h"

/* ---- notes ---- */

static struct m *noting(void)
{
	struct m *m = (struct m *)rg_arch_self();

	return m && m->cur && rt.debug & RG_DEBUG_HELD ? m : NULL;
}

/* The place of a lock's note, which it may have to get. */
static uint32_t find(const struct rg_held *h, const void *lock)
{
	uint32_t i = 0;

	while (i < h->n && h->at[i].lock != lock)
		i++;
	return i;
}

static int locked(int err, void *lock, bool rw, void *pc)
{
	struct m *m = noting();
	uint32_t i;

	if ((err && err != EOWNERDEAD) || !m)
		return err;
	i = find(&m->held, lock);
	if (i == RG_HELD)
		return err;
	if (i == m->held.n) {
		m->held.at[i] = (struct rg_held_lock){ .lock = lock, .pc = pc, .rw = rw };
		m->held.n++;
	}
	m->held.at[i].depth++;
	return err;
}

static int unlocked(int err, void *lock)
{
	struct m *m = noting();
	uint32_t i;

	if (err || !m)
		return err;
	i = find(&m->held, lock);
	if (i < m->held.n && !--m->held.at[i].depth)
		m->held.at[i] = m->held.at[--m->held.n];
	return err;
}

/* ---- the calls ---- */

#define LOCKS(X) \
	X(pthread_mutex_lock, false) X(pthread_mutex_trylock, false) X(pthread_mutex_timedlock, false) \
	X(pthread_mutex_clocklock, false) X(mtx_lock, false) X(mtx_trylock, false) X(mtx_timedlock, false) \
	X(pthread_rwlock_rdlock, true) X(pthread_rwlock_tryrdlock, true) X(pthread_rwlock_timedrdlock, true) \
	X(pthread_rwlock_clockrdlock, true) X(pthread_rwlock_wrlock, true) X(pthread_rwlock_trywrlock, true) \
	X(pthread_rwlock_timedwrlock, true) X(pthread_rwlock_clockwrlock, true)

#define UNLOCKS(X) X(pthread_mutex_unlock, false) X(mtx_unlock, false) X(pthread_rwlock_unlock, true)

#define NUMBER(fn, rw) CALL_##fn,
enum { LOCKS(NUMBER) UNLOCKS(NUMBER) CALLS };

/* Arguments come in registers: those that a function does not have are handed on in vain. */
static int (*real[CALLS])(void *lock, uintptr_t a, uintptr_t b);

#define LOCK(fn, rw) \
	static int my_##fn(void *l, uintptr_t a, uintptr_t b) \
	{ \
		return locked(real[CALL_##fn](l, a, b), l, rw, __builtin_return_address(0)); \
	}
#define UNLOCK(fn, rw) \
	static int my_##fn(void *l, uintptr_t a, uintptr_t b) \
	{ \
		return unlocked(real[CALL_##fn](l, a, b), l); \
	}
LOCKS(LOCK)
UNLOCKS(UNLOCK)

#define ENTRY(fn, rw) { #fn, my_##fn },
static const struct {
	const char *name;
	int (*mine)(void *lock, uintptr_t a, uintptr_t b);
} calls[CALLS] = { LOCKS(ENTRY) UNLOCKS(ENTRY) };

/* ---- replacing them ---- */

struct object {
	uintptr_t base;
	const Elf64_Sym *symbols;
	const char *strings;
	const Elf64_Rela *rela[2]; /* of data, and of the PLT */
	size_t bytes[2];
	uintptr_t ro, ro_end; /* pages that the loader has made read-only */
};

/* The loader leaves relocated addresses here, but for objects whose dynamic section it cannot write. */
static const void *address(const struct object *o, uintptr_t a)
{
	return (const void *)(a < o->base ? a + o->base : a);
}

static void read_dynamic(struct object *o, const Elf64_Dyn *d)
{
	for (; d->d_tag != DT_NULL; d++)
		switch (d->d_tag) {
		case DT_SYMTAB:
			o->symbols = address(o, d->d_un.d_ptr);
			break;
		case DT_STRTAB:
			o->strings = address(o, d->d_un.d_ptr);
			break;
		case DT_RELA:
			o->rela[0] = address(o, d->d_un.d_ptr);
			break;
		case DT_RELASZ:
			o->bytes[0] = d->d_un.d_val;
			break;
		case DT_JMPREL:
			o->rela[1] = address(o, d->d_un.d_ptr);
			break;
		case DT_PLTRELSZ:
			o->bytes[1] = d->d_un.d_val;
			break;
		default:
			break;
		}
}

static unsigned number_of(const char *name)
{
	unsigned i = 0;

	while (i < CALLS && strcmp(name, calls[i].name))
		i++;
	return i;
}

/* One word, so whoever calls meanwhile calls the one or the other. */
static void point(const struct object *o, uintptr_t slot, uintptr_t fn)
{
	void *page = (void *)(slot & ~(uintptr_t)(RG_PAGE - 1));
	bool ro = slot >= o->ro && slot < o->ro_end;

	if (ro && mprotect(page, RG_PAGE, PROT_READ | PROT_WRITE))
		return;
	rg_store_relaxed((uintptr_t *)slot, fn);
	if (ro)
		mprotect(page, RG_PAGE, PROT_READ);
}

static void replace(const struct object *o, const Elf64_Rela *r, size_t n)
{
	for (; n--; r++) {
		uint32_t type = ELF64_R_TYPE(r->r_info);
		unsigned i;

		if (type != R_X86_64_JUMP_SLOT && type != R_X86_64_GLOB_DAT)
			continue;
		i = number_of(o->strings + o->symbols[ELF64_R_SYM(r->r_info)].st_name);
		if (i < CALLS && real[i])
			point(o, o->base + r->r_offset, (uintptr_t)calls[i].mine);
	}
}

static int each_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct object o = { .base = info->dlpi_addr };

	(void)size, (void)arg;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const Elf64_Phdr *ph = &info->dlpi_phdr[i];

		if (ph->p_type == PT_DYNAMIC)
			read_dynamic(&o, (const Elf64_Dyn *)(o.base + ph->p_vaddr));
		if (ph->p_type == PT_GNU_RELRO) {
			o.ro = (o.base + ph->p_vaddr) & ~(uintptr_t)(RG_PAGE - 1);
			o.ro_end = (o.base + ph->p_vaddr + ph->p_memsz) & ~(uintptr_t)(RG_PAGE - 1);
		}
	}
	for (unsigned i = 0; o.symbols && o.strings && i < RG_ARRAY_SIZE(o.rela); i++)
		if (o.rela[i])
			replace(&o, o.rela[i], o.bytes[i] / sizeof(Elf64_Rela));
	return 0;
}

bool rg_held_watch(void)
{
#ifdef RG_TSAN
	return false;
#endif
	for (unsigned i = 0; i < CALLS; i++)
		*(void **)&real[i] = dlsym(RTLD_NEXT, calls[i].name);
	if (!real[CALL_pthread_mutex_lock]) {
		rg_warn("locks of pthreads are not watched: the program is linked statically");
		return false;
	}
	dl_iterate_phdr(each_object, NULL);
	return true;
}

/* ---- reports ---- */

static struct {
	uint32_t lock;
	uint32_t n;
	uint64_t keys[256];
} told;

/* Not told before, and there is room to remember it. */
static bool is_new(uint64_t key)
{
	bool found = false;

	rg_lock(&told.lock);
	for (uint32_t i = 0; i < told.n && !found; i++)
		found = told.keys[i] == key;
	if (told.n == RG_ARRAY_SIZE(told.keys))
		found = true;
	if (!found)
		told.keys[told.n++] = key;
	rg_unlock(&told.lock);
	return !found;
}

static uint64_t key_of(const struct rg_held_lock *h, void *const *pcs, int n)
{
	uint64_t key = (uintptr_t)h->pc;

	for (int i = 0; i < n; i++)
		key = (key ^ (uintptr_t)pcs[i]) * UINT64_C(0x9E3779B97F4A7C15);
	return key;
}

/* Does m's thread hold it? Of readers it is known only how many there are. */
static bool is_held(const struct m *m, const struct rg_held_lock *h)
{
	const pthread_mutex_t *mutex = h->lock;
	const pthread_rwlock_t *rw = h->lock;

	if (!h->rw)
		return rg_load_relaxed(&mutex->__data.__owner) == m->tid;
	return rg_load_relaxed(&rw->__data.__cur_writer) == m->tid || rg_load_relaxed(&rw->__data.__readers) >> 3;
}

static void tell(struct rg_out *o, const struct g *g, const struct rg_held_lock *h, const struct rg_look *l)
{
	const char *what = h->rw ? "rwlock" : "mutex";

	rg_out(o, "ringo: goroutine " RG_G_FMT " (%s) %s while its thread holds a pthread %s, and ", RG_G_ARGS(g),
	       rg_g_name(g)[0] ? rg_g_name(g) : l->name, l->n ? "waits" : "ends", what);
	if (l->n)
		rg_out(o, "may go on on another thread, which must not unlock it. Unlock it before, use ringo_%s, or "
		       "keep the thread by ringo_lock_thread", what);
	else
		rg_out(o, "nobody can unlock it. Unlock it before, or use ringo_%s", what);
	rg_out(o, ". Said once for each such place.\n");
	rg_out_frames(o, l, "\t");
	rg_out(o, "%s %p locked at %p %s\n", what, h->lock, h->pc, rg_symbols_name(o->symbols, h->pc));
}

/* All that is the same of one stack is told once, and so is what is the same of one call of ringo. */
static void report(const struct g *g, const struct rg_held_lock *h)
{
	bool ends = rg_load_relaxed(&g->state) == RG_DEAD;
	struct rg_look l = { .n = 0 };
	struct rg_out *o;

	if (!ends)
		l.n = rg_trace_self(g, l.pcs, RG_TRACE_MAX);
	if (!is_new(key_of(h, l.pcs, l.n)))
		return;
	o = rg_out_begin(NULL, STDERR_FILENO);
	if (!o)
		return;
	rg_look_trim(o, &l);
	rg_symbol(g->flags & RG_G_MAIN ? (void *)rt.main_fn : (void *)g->fn, l.name, sizeof(l.name));
	if (ends || is_new(key_of(h, l.pcs, rg_min(l.n, 2))))
		tell(o, g, h, &l);
	rg_out_end(o);
}

void rg_held_left(struct m *m)
{
	if (m->cur->flags & RG_G_LOCKED && rg_load_relaxed(&m->cur->state) != RG_DEAD)
		return;
	for (uint32_t i = 0; i < m->held.n; i++)
		if (is_held(m, &m->held.at[i]))
			report(m->cur, &m->held.at[i]);
	m->held.n = 0;
}
