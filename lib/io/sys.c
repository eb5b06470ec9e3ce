// SPDX-License-Identifier: MIT
/*
 * Direct system calls: see sys.h. By syscall(2), because ThreadSanitizer follows descriptors through the
 * functions of libc, but not through rings, and would find races between numbers that were used again.
 */
#include "io/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int rg_sys_pipe(int fds[2])
{
	return RG_KEEP_ERRNO(syscall(SYS_pipe2, fds, O_CLOEXEC));
}

int rg_sys_ftruncate(int fd, off_t len)
{
	return RG_KEEP_ERRNO(syscall(SYS_ftruncate, fd, len));
}

int rg_sys_pread_nothing(int fd, off_t off)
{
	char none;

	return RG_KEEP_ERRNO(syscall(SYS_pread64, fd, &none, 0, off));
}

int rg_sys_seek_nowhere(int fd)
{
	return RG_KEEP_ERRNO(syscall(SYS_lseek, fd, 0, SEEK_CUR) < 0 ? -1 : 0);
}

int rg_sys_mode(int fd)
{
	struct stat st;
	int res = RG_KEEP_ERRNO(syscall(SYS_fstat, fd, &st));

	return res ? res : (int)st.st_mode;
}

bool rg_sys_is_timerfd(int fd)
{
	struct itimerspec now;

	return RG_KEEP_ERRNO(syscall(SYS_timerfd_gettime, fd, &now)) == 0;
}

/* With offset -1 in its two halves, the second of which 64-bit machines ignore. */
int rg_sys_transfer(int fd, bool out, const struct iovec *iov, int n, bool may_wait)
{
	int flags = may_wait ? 0 : RWF_NOWAIT;

	if (out)
		return RG_KEEP_ERRNO(syscall(SYS_pwritev2, fd, iov, n, -1l, 0, flags));
	return RG_KEEP_ERRNO(syscall(SYS_preadv2, fd, iov, n, -1l, 0, flags));
}

int rg_sys_eventfd(void)
{
	return RG_KEEP_ERRNO(syscall(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK));
}

int rg_sys_write(int fd, const void *buf, size_t n)
{
	return RG_KEEP_ERRNO(syscall(SYS_write, fd, buf, n));
}

int rg_sys_pidfd(pid_t pid)
{
	return RG_KEEP_ERRNO(syscall(SYS_pidfd_open, pid, 0));
}

pid_t rg_sys_waitpid(pid_t pid, int *status, int options)
{
	return RG_KEEP_ERRNO(waitpid(pid, status, options));
}

int rg_sys_socket(int domain, int type, int protocol)
{
	return RG_KEEP_ERRNO(syscall(SYS_socket, domain, type | SOCK_CLOEXEC, protocol));
}

int rg_sys_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	return RG_KEEP_ERRNO(syscall(SYS_bind, fd, addr, len));
}

int rg_sys_listen(int fd, int backlog)
{
	return RG_KEEP_ERRNO(syscall(SYS_listen, fd, backlog));
}

int rg_sys_shutdown(int fd, int how)
{
	return RG_KEEP_ERRNO(syscall(SYS_shutdown, fd, how));
}

int rg_sys_setsockopt(int fd, int level, int name, int value)
{
	return RG_KEEP_ERRNO(syscall(SYS_setsockopt, fd, level, name, &value, sizeof(value)));
}

static int int_option(int fd, int name, int *value)
{
	socklen_t len = sizeof(*value);

	return RG_KEEP_ERRNO(syscall(SYS_getsockopt, fd, SOL_SOCKET, name, value, &len));
}

int rg_sys_socket_error(int fd)
{
	int err = 0, res = int_option(fd, SO_ERROR, &err);

	return res ? res : -err;
}

int rg_sys_socket_type(int fd)
{
	int type = 0, res = int_option(fd, SO_TYPE, &type);

	return res ? res : type;
}

int rg_sys_lingers(int fd, int *seconds)
{
	struct linger l = { 0 };
	socklen_t len = sizeof(l);
	int res = RG_KEEP_ERRNO(syscall(SYS_getsockopt, fd, SOL_SOCKET, SO_LINGER, &l, &len));

	*seconds = l.l_linger;
	return res ? res : l.l_onoff != 0;
}

int rg_sys_unsent(int fd)
{
	int n = 0, protocol = 0, res = int_option(fd, SO_PROTOCOL, &protocol);

	if (res || protocol != IPPROTO_TCP)
		return res;
	res = RG_KEEP_ERRNO(syscall(SYS_ioctl, fd, SIOCOUTQ, &n));
	return res ? res : n;
}
