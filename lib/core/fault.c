// SPDX-License-Identifier: MIT
/*
 * Stack overflow: a fault on a guard page of the arena ends in a report that names the goroutine, its
 * function, its limit and its backtrace, and in abort(3).
 *
 * Runs on the M's signal stack. Every other fault goes to whatever handler the program had; where it had
 * none, to the default action, by returning with that restored so that the instruction faults again.
 */
#include "core/fault.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

#include "base/log.h"
#include "base/os.h"
#include "core/gate.h"
#include "core/rt.h"
#include "core/stack.h"

enum { TOP_FRAMES = 24, LAST_FRAMES = 8, NAME = 256 };

static const int signals[] = { SIGSEGV, SIGBUS };
static struct sigaction former[RG_ARRAY_SIZE(signals)];
static bool installed;

struct walk {
	unsigned n;
	void *last[LAST_FRAMES]; /* a ring: the outermost ones when all is over */
};

static void print_frame(unsigned n, void *pc)
{
	char name[NAME];

	rg_symbol(pc, name, sizeof(name));
	rg_print(STDERR_FILENO, "  #%-3u %p %s\n", n, pc, name);
}

static _Unwind_Reason_Code frame(struct _Unwind_Context *ctx, void *arg)
{
	struct walk *w = arg;
	int before = 0;
	void *pc = (void *)_Unwind_GetIPInfo(ctx, &before);

	if (!pc)
		return _URC_END_OF_STACK;
	if (!before)
		pc = (char *)pc - 1; /* a return address may lie behind its function */
	if (w->n < TOP_FRAMES)
		print_frame(w->n, pc);
	w->last[w->n++ % LAST_FRAMES] = pc;
	return _URC_NO_REASON;
}

static void backtrace_here(void)
{
	struct walk w = { 0 };
	unsigned first;

	_Unwind_Backtrace(frame, &w);
	if (w.n <= TOP_FRAMES)
		return;
	first = rg_max((unsigned)TOP_FRAMES, w.n - LAST_FRAMES);
	if (first > TOP_FRAMES)
		rg_print(STDERR_FILENO, "  ... %u frames ...\n", first - TOP_FRAMES);
	for (unsigned i = first; i < w.n; i++)
		print_frame(i, w.last[i % LAST_FRAMES]);
}

static void report(const struct g *g, const void *addr, const void *sp)
{
	char fn[NAME], site[NAME], *lo, *hi;

	rg_stack_bounds(g, &lo, &hi);
	rg_symbol((void *)g->fn, fn, sizeof(fn));
	rg_symbol(g->spawn_pc, site, sizeof(site));
	rg_print(STDERR_FILENO,
		 "ringo: stack overflow in goroutine " RG_G_FMT "%s%s, running %s, started by %s\n"
		 "ringo: limit %zu bytes (stack %p to %p), stack pointer %p, fault at %p\n"
		 "ringo: remedy: less on the stack, or a larger stack_max (ringo_go_opt, RINGO_STACK)\n"
		 "backtrace, innermost first:\n", RG_G_ARGS(g), g->ext ? " " : "", g->ext ? g->ext->name : "",
		 fn, site, (size_t)(hi - lo), (void *)lo, (void *)hi, sp, addr);
	backtrace_here();
}

static void pass_on(int sig, siginfo_t *info, void *uc)
{
	const struct sigaction *old = &former[sig == SIGBUS];

	if (old->sa_flags & SA_SIGINFO)
		old->sa_sigaction(sig, info, uc);
	else if (old->sa_handler == SIG_DFL || old->sa_handler == SIG_IGN)
		signal(sig, SIG_DFL);
	else
		old->sa_handler(sig);
}

static void handler(int sig, siginfo_t *info, void *uc)
{
	struct m *m = (struct m *)rg_arch_self();
	const ucontext_t *ctx = uc;
	bool in_guard = false;
	uint32_t slot;

	/* si_addr is only an address when the kernel says so. */
	slot = info->si_code > 0 && m && m->cur ? rg_stack_find(info->si_addr, &in_guard) : 0;
	if (slot && in_guard && slot == m->cur->slot) {
		report(m->cur, info->si_addr, (void *)ctx->uc_mcontext.gregs[REG_RSP]);
		abort();
	}
	pass_on(sig, info, uc);
}

void rg_fault_install(void)
{
	struct sigaction sa = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK };

	sigemptyset(&sa.sa_mask);
	for (unsigned i = 0; i < RG_ARRAY_SIZE(signals); i++) {
		struct sigaction now;

		/* A forked child finds ours, and knows what was before it. */
		if (!sigaction(signals[i], &sa, &now) && now.sa_sigaction != handler)
			former[i] = now;
	}
	installed = true;
}

/* Unless the program has set its own meanwhile. */
void rg_fault_remove(void)
{
	for (unsigned i = 0; installed && i < RG_ARRAY_SIZE(signals); i++) {
		struct sigaction now;

		if (!sigaction(signals[i], NULL, &now) && now.sa_sigaction == handler)
			sigaction(signals[i], &former[i], NULL);
	}
	installed = false;
}
