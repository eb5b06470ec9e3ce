// SPDX-License-Identifier: MIT
/*
 * Goroutines as text. Nothing here allocates from malloc or waits for a lock that a parked goroutine or a
 * crashed thread may hold: buffers are mappings of their own, and text is written with write(2).
 */
#include "core/dump.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <ringo/select.h>
#include <ringo/stats.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/os.h"
#include "core/gate.h"

struct rg_out *rg_out_begin(struct m *m, int fd)
{
	struct rg_out *o = mmap(NULL, sizeof(*o), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				-1, 0);

	if (o == MAP_FAILED)
		return NULL;
	o->symbols = rg_symbols_new();
	if (!o->symbols) {
		munmap(o, sizeof(*o));
		return NULL;
	}
	o->m = m;
	o->fd = fd;
	return o;
}

static int write_all(int fd, const char *buf, size_t n)
{
	while (n) {
		ssize_t w = write(fd, buf, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return w ? -errno : -EIO;
		buf += w;
		n -= (size_t)w;
	}
	return 0;
}

static void flush(struct rg_out *o)
{
	int saved = errno;

	if (!o->err) {
		if (o->m)
			rg_step_out(o->m);
		o->err = write_all(o->fd, o->buf, o->n);
		if (o->m)
			rg_step_in(o->m);
	}
	errno = saved;
	o->n = 0;
}

int rg_out_end(struct rg_out *o)
{
	int err;

	flush(o);
	err = o->err;
	rg_symbols_free(o->symbols);
	munmap(o, sizeof(*o));
	return err;
}

/* Longer than half the buffer at a time: cut. */
void rg_out(struct rg_out *o, const char *fmt, ...)
{
	va_list ap;
	int len;

	if (o->n > sizeof(o->buf) / 2)
		flush(o);
	va_start(ap, fmt);
	len = vsnprintf(o->buf + o->n, sizeof(o->buf) - o->n, fmt, ap);
	va_end(ap);
	if (len > 0)
		o->n += rg_min((size_t)len, sizeof(o->buf) - o->n - 1);
}

void rg_out_span(struct rg_out *o, int64_t ns)
{
	int64_t ms = ns / 1000000;

	if (ms < 1000)
		rg_out(o, "%" PRId64 " ms", ms);
	else if (ms < 60000)
		rg_out(o, "%" PRId64 ".%" PRId64 " s", ms / 1000, ms % 1000 / 100);
	else
		rg_out(o, "%" PRId64 " minute%s", ms / 60000, ms < 120000 ? "" : "s");
}

void rg_out_cpu(struct rg_out *o, int64_t ns)
{
	if (ns >= 0)
		rg_out(o, ", cpu %" PRId64 ".%03" PRId64 " ms", ns / 1000000, ns / 1000 % 1000);
}

const char *rg_look_state(const struct rg_look *l)
{
	switch (l->state) {
	case RG_RUNNABLE:
		return "runnable";
	case RG_RUNNING:
		return "running";
	case RG_WAITING:
	case RG_SYSCALL:
		return l->reason == RG_WHY_NONE ? "waiting" : rg_reason_name(l->reason);
	default:
		return "ended";
	}
}

/* Frames before the first of an exported function; those up to rg_park, if the call of that was a jump. */
static int inner_frames(struct rg_out *o, const struct rg_look *l)
{
	int parked = 0;

	for (int i = 0; i < l->n; i++) {
		const char *name = rg_symbols_name(o->symbols, l->pcs[i]);

		if (!strncmp(name, "ringo_", 6))
			return i;
		if (!strncmp(name, "rg_park+", 8))
			parked = i + 1;
	}
	return parked;
}

void rg_look_trim(struct rg_out *o, struct rg_look *l)
{
	int inner = l->probed ? 0 : inner_frames(o, l);

	l->n -= inner;
	memmove(l->pcs, l->pcs + inner, (size_t)l->n * sizeof(*l->pcs));
}

void rg_out_frames(struct rg_out *o, const struct rg_look *l, const char *before)
{
	for (int i = 0; i < l->n; i++)
		rg_out(o, "%s%p %s\n", before, l->pcs[i], rg_symbols_name(o->symbols, l->pcs[i]));
	if (l->cut)
		rg_out(o, "%s... more frames\n", before);
}

void rg_out_behind(struct rg_out *o, const struct rg_look *l)
{
	if (l->behind >= 0)
		rg_out(o, ", behind M %d, which is in uninterruptible sleep", l->behind);
}

static void out_marks(struct rg_out *o, const struct rg_look *l)
{
	if (rg_look_waits(l)) {
		rg_out(o, ", ");
		rg_out_span(o, rg_look_waited(l));
	}
	rg_out_cpu(o, l->cpu);
	if (l->m >= 0)
		rg_out(o, ", on M %d", l->m);
	rg_out_behind(o, l);
	if (l->flags & RG_G_DAEMON)
		rg_out(o, ", daemon");
	if (l->scope_err)
		rg_out(o, l->scope_err == -ETIMEDOUT ? ", context timed out" : ", context cancelled");
}

const char *rg_look_creator(struct rg_out *o, const struct rg_look *l)
{
	return l->flags & RG_G_MAIN ? "ringo_run" : rg_symbols_name(o->symbols, l->spawn_pc);
}

static void out_events(struct rg_out *o, int events)
{
	static const struct {
		int bit;
		const char *name;
	} names[] = { { POLLIN, "in" }, { POLLPRI, "pri" }, { POLLOUT, "out" }, { POLLRDHUP, "rdhup" } };
	const char *before = " ";

	for (unsigned i = 0; i < RG_ARRAY_SIZE(names); i++)
		if (events & names[i].bit) {
			rg_out(o, "%s%s", before, names[i].name);
			before = "|";
		}
}

static void out_case(struct rg_out *o, const struct rg_look_case *c)
{
	const char *what = c->kind == RINGO__CASE_SEND ? "send" : c->kind == RINGO__CASE_RECV ? "receive" : "context";

	switch (c->kind) {
	case RINGO__CASE_TIMEOUT:
		rg_out(o, "timeout ");
		rg_out_span(o, c->ns);
		break;
	case RINGO__CASE_POLL:
		rg_out(o, "fd %d", c->fd);
		out_events(o, c->events);
		break;
	default:
		if (c->on)
			rg_out(o, "%s %p", what, c->on);
		else
			rg_out(o, "%s %s", what, c->kind == RINGO__CASE_DONE ? "of its own" : "NULL");
	}
}

static void out_waits(struct rg_out *o, const struct rg_look *l)
{
	if (l->on)
		rg_out(o, "waits on %p\n", l->on);
	for (size_t i = 0; i < l->ncases && i < RG_LOOK_CASES; i++) {
		rg_out(o, i ? ", " : "waits on ");
		out_case(o, &l->cases[i]);
	}
	if (l->ncases > RG_LOOK_CASES)
		rg_out(o, ", %zu more", l->ncases - RG_LOOK_CASES);
	if (l->ncases)
		rg_out(o, "\n");
}

void rg_out_full(struct rg_out *o, struct rg_look *l)
{
	rg_look_trim(o, l);
	rg_out(o, "goroutine %u.%u [%s", l->index + 1, l->gen, rg_look_state(l));
	out_marks(o, l);
	rg_out(o, "]%s%s:\n", l->name[0] ? " " : "", l->name);
	rg_out_frames(o, l, "\t");
	if (!l->n)
		rg_out(o, "\t(stack not available: %s)\n", l->no_stack ? l->no_stack : "?");
	out_waits(o, l);
	rg_out(o, "entry %s\n", rg_symbols_name(o->symbols, l->fn));
	rg_out(o, "created by %s\n\n", rg_look_creator(o, l));
}

static void dump_self(struct rg_out *o, struct rg_scan *s)
{
	struct m *m = (struct m *)rg_arch_self();
	struct rg_look *l = m && m->cur ? rg_scan_one(s, m->cur) : NULL;

	if (l)
		rg_out_full(o, l);
}

static int dump(struct rg_out *o, struct rg_scan *s, unsigned flags)
{
	struct rg_look *l;

	if (flags & RINGO_DUMP_SELF) {
		dump_self(o, s);
		return 0;
	}
	if (!(flags & RINGO_DUMP_FULL))
		return rg_profile(o, s, flags);
	while (!o->err && (l = rg_scan_next(s)))
		rg_out_full(o, l);
	return 0;
}

int rg_dump_all(struct m *m, int fd, unsigned flags)
{
	struct rg_out *o = rg_out_begin(m, fd);
	struct rg_scan *s;
	int err, written;

	if (!o)
		return -ENOMEM;
	s = rg_scan_begin();
	if (!s) {
		rg_out_end(o);
		return -ENOMEM;
	}
	err = dump(o, s, flags);
	if (!err && !(flags & RINGO_DUMP_SELF) && rg_scan_cut())
		err = -ESRCH;
	rg_scan_end(s);
	written = rg_out_end(o);
	return err ? err : written;
}
