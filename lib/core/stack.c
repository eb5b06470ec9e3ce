// SPDX-License-Identifier: MIT
/*
 * Stacks. One reservation of address space per size class, cut into slots of one size. A slot costs
 * memory only for the pages its goroutine has touched: it grows by page faults and is trimmed by sysmon.c.
 *
 * Guard. The lowest page of each slot must fault. MADV_GUARD_INSTALL (kernel >= 6.13) marks it in the page
 * table, without splitting the mapping, so that a million of them fit into one map entry. It is installed
 * when a slot is first used, because then the page table page is needed anyway. Older kernels: the reservation
 * is a mapping of the kernel module's device, in which those pages fault (kmod/stacks.c); and without it mprotect,
 * which costs two map entries per slot and so ends at about half of vm.max_map_count; the table of
 * goroutines is made no larger than that, so that a spawn fails and not a running program. With
 * RINGO_RUN_CANARY, slots beyond go on with a canary at the top, where the slot above runs into first.
 *
 * Free slots are kept as indices in an array of their own, not in the slots: a trimmed slot is not touched
 * again to find the next. Each P caches some, the hottest on top.
 *
 * Base class: there are as many slots as descriptors, plus what the Ps' caches can hold, so binding
 * never fails. Larger classes: a spawn holds a place first.
 *
 * The unused part of a class is kept out of core files, which would be of its size: terabytes where they go through a
 * pipe, and minutes where they do not.
 *
 * THP would make each slot cost 64 KiB at first touch: the arena is MADV_NOHUGEPAGE.
 */
#include "core/stack.h"

#include <errno.h>
#include <fcntl.h>
#include <ringo/stats.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define VALGRIND_STACK_REGISTER(lo, hi) ((void)(lo), (void)(hi))
#endif

#include "base/lock.h"
#include "base/log.h"
#include "base/os.h"
#include "core/base.h"
#include "core/fault.h"
#include "core/rt.h"
#include "core/state.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

enum {
	CARVE = 32,          /* new slots at a time: those of one page table page */
	COLOURS = 16,        /* stack tops in different cache sets */
	CLASS_SHIFT = 28,
	MAPS_SPARE = 1024,   /* map entries left to the program */
	CANARY_BYTES = 64,
	DUMP_BYTES = 64 << 20,
};

#define NONE UINT32_MAX
#define LARGE_CLASS_SPACE (UINT64_C(64) << 30)
#define CANARY UINT64_C(0x6f676e6972fa11ed)

struct class {
	char *base;
	size_t size;     /* of the reservation */
	size_t slot;     /* bytes per slot */
	uint32_t nslots;
	uint32_t used;   /* slots ever bound; those below have their guard */
	uint32_t dumped; /* slots below are in a core, and those from used on would only be holes in it */
	uint32_t held;   /* classes > 0: goroutines that may bind one */
	uint32_t lock;
	uint32_t dirty, clean; /* free lists: indices into next */
	uint32_t *next;
	size_t next_size;
};

static struct class classes[RG_CLASSES];
static unsigned guard;
static uint32_t guard_max; /* slots that mprotect can guard, over all classes */
static uint32_t guarded;
bool rg_stack_canaries;

size_t rg_stack_class_size(unsigned class)
{
	static const uint8_t shifts[RG_CLASSES] = { 16, 18, 20, 22, 24, 26, 28, 30 };

	return (size_t)1 << shifts[class];
}

int rg_stack_class(size_t bytes)
{
	for (unsigned c = 0; c < RG_CLASSES; c++)
		if (bytes <= rg_stack_class_size(c))
			return (int)c;
	return -EINVAL;
}

unsigned rg_stack_guard(void)
{
	return guard;
}

static uint32_t slot_id(unsigned class, uint32_t index)
{
	return class << CLASS_SHIFT | (index + 1);
}

static unsigned slot_class(uint32_t slot)
{
	return slot >> CLASS_SHIFT;
}

static uint32_t slot_index(uint32_t slot)
{
	return (slot & ((1u << CLASS_SHIFT) - 1)) - 1;
}

void rg_stack_slot_bounds(uint32_t slot, char **lo, char **hi)
{
	const struct class *c = &classes[slot_class(slot)];

	*lo = c->base + (size_t)slot_index(slot) * c->slot;
	*hi = *lo + c->slot;
}

void rg_stack_bounds(const struct g *g, char **lo, char **hi)
{
	rg_stack_slot_bounds(g->slot, lo, hi);
}

