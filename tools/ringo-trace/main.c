// SPDX-License-Identifier: MIT
/* ringo-trace: what the goroutines of a running process do, event by event, into a file for a viewer. */
#include <argp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/observe/watchdog.h"
#include "trace.h"

enum { PATIENCE_S = 20, PROGRESS_MS = 300, NO_KERNEL = 0x100, CHECK };

const char *argp_program_bug_address = "the project's issues";

static const char doc[] =
	"Record what the goroutines of a process do, for https://ui.perfetto.dev or chrome://tracing.\v"
	"The file has a track for each thread, with the goroutines it runs; for each goroutine, with where it runs and what "
	"it waits for; and for each ring, with the operations submitted and completed. Arrows lead from who wakes a "
	"goroutine to where that runs, and from submission to completion.\n"
	"\n"
	"Where BPF is to be had (root, or CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE; Linux 6.1 with BTF) there "
	"is a further track for each thread that runs goroutines, with what the kernel does to it: preempted "
	"by whom, or blocked in which call, then waiting for a CPU, and who woke it. That costs each switch "
	"and each waking of a thread on the machine up to half a microsecond; --no-kernel does without.\n"
	"\n"
	"The process goes on meanwhile; each event costs it about 10 ns. It writes events into a ring in its memory for each "
	"thread, which this tool reads. What came faster than that is missing, is told at the end, and is marked in the trace: "
	"larger rings help (--ring), and so does a faster disk. A process may be traced by its owner and by root.\n"
	"\n"
	"A program traces itself, from its beginning to its end, with RINGO_TRACE=FILE in the environment (%p in "
	"the name is its process id); and one with a debug endpoint answers /debug/trace?seconds=5.\n"
	"\n"
	"Exit status: 0; 1 when the process cannot be traced, or the file not be written whole, or --check "
	"finds that the kernel does not take the programs; 4 when it lacks the means to tell; 64 for wrong "
	"usage.";

static const struct argp_option options[] = {
	{ "pid", 'p', "PID", 0, "The process", 0 },
	{ "time", 't', "SECONDS", 0, "For so long (until ^C, or the end of the process)", 0 },
	{ "output", 'o', "FILE", 0, "The trace; - for standard output (trace.json)", 0 },
	{ "size", 's', "MIB", 0, "End when the trace is that long (1024; 0 for no end)", 0 },
	{ "ring", 'r', "MIB", 0, "Of events, for each thread that has none yet, and for the kernel (4)", 0 },
	{ "no-kernel", NO_KERNEL, NULL, 0, "Without what the kernel does to the threads", 0 },
	{ "quiet", 'q', NULL, 0, "Say nothing unless something is wrong", 0 },
	{ "check", CHECK, NULL, 0, "Only try whether this kernel takes the BPF programs", 0 },
	{ 0 },
};

static struct {
	struct trace_wish trace;
	double seconds; /* 0: no end */
	bool quiet, check;
} ask = { .trace = { .path = "trace.json", .limit = 1 << 30, .kernel = true } };

static volatile sig_atomic_t enough;

static void on_signal(int sig)
{
	(void)sig;
	enough = 1;
}

