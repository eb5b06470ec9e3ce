/* SPDX-License-Identifier: MIT */
/* A client of the debug endpoint, on the calling thread: it blocks that, as a program outside would. */
#ifndef RINGO_TESTS_SERVE_HELP_H
#define RINGO_TESTS_SERVE_HELP_H

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "dump_help.h"

struct reply {
	int status;
	char *head, *body;
	size_t size; /* of the body */
};

static inline int connect_port(int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(fd >= 0);
	CHECK_EQ(0, connect(fd, (struct sockaddr *)&a, sizeof(a)));
	return fd;
}

static inline int connect_path(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(fd >= 0);
	strcpy(a.sun_path, path);
	if (!connect(fd, (struct sockaddr *)&a, sizeof(a)))
		return fd;
	close(fd);
	return -errno;
}

static inline void say_all(int fd, const char *s, size_t n)
{
	while (n) {
		ssize_t w = send(fd, s, n, MSG_NOSIGNAL);

		CHECK(w > 0 || errno == EINTR);
		s += w > 0 ? w : 0;
		n -= w > 0 ? (size_t)w : 0;
	}
}

/* All that comes until the other end closes, taken apart. Closes fd. */
static inline struct reply hear(int fd)
{
	struct reply r = { 0 };
	size_t n = 0, room = 1 << 16;
	char *s = malloc(room + 1), *end;
	const char *length;

	for (;;) {
		ssize_t got = recv(fd, s + n, room - n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		CHECK(got >= 0);
		if (!got)
			break;
		n += (size_t)got;
		if (n == room)
			s = realloc(s, (room *= 2) + 1);
	}
	close(fd);
	s[n] = 0;
	if (!n) { /* it was cut off */
		r.head = s;
		return r;
	}
	CHECK_EQ(1, sscanf(s, "HTTP/1.1 %d ", &r.status));
	end = strstr(s, "\r\n\r\n");
	CHECK(end != NULL);
	end[2] = 0;
	r.head = s;
	r.body = end + 4;
	r.size = n - (size_t)(r.body - s);
	CHECK_HAS(r.head, "Connection: close\r\n");
	length = strstr(s, "Content-Length: ");
	CHECK(length != NULL);
	CHECK(!strncmp(s, "HTTP/1.1 200", 12) || atol(length + 16) == (long)r.size);
	return r;
}

static inline struct reply ask(int fd, const char *request)
{
	say_all(fd, request, strlen(request));
	return hear(fd);
}

static inline struct reply get(int port, const char *path)
{
	char s[300];

	snprintf(s, sizeof(s), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
	return ask(connect_port(port), s);
}

/* One that is to be refused so. */
static inline void check_status(int port, const char *request, int status)
{
	struct reply r = ask(connect_port(port), request);

	if (r.status != status)
		fprintf(stderr, "# %.80s\n", request);
	CHECK_EQ(status, r.status);
	free(r.head);
}

#endif
