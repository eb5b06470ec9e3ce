/* SPDX-License-Identifier: MIT */
/* CPU time of each goroutine, if asked for (RG_DEBUG_CPU in rt.debug). See account.c. */
#ifndef RG_CORE_ACCOUNT_H
#define RG_CORE_ACCOUNT_H

#include <stdint.h>

struct g;
struct m;

/* Of an M; it alone writes. */
struct rg_meter {
	int64_t wall;   /* when it last switched */
	int64_t cpu;    /* of its thread then, as far as is known */
	uint64_t total; /* charged to goroutines */
};

/* For so many goroutines. 0, or -ENOMEM. */
int rg_account_init(uint32_t limit);
void rg_account_fini(void);
const uint64_t *rg_account_table(void); /* one for each goroutine; NULL: nobody counts */

/* m leaves its G, or its own stack if it has none. The M itself. */
void rg_account_switch(struct m *m);

/* The next life of g begins with nothing. */
void rg_account_forget(const struct g *g);

/* What g has used, in nanoseconds; -1: nobody counts. m: it runs there; NULL: without the turn under way. */
int64_t rg_account_of(const struct g *g, struct m *m);

uint64_t rg_account_total(void);

#endif
