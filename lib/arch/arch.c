// SPDX-License-Identifier: MIT
/* Thread identity in %gs: see arch.h. */
#include "arch/arch.h"

#include <asm/prctl.h>
#include <cpuid.h>
#include <errno.h>
#include <ringo/errno.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0 /* built without its header: not for running under it */
#endif

#include "base/compiler.h"

#define HWCAP2_FSGSBASE (1 << 1)
#define CPUID_XSAVE 13

bool rg_arch_slow_gs = true;

/* Bytes that xsave takes for what rg_upcall_entry does not save by itself; 0: no upcalls. */
uint32_t rg_upcall_xsave;

static uint32_t xsave_size(void)
{
	unsigned a, size, c, d;

#if defined(RG_ASAN) || defined(RG_TSAN) || defined(RINGO_SIM)
	return 0; /* they bear interruptions only where they know of them */
#endif
	if (rg_arch_slow_gs || !__get_cpuid(1, &a, &size, &c, &d) || !(c & bit_OSXSAVE) ||
	    !__get_cpuid_count(CPUID_XSAVE, 0, &a, &size, &c, &d))
		return 0;
	return size <= RG_UPCALL_XSAVE ? size : 0;
}

/* Before any thread can ask. */
static __attribute__((constructor)) void arch_init(void)
{
	rg_arch_slow_gs = RUNNING_ON_VALGRIND || !(getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE);
	rg_upcall_xsave = xsave_size();
}

bool rg_arch_upcalls(void)
{
	return rg_upcall_xsave;
}

uintptr_t rg_arch_gs_slow(void)
{
	uintptr_t base = 0;

	syscall(SYS_arch_prctl, ARCH_GET_GS, &base);
	return base;
}

int rg_arch_set_self(struct rg_self *self)
{
	if (!rg_arch_slow_gs) {
		__asm__ volatile("wrgsbase %0" :: "r"(self) : "memory");
		return 0;
	}
	return syscall(SYS_arch_prctl, ARCH_SET_GS, self) ? -errno : 0;
}

/* The barrier keeps two calls two: glibc declares its own accessor const, so compilers merge calls. */
RG_API RG_NOINLINE int *ringo_errno_location(void)
{
	__asm__ volatile("" ::: "memory");
	return __errno_location();
}
