// SPDX-License-Identifier: MIT
/*
 * echo PORT [HOGS MS FILE]: TCP echo on loopback, a goroutine per connection. Beside it HOGS
 * goroutines compute, for ever if MS is 0; otherwise each after MS starts another and ends. FILE:
 * spin.h.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <ringo.h>

#include "../spin.h"

#define CHUNK_US 10

static struct bench_hog *hogs;
static uint64_t chunk;
static long chunks;

static void compute(long i)
{
	for (long n = 0; !chunks || n < chunks; n++) {
		bench_spin(chunk);
		hogs[i].chunks++;
	}
	if (ringo_go(compute, i) < 0)
		exit(1);
}

static int start_hogs(char **argv)
{
	int r = 0;

	chunk = bench_spins(CHUNK_US);
	chunks = strtol(argv[3], NULL, 10) * 1000 / CHUNK_US;
	hogs = bench_hogs(argv[4]);
	for (long i = 0; !r && i < strtol(argv[2], NULL, 10); i++)
		r = ringo_go(compute, i);
	return r;
}

static void serve(int fd)
{
	char buf[2048];
	ssize_t n;

	while ((n = ringo_read(fd, buf, sizeof(buf))) > 0)
		if (ringo_write_all(fd, buf, (size_t)n) < n)
			break;
	ringo_close(fd);
}

static int accept_all(int l)
{
	const int on = 1;
	int fd;

	while ((fd = ringo_accept(l, NULL, NULL)) >= 0) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		if (ringo_go(serve, fd) < 0)
			ringo_close(fd);
	}
	return fd;
}

static int listen_on(void *arg)
{
	char addr[32], **argv = arg;
	int l, r;

	snprintf(addr, sizeof(addr), "127.0.0.1:%s", argv[1]);
	l = ringo_tcp_listen(addr, 4096);
	if (l < 0)
		return l;
	r = argv[2] ? start_hogs(argv) : 0;
	return r ? r : accept_all(l);
}

int main(int argc, char **argv)
{
	int r;

	if (argc != 2 && argc != 5)
		return 2;
	r = ringo_run(listen_on, argv);
	fprintf(stderr, "echo: %s\n", strerror(-r));
	return 1;
}
