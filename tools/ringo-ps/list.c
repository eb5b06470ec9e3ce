// SPDX-License-Identifier: MIT
/* One line for each goroutine, or for each group of those that are alike. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ps.h"
#include "tools/observe/watchdog.h"

void ps_cpu(char *buf, size_t n, int64_t ns)
{
	if (ns < 0)
		snprintf(buf, n, "-");
	else
		snprintf(buf, n, "%" PRId64 ".%03" PRId64 " ms", ns / 1000000, ns / 1000 % 1000);
}

const char *ps_site(struct ps *ps, const struct goroutine *g)
{
	return g->flags & RINGO_G_MAIN ? "ringo_run" : symbols_of(&ps->symbols, g->spawn_pc)->text;
}

/* ---- gathering and sorting ---- */

static bool wanted(const struct ps *ps, const struct goroutine *g)
{
	return (!ps->o.id || g->index + 1 == ps->o.id) &&
	       (!ps->o.state || !strcasecmp(ps->o.state, goroutine_state(g)));
}

static bool add(const struct goroutine *g, void *arg)
{
	struct ps *ps = arg;

	if (g->index % 4096 == 0)
		watchdog_alive();
	counts_add(&ps->count, g);
	if (ps->o.mode == PS_SUMMARY || !wanted(ps, g))
		return true;
	if (ps->n == ps->room) {
		size_t room = ps->room ? ps->room * 2 : 1024;
		struct goroutine *more = realloc(ps->all, room * sizeof(*more));

		if (!more)
			return target_fail(&ps->t, "no memory");
		ps->all = more;
		ps->room = room;
	}
	ps->all[ps->n++] = *g;
	return true;
}

