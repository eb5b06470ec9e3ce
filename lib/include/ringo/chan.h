/* SPDX-License-Identifier: MIT */
/*
 * Channels. Callers hold a reference while they use or wait on a channel. A NULL channel blocks for
 * ever: until the ambient deadline. Channels and what they buffer outlive runs; goroutines that wait when
 * theirs ends are forgotten, and the references they had are not dropped.
 */
#ifndef RINGO_CHAN_H
#define RINGO_CHAN_H

#include <ringo/base.h>

RINGO__C_BEGIN

struct ringo_chan;

/*
 * A channel of elements of elem_size bytes (0 allowed) that buffers cap of them, with one reference.
 * NULL: out of memory, or elem_size * cap overflows. Any thread.
 */
RINGO__API struct ringo_chan *ringo_chan_new(size_t elem_size, size_t cap);

/* Take or drop a reference; NULL is ignored. The last drop frees. Any thread; never waits. */
RINGO__API struct ringo_chan *ringo_chan_ref(struct ringo_chan *c);
RINGO__API void ringo_chan_unref(struct ringo_chan *c);

/*
 * Send a copy of *elem: hands it to a waiting receiver, or buffers it, or waits.
 * 0, -EPIPE (closed, also while waiting), -ETIMEDOUT. From a thread that is no goroutine: -EPERM when
 * it would wait.
 */
RINGO__API RINGO__MUST int ringo_chan_send(struct ringo_chan *c, const void *elem);

/*
 * Receive into *elem (NULL: discard). 1 a value; 0 closed and drained (*elem zeroed); -ETIMEDOUT; -EPERM
 * outside a goroutine when it would wait. Waits.
 */
RINGO__API RINGO__MUST int ringo_chan_recv(struct ringo_chan *c, void *elem);

/* As send and recv, but -EAGAIN instead of waiting. Any thread. */
RINGO__API RINGO__MUST int ringo_chan_try_send(struct ringo_chan *c, const void *elem);
RINGO__API RINGO__MUST int ringo_chan_try_recv(struct ringo_chan *c, void *elem);

/* Close: receivers drain what is buffered, then get 0. 0, -EPIPE already closed, -EINVAL NULL. */
RINGO__API int ringo_chan_close(struct ringo_chan *c);

/* Elements buffered now; capacity; bytes of an element. 0 for NULL. Any thread. */
RINGO__API size_t ringo_chan_len(const struct ringo_chan *c);
RINGO__API size_t ringo_chan_cap(const struct ringo_chan *c);
RINGO__API size_t ringo_chan_elem_size(const struct ringo_chan *c);

RINGO__C_END

#endif
