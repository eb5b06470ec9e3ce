// SPDX-License-Identifier: MIT
/* Sockets: results and errors of each call, as POSIX has them. */
#include "io_help.h"

static void *volatile bad_pointer = (void *)8;

static void unix_name(struct sockaddr_un *at, socklen_t *len, const char *name)
{
	memset(at, 0, sizeof(*at));
	at->sun_family = AF_UNIX;
	snprintf(at->sun_path + 1, sizeof(at->sun_path) - 1, "ringo-%d-%s", getpid(), name);
	*len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(at->sun_path + 1));
}

G_TEST(calls_on_what_is_no_socket_fail)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	char c = 'x';
	struct iovec iov = { &c, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	socklen_t len = sizeof(at);
	int p[2];

	OK(ringo_pipe(p));
	for (int i = 0; i < 2; i++) {
		int fd = i ? 9999 : p[0], err = i ? -EBADF : -ENOTSOCK;

		CHECK_EQ(ringo_bind(fd, (struct sockaddr *)&at, sizeof(at)), err);
		CHECK_EQ(ringo_listen(fd, 1), err);
		CHECK_EQ(ringo_accept(fd, NULL, NULL), err);
		CHECK_EQ(ringo_connect(fd, (struct sockaddr *)&at, sizeof(at)), err);
		CHECK_EQ(ringo_send(fd, &c, 1, 0), err);
		CHECK_EQ(ringo_recv(fd, &c, 1, 0), err);
		CHECK_EQ(ringo_sendmsg(fd, &msg, 0), err);
		CHECK_EQ(ringo_recvmsg(fd, &msg, 0), err);
		CHECK_EQ(ringo_sendto(fd, &c, 1, 0, (struct sockaddr *)&at, sizeof(at)), err);
		CHECK_EQ(ringo_recvfrom(fd, &c, 1, 0, (struct sockaddr *)&at, &len), err);
		CHECK_EQ(ringo_shutdown(fd, SHUT_RDWR), err);
	}
	return 0;
}

G_TEST(sockets_that_ringo_makes_are_close_on_exec)
{
	struct sockaddr_in at;
	socklen_t len = sizeof(at);
	int l = (int)OK(ringo_socket(AF_INET, SOCK_STREAM, 0)), a, b;

	CHECK(cloexec(l));
	CHECK_EQ(ringo_listen(l, 5), 0);
	CHECK(!getsockname(l, (struct sockaddr *)&at, &len));
	a = (int)OK(ringo_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
	CHECK(fcntl(a, F_GETFL) & O_NONBLOCK);
	CHECK_EQ(ringo_connect(a, (struct sockaddr *)&at, sizeof(at)), 0);
	b = (int)OK(ringo_accept(l, NULL, NULL));
	CHECK(cloexec(b));
	CHECK(!(fcntl(b, F_GETFL) & O_NONBLOCK));
	CHECK_EQ(ringo_socket(-1, SOCK_STREAM, 0), -EAFNOSUPPORT);
	CHECK_EQ(ringo_socket(AF_INET, 99, 0), -EINVAL);
	CHECK_EQ(ringo_socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), -EPROTONOSUPPORT);
	return 0;
}

G_TEST(binding_and_listening_fail_as_posix_says)
{
	struct sockaddr_in at, far = { .sin_family = AF_INET };
	int l = listener(&at), fd = (int)OK(ringo_socket(AF_INET, SOCK_STREAM, 0));
	int udp = (int)OK(ringo_socket(AF_INET, SOCK_DGRAM, 0));

	CHECK_EQ(ringo_bind(fd, (struct sockaddr *)&at, sizeof(at)), -EADDRINUSE);
	CHECK_EQ(ringo_bind(fd, (struct sockaddr *)&at, 3), -EINVAL);
	CHECK_EQ(ringo_bind(l, (struct sockaddr *)&at, sizeof(at)), -EINVAL);
	far.sin_addr.s_addr = htonl(0xc6336401); /* 198.51.100.1, nobody's */
	CHECK_EQ(ringo_bind(fd, (struct sockaddr *)&far, sizeof(far)), -EADDRNOTAVAIL);
	CHECK_EQ(ringo_bind(fd, bad_pointer, sizeof(at)), -EFAULT);
	CHECK_EQ(ringo_listen(udp, 1), -EOPNOTSUPP);
	CHECK_EQ(ringo_accept(fd, NULL, NULL), -EINVAL); /* does not listen */
	CHECK_EQ(ringo_accept(udp, NULL, NULL), -EOPNOTSUPP);
	return 0;
}

