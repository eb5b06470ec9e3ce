/* SPDX-License-Identifier: MIT */
/* Lines of a trace in Chrome's trace-event format: see chrome.c. */
#ifndef RG_OBSERVE_LINES_H
#define RG_OBSERVE_LINES_H

#include <stdbool.h>
#include <stdint.h>

#include "observe/json.h"

struct rg_lines {
	struct rg_json json;
	uint64_t limit;   /* bytes; 0: none */
	uint64_t reserve; /* of these, for the end */
	bool full;        /* no more is written */
	bool begun;
};

/*
 * Something of the track tid, in the group pid, at that time: true if it is to be written. Then come arguments, as
 * JSON, and rg_line_end.
 */
bool rg_line_begin(struct rg_lines *l, const char *phase, unsigned pid, uint32_t tid, int64_t ns);
void rg_line_end(struct rg_lines *l);

/* A span, whose name follows; what happens in a moment. */
bool rg_line_span(struct rg_lines *l, unsigned pid, uint32_t tid, int64_t from, int64_t to);
bool rg_line_instant(struct rg_lines *l, unsigned pid, uint32_t tid, int64_t ns, const char *name);

/* One end of an arrow, or nothing if id is 0; it is whole. */
void rg_line_arrow(struct rg_lines *l, bool begins, uint64_t id, unsigned pid, uint32_t tid, int64_t ns,
		   const char *name);

void rg_line_text(struct rg_lines *l, const char *before, const char *text);
void rg_line_number(struct rg_lines *l, const char *before, uint64_t v);

#endif
