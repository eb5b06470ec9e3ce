/* SPDX-License-Identifier: MIT */
/* Names for code addresses of a target, and stacks as libdw unwinds them. */
#ifndef OBSERVE_SYMBOLS_H
#define OBSERVE_SYMBOLS_H

#include <elfutils/libdwfl.h>

#include "tools/observe/table.h"

struct symbol {
	uint64_t pc;
	uint64_t start;  /* of its function; 0: not known */
	char *text;      /* name+0x12, or file+0x1234 */
	char *line;      /* file.c:12, or "" */
};

struct symbols {
	const struct target *t;
	Dwfl *dwfl;
	struct symbol *known; /* an open hash */
	size_t room, n;
	void *unwinding;      /* stack.c */
};

bool symbols_open(struct symbols *s, struct target *t); /* False: see t->why */
void symbols_close(struct symbols *s);

/* Valid until the next call. */
const struct symbol *symbols_of(struct symbols *s, uint64_t pc);

#endif
