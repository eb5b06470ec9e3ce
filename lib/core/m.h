/* SPDX-License-Identifier: MIT */
/*
 * M: an OS thread that runs Gs and owns a ring. Its record is never unmapped: a thread that inherited
 * %gs must find something there that does not name it.
 */
#ifndef RG_CORE_M_H
#define RG_CORE_M_H

#include <stdbool.h>

#include "arch/arch.h"
#include "arch/san.h"
#include "base/thread.h"
#include "core/g.h"
#include "kmod/uapi/ringo.h"

/* m->idle */
enum { RG_M_ACTIVE, RG_M_PARKED };

struct m {
	struct rg_self self; /* first: %gs:0 */
	uint32_t id;
	struct p *p;
	struct g *cur;       /* the G that runs, NULL on the M's own stack */
	void *sched_sp;      /* the M's own stack while a G runs */
	int *errnop;         /* this thread's errno */

	struct g *left;      /* the G just switched away from, to be marked as off its stack */
	/* What to do for the G just left, once its registers are saved: set before a switch. */
	void (*post)(struct m *m, void *arg);
	void *post_arg;

	bool spinning;       /* counted in rt.spinning */
	bool stop;           /* the loop is to end */
	uint32_t idle;       /* RG_M_*: the wake protocol, wake.c */
	void *ring;          /* the poller's */
	struct rg_thread thread;
	void *altstack;
	uint32_t started;    /* a futex word: 0 not yet, 1 up, 2 failed with start_err, 3 ended */
	int start_err;
	struct m *next;      /* free records */
	struct rg_san san;
};

/* The page of an M that others may watch and revoke lies right before its record. */
static inline struct ringo_m_page *rg_m_page(struct m *m)
{
	return (struct ringo_m_page *)((char *)m - 4096);
}

/* The calling thread's M: it must be one. Volatile, so right after any switch too. */
static inline struct m *rg_m(void)
{
	return rg_arch_m();
}

/* Make M number id with its P and start its thread. 0 or -errno. */
int rg_m_start(unsigned id);

/* After all threads have ended: join them, free Ms and Ps. */
void rg_m_free_all(void);

/* After an unclean end: nobody will join those that still run, nor need what the others had. */
void rg_m_leave_all(void);

/* In a forked child: forget all records. */
void rg_m_child(void);

#endif
