/* SPDX-License-Identifier: MIT */
/*
 * The two tiers that take a P in the kernel, ringo-bpfd with its programs and the kernel module, as their tests see
 * them: what differs between them is a struct tier. The rest is here: a client by hand, without the library, and
 * threads that behave as an M does towards their page.
 */
#ifndef RINGO_TESTS_TIER_CLIENT_H
#define RINGO_TESTS_TIER_CLIENT_H

#include <poll.h>
#include <sys/mman.h>

#include "../run/help.h"
#include "kmod/uapi/ringo.h"

#define US INT64_C(1000)
#define MS INT64_C(1000000)

enum { PAGE = 4096, HEAD = 8 };

struct client;

/* Functions return 0 or -errno. */
struct tier {
	const char *name;         /* as in RINGO_PREEMPT */
	uint64_t number;          /* as in ringo_stats_get() */
	const char *(*begin)(void); /* so that there can be clients; why there can be none here */
	int (*end)(void);         /* nobody uses it any more */

	/* For a client by hand. */
	int (*open)(struct client *c, uint32_t quantum_us);
	int (*add)(struct client *c, uint32_t page); /* the calling thread */
	int (*remove)(struct client *c);
	int (*watch)(struct client *c);
	uint32_t (*least_tick_us)(void);

	/* For the library. */
	const char *(*door)(void);    /* what it opens */
	const char *refused;          /* what it says where that fails, before the error in brackets */
	uint32_t (*few_pages)(void);  /* begins anew with few of them; how many, 0: it cannot */
	int (*lose)(unsigned nth);    /* in mid-run, in one way or another */
	const char *lost;             /* what the library says then */
};

/* ---- a client ---- */

struct client {
	const struct tier *tier;
	int fd;
	int pages_fd, ring_fd;
	struct ringo_setup setup; /* what was answered; ring_at is in the file ring_fd */
	uint32_t mapped;          /* pages */
	char *pages;
	uint64_t *reader;         /* of the ring */
	char *writer;             /* the data comes after its page */
};

static inline void *dev_map(int fd, uint32_t page, uint32_t n, int prot)
{
	void *p = mmap(NULL, (size_t)n * PAGE, prot, MAP_SHARED, fd, (off_t)page * PAGE);

	return p == MAP_FAILED ? NULL : p;
}

/* Of the client that this process opened last. */
static char *pages_at;

static inline struct ringo_ctl_page *ctl(void)
{
	return (struct ringo_ctl_page *)pages_at;
}

static inline struct ringo_m_page *page(uint32_t n)
{
	return (struct ringo_m_page *)(pages_at + (size_t)PAGE * n);
}

/* For a tier's open, which knows all the rest by now. */
static inline void client_map(struct client *c, uint32_t pages)
{
	c->mapped = pages;
	c->pages = dev_map(c->pages_fd, 0, pages, PROT_READ | PROT_WRITE);
	c->reader = dev_map(c->ring_fd, c->setup.ring_at, 1, PROT_READ | PROT_WRITE);
	c->writer = dev_map(c->ring_fd, c->setup.ring_at + 1, 1 + c->setup.ring / PAGE, PROT_READ);
	CHECK(c->pages && c->reader && c->writer);
	pages_at = c->pages;
}

static inline int client_begin(const struct tier *tier, struct client *c, uint32_t quantum_us)
{
	int err;

	*c = (struct client){ .tier = tier, .fd = -1 };
	err = tier->open(c, quantum_us);
	if (!err)
		ctl()->quantum = (uint32_t)(quantum_us * US >> 10);
	return err;
}

static inline void client_close(struct client *c)
{
	munmap(c->pages, (size_t)c->mapped * PAGE);
	munmap(c->reader, PAGE);
	munmap(c->writer, PAGE + c->setup.ring);
	if (c->pages_fd != c->fd)
		close(c->pages_fd);
	if (c->ring_fd != c->fd)
		close(c->ring_fd);
	close(c->fd);
}

/* The next notice: false if there is none within so many ms. */
static inline bool client_notice(struct client *c, struct ringo_notice *n, int timeout_ms)
{
	const uint32_t busy = 1u << 31, discarded = 1u << 30;
	struct pollfd p = { .fd = c->ring_fd, .events = POLLIN };

	for (;;) {
		uint64_t at = *c->reader;
		uint32_t *head = (uint32_t *)(c->writer + PAGE + at % c->setup.ring), len;

		if (at == LOAD((uint64_t *)c->writer)) {
			if (poll(&p, 1, timeout_ms) <= 0)
				return false;
			continue;
		}
		len = LOAD(head);
		if (len & busy)
			continue;
		memcpy(n, (char *)head + HEAD, sizeof(*n));
		STORE(c->reader, at + (((len & ~discarded) + HEAD + 7) & ~7u));
		if (!(len & discarded))
			return true;
	}
}

/* Somebody waits, from now on or no longer. */
static inline void watch(struct client *c, bool on)
{
	STORE(&ctl()->watch, (uint32_t)on);
	if (on)
		CHECK_EQ(0, c->tier->watch(c));
}

/* ---- threads ---- */

/* A thread that runs fn and is page number n of the client. */
struct mock {
	struct client *c;
	uint32_t n;
	void (*fn)(struct mock *m);
	const void *arg;
	int err;
	uint32_t up;
	bool stop;
	pthread_t thread;
};

static inline struct ringo_m_page *own_page(struct mock *m)
{
	return page(m->n);
}

/* What the switch of goroutines does: one store, which takes the tick's mark away. */
static inline void now_runs(struct mock *m, uint32_t g)
{
	STORE((uint64_t __attribute__((may_alias)) *)&own_page(m)->cur_g, (uint64_t)g);
}

static inline void *m_main(void *arg)
{
	struct mock *m = arg;

	memset(own_page(m), 0, sizeof(*own_page(m)));
	m->err = m->c->tier->add(m->c, m->n);
	STORE(&own_page(m)->p, m->n);
	STORE(&own_page(m)->in_rt, 0);
	now_runs(m, 1);
	STORE(&m->up, 1);
	m->fn(m);
	now_runs(m, 0);
	if (!m->err)
		CHECK_EQ(0, m->c->tier->remove(m->c));
	return NULL;
}

static inline void m_start(struct mock *m, struct client *c, uint32_t n, void (*fn)(struct mock *))
{
	*m = (struct mock){ .c = c, .n = n, .fn = fn, .arg = m->arg };
	CHECK_EQ(0, pthread_create(&m->thread, NULL, m_main, m));
	while (!LOAD(&m->up))
		sched_yield();
	CHECK_EQ(0, m->err);
}

static inline void m_join(struct mock *m)
{
	STORE(&m->stop, true);
	pthread_join(m->thread, NULL);
}

/* Spins for that long, and tells whether page n has lost its P. */
static inline bool taken_within(uint32_t n, int64_t ns)
{
	int64_t until = now_ns() + ns;

	while (now_ns() < until)
		if (LOAD(&page(n)->revoked) == RINGO_REVOKED_TAKEN)
			return true;
	return false;
}

#endif