G_TEST(accept_tells_who_it_is)
{
	struct sockaddr_in at, who, self;
	socklen_t len = sizeof(who);
	int l = listener(&at), a, b;

	a = (int)OK(ringo_socket(AF_INET, SOCK_STREAM, 0));
	CHECK_EQ(ringo_connect(a, (struct sockaddr *)&at, sizeof(at)), 0);
	b = (int)OK(ringo_accept(l, (struct sockaddr *)&who, &len));
	CHECK_EQ(len, sizeof(who));
	len = sizeof(self);
	CHECK(!getsockname(a, (struct sockaddr *)&self, &len));
	CHECK_EQ(who.sin_port, self.sin_port);
	close(a);
	close(b);
	a = (int)OK(ringo_socket(AF_INET, SOCK_STREAM, 0));
	CHECK_EQ(ringo_connect(a, (struct sockaddr *)&at, sizeof(at)), 0);
	CHECK_EQ(ringo_accept(l, (struct sockaddr *)&who, bad_pointer), -EFAULT);
	return 0;
}

G_TEST(connecting_fails_as_posix_says)
{
	struct sockaddr_in at;
	struct sockaddr_un un;
	socklen_t len;
	int l = listener(&at), fd;

	for (int flags = 0; flags <= SOCK_NONBLOCK; flags += SOCK_NONBLOCK) {
		fd = (int)OK(ringo_socket(AF_INET, SOCK_STREAM | flags, 0));
		CHECK_EQ(ringo_connect(fd, (struct sockaddr *)&at, 3), -EINVAL);
		CHECK_EQ(ringo_connect(fd, bad_pointer, sizeof(at)), -EFAULT);
		CHECK_EQ(ringo_connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
		CHECK_EQ(ringo_connect(fd, (struct sockaddr *)&at, sizeof(at)), -EISCONN);
		CHECK_EQ(ringo_close(fd), 0);
	}
	close(l);
	for (int flags = 0; flags <= SOCK_NONBLOCK; flags += SOCK_NONBLOCK) {
		fd = (int)OK(ringo_socket(AF_INET, SOCK_STREAM | flags, 0));
		CHECK_EQ(ringo_connect(fd, (struct sockaddr *)&at, sizeof(at)), -ECONNREFUSED);
		CHECK_EQ(ringo_close(fd), 0);
	}
	unix_name(&un, &len, "none");
	fd = (int)OK(ringo_socket(AF_UNIX, SOCK_STREAM, 0));
	CHECK_EQ(ringo_connect(fd, (struct sockaddr *)&un, len), -ECONNREFUSED);
	strcpy(un.sun_path, "/tmp/ringo-none/none");
	CHECK_EQ(ringo_connect(fd, (struct sockaddr *)&un, sizeof(un)), -ENOENT);
	CHECK_EQ(ringo_connect(fd, (struct sockaddr *)&at, sizeof(at)), -EINVAL);
	return 0;
}

static int unix_connected;

static void connect_unix(int flags)
{
	struct sockaddr_un un;
	socklen_t len;
	int fd = (int)OK(ringo_socket(AF_UNIX, SOCK_STREAM | flags, 0));

	unix_name(&un, &len, "full");
	CHECK_EQ(ringo_connect(fd, (struct sockaddr *)&un, len), 0);
	ADD(&unix_connected, 1);
}

G_TEST(connecting_to_a_full_unix_socket_waits)
{
	struct sockaddr_un un;
	socklen_t len;
	int l = (int)OK(ringo_socket(AF_UNIX, SOCK_STREAM, 0)), before;

	unix_name(&un, &len, "full");
	CHECK_EQ(ringo_bind(l, (struct sockaddr *)&un, len), 0);
	CHECK_EQ(ringo_listen(l, 1), 0);
	for (int i = 0; i < 4; i++) {
		OK(ringo_go(connect_unix, 0));
		OK(ringo_go(connect_unix, SOCK_NONBLOCK));
	}
	OK(ringo_sleep(30 * RINGO_MS));
	before = LOAD(&unix_connected);
	CHECK(before < 8);
	for (int i = 0; i < 8; i++)
		OK(ringo_close((int)OK(ringo_accept(l, NULL, NULL))));
	until(&unix_connected, 8);
	return 0;
}

G_TEST(a_peer_that_goes_away_is_seen)
{
	struct linger reset = { 1, 0 };
	char c = 'x';
	int s[2];

	tcp_pair(s);
	CHECK_EQ(ringo_close(s[1]), 0);
	CHECK_EQ(ringo_recv(s[0], &c, 1, 0), 0);
	CHECK_EQ(ringo_read(s[0], &c, 1), 0);
	close(s[0]);

	tcp_pair(s);
	CHECK(!setsockopt(s[1], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)));
	CHECK_EQ(ringo_close(s[1]), 0);
	CHECK_EQ(ringo_recv(s[0], &c, 1, 0), -ECONNRESET);
	CHECK_EQ(ringo_recv(s[0], &c, 1, 0), 0);
	CHECK_EQ(ringo_send(s[0], &c, 1, 0), -EPIPE);
	close(s[0]);

	s[0] = (int)OK(ringo_socket(AF_INET, SOCK_STREAM, 0));
	CHECK_EQ(ringo_recv(s[0], &c, 1, 0), -ENOTCONN);
	CHECK_EQ(ringo_shutdown(s[0], SHUT_WR), -ENOTCONN);
	CHECK_EQ(ringo_send(s[0], &c, 1, 0), -EPIPE);
	return 0;
}

