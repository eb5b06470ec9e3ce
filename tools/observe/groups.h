/* SPDX-License-Identifier: MIT */
/* Goroutines that are alike, counted together; and how many there are in each state. */
#ifndef OBSERVE_GROUPS_H
#define OBSERVE_GROUPS_H

#include "tools/observe/table.h"

struct state_counts {
	uint64_t running, preempted, runnable, syscall, waiting;
};

void counts_add(struct state_counts *c, const struct goroutine *g);
uint64_t counts_all(const struct state_counts *c);

struct group {
	struct goroutine g; /* the first */
	uint64_t n;
	int64_t least, most; /* waited: nanoseconds */
	int64_t cpu;         /* -1: not counted */
};

/* Zeroed is ready. */
struct groups {
	struct group *all; /* an open hash, until it is packed */
	size_t n, room;
};

/* cpu: what of its time is to be added up; -1: not counted. False: no memory. */
bool groups_add(struct groups *gs, const struct table *tab, const struct goroutine *g, int64_t cpu);
void groups_pack(struct groups *gs); /* the n groups come first; nothing can be added any more */
void groups_free(struct groups *gs);

/* "12 ms", "3.2 s", "5 minutes", as ringo_dump says it. */
void say_span(char *buf, size_t n, int64_t ns);

#endif
