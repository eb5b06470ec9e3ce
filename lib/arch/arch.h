/* SPDX-License-Identifier: MIT */
/* What depends on the processor: switching stacks, and knowing which thread this is. */
#ifndef RG_ARCH_ARCH_H
#define RG_ARCH_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef RINGO_SIM
#include "base/sim.h"
#endif

/* In x86_64.S. */
void rg_switch(void **save, void *to);
void rg_switch_new(void **save, void *top, void (*entry)(void));
void rg_jump(void *to) __attribute__((noreturn));
void rg_jump_new(void *top, void (*entry)(void)) __attribute__((noreturn));
void rg_call_on_behalf(void *sp, void (*fn)(void *), void *arg);

/*
 * The M of the calling thread lives in the base of %gs, never in a __thread variable: compilers keep
 * the address of those across a switch, and after the switch that address is another thread's.
 * These are volatile asm so that each use reads the register anew.
 *
 * clone(2) and fork(2) inherit the base. So a thread is an M only if the base is not 0 and the record
 * found there names this thread (struct rg_self).
 */
struct rg_self {
	struct rg_self *self; /* at %gs:0 */
	uintptr_t thread;     /* thread pointer of the thread whose M this is */
	void *upcall_stack;   /* its end; at %gs:16, and free while a G runs on its own */
};

extern bool rg_arch_slow_gs; /* no rdgsbase: valgrind, or the kernel did not enable it */
uintptr_t rg_arch_gs_slow(void);

/* Make self the calling thread's; NULL: none. 0 or -errno. */
int rg_arch_set_self(struct rg_self *self);

/* All that the caller's callers have on this stack lies above. */
static inline uintptr_t rg_stack_pointer(void)
{
	uintptr_t sp;

	__asm__ volatile("mov %%rsp, %0" : "=r"(sp));
	return sp;
}

static inline uintptr_t rg_thread_pointer(void)
{
	uintptr_t tp;

	__asm__ volatile("mov %%fs:0x10, %0" : "=r"(tp));
	return tp;
}

/*
 * Where the kernel's module has a thread go on that is to be parked, by changing its registers at the end of an
 * interrupt (kmod/uapi/ringo.h): all are saved, rg_upcall (probe.c) is called on the upcall stack, and all is as it was.
 */
void rg_upcall_entry(void);
void rg_upcall(void);

/* Where from the base of %gs rg_upcall_entry says that it is through: ringo_m_page.upcall. */
enum { RG_UPCALL_WORD = -4096 + 44, RG_UPCALL_XSAVE = 16 << 10 /* at most */ };

/* Can that be done here? Not under valgrind, nor with sanitizers. */
bool rg_arch_upcalls(void);

/* The record of the calling thread, or NULL when it is no M. Any thread may ask. */
static inline struct rg_self *rg_arch_self(void)
{
	uintptr_t base;

	if (__builtin_expect(rg_arch_slow_gs, 0))
		base = rg_arch_gs_slow();
	else
		__asm__ volatile("rdgsbase %0" : "=r"(base));
	if (!base || ((struct rg_self *)base)->thread != rg_thread_pointer())
		return NULL;
	return (struct rg_self *)base;
}

/* As rg_arch_self, by a thread that is an M. */
static inline void *rg_arch_m(void)
{
	void *m;

	__asm__ volatile("mov %%gs:0, %0" : "=r"(m));
	return m;
}

/* Cycles, for comparing short spans on one CPU. */
static inline uint64_t rg_cycles(void)
{
#ifdef RINGO_SIM
	return (uint64_t)rg_sim_now();
#else
	return __builtin_ia32_rdtsc();
#endif
}

#endif
