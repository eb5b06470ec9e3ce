/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the programs need of the kernel's types: the fields that they read, found in the running kernel by
 * its BTF (CO-RE). So neither vmlinux.h nor the headers of any one kernel are needed to build them.
 */
#ifndef RINGO_BPF_TYPES_H
#define RINGO_BPF_TYPES_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define CO_RE __attribute__((preserve_access_index))

struct task_struct {
	int pid;
	int tgid;
	char comm[16];
} CO_RE;

/* Another name than that of the program's own struct in asm/ptrace.h; what follows ___ is ignored. */
struct pt_regs___kernel {
	unsigned long orig_ax;
} CO_RE;

struct linux_binprm;

/* linux/sched.h of the kernel */
enum { TASK_INTERRUPTIBLE = 1, TASK_UNINTERRUPTIBLE = 2, TASK_DEAD = 0x80 };

#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))

#endif
