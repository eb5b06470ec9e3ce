// SPDX-License-Identifier: MIT
/* See json.h. A trace is millions of short lines, so numbers are formatted by hand. */
#include "observe/json.h"

#include <errno.h>
#include <stdbool.h>
#include <unistd.h>

void rg_json_flush(struct rg_json *j)
{
	for (size_t at = 0; at < j->n && !j->err;) {
		ssize_t n = write(j->fd, j->buf + at, j->n - at);

		if (n > 0)
			at += (size_t)n;
		else if (n == 0 || errno != EINTR)
			j->err = n ? -errno : -EIO;
	}
	j->n = 0;
}

void rg_json_put(struct rg_json *j, const char *s, size_t n)
{
	if (n > sizeof(j->buf) - j->n)
		rg_json_flush(j);
	if (n > sizeof(j->buf))
		n = sizeof(j->buf);
	memcpy(j->buf + j->n, s, n);
	j->n += n;
	j->size += n;
}

static bool is_plain(char c)
{
	return c >= ' ' && c <= '~' && c != '"' && c != '\\';
}

void rg_json_quoted(struct rg_json *j, const char *s)
{
	rg_json_raw(j, "\"");
	while (*s) {
		size_t n = 0;

		while (is_plain(s[n]))
			n++;
		rg_json_put(j, s, n);
		s += n;
		if (!*s)
			break;
		rg_json_raw(j, *s == '"' ? "\\\"" : *s == '\\' ? "\\\\" : "?");
		s++;
	}
	rg_json_raw(j, "\"");
}

/* Where its digits begin, which end at end. */
static inline __attribute__((always_inline)) char *digits(char *end, uint64_t v, unsigned base, unsigned least)
{
	do {
		*--end = "0123456789abcdef"[v % base];
		v /= base;
		least -= least > 0;
	} while (v || least);
	return end;
}

void rg_json_u64(struct rg_json *j, uint64_t v)
{
	char buf[24], *end = buf + sizeof(buf), *s = digits(end, v, 10, 1);

	rg_json_put(j, s, (size_t)(end - s));
}

void rg_json_i64(struct rg_json *j, int64_t v)
{
	if (v < 0)
		rg_json_put(j, "-", 1);
	rg_json_u64(j, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

void rg_json_hex(struct rg_json *j, uint64_t v)
{
	char buf[24], *end = buf + sizeof(buf), *s = digits(end, v, 16, 1);

	rg_json_put(j, "\"0x", 3);
	rg_json_put(j, s, (size_t)(end - s));
	rg_json_put(j, "\"", 1);
}

void rg_json_us(struct rg_json *j, int64_t ns)
{
	uint64_t v = ns < 0 ? 0 : (uint64_t)ns;
	char buf[24], *end = buf + sizeof(buf), *s = digits(end, v % 1000, 10, 3);

	*--s = '.';
	s = digits(s, v / 1000, 10, 1);
	rg_json_put(j, s, (size_t)(end - s));
}
