// SPDX-License-Identifier: MIT
/* The programs of bpf/gtrace.bpf.c: into the kernel, at the target, and what they have counted back out. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "gtrace.skel.h"
#include "prof.h"
#include "tools/observe/watchdog.h"

enum { LINKS = 256, LOOK_MS = 50 };

static struct {
	struct gtrace *skel;
	struct bpf_link *links[LINKS];
	int n;
	struct ring_buffer *news;
	int stats;
	int pidfd;
} at = { .stats = -1, .pidfd = -1 };

/* Which programs belong to a mode: their names begin so. */
static const char *const prefixes[] = {
	[PROF_ON_CPU] = "on_", [PROF_OFF_CPU] = "off_", [PROF_LATENCY] = "late_", [PROF_CALLS] = "calls_",
};

static int print(enum libbpf_print_level level, const char *fmt, va_list args)
{
	return getenv("RINGO_PROF_VERBOSE") && level != LIBBPF_DEBUG ? vfprintf(stderr, fmt, args) : 0;
}

static int64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* ---- the target ---- */

/* Code of the file that is mapped there, as one range. */
static void set_text(struct prof *p, int i, const char *path)
{
	uint64_t lo = UINT64_MAX, hi = 0;

	for (size_t k = 0; k < p->t.nmaps; k++) {
		const struct target_map *m = &p->t.maps[k];

		if (strcmp(m->path, path))
			continue;
		lo = m->start < lo ? m->start : lo;
		hi = m->end > hi ? m->end : hi;
	}
	if (lo < hi) {
		at.skel->rodata->text[i].lo = lo;
		at.skel->rodata->text[i].size = hi - lo;
	}
}

static const char *path_of_library(const struct prof *p)
{
	for (size_t i = 0; i < p->t.nmaps; i++) {
		const char *slash = strrchr(p->t.maps[i].path, '/');

		if (slash && !strncmp(slash, "/libringo.so", 12))
			return p->t.maps[i].path;
	}
	return NULL;
}

static bool set_target(struct prof *p)
{
	const struct ringo_state *s = p->tab.s;
	uint64_t dev, inode;
	char link[64], exe[4096];
	ssize_t n;

	if (!target_pid_namespace(&p->t, &dev, &inode))
		return false;
	at.skel->rodata->ns_dev = dev;
	at.skel->rodata->ns_inode = inode;
	at.skel->rodata->target = s->pid;
	at.skel->rodata->state = p->tab.at;
	at.skel->rodata->table = s->table;
	at.skel->rodata->stride = s->stride;
	snprintf(link, sizeof(link), "/proc/%d/exe", p->t.pid);
	n = readlink(link, exe, sizeof(exe) - 1);
	if (n > 0) {
		exe[n] = 0;
		set_text(p, 0, exe);
	}
	if (path_of_library(p))
		set_text(p, 1, path_of_library(p));
	return true;
}

/* ---- attaching ---- */

static bool refuse(struct prof *p, const char *what, int err)
{
	return target_fail(&p->t, "%s (%s): %s", what, strerror(-err), err == -EPERM || err == -EACCES ?
			   "it takes root, or CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE" :
			   "Linux 6.1 with BTF is needed; RINGO_PROF_VERBOSE=1 shows more");
}

static bool keep(struct prof *p, struct bpf_link *link, const char *what)
{
	if (!link)
		return refuse(p, what, -errno);
	if (at.n == LINKS) {
		bpf_link__destroy(link);
		return target_fail(&p->t, "more than %d CPUs", LINKS);
	}
	at.links[at.n++] = link;
	return true;
}

/* Of the two there is one. */
static bool is_for_other_kernels(const char *name)
{
	bool has_new = libbpf_find_vmlinux_btf_id("io_uring_submit_req", BPF_TRACE_RAW_TP) > 0;

	return !strcmp(name, has_new ? "on_submit_old" : "on_submit");
}

static bool is_of(const struct bpf_program *prog, enum prof_mode mode)
{
	const char *name = bpf_program__name(prog);

	if (is_for_other_kernels(name))
		return false;
	return !strncmp(name, prefixes[mode], strlen(prefixes[mode])) || !strncmp(name, "thread_", 7) ||
	       !strcmp(name, "trap");
}

