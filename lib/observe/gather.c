// SPDX-License-Identifier: MIT
/*
 * See gather.h. An event that another one hangs on (ready before run) is in its ring, whichever that is, before the
 * other happens. So of a look at all rings one after the other only what happened before its beginning is handed out; the
 * rest waits for the next look, by which its causes are there.
 *
 * An M may be kept from the CPU between taking the time of an event and showing it; the event then comes late, with
 * the next look. Nobody was concerned with that goroutine meanwhile, so what happens to each is still in order.
 */
#include "observe/gather.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arch/arch.h"

enum {
	SKEW = 1 << 20,         /* cycles by which clocks of CPUs may differ */
	MOST_COPIES = 1 << 25,  /* events, 1 GiB: a process that claims more does so to do harm */
};

static int read_at(const struct rg_gather *g, uint64_t addr, void *buf, size_t n)
{
	return g->memory->read(g->memory->arg, addr, buf, n);
}

/* The part of the head that changes. */
static int look_head(struct rg_gather *g, struct ringo_events *head)
{
	const size_t n = offsetof(struct ringo_events, rings);
	int err = read_at(g, g->addr, head, n);

	if (err)
		return err;
	if (head->version != RINGO_EVENTS_VERSION || head->size != sizeof(*head) || head->used > RINGO_STATE_MS + 1 ||
	    head->used < g->used)
		return -EPROTO;
	return 0;
}

/* Its head; or -errno. */
static int look_ring(struct rg_gather *g, uint32_t place, struct ringo_event_ring *head)
{
	struct rg_gather_ring *r = &g->rings[place];
	int err = 0;

	if (!r->addr)
		err = read_at(g, g->addr + offsetof(struct ringo_events, rings) + 8 * (uint64_t)place, &r->addr, 8);
	if (err || !r->addr)
		return err ? err : -ENOENT;
	err = read_at(g, r->addr, head, sizeof(*head));
	if (err)
		return err;
	if (head->magic != RINGO_EVENTS_MAGIC || head->place != place || head->order < RINGO_EVENTS_ORDER_MIN ||
	    head->order > RINGO_EVENTS_ORDER_MAX || (r->order && head->order != r->order) || head->head < r->next)
		return -EPROTO;
	r->order = head->order;
	return 0;
}

int rg_gather_begin(struct rg_gather *g)
{
	struct ringo_event_ring ring;
	struct ringo_events head;
	int err;

	g->since = rg_cycles();
	g->rings = calloc(RINGO_STATE_MS + 1, sizeof(*g->rings));
	if (!g->rings)
		return -ENOMEM;
	err = look_head(g, &head);
	if (err)
		return err;
	g->dropped_before = head.dropped;
	g->used = head.used;
	for (uint32_t i = 0; i < g->used; i++) {
		err = look_ring(g, i, &ring);
		if (err && err != -ENOENT)
			return err;
		if (!err)
			g->rings[i].next = ring.head;
	}
	return 0;
}

void rg_gather_end(struct rg_gather *g)
{
	for (uint32_t i = 0; g->rings && i <= RINGO_STATE_MS; i++)
		free(g->rings[i].events);
	free(g->rings);
	g->rings = NULL;
}

static void lose(struct rg_gather *g, struct rg_gather_ring *r, uint64_t n)
{
	if (!n)
		return;
	if (!r->gap)
		r->gap_at = r->n;
	r->gap += n;
	g->lost += n;
}

static bool make_room(struct rg_gather *g, struct rg_gather_ring *r, uint64_t n)
{
	struct ringo_event *more;

	if (r->at)
		memmove(r->events, r->events + r->at, (r->n - r->at) * sizeof(*r->events));
	r->gap_at -= r->gap ? r->at : 0;
	r->n -= r->at;
	r->at = 0;
	if (r->room - r->n >= n)
		return true;
	if (g->room - r->room + r->n + n > MOST_COPIES)
		return false;
	more = realloc(r->events, (r->n + n) * sizeof(*more));
	if (!more)
		return false;
	r->events = more;
	g->room += r->n + n - r->room;
	r->room = (uint32_t)(r->n + n);
	return true;
}

/* Events from r->next on, of which there are n in the ring, to where copies end. */
static int copy(struct rg_gather *g, struct rg_gather_ring *r, uint64_t n)
{
	const uint64_t size = UINT64_C(1) << r->order, from = r->next & (size - 1);
	const uint64_t first = n < size - from ? n : size - from, base = r->addr + sizeof(struct ringo_event_ring);
	int err = read_at(g, base + from * sizeof(*r->events), r->events + r->n, first * sizeof(*r->events));

	if (!err && first < n)
		err = read_at(g, base, r->events + r->n + first, (n - first) * sizeof(*r->events));
	return err;
}

