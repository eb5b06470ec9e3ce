/* SPDX-License-Identifier: MIT */
/*
 * What the sanitizers must be told about stacks. Empty in ordinary builds.
 *
 * struct rg_san belongs to one stack of execution: a goroutine or an M's own. Before a switch:
 * rg_san_leave(from, to); on the other side, first thing: rg_san_arrive(to). A stack that ends calls
 * rg_san_leave(NULL, to). AddressSanitizer wants the bounds of the new stack, ThreadSanitizer a fiber.
 */
#ifndef RG_ARCH_SAN_H
#define RG_ARCH_SAN_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

#ifdef RG_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef RG_TSAN
#include <sanitizer/tsan_interface.h>
#endif

struct rg_san {
#ifdef RG_ASAN
	void *fake;
	const void *bottom;
	size_t size;
#endif
#ifdef RG_TSAN
	void *fiber;
#endif
};

/* A fresh goroutine stack [bottom, bottom + size). */
static inline void rg_san_new(struct rg_san *s, void *bottom, size_t size)
{
	(void)s, (void)bottom, (void)size;
#ifdef RG_ASAN
	s->fake = NULL;
	s->bottom = bottom;
	s->size = size;
	__asan_unpoison_memory_region(bottom, size);
#endif
#ifdef RG_TSAN
	s->fiber = __tsan_create_fiber(0);
#endif
}

/* The calling thread's own stack [bottom, bottom + size). */
static inline void rg_san_thread(struct rg_san *s, void *bottom, size_t size)
{
	(void)s, (void)bottom, (void)size;
#ifdef RG_ASAN
	s->fake = NULL;
	s->bottom = bottom;
	s->size = size;
#endif
#ifdef RG_TSAN
	s->fiber = __tsan_get_current_fiber();
#endif
}

/*
 * May a fresh goroutine take over the stack of one that ended? A fiber of ThreadSanitizer has a shadow call
 * stack, which would keep the frames that ringo_exit left.
 */
#ifdef RG_TSAN
#define RG_SAN_TAKEOVER 0
#else
#define RG_SAN_TAKEOVER 1
#endif

/* The stack under our feet goes on as another goroutine's. */
static inline void rg_san_move(struct rg_san *to, struct rg_san *from)
{
	*to = *from;
	__builtin_memset(from, 0, sizeof(*from));
}

/*
 * As a switch to a fresh goroutine, on a stack whose frames were left behind; called on it, before the
 * jump. Inlined, or its own return would be counted against the new fiber's frames.
 */
static inline __attribute__((always_inline)) void rg_san_again(struct rg_san *s)
{
	(void)s;
#ifdef RG_ASAN
	__asan_handle_no_return();
	__asan_unpoison_memory_region((void *)s->bottom, s->size);
	__sanitizer_start_switch_fiber(NULL, s->bottom, s->size);
	s->fake = NULL;
#endif
#ifdef RG_TSAN
	void *former = s->fiber;

	s->fiber = __tsan_create_fiber(0);
	__tsan_switch_to_fiber(s->fiber, 0);
	__tsan_destroy_fiber(former);
#endif
}

/* A stack of our own making goes: what was marked of its frames must not hold for what comes to lie there. */
static inline void rg_san_gone(void *bottom, size_t size)
{
	(void)bottom, (void)size;
#ifdef RG_ASAN
	__asan_unpoison_memory_region(bottom, size);
#endif
}

/* Frames below the caller's have been left from another stack, which the sanitizer's longjmp cannot know. */
static inline void rg_san_unwound(struct rg_san *s)
{
	(void)s;
#ifdef RG_ASAN
	uintptr_t below = (uintptr_t)__builtin_frame_address(0) - (uintptr_t)s->bottom;

	if (below < s->size)
		__asan_unpoison_memory_region((void *)s->bottom, below);
#endif
}

/*
 * Data goes through the kernel from one goroutine to another, in operations that ThreadSanitizer does not
 * see. As it does for sockets, everything before an operation counts as before the end of every later one.
 */
static inline void rg_san_io_begin(void *sync)
{
	(void)sync;
#ifdef RG_TSAN
	__tsan_release(sync);
#endif
}

static inline void rg_san_io_end(void *sync)
{
	(void)sync;
#ifdef RG_TSAN
	__tsan_acquire(sync);
#endif
}

/* A goroutine has ended and another stack runs. */
static inline void rg_san_free(struct rg_san *s)
{
	(void)s;
#ifdef RG_TSAN
	if (s->fiber)
		__tsan_destroy_fiber(s->fiber);
	s->fiber = NULL;
#endif
}

/* Inlined by force: its own exit would be counted on the fiber that it switches to. */
static inline __attribute__((always_inline)) void rg_san_leave(struct rg_san *from, struct rg_san *to)
{
	(void)from, (void)to;
#ifdef RG_ASAN
	__sanitizer_start_switch_fiber(from ? &from->fake : NULL, to->bottom, to->size);
#endif
#ifdef RG_TSAN
	__tsan_switch_to_fiber(to->fiber, 0);
#endif
}

static inline void rg_san_arrive(struct rg_san *to)
{
	(void)to;
#ifdef RG_ASAN
	__sanitizer_finish_switch_fiber(to->fake, NULL, NULL);
#endif
}

#endif
