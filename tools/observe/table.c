// SPDX-License-Identifier: MIT
/*
 * Reading the table of goroutines in large pieces, while it changes. A record that is caught between two states
 * may mix them; what is followed from it is read with bounds, and a number that cannot be is an error or left out.
 */
#include "tools/observe/table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PIECE = 8192, MAX_STRIDE = 4096, MAX_LIMIT = 1 << 28, NO_ADDRESS = 4096 };

static bool names_state(const struct target_map *m)
{
	static const char name[] = "/memfd:" RINGO_STATE_NAME;

	return !strncmp(m->path, name, sizeof(name) - 1);
}

static const char *garbage(const struct ringo_state *s)
{
	if (s->magic != RINGO_STATE_MAGIC)
		return "its state for tools is garbage";
	if (s->version != RINGO_STATE_VERSION || s->size != sizeof(*s))
		return "it uses a libringo of another version than this tool";
	if (!s->up)
		return "its runtime is just starting or ending: try again";
	if (s->stride < sizeof(struct ringo_g) || s->stride > MAX_STRIDE || s->stride % 8 || s->limit > MAX_LIMIT)
		return "its state for tools is garbage";
	return NULL;
}

static bool read_state(struct table *tab)
{
	struct target *t = tab->t;
	const char *wrong = "no ringo_run goes on in it, or it does so under a limit of file size or descriptors, or "
			    "a seccomp profile without memfd_create(2)";

	if (!t->nmaps)
		wrong = target_is_core(t) ? "it does not say what was mapped: cut short, or made by something else than "
					    "the kernel or gdb" :
					    "it has ended, or is a thread of the kernel";
	for (size_t i = 0; i < t->nmaps; i++) {
		if (!names_state(&t->maps[i]))
			continue;
		if (target_read(t, t->maps[i].start, tab->s, sizeof(*tab->s)))
			wrong = target_is_core(t) ? "its state for tools is not in the core: cut short, or "
						    "left out by /proc/PID/coredump_filter" :
						    "its memory may not be read (another user's, or "
						    "kernel.yama.ptrace_scope), or it has ended; try as root";
		else
			wrong = garbage(tab->s);
		if (!wrong) {
			tab->at = t->maps[i].start;
			return true;
		}
	}
	return target_fail(t, "%s %d: %s", target_is_core(t) ? "core of process" : "process", t->pid, wrong);
}

