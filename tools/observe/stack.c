// SPDX-License-Identifier: MIT
/*
 * Stacks, parked ones and running ones.
 *
 * A parked goroutine has left its registers at its stack pointer. Its stack is copied in one piece and unwound
 * in the copy; if its record has changed meanwhile, it went on, and is looked at again. Nothing is stopped.
 *
 * One that runs is to be had only from its thread: of a core from the notes, of a live process by ptrace, which
 * stops that thread, and no other, for as long as the copy takes. Who may not, or does not want to, goes without.
 */
#include "tools/observe/stack.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { COPY = 1 << 20, TRIES = 8, PARKED_WORDS = 7, DWARF_REGS = STACK_REGS, STOP_MS = 200 };

struct unwinding {
	struct table *tab;
	char *copy;          /* of the stack from lo on */
	uint64_t lo;
	size_t size;
	uint64_t regs[DWARF_REGS];
	struct stack *st;
	uint64_t entry;      /* the outermost function of the program's */
	int end;             /* frames up to it */
	int inner;           /* first frame of an exported function of ringo, plus 1 */
	int parked;          /* frames up to rg_park */
	bool alone;          /* there is the copy, and nothing else */
	struct symbols *symbols;
};

/* ---- what libdw asks ---- */

static pid_t one_thread(Dwfl *dwfl, void *arg, void **thread_arg)
{
	(void)dwfl;
	*thread_arg = *thread_arg ? NULL : arg;
	return *thread_arg ? 1 : 0;
}

static bool get_thread(Dwfl *dwfl, pid_t tid, void *arg, void **thread_arg)
{
	(void)dwfl;
	*thread_arg = arg;
	return tid == 1;
}

static bool read_word(Dwfl *dwfl, Dwarf_Addr addr, Dwarf_Word *word, void *arg)
{
	const struct unwinding *u = arg;

	(void)dwfl;
	if (addr >= u->lo && u->size >= sizeof(*word) && addr - u->lo <= u->size - sizeof(*word)) {
		memcpy(word, u->copy + (addr - u->lo), sizeof(*word));
		return true;
	}
	return !u->alone && !target_read(u->tab->t, addr, word, sizeof(*word));
}

static bool set_registers(Dwfl_Thread *thread, void *arg)
{
	const struct unwinding *u = arg;

	dwfl_thread_state_register_pc(thread, u->regs[16]);
	return dwfl_thread_state_registers(thread, 0, DWARF_REGS, u->regs);
}

static const Dwfl_Thread_Callbacks callbacks = {
	.next_thread = one_thread,
	.get_thread = get_thread,
	.memory_read = read_word,
	.set_initial_registers = set_registers,
};

static struct unwinding *unwinding_of(struct table *tab, struct symbols *s)
{
	struct unwinding *u = s->unwinding;

	if (u)
		return u;
	u = calloc(1, sizeof(*u));
	if (u)
		u->copy = malloc(COPY);
	if (!u || !u->copy) {
		free(u);
		return NULL;
	}
	u->tab = tab;
	u->symbols = s;
	s->unwinding = u;
	if (!dwfl_attach_state(s->dwfl, NULL, 1, &callbacks, u)) {
		stack_done(s);
		return NULL;
	}
	return u;
}

void stack_done(struct symbols *s)
{
	struct unwinding *u = s->unwinding;

	if (u)
		free(u->copy);
	free(u);
	s->unwinding = NULL;
}

/* ---- walking ---- */

static bool is(const struct symbol *y, const char *fn)
{
	size_t n = strlen(fn);

	return !strncmp(y->text, fn, n) && (!y->text[n] || y->text[n] == '+');
}

static int frame(Dwfl_Frame *f, void *arg)
{
	struct unwinding *u = arg;
	struct stack *st = u->st;
	const struct symbol *y;
	Dwarf_Addr pc;
	bool exact;

	if (!dwfl_frame_pc(f, &pc, &exact) || !pc)
		return DWARF_CB_ABORT;
	if (!exact)
		pc--; /* a return address may lie behind its function */
	y = symbols_of(u->symbols, pc);
	if (is(y, "rg_g_main") || is(y, "rg_jump_new"))
		return DWARF_CB_ABORT;
	if (st->n == STACK_FRAMES) {
		st->cut = true;
		return DWARF_CB_ABORT;
	}
	st->pcs[st->n++] = pc;
	if (!u->inner && !strncmp(y->text, "ringo_", 6))
		u->inner = st->n;
	if (is(y, "rg_park"))
		u->parked = st->n;
	if (y->start && y->start == u->entry)
		u->end = st->n;
	return DWARF_CB_OK;
}

