/* SPDX-License-Identifier: MIT */
/*
 * The one way from core to the rings. Each back end (io_uring, the simulation) is a table of these;
 * all but wake, fini and child are called by the M itself, inside the runtime, on its own stack.
 */
#ifndef RG_CORE_POLLER_H
#define RG_CORE_POLLER_H

#include <stdbool.h>
#include <stdint.h>

struct g;
struct m;
struct p;

struct rg_poller {
	const char *name;

	/*
	 * Make the P's ring: 0 or -errno, with a message when the user can do something. Free it, when
	 * all threads have ended and nobody can wake its M any more.
	 */
	int (*init)(struct p *p);
	void (*fini)(struct p *p);

	/* The M has come to hold its P, which another M held before. */
	void (*adopt)(struct m *m);

	/* Completions of this P's ring wait until a thread passes through the kernel. Any thread. */
	bool (*behind)(const struct p *p);

	/* Hand what is staged in the M's P to the kernel. Does not wait. */
	void (*submit)(struct m *m);

	/* Consume completions: readies their Gs. Returns how many. */
	unsigned (*reap)(struct m *m);

	/* Submit, then sleep until a completion, a wake or the time (INT64_MAX: none). */
	void (*wait)(struct m *m, int64_t until);

	/* End the wait of the M that holds the P, now or when it next waits. Any thread. */
	void (*wake)(struct p *target);

	/* Cancel the operation of a waiting G; its completion will come. */
	void (*cancel)(struct m *m, struct g *g);

	/* The run ends: cancel and reap all operations in this ring. False: some did not end by then. */
	bool (*drain)(struct m *m, int64_t deadline);

	/* In a forked child: drop what was inherited of this P's ring. */
	void (*child)(struct p *p);
};

/* The back end of this build and machine. */
const struct rg_poller *rg_poller_choose(void);

#endif
