// SPDX-License-Identifier: MIT
/*
 * ringo-ps: the goroutines of a process or of a core file, seen from outside. It reads; only --stacks stops
 * anything, one thread at a time, for as long as its stack is copied.
 */
#include <argp.h>
#include <inttypes.h>
#include <ringo/go.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ps.h"
#include "tools/observe/watchdog.h"

enum { PATIENCE_S = 20, NO_STOP = 0x100 };

const char *argp_program_bug_address = "the project's issues";

static const char doc[] =
	"Show the goroutines of a running process or of a core file.\v"
	"GOROUTINE is its number and how often that number was used before; FOR how long it has waited, to about a "
	"millisecond; CPU the time it has used, if the program counts it (RINGO_DEBUG=1); M the thread that runs it; "
	"WAITS ON the address of the channel, lock or context. States: runnable, running, preempted (it runs without "
	"a P), or what it waits for.\n"
	"\n"
	"The listing stops nothing and changes nothing. --stacks stops threads that run goroutines, one at a time "
	"and for microseconds, unless --no-stop is given. A process may be looked at by its owner and by root.\n"
	"\n"
	"Examples:\n"
	"  ringo-ps 1234                     a line for each\n"
	"  ringo-ps -g 1234                  a line for each kind, the most frequent first\n"
	"  ringo-ps --sort=wait -n 10 1234   the ten that have waited longest\n"
	"  ringo-ps -s -i 17 1234            the stack of number 17\n"
	"  ringo-ps -s core.1234             all stacks, as they were when the process died\n"
	"\n"
	"Exit status: 0; 1 when the target cannot be read; 64 for wrong usage.";

static const struct argp_option options[] = {
	{ "groups", 'g', NULL, 0, "A line for each group of those alike: state, function, where spawned", 0 },
	{ "stacks", 's', NULL, 0, "The full stack of each", 0 },
	{ "summary", 'u', NULL, 0, "Only how many there are in each state", 0 },
	{ "sort", 'o', "KEY", 0, "id, wait, cpu, state, function, site, m; of groups also count", 0 },
	{ "reverse", 'r', NULL, 0, "In the opposite order", 0 },
	{ "lines", 'n', "N", 0, "At most so many", 0 },
	{ "id", 'i', "N", 0, "Only the one with that number", 0 },
	{ "state", 't', "STATE", 0, "Only those in that state, as it is printed", 0 },
	{ "wide", 'w', NULL, 0, "Do not cut names of functions", 0 },
	{ "no-stop", NO_STOP, NULL, 0, "Stop no thread: no stacks of those that run", 0 },
	{ 0 },
};

struct arguments {
	struct ps_options o;
	const char *what;
};

static unsigned long number(struct argp_state *state, const char *s)
{
	char *end;
	unsigned long n = strtoul(s, &end, 10);

	if (*end || end == s || *s == '-' || !n || n > INT32_MAX)
		argp_error(state, "%s: a number is needed", s);
	return n;
}

static enum ps_sort sort_key(struct argp_state *state, const char *s)
{
	static const char *const keys[] = { "id", "wait", "cpu", "state", "function", "site", "count", "m" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (!strcmp(s, keys[i]))
			return (enum ps_sort)i;
	argp_error(state, "%s: id, wait, cpu, state, function, site, count or m is needed", s);
	return PS_BY_ID;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case 'g':
		a->o.mode = PS_GROUPS;
		return 0;
	case 's':
		a->o.mode = PS_STACKS;
		return 0;
	case 'u':
		a->o.mode = PS_SUMMARY;
		return 0;
	case 'o':
		a->o.sort = sort_key(state, arg);
		a->o.sort_given = true;
		return 0;
	case 'r':
		a->o.reverse = true;
		return 0;
	case 'n':
		a->o.limit = number(state, arg);
		return 0;
	case 'i':
		a->o.id = (long)number(state, arg);
		return 0;
	case 't':
		a->o.state = arg;
		return 0;
	case 'w':
		a->o.wide = true;
		return 0;
	case NO_STOP:
		a->o.no_stop = true;
		return 0;
	case ARGP_KEY_ARG:
		if (a->what)
			argp_error(state, "one process or core at a time");
		a->what = arg;
		return 0;
	case ARGP_KEY_END:
		if (!a->what)
			argp_error(state, "which process, or which core?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void summary(const struct ps *ps)
{
	const struct ringo_state *s = ps->tab.s;
	uint64_t all = counts_all(&ps->count);

	printf("%s %d (%s): %" PRIu64 " goroutine%s: %" PRIu64 " running, %" PRIu64 " preempted, %" PRIu64 " runnable, "
	       "%" PRIu64 " in system calls, %" PRIu64 " waiting; %u threads, %u Ps; %.15s, preemption: %s\n",
	       target_is_core(&ps->t) ? "core of process" : "process", ps->t.pid, ps->t.command, all,
	       all == 1 ? "" : "s", ps->count.running, ps->count.preempted, ps->count.runnable, ps->count.syscall,
	       ps->count.waiting, ps->tab.nms, s->procs, s->backend, preempt_name(s->preempt));
}

static int show(struct ps *ps)
{
	int err = ps->o.mode == PS_GROUPS ? ps_groups(ps) : ps_gather(ps);

	if (!err && ps->o.mode == PS_LIST)
		err = ps_list(ps);
	if (!err && ps->o.mode == PS_STACKS)
		err = ps_stacks(ps);
	if (err)
		return err;
	if (ps->o.id && ps->o.mode != PS_GROUPS && !ps->n) {
		target_fail(&ps->t, "there is no goroutine %ld", ps->o.id);
		return -1;
	}
	if (!ps->o.id || ps->o.mode == PS_SUMMARY)
		summary(ps);
	if (target_is_core(&ps->t) && !ps->tab.s->stamp && ps->o.mode != PS_SUMMARY)
		printf("The core does not say when it was made: times end with the last wait that began before.\n");
	if (ps->t.truncated)
		fprintf(stderr, "ringo-ps: the core is cut short: some of it is missing\n");
	return 0;
}

static int open_all(struct ps *ps, const char *what)
{
	if (!target_open(&ps->t, what) || !table_open(&ps->tab, &ps->t))
		return -1;
	if (ps->o.mode == PS_SUMMARY)
		return 0;
	ps->symbols_there = symbols_open(&ps->symbols, &ps->t);
	return ps->symbols_there ? 0 : -1;
}

int main(int argc, char **argv)
{
	static const struct argp argp = { options, parse, "PID|CORE", doc, NULL, NULL, NULL };
	struct arguments a = { .o = { .limit = UINT32_MAX } };
	struct ps ps = { 0 };
	int err;

	argp_parse(&argp, argc, argv, 0, NULL, &a);
	if (a.o.mode == PS_GROUPS && !a.o.sort_given)
		a.o.sort = PS_BY_COUNT;
	watchdog_start("ringo-ps", PATIENCE_S, NULL);
	ps.o = a.o;
	err = open_all(&ps, a.what);
	if (!err)
		err = show(&ps);
	if (err)
		fprintf(stderr, "ringo-ps: %s\n", ps.t.why);
	if (fflush(stdout) || ferror(stdout)) {
		perror("ringo-ps");
		err = -1;
	}
	if (ps.symbols_there)
		symbols_close(&ps.symbols);
	table_close(&ps.tab);
	target_close(&ps.t);
	free(ps.all);
	return err ? 1 : 0;
}
