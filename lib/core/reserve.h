/* SPDX-License-Identifier: MIT */
/*
 * Reserved Gs: descriptors taken when a timer is set or a hook is hung up, so that starting fn(arg) later
 * cannot fail. They are not spawned yet: they count nowhere, and cost a descriptor and no stack. See
 * reserve.c.
 */
#ifndef RG_CORE_RESERVE_H
#define RG_CORE_RESERVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "core/g.h"

/* A G for fn(arg), without context and deadline; NULL at the limit. m: the calling M or NULL. */
struct g *rg_reserved_new(struct m *m, void (*fn)(void *), void *arg, void *pc);

/* Give it back: the caller owns it. */
void rg_reserved_free(struct m *m, struct g *g);

/* Make it a goroutine now: the caller owns it. */
void rg_reserved_start(struct m *m, struct g *g);

/*
 * Let time have it: at when (never earlier) it is started (RG_WAIT_START), or fn(arg) is called in the
 * scheduler, where it may set itself again (RG_WAIT_CALL). *ticket is for rg_reserved_take. 0; -ENOMEM or
 * -EAGAIN, and the caller still owns it.
 */
int rg_reserved_at(struct m *m, struct g *g, enum rg_wait_kind kind, int64_t when, uint32_t *ticket);

/* Take it back from time: true if time has not had it. Any thread. */
bool rg_reserved_take(struct g *g, uint32_t gen, uint32_t ticket);

/* Has the goroutine that g became in that life not ended yet? */
static inline bool rg_reserved_lives(const struct g *g, uint32_t gen)
{
	return rg_load_relaxed(&g->gen) == gen;
}

/* Wait until the goroutine that g became in that life has ended. Inside the gate, on a G. */
void rg_reserved_join(struct m *m, struct g *g, uint32_t gen);

/* A goroutine with RG_G_TIMER has ended: those who wait for that go on. */
void rg_reserved_ended(struct m *m, struct g *g, uint32_t gen);

#endif
