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

/*
 * void rg_call_on_behalf(void *sp, void (*fn)(void *), void *arg): fn(arg), such that to an unwinder its
 * caller is whoever left its registers at sp by rg_switch.
 */
	.globl	rg_call_on_behalf
	.hidden	rg_call_on_behalf
	.type	rg_call_on_behalf, @function
	.p2align 4
rg_call_on_behalf:
	.cfi_startproc
	push	%rbx
	.cfi_def_cfa_offset 16
	.cfi_offset rbx, -16
	mov	%rdi, %rbx
	mov	%rdx, %rdi
	.cfi_remember_state
	.cfi_def_cfa rbx, 56
	.cfi_offset rbp, -16
	.cfi_offset rbx, -24
	.cfi_offset r12, -32
	.cfi_offset r13, -40
	.cfi_offset r14, -48
	.cfi_offset r15, -56
	call	*%rsi
	.cfi_restore_state
	pop	%rbx
	.cfi_def_cfa_offset 8
	.cfi_restore rbx
	ret
	.cfi_endproc
	.size	rg_call_on_behalf, . - rg_call_on_behalf

/*
 * A faulting goroutine goes on here: fault.c. At rsp lie the faulting pc, as if it had called us, and the
 * stack pointer it had, which may be on another stack. To unwinders this is the frame of a signal handler:
 * the pc below it is that of an instruction and no return address.
 */
	.globl	rg_fault_entry
	.hidden	rg_fault_entry
	.type	rg_fault_entry, @function
	.p2align 4
	.cfi_startproc simple
	.cfi_signal_frame
	.cfi_escape 0x0f, 3, 0x77, 8, 0x06	/* CFA: *(rsp + 8) */
	.cfi_escape 0x10, 16, 2, 0x77, 0	/* rip at rsp */
	nop
rg_fault_entry:
	call	rg_fault_panic
	ud2
	.cfi_endproc
	.size	rg_fault_entry, . - rg_fault_entry

/*
 * Upcalls: arch.h. At rsp lies the pc, below the red zone. To unwinders, which may come at any instruction, this is the
 * frame of a signal handler. No flag changes before they are saved, nor after. When RG_UPCALL_WORD is 0 there may be
 * another upcall: by then the upcall stack is free again.
 */
	.globl	rg_upcall_entry
	.hidden	rg_upcall_entry
	.type	rg_upcall_entry, @function
	.p2align 4
rg_upcall_entry:
	.cfi_startproc simple
	.cfi_signal_frame
	.cfi_def_cfa rsp, 136
	.cfi_offset rip, -136
	push	%rbp
	.cfi_def_cfa_offset 144
	.cfi_offset rbp, -144
	mov	%rsp, %rbp
	.cfi_def_cfa_register rbp
	mov	%gs:16, %rsp
	pushfq
	cld
	push	%rax
	push	%rcx
	push	%rdx
	push	%rsi
	push	%rdi
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	mov	rg_upcall_xsave(%rip), %eax
	sub	%rax, %rsp
	and	$-64, %rsp
	/* The header: what xsave does not write of it has to be 0. */
	xor	%eax, %eax
	.irp	at, 512, 520, 528, 536, 544, 552, 560, 568
	mov	%rax, \at(%rsp)
	.endr
	mov	$-1, %eax
	mov	%eax, %edx
	xsave64	(%rsp)
	call	rg_upcall
	mov	$-1, %eax
	mov	%eax, %edx
	xrstor64 (%rsp)
	mov	%gs:16, %rsp
	sub	$80, %rsp
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rdi
	pop	%rsi
	pop	%rdx
	pop	%rcx
	pop	%rax
	popfq
	mov	%rbp, %rsp
	.cfi_def_cfa_register rsp
	pop	%rbp
	.cfi_def_cfa_offset 136
	.cfi_same_value rbp
	movl	$0, %gs:-4052	/* RG_UPCALL_WORD */
	ret	$128
	.cfi_endproc
	.size	rg_upcall_entry, . - rg_upcall_entry

	.section .note.GNU-stack, "", @progbits
