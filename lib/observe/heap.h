/* SPDX-License-Identifier: MIT */
/* The blocks of malloc's heap, for the search for goroutines that are lost. See heap.c. */
#ifndef RG_OBSERVE_HEAP_H
#define RG_OBSERVE_HEAP_H

#include <stdbool.h>
#include <stdint.h>

struct rg_heap {
	uintptr_t at, end; /* the next block, and where the last one ends */
};

/*
 * The heap that addr lies in, within a mapping from lo to hi; brk: which is that of brk(2). False: none, or
 * one that is not in order; end is then how far that goes, beyond addr. What is no heap may have pages that cannot be
 * read: end is set before the first read, see reads.h.
 */
bool rg_heap_find(struct rg_heap *h, uintptr_t lo, uintptr_t hi, bool brk, uintptr_t addr);

/* What the program has of the next block, free ones too; false: there is none. */
bool rg_heap_next(struct rg_heap *h, uintptr_t *lo, uintptr_t *hi);

#endif
