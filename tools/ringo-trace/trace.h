/* SPDX-License-Identifier: MIT */
#ifndef RINGO_TRACE_H
#define RINGO_TRACE_H

#include "lib/observe/recorder.h"
#include "tools/observe/symbols.h"

/* What the user asks for. */
struct trace_wish {
	const char *pid, *path;
	double ring;    /* MiB for each thread; 0: as usual */
	uint64_t limit; /* bytes of the file; 0: none */
	bool kernel;
};

struct trace {
	struct target t;
	struct table tab;
	struct symbols symbols;
	struct rg_recorder r;
	int fd;
	bool there;     /* symbols */
	char no_kernel[TARGET_WHY]; /* why what the kernel does cannot be had; "" */
};

/* Begin to record that process into that file, which is made only then. False: see t.why. */
bool trace_begin(struct trace *tr, const struct trace_wish *wish);

/* False: it is over; *why says how if it was not the process's end, else it is NULL. */
bool trace_look(struct trace *tr, const char **why);
int trace_end(struct trace *tr); /* the rest of the file: 0 or -errno of writing */
void trace_close(struct trace *tr);

/* ---- kernel.c: what the kernel does to the threads ---- */

#ifdef RINGO_HAVE_BPF
/*
 * Before the trace begins, with the table open; ring: bytes, 0 as usual. False: see t.why. To be unloaded in
 * either case.
 */
bool kernel_load(struct trace *tr, uint64_t ring);
void kernel_look(struct trace *tr);
void kernel_end(struct trace *tr);         /* the rest into the trace */
void kernel_unload(void);
int kernel_check(struct target *t);        /* 0: the kernel takes the programs; 1: not; 4: untold. See why. */
#else
static inline bool kernel_load(struct trace *tr, uint64_t ring)
{
	(void)ring;
	return target_fail(&tr->t, "this ringo-trace was built without libbpf");
}

static inline void kernel_look(struct trace *tr)
{
	(void)tr;
}

static inline void kernel_end(struct trace *tr)
{
	(void)tr;
}

static inline void kernel_unload(void)
{
}

static inline int kernel_check(struct target *t)
{
	target_fail(t, "this ringo-trace was built without libbpf");
	return 4;
}
#endif

#endif
