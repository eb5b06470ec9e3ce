/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * What a recorder needs to follow what goroutines do, event by event: ringo-trace from outside, or the runtime itself.
 *
 * ringo_state.events is where struct ringo_events lies. Whoever wants events stores a time into until and then 1 where
 * flag points to, by process_vm_writev(2), and again before that time comes: a recorder that dies is forgotten so.
 * Each thread that runs goroutines then makes a ring at its first event and writes there; all other threads share
 * ring 0. Rings stay until the end of the run.
 *
 * A ring is written over and over, whether anybody reads or not. head counts the events ever written: event i lies
 * in place i % (1 << order). Who copies events and then finds that head is h by now has lost those up to
 * h - (1 << order), of which the last may be half written; positions tell how many these are.
 *
 * Times are of the processor's time-stamp counter. Events that hang on one another (a goroutine is made ready, and
 * runs elsewhere) are in order in it, and visible in that order.
 */
#ifndef RINGO_UAPI_EVENTS_H
#define RINGO_UAPI_EVENTS_H

#include "ringo_state.h"

#define RINGO_EVENTS_VERSION 1
#define RINGO_EVENTS_MAGIC 0x73746e6576657267ULL
#define RINGO_EVENTS_ORDER 17		/* unless asked for something else: 4 MiB for each thread */
#define RINGO_EVENTS_ORDER_MIN 6
#define RINGO_EVENTS_ORDER_MAX 22

struct ringo_events {
	__u32 version;		/* RINGO_EVENTS_VERSION */
	__u32 size;		/* of this struct */
	__u64 flag;		/* where a byte is: 1 while somebody wants events */
	__u64 until;		/* not after this time */
	__u32 order;		/* of rings yet to be made; out of bounds: RINGO_EVENTS_ORDER */
	__u32 used;		/* rings from this on have never been */
	__u64 dropped;		/* events for which there was no ring: no memory */
	__u64 reserved[3];
	__u64 rings[RINGO_STATE_MS + 1]; /* where struct ringo_event_ring are; 0: none. [m + 1]: of M number m */
};

/* An event, and whom it is about. */
struct ringo_event {
	__u64 when;
	__u64 what;		/* see RINGO_EVENT_* */
	__u32 g;		/* its number; 0: none */
	__u32 gen;
	__u64 more;		/* RINGO_EVENT_KIND, RINGO_EVENT_P, RINGO_EVENT_MORE */
};

struct ringo_event_ring {
	__u64 magic;		/* RINGO_EVENTS_MAGIC */
	__u32 order;
	__u32 place;		/* in rings[] */
	__u64 head;
	__u64 reserved[5];
	struct ringo_event events[];
};

#define RINGO_EVENT_KIND(more) ((__u32)(more) & 31)
#define RINGO_EVENT_P(more) ((__u32)(more) >> 5 & 0x7ff) /* number of the P that the thread holds, plus 1; 0: none */
#define RINGO_EVENT_MORE(more) ((more) >> 16)
#define RINGO_EVENT_PACK(kind, p, more) ((__u64)(more) << 16 | (p) << 5 | (kind))

enum {
	RINGO_EVENT_NONE,
	/*
	 * This thread runs g from now on; 0: its scheduler. more: the one that it leaves, 0 none, with its state and
	 * reason from bits 32 and 40 on. what: what that one waits for.
	 */
	RINGO_EVENT_SWITCH,
	RINGO_EVENT_SPAWN,	/* what: its function; more: who spawned it, a program counter */
	RINGO_EVENT_NAME,	/* of the one just spawned. The next 14 bytes, in what and more. */
	RINGO_EVENT_READY,	/* by the goroutine that runs here, if one does. what: what its wait returns */
	RINGO_EVENT_SUBMIT,	/* its operation is in the ring of the P. what: the opcode; more: the descriptor */
	RINGO_EVENT_COMPLETE,	/* what: the result */
	RINGO_EVENT_SEND,	/* g begins to. what: the channel */
	RINGO_EVENT_RECV,
	RINGO_EVENT_REVOKE,	/* the M whose number is in what has lost P number more; g runs there */
	RINGO_EVENT_BLOCK,	/* as REVOKE, which follows: because it is blocked in a call or a page fault */
	RINGO_EVENT_REJOIN,	/* g has come back from where it ran without a P, and waits for one */
	RINGO_EVENTS,
};

#define RINGO_EVENT_NAMES { \
	"", "switch", "spawn", "name", "ready", "submit", "complete", "send", "receive", "revoke", "block", "rejoin", \
}

RINGO__SIZE(struct ringo_event, 32);
RINGO__SIZE(struct ringo_event_ring, 64);
RINGO__SIZE(struct ringo_events, 64 + 8 * (RINGO_STATE_MS + 1));

#endif
