// SPDX-License-Identifier: MIT
/* What the goroutines of a process do: one look, and what has changed since the one before. */
#include <stdlib.h>
#include <string.h>

#include "top.h"
#include "tools/observe/watchdog.h"

static bool open_target(struct top *top)
{
	if (top->there)
		return true;
	if (!target_open(&top->t, top->what))
		return false;
	if (target_is_core(&top->t))
		return target_fail(&top->t, "a core does not change: ringo-ps shows it");
	if (!symbols_open(&top->symbols, &top->t))
		return false;
	top->there = true;
	return true;
}

static void close_target(struct top *top)
{
	if (top->there)
		symbols_close(&top->symbols);
	target_close(&top->t);
	top->there = false;
}

/* Of what it has used since the last look; -1: not counted. */
static int64_t cpu_since(struct top *top, const struct goroutine *g)
{
	struct before *b = &top->before[g->index];
	int64_t cpu = g->cpu;

	if (cpu < 0)
		return -1;
	if (b->gen == g->gen && b->cpu <= cpu)
		cpu -= b->cpu;
	*b = (struct before){ g->gen, g->cpu };
	return cpu;
}

static int compare(struct top *top, const struct group *a, const struct group *b)
{
	int c = 0;

	if (top->sort == TOP_BY_CPU)
		c = (a->cpu < b->cpu) - (a->cpu > b->cpu);
	else if (top->sort == TOP_BY_WAIT)
		c = (a->most < b->most) - (a->most > b->most);
	else if (top->sort == TOP_BY_FUNCTION && a->g.fn != b->g.fn)
		c = strcmp(symbols_of(&top->symbols, a->g.fn)->text, symbols_of(&top->symbols, b->g.fn)->text);
	if (!c)
		c = (a->n < b->n) - (a->n > b->n);
	if (!c)
		c = (a->g.index > b->g.index) - (a->g.index < b->g.index);
	return top->reverse ? -c : c;
}

/* The best ones are kept in order; of millions most are worse than the last of these. */
static void keep(struct top *top, const struct group *row)
{
	size_t lo = 0, hi = top->nrows;

	if (hi == TOP_ROWS && compare(top, row, &top->rows[hi - 1]) > 0)
		return;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (compare(top, row, &top->rows[mid]) > 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (top->nrows < TOP_ROWS)
		top->nrows++;
	memmove(&top->rows[lo + 1], &top->rows[lo], (top->nrows - 1 - lo) * sizeof(*row));
	top->rows[lo] = *row;
}

static bool add(const struct goroutine *g, void *arg)
{
	struct top *top = arg;
	int64_t cpu = cpu_since(top, g), waited = goroutine_waited(&top->tab, g);

	if (g->index % 4096 == 0)
		watchdog_alive();
	counts_add(&top->count, g);
	if (!top->each)
		return groups_add(&top->groups, &top->tab, g, cpu) || target_fail(&top->t, "no memory");
	keep(top, &(struct group){ .g = *g, .n = 1, .least = waited, .most = waited, .cpu = cpu });
	return true;
}

static bool room_for_before(struct top *top)
{
	struct before *more;

	if (top->tab.used <= top->nbefore)
		return true;
	more = calloc(top->tab.used, sizeof(*more)); /* of which only what is used is touched */
	if (!more)
		return target_fail(&top->t, "no memory");
	if (top->nbefore)
		memcpy(more, top->before, top->nbefore * sizeof(*more));
	free(top->before);
	top->before = more;
	top->nbefore = top->tab.used;
	return true;
}

static bool gather(struct top *top)
{
	top->nrows = 0;
	top->count = (struct state_counts){ 0 };
	if (!room_for_before(top) || !table_each(&top->tab, add, top))
		return false;
	top->kinds = top->groups.n;
	groups_pack(&top->groups);
	for (size_t i = 0; i < top->groups.n; i++)
		keep(top, &top->groups.all[i]);
	top->wall = top->before_at ? top->tab.now - top->before_at : 0;
	top->before_at = top->tab.now;
	return true;
}

bool top_look(struct top *top)
{
	bool ok = open_target(top);

	table_close(&top->tab);
	if (!ok)
		return false;
	ok = table_open(&top->tab, &top->t) && gather(top);
	groups_free(&top->groups);
	if (ok) {
		top->trouble[0] = 0;
		return true;
	}
	/* The run has ended, perhaps, and another one begins elsewhere; the process tells whether it is still there. */
	memcpy(top->trouble, top->t.why, sizeof(top->trouble));
	close_target(top);
	top->nrows = 0;
	top->before_at = 0;
	top->nbefore = 0;
	return open_target(top);
}

void top_close(struct top *top)
{
	table_close(&top->tab);
	close_target(top);
	free(top->before);
}
