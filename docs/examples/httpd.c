// SPDX-License-Identifier: MIT
/*
 * httpd: an HTTP/1.1 server for static files, one goroutine per connection.
 *
 *   httpd [-l addr:port] [-r root] [-i idle_s] [-s slow_s] [-c connections] [-q] [-v]
 *
 * SIGINT and SIGTERM stop it: no new connections, idle ones end, requests in progress get two
 * seconds. SIGUSR1 prints counters as "key value" lines on stderr; -v does so at the end.
 * idle_s bounds the wait for a request and for each step of sending, slow_s the reading of a request.
 *
 * httpd_request.h has the way from bytes to a request, httpd_files.h the files, httpd_answer.h the
 * answers; this is the way of a connection, written as a thread would do it: read a request, answer
 * it, again.
 *
 * An idle connection must cost one page, its goroutine's first. So it waits in a recv into a small
 * buffer on the stack; most requests fit in there, and only longer ones get a heap buffer for as long
 * as they last. No stdio on these stacks. A cached file then costs one recv and one send per request.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE                 /* O_PATH */
#endif
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <ringo.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "httpd_answer.h"
#include "httpd_files.h"
#include "httpd_request.h"

enum {
	REFUSERS = 64,              /* goroutines that may be busy saying 503 */
	STOP_S = 2,
};

enum { CONN_NONE, CONN_IDLE, CONN_BUSY };

static atomic_uchar *conn_state;    /* by descriptor */
static atomic_bool stopping;
static atomic_long conns, conns_peak, refusing, accepted, refused;
static struct ringo_chan *drained;
static int64_t slow_ns = 10 * RINGO_SEC;
static long max_conns;