static int woken;

static void wait_on(int fd)
{
	char c;

	CHECK_EQ(ringo_recv(fd, &c, 1, 0), 0);
	ADD(&woken, 1);
}

static void wait_accept(int l)
{
	CHECK_EQ(ringo_accept(l, NULL, NULL), -EINVAL);
	ADD(&woken, 1);
}

G_TEST(shutdown_wakes_those_who_wait)
{
	struct sockaddr_in at;
	int l = listener(&at), s[2];

	tcp_pair(s);
	for (int i = 0; i < 5; i++)
		OK(ringo_go(wait_on, s[0]));
	OK(ringo_go(wait_accept, l));
	OK(ringo_sleep(10 * RINGO_MS));
	CHECK_EQ(LOAD(&woken), 0);
	CHECK_EQ(ringo_shutdown(s[0], SHUT_RD), 0);
	CHECK_EQ(ringo_shutdown(l, SHUT_RDWR), 0);
	until(&woken, 6);
	CHECK_EQ(ringo_shutdown(s[0], 77), -EINVAL);
	return 0;
}

static void read_pattern(int fd)
{
	unsigned at = 0;
	uint8_t buf[5000];
	ssize_t n;

	while ((n = OK(ringo_recv(fd, buf, sizeof(buf), 0))) > 0)
		for (ssize_t i = 0; i < n; i++, at++)
			CHECK_EQ(buf[i], (uint8_t)(at * 7 + at / 256));
	STORE(&woken, (int)at);
}

enum { PARTS = 64, PART = 20000 };

