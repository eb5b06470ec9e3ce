/* SPDX-License-Identifier: MIT */
/*
 * One operation of one G: an SQE prepared by liburing's helpers, on the G's stack. It is staged in the
 * P, goes into the ring of the M that holds it at the next scheduler round, and its completion wakes the G.
 *
 * user_data is the G's index and g->op_seq, never a pointer: a cancel or a completion that comes late finds
 * that the number has moved on.
 */
#ifndef RG_RING_OP_H
#define RG_RING_OP_H

#include <liburing.h>
#include <stdbool.h>

#include "core/g.h"
#include "core/m.h"
#include "core/rt.h"

struct rg_op {
	struct io_uring_sqe sqe;
	bool keep; /* runs to its end whatever the deadline */
};

/*
 * Run it and wait: the completion's result, -ETIMEDOUT when the ambient deadline is or was over, -ENOMEM.
 * Inside the gate, on a G; may continue on another M: ask rg_m() anew.
 */
int rg_op_run(struct m *m, struct rg_op *op);

/* For back ends. */

static inline uint64_t rg_op_user_data(const struct g *g)
{
	return (uint64_t)g->op_seq << 32 | (rg_g_index(g) + 1);
}

/* user_data whose low half is 0 belongs to the back end itself. */
static inline bool rg_op_is(uint64_t user_data)
{
	return (uint32_t)user_data != 0;
}

/* The G whose present operation has this user_data, or NULL: it has ended since. */
struct g *rg_op_find(uint64_t user_data);

/* The operation of g has ended. Its M, in the scheduler. */
void rg_op_done(struct m *m, struct g *g, int res);

/* Cancel while still staged: true if it was. */
bool rg_op_unstage(struct m *m, struct g *g);

#endif
