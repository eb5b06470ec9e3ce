/* SPDX-License-Identifier: MIT */
/* The scheduler: queues (runq.c), waking Ms (wake.c), choosing and switching (sched.c). */
#ifndef RG_CORE_SCHED_H
#define RG_CORE_SCHED_H

#include <stdbool.h>

#include "core/g.h"
#include "core/m.h"
#include "core/p.h"

/* The M's loop on its own stack; returns when the run ends. */
void rg_sched_loop(struct m *m);

/* Leave the running G, whose state says why; m->post is done for it afterwards. Returns when it runs again. */
void rg_switch_away(struct m *m, struct g *g);

/* The running G goes to where post puts it. Returns when it runs again. */
void rg_queue_apart(struct m *m, void (*post)(struct m *, void *));

/* The running G goes to the global queue; its M, without a P, to the spares. */
void rg_rejoin(struct m *m);

/* For rg_g_main: first thing on a stack that was just switched to. */
struct m *rg_arrived(void);

/* The next G by the short way, or NULL when a full round is due. */
struct g *rg_next_fast(struct p *p);

/* Never return to the stack of the G that just ended; m->post is done for it afterwards. */
void rg_switch_final(struct m *m, struct g *next) RG_NORETURN;

/* Make g's M record and state say that it runs. */
void rg_set_running(struct m *m, struct g *g);

/* Wake protocol. */
void rg_wake_if_needed(struct m *m); /* after a push */
void rg_spin_end(struct m *m, bool found);
bool rg_spin_begin(struct m *m);
bool rg_idle_enter(struct m *m);     /* false: there is work after all */
void rg_idle_leave(struct m *m);
void rg_wake_p(struct p *p);         /* its M, whatever it does: for stop and P changes */
bool rg_work_anywhere(struct p *self);

#endif