static bool is_probe(const struct bpf_program *prog)
{
	return bpf_program__type(prog) == BPF_PROG_TYPE_KPROBE && prog != at.skel->progs.trap;
}

static bool attach_clocks(struct prof *p)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE, .size = sizeof(attr), .freq = 1,
					.config = PERF_COUNT_SW_CPU_CLOCK, .sample_freq = PROF_HZ };
	int cpus = libbpf_num_possible_cpus();

	for (int cpu = 0; cpu < cpus; cpu++) {
		int fd = (int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);

		if (fd < 0 && errno == ENODEV)
			continue; /* that CPU is off */
		if (fd < 0)
			return refuse(p, "there is no clock for samples", -errno);
		if (!keep(p, bpf_program__attach_perf_event(at.skel->progs.on_cpu, fd), "samples cannot be taken")) {
			close(fd);
			return false;
		}
	}
	return true;
}

/* In the program, if libringo.a is part of it, or else in the library. */
static bool attach_probe(struct prof *p, struct bpf_program *prog, const char *name)
{
	const char *library = path_of_library(p);
	char path[4300];

	if (library)
		snprintf(path, sizeof(path), "/proc/%d/root%s", p->t.pid, library);
	else
		snprintf(path, sizeof(path), "/proc/%d/exe", p->t.pid);
	return keep(p, bpf_program__attach_usdt(prog, p->t.pid, path, "ringo", name, NULL),
		    "the probes of libringo cannot be had");
}

static bool attach_probes(struct prof *p)
{
	struct gtrace *s = at.skel;

	if (p->mode == PROF_OFF_CPU)
		return attach_probe(p, s->progs.off_run, "g__run") && attach_probe(p, s->progs.off_park, "g__park");
	if (p->mode == PROF_LATENCY)
		return attach_probe(p, s->progs.late_run, "g__run") &&
		       attach_probe(p, s->progs.late_ready, "g__ready") &&
		       attach_probe(p, s->progs.late_ready, "g__spawn");
	return true;
}

static bool attach(struct prof *p)
{
	struct bpf_program *prog;

	bpf_object__for_each_program(prog, at.skel->obj)
		if (is_of(prog, p->mode) && bpf_program__type(prog) == BPF_PROG_TYPE_TRACING &&
		    !keep(p, bpf_program__attach(prog), "the kernel's tracepoints cannot be had"))
			return false;
	return p->mode == PROF_ON_CPU ? attach_clocks(p) : attach_probes(p);
}

/* ---- what is told ---- */

static int take_new(void *ctx, void *data, size_t size)
{
	struct prof *p = ctx;
	const struct gtrace_new *n = data;
	const size_t head = offsetof(struct gtrace_new, stack);
	struct prof_key *k;
	struct stack st;

	if (size < head || n->id >= GTRACE_SUMS || n->size > size - head)
		return 0;
	k = &p->keys[n->id];
	k->key = n->key;
	if (!n->size)
		return 0;
	stack_of_copy(&p->tab, &p->symbols, &(struct stack_copy){
		.regs = (const uint64_t *)n->regs, .bytes = n->stack, .size = n->size,
		.parked = n->key.what == GTRACE_OPERATION,
		.entry = n->key.flags & RINGO_G_MAIN ? p->tab.s->main_fn : n->key.fn,
		.trim = n->key.what == GTRACE_PARKED || n->key.what == GTRACE_OPERATION }, &st);
	k->n = st.n;
	memcpy(k->pcs, st.pcs, (size_t)st.n * sizeof(*st.pcs));
	return 0;
}

static void add_open_waits(struct prof *p)
{
	int fd = bpf_map__fd(at.skel->maps.waits);
	uint64_t g, *last = NULL;
	struct gtrace_wait w;
	int64_t end = now();

	while (!bpf_map_get_next_key(fd, last, &g)) {
		if (!bpf_map_lookup_elem(fd, &g, &w) && w.id && w.id < GTRACE_SUMS && (int64_t)w.since < end)
			p->sums[w.id].ns += (uint64_t)end - w.since;
		last = &g;
	}
}

