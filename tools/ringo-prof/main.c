// SPDX-License-Identifier: MIT
/* ringo-prof: where the goroutines of a running process spend their time. */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "prof.h"
#include "tools/observe/watchdog.h"

enum { PATIENCE_S = 60, ON_CPU = 0x100, OFF_CPU, LATENCY, CALLS, PIN, UNPIN, CHECK };

const char *argp_program_bug_address = "the project's issues";

static const char doc[] =
	"Show where the goroutines of a running process spend their time, as a flame graph.\v"
	"The program needs no preparation: BPF programs in the kernel look at it from outside. Stacks are unwound by "
	"the tables in its files; frame pointers are not needed, symbols are. The root of each stack is the name of "
	"the goroutine, or else its function and who spawned it.\n"
	"\n"
	"--pin has the kernel list the goroutines of the process: cat /sys/fs/bpf/ringo/goroutines. That file stays, and "
	"is about all processes that were entered so, until --unpin.\n"
	"\n"
	"What it cost is printed with the result. It takes root, or CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE.\n"
	"\n"
	"Examples:\n"
	"  ringo-prof -p 1234 -o cpu.svg               a flame graph of 10 seconds\n"
	"  ringo-prof -p 1234 --off-cpu -t 3 -f -      stacks as lines, for other tools\n"
	"\n"
	"Exit status: 0; 1 when the process cannot be watched; 64 for wrong usage.";

static const struct argp_option options[] = {
	{ "pid", 'p', "PID", 0, "The process", 0 },
	{ "time", 't', "SECONDS", 0, "How long (10); an interrupt from the keyboard ends it, too", 0 },
	{ "output", 'o', "FILE.svg", 0, "Write a flame graph", 0 },
	{ "folded", 'f', "FILE", 0, "Write a line for each stack, names and a number; -: in place of the report", 0 },
	{ "count", 'c', NULL, 0, "With --off-cpu and --latency: how often, in place of how long", 0 },
	{ "on-cpu", ON_CPU, NULL, 0, "Watch samples of the CPU, 997 a second on each (this, if nothing is said)", 1 },
	{ "off-cpu", OFF_CPU, NULL, 0, "Time parked, by reason, and blocked in the kernel outside the runtime", 2 },
	{ "latency", LATENCY, NULL, 0, "Time that ready goroutines wait for a P, and their threads for a CPU", 3 },
	{ "calls", CALLS, NULL, 0, "System calls and page faults", 4 },
	{ "pin", PIN, NULL, 0, "Do not watch it: enter it into /sys/fs/bpf/ringo/goroutines", 5 },
	{ "unpin", UNPIN, NULL, 0, "Remove that file", 5 },
	{ "check", CHECK, NULL, 0, "Only try whether this kernel takes the BPF programs", 5 },
	{ 0 },
};

static const char *const titles[] = {
	[PROF_ON_CPU] = "on CPU", [PROF_OFF_CPU] = "off CPU", [PROF_LATENCY] = "waiting to run",
	[PROF_CALLS] = "system calls and page faults",
};

static struct {
	struct prof prof;
	const char *svg, *folded;
	bool mode_given, pin, unpin, check;
} it = { .prof = { .seconds = 10, .t = { .fd = -1 } } };

volatile sig_atomic_t prof_enough;

static void stop(int sig)
{
	(void)sig;
	prof_enough = 1;
}

static void set_mode(struct argp_state *state, enum prof_mode mode)
{
	if (it.mode_given)
		argp_error(state, "one of --on-cpu, --off-cpu, --latency and --calls at a time");
	it.mode_given = true;
	it.prof.mode = mode;
}

static void set_time(struct argp_state *state, const char *s)
{
	char *end;

	it.prof.seconds = strtod(s, &end);
	if (*end || end == s || !(it.prof.seconds >= 0.1 && it.prof.seconds <= 86400))
		argp_error(state, "%s: a number from 0.1 to 86400 is needed", s);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'p':
	case ARGP_KEY_ARG:
		if (it.prof.what)
			argp_error(state, "one process at a time");
		it.prof.what = arg;
		return 0;
	case 't':
		set_time(state, arg);
		return 0;
	case 'o':
		it.svg = arg;
		return 0;
	case 'f':
		it.folded = arg;
		return 0;
	case 'c':
		it.prof.count = true;
		return 0;
	case ON_CPU:
	case OFF_CPU:
	case LATENCY:
	case CALLS:
		set_mode(state, (enum prof_mode)(key - ON_CPU));
		return 0;
	case PIN:
		it.pin = true;
		return 0;
	case UNPIN:
		it.unpin = true;
		return 0;
	case CHECK:
		it.check = true;
		return 0;
	case ARGP_KEY_END:
		if (!it.prof.what && !it.unpin && !it.check)
			argp_error(state, "which process?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static bool write_svg(const struct node *root)
{
	struct prof *p = &it.prof;
	char title[128];

	snprintf(title, sizeof(title), "%s (%d), %s: %.1f s", p->t.command, p->t.pid, titles[p->mode],
		 (double)p->wall / 1e9);
	return svg_write(root, it.svg, title, prof_unit(p)) ||
	       target_fail(&p->t, "%s: %s", it.svg, strerror(errno));
}

static bool show(void)
{
	struct prof *p = &it.prof;
	struct node *root = fold(p);
	bool ok = root || target_fail(&p->t, "no memory");

	if (ok && it.svg)
		ok = write_svg(root);
	if (ok && it.folded && !fold_write(root, it.folded))
		ok = target_fail(&p->t, "%s: %s", it.folded, strerror(errno));
	if (ok && !(it.folded && !strcmp(it.folded, "-")))
		report(p, root);
	fold_free(root);
	return ok;
}

static bool open_target(struct prof *p)
{
	if (!target_open(&p->t, p->what))
		return false;
	if (target_is_core(&p->t))
		return target_fail(&p->t, "a core does nothing any more: ringo-ps shows it");
	return table_open(&p->tab, &p->t);
}

static bool serve(struct prof *p)
{
	if (it.unpin)
		return prof_unpin(p);
	if (it.check)
		return prof_check(p) && prof_check_pin(p);
	if (!open_target(p))
		return false;
	return it.pin ? prof_pin(p) : prof_load(p) && prof_watch(p) && show();
}

int main(int argc, char **argv)
{
	static const struct argp argp = { options, parse, "[PID]", doc, NULL, NULL, NULL };
	struct prof *p = &it.prof;
	bool ok;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	signal(SIGINT, stop);
	signal(SIGTERM, stop);
	watchdog_start("ringo-prof", PATIENCE_S, NULL);
	ok = serve(p);
	if (!ok)
		fprintf(stderr, "ringo-prof: %s\n", p->t.why);
	prof_unload();
	if (p->symbols.dwfl) {
		stack_done(&p->symbols);
		symbols_close(&p->symbols);
	}
	table_close(&p->tab);
	target_close(&p->t);
	free(p->keys);
	return !ok;
}
