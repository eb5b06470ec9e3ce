// SPDX-License-Identifier: MIT
/*
 * What the kernel does to Ms, into the trace: a group of tracks of its own, with one for each M, of spans
 * while that is off the CPU. The programs of bpf/ktrace.bpf.c tell of each when it is over, in the clock of
 * the trace, so it is written as it comes: viewers put lines in order of time, not of the file. What goes on
 * at the end is in the table of threads still.
 *
 * A span that ends in waking is drawn as two: blocked until then, and waiting for a CPU from then on. If
 * another M woke it, an arrow leads from there, to which a span of a nanosecond is put.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "bpf/ktrace.h"
#include "ktrace.skel.h"
#include "names.h"
#include "tools/observe/watchdog.h"
#include "trace.h"

enum { KERNEL = RG_CHROME_GROUPS + 1, LOST = 0, PAGE = 4096 };

/* linux/sched.h of the kernel: what a thread waits in. */
enum { UNINTERRUPTIBLE = 2, STOPPED = 4, TRACED = 8 };

static struct {
	struct ktrace *skel;
	struct ring_buffer *offs;
	bool named[RINGO_STATE_MS + 1]; /* tracks; that of M number i is i + 1 */
} at;

static int print(enum libbpf_print_level level, const char *fmt, va_list args)
{
	return getenv("RINGO_TRACE_VERBOSE") && level != LIBBPF_DEBUG ? vfprintf(stderr, fmt, args) : 0;
}

/* ---- lines ---- */

/* Before the first line of a track. */
static void name_track(struct rg_lines *l, uint32_t track)
{
	static const char *const keys[] = { "process_name", "thread_name" };
	char name[32] = "lost";

	if (at.named[track])
		return;
	if (track != LOST)
		snprintf(name, sizeof(name), "M %u (kernel)", track - 1);
	for (int i = 0; i < 2; i++) {
		if (!rg_line_begin(l, "M", KERNEL, track, 0))
			return;
		rg_line_text(l, ",\"name\":\"", keys[i]);
		rg_line_text(l, "\",\"args\":{\"name\":\"", i ? name : "threads, in the kernel");
		rg_json_raw(&l->json, "\"}}");
	}
	at.named[track] = true;
}

static const char *name_call(int32_t nr, char *buf, size_t n)
{
	if (nr >= 0 && (size_t)nr < sizeof(syscall_names) / sizeof(syscall_names[0]) && syscall_names[nr])
		return syscall_names[nr];
	snprintf(buf, n, "system call %d", nr);
	return buf;
}

static const char *name_other(const struct ktrace_other *other, char *buf, size_t n)
{
	if (other->m)
		snprintf(buf, n, "M %u", other->m - 1);
	else
		snprintf(buf, n, "%.*s", KTRACE_COMM, other->comm);
	return buf;
}

static void put_cpus(struct rg_lines *l, const struct ktrace_off *o)
{
	rg_line_number(l, ",\"cpu\":", o->cpu);
	if (o->on)
		rg_line_number(l, ",\"to_cpu\":", o->to_cpu);
	rg_json_raw(&l->json, "}");
	rg_line_end(l);
}

static void put_preempted(struct rg_lines *l, const struct ktrace_off *o, int64_t off, int64_t on)
{
	const bool yields = o->nr == SYS_sched_yield;
	char who[32], name[64], call[32];

	if (!rg_line_span(l, KERNEL, o->m + 1, off, on))
		return;
	snprintf(name, sizeof(name), "%s %s", yields ? "yields to" : "preempted by",
		 name_other(&o->other, who, sizeof(who)));
	rg_json_quoted(&l->json, name);
	rg_line_number(l, ",\"args\":{\"pid\":", o->other.pid);
	rg_line_text(l, ",\"in\":\"", o->nr < 0 ? "own code" : name_call(o->nr, call, sizeof(call)));
	rg_json_raw(&l->json, "\"");
	put_cpus(l, o);
}

static void put_waker(struct rg_lines *l, const struct ktrace_off *o)
{
	const struct ktrace_other *by = &o->other;
	char who[32];

	if (!o->woken || !by->when)
		return;
	rg_json_raw(&l->json, ",\"woken_by\":");
	rg_json_quoted(&l->json, by->pid ? name_other(by, who, sizeof(who)) : "interrupt");
	rg_line_number(l, ",\"pid\":", by->pid);
}

static void put_blocked(struct rg_lines *l, const struct ktrace_off *o, int64_t off, int64_t until)
{
	char name[64] = "stopped", call[32];

	if (!rg_line_span(l, KERNEL, o->m + 1, off, until))
		return;
	if (!(o->state & (STOPPED | TRACED)))
		snprintf(name, sizeof(name), "blocked: %s",
			 o->nr < 0 ? "page fault" : name_call(o->nr, call, sizeof(call)));
	rg_json_quoted(&l->json, name);
	rg_line_text(l, ",\"args\":{\"interruptible\":", o->state & UNINTERRUPTIBLE ? "false" : "true");
	put_waker(l, o);
	put_cpus(l, o);
}

static void put_wait(struct rg_lines *l, const struct ktrace_off *o, int64_t woken, int64_t on)
{
	if (!rg_line_span(l, KERNEL, o->m + 1, woken, on))
		return;
	rg_json_raw(&l->json, "\"waits for a CPU\"");
	rg_line_end(l);
}