static double number(struct argp_state *state, const char *s, double least, double most)
{
	char *end;
	double n = strtod(s, &end);

	if (*end || end == s || !(n >= least && n <= most))
		argp_error(state, "%s: a number from %g to %g is needed", s, least, most);
	return n;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 't':
		ask.seconds = number(state, arg, 0.001, 1e6);
		return 0;
	case 'o':
		ask.trace.path = arg;
		return 0;
	case 's':
		ask.trace.limit = (uint64_t)(number(state, arg, 0, 1e6) * (1 << 20));
		return 0;
	case 'r':
		ask.trace.ring = number(state, arg, 0.002, 128);
		return 0;
	case 'q':
		ask.quiet = true;
		return 0;
	case NO_KERNEL:
		ask.trace.kernel = false;
		return 0;
	case CHECK:
		ask.check = true;
		return 0;
	case 'p':
	case ARGP_KEY_ARG:
		if (ask.trace.pid)
			argp_error(state, "one process at a time");
		ask.trace.pid = arg;
		return 0;
	case ARGP_KEY_END:
		if (!ask.trace.pid && !ask.check)
			argp_error(state, "which process?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void rest(int64_t ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	watchdog_alive();
	if (ms > 0)
		nanosleep(&ts, NULL);
}

static void tell(const struct trace *tr, int64_t ms, const char *end)
{
	const struct rg_gather *g = &tr->r.gather;

	fprintf(stderr, "%.1f s, %llu events, %.1f MiB", (double)ms / 1000, (unsigned long long)g->events,
		(double)tr->r.chrome.out.json.size / (1 << 20));
	if (g->lost + g->dropped)
		fprintf(stderr, ", %llu lost", (unsigned long long)(g->lost + g->dropped));
	fputs(end, stderr);
}

/* Until it is over; why not because of its time or its end, or NULL. */
static const char *record(struct trace *tr)
{
	const bool shows = !ask.quiet && isatty(STDERR_FILENO);
	const int64_t begin = now_ms(), end = ask.seconds > 0 ? begin + (int64_t)(ask.seconds * 1000) : INT64_MAX;
	int64_t told = begin, now = begin;
	const char *why = NULL;

	do {
		int64_t left = end - now;

		rest(left < tr->r.wait_ms ? left : tr->r.wait_ms);
		now = now_ms();
		if (shows && now - told >= PROGRESS_MS) {
			tell(tr, now - begin, "   \r");
			told = now;
		}
	} while (trace_look(tr, &why) && !enough && now < end);
	if (!ask.quiet)
		tell(tr, now - begin, "   \n");
	return why;
}

/* What is missing or wrong. */
static int complain(const struct trace *tr, const char *why, int err)
{
	const struct rg_recorder *r = &tr->r;

	if (r->gather.lost)
		fprintf(stderr, "ringo-trace: %llu events came faster than they were read and are missing (--ring)\n",
			(unsigned long long)r->gather.lost);
	if (r->gather.dropped)
		fprintf(stderr, "ringo-trace: %llu events are missing: the process had no memory for a ring\n",
			(unsigned long long)r->gather.dropped);
	if (r->gather.garbage)
		fprintf(stderr, "ringo-trace: %llu events were garbage\n", (unsigned long long)r->gather.garbage);
	if (r->chrome.kernel_lost)
		fprintf(stderr, "ringo-trace: %llu times that threads left their CPU came faster than they "
			"were read and are missing (--ring)\n", (unsigned long long)r->chrome.kernel_lost);
	if (r->chrome.kernel_unseen)
		fprintf(stderr, "ringo-trace: %llu times the kernel did not tell that a thread left its CPU or "
			"came back: such spans are missing\n", (unsigned long long)r->chrome.kernel_unseen);
	if (r->lapses)
		fprintf(stderr, "ringo-trace: was kept from working for seconds, %llu times; nothing was recorded then\n",
			(unsigned long long)r->lapses);
	if (why)
		fprintf(stderr, "ringo-trace: process %d: %s: the trace ends there\n", tr->t.pid, why);
	if (err)
		fprintf(stderr, "ringo-trace: %s: %s\n", ask.trace.path, strerror(-err));
	return (why && !r->chrome.out.full) || err ? 1 : 0;
}

static int trace(struct trace *tr)
{
	const char *why;

	if (!trace_begin(tr, &ask.trace)) {
		fprintf(stderr, "ringo-trace: %s\n", tr->t.why);
		return 1;
	}
	if (tr->no_kernel[0] && !ask.quiet)
		fprintf(stderr, "ringo-trace: without what the kernel does to the threads: %s\n",
			tr->no_kernel);
	why = record(tr);
	return complain(tr, why, trace_end(tr));
}

static int check(struct trace *tr)
{
	int status = kernel_check(&tr->t);

	if (status)
		fprintf(stderr, "ringo-trace: %s\n", tr->t.why);
	else
		printf("the BPF programs can be loaded\n");
	return status;
}

int main(int argc, char **argv)
{
	static const struct argp argp = { options, parse, "PID", doc, NULL, NULL, NULL };
	static struct trace tr = { .t = { .fd = -1 }, .fd = -1 };
	struct sigaction sa = { .sa_handler = on_signal };
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	watchdog_start("ringo-trace", PATIENCE_S, NULL);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	status = ask.check ? check(&tr) : trace(&tr);
	trace_close(&tr);
	return status;
}
