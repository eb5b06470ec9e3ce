/* SPDX-License-Identifier: MIT */
/*
 * The slow half of an asymmetric fence: every other thread of the process executes a full barrier between
 * the call and its return, so their fast paths need only a compiler barrier.
 */
#ifndef RG_BASE_MEMBARRIER_H
#define RG_BASE_MEMBARRIER_H

#include <stdbool.h>

/* Registers the process at first use; false where the kernel or a filter does not allow it. */
bool rg_membarrier_works(void);

void rg_membarrier(void);

#endif
