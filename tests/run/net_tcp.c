// SPDX-License-Identifier: MIT
/* Names: tcp_listen, tcp_dial, getaddrinfo. */
#include <netdb.h>
#include <sys/syscall.h>

#include "io_help.h"

static int port_of(int fd)
{
	struct sockaddr_storage at;
	socklen_t len = sizeof(at);

	CHECK(!getsockname(fd, (struct sockaddr *)&at, &len));
	return ntohs(at.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&at)->sin6_port :
						((struct sockaddr_in *)&at)->sin_port);
}

static int family_of(int fd)
{
	struct sockaddr_storage at;
	socklen_t len = sizeof(at);

	CHECK(!getsockname(fd, (struct sockaddr *)&at, &len));
	return at.ss_family;
}

static bool have_ipv6(void)
{
	struct sockaddr_in6 at = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	bool have = fd >= 0 && !bind(fd, (struct sockaddr *)&at, sizeof(at));

	close(fd);
	return have;
}

/* Dial it, send a byte through, close. */
static void talk(int l, const char *host)
{
	char target[300], c = 0;
	int a, b;

	snprintf(target, sizeof(target), "%s:%d", host, port_of(l));
	a = (int)OK(ringo_tcp_dial(target));
	CHECK(cloexec(a));
	b = (int)OK(ringo_accept(l, NULL, NULL));
	CHECK_EQ(ringo_write(a, "x", 1), 1);
	CHECK_EQ(ringo_read(b, &c, 1), 1);
	CHECK_EQ(c, 'x');
	CHECK_EQ(ringo_close(a), 0);
	CHECK_EQ(ringo_close(b), 0);
}

/* An image without /etc/hosts would ask a name server, or none. */
static bool localhost_is_known(void)
{
	struct addrinfo *list = NULL;

	if (getaddrinfo("localhost", NULL, NULL, &list))
		return false;
	freeaddrinfo(list);
	return true;
}

#define NEEDS_LOCALHOST() \
	do { \
		if (!localhost_is_known()) \
			SKIP(return, "localhost has no address: /etc/hosts is missing"); \
	} while (0)

/* As G_TEST, for names. */
#define LOCALHOST_TEST(name) \
	static int name##_main(void *arg); \
	TEST(name) \
	{ \
		NEEDS_LOCALHOST(); \
		ASSERT_EQ(0, ringo_run(name##_main, NULL)); \
	} \
	static int name##_main(void *arg __attribute__((unused)))

G_TEST(listen_and_dial_by_number)
{
	int l = (int)OK(ringo_tcp_listen("127.0.0.1:0", 10)), one = 0;
	socklen_t len = sizeof(one);

	CHECK(cloexec(l));
	CHECK(!getsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, &len));
	CHECK_EQ(one, 1);
	talk(l, "127.0.0.1");
	talk(l, "[127.0.0.1]");
	CHECK_EQ(ringo_close(l), 0);
	return 0;
}

G_TEST(listen_and_dial_by_number_ipv6)
{
	int l;

	if (!have_ipv6())
		return 0;
	l = (int)OK(ringo_tcp_listen("[::1]:0", 10));
	talk(l, "[::1]");
	CHECK_EQ(ringo_close(l), 0);
	return 0;
}

LOCALHOST_TEST(any_address_means_both_families)
{
	int l = (int)OK(ringo_tcp_listen(":0", 10));

	talk(l, "127.0.0.1");
	talk(l, "");
	talk(l, "localhost");
	if (have_ipv6()) {
		CHECK_EQ(family_of(l), AF_INET6);
		talk(l, "[::1]");
		talk(l, "[::ffff:127.0.0.1]");
		ringo_close(l);
		l = (int)OK(ringo_tcp_listen("[::]:0", 10));
		talk(l, "127.0.0.1");
	}
	return 0;
}

LOCALHOST_TEST(names_and_services_are_looked_up)
{
	int l = (int)OK(ringo_tcp_listen("localhost:0", 10));

	talk(l, "localhost");
	/* Nobody listens there, or somebody does: both need the port's number. */
	l = ringo_tcp_dial("127.0.0.1:tcpmux");
	CHECK(l >= 0 || l == -ECONNREFUSED || access("/etc/services", R_OK));
	return 0;
}

static int v6_host_port(const char *port)
{
	char s[64];

	snprintf(s, sizeof(s), "localhost:%s", port);
	return ringo_tcp_dial(s);
}

/* localhost is ::1 and 127.0.0.1: whoever listens on one of them is found. */
LOCALHOST_TEST(all_addresses_are_tried)
{
	int l = (int)OK(ringo_tcp_listen("127.0.0.1:0", 10)), before = count_fds();
	char port[8];

	talk(l, "localhost");
	talk(l, "");
	snprintf(port, sizeof(port), "%d", port_of(l));
	CHECK_EQ(ringo_close(l), 0);
	CHECK_EQ(v6_host_port(port), -ECONNREFUSED);
	CHECK_EQ(count_fds(), before - 1);
	return 0;
}

G_TEST(what_is_no_host_and_port_is_refused)
{
	static const char *const bad[] = {
		"", "localhost", "127.0.0.1", "127.0.0.1:", "localhost:", ":", "::1", "::1:80", "a:b:c",
		"[::1]", "[::1]80", "[::1", "[::1:80", "127.0.0.1:65536", "127.0.0.1:99999999999999999999",
	};
	char longer[1000];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (ringo_tcp_dial(bad[i]) != -EINVAL || ringo_tcp_listen(bad[i], 1) != -EINVAL)
			check_failed(__FILE__, __LINE__, bad[i], ringo_tcp_dial(bad[i]), -EINVAL);
	}
	CHECK_EQ(ringo_tcp_dial(NULL), -EINVAL);
	CHECK_EQ(ringo_tcp_listen(NULL, 1), -EINVAL);
	memset(longer, 'a', sizeof(longer));
	strcpy(longer + 990, ":80");
	CHECK_EQ(ringo_tcp_dial(longer), -EINVAL);
	return 0;
}

