/* SPDX-License-Identifier: MIT */
/* Reports about goroutines as text. Formats: ringo/stats.h. */
#ifndef RG_CORE_DUMP_H
#define RG_CORE_DUMP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "core/scan.h"

struct m;

/* Buffered text to a descriptor. Written outside the gate of m, if that is set. */
struct rg_out {
	struct m *m;
	int fd;
	int err; /* of the first write that failed; what comes after it is dropped */
	struct rg_symbols *symbols;
	size_t n;
	char buf[16384];
};

/* NULL: no memory. end: 0 or -errno of the writes. */
struct rg_out *rg_out_begin(struct m *m, int fd);
int rg_out_end(struct rg_out *o);
void rg_out(struct rg_out *o, const char *fmt, ...) RG_PRINTF(2, 3);

/* "12 ms", "3.2 s", "5 minutes" */
void rg_out_span(struct rg_out *o, int64_t ns);
void rg_out_behind(struct rg_out *o, const struct rg_look *l);

/* ", cpu 12.345 ms", unless nobody counts */
void rg_out_cpu(struct rg_out *o, int64_t ns);

/* Drop the frames of ringo's inside: the innermost is to be what the program called. */
void rg_look_trim(struct rg_out *o, struct rg_look *l);

/* "0x1234 name+0x5" of each frame, each after before. */
void rg_out_frames(struct rg_out *o, const struct rg_look *l, const char *before);
const char *rg_look_state(const struct rg_look *l);
const char *rg_look_creator(struct rg_out *o, const struct rg_look *l);

/* One goroutine in full; trims it. */
void rg_out_full(struct rg_out *o, struct rg_look *l);

/*
 * As ringo_dump. m: the M of the caller when it is inside its gate and may leave it for a moment, else NULL.
 * Takes no lock that another thread holds for long and no malloc, so that a dying process may use it.
 */
int rg_dump_all(struct m *m, int fd, unsigned flags);

/* The grouped ones: profile.c. 0 or -ENOMEM. */
int rg_profile(struct rg_out *o, struct rg_scan *s, unsigned flags);

#endif
