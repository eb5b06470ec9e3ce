// SPDX-License-Identifier: MIT
/*
 * echo PORT CONNECTIONS SECONDS PID: closed-loop load on a TCP echo server, the same for all.
 *
 * Every connection has one request of 64 bytes under way; the answer is checked. After a warm-up
 * of a quarter of SECONDS the requests of SECONDS are counted, and the CPU time that all threads
 * of PID took meanwhile (in ns, from schedstat). A request is a send linked to a receive in one
 * ring with deferred completions: one system call per batch, so that one core of load suffices
 * for one of server.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <liburing.h>

#include "../listen.h"
#include "cputime.h"

#define SIZE 64
#define RING 4096

struct conn {
	int fd;
	char out[SIZE], in[SIZE];
};

static struct io_uring ring;

static struct io_uring_sqe *next_sqe(void)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	if (sqe)
		return sqe;
	io_uring_submit(&ring);
	return io_uring_get_sqe(&ring);
}

static void request(struct conn *c)
{
	struct io_uring_sqe *sqe;

	/* The pair must enter the ring in one submission. */
	if (io_uring_sq_space_left(&ring) < 2)
		io_uring_submit(&ring);
	sqe = next_sqe();
	io_uring_prep_send(sqe, c->fd, c->out, SIZE, MSG_NOSIGNAL | MSG_WAITALL);
	sqe->flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
	io_uring_sqe_set_data(sqe, NULL);
	sqe = next_sqe();
	io_uring_prep_recv(sqe, c->fd, c->in, SIZE, MSG_WAITALL);
	io_uring_sqe_set_data(sqe, c);
}

/* Serve completions until the time end; returns how many requests were answered. */
static long run_until(int64_t end)
{
	struct io_uring_cqe *cqe;
	long done = 0;

	while (bench_now() < end) {
		unsigned head, n = 0;

		io_uring_submit_and_wait(&ring, 1);
		io_uring_for_each_cqe(&ring, head, cqe) {
			struct conn *c = io_uring_cqe_get_data(cqe);

			n++;
			if (!c || cqe->res != SIZE || memcmp(c->in, c->out, SIZE)) {
				fprintf(stderr, "load: bad answer (%d)\n", cqe->res);
				exit(1);
			}
			done++;
			c->out[done % SIZE]++;
			request(c);
		}
		io_uring_cq_advance(&ring, n);
	}
	return done;
}

static void dial(struct conn *c, int port, long i)
{
	struct sockaddr_in a = bench_loopback(port);

	c->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&a, sizeof(a)))
		bench_die("connect");
	bench_nodelay(c->fd);
	memset(c->out, (int)i, SIZE);
}

int main(int argc, char **argv)
{
	struct io_uring_params p = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
	};
	long n = bench_arg(argc, argv, 2, 1), done;
	double seconds = argc > 3 ? strtod(argv[3], NULL) : 1;
	struct conn *conns = calloc((size_t)n, sizeof(*conns));
	uint64_t cpu;
	int64_t t0;

	if (argc != 5 || !conns)
		return 2;
	errno = -io_uring_queue_init_params(RING, &ring, &p);
	if (errno)
		bench_die("io_uring");
	io_uring_register_ring_fd(&ring);
	for (long i = 0; i < n; i++)
		dial(&conns[i], (int)bench_arg(argc, argv, 1, 0), i);
	for (long i = 0; i < n; i++)
		request(&conns[i]);
	run_until(bench_now() + (int64_t)(seconds * 1e9 / 4));
	cpu = cpu_ns(argv[4]);
	t0 = bench_now();
	done = run_until(t0 + (int64_t)(seconds * 1e9));
	t0 = bench_now() - t0;
	cpu = cpu_ns(argv[4]) - cpu;
	bench_report("cpu_ns", (double)cpu / (double)done);
	bench_report("per_s", (double)done * 1e9 / (double)t0);
	return 0;
}
