// SPDX-License-Identifier: MIT
/*
 * The debug endpoint: reports about the running program by HTTP.
 *
 * A thread of its own and no goroutine: who asks wants to know why goroutines do not get anywhere. It waits
 * in poll for all clients at a time and never for one of them: an answer is first written to a file in memory,
 * which a slow reader may take as long to fetch as it has patience for, and which tells the length. A dump of
 * millions of goroutines is cut at LIMIT, which that file is sealed at.
 *
 * A trace takes as many seconds as were asked for; meanwhile others are served. Each has its own recording.
 *
 * A client gets one answer. What it sends beside the request is read and thrown away, for a while: a socket that
 * is closed with bytes unread may drop the answer with them.
 *
 * One thread touches the clients; whoever starts and ends it does so under the lock, or at the end of the run.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/sys.h"
#include "core/gate.h"
#include "core/rt.h"
#include "io/tcp.h"
#include "observe/http.h"
#include "observe/record.h"
#include "observe/service.h"
#include "observe/stats.h"

enum { CLIENTS = 8, HEAD = 4096, BACKLOG = 16, LIMIT = 64 << 20 };

#define REQUEST_TIME (INT64_C(10) * 1000000000) /* for all of it */
#define STALL_TIME (INT64_C(30) * 1000000000)   /* without taking a byte of the answer */
#define LINGER_TIME INT64_C(1000000000)
#define ACCEPT_PAUSE INT64_C(100000000)         /* when there are no descriptors */

enum state { FREE, READS, RECORDS, WRITES, LINGERS };

struct client {
	enum state state;
	int fd;
	int body;       /* -1 none */
	off_t at, size; /* of the body */
	size_t n, sent; /* bytes in buf: of the request, then of the head of the answer */
	int64_t until;
	struct rg_record *record; /* while it RECORDS */
	int64_t look_at;  /* when that is to look again */
	char buf[HEAD];
};

static struct {
	uint32_t lock;
	bool hooked;
	int listener;
	int64_t accept_at; /* 0: at once */
	struct sockaddr_un path; /* of a Unix socket, if it has one */
	struct stat there;
	struct client clients[CLIENTS];
} srv;

/* ---- an answer ---- */

static const char *reason_of(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 408:
		return "Request Timeout";
	case 431:
		return "Request Header Fields Too Large";
	case 503:
		return "Service Unavailable";
	default:
		return "Bad Request";
	}
}

static void begin_answer(struct client *c, int status, const char *type, off_t size, const char *text)
{
	int n = snprintf(c->buf, sizeof(c->buf),
			 "HTTP/1.1 %d %s\r\nContent-Type: %s\r\n"
			 "Content-Length: %lld\r\n%sX-Content-Type-Options: nosniff\r\n"
			 "Connection: close\r\n\r\n%s", status, reason_of(status), type, (long long)size,
			 status == 405 ? "Allow: GET, HEAD\r\n" : "", text);

	c->n = (size_t)n;
	c->sent = 0;
	c->state = WRITES;
	c->until = rg_now() + STALL_TIME;
}

static const char text_type[] = "text/plain; version=0.0.4; charset=utf-8";

static void refuse(struct client *c, int status)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "%d %s\n", status, reason_of(status));

	begin_answer(c, status, text_type, n, text);
}

/* A file that takes so much and no more; -1 none. */
static int sealed_file(off_t limit)
{
	int fd = memfd_create("ringo-debug", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -1;
	if (!ftruncate(fd, limit) && !fcntl(fd, F_ADD_SEALS, F_SEAL_GROW))
		return fd;
	close(fd);
	return -1;
}

static int write_page(const struct rg_request *r, int fd)
{
	static const char index[] = "/metrics\n/debug/pprof/goroutine?debug=1\n/debug/pprof/goroutine?debug=2\n"
				    "/debug/leaks\n/debug/trace?seconds=1\n";

	switch (r->page) {
	case RG_PAGE_METRICS:
		return ringo_metrics(fd);
	case RG_PAGE_GOROUTINE:
		return ringo_dump(fd, r->full ? RINGO_DUMP_FULL : RINGO_DUMP_GROUPED);
	case RG_PAGE_LEAKS:
		return ringo_dump(fd, RINGO_DUMP_LEAKS);
	default:
		return write(fd, index, sizeof(index) - 1) > 0 ? 0 : -EIO;
	}
}

static off_t largest(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_FSIZE, &limit) || limit.rlim_cur >= LIMIT)
		return LIMIT;
	return (off_t)(limit.rlim_cur / 4096 * 4096);
}

