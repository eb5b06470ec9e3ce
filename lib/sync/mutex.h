/* SPDX-License-Identifier: MIT */
/* What other parts of the library may ask of a mutex. */
#ifndef RG_SYNC_MUTEX_H
#define RG_SYNC_MUTEX_H

#include <ringo/sync.h>

#include "core/m.h"

/* As ringo_mutex_lock, outside the gate, for another type that contains it and that reports name. */
void rg_mutex_lock(struct ringo_mutex *mu, enum rg_reason why, const void *on);

/* As ringo_mutex_unlock, inside the gate; m may be NULL. False: it is not locked. */
bool rg_mutex_unlock(struct m *m, struct ringo_mutex *mu);

bool rg_mutex_locked(const struct ringo_mutex *mu);

/*
 * Index + 1 of the goroutine that locked it, 0 when it is free or was locked by another thread. Also for a
 * rwmutex (its writer) and a once (who runs its function), which begin with one. A hint if it is in use.
 */
uint32_t rg_mutex_owner(const void *mutex);

#endif
