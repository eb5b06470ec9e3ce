// SPDX-License-Identifier: MIT
/*
 * The programs of bpf/ and their maps; ticks more frequent than the kernel's own.
 *
 * The programs are loaded once and attached while there are clients: sched_switch costs everybody's switches
 * a little. Each client's maps are made for it and stand in the maps of maps under its number. To put them there
 * takes the kernel a grace period each, some 10 ms, and so does taking them out, and so does attaching. So a
 * thread makes some in advance, and takes old ones out; all else is done by the main thread.
 *
 * A perf event per CPU makes the short ticks. No program hangs on it: its timer's expiry is what the tick
 * program sees. Events are open from their first use on, but run only while somebody waits.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "bpf/limits.h"
#include "bpfd.h"
#include "bpfd.skel.h"
#include "kmod/uapi/ringo.h"

enum { STOCK = 2 };

static struct bpfd *skel;
/* Maps of a client, from their making to their end. */
static struct place {
	enum {
		EMPTY,
		OURS,   /* the tailor's, just now */
		READY,  /* new ones are there */
		SERVED, /* those of a client */
		OLD,    /* those of a former one */
	} state;
	int pages, ring; /* when READY */
	struct ringo_ctl_page *ctl; /* when SERVED */
} places[RG_BPF_CLIENTS];

/* The thread that makes maps in advance. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t wanted, done;
	pthread_t thread;
	bool up, stop;
	int failed; /* not to be tried again, until somebody needs one */
} tailor = { .lock = PTHREAD_MUTEX_INITIALIZER, .wanted = PTHREAD_COND_INITIALIZER,
	     .done = PTHREAD_COND_INITIALIZER };

static unsigned bits[RG_BPF_FILTER]; /* how many registered threads have each bit of the filter */

static struct {
	int *fds; /* one per CPU; -1: none there */
	int n;
	bool tried;
	uint32_t us; /* 0: they do not run */
} ticks;

static int tailor_start(void);
static void tailor_end(void);

static int print(enum libbpf_print_level level, const char *fmt, va_list args)
{
	if (!bpfd.verbose || level == LIBBPF_DEBUG)
		return 0;
	return vfprintf(stderr, fmt, args);
}

/* The programs know threads by their numbers in the first pid namespace. */
static bool in_first_pid_ns(void)
{
	char link[64];
	ssize_t n = readlink("/proc/self/ns/pid", link, sizeof(link) - 1);

	if (n < 0)
		return true; /* no /proc: nobody has made namespaces either */
	link[n] = '\0';
	return !strcmp(link, "pid:[4026531836]");
}

int load_programs(void)
{
	int err;

	libbpf_set_print(print);
	if (!in_first_pid_ns()) {
		say("this is a pid namespace of its own, in which threads have other numbers than the kernel "
		    "uses: start it outside of the container");
		return -EINVAL;
	}
	skel = bpfd__open();
	err = skel ? bpfd__load(skel) : -errno;
	if (!err)
		return bpfd.check ? 0 : tailor_start();
	say("the programs cannot be loaded (%s): %s", strerror(-err),
	    err == -EPERM || err == -EACCES ? "the capabilities CAP_BPF and CAP_PERFMON are needed" :
					      "--verbose shows why; Linux 6.1 with BTF is needed");
	unload_programs();
	return err;
}

void unload_programs(void)
{
	tailor_end();
	for (int i = 0; i < ticks.n; i++)
		if (ticks.fds[i] >= 0)
			close(ticks.fds[i]);
	free(ticks.fds);
	memset(&ticks, 0, sizeof(ticks));
	bpfd__destroy(skel);
	skel = NULL;
}

int attach_programs(void)
{
	int err = bpfd__attach(skel);

	if (!err) {
		tell("attached");
		return 0;
	}
	say("the programs cannot be attached (%s)", strerror(-err));
	bpfd__detach(skel);
	return err;
}

void detach_programs(void)
{
	bpfd__detach(skel);
	tell("detached");
}

/* ---- maps ---- */