static void begin_body(struct client *c, const char *type, int fd, off_t size, bool head)
{
	begin_answer(c, 200, type, size, "");
	c->body = fd;
	c->at = 0;
	c->size = head ? 0 : size;
}

static void answer(struct client *c, const struct rg_request *r)
{
	static const char cut[] = "\n... cut here: too long\n";
	off_t limit = largest(), size;
	int fd = sealed_file(limit), err = fd < 0 ? -ENOMEM : write_page(r, fd);

	size = fd < 0 ? 0 : lseek(fd, 0, SEEK_CUR);
	if ((err == -EPERM || err == -EFBIG) && size == limit && limit) /* the seal, or the system's limit */
		err = pwrite(fd, cut, sizeof(cut) - 1, limit - (off_t)sizeof(cut) + 1) < 0 ? -EIO : 0;
	if (err) {
		if (fd >= 0)
			close(fd);
		refuse(c, 503);
		return;
	}
	begin_body(c, text_type, fd, size, r->head);
}

/* ---- a trace ---- */

static void record(struct client *c, const struct rg_request *r)
{
	off_t limit = largest();
	int err;

	if (r->head) {
		begin_answer(c, 200, "application/json", 0, "");
		return;
	}
	c->body = sealed_file(limit);
	err = c->body < 0 ? -ENOMEM : rg_foreign_enter();
	if (!err) {
		err = rg_record_begin(&c->record, c->body, (uint64_t)limit);
		rg_foreign_leave();
	}
	if (err) {
		refuse(c, 503);
		return;
	}
	c->state = RECORDS;
	c->look_at = rg_now();
	c->until = c->look_at + r->seconds * INT64_C(1000000000);
}

static void end_record(struct client *c)
{
	int err = rg_record_end(c->record);

	c->record = NULL;
	if (err)
		refuse(c, 503);
	else
		begin_body(c, "application/json", c->body, lseek(c->body, 0, SEEK_CUR), false);
}

static void records(struct client *c, int64_t now)
{
	int ms = rg_record_look(c->record);

	c->look_at = now + ms * INT64_C(1000000);
	if (ms < 0 || now >= c->until)
		end_record(c);
}

/* ---- a client ---- */

static void drop(struct client *c)
{
	c->state = FREE; /* first: a child that is forked now may leave them open, but never close another's */
	close(c->fd);
	if (c->record)
		rg_record_drop(c->record);
	if (c->body >= 0)
		close(c->body);
}

/* Bytes, 0 for none now, or -1: it is gone. */
static ssize_t outcome(ssize_t n)
{
	if (n >= 0)
		return n ? n : -1;
	return errno == EAGAIN || errno == EINTR ? 0 : -1;
}

static void reads(struct client *c)
{
	ssize_t n = outcome(recv(c->fd, c->buf + c->n, sizeof(c->buf) - c->n, 0));
	struct rg_request r;
	int status;

	if (n < 0) {
		drop(c);
		return;
	}
	c->n += (size_t)n;
	if (rg_http_complete(c->buf, c->n)) {
		status = rg_http_parse(&r, c->buf, c->n);
		if (status == 200 && r.page == RG_PAGE_TRACE)
			record(c, &r);
		else if (status == 200)
			answer(c, &r);
		else
			refuse(c, status);
	} else if (c->n == sizeof(c->buf)) {
		refuse(c, 431);
	}
}

