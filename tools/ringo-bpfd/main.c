// SPDX-License-Identifier: MIT
/*
 * ringo-bpfd: preemption by BPF for programs that may not load BPF programs themselves.
 *
 * It holds the two capabilities that this needs, listens on a Unix socket, and does for each process that
 * connects what bpf/ describes; the library connects by itself (lib/core/preempt_bpf.c). When it ends, its
 * programs are gone and its clients go on with the library's own means. It is the only loader, for privileged
 * programs too: two loaders would have two programs on each switch of everybody, and libringo would need
 * libbpf.
 */
#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "bpf/limits.h"
#include "bpfd.h"
#include "kmod/uapi/ringo.h"

enum { FIRST_PASSED_FD = 3, CHECK = 0x100 };

struct bpfd_options bpfd = {
	.socket = RINGO_BPFD_SOCKET, .mode = 0666, .tick_us = 250, .clients = RG_BPF_CLIENTS, .per_user = 16,
};

const char *argp_program_bug_address = "the project's issues";

void say(const char *fmt, ...)
{
	va_list args;

	fputs("ringo-bpfd: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

void tell(const char *fmt, ...)
{
	va_list args;

	if (!bpfd.verbose)
		return;
	fputs("ringo-bpfd: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- options ---- */

static const struct argp_option options[] = {
	{ "socket", 's', "PATH", 0, "Where to listen, instead of " RINGO_BPFD_SOCKET, 0 },
	{ "mode", 'm', "OCTAL", 0, "Permissions of the socket: who may be served (0666)", 0 },
	{ "tick", 't', "US", 0, "The shortest tick in microseconds; 0: only the kernel's own (250)", 0 },
	{ "clients", 'c', "N", 0, "At most so many processes (64)", 0 },
	{ "per-user", 'u', "N", 0, "At most so many of one user (16)", 0 },
	{ "verbose", 'v', NULL, 0, "Say who comes and goes, and what libbpf says", 0 },
	{ "check", CHECK, NULL, 0, "Load and attach the programs once, and end: 0 if that works", 0 },
	{ 0 },
};

static unsigned parse_number(struct argp_state *state, const char *s, int base, unsigned min, unsigned max)
{
	char *end;
	unsigned long n = strtoul(s, &end, base);

	if (*end || end == s || *s == '-' || n < min || n > max)
		argp_error(state, base == 8 ? "%s: an octal number from %#o to %#o is needed" :
					      "%s: a number from %u to %u is needed", s, min, max);
	return (unsigned)n;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 's':
		bpfd.socket = arg;
		return 0;
	case 'm':
		bpfd.mode = parse_number(state, arg, 8, 0, 0777);
		return 0;
	case 't':
		bpfd.tick_us = parse_number(state, arg, 10, 0, 1000000);
		if (bpfd.tick_us && bpfd.tick_us < 100)
			argp_error(state, "%s: a tick takes up to 20 us: at least 100 are needed", arg);
		return 0;
	case 'c':
		bpfd.clients = parse_number(state, arg, 10, 1, RG_BPF_CLIENTS);
		return 0;
	case 'u':
		bpfd.per_user = parse_number(state, arg, 10, 1, RG_BPF_CLIENTS);
		return 0;
	case 'v':
		bpfd.verbose = true;
		return 0;
	case CHECK:
		bpfd.check = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* ---- the socket ---- */

/* The socket that a service manager has opened; -1: none. */
static int passed_socket(void)
{
	const char *pid = getenv("LISTEN_PID"), *n = getenv("LISTEN_FDS");
	int type = 0;
	socklen_t len = sizeof(type);

	if (!pid || !n || atol(pid) != getpid() || atoi(n) < 1)
		return -1;
	if (getsockopt(FIRST_PASSED_FD, SOL_SOCKET, SO_TYPE, &type, &len) || type != SOCK_SEQPACKET) {
		say("the passed socket is not of type SOCK_SEQPACKET (ListenSequentialPacket=)");
		exit(1);
	}
	return FIRST_PASSED_FD;
}

/* Nobody answers at that path any more. */
static bool stale(const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	bool yes = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) && errno == ECONNREFUSED;

	close(fd);
	return yes;
}

/* /run/ringo does not outlive a boot. */
static void make_folder_of(const char *path)
{
	char folder[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char *end;

	strcpy(folder, path);
	end = strrchr(folder, '/');
	if (!end)
		return;
	*end = '\0';
	mkdir(folder, 0755);
}

static int open_socket(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(bpfd.socket) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, bpfd.socket);
	make_folder_of(bpfd.socket);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (stale(&addr))
		unlink(bpfd.socket);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || chmod(bpfd.socket, bpfd.mode) ||
	    listen(fd, 64)) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

/* ---- the loop ---- */

static int add(int epoll, int fd, uint64_t data)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = data };

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

/* A descriptor from which those that end it are read. Blocked before there is another thread: it would get them. */
static int signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

/* Until a signal ends it. data of an event: 0 the listener, 1 a signal, else a client. */
static int serve(int listener, int ended)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	int err = epoll < 0 ? -errno : clients_init(epoll);

	if (!err)
		err = add(epoll, listener, 0);
	if (!err)
		err = add(epoll, ended, 1);
	while (!err) {
		struct epoll_event evs[16];
		int n = epoll_wait(epoll, evs, 16, clients_due());

		for (int i = 0; i < n; i++) {
			if (evs[i].data.u64 == 1)
				return 0;
			if (evs[i].data.u64)
				client_event(evs[i].data.u64, evs[i].events);
			else
				client_accept(listener);
		}
	}
	say("cannot wait for clients (%s)", strerror(-err));
	return err;
}

static int check(void)
{
	int err = attach_programs();

	if (!err) {
		detach_programs();
		tell("the programs load and attach");
	}
	return err;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		options, parse, NULL, "Preemption by BPF for programs that use ringo.", NULL, NULL, NULL
	};
	int listener, ended, err;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	ended = signals();
	err = load_programs();
	if (err)
		return 1;
	if (bpfd.check)
		return check() ? 1 : 0;
	listener = passed_socket();
	if (listener < 0) {
		listener = open_socket();
		if (listener < 0) {
			say("cannot listen on %s (%s)", bpfd.socket, strerror(-listener));
			return 1;
		}
	} else {
		bpfd.socket = NULL;
	}
	tell("listening");
	err = serve(listener, ended);
	clients_drop_all();
	unload_programs();
	if (bpfd.socket)
		unlink(bpfd.socket);
	return err ? 1 : 0;
}
