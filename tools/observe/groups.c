// SPDX-License-Identifier: MIT
/* Counting alike goroutines together: by state, function, and who started them. */
#include "tools/observe/groups.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void counts_add(struct state_counts *c, const struct goroutine *g)
{
	if (g->state == RINGO_G_RUNNABLE)
		c->runnable++;
	else if (g->state == RINGO_G_SYSCALL)
		c->syscall++;
	else if (g->state == RINGO_G_WAITING)
		c->waiting++;
	else if (g->without_p)
		c->preempted++;
	else
		c->running++;
}

uint64_t counts_all(const struct state_counts *c)
{
	return c->running + c->preempted + c->runnable + c->syscall + c->waiting;
}

static bool alike(const struct goroutine *a, const struct goroutine *b)
{
	return a->state == b->state && a->reason == b->reason && a->fn == b->fn && a->spawn_pc == b->spawn_pc &&
	       a->without_p == b->without_p && !((a->flags ^ b->flags) & RINGO_G_DAEMON);
}

static uint64_t hash(const struct goroutine *g)
{
	uint64_t h = g->fn * UINT64_C(0x9E3779B97F4A7C15);

	h = (h ^ h >> 29 ^ g->spawn_pc) * UINT64_C(0x9E3779B97F4A7C15);
	return (h ^ h >> 29 ^ g->reason ^ (uint64_t)g->state << 8) * UINT64_C(0x9E3779B97F4A7C15) >> 20;
}

static struct group *place(struct groups *gs, const struct goroutine *g)
{
	size_t i = hash(g) & (gs->room - 1); /* room: a power of two */

	while (gs->all[i].n && !alike(&gs->all[i].g, g))
		i = (i + 1) & (gs->room - 1);
	return &gs->all[i];
}

static bool grow(struct groups *gs)
{
	struct group *old = gs->all, *more;
	size_t n = gs->room, room = n ? n * 2 : 1024;

	if (gs->n * 2 < n)
		return true;
	more = calloc(room, sizeof(*more));
	if (!more)
		return false;
	gs->all = more;
	gs->room = room;
	for (size_t i = 0; i < n; i++)
		if (old[i].n)
			*place(gs, &old[i].g) = old[i];
	free(old);
	return true;
}

bool groups_add(struct groups *gs, const struct table *tab, const struct goroutine *g, int64_t cpu)
{
	int64_t waited = goroutine_waited(tab, g);
	struct group *at;

	if (!grow(gs))
		return false;
	at = place(gs, g);
	if (!at->n) {
		at->g = *g;
		at->least = INT64_MAX;
		gs->n++;
	}
	at->n++;
	at->cpu = cpu < 0 ? -1 : at->cpu + cpu;
	at->least = waited < at->least ? waited : at->least;
	at->most = waited > at->most ? waited : at->most;
	return true;
}

void groups_pack(struct groups *gs)
{
	size_t n = 0;

	for (size_t i = 0; i < gs->room; i++)
		if (gs->all[i].n)
			gs->all[n++] = gs->all[i];
}

void groups_free(struct groups *gs)
{
	free(gs->all);
	*gs = (struct groups){ 0 };
}

void say_span(char *buf, size_t n, int64_t ns)
{
	int64_t ms = ns / 1000000;

	if (ms < 1000)
		snprintf(buf, n, "%" PRId64 " ms", ms);
	else if (ms < 60000)
		snprintf(buf, n, "%" PRId64 ".%" PRId64 " s", ms / 1000, ms % 1000 / 100);
	else
		snprintf(buf, n, "%" PRId64 " minute%s", ms / 60000, ms < 120000 ? "" : "s");
}
