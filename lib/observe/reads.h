/* SPDX-License-Identifier: MIT */
/*
 * Reads of memory that may turn out to be unreadable: guard markers inside a mapping (MADV_GUARD_INSTALL), pages of a
 * file behind its end, protection keys. Only for the copy that unreachable.c makes: the handler of faults is its.
 */
#ifndef RG_OBSERVE_READS_H
#define RG_OBSERVE_READS_H

#include <stdbool.h>

/* From here on a fault inside rg_reads is met; any other ends the process. */
void rg_reads_begin(void);

/* fn(arg), to its end; false: as far as could be read. Not nested. */
bool rg_reads(void (*fn)(void *arg), void *arg);

#endif
