/* SPDX-License-Identifier: MIT */
/*
 * The hub: waiting for descriptors and for other things at once. See hub.c.
 *
 * A G that is about to wait calls rg_hub_begin, rg_hub_add for each descriptor, then begins its wait
 * (rg_wait_begin_any), calls rg_hub_expect, and parks with a post that calls rg_hub_publish as the last thing
 * it does. Whatever woke it, it calls rg_hub_end. When a descriptor is ready before anybody else has won the
 * G, it is readied with RG_HUB_READY.
 */
#ifndef RG_RING_HUB_H
#define RG_RING_HUB_H

#include <stdbool.h>
#include <stdint.h>

#include "core/g.h"
#include "core/m.h"

#define RG_HUB_READY INT64_C(0x7d0f)

/* On the stack of the G. */
struct rg_hub_wait {
	struct rg_hub_wait *next, *prev;
	uint64_t who; /* the G and the number of its wait */
	int ep, hub;
	uint32_t lock; /* held from rg_hub_expect to rg_hub_publish */
	bool listed;
};

/* 0, or -EMFILE, -ENFILE, -ENOMEM, -ENOSPC, -EAGAIN (no goroutine). */
int rg_hub_begin(struct m *m, struct rg_hub_wait *w);

/* 0, -EEXIST (use rg_hub_change), -EBADF, -EPERM (always ready), -ENOMEM, -ENOSPC, -ELOOP. */
int rg_hub_add(struct rg_hub_wait *w, int fd, uint32_t events);
int rg_hub_change(struct rg_hub_wait *w, int fd, uint32_t events);

/* wake: g->wake as the wait that begins makes it. */
void rg_hub_expect(struct rg_hub_wait *w, const struct g *g, uint32_t wake);
void rg_hub_publish(struct rg_hub_wait *w);
void rg_hub_end(struct rg_hub_wait *w);

#endif
