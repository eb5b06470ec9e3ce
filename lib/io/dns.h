/* SPDX-License-Identifier: MIT */
/* Name look-ups, from inside the gate. */
#ifndef RG_IO_DNS_H
#define RG_IO_DNS_H

#include <netdb.h>

#include "io/own.h"

struct rg_lookup {
	struct rg_owned own;
	const char *node, *service;
	const struct addrinfo *hints;
	struct addrinfo *list; /* the result, ours until rg_lookup_take or rg_lookup_free */
};

/* As ringo_getaddrinfo, with the result in l. May continue on another M. */
int rg_lookup(struct rg_lookup *l, const char *node, const char *service,
	      const struct addrinfo *hints);

/* The list becomes the caller's; or it is freed. After each rg_lookup that gave 0, one of them. */
struct addrinfo *rg_lookup_take(struct rg_lookup *l);
void rg_lookup_free(struct rg_lookup *l);

#endif
