/* SPDX-License-Identifier: MIT */
#ifndef RINGO_PROF_H
#define RINGO_PROF_H

#include <signal.h>

#include "bpf/gtrace.h"
#include "tools/observe/stack.h"

enum prof_mode { PROF_ON_CPU, PROF_OFF_CPU, PROF_LATENCY, PROF_CALLS };

enum { PROF_HZ = 997 };

/* What is added up together, as gtrace.bpf.c tells it once. */
struct prof_key {
	struct gtrace_key key; /* who is 0: nothing was told */
	int n;
	uint64_t pcs[STACK_FRAMES];
};

/* What the measuring itself took. */
struct prof_cost {
	uint64_t programs_ns, runs;
	uint64_t clocks;       /* of the runs: those in interrupts of the clock, whose own time is not known; */
	uint64_t traps;        /* those of probes in the target */
	uint64_t trap_ns;      /* of one of these, beside the program; 0: not known */
	bool known;
};

struct prof {
	const char *what;
	enum prof_mode mode;
	double seconds;
	bool count;                           /* how often, not how long */

	struct target t;
	struct table tab;
	struct symbols symbols;
	struct prof_key *keys;                /* GTRACE_SUMS */
	struct gtrace_sum sums[GTRACE_SUMS];
	uint64_t hist_p[GTRACE_SLOTS], hist_cpu[GTRACE_SLOTS];
	uint64_t lost;
	struct prof_cost cost;
	int64_t wall;                         /* nanoseconds that it took */
	bool ended;                           /* the target, before its time */
};

extern volatile sig_atomic_t prof_enough; /* the user has had */

/* ---- pin.c: the process into the file that lists goroutines; the file away. False: see t.why. ---- */
bool prof_pin(struct prof *p);
bool prof_unpin(struct prof *p);
bool prof_check_pin(struct prof *p); /* says whether this kernel can list */

/* ---- load.c: of a process with its table open. False: see t.why; to be unloaded in any case. ---- */
bool prof_load(struct prof *p);
bool prof_watch(struct prof *p); /* until the time is over, the target has ended, or prof_enough */
void prof_unload(void);
bool prof_check(struct prof *p); /* all programs pass the verifier */

/* ---- trap.c: nanoseconds that a probe takes beside its program, an empty one here; 0: not known. ---- */
struct bpf_program;
uint64_t cost_of_trap(struct bpf_program *empty);

/* ---- fold.c: what was seen as a tree. ---- */
struct node {
	char *name;
	uint64_t value;           /* its own, and that of those below */
	struct node *kids, *next; /* the largest first */
};

const char *prof_unit(const struct prof *p);
struct node *fold(struct prof *p); /* NULL: no memory */
bool fold_write(const struct node *root, const char *path); /* lines of names and a number. False: see errno. */
void fold_free(struct node *n);

/* ---- svg.c: False: see errno. ---- */
bool svg_write(const struct node *root, const char *path, const char *title, const char *unit);

/* ---- report.c ---- */
void report(struct prof *p, const struct node *root);

#endif
