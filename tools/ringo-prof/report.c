// SPDX-License-Identifier: MIT
/* What is printed: shares of goroutines, how long things waited, and what the measuring itself has cost. */
#include <inttypes.h>
#include <stdio.h>

#include "prof.h"

enum { MOST = 20, BAR = 40 };

static void shares(const struct prof *p, const struct node *root)
{
	int n = 0;

	printf("%12s %7s  %s\n", prof_unit(p), "%", "GOROUTINES");
	for (const struct node *kid = root->kids; kid && n < MOST; kid = kid->next, n++)
		printf("%12" PRIu64 " %7.2f  %s\n", kid->value, 100.0 * (double)kid->value / (double)root->value,
		       kid->name);
}

static void span(char *buf, size_t n, int slot)
{
	static const char *const units[] = { "ns", "us", "ms", "s" };
	uint64_t v = UINT64_C(1) << slot;
	int unit = 0;

	for (; v >= 1000 && unit < 3; v /= 1000)
		unit++;
	snprintf(buf, n, "%" PRIu64 " %s", v, units[unit]);
}

static void bar(uint64_t n, uint64_t most)
{
	for (uint64_t i = 0; most && i < n * BAR / most; i++)
		putchar('#');
	putchar('\n');
}

static void histogram(const char *title, const uint64_t *hist)
{
	uint64_t all = 0, most = 0, below = 0;
	char from[32];

	for (int i = 0; i < GTRACE_SLOTS; i++) {
		all += hist[i];
		most = hist[i] > most ? hist[i] : most;
	}
	printf("\n%s: %" PRIu64 " times\n%12s %10s %7s\n", title, all, "FROM", "COUNT", "SUM %");
	for (int i = 0; i < GTRACE_SLOTS && below < all; i++) {
		below += hist[i];
		if (!below)
			continue;
		span(from, sizeof(from), i);
		printf("%12s %10" PRIu64 " %7.2f  ", from, hist[i], 100.0 * (double)below / (double)all);
		bar(hist[i], most);
	}
}

static void cost(const struct prof *p)
{
	const struct prof_cost *c = &p->cost;
	double all = (double)(c->programs_ns + c->traps * c->trap_ns);

	if (!c->known) {
		printf("\ncost: not known: counting it takes CAP_SYS_ADMIN\n");
		return;
	}
	printf("\ncost: %" PRIu64 " runs of our programs took %.3f ms", c->runs, (double)c->programs_ns / 1e6);
	if (c->traps && c->trap_ns)
		printf(", the traps of %" PRIu64 " of them %.3f ms (%" PRIu64 " ns each)", c->traps,
		       (double)(c->traps * c->trap_ns) / 1e6, c->trap_ns);
	printf(": %.2f %% of one CPU", p->wall ? 100.0 * all / (double)p->wall : 0);
	if (c->clocks)
		printf(", beside %" PRIu64 " interrupts", c->clocks);
	putchar('\n');
}

void report(struct prof *p, const struct node *root)
{
	printf("process %d (%s), %.2f s\n", p->t.pid, p->t.command, (double)p->wall / 1e9);
	if (root->value)
		shares(p, root);
	else
		printf("nothing was seen\n");
	if (p->mode == PROF_LATENCY) {
		histogram("goroutines waited for a P", p->hist_p);
		histogram("threads that run goroutines waited for a CPU", p->hist_cpu);
	}
	cost(p);
	if (p->lost)
		printf("lost: %" PRIu64 " events: no room for more stacks, threads or waits\n", p->lost);
	if (p->ended)
		printf("the process has ended meanwhile\n");
}