static void writes(struct client *c)
{
	ssize_t n;

	if (c->sent < c->n) {
		n = outcome(send(c->fd, c->buf + c->sent, c->n - c->sent, MSG_NOSIGNAL));
		c->sent += n > 0 ? (size_t)n : 0;
	} else {
		n = outcome(sendfile(c->fd, c->body, &c->at, (size_t)(c->size - c->at)));
	}
	if (n < 0) {
		drop(c);
		return;
	}
	if (n > 0)
		c->until = rg_now() + STALL_TIME;
	if (c->sent == c->n && (c->body < 0 || c->at == c->size)) {
		shutdown(c->fd, SHUT_WR);
		c->state = LINGERS;
		c->until = rg_now() + LINGER_TIME;
	}
}

static void lingers(struct client *c)
{
	if (outcome(recv(c->fd, c->buf, sizeof(c->buf), 0)) < 0)
		drop(c);
}

static void step(struct client *c)
{
	switch (c->state) {
	case READS:
		reads(c);
		break;
	case RECORDS: /* the client is gone */
		drop(c);
		break;
	case WRITES:
		writes(c);
		break;
	case LINGERS:
		lingers(c);
		break;
	default:
		break;
	}
}

static void overdue(struct client *c)
{
	if (c->state == READS && c->n)
		refuse(c, 408);
	else
		drop(c);
}

/* ---- the thread ---- */

static struct client *free_client(void)
{
	for (unsigned i = 0; i < CLIENTS; i++)
		if (srv.clients[i].state == FREE)
			return &srv.clients[i];
	return NULL;
}

static void welcome(struct client *c)
{
	int fd = accept4(srv.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0) {
		/* Whoever is still waiting would have poll return at once. */
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
			srv.accept_at = rg_now() + ACCEPT_PAUSE;
		return;
	}
	*c = (struct client){ .state = READS, .fd = fd, .body = -1, .until = rg_now() + REQUEST_TIME };
}

/* What to wait for, and until when at the latest. */
static int64_t prepare(struct pollfd *fds, int bell, int64_t now)
{
	int64_t until = INT64_MAX;

	if (now >= srv.accept_at)
		srv.accept_at = 0;
	fds[0] = (struct pollfd){ .fd = bell, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = free_client() && !srv.accept_at ? srv.listener : -1, .events = POLLIN };
	if (srv.accept_at)
		until = srv.accept_at;
	for (unsigned i = 0; i < CLIENTS; i++) {
		const struct client *c = &srv.clients[i];

		fds[2 + i] = (struct pollfd){ .fd = c->state == FREE ? -1 : c->fd,
					      .events = c->state == WRITES ? POLLOUT :
							c->state == RECORDS ? 0 : POLLIN };
		if (c->state == RECORDS)
			until = rg_min(until, c->look_at);
		if (c->state != FREE)
			until = rg_min(until, c->until);
	}
	return until;
}

static void round_of(struct rg_service *s)
{
	struct pollfd fds[2 + CLIENTS];
	int64_t now = rg_now(), until = prepare(fds, s->bell, now);
	int64_t ms = until == INT64_MAX ? -1 : rg_max(until - now, INT64_C(0)) / 1000000 + 1;

	if (poll(fds, RG_ARRAY_SIZE(fds), (int)rg_min(ms, INT64_C(60000))) < 0)
		return;
	now = rg_now();
	for (unsigned i = 0; i < CLIENTS && !rg_service_over(s); i++) {
		struct client *c = &srv.clients[i];

		if (c->state != FREE && fds[2 + i].revents)
			step(c);
		else if (c->state == RECORDS && now >= rg_min(c->look_at, c->until))
			records(c, now);
		else if (c->state != FREE && c->state != RECORDS && now >= c->until)
			overdue(c);
	}
	if (fds[1].revents)
		welcome(free_client());
}

static void serve(struct rg_service *s)
{
	while (!rg_service_over(s))
		round_of(s);
}

static struct rg_service thread = { .name = "ringo-debug", .fn = serve };

/* ---- beginning and end ---- */

static void close_all(void)
{
	for (unsigned i = 0; i < CLIENTS; i++)
		if (srv.clients[i].state != FREE)
			drop(&srv.clients[i]);
	close(srv.listener);
}

