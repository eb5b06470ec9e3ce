// SPDX-License-Identifier: MIT
/*
 * paced PORT CONNECTIONS RATE SECONDS PID [HOGS]: open-loop load on a TCP echo server.
 *
 * RATE requests of 64 bytes a second come at random times (a Poisson process), whether earlier ones
 * have been answered or not; one for which no connection is free waits for one. The latency counts
 * from the time at which a request was due. Those not answered at the end count with what they have
 * waited until then.
 *
 * This program never sleeps. When it gets no CPU for a while, that is not the server's doing:
 * requests that were due meanwhile count from their sending, and an answer is not counted if it may
 * have come in such a while that is longer than a tenth of its latency.
 *
 * HOGS is the file of spin.h: beside the requests the server computes. What its hogs do in a time
 * without requests gives their speed, and with that what they have of the CPU: of what the server's
 * CPU had left for it, that is, of its own CPU time and the idle time.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <math.h>
#include <sched.h>
#include <sys/epoll.h>

#include "../listen.h"
#include "../spin.h"
#include "cputime.h"

#define SIZE 64
#define CONNS_MAX 1024
#define QUEUE 65536
#define STALL 100000

static struct {
	int fd;
	int64_t due; /* of the request under way; 0: none */
} conns[CONNS_MAX];

static int64_t queue[QUEUE]; /* times at which requests were due for which no connection was free */
static unsigned head, tail;
static int idle[CONNS_MAX], n_idle;

static int64_t *latency, since;
static long n_latency, latency_max;
static int poller;
static double period;
static unsigned short seed[3] = { 1, 2, 3 };

static const char *pid;
static const struct bench_hog *hogs;

static void note(int64_t due, int64_t now)
{
	if (due >= since && n_latency < latency_max)
		latency[n_latency++] = now - due;
}

static void send_pending(void)
{
	char request[SIZE] = { 0 };

	while (n_idle && head != tail) {
		int i = idle[--n_idle];

		conns[i].due = queue[head++ % QUEUE];
		if (send(conns[i].fd, request, SIZE, MSG_NOSIGNAL) != SIZE)
			bench_die("send");
	}
}

static void receive(int64_t stall)
{
	struct epoll_event events[CONNS_MAX];
	int n = epoll_wait(poller, events, CONNS_MAX, 0);
	int64_t now = bench_now();
	char answer[SIZE];

	for (int i = 0; i < n; i++) {
		int c = (int)events[i].data.u32;

		if (recv(conns[c].fd, answer, SIZE, MSG_WAITALL) != SIZE)
			bench_die("receive");
		if (stall < STALL || stall < (now - conns[c].due) / 10)
			note(conns[c].due, now);
		conns[c].due = 0;
		idle[n_idle++] = c;
	}
}

static void run_until(int64_t end)
{
	int64_t now = bench_now(), last = now;
	double next = (double)now;

	while (now < end) {
		int64_t stall = now - last;

		while (next <= (double)now && tail - head < QUEUE) {
			queue[tail++ % QUEUE] = stall < STALL ? (int64_t)next : now;
			next -= log(1 - erand48(seed)) * period;
		}
		send_pending();
		last = now;
		receive(stall);
		now = bench_now();
	}
}

static void dial(int port, int i)
{
	struct sockaddr_in a = bench_loopback(port);
	struct epoll_event e = { .events = EPOLLIN, .data.u32 = (uint32_t)i };

	conns[i].fd = socket(AF_INET, SOCK_STREAM, 0);
	if (conns[i].fd < 0 || connect(conns[i].fd, (struct sockaddr *)&a, sizeof(a)) ||
	    epoll_ctl(poller, EPOLL_CTL_ADD, conns[i].fd, &e))
		bench_die("connect");
	bench_nodelay(conns[i].fd);
	idle[n_idle++] = i;
}

/* ---- what the hogs have ---- */

