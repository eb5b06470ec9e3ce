// SPDX-License-Identifier: MIT
/* Every register of a goroutine that loses its P has afterwards what it had. */
#include <fenv.h>

#include "safety.h"

enum { SPINS = 3000 };

/* ---- general registers and flags ---- */

enum { GPRS = 15, DIRECTION = 0x400, CARRY = 1 };

/* rax rbx rcx rdx rsi rdi rbp r8 to r15, flags. */
struct gprs {
	uint64_t in[GPRS], spins, out[GPRS + 1];
};

/* Loads all, counts down in memory, stores all. */
static __attribute__((naked)) void spin_gprs(struct gprs *g __attribute__((unused)))
{
	__asm__("push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15\n\t"
		"push %rdi; push 120(%rdi)\n\t"
		"mov 0(%rdi),%rax; mov 8(%rdi),%rbx; mov 16(%rdi),%rcx; mov 24(%rdi),%rdx\n\t"
		"mov 32(%rdi),%rsi; mov 48(%rdi),%rbp; mov 56(%rdi),%r8; mov 64(%rdi),%r9\n\t"
		"mov 72(%rdi),%r10; mov 80(%rdi),%r11; mov 88(%rdi),%r12; mov 96(%rdi),%r13\n\t"
		"mov 104(%rdi),%r14; mov 112(%rdi),%r15; mov 40(%rdi),%rdi\n\t"
		"std; stc\n"
		"1: decq (%rsp); jnz 1b\n\t"
		"pushfq; cld; push %rdi; mov 24(%rsp),%rdi\n\t"
		"mov %rax,128(%rdi); mov %rbx,136(%rdi); mov %rcx,144(%rdi); mov %rdx,152(%rdi)\n\t"
		"mov %rsi,160(%rdi); mov %rbp,176(%rdi); mov %r8,184(%rdi); mov %r9,192(%rdi)\n\t"
		"mov %r10,200(%rdi); mov %r11,208(%rdi); mov %r12,216(%rdi); mov %r13,224(%rdi)\n\t"
		"mov %r14,232(%rdi); mov %r15,240(%rdi)\n\t"
		"pop %rax; mov %rax,168(%rdi); pop %rax; mov %rax,248(%rdi)\n\t"
		"add $16,%rsp; pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp; ret");
}

SAFETY_TEST(general_registers_and_flags)
{
	struct gprs g = { .spins = SPINS };

	for (unsigned i = 0; i < GPRS; i++)
		g.in[i] = (uint64_t)(w->id + 1) << 32 | (i + 1);
	spin_gprs(&g);
	for (unsigned i = 0; i < GPRS; i++)
		CHECK_EQ(g.in[i], g.out[i]);
	CHECK_EQ(DIRECTION | CARRY, g.out[GPRS] & (DIRECTION | CARRY));
}

/* ---- vectors ---- */

struct vectors {
	unsigned char in[32][64], out[32][64];
	uint64_t masks_in[8], masks_out[8], spins;
} __attribute__((aligned(64)));


#define XMMS "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15"
#define ZMMS XMMS ",16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31"
#define EACH(list, insn) ".irp r," list "\n\t" insn "\n\t.endr\n"
#define SPIN "1: decq %[spins]; jnz 1b\n"
#define OPERANDS(v) \
	: [spins] "+m"((v)->spins) \
	: [in] "r"((v)->in), [out] "r"((v)->out), [kin] "r"((v)->masks_in), [kout] "r"((v)->masks_out) \
	: "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", \
	  "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"

static void spin_sse(struct vectors *v)
{
	__asm__ volatile(EACH(XMMS, "movaps \\r*64(%[in]),%%xmm\\r")
			 SPIN
			 EACH(XMMS, "movaps %%xmm\\r,\\r*64(%[out])")
			 OPERANDS(v));
}

