// SPDX-License-Identifier: MIT
/*
 * Direct system calls: see sys.h. By syscall(2), because ThreadSanitizer follows descriptors through the
 * functions of libc, but not through rings, and would find races between numbers that were used again.
 */
#include "base/sys.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The simulation has its own, for descriptors of its own: ring/sim_fds.c. */
#ifndef RINGO_SIM
int rg_sys_close(int fd)
{
	return RG_KEEP_ERRNO(syscall(SYS_close, fd));
}

int rg_sys_poll(struct pollfd *fds, nfds_t n)
{
	const struct timespec none = { 0 };

	return RG_KEEP_ERRNO(syscall(SYS_ppoll, fds, n, &none, NULL, 0));
}

int rg_sys_epoll(void)
{
	return RG_KEEP_ERRNO(syscall(SYS_epoll_create1, EPOLL_CLOEXEC));
}

int rg_sys_epoll_ctl_data(int ep, int op, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event ev = { .events = events, .data.u64 = data };

	return RG_KEEP_ERRNO(syscall(SYS_epoll_ctl, ep, op, fd, &ev));
}

int rg_sys_epoll_ctl(int ep, int op, int fd, uint32_t events)
{
	return rg_sys_epoll_ctl_data(ep, op, fd, events, 0);
}

int rg_sys_epoll_look(int ep, struct epoll_event *evs, int n)
{
	return RG_KEEP_ERRNO(syscall(SYS_epoll_pwait, ep, evs, n, 0, NULL, 0));
}
#endif