static int put(const struct bpf_map *outer, uint32_t id, int fd)
{
	return bpf_map__update_elem(outer, &id, sizeof(id), &fd, sizeof(fd), BPF_ANY);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* New maps, in the place of those that were there: of a place that is OURS. 0 or -errno. */
static int prepare(uint32_t id, int *pages, int *ring)
{
	LIBBPF_OPTS(bpf_map_create_opts, mappable, .map_flags = BPF_F_MMAPABLE);
	int err;

	*pages = bpf_map_create(BPF_MAP_TYPE_ARRAY, "ringo_pages", sizeof(uint32_t), RG_BPF_PAGE,
				RG_BPF_PAGES, &mappable);
	*ring = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "ringo_notices", 0, 0, RG_BPF_RING, NULL);
	err = *pages < 0 ? *pages : *ring < 0 ? *ring : 0;
	if (!err)
		err = put(skel->maps.pages, id, *pages);
	if (!err)
		err = put(skel->maps.rings, id, *ring);
	if (err) {
		close_fd(pages);
		close_fd(ring);
	}
	return err;
}

static void clear(uint32_t id)
{
	bpf_map__delete_elem(skel->maps.pages, &id, sizeof(id), 0);
	bpf_map__delete_elem(skel->maps.rings, &id, sizeof(id), 0);
}

/* What the tailor is to do next: a place to prepare or to clear; NULL: nothing. Under the lock. */
static struct place *next_work(bool *is_old)
{
	struct place *old = NULL, *empty = NULL;
	unsigned ready = 0;

	for (uint32_t id = 0; id < RG_BPF_CLIENTS; id++) {
		struct place *p = &places[id];

		ready += p->state == READY;
		if (p->state == OLD)
			old = p;
		else if (p->state == EMPTY && !empty)
			empty = p;
	}
	*is_old = ready >= STOCK;
	return *is_old ? old : old ? old : empty;
}

static void work_on(struct place *p, bool is_old)
{
	uint32_t id = (uint32_t)(p - places);
	int pages = -1, ring = -1, err = 0;

	p->state = OURS;
	pthread_mutex_unlock(&tailor.lock);
	if (is_old)
		clear(id);
	else
		err = prepare(id, &pages, &ring);
	pthread_mutex_lock(&tailor.lock);
	p->pages = pages;
	p->ring = ring;
	p->state = is_old || err ? EMPTY : READY;
	tailor.failed |= err;
	pthread_cond_broadcast(&tailor.done);
}

static void *tailor_main(void *arg)
{
	pthread_mutex_lock(&tailor.lock);
	while (!tailor.stop) {
		bool is_old;
		struct place *p = tailor.failed ? NULL : next_work(&is_old);

		if (p)
			work_on(p, is_old);
		else
			pthread_cond_wait(&tailor.wanted, &tailor.lock);
	}
	pthread_mutex_unlock(&tailor.lock);
	return arg;
}

static int tailor_start(void)
{
	int err = pthread_create(&tailor.thread, NULL, tailor_main, NULL);

	tailor.up = !err;
	return -err;
}

static void tailor_end(void)
{
	if (!tailor.up)
		return;
	pthread_mutex_lock(&tailor.lock);
	tailor.stop = true;
	pthread_cond_signal(&tailor.wanted);
	pthread_mutex_unlock(&tailor.lock);
	pthread_join(tailor.thread, NULL);
}

/* The place has new maps. Under the lock. */
static int make_ready(uint32_t id)
{
	struct place *p = &places[id];
	int err;

	while (p->state == OURS)
		pthread_cond_wait(&tailor.done, &tailor.lock);
	if (p->state == READY)
		return 0;
	err = prepare(id, &p->pages, &p->ring);
	p->state = err ? EMPTY : READY;
	return err;
}

static int map_ctl(struct place *p)
{
	void *ctl = mmap(NULL, RG_BPF_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, p->pages, 0);

	if (ctl == MAP_FAILED)
		return -errno;
	p->ctl = ctl;
	return 0;
}

int maps_new(uint32_t id, int *pages, int *ring)
{
	struct place *p = &places[id];
	int err;

	pthread_mutex_lock(&tailor.lock);
	err = make_ready(id);
	if (!err)
		err = map_ctl(p);
	if (!err) {
		p->state = SERVED;
		*pages = p->pages;
		*ring = p->ring;
		skel->bss->wanted[id] = 0;
	}
	tailor.failed = 0; /* it may go better now */
	pthread_cond_signal(&tailor.wanted);
	pthread_mutex_unlock(&tailor.lock);
	return err;
}

void maps_drop(uint32_t id)
{
	munmap(places[id].ctl, RG_BPF_PAGE);
	pthread_mutex_lock(&tailor.lock);
	places[id].state = OLD;
	pthread_cond_signal(&tailor.wanted);
	pthread_mutex_unlock(&tailor.lock);
}