static void spin_avx(struct vectors *v)
{
	__asm__ volatile(EACH(XMMS, "vmovaps \\r*64(%[in]),%%ymm\\r")
			 SPIN
			 EACH(XMMS, "vmovaps %%ymm\\r,\\r*64(%[out])")
			 "vzeroupper"
			 OPERANDS(v));
}

/* What is compiled for the base processor has nothing in zmm16 and above, nor in the masks. */
static void spin_avx512(struct vectors *v)
{
	__asm__ volatile(EACH(ZMMS, "vmovaps \\r*64(%[in]),%%zmm\\r")
			 EACH("0,1,2,3,4,5,6,7", "kmovq \\r*8(%[kin]),%%k\\r")
			 SPIN
			 EACH(ZMMS, "vmovaps %%zmm\\r,\\r*64(%[out])")
			 EACH("0,1,2,3,4,5,6,7", "kmovq %%k\\r,\\r*8(%[kout])")
			 "vzeroupper"
			 OPERANDS(v));
}

static void check_vectors(struct worker *w, void (*spin)(struct vectors *), unsigned n, unsigned bytes,
			  unsigned masks)
{
	struct vectors v = { .spins = SPINS };

	for (unsigned i = 0; i < n; i++)
		memset(v.in[i], (int)(w->id * 32 + i + 1), sizeof(v.in[i]));
	for (unsigned i = 0; i < masks; i++)
		v.masks_in[i] = (uint64_t)(w->id + 1) << 32 | i;
	spin(&v);
	for (unsigned i = 0; i < n; i++)
		CHECK_EQ(0, memcmp(v.in[i], v.out[i], bytes));
	for (unsigned i = 0; i < masks; i++)
		CHECK_EQ(v.masks_in[i], v.masks_out[i]);
}

/* As wide as this processor has them. */
SAFETY_TEST(vector_registers)
{
	if (__builtin_cpu_supports("avx512bw"))
		check_vectors(w, spin_avx512, 32, 64, 8);
	else if (__builtin_cpu_supports("avx"))
		check_vectors(w, spin_avx, 16, 32, 0);
	else
		check_vectors(w, spin_sse, 16, 16, 0);
}

/* ---- x87, and the control words ---- */

SAFETY_TEST(x87_stack)
{
	long double in[8], out[8];
	uint64_t spins = SPINS;

	for (unsigned i = 0; i < 8; i++)
		in[i] = (long double)(w->id * 8 + i) + 0.5L;
	__asm__ volatile(EACH("0,1,2,3,4,5,6,7", "fldt \\r*16(%[in])")
			 SPIN
			 EACH("7,6,5,4,3,2,1,0", "fstpt \\r*16(%[out])")
			 : [spins] "+m"(spins)
			 : [in] "r"(in), [out] "r"(out)
			 : "memory", "cc", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)");
	for (unsigned i = 0; i < 8; i++)
		CHECK(in[i] == out[i]);
}

/* MXCSR and the x87 control word, as fesetround sets both. */
SAFETY_TEST(rounding_modes)
{
	static const int modes[] = { FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO };
	static const double third[] = { 0x1.5555555555555p-2, 0x1.5555555555556p-2, 0x1.5555555555555p-2,
					0x1.5555555555555p-2 };
	static const double minus[] = { -0x1.5555555555555p-2, -0x1.5555555555555p-2, -0x1.5555555555556p-2,
					-0x1.5555555555555p-2 };
	unsigned i = w->id % RG_ARRAY_SIZE(modes);

	CHECK_EQ(0, fesetround(modes[i]));
	for (int k = 0; k < SPINS / 10; k++) {
		volatile double one = 1, three = 3;
		volatile long double lone = 1, lthree = 3;

		CHECK(one / three == third[i]);
		CHECK(-one / three == minus[i]);
		CHECK((lone / lthree > 0x1.5555555555555555p-2L) == (modes[i] == FE_UPWARD || modes[i] == FE_TONEAREST));
		CHECK_EQ(modes[i], fegetround());
	}
	CHECK_EQ(0, fesetround(FE_TONEAREST));
}

TEST_HARNESS_MAIN
