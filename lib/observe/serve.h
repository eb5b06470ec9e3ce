/* SPDX-License-Identifier: MIT */
/* What the debug endpoint grants its clients: see serve.c. */
#ifndef RG_OBSERVE_SERVE_H
#define RG_OBSERVE_SERVE_H

#include <stdint.h>
#include <sys/types.h>

enum {
	RG_SERVE_CLIENTS = 32,   /* at a time */
	RG_SERVE_RECORDINGS = 4, /* of these: who wait for a trace */
};

/* Changed by tests only, before there are clients. Times in nanoseconds. */
struct rg_serve_limits {
	int64_t request;  /* until all of it has come */
	int64_t stall;    /* without taking a byte of the answer */
	int64_t answer;   /* until all of it is taken */
	int64_t linger;   /* after that, to close */
	int64_t patience; /* with who is slow, while others wait for his place; of an answer that moves, 20 times that */
	off_t body;       /* bytes of one answer */
	off_t bodies;     /* of all at a time */
};

extern struct rg_serve_limits rg_serve_limits;

#endif
