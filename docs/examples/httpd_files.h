/* SPDX-License-Identifier: MIT */
/*
 * httpd: the files, as complete responses in a cache.
 *
 * A small file's response lies in memory, head and body in one piece. Once a second one request per
 * file looks at the file again and makes a new response, with the new date; the others go on with the
 * former one meanwhile. Look-up and opening may wait for a disk and use stdio, so they run as pool
 * jobs, which also keeps the stacks of the goroutines small.
 *
 * Paths are opened with openat2(RESOLVE_BENEATH): no symbolic link leads out of the root.
 */
#ifndef HTTPD_FILES_H
#define HTTPD_FILES_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <ringo.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "httpd_request.h"

enum {
	SMALL_FILE = 64 * 1024,     /* files up to here are cached */
	CACHE_SLOTS = 1024,         /* direct mapped: at most 64 MiB */
};

static const char *content_type(const char *path)
{
	static const char *const types[][2] = {
		{ "html", "text/html; charset=utf-8" }, { "htm", "text/html; charset=utf-8" },
		{ "css", "text/css; charset=utf-8" },   { "js", "text/javascript; charset=utf-8" },
		{ "txt", "text/plain; charset=utf-8" }, { "md", "text/plain; charset=utf-8" },
		{ "c", "text/plain; charset=utf-8" },   { "h", "text/plain; charset=utf-8" },
		{ "sh", "text/plain; charset=utf-8" },  { "json", "application/json" },
		{ "xml", "application/xml" },           { "pdf", "application/pdf" },
		{ "wasm", "application/wasm" },         { "svg", "image/svg+xml" },
		{ "png", "image/png" },                 { "jpg", "image/jpeg" },
		{ "jpeg", "image/jpeg" },               { "gif", "image/gif" },
		{ "webp", "image/webp" },               { "ico", "image/x-icon" },
	};
	const char *name = strrchr(path, '/');
	const char *dot = strrchr(name ? name : path, '.');

	for (size_t i = 0; dot && i < sizeof(types) / sizeof(*types); i++)
		if (!strcasecmp(dot + 1, types[i][0]))
			return types[i][1];
	return "application/octet-stream";
}

/* A file's response, immutable but for refs and checking: the head, and the body if it is small. */
struct file {
	atomic_uint refs;
	bool checking;              /* somebody looks at the file again; under the slot's lock */
	int64_t fresh_until;
	struct stat st;
	char modified[32];
	const char *path;
	char *response;             /* in data */
	size_t head, body;          /* body: 0 for a large file */
	char data[];
};

static struct {
	struct ringo_mutex lock;
	struct file *file;
} cache[CACHE_SLOTS];

static int root_fd;

/* What a job of the pool is asked and what it answers. */
struct load {
	const char *path;
	struct file *known;         /* the response to renew, or NULL */
	struct file *file;
	int fd;                     /* of a large file, else -1 */
	int status;
};

static void http_date(char out[32], time_t t)
{
	struct tm tm;

	strftime(out, 32, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&t, &tm));
}

static int64_t coarse_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return ts.tv_sec * RINGO_SEC + ts.tv_nsec;
}

/* Without openat2 (seccomp filters of some containers): step by step, through no symbolic link. */
static int open_stepwise(const char *path)
{
	int dir = root_fd, fd;
	char name[NAME_MAX + 1];
	const char *slash;

	while ((slash = strchr(path, '/'))) {
		if (slash - path > NAME_MAX) {
			fd = -ENAMETOOLONG;
			goto out;
		}
		memcpy(name, path, slash - path);
		name[slash - path] = 0;
		fd = openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0) {
			fd = -errno;
			goto out;
		}
		if (dir != root_fd)
			close(dir);
		dir = fd;
		path = slash + 1;
	}
	fd = openat(dir, *path ? path : ".", O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
out:
	if (dir != root_fd)
		close(dir);
	return fd;
}

