/* SPDX-License-Identifier: MIT */
#ifndef RINGO_TRACE_H
#define RINGO_TRACE_H

#include "lib/observe/recorder.h"
#include "tools/observe/symbols.h"

struct trace {
	struct target t;
	struct table tab;
	struct symbols symbols;
	struct rg_recorder r;
	int fd;
	bool there;     /* symbols */
};

/* Begin to record that process into a file of at most limit bytes, which is made only then. False: see t.why. */
bool trace_begin(struct trace *tr, const char *what, const char *path, uint32_t order, uint64_t limit);

/* False: it is over; *why says how if it was not the process's end, else it is NULL. */
bool trace_look(struct trace *tr, const char **why);
void trace_close(struct trace *tr);

#endif
