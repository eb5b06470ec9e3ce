/* SPDX-License-Identifier: MIT */
/*
 * System calls made directly, because they do not wait or there is no ring operation for them: result or
 * -errno, errno untouched. Functions of their own file, because where a goroutine may change its thread,
 * compilers keep the address of the former thread's errno. What only one layer needs stands there
 * (io/sys.h).
 */
#ifndef RG_BASE_SYS_H
#define RG_BASE_SYS_H

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <sys/epoll.h>

/* The result of a call, made with errno put back as it was. */
#define RG_KEEP_ERRNO(call) \
	__extension__({ \
		int saved__ = errno; \
		long res__ = (call); \
		if (res__ < 0) { \
			res__ = -errno; \
			errno = saved__; \
		} \
		(int)res__; \
	})

int rg_sys_close(int fd);
int rg_sys_poll(struct pollfd *fds, nfds_t n); /* without waiting */
int rg_sys_epoll(void);
int rg_sys_epoll_ctl(int ep, int op, int fd, uint32_t events);
int rg_sys_epoll_ctl_data(int ep, int op, int fd, uint32_t events, uint64_t data);
int rg_sys_epoll_look(int ep, struct epoll_event *evs, int n); /* epoll_wait without waiting */

#endif