struct sample {
	double chunks, cpu, idle; /* the last two in ns */
};

static double chunks_done(void)
{
	uint64_t sum = 0;

	for (int i = 0; i < HOGS_MAX; i++)
		sum += __atomic_load_n(&hogs[i].chunks, __ATOMIC_RELAXED);
	return (double)sum;
}

/* Of the first CPU that the server may use. */
static double idle_ns(void)
{
	FILE *f = fopen("/proc/stat", "r");
	char line[256], name[16];
	double idles, waits, ns = 0;
	cpu_set_t set;
	int cpu = 0;

	if (sched_getaffinity(atoi(pid), sizeof(set), &set) || !f)
		bench_die(pid);
	while (!CPU_ISSET(cpu, &set))
		cpu++;
	snprintf(name, sizeof(name), "cpu%d ", cpu);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)) &&
		    sscanf(line, "%*s %*s %*s %*s %lf %lf", &idles, &waits) == 2)
			ns = (idles + waits) * 1e9 / (double)sysconf(_SC_CLK_TCK);
	fclose(f);
	return ns;
}

static struct sample sample(void)
{
	return (struct sample){ chunks_done(), (double)cpu_ns(pid), idle_ns() };
}

static void spin_until(int64_t end)
{
	while (bench_now() < end)
		bench_spin(10000);
}

/* Chunks per ns of CPU time. */
static double hog_speed(void)
{
	struct sample a, b;

	spin_until(bench_now() + 300000000);
	a = sample();
	spin_until(bench_now() + 400000000);
	b = sample();
	return (b.chunks - a.chunks) / (b.cpu - a.cpu);
}

/* ---- */

static void report(double seconds, int64_t now)
{
	for (long i = 0; i < CONNS_MAX; i++)
		if (conns[i].due)
			note(conns[i].due, now);
	while (head != tail)
		note(queue[head++ % QUEUE], now);
	if (!n_latency)
		exit(1);
	qsort(latency, (size_t)n_latency, sizeof(*latency), bench_later);
	bench_report("p50_us", (double)latency[n_latency / 2] / 1000);
	bench_report("p99_us", (double)latency[n_latency * 99 / 100] / 1000);
	bench_report("per_s", (double)n_latency / seconds);
}

static void measure(double seconds)
{
	double speed = hogs ? hog_speed() : 0;
	struct sample a = { 0 }, b;
	uint64_t cpu;

	run_until(bench_now() + 300000000);
	if (hogs)
		a = sample();
	cpu = cpu_ns(pid);
	since = bench_now();
	run_until(since + (int64_t)(seconds * 1e9));
	cpu = cpu_ns(pid) - cpu;
	if (hogs) {
		b = sample();
		bench_report("hog_pct", 100 * (b.chunks - a.chunks) / speed /
						(b.cpu - a.cpu + b.idle - a.idle));
	}
	report(seconds, bench_now());
	bench_report("cpu_ns", (double)cpu / (double)n_latency);
}

int main(int argc, char **argv)
{
	long n = bench_arg(argc, argv, 2, 1), rate = bench_arg(argc, argv, 3, 1);
	double seconds = argc > 4 ? strtod(argv[4], NULL) : 1;

	if (argc < 6 || n > CONNS_MAX || rate < 1)
		return 2;
	pid = argv[5];
	hogs = argc > 6 ? bench_hogs(argv[6]) : NULL;
	period = 1e9 / (double)rate;
	latency_max = (long)(seconds * (double)rate * 1.5) + 1000;
	latency = calloc((size_t)latency_max, sizeof(*latency));
	poller = epoll_create1(EPOLL_CLOEXEC);
	since = INT64_MAX;
	if (!latency || poller < 0)
		bench_die("epoll");
	for (int i = 0; i < n; i++)
		dial((int)bench_arg(argc, argv, 1, 0), i);
	measure(seconds);
	return 0;
}
