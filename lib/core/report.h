/* SPDX-License-Identifier: MIT */
/* The last words of a process that a goroutine ends. See report.c. */
#ifndef RG_CORE_REPORT_H
#define RG_CORE_REPORT_H

#include "core/g.h"
#include "core/panic.h"

/* An uncaught panic of the calling goroutine: its chain, the goroutine, its backtrace, abort(3). */
void rg_report_panic(const struct g *g, const struct rg_panic *newest) RG_NORETURN;

/* As that, of something else that cannot be helped. In a signal handler: from is the interrupted pc. */
void rg_report_fatal(const struct g *g, const void *from, const char *fmt, ...) RG_PRINTF(3, 4) RG_NORETURN;

#endif
