// SPDX-License-Identifier: MIT
/*
 * The table of goroutines, spawning, and a goroutine's first and last steps.
 *
 * Descriptors come from a reserved range that is committed as it is touched; each P caches free ones
 * and trades them with the global list in batches. Spawning writes a descriptor and queues it: no stack,
 * no allocation, no system call. When a G ends and the next one is fresh, it takes over the stack that is
 * still warm, without a switch: a million short goroutines use one stack.
 */
#include "core/g.h"

#include <errno.h>
#include <ringo/go.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"
#include "base/os.h"
#include "base/usdt.h"
#include "core/base.h"
#include "core/event.h"
#include "core/gate.h"
#include "core/locked.h"
#include "core/panic.h"
#include "core/reserve.h"
#include "core/rt.h"
#include "core/run.h"
#include "core/runq.h"
#include "core/sched.h"

enum { BATCH = RG_G_CACHE / 2 };

struct g *rg_g_table;

static struct {
	size_t size;
	uint32_t limit;
	uint32_t used; /* descriptors ever touched; grows under lock, read by anybody */
	uint32_t lock;
	struct g *free;
	bool told;
} table;

uint32_t rg_g_used(void)
{
	/* order: acquire; pairs with the release in refill: what is counted is initialised (zero pages) */
	return rg_load_acquire(&table.used);
}

const uint32_t *rg_g_used_at(void)
{
	return &table.used;
}

uint32_t rg_g_limit(void)
{
	return table.limit;
}

int rg_g_table_init(size_t limit)
{
	memset(&table, 0, sizeof(table));
	table.size = limit * sizeof(struct g);
	rg_g_table = rg_reserve(&table.size, sizeof(struct g) * 64);
	if (!rg_g_table)
		return -ENOMEM;
	table.limit = (uint32_t)(table.size / sizeof(struct g));
	return 0;
}

void rg_g_table_fini(void)
{
	for (uint32_t i = 0; i < table.used; i++) {
		struct g *g = &rg_g_table[i];

		free(g->ext);
		if (g->state == RG_FREE || g->state == RG_DEAD)
			continue;
		if (g->slot)
			rg_panic_abandon(g);
		else
			rg_scope_unref(g->scope);
	}
	rg_unreserve(rg_g_table, table.size);
	rg_g_table = NULL;
}

/* Under the lock: one descriptor that was never used, or NULL. */
static struct g *take_new(void)
{
	struct g *g;

	if (table.used >= table.limit)
		return NULL;
	g = &rg_g_table[table.used];
	/* order: release; pairs with the acquire in rg_g_used */
	rg_store_release(&table.used, table.used + 1);
	return g;
}

static struct g *take_global(void)
{
	struct g *g = table.free;

	if (g)
		table.free = g->next;
	else
		g = take_new();
	return g;
}

static void tell_limit(void)
{
	if (table.told)
		return;
	table.told = true;
	rg_warn("no more than %u goroutines at once: spawning fails with EAGAIN. The limit comes from the "
		"address space (ulimit -v, vm.overcommit_memory=2) or, before kernel 6.13, from guard "
		"pages (sysctl vm.max_map_count); end some, or raise it", table.limit);
}

static void refill(struct p *p)
{
	rg_lock(&table.lock);
	while (p->ngcache < BATCH) {
		struct g *g = take_global();

		if (!g) {
			if (!p->ngcache)
				tell_limit();
			break;
		}
		g->next = p->gcache;
		p->gcache = g;
		p->ngcache++;
	}
	rg_unlock(&table.lock);
}

static void spill(struct p *p)
{
	rg_lock(&table.lock);
	while (p->ngcache > BATCH) {
		struct g *g = p->gcache;

		p->gcache = g->next;
		p->ngcache--;
		g->next = table.free;
		table.free = g;
	}
	rg_unlock(&table.lock);
}

struct g *rg_g_alloc(struct p *p)
{
	struct g *g;

	if (unlikely(!p)) {
		rg_lock(&table.lock);
		g = take_global();
		if (!g)
			tell_limit();
		rg_unlock(&table.lock);
		return g;
	}
	if (unlikely(!p->ngcache))
		refill(p);
	g = p->gcache;
	if (likely(g)) {
		p->gcache = g->next;
		p->ngcache--;
	}
	return g;
}

