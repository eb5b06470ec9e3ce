// SPDX-License-Identifier: MIT
/*
 * See chrome.h. Three groups of tracks ("processes"): threads, with what each runs; goroutines, with what each does
 * or waits for; rings, with what is submitted and completed. Arrows lead from who wakes to where the woken one runs,
 * and from a submission to its completion.
 *
 * A span is written when it ends. What is known of a goroutine before some events went missing is not drawn up to
 * what is known after: such a span would be a guess (struct rg_chrome_g.gaps).
 *
 * An arrow needs a span at either end, so where there is none (the scheduler wakes; an operation is submitted) one of
 * a nanosecond is put.
 */
#include "observe/chrome.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "observe/opcode.h"

enum { PIECE = 1024, MOST_PIECES = 8192, TRACK_BYTES = 192, END_BYTES = 8192, NAME = 32 };

/* Groups of tracks. */
enum { THREADS = 1, GOROUTINES, RINGS };
_Static_assert((int)RINGS == (int)RG_CHROME_GROUPS, "the groups that chrome.h tells of");

enum state { UNKNOWN, RUNNABLE, RUNS, WAITS, OVER };

struct rg_chrome_g {
	uint32_t gen, lives;
	uint8_t state, reason;
	uint8_t named;       /* bytes of name */
	bool seen;
	int32_t m;           /* place of where it runs */
	uint64_t fn, spawn_pc;
	uint64_t what;       /* that it waits for */
	uint64_t gaps;       /* of the trace, when this state began */
	int64_t since;
	uint64_t woken;      /* number of the arrow that leads to its next run; 0 none */
	uint64_t submitted;  /* likewise to its completion */
	int64_t completed;   /* when, if nothing has happened to it since; else -1 */
	uint32_t ring;       /* and where */
	int32_t fd;
	uint32_t opcode;
	char name[NAME];
};

static const char *const reasons[] = RINGO_WHY_NAMES;

/* ---- goroutines ---- */

static struct rg_chrome_g *g_at(struct rg_chrome *c, uint32_t g)
{
	struct rg_chrome_g **piece;

	if (!g || (g - 1) / PIECE >= c->ngs)
		return NULL;
	piece = &c->gs[(g - 1) / PIECE];
	if (!*piece && c->pieces < MOST_PIECES) { /* more are a lie */
		*piece = calloc(PIECE, sizeof(**piece));
		c->pieces += *piece != NULL;
	}
	return *piece ? *piece + (g - 1) % PIECE : NULL;
}

/* It begins anew, in a place where another one may have been. */
static void is_born(struct rg_chrome_g *g, uint32_t gen, uint64_t fn, uint64_t spawn_pc)
{
	const uint32_t lives = g->seen ? g->lives + (g->gen != gen) : 1;

	*g = (struct rg_chrome_g){ .gen = gen, .lives = lives, .seen = g->seen, .fn = fn, .spawn_pc = spawn_pc,
				   .completed = -1 };
}

/* The one that the event is about; NULL: none. Its birth may have gone missing. */
static struct rg_chrome_g *g_of(struct rg_chrome *c, const struct ringo_event *e)
{
	struct rg_chrome_g *g = g_at(c, e->g);

	if (!g)
		return NULL;
	if (g->gen != e->gen || !g->lives)
		is_born(g, e->gen, 0, 0);
	if (!g->seen)
		c->out.reserve += TRACK_BYTES;
	g->seen = true;
	return g;
}

static void put_name(struct rg_chrome *c, const struct rg_chrome_g *g)
{
	if (g->name[0])
		rg_json_quoted(&c->out.json, g->name);
	else
		rg_json_quoted(&c->out.json, g->fn ? c->symbol(c->arg, g->fn) : "goroutine");
}

/* "12.3" */
static void put_number(struct rg_chrome *c, uint32_t i, const struct rg_chrome_g *g)
{
	rg_line_number(&c->out, "\"", i);
	rg_line_number(&c->out, ".", g->gen);
	rg_json_raw(&c->out.json, "\"");
}

static void set_state(struct rg_chrome *c, struct rg_chrome_g *g, enum state state)
{
	g->state = (uint8_t)state;
	g->since = c->now;
	g->gaps = c->gaps;
	g->completed = -1;
}

