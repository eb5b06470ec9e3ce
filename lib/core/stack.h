/* SPDX-License-Identifier: MIT */
/* Stacks: slots in an arena, bound lazily. See stack.c. */
#ifndef RG_CORE_STACK_H
#define RG_CORE_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/g.h"

enum { RG_CLASSES = 8, RG_PAGE = 4096, RG_SLOT_CACHE = 64, RG_STACK_DEFAULT = 255 };

/* Class that gives at least bytes of stack, or -EINVAL beyond 1 GiB. */
int rg_stack_class(size_t bytes);
size_t rg_stack_class_size(unsigned class);

/* Reserve the arena of the base class; *limit in: wanted, out: how many slots there can be. */
int rg_stack_init(size_t *limit, bool canary);
void rg_stack_fini(void);

/* A spawn into class > 0 holds a place in it from spawn to exit. */
int rg_stack_hold(unsigned class);
void rg_stack_release(unsigned class);

/* Bind a slot to g; p may cache slots. Never fails: places were held at spawn. */
void rg_stack_bind(struct p *p, struct g *g);
void rg_stack_unbind(struct p *p, struct g *g);

/* Where a fresh G's frames begin, downwards; and its struct rg_base, upwards. */
void *rg_stack_top(const struct g *g);
void rg_stack_bounds(const struct g *g, char **lo, char **hi); /* lo includes the guard page */

/* Slot that addr lies in, 0 if none; and the G bound to a slot, for reports. */
uint32_t rg_stack_find(const void *addr, bool *in_guard);
struct g *rg_stack_owner(uint32_t slot);

/* The reservation of a class; false: none. */
bool rg_stack_arena(unsigned class, char **lo, char **hi);

/* Where there is no guard page: report an overflow that was noticed late. */
extern bool rg_stack_canaries;
void rg_stack_check(struct g *g);

unsigned rg_stack_guard(void); /* enum ringo_guard */

/* Trimming: take up to n dirty free slots of a class; give them back clean. */
unsigned rg_stack_take_dirty(unsigned class, uint32_t *slots, unsigned n);
void rg_stack_put_clean(unsigned class, const uint32_t *slots, unsigned n);
void rg_stack_slot_bounds(uint32_t slot, char **lo, char **hi);

/* Bytes that bound slots could hold beyond their first page: is trimming worth a look? */
size_t rg_stack_exposure(void);

#endif
