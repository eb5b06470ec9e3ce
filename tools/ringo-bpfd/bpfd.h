/* SPDX-License-Identifier: MIT */
/* The parts of ringo-bpfd: main.c the options and the loop, client.c who is served, load.c the programs. */
#ifndef RINGO_BPFD_H
#define RINGO_BPFD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct bpfd_options {
	const char *socket;
	unsigned mode;
	unsigned tick_us;  /* the shortest tick, 0 only the kernel's own */
	unsigned clients;
	unsigned per_user;
	bool verbose;
	bool check;
};

extern struct bpfd_options bpfd;

/* A line on stderr; the second only with --verbose. */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void tell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

int64_t now_ms(void);

/* ---- load.c: all return 0 or -errno ---- */

/* Load the programs: why that fails is said. */
int load_programs(void);
void unload_programs(void);

/* From the first client until a while after the last. */
int attach_programs(void);
void detach_programs(void);

/* The maps of client number id. The two descriptors are the caller's. */
int maps_new(uint32_t id, int *pages, int *ring);
void maps_drop(uint32_t id);

/* They are made already, so that takes no time. */
bool maps_ready(uint32_t id);

/* Its control page is to say whether ticks come as often as it was told. */
void maps_ticks(uint32_t id, bool on);

/* When a tick last found somebody of it waiting; as now_ms. */
int64_t wanted_at(uint32_t id);

/* Thread tid of process tgid is the M of this page of the client. -EBUSY: it is another one's. */
int m_add(uint32_t id, uint32_t page, uint32_t tgid, uint32_t tid);
void m_drop(uint32_t id, uint32_t tid);

/* How long it is between ticks for who wants them as often as this, in microseconds. */
uint32_t tick_for(uint32_t wanted_us);

/* Ticks as often as that from now on; 0 or more than the kernel's own period: only those. */
void ticks_set(uint32_t tick_us);

/* ---- client.c ---- */

int clients_init(int epoll);

/* A connection on the listening socket. */
void client_accept(int listener);

/* What epoll said of a client. */
void client_event(uint64_t data, uint32_t events);

/* What is due by time; milliseconds until something is, or -1. */
int clients_due(void);

void clients_drop_all(void);

#endif