static void put_wait(struct rg_chrome *c, const struct rg_chrome_g *g)
{
	const size_t kinds = sizeof(reasons) / sizeof(reasons[0]);

	if (g->reason == RINGO_WHY_IO && g->submitted) {
		rg_json_quoted(&c->out.json, rg_opcode_name(g->opcode));
		rg_json_raw(&c->out.json, ",\"args\":{\"fd\":");
		rg_json_i64(&c->out.json, g->fd);
		rg_json_raw(&c->out.json, "}");
		return;
	}
	rg_json_quoted(&c->out.json, g->reason && g->reason < kinds ? reasons[g->reason] : "waits");
	if (g->what) {
		rg_json_raw(&c->out.json, ",\"args\":{\"on\":");
		rg_json_hex(&c->out.json, g->what);
		rg_json_raw(&c->out.json, "}");
	}
}

/* What it has done until now. */
static void put_state(struct rg_chrome *c, uint32_t i, const struct rg_chrome_g *g)
{
	if (g->state == UNKNOWN || g->state == OVER || g->gaps != c->gaps ||
	    !rg_line_span(&c->out, GOROUTINES, i, g->since, c->now))
		return;
	if (g->state == WAITS) {
		put_wait(c, g);
	} else if (g->state == RUNNABLE) {
		rg_json_raw(&c->out.json, "\"runnable\"");
	} else {
		rg_json_raw(&c->out.json, "\"runs\",\"args\":{\"m\":");
		rg_json_i64(&c->out.json, g->m - 1);
		rg_json_raw(&c->out.json, "}");
	}
	rg_line_end(&c->out);
}

/* ---- threads ---- */

/* m has run one until now. */
static void put_run(struct rg_chrome *c, uint32_t place)
{
	struct rg_chrome_m *m = &c->ms[place];
	const struct rg_chrome_g *g = g_at(c, m->g);

	if (g && rg_line_span(&c->out, THREADS, place, m->since, c->now)) {
		put_name(c, g);
		rg_json_raw(&c->out.json, ",\"args\":{\"g\":");
		put_number(c, m->g, g);
		rg_json_raw(&c->out.json, "}");
		rg_line_end(&c->out);
	}
	if (g && m->lost_p && rg_line_span(&c->out, THREADS, place, m->lost_p, c->now)) {
		rg_json_raw(&c->out.json, "\"without P\"");
		rg_line_end(&c->out);
	}
	m->g = 0;
	m->lost_p = 0;
}

/* What an arrow is to begin at: what runs there, or a span of its own. */
static uint64_t arrow_from_thread(struct rg_chrome *c, uint32_t place, const char *what)
{
	if (!c->ms[place].g && rg_line_span(&c->out, THREADS, place, c->now, c->now + 1)) {
		rg_json_quoted(&c->out.json, what);
		rg_line_end(&c->out);
	}
	rg_line_arrow(&c->out, true, ++c->flows, THREADS, place, c->now, what);
	return c->flows;
}

/* place leaves the one that it ran, which is in that state now. */
static void leave(struct rg_chrome *c, uint32_t place, const struct ringo_event *e)
{
	const uint64_t more = RINGO_EVENT_MORE(e->more);
	const uint32_t i = (uint32_t)more, state = more >> 32 & 0xff;
	struct rg_chrome_g *g = g_at(c, i);

	if (g && !c->ms[place].g && !c->gaps) { /* it ran when the recording began */
		c->ms[place].g = i;
		if (g->lives && g->state == UNKNOWN) {
			set_state(c, g, RUNS);
			g->since = 0;
			g->m = (int32_t)place;
		}
	}
	if (!g || c->ms[place].g != i)
		c->ms[place].g = 0;
	put_run(c, place);
	if (!g || !g->lives)
		return;
	if (!g->seen)
		c->out.reserve += TRACK_BYTES;
	g->seen = true;
	put_state(c, i, g);
	if (state == RINGO_G_DEAD && rg_line_instant(&c->out, GOROUTINES, i, c->now, "exit"))
		rg_line_end(&c->out);
	set_state(c, g, state == RINGO_G_DEAD ? OVER : state == RINGO_G_RUNNABLE ? RUNNABLE : WAITS);
	g->reason = (uint8_t)(more >> 40);
	g->what = e->what;
}

static void on_switch(struct rg_chrome *c, uint32_t place, const struct ringo_event *e)
{
	struct rg_chrome_g *g;

	leave(c, place, e);
	g = g_of(c, e);
	c->ms[place].g = g ? e->g : 0;
	c->ms[place].since = c->now;
	if (!g)
		return;
	put_state(c, e->g, g);
	set_state(c, g, RUNS);
	g->m = (int32_t)place;
	rg_line_arrow(&c->out, false, g->woken, THREADS, place, c->now, "wake");
	g->woken = 0;
}

/* ---- what happens ---- */

