/* SPDX-License-Identifier: MIT */
/* System calls of this layer: as those of base/sys.h. */
#ifndef RG_IO_SYS_H
#define RG_IO_SYS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/sys.h"

int rg_sys_pipe(int fds[2]);
int rg_sys_ftruncate(int fd, off_t len);
int rg_sys_pread_nothing(int fd, off_t off);
int rg_sys_seek_nowhere(int fd);
int rg_sys_mode(int fd); /* st_mode */
bool rg_sys_is_timerfd(int fd);
/* readv or writev at the current position; unless may_wait, -EAGAIN or -EOPNOTSUPP instead of waiting. */
int rg_sys_transfer(int fd, bool out, const struct iovec *iov, int n, bool may_wait);
int rg_sys_eventfd(void);
int rg_sys_write(int fd, const void *buf, size_t n);
int rg_sys_pidfd(pid_t pid);
pid_t rg_sys_waitpid(pid_t pid, int *status, int options);

int rg_sys_socket(int domain, int type, int protocol);
int rg_sys_bind(int fd, const struct sockaddr *addr, socklen_t len);
int rg_sys_listen(int fd, int backlog);
int rg_sys_shutdown(int fd, int how);
int rg_sys_setsockopt(int fd, int level, int name, int value);
int rg_sys_socket_error(int fd); /* what SO_ERROR says, as -errno */
int rg_sys_socket_type(int fd);  /* SO_TYPE */
int rg_sys_lingers(int fd, int *seconds); /* SO_LINGER is on: 0 or 1; -ENOTSOCK */
int rg_sys_unsent(int fd);       /* bytes of a TCP stream not acknowledged */

#endif