/* Of n copies that just came, so many were being overwritten. */
static int overwritten(struct rg_gather *g, uint32_t place, uint64_t n, uint64_t *lost)
{
	const struct rg_gather_ring *r = &g->rings[place];
	struct ringo_event_ring head;
	uint64_t oldest;
	int err = look_ring(g, place, &head);

	if (err)
		return err;
	oldest = head.head >> r->order ? head.head + 1 - (UINT64_C(1) << r->order) : 0;
	*lost = oldest <= r->next ? 0 : oldest - r->next < n ? oldest - r->next : n;
	return 0;
}

static bool is_garbage(const struct rg_gather *g, const struct rg_gather_ring *r, const struct ringo_event *e,
		       uint64_t now)
{
	const uint32_t kind = RINGO_EVENT_KIND(e->more);

	return kind == RINGO_EVENT_NONE || kind >= RINGO_EVENTS || e->g > g->limit || e->when < r->last ||
	       e->when + SKEW < g->since || e->when > now + SKEW ||
	       (kind == RINGO_EVENT_SWITCH && (uint32_t)RINGO_EVENT_MORE(e->more) > g->limit);
}

static void keep(struct rg_gather *g, struct rg_gather_ring *r, uint64_t n, uint64_t lost)
{
	const struct ringo_event *new = r->events + r->n;
	const uint64_t now = rg_cycles();

	lose(g, r, lost);
	for (uint64_t i = lost; i < n; i++) {
		if (is_garbage(g, r, &new[i], now)) {
			g->garbage++;
			continue;
		}
		r->last = new[i].when;
		r->events[r->n++] = new[i];
	}
}

static int fetch(struct rg_gather *g, uint32_t place)
{
	struct rg_gather_ring *r = &g->rings[place];
	struct ringo_event_ring head;
	uint64_t n, lost = 0;
	int err = look_ring(g, place, &head);

	if (err)
		return err == -ENOENT ? 0 : err;
	n = head.head - r->next;
	if (n >> r->order) {
		lose(g, r, n - (UINT64_C(1) << r->order));
		n = UINT64_C(1) << r->order;
		r->next = head.head - n;
	}
	if (!n)
		return 0;
	if (!make_room(g, r, n))
		return -ENOMEM;
	err = copy(g, r, n);
	if (!err)
		err = overwritten(g, place, n, &lost);
	if (err)
		return err;
	keep(g, r, n, lost);
	r->next += n;
	return 0;
}

/* When the first copy in that ring happened; UINT64_MAX: none before horizon. */
static uint64_t first_in(const struct rg_gather_ring *r, uint64_t horizon)
{
	return r->at < r->n && r->events[r->at].when < horizon ? r->events[r->at].when : UINT64_MAX;
}

static void hand_out(struct rg_gather *g, uint32_t place, uint64_t until)
{
	struct rg_gather_ring *r = &g->rings[place];

	do {
		if (r->gap && r->at >= r->gap_at) {
			g->gap(g->arg, place, r->gap);
			r->gap = 0;
		}
		g->events++;
		g->event(g->arg, place, &r->events[r->at++]);
	} while (r->at < r->n && r->events[r->at].when < until);
}

/* The ring with the oldest copy is next, until another one has an older one. */
static void merge(struct rg_gather *g, uint64_t horizon)
{
	for (;;) {
		uint64_t oldest = UINT64_MAX, second = horizon;
		uint32_t place = 0;

		for (uint32_t i = 0; i < g->used; i++) {
			uint64_t when = first_in(&g->rings[i], horizon);

			if (when < oldest) {
				second = oldest < second ? oldest : second;
				oldest = when;
				place = i;
			} else if (when < second) {
				second = when;
			}
		}
		if (oldest == UINT64_MAX)
			return;
		hand_out(g, place, second);
	}
}

int rg_gather_look(struct rg_gather *g, uint64_t horizon)
{
	struct ringo_events head;
	int err = look_head(g, &head);

	if (!err) {
		g->used = head.used;
		g->dropped = head.dropped - g->dropped_before;
	}
	for (uint32_t i = 0; !err && i < g->used; i++)
		err = fetch(g, i);
	merge(g, horizon);
	return err;
}
