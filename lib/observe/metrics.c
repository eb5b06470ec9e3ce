// SPDX-License-Identifier: MIT
/*
 * Metrics as Prometheus' text. The numbers are those of ringo_stats, under the names that its conventions ask for:
 * base units, and _total for what only counts up.
 */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "core/dump.h"
#include "core/gate.h"
#include "core/rt.h"
#include "observe/stats.h"

struct metric {
	const char *name, *help;
	size_t at; /* in struct ringo_stats: a uint64_t */
};

#define AT(field) offsetof(struct ringo_stats, field)

static const struct metric gauges[] = {
	{ "goroutines_limit", "How many there may be.", AT(goroutine_limit) },
	{ "goroutines_without_p", "Of those running, without a P, because they computed or blocked.", AT(without_p) },
	{ "pool_threads", "Threads of the blocking pool.", AT(pool_threads) },
	{ "threads", "Threads that run goroutines, or are ready to.", AT(threads) },
};

static const struct metric counters[] = {
	{ "goroutines_spawned_total", "Goroutines ever started.", AT(spawned) },
	{ "pool_jobs_total", "Jobs given to the blocking pool.", AT(pool_jobs) },
	{ "ring_cancels_total", "Ring operations cancelled by a deadline.", AT(cancels) },
	{ "ring_enters_total", "Calls of io_uring_enter.", AT(enters) },
	{ "ring_operations_total", "Ring operations submitted.", AT(ops) },
	{ "stacks_trimmed_total", "Times the unused pages of a stack were given back.", AT(stacks_trimmed) },
	{ "stalls_total", "Times a goroutine kept its thread for too long, while ringo_stall_watch is on.", AT(stalls) },
	{ "steals_total", "Successful looks into another P's queue.", AT(steals) },
	{ "stolen_goroutines_total", "Goroutines moved by steals.", AT(stolen) },
	{ "switches_total", "Times a goroutine was run.", AT(switches) },
	{ "thread_parks_total", "Times a thread without work went to sleep.", AT(parks) },
	{ "thread_wakes_total", "Times one was woken by another thread.", AT(wakes) },
};

static void head(struct rg_out *o, const char *name, const char *type, const char *help)
{
	rg_out(o, "# HELP ringo_%s %s\n# TYPE ringo_%s %s\n", name, help, name, type);
}

static void plain(struct rg_out *o, const struct ringo_stats *s, const struct metric *m, size_t n, const char *type)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t value;

		memcpy(&value, (const char *)s + m[i].at, sizeof(value));
		head(o, m[i].name, type, m[i].help);
		rg_out(o, "ringo_%s %" PRIu64 "\n", m[i].name, value);
	}
}

static void labelled(struct rg_out *o, const char *name, const char *label, const char *value, uint64_t n)
{
	rg_out(o, "ringo_%s{%s=\"%s\"} %" PRIu64 "\n", name, label, value, n);
}

static void states(struct rg_out *o, const struct ringo_stats *s, const uint64_t *why)
{
	head(o, "goroutines", "gauge", "Goroutines, by what they do.");
	labelled(o, "goroutines", "state", "runnable", s->runnable);
	labelled(o, "goroutines", "state", "running", s->running);
	labelled(o, "goroutines", "state", "syscall", s->syscall);
	labelled(o, "goroutines", "state", "waiting", s->waiting);
	head(o, "goroutines_waiting", "gauge", "Goroutines that wait, or are in a system call, by what for.");
	for (unsigned i = RG_WHY_NONE + 1; i < RG_WHYS; i++)
		labelled(o, "goroutines_waiting", "reason", rg_reason_name(i), why[i]);
}

static void preemptions(struct rg_out *o, const struct ringo_stats *s)
{
	uint64_t blocked = rg_min(s->blocked, s->revocations);

	head(o, "preemptions_total", "counter", "Times a P was taken from a goroutine, by why.");
	labelled(o, "preemptions_total", "cause", "blocked", blocked);
	labelled(o, "preemptions_total", "cause", "computed", s->revocations - blocked);
}

static void info(struct rg_out *o, const struct ringo_stats *s)
{
	static const char *const guards[] = { "marker", "mprotect", "canary", "kmod" };
	static const char *const tiers[] = { "auto", "off", "flag", "sysmon", "bpf", "kmod" };

	head(o, "info", "gauge", "How it runs; always 1.");
	rg_out(o, "ringo_info{backend=\"%s\",guard=\"%s\",preempt=\"%s\"} 1\n", s->backend, guards[s->guard],
	       tiers[s->preempt]);
	head(o, "procs", "gauge", "Ps: how many goroutines may run at a time.");
	rg_out(o, "ringo_procs %u\n", s->procs);
}

static void out_seconds(struct rg_out *o, uint64_t ns)
{
	rg_out(o, "%" PRIu64 ".%09" PRIu64, ns / 1000000000, ns % 1000000000);
}

static void cpu(struct rg_out *o, const struct ringo_stats *s)
{
	if (!(rt.debug & RG_DEBUG_CPU))
		return;
	head(o, "cpu_seconds_total", "counter", "CPU time of goroutines.");
	rg_out(o, "ringo_cpu_seconds_total ");
	out_seconds(o, s->cpu_ns);
	rg_out(o, "\n");
}

static struct rg_waits sum_waits(void)
{
	struct rg_waits sum = { .ns = 0 };

	/* order: acquire; pairs with the release of rt.np in rg_p_start */
	for (unsigned i = 0, n = rg_load_acquire(&rt.np); i < n; i++) {
		sum.ns += rg_load_relaxed(&rt.p[i]->waits.ns);
		for (unsigned k = 0; k < RG_WAITS; k++)
			sum.n[k] += rg_load_relaxed(&rt.p[i]->waits.n[k]);
	}
	return sum;
}

static void waits(struct rg_out *o)
{
	struct rg_waits w = sum_waits();
	uint64_t n = 0;

	head(o, "runqueue_wait_seconds", "histogram", "Time that goroutines waited in the queue of a P; sampled.");
	for (unsigned i = 0; i < RG_WAITS - 1; i++) {
		n += w.n[i];
		rg_out(o, "ringo_runqueue_wait_seconds_bucket{le=\"");
		out_seconds(o, UINT64_C(1000) << 2 * i);
		rg_out(o, "\"} %" PRIu64 "\n", n);
	}
	n += w.n[RG_WAITS - 1];
	rg_out(o, "ringo_runqueue_wait_seconds_bucket{le=\"+Inf\"} %" PRIu64 "\nringo_runqueue_wait_seconds_sum ", n);
	out_seconds(o, w.ns);
	rg_out(o, "\nringo_runqueue_wait_seconds_count %" PRIu64 "\n", n);
}

static int metrics(struct m *m, int fd)
{
	struct rg_out *o = rg_out_begin(m, fd);
	struct ringo_stats s = { 0 };
	uint64_t why[RG_WHYS] = { 0 };

	if (!o)
		return -ENOMEM;
	rg_stats_fill(&s, why);
	info(o, &s);
	states(o, &s, why);
	plain(o, &s, gauges, RG_ARRAY_SIZE(gauges), "gauge");
	preemptions(o, &s);
	plain(o, &s, counters, RG_ARRAY_SIZE(counters), "counter");
	cpu(o, &s);
	waits(o);
	return rg_out_end(o);
}

RG_API int ringo_metrics(int fd)
{
	struct m *m = rg_enter();
	int err = m ? 0 : rg_foreign_enter();

	if (err)
		return err;
	err = metrics(m, fd);
	if (m)
		rg_leave(m);
	else
		rg_foreign_leave();
	return err;
}