void rg_g_free(struct p *p, struct g *g)
{
	if (unlikely(g->ext != NULL))
		g->ext->name[0] = '\0';
	if (unlikely(rt.debug & RG_DEBUG_CPU))
		rg_account_forget(g);
	rg_store_relaxed(&g->state, RG_FREE);
	if (unlikely(!p)) {
		rg_lock(&table.lock);
		g->next = table.free;
		table.free = g;
		rg_unlock(&table.lock);
		return;
	}
	g->next = p->gcache;
	p->gcache = g;
	if (++p->ngcache > RG_G_CACHE)
		spill(p);
}

static bool set_name(struct g *g, const char *name)
{
	if (!g->ext)
		g->ext = calloc(1, sizeof(*g->ext));
	if (g->ext)
		strncpy(g->ext->name, name, sizeof(g->ext->name) - 1);
	return g->ext;
}

int rg_spawn(struct m *m, const struct rg_spawn *s)
{
	unsigned class = s->stack_class == RG_STACK_DEFAULT ? rt.stack_class : s->stack_class;
	struct p *p = m ? m->p : NULL;
	struct g *g;

	if (unlikely(class && rg_stack_hold(class)))
		return -EAGAIN;
	g = rg_g_alloc(p);
	if (unlikely(!g)) {
		rg_stack_release(class);
		return -EAGAIN;
	}
	if (unlikely(s->name != NULL) && !set_name(g, s->name)) {
		rg_stack_release(class);
		rg_g_free(p, g);
		return -ENOMEM;
	}
	/* Not plain stores: a timer that comes late may still look at the last life's wait_until. */
	for (unsigned i = 0; i < s->nwords; i++)
		rg_store_relaxed(&g->args[i], s->words[i]);
	g->fn = s->fn;
	g->spawn_pc = s->pc;
	g->deadline = m && m->cur ? m->cur->deadline : 0;
	g->scope = s->own_scope ? s->scope : m && m->cur ? m->cur->scope : NULL;
	rg_scope_ref(g->scope);
	rg_store_relaxed(&g->epoch, rg_load_relaxed(&rt.epoch));
	rg_store_relaxed(&g->gen, g->gen + 1);
	g->reason = RG_WHY_NONE;
	g->stack_class = (uint8_t)class;
	g->flags = s->flags | (s->is_words ? RG_G_WORDS : 0);
	rg_store_release(&g->state, RG_RUNNABLE); /* order: release; pairs with look_name in scan.c: gen and name are this life's */
	RG_USDT(g__spawn, g, g->fn, g->spawn_pc);
	rg_event_spawn(m, g);
	if (likely(p)) {
		rg_count(&p->count.spawned, 1);
		rg_runq_put(p, g);
	} else {
		rg_add_relaxed(&rt.foreign.spawned, 1);
		rg_global_put(g);
	}
	rg_wake_if_needed(m);
	return 0;
}

int rg_spawn_daemon(struct m *m, const char *name, void (*fn)(void *), void *arg)
{
	const uintptr_t word = (uintptr_t)arg;
	struct rg_spawn s = { .fn = fn, .words = &word, .nwords = 1, .name = name,
			      .flags = RG_G_DAEMON, .pc = (void *)fn, .own_scope = true };

	return rg_spawn(m, &s);
}

/* First run of a G: its arguments lie where its wait state will be. */
static void first_run(struct m *m)
{
	struct g *g = m->cur;
	uintptr_t args[6];

	for (unsigned i = 0; i < RG_ARRAY_SIZE(args); i++) {
		args[i] = g->args[i];
		rg_store_relaxed(&g->args[i], 0);
	}
	rg_leave(m);
	if (g->flags & RG_G_WORDS)
		rg_call_words(g->fn, args);
	else
		g->fn((void *)args[0]);
}

static void post_free(struct m *m, void *arg)
{
	struct g *g = arg;

	rg_san_free(&g->san);
	rg_stack_unbind(m->p, g);
	rg_g_free(m->p, g);
}

/*
 * The running G is over. If the next one is fresh and of the same stack class, it takes the stack over:
 * then m->cur of the M that is returned is that next one. Otherwise it does not return.
 */
static struct m *next_life(struct m *m)
{
	struct g *g = m->cur, *next;
	struct p *p;