/* A line per second at the most: what goes wrong under load goes wrong often. */
static void warn(const char *fmt, ...)
{
	static _Atomic int64_t next;
	int64_t now = ringo_now(), due = next;
	va_list ap;

	if (now < due || !atomic_compare_exchange_strong(&next, &due, now + RINGO_SEC))
		return;
	va_start(ap, fmt);
	fputs("httpd: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

/* Answer the request that has been read. True: the connection goes on. */
static bool respond(struct conn *c)
{
	bool keep = c->r.keep && !stopping, ok;
	struct load l;
	char *path;
	int status = request_path(c, &path);

	if (status)
		return respond_status(c, status, NULL, keep) && keep;
	status = file_get(path, &l);
	if (status)
		return respond_status(c, status, status == 301 ? path : NULL, keep) && keep;
	ok = respond_file(c, &l, keep);
	file_put(l.file);
	if (l.fd >= 0)
		ringo_close(l.fd);
	return ok && keep;
}

static ssize_t receive(struct conn *c)
{
	ssize_t n = conn_room(c);

	if (!n)
		n = ringo_recv(c->fd, c->buf + c->end, c->cap - c->end, 0);
	if (n > 0)
		c->end += n;
	return n;
}

/* Wait for the first bytes of a request. */
static ssize_t receive_idle(struct conn *c)
{
	ringo_timeout_scope(idle_ns);
	ssize_t n;

	/* seq_cst pairs with stop(): either it sees this connection idle, or stopping is seen here. */
	conn_state[c->fd] = CONN_IDLE;
	if (stopping)
		return 0;
	n = receive(c);
	conn_state[c->fd] = CONN_BUSY;
	return n;
}

enum { GONE = -1 };

/* The rest of a request that did not come in one piece. As feed(), or GONE. */
static int read_rest(struct conn *c, int rc)
{
	ringo_timeout_scope(slow_ns);
	ssize_t n;

	for (;;) {
		if (rc == FEED_HEAD) {
			rc = check_body(&c->r);
			if (rc)
				return rc;
			if (c->r.expect == EXPECT_CONTINUE && c->r.parser.http_minor &&
			    !send_bytes(c->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25))
				return GONE;
		} else if (rc != FEED_MORE) {
			return rc;
		} else {
			n = receive(c);
			if (n == -ETIMEDOUT)
				return 408;
			if (n <= 0)
				return GONE;
		}
		rc = feed(c);
	}
}

static int read_request(struct conn *c)
{
	int rc = FEED_MORE;

	if (c->start == c->end && receive_idle(c) <= 0)
		return GONE;
	rc = feed(c);
	return rc == FEED_DONE ? rc : read_rest(c, rc);
}

/* Closing with bytes unread would reset the connection and could take the answer with it. */
static void close_gently(struct conn *c)
{
	ringo_timeout_scope(RINGO_SEC);
	int chunks = 4096;

	ringo_shutdown(c->fd, SHUT_WR);
	while (chunks-- && ringo_recv(c->fd, c->small, sizeof(c->small), 0) > 0)
		;
}

static void conn_end(struct conn *c)
{
	conn_free(c);
	conn_state[c->fd] = CONN_NONE;
	ringo_close(c->fd);
}

static void serve(int fd)
{
	struct conn c;
	int rc;

	conn_init(&c, fd);
	while ((rc = read_request(&c)) == FEED_DONE && respond(&c))
		conn_next(&c);
	if (rc >= 400)
		respond_status(&c, rc, NULL, false);
	if (rc != GONE)
		close_gently(&c);
	conn_end(&c);
	if (atomic_fetch_sub(&conns, 1) == 1 && stopping)
		(void)!ringo_chan_try_send(drained, NULL);
}

/* One connection too many: it is told so, in the time that a gentle close takes. */
static void refuse(int fd)
{
	struct conn c;

	conn_init(&c, fd);
	respond_status(&c, 503, NULL, false);
	close_gently(&c);
	conn_end(&c);
	refusing--;
}

static void start(int fd)
{
	long n = atomic_fetch_add(&conns, 1) + 1;
	int rc;

	accepted++;
	if (n <= max_conns) {
		if (n > conns_peak)
			conns_peak = n;
		conn_state[fd] = CONN_BUSY;
		rc = ringo_go(serve, fd);
		if (!rc)
			return;
		warn("no goroutine for a connection: %s", strerror(-rc));
	} else {
		warn("more than %ld connections (-c)", max_conns);
	}
	conns--;
	refused++;
	if (n > max_conns && refusing < REFUSERS) {
		refusing++;
		if (!ringo_go(refuse, fd))
			return;
		refusing--;
	}
	ringo_close(fd);
}

static int spare_fd;

static int open_spare(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/*
 * Out of descriptors accept fails at once, client or none. With the spare one given up it waits for
 * a client again; if there is no descriptor to be spare then, that client goes.
 */
static int accept_without_fds(int lfd)
{
	int fd;

	warn("out of file descriptors: raise ulimit -n, or lower -c");
	if (spare_fd >= 0)
		close(spare_fd);
	fd = ringo_accept(lfd, NULL, NULL);
	spare_fd = open_spare();
	if (fd >= 0 && spare_fd < 0) {
		ringo_close(fd);
		refused++;
		fd = -ECONNABORTED;
		spare_fd = open_spare();
	}
	return fd;
}

static void acceptor(int lfd)
{
	int fd;

	while (!stopping) {
		fd = ringo_accept(lfd, NULL, NULL);
		if (fd == -EMFILE || fd == -ENFILE)
			fd = accept_without_fds(lfd);
		if (fd >= 0) {
			start(fd);
			continue;
		}
		switch (-fd) {
		case ECONNABORTED:      /* the client was quicker to go; see accept(2) */
		case EPROTO:
		case ENETDOWN:
		case ENOPROTOOPT:
		case EHOSTDOWN:
		case ENONET:
		case EHOSTUNREACH:
		case ENETUNREACH:
			break;
		default:                /* EINVAL: shut down, we stop */
			if (stopping)
				return;
			warn("accept: %s", strerror(-fd));
			(void)!ringo_sleep(50 * RINGO_MS);
		}
	}
}

/* ---- The program ---- */

static unsigned long total_requests, total_bytes, total_errors;

static void sum_counts(void)
{
	total_requests = total_bytes = total_errors = 0;
	for (int i = 0; i < 64; i++) {
		total_requests += counts[i].requests;
		total_bytes += counts[i].bytes;
		total_errors += counts[i].errors;
	}
}

/* In one write, so that who reads the file sees all or nothing of it. */
static void print_stats(void)
{
	struct ringo_stats s = { .size = sizeof(s) };
	char text[1024];
	int n;

	sum_counts();
	(void)!ringo_stats_get(&s);
	n = snprintf(text, sizeof(text),
		     "requests %lu\nerrors %lu\nbytes %lu\nconnections %ld\naccepted %ld\nrefused %ld\n"
		     "goroutines %ju\nspawned %ju\nprocs %u\nswitches %ju\nsteals %ju\nstolen %ju\n"
		     "wakes %ju\nparks %ju\nenters %ju\nops %ju\ncancels %ju\npool_jobs %ju\nend 1\n",
		     total_requests, total_errors, total_bytes, (long)conns, (long)accepted,
		     (long)refused, (uintmax_t)s.goroutines, (uintmax_t)s.spawned, s.procs,
		     (uintmax_t)s.switches, (uintmax_t)s.steals, (uintmax_t)s.stolen,
		     (uintmax_t)s.wakes, (uintmax_t)s.parks, (uintmax_t)s.enters, (uintmax_t)s.ops,
		     (uintmax_t)s.cancels, (uintmax_t)s.pool_jobs);
	(void)!write(STDERR_FILENO, text, n);
}

struct options {
	const char *listen, *root;
	bool quiet, verbose;
	long nofile;
};

static int announce(int lfd)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	char host[NI_MAXHOST], port[NI_MAXSERV];

	if (getsockname(lfd, (struct sockaddr *)&addr, &len))
		return -ringo_errno;
	if (getnameinfo((struct sockaddr *)&addr, len, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV))
		return -EINVAL;
	printf(addr.ss_family == AF_INET6 ? "listening on [%s]:%s\n" : "listening on %s:%s\n",
	       host, port);
	fflush(stdout);
	return 0;
}

static void stop(int lfd, long nofile)
{
	long fd;

	/* seq_cst pairs with receive_idle(). */
	stopping = true;
	ringo_shutdown(lfd, SHUT_RD);
	for (fd = 0; fd < nofile; fd++)
		if (conn_state[fd] == CONN_IDLE)
			ringo_shutdown(fd, SHUT_RD);    /* a request already there is still read */
	if (conns) {
		ringo_timeout_scope(STOP_S * RINGO_SEC);
		if (ringo_chan_recv(drained, NULL) < 0 && conns)
			warn("%ld connections cut off", (long)conns);
	}
}

static int server(void *arg)
{
	struct options *o = arg;
	struct ringo_chan *signals = ringo_chan_new(sizeof(int), 16);
	const int on = 1;
	int lfd = ringo_tcp_listen(o->listen, 4096), rc = -ENOMEM, signo;

	drained = ringo_chan_new(0, 1);
	if (lfd < 0) {
		fprintf(stderr, "httpd: %s: %s\n", o->listen, strerror(-lfd));
		return 1;
	}
	setsockopt(lfd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));     /* accept inherits it */
	if (!signals || !drained || (rc = ringo_signal_notify(signals, SIGINT)) ||
	    (rc = ringo_signal_notify(signals, SIGTERM)) ||
	    (rc = ringo_signal_notify(signals, SIGUSR1)) || (rc = ringo_go(acceptor, lfd)) ||
	    (rc = announce(lfd))) {
		fprintf(stderr, "httpd: cannot start: %s\n", strerror(-rc));
		return 1;
	}
	while (ringo_chan_recv(signals, &signo) == 1 && signo == SIGUSR1)
		print_stats();
	stop(lfd, o->nofile);
	if (o->verbose)
		print_stats();
	ringo_chan_unref(signals);      /* ringo has a reference of its own until the end */
	return 0;
}

/* As many descriptors as we may have: one per connection, and files. */
static long raise_nofile(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim))
		return 1024;
	lim.rlim_cur = lim.rlim_max < 1 << 20 ? lim.rlim_max : 1 << 20;
	setrlimit(RLIMIT_NOFILE, &lim);
	getrlimit(RLIMIT_NOFILE, &lim);
	return lim.rlim_cur;
}

