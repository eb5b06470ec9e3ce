// SPDX-License-Identifier: MIT
/*
 * The debug endpoint: reports about the running program by HTTP.
 *
 * A thread of its own and no goroutine: who asks wants to know why goroutines do not get anywhere. It waits
 * in poll for all clients at a time and never for one of them: an answer is first written to a file in
 * memory, from which a slow reader fetches it, and which tells the length. A dump of millions of goroutines
 * is cut where that file is sealed.
 *
 * A trace takes as many seconds as were asked for; meanwhile others are served. Each has its own recording.
 *
 * A client gets one answer. What it sends beside the request is read and thrown away, for a while: a socket
 * that is closed with bytes unread may drop the answer with them.
 *
 * Clients may be slow, or mean harm. So there are limits (serve.h): to how many there are, to the bytes of
 * all answers, to how long each may take in all. And whoever needs a place, or room for an answer, takes it
 * from one who has had his chance (spare_at): first from those who have their answer but for closing, then
 * from those who were slow to ask, then from recordings whose client sends no more, which is all that is seen
 * of one that has gone away, and last from those who are slow to fetch. Of the answers that take long to
 * make, one is made at a time, and the turn goes round.
 *
 * One thread touches the clients; whoever starts and ends it does so under the lock, or at the end of the
 * run. A forked child closes what there is: so a client's state is stored last when it comes, and first when
 * it goes.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/sys.h"
#include "core/gate.h"
#include "core/rt.h"
#include "observe/http.h"
#include "observe/listen.h"
#include "observe/record.h"
#include "observe/serve.h"
#include "observe/service.h"
#include "observe/stats.h"

enum { CLIENTS = RG_SERVE_CLIENTS, HEAD = 4096 };

#define SECOND INT64_C(1000000000)
#define ACCEPT_PAUSE (SECOND / 10) /* when there are no descriptors */
#define LONG (SECOND / 100)        /* an answer that took so long to make is the last of its round */

struct rg_serve_limits rg_serve_limits = {
	.request = 10 * SECOND,
	.stall = 30 * SECOND,
	.answer = 300 * SECOND,
	.linger = SECOND,
	.patience = SECOND / 4,
	.body = 64 << 20,
	.bodies = (RG_SERVE_RECORDINGS + 2) * ((off_t)64 << 20),
};

/* In the order in which they give way to others. */
enum state { FREE, LINGERS, READS, RECORDS, WRITES };

struct client {
	enum state state;
	int fd;
	int body;       /* -1 none */
	off_t at, size; /* of the body */
	off_t room;     /* which that takes, or may */
	size_t n, sent; /* bytes in buf: of the request, then of the head of the answer */
	int64_t since;  /* when it came; then, when its answer was there */
	int64_t moved;  /* when it last took some of that */
	int64_t until;
	struct rg_record *record; /* while it RECORDS */
	int64_t look_at;  /* when that is to look again */
	bool half;        /* it sends no more */
	unsigned polled;  /* where it is among the descriptors of this round; 0: nowhere */
	char buf[HEAD];
};

static struct {
	uint32_t lock;
	bool hooked;
	struct rg_listener listener;
	int64_t accept_at; /* 0: at once */
	unsigned turn;     /* with whom a round begins */
	struct client clients[CLIENTS];
} srv;

/* ---- room ---- */

static void drop_body(struct client *c)
{
	int fd = c->body;

	c->body = -1;
	c->room = 0;
	rg_compiler_barrier();
	if (fd >= 0)
		close(fd);
}

static void drop(struct client *c)
{
	c->state = FREE; /* first: a child that is forked now may leave them open, but never close another's */
	rg_compiler_barrier();
	close(c->fd);
	if (c->record)
		rg_record_drop(c->record);
	drop_body(c);
}

/* From when on it gives way to others. */
static int64_t spare_at(const struct client *c)
{
	const int64_t patience = rg_serve_limits.patience;

	switch (c->state) {
	case READS:
		return c->since + patience;
	case RECORDS:
		return c->half ? c->since : INT64_MAX;
	case WRITES:
		return rg_min(c->moved + patience, c->since + 20 * patience);
	default:
		return c->since;
	}
}

/* The first of those in states from..WRITES that gives way now; NULL: none does. */
static struct client *spare(enum state from, int64_t now)
{
	struct client *found = NULL;

	for (unsigned i = 0; i < CLIENTS; i++) {
		struct client *c = &srv.clients[i];

		if (c->state < from || spare_at(c) > now)
			continue;
		if (!found || c->state < found->state ||
		    (c->state == found->state && spare_at(c) < spare_at(found)))
			found = c;
	}
	return found;
}

/* There is room for an answer of so many bytes. */
static bool make_room(off_t bytes)
{
	int64_t now = rg_now();

	for (;;) {
		off_t left = rg_serve_limits.bodies;
		struct client *c;

		for (unsigned i = 0; i < CLIENTS; i++)
			left -= srv.clients[i].state == FREE ? 0 : srv.clients[i].room;
		if (bytes <= left)
			return true;
		c = spare(RECORDS, now);
		if (!c)
			return false;
		drop(c);
	}
}

