/* SPDX-License-Identifier: MIT */
/* Goroutines that keep their thread. See locked.c. */
#ifndef RG_CORE_LOCKED_H
#define RG_CORE_LOCKED_H

#include <stdbool.h>

struct g;
struct m;

/* g keeps its thread, and m has taken it off a queue: true if it may run here. Else m may have no P any more. */
bool rg_locked_here(struct m *m, struct g *g);

/* m, whose G keeps its thread and waits, has a P: give it away, if there is somebody to take it. */
void rg_locked_give_p(struct m *m);

/* m has none: wait for one, with the G to run; NULL when the run ends. */
struct g *rg_locked_wait(struct m *m);

/* That G of m has ended. */
void rg_locked_ended(struct m *m);

#endif
