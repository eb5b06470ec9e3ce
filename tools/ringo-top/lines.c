// SPDX-License-Identifier: MIT
/* What was seen as lines of text, 80 columns or more. */
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "top.h"

enum { LINE = 512 };

/* At most n characters, and only such as are harmless on a terminal: names come from the target's files. */
static void finish(char *buf, const char *line, size_t n)
{
	size_t i = 0;

	for (; i < n && line[i]; i++)
		buf[i] = isprint((unsigned char)line[i]) ? line[i] : '?';
	buf[i] = 0;
}

static void uptime(const struct top *top, char *buf, size_t n)
{
	int64_t s = (top->tab.now - top->tab.s->started) / 1000000000;

	snprintf(buf, n, "%" PRId64 ":%02" PRId64 ":%02" PRId64, s / 3600, s / 60 % 60, s % 60);
}

static void title(const struct top *top, char *line)
{
	const struct ringo_state *s = top->tab.s;
	char up[32];

	if (!s) {
		snprintf(line, LINE, "ringo-top - %s", top->what);
		return;
	}
	uptime(top, up, sizeof(up));
	snprintf(line, LINE, "ringo-top - %d (%s), up %s, %u thread%s, %u P%s", top->t.pid, top->t.command, up,
		 top->tab.nms, top->tab.nms == 1 ? "" : "s", s->procs, s->procs == 1 ? "" : "s");
}

static void counts(const struct top *top, char *line)
{
	const struct state_counts *c = &top->count;

	snprintf(line, LINE, "%" PRIu64 " goroutine%s: %" PRIu64 " running, %" PRIu64 " preempted, %" PRIu64
		 " runnable, %" PRIu64 " syscall, %" PRIu64 " waiting", counts_all(c), counts_all(c) == 1 ? "" : "s",
		 c->running, c->preempted, c->runnable, c->syscall, c->waiting);
}

static void keys(const struct top *top, char *line)
{
	snprintf(line, LINE, "u CPU, c count, w wait, f function, r reverse, g %s, q quit", top->each ? "groups" : "each");
}

/* What is wrong, or how it runs. */
static void how(const struct top *top, char *line)
{
	static const char *const by[] = { "CPU", "count", "wait", "function" };
	const struct ringo_state *s = top->tab.s;

	if (top->trouble[0] || !s)
		snprintf(line, LINE, "%s", top->trouble);
	else
		snprintf(line, LINE, "%.15s, preemption: %s; sorted by %s%s", s->backend, preempt_name(s->preempt),
			 by[top->sort], top->reverse ? ", reversed" : "");
}

static void percent(const struct top *top, const struct group *g, char *buf, size_t n)
{
	if (g->cpu < 0 || top->wall <= 0)
		snprintf(buf, n, "-");
	else
		snprintf(buf, n, "%.1f", 100.0 * (double)g->cpu / (double)top->wall);
}

static const char *site(struct top *top, const struct group *g)
{
	return g->g.flags & RINGO_G_MAIN ? "ringo_run" : symbols_of(&top->symbols, g->g.spawn_pc)->text;
}

static void row(struct top *top, const struct group *g, char *line)
{
	char first[32], span[32], cpu[32], fn[32], name[RINGO_G_NAME] = "";

	if (top->each) {
		snprintf(first, sizeof(first), "%u.%u", g->g.index + 1, g->g.gen);
		table_name(&top->tab, &g->g, name);
	} else {
		snprintf(first, sizeof(first), "%" PRIu64, g->n);
	}
	say_span(span, sizeof(span), g->most);
	percent(top, g, cpu, sizeof(cpu));
	snprintf(fn, sizeof(fn), "%s", symbols_of(&top->symbols, g->g.fn)->text);
	snprintf(line, LINE, "%*s %-13.13s %10s %6s %-20.20s %s%s", top->each ? -9 : 9, first,
		 goroutine_state(&g->g), goroutine_waits(&g->g) ? span : "-", cpu, fn, *name ? name : site(top, g),
		 g->g.flags & RINGO_G_DAEMON ? " (daemon)" : "");
}

static void columns(const struct top *top, char *line)
{
	snprintf(line, LINE, "%*s %-13s %10s %6s %-20s %s", top->each ? -9 : 9, top->each ? "GOROUTINE" : "COUNT",
		 "STATE", "FOR", "CPU %", "FUNCTION", top->each ? "NAME, OR SPAWNED BY" : "SPAWNED BY");
}

void top_line(struct top *top, size_t n, size_t first, char *buf, size_t width)
{
	char line[LINE] = "";

	switch (n) {
	case 0:
		title(top, line);
		break;
	case 1:
		counts(top, line);
		break;
	case 2:
		keys(top, line);
		break;
	case 3:
		how(top, line);
		break;
	case 4:
		columns(top, line);
		break;
	default:
		if (first + n - TOP_HEAD < top->nrows)
			row(top, &top->rows[first + n - TOP_HEAD], line);
		break;
	}
	finish(buf, line, width < LINE ? width : LINE - 1);
}