static void remove_path(void)
{
	struct stat now;

	if (srv.path.sun_path[0] && !stat(srv.path.sun_path, &now) && now.st_ino == srv.there.st_ino &&
	    now.st_dev == srv.there.st_dev)
		unlink(srv.path.sun_path);
}

static int at_exit(int64_t deadline)
{
	if (!thread.running)
		return 0;
	if (!rg_service_end(&thread, deadline))
		return 1;
	rg_service_close(&thread);
	close_all();
	remove_path();
	return 0;
}

static void in_child(void)
{
	srv.lock = 0;
	if (thread.running)
		close_all();
	rg_service_child(&thread);
}

/* A socket that nobody listens on. */
static bool is_stale(const struct sockaddr_un *a)
{
	struct stat st;
	bool is_socket = !lstat(a->sun_path, &st) && S_ISSOCK(st.st_mode);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool refused = fd >= 0 && connect(fd, (const struct sockaddr *)a, sizeof(*a)) && errno == ECONNREFUSED;

	if (fd >= 0)
		close(fd);
	return is_socket && refused;
}

static int bind_path(int fd, const struct sockaddr_un *a)
{
	if (fchmod(fd, 0600)) /* what bind makes has that from it */
		return -errno;
	if (!bind(fd, (const struct sockaddr *)a, sizeof(*a)))
		return 0;
	if (errno != EADDRINUSE)
		return -errno;
	if (!is_stale(a))
		return -EADDRINUSE;
	unlink(a->sun_path);
	return bind(fd, (const struct sockaddr *)a, sizeof(*a)) ? -errno : 0;
}

static int listen_path(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd, err;

	if (*path != '/' || strlen(path) >= sizeof(a.sun_path))
		return -EINVAL;
	strcpy(a.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	err = bind_path(fd, &a);
	if (!err && (listen(fd, BACKLOG) || stat(path, &srv.there)))
		err = -errno;
	if (err) {
		close(fd);
		return err;
	}
	srv.path = a;
	return fd;
}

/* "host:port" for rg_tcp_listen_number: what is told without an address, or as localhost, is for this machine only. */
static int listen_tcp(const char *addr)
{
	static const char *const here[] = { "", "localhost" };
	char text[300];

	for (unsigned i = 0; i < RG_ARRAY_SIZE(here); i++) {
		size_t n = strlen(here[i]);

		if (!strncmp(addr, here[i], n) && addr[n] == ':') {
			snprintf(text, sizeof(text), "127.0.0.1%s", addr + n);
			return rg_tcp_listen_number(text, BACKLOG);
		}
	}
	return rg_tcp_listen_number(addr, BACKLOG);
}

static int port_of(int fd)
{
	struct sockaddr_storage a;
	socklen_t len = sizeof(a);

	if (srv.path.sun_path[0] || getsockname(fd, (struct sockaddr *)&a, &len))
		return 0;
	return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port :
					       ((struct sockaddr_in *)&a)->sin_port);
}

/* Under the lock. */
static int start(const char *addr)
{
	static struct rg_exit_hook hook = { .fn = at_exit, .child = in_child };
	int fd, err;

	if (thread.running)
		return -EALREADY;
	if (!srv.hooked)
		rg_at_exit(&hook);
	srv.hooked = true;
	srv.path.sun_path[0] = 0;
	fd = strncmp(addr, "unix:", 5) ? listen_tcp(addr) : listen_path(addr + 5);
	if (fd < 0)
		return fd;
	srv.listener = fd;
	srv.accept_at = 0;
	err = fcntl(fd, F_SETFL, O_NONBLOCK) ? -errno : rg_service_start(&thread);
	if (!err)
		return port_of(fd);
	close(fd);
	remove_path();
	return err;
}

RG_API int ringo_debug_serve(const char *addr)
{
	int saved = errno, res;
	struct m *m;

	if (!addr)
		return -EINVAL;
	m = rg_enter();
	res = m ? 0 : rg_foreign_enter();
	if (res)
		return res;
	rg_lock(&srv.lock);
	res = start(addr);
	rg_unlock(&srv.lock);
	if (m)
		rg_leave(m);
	else
		rg_foreign_leave();
	errno = saved;
	return res;
}
