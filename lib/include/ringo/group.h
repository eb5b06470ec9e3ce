/* SPDX-License-Identifier: MIT */
/*
 * Group: goroutines that belong together, as Go's errgroup. The first one that returns an error ends the
 * group's context and thereby the waits of the others; whoever waits for the group gets that error.
 */
#ifndef RINGO_GROUP_H
#define RINGO_GROUP_H

#include <ringo/base.h>

RINGO__C_BEGIN

struct ringo_ctx;

struct ringo_group {
	struct ringo_ctx *ringo__parent, *ringo__ctx;
	uint32_t ringo__lock;
	int ringo__err;
	uint32_t ringo__limit, ringo__running;
	void *ringo__slots[2], *ringo__waiters;
	uint32_t ringo__run, ringo__reserved0;
	uint64_t ringo__reserved[1];
};

/*
 * Begin. parent: NULL for the ambient context; it is borrowed and must live as long as the group is used.
 * No limit. Any thread; never waits. Nothing has to be undone but by ringo_group_wait. Goroutines
 * of a run that has ended count as ended.
 */
RINGO__API void ringo_group_init(struct ringo_group *g, struct ringo_ctx *parent);

/* At most n goroutines at a time from now on; n <= 0: any number. Any thread; never waits. */
RINGO__API void ringo_group_limit(struct ringo_group *g, int n);

/* The context that the group's goroutines run under; borrowed, until ringo_group_wait returns. Any thread. */
RINGO__API struct ringo_ctx *ringo_group_ctx(struct ringo_group *g);

/*
 * Run fn(arg) as a goroutine of the group. At the limit it waits for a place: -ECANCELED, -ETIMEDOUT;
 * -EPERM outside a goroutine. Also -EAGAIN (limit of all goroutines), -ENOMEM, -ESRCH. A goroutine that
 * leaves by ringo_exit counts as one that returned 0.
 */
RINGO__API RINGO__MUST int ringo_group_go(struct ringo_group *g, int (*fn)(void *), void *arg);
/* As ringo_group_go, but -EAGAIN at the limit. Any thread; never waits. */
RINGO__API RINGO__MUST int ringo_group_try_go(struct ringo_group *g, int (*fn)(void *), void *arg);

/*
 * Wait until all have ended, as long as it takes. The first value other than 0 that one of them returned, or
 * 0. Ends the group's context; then the group may be used again. -EPERM outside a goroutine when it
 * would wait. Waits.
 */
RINGO__API RINGO__MUST int ringo_group_wait(struct ringo_group *g);

RINGO__C_END

#endif
