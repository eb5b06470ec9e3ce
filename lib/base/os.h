/* SPDX-License-Identifier: MIT */
/* What the runtime asks of the operating system besides threads and rings. */
#ifndef RG_BASE_OS_H
#define RG_BASE_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * Reserve address space, readable and writable, committed page by page as it is touched. Halves *size
 * until the kernel agrees (RLIMIT_AS, overcommit), not below least. NULL: not even that.
 */
void *rg_reserve(size_t *size, size_t least);

/* The same, as a private mapping of a file from that offset on. */
void *rg_reserve_of(int fd, off_t at, size_t *size, size_t least);
void rg_unreserve(void *p, size_t size);

/* CPUs by affinity mask and cgroup quota (v2 cpu.max, v1 cfs_quota), at least 1. */
int rg_num_cpu(void);

/* Name of the function at addr into buf ("name", or "file+0x123"); for reports, also in handlers. */
void rg_symbol(const void *addr, char *buf, size_t n);

/* As rg_symbol; true when it is a function's, and how far into it addr lies. */
bool rg_symbol_find(const void *addr, char *buf, size_t n, size_t *into);

/* For many of them, "name+0x12", or "name" for its first byte: those asked before cost nothing. NULL: no memory. Not shared by threads. */
struct rg_symbols;
struct rg_symbols *rg_symbols_new(void);
void rg_symbols_free(struct rg_symbols *s);
const char *rg_symbols_name(struct rg_symbols *s, const void *addr); /* valid until the next call */

#endif