G_TEST(failures_have_the_errno_of_their_cause)
{
	int l = (int)OK(ringo_tcp_listen("127.0.0.1:0", 10)), before = count_fds(), res;
	char target[64];

	res = ringo_tcp_dial("no-such-host.invalid:80");
	CHECK(res == -ENOENT || res == -EAGAIN); /* without a name server it may come to be later */
	CHECK_EQ(ringo_tcp_dial("127.0.0.1:no-such-service"), -ENOENT);
	CHECK_EQ(ringo_tcp_listen("198.51.100.1:0", 1), -EADDRNOTAVAIL);
	snprintf(target, sizeof(target), "127.0.0.1:%d", port_of(l));
	CHECK_EQ(ringo_tcp_listen(target, 1), -EADDRINUSE);
	CHECK_EQ(count_fds(), before);
	return 0;
}

LOCALHOST_TEST(getaddrinfo_gives_a_list)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_family = AF_INET }, *list = NULL;
	struct sockaddr_in *at;

	CHECK_EQ(ringo_getaddrinfo("localhost", "80", &hints, &list), 0);
	CHECK(list);
	at = (struct sockaddr_in *)list->ai_addr;
	CHECK_EQ(ntohl(at->sin_addr.s_addr), INADDR_LOOPBACK);
	CHECK_EQ(ntohs(at->sin_port), 80);
	freeaddrinfo(list);
	hints.ai_flags = AI_NUMERICHOST;
	CHECK_EQ(ringo_getaddrinfo("10.1.2.3", NULL, &hints, &list), 0);
	freeaddrinfo(list);
	list = NULL;
	CHECK_EQ(ringo_getaddrinfo("localhost", NULL, &hints, &list), EAI_NONAME);
	CHECK_EQ(ringo_getaddrinfo(NULL, NULL, &hints, &list), EAI_NONAME);
	hints.ai_flags = -1;
	CHECK_EQ(ringo_getaddrinfo("localhost", NULL, &hints, &list), EAI_BADFLAGS);
	hints.ai_flags = 0;
	hints.ai_family = 999;
	CHECK_EQ(ringo_getaddrinfo("localhost", NULL, &hints, &list), EAI_FAMILY);
	CHECK(!list);
	return 0;
}

static int looked_up;

static void look_up(void)
{
	for (int i = 0; i < 20; i++) {
		struct addrinfo *list;

		CHECK_EQ(ringo_getaddrinfo("localhost", NULL, NULL, &list), 0);
		freeaddrinfo(list);
	}
	ADD(&looked_up, 1);
}

LOCALHOST_TEST(many_look_up_at_the_same_time)
{
	for (int i = 0; i < 100; i++)
		OK(ringo_go(look_up));
	until(&looked_up, 100);
	return 0;
}

static void look_up_for_ever(void)
{
	for (;;) {
		struct addrinfo *list;

		if (!ringo_getaddrinfo("localhost", NULL, NULL, &list))
			freeaddrinfo(list);
	}
}

static int look_up_nothing(void *arg)
{
	(void)arg;
	return 0;
}

static int leaves_look_ups(void *arg)
{
	(void)arg;
	for (int i = 0; i < 10; i++)
		OK(ringo_go(look_up_for_ever));
	OK(ringo_sleep(3 * RINGO_MS));
	return 0;
}

TEST(the_end_of_the_run_finds_look_ups_under_way)
{
	NEEDS_LOCALHOST();
	for (int i = 0; i < 20; i++)
		ASSERT_EQ(0, ringo_run(leaves_look_ups, NULL));
	ASSERT_EQ(0, LEAKS());
}

static int job_first(void *arg)
{
	CHECK_EQ(ringo_blocking(look_up_nothing, NULL, NULL), 0);
	return leaves_look_ups(arg);
}

/* Which of the two hooks runs first at the end depends on who was used first. */
TEST(the_end_of_the_run_finds_look_ups_after_other_jobs)
{
	NEEDS_LOCALHOST();
	for (int i = 0; i < 20; i++)
		ASSERT_EQ(0, ringo_run(job_first, NULL));
	ASSERT_EQ(0, LEAKS());
}

static void dial_for_ever(struct sockaddr_in *at)
{
	char target[64];

	snprintf(target, sizeof(target), "127.0.0.1:%d", ntohs(at->sin_port));
	for (;;)
		if (ringo_tcp_dial(target) >= 0)
			OK(ringo_sleep(RINGO_SEC));
}

static int leaves_dials(void *arg)
{
	for (int i = 0; i < 10; i++)
		OK(ringo_go(dial_for_ever, (struct sockaddr_in *)arg));
	OK(ringo_sleep(20 * RINGO_MS));
	return 0;
}

TEST(the_end_of_the_run_closes_sockets_of_dials_under_way)
{
	struct sockaddr_in at;
	int l = listener(&at), before, after;

	listen(l, 0);
	ASSERT_EQ(0, ringo_run(leaves_dials, &at)); /* fills the queue: two get through, the rest wait */
	before = count_fds();
	ASSERT_EQ(0, ringo_run(leaves_dials, &at));
	after = count_fds();
	ASSERT_EQ(before, after);
}

TEST_HARNESS_MAIN
