// SPDX-License-Identifier: MIT
/* Messages: see log.h. */
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LINE = 1024 };

static void put(int fd, const char *buf, size_t n)
{
	while (n) {
		ssize_t w = write(fd, buf, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return;
		buf += w;
		n -= (size_t)w;
	}
}

static void message(const char *fmt, va_list ap)
{
	static const char prefix[] = "ringo: ";
	char buf[LINE];
	size_t n = sizeof(prefix) - 1;
	int saved = errno;
	int len;

	__builtin_memcpy(buf, prefix, n);
	len = vsnprintf(buf + n, sizeof(buf) - n - 1, fmt, ap);
	if (len < 0)
		len = 0;
	n += rg_min((size_t)len, sizeof(buf) - n - 2);
	buf[n++] = '\n';
	put(STDERR_FILENO, buf, n);
	errno = saved;
}

void rg_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	message(fmt, ap);
	va_end(ap);
}

void rg_fatal(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	message(fmt, ap);
	va_end(ap);
	abort();
}

void rg_print(int fd, const char *fmt, ...)
{
	char buf[LINE];
	int saved = errno;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	if (len > 0)
		put(fd, buf, rg_min((size_t)len, sizeof(buf) - 1));
	errno = saved;
}

void rg_print_n(int fd, const char *text, size_t n)
{
	int saved = errno;

	put(fd, text, n);
	errno = saved;
}
