/* SPDX-License-Identifier: MIT */
/*
 * errno for code that runs in goroutines.
 *
 * errno is saved and restored with its goroutine. But compilers compute its address once per
 * function and keep it, and that address belongs to one OS thread: after a call that waits, plain
 * `errno` in the same function may read another thread's. ringo_errno never does.
 */
#ifndef RINGO_ERRNO_H
#define RINGO_ERRNO_H

#include <errno.h>
#include <ringo/base.h>

RINGO__C_BEGIN

/* Address of the calling thread's errno, computed anew at each call. Any thread; never waits. */
RINGO__API int *ringo_errno_location(void);

#define ringo_errno (*ringo_errno_location())

RINGO__C_END

#endif
