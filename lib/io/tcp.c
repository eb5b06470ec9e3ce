// SPDX-License-Identifier: MIT
/*
 * TCP by "host:port". Numbers are taken as they are; names go through the pool. What comes out either way
 * is a list of addresses, tried in order.
 */
#include "io/tcp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <ringo/net.h>
#include <stdlib.h>
#include <string.h>

#include "io/call.h"
#include "io/dns.h"
#include "io/fdkind.h"
#include "io/own.h"
#include "io/socket.h"
#include "io/sys.h"

struct target {
	char host[256]; /* "" any address */
	char port[64];
	int number;     /* the port, or -1 when it is a name */
};

static int copy_part(char *to, size_t room, const char *from, size_t n)
{
	if (n >= room)
		return -EINVAL;
	memcpy(to, from, n);
	to[n] = 0;
	return 0;
}

static int parse_port(struct target *t)
{
	size_t digits = strspn(t->port, "0123456789");
	long n;

	t->number = -1;
	if (!*t->port)
		return -EINVAL;
	if (t->port[digits])
		return 0;
	n = strtol(t->port, NULL, 10); /* LONG_MAX when it is too long for a long */
	if (n > 65535)
		return -EINVAL;
	t->number = (int)n;
	return 0;
}

/* "host:port", "[v6]:port", ":port" */
static int parse(struct target *t, const char *s)
{
	const char *host = s, *end, *colon;

	if (!s)
		return -EINVAL;
	if (*s == '[') {
		host++;
		end = strchr(s, ']');
		colon = end && end[1] == ':' ? end + 1 : NULL;
	} else {
		end = colon = strchr(s, ':');
		if (colon && strchr(colon + 1, ':'))
			return -EINVAL; /* which of them? */
	}
	if (!colon || copy_part(t->host, sizeof(t->host), host, (size_t)(end - host)) ||
	    copy_part(t->port, sizeof(t->port), colon + 1, strlen(colon + 1)))
		return -EINVAL;
	return parse_port(t);
}

/* Addresses that need no look-up. */
struct numeric {
	struct addrinfo ai[2];
	struct sockaddr_in6 v6;
	struct sockaddr_in v4;
};

static void link_v6(struct addrinfo *ai, struct numeric *n)
{
	*ai = (struct addrinfo){ .ai_family = AF_INET6, .ai_addr = (struct sockaddr *)&n->v6,
				 .ai_addrlen = sizeof(n->v6) };
}

static void link_v4(struct addrinfo *ai, struct numeric *n)
{
	*ai = (struct addrinfo){ .ai_family = AF_INET, .ai_addr = (struct sockaddr *)&n->v4,
				 .ai_addrlen = sizeof(n->v4) };
}

static bool numeric(struct numeric *n, const struct target *t)
{
	if (t->number < 0)
		return false;
	memset(n, 0, sizeof(*n));
	n->v6.sin6_family = AF_INET6;
	n->v6.sin6_port = n->v4.sin_port = htons((uint16_t)t->number);
	n->v4.sin_family = AF_INET;
	if (!*t->host) { /* zeroes are "any" */
		link_v6(&n->ai[0], n);
		link_v4(&n->ai[1], n);
		n->ai[0].ai_next = &n->ai[1];
	} else if (inet_pton(AF_INET6, t->host, &n->v6.sin6_addr) == 1) {
		link_v6(&n->ai[0], n);
	} else if (inet_pton(AF_INET, t->host, &n->v4.sin_addr) == 1) {
		link_v4(&n->ai[0], n);
	} else {
		return false;
	}
	return true;
}

static int errno_of(int eai)
{
	switch (eai) {
	case EAI_CANCELED:
		return -ETIMEDOUT;
	case EAI_MEMORY:
		return -ENOMEM;
	case EAI_AGAIN:
		return -EAGAIN;
	case EAI_NONAME:
	case EAI_NODATA:
	case EAI_SERVICE:
	case EAI_ADDRFAMILY:
		return -ENOENT;
	default:
		return -EIO;
	}
}

/* A socket ready to be used, or -errno: what is tried on each address. */
typedef int attempt_fn(const struct addrinfo *ai, int arg);

static int try_each(const struct addrinfo *ai, attempt_fn *attempt, int arg)
{
	int first = 0;

	for (; ai; ai = ai->ai_next) {
		int res = attempt(ai, arg);

		if (res >= 0 || res == -ETIMEDOUT)
			return res;
		/* IPv6 that the machine does not have says nothing about the host. */
		if (!first || first == -EAFNOSUPPORT || first == -EADDRNOTAVAIL || first == -ENETUNREACH)
			first = res;
	}
	return first;
}

static int try_names(const struct target *t, int flags, attempt_fn *attempt, int arg)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = flags };
	struct rg_lookup l;
	int res = rg_lookup(&l, *t->host ? t->host : NULL, t->port, &hints);

	if (res)
		return errno_of(res);
	res = try_each(l.list, attempt, arg);
	rg_lookup_free(&l);
	return res;
}

static int try_target(const char *host_port, int flags, attempt_fn *attempt, int arg)
{
	struct numeric n;
	struct target t;
	int err = parse(&t, host_port);

	if (err)
		return err;
	if (numeric(&n, &t))
		return try_each(n.ai, attempt, arg);
	return try_names(&t, flags, attempt, arg);
}

static bool is_any_v6(const struct addrinfo *ai)
{
	return ai->ai_family == AF_INET6 &&
	       IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)ai->ai_addr)->sin6_addr);
}

static int listen_on(const struct addrinfo *ai, int backlog)
{
	int fd = rg_sys_socket(ai->ai_family, SOCK_STREAM, 0), res;

	if (fd < 0)
		return fd;
	res = rg_sys_setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (!res && is_any_v6(ai)) /* IPv4 too */
		res = rg_sys_setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
	if (!res)
		res = rg_sys_bind(fd, ai->ai_addr, ai->ai_addrlen);
	if (!res)
		res = rg_sys_listen(fd, backlog);
	if (!res)
		return fd;
	rg_sys_close(fd);
	return res;
}

static int dial(const struct addrinfo *ai, int arg)
{
	int fd = rg_sys_socket(ai->ai_family, SOCK_STREAM, 0), res;
	struct rg_owned own;

	(void)arg;
	if (fd < 0)
		return fd;
	rg_own_fd(&own, fd);
	res = rg_io_connect(fd, ai->ai_addr, ai->ai_addrlen);
	if (!res) {
		rg_disown(&own);
		rg_fd_forget(fd);
		return fd;
	}
	rg_own_close(&own);
	return res;
}

int rg_tcp_listen_number(const char *host_port, int backlog)
{
	struct numeric n;
	struct target t;
	int err = parse(&t, host_port);

	if (!err && !numeric(&n, &t))
		err = -EINVAL;
	return err ? err : try_each(n.ai, listen_on, backlog);
}

RG_API int ringo_tcp_listen(const char *host_port, int backlog)
{
	int err;
	struct m *m = rg_enter_g(&err);

	if (!m)
		return err;
	err = try_target(host_port, AI_PASSIVE, listen_on, backlog);
	rg_leave(rg_m());
	return err;
}

RG_API int ringo_tcp_dial(const char *host_port)
{
	int err;
	struct m *m = rg_enter_g(&err);

	if (!m)
		return err;
	err = try_target(host_port, 0, dial, 0);
	rg_leave(rg_m());
	return err;
}
