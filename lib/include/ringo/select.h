/* SPDX-License-Identifier: MIT */
/*
 * Select: wait until one of several things can happen, and let exactly one of them happen.
 *
 *	struct ringo_case cases[] = {
 *		RINGO_RECV(jobs, &job),
 *		RINGO_SEND(results, &result),
 *		RINGO_TIMEOUT(10 * RINGO_MS),
 *	};
 *	switch (ringo_select(cases, 3)) {
 *
 * Among the cases that are ready one is chosen at random, each with the same probability. A channel may
 * stand in several cases; a select never receives what it sends itself. Waiting allocates nothing: what it
 * needs lies in the cases, so they must stay where they are until the call returns. Afterwards they may be
 * used again. Callers hold a reference on each channel and context.
 */
#ifndef RINGO_SELECT_H
#define RINGO_SELECT_H

#include <errno.h>
#include <ringo/base.h>
#include <ringo/chan.h>
#include <ringo/typed.h>

RINGO__C_BEGIN

struct ringo_ctx;

enum {
	RINGO__CASE_SEND = 1,
	RINGO__CASE_RECV,
	RINGO__CASE_TIMEOUT,
	RINGO__CASE_POLL,
	RINGO__CASE_DONE,
};

/* Made by the macros below. result is that of the case that happened, and of no meaning in the others. */
struct ringo_case {
	int result;
	int kind;
	union {
		struct ringo_chan *chan;
		struct ringo_ctx *ctx;
		int64_t ns;
		struct {
			int fd;
			int events;
		} poll;
	} on;
	void *elem;
	uintptr_t reserved[9];
};

/*
 * Wait until a case can happen, let it happen, and return its index. result then is
 *  - of a send 0, or -EPIPE: the channel is closed;
 *  - of a receive 1, or 0: the channel is closed and drained, and the element was zeroed;
 *  - of a timeout 0;
 *  - of a poll the events that are there, as revents of poll(2);
 *  - of a done -ECANCELED or -ETIMEDOUT, as ringo_ctx_err().
 * -ECANCELED, -ETIMEDOUT: the ambient context or deadline is over before any case was ready; cases for that
 * very context come first. -EPERM: it would wait, and this is no goroutine. -EINVAL: a case was not made by
 * the macros. With a poll case also -ENOMEM, -EMFILE, -ENFILE, -ENOSPC. Waits; with n = 0 until the end.
 */
RINGO__API RINGO__MUST int ringo_select(struct ringo_case *cases, size_t n);

/* As ringo_select, but -EAGAIN instead of waiting. Any thread. */
RINGO__API RINGO__MUST int ringo_try_select(struct ringo_case *cases, size_t n);

/* As Go's compiler does with one case and a default: where it sees that, no case need be built in memory. */
static inline RINGO__MUST int ringo__try_select(struct ringo_case *cases, size_t n)
{
	int res;

	if (!__builtin_constant_p(n) || n != 1)
		return ringo_try_select(cases, n);
	if (cases->kind == RINGO__CASE_SEND)
		res = ringo_chan_try_send(cases->on.chan, cases->elem);
	else if (cases->kind == RINGO__CASE_RECV)
		res = ringo_chan_try_recv(cases->on.chan, cases->elem);
	else
		return ringo_try_select(cases, n);
	if (res < 0 && res != -EPIPE)
		return res;
	cases->result = res;
	return 0;
}

#define ringo_try_select(...) ringo__try_select(__VA_ARGS__)

static inline struct ringo_case ringo__case_elem(int kind, struct ringo_chan *c, void *elem)
{
	struct ringo_case made;

	made.result = 0;
	made.kind = kind;
	made.on.chan = c;
	made.elem = elem;
	return made;
}

/* RINGO_TIMEOUT(ns): ready ns nanoseconds after the call began; at once if ns <= 0. */
static inline struct ringo_case RINGO_TIMEOUT(int64_t ns)
{
	struct ringo_case made;

	made.result = 0;
	made.kind = RINGO__CASE_TIMEOUT;
	made.on.ns = ns;
	return made;
}

/*
 * RINGO_POLL(fd, events): ready when poll(2) would return for this entry: with one of the events, or with
 * POLLERR, POLLHUP, POLLNVAL. A negative fd is never ready.
 */
static inline struct ringo_case RINGO_POLL(int fd, int events)
{
	struct ringo_case made;

	made.result = 0;
	made.kind = RINGO__CASE_POLL;
	made.on.poll.fd = fd;
	made.on.poll.events = events;
	return made;
}

/* RINGO_DONE(ctx): ready when the context is over; NULL: the ambient one. */
static inline struct ringo_case RINGO_DONE(struct ringo_ctx *ctx)
{
	struct ringo_case made;

	made.result = 0;
	made.kind = RINGO__CASE_DONE;
	made.on.ctx = ctx;
	return made;
}

RINGO__C_END

/*
 * RINGO_SEND(c, ptr): send a copy of *ptr. RINGO_RECV(c, ptr): receive into *ptr; NULL: discard. c: a struct
 * ringo_chan *, or a typed channel, whose element ptr must point to. A NULL channel is never ready.
 */
#ifndef __cplusplus

#define RINGO_SEND(c, ptr) __extension__({ \
	_Static_assert(RINGO__CH_FITS_PTR(const RINGO__CH_ELEM(c), ptr), \
		       "RINGO_SEND: a pointer to the channel's element type is needed"); \
	ringo__case_elem(RINGO__CASE_SEND, (struct ringo_chan *)(c), (void *)(uintptr_t)(ptr)); })
#define RINGO_RECV(c, ptr) __extension__({ \
	_Static_assert(RINGO__CH_FITS_PTR(RINGO__CH_ELEM(c), ptr), \
		       "RINGO_RECV: a pointer to the channel's element type is needed"); \
	ringo__case_elem(RINGO__CASE_RECV, (struct ringo_chan *)(c), ptr); })

#else

inline struct ringo_case RINGO_SEND(struct ringo_chan *c, const void *elem)
{
	return ringo__case_elem(RINGO__CASE_SEND, c, const_cast<void *>(elem));
}

inline struct ringo_case RINGO_RECV(struct ringo_chan *c, void *elem)
{
	return ringo__case_elem(RINGO__CASE_RECV, c, elem);
}

template <class T>
inline struct ringo_case RINGO_SEND(ringo__chan_of<T> *c, const typename ringo__same<T>::type *elem)
{
	return RINGO_SEND(ringo_ch_raw(c), static_cast<const void *>(elem));
}

template <class T>
inline struct ringo_case RINGO_RECV(ringo__chan_of<T> *c, typename ringo__same<T>::type *elem)
{
	return ringo__case_elem(RINGO__CASE_RECV, ringo_ch_raw(c), elem);
}

#endif

#endif