bool maps_ready(uint32_t id)
{
	return __atomic_load_n(&places[id].state, __ATOMIC_RELAXED) == READY;
}

void maps_ticks(uint32_t id, bool on)
{
	__atomic_store_n(&places[id].ctl->ticks, on, __ATOMIC_RELAXED);
}

int64_t wanted_at(uint32_t id)
{
	return (int64_t)(__atomic_load_n(&skel->bss->wanted[id], __ATOMIC_RELAXED) / 1000000);
}

static void filter_set(uint32_t tid, int by)
{
	const uint32_t bit = tid % RG_BPF_FILTER;
	const uint64_t mask = UINT64_C(1) << bit % 64;
	__u64 *word = (__u64 *)&skel->bss->filter[bit / 64];

	bits[bit] += (unsigned)by;
	/* Programs run meanwhile, on other CPUs: but the words have no other writer. */
	__atomic_store_n(word, bits[bit] ? *word | mask : *word & ~mask, __ATOMIC_SEQ_CST);
}

int m_add(uint32_t id, uint32_t page, uint32_t tgid, uint32_t tid)
{
	struct rg_bpf_m m = { .client = id, .page = page, .tgid = tgid }, old;
	int err = bpf_map__lookup_elem(skel->maps.ms, &tid, sizeof(tid), &old, sizeof(old), 0);

	if (!err && old.client != id)
		return -EBUSY;
	filter_set(tid, 1); /* first: the programs forget only whom they look for */
	err = bpf_map__update_elem(skel->maps.ms, &tid, sizeof(tid), &m, sizeof(m), BPF_ANY);
	if (err)
		filter_set(tid, -1);
	return err;
}

void m_drop(uint32_t id, uint32_t tid)
{
	struct rg_bpf_m m;

	/* It may have ended, and its number be registered by another client. */
	if (!bpf_map__lookup_elem(skel->maps.ms, &tid, sizeof(tid), &m, sizeof(m), 0) && m.client == id)
		bpf_map__delete_elem(skel->maps.ms, &tid, sizeof(tid), 0);
	filter_set(tid, -1);
}

/* ---- ticks ---- */

static uint32_t kernel_tick_us(void)
{
	struct timespec ts;

	clock_getres(CLOCK_MONOTONIC_COARSE, &ts); /* is one tick */
	return (uint32_t)(ts.tv_nsec / 1000);
}

static int open_event(int cpu)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr), .type = PERF_TYPE_SOFTWARE, .config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = UINT64_C(1000) * kernel_tick_us(), .disabled = 1, .exclude_idle = 1,
	};

	return (int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
}

/* True if there is an event on some CPU at least: one that is offline has none. */
static bool open_events(void)
{
	int open = 0, err = 0;

	ticks.tried = true;
	ticks.n = (int)sysconf(_SC_NPROCESSORS_CONF);
	ticks.fds = calloc((size_t)ticks.n, sizeof(*ticks.fds));
	if (!ticks.fds)
		ticks.n = 0;
	for (int i = 0; i < ticks.n; i++) {
		ticks.fds[i] = open_event(i);
		if (ticks.fds[i] >= 0)
			open++;
		else
			err = errno;
	}
	if (!open)
		say("no perf events (%s): quanta are at least the kernel's own tick", strerror(err));
	return open;
}

uint32_t tick_for(uint32_t wanted_us)
{
	const uint32_t own = kernel_tick_us();
	uint32_t us = wanted_us > bpfd.tick_us ? wanted_us : bpfd.tick_us;

	if (!bpfd.tick_us || us >= own)
		return own;
	if (!ticks.tried)
		open_events();
	for (int i = 0; i < ticks.n; i++)
		if (ticks.fds[i] >= 0)
			return us;
	return own;
}

static void tick_on(int fd, uint32_t us)
{
	uint64_t period = UINT64_C(1000) * us;

	ioctl(fd, PERF_EVENT_IOC_PERIOD, &period);
	ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
}

void ticks_set(uint32_t tick_us)
{
	if (tick_us >= kernel_tick_us())
		tick_us = 0;
	if (tick_us == ticks.us)
		return;
	for (int i = 0; i < ticks.n; i++) {
		if (ticks.fds[i] < 0)
			continue;
		if (tick_us)
			tick_on(ticks.fds[i], tick_us);
		else
			ioctl(ticks.fds[i], PERF_EVENT_IOC_DISABLE, 0);
	}
	ticks.us = tick_us;
	tell("ticks every %u us", tick_us ? tick_us : kernel_tick_us());
}
