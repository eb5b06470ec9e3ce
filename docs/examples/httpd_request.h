/* SPDX-License-Identifier: MIT */
/*
 * httpd: from the bytes received to the request, its path, and the refusal of bad ones.
 *
 * Nothing here waits or calls ringo, and all input is in the connection's buffer, so that
 * tests/fuzz/httpd_fuzz.c can drive it with bytes. Invariants it checks: the same bytes give the same
 * requests however they were cut in pieces, and no decoded path is absolute or has a ".." segment.
 */
#ifndef HTTPD_REQUEST_H
#define HTTPD_REQUEST_H

#include <ctype.h>
#include <errno.h>
#include <http_parser.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	HEAD_MAX = 8 * 1024,        /* request line and headers: 431 beyond */
	BODY_MAX = 64 * 1024,       /* of a request: read and ignored; 413 beyond */
	SMALL_BUF = 512,            /* what an idle connection waits with */
};

/* What feed() returns; from 400 on it is the status to refuse the request with. */
enum { FEED_MORE, FEED_HEAD, FEED_DONE };

enum expect { EXPECT_NONE, EXPECT_CONTINUE, EXPECT_OTHER };

/* Offsets count from the first byte of the request, so they survive a move of the buffer. */
struct span {
	uint32_t off, len;
};

struct request {
	http_parser parser;
	const char *base;           /* first byte of the request, during a feed */
	struct span url, name, value, since;
	uint32_t used;              /* bytes parsed, of those that are in the buffer */
	uint32_t head;              /* bytes to keep until the answer is known */
	uint32_t body;              /* bytes parsed behind the head */
	uint8_t hosts;
	uint8_t expect;             /* enum expect */
	bool head_done, done, keep, other_coding;
};

/* The bytes of a connection: [start, end) of buf, the present request first. */
struct conn {
	int fd;
	uint32_t cap, start, end;
	char *buf;                  /* small, or from malloc */
	struct request r;
	char small[SMALL_BUF];
};

static struct request *request_of(http_parser *p)
{
	return p->data;
}

/* The parser gives a text in pieces when it came in pieces: they follow each other in the buffer. */
static void span_add(struct request *r, struct span *s, const char *at, size_t len)
{
	if (!s->len)
		s->off = at - r->base;
	s->len = at + len - r->base - s->off;
}

static bool span_is(const struct request *r, const struct span *s, const char *text)
{
	return s->len == strlen(text) && !strncasecmp(r->base + s->off, text, s->len);
}

static void header_end(struct request *r)
{
	while (r->value.len && isblank((unsigned char)r->base[r->value.off + r->value.len - 1]))
		r->value.len--;
	if (span_is(r, &r->name, "host"))
		r->hosts += r->hosts < 2;
	else if (span_is(r, &r->name, "if-modified-since"))
		r->since = r->value;
	else if (span_is(r, &r->name, "expect"))
		r->expect = span_is(r, &r->value, "100-continue") ? EXPECT_CONTINUE : EXPECT_OTHER;
	else if (span_is(r, &r->name, "transfer-encoding"))
		r->other_coding |= !span_is(r, &r->value, "chunked");
	r->name.len = 0;
	r->value.len = 0;
}

static int on_url(http_parser *p, const char *at, size_t len)
{
	struct request *r = request_of(p);

	span_add(r, &r->url, at, len);
	return 0;
}

static int on_header_field(http_parser *p, const char *at, size_t len)
{
	struct request *r = request_of(p);

	if (r->head_done)           /* a trailer of a chunked body */
		return 0;
	if (r->value.off)
		header_end(r);
	r->value.off = 0;
	span_add(r, &r->name, at, len);
	return 0;
}

static int on_header_value(http_parser *p, const char *at, size_t len)
{
	struct request *r = request_of(p);

	if (!r->head_done)
		span_add(r, &r->value, at, len);
	return 0;
}

/* Pause where there is something to decide: before a body, and behind the request. */
static int on_headers_complete(http_parser *p)
{
	struct request *r = request_of(p);

	if (r->value.off)
		header_end(r);
	r->head_done = true;
	r->keep = http_should_keep_alive(p) && p->method != HTTP_CONNECT;
	if ((p->flags & F_CHUNKED) || (p->content_length && p->content_length != ULLONG_MAX))
		http_parser_pause(p, 1);
	return 0;
}

static int on_message_complete(http_parser *p)
{
	request_of(p)->done = true;
	http_parser_pause(p, 1);
	return 0;
}

static const http_parser_settings parser_settings = {
	.on_url = on_url,
	.on_header_field = on_header_field,
	.on_header_value = on_header_value,
	.on_headers_complete = on_headers_complete,
	.on_message_complete = on_message_complete,
};

static void request_init(struct request *r)
{
	memset(r, 0, sizeof(*r));
	http_parser_init(&r->parser, HTTP_REQUEST);
	r->parser.data = r;
}

static void conn_init(struct conn *c, int fd)
{
	c->fd = fd;
	c->buf = c->small;
	c->cap = sizeof(c->small);
	c->start = 0;
	c->end = 0;
	request_init(&c->r);
}

static void conn_free(struct conn *c)
{
	if (c->buf != c->small)
		free(c->buf);
}