	if (unlikely(g->flags & RG_G_MAIN))
		rg_main_exited();
	if (unlikely(g->scope)) {
		rg_leave(m);
		rg_scope_leave(g); /* may run the user's code, and wait */
		m = rg_m();
		rg_gate_in(m);
	}
	if (unlikely(m->called))
		m = rg_give_way(m);
	p = m->p;
	if (unlikely(g->flags & RG_G_TIMER)) {
		rg_store_relaxed(&g->gen, g->gen + 1);
		rg_reserved_ended(m, g, g->gen - 1);
	}
	rg_count(&p->count.exited, 1);
	RG_USDT(g__exit, g);
	rg_store_relaxed(&g->state, RG_DEAD);
	if (unlikely(rg_stack_canaries))
		rg_stack_check(g);
	if (unlikely(g->flags & RG_G_LOCKED))
		rg_locked_ended(m);
	next = g->flags & RG_G_LOCKED ? NULL : rg_next_fast(p);
	if (!next || next->slot || next->stack_class != g->stack_class || !RG_SAN_TAKEOVER) {
		m->post = post_free;
		m->post_arg = g;
		rg_switch_final(m, next);
	}
	next->slot = g->slot;
	g->slot = 0;
	rg_stack_release(g->stack_class);
	rg_san_move(&next->san, &g->san);
	rg_set_running(m, next);
	rg_g_free(p, g);
	return m;
}

void rg_g_main(void)
{
	struct m *m = rg_arrived();

	for (;;) {
		*m->errnop = 0;
		*rg_base(m->cur) = (struct rg_base){ 0 };
		first_run(m);
		m = (struct m *)rg_arch_self();
		if (unlikely(!m))
			exit(0); /* a forked child came back to where its parent's goroutine began */
		rg_gate_in(m);
		m = next_life(m);
	}
}

void rg_g_exit(struct m *m)
{
	struct g *g;

	m = next_life(m);
	/* Frames of the one that exited are still below us: start at the top again. */
	g = m->cur;
	rg_san_again(&g->san);
	rg_jump_new(rg_stack_top(g), rg_g_main);
}

static int spawn_from_anywhere(const struct rg_spawn *s)
{
	struct m *m = rg_enter();
	int err;

	if (likely(m)) {
		err = rg_spawn(m, s);
		rg_leave(m);
		return err;
	}
	err = rg_foreign_enter();
	if (err)
		return err;
	err = rg_spawn(NULL, s);
	rg_foreign_leave();
	return err;
}

RG_API int ringo_go_fn(void (*fn)(void *), void *arg)
{
	const uintptr_t word = (uintptr_t)arg;
	struct rg_spawn s = { .fn = fn, .words = &word, .nwords = 1, .stack_class = RG_STACK_DEFAULT,
			      .pc = __builtin_return_address(0) };

	return spawn_from_anywhere(&s);
}

RG_API int ringo__go(void (*fn)(void), const uintptr_t *args, unsigned n)
{
	struct rg_spawn s = { .fn = (void (*)(void *))fn, .words = args, .nwords = n,
			      .is_words = true, .stack_class = RG_STACK_DEFAULT,
			      .pc = __builtin_return_address(0) };

	return n > 6 ? -EINVAL : spawn_from_anywhere(&s);
}

/* Options may come from a caller built against another version of the struct. */
int rg_options_copy(void *dst, size_t known, const void *src, size_t size)
{
	const unsigned char *tail = (const unsigned char *)src + known;

	if (!size)
		return -EINVAL;
	for (size_t i = 0; size > known && i < size - known; i++)
		if (tail[i])
			return -E2BIG;
	memset(dst, 0, known);
	memcpy(dst, src, rg_min(size, known));
	return 0;
}

RG_API int ringo_go_opt(const struct ringo_go_options *opt, void (*fn)(void *), void *arg)
{
	const uintptr_t word = (uintptr_t)arg;
	struct rg_spawn s = { .fn = fn, .words = &word, .nwords = 1, .stack_class = RG_STACK_DEFAULT,
			      .pc = __builtin_return_address(0) };
	struct ringo_go_options o;
	int err;

	if (!opt)
		return spawn_from_anywhere(&s);
	err = rg_options_copy(&o, sizeof(o), opt, opt->size);
	if (err)
		return err;
	if (o.flags & ~(unsigned)(RINGO_GO_BACKGROUND | RINGO_GO_DAEMON))
		return -EINVAL;
	if (o.ctx) {
		s.own_scope = true;
		s.scope = rg_scope_of(o.ctx);
	}
	if (o.stack_max) {
		err = rg_stack_class(o.stack_max);
		if (err < 0)
			return err;
		s.stack_class = (unsigned)err;
	}
	s.name = o.name;
	s.flags = o.flags & RINGO_GO_DAEMON ? RG_G_DAEMON : 0;
	s.flags |= o.flags & RINGO_GO_BACKGROUND ? RG_G_BACKGROUND : 0;
	return spawn_from_anywhere(&s);
}

const char *rg_reason_name(unsigned reason)
{
	static const char *const names[RG_WHYS] = RINGO_WHY_NAMES;

	return reason < RG_WHYS ? names[reason] : "?";
}
