/* SPDX-License-Identifier: MIT */
/*
 * What a waiting call has got hold of and its caller does not know of: descriptors, lists of addresses. When
 * the run ends meanwhile, the call never goes on, and the end of the run drops these things for it.
 */
#ifndef RG_IO_OWN_H
#define RG_IO_OWN_H

#include <stdbool.h>

struct rg_owned {
	struct rg_owned *next, *prev;
	void (*drop)(struct rg_owned *o);
	bool listed;
	int fd; /* for rg_own_fd */
};

/* Own something until rg_disown; o lies on the goroutine's stack. */
void rg_own(struct rg_owned *o, void (*drop)(struct rg_owned *));

/* False: the end of the run has dropped it. */
bool rg_disown(struct rg_owned *o);

/* The same for a descriptor; rg_own_close closes it too. */
void rg_own_fd(struct rg_owned *o, int fd);
void rg_own_close(struct rg_owned *o);

#endif
