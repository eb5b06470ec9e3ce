/* SPDX-License-Identifier: MIT */
/* The goroutines of a target: kmod/uapi/ringo_state.h, with every number checked. */
#ifndef OBSERVE_TABLE_H
#define OBSERVE_TABLE_H

#include "kmod/uapi/ringo_state.h"
#include "tools/observe/target.h"

struct table_m {
	struct ringo_m_page page;
	pid_t tid;       /* in the process's own namespace */
	bool there;      /* its page can be read: not in a core when a BPF map had it */
};

struct table {
	struct target *t;
	struct ringo_state *s;
	uint64_t at;     /* where that is in the target */
	uint32_t used;
	uint32_t nms;
	struct table_m *ms;
	uint64_t wrapper;
	int64_t now;     /* CLOCK_MONOTONIC; of a core: the latest that is known of */
};

/* One goroutine as it was read. */
struct goroutine {
	uint32_t index;
	uint32_t gen;
	uint64_t fn, spawn_pc;
	uint64_t sp;
	uint64_t wait_on;   /* 0: nothing, or not known */
	uint64_t name;      /* where it is */
	int64_t cpu;        /* nanoseconds; -1: not counted */
	uint32_t since;
	uint32_t slot;
	int32_t m;          /* runs there; -1: nowhere */
	uint8_t state, reason, flags;
	bool without_p;     /* runs although its P was taken */
};

/* False: see t->why. To be closed in either case. */
bool table_open(struct table *tab, struct target *t);
void table_close(struct table *tab);

/* Each that lives, in order of number, until each is false. False: the target went away or is garbage. */
bool table_each(struct table *tab, bool (*each)(const struct goroutine *g, void *arg), void *arg);

/* The one in that place anew. False: it has ended, or cannot be read. */
bool table_one(struct table *tab, uint32_t index, struct goroutine *g);

/* How the Ms are now. */
void table_look_ms(struct table *tab);

/* Its name, or "". */
void table_name(struct table *tab, const struct goroutine *g, char name[RINGO_G_NAME]);

/* What takes Ps from goroutines: enum ringo_preempt. */
const char *preempt_name(uint32_t preempt);

/* As ringo_dump calls it. */
const char *goroutine_state(const struct goroutine *g);
bool goroutine_waits(const struct goroutine *g);
int64_t goroutine_waited(const struct table *tab, const struct goroutine *g); /* nanoseconds */

/* Bounds of its stack. False: it has none, or that is garbage. */
bool goroutine_stack(const struct table *tab, const struct goroutine *g, uint64_t *lo, uint64_t *hi);

#endif
