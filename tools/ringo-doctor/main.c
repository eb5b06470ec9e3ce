// SPDX-License-Identifier: MIT
/* ringo-doctor: what ringo has to work with here, or in a process; why it is not better, and what to do. */
#include <argp.h>
#include <stdarg.h>
#include <stdio.h>

#include "doctor.h"
#include "tools/observe/watchdog.h"

enum { PATIENCE_S = 20 };

const char *argp_program_bug_address = "the project's issues";

static const char doc[] =
	"Say which back end, tier of preemption and stack guard programs with goroutines find here, or have in a "
	"running process; why it is not better, and what to do.\v"
	"A line says ok, better (it works, and there is more to be had) or AMISS. Without a PID each thing is tried as "
	"whoever runs ringo-doctor: run it as, and where, the program runs, in its container for instance.\n"
	"\n"
	"Examples:\n"
	"  ringo-doctor          this machine\n"
	"  ringo-doctor 1234     process 1234; a core file will do, too\n"
	"\n"
	"Exit status: 0; 1 when something is amiss, or the process cannot be looked at; 64 for wrong usage.";

static bool amiss;

void finding(enum verdict v, const char *what, const char *remedy, const char *fmt, ...)
{
	static const char *const words[] = { [FINE] = "ok", [COULD_BE_BETTER] = "better", [AMISS] = "AMISS" };
	va_list args;

	amiss |= v == AMISS;
	printf("%-17s %-7s ", what, words[v]);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
	if (v != FINE && remedy)
		printf("%-25s -> %s\n", "", remedy);
}

bool anything_amiss(void)
{
	return amiss;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	const char **what = state->input;

	if (key != ARGP_KEY_ARG)
		return ARGP_ERR_UNKNOWN;
	if (*what)
		argp_error(state, "one process at a time");
	*what = arg;
	return 0;
}

int main(int argc, char **argv)
{
	static const struct argp argp = { NULL, parse, "[PID|CORE]", doc, NULL, NULL, NULL };
	const char *what = NULL;
	bool ok = true;

	argp_parse(&argp, argc, argv, 0, NULL, &what);
	watchdog_start("ringo-doctor", PATIENCE_S, NULL);
	if (what)
		ok = examine_process(what);
	else
		examine_here();
	return ok && !anything_amiss() ? 0 : 1;
}
