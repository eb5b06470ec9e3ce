/* SPDX-License-Identifier: MIT */
/* Preemption with help of the kernel: its BPF programs, or the module. See kern.c. */
#ifndef RG_CORE_KERN_H
#define RG_CORE_KERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct g;
struct m;

struct ringo_ctl_page;

/* What a tier offers, to be mapped; the descriptors stay its own. */
struct rg_kern_link {
	int pages_fd;      /* from 0 on */
	int ring_fd;       /* readable when there are notices; an error there: the tier has ended */
	int alive_fd;      /* -1, or readable when the tier has ended */
	uint64_t ring_at;  /* the reader's page in ring_fd; then the writer's, and the data */
	size_t data;       /* bytes of data that can be mapped, at least ring */
	uint32_t pages;
	uint32_t ring;     /* bytes of data, a power of two */
	uint32_t tick_us;  /* between ticks */
};

struct rg_kern_tier {
	int (*start)(struct rg_kern_link *link); /* 0 or -errno */
	void (*stop)(void);        /* let go of what start has got so far; also in a forked child */
	int (*add)(struct m *m);   /* the M itself is page m->id + 1 from now on: 0 or -errno; m->upcalls */
	void (*watch)(void);       /* ticks are wanted; sysmon */
	void (*lost)(void);        /* it has ended; sysmon, Ms may be in add */
	const char *lost_text;
};

extern const struct rg_kern_tier rg_kern_bpf, rg_kern_kmod;

/* So often ticks are wanted. */
uint32_t rg_kern_tick_us(void);

/* Before the first M of a run: 0, or -errno and nothing is changed. */
int rg_kern_start(const struct rg_kern_tier *tier);

/* sysmon has ended, and the Ms, unless the run ends uncleanly. */
void rg_kern_stop(void);

/* In a forked child: drop what was inherited. */
void rg_kern_child(void);

/* m->id is new, and its thread not yet made: its page is to be the one of that number, or an ordinary one. */
int rg_kern_place(struct m *m);

/* The thread of m has ended: its page is an ordinary one again. */
void rg_kern_leave(struct m *m);

/* The M itself, before it runs anything: the kernel is to know its thread. */
void rg_kern_add(struct m *m);

/* ---- sysmon; what is not for a run without this tier does nothing there ---- */

/* It is to sleep in rg_kern_sleep rather than in a futex, and to be woken by rg_kern_wake. */
bool rg_kern_used(void);

/* The tier is there. */
bool rg_kern_on(void);

/* Until rg_kern_wake, a notice, or the time (< 0: none). */
void rg_kern_sleep(int64_t timeout_ns);
void rg_kern_wake(void); /* any thread */

/* Do what the notices say. True: there were some. */
bool rg_kern_notices(void);

/* A spare M out of those kept for ticks; NULL: none. */
struct m *rg_kern_spare(void);

/* Somebody waits for a P: ticks take it from who overruns. Or no longer. */
void rg_kern_watch(bool on);
void rg_kern_arm(void); /* the first of it, for any thread, when rg_watch has become 1 */

/* Ticks take the P of m if need be, and can. */
bool rg_kern_takes(const struct m *m);

/* All Ms are seen by ticks as often as the quantum asks: sysmon need not look that often. */
bool rg_kern_suffices(void);

/*
 * Have a tick park m, which runs g without a P, where it is. False: it cannot. rg_kern_parks: that is still to come,
 * or under way. The first two under the lock of lane.c.
 */
bool rg_kern_park(struct m *m, const struct g *g);
void rg_kern_unpark(struct m *m);
bool rg_kern_parks(struct m *m);

/* What the kernel has counted; NULL without such a tier. */
struct ringo_ctl_page *rg_kern_ctl(void);

#endif
