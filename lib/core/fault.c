// SPDX-License-Identifier: MIT
/*
 * Faults of goroutines: SIGSEGV, SIGBUS and SIGFPE become panics.
 *
 * The handler runs on the M's signal stack and does not panic there: it changes the interrupted context, so
 * that by returning from the handler the goroutine goes on in rg_fault_entry, on its own stack, as if the
 * faulting instruction had called that. The kernel restores the signal mask and the signal stack is free
 * again, so what is deferred may do all that a goroutine may. Unwind information in x86_64.S leads from there
 * to the faulting frame.
 *
 * A goroutine whose stack has overflown, or nearly so, goes on on a spare one, made at that moment. The
 * frames that overflowed stay intact below it, for the backtrace and for what they have deferred.
 *
 * Faults that are not a goroutine's own: with a ringo call under way, locks of ours may be held, so nothing
 * can be contained; a report names the goroutine. Those of other threads, and signals sent by kill(2), go to
 * the handler that the program had, or have the default effect. One that the program installs later wins.
 */
#include "core/fault.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/lock.h"
#include "base/log.h"
#include "core/gate.h"
#include "core/panic.h"
#include "core/report.h"
#include "core/rt.h"
#include "core/stack.h"

enum {
	SPARE = 256 << 10,
	ROOM = 8 << 10,     /* less than this left: a panic needs a spare stack */
	RED_ZONE = 128,
	OVERFLOW = 1 << 16, /* with the signal, for rg_fault_panic */
};

enum { FLAG_TRAP = 1 << 8, FLAG_DIRECTION = 1 << 10, FLAG_ALIGNMENT = 1 << 18 };

static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE };
static struct sigaction former[RG_ARRAY_SIZE(signals)];
static bool installed;

static struct {
	uint32_t lock;
	struct rg_spare *all;
} spares;

/* ---- spare stacks --------------------------------------------------------------------------------------- */

static char *spare_low(const struct rg_spare *s)
{
	return (char *)s - RG_PAGE;
}

static bool on_spare(const struct rg_spare *s, uintptr_t addr)
{
	return addr >= (uintptr_t)s && addr < (uintptr_t)spare_low(s) + SPARE;
}

