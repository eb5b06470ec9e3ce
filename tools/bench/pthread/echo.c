// SPDX-License-Identifier: MIT
/* echo PORT: TCP echo on loopback, a thread per connection. */
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../bench.h"
#include "../listen.h"

static int write_all(int fd, const char *buf, ssize_t n)
{
	while (n > 0) {
		ssize_t w = send(fd, buf, (size_t)n, MSG_NOSIGNAL);

		if (w < 0)
			return -1;
		buf += w;
		n -= w;
	}
	return 0;
}

static void *serve(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char buf[2048];
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
		if (write_all(fd, buf, n))
			break;
	close(fd);
	return NULL;
}

int main(int argc, char **argv)
{
	int l = bench_listen((int)bench_arg(argc, argv, 1, 0)), fd;
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	while ((fd = accept(l, NULL, NULL)) >= 0) {
		pthread_t t;

		bench_nodelay(fd);
		if (pthread_create(&t, &attr, serve, (void *)(intptr_t)fd))
			close(fd);
	}
	bench_die("accept");
}