/* entry: its function. trim: it is inside ringo; leave out the frames of its inside. */
static void walk(struct unwinding *u, uint64_t entry, struct stack *st, bool trim)
{
	int inner;

	*st = (struct stack){ 0 };
	u->st = st;
	u->entry = entry;
	u->end = u->inner = u->parked = 0;
	dwfl_getthread_frames(u->symbols->dwfl, 1, frame, u);
	if (u->end) {
		st->n = u->end;
		st->cut = false;
	}
	inner = !trim ? 0 : u->inner ? u->inner - 1 : u->parked;
	if (inner <= st->n) {
		st->n -= inner;
		memmove(st->pcs, st->pcs + inner, (size_t)st->n * sizeof(*st->pcs));
	}
	if (!st->n)
		st->why_not = "no unwind information";
}

/* From sp on; hi: where the stack ends. */
static bool copy_stack(struct unwinding *u, uint64_t sp, uint64_t lo, uint64_t hi)
{
	if (sp < lo || sp >= hi || sp % 8)
		return false;
	u->lo = sp;
	u->size = hi - sp < COPY ? (size_t)(hi - sp) : COPY;
	return !target_read(u->tab->t, sp, u->copy, u->size);
}

/* ---- parked ---- */

static bool set_parked(struct unwinding *u)
{
	enum { RBX = 3, RBP = 6, RSP = 7, R12 = 12, PC = 16 };
	uint64_t words[PARKED_WORDS];

	if (u->size < sizeof(words))
		return false;
	memcpy(words, u->copy, sizeof(words));
	memset(u->regs, 0, sizeof(u->regs));
	for (int i = 0; i < 4; i++)
		u->regs[R12 + i] = words[3 - i];
	u->regs[RBX] = words[4];
	u->regs[RBP] = words[5];
	u->regs[PC] = words[6];
	u->regs[RSP] = u->lo + sizeof(words);
	return true;
}

static bool same(const struct goroutine *a, const struct goroutine *b)
{
	return a->gen == b->gen && a->state == b->state && a->reason == b->reason && a->sp == b->sp &&
	       a->slot == b->slot && a->since == b->since && a->wait_on == b->wait_on;
}

/* False: it went on while we looked. */
static bool parked(struct unwinding *u, struct goroutine *g, struct stack *st)
{
	struct goroutine again;
	uint64_t lo, hi;
	bool ok;

	if (!goroutine_stack(u->tab, g, &lo, &hi)) {
		st->why_not = g->slot ? "its stack is garbage" : "has not run yet";
		return true;
	}
	ok = copy_stack(u, g->sp, lo, hi) && set_parked(u);
	if (!target_is_core(u->tab->t) && (!table_one(u->tab, g->index, &again) || !same(g, &again)))
		return false;
	if (ok)
		walk(u, g->fn, st, true);
	else
		st->why_not = target_is_core(u->tab->t) ? "not in the core" : "its stack is garbage";
	return true;
}

/* ---- running ---- */

static void set_running(struct unwinding *u, const struct user_regs_struct *r)
{
	const uint64_t regs[DWARF_REGS] = {
		r->rax, r->rdx, r->rcx, r->rbx, r->rsi, r->rdi, r->rbp, r->rsp,
		r->r8, r->r9, r->r10, r->r11, r->r12, r->r13, r->r14, r->r15, r->rip,
	};

	memcpy(u->regs, regs, sizeof(regs));
}

/* The thread as we see it, who may be in another namespace than it is itself. */
static pid_t outer_tid(pid_t pid, pid_t tid)
{
	char path[300], line[256];
	pid_t found = -1;
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	d = opendir(path);
	while (d && found < 0 && (e = readdir(d))) {
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/task/%.20s/status", pid, e->d_name);
		f = e->d_name[0] == '.' ? NULL : fopen(path, "re");
		while (f && fgets(line, sizeof(line), f)) {
			const char *last = strrchr(line, '\t');

			if (!strncmp(line, "NSpid:", 6) && last && atoi(last + 1) == tid)
				found = atoi(e->d_name);
		}
		if (f)
			fclose(f);
	}
	if (d)
		closedir(d);
	return found;
}

/* Threads that stopped only when nobody waited for them any more. */
static void let_go_late_ones(void)
{
	int status;
	pid_t tid;

	while ((tid = waitpid(-1, &status, __WALL | WNOHANG)) > 0)
		if (WIFSTOPPED(status))
			ptrace(PTRACE_DETACH, tid, 0, status >> 16 ? 0 : WSTOPSIG(status));
}