static void add_cost(struct prof *p)
{
	struct bpf_program *prog;

	p->cost.known = at.stats >= 0;
	bpf_object__for_each_program(prog, at.skel->obj) {
		struct bpf_prog_info info = { 0 };
		uint32_t len = sizeof(info);

		if (prog == at.skel->progs.trap || bpf_program__fd(prog) < 0 ||
		    bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &len))
			continue;
		p->cost.programs_ns += info.run_time_ns;
		p->cost.runs += info.run_cnt;
		if (is_probe(prog))
			p->cost.traps += info.run_cnt;
		else if (prog == at.skel->progs.on_cpu)
			p->cost.clocks = info.run_cnt;
	}
}

static void gather(struct prof *p)
{
	int fd = bpf_map__fd(at.skel->maps.sums);

	add_cost(p);
	for (int i = 0; i < at.n; i++)
		bpf_link__destroy(at.links[i]);
	at.n = 0;
	ring_buffer__consume(at.news);
	for (uint32_t id = 0; id < GTRACE_SUMS && id <= at.skel->bss->used; id++)
		bpf_map_lookup_elem(fd, &id, &p->sums[id]);
	add_open_waits(p);
	memcpy(p->hist_p, at.skel->bss->hist_p, sizeof(p->hist_p));
	memcpy(p->hist_cpu, at.skel->bss->hist_cpu, sizeof(p->hist_cpu));
	p->lost = at.skel->bss->lost;
}

bool prof_watch(struct prof *p)
{
	int64_t start = now(), end = start + (int64_t)(p->seconds * 1e9);
	struct pollfd ends = { .fd = at.pidfd, .events = POLLIN };

	at.stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
	if (!attach(p))
		return false;
	fprintf(stderr, "ringo-prof: watching process %d for %g s\n", p->t.pid, p->seconds);
	while (now() < end && !prof_enough && !p->ended) {
		p->ended = poll(&ends, 1, LOOK_MS) > 0;
		ring_buffer__consume(at.news);
		watchdog_alive();
	}
	p->wall = now() - start;
	gather(p);
	p->cost.trap_ns = p->cost.traps ? cost_of_trap(at.skel->progs.trap) : 0;
	return true;
}

/* ---- loading ---- */

static bool load(struct prof *p)
{
	struct bpf_program *prog;
	int err;

	libbpf_set_print(print);
	at.skel = gtrace__open();
	if (!at.skel)
		return refuse(p, "the BPF programs are unusable", -errno);
	bpf_object__for_each_program(prog, at.skel->obj)
		bpf_program__set_autoload(prog, is_of(prog, p->mode));
	if (!set_target(p))
		return false;
	err = gtrace__load(at.skel);
	if (err)
		return refuse(p, "the BPF programs cannot be loaded", err);
	at.news = ring_buffer__new(bpf_map__fd(at.skel->maps.news), take_new, p, NULL);
	return at.news || target_fail(&p->t, "no memory");
}

bool prof_check(struct prof *p)
{
	struct bpf_program *prog;
	int err;

	libbpf_set_print(print);
	at.skel = gtrace__open();
	if (!at.skel)
		return refuse(p, "the BPF programs are unusable", -errno);
	bpf_object__for_each_program(prog, at.skel->obj)
		bpf_program__set_autoload(prog, !is_for_other_kernels(bpf_program__name(prog)));
	err = gtrace__load(at.skel);
	if (err)
		return refuse(p, "the BPF programs cannot be loaded", err);
	printf("the BPF programs can be loaded\n");
	return true;
}

bool prof_load(struct prof *p)
{
	p->keys = calloc(GTRACE_SUMS, sizeof(*p->keys));
	if (!p->keys)
		return target_fail(&p->t, "no memory");
	at.pidfd = (int)syscall(SYS_pidfd_open, p->t.pid, 0);
	return symbols_open(&p->symbols, &p->t) && load(p);
}

void prof_unload(void)
{
	for (int i = 0; i < at.n; i++)
		bpf_link__destroy(at.links[i]);
	ring_buffer__free(at.news);
	gtrace__destroy(at.skel);
	if (at.stats >= 0)
		close(at.stats);
	if (at.pidfd >= 0)
		close(at.pidfd);
}