/* The next request begins behind the present one, in the small buffer again if it fits. */
static void conn_next(struct conn *c)
{
	c->start += c->r.used;
	if (c->buf != c->small && c->end - c->start < sizeof(c->small)) {
		memcpy(c->small, c->buf + c->start, c->end - c->start);
		free(c->buf);
		c->buf = c->small;
		c->cap = sizeof(c->small);
		c->end -= c->start;
		c->start = 0;
	} else if (c->start == c->end) {
		c->start = 0;
		c->end = 0;
	}
	request_init(&c->r);
}

/* Make room behind end. A request of HEAD_MAX bytes leaves half of the large buffer for its body. */
static int conn_room(struct conn *c)
{
	char *large;

	if (c->end < c->cap)
		return 0;
	if (!c->start && c->buf == c->small) {
		large = malloc(2 * HEAD_MAX);
		if (!large)
			return -ENOMEM;
		memcpy(large, c->small, c->end);
		c->buf = large;
		c->cap = 2 * HEAD_MAX;
		return 0;
	}
	memmove(c->buf, c->buf + c->start, c->end - c->start);
	c->end -= c->start;
	c->start = 0;
	return c->end < c->cap ? 0 : -ENOBUFS;
}

/*
 * Parse what has come. Each limit is met at the same byte however the input was cut in pieces, since
 * the parser never sees a byte beyond it. Bytes of a body leave the buffer as soon as they are parsed.
 */
static int feed(struct conn *c)
{
	struct request *r = &c->r;
	size_t have = c->end - c->start - r->used;
	size_t limit = r->head_done ? BODY_MAX - r->body : HEAD_MAX - r->used;
	bool had_head = r->head_done;
	size_t n = have < limit ? have : limit;
	enum http_errno err;

	if (!n)                     /* the parser takes no bytes for the end of the stream */
		return FEED_MORE;
	r->base = c->buf + c->start;
	n = http_parser_execute(&r->parser, &parser_settings, r->base + r->used, n);
	r->used += n;
	err = HTTP_PARSER_ERRNO(&r->parser);
	if (err == HPE_PAUSED)
		http_parser_pause(&r->parser, 0);
	else if (err != HPE_OK)
		return 400;
	if (r->done)
		return FEED_DONE;
	if (!r->head_done)
		return r->used == HEAD_MAX ? 431 : FEED_MORE;
	if (!had_head) {
		r->head = r->used;
		return FEED_HEAD;
	}
	r->body += n;
	if (r->body == BODY_MAX)
		return 413;
	r->used = r->head;
	c->end = c->start + r->head;
	return FEED_MORE;
}

/* Whether to read the body that follows: 0, or the status to refuse it with. */
static int check_body(const struct request *r)
{
	const http_parser *p = &r->parser;

	if (r->other_coding)
		return 501;
	if (!(p->flags & F_CHUNKED) && p->content_length >= BODY_MAX)
		return 413;
	if (r->expect == EXPECT_OTHER)
		return 417;
	if (r->expect == EXPECT_CONTINUE && p->method != HTTP_GET && p->method != HTTP_HEAD)
		return 405;         /* the client asked before it sent the body: spare it that */
	return 0;
}

static int hex(char c)
{
	return isdigit((unsigned char)c) ? c - '0' :
	       isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : -1;
}

/*
 * Decode the path of len bytes at s in place into one relative to the root: no leading, double or
 * "." segments; a "/" at its end stays. s[len] may be overwritten. 0 or a status.
 */
static int decode_path(char *s, size_t len)
{
	char *out = s, *segment = s;
	size_t i = 0;

	while (i <= len) {
		int ch = i < len ? (unsigned char)s[i++] : -1;

		if (ch == '%') {
			if (len - i < 2 || hex(s[i]) < 0 || hex(s[i + 1]) < 0)
				return 400;
			ch = hex(s[i]) << 4 | hex(s[i + 1]);
			i += 2;
			if (!ch)
				return 400;
		}
		if (ch >= 0 && ch != '/') {
			*out++ = ch;
			continue;
		}
		if (out - segment == 2 && !memcmp(segment, "..", 2))
			return 403;
		if (out - segment == 1 && *segment == '.')
			out = segment;
		if (ch < 0)
			break;
		if (out != segment)
			*out++ = '/';
		segment = out;
	}
	*out = 0;
	return 0;
}

/* Leave the path that the request wants in the buffer, as decode_path() does. 0 or a status. */
static int request_path(struct conn *c, char **path)
{
	struct request *r = &c->r;
	char *url = c->buf + c->start + r->url.off;
	size_t len = r->url.len, n;
	struct http_parser_url u;

	if (r->parser.http_major != 1)
		return 505;
	if (r->hosts != 1 && (r->hosts || r->parser.http_minor))
		return 400;
	if (r->parser.method != HTTP_GET && r->parser.method != HTTP_HEAD)
		return 405;
	if (r->expect == EXPECT_OTHER)
		return 417;
	if (*url != '/') {          /* http://host/path */
		http_parser_url_init(&u);
		if (http_parser_parse_url(url, len, 0, &u))
			return 400;
		len = u.field_set & 1 << UF_PATH ? u.field_data[UF_PATH].len : 0;
		url += len ? u.field_data[UF_PATH].off : 0;
	}
	for (n = 0; n < len && url[n] != '?' && url[n] != '#';)
		n++;
	*path = url;
	return decode_path(url, n);
}

#endif
