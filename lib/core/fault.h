/* SPDX-License-Identifier: MIT */
/* Stack overflow reports. See fault.c. */
#ifndef RG_CORE_FAULT_H
#define RG_CORE_FAULT_H

void rg_fault_install(void);
void rg_fault_remove(void);

#endif