static struct rg_spare *spare_new(struct g *g, uintptr_t from)
{
	struct rg_base *base = rg_base(g);
	struct rg_spare *s;
	char *low = mmap(NULL, SPARE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (low == MAP_FAILED)
		return NULL;
	mprotect(low, RG_PAGE, PROT_NONE);
	s = (struct rg_spare *)(low + RG_PAGE);
	s->from = from;
	s->under = base->spares;
	base->spares = s;
	rg_lock(&spares.lock);
	s->next = spares.all;
	if (s->next)
		s->next->prev = s;
	spares.all = s;
	rg_unlock(&spares.lock);
	return s;
}

static void spare_free(struct rg_spare *s)
{
	rg_lock(&spares.lock);
	if (s->prev)
		s->prev->next = s->next;
	else
		spares.all = s->next;
	if (s->next)
		s->next->prev = s->prev;
	rg_unlock(&spares.lock);
	rg_san_gone(s, SPARE - RG_PAGE);
	munmap(spare_low(s), SPARE);
}

void rg_spares_drop(struct g *g, struct rg_spare *keep)
{
	struct rg_base *base = rg_base(g);

	while (base->spares != keep) {
		struct rg_spare *s = base->spares;

		base->spares = s->under;
		spare_free(s);
	}
}

void rg_spares_fini(void)
{
	while (spares.all)
		spare_free(spares.all);
}

void rg_spares_child(void)
{
	memset(&spares, 0, sizeof(spares));
}

bool rg_on_spare(const struct g *g, const void *addr)
{
	for (const struct rg_spare *s = rg_base(g)->spares; s; s = s->under)
		if (on_spare(s, (uintptr_t)addr))
			return true;
	return false;
}

static bool in_slot(const struct g *g, uintptr_t addr)
{
	char *lo, *hi;

	rg_stack_bounds(g, &lo, &hi);
	return addr >= (uintptr_t)lo && addr < (uintptr_t)hi;
}

bool rg_frame_gone(const struct g *g, const void *addr, uintptr_t sp)
{
	uintptr_t a = (uintptr_t)addr;

	for (const struct rg_spare *s = rg_base(g)->spares; s; s = s->under) {
		if (!on_spare(s, sp))
			continue;
		if (on_spare(s, a))
			return a < sp;
		sp = s->from;
	}
	return a < sp && in_slot(g, a) && in_slot(g, sp);
}

/* ---- from the handler to the panic ---------------------------------------------------------------------- */

static const char *fault_text(int sig, int code, const void *addr)
{
	if (sig == SIGFPE)
		return code == FPE_INTDIV ? "integer divide by zero, or a quotient that does not fit" :
		       "floating-point exception";
	if (sig == SIGBUS)
		return code == BUS_ADRALN ? "misaligned memory access" :
		       "bus error: beyond the end of a mapped file, or no memory behind the address";
	if (code > 0 && code != SI_KERNEL && (uintptr_t)addr < RG_PAGE)
		return "invalid memory address or NULL pointer dereference";
	return "invalid memory address";
}

/* The handler has led the goroutine here, by way of rg_fault_entry. */
void rg_fault_panic(int sig, void *addr, int code, const void *pc)
{
	const struct g *g = rg_m()->cur;
	struct rg_panic p;

	memset(&p, 0, sizeof(p));
	p.pc = pc;
	p.code = code;
	p.info.signal = sig & ~OVERFLOW;
	p.info.address = addr;
	if (sig & OVERFLOW)
		snprintf(p.info.message, sizeof(p.info.message),
			 "stack overflow: the limit is %zu bytes; less on the stack, or a larger stack_max "
			 "(ringo_go_opt, RINGO_STACK)", rg_stack_class_size(g->stack_class));
	else
		snprintf(p.info.message, sizeof(p.info.message), "%s", fault_text(sig, code, addr));
	rg_panic_start(&p);
}

/* A fault as the handler sees it. */
struct fault {
	struct g *g;
	greg_t *regs;
	uintptr_t sp, pc; /* of the frame to show */
	bool overflow;
};

/* The lowest address where this stack may be used; 0: it is none of g's. */
static uintptr_t stack_low(const struct g *g, uintptr_t sp)
{
	char *lo, *hi;

	for (const struct rg_spare *s = rg_base(g)->spares; s; s = s->under)
		if (on_spare(s, sp))
			return (uintptr_t)(s + 1);
	rg_stack_bounds(g, &lo, &hi);
	return sp >= (uintptr_t)lo && sp < (uintptr_t)hi ? (uintptr_t)lo + RG_PAGE : 0;
}

static bool in_guard(const struct g *g, const void *addr)
{
	bool guard = false;

	if (rg_stack_find(addr, &guard) == g->slot && guard)
		return true;
	for (const struct rg_spare *s = rg_base(g)->spares; s; s = s->under)
		if ((char *)addr >= spare_low(s) && (char *)addr < (char *)s)
			return true;
	return false;
}

static void look(struct fault *f, struct g *g, int sig, const siginfo_t *info, ucontext_t *uc)
{
	f->g = g;
	f->regs = uc->uc_mcontext.gregs;
	f->sp = (uintptr_t)f->regs[REG_RSP];
	f->pc = (uintptr_t)f->regs[REG_RIP];
	f->overflow = sig == SIGSEGV && in_guard(g, info->si_addr);
	/* A call to nowhere: the frame is the caller's. */
	if (sig == SIGSEGV && (uintptr_t)info->si_addr == f->pc && stack_low(g, f->sp)) {
		f->pc = *(uintptr_t *)f->sp - 1;
		f->sp += sizeof(uintptr_t);
	}
}

/* The registers as a function finds them: x87 stack empty, nothing pending, flags clear. */
static void clean_state(ucontext_t *uc)
{
	uc->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)(FLAG_TRAP | FLAG_DIRECTION | FLAG_ALIGNMENT);
	if (uc->uc_mcontext.fpregs) {
		uc->uc_mcontext.fpregs->swd = 0;
		uc->uc_mcontext.fpregs->ftw = 0;
	}
}

