/* SPDX-License-Identifier: MIT */
/*
 * Probes for tracers (bpftrace, perf, systemtap, gdb): RG_USDT(name, arguments...), up to three.
 *
 * Each is one nop, and a note in the file that says where it is and where the arguments are at that moment; a
 * tracer puts its breakpoint there. The nop has five bytes, which newer kernels can make a call, many times cheaper than
 * a breakpoint. The format is that of sys/sdt.h, which few machines have and which has a nop of one byte.
 * Arguments: what is in a register or in memory there anyway, or the nop is not all that it costs.
 */
#ifndef RG_BASE_USDT_H
#define RG_BASE_USDT_H

#include <stdint.h>

#if defined(__x86_64__)
/* A signed 64-bit argument n: where it is. */
#define RG_USDT_ARG(n) "-8@%" #n
#define RG_USDT_ARGS1 RG_USDT_ARG(0)
#define RG_USDT_ARGS2 RG_USDT_ARGS1 " " RG_USDT_ARG(1)
#define RG_USDT_ARGS3 RG_USDT_ARGS2 " " RG_USDT_ARG(2)

#define RG_USDT_TEXT(name, args) \
	"990:	.byte 0x0f, 0x1f, 0x44, 0x00, 0x00\n" \
	"	.pushsection .note.stapsdt, \"\", \"note\"\n" \
	"	.balign 4\n" \
	"	.4byte 992f - 991f, 994f - 993f, 3\n" \
	"991:	.asciz \"stapsdt\"\n" \
	"992:	.balign 4\n" \
	"993:	.8byte 990b, _.stapsdt.base, 0\n" \
	"	.asciz \"ringo\", \"" name "\", \"" args "\"\n" \
	"994:	.balign 4\n" \
	"	.popsection\n" \
	"	.ifndef _.stapsdt.base\n" /* once in a file, once in what is linked of them */ \
	"	.pushsection .stapsdt.base, \"aG\", \"progbits\", .stapsdt.base, comdat\n" \
	"	.weak _.stapsdt.base\n" \
	"	.hidden _.stapsdt.base\n" \
	"_.stapsdt.base: .space 1\n" \
	"	.size _.stapsdt.base, 1\n" \
	"	.popsection\n" \
	"	.endif\n"

#define RG_USDT1(name, a) \
	__asm__ volatile(RG_USDT_TEXT(#name, RG_USDT_ARGS1) :: "nor"((int64_t)(a)))
#define RG_USDT2(name, a, b) \
	__asm__ volatile(RG_USDT_TEXT(#name, RG_USDT_ARGS2) :: "nor"((int64_t)(a)), "nor"((int64_t)(b)))
#define RG_USDT3(name, a, b, c) \
	__asm__ volatile(RG_USDT_TEXT(#name, RG_USDT_ARGS3) \
			 :: "nor"((int64_t)(a)), "nor"((int64_t)(b)), "nor"((int64_t)(c)))
#define RG_USDT_PICK(a, b, c, macro, ...) macro
#define RG_USDT(name, ...) \
	RG_USDT_PICK(__VA_ARGS__, RG_USDT3, RG_USDT2, RG_USDT1, 0)(name, __VA_ARGS__)
#else
#define RG_USDT(name, ...) do { } while (0)
#endif

#endif
