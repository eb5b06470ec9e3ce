// SPDX-License-Identifier: MIT
/* ringo-top: what the goroutines of a running process do, again and again. It stops nothing. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "top.h"
#include "tools/observe/watchdog.h"

enum { PATIENCE_S = 20 };

const char *argp_program_bug_address = "the project's issues";

static const char doc[] =
	"Show live what the goroutines of a process do.\v"
	"A line for each group of those alike, by state, function and where they were spawned: COUNT how many, FOR how "
	"long the one that waits longest has waited, CPU % what they have used since the last look, of one CPU, if the "
	"program counts it (RINGO_DEBUG=1). With --each a line for each goroutine, at most 1000.\n"
	"\n"
	"Keys: u c w f sort by CPU, count, wait, function; r reverse; g groups or each; space look now; arrows and pages "
	"scroll; q quit. Nothing is stopped or changed. A process may be looked at by its owner and by root.\n"
	"\n"
	"Exit status: 0; 1 when the process cannot be read or has ended; 64 for wrong usage.";

static const struct argp_option options[] = {
	{ "batch", 'b', NULL, 0, "Print, and do not use the terminal", 0 },
	{ "delay", 'd', "SECONDS", 0, "Between looks (1)", 0 },
	{ "looks", 'n', "N", 0, "With --batch: end after so many", 0 },
	{ "each", 'e', NULL, 0, "A line for each goroutine", 0 },
	{ 0 },
};

static struct {
	struct top top;
	bool batch;
	int64_t delay_ms;
	unsigned long looks; /* 0: no end */
} it = { .delay_ms = 1000 };

static void number(struct argp_state *state, const char *s, double least, double most, double *n)
{
	char *end;

	*n = strtod(s, &end);
	if (*end || end == s || !(*n >= least && *n <= most))
		argp_error(state, "%s: a number from %g to %g is needed", s, least, most);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	double n = 0;

	switch (key) {
	case 'b':
		it.batch = true;
		return 0;
	case 'd':
		number(state, arg, 0.1, 3600, &n);
		it.delay_ms = (int64_t)(n * 1000);
		return 0;
	case 'n':
		number(state, arg, 1, 1e9, &n);
		it.looks = (unsigned long)n;
		return 0;
	case 'e':
		it.top.each = true;
		return 0;
	case ARGP_KEY_ARG:
		if (it.top.what)
			argp_error(state, "one process at a time");
		it.top.what = arg;
		return 0;
	case ARGP_KEY_END:
		if (!it.top.what)
			argp_error(state, "which process?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void rest(int64_t ms)
{
	for (; ms > 0; ms -= 500) {
		struct timespec ts = { .tv_nsec = (ms < 500 ? ms : 500) * 1000000 };

		watchdog_alive();
		nanosleep(&ts, NULL);
	}
}

static int batch(void)
{
	struct top *top = &it.top;
	char line[TOP_WIDTH + 1];

	for (unsigned long i = 0; !it.looks || i < it.looks; i++) {
		if (i)
			rest(it.delay_ms);
		if (!top_look(top))
			return 1;
		for (size_t n = 0; n < TOP_HEAD + top->nrows; n++) {
			if (n == 2)
				continue; /* keys */
			top_line(top, n, 0, line, TOP_WIDTH);
			if (*line)
				puts(line);
		}
		puts("");
		if (fflush(stdout))
			return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct argp argp = { options, parse, "PID", doc, NULL, NULL, NULL };
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	if (!it.batch && (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))) {
		fprintf(stderr, "ringo-top: this is no terminal: use --batch\n");
		return 1;
	}
	watchdog_start("ringo-top", PATIENCE_S, top_screen_end);
	status = it.batch ? batch() : top_screen(&it.top, it.delay_ms);
	if (status && it.top.t.why[0])
		fprintf(stderr, "ringo-top: %s\n", it.top.t.why);
	top_close(&it.top);
	return status;
}
