/* SPDX-License-Identifier: MIT */
/* Sockets, from inside the gate. */
#ifndef RG_IO_SOCKET_H
#define RG_IO_SOCKET_H

#include <sys/socket.h>

/* As ringo_connect. These may continue on another M. */
int rg_io_connect(int fd, const struct sockaddr *addr, socklen_t len);

/* As ringo_send. */
int rg_io_send(int fd, const void *buf, size_t n, int flags);

#endif
