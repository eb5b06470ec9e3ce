/* SPDX-License-Identifier: MIT */
/*
 * Gates: what every exported function passes on its way in and out (design/revocation.md).
 *
 * Inside, in_rt is not 0 and nobody takes the P away; in user code it is 0 and somebody may. The entry
 * looks at one word that says whether the M was revoked or asked for something. Two plain accesses: the
 * fence that would order store and load is on the asking side, as a membarrier.
 *
 * Around system calls that may block the M steps outside again; around io_uring_enter, in the scheduler, it steps
 * aside. The revoker can tell these apart by one load: by two, of in_rt and cur_g, it may see the one from before and
 * the other from after, and take the P from an M that has come back meanwhile.
 */
#ifndef RG_CORE_GATE_H
#define RG_CORE_GATE_H

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "core/lane.h"
#include "core/m.h"
#include "core/revoke.h"

void rg_gate_reentered(void) RG_NORETURN;
void rg_gate_slow(struct m *m);

/* The running G gives way, or gets a P again: the M it goes on with. For m->called. */
struct m *rg_give_way(struct m *m);

/* Become a user of the runtime from a thread that is no M: 0, or -ESRCH. Then rg_foreign_leave. */
int rg_foreign_enter(void);
void rg_foreign_leave(void);

static inline bool rg_gate_called(struct m *m)
{
	uint64_t word;

	_Static_assert(offsetof(struct ringo_m_page, asked) ==
		       offsetof(struct ringo_m_page, revoked) + 4, "read as one word");
	_Static_assert(offsetof(struct ringo_m_page, revoked) % 8 == 0, "read as one word");
	word = rg_load_relaxed((uint64_t __attribute__((may_alias)) *)&rg_m_page(m)->revoked);
	return word != 0;
}

static inline void rg_gate_in(struct m *m)
{
	struct ringo_m_page *page = rg_m_page(m);

	if (unlikely(rg_load_relaxed(&page->in_rt)))
		rg_gate_reentered();
	rg_store_relaxed(&page->in_rt, RINGO_RT_INSIDE);
	rg_compiler_barrier();
	if (unlikely(rg_gate_called(m)))
		rg_gate_slow(m);
}

/*
 * The M of the caller, inside; NULL for a thread that is no M. For calls that do not wait: the M may have no
 * P (revoke.c).
 */
static inline struct m *rg_enter(void)
{
	struct m *m = (struct m *)rg_arch_self();

	if (likely(m))
		rg_gate_in(m);
	return m;
}

/* As rg_enter, for calls that may wait: the M has a P. It may be another one than before. */
static inline struct m *rg_enter_w(void)
{
	struct m *m = rg_enter();

	if (m && unlikely(m->called))
		m = rg_give_way(m);
	return m;
}

/* In a call that may wait the M may be another one afterwards. */
static inline void rg_leave(struct m *m)
{
	if (unlikely(m->shed))
		m = rg_lane_shed(m);
	/* order: release; pairs with the revoker's look at in_rt after its membarrier */
	rg_store_release(&rg_m_page(m)->in_rt, 0);
}

/*
 * Outside for a moment, from within: around calls that may block. Touch nothing of the P meanwhile: the G may come
 * back without it.
 */
static inline void rg_step_out(struct m *m)
{
	/* order: release; as in rg_leave */
	rg_store_release(&rg_m_page(m)->in_rt, 0);
}

/* The same in the scheduler, where nobody takes the P away. Then rg_step_in. */
static inline void rg_step_aside(struct m *m)
{
	/* order: release; pairs with the look in end_solo of procs.c */
	rg_store_release(&rg_m_page(m)->in_rt, RINGO_RT_ASIDE);
}

static inline void rg_step_in(struct m *m)
{
	rg_store_relaxed(&rg_m_page(m)->in_rt, RINGO_RT_INSIDE);
	rg_compiler_barrier();
}

/* Back on a G, in a call that may wait. The M has a P; it may be another M. */
static inline struct m *rg_step_in_w(struct m *m)
{
	rg_step_in(m);
	if (unlikely(rg_load_relaxed(&rg_m_page(m)->revoked)))
		rg_revoked(m);
	return unlikely(m->called) ? rg_give_way(m) : m;
}

/* Entry of calls that may wait and that only a goroutine can make: the M, or NULL with *err set. */
static inline struct m *rg_enter_g(int *err)
{
	struct m *m = rg_enter_w();

	if (unlikely(!m)) {
		*err = rg_foreign_enter();
		if (!*err) {
			rg_foreign_leave();
			*err = -EPERM;
		}
	}
	return m;
}

#endif