static int compare_u64(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

/* The longest wait and the most CPU time come first. */
static int by_key(const void *x, const void *y, void *arg)
{
	const struct goroutine *a = x, *b = y;
	struct ps *ps = arg;
	int c = 0;

	switch (ps->o.sort) {
	case PS_BY_WAIT:
		c = compare_u64((uint64_t)goroutine_waited(&ps->tab, b), (uint64_t)goroutine_waited(&ps->tab, a));
		break;
	case PS_BY_CPU:
		c = compare_u64((uint64_t)b->cpu, (uint64_t)a->cpu);
		break;
	case PS_BY_STATE:
		c = strcmp(goroutine_state(a), goroutine_state(b));
		break;
	case PS_BY_FUNCTION:
		c = a->fn == b->fn ? 0 :
		    strcmp(symbols_of(&ps->symbols, a->fn)->text, symbols_of(&ps->symbols, b->fn)->text);
		break;
	case PS_BY_SITE:
		c = a->spawn_pc == b->spawn_pc ? 0 : strcmp(ps_site(ps, a), ps_site(ps, b));
		break;
	case PS_BY_M:
		c = compare_u64((uint32_t)a->m, (uint32_t)b->m);
		break;
	default:
		break;
	}
	if (!c)
		c = compare_u64(a->index, b->index);
	return ps->o.reverse ? -c : c;
}

int ps_gather(struct ps *ps)
{
	/* The runtime takes new descriptors from the front: none is later than used. */
	if (!table_each(&ps->tab, add, ps))
		return -1;
	if (ps->o.sort != PS_BY_ID || ps->o.reverse)
		qsort_r(ps->all, ps->n, sizeof(*ps->all), by_key, ps);
	return 0;
}

/* ---- lines ---- */

static void cell(const struct ps *ps, const char *text, int width)
{
	if (ps->o.wide)
		printf("%-*s ", width, text);
	else
		printf("%-*.*s ", width, width, text);
}

static void line(struct ps *ps, const struct goroutine *g)
{
	char buf[64], name[RINGO_G_NAME];

	snprintf(buf, sizeof(buf), "%u.%u", g->index + 1, g->gen);
	printf("%-10s ", buf);
	printf("%-13s ", goroutine_state(g));
	say_span(buf, sizeof(buf), goroutine_waited(&ps->tab, g));
	printf("%10s ", goroutine_waits(g) ? buf : "-");
	ps_cpu(buf, sizeof(buf), g->cpu);
	printf("%12s ", buf);
	snprintf(buf, sizeof(buf), "%d", g->m);
	printf("%3s ", g->m < 0 ? "-" : buf);
	cell(ps, symbols_of(&ps->symbols, g->fn)->text, 20);
	cell(ps, ps_site(ps, g), 20);
	snprintf(buf, sizeof(buf), "%#" PRIx64, g->wait_on);
	printf("%-14s ", g->wait_on && g->reason != RINGO_WHY_SELECT ? buf : "-");
	table_name(&ps->tab, g, name);
	printf("%s\n", name);
}

int ps_list(struct ps *ps)
{
	printf("%-10s %-13s %10s %12s %3s %-20s %-20s %-14s %s\n", "GOROUTINE", "STATE", "FOR", "CPU", "M", "FUNCTION",
	       "SPAWNED BY", "WAITS ON", "NAME");
	for (size_t i = 0; i < ps->n && i < ps->o.limit; i++) {
		if (i % 1024 == 0)
			watchdog_alive();
		line(ps, &ps->all[i]);
	}
	return 0;
}

/* ---- groups ---- */

struct gathering {
	struct ps *ps;
	struct groups groups;
};

static bool group(const struct goroutine *g, void *arg)
{
	struct gathering *gather = arg;
	struct ps *ps = gather->ps;

	if (g->index % 4096 == 0)
		watchdog_alive();
	counts_add(&ps->count, g);
	if (!wanted(ps, g) || groups_add(&gather->groups, &ps->tab, g, g->cpu))
		return true;
	return target_fail(&ps->t, "no memory");
}

static int by_count(const void *x, const void *y, void *arg)
{
	const struct group *a = x, *b = y;
	struct ps *ps = arg;
	int c = 0;

	if (ps->o.sort == PS_BY_WAIT)
		c = compare_u64((uint64_t)b->most, (uint64_t)a->most);
	else if (ps->o.sort == PS_BY_CPU)
		c = compare_u64((uint64_t)b->cpu, (uint64_t)a->cpu);
	else if (ps->o.sort != PS_BY_COUNT)
		c = by_key(&a->g, &b->g, ps) * (ps->o.reverse ? -1 : 1);
	if (!c)
		c = compare_u64(b->n, a->n);
	if (!c)
		c = compare_u64(a->g.index, b->g.index);
	return ps->o.reverse ? -c : c;
}

static void group_line(struct ps *ps, const struct group *g)
{
	char least[32], most[32];

	printf("%9" PRIu64 " %-13s ", g->n, goroutine_state(&g->g));
	say_span(least, sizeof(least), g->least);
	say_span(most, sizeof(most), g->most);
	printf("%10s %10s ", goroutine_waits(&g->g) ? least : "-", goroutine_waits(&g->g) ? most : "-");
	ps_cpu(least, sizeof(least), g->cpu);
	printf("%12s ", least);
	cell(ps, symbols_of(&ps->symbols, g->g.fn)->text, 20);
	printf("%s%s\n", ps_site(ps, &g->g), g->g.flags & RINGO_G_DAEMON ? " (daemon)" : "");
}

int ps_groups(struct ps *ps)
{
	struct gathering gather = { .ps = ps };
	struct groups *gs = &gather.groups;

	if (!table_each(&ps->tab, group, &gather)) {
		groups_free(gs);
		return -1;
	}
	groups_pack(gs);
	if (gs->n)
		qsort_r(gs->all, gs->n, sizeof(*gs->all), by_count, ps);
	printf("%9s %-13s %10s %10s %12s %-20s %s\n", "COUNT", "STATE", "FOR", "TO", "CPU", "FUNCTION", "SPAWNED BY");
	for (size_t i = 0; i < gs->n && i < ps->o.limit; i++)
		group_line(ps, &gs->all[i]);
	groups_free(gs);
	return 0;
}
