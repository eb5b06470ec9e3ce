/* SPDX-License-Identifier: MIT */
/* The socket that the debug endpoint listens on: see listen.c. */
#ifndef RG_OBSERVE_LISTEN_H
#define RG_OBSERVE_LISTEN_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/un.h>

struct rg_listener {
	int fd;                  /* does not block */
	struct sockaddr_un path; /* of a Unix socket, if it is one */
	struct stat there;       /* what we made there */
};

/* As ringo_debug_serve says of addr: the port, 0 for a Unix socket, or -errno. */
int rg_listener_open(struct rg_listener *l, const char *addr);

/* In a forked child remove is false: the file is its parent's. */
void rg_listener_close(struct rg_listener *l, bool remove);

#endif
