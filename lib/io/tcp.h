/* SPDX-License-Identifier: MIT */
/* TCP for the inside. */
#ifndef RG_IO_TCP_H
#define RG_IO_TCP_H

/* As ringo_tcp_listen, of numbers only, on any thread: nothing here waits. -EINVAL: it has a name. */
int rg_tcp_listen_number(const char *host_port, int backlog);

#endif
