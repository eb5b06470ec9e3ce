// SPDX-License-Identifier: MIT
/* echo PORT: TCP echo on loopback, a goroutine per connection. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <ringo.h>

#include "../bench.h"

static void serve(int fd)
{
	char buf[2048];
	ssize_t n;

	while ((n = ringo_read(fd, buf, sizeof(buf))) > 0)
		if (ringo_write_all(fd, buf, (size_t)n) < n)
			break;
	ringo_close(fd);
}

static int accept_all(void *arg)
{
	const int on = 1;
	char addr[32];
	int l, fd;

	snprintf(addr, sizeof(addr), "127.0.0.1:%s", (char *)arg);
	l = ringo_tcp_listen(addr, 4096);
	if (l < 0)
		return l;
	while ((fd = ringo_accept(l, NULL, NULL)) >= 0) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		if (ringo_go(serve, fd) < 0)
			ringo_close(fd);
	}
	return fd;
}

int main(int argc, char **argv)
{
	int r;

	if (argc != 2)
		return 2;
	r = ringo_run(accept_all, argv[1]);
	fprintf(stderr, "echo: %s\n", strerror(-r));
	return 1;
}
