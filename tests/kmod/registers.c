// SPDX-License-Identifier: MIT
/*
 * Every register of a goroutine that is parked by an upcall has afterwards what it had: what safety_registers.c
 * checks, while the upcalls, to which each of them comes first (--wrap), use all that they may.
 */
#include "../run/safety.h"
#include "help.h"

static uint32_t upcalls;

void __real_rg_upcall(void);
void __wrap_rg_upcall(void);

#define ALL "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15"

void __wrap_rg_upcall(void)
{
	static const uint32_t towards_zero = 0x7f80;

	ADD(&upcalls, 1);
	if (__builtin_cpu_supports("avx"))
		__asm__ volatile(".irp r," ALL "\n\tvcmptrueps %ymm\\r,%ymm\\r,%ymm\\r\n\t.endr");
	else
		__asm__ volatile(".irp r," ALL "\n\tpcmpeqd %xmm\\r,%xmm\\r\n\t.endr");
	__asm__ volatile("ldmxcsr %0; fninit; fldpi; fldpi; fstp %%st(0); fstp %%st(0)\n\t"
			 "xor %%eax,%%eax; xor %%ecx,%%ecx; xor %%edx,%%edx; xor %%esi,%%esi; xor %%edi,%%edi\n\t"
			 "xor %%r8,%%r8; xor %%r9,%%r9; xor %%r10,%%r10; xor %%r11,%%r11"
			 :: "m"(towards_zero)
			 : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "cc", "memory");
	__real_rg_upcall();
}

/* ---- three loops for one place ---- */

enum { HOGS = 3, ENOUGH = 30 };
static bool over;

static void hog(struct worker *w)
{
	while (!LOAD(&over))
		w->unit(w);
	ringo_waitgroup_done(&safety.done);
}

static int hogs_main(void *unit)
{
	const int64_t until = now_ns() + 20000 * MS;

	ringo_waitgroup_add(&safety.done, HOGS);
	for (unsigned i = 0; i < HOGS; i++) {
		safety.workers[i] = (struct worker){ .id = i, .unit = (void (*)(struct worker *))unit };
		CHECK_EQ(0, ringo_go(hog, &safety.workers[i]));
	}
	while (LOAD(&upcalls) < ENOUGH && now_ns() < until)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	STORE(&over, true);
	ringo_waitgroup_wait(&safety.done);
	return 0;
}

static int run_hogs(void (*unit)(struct worker *w))
{
	setenv("RINGO_PREEMPT", "auto", 1);
	use_procs(1);
	return ringo_run(hogs_main, (void *)unit);
}

#undef SAFETY_TEST
#define SAFETY_TEST(name) \
	static void unit_##name(struct worker *w); \
	TEST(name) \
	{ \
		EXPECT_EQ(0, run_hogs(unit_##name)); \
		EXPECT_LE(emulated() ? 1 : ENOUGH, upcalls); \
	} \
	static void unit_##name(struct worker *w)

#undef TEST_HARNESS_MAIN
#define TEST_HARNESS_MAIN KMOD_MAIN

#include "../run/safety_registers.c"