/* More than fits: part now, part later, several buffers, some of them empty. */
G_TEST(a_stream_takes_a_whole_message_in_order)
{
	static uint8_t data[PARTS * PART];
	struct iovec iov[PARTS + 1];
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = PARTS + 1 };
	size_t off = 0;
	int s[2];

	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 256);
	for (int i = 0; i <= PARTS; i++) {
		size_t n = i % 5 == 3 ? 0 : i % 3 * 10001 + 1;

		n = i == PARTS || off + n > sizeof(data) ? sizeof(data) - off : n;
		iov[i] = (struct iovec){ data + off, n };
		off += n;
	}
	for (int mode = 0; mode < 4; mode++) {
		if (mode & 1)
			tcp_pair(s);
		else
			unix_pair(s, SOCK_STREAM);
		if (mode & 2)
			nonblock(s[0]);
		STORE(&woken, 0);
		OK(ringo_go(read_pattern, s[1]));
		CHECK_EQ(ringo_sendmsg(s[0], &msg, 0), sizeof(data));
		CHECK_EQ(ringo_close(s[0]), 0);
		until(&woken, sizeof(data));
		close(s[1]);
	}
	return 0;
}

static void send_numbers(int fd)
{
	for (int i = 0; i < 200; i++) {
		struct iovec iov = { &i, sizeof(i) };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

		CHECK_EQ(ringo_send(fd, &i, sizeof(i), 0), sizeof(i));
		CHECK_EQ(ringo_sendmsg(fd, &msg, 0), sizeof(i));
		CHECK_EQ(ringo_write(fd, &i, sizeof(i)), sizeof(i));
		CHECK_EQ(ringo_writev(fd, &iov, 1), sizeof(i));
	}
	ADD(&woken, 1);
}

/* Unlike a pair, a connected sender waits for a full queue, not for its buffer. */
G_TEST(datagrams_to_a_full_receiver_arrive_whole)
{
	struct sockaddr_un un;
	socklen_t len;

	for (int flags = 0; flags <= SOCK_NONBLOCK; flags += SOCK_NONBLOCK) {
		int to = (int)OK(ringo_socket(AF_UNIX, SOCK_DGRAM, 0)), v;
		int from = (int)OK(ringo_socket(AF_UNIX, SOCK_DGRAM | flags, 0));

		unix_name(&un, &len, flags ? "dgram2" : "dgram");
		CHECK_EQ(ringo_bind(to, (struct sockaddr *)&un, len), 0);
		CHECK_EQ(ringo_connect(from, (struct sockaddr *)&un, len), 0);
		woken = 0;
		OK(ringo_go(send_numbers, from));
		for (int i = 0; i < 800; i++) {
			if (i % 50 == 0)
				OK(ringo_sleep(RINGO_MS));
			CHECK_EQ(ringo_recv(to, &v, sizeof(v), 0), sizeof(v));
			CHECK_EQ(v, i / 4);
		}
		until(&woken, 1);
	}
	return 0;
}

G_TEST(datagrams_carry_their_sender)
{
	struct sockaddr_in a_at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in b_at = a_at, from;
	struct sockaddr_storage room;
	socklen_t len = sizeof(a_at);
	int a = (int)OK(ringo_socket(AF_INET, SOCK_DGRAM, 0));
	int b = (int)OK(ringo_socket(AF_INET, SOCK_DGRAM, 0));
	char buf[8];

	CHECK_EQ(ringo_bind(a, (struct sockaddr *)&a_at, sizeof(a_at)), 0);
	CHECK_EQ(ringo_bind(b, (struct sockaddr *)&b_at, sizeof(b_at)), 0);
	CHECK(!getsockname(a, (struct sockaddr *)&a_at, &len));
	CHECK(!getsockname(b, (struct sockaddr *)&b_at, &len));
	CHECK_EQ(ringo_sendto(a, "hello", 5, 0, (struct sockaddr *)&b_at, sizeof(b_at)), 5);
	memset(&room, 0, sizeof(room));
	len = sizeof(room);
	CHECK_EQ(ringo_recvfrom(b, buf, 3, MSG_TRUNC, (struct sockaddr *)&room, &len), 5);
	CHECK_EQ(len, sizeof(from));
	memcpy(&from, &room, sizeof(from));
	CHECK_EQ(from.sin_port, a_at.sin_port);
	CHECK(!memcmp(buf, "hel", 3));
	CHECK_EQ(ringo_sendto(b, "", 0, 0, (struct sockaddr *)&from, len), 0);
	CHECK_EQ(ringo_recvfrom(a, buf, 8, 0, NULL, NULL), 0); /* an empty one */
	CHECK_EQ(ringo_send(a, "x", 1, 0), -EDESTADDRREQ);
	CHECK_EQ(ringo_recvfrom(a, buf, 8, 0, (struct sockaddr *)&from, NULL), -EFAULT);
	{
		static char big[70000];

		CHECK_EQ(ringo_sendto(a, big, sizeof(big), 0, (struct sockaddr *)&b_at, sizeof(b_at)),
			 -EMSGSIZE);
	}
	return 0;
}

