/* SPDX-License-Identifier: MIT */
/*
 * The blocking pool: threads without rings for what has no ring operation. See pool.c.
 */
#ifndef RG_IO_POOL_H
#define RG_IO_POOL_H

#include <stdint.h>

#include "core/m.h"

/*
 * Run fn(arg) on a pool thread; the G waits. 0 with *result, -ETIMEDOUT when the deadline was over before
 * it started, -EAGAIN when no thread could be made at all. Inside the gate; may continue on another M.
 */
int rg_pool_run(struct m *m, int (*fn)(void *), void *arg, int *result);

void rg_pool_stats(uint64_t *jobs, uint64_t *threads);

#endif
