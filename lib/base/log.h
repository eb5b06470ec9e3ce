/* SPDX-License-Identifier: MIT */
/* Words to the user on stderr: one write(2) per message, no allocation, errno kept. */
#ifndef RG_BASE_LOG_H
#define RG_BASE_LOG_H

#include <stdarg.h>

#include "base/compiler.h"

/* "ringo: ..." and a newline. Say cause and remedy. */
void rg_warn(const char *fmt, ...) RG_PRINTF(1, 2);

/* As rg_warn, then abort(3). */
void rg_fatal(const char *fmt, ...) RG_PRINTF(1, 2) RG_NORETURN;

/* Without prefix and newline, to any descriptor. */
void rg_print(int fd, const char *fmt, ...) RG_PRINTF(2, 3);
void rg_print_n(int fd, const char *text, size_t n);

#endif