static long number(const char *text, char opt)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (n >= 1 && n <= 1000000 && !*end)
		return n;
	fprintf(stderr, "httpd: -%c wants a number from 1 to 1000000, not \"%s\"\n", opt, text);
	exit(2);
}

static void parse_options(int argc, char **argv, struct options *o)
{
	int opt;

	while ((opt = getopt(argc, argv, "l:r:i:s:c:qv")) != -1) {
		switch (opt) {
		case 'l': o->listen = optarg; break;
		case 'r': o->root = optarg; break;
		case 'i': idle_ns = number(optarg, opt) * RINGO_SEC; break;
		case 's': slow_ns = number(optarg, opt) * RINGO_SEC; break;
		case 'c': max_conns = number(optarg, opt); break;
		case 'q': o->quiet = true; break;
		case 'v': o->verbose = true; break;
		default:
			fprintf(stderr, "usage: httpd [-l addr:port] [-r root] [-i idle_s] "
				"[-s slow_s] [-c connections] [-q] [-v]\n");
			exit(2);
		}
	}
}

int main(int argc, char **argv)
{
	struct options o = { .listen = "127.0.0.1:8080", .root = ".", .nofile = raise_nofile() };
	int rc;

	max_conns = o.nofile - (o.nofile < 128 ? o.nofile / 2 : 64);    /* the rest is for files */
	parse_options(argc, argv, &o);
	root_fd = open(o.root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0) {
		perror(o.root);
		return 1;
	}
	conn_state = calloc(o.nofile, 1);
	spare_fd = open_spare();
	if (!conn_state) {
		perror("httpd");
		return 1;
	}
	tzset();
	rc = ringo_run(server, &o);
	sum_counts();
	if (!o.quiet)
		fprintf(stderr, "httpd: %lu requests (%lu errors), %lu bytes, %ld connections "
			"(at most %ld at once), %ld refused\n", total_requests, total_errors,
			total_bytes, (long)accepted, (long)conns_peak, (long)refused);
	return rc < 0 ? 1 : rc;
}