G_TEST(descriptors_pass_through_messages_close_on_exec)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} u = { { 0 } };
	char c = 'x';
	struct iovec iov = { &c, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.buf,
			      .msg_controllen = sizeof(u.buf) };
	struct cmsghdr *h = CMSG_FIRSTHDR(&msg);
	int s[2], p[2], fd;

	unix_pair(s, SOCK_STREAM);
	OK(ringo_pipe(p));
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &p[0], sizeof(int));
	CHECK_EQ(ringo_sendmsg(s[0], &msg, 0), 1);
	memset(&u, 0, sizeof(u));
	CHECK_EQ(ringo_recvmsg(s[1], &msg, 0), 1);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	CHECK(fd != p[0]);
	CHECK(cloexec(fd));
	CHECK_EQ(ringo_write(p[1], "y", 1), 1);
	CHECK_EQ(ringo_read(fd, &c, 1), 1);
	CHECK_EQ(c, 'y');
	return 0;
}

G_TEST(bad_memory_in_messages_is_an_error)
{
	struct iovec iov = { bad_pointer, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 }, wild = { .msg_iov = bad_pointer,
		.msg_iovlen = 1 };
	int s[2];

	unix_pair(s, SOCK_STREAM);
	CHECK_EQ(ringo_send(s[0], bad_pointer, 1, 0), -EFAULT);
	CHECK_EQ(ringo_sendmsg(s[0], &msg, 0), -EFAULT);
	CHECK_EQ(ringo_sendmsg(s[0], &wild, 0), -EFAULT);
	CHECK_EQ(ringo_sendmsg(s[0], bad_pointer, 0), -EFAULT);
	CHECK_EQ(ringo_send(s[0], "abc", 3, 0), 3);
	CHECK_EQ(ringo_recv(s[1], bad_pointer, 1, 0), -EFAULT);
	CHECK_EQ(ringo_recvmsg(s[1], &msg, 0), -EFAULT);
	CHECK_EQ(ringo_recvmsg(s[1], bad_pointer, 0), -EFAULT);
	return 0;
}

/* Reading a number that was a file a moment ago, and is a socket now, and the other way round. */
G_TEST(a_reused_number_is_taken_for_what_it_is)
{
	char c;

	for (int i = 0; i < 20; i++) {
		int s[2], fd = (int)OK(ringo_open("/dev/zero", O_RDONLY));

		CHECK_EQ(ringo_read(fd, &c, 1), 1);
		if (i % 2)
			close(fd); /* behind ringo's back */
		else
			CHECK_EQ(ringo_close(fd), 0);
		unix_pair(s, SOCK_STREAM);
		CHECK_EQ(ringo_write(s[0], "y", 1), 1);
		CHECK_EQ(ringo_read(s[1], &c, 1), 1);
		CHECK_EQ(c, 'y');
		CHECK_EQ(ringo_write(s[1], "z", 1), 1);
		CHECK_EQ(ringo_read(s[0], &c, 1), 1);
		CHECK_EQ(ringo_read(s[0], &c, 0), 0);
		close(s[0]);
		close(s[1]);
	}
	return 0;
}

TEST_HARNESS_MAIN
