/* SPDX-License-Identifier: MIT */
/*
 * Context switch on x86-64 (System V ABI).
 *
 * A switch is an ordinary call: the compiler has saved what the caller owns, so only rsp and the six
 * callee-saved registers change hands. `call` + `ret` keep the return predictor balanced; popping the
 * address and jumping does not, and then every outer return misses (4 to 30 ns each).
 * MXCSR and the x87 control word are left alone: saving them doubles the cost of a switch.
 */
	.text

	.macro SAVE
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	.endm

	.macro RESTORE
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	ret
	.endm

/* void rg_switch(void **save, void *to): to comes from a former *save. */
	.globl	rg_switch
	.hidden	rg_switch
	.type	rg_switch, @function
	.p2align 4
rg_switch:
	SAVE
	mov	%rsp, (%rdi)
	mov	%rsi, %rsp
	RESTORE
	.size	rg_switch, . - rg_switch

/* void rg_jump(void *to): as rg_switch, and the present context is given up. */
	.globl	rg_jump
	.hidden	rg_jump
	.type	rg_jump, @function
	.p2align 4
rg_jump:
	mov	%rdi, %rsp
	RESTORE
	.size	rg_jump, . - rg_jump

/* void rg_switch_new(void **save, void *top, void (*entry)(void)): entry on a fresh stack. */
	.globl	rg_switch_new
	.hidden	rg_switch_new
	.type	rg_switch_new, @function
	.p2align 4
rg_switch_new:
	SAVE
	mov	%rsp, (%rdi)
	mov	%rsi, %rdi
	mov	%rdx, %rsi
	jmp	rg_jump_new
	.size	rg_switch_new, . - rg_switch_new

/*
 * void rg_jump_new(void *top, void (*entry)(void)): entry must not return. Unwinders stop here: the
 * return address is declared undefined, which is how they know the outermost frame.
 */
	.globl	rg_jump_new
	.hidden	rg_jump_new
	.type	rg_jump_new, @function
	.p2align 4
rg_jump_new:
	.cfi_startproc
	.cfi_undefined rip
	mov	%rdi, %rsp
	xor	%ebp, %ebp
	call	*%rsi
	ud2
	.cfi_endproc
	.size	rg_jump_new, . - rg_jump_new

	.section .note.GNU-stack, "", @progbits
