/* SPDX-License-Identifier: MIT */
/* Numbers of the runtime, from inside the gate. */
#ifndef RG_OBSERVE_STATS_H
#define RG_OBSERVE_STATS_H

#include <ringo/stats.h>

/* All but the size. why, unless NULL, has room for RG_WHYS: goroutines that wait, by what for. */
void rg_stats_fill(struct ringo_stats *s, uint64_t *why);

#endif
