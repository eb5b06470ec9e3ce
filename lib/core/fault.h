/* SPDX-License-Identifier: MIT */
/* Faults of goroutines become panics; stacks to panic on after an overflow. See fault.c. */
#ifndef RG_CORE_FAULT_H
#define RG_CORE_FAULT_H

#include <stdbool.h>
#include <stdint.h>

struct g;

void rg_fault_install(void);
void rg_fault_remove(void);

/* A stack beside a goroutine's own; the record lies at its lower end, above a guard page. */
struct rg_spare {
	struct rg_spare *under;       /* of the same goroutine: the one before */
	struct rg_spare *next, *prev; /* all there are */
	uintptr_t from;               /* stack pointer at the fault: frames are intact from there on */
};

/* Of the running goroutine: give back those that are newer than keep, on which it does not stand. */
void rg_spares_drop(struct g *g, struct rg_spare *keep);

/* Does g stand on one of them, with a frame at addr? */
bool rg_on_spare(const struct g *g, const void *addr);

/*
 * Does addr lie in a frame that is gone, seen from a frame at sp of the same goroutine? The stack it is on
 * counts: a goroutine may stand on several.
 */
bool rg_frame_gone(const struct g *g, const void *addr, uintptr_t sp);

/* At the end of the run: all of them, whoever had them. */
void rg_spares_fini(void);
void rg_spares_child(void);

/* In x86_64.S: where a faulting goroutine goes on; and what that calls. */
void rg_fault_entry(void);
void rg_fault_panic(int sig, void *addr, int code, const void *pc) __attribute__((noreturn));

#endif
