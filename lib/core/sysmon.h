/* SPDX-License-Identifier: MIT */
/* The thread that watches, and gives stack memory back. See sysmon.c. */
#ifndef RG_CORE_SYSMON_H
#define RG_CORE_SYSMON_H

#include <stdint.h>

#include "base/atomic.h"

extern uint32_t rg_trim_wanted;
void rg_trim_ask(void);

/* An M goes to sleep: stacks may have become trimmable. One load when sysmon knows already. */
static inline void rg_trim_hint(void)
{
	if (!rg_load_relaxed(&rg_trim_wanted))
		rg_trim_ask();
}

/* Somebody waits for a P: see revoke.h. */
void rg_sysmon_wake(void);

int rg_sysmon_start(void);
void rg_sysmon_stop(void);
void rg_sysmon_child(void); /* after fork: there is no such thread */

#endif
