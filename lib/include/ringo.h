/* SPDX-License-Identifier: MIT */
/*
 * ringo: goroutines for C on Linux.
 *
 * Conventions of every header below:
 *  - a call returns a value >= 0, or -errno; errno itself is never touched;
 *  - times are int64_t nanoseconds, deadlines are CLOCK_MONOTONIC;
 *  - "waits" means: the goroutine may be parked and may continue on another OS thread;
 *    a call that does not say so never changes the thread and never parks;
 *  - a call that waits returns -ECANCELED or -ETIMEDOUT when the ambient context or the ambient deadline
 *    of its goroutine is over (see ringo/context.h, ringo/time.h), unless it says otherwise;
 *  - from a thread that is no goroutine, a call that would wait returns -EPERM;
 *    without a running runtime every call that needs one returns -ESRCH;
 *  - no call is async-signal-safe: do not call ringo from a signal handler.
 */
#ifndef RINGO_H
#define RINGO_H

#include <ringo/chan.h>
#include <ringo/context.h>
#include <ringo/errno.h>
#include <ringo/go.h>
#include <ringo/group.h>
#include <ringo/io.h>
#include <ringo/net.h>
#include <ringo/panic.h>
#include <ringo/select.h>
#include <ringo/stats.h>
#include <ringo/sync.h>
#include <ringo/time.h>
#include <ringo/typed.h>

#endif
