/* SPDX-License-Identifier: MIT */
/*
 * What the calls of this layer are made of: prepare an operation, run it until its result is one that the
 * caller may see, leave.
 */
#ifndef RG_IO_CALL_H
#define RG_IO_CALL_H

#include <stddef.h>

#include "core/gate.h"
#include "ring/op.h"

/* Linux transfers no more than this in one call; the length in an SQE has 32 bits. */
#define RG_IO_MAX ((size_t)0x7ffff000)

static inline unsigned rg_io_len(size_t n)
{
	return (unsigned)rg_min(n, RG_IO_MAX);
}

/* The operation was interrupted and did nothing. -512 to -514, -516: what system calls turn into EINTR. */
static inline bool rg_io_interrupted(int res)
{
	return res == -EINTR || (res <= -512 && res >= -516 && res != -515);
}

/*
 * Inside the gate: run op, again after -EINTR, and after -EAGAIN once its descriptor has one of these poll
 * events (0: the caller asked for -EAGAIN). Also -EAGAIN: it needs a thread of the kernel, and there is none
 * to be had. May continue on another M.
 */
int rg_io_run(struct rg_op *op, short events);

/* An exported call as a whole: enter, rg_io_run, leave. */
int rg_io_call(struct rg_op *op, short events);

/* Inside the gate: wait for poll events on fd. revents, or -errno. */
int rg_io_poll(int fd, short events);

/* Inside the gate: let a moment pass before the next try, longer each time: after tries in vain. */
int rg_io_pause(unsigned tries);

#endif
