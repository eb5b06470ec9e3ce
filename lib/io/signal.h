/* SPDX-License-Identifier: MIT */
/* SIGPIPE, for calls that may raise it. */
#ifndef RG_IO_SIGNAL_H
#define RG_IO_SIGNAL_H

#include <stdint.h>

#include "base/atomic.h"
#include "base/compiler.h"

extern uint32_t rg_sigpipe_seen;
void rg_sigpipe_look(void);

/*
 * Before a write that may meet a pipe without a reader: see that SIGPIPE does not end the process, until the
 * end of the run.
 */
static inline void rg_sigpipe_quiet(void)
{
	if (unlikely(!rg_load_relaxed(&rg_sigpipe_seen)))
		rg_sigpipe_look();
}

#endif
