// SPDX-License-Identifier: MIT
/* The server of the README: TCP echo, a goroutine per connection. */
#include <ringo.h>
#include <stdio.h>
#include <string.h>

static void serve(int fd)
{
	char buf[512];
	ssize_t n;

	while ((n = ringo_read(fd, buf, sizeof(buf))) > 0 && ringo_write_all(fd, buf, n) == n)
		;
	ringo_close(fd);
}

static int server(void *address)
{
	int l = ringo_tcp_listen(address, 1024), fd = l;

	while (fd >= 0 && (fd = ringo_accept(l, NULL, NULL)) >= 0)
		if (ringo_go(serve, fd))
			ringo_close(fd);
	return fd;
}

int main(int argc, char **argv)
{
	int err = ringo_run(server, argc > 1 ? argv[1] : "127.0.0.1:7000");

	fprintf(stderr, "echo: %s\n", strerror(-err));
	return 1;
}
