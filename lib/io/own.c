// SPDX-License-Identifier: MIT
/*
 * Things of calls that wait: see own.h. A list under one lock; the calls that need it make several system
 * calls each.
 */
#include "io/own.h"

#include <stdint.h>

#include "base/lock.h"
#include "core/rt.h"
#include "io/sys.h"

static struct {
	uint32_t lock;
	bool hooked;
	struct rg_owned *head;
} owned;

/* At the end of a run. Drops nothing of calls that are just finishing: they disown under the lock. */
static int own_end(int64_t deadline)
{
	struct rg_owned *o;

	(void)deadline;
	rg_lock(&owned.lock);
	while ((o = owned.head)) {
		owned.head = o->next;
		o->listed = false;
		o->drop(o);
	}
	rg_unlock(&owned.lock);
	return 0;
}

static void own_child(void)
{
	owned.lock = 0;
	owned.head = NULL;
}

static struct rg_exit_hook hook = { .fn = own_end, .child = own_child };

void rg_own(struct rg_owned *o, void (*drop)(struct rg_owned *))
{
	o->drop = drop;
	o->prev = NULL;
	rg_lock(&owned.lock);
	if (!owned.hooked) {
		owned.hooked = true;
		rg_at_exit(&hook);
	}
	o->next = owned.head;
	if (o->next)
		o->next->prev = o;
	owned.head = o;
	o->listed = true;
	rg_unlock(&owned.lock);
}

bool rg_disown(struct rg_owned *o)
{
	bool listed;

	rg_lock(&owned.lock);
	listed = o->listed;
	if (listed) {
		if (o->next)
			o->next->prev = o->prev;
		if (o->prev)
			o->prev->next = o->next;
		else
			owned.head = o->next;
		o->listed = false;
	}
	rg_unlock(&owned.lock);
	return listed;
}

static void drop_fd(struct rg_owned *o)
{
	rg_sys_close(o->fd);
}

void rg_own_fd(struct rg_owned *o, int fd)
{
	o->fd = fd;
	rg_own(o, drop_fd);
}

void rg_own_close(struct rg_owned *o)
{
	if (rg_disown(o))
		rg_sys_close(o->fd);
}
