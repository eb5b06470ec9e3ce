/* SPDX-License-Identifier: MIT */
/* Child processes, for tests. */
#ifndef RG_IO_PROCESS_H
#define RG_IO_PROCESS_H

#include <stdint.h>

extern uint32_t rg_no_waitid; /* the kernel's rings have no WAITID */

#endif