/* The signal that it is to get when it goes on, 0 none; -1: it is in the kernel, and does not come out. */
static int wait_stopped(pid_t tid)
{
	const struct timespec ms = { .tv_nsec = 1000000 };

	for (int i = 0; i < STOP_MS; i++) {
		int status;
		pid_t got = waitpid(tid, &status, __WALL | WNOHANG);

		if (got == tid && WIFSTOPPED(status))
			return status >> 16 ? 0 : WSTOPSIG(status);
		if (got)
			return -1;
		nanosleep(&ms, NULL);
	}
	return -1;
}

/* Registers of g's thread, and a copy of its stack, taken while it is stopped. */
static const char *copy_running(struct unwinding *u, const struct goroutine *g, pid_t tid, bool *inside)
{
	const char *why = "it is being switched";
	struct user_regs_struct r;
	uint64_t lo, hi;
	int sig;

	let_go_late_ones();
	if (ptrace(PTRACE_SEIZE, tid, 0, 0))
		return errno == EPERM ? "its thread may not be stopped: another debugger has it, or try as root" :
					"its thread has ended";
	sig = ptrace(PTRACE_INTERRUPT, tid, 0, 0) ? -1 : wait_stopped(tid);
	if (sig < 0)
		return "its thread does not answer";
	table_look_ms(u->tab);
	*inside = u->tab->ms[g->m].page.in_rt;
	if (!ptrace(PTRACE_GETREGS, tid, 0, &r) && u->tab->ms[g->m].page.cur_g == g->index + 1 &&
	    goroutine_stack(u->tab, g, &lo, &hi) && copy_stack(u, r.rsp & ~UINT64_C(7), lo, hi)) {
		set_running(u, &r);
		why = NULL;
	}
	ptrace(PTRACE_DETACH, tid, 0, sig);
	return why;
}

static const char *registers_in_core(struct unwinding *u, const struct goroutine *g, bool *inside)
{
	const struct target *t = u->tab->t;
	uint64_t lo, hi;

	*inside = u->tab->ms[g->m].there && u->tab->ms[g->m].page.in_rt;
	for (size_t i = 0; i < t->nthreads; i++) {
		const struct user_regs_struct *r = &t->threads[i].regs;

		if (t->threads[i].tid != u->tab->ms[g->m].tid)
			continue;
		if (!goroutine_stack(u->tab, g, &lo, &hi) || !copy_stack(u, r->rsp & ~UINT64_C(7), lo, hi))
			return "its thread was in a signal handler, or its stack is not in the core";
		set_running(u, r);
		return NULL;
	}
	return "its thread is not in the core";
}

/* False: not any more, or not yet. */
static bool running(struct unwinding *u, struct goroutine *g, bool stop, struct stack *st)
{
	bool inside = false;
	pid_t tid;

	if (g->m < 0)
		return false;
	if (target_is_core(u->tab->t)) {
		st->why_not = registers_in_core(u, g, &inside);
	} else if (!stop) {
		st->why_not = "it runs, and its thread is not to be stopped";
	} else {
		tid = outer_tid(u->tab->t->pid, u->tab->ms[g->m].tid);
		st->why_not = tid < 0 ? "its thread has ended" : copy_running(u, g, tid, &inside);
	}
	if (st->why_not)
		return strcmp(st->why_not, "it is being switched");
	walk(u, g->fn, st, inside);
	return true;
}

void stack_of_copy(struct table *tab, struct symbols *s, const struct stack_copy *c, struct stack *st)
{
	struct unwinding *u = unwinding_of(tab, s);

	*st = (struct stack){ 0 };
	if (!u)
		return;
	u->lo = c->regs[7] & ~UINT64_C(7);
	u->size = c->size < COPY ? c->size : COPY;
	memcpy(u->copy, c->bytes, u->size);
	memcpy(u->regs, c->regs, sizeof(u->regs));
	u->alone = true;
	if (!c->parked || set_parked(u))
		walk(u, c->entry, st, c->trim);
	u->alone = false;
}

bool stack_of(struct table *tab, struct symbols *s, struct goroutine *g, bool stop, struct stack *st)
{
	struct unwinding *u = unwinding_of(tab, s);
	const struct timespec pause = { .tv_nsec = 200000 };

	*st = (struct stack){ 0 };
	if (!u) {
		st->why_not = "libdw does not know how";
		return true;
	}
	for (int i = 0; i < TRIES; i++) {
		if (i)
			nanosleep(&pause, NULL);
		if (!table_one(tab, g->index, g))
			return false;
		if (g->state == RINGO_G_RUNNING ? running(u, g, stop, st) : parked(u, g, st))
			return true;
		st->why_not = NULL;
	}
	st->n = 0;
	st->why_not = "it is being switched";
	return true;
}
