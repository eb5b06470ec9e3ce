/* SPDX-License-Identifier: MIT */
#ifndef RINGO_TOP_H
#define RINGO_TOP_H

#include "tools/observe/groups.h"
#include "tools/observe/symbols.h"

enum { TOP_ROWS = 1000, TOP_WIDTH = 80, TOP_HEAD = 5 };

enum top_sort { TOP_BY_CPU, TOP_BY_COUNT, TOP_BY_WAIT, TOP_BY_FUNCTION };

/* CPU time of a goroutine at the last look. */
struct before {
	uint32_t gen;
	int64_t cpu;
};

struct top {
	const char *what;
	enum top_sort sort;
	bool each;          /* a line for each goroutine, not for each group */
	bool reverse;

	bool there;         /* t, symbols */
	struct target t;
	struct symbols symbols;
	struct table tab;

	/* The last look. */
	struct state_counts count;
	struct group rows[TOP_ROWS];
	size_t nrows, kinds; /* kinds: groups, of which those are the first */
	int64_t wall;       /* since the one before; 0: there was none */
	char trouble[TARGET_WHY]; /* why there is nothing new */

	struct groups groups;
	struct before *before;
	size_t nbefore;
	int64_t before_at;
};

/* False: the process is gone, or may not be looked at: see t.why. */
bool top_look(struct top *top);
void top_close(struct top *top);

/* Line n, from 0: the head, then rows from first on. Up to width characters, printable; "" when there is none. */
void top_line(struct top *top, size_t n, size_t first, char *buf, size_t width);

/* On the terminal, until the user has had enough: an exit status. */
int top_screen(struct top *top, int64_t delay_ms);
void top_screen_end(void);

#endif