static void put_arrow(struct rg_chrome *c, const struct ktrace_off *o, int64_t woken)
{
	const uint32_t from = o->other.m;
	int64_t when = (int64_t)o->other.when - c->start;

	if (!o->other.when || when < 0 || !from || from > RINGO_STATE_MS)
		return;
	when = when < woken ? when : woken; /* clocks of CPUs differ */
	name_track(&c->out, from);
	if (!rg_line_span(&c->out, KERNEL, from, when, when + 1))
		return;
	rg_line_number(&c->out, "\"wakes M ", o->m);
	rg_json_raw(&c->out.json, "\"");
	rg_line_end(&c->out);
	rg_line_arrow(&c->out, true, ++c->flows, KERNEL, from, when, "wake M");
	rg_line_arrow(&c->out, false, c->flows, KERNEL, o->m + 1, woken, "wake M");
}

/* Off the CPU until now, or until it came back. */
static void put_off(struct rg_chrome *c, const struct ktrace_off *o, int64_t now)
{
	int64_t off = (int64_t)o->off - c->start, on = (o->on ? (int64_t)o->on : now) - c->start;
	int64_t woken = o->woken ? (int64_t)o->woken - c->start : on;

	off = off < 0 ? 0 : off; /* it was when the recording began */
	if (o->m >= RINGO_STATE_MS || on < off)
		return;
	woken = woken < off ? off : woken > on ? on : woken;
	name_track(&c->out, o->m + 1);
	if (!o->state) {
		put_preempted(&c->out, o, off, on);
		return;
	}
	put_blocked(&c->out, o, off, woken);
	if (!o->woken)
		return;
	put_wait(&c->out, o, woken, on);
	put_arrow(c, o, woken);
}

static int take(void *ctx, void *data, size_t size)
{
	if (size >= sizeof(struct ktrace_off))
		put_off(ctx, data, 0);
	return 0;
}

static void put_lost(struct rg_chrome *c)
{
	const uint64_t lost = at.skel->bss->lost;

	c->kernel_unseen = at.skel->bss->unseen;
	if (lost == c->kernel_lost)
		return;
	name_track(&c->out, LOST);
	if (rg_line_instant(&c->out, KERNEL, LOST, rg_now() - c->start, "switches lost")) {
		rg_line_number(&c->out, ",\"args\":{\"n\":", lost - c->kernel_lost);
		rg_json_raw(&c->out.json, "}");
		rg_line_end(&c->out);
	}
	c->kernel_lost = lost;
}

/* ---- into the kernel, and out ---- */

static bool lacks_privilege(int err)
{
	return err == -EPERM || err == -EACCES;
}

static bool refuse(struct target *t, const char *what, int err)
{
	return target_fail(t, "%s (%s): %s", what, strerror(-err), lacks_privilege(err) ?
			   "it takes root, or CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE" :
			   "Linux 6.1 with BTF is needed; RINGO_TRACE_VERBOSE=1 shows more");
}

static int open_programs(void)
{
	libbpf_set_print(print);
	at.skel = ktrace__open();
	return at.skel ? 0 : -errno;
}

static bool set_target(struct trace *tr)
{
	uint64_t dev, inode;

	if (!target_pid_namespace(&tr->t, &dev, &inode))
		return false;
	at.skel->rodata->ns_dev = dev;
	at.skel->rodata->ns_inode = inode;
	at.skel->rodata->target = tr->tab.s->pid;
	at.skel->rodata->state = tr->tab.at;
	return true;
}

bool kernel_load(struct trace *tr, uint64_t ring)
{
	uint32_t size = PAGE;
	int err = open_programs();

	if (err)
		return refuse(&tr->t, "the BPF programs are unusable", err);
	if (!set_target(tr))
		return false;
	while (size < ring && size < 1u << 30)
		size *= 2;
	if (ring)
		bpf_map__set_max_entries(at.skel->maps.offs, size);
	err = ktrace__load(at.skel);
	if (err)
		return refuse(&tr->t, "the BPF programs cannot be loaded", err);
	at.offs = ring_buffer__new(bpf_map__fd(at.skel->maps.offs), take, &tr->r.chrome, NULL);
	if (!at.offs)
		return target_fail(&tr->t, "no memory");
	watchdog_alive();
	err = ktrace__attach(at.skel);
	watchdog_alive();
	return !err || refuse(&tr->t, "the kernel's tracepoints cannot be had", err);
}

void kernel_look(struct trace *tr)
{
	ring_buffer__consume(at.offs);
	put_lost(&tr->r.chrome);
}

static void put_open(struct rg_chrome *c)
{
	const int fd = bpf_map__fd(at.skel->maps.threads);
	const int64_t now = rg_now();
	struct ktrace_thread t;
	uint32_t tid, *last = NULL;

	while (!bpf_map_get_next_key(fd, last, &tid)) {
		if (!bpf_map_lookup_elem(fd, &tid, &t) && t.now.off) {
			t.now.on = 0;
			t.now.other = t.now.state ? t.waker : t.now.other;
			put_off(c, &t.now, now);
		}
		last = &tid;
	}
}

void kernel_end(struct trace *tr)
{
	ktrace__detach(at.skel);
	kernel_look(tr);
	put_open(&tr->r.chrome);
}

void kernel_unload(void)
{
	ring_buffer__free(at.offs);
	ktrace__destroy(at.skel);
	at.offs = NULL;
	at.skel = NULL;
}

int kernel_check(struct target *t)
{
	int err = open_programs();

	if (!err)
		err = ktrace__load(at.skel);
	kernel_unload();
	if (!err)
		return 0;
	refuse(t, "the BPF programs cannot be loaded", err);
	return err == -EPERM || access("/sys/kernel/btf/vmlinux", R_OK) ? 4 : 1;
}
