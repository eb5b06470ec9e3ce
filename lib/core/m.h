/* SPDX-License-Identifier: MIT */
/*
 * M: an OS thread that runs Gs and owns a ring. Its record is never unmapped: a thread that inherited
 * %gs must find something there that does not name it.
 */
#ifndef RG_CORE_M_H
#define RG_CORE_M_H

#include <stdbool.h>
#include <stddef.h>

#include "arch/arch.h"
#include "arch/san.h"
#include "base/atomic.h"
#include "base/thread.h"
#include "core/account.h"
#include "core/g.h"
#include "core/held.h"
#include "core/lane.h"
#include "kmod/uapi/ringo.h"

struct rg_base;
struct ringo_event_ring;

struct m {
	struct rg_self self; /* first: %gs:0 */
	uint32_t id;
	struct p *p;         /* NULL: it has none. See revoke.c. */
	struct g *cur;       /* the G that runs, NULL on the M's own stack */
	void *sched_sp;      /* the M's own stack while a G runs */
	int *errnop;         /* this thread's errno */
	struct rg_base *base; /* of the stack in this slot, which ran here last: panic.c */
	uint32_t base_slot;

	struct g *left;      /* the G just switched away from, to be marked as off its stack */
	/* What to do for the G just left, once its registers are saved: set before a switch. */
	void (*post)(struct m *m, void *arg);
	void *post_arg;

	bool spinning;       /* counted in rt.spinning */
	bool stop;           /* the loop is to end */
	bool called;         /* its G is to give way at its next call that may wait, or has no P: revoke.c */
	uint32_t given;      /* a futex word: changes when a spare is to look */
	bool claimed;        /* new, and taken by whoever made it */
	struct g *gift;      /* with it, or without a P: run this one. lane.c */
	struct rg_lane_place lane;
	struct g *locked;    /* the only one it runs: locked.c */
	uint32_t lock_depth;
	uint32_t lock_waits; /* for that one, without a P */
	bool shed;           /* its G is to go on without the P when it leaves the runtime: lane.c */
	bool low;            /* its thread has a lower standing than others: lane.c */
	struct rg_meter meter; /* account.c */
	struct rg_held held; /* by its thread: held.h */
	struct ringo_event_ring *events; /* NULL: none yet. event.c */
	int tid;
	bool ticked;         /* ticks know it: kern.c */
	bool upcalls;        /* and can make it enter the runtime */
	struct rg_thread thread;
	void *altstack;
	uint32_t started;    /* a futex word: 0 not yet, 1 up, 2 failed with start_err, 3 ended */
	int start_err;
	struct m *next;      /* free records, or spares */
	struct rg_san san;
};

/* The page of an M that others may watch and revoke lies right before its record. */
static inline struct ringo_m_page *rg_m_page(struct m *m)
{
	return (struct ringo_m_page *)((char *)m - 4096);
}

/* Which goroutine it runs, or 0; with the same store, no tick has seen that one yet. */
static inline void rg_m_runs(struct m *m, uint32_t cur_g)
{
	_Static_assert(offsetof(struct ringo_m_page, seen) == offsetof(struct ringo_m_page, cur_g) + 4 &&
		       offsetof(struct ringo_m_page, cur_g) % 8 == 0, "written as one word");
	rg_store_relaxed((uint64_t __attribute__((may_alias)) *)&rg_m_page(m)->cur_g, (uint64_t)cur_g);
}

/* The calling thread's M: it must be one. Volatile, so right after any switch too. */
static inline struct m *rg_m(void)
{
	return rg_arch_m();
}

/* Make the next P, and an M for it. 0 or -errno. Under rt.procs_lock, or while nothing runs yet. */
int rg_p_start(void);

/* Make an M without a P, which counts as taken. As rg_p_start. */
int rg_spare_start(struct m **m);

/* A spare M, to be given a P; NULL: there is none. */
struct m *rg_spare_take(void);

/* m, which sleeps, has p from now on; it is still to be woken. */
void rg_m_hold(struct m *m, struct p *p);

/* The M itself, inside the runtime: it has none any more. */
void rg_m_let_go(struct m *m);

/* Let m, which is a spare and was taken, go on with p. */
void rg_spare_give(struct m *m, struct p *p);

/* Wait without a P: true once there is one, or a gift; false when the run ends. The M itself, on its own stack. */
bool rg_spare_wait(struct m *m);

/* It was taken and is not needed. */
void rg_spare_put(struct m *m);

/* It is to look whether the run ends. */
void rg_spare_wake(struct m *m);

/* After all threads have ended: empty rings of Ps that were on their way to an M. False: some did not end by then. */
bool rg_m_drain_rest(int64_t deadline);

/* After all threads have ended: join them, free Ms and Ps. */
void rg_m_free_all(void);

/* After an unclean end: nobody will join those that still run, nor need what the others had. */
void rg_m_leave_all(void);

/* In a forked child: forget all records. */
void rg_m_child(void);

#endif