static int64_t monotonic(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* A core does not say when it was made: no earlier than anything it tells of. */
static bool latest(const struct goroutine *g, void *arg)
{
	struct table *tab = arg;
	int64_t since = (int64_t)g->since << 20;

	/* since has 32 bits, 52 days: what is not within them of the start is not to be believed. */
	if (goroutine_waits(g) && since > tab->now && since - tab->s->started < (INT64_C(1) << 52))
		tab->now = since;
	return true;
}

static void set_now(struct table *tab)
{
	const struct ringo_state *s = tab->s;

	tab->now = s->stamp > s->started ? s->stamp : s->started;
	if (!target_is_core(tab->t))
		tab->now = monotonic();
	else if (!s->stamp)
		table_each(tab, latest, tab);
}

bool table_open(struct table *tab, struct target *t)
{
	*tab = (struct table){ .t = t, .s = malloc(sizeof(*tab->s)) };
	if (!tab->s)
		return target_fail(t, "no memory");
	if (!read_state(tab))
		return false;
	if (target_read(t, tab->s->used, &tab->used, sizeof(tab->used)) || tab->used > tab->s->limit)
		return target_fail(t, "process %d: its table of goroutines is garbage, or it has ended", t->pid);
	if (target_read(t, tab->s->wrapper, &tab->wrapper, sizeof(tab->wrapper)))
		tab->wrapper = 0;
	while (tab->nms < RINGO_STATE_MS && tab->s->ms[tab->nms].page)
		tab->nms++;
	tab->ms = calloc(tab->nms + 1, sizeof(*tab->ms));
	if (!tab->ms)
		return target_fail(t, "no memory");
	table_look_ms(tab);
	set_now(tab);
	return true;
}

void table_close(struct table *tab)
{
	free(tab->s);
	free(tab->ms);
	*tab = (struct table){ 0 };
}

void table_look_ms(struct table *tab)
{
	for (uint32_t i = 0; i < tab->nms; i++) {
		struct table_m *m = &tab->ms[i];

		m->tid = tab->s->ms[i].tid;
		m->there = !target_read(tab->t, tab->s->ms[i].page, &m->page, sizeof(m->page)) &&
			   m->page.abi == RINGO_ABI_VERSION;
	}
}

/* Where a core lacks the page: the thread whose stack pointer is in the goroutine's stack. */
static int32_t m_by_stack(const struct table *tab, const struct goroutine *g)
{
	const struct target *t = tab->t;
	uint64_t lo, hi;

	if (!goroutine_stack(tab, g, &lo, &hi))
		return -1;
	for (size_t i = 0; i < t->nthreads; i++) {
		if (t->threads[i].regs.rsp < lo || t->threads[i].regs.rsp >= hi)
			continue;
		for (uint32_t m = 0; m < tab->nms; m++)
			if (tab->ms[m].tid == t->threads[i].tid)
				return (int32_t)m;
	}
	return -1;
}

static void find_m(const struct table *tab, struct goroutine *g)
{
	for (uint32_t i = 0; i < tab->nms; i++) {
		const struct table_m *m = &tab->ms[i];

		if (!m->there || m->page.cur_g != g->index + 1)
			continue;
		g->m = (int32_t)i;
		/* It is named until the M itself notices. */
		g->without_p = !m->page.p || (m->page.revoked & RINGO_REVOKED_MASK) == RINGO_REVOKED_TAKEN;
		return;
	}
	if (target_is_core(tab->t))
		g->m = m_by_stack(tab, g);
}

static bool lives(const struct ringo_g *r)
{
	return r->state == RINGO_G_RUNNABLE || r->state == RINGO_G_RUNNING || r->state == RINGO_G_SYSCALL ||
	       r->state == RINGO_G_WAITING;
}

/* What the goroutine on M number m has used since it was switched to. */
static int64_t turn_of(const struct table *tab, uint32_t m)
{
	struct ringo_meter meter;
	unsigned long long ns = 0;
	char path[64];
	FILE *f;
	int n;

	if (target_is_core(tab->t) || target_read(tab->t, tab->s->ms[m].meter, &meter, sizeof(meter)))
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", tab->t->pid, tab->ms[m].tid);
	f = fopen(path, "re");
	n = f ? fscanf(f, "%llu", &ns) : 0;
	if (f)
		fclose(f);
	return n == 1 && (int64_t)ns > meter.cpu ? (int64_t)ns - meter.cpu : 0;
}

static void fill(struct table *tab, struct goroutine *g, uint32_t index, const struct ringo_g *r, int64_t cpu)
{
	*g = (struct goroutine){
		.index = index, .gen = r->gen, .fn = r->fn, .spawn_pc = r->spawn_pc, .name = r->name,
		.slot = r->slot, .state = r->state, .reason = r->reason, .flags = r->flags, .cpu = cpu, .m = -1,
	};
	if (r->flags & RINGO_G_MAIN)
		g->fn = tab->s->main_fn;
	if (!r->slot) { /* arguments lie where the rest would be */
		if (r->fn == tab->wrapper)
			g->fn = r->args[1];
		return;
	}
	g->sp = r->sp;
	g->since = r->since;
	if (goroutine_waits(g) && r->wait_on >= NO_ADDRESS) /* less is what a waker says */
		g->wait_on = r->wait_on;
	if (r->state == RINGO_G_RUNNING) {
		find_m(tab, g);
		if (g->m < 0 && !target_is_core(tab->t)) {
			table_look_ms(tab);
			find_m(tab, g);
		}
		if (g->m >= 0 && cpu >= 0)
			g->cpu += turn_of(tab, (uint32_t)g->m);
	}
}

static int64_t cpu_of(const uint64_t *cpu, uint32_t i)
{
	return cpu ? (int64_t)(cpu[i] & INT64_MAX) : -1;
}

static bool hand_out(struct table *tab, const char *records, const uint64_t *cpu, uint32_t from, uint32_t n,
		     bool (*each)(const struct goroutine *g, void *arg), void *arg)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct ringo_g *r = (const struct ringo_g *)(records + (size_t)i * tab->s->stride);
		struct goroutine g;

		if (!lives(r))
			continue;
		fill(tab, &g, from + i, r, cpu_of(cpu, i));
		if (!each(&g, arg))
			return false;
	}
	return true;
}

