/* SPDX-License-Identifier: MIT */
#ifndef RINGO_PS_H
#define RINGO_PS_H

#include "tools/observe/groups.h"
#include "tools/observe/stack.h"

enum ps_mode { PS_LIST, PS_GROUPS, PS_STACKS, PS_SUMMARY };
enum ps_sort { PS_BY_ID, PS_BY_WAIT, PS_BY_CPU, PS_BY_STATE, PS_BY_FUNCTION, PS_BY_SITE, PS_BY_COUNT, PS_BY_M };

struct ps_options {
	enum ps_mode mode;
	enum ps_sort sort;
	bool sort_given;
	bool reverse;
	bool no_stop;
	bool wide;
	const char *state;  /* only those */
	long id;            /* only that one; 0: all */
	unsigned long limit; /* at most so many lines, groups or stacks */
};

struct ps {
	struct ps_options o;
	struct target t;
	struct table tab;
	struct symbols symbols;
	bool symbols_there;
	struct goroutine *all;
	size_t n, room;
	struct state_counts count;
};

/* Each: 0, or -1 and t.why says it. */
int ps_list(struct ps *ps);
int ps_groups(struct ps *ps);
int ps_stacks(struct ps *ps);

/* The wanted ones into ps->all, sorted. */
int ps_gather(struct ps *ps);

void ps_cpu(char *buf, size_t n, int64_t ns);
const char *ps_site(struct ps *ps, const struct goroutine *g);

#endif