static void look_gone(struct client *c)
{
	struct pollfd p = { .fd = c->fd, .events = POLLRDHUP };

	c->half |= poll(&p, 1, 0) > 0;
}

/* One more may record. */
static bool may_record(void)
{
	struct client *gone = NULL;
	unsigned n = 0;

	for (unsigned i = 0; i < CLIENTS; i++) {
		struct client *c = &srv.clients[i];

		if (c->state != RECORDS)
			continue;
		n++;
		look_gone(c);
		if (c->half && (!gone || c->since < gone->since))
			gone = c;
	}
	if (n == RG_SERVE_RECORDINGS && gone)
		drop(gone);
	return n < RG_SERVE_RECORDINGS || gone;
}

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
	c->since = c->moved = rg_now();
	c->until = c->since + rg_serve_limits.stall;
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

	if (getrlimit(RLIMIT_FSIZE, &limit) || limit.rlim_cur >= (rlim_t)rg_serve_limits.body)
		return rg_serve_limits.body;
	return (off_t)(limit.rlim_cur / 4096 * 4096);
}

/* room: which it counts for. */
static void begin_body(struct client *c, const char *type, int fd, off_t size, off_t room, bool head)
{
	begin_answer(c, 200, type, size, "");
	c->body = fd;
	c->at = 0;
	c->size = head ? 0 : size;
	c->room = room;
}

static void answer(struct client *c, const struct rg_request *r)
{
	static const char cut[] = "\n... cut here: too long\n";
	/* Those that are always short have room: they are to be had whatever others do. */
	bool is_short = r->page == RG_PAGE_METRICS || r->page == RG_PAGE_INDEX;
	off_t limit = largest(), size;
	int fd = is_short || make_room(limit) ? sealed_file(limit) : -1, err = fd < 0 ? -ENOMEM : write_page(r, fd);

	size = fd < 0 ? 0 : lseek(fd, 0, SEEK_CUR);
	if ((err == -EPERM || err == -EFBIG) && size == limit && limit) /* the seal, or the system's limit */
		err = pwrite(fd, cut, sizeof(cut) - 1, limit - (off_t)sizeof(cut) + 1) < 0 ? -EIO : 0;
	if (err) {
		if (fd >= 0)
			close(fd);
		refuse(c, 503);
		return;
	}
	begin_body(c, text_type, fd, size, is_short ? 0 : size, r->head);
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
	c->body = may_record() && make_room(limit) ? sealed_file(limit) : -1;
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
	c->room = limit;
	c->since = c->look_at = rg_now();
	c->until = c->since + r->seconds * SECOND;
}

static void end_record(struct client *c)
{
	int err = rg_record_end(c->record);
	off_t size = lseek(c->body, 0, SEEK_CUR);

	c->record = NULL;
	if (err)
		refuse(c, 503);
	else
		begin_body(c, "application/json", c->body, size, size, false);
}

static void records(struct client *c, int64_t now)
{
	int ms = rg_record_look(c->record);

	c->look_at = now + ms * INT64_C(1000000);
	if (ms < 0 || now >= c->until)
		end_record(c);
}

/* ---- a client ---- */

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
	if (n > 0) {
		c->moved = rg_now();
		c->until = rg_min(c->moved + rg_serve_limits.stall, c->since + rg_serve_limits.answer);
	}
	if (c->sent == c->n && (c->body < 0 || c->at == c->size)) {
		shutdown(c->fd, SHUT_WR);
		drop_body(c);
		c->state = LINGERS;
		c->since = rg_now();
		c->until = c->since + rg_serve_limits.linger;
	}
}

static void lingers(struct client *c)
{
	if (outcome(recv(c->fd, c->buf, sizeof(c->buf), 0)) < 0)
		drop(c);
}