/* False: no memory. */
static bool divert(struct fault *f, int sig, const siginfo_t *info, ucontext_t *uc)
{
	uintptr_t low = stack_low(f->g, f->sp), top = f->sp - RED_ZONE;
	uintptr_t *frame;

	if (f->overflow || !low || top < low + ROOM) {
		struct rg_spare *s = spare_new(f->g, f->sp);

		if (!s)
			return false;
		top = (uintptr_t)spare_low(s) + SPARE;
	}
	frame = (uintptr_t *)(top & ~(uintptr_t)15) - 2;
	frame[0] = f->pc;
	frame[1] = f->sp;
	f->regs[REG_RSP] = (greg_t)(uintptr_t)frame;
	f->regs[REG_RIP] = (greg_t)(uintptr_t)rg_fault_entry;
	f->regs[REG_RDI] = f->overflow ? sig | OVERFLOW : sig;
	f->regs[REG_RSI] = (greg_t)(uintptr_t)info->si_addr;
	f->regs[REG_RDX] = info->si_code;
	f->regs[REG_RCX] = (greg_t)f->pc;
	clean_state(uc);
	return true;
}

static RG_NORETURN void report_hopeless(const struct fault *f, int sig, const siginfo_t *info, bool inside)
{
	const char *what = sig == SIGBUS ? "SIGBUS" : sig == SIGFPE ? "SIGFPE" : "SIGSEGV";

	if (f->overflow)
		rg_report_fatal(f->g, (void *)f->pc, "stack overflow%s: limit %zu bytes, stack pointer %p, fault at "
				"%p. Remedy: less on the stack, or a larger stack_max (ringo_go_opt, "
				"RINGO_STACK)\n", inside ? " in a call of ringo" : "",
				rg_stack_class_size(f->g->stack_class), (void *)f->sp, info->si_addr);
	if (!inside)
		rg_report_fatal(f->g, (void *)f->pc, "%s at address %p, and no memory for a stack to panic on\n",
				what, info->si_addr);
	rg_report_fatal(f->g, (void *)f->pc, "%s at address %p in a call of ringo: it was given a bad pointer. This "
			"cannot be contained, because ringo may hold locks\n", what, info->si_addr);
}

static const struct sigaction *former_of(int sig)
{
	unsigned i = 0;

	while (signals[i] != sig)
		i++;
	return &former[i];
}

static void pass_on(int sig, siginfo_t *info, void *uc)
{
	const struct sigaction *old = former_of(sig);

	if (old->sa_flags & SA_SIGINFO) {
		old->sa_sigaction(sig, info, uc);
		return;
	}
	if (old->sa_handler != SIG_DFL && old->sa_handler != SIG_IGN) {
		old->sa_handler(sig);
		return;
	}
	if (info->si_code <= 0 && old->sa_handler == SIG_IGN)
		return;
	signal(sig, SIG_DFL);
	if (info->si_code <= 0)
		raise(sig); /* an instruction faults again by itself */
}

static bool on_altstack(const struct m *m, uintptr_t sp)
{
	stack_t ss;

	/* Of the interrupted code: a handler that faults is none of ours. */
	return !sigaltstack(NULL, &ss) && m->altstack && sp >= (uintptr_t)m->altstack &&
	       sp < (uintptr_t)m->altstack + ss.ss_size;
}

static void handler(int sig, siginfo_t *info, void *uc)
{
	struct m *m = (struct m *)rg_arch_self();
	int saved = errno;
	struct fault f;

	/* Only an instruction of the running goroutine can have si_code > 0 here. */
	if (info->si_code > 0 && m && m->cur &&
	    !on_altstack(m, (uintptr_t)((ucontext_t *)uc)->uc_mcontext.gregs[REG_RSP])) {
		bool inside = rg_load_relaxed(&rg_m_page(m)->in_rt);

		look(&f, m->cur, sig, info, uc);
		if (inside || !divert(&f, sig, info, uc))
			report_hopeless(&f, sig, info, inside);
	} else {
		pass_on(sig, info, uc);
	}
	errno = saved;
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
