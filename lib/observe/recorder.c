// SPDX-License-Identifier: MIT
/*
 * See recorder.h. Events are wanted for a while only, which each look prolongs; at the end nothing is switched off, since another
 * recorder may be at work: that is over when nobody prolongs it.
 *
 * Times are cycles; each look is at a moment known in both clocks, and what happened between two looks is placed
 * between them.
 */
#include "observe/recorder.h"

#include <errno.h>
#include <string.h>

#include "arch/arch.h"
#include "base/clock.h"

#define WHILE (UINT64_C(1) << 33) /* cycles: two seconds or more */

enum { TRIES = 8, CLOSE = 3000, BUSY = 1 << 10 };

/* Both clocks at nearly one moment: kept from the CPU in between, try again. */
static struct rg_anchor anchor(void)
{
	struct rg_anchor best = { 0 };
	uint64_t span = UINT64_MAX;

	for (int i = 0; i < TRIES && span > CLOSE; i++) {
		uint64_t before = rg_cycles();
		int64_t ns = rg_now();
		uint64_t after = rg_cycles();

		if (after - before < span) {
			span = after - before;
			best = (struct rg_anchor){ before + span / 2, ns };
		}
	}
	return best;
}

/* What other recorders have stored is not shortened. */
static int prolong(struct rg_recorder *r)
{
	const uint64_t addr = r->gather.addr + offsetof(struct ringo_events, until), now = rg_cycles();
	uint64_t until = now + WHILE, theirs;
	const uint8_t on = 1;
	int err = r->memory.read(r->memory.arg, addr, &theirs, sizeof(theirs));

	if (err)
		return err;
	if (r->until && r->until < now && theirs < now)
		r->lapses++;
	r->until = until;
	if (theirs < until || theirs > until + WHILE)
		err = r->memory.write(r->memory.arg, addr, &until, sizeof(until));
	return err ? err : r->memory.write(r->memory.arg, r->flag, &on, sizeof(on));
}

static int set_order(struct rg_recorder *r, uint32_t order)
{
	const uint64_t addr = r->gather.addr + offsetof(struct ringo_events, order);

	return order ? r->memory.write(r->memory.arg, addr, &order, sizeof(order)) : 0;
}

int rg_recorder_begin(struct rg_recorder *r, int fd, uint64_t addr, uint32_t max_g, uint32_t order, uint64_t limit)
{
	int err = r->memory.read(r->memory.arg, addr + offsetof(struct ringo_events, flag), &r->flag, sizeof(r->flag));

	r->wait_ms = RG_RECORDER_SOON_MS;
	r->gather.memory = &r->memory;
	r->gather.addr = addr;
	r->gather.limit = max_g;
	r->gather.event = rg_chrome_event;
	r->gather.gap = rg_chrome_gap;
	r->gather.arg = &r->chrome;
	r->chrome.out.limit = limit;
	if (!err)
		err = rg_gather_begin(&r->gather);
	if (!err)
		err = rg_chrome_begin(&r->chrome, fd, max_g, anchor());
	if (!err)
		err = set_order(r, order);
	return err ? err : prolong(r);
}

int rg_recorder_look(struct rg_recorder *r)
{
	struct rg_anchor at = anchor();
	uint64_t before = r->gather.events;
	int err;

	err = prolong(r);
	rg_chrome_clock(&r->chrome, at);
	if (!err)
		err = rg_gather_look(&r->gather, at.cycles);
	before = r->gather.events - before;
	r->wait_ms = before > BUSY ? RG_RECORDER_SOON_MS :
		     r->wait_ms < RG_RECORDER_LATE_MS ? r->wait_ms + RG_RECORDER_SOON_MS : RG_RECORDER_LATE_MS;
	return err ? err : r->chrome.out.full ? -EFBIG : r->chrome.out.json.err;
}

int rg_recorder_end(struct rg_recorder *r)
{
	return rg_chrome_end(&r->chrome, r->gather.lost + r->gather.dropped, r->gather.garbage);
}

void rg_recorder_free(struct rg_recorder *r)
{
	rg_gather_end(&r->gather);
	rg_chrome_free(&r->chrome);
}
