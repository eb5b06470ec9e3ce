// SPDX-License-Identifier: MIT
/*
 * observed WORKLOAD N FILE SOCKET: what observe.py has others look at. N goroutines are parked on a channel, and
 * one unit of work is done after the other until the process is killed; how many is a 64-bit number at the start
 * of FILE. SOCKET is where the debug endpoint listens.
 *
 *   pingpong  a unit is a round trip between two goroutines: the runtime's own code, all in the cache
 *   walk      a unit wakes one of the parked ones, each in turn: stacks and records long out of the cache
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "workload.h"

static struct ringo_chan *crowd, *ping, *pong;
static uint64_t *units;
static long many;
static const char *endpoint;

static void parked(void)
{
	for (;;)
		must(ringo_chan_recv(crowd, NULL), "receive");
}

static void partner(void)
{
	for (;;) {
		must(ringo_chan_recv(ping, NULL), "receive");
		must(ringo_chan_send(pong, NULL), "send");
	}
}

static void pingpong(void)
{
	must(ringo_chan_send(ping, NULL), "send");
	must(ringo_chan_recv(pong, NULL), "receive");
}

static void walk(void)
{
	must(ringo_chan_send(crowd, NULL), "send");
	ringo_yield();
}

static const struct workload {
	const char *name;
	void (*unit)(void);
} workloads[] = { { "pingpong", pingpong }, { "walk", walk } };

static struct ringo_chan *chan(void)
{
	struct ringo_chan *c = ringo_chan_new(0, 0);

	if (!c)
		must(-ENOMEM, "channel");
	return c;
}

static int observed(void *arg)
{
	struct ringo_stats s = { .size = sizeof(s) };
	const struct workload *w = arg;

	crowd = chan();
	ping = chan();
	pong = chan();
	for (long i = 0; i < many; i++)
		must(ringo_go(parked), "spawn");
	must(ringo_go(partner), "spawn");
	do {
		must(ringo_sleep(RINGO_MS), "sleep");
		must(ringo_stats_get(&s), "stats");
	} while (s.waiting < (uint64_t)many + 1);
	must(ringo_debug_serve(endpoint), "debug endpoint");
	for (;;) {
		w->unit();
		__atomic_store_n(units, *units + 1, __ATOMIC_RELAXED);
	}
	return 0;
}

static void map_units(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, sizeof(*units)))
		bench_die(path);
	units = mmap(NULL, sizeof(*units), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (units == MAP_FAILED)
		bench_die(path);
	close(fd);
}

int main(int argc, char **argv)
{
	struct ringo_options opt = RINGO_OPTIONS(.flags = RINGO_RUN_CANARY);

	many = bench_arg(argc, argv, 2, 1000000);
	for (size_t i = 0; argc == 5 && i < sizeof(workloads) / sizeof(*workloads); i++) {
		if (strcmp(argv[1], workloads[i].name))
			continue;
		map_units(argv[3]);
		endpoint = argv[4];
		must(ringo_run_opt(observed, (void *)&workloads[i], &opt), "ringo_run");
	}
	return 2;
}
