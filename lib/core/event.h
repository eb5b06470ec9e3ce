/* SPDX-License-Identifier: MIT */
/*
 * Events for recorders: kmod/uapi/ringo_events.h. See event.c.
 *
 * RG_EVENT is a probe (base/usdt.h) and a record, of the same values; RG_RECORD the record alone. While nobody wants
 * events each is a look at one byte, and a switch does not even that: it looks at rt.watched anyway.
 */
#ifndef RG_CORE_EVENT_H
#define RG_CORE_EVENT_H

#include <stdint.h>

#include "base/atomic.h"
#include "base/usdt.h"
#include "core/rt.h"
#include "kmod/uapi/ringo_events.h"

/* g, what and more: see RINGO_EVENT_*; g may be NULL. m: the caller's; NULL for a thread that is no M. */
void rg_event(struct m *m, uint32_t kind, const struct g *g, uint64_t what, uint64_t more);

#define RG_RECORD(m, kind, g, what, more) \
	do { \
		if (unlikely(rg_is_wanted(events))) \
			rg_event(m, RINGO_EVENT_##kind, g, (uint64_t)(what), (uint64_t)(more)); \
	} while (0)

#define RG_EVENT2(probe, m, kind, g, what) \
	do { \
		RG_USDT(probe, g, what); \
		RG_RECORD(m, kind, g, what, 0); \
	} while (0)
#define RG_EVENT3(probe, m, kind, g, what, more) \
	do { \
		RG_USDT(probe, g, what, more); \
		RG_RECORD(m, kind, g, what, (uint32_t)(more)); \
	} while (0)
#define RG_EVENT_PICK(a, b, macro, ...) macro
#define RG_EVENT(probe, m, kind, g, ...) \
	RG_EVENT_PICK(__VA_ARGS__, RG_EVENT3, RG_EVENT2, 0)(probe, m, kind, g, __VA_ARGS__)

/* m, which may still name the one that it runs, goes on with next; NULL: with its scheduler. */
void rg_event_switch(struct m *m, const struct g *next);

/* g, which is not queued yet. */
void rg_event_spawned(struct m *m, const struct g *g);

static inline void rg_event_spawn(struct m *m, const struct g *g)
{
	if (unlikely(rg_is_wanted(events)))
		rg_event_spawned(m, g);
}

/* REVOKE or BLOCK of m, by another thread. */
void rg_event_of_m(uint32_t kind, struct m *m, const struct p *p);

/* Where recorders begin. Since rg_events_open. */
extern struct ringo_events rg_events;

/* At the start of a run; at its end, when no M is left; in a forked child, which did not inherit the rings. */
const struct ringo_events *rg_events_open(void);
void rg_events_close(void);
void rg_events_child(void);

/*
 * From now on until the end of the run, into the file of that name, with the process id for %p: 0 or -errno; -EBUSY:
 * another process has it, -EBADMSG: something else comes after %. In observe/record.c.
 */
int rg_trace_to_file(const char *path);

#endif
