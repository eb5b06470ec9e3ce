// SPDX-License-Identifier: MIT
/*
 * A response that is never read to its end. The client has seen the status and loses interest; the server's
 * goroutine waits in a write until the buffers have room, which is never. Each request costs a goroutine, two
 * descriptors and the buffers of the kernel.
 *
 *   $ response_not_drained
 *   goroutine profile: total 11
 *   10 @ 0x...
 *   # [io, ...] entry respond, created by ...
 *
 * Cure: read to the end and use the connection again, or close it: then the server's write fails. And
 * a server gives its writes a deadline: not all clients have read this.
 *
 *   $ response_not_drained cure
 *   10 responses, 0 goroutines left
 */
#include <ringo.h>
#include <stdio.h>

static void respond(int fd)
{
	static const char response[1 << 20] = "HTTP/1.1 200 OK\r\n";

	if (ringo_write_all(fd, response, sizeof(response)) < 0)
		fprintf(stderr, "the client has gone\n");
	ringo_close(fd);
}

/* A connection that brings a response of 1 MiB. */
static int ask(void)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) || ringo_go(respond, pair[1]))
		ringo_panic("no connection");
	return pair[0];
}

static int ok(const char *head)
{
	int status = 0;

	return sscanf(head, "HTTP/1.1 %d", &status) == 1 && status == 200;
}

static int status_only(void)
{
	char buf[4096] = "";
	int fd = ask();

	return ringo_read(fd, buf, sizeof(buf) - 1) > 0 && ok(buf);
}

static int whole(void)
{
	char buf[4096] = "", rest[4096];
	int fd = ask();
	ssize_t n;

	ringo_defer(ringo_close, fd);
	n = ringo_read(fd, buf, sizeof(buf) - 1);
	while (n > 0)
		n = ringo_read(fd, rest, sizeof(rest));
	return n == 0 && ok(buf);
}

static int mistake(void *arg)
{
	(void)arg;
	for (int i = 0; i < 10; i++)
		if (!status_only())
			return 1;
	ringo_sleep(300 * RINGO_MS);
	return ringo_dump(1, RINGO_DUMP_GROUPED);
}

static int cure(void *arg)
{
	struct ringo_leaks before;
	int good = 0;

	(void)arg;
	ringo_leak_snapshot(&before);
	for (int i = 0; i < 10; i++)
		good += whole();
	printf("%d responses, %d goroutines left\n", good, ringo_leak_verify(&before, 30 * RINGO_SEC, 1));
	return 0;
}

int main(int argc, char **argv)
{
	(void)argv;
	return ringo_run(argc > 1 ? cure : mistake, NULL);
}
