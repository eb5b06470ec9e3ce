/* SPDX-License-Identifier: MIT */
/* What the runtime asks of the operating system besides threads and rings. */
#ifndef RG_BASE_OS_H
#define RG_BASE_OS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Reserve address space, readable and writable, committed page by page as it is touched. Halves *size
 * until the kernel agrees (RLIMIT_AS, overcommit), not below least. NULL: not even that.
 */
void *rg_reserve(size_t *size, size_t least);
void rg_unreserve(void *p, size_t size);

/* CPUs by affinity mask and cgroup quota (v2 cpu.max, v1 cfs_quota), at least 1. */
int rg_num_cpu(void);

/* Name of the function at addr into buf ("name", or "file+0x123"); for reports, also in handlers. */
void rg_symbol(const void *addr, char *buf, size_t n);

#endif