bool table_each(struct table *tab, bool (*each)(const struct goroutine *g, void *arg), void *arg)
{
	char *records = malloc((size_t)PIECE * tab->s->stride);
	uint64_t *cpu = tab->s->cpu ? malloc(PIECE * sizeof(*cpu)) : NULL;
	bool ok = records && (cpu || !tab->s->cpu);
	int err = ok ? 0 : -ENOMEM;

	for (uint32_t at = 0; ok && at < tab->used; at += PIECE) {
		uint32_t n = tab->used - at < PIECE ? tab->used - at : PIECE;

		err = target_read(tab->t, tab->s->table + (uint64_t)at * tab->s->stride, records,
				  (size_t)n * tab->s->stride);
		if (!err && cpu)
			err = target_read(tab->t, tab->s->cpu + at * sizeof(*cpu), cpu, n * sizeof(*cpu));
		ok = !err && hand_out(tab, records, cpu, at, n, each, arg);
	}
	free(records);
	free(cpu);
	if (err)
		target_fail(tab->t, "process %d: %s", tab->t->pid,
			    err == -ENOMEM ? "no memory" :
			    target_is_core(tab->t) ? "its table of goroutines is not whole in the core" :
			    "it has ended, or its table of goroutines is garbage");
	return !err;
}

bool table_one(struct table *tab, uint32_t index, struct goroutine *g)
{
	struct ringo_g r;
	uint64_t cpu = 0;

	if (index >= tab->used ||
	    target_read(tab->t, tab->s->table + (uint64_t)index * tab->s->stride, &r, sizeof(r)) || !lives(&r))
		return false;
	if (tab->s->cpu && target_read(tab->t, tab->s->cpu + index * sizeof(cpu), &cpu, sizeof(cpu)))
		return false;
	fill(tab, g, index, &r, tab->s->cpu ? cpu_of(&cpu, 0) : -1);
	return true;
}

void table_name(struct table *tab, const struct goroutine *g, char name[RINGO_G_NAME])
{
	uint32_t gen;

	name[0] = 0;
	if (!g->name || !target_read_text(tab->t, g->name, name, RINGO_G_NAME))
		return;
	/* Freed meanwhile: another's life by now. */
	if (target_read(tab->t, tab->s->table + (uint64_t)g->index * tab->s->stride + offsetof(struct ringo_g, gen),
			&gen, sizeof(gen)) || gen != g->gen)
		name[0] = 0;
}

const char *preempt_name(uint32_t preempt)
{
	static const char *const names[] = { "auto", "off", "flag", "sysmon", "BPF", "the kernel module" };

	return preempt < sizeof(names) / sizeof(*names) ? names[preempt] : "?";
}

const char *goroutine_state(const struct goroutine *g)
{
	static const char *const why[RINGO_WHYS] = RINGO_WHY_NAMES;

	switch (g->state) {
	case RINGO_G_RUNNABLE:
		return "runnable";
	case RINGO_G_RUNNING:
		return g->without_p ? "preempted" : "running";
	default:
		return g->reason && g->reason < RINGO_WHYS ? why[g->reason] : "waiting";
	}
}

bool goroutine_waits(const struct goroutine *g)
{
	return g->state == RINGO_G_WAITING || g->state == RINGO_G_SYSCALL;
}

int64_t goroutine_waited(const struct table *tab, const struct goroutine *g)
{
	int32_t units = (int32_t)((uint32_t)((uint64_t)tab->now >> 20) - g->since);

	return goroutine_waits(g) && units > 0 ? (int64_t)units << 20 : 0;
}

bool goroutine_stack(const struct table *tab, const struct goroutine *g, uint64_t *lo, uint64_t *hi)
{
	uint32_t class = g->slot >> RINGO_SLOT_SHIFT, n = g->slot & ((1u << RINGO_SLOT_SHIFT) - 1);
	const struct ringo_stack_class *c;

	if (!n || class >= RINGO_STATE_CLASSES)
		return false;
	c = &tab->s->classes[class];
	if (!c->base || c->slot < 4096 || c->slot > (UINT64_C(1) << 40))
		return false;
	*lo = c->base + (n - 1) * c->slot;
	*hi = *lo + c->slot;
	return *lo >= c->base && *hi > *lo;
}