void *rg_stack_top(const struct g *g)
{
	char *lo, *hi;

	rg_stack_bounds(g, &lo, &hi);
	return hi - CANARY_BYTES - sizeof(struct rg_base) - (size_t)(slot_index(g->slot) % COLOURS) * RG_CACHELINE;
}

static uint32_t count_maps(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	uint32_t n = 0;
	int ch;

	if (!f)
		return 0;
	while ((ch = getc(f)) != EOF)
		n += ch == '\n';
	fclose(f);
	return n;
}

static uint32_t map_limit(void)
{
	FILE *f = fopen("/proc/sys/vm/max_map_count", "re");
	unsigned limit = 65530, used = count_maps() + MAPS_SPARE;

	if (f) {
		if (fscanf(f, "%u", &limit) != 1)
			limit = 65530;
		fclose(f);
	}
	return limit > used + 128 ? (limit - used) / 2 : 64;
}

/* Of whatever device that is: its first page is a guard. */
static bool is_guarded(void *p)
{
	return madvise(p, RG_PAGE, MADV_POPULATE_READ) && errno == EFAULT;
}

/* Memory whose guards are the module's. It needs no descriptor afterwards, which the program might close. */
static void *reserve_guarded(size_t *size, size_t least, size_t slot)
{
	int fd = open(RINGO_DEVICE, O_RDWR | O_CLOEXEC);
	void *p;

	if (fd < 0)
		return NULL;
	p = rg_reserve_of(fd, (off_t)RINGO_STACKS(__builtin_ctzl(slot / RG_PAGE)), size, least);
	close(fd);
	if (p && !is_guarded(p)) {
		rg_unreserve(p, *size);
		p = NULL;
	}
	return p;
}

static int class_init(unsigned i, size_t nslots)
{
	struct class *c = &classes[i];
	size_t least;

	c->slot = rg_stack_class_size(i);
	least = c->slot * (i ? 1 : 64);
	c->size = nslots * c->slot;
	c->base = guard == RINGO_GUARD_KMOD ? reserve_guarded(&c->size, least, c->slot) : rg_reserve(&c->size, least);
	if (!c->base)
		return -ENOMEM;
	madvise(c->base, c->size, MADV_NOHUGEPAGE);
	madvise(c->base, c->size, MADV_DONTDUMP);
	c->nslots = (uint32_t)(c->size / c->slot);
	c->next_size = c->nslots * sizeof(*c->next);
	c->next = rg_reserve(&c->next_size, c->next_size);
	if (!c->next) {
		rg_unreserve(c->base, c->size);
		c->base = NULL;
		return -ENOMEM;
	}
	c->dirty = c->clean = NONE;
	rg_state_stacks(i, c->base, c->slot);
	return 0;
}

/* The kernel knows markers; if not, whether the module is there. */
static unsigned guard_best(void)
{
	size_t slot = rg_stack_class_size(0), size = slot;
	void *p = rg_reserve(&size, slot);
	bool marker = p && !madvise(p, RG_PAGE, MADV_GUARD_INSTALL);

	rg_unreserve(p, size);
	if (marker)
		return RINGO_GUARD_MARKER;
	p = reserve_guarded(&size, slot, slot);
	rg_unreserve(p, size);
	return p ? RINGO_GUARD_KMOD : RINGO_GUARD_MPROTECT;
}

static void guard_choose(bool canary)
{
	const char *want = getenv("RINGO_GUARD"); /* "mprotect": as without the others */

	guard = want && !strcmp(want, "mprotect") ? RINGO_GUARD_MPROTECT : guard_best();
	guard_max = UINT32_MAX;
	if (guard != RINGO_GUARD_MPROTECT)
		return;
	guard = canary ? RINGO_GUARD_CANARY : RINGO_GUARD_MPROTECT;
	guard_max = map_limit();
	rg_stack_canaries = canary;
}

int rg_stack_init(size_t *limit, bool canary)
{
	size_t spare = (size_t)RG_SLOT_CACHE * (RG_MAX_P / 16) + CARVE;

	memset(classes, 0, sizeof(classes));
	guarded = 0;
	rg_stack_canaries = false;
	guard_choose(canary);
	if (class_init(0, *limit + spare))
		return -ENOMEM;
	if (guard == RINGO_GUARD_MPROTECT)
		*limit = rg_min(*limit, guard_max > 2 * spare ? guard_max - spare : guard_max / 2);
	*limit = rg_min(*limit, classes[0].nslots > 2 * spare ? classes[0].nslots - spare :
			classes[0].nslots / 2);
	return 0;
}

