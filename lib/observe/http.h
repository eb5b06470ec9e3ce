/* SPDX-License-Identifier: MIT */
/* What the debug endpoint understands of HTTP: the first line of a request. See serve.c. */
#ifndef RG_OBSERVE_HTTP_H
#define RG_OBSERVE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

enum rg_page { RG_PAGE_NONE, RG_PAGE_INDEX, RG_PAGE_METRICS, RG_PAGE_GOROUTINE, RG_PAGE_LEAKS, RG_PAGE_TRACE };

enum { RG_TRACE_MOST = 60 /* seconds */ };

struct rg_request {
	enum rg_page page; /* NONE: no such thing */
	bool full;         /* debug=2 */
	int seconds;       /* of a trace, from 1 on */
	bool head;         /* HEAD, not GET */
};

/* The whole head of a request has come: s has its n bytes. */
static inline bool rg_http_complete(const char *s, size_t n)
{
	return memmem(s, n, "\r\n\r\n", 4) || memmem(s, n, "\n\n", 2);
}

/* s begins with word. */
static inline bool rg_http_has(const char *s, size_t n, const char *word)
{
	return n >= strlen(word) && !memcmp(s, word, strlen(word));
}

/* s is word. */
static inline bool rg_http_is(const char *s, size_t n, const char *word)
{
	return n == strlen(word) && !memcmp(s, word, n);
}

/* Of a trace; 0: that is no number from 1 to RG_TRACE_MOST. */
static inline int rg_http_seconds(const char *s, size_t n)
{
	int v = 0;

	for (; n && *s >= '0' && *s <= '9' && v <= RG_TRACE_MOST; s++, n--)
		v = v * 10 + (*s - '0');
	return n || v > RG_TRACE_MOST ? 0 : v;
}

/* Its debug= and seconds=: 0, or 400 for one that means nothing. The last counts; what else is asked does not. */
static inline int rg_http_query(struct rg_request *r, const char *s, size_t n)
{
	while (n) {
		const char *end = memchr(s, '&', n);
		size_t len = end ? (size_t)(end - s) : n;

		if (rg_http_has(s, len, "debug=")) {
			r->full = rg_http_is(s, len, "debug=2");
			if (!r->full && !rg_http_is(s, len, "debug=1") && !rg_http_is(s, len, "debug=0"))
				return 400;
		}
		if (r->page == RG_PAGE_TRACE && rg_http_has(s, len, "seconds=")) {
			r->seconds = rg_http_seconds(s + 8, len - 8);
			if (!r->seconds)
				return 400;
		}
		s += len + (end != NULL);
		n -= len + (end != NULL);
	}
	return 0;
}

static inline enum rg_page rg_http_page(const char *s, size_t n)
{
	static const struct {
		const char *path;
		enum rg_page page;
	} pages[] = {
		{ "/", RG_PAGE_INDEX }, { "/debug/pprof/", RG_PAGE_INDEX }, { "/metrics", RG_PAGE_METRICS },
		{ "/debug/pprof/goroutine", RG_PAGE_GOROUTINE }, { "/debug/leaks", RG_PAGE_LEAKS },
		{ "/debug/trace", RG_PAGE_TRACE }, { "/debug/pprof/trace", RG_PAGE_TRACE },
	};

	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		if (rg_http_is(s, n, pages[i].path))
			return pages[i].page;
	return RG_PAGE_NONE;
}

/* The first line, of the n bytes at s: 200, or the status to refuse with. */
static inline int rg_http_parse(struct rg_request *r, const char *s, size_t n)
{
	const char *eol = memchr(s, '\n', n), *target, *end, *query;

	memset(r, 0, sizeof(*r));
	r->seconds = 1;
	n = eol ? (size_t)(eol - s) : 0;
	target = memchr(s, ' ', n);
	end = target ? memchr(target + 1, ' ', n - (size_t)(target + 1 - s)) : NULL;
	if (!end || target == s || end == target + 1 || !rg_http_has(end, n - (size_t)(end - s), " HTTP/1."))
		return 400;
	r->head = rg_http_is(s, (size_t)(target - s), "HEAD");
	if (!r->head && !rg_http_is(s, (size_t)(target - s), "GET"))
		return 405;
	target++;
	query = memchr(target, '?', (size_t)(end - target));
	r->page = rg_http_page(target, (size_t)((query ? query : end) - target));
	if (!r->page)
		return 404;
	if (query && rg_http_query(r, query + 1, (size_t)(end - query - 1)))
		return 400;
	return 200;
}

#endif
