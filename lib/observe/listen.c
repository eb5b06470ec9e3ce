// SPDX-License-Identifier: MIT
/*
 * Where the debug endpoint listens: by TCP, on this machine only unless an address says otherwise, or at a
 * path in the file system, where only the same user may connect. A file there is removed if it is a socket
 * that nobody listens on and, at the end, if it still is ours.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/compiler.h"
#include "io/tcp.h"
#include "observe/listen.h"

enum { BACKLOG = 128 }; /* for those who come while an answer is written */

/* A socket that nobody listens on. */
static bool is_stale(const struct sockaddr_un *a)
{
	struct stat st;
	bool is_socket = !lstat(a->sun_path, &st) && S_ISSOCK(st.st_mode);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool refused = fd >= 0 && connect(fd, (const struct sockaddr *)a, sizeof(*a)) && errno == ECONNREFUSED;

	if (fd >= 0)
		close(fd);
	return is_socket && refused;
}

static int bind_path(int fd, const struct sockaddr_un *a)
{
	if (fchmod(fd, 0600)) /* what bind makes has that from it */
		return -errno;
	if (!bind(fd, (const struct sockaddr *)a, sizeof(*a)))
		return 0;
	if (errno != EADDRINUSE)
		return -errno;
	if (!is_stale(a))
		return -EADDRINUSE;
	unlink(a->sun_path);
	return bind(fd, (const struct sockaddr *)a, sizeof(*a)) ? -errno : 0;
}

static int listen_path(struct rg_listener *l, const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd, err;

	if (*path != '/' || strlen(path) >= sizeof(a.sun_path))
		return -EINVAL;
	strcpy(a.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	err = bind_path(fd, &a);
	if (!err && (listen(fd, BACKLOG) || stat(path, &l->there)))
		err = -errno;
	if (err) {
		close(fd);
		return err;
	}
	l->path = a;
	return fd;
}

/*
 * "host:port" for rg_tcp_listen_number: what is told without an address, or as localhost, is for this machine
 * only.
 */
static int listen_tcp(const char *addr)
{
	static const char *const here[] = { "", "localhost" };
	char text[300];

	for (unsigned i = 0; i < RG_ARRAY_SIZE(here); i++) {
		size_t n = strlen(here[i]);

		if (!strncmp(addr, here[i], n) && addr[n] == ':') {
			snprintf(text, sizeof(text), "127.0.0.1%s", addr + n);
			return rg_tcp_listen_number(text, BACKLOG);
		}
	}
	return rg_tcp_listen_number(addr, BACKLOG);
}

static int port_of(const struct rg_listener *l)
{
	struct sockaddr_storage a;
	socklen_t len = sizeof(a);

	if (l->path.sun_path[0] || getsockname(l->fd, (struct sockaddr *)&a, &len))
		return 0;
	return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port :
					       ((struct sockaddr_in *)&a)->sin_port);
}

int rg_listener_open(struct rg_listener *l, const char *addr)
{
	l->path.sun_path[0] = 0;
	l->fd = strncmp(addr, "unix:", 5) ? listen_tcp(addr) : listen_path(l, addr + 5);
	if (l->fd < 0)
		return l->fd;
	if (fcntl(l->fd, F_SETFL, O_NONBLOCK)) {
		int err = -errno;

		rg_listener_close(l, true);
		return err;
	}
	return port_of(l);
}

void rg_listener_close(struct rg_listener *l, bool remove)
{
	struct stat now;

	close(l->fd);
	if (remove && l->path.sun_path[0] && !stat(l->path.sun_path, &now) && now.st_ino == l->there.st_ino &&
	    now.st_dev == l->there.st_dev)
		unlink(l->path.sun_path);
}
