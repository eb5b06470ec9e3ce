/* SPDX-License-Identifier: MIT */
/* What readers outside the process find the goroutines by: kmod/uapi/ringo_state.h. See state.c. */
#ifndef RG_CORE_STATE_H
#define RG_CORE_STATE_H

#include <stddef.h>
#include <stdint.h>

struct m;

/* The tables are there; from publish on, readers may trust all of it; they are about to go. */
void rg_state_open(void);
void rg_state_publish(uint32_t preempt_wanted);
void rg_state_close(void);

/* In a forked child, which did not inherit it. */
void rg_state_child(void);

/* The thread of m has begun. The M itself. */
void rg_state_m(struct m *m);

/* A class of stacks is there. */
void rg_state_stacks(unsigned class, const void *base, size_t slot);

/* The tier of preemption with help of the kernel has ended. */
void rg_state_lost(void);

/* The process is about to die. */
void rg_state_stamp(void);

#endif