static void on_spawn(struct rg_chrome *c, uint32_t place, const struct ringo_event *e)
{
	struct rg_chrome_g *g = g_at(c, e->g);

	if (!g)
		return;
	is_born(g, e->gen, e->what, RINGO_EVENT_MORE(e->more));
	g_of(c, e);
	if (rg_line_instant(&c->out, GOROUTINES, e->g, c->now, "spawn")) {
		rg_json_raw(&c->out.json, ",\"args\":{\"g\":");
		put_number(c, e->g, g);
		rg_json_raw(&c->out.json, ",\"function\":");
		put_name(c, g);
		rg_json_raw(&c->out.json, ",\"at\":");
		rg_json_quoted(&c->out.json, c->symbol(c->arg, g->spawn_pc));
		rg_json_raw(&c->out.json, "}");
		rg_line_end(&c->out);
	}
	set_state(c, g, RUNNABLE);
	g->woken = arrow_from_thread(c, place, "wake");
}

static void on_name(struct rg_chrome *c, const struct ringo_event *e)
{
	struct rg_chrome_g *g = g_of(c, e);
	const uint64_t more = RINGO_EVENT_MORE(e->more);

	if (!g || g->named + 14 > NAME + 10)
		return;
	for (unsigned i = 0; i < 14 && g->named + i < NAME - 1; i++)
		g->name[g->named + i] = (char)(i < 8 ? e->what >> 8 * i : more >> 8 * (i - 8));
	g->named += 14;
}

static void on_ready(struct rg_chrome *c, uint32_t place, const struct ringo_event *e)
{
	struct rg_chrome_g *g = g_of(c, e);
	int64_t completed;

	if (!g)
		return;
	completed = g->completed;
	put_state(c, e->g, g);
	set_state(c, g, RUNNABLE);
	g->submitted = 0;
	if (completed < 0) {
		g->woken = arrow_from_thread(c, place, "wake");
		return;
	}
	g->woken = ++c->flows;
	rg_line_arrow(&c->out, true, g->woken, RINGS, g->ring, completed, "wake");
}

/* A mark on the track of a ring. */
static bool begin_op(struct rg_chrome *c, uint32_t ring, uint32_t i, const struct rg_chrome_g *g, const char *what)
{
	c->rings[ring / 64 % 32] |= UINT64_C(1) << ring % 64;
	if (!rg_line_span(&c->out, RINGS, ring, c->now, c->now + 1))
		return false;
	rg_line_text(&c->out, "\"", what);
	rg_line_text(&c->out, " ", g->submitted ? rg_opcode_name(g->opcode) : "operation");
	rg_json_raw(&c->out.json, "\",\"args\":{\"g\":");
	put_number(c, i, g);
	rg_json_raw(&c->out.json, ",\"fd\":");
	rg_json_i64(&c->out.json, g->fd);
	return true;
}

static void on_submit(struct rg_chrome *c, const struct ringo_event *e)
{
	struct rg_chrome_g *g = g_of(c, e);
	const uint32_t p = RINGO_EVENT_P(e->more);

	if (!g || !p)
		return;
	g->opcode = (uint32_t)e->what;
	g->fd = (int32_t)RINGO_EVENT_MORE(e->more);
	g->submitted = ++c->flows;
	if (begin_op(c, p - 1, e->g, g, "submit")) {
		rg_json_raw(&c->out.json, "}");
		rg_line_end(&c->out);
	}
	rg_line_arrow(&c->out, true, g->submitted, RINGS, p - 1, c->now, "op");
}

static void on_complete(struct rg_chrome *c, const struct ringo_event *e)
{
	struct rg_chrome_g *g = g_of(c, e);
	const uint32_t p = RINGO_EVENT_P(e->more);

	if (!g || !p)
		return;
	if (begin_op(c, p - 1, e->g, g, "complete")) {
		rg_json_raw(&c->out.json, ",\"result\":");
		rg_json_i64(&c->out.json, (int64_t)e->what);
		rg_json_raw(&c->out.json, "}");
		rg_line_end(&c->out);
	}
	rg_line_arrow(&c->out, false, g->submitted, RINGS, p - 1, c->now, "op");
	g->completed = c->now;
	g->ring = p - 1;
}

static void on_chan(struct rg_chrome *c, uint32_t place, const struct ringo_event *e, const char *what)
{
	const bool by_g = g_of(c, e);

	if (!rg_line_instant(&c->out, by_g ? GOROUTINES : THREADS, by_g ? e->g : place, c->now, what))
		return;
	rg_json_raw(&c->out.json, ",\"args\":{\"on\":");
	rg_json_hex(&c->out.json, e->what);
	rg_json_raw(&c->out.json, "}");
	rg_line_end(&c->out);
}

