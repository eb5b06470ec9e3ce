// SPDX-License-Identifier: MIT
/*
 * Which block of malloc's a thing lies in. Who has a pointer to any part of a structure can reach all of it,
 * and no more than its block, so that is what the search for lost goroutines must know of a lock.
 *
 * The heaps of glibc are chains of blocks: two words, of which the second is the size of the block with
 * flags in its lowest bits, then what the user has, with the first word of the next block. If that one's flag
 * says that its predecessor is free, its first word repeats the size. The heap of brk(2) begins with a block,
 * and a block (or a fence of two words, the second 0) ends where its mapping ends. Other arenas have heaps
 * that are aligned to ALIGN; the third word is the heap's size, and the first block follows on records of
 * malloc's whose size its versions do not agree on.
 *
 * No promise of glibc's: so a heap is believed in only if the chain adds up from its first block to its very
 * end. What does not (another allocator, blocks with a mapping of their own, a thread that was stopped in the
 * middle of malloc) is unknown, which the search takes for reachable by all.
 */
#include "observe/heap.h"

#include "base/compiler.h"
#include "core/stack.h"

enum { WORD = sizeof(uintptr_t), HEAD = 2 * WORD, PREV_USED = 1, MAPPED = 2, FLAGS = 7 };

#define ALIGN ((uintptr_t)64 << 20)

static uintptr_t word(uintptr_t at)
{
	return *(const volatile uintptr_t *)at;
}

/* Of the block at p; 0: there is none that could be in order. */
static uintptr_t size_of(uintptr_t p, uintptr_t end)
{
	uintptr_t flags = word(p + WORD), size = flags & ~(uintptr_t)FLAGS;

	if (flags & MAPPED || size % HEAD || size > end - p)
		return 0;
	if (p + size < end && !(word(p + size + WORD) & PREV_USED) && word(p + size) != size)
		return 0;
	return size;
}

/* From p on the chain ends where the heap does. */
static bool adds_up(uintptr_t p, uintptr_t end)
{
	while (p < end) {
		uintptr_t size = size_of(p, end);

		if (!size) /* the fence behind an arena's full heap, or a fault */
			return p + HEAD == end && !(word(p + WORD) & ~(uintptr_t)PREV_USED);
		p += size;
	}
	return true;
}

/* An arena's heap: its first block lies somewhere in its first page. */
static bool find_first(struct rg_heap *h, uintptr_t start)
{
	for (h->at = start + 2 * HEAD; h->at < start + RG_PAGE; h->at += HEAD)
		if (adds_up(h->at, h->end))
			return true;
	return false;
}

bool rg_heap_find(struct rg_heap *h, uintptr_t lo, uintptr_t hi, bool brk, uintptr_t addr)
{
	uintptr_t start = brk ? lo : addr & ~(ALIGN - 1), size;

	h->at = start;
	h->end = brk ? hi : rg_min(hi, start + ALIGN);
	if (start < lo || start % HEAD)
		return false;
	if (brk)
		return adds_up(lo, hi);
	size = word(start + HEAD);
	if (size < RG_PAGE || size % RG_PAGE || size > hi - start || addr >= start + size)
		return false;
	h->end = start + size;
	return find_first(h, start);
}

bool rg_heap_next(struct rg_heap *h, uintptr_t *lo, uintptr_t *hi)
{
	uintptr_t size = h->at < h->end ? size_of(h->at, h->end) : 0;

	if (!size)
		return false;
	*lo = h->at + HEAD;
	*hi = h->at + size + (h->at + size < h->end ? WORD : 0);
	h->at += size;
	return true;
}