static void step(struct client *c, short events)
{
	switch (c->state) {
	case READS:
		reads(c);
		break;
	case RECORDS:
		c->half = true;
		if (events & ~POLLRDHUP) /* it is gone */
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

/* For one more client: a free place, or the place of one who is to give way; NULL: there is none. */
static struct client *place(int64_t now)
{
	for (unsigned i = 0; i < CLIENTS; i++)
		if (srv.clients[i].state == FREE)
			return &srv.clients[i];
	return spare(LINGERS, now);
}

/* False: nobody is waiting, or cannot be let in. */
static bool welcome(struct client *c)
{
	int fd = accept4(srv.listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int64_t now = rg_now();

	if (fd < 0) {
		/* Whoever is still waiting, for want of descriptors or else, would have poll return at once. */
		if (errno != EAGAIN && errno != ECONNABORTED)
			srv.accept_at = now + ACCEPT_PAUSE;
		return false;
	}
	if (c->state != FREE)
		drop(c);
	*c = (struct client){ .fd = fd, .body = -1, .since = now, .until = now + rg_serve_limits.request };
	rg_compiler_barrier();
	c->state = READS;
	return true;
}

static void welcome_all(void)
{
	for (unsigned i = 0; i < CLIENTS; i++) {
		struct client *c = place(rg_now());

		if (!c || !welcome(c))
			return;
	}
}

/* When there will be a place. */
static int64_t place_at(int64_t now)
{
	int64_t at = INT64_MAX;

	if (place(now))
		return now;
	for (unsigned i = 0; i < CLIENTS; i++)
		at = rg_min(at, spare_at(&srv.clients[i]));
	return at;
}

static short events_for(const struct client *c)
{
	switch (c->state) {
	case RECORDS:
		return c->half ? 0 : POLLRDHUP;
	case WRITES:
		return POLLOUT;
	default:
		return POLLIN;
	}
}

/* What to wait for, in *n descriptors, and until when at the latest. */
static int64_t prepare(struct pollfd *fds, unsigned *n, int bell, int64_t now)
{
	int64_t accept_at = rg_max(srv.accept_at, place_at(now)), until = accept_at > now ? accept_at : INT64_MAX;

	fds[0] = (struct pollfd){ .fd = bell, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = accept_at > now ? -1 : srv.listener.fd, .events = POLLIN };
	*n = 2;
	for (unsigned i = 0; i < CLIENTS; i++) {
		struct client *c = &srv.clients[i];

		c->polled = 0;
		if (c->state == FREE)
			continue;
		c->polled = *n;
		fds[(*n)++] = (struct pollfd){ .fd = c->fd, .events = events_for(c) };
		until = rg_min(until, c->until);
		if (c->state == RECORDS)
			until = rg_min(until, c->look_at);
	}
	return until;
}

/*
 * Those that have something to do, from turn on. False: one took long, so that others have theirs in the next
 * round.
 */
static bool serve_clients(struct rg_service *s, const struct pollfd *fds)
{
	const unsigned first = srv.turn;
	const int64_t now = rg_now();

	for (unsigned k = 0; k < CLIENTS && !rg_service_over(s); k++) {
		struct client *c = &srv.clients[(first + k) % CLIENTS];

		if (k && rg_now() - now > LONG)
			return false;
		srv.turn = (first + k + 1) % CLIENTS;
		if (c->state == FREE || !c->polled)
			continue;
		if (c->state != RECORDS && now >= c->until)
			overdue(c); /* also if it is busy all the time */
		else if (fds[c->polled].revents)
			step(c, fds[c->polled].revents);
	}
	return true;
}

/* False: the descriptors have been closed behind our back. */
static bool round_of(struct rg_service *s)
{
	struct pollfd fds[2 + CLIENTS];
	int64_t now = rg_now(), until, ms;
	unsigned n;

	until = prepare(fds, &n, s->bell, now);
	ms = until == INT64_MAX ? -1 : rg_max(until - now, INT64_C(0)) / 1000000 + 1;
	if (poll(fds, n, (int)rg_min(ms, INT64_C(60000))) < 0) {
		poll(NULL, 0, ACCEPT_PAUSE / 1000000); /* no memory, or fewer may be open now than are */
		return true;
	}
	if (fds[0].revents & ~POLLIN)
		return false;
	now = rg_now();
	for (unsigned i = 0; i < CLIENTS; i++) {
		struct client *c = &srv.clients[i];

		if (c->state == RECORDS && now >= rg_min(c->look_at, c->until))
			records(c, now);
	}
	/* Not yet, where some have spoken and were not heard: they would seem to be slow. */
	if (serve_clients(s, fds) && fds[1].revents)
		welcome_all();
	return true;
}

static void serve(struct rg_service *s)
{
	while (!rg_service_over(s))
		if (!round_of(s))
			break;
}

static struct rg_service thread = { .name = "ringo-debug", .fn = serve };

/* ---- beginning and end ---- */

static void close_all(bool remove)
{
	for (unsigned i = 0; i < CLIENTS; i++)
		if (srv.clients[i].state != FREE)
			drop(&srv.clients[i]);
	rg_listener_close(&srv.listener, remove);
}

static int at_exit(int64_t deadline)
{
	if (!thread.running)
		return 0;
	if (!rg_service_end(&thread, deadline))
		return 1;
	rg_service_close(&thread);
	close_all(true);
	return 0;
}

static void in_child(void)
{
	srv.lock = 0;
	if (thread.running)
		close_all(false);
	rg_service_child(&thread);
}

/* Under the lock. */
static int start(const char *addr)
{
	static struct rg_exit_hook hook = { .fn = at_exit, .child = in_child };
	int port, err;

	if (thread.running)
		return -EALREADY;
	if (!srv.hooked)
		rg_at_exit(&hook);
	srv.hooked = true;
	port = rg_listener_open(&srv.listener, addr);
	if (port < 0)
		return port;
	srv.accept_at = 0;
	err = rg_service_start(&thread);
	if (!err)
		return port;
	rg_listener_close(&srv.listener, true);
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