/* To the M whose number is in the event, by another thread. */
static void on_m(struct rg_chrome *c, const struct ringo_event *e, const char *what)
{
	const uint32_t place = e->what < RINGO_STATE_MS ? (uint32_t)e->what + 1 : 0;

	if (place && RINGO_EVENT_KIND(e->more) == RINGO_EVENT_REVOKE && c->ms[place].g == e->g)
		c->ms[place].lost_p = c->now;
	c->ms[place].seen = true;
	if (!rg_line_instant(&c->out, THREADS, place, c->now, what))
		return;
	rg_line_number(&c->out, ",\"args\":{\"p\":", RINGO_EVENT_MORE(e->more));
	rg_line_number(&c->out, ",\"g\":", e->g);
	rg_json_raw(&c->out.json, "}");
	rg_line_end(&c->out);
}

static int64_t time_of(const struct rg_chrome *c, uint64_t when)
{
	const double cycles = (double)(c->to.cycles - c->from.cycles), ns = (double)(c->to.ns - c->from.ns);
	const double past = (double)(int64_t)(when - c->from.cycles);

	return c->from.ns - c->start + (int64_t)(past * ns / cycles);
}

void rg_chrome_event(void *chrome, uint32_t place, const struct ringo_event *e)
{
	static const char *const names[] = RINGO_EVENT_NAMES;
	const uint32_t kind = RINGO_EVENT_KIND(e->more);
	struct rg_chrome *c = chrome;

	if (place > RINGO_STATE_MS || kind >= RINGO_EVENTS)
		return;
	c->now = time_of(c, e->when);
	c->now = c->now < 0 ? 0 : c->now;
	c->count[kind]++;
	c->ms[place].seen = true;
	switch (kind) {
	case RINGO_EVENT_SWITCH:
		on_switch(c, place, e);
		break;
	case RINGO_EVENT_SPAWN:
		on_spawn(c, place, e);
		break;
	case RINGO_EVENT_NAME:
		on_name(c, e);
		break;
	case RINGO_EVENT_READY:
		on_ready(c, place, e);
		break;
	case RINGO_EVENT_SUBMIT:
		on_submit(c, e);
		break;
	case RINGO_EVENT_COMPLETE:
		on_complete(c, e);
		break;
	case RINGO_EVENT_SEND:
	case RINGO_EVENT_RECV:
		on_chan(c, place, e, names[kind]);
		break;
	case RINGO_EVENT_REVOKE:
	case RINGO_EVENT_BLOCK:
		on_m(c, e, names[kind]);
		break;
	case RINGO_EVENT_REJOIN:
		if (rg_line_instant(&c->out, THREADS, place, c->now, names[kind]))
			rg_line_end(&c->out);
		break;
	default:
		break;
	}
}

void rg_chrome_gap(void *chrome, uint32_t place, uint64_t n)
{
	struct rg_chrome *c = chrome;

	c->gaps++;
	c->ms[place].g = 0;
	c->ms[place].lost_p = 0;
	c->ms[place].seen = true;
	if (!rg_line_instant(&c->out, THREADS, place, c->now, "events lost"))
		return;
	rg_line_number(&c->out, ",\"args\":{\"n\":", n);
	rg_json_raw(&c->out.json, "}");
	rg_line_end(&c->out);
}

/* ---- beginning and end ---- */

void rg_chrome_clock(struct rg_chrome *c, struct rg_anchor at)
{
	if (at.cycles <= c->to.cycles || at.ns <= c->to.ns)
		return;
	c->from = c->to;
	c->to = at;
}

int rg_chrome_begin(struct rg_chrome *c, int fd, uint32_t max_g, struct rg_anchor at)
{
	c->out.json.fd = fd;
	c->from = at;
	c->to = at;
	c->from.cycles--; /* never nothing between them */
	c->start = at.ns;
	c->out.reserve = END_BYTES;
	c->ngs = max_g / PIECE + 1;
	c->gs = calloc(c->ngs, sizeof(*c->gs));
	if (!c->gs)
		return -ENOMEM;
	rg_json_raw(&c->out.json, "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[");
	return 0;
}

void rg_chrome_known(struct rg_chrome *c, uint32_t i, uint32_t gen, uint64_t fn, uint64_t spawn_pc, const char *name)
{
	struct rg_chrome_g *g = g_at(c, i);

	if (!g)
		return;
	is_born(g, gen, fn, spawn_pc);
	strncpy(g->name, name, NAME - 1);
}

