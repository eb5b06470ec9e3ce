// SPDX-License-Identifier: MIT
/* What is in force in one process, from its state for readers outside, and why it is not better. */
#include <errno.h>
#include <inttypes.h>
#include <ringo/go.h>
#include <ringo/stats.h>
#include <stdio.h>
#include <string.h>

#include "doctor.h"
#include "tools/observe/table.h"

static const char *why(int err)
{
	switch (-err) {
	case ECONNRESET:
		return "it has ended";
	case ENOENT:
	case ENODEV:
	case ENXIO:
	case ECONNREFUSED:
		return "it was not there when the program started";
	case EACCES:
	case EPERM:
		return "it is not for the program's user";
	case EPROTONOSUPPORT:
		return "it is of another version than the program's library";
	case EUSERS:
		return "it serves as many as it may";
	default:
		return strerror(-err);
	}
}

/* Ways to have better than sysmon. */
static void sysmon(const struct ringo_state *s)
{
	if (!s->module_err && !s->bpfd_err) {
		finding(COULD_BE_BETTER, "preemption", "RINGO_PREEMPT=auto, and the same in its options.",
			"by sysmon, as the program or RINGO_PREEMPT wants it");
		return;
	}
	finding(COULD_BE_BETTER, "preemption", "See to one of these, then start the program anew.", "by sysmon");
	if (s->module_err)
		finding(COULD_BE_BETTER, "kernel module", "kmod/README.md: build it, modprobe ringo, adduser USER ringo",
			"%s", why(s->module_err));
	if (s->bpfd_err)
		finding(COULD_BE_BETTER, "BPF", "systemctl enable --now ringo-bpfd.socket, or run ringo-bpfd as root "
			"(--mode, --clients, --per-user: who and how many)", "%s", why(s->bpfd_err));
}

static void preemption(const struct ringo_state *s)
{
	switch (s->preempt) {
	case RINGO_PREEMPT_BPF:
		finding(FINE, "preemption", NULL, "by BPF");
		return;
	case RINGO_PREEMPT_KMOD:
		finding(FINE, "preemption", NULL, "by the kernel module");
		return;
	case RINGO_PREEMPT_SYSMON:
		sysmon(s);
		return;
	case RINGO_PREEMPT_FLAG:
	case RINGO_PREEMPT_OFF:
		finding(s->preempt_wanted == s->preempt ? COULD_BE_BETTER : AMISS, "preemption",
			s->preempt_wanted == s->preempt ? "RINGO_PREEMPT=auto, and the same in its options." :
			"It said why at its start; run ringo-doctor as the program runs.",
			"none: a goroutine that computes holds up those of its P");
		return;
	default:
		finding(AMISS, "preemption", NULL, "garbage (%u)", s->preempt);
	}
}

static void guard(const struct ringo_state *s)
{
	if (s->guard == RINGO_GUARD_MARKER)
		finding(FINE, "stack guard", NULL, "markers: at most %u goroutines", s->limit);
	else if (s->guard == RINGO_GUARD_KMOD)
		finding(FINE, "stack guard", NULL, "the kernel module's: at most %u goroutines", s->limit);
	else if (s->guard == RINGO_GUARD_MPROTECT)
		finding(COULD_BE_BETTER, "stack guard", "Linux 6.13 or newer, or the kernel module; or sysctl vm.max_map_count=1048576, and "
			"start it anew.", "guard pages: at most %u goroutines", s->limit);
	else
		finding(FINE, "stack guard", NULL, "guard pages, and canaries beyond; at most %u goroutines", s->limit);
}

/* The limit of that name in /proc/PID/limits, as it stands there. */
static void limit_of(pid_t pid, const char *name, char *soft, char *hard)
{
	char path[64], line[256];
	FILE *f;

	strcpy(soft, "?");
	strcpy(hard, "?");
	snprintf(path, sizeof(path), "/proc/%d/limits", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			sscanf(line + strlen(name), "%31s %31s", soft, hard);
	if (f)
		fclose(f);
}

static void limits(pid_t pid)
{
	char soft[32], hard[32];

	limit_of(pid, "Max open files", soft, hard);
	finding(FINE, "descriptors", NULL, "%s, hard limit %s", soft, hard);
	limit_of(pid, "Max core file size", soft, hard);
	if (!strcmp(soft, "0"))
		finding(COULD_BE_BETTER, "core files", "prlimit --core=unlimited --pid PID", "none: the limit is 0");
	else
		finding(FINE, "core files", NULL, "written");
}

static void tell(const struct table *tab)
{
	const struct ringo_state *s = tab->s;

	finding(FINE, "back end", NULL, "%.15s", s->backend);
	preemption(s);
	guard(s);
	finding(FINE, "quantum", NULL, "%" PRId64 " us", (int64_t)s->quantum_ns / 1000);
	finding(FINE, "processors", NULL, "%u Ps at the start, %u threads so far", s->procs, tab->nms);
	finding(FINE, "CPU time", NULL, s->debug & RINGO_STATE_DEBUG_CPU ? "counted for each goroutine" :
		"not counted for each goroutine (RINGO_DEBUG=1, or RINGO_RUN_CPU_TIME)");
	if (s->debug & RINGO_STATE_DEBUG_HELD)
		finding(FINE, "locks of pthreads", NULL, "watched");
	if (!target_is_core(tab->t))
		limits(tab->t->pid);
}

bool examine_process(const char *pid)
{
	struct table tab = { 0 };
	struct target t;
	bool ok = target_open(&t, pid) && table_open(&tab, &t);

	if (ok)
		tell(&tab);
	else
		fprintf(stderr, "ringo-doctor: %s\n", t.why);
	table_close(&tab);
	target_close(&t);
	return ok;
}
