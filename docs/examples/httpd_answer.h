/* SPDX-License-Identifier: MIT */
/*
 * httpd: the answers, and what they count.
 *
 * Heads are put together with stpcpy: stdio would need more stack than a connection should touch.
 */
#ifndef HTTPD_ANSWER_H
#define HTTPD_ANSWER_H

#include <ctype.h>
#include <errno.h>
#include <ringo.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "httpd_files.h"
#include "httpd_request.h"

enum {
	CHUNK = 64 * 1024,          /* large files are sent in pieces of this size */
};

static int64_t idle_ns = 60 * RINGO_SEC;

/* Counters in pieces, so that the Ps do not fight for one cache line. */
static struct {
	_Alignas(64) atomic_ulong requests, bytes, errors;
} counts[64];

static void count(int fd, size_t bytes, bool error)
{
	atomic_fetch_add_explicit(&counts[fd % 64].requests, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&counts[fd % 64].bytes, bytes, memory_order_relaxed);
	if (error)
		atomic_fetch_add_explicit(&counts[fd % 64].errors, 1, memory_order_relaxed);
}

/* Send all parts, or give the client up; each step of progress gets the idle time. */
static bool send_parts(int fd, struct iovec *iov, int n)
{
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = n };
	ssize_t sent;

	while (msg.msg_iovlen) {
		ringo_timeout_scope(idle_ns);
		sent = ringo_sendmsg(fd, &msg, MSG_NOSIGNAL);
		if (sent < 0)
			return false;
		for (; msg.msg_iovlen && (size_t)sent >= msg.msg_iov->iov_len; msg.msg_iov++) {
			sent -= msg.msg_iov->iov_len;
			msg.msg_iovlen--;
		}
		if (msg.msg_iovlen) {
			msg.msg_iov->iov_base = (char *)msg.msg_iov->iov_base + sent;
			msg.msg_iov->iov_len -= sent;
		}
	}
	return true;
}

/* What fits into the socket's buffer goes without a deadline: nearly always that is all. */
static bool send_bytes(int fd, const char *data, size_t n)
{
	ssize_t sent = ringo_send(fd, data, n, MSG_NOSIGNAL | MSG_DONTWAIT);
	struct iovec iov;

	if (sent == (ssize_t)n)
		return true;
	if (sent < 0 && sent != -EAGAIN)
		return false;
	sent = sent < 0 ? 0 : sent;
	iov.iov_base = (char *)(uintptr_t)data + sent;
	iov.iov_len = n - sent;
	return send_parts(fd, &iov, 1);
}

static bool send_file(int fd, int file, off_t size)
{
	char *chunk = malloc(CHUNK);
	off_t done = 0;
	ssize_t n;
	bool ok = chunk;

	while (ok && done < size) {
		n = ringo_pread(file, chunk, size - done < CHUNK ? size - done : CHUNK, done);
		ok = n > 0 && send_bytes(fd, chunk, n); /* a file that shrank: cut the answer off */
		done += n;
	}
	free(chunk);
	return ok;
}

/* "Connection:" only where it says something that the version of HTTP does not. */
static const char *connection_line(const struct request *r, bool keep)
{
	if (!keep)
		return "Connection: close\r\n\r\n";
	return r->parser.http_minor ? "\r\n" : "Connection: keep-alive\r\n\r\n";
}

static char *put_number(char *to, size_t n)
{
	char digits[24], *d = digits + sizeof(digits) - 1;

	*d = 0;
	do
		*--d = '0' + n % 10;
	while (n /= 10);
	return stpcpy(to, d);
}

static char *put_escaped(char *to, const char *s)
{
	static const char keep[] = "/-._~!$&'()*+,;=:@";

	for (; *s; s++) {
		if (isalnum((unsigned char)*s) || strchr(keep, *s)) {
			*to++ = *s;
		} else {
			*to++ = '%';
			*to++ = "0123456789ABCDEF"[(unsigned char)*s >> 4];
			*to++ = "0123456789ABCDEF"[*s & 15];
		}
	}
	*to = 0;
	return to;
}

/* Answer with a status and no file. A path is given for the redirection to path/. */
static bool respond_status(struct conn *c, int status, const char *path, bool keep)
{
	const char *reason = http_status_str(status);
	char *head = malloc(512 + (path ? 3 * strlen(path) : 0)), *p = head, date[32];
	bool ok;

	if (!head)
		return false;
	http_date(date, time(NULL));
	p = stpcpy(put_number(stpcpy(p, "HTTP/1.1 "), status), " ");
	p = stpcpy(stpcpy(p, reason), "\r\nServer: ringo\r\nDate: ");
	p = stpcpy(stpcpy(p, date), "\r\nContent-Type: text/plain\r\nContent-Length: ");
	p = stpcpy(put_number(p, strlen(reason) + 5), "\r\n");
	if (status == 405)
		p = stpcpy(p, "Allow: GET, HEAD\r\n");
	if (status == 503)
		p = stpcpy(p, "Retry-After: 1\r\n");
	if (path)
		p = stpcpy(put_escaped(stpcpy(p, "Location: /"), path), "/\r\n");
	p = stpcpy(p, connection_line(&c->r, keep));
	if (c->r.parser.method != HTTP_HEAD || !c->r.head_done)
		p = stpcpy(stpcpy(stpcpy(put_number(p, status), " "), reason), "\n");
	count(c->fd, p - head, true);
	ok = send_bytes(c->fd, head, p - head);
	free(head);
	return ok;
}

static bool respond_file(struct conn *c, const struct load *l, bool keep)
{
	static const char not_modified[] = "HTTP/1.1 304 Not Modified";
	const size_t status_line = sizeof("HTTP/1.1 200 OK") - 1;
	const struct request *r = &c->r;
	const struct file *f = l->file;
	const char *req = c->buf + c->start, *end = connection_line(r, keep);
	bool fresh = r->since.len == strlen(f->modified) &&
		     !memcmp(req + r->since.off, f->modified, r->since.len);
	bool body = r->parser.method == HTTP_GET && !fresh;
	size_t skip = fresh ? status_line : 0;
	struct iovec iov[4] = {
		{ (char *)(uintptr_t)not_modified, fresh ? sizeof(not_modified) - 1 : 0 },
		{ f->response + skip, f->head - skip - 2 },
		{ (char *)(uintptr_t)end, strlen(end) },
		{ f->response + f->head, body ? f->body : 0 },
	};

	count(c->fd, f->head + (body ? f->st.st_size : 0), false);
	if (keep && r->parser.http_minor && !fresh)
		return send_bytes(c->fd, f->response, f->head + iov[3].iov_len) &&
		       (l->fd < 0 || !body || send_file(c->fd, l->fd, f->st.st_size));
	return send_parts(c->fd, iov, 4) &&
	       (l->fd < 0 || !body || send_file(c->fd, l->fd, f->st.st_size));
}

#endif