/* O_NONBLOCK: opening a FIFO must not wait for a writer. */
static int open_beneath(const char *path)
{
	static atomic_bool stepwise;
	struct open_how how = {
		.flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	int tries = 8;
	long fd;

	if (stepwise)
		return open_stepwise(path);
	do {                        /* EAGAIN: a rename was under way somewhere */
		fd = syscall(SYS_openat2, root_fd, *path ? path : ".", &how, sizeof(how));
	} while (fd < 0 && errno == EAGAIN && --tries);
	if (fd >= 0)
		return fd;
	if (errno != ENOSYS && errno != EPERM)
		return -errno;
	stepwise = true;
	return open_stepwise(path);
}

static int open_status(int err)
{
	switch (err) {
	case ENOENT:
	case ENOTDIR:
	case ENAMETOOLONG:
		return 404;
	case EACCES:
	case ELOOP:
	case EXDEV:                 /* a link out of the root */
	case ENXIO:                 /* a socket */
		return 403;
	default:
		return 503;
	}
}

static void file_put(struct file *f)
{
	/* acq_rel pairs with itself: the last one frees after all others have read. */
	if (f && atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) == 1)
		free(f);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static int read_body(struct file *f, const struct load *l, char *to)
{
	off_t done = 0;
	ssize_t n;

	if (l->known && l->known->body && same_file(&f->st, &l->known->st)) {
		memcpy(to, l->known->response + l->known->head, l->known->body);
		return 0;
	}
	while (done < f->st.st_size) {
		n = pread(l->fd, to + done, f->st.st_size - done, done);
		if (n <= 0)
			return -EIO;
		done += n;
	}
	return 0;
}

/* Make the response for the open regular file l->fd. The body's place is fixed, the head ends there. */
static int make_file(struct load *l, const char *name, const struct stat *st)
{
	enum { HEAD_ROOM = 384 };
	size_t body = st->st_size <= SMALL_FILE ? st->st_size : 0;
	size_t path = strlen(l->path) + 1;
	struct file *f = malloc(sizeof(*f) + HEAD_ROOM + body + path);
	char head[HEAD_ROOM], date[32];

	if (!f)
		return 503;
	memset(f, 0, sizeof(*f));
	atomic_init(&f->refs, 1);
	f->st = *st;
	f->body = body;
	if (body && read_body(f, l, f->data + HEAD_ROOM)) {
		free(f);
		return 503;
	}
	http_date(date, time(NULL));
	http_date(f->modified, st->st_mtime);
	f->head = snprintf(head, sizeof(head),
			   "HTTP/1.1 200 OK\r\nServer: ringo\r\nDate: %s\r\nContent-Type: %s\r\n"
			   "Content-Length: %jd\r\nLast-Modified: %s\r\n\r\n", date,
			   content_type(name), (intmax_t)st->st_size, f->modified);
	f->response = f->data + HEAD_ROOM - f->head;
	memcpy(f->response, head, f->head);
	f->path = memcpy(f->data + HEAD_ROOM + body, l->path, path);
	f->fresh_until = coarse_now() + RINGO_SEC;
	l->file = f;
	return 0;
}

/* On a thread of the pool, for opening and stat may wait for a disk. */
static int load_job(void *arg)
{
	struct load *l = arg;
	size_t len = strlen(l->path);
	bool dir = !len || l->path[len - 1] == '/';
	char name[HEAD_MAX + sizeof("index.html")];
	struct stat st;

	snprintf(name, sizeof(name), "%s%s", l->path, dir ? "index.html" : "");
	l->fd = open_beneath(name);
	if (l->fd < 0) {
		l->status = open_status(-l->fd);
		if (dir && l->status == 404 && (l->fd = open_beneath(l->path)) >= 0)
			l->status = 403;    /* the directory is there, and listings are not given */
	} else if (fstat(l->fd, &st)) {
		l->status = 503;
	} else if (S_ISDIR(st.st_mode)) {
		l->status = dir ? 403 : 301;
	} else if (!S_ISREG(st.st_mode)) {
		l->status = 403;
	} else {
		l->status = make_file(l, name, &st);
	}
	if (l->fd >= 0 && (l->status || st.st_size <= SMALL_FILE)) {
		close(l->fd);
		l->fd = -1;
	}
	return 0;
}

/* Look path up: a reference in l->file, with l->fd when it is large; or a status. */
static int file_get(const char *path, struct load *l)
{
	uint32_t hash = 2166136261u, slot;
	struct file *f, *old = NULL;
	const char *p;
	int rc;

	*l = (struct load){ .path = path, .fd = -1 };
	for (p = path; *p; p++)
		hash = (hash ^ (unsigned char)*p) * 16777619u;
	slot = (hash ^ hash >> 16) % CACHE_SLOTS;

	ringo_mutex_lock(&cache[slot].lock);
	f = cache[slot].file;
	if (f && !strcmp(f->path, path)) {
		atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
		if (f->checking || coarse_now() < f->fresh_until)
			l->file = f;
		else
			l->known = f;
		f->checking |= !l->file;
	}
	ringo_mutex_unlock(&cache[slot].lock);
	if (l->file)
		return 0;

	rc = ringo_blocking(load_job, l, NULL);
	if (rc)
		l->status = 503;
	ringo_mutex_lock(&cache[slot].lock);
	if (l->known)
		l->known->checking = false;
	if (!l->status && l->fd < 0) {
		old = cache[slot].file;
		cache[slot].file = l->file;
		atomic_fetch_add_explicit(&l->file->refs, 1, memory_order_relaxed);
	} else if (l->known && cache[slot].file == l->known) {
		old = l->known;
		cache[slot].file = NULL;
	}
	ringo_mutex_unlock(&cache[slot].lock);
	file_put(old);
	file_put(l->known);
	return l->status;
}

#endif
