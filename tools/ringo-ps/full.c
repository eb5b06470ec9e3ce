// SPDX-License-Identifier: MIT
/* Full stacks, in the words and the order of ringo_dump(RINGO_DUMP_FULL), with lines of source beside them. */
#include <inttypes.h>
#include <poll.h>
#include <ringo/select.h>
#include <stdio.h>

#include "ps.h"
#include "tools/observe/watchdog.h"

enum { CASES = 8 };

static void events(int what)
{
	static const struct { int bit; const char *name; } names[] = {
		{ POLLIN, "in" }, { POLLPRI, "pri" }, { POLLOUT, "out" }, { POLLRDHUP, "rdhup" },
	};
	const char *before = " ";

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (what & names[i].bit) {
			printf("%s%s", before, names[i].name);
			before = "|";
		}
}

static void one_case(const struct ringo_case *c)
{
	const char *what = c->kind == RINGO__CASE_SEND ? "send" : c->kind == RINGO__CASE_RECV ? "receive" : "context";
	char span[32];

	switch (c->kind) {
	case RINGO__CASE_TIMEOUT:
		say_span(span, sizeof(span), c->on.ns);
		printf("timeout %s", span);
		break;
	case RINGO__CASE_POLL:
		printf("fd %d", c->on.poll.fd);
		events(c->on.poll.events);
		break;
	default:
		if (c->on.chan)
			printf("%s %p", what, (void *)c->on.chan);
		else
			printf("%s %s", what, c->kind == RINGO__CASE_DONE ? "of its own" : "NULL");
	}
}

static void select_cases(struct ps *ps, const struct goroutine *g)
{
	struct ringo_select_wait w;
	struct ringo_case c;
	uint64_t lo, hi;

	if (!goroutine_stack(&ps->tab, g, &lo, &hi) || g->wait_on < lo || g->wait_on >= hi ||
	    target_read(&ps->t, g->wait_on, &w, sizeof(w)))
		return;
	for (uint64_t i = 0; i < w.n && i < CASES; i++) {
		if (target_read(&ps->t, w.cases + i * sizeof(c), &c, sizeof(c)))
			break;
		printf(i ? ", " : "waits on ");
		one_case(&c);
	}
	if (w.n > CASES)
		printf(", %" PRIu64 " more", (uint64_t)w.n - CASES);
	if (w.n)
		printf("\n");
}

static void waits_on(struct ps *ps, const struct goroutine *g)
{
	if (!g->wait_on)
		return;
	if (g->reason == RINGO_WHY_SELECT)
		select_cases(ps, g);
	else
		printf("waits on %#" PRIx64 "\n", g->wait_on);
}

static void marks(struct ps *ps, const struct goroutine *g)
{
	char buf[64];

	if (goroutine_waits(g)) {
		say_span(buf, sizeof(buf), goroutine_waited(&ps->tab, g));
		printf(", %s", buf);
	}
	if (g->cpu >= 0) {
		ps_cpu(buf, sizeof(buf), g->cpu);
		printf(", cpu %s", buf);
	}
	if (g->m >= 0)
		printf(", on M %d", g->m);
	if (g->flags & RINGO_G_DAEMON)
		printf(", daemon");
}

static void frames(struct ps *ps, const struct stack *st)
{
	for (int i = 0; i < st->n; i++) {
		const struct symbol *y = symbols_of(&ps->symbols, st->pcs[i]);

		printf("\t%#" PRIx64 " %s", st->pcs[i], y->text);
		printf(y->line[0] ? "  %s\n" : "%s\n", y->line);
	}
	if (st->cut)
		printf("\t... more frames\n");
	if (!st->n)
		printf("\t(stack not available: %s)\n", st->why_not);
}

static void full(struct ps *ps, struct goroutine *g, const struct stack *st)
{
	char name[RINGO_G_NAME];

	table_name(&ps->tab, g, name);
	printf("goroutine %u.%u [%s", g->index + 1, g->gen, goroutine_state(g));
	marks(ps, g);
	printf("]%s%s:\n", name[0] ? " " : "", name);
	frames(ps, st);
	waits_on(ps, g);
	printf("entry %s\n", symbols_of(&ps->symbols, g->fn)->text);
	printf("created by %s\n\n", ps_site(ps, g));
}

int ps_stacks(struct ps *ps)
{
	for (size_t i = 0; i < ps->n && i < ps->o.limit; i++) {
		struct stack st;

		watchdog_alive();
		if (stack_of(&ps->tab, &ps->symbols, &ps->all[i], !ps->o.no_stop, &st))
			full(ps, &ps->all[i], &st);
	}
	stack_done(&ps->symbols);
	return 0;
}
