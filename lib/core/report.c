// SPDX-License-Identifier: MIT
/*
 * Reports of panics that nobody contains. The process is dying and may have little stack and a broken heap:
 * no allocation, a static buffer that goes out in few writes, and one report at a time.
 */
#include "core/report.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <unwind.h>

#include "base/lock.h"
#include "base/log.h"
#include "base/os.h"
#include "core/g.h"
#include "core/rt.h"
#include "core/state.h"

enum { TOP_FRAMES = 40, LAST_FRAMES = 16, NAME = 128, BUFFER = 8192, LINE = 512 };

static struct {
	uint32_t taken;
	const void *thread; /* who has it */
	size_t n;
	char text[BUFFER];
} out;

/* One report, the first; who reports while reporting has lost its mind. */
static void begin(void)
{
	const void *self = (const void *)rg_thread_pointer();

	/* order: full; nobody else writes from here on */
	if (rg_xchg_full(&out.taken, 1)) {
		if (rg_load_relaxed(&out.thread) == self)
			abort();
		for (;;)
			pause();
	}
	rg_store_relaxed(&out.thread, self);
	rg_state_stamp();
}

static void flush(void)
{
	rg_print_n(STDERR_FILENO, out.text, out.n);
	out.n = 0;
}

static void vsay(const char *fmt, va_list ap)
{
	int len;

	if (out.n > BUFFER - LINE)
		flush();
	len = vsnprintf(out.text + out.n, LINE, fmt, ap);
	out.n += len < 0 ? 0 : rg_min((size_t)len, (size_t)LINE - 1);
}

static RG_PRINTF(1, 2) void say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsay(fmt, ap);
	va_end(ap);
}

struct walk {
	const void *from; /* leave out what comes before this frame; NULL: nothing is left out */
	unsigned n;
	void *last[LAST_FRAMES]; /* a ring: the outermost ones when all is over */
};

static void say_frame(unsigned n, void *pc)
{
	char name[NAME];

	rg_symbol(pc, name, sizeof(name));
	say("  #%-3u %p %s\n", n, pc, name);
}

static _Unwind_Reason_Code frame(struct _Unwind_Context *ctx, void *arg)
{
	struct walk *w = arg;
	int before = 0;
	void *pc = (void *)_Unwind_GetIPInfo(ctx, &before);

	if (!pc || (void *)_Unwind_GetRegionStart(ctx) == (void *)rg_g_main)
		return _URC_END_OF_STACK;
	if (w->from && pc != w->from)
		return _URC_NO_REASON;
	w->from = NULL;
	if (!before)
		pc = (char *)pc - 1; /* a return address may lie behind its function */
	if (w->n < TOP_FRAMES)
		say_frame(w->n, pc);
	w->last[w->n++ % LAST_FRAMES] = pc;
	return _URC_NO_REASON;
}

static void say_backtrace(const void *from)
{
	struct walk w = { .from = from };
	unsigned first;

	_Unwind_Backtrace(frame, &w);
	if (w.from) { /* it was not met */
		w.from = NULL;
		_Unwind_Backtrace(frame, &w);
	}
	if (w.n <= TOP_FRAMES)
		return;
	first = rg_max((unsigned)TOP_FRAMES, w.n - LAST_FRAMES);
	if (first > TOP_FRAMES)
		say("  ... %u frames ...\n", first - TOP_FRAMES);
	for (unsigned i = first; i < w.n; i++)
		say_frame(i, w.last[i % LAST_FRAMES]);
}

static void say_goroutine(const struct g *g)
{
	bool is_main = g->flags & RG_G_MAIN;
	int64_t cpu = rg_account_of(g, rg_m());
	char fn[NAME], site[NAME] = "ringo_run";

	rg_symbol(is_main ? (void *)rt.main_fn : (void *)g->fn, fn, sizeof(fn));
	if (!is_main)
		rg_symbol(g->spawn_pc, site, sizeof(site));
	say("\ngoroutine " RG_G_FMT " [running", RG_G_ARGS(g));
	if (cpu >= 0)
		say(", cpu %" PRId64 ".%03" PRId64 " ms", cpu / 1000000, cpu / 1000 % 1000);
	say("]%s%s: %s, started by %s\n", rg_g_name(g)[0] ? " " : "", rg_g_name(g), fn, site);
}

static const char *signal_text(int sig)
{
	switch (sig) {
	case SIGSEGV:
		return "SIGSEGV: segmentation violation";
	case SIGBUS:
		return "SIGBUS: bus error";
	default:
		return "SIGFPE: arithmetic error";
	}
}

static void say_signal(const struct rg_panic *p)
{
	if (p->info.signal)
		say("[signal %s code=%#x addr=%p pc=%p]\n", signal_text(p->info.signal), (unsigned)p->code,
		    p->info.address, p->pc);
}

/* The oldest first; a ringo_exit among them is no panic. */
static void say_chain(const struct rg_panic *newest)
{
	const struct rg_panic *before = NULL, *p;
	const char *indent = "";

	do {
		for (p = newest; p->prev && p->prev != before; p = p->prev)
			;
		if (!p->exit) {
			say("%spanic: %s\n", indent, p->info.message);
			indent = "\t";
		}
		before = p;
	} while (p != newest);
	say_signal(newest);
}

void rg_report_panic(const struct g *g, const struct rg_panic *newest)
{
	begin();
	say_chain(newest);
	say_goroutine(g);
	say_backtrace(newest->pc);
	flush();
	abort();
}

void rg_report_fatal(const struct g *g, const void *from, const char *fmt, ...)
{
	va_list ap;

	begin();
	say("ringo: ");
	va_start(ap, fmt);
	vsay(fmt, ap);
	va_end(ap);
	say_goroutine(g);
	say_backtrace(from);
	flush();
	abort();
}
