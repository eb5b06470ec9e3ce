/* SPDX-License-Identifier: MIT */
/* Start and end of a run. See run.c and fork.c. */
#ifndef RG_CORE_RUN_H
#define RG_CORE_RUN_H

struct m;

/* The main goroutine ends: if without returning, the others go on. */
void rg_main_exited(void);

/* There is to be a spare M soon. Takes no lock of the C library. */
void rg_run_want_spare(void);

/* Install the fork handlers, once. */
void rg_fork_init(void);

/* In a forked child: forget the parent's runtime. */
void rg_run_child(void);

#endif