void rg_stack_fini(void)
{
	for (unsigned i = 0; i < RG_CLASSES; i++) {
		rg_unreserve(classes[i].base, classes[i].size);
		rg_unreserve(classes[i].next, classes[i].next_size);
		classes[i] = (struct class){ 0 };
	}
}

int rg_stack_hold(unsigned i)
{
	struct class *c = &classes[i];
	int err = 0;

	rg_lock(&c->lock);
	if (!c->base)
		err = class_init(i, LARGE_CLASS_SPACE / rg_stack_class_size(i));
	/* Slots beyond what mprotect can guard would go unguarded. */
	if (!err && (c->held >= c->nslots ||
		     (guard == RINGO_GUARD_MPROTECT && rg_load_relaxed(&guarded) >= guard_max &&
		      c->held >= c->used)))
		err = -EAGAIN;
	if (!err)
		c->held++;
	rg_unlock(&c->lock);
	return err;
}

void rg_stack_release(unsigned i)
{
	struct class *c = &classes[i];

	if (!i)
		return;
	rg_lock(&c->lock);
	c->held--;
	rg_unlock(&c->lock);
}

/* First use of a slot: its guard. Under the class lock. */
static void fortify(struct class *c, uint32_t index)
{
	char *lo = c->base + (size_t)index * c->slot;

	VALGRIND_STACK_REGISTER(lo + RG_PAGE, lo + c->slot - 1); /* a few instructions when not under it */
	if (guard == RINGO_GUARD_MARKER) {
		if (madvise(lo, RG_PAGE, MADV_GUARD_INSTALL))
			rg_fatal("no memory for the guard of a stack: %s. Raise the memory limit of the "
				 "cgroup, or run fewer goroutines", strerror(errno));
		return;
	}
	if (guard == RINGO_GUARD_KMOD)
		return;
	if (rg_load_relaxed(&guarded) < guard_max && !mprotect(lo, RG_PAGE, PROT_NONE)) {
		rg_add_relaxed(&guarded, 1);
		return;
	}
	if (guard == RINGO_GUARD_MPROTECT)
		rg_fatal("cannot guard another stack: the program uses more of vm.max_map_count than "
			 "was left to it. Raise that sysctl, or use RINGO_RUN_CANARY");
}

/* Slots below end are to be in a core. Under the class lock. */
static void dump_below(struct class *c, uint32_t end)
{
	size_t from = c->dumped * c->slot, step = rg_max((size_t)DUMP_BYTES, c->slot), n;

	if (likely(end <= c->dumped))
		return;
	n = rg_min((end * c->slot - from + step - 1) / step * step, c->size - from);
	madvise(c->base + from, n, MADV_DODUMP);
	c->dumped += (uint32_t)(n / c->slot);
}

/* Top of a free list, hottest first. Under the class lock. */
static uint32_t take_free(struct class *c)
{
	uint32_t *list = c->dirty != NONE ? &c->dirty : &c->clean;
	uint32_t i = *list;

	if (i != NONE)
		*list = c->next[i];
	return i;
}

/* Under the class lock: some slot; more new ones go into p's cache. */
static uint32_t carve(struct class *c, unsigned class, struct p *p)
{
	uint32_t first = c->used, n = class ? 1 : rg_min((uint32_t)CARVE, c->nslots - first);

	if (first >= c->nslots)
		rg_fatal("out of stack slots in class %u: a bug in ringo", class);
	if (guard == RINGO_GUARD_MPROTECT || !p)
		n = 1; /* each costs map entries: none in advance. Without a P: nowhere to keep more. */
	dump_below(c, first + n);
	for (uint32_t i = 0; i < n; i++) {
		fortify(c, first + i);
		if (i)
			p->slots[p->nslots++] = slot_id(class, first + i);
	}
	/* order: release; pairs with the acquire in rg_stack_find and rg_stack_exposure */
	rg_store_release(&c->used, first + n);
	return first;
}

static void canary_set(const struct g *g)
{
	char *lo, *hi;

	rg_stack_bounds(g, &lo, &hi);
	*(uint64_t *)(hi - sizeof(uint64_t)) = CANARY;
}