/* What stands beside a track: "process_name" or "thread_name"; the name follows, and end_name. */
static void begin_name(struct rg_chrome *c, const char *what, unsigned pid, uint32_t tid)
{
	rg_line_begin(&c->out, "M", pid, tid, 0);
	rg_line_text(&c->out, ",\"name\":\"", what);
	rg_json_raw(&c->out.json, "\",\"args\":{\"name\":");
}

static void end_name(struct rg_chrome *c)
{
	rg_json_raw(&c->out.json, "}}");
}

static void name_tracks(struct rg_chrome *c, unsigned pid, const char *name)
{
	begin_name(c, "process_name", pid, 0);
	rg_json_quoted(&c->out.json, name);
	end_name(c);
}

static void name_numbered(struct rg_chrome *c, unsigned pid, uint32_t tid, const char *kind, uint32_t i)
{
	begin_name(c, "thread_name", pid, tid);
	rg_line_text(&c->out, "\"", kind);
	rg_json_u64(&c->out.json, i);
	rg_json_raw(&c->out.json, "\"");
	end_name(c);
}

static void name_g(struct rg_chrome *c, uint32_t i, const struct rg_chrome_g *g)
{
	begin_name(c, "thread_name", GOROUTINES, i);
	if (g->lives > 1) {
		rg_line_number(&c->out, "\"", i);
		rg_line_number(&c->out, " (", g->lives);
		rg_json_raw(&c->out.json, " lives)\"");
	} else {
		put_name(c, g);
	}
	end_name(c);
}

static void end_threads(struct rg_chrome *c)
{
	for (uint32_t i = 0; i <= RINGO_STATE_MS; i++)
		put_run(c, i);
}

static void each_g(struct rg_chrome *c, void (*fn)(struct rg_chrome *c, uint32_t i, const struct rg_chrome_g *g))
{
	for (uint32_t p = 0; p < c->ngs; p++)
		for (uint32_t i = 0; c->gs[p] && i < PIECE; i++)
			if (c->gs[p][i].seen)
				fn(c, p * PIECE + i + 1, &c->gs[p][i]);
}

static void put_names(struct rg_chrome *c)
{
	name_tracks(c, THREADS, "threads");
	name_tracks(c, GOROUTINES, "goroutines");
	name_tracks(c, RINGS, "rings");
	if (c->ms[0].seen)
		name_numbered(c, THREADS, 0, "other threads ", 0);
	for (uint32_t i = 1; i <= RINGO_STATE_MS; i++)
		if (c->ms[i].seen)
			name_numbered(c, THREADS, i, "M ", i - 1);
	for (uint32_t i = 0; i < 32 * 64; i++)
		if (c->rings[i / 64] >> i % 64 & 1)
			name_numbered(c, RINGS, i, "ring of P ", i);
	each_g(c, name_g);
}

static void put_counts(struct rg_chrome *c, uint64_t lost, uint64_t garbage)
{
	static const char *const names[] = RINGO_EVENT_NAMES;

	rg_line_number(&c->out, "\n],\"otherData\":{\"lost\":", lost);
	rg_line_number(&c->out, ",\"garbage\":", garbage);
	if (c->kernel) {
		rg_line_number(&c->out, ",\"kernel_lost\":", c->kernel_lost);
		rg_line_number(&c->out, ",\"kernel_unseen\":", c->kernel_unseen);
	}
	rg_line_text(&c->out, ",\"cut\":", c->out.full ? "true" : "false");
	rg_line_number(&c->out, ",\"start_ns\":", (uint64_t)c->start);
	rg_json_raw(&c->out.json, ",\"events\":{");
	for (unsigned i = 1; i < RINGO_EVENTS; i++) {
		rg_line_text(&c->out, i > 1 ? ",\"" : "\"", names[i]);
		rg_line_number(&c->out, "\":", c->count[i]);
	}
	rg_json_raw(&c->out.json, "}}}\n");
}

int rg_chrome_end(struct rg_chrome *c, uint64_t lost, uint64_t garbage)
{
	bool cut;

	c->now = c->to.ns - c->start;
	end_threads(c);
	each_g(c, put_state);
	cut = c->out.full;
	c->out.limit = 0; /* room for the rest was kept */
	c->out.full = false;
	put_names(c);
	c->out.full = cut;
	put_counts(c, lost, garbage);
	rg_json_flush(&c->out.json);
	return c->out.json.err;
}

void rg_chrome_free(struct rg_chrome *c)
{
	for (uint32_t i = 0; c->gs && i < c->ngs; i++)
		free(c->gs[i]);
	free(c->gs);
	c->gs = NULL;
}