void rg_stack_bind(struct p *p, struct g *g)
{
	unsigned class = g->stack_class;
	struct class *c = &classes[class];
	char *lo, *hi;

	if (likely(!class && p && p->nslots)) {
		g->slot = p->slots[--p->nslots];
	} else {
		uint32_t i;

		rg_lock(&c->lock);
		i = take_free(c);
		if (i == NONE)
			i = carve(c, class, p);
		rg_unlock(&c->lock);
		g->slot = slot_id(class, i);
	}
	if (unlikely(rg_stack_canaries))
		canary_set(g);
	rg_stack_bounds(g, &lo, &hi);
	rg_san_new(&g->san, lo + RG_PAGE, (size_t)(hi - lo) - RG_PAGE);
}

/* Half of a full cache goes to the class, coldest first. */
static void spill(struct p *p)
{
	struct class *c = &classes[0];
	uint32_t n = RG_SLOT_CACHE / 2;

	rg_lock(&c->lock);
	for (uint32_t k = 0; k < n; k++) {
		uint32_t i = slot_index(p->slots[k]);

		c->next[i] = c->dirty;
		c->dirty = i;
	}
	rg_unlock(&c->lock);
	p->nslots -= n;
	memmove(p->slots, p->slots + n, p->nslots * sizeof(*p->slots));
}

void rg_stack_unbind(struct p *p, struct g *g)
{
	unsigned class = g->stack_class;
	struct class *c = &classes[class];
	uint32_t i = slot_index(g->slot);

	g->slot = 0;
	if (likely(!class)) {
		p->slots[p->nslots++] = slot_id(0, i);
		if (unlikely(p->nslots == RG_SLOT_CACHE))
			spill(p);
		return;
	}
	rg_lock(&c->lock);
	c->next[i] = c->dirty;
	c->dirty = i;
	c->held--;
	rg_unlock(&c->lock);
}

unsigned rg_stack_take_dirty(unsigned class, uint32_t *slots, unsigned n)
{
	struct class *c = &classes[class];
	unsigned got = 0;

	if (!c->base)
		return 0;
	rg_lock(&c->lock);
	while (got < n && c->dirty != NONE) {
		slots[got++] = slot_id(class, c->dirty);
		c->dirty = c->next[c->dirty];
	}
	rg_unlock(&c->lock);
	return got;
}

void rg_stack_put_clean(unsigned class, const uint32_t *slots, unsigned n)
{
	struct class *c = &classes[class];

	rg_lock(&c->lock);
	while (n--) {
		uint32_t i = slot_index(slots[n]);

		c->next[i] = c->clean;
		c->clean = i;
	}
	rg_unlock(&c->lock);
}

size_t rg_stack_exposure(void)
{
	size_t sum = 0;

	/* order: acquire; pairs with the release in carve */
	for (unsigned i = 0; i < RG_CLASSES; i++)
		sum += (size_t)rg_load_acquire(&classes[i].used) * rg_stack_class_size(i);
	return sum;
}

uint32_t rg_stack_find(const void *addr, bool *in_guard)
{
	const char *a = addr;

	for (unsigned i = 0; i < RG_CLASSES; i++) {
		const struct class *c = &classes[i];
		size_t off;

		if (!c->base || a < c->base || a >= c->base + c->size)
			continue;
		off = (size_t)(a - c->base);
		*in_guard = off % c->slot < RG_PAGE;
		return slot_id(i, (uint32_t)(off / c->slot));
	}
	return 0;
}

bool rg_stack_arena(unsigned class, char **lo, char **hi)
{
	*lo = classes[class].base;
	*hi = *lo + classes[class].size;
	return *lo != NULL;
}

struct g *rg_stack_owner(uint32_t slot)
{
	for (uint32_t i = 0, n = rg_g_used(); i < n; i++)
		if (rg_g_at(i)->slot == slot)
			return rg_g_at(i);
	return NULL;
}

void rg_stack_check(struct g *g)
{
	struct g *culprit = g;
	char *lo, *hi;

	rg_stack_bounds(g, &lo, &hi);
	if (*(uint64_t *)(hi - sizeof(uint64_t)) == CANARY) {
		if ((char *)__builtin_frame_address(0) >= lo + RG_PAGE ||
		    rg_on_spare(g, __builtin_frame_address(0)))
			return;
	} else {
		culprit = rg_stack_owner(g->slot + 1); /* the slot above runs down into this one */
	}
	if (!culprit)
		culprit = g;
	rg_fatal("stack overflow in goroutine " RG_G_FMT ", noticed late (no guard page here: "
		 "RINGO_RUN_CANARY); limit %zu bytes. Give it a larger stack_max", RG_G_ARGS(culprit),
		 classes[slot_class(culprit->slot)].slot);
}
